"""The curse of concentration: any error set of positive measure is near to nearly everything."""

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
    ERROR_LINF,
    RISK,
    checked_dimension,
    checked_positive,
    checked_risk,
    law_between,
    risk_limits,
)
from theory.evidence import Interval
from theory.latent import checked_distance, checked_probability, require_gaussian_latent
from theory.parameter import DISTANCE, Integers, Parameter, Reals

KEY, SOURCE = "mahloujifar2019", "Mahloujifar, Diochnos and Mahmoody, AAAI 2019"
ERROR_HAMMING = Quantity("error_distance", "hamming")
GAUSSIAN_FAMILY = {"k1": 0.5, "k2": 0.5, "n": 1}
"""The best constants of a normal Levy family for N(0, I_d), in every dimension d."""
_RAMP = 1e-9
"""The bound jumps at the distance b_1; it is drawn as a ramp of this relative width."""


def _rate(k2: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    return np.asarray(checked_positive("k2", k2) * checked_dimension(n))


def levy_half_distance(
    risk: npt.ArrayLike, k1: npt.ArrayLike, k2: npt.ArrayLike, n: npt.ArrayLike
) -> FloatArray:
    """Return b_1, the distance within which an error set of this measure grows to one half.

    Parameters
    ----------
    risk : array_like
        Measure of the error set, in (0, 1].
    k1, k2 : array_like
        Positive constants of the concentration function alpha(b) <= k1 exp(-k2 n b^2).
    n : array_like of int
        Dimension, at least 1; all four broadcast.

    Returns
    -------
    ndarray
        sqrt(log(k1 / risk) / (k2 n)) in the unit of the metric; 0 where risk >= k1.

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        If the risk lies outside [0, 1], a constant is not positive, or n not a whole number >= 1.

    References
    ----------
    Mahloujifar, Diochnos and Mahmoody (2019), the theorem on normal Levy families: a risk above
    alpha(b) forces a b-neighbourhood of measure above one half.

    Examples
    --------
    >>> round(float(levy_half_distance(0.01, 0.5, 0.5, 1)), 12)
    2.797149622537
    """
    rho, first = checked_risk(risk), checked_positive("k1", k1)
    # For neighbours the difference is exact, and the quotient has lost its logarithm's digits.
    with np.errstate(over="ignore"):
        near = np.log1p((first - rho) / rho)
    logs = np.where(first < 2.0 * rho, near, np.log(first) - np.log(rho))
    return np.sqrt(np.maximum(logs, 0.0) / _rate(k2, n))


def levy_lower_bound(
    eta: npt.ArrayLike,
    risk: npt.ArrayLike,
    k1: npt.ArrayLike,
    k2: npt.ArrayLike,
    n: npt.ArrayLike,
) -> FloatArray:
    """Return the lower bound on the adversarial risk in a normal Levy family.

    Parameters
    ----------
    eta : array_like
        Budget in the metric of the family, at least 0.
    risk, k1, k2, n
        As in `levy_half_distance`.

    Returns
    -------
    ndarray
        1 - k1 exp(-k2 n (eta - b_1)^2) from eta = b_1 on, not below 0; 0 before. It jumps at b_1
        if k1 < 1: until one half is reached nothing is known, and then at once 1 - k1.

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        As in `levy_half_distance`, and if eta is negative or NaN.

    References
    ----------
    Mahloujifar, Diochnos and Mahmoody (2019), the theorem on normal Levy families.

    Examples
    --------
    >>> round(float(levy_lower_bound(5.594299245073, 0.01, 0.5, 0.5, 1)), 12)
    0.99
    """
    rate, start = _rate(k2, n), levy_half_distance(risk, k1, k2, n)
    distance = checked_distance("eta", eta)
    level = -np.expm1(_log_left(distance, start, checked_positive("k1", k1), rate))
    return np.where(distance >= start, np.maximum(level, 0.0), 0.0)


def _log_left(
    distance: FloatArray, start: FloatArray, k1: FloatArray, rate: FloatArray
) -> FloatArray:
    # A square that overflows is the limit.
    with np.errstate(over="ignore"):
        return np.asarray(np.log(k1) - rate * np.maximum(distance - start, 0.0) ** 2)


def levy_log_survival(
    eta: npt.ArrayLike,
    risk: npt.ArrayLike,
    k1: npt.ArrayLike,
    k2: npt.ArrayLike,
    n: npt.ArrayLike,
) -> FloatArray:
    """Return log of the upper bound on P(distance > eta) that `levy_lower_bound` has below 1.

    Parameters and errors are those of `levy_lower_bound`.

    Examples
    --------
    >>> round(float(levy_log_survival(42.797149622537, 0.01, 0.5, 0.5, 1)), 6)
    -800.693147
    """
    rate, start = _rate(k2, n), levy_half_distance(risk, k1, k2, n)
    distance = checked_distance("eta", eta)
    left = _log_left(distance, start, checked_positive("k1", k1), rate)
    return np.where(distance >= start, np.minimum(left, 0.0), 0.0)


def levy_budget(
    probability: npt.ArrayLike,
    risk: npt.ArrayLike,
    k1: npt.ArrayLike,
    k2: npt.ArrayLike,
    n: npt.ArrayLike,
) -> FloatArray:
    """Return the least budget at which `levy_lower_bound` reaches a probability; +inf at 1.

    Examples
    --------
    >>> round(float(levy_budget(0.99, 0.01, 0.5, 0.5, 1)), 6)
    5.594299
    """
    q = checked_probability("probability", probability)
    rate, start = _rate(k2, n), levy_half_distance(risk, k1, k2, n)
    with np.errstate(divide="ignore"):
        rest = np.sqrt(np.maximum(np.log(checked_positive("k1", k1)) - np.log1p(-q), 0.0) / rate)
    return np.where(q == 0, 0.0, start + rest)


def levy_mean_upper_bound(
    risk: npt.ArrayLike, k1: npt.ArrayLike, k2: npt.ArrayLike, n: npt.ArrayLike
) -> FloatArray:
    """Return the upper bound on the mean distance to the error set in a normal Levy family.

    Parameters and errors are those of `levy_half_distance`.

    Returns
    -------
    ndarray
        b_1 + k1 sqrt(pi / (4 k2 n)), in the unit of the metric.

    References
    ----------
    Mahloujifar, Diochnos and Mahmoody (2019), the theorem on normal Levy families, integrated.

    Examples
    --------
    >>> round(float(levy_mean_upper_bound(0.01, 0.5, 0.5, 1)), 12)
    3.423806691194
    """
    first = checked_positive("k1", k1)
    return levy_half_distance(risk, k1, k2, n) + first * np.sqrt(np.pi / (4.0 * _rate(k2, n)))


_K1 = Parameter(
    "k1",
    "k_1",
    "factor of the concentration function",
    Reals(typical=(0.5, 4.0), ends=(False, False)),
    1.0,
)
_K2 = Parameter(
    "k2",
    "k_2",
    "rate of the concentration function",
    Reals(typical=(0.1, 2.0), ends=(False, False)),
    0.5,
)
_N = Parameter("n", "n", "dimension of the family", Integers(1, 1000), 1)
_LEVY = Bound(
    (DISTANCE, RISK, _K1, _K2, _N), levy_lower_bound, levy_log_survival, levy_budget, absolute=1e-14
)
_SETTING = (
    r"Let $x$ have a law of a normal Lévy family, let $E$ be the set where a classifier is wrong,"
    r" of measure $\rho > 0$, and let $d(x, E)$ be the distance in the metric of the family"
)
_FAMILY = (
    r"the concentration function is $\alpha(b) \le k_1 e^{-k_2 n b^2}$: of a set of measure at"
    r" least $1/2$ the $b$-neighbourhood has measure at least $1 - \alpha(b)$",
)
_LEVY_QUANTITIES = (ERROR_L2, ERROR_LINF, ERROR_HAMMING, ERROR_LATENT)


def _family(facts: Facts, quantity: Quantity) -> dict[str, float]:
    """Return k1, k2 and n of the law in the metric of this distance ("normal_levy[norm]")."""
    if quantity == ERROR_LATENT:
        require_gaussian_latent(facts)
        return dict(GAUSSIAN_FAMILY)
    name = f"normal_levy[{quantity.norm}]"
    known = required(facts, name, "the concentration function of the data")
    return {key: float(known[key]) for key in ("k1", "k2", "n")}


def _ramped(risk: float, family: dict[str, float]) -> LawBound:
    """Return the bound with its jump at b_1 a ramp: right of it below, left of it above."""
    law = _LEVY.law(risk=risk, **family)
    start = float(levy_half_distance(risk, **family))
    width = _RAMP * start
    jump = max(1.0 - family["k1"], 0.0)
    if width == 0 or jump == 0:
        return law

    def above(eta: FloatArray) -> FloatArray:
        ramp = jump * np.clip(1.0 - (start - eta) / width, 0.0, 1.0)
        return np.where(eta < start, ramp, law.upper(eta))

    return LawBound(
        lower=lambda eta: law.lower(eta) * np.clip((eta - start) / width, 0.0, 1.0),
        upper=above,
        quantile=lambda q: start - width * (1.0 - q / jump) if 0 < q < jump else law.quantile(q),
    )


@theorem(
    "mahloujifar2019/levy",
    kind=Kind.LAW,
    quantities=_LEVY_QUANTITIES,
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on normal Levy families"),
    setting=_SETTING,
    hypotheses=_FAMILY,
    bound=_LEVY,
    stronger="mahloujifar2019/gaussian",
)
def levy(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Where measure concentrates, every error set is near to nearly all points.

    Hypotheses: a concentration function that is at most k1 exp(-k2 n b^2) in the metric of the
    distance, and a positive risk, known or counted. For N(0, I) in latent space k1 = k2 n = 1/2;
    there the exact form says more. Other laws have no stronger form here.
    """
    family = _family(facts, quantity)
    low, high = risk_limits(facts, alpha)
    return law_between(_ramped(low, family), _ramped(high, family))


@theorem(
    "mahloujifar2019/levy-mean",
    kind=Kind.MEAN,
    quantities=_LEVY_QUANTITIES,
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "theorem on normal Levy families, integrated"),
    setting=_SETTING,
    hypotheses=_FAMILY,
    bound=Bound((RISK, _K1, _K2, _N), levy_mean_upper_bound),
)
def levy_mean(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """The mean distance to an error set is of the order of the concentration's own scale.

    Hypotheses: those of the law. Never tight.
    """
    family = _family(facts, quantity)
    low, high = risk_limits(facts, alpha)
    least, most = (float(levy_mean_upper_bound(risk, **family)) for risk in (high, low))
    return Interval(least * (1 - ROUNDING), most * (1 + ROUNDING))
