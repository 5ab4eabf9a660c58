"""How many points would have decided: sample sizes planned from what was seen."""

from collections.abc import Callable

import numpy as np

from theory.arrays import FloatArray
from theory.statistics import checked_level, clopper_pearson

MOST_POINTS = 10**9
"""Beyond so many points a sample size is no advice."""
STRONGER = "a stronger attack, or exact distances: more points alone would not"
"""What decides where the attack's ends are in the way."""


def least_size(enough: Callable[[int], bool], n: int) -> int | None:
    """Return a least number of points, above n, that is enough; None if 10^9 are not.

    Parameters
    ----------
    enough : callable
        Number of points to whether it is enough; true for all larger ones once it is.
    n : int
        Number of points that was not, at least 1.

    Examples
    --------
    >>> least_size(lambda n: n >= 1234, 10), least_size(lambda n: False, 10)
    (1234, None)
    """
    low, high = n, 2 * n
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_POINTS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def said(size: int | None, instead: str, where: str = "") -> str:
    """Return the sentence part that gives a sample size, or what is said in place of none.

    Examples
    --------
    >>> said(12000, "nothing", " on this range")
    'about 12,000 points on this range, if they are like those seen'
    """
    return f"about {size:,} points{where}, if they are like those seen" if size else instead


def uniform_band_size(shares: FloatArray, needed: FloatArray, alpha: float, n: int) -> int | None:
    """Return how many points make a uniform band narrow enough to lie above a bound.

    Parameters
    ----------
    shares : ndarray, shape (m,)
        Parts of the points that were seen up to each place.
    needed : ndarray, shape (m,)
        The bound there.
    alpha : float
        Level of the one-sided band, in (0, 1).
    n : int
        Number of points that was too small.

    Returns
    -------
    int or None
        None where the points seen lie on or below the bound.

    Examples
    --------
    >>> uniform_band_size(np.array([0.5]), np.array([0.4]), 0.05, 100)
    150
    """
    room = float(np.min((shares - needed)[needed > 0], initial=np.inf))
    if room <= 0:
        return None
    size = int(np.ceil(np.log(1 / checked_level(alpha)) / (2 * room**2))) if room < 1 else 1
    return max(size, n + 1) if size <= MOST_POINTS else None


def exact_limit_size(shares: FloatArray, needed: FloatArray, alpha: float, n: int) -> int | None:
    """Return how many points bring exact lower limits on probabilities above a bound.

    The arguments and the result are those of `uniform_band_size`, with limits of level alpha each.

    Examples
    --------
    >>> exact_limit_size(np.array([0.5]), np.array([0.4]), 0.05, 50)
    82
    """
    if np.any(shares <= needed):
        return None

    def enough(size: int) -> bool:
        limit = clopper_pearson(np.floor(shares * size), size, alpha, "lower")[0]
        return bool(np.all(limit >= needed))

    return least_size(enough, n)


def mean_size(
    mean: float, variance: float, limit: float, alpha: float, cap: float, n: int
) -> int | None:
    """Return how many values in [0, cap] bring the upper limit on their mean below a number.

    Parameters
    ----------
    mean, variance : float
        Of the values seen.
    limit : float
        What the upper limit is to reach.
    alpha : float
        Level of the one-sided limit.
    cap : float
        Largest value possible.
    n : int
        Number of values that was too small.

    References
    ----------
    The limit is that of `theory.statistics.empirical_bernstein`.

    Examples
    --------
    >>> mean_size(0.5, 0.01, 0.6, 0.05, 1.0, 50)
    117
    """
    if mean >= limit:
        return None
    log = np.log(2 / checked_level(alpha))

    def enough(size: int) -> bool:
        width = np.sqrt(2 * variance * log / size) + 7 * cap * log / (3 * (size - 1))
        return bool(mean + width <= limit)

    return least_size(enough, n)
