"""Theorem 1, integrated: the mean distance to another label."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    theorem,
)
from theory.claims.fawzi2018.robustness import KEY, SETTING, SOURCE
from theory.evidence import Interval
from theory.gaussian import mean_survival
from theory.latent import (
    R_IN,
    R_LATENT,
    R_UNC,
    checked_masses,
    known_modulus,
    largest_convex_sum,
    mass_limits,
    require_gaussian_latent,
)
from theory.modulus import Modulus
from theory.parameter import MASSES, MODULUS
from theory.statistics import most_equal_masses


def mean_upper_bound(modulus: Modulus, class_masses: npt.ArrayLike) -> FloatArray:
    """Return an upper bound on E r, the mean robustness.

    Parameters
    ----------
    modulus : Modulus
        omega of the generator, concave; `LipschitzModulus(1.0)` for r_latent.
    class_masses : array_like, shape (..., K)
        p_i.

    Returns
    -------
    ndarray, shape (...)
        omega(sum_i [phi(a_i) - a_i p_i]); +inf if one class has mass 1.

    Raises
    ------
    OutOfScopeError
        If omega is not concave; its `concave_majorant()` is a modulus too.
    ValueError
        If the masses are invalid.

    References
    ----------
    Theorem 1, integrated over eta, and Jensen's inequality, as in Theorem 4 for delta = 0.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(mean_upper_bound(LipschitzModulus(1.0), [0.1] * 10)), 12)
    0.47343175378
    """
    require_concave(modulus)
    return modulus(latent_mean(checked_masses(class_masses)))


def require_concave(modulus: Modulus) -> None:
    """Raise OutOfScopeError unless omega is concave, as Jensen's inequality needs."""
    if not modulus.concave:
        raise OutOfScopeError("the modulus is not concave; its concave majorant would do")


def latent_mean(p: FloatArray) -> FloatArray:
    """Return S(p) = sum_i [phi(a_i) - a_i p_i], the bound on E r_latent, for checked masses."""
    others = np.where(p <= 0.5, p, 0.0).sum(axis=-1, keepdims=True)
    complement = np.where(p > 0.5, np.clip(others, 0.0, 1.0), 1.0 - p)
    return np.asarray(mean_survival(p, complement).sum(axis=-1))


def mean_limits(facts: Facts, alpha: float) -> tuple[float, float]:
    """Return limits on S(p) that hold with probability 1 - alpha.

    S is a sum of convex functions: the most equal masses make it least.
    """
    lower, upper = mass_limits(facts, alpha)
    if lower is upper:
        mean = float(latent_mean(lower))
        return mean, mean
    largest = largest_convex_sum(mean_survival, lower, upper)
    return float(latent_mean(most_equal_masses(lower, upper))), float(largest)


@theorem(
    "fawzi2018/thm1-mean",
    kind=Kind.MEAN,
    quantities=(R_LATENT, R_IN, R_UNC),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem 1, integrated"),
    setting=SETTING,
    hypotheses=(r"$\omega$ is concave",),
    bound=Bound((MODULUS, MASSES), mean_upper_bound),
)
def mean_robustness(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """The mean distance to another label is at most that of half-spaces.

    Hypotheses: those of Theorem 1, and a concave modulus. Tight for K = 2 (half-spaces).
    """
    require_gaussian_latent(facts)
    modulus = known_modulus(facts, quantity)
    require_concave(modulus)
    low, high = (float(modulus(end)) for end in mean_limits(facts, alpha))
    return Interval(low * (1 - ROUNDING), high * (1 + ROUNDING))
