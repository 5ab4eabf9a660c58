"""Checks of what local bounds are asked for."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.pattern_jacobian import checked_norm


def checked_ball(
    network: FeedForward, center: npt.ArrayLike, radius: float, p: float
) -> tuple[FloatArray, float]:
    """Return center and radius, or raise ValueError."""
    checked_norm(p)
    return checked_points(network, center, 1), checked_radius(radius)


def checked_points(network: FeedForward, points: npt.ArrayLike, ndim: int) -> FloatArray:
    """Return finite points of shape (n_inputs,) or (n, n_inputs), or raise ValueError."""
    given = np.asarray(points, dtype=np.float64)
    if given.ndim != ndim or given.shape[-1] != network.n_inputs:
        shape = f"({network.n_inputs},)" if ndim == 1 else f"(n, {network.n_inputs})"
        raise ValueError(f"a center has the shape {shape}, got {given.shape}")
    if not np.all(np.isfinite(given)):
        raise ValueError("a center must be finite")
    return given


def checked_radius(radius: float) -> float:
    """Return a radius, or raise ValueError."""
    if not (np.ndim(radius) == 0 and 0 <= radius < np.inf):
        raise ValueError(f"a radius must be finite and at least 0, got {radius}")
    return float(radius)


def checked_box(
    network: FeedForward, low: npt.ArrayLike, high: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return both ends of a box, shape (n_inputs,) each, or raise ValueError."""
    ends = []
    for name, given in (("low", low), ("high", high)):
        end = np.asarray(given, dtype=np.float64)
        if end.shape not in ((), (network.n_inputs,)) or not np.all(np.isfinite(end)):
            raise ValueError(f"{name} must be finite, a number or {network.n_inputs} of them")
        ends.append(np.broadcast_to(end, network.n_inputs).copy())
    if np.any(ends[0] > ends[1]):
        j = int(np.argmax(ends[0] > ends[1]))
        raise ValueError(f"the box is empty: low[{j}] = {ends[0][j]} > high[{j}] = {ends[1][j]}")
    return ends[0], ends[1]
