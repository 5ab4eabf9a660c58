"""Certified expansions around many points, at many radii."""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.local.batch import center_radius_bounds
from theory.lipschitz.local.bound import ball_ends, bound_on
from theory.lipschitz.local.checks import checked_points
from theory.lipschitz.local.path import RATIO, integrated, nested_radii
from theory.lipschitz.local.reading import Precision
from theory.lipschitz.local.reduced import n_uncertain
from theory.lipschitz.pattern_jacobian import checked_norm
from theory.lipschitz.propagation.jacobian import slope_ends
from theory.relu.network import ReluNetwork

_INNER: Final = 6
"""Balls within the smallest radius that is asked for."""
_TOLERANCE: Final = 1e-3


def expansion_table(
    network: ReluNetwork | FeedForward,
    centers: npt.ArrayLike,
    radii: npt.ArrayLike,
    p: float = 2,
    *,
    budget: int = 0,
    max_units: int = 300,
    precision: Precision = "float64",
) -> FloatArray:
    """Bound how far a network moves from its value at many points, over balls of many radii.

    As `certified_expansion`, with the given radii and geometric ones between them. Centre-radius
    bounds for all; for p = 2 the semidefinite bound replaces as many of them as the budget allows,
    those first that may lower the sums most.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    centers : array_like, shape (n, n_inputs)
    radii : array_like, shape (k,)
        Positive and ascending.
    p : {1, 2, inf}
        Norm of inputs and outputs.
    budget : int
        The number of semidefinite bounds, at least 0.
    max_units : int
        Balls with more uncertain units keep their centre-radius bounds.
    precision : {"float64", "float32"}
        As for `center_radius_bounds`.

    Returns
    -------
    ndarray, shape (n, k)
        Upper ends of sup_{|r| <= t} |g(z + r) - g(z)|, ascending along the radii.

    Raises
    ------
    ValueError
        If an input is malformed.

    Examples
    --------
    >>> late = ReluNetwork([([[1.0]], [-1.0]), ([[1.0]], [0.0])])  # z -> max(z - 1, 0)
    >>> found = expansion_table(late, [[0.0], [2.0]], [0.5, 2.0])
    >>> found[:, 0].round(6), bool(1 <= found[0, 1] < 1.5)
    (array([0. , 0.5]), True)
    """
    made = FeedForward.of(network)
    checked_norm(p)
    points = checked_points(made, centers, 2)
    wanted = np.asarray(radii, dtype=np.float64)
    if wanted.ndim != 1 or not wanted.size or not np.all(np.isfinite(wanted)):
        raise ValueError("radii must be a list of finite numbers")
    if not np.all(np.diff(wanted, prepend=0.0) > 0):
        raise ValueError("radii must be positive and ascending")
    if isinstance(budget, bool) or budget != int(budget) or budget < 0:
        raise ValueError(f"budget must be a whole number of at least 0, got {budget!r}")
    grid = _grid(wanted)
    pairs = np.repeat(points, len(grid), axis=0), np.tile(grid, len(points))
    constants = center_radius_bounds(made, *pairs, p, precision=precision)
    constants = constants.reshape(len(points), len(grid))
    if p == 2:
        _refine(made, points, grid, constants, int(budget), max_units)
    return integrated(constants, grid)[:, np.searchsorted(grid, wanted)]


def _grid(wanted: FloatArray) -> FloatArray:
    """Return the radii with smaller ones, and others between them, in ratios of about RATIO."""
    parts = [nested_radii(float(wanted[0]), _INNER + 1)]
    for start, end in pairwise(wanted):
        count = max(1, round(np.log(start / end) / np.log(RATIO)))
        inner = start * (end / start) ** (np.arange(1, count) / count)
        parts += [inner[(inner > start) & (inner < end)], np.array([end])]
    return np.concatenate(parts)


def _refine(
    network: FeedForward,
    points: FloatArray,
    grid: FloatArray,
    constants: FloatArray,
    budget: int,
    max_units: int,
) -> None:
    """Replace constants by semidefinite bounds, in place."""
    # No constant is far below that of the smallest ball.
    gains = (constants - constants[:, :1]) * np.diff(grid, prepend=0.0)
    for cell in np.argsort(-gains, axis=None, kind="stable"):
        if not budget or not gains.flat[cell] > 0:
            return
        i, j = divmod(int(cell), len(grid))
        ends = ball_ends(network, points[i], float(grid[j]), 2)
        if n_uncertain(slope_ends(network, ends)) > max_units:
            continue
        found = bound_on(network, ends, 2, "semidefinite", _TOLERANCE, max_units=max_units)
        constants[i, j] = min(float(constants[i, j]), found.value)
        budget -= 1
