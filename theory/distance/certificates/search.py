"""The largest radii at which margins are proved to be positive, for many points at once."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray

_EVALUATIONS: Final = 40
_GROWTH: Final = 4.0
_WITHIN: Final = 0.05
_SHRINK: Final = 1 - 2.0**-38
"""Off the roots of secants: for a linear margin they are proved to be positive there."""


def largest_radii(
    evaluate: Callable[[npt.NDArray[np.intp], FloatArray], FloatArray],
    margin: FloatArray,
    known: FloatArray,
    guess: FloatArray,
    farthest: FloatArray,
    tolerance: float,
) -> FloatArray:
    """Return about the largest radii at which a value is positive, each one evaluated or known.

    Secants find them: the values fall along the radius, about as concave functions do.

    Parameters
    ----------
    evaluate : callable
        Indices of points, and a radius for each, to values, in any order of points.
    margin : ndarray, shape (B,)
        About the value at radius 0.
    known : ndarray, shape (B,)
        Radii that hold already.
    guess : ndarray, shape (B,)
        The first to be tried, above 0.
    farthest : ndarray, shape (B,)
        Radii of balls that hold the whole domain: where the value is positive there, the result
        is +inf.
    tolerance : float
        Relative.
    """
    low, value = known.copy(), margin.copy()
    at_value = np.zeros_like(low)
    high, fall = np.full_like(low, np.inf), np.full_like(low, np.nan)
    candidate = np.minimum(np.maximum(guess, known * (1 + tolerance)), farthest)
    active = np.flatnonzero((margin > 0) & (low < farthest))
    rose = np.zeros(len(low), dtype=np.bool_)
    for _ in range(_EVALUATIONS):
        if not active.size:
            break
        tried = candidate[active]
        found = evaluate(active, tried)
        good = found > 0
        up, down = active[good], active[~good]
        # An end that stays for the second time in a row counts half (Illinois).
        fall[up] = np.where(rose[up], fall[up] / 2, fall[up])
        value[down] = np.where(rose[down] | np.isinf(high[down]), value[down], value[down] / 2)
        low[up], value[up], at_value[up] = tried[good], found[good], tried[good]
        high[down], fall[down] = tried[~good], found[~good]
        rose[active] = good
        low[up[low[up] >= farthest[up]]] = np.inf
        candidate = np.minimum(_next(low, value, at_value, high, fall, margin), farthest)
        enough = low * (1 + tolerance)
        done = np.where(np.isinf(high), candidate, high) <= enough
        active = active[~(done | np.isinf(low))[active]]
    return low


def _next(
    low: FloatArray,
    value: FloatArray,
    at_value: FloatArray,
    high: FloatArray,
    fall: FloatArray,
    margin: FloatArray,
) -> FloatArray:
    """Return the radii to be tried next."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # From the margin at the center through the last one that is proved.
        ahead = at_value * margin / (margin - value) * _SHRINK
        ahead = np.where(value < margin, ahead, np.inf)
        ahead = np.minimum(ahead, _GROWTH * low)
        between = at_value + (high - at_value) * value / (value - fall) * _SHRINK
        between = np.where(np.isfinite(between), between, low / 2 + high / 2)
        width = _WITHIN * (high - low)
        between = np.clip(between, low + width, high - width)
    return np.where(np.isfinite(high), between, ahead)
