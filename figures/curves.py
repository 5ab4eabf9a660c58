"""The empirical laws of an interval's two ends, with their confidence bands."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from figures import style
from theory.arrays import FloatArray
from theory.evidence import Radii


def law_on(grid: FloatArray, radii: FloatArray) -> FloatArray:
    """Return the empirical distribution function of radii at the points of a grid."""
    return np.searchsorted(np.sort(radii), grid, side="right") / radii.size


def draw_law(
    axes: Axes,
    grid: FloatArray,
    radii: Radii,
    band: float,
    look: style.Look,
    base: FloatArray | float = 0.0,
) -> dict[str, FloatArray]:
    """Draw the laws of both ends of a radius with their outer bands, minus a base.

    Returns
    -------
    dict of str to ndarray
        The curves, before the base is taken off.
    """
    seen, certified = law_on(grid, radii.upper), law_on(grid, radii.lower)
    low, high = np.maximum(seen - band, 0), np.minimum(certified + band, 1)
    shade: dict[str, Any] = {"step": "post", "color": look.color, "alpha": 0.16, "lw": 0}
    axes.fill_between(grid, low - base, seen - base, **shade)
    axes.step(grid, seen - base, where="post", color=look.color, lw=1.0)
    if radii.lower.any():
        axes.fill_between(grid, certified - base, high - base, **shade)
        axes.step(grid, certified - base, where="post", color=look.color, **style.CERTIFIED_END)
    return {
        "law_of_upper_ends": seen,
        "law_of_lower_ends": certified,
        "band_below": low,
        "band_above": high,
    }
