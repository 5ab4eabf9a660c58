"""Judging a claim on evidence: pointwise, a mean, and many cells together.

The outcomes themselves are those of `theory.outcome`; one number is judged by
`theory.number_verdict`, a law by `theory.law_verdict`, two subjects by `theory.comparison_verdict`,
and many pairs of them by `theory.paired_verdict`; their names belong to this module too.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from theory.arrays import FloatArray
from theory.comparison_verdict import compared_ends, gap_between, judge_comparison
from theory.declared import declared_grid, declared_range
from theory.evidence import Interval, Radii
from theory.law_verdict import judge_law
from theory.number_verdict import judge_combinatorial, judge_scalar
from theory.outcome import Judgement, Outcome
from theory.paired_verdict import judge_pairs, sign_flip
from theory.sample_size import STRONGER, mean_size, said
from theory.statistics import checked_level, empirical_bernstein

__all__ = [
    "Judgement",
    "Outcome",
    "compared_ends",
    "declared_grid",
    "declared_range",
    "gap_between",
    "judge_combinatorial",
    "judge_comparison",
    "judge_law",
    "judge_mean",
    "judge_pairs",
    "judge_pointwise",
    "judge_scalar",
    "judge_together",
    "sign_flip",
]


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

    Raises
    ------
    ValueError
        If the two sides have different numbers of points, or rtol is negative or NaN.

    Examples
    --------
    >>> one, two = np.ones(3), np.full(3, 2.0)
    >>> judge_pointwise(Radii(one, one), Radii(two, two)).outcome
    <Outcome.HOLDS: 'HOLDS'>
    """
    if left.n != right.n:
        raise ValueError(f"the two sides have {left.n} and {right.n} points")
    if not 0 <= rtol < np.inf:
        raise ValueError(f"rtol must be a finite number, at least 0, got {rtol}")
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
            Outcome.HOLDS,
            f"at all {left.n} points, to within {tolerance:.2g}",
            slack,
            1.0,
            tolerance=tolerance,
        )
    return Judgement(
        Outcome.UNDECIDED,
        f"shown at {int(shown.sum())} of {left.n} points; at the others the intervals overlap",
        slack,
        decided,
        f"at {left.n - int(shown.sum())} points smaller upper ends of the left side (an attack) or"
        f" larger lower ends of the right (a certificate): {_looseness(slack)}",
        tolerance,
    )


def _looseness(slack: float) -> str:
    """Return how far two ends are apart at the worst point, where one is known at all."""
    if np.isinf(slack):
        return "at the worst point one of the two is not known"
    return f"they are up to {-slack:.4g} apart"


def judge_mean(
    lower: FloatArray, upper: FloatArray, value: float | Interval, alpha: float, *, cap: float
) -> Judgement:
    """Judge E r <= value for the mean of a radius.

    A mean has no finite-sample limits without a bound on the radius, so the radii are capped:
    E min(r, cap) <= E r. VIOLATED when the lower limit on the mean of min(lower, cap) exceeds the
    value, which refutes E r <= value itself; HOLDS when the upper limit on the mean of
    min(upper, cap) is at most the value, which shows E min(r, cap) <= value and no more; else
    UNDECIDED. An attack, which only moves `upper`, can never refute, and a certificate, which only
    moves `lower`, can never confirm.

    Parameters
    ----------
    lower, upper : ndarray, shape (n,)
        Intervals of the radii of n independent points, n >= 2; +inf in `upper` where no point was
        found.
    value : float or Interval
        The claimed bound on the mean, at least 0, in the unit of the radius; +inf where it says
        nothing. Of an interval the upper end is refuted, and the lower one confirmed.
    alpha : float
        Probability of a wrong outcome of either kind, in (0, 1): each of the two outcomes uses a
        one-sided limit of level alpha, and only one of them can be wrong.
    cap : float
        Positive and finite, in the unit of the radius, declared before the radii are seen. With a
        cap that is not above the value nothing is said: HOLDS would need no evidence.

    Returns
    -------
    Judgement

    Raises
    ------
    ValueError
        If the radii are no intervals or fewer than 2, or a number is outside its range.

    References
    ----------
    The limits are those of Maurer and Pontil, COLT 2009, Theorem 4.

    Examples
    --------
    >>> seen = np.linspace(0.5, 1.0, 1000)
    >>> print(judge_mean(0 * seen, seen, 0.8, 0.05, cap=2.0).reason)
    the mean of the radius, capped at 2, is at most 0.7796, the bound is 0.8
    """
    radii = Radii(lower, upper)
    ends = (value.lower, value.upper) if isinstance(value, Interval) else (value, value)
    if not ends[0] >= 0:
        raise ValueError(f"value must be at least 0, got {value}")
    least, most = ends
    if not 0 < cap < np.inf:
        raise ValueError(f"cap must be positive and finite, got {cap}")
    at_least, _ = empirical_bernstein(np.minimum(lower, cap), alpha, cap, "lower")
    capped = np.minimum(upper, cap)
    _, at_most = empirical_bernstein(capped, alpha, cap, "upper")
    if most >= cap:
        why = f"the cap {cap:.4g} is not above the bound {most:.4g}: it leaves nothing to show"
        return Judgement(Outcome.UNDECIDED, why, to_decide="a cap above the bound, declared first")
    name = f"the mean of the radius, capped at {cap:.4g},"
    if at_least > most:
        text = f"{name} is at least {at_least:.4g}, the bound is {most:.4g}"
        return Judgement(Outcome.VIOLATED, text, most - at_least)
    if at_most <= least:
        text = f"{name} is at most {at_most:.4g}, the bound is {least:.4g}"
        return Judgement(Outcome.HOLDS, text, least - at_most, 1.0)
    if capped.mean() <= least:
        why = f"n = {radii.n} is too small, the mean of what was seen agrees with the bound"
        spread = float(capped.var(ddof=1))
        size = mean_size(float(capped.mean()), spread, least, alpha, cap, radii.n)
        how = said(
            size, f"more than {radii.n:,} points: their mean meets the bound", " would confirm it"
        )
    elif empirical_bernstein(np.minimum(lower, cap), alpha, cap, "upper")[1] <= least:
        why = "the intervals are too wide: a stronger attack would decide"
        how = f"{STRONGER}, as the mean found is {float(capped.mean()) - least:.4g} too large"
    else:
        why = f"n = {radii.n} points do not tell the mean from the bound"
        low = np.minimum(lower, cap)
        spread, rest = float(low.var(ddof=1)), cap - most
        size = mean_size(cap - float(low.mean()), spread, rest, alpha, cap, radii.n)
        instead = f"{STRONGER}, as the mean found is {float(capped.mean()) - least:.4g} too large"
        how = said(size, f"{instead}; then more points", " would refute it")
    text = f"{name} lies in [{at_least:.4g}, {at_most:.4g}], the bound is {least:.4g}; {why}"
    return Judgement(Outcome.UNDECIDED, text, least - at_most, to_decide=how)


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

    Raises
    ------
    ValueError
        If alpha lies outside (0, 1).

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6 (1979).
    """
    checked_level(alpha)
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
