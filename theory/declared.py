"""Where a law is tested, declared from the bound, n and alpha before a radius is seen."""

from collections.abc import Callable

import numpy as np

from theory.arrays import FloatArray
from theory.claim import LawBound
from theory.statistics import checked_count, dkw_halfwidth

Curve = Callable[[FloatArray], FloatArray]


def declared_range(bound: LawBound | Curve, n: int, alpha: float) -> tuple[float, float]:
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

    Raises
    ------
    ValueError
        If n < 1 or alpha is out of range.

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
    start, stop = _first_etas(bound, np.array([low, high]))
    return float(start), float(stop)


def declared_grid(
    bound: LawBound | Curve, n: int, alpha: float, m: int | None = None
) -> FloatArray:
    """Return the etas at which a law is tested, from the bound, n and alpha alone.

    The bound's levels at these etas are the middles of m equal steps on the scale of asin(sqrt),
    on which an exact limit is equally wide everywhere: dense in both tails. They lie between
    1 - a^(2/n) and a^(2/n), a = alpha / m. Below 1 - a^(1/n) not even n certificates refute, and
    above a^(1/n) not even n attacks confirm; at twice that distance from 0 and 1, a law of about
    twice the bound's tail, or a quarter of it, just stands clear of its limits.

    Parameters
    ----------
    bound : LawBound or callable
        Non-decreasing in eta.
    n : int
        Number of points.
    alpha : float
        Level of the test, in (0, 1/2].
    m : int, optional
        Number of etas, at least 1; 4 sqrt(n), rounded up, by default. An exact limit widens like
        sqrt(log(m / alpha) / n), and HOLDS loses a step, pi / (2 m), to interpolation: their sum is
        within a tenth of its least, while a violation still pays for few tests.

    Returns
    -------
    ndarray, shape (at most m,)
        Increasing; fewer than m where the bound never reaches its highest levels. A lone +inf
        with too few points, or a bound that reaches no level: nothing can then be decided.

    Raises
    ------
    ValueError
        If n or m < 1 or alpha is out of range.

    Examples
    --------
    >>> grid = declared_grid(lambda eta: 1 - np.exp(-eta), 2000, 0.05)
    >>> levels = 1 - np.exp(-grid)
    >>> grid.size, [round(float(level), 3) for level in levels[[0, 90, -1]]]
    (179, [0.009, 0.508, 0.991])
    """
    checked_count(n, "n")
    m = int(np.ceil(4 * np.sqrt(n))) if m is None else checked_count(m, "m")
    end = -np.expm1(2 * np.log(one_sided_level(alpha) / m) / n)
    if end >= 0.5:
        return np.array([np.inf])
    first, last = np.arcsin(np.sqrt([end, 1 - end]))
    levels = np.sin(first + (last - first) * (np.arange(m) + 0.5) / m) ** 2
    etas = np.unique(_first_etas(bound, levels))
    reached = etas[np.isfinite(etas)]
    return reached if reached.size else np.array([np.inf])


_MANY = 8
"""So many quantiles are found sooner together, by bisection, than one by one."""


def one_sided_level(alpha: float) -> float:
    """Return a level in (0, 1/2], where one-sided bands are proved.

    Raises
    ------
    ValueError
        If it does not lie there.

    Examples
    --------
    >>> one_sided_level(0.5)
    0.5
    """
    if not 0 < alpha <= 0.5:
        raise ValueError(f"alpha must lie in (0, 1/2], got {alpha}")
    return alpha


def _first_etas(bound: LawBound | Curve, probabilities: FloatArray) -> FloatArray:
    """Return the least etas whose bound reaches these probabilities, +inf where there is none."""
    if isinstance(bound, LawBound):
        if probabilities.size < _MANY:
            return np.array([bound.quantile(float(q)) for q in probabilities])
        bound = bound.upper
    # Bisection on the logarithm of eta, of all at once.
    high = np.full(probabilities.shape, 1000.0)
    low = -high
    ever = bound(2.0**high) >= probabilities
    for _ in range(80):
        middle = (low + high) / 2
        reached = bound(2.0**middle) >= probabilities
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(ever, 2.0**high, np.inf)
