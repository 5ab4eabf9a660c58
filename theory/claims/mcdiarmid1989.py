"""McDiarmid, On the method of bounded differences (1989): a few coordinates of a product.

Data have n independent coordinates, of any laws; a distance is the number of coordinates that
change, and the changed ones may take any value.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, LawBound, Quantity, Ref, Relation, theorem
from theory.claims.gilmer2018 import known_dimension, require_law
from theory.claims.mahloujifar2019.error_region import RISK, law_between, risk_limits
from theory.concentration import (
    HammingForm,
    hamming_enlargement,
    hamming_enlargement_count,
    hamming_log_survival,
)
from theory.latent import checked_masses, checked_probability, mass_limits
from theory.parameter import MASSES, Integers, Parameter

KEY, SOURCE = "mcdiarmid1989", "McDiarmid, Surveys in Combinatorics 1989"
HAMMING = Quantity("error_distance", "hamming")
LABEL_CHANGE = Quantity("r_unc", "l0")
COUNT = Parameter("k", "k", "coordinates that may change", Integers(0, 300), 80)
COORDINATES = Parameter("n", "n", "independent coordinates", Integers(1, 1000), 784)
_LARGEST_COUNT = 2.0**50


def checked_whole(name: str, value: npt.ArrayLike, least: int) -> FloatArray:
    """Return whole numbers as floats; raises ValueError if one is not whole or below `least`."""
    number = np.asarray(value, dtype=np.float64)
    if not np.all((number >= least) & (number == np.rint(number)) & np.isfinite(number)):
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def hamming_change_lower_bound(
    k: npt.ArrayLike, class_masses: npt.ArrayLike, n: npt.ArrayLike
) -> FloatArray:
    """Return a lower bound on the probability that k coordinates suffice to change the label.

    Parameters
    ----------
    k : array_like of int
        Coordinates that may change, at least 0.
    class_masses : array_like, shape (..., K)
        p_i, the masses of the predicted classes under a law with n independent coordinates;
        leading axes broadcast with k and n.
    n : array_like of int
        Coordinates in all, at least 1.

    Returns
    -------
    ndarray
        1 - sum_i min(p_i, exp(-2 (k + 1 - sqrt(n log(1/(1 - p_i)) / 2))_+^2 / n)), 0 where
        negative; 1 from k = n on, unless a class has mass 1. Classes may be merged first, which is
        valid too and now and then better.

    Raises
    ------
    ValueError
        If k or n is no such number, or masses lie outside [0, 1] or do not sum to 1.

    References
    ----------
    McDiarmid (1989), Lemma 1.2, for the distance to the other classes, a class at a time.

    Examples
    --------
    >>> round(float(hamming_change_lower_bound(80, [0.1] * 10, 784)), 12)
    0.999993100939
    """
    return np.maximum(-np.expm1(hamming_change_log_survival(k, class_masses, n)), 0.0)


def hamming_change_log_survival(
    k: npt.ArrayLike, class_masses: npt.ArrayLike, n: npt.ArrayLike
) -> FloatArray:
    """Return log of the upper bound on the probability that k coordinates do not suffice.

    Parameters and errors are those of `hamming_change_lower_bound`; -inf from k = n on.

    Examples
    --------
    >>> round(float(hamming_change_log_survival(700, [0.1] * 10, 784)), 6)
    -1228.391786
    """
    p = checked_masses(class_masses)
    # At most one class has more than half: the others' mass is summed, not subtracted from 1.
    others = np.where(p <= 0.5, p, 0.0).sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        surprise = -np.where(p > 0.5, np.log(np.minimum(others, 1.0)), np.log1p(-p))
    return _log_kept(checked_whole("k", k, 0), p, surprise, checked_whole("n", n, 1))


def _log_kept(k: FloatArray, p: FloatArray, surprise: FloatArray, n: FloatArray) -> FloatArray:
    """Return log sum_i of what class i may keep beyond k, for surprise = log(1 / (1 - p))."""
    count, size = k[..., None] + 1, n[..., None]
    with np.errstate(divide="ignore"):
        kept = -2 * np.maximum(count - np.sqrt(size * surprise / 2), 0.0) ** 2 / size
        kept = np.where((count > size) & (surprise < np.inf), -np.inf, np.minimum(kept, np.log(p)))
    return np.asarray(np.minimum(np.logaddexp.reduce(kept, axis=-1), 0.0))


def hamming_change_count(
    probability: npt.ArrayLike, class_masses: npt.ArrayLike, n: npt.ArrayLike
) -> FloatArray:
    """Return the least k whose bound reaches a probability: an upper bound on that quantile.

    Compared are the log survivals: probability 1 is reached at k = n only, and not if a class has
    mass 1, for which it is inf.

    Examples
    --------
    >>> float(hamming_change_count(0.99, [0.1] * 10, 784))
    58.0
    """
    q = checked_probability("probability", probability)
    with np.errstate(divide="ignore"):
        goal = np.log1p(-q)
    return least_count(
        lambda k: hamming_change_log_survival(k, class_masses, n), goal, checked_whole("n", n, 1)
    )


def least_count(
    log_survival: Callable[[FloatArray], FloatArray], goal: FloatArray, most: npt.ArrayLike
) -> FloatArray:
    """Return the least whole number at which a falling log survival is at or below a goal.

    Parameters
    ----------
    log_survival : callable
        Counts to log survivals, shape by shape.
    goal : ndarray
        Level to reach; -inf allowed.
    most : array_like
        Largest count that is tried.

    Returns
    -------
    ndarray
        inf where the goal is not reached up to there.

    Examples
    --------
    >>> least_count(lambda k: -k * 0.5, np.array([-3.2, 0.0, -40.0]), 20.0).tolist()
    [7.0, 0.0, inf]
    """
    highest = np.asarray(most, dtype=np.float64)
    shape = np.broadcast_shapes(np.shape(goal), highest.shape)
    low, high = np.zeros(shape), np.broadcast_to(highest, shape) + 0.0
    for _ in range(int(np.log2(highest.max(initial=1.0) + 1)) + 2):
        middle = np.floor((low + high) / 2)
        enough = log_survival(middle) <= goal
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
        low = np.minimum(low, high)
    return np.where(log_survival(high) <= goal, high, np.inf)


def whole_number_law(bound: Bound, **others: object) -> LawBound:
    """Return a bound on the law of a whole-number distance as a continuous one.

    Between k and k + 1 it rises linearly from the value at k - 1 to that at k. So it is never
    above P(r <= eta), and its left limit at k is what is known of P(r < k): on whole radii a
    judgement that compares left limits loses nothing.

    Parameters
    ----------
    bound : Bound
        With a whole number for its first parameter.
    **others
        The other parameters.

    Examples
    --------
    >>> law = whole_number_law(_PRODUCT, risk=0.5, n=100)
    >>> at = [float(law.lower(np.array(eta))) for eta in (20.0, 20.5, 21.0)]
    >>> at[0] < at[1] < at[2] <= float(hamming_enlargement(0.5, 20, 100))
    True
    """
    name, value, inverse = bound.parameters[0].name, bound.value, bound.inverse
    assert inverse is not None

    def at(k: FloatArray) -> FloatArray:
        return np.where(k >= 0, value(**{name: np.maximum(k, 0.0)}, **others), 0.0)

    def between(eta: FloatArray, sign: int) -> FloatArray:
        distance = np.minimum(np.asarray(eta, dtype=np.float64), _LARGEST_COUNT)
        k = np.floor(distance)
        ends = [np.clip(v + sign * bound.error(v), 0.0, 1.0) for v in (at(k - 1), at(k))]
        return ends[0] + (distance - k) * (ends[1] - ends[0])

    def quantile(q: float) -> float:
        k = float(inverse(q, **others))
        if q == 0 or not np.isfinite(k):
            return 0.0 if q == 0 else k
        low, high = (float(at(np.array(end))) for end in (k - 1, k))
        return k + min(max((q - low) / (high - low), 0.0), 1.0) if high > low else k + 1.0

    return LawBound(lambda eta: between(eta, -1), lambda eta: between(eta, +1), quantile)


def product_law(facts: Facts, bound: Bound, alpha: float) -> LawBound:
    """Return an enlargement in a product as a law, for errors that are known or were counted.

    Raises
    ------
    OutOfScopeError
        If the law is no product, or the dimension or the errors' measure is not known.
    """
    require_law(facts, "product", "one of independent coordinates")
    n = known_dimension(facts)
    low, high = (whole_number_law(bound, risk=risk, n=n) for risk in risk_limits(facts, alpha))
    return law_between(low, high)


ERROR_SETTING = (
    r"Let $x$ have $n$ independent coordinates, of any laws, let $E$ be the set of measure $\rho$"
    r" of the points that a classifier gets wrong, and let $d$ be the least number of coordinates"
    r" of $x$ whose change leads to $E$"
)
SOME_ERRORS = (r"$\rho > 0$",)


def product_bound(form: HammingForm) -> Bound:
    """Return the enlargement of an error set in a product as a bound."""
    return Bound(
        (COUNT, RISK, COORDINATES),
        lambda k, risk, n: hamming_enlargement(risk, k, n, form),
        lambda k, risk, n: hamming_log_survival(risk, k, n, form),
        lambda probability, risk, n: hamming_enlargement_count(probability, risk, n, form),
        absolute=1e-14,
    )


_PRODUCT = product_bound("mcdiarmid")
_CHANGE = Bound(
    (COUNT, MASSES, COORDINATES),
    hamming_change_lower_bound,
    hamming_change_log_survival,
    hamming_change_count,
    absolute=1e-14,
)


@theorem(
    "mcdiarmid1989/product",
    kind=Kind.LAW,
    quantities=(HAMMING,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Lemma 1.2, for the Hamming distance to a set"),
    setting=ERROR_SETTING,
    hypotheses=SOME_ERRORS,
    bound=_PRODUCT,
)
def product(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """A change of about sqrt(n) independent coordinates leads most points to an error.

    Hypotheses: independent coordinates, which may be changed to any value, and some error.
    The order sqrt(n) is right: half of the uniform bits, by their number of ones.
    """
    return product_law(facts, _PRODUCT, alpha)


@theorem(
    "mcdiarmid1989/prediction-change",
    kind=Kind.LAW,
    quantities=(LABEL_CHANGE,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Lemma 1.2, for the Hamming distances to the other classes"),
    setting=r"Let $x$ have $n$ independent coordinates, of any laws, let $f$ be any classifier with"
    r" class masses $p_i = \Pr(f(x) = i)$, and let $r_0$ be the least number of coordinates of $x$"
    r" whose change changes the label",
    bound=_CHANGE,
)
def prediction_change(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """A change of about sqrt(n) independent coordinates changes the label of most points.

    Hypotheses: independent coordinates, which may be changed to any value, and class masses that
    are known or were counted on an independent sample.
    """
    require_law(facts, "product", "one of independent coordinates")
    n = known_dimension(facts)
    lower, upper = mass_limits(facts, alpha)
    if lower is upper:
        return whole_number_law(_CHANGE, class_masses=lower, n=n)
    # What a class may keep grows with its mass.
    worst, best = (whole_number_law(_limit(p, float(n))) for p in (upper, lower))
    return law_between(worst, best)


def _limit(p: FloatArray, n: float) -> Bound:
    """Return the bound for limits on the masses, which need not sum to 1."""
    with np.errstate(divide="ignore"):
        surprise = -np.log1p(-p)

    def log_survival(k: npt.ArrayLike) -> FloatArray:
        return _log_kept(np.asarray(k, dtype=np.float64), p, surprise, np.asarray(n))

    def count(probability: float) -> FloatArray:
        with np.errstate(divide="ignore"):
            return least_count(log_survival, np.log1p(-np.asarray(probability)), n)

    return Bound(
        (COUNT,), lambda k: -np.expm1(log_survival(k)), log_survival, count, absolute=1e-14
    )
