"""Gauss space, where the concentration function is known exactly: isoperimetry."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, LawBound, Quantity, Ref, Relation, theorem
from theory.claims.fawzi2018.robustness import image_quantile
from theory.claims.mahloujifar2019.error_region import (
    ERROR_L2,
    ERROR_LATENT,
    ERROR_LINF,
    RISK,
    checked_positive,
    checked_risk,
    error_modulus,
    law_at_risk,
)
from theory.claims.mahloujifar2019.levy import KEY, SOURCE
from theory.gaussian import (
    halfspace_enlargement,
    halfspace_enlargement_distance,
    halfspace_log_survival,
)
from theory.latent import checked_distance, checked_probability, latent_distance
from theory.modulus import Modulus
from theory.parameter import DISTANCE, MODULUS


def gaussian_risk_lower_bound(
    eta: npt.ArrayLike, risk: npt.ArrayLike, modulus: Modulus
) -> FloatArray:
    """Return the lower bound on the adversarial risk for data generated from N(0, I).

    Parameters
    ----------
    eta : array_like
        Budget in the norm of the modulus, at least 0.
    risk : array_like
        Measure of the error set, in (0, 1]; broadcasts with eta.
    modulus : Modulus
        omega of the generator; `LipschitzModulus(1.0)` for Gaussian data, or in latent space.

    Returns
    -------
    ndarray
        Phi(Phi^{-1}(risk) + omega^{-1}(eta)).

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        If the risk lies outside [0, 1], or eta is negative or NaN.

    References
    ----------
    Mahloujifar, Diochnos and Mahmoody (2019) with the exact concentration function of Gauss space,
    by Borell, The Brunn-Minkowski inequality in Gauss space, Invent. Math. 30 (1975).

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(gaussian_risk_lower_bound(4.652695748082, 0.01, LipschitzModulus(1.0))), 12)
    0.99
    """
    return halfspace_enlargement(checked_risk(risk), latent_distance(eta, modulus))


def gaussian_risk_log_survival(
    eta: npt.ArrayLike, risk: npt.ArrayLike, modulus: Modulus
) -> FloatArray:
    """Return log of the upper bound on P(distance > eta) of `gaussian_risk_lower_bound`.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(gaussian_risk_log_survival(40.0, 0.5, LipschitzModulus(1.0))), 6)
    -804.608442
    """
    return halfspace_log_survival(checked_risk(risk), latent_distance(eta, modulus))


def gaussian_risk_budget(
    probability: npt.ArrayLike, risk: npt.ArrayLike, modulus: Modulus
) -> FloatArray:
    """Return the least budget at which `gaussian_risk_lower_bound` reaches a probability.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(gaussian_risk_budget(0.99, 0.01, LipschitzModulus(1.0))), 6)
    4.652696
    """
    q = checked_probability("probability", probability)
    return image_quantile(q, halfspace_enlargement_distance(q, checked_risk(risk)), modulus)


def isoperimetric_lower_bound(
    eta: npt.ArrayLike, risk: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return the lower bound on the adversarial risk for Gaussian data: isoperimetry itself.

    Parameters
    ----------
    eta : array_like
        Budget in l_p for any p >= 2, at least 0, in the unit of the data.
    risk : array_like
        Measure of the error set, in (0, 1].
    sigma : array_like
        Positive, in the unit of the data: the square root of the spectral norm of the covariance.

    Returns
    -------
    ndarray
        Phi(Phi^{-1}(risk) + eta / sigma).

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        If the risk lies outside [0, 1], sigma is not positive, or eta is negative or NaN.

    References
    ----------
    Borell, The Brunn-Minkowski inequality in Gauss space, Invent. Math. 30 (1975).

    Examples
    --------
    >>> round(1 - float(isoperimetric_lower_bound(5.0, 0.01, 1.0)), 12)
    0.003751511875
    """
    return halfspace_enlargement(checked_risk(risk), _in_deviations(eta, sigma))


def _in_deviations(eta: npt.ArrayLike, sigma: npt.ArrayLike) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.asarray(checked_distance("eta", eta) / checked_positive("sigma", sigma))


def isoperimetric_log_survival(
    eta: npt.ArrayLike, risk: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return log of the upper bound on the robust accuracy of `isoperimetric_lower_bound`.

    Examples
    --------
    >>> round(float(isoperimetric_log_survival(40.0, 0.5, 1.0)), 6)
    -804.608442
    """
    return halfspace_log_survival(checked_risk(risk), _in_deviations(eta, sigma))


def isoperimetric_budget(
    probability: npt.ArrayLike, risk: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return the least budget at which `isoperimetric_lower_bound` reaches a probability.

    Examples
    --------
    >>> round(float(isoperimetric_budget(0.99, 0.01, 2.0)), 6)
    9.305391
    """
    q = checked_probability("probability", probability)
    return checked_positive("sigma", sigma) * halfspace_enlargement_distance(q, checked_risk(risk))


_GAUSSIAN = Bound(
    (DISTANCE, RISK, MODULUS),
    gaussian_risk_lower_bound,
    gaussian_risk_log_survival,
    gaussian_risk_budget,
)


@theorem(
    "mahloujifar2019/gaussian",
    kind=Kind.LAW,
    quantities=(ERROR_LATENT, ERROR_L2, ERROR_LINF),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on normal Levy families, with the exact concentration function"),
    setting=(
        r"Let $x = g(z)$, $z \sim \mathcal{N}(0, I_d)$, where $g$ has the modulus of continuity"
        r" $\omega$, let $E$ be the set where a classifier is wrong, of measure $\rho > 0$, and let"
        r" $d(x, E)$ be the distance in latent space (with $\omega(t) = t$) or in image space"
    ),
    bound=_GAUSSIAN,
)
def gaussian(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """In Gauss space no error set is farther from the rest than a half-space of its measure.

    Hypotheses: Gaussian latent, a positive risk, known or counted, and for image distances a
    certified modulus. Tight: half-spaces of latent space.
    """
    return law_at_risk(_GAUSSIAN, facts, alpha, modulus=error_modulus(facts, quantity))
