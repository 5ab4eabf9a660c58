"""Judging a claim on evidence: HOLDS, VIOLATED, UNDECIDED or OUT OF SCOPE, never "looks fine"."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np

from theory.claim import FloatArray, LawBound, Relation
from theory.evidence import Interval, Radii
from theory.statistics import dkw_halfwidth


class Outcome(StrEnum):
    """What the evidence says of a claim."""

    HOLDS = "HOLDS"
    VIOLATED = "VIOLATED"
    UNDECIDED = "UNDECIDED"
    OUT_OF_SCOPE = "OUT OF SCOPE"


@dataclass(frozen=True)
class Judgement:
    """An outcome with what it rests on.

    Attributes
    ----------
    outcome : Outcome
    reason : str
        One sentence: the range on which it holds, or what stands in the way.
    slack : float
        How far the evidence is inside the claim at its worst place, band included (law: in
        probability; scalar and pointwise: in the quantity's unit); negative when not shown.
    decided : float
        The part of the range, or of the points, that is decided, in [0, 1].
    """

    outcome: Outcome
    reason: str
    slack: float = float("nan")
    decided: float = 0.0


def declared_range(
    bound: LawBound | Callable[[FloatArray], FloatArray], n: int, alpha: float
) -> tuple[float, float]:
    """Return the etas between which HOLDS is declared, from the bound, n and alpha alone.

    With a band of half-width e, they are where the bound is 4 e and 1 - 2 e: there a law that lies
    a quarter above the bound, or half-way between the bound and 1, just stands clear of its band.
    Nearer to 0 or 1 no law of n points could.

    Parameters
    ----------
    bound : LawBound or callable
        Non-decreasing in eta.
    n : int
        Number of points.
    alpha : float
        Level of the band, in (0, 1/2].

    Returns
    -------
    eta_min, eta_max : float
        +inf where the bound never gets so high; both are with too few points. A range that
        begins at +inf is empty, and HOLDS is never said.

    Examples
    --------
    >>> low, high = declared_range(lambda eta: 1 - np.exp(-eta), 2000, 0.0015)
    >>> round(float(1 - np.exp(-low)), 3), round(float(1 - np.exp(-high)), 3)
    (0.161, 0.919)
    >>> declared_range(lambda eta: 1 - np.exp(-eta), 10, 0.05)
    (inf, inf)
    """
    e = dkw_halfwidth(n, alpha)
    low, high = 4 * e, 1 - 2 * e
    if low >= high:
        return float("inf"), float("inf")
    if isinstance(bound, LawBound):
        return bound.quantile(low), bound.quantile(high)
    return _first_eta(bound, low), _first_eta(bound, high)


def _first_eta(bound: Callable[[FloatArray], FloatArray], probability: float) -> float:
    """Return the least eta whose bound reaches a probability, by bisection on its logarithm."""
    low, high = -1000.0, 1000.0
    if float(bound(np.array([2.0**high]))[0]) < probability:
        return float("inf")
    for _ in range(80):
        middle = (low + high) / 2
        reached = float(bound(np.array([2.0**middle]))[0]) >= probability
        low, high = (low, middle) if reached else (middle, high)
    return float(2.0**high)


def judge_law(
    lower: FloatArray,
    upper: FloatArray,
    bound: LawBound | Callable[[FloatArray], FloatArray],
    alpha: float,
    *,
    eta_range: tuple[float, float] | None = None,
) -> Judgement:
    """Judge F(eta) >= B(eta) for all eta, F the distribution function of a radius.

    VIOLATED when the upper confidence band of the law of `lower` falls below the bound's lower end
    anywhere; HOLDS when the lower band of the law of `upper` is above the bound's upper end
    everywhere on the declared range; else UNDECIDED. An attack, which only moves `upper`, can
    never refute the bound, and a certificate, which only moves `lower`, can never confirm it.

    Parameters
    ----------
    lower, upper : ndarray, shape (n,)
        Intervals of the radii of n independent points; +inf in `upper` where no point was found.
    bound : LawBound or callable
        The bound, non-decreasing and continuous in eta; a plain callable is taken as exact.
    alpha : float
        Probability of a wrong outcome of either kind, in (0, 1/2]: each of the two outcomes uses
        a one-sided band of level alpha, and only one of them can be wrong.
    eta_range : tuple of float, optional
        [eta_min, eta_max] on which HOLDS is declared, fixed before the radii are seen; that of
        `declared_range` by default. Both ends matter: no number of points shows F > 0 arbitrarily
        near eta = 0, nor F near 1. On a range that begins at +inf HOLDS is never said.

    Returns
    -------
    Judgement

    References
    ----------
    The band is that of Massart, Ann. Probab. 18 (1990).

    Examples
    --------
    >>> ones = np.ones(1000)
    >>> judge_law(0 * ones, ones, lambda e: 0.4 * e, 0.05, eta_range=(1.0, 2.0)).outcome
    <Outcome.HOLDS: 'HOLDS'>
    """
    radii = Radii(lower, upper)
    n, e = radii.n, dkw_halfwidth(radii.n, alpha)
    low = bound.lower if isinstance(bound, LawBound) else bound
    high = bound.upper if isinstance(bound, LawBound) else bound

    # Violation: B rises, F_n steps, so the supremum of B - F_n is a left limit at a point; there is
    # none at 0, where nothing is certified.
    points = np.unique(lower[lower > 0])
    if points.size:
        below = np.searchsorted(np.sort(lower), points, side="left") / n
        excess = low(points) - below
        worst = int(np.argmax(excess))
        if excess[worst] > e:
            return Judgement(
                Outcome.VIOLATED,
                f"at eta = {points[worst]:.4g} the bound is {low(points)[worst]:.4f}, and with"
                f" certificates for {n - round(below[worst] * n)} of {n} points beyond it the law"
                f" is at most {below[worst] + e:.4f}",
                slack=float(e - excess[worst]),
            )

    start, stop = declared_range(bound, n, alpha) if eta_range is None else eta_range
    if not 0 <= start <= stop:
        raise ValueError(f"eta_range must be two distances, the smaller first, got {eta_range}")
    if np.isinf(start):
        return Judgement(Outcome.UNDECIDED, f"n = {n} is too small to declare any range of eta")
    sorted_upper = np.sort(upper)
    inside = np.unique(sorted_upper[(sorted_upper > start) & (sorted_upper <= stop)])
    # The left limit at each point inside, and the value at the end of the range.
    etas = np.append(inside, stop)
    counts = np.append(
        np.searchsorted(sorted_upper, inside, side="left"),
        np.searchsorted(sorted_upper, stop, side="right"),
    )
    # The band ends at 0, and a bound of 0 is met there by every law.
    margin = np.maximum(counts / n - e, 0.0) - high(etas)
    # Shares of the range in units of the bound's probability, which no choice of eta unit changes.
    share = np.diff(np.concatenate([high(np.array([start])), high(etas)]))
    total = share.sum()
    decided = float(share[margin >= 0].sum() / total) if total > 0 else float(np.all(margin >= 0))
    slack = float(margin.min())
    if slack >= 0:
        return Judgement(
            Outcome.HOLDS,
            f"on eta in [{start:.4g}, {stop:.4g}], by at least {slack:.3f} beyond the band",
            slack,
            1.0,
        )
    certified = np.sort(lower)
    could_be = np.append(
        np.searchsorted(certified, inside, side="left"),
        np.searchsorted(certified, stop, side="right"),
    )
    if np.all(counts / n >= high(etas)):
        why = f"n = {n} is too small, all points seen agree with the bound"
    elif np.all(could_be / n - e >= high(etas)):
        why = "the intervals are too wide: a stronger attack would decide"
    else:
        why = f"n = {n} points do not tell the law from the bound"
    return Judgement(
        Outcome.UNDECIDED, f"{decided:.0%} of the range decided; {why}", slack, decided
    )


def judge_pointwise(left: Radii, right: Radii, rtol: float = 1e-4) -> Judgement:
    """Judge left_i <= right_i for every point i; both sides belong to the same points.

    Parameters
    ----------
    left, right : Radii
        n intervals each, in the same unit.
    rtol : float
        Two values count as equal within this fraction of the median of the right upper ends:
        verified points lie slightly beyond the boundary that a certificate stops slightly before.

    Returns
    -------
    Judgement
        VIOLATED if some left lower end exceeds the right upper end; HOLDS if every left upper end
        is at most the right lower end, to within rtol; else UNDECIDED.

    Examples
    --------
    >>> one, two = np.ones(3), np.full(3, 2.0)
    >>> judge_pointwise(Radii(one, one), Radii(two, two)).outcome
    <Outcome.HOLDS: 'HOLDS'>
    """
    if left.n != right.n:
        raise ValueError(f"the two sides have {left.n} and {right.n} points")
    against = left.lower > right.upper
    if against.any():
        i = int(np.flatnonzero(against)[0])
        return Judgement(
            Outcome.VIOLATED,
            f"at {int(against.sum())} of {left.n} points; point {i}: left >= {left.lower[i]!r},"
            f" right <= {right.upper[i]!r}",
            slack=float(right.upper[i] - left.lower[i]),
        )
    finite = right.upper[np.isfinite(right.upper)]
    tolerance = rtol * float(np.median(finite)) if finite.size else 0.0
    shown = left.upper <= right.lower + tolerance
    decided = float(shown.mean())
    with np.errstate(invalid="ignore"):
        gaps = right.lower - left.upper
    slack = float(np.min(np.where(np.isnan(gaps), 0.0, gaps)))
    if shown.all():
        return Judgement(
            Outcome.HOLDS, f"at all {left.n} points, to within {tolerance:.2g}", slack, 1.0
        )
    return Judgement(
        Outcome.UNDECIDED,
        f"shown at {int(shown.sum())} of {left.n} points; at the others the intervals overlap",
        slack,
        decided,
    )


def judge_scalar(evidence: Interval, relation: Relation, value: float) -> Judgement:
    """Judge `quantity relation value` on an interval that holds the quantity.

    Examples
    --------
    >>> judge_scalar(Interval.at_least(3.0), Relation.AT_MOST, 2.0).outcome
    <Outcome.VIOLATED: 'VIOLATED'>
    """
    at_most = relation is Relation.AT_MOST
    inner, outer = (
        (evidence.lower, evidence.upper) if at_most else (-evidence.upper, -evidence.lower)
    )
    limit = value if at_most else -value
    shown = f"the quantity lies in [{evidence.lower:.4g}, {evidence.upper:.4g}]"
    text = f"{shown}, the bound is {value:.4g}"
    if inner > limit:
        return Judgement(Outcome.VIOLATED, text, slack=limit - inner)
    if outer <= limit:
        return Judgement(Outcome.HOLDS, text, limit - outer, 1.0)
    return Judgement(Outcome.UNDECIDED, text, limit - outer)


Cell = TypeVar("Cell")


def judge_together(
    cells: Sequence[Cell], judge: Callable[[Cell, float], Judgement], alpha: float
) -> list[Judgement]:
    """Judge many stochastic cells so that the outcomes hold together.

    Holm's step-down procedure, once for each kind of decisive outcome: all cells are judged at
    alpha / m; as long as new ones are decided, the rest are judged again at alpha over the number
    that is left. The probability that any true claim is called VIOLATED is at most alpha, and so
    is the probability that any false one is called HOLDS.

    Parameters
    ----------
    cells : sequence
        The cells, anything that `judge` takes.
    judge : callable
        (cell, level) -> Judgement, wrong with probability at most `level`, and at least as
        decisive at a larger level.
    alpha : float
        Level of the whole table, in (0, 1).

    Returns
    -------
    list of Judgement
        In the order of the cells.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6 (1979).
    """
    results: dict[int, Judgement] = {}
    for outcome in (Outcome.VIOLATED, Outcome.HOLDS):
        open_cells = [i for i in range(len(cells)) if i not in results]
        left = len(cells)
        while open_cells:
            level = alpha / left
            judged = {i: judge(cells[i], level) for i in open_cells}
            new = {i: verdict for i, verdict in judged.items() if verdict.outcome is outcome}
            if not new:
                break
            results |= new
            open_cells = [i for i in open_cells if i not in new]
            left -= len(new)
    for i in range(len(cells)):
        if i not in results:
            undecided = judge(cells[i], alpha / len(cells))
            results[i] = undecided
    return [results[i] for i in range(len(cells))]
