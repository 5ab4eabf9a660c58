"""Only the average risk is known: errors may crowd into few classes, and be far from the rest."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, LawBound, Quantity, Ref, Relation, refuted, theorem
from theory.claims.mahloujifar2019.error_region import ERROR_L2, RISK, checked_risk, law_at_risk
from theory.claims.zhang2020.classes import (
    GENERATORS,
    KEY,
    SETTING,
    SOURCE,
    ConditionalGenerators,
    class_wise_budget,
    class_wise_log_survival,
    class_wise_lower_bound,
    known_generators,
)
from theory.gaussian import half_space_offset, log_survival_at
from theory.latent import checked_probability, least_distance
from theory.parameter import DISTANCE

EXACT_UP_TO = 16
"""Up to this number of classes all subsets are enumerated."""
_CELLS = 4096
"""Beyond it, reachable sums of weights are kept as this many intervals."""
_ROUNDING = 2.0**-52


@dataclass(frozen=True)
class _Spreads:
    """Ways to spread the errors: classes that are all wrong, all right, and one in between.

    Attributes
    ----------
    full, rest : ndarray, shape (m,)
        Weight of the classes that are all wrong, and of those that are all right.
    partial : ndarray of int, shape (m,)
        The class in between.
    start : ndarray, shape (m,)
        Phi^{-1} of its risk.
    """

    full: FloatArray
    rest: FloatArray
    partial: npt.NDArray[np.intp]
    start: FloatArray


def _subset_sums(weights: FloatArray) -> FloatArray:
    """Return the sums of all subsets; bit c of an index says whether the subset holds c."""
    sums = np.zeros(1)
    for weight in weights:
        sums = np.concatenate([sums, sums + weight])
    return sums


def _sum_intervals(weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return intervals that hold the sums of all subsets, one beginning in a cell of [0, 1]."""
    low = high = np.zeros(1)
    for weight in weights:
        low, high = np.concatenate([low, low + weight]), np.concatenate([high, high + weight])
        order = np.argsort(low, kind="stable")
        low, high = low[order], high[order]
        cells = np.minimum((low * _CELLS).astype(np.int64), _CELLS)
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        low, high = low[first], np.maximum.reduceat(high, first)
    return low, high


def _shares(
    risk: float, weight: float, others: FloatArray, subset: int
) -> tuple[float, float, float]:
    """Return the wrong and the right part of a class, with a subset of the others all wrong.

    The third number is the weight of the classes that are all right. The subset is an index of
    `_subset_sums`; the differences are those of the numbers as they are, rounded once.
    """
    chosen = (subset >> np.arange(others.size)) & 1 == 1
    rest = math.fsum(others[~chosen])
    if rest == 0:
        # All weights sum to 1.
        return weight - (1.0 - risk), 1.0 - risk, rest
    full = others[chosen].tolist()
    wrong = math.fsum([risk, *(-share for share in full)])
    return wrong, math.fsum([weight, *full, -risk]), rest


def _worst_spreads(risk: float, weights: FloatArray) -> _Spreads:
    """Return the ways among which the least adversarial risk is found, whatever the budget.

    With class j in between, the bound is concave in the share that j has: of all subsets of full
    classes only the two with the most and the least weight that fit can be the worst.
    """
    exact = weights.size <= EXACT_UP_TO
    low, high = (np.zeros(0),) * 2 if exact else _sum_intervals(weights)
    rows = []
    for j, weight in enumerate(weights):
        others = np.delete(weights, j)
        if exact:
            low = high = _subset_sums(others)
        # Sums are known up to their rounding; a class that they may fill counts as filled.
        slack = weights.size * _ROUNDING
        most, least = high * (1 + slack), low * (1 - slack)
        fits = np.flatnonzero((least <= risk) & (most >= risk - weight))
        if not fits.size:
            continue
        for k, total in (
            (int(fits[np.argmax(most[fits])]), most),
            (int(fits[np.argmin(least[fits])]), least),
        ):
            if exact:
                wrong, right, rest = _shares(risk, float(weight), others, k)
            else:
                wrong, right = risk - total[k], weight + total[k] - risk
                rest = max(1.0 - total[k] - weight, 0.0)
            p, q = np.clip([wrong / weight, right / weight], 0.0, 1.0)
            full = float(np.clip(total[k], risk - weight, risk))
            rows.append((full, rest, j, -float(half_space_offset(p, q))))
    full_, rest_, partial, start_ = (np.array(column) for column in zip(*rows, strict=True))
    return _Spreads(full_, rest_, partial.astype(np.intp), start_)


def _known_spreads(risk: float, generators: ConditionalGenerators) -> _Spreads:
    rho = checked_risk(risk)
    if rho.ndim:
        raise ValueError(f"risk must be one number, got {risk!r}")
    return _worst_spreads(float(rho), np.asarray(generators.weights))


def _log_kept(eta: npt.ArrayLike, at: _Spreads, generators: ConditionalGenerators) -> FloatArray:
    """Return the log of the share of the class in between that is kept, shape (..., m)."""
    return log_survival_at(at.start, generators.latent_distances(eta)[..., at.partial])


def _reached(eta: npt.ArrayLike, at: _Spreads, generators: ConditionalGenerators) -> FloatArray:
    weight = np.asarray(generators.weights)[at.partial]
    grown = (0.0 - np.expm1(_log_kept(eta, at, generators))) * weight
    return np.asarray(np.clip((at.full + grown).min(axis=-1) - generators.missed, 0.0, 1.0))


def average_lower_bound(
    eta: npt.ArrayLike, risk: float, generators: ConditionalGenerators
) -> FloatArray:
    """Return the lower bound on the adversarial risk where only the average risk is known.

    Parameters
    ----------
    eta : array_like
        Budget in image space, at least 0.
    risk : float
        Probability of an error over all classes, in (0, 1].
    generators : ConditionalGenerators
        Weights pi_c, local Lipschitz constants L_c up to a latent radius r, and failures q_c.

    Returns
    -------
    ndarray
        The least value of the class-wise bound over all class risks with this average, not below
        0; shaped as eta. It is concave in the class risks, so that at its least all classes but one
        are all wrong or all right. Up to 16 classes, and for classes of equal weight, it is exact;
        for more, sums of weights are known to about 1/4096, and it may be smaller. Where such a sum
        is the risk to its last digits, the errors may fill whole classes: it is the risk.

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        If the risk is no number in [0, 1], or eta is negative or NaN.

    References
    ----------
    Zhang, Chen, Gu and Evans (2020), the theorem on conditional generators, at the worst spread of
    the errors over the classes.

    Examples
    --------
    >>> generators = ConditionalGenerators((0.5, 0.5), (1.0, 1.0))
    >>> average_lower_bound([0.0, 5.0], 0.5, generators).tolist()
    [0.5, 0.5]
    """
    return _reached(eta, _known_spreads(risk, generators), generators)


def average_log_survival(
    eta: npt.ArrayLike, risk: float, generators: ConditionalGenerators
) -> FloatArray:
    """Return log of the upper bound on P(distance > eta) that `average_lower_bound` has below 1.

    Examples
    --------
    >>> generators = ConditionalGenerators((0.5, 0.5), (1.0, 1.0))
    >>> round(float(average_log_survival(40.0, 0.75, generators)), 6)
    -805.301589
    """
    at = _known_spreads(risk, generators)
    weight = np.asarray(generators.weights)[at.partial]
    with np.errstate(divide="ignore"):
        partial = np.log(weight) + _log_kept(eta, at, generators)
        far = np.logaddexp(partial, np.log(at.rest + generators.missed)).max(axis=-1)
        near = np.log1p(-_reached(eta, at, generators))
    return np.asarray(np.where(near > -np.log(2.0), near, np.minimum(far, 0.0)))


def average_budget(
    probability: npt.ArrayLike, risk: float, generators: ConditionalGenerators
) -> FloatArray:
    """Return the least budget at which `average_lower_bound` reaches a probability.

    Examples
    --------
    >>> generators = ConditionalGenerators((0.5, 0.5), (1.0, 1.0))
    >>> average_budget([0.5, 0.6], 0.5, generators).tolist()
    [0.0, inf]
    """
    q = checked_probability("probability", probability)
    at = _known_spreads(risk, generators)

    def least(level: float) -> float:
        if level == 1:
            return float("inf")
        return least_distance(lambda eta: float(_reached(eta, at, generators)), level)

    return np.asarray(np.vectorize(least, otypes=[np.float64])(q))


_AVERAGE = Bound(
    (DISTANCE, RISK, GENERATORS),
    average_lower_bound,
    average_log_survival,
    average_budget,
    absolute=1e-14,
)
_AS_CLASS_WISE = Bound(
    (DISTANCE, RISK, GENERATORS),
    lambda eta, risk, generators: class_wise_lower_bound(eta, checked_risk(risk), generators),
    lambda eta, risk, generators: class_wise_log_survival(eta, checked_risk(risk), generators),
    lambda probability, risk, generators: class_wise_budget(
        probability, checked_risk(risk), generators
    ),
    absolute=1e-14,
)
_AVERAGE_RISK = (r"a point is an error with probability at least $\rho > 0$",)


@theorem(
    "zhang2020/average-risk",
    kind=Kind.LAW,
    quantities=(ERROR_L2,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on conditional generators, for the average risk"),
    setting=SETTING,
    hypotheses=_AVERAGE_RISK,
    bound=_AVERAGE,
)
def average_risk(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """With errors in some classes only, the points of the other classes may be far from any.

    Hypotheses: Gaussian latents, local Lipschitz constants that are proved, and a positive average
    risk, known or counted. Tight for linear generators: all classes but one all wrong or all right.
    """
    return law_at_risk(_AVERAGE, facts, alpha, generators=known_generators(facts, quantity.norm))


@refuted(
    "zhang2020/average-as-class-wise",
    kind=Kind.LAW,
    quantities=(ERROR_L2,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on conditional generators, read for the average risk"),
    setting=SETTING,
    hypotheses=_AVERAGE_RISK,
    bound=_AS_CLASS_WISE,
    stronger="zhang2020/average-risk",
)
def average_as_class_wise(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The average risk cannot stand in for the risk of each class.

    Of two classes of equal weight let the classifier get one all wrong and the other all right:
    the average risk is 1/2, and so is the adversarial risk at every budget; Phi(eta / L) is
    claimed.

    Hypotheses: Gaussian latents, local Lipschitz constants that are proved, and a positive average
    risk, known or counted, and nothing else about the classes.
    """
    generators = known_generators(facts, quantity.norm)
    return law_at_risk(_AS_CLASS_WISE, facts, alpha, generators=generators)
