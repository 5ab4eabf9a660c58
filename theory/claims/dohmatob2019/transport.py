"""The strong no-free-lunch theorem, and the mean distance to an error."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    LawBound,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.claims.mahloujifar2019.error_region import (
    ERROR_L2,
    ERROR_LATENT,
    RISK,
    checked_positive,
    checked_risk,
    law_at_risk,
    risk_limits,
)
from theory.claims.mahloujifar2019.gaussian import (
    isoperimetric_budget,
    isoperimetric_log_survival,
    isoperimetric_lower_bound,
)
from theory.claims.prescott2021 import gaussian_variance
from theory.evidence import Interval
from theory.latent import checked_distance, checked_probability, require_gaussian_latent
from theory.parameter import DISTANCE, Parameter, Reals

KEY, SOURCE = "dohmatob2019", "Dohmatob, ICML 2019"


def natural_noise_distance(risk: npt.ArrayLike, sigma: npt.ArrayLike) -> FloatArray:
    """Return the budget from which on the robust accuracy must fall: sigma sqrt(2 log(1 / risk)).

    It is also an upper bound on the mean distance to the error set, and on the Wasserstein distance
    between the law and the law of its errors.

    Parameters
    ----------
    risk : array_like
        Probability of an error, in (0, 1].
    sigma : array_like
        The constant of T_2(sigma^2), positive, in the unit of the data; broadcasts with risk.

    Returns
    -------
    ndarray
        In the unit of the data; 0 at risk 1.

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        If the risk lies outside [0, 1], or sigma is not positive and finite.

    References
    ----------
    Dohmatob (2019), the strong no-free-lunch theorem; Marton, Bounding d-bar-distance by
    informational divergence, Ann. Probab. 24 (1996).

    Examples
    --------
    >>> round(float(natural_noise_distance(0.01, 1.0)), 12)
    3.03485425877
    """
    return checked_positive("sigma", sigma) * np.sqrt(0.0 - 2.0 * np.log(checked_risk(risk)))


def transport_lower_bound(
    eta: npt.ArrayLike, risk: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return the lower bound on the adversarial risk under T_2(sigma^2).

    Parameters
    ----------
    eta : array_like
        Budget, at least 0, in the unit of the data.
    risk, sigma
        As in `natural_noise_distance`; all three broadcast.

    Returns
    -------
    ndarray
        1 - exp(-(eta - eta_0)_+^2 / (2 sigma^2)) with eta_0 = `natural_noise_distance`; it is
        1 - risk at eta = 2 eta_0. For Gaussian data `isoperimetric_lower_bound` is never smaller.

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        As in `natural_noise_distance`, and if eta is negative or NaN.

    References
    ----------
    Dohmatob (2019), the strong no-free-lunch theorem.

    Examples
    --------
    >>> round(1 - float(transport_lower_bound(5.0, 0.01, 1.0)), 12)
    0.145017784532
    """
    return 0.0 - np.expm1(transport_log_survival(eta, risk, sigma))


def transport_log_survival(
    eta: npt.ArrayLike, risk: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return log of the upper bound on the robust accuracy that `transport_lower_bound` has.

    Examples
    --------
    >>> round(float(transport_log_survival(43.03485425877029, 0.01, 1.0)), 9)
    -800.0
    """
    start = natural_noise_distance(risk, sigma)
    excess = np.maximum(checked_distance("eta", eta) - start, 0.0)
    # "0.0 -" keeps the vacuous bound at 0.0, not -0.0; a square that overflows is the limit.
    with np.errstate(over="ignore"):
        return 0.0 - 0.5 * (excess / np.asarray(sigma, dtype=np.float64)) ** 2


def transport_budget(
    probability: npt.ArrayLike, risk: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return the least budget at which `transport_lower_bound` reaches a probability; +inf at 1.

    Examples
    --------
    >>> round(float(transport_budget(0.99, 0.01, 2.0)), 12)
    12.139417035081
    """
    q = checked_probability("probability", probability)
    with np.errstate(divide="ignore"):
        rest = np.sqrt(-2.0 * np.log1p(-q))
    return np.where(q == 0, 0.0, natural_noise_distance(risk, sigma) + np.asarray(sigma) * rest)


def printed_mean_upper_bound(risk: npt.ArrayLike, sigma: npt.ArrayLike) -> FloatArray:
    """Return the upper bound on the mean distance that integrating the law's bound gives.

    Parameters and errors are those of `natural_noise_distance`, which it exceeds by
    sigma sqrt(pi / 2).

    Examples
    --------
    >>> round(float(printed_mean_upper_bound(0.01, 1.0)), 12)
    4.288168396086
    """
    extra = np.asarray(sigma, dtype=np.float64) * np.sqrt(np.pi / 2.0)
    return np.asarray(natural_noise_distance(risk, sigma) + extra)


SIGMA = Parameter(
    "sigma",
    r"\sigma",
    "constant of the transport inequality, in the unit of the data",
    Reals(typical=(0.1, 3.0), ends=(False, False)),
    1.0,
)
TRANSPORT = Bound(
    (DISTANCE, RISK, SIGMA),
    transport_lower_bound,
    transport_log_survival,
    transport_budget,
    absolute=1e-14,
)
_GAUSSIAN = Bound(
    (DISTANCE, RISK, SIGMA),
    isoperimetric_lower_bound,
    isoperimetric_log_survival,
    isoperimetric_budget,
)
_ERRORS = (
    r" let $E$ be the set where a classifier is wrong, of measure $\rho > 0$, and let $d(x, E)$ be"
    r" the distance"
)
SETTING = r"Let the law of $x$, within a class or of all points, satisfy $T_2(\sigma^2)$," + _ERRORS
_L2_SETTING = SETTING + r" in $\ell_2$"
_L2 = (ERROR_LATENT, ERROR_L2)


def transport_constant(facts: Facts, quantity: Quantity) -> float:
    """Return the constant of T_2 in l2: 1 for N(0, I)."""
    if quantity == ERROR_LATENT:
        require_gaussian_latent(facts)
        return 1.0
    return float(required(facts, "transport_constant[l2]", "a transport inequality of the data"))


@theorem(
    "dohmatob2019/no-free-lunch",
    kind=Kind.LAW,
    quantities=_L2,
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the strong no-free-lunch theorem"),
    setting=_L2_SETTING,
    bound=TRANSPORT,
    stronger="dohmatob2019/gaussian",
)
def no_free_lunch(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Beyond the natural noise level no classifier with errors stays accurate under attack.

    Hypotheses: the law satisfies T_2(sigma^2), and the risk is positive, known or counted. For
    Gaussian data isoperimetry says more; other laws have no stronger form here. Never tight.
    """
    return law_at_risk(TRANSPORT, facts, alpha, sigma=transport_constant(facts, quantity))


@theorem(
    "dohmatob2019/gaussian",
    kind=Kind.LAW,
    quantities=_L2,
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the strong no-free-lunch theorem, sharpened by isoperimetry"),
    setting=r"Let $x \sim \mathcal{N}(m, \Sigma)$ with $\lVert \Sigma \rVert_2 \le \sigma^2$,"
    + _ERRORS
    + r" in $\ell_2$",
    bound=_GAUSSIAN,
)
def gaussian(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """For Gaussian data half-spaces are the error sets that are farthest from the rest.

    Hypotheses: Gaussian data of known covariance, or Gaussian latents, and a positive risk, known
    or counted. Tight: half-spaces along a top eigenvector.
    """
    if quantity == ERROR_LATENT:
        require_gaussian_latent(facts)
        return law_at_risk(_GAUSSIAN, facts, alpha, sigma=1.0)
    return law_at_risk(_GAUSSIAN, facts, alpha, sigma=float(np.sqrt(gaussian_variance(facts))))


def _mean(facts: Facts, quantity: Quantity, alpha: float, bound: Bound) -> Interval:
    sigma = transport_constant(facts, quantity)
    low, high = risk_limits(facts, alpha)
    least, most = (float(bound.value(risk=risk, sigma=sigma)) for risk in (high, low))
    return Interval(least * (1 - ROUNDING), most * (1 + ROUNDING))


_MEAN = Bound((RISK, SIGMA), natural_noise_distance)
_MEAN_PRINTED = Bound((RISK, SIGMA), printed_mean_upper_bound)


@theorem(
    "dohmatob2019/mean-distance",
    kind=Kind.MEAN,
    quantities=_L2,
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the bound on the mean distance to an error, without its last term"),
    setting=_L2_SETTING,
    bound=_MEAN,
)
def mean_distance(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """On average an error is no farther than the natural noise level.

    Hypotheses: those of the law; T_1, which is weaker than T_2, is enough.
    """
    return _mean(facts, quantity, alpha, _MEAN)


@theorem(
    "dohmatob2019/mean-distance-printed",
    kind=Kind.MEAN,
    quantities=_L2,
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the bound on the mean distance to an error"),
    setting=_L2_SETTING,
    bound=_MEAN_PRINTED,
    stronger="dohmatob2019/mean-distance",
)
def mean_distance_printed(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """The mean distance to an error, by integrating the bound on the robust accuracy.

    Hypotheses: those of the law.
    """
    return _mean(facts, quantity, alpha, _MEAN_PRINTED)
