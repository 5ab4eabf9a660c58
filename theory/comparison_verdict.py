"""Judging a comparison of two subjects: two intervals, or two samples by exact limits."""

import math

import numpy as np
from scipy import special

from theory.claim import STATISTICS, Relation
from theory.evidence import Interval, Radii
from theory.outcome import Judgement, Outcome
from theory.sample_size import least_size, said
from theory.statistics import checked_level, empirical_bernstein, quantile_interval


def compared_ends(
    seen: Interval | Radii, statistic: str, *, alpha: float | None = None, cap: float = np.inf
) -> Interval:
    """Return an interval for what a comparison compares of one side.

    Parameters
    ----------
    seen : Interval or Radii
        An interval stands for itself.
    statistic : str
        "quartile", "median" or "mean" of the radius.
    alpha : float, optional
        Each end is exceeded with probability at most alpha / 2; without it the ends are those of
        the points seen, and say nothing of others.
    cap : float
        Radii beyond it count as that much in a mean; limits on a mean need a finite one.

    Raises
    ------
    ValueError
        If the statistic is unknown, alpha out of range, or a mean has no finite cap.

    References
    ----------
    Of a quantile the limits are order statistics (David and Nagaraja, Order Statistics, 2003,
    section 7.1): of the certified ends below and of the attack's above. Of a mean they are those of
    Maurer and Pontil, COLT 2009, Theorem 4.

    Examples
    --------
    >>> radii = Radii(np.zeros(1000), np.linspace(0.001, 1, 1000))
    >>> compared_ends(radii, "quartile"), compared_ends(radii, "quartile", alpha=0.05)
    (Interval(lower=0.0, upper=0.25), Interval(lower=0.0, upper=0.278))
    """
    if statistic not in STATISTICS:
        raise ValueError(f"statistic must be one of {', '.join(STATISTICS)}, got '{statistic}'")
    if isinstance(seen, Interval):
        return seen
    q = STATISTICS[statistic]
    if q is not None:
        rank = max(math.ceil(q * seen.n), 1)
        j, k = (rank, rank) if alpha is None else quantile_interval(seen.n, q, alpha)
        return _order_statistics(seen, j, k)
    if not 0 < cap < np.inf:
        raise ValueError(f"a mean needs a positive and finite cap, got {cap}")
    low, high = np.minimum(seen.lower, cap), np.minimum(seen.upper, cap)
    if alpha is None:
        return Interval(float(low.mean()), float(high.mean()))
    return Interval(
        empirical_bernstein(low, alpha / 2, cap, "lower")[0],
        empirical_bernstein(high, alpha / 2, cap, "upper")[1],
    )


def _order_statistics(seen: Radii, j: int, k: int) -> Interval:
    """Return the j-th certified end, 0 for rank 0, and the k-th of the attack's, or infinity."""
    lower = float(np.partition(seen.lower, j - 1)[j - 1]) if j >= 1 else 0.0
    upper = float(np.partition(seen.upper, k - 1)[k - 1]) if k <= seen.n else np.inf
    return Interval(lower, upper)


def judge_comparison(
    first: Interval | Radii,
    second: Interval | Radii,
    relation: Relation,
    alpha: float,
    *,
    statistic: str = "quartile",
    cap: float = np.inf,
) -> Judgement:
    """Judge that a quantity of a first subject is at most, or at least, that of a second.

    HOLDS when the limits of the two sides leave nothing else, VIOLATED when they leave only the
    contrary, else UNDECIDED. Where both sides have only an attack neither can be shown, and so it
    is where both have only certificates.

    Parameters
    ----------
    first, second : Interval or Radii
        What was seen of each, both of one kind; points of each side are independent.
    relation : Relation
        AT_MOST: first <= second.
    alpha : float
        Probability of a wrong outcome of either kind, in (0, 1): of two samples each side's limits
        spend one half of it on each of their ends. Of intervals nothing is spent.
    statistic, cap : str, float
        See `compared_ends`.

    Returns
    -------
    Judgement

    Raises
    ------
    ValueError
        If the two are of different kinds, or an argument is out of range.

    Examples
    --------
    >>> low, high = (Radii(x, x) for x in (np.linspace(1, 2, 99), np.linspace(2, 3, 99)))
    >>> print(judge_comparison(low, high, Relation.AT_MOST, 0.05).reason)
    first in [1.163, 1.337], second in [2.163, 2.337] (limits on the quartile)
    >>> judge_comparison(low, high, Relation.AT_LEAST, 0.05).outcome
    <Outcome.VIOLATED: 'VIOLATED'>
    """
    if isinstance(first, Radii) is not isinstance(second, Radii):
        raise ValueError("a sample is compared with a sample, and an interval with an interval")
    one, two = (
        compared_ends(seen, statistic, alpha=checked_level(alpha), cap=cap)
        for seen in (first, second)
    )
    sampled = f" (limits on the {statistic})" if isinstance(first, Radii) else ""
    text = (
        f"first in [{one.lower:.4g}, {one.upper:.4g}], second in [{two.lower:.4g},"
        f" {two.upper:.4g}]{sampled}"
    )
    small, large = (one, two) if relation is Relation.AT_MOST else (two, one)
    if small.lower > large.upper:
        return Judgement(Outcome.VIOLATED, text, large.upper - small.lower)
    if small.upper <= large.lower:
        return Judgement(Outcome.HOLDS, text, gap_between(small, large).lower, 1.0)
    sides = (first, second) if relation is Relation.AT_MOST else (second, first)
    how = _what_would_tell(sides, relation, alpha, statistic, cap)
    return Judgement(Outcome.UNDECIDED, text, large.lower - small.upper, to_decide=how)


def gap_between(small: Interval, large: Interval) -> Interval:
    """Return an interval for large - small; two equal infinities are no difference.

    Examples
    --------
    >>> gap_between(Interval(0.0, 1.0), Interval.at_least(3.0))
    Interval(lower=2.0, upper=inf)
    """

    def difference(one: float, two: float) -> float:
        return 0.0 if one == two else one - two

    return Interval(difference(large.lower, small.upper), difference(large.upper, small.lower))


def _what_would_tell(
    sides: tuple[Interval | Radii, Interval | Radii],
    relation: Relation,
    alpha: float,
    statistic: str,
    cap: float,
) -> str:
    small, large = (compared_ends(seen, statistic, cap=cap) for seen in sides)
    one, two = sides
    if isinstance(one, Radii) and isinstance(two, Radii):
        n = min(one.n, two.n)

        def ends(size: int, one: Radii = one, two: Radii = two) -> tuple[Interval, Interval]:
            return (
                _ends_of_more(one, size, alpha, statistic, cap),
                _ends_of_more(two, size, alpha, statistic, cap),
            )

        if small.upper < large.lower:
            size = least_size(lambda m: (e := ends(m))[0].upper <= e[1].lower, n)
            return said(size, "more points than can be had", " of each would confirm it")
        if small.lower > large.upper:
            size = least_size(lambda m: (e := ends(m))[0].lower > e[1].upper, n)
            return said(size, "more points than can be had", " of each would refute it")
    names = ("first", "second") if relation is Relation.AT_MOST else ("second", "first")
    return (
        f"lower ends of the {names[1]} above the upper ones of the {names[0]}"
        f" ({_short(large.lower, small.upper)}) would confirm it, lower ends of the {names[0]}"
        f" above the upper ones of the {names[1]} ({_short(small.lower, large.upper)}) would"
        " refute it"
    )


def _short(lower: float, upper: float) -> str:
    if np.isinf(upper):
        return f"now {lower:.4g}, and no upper end"
    return f"now {lower:.4g} against {upper:.4g}"


def _ends_of_more(seen: Radii, size: int, alpha: float, statistic: str, cap: float) -> Interval:
    """Return about what the limits would be, were there so many points like those seen."""
    q = STATISTICS[statistic]
    if q is not None:
        half = float(-special.ndtri(alpha / 2) * np.sqrt(q * (1 - q) / size))
        ranks = math.ceil((q - half) * seen.n), math.ceil((q + half) * seen.n)
        return _order_statistics(seen, max(ranks[0], 0), max(ranks[1], 1))
    log = np.log(4 / alpha)
    ends = []
    for sign, values in ((-1, seen.lower), (1, seen.upper)):
        x = np.minimum(values, cap)
        width = np.sqrt(2 * x.var(ddof=1) * log / size) + 7 * cap * log / (3 * (size - 1))
        ends.append(float(x.mean() + sign * width))
    return Interval(*ends)
