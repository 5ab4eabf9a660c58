"""Judging a comparison over many pairs together, by flipping the signs of their differences."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.outcome import Judgement, Outcome
from theory.sample_size import least_size
from theory.statistics import checked_level

MOST_SIGNS = 20
"""Up to so many units all 2^m patterns of signs are gone through."""
_ROUNDING = 1e-12


def sign_flip(differences: npt.ArrayLike) -> float:
    """Return the p-value of independent differences that would be as likely with either sign.

    The part of all 2^m patterns of signs under which the sum is at least as large as it was found.
    Beyond 20 differences it is the sign test's: no pattern is ever drawn at random. Either falls,
    if at all, where a difference rises: lower ends of the differences give an upper end of p.

    Parameters
    ----------
    differences : array_like, shape (m,)
        At least one; -inf where nothing is known of it below, +inf where it is beyond all others.

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ValueError
        If there are none, or one is NaN.

    References
    ----------
    Fisher, The Design of Experiments (1935), section 21; Pitman, Significance tests which may be
    applied to samples from any populations, J. R. Stat. Soc. Suppl. 4 (1937).

    Examples
    --------
    >>> sign_flip([1.0, 2.0, 3.0, -0.5]), sign_flip([1.0] * 30) == 2.0**-30
    (0.125, True)
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or not d.size or np.isnan(d).any():
        raise ValueError(f"differences must be a list of numbers, got {differences!r}")
    if d.size > MOST_SIGNS:
        # P(as many signs or more are positive); a zero counts against.
        positive = int((d > 0).sum())
        as_many = sum(math.comb(d.size, k) for k in range(positive, d.size + 1))
        return float(Fraction(as_many, 2**d.size))
    if np.isneginf(d).any():
        return 1.0
    finite = d[np.isfinite(d)]
    largest = 1.0 + 2.0 * float(np.abs(finite).sum())
    d = np.where(np.isposinf(d), largest, d)
    # A pattern's sum is at least the one found iff the differences it flips sum to at most 0.
    flipped = np.zeros(1)
    for value in d:
        flipped = np.concatenate([flipped, flipped + value])
    return float(np.mean(flipped <= _ROUNDING * np.abs(d).sum()))


def judge_pairs(gaps: Sequence[Interval], groups: Sequence[int], alpha: float) -> Judgement:
    """Judge that the second of many pairs tends to exceed the first, all pairs together.

    Pairs of one group share subjects and are not independent: a group counts once, by the mean of
    its gaps. Where first and second are alike the mean gap of each group is as likely with either
    sign; HOLDS and VIOLATED reject this, in the two directions, by `sign_flip`.

    Parameters
    ----------
    gaps : sequence of Interval
        For each pair, an interval for second - first of a claim first <= second.
    groups : sequence of int
        The group of each pair; groups are independent of each other.
    alpha : float
        Probability of a wrong outcome of either kind, in (0, 1).

    Returns
    -------
    Judgement
        `slack` is the lower end of the mean of the groups' gaps.

    Raises
    ------
    ValueError
        If there is no pair, the two lists differ in length, or alpha is out of range.

    Examples
    --------
    >>> gaps = [Interval.exact(1.0 + i, 0.1) for i in range(6)]
    >>> print(judge_pairs(gaps, range(6), 0.05).reason)
    over 6 pairs the mean gap lies in [3.4, 3.6]; sign-flip test: p = 0.0156, level 0.05
    """
    if not gaps or len(gaps) != len(groups):
        raise ValueError(f"{len(gaps)} gaps in {len(groups)} groups")
    checked_level(alpha)
    low, high = _means(gaps, groups)
    m = low.size
    p_low, p_high = sign_flip(low), sign_flip(-high)
    test = "sign-flip" if m <= MOST_SIGNS else "sign"
    pairs = "1 pair" if len(gaps) == 1 else f"{len(gaps)} pairs"
    of = pairs if m == len(gaps) else f"{m} group{'s' * (m > 1)} of {pairs} that share a subject"
    ends = float(low.mean()), float(high.mean())
    text = (
        f"over {of} the mean gap lies in [{ends[0]:.4g}, {ends[1]:.4g}]; {test} test:"
        f" p = {min(p_low, p_high):.3g}, level {alpha:.3g}"
    )
    if p_high <= alpha:
        return Judgement(Outcome.VIOLATED, text, ends[0])
    if p_low <= alpha:
        return Judgement(Outcome.HOLDS, text, ends[0], 1.0)
    return Judgement(Outcome.UNDECIDED, text, ends[0], to_decide=_more_pairs(low, high, alpha))


def _means(gaps: Sequence[Interval], groups: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Return both ends of the mean gap of each group; what is unknown makes it unknown."""
    low = np.array([gap.lower for gap in gaps])
    high = np.array([gap.upper for gap in gaps])
    places = np.asarray(groups)
    ends = []
    for values, unknown in ((low, -np.inf), (high, np.inf)):
        of_groups = [values[places == group] for group in np.unique(places)]
        ends.append([unknown if unknown in own else float(own.mean()) for own in of_groups])
    return np.array(ends[0]), np.array(ends[1])


def _more_pairs(low: FloatArray, high: FloatArray, alpha: float) -> str:
    """Return what would decide: more independent pairs, narrower intervals, or neither."""
    m, needed = low.size, math.ceil(-math.log2(alpha))
    if m < needed:
        return f"at least {needed} pairs that share no subject, all of one sign: there are {m}"
    agree, against = int((low > 0).sum()), int((high < 0).sum())
    if agree + against < m and min(sign_flip(high), sign_flip(-low)) <= alpha:
        return f"narrower intervals: of {m} gaps {m - agree - against} are not known in sign"
    share = max(agree, against) / m
    if share <= 0.5:
        return (
            f"{m} gaps of either sign, {agree} for it and {against} against: nothing of this kind"
        )

    def enough(size: int) -> bool:
        return float(special.bdtrc(math.floor(share * size) - 1, size, 0.5)) <= alpha

    size = least_size(enough, m)
    return f"about {size:,} pairs that share no subject, if as many of them have the same sign"
