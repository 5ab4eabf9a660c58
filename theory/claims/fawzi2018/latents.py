"""Theorem 1 for latents that are not standard Gaussian, as Lipschitz images of one that is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.claim import (
    Bound,
    Facts,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.claims.fawzi2018.robustness import (
    KEY,
    SOURCE,
    cdf_lower_bound,
    law_bound,
    log_survival_upper_bound,
    quantile_upper_bound,
)
from theory.latent import R_IN, R_LATENT, R_UNC, known_modulus
from theory.modulus import LipschitzModulus, Modulus, composition
from theory.parameter import DISTANCE, MASSES, MODULUS, Parameter, Reals


def cube_transport(side: float = 1.0) -> float:
    """Return the Lipschitz constant of the map from N(0, I_d) to the uniform law on a cube.

    Parameters
    ----------
    side : float
        Length of the cube's edges, positive: 1 for [0, 1]^d, 2 for [-1, 1]^d.

    Returns
    -------
    float
        side / sqrt(2 pi), the slope of side * Phi at 0; in every dimension.

    Raises
    ------
    ValueError
        If the side is not positive and finite.

    Examples
    --------
    >>> round(cube_transport(2.0), 12)
    0.797884560803
    """
    if not (np.isfinite(side) and side > 0):
        raise ValueError(f"side must be positive and finite, got {side!r}")
    return float(side / np.sqrt(2.0 * np.pi))


def gaussian_transport(covariance: npt.ArrayLike) -> float:
    """Return the Lipschitz constant of the map from N(0, I_d) to N(m, Sigma).

    Parameters
    ----------
    covariance : array_like, shape (d, d) or (d,)
        Sigma, or its diagonal; symmetric and positive semidefinite.

    Returns
    -------
    float
        The square root of its largest eigenvalue, rounded up by 1e-12 of it.

    Raises
    ------
    ValueError
        If it is not symmetric, not finite, or has a negative eigenvalue.

    Examples
    --------
    >>> round(gaussian_transport([4.0, 1.0]), 9)
    2.0
    """
    sigma = np.asarray(covariance, dtype=np.float64)
    if sigma.ndim not in (1, 2) or not sigma.size or not np.all(np.isfinite(sigma)):
        raise ValueError(f"covariance must be a finite matrix or diagonal, got {covariance!r}")
    if sigma.ndim == 2 and (
        sigma.shape[0] != sigma.shape[1] or not np.allclose(sigma, sigma.T, rtol=1e-12, atol=0.0)
    ):
        raise ValueError(f"covariance must be symmetric, got shape {sigma.shape}")
    values = sigma if sigma.ndim == 1 else np.linalg.eigvalsh(sigma)
    if values.min() < -1e-12 * np.abs(values).max():
        raise ValueError(f"covariance must have no negative eigenvalue, got {values.min()}")
    return float(np.sqrt(values.max()) * (1 + 1e-12))


def transport_constant(law: Mapping[str, Any]) -> float:
    """Return the Lipschitz constant Lambda of a map from N(0, I_d) onto a latent law.

    Parameters
    ----------
    law : mapping
        {"law": "uniform", "low": -1, "high": 1}; {"law": "truncated_gaussian"} for N(0, I_d)
        conditioned on any convex set; {"law": "gaussian", "covariance": Sigma}.

    Raises
    ------
    OutOfScopeError
        If no such map is known for the law.

    References
    ----------
    Caffarelli, Monotonicity properties of optimal transportation, Commun. Math. Phys. 214 (2000),
    for the truncated law: a density e^{-V} with Hess V >= I is a contraction of N(0, I).

    Examples
    --------
    >>> transport_constant({"law": "truncated_gaussian"})
    1.0
    """
    if law["law"] == "uniform":
        return cube_transport(float(law["high"]) - float(law["low"]))
    if law["law"] == "truncated_gaussian":
        return 1.0
    if law["law"] == "gaussian":
        return gaussian_transport(law["covariance"])
    raise OutOfScopeError(
        f"no Lipschitz map from N(0, I) to the latent law {law['law']!r} is known"
    )


_TRANSPORT = Parameter(
    "transport",
    r"\Lambda",
    "Lipschitz constant of a map from N(0, I) onto the latent law",
    Reals(0.0, typical=(0.2, 3.0), ends=(False, False)),
    float(np.sqrt(2.0 / np.pi)),
)


def _moved(modulus: Modulus, transport: float) -> Modulus:
    return composition(modulus, LipschitzModulus(float(transport)))


@theorem(
    "fawzi2018/thm1-other-latents",
    kind=Kind.LAW,
    quantities=(R_LATENT, R_IN, R_UNC),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 1, after a change of latent"),
    setting=r"Let $x = g(T(\zeta))$, $\zeta \sim \mathcal{N}(0, I_d)$, where $g$ has the modulus of"
    r" continuity $\omega$, and let $f$ be any classifier with class masses"
    r" $p_i = \Pr(f(x) = i)$",
    hypotheses=(r"$T$ is $\Lambda$-Lipschitz and takes $\mathcal{N}(0, I_d)$ to the latent law",),
    bound=Bound(
        (DISTANCE, MODULUS, MASSES, _TRANSPORT),
        lambda eta, modulus, class_masses, transport: cdf_lower_bound(
            eta, _moved(modulus, transport), class_masses
        ),
        lambda eta, modulus, class_masses, transport: log_survival_upper_bound(
            eta, _moved(modulus, transport), class_masses
        ),
        lambda probability, modulus, class_masses, transport: quantile_upper_bound(
            probability, _moved(modulus, transport), class_masses
        ),
    ),
)
def theorem1_other_latents(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Uniform, truncated and correlated latents: a Lipschitz map from the Gaussian rescales.

    Hypotheses: the latent law is uniform on a cube, a Gaussian restricted to a convex set, or
    Gaussian of any covariance; else as in Theorem 1.
    """
    law = required(facts, "latent_law", "the latent law")
    if law == "gaussian":
        raise OutOfScopeError("the latent law is N(0, I), and Theorem 1 itself applies")
    described = law if isinstance(law, Mapping) else {"law": law}
    modulus = _moved(known_modulus(facts, quantity), transport_constant(described))
    return law_bound({**facts, "latent_law": "gaussian"}, modulus, alpha)
