"""What may change, and how far: coordinates and boxes, checked."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray

Box = tuple[npt.ArrayLike, npt.ArrayLike]
"""Lower and upper ends of all coordinates: numbers, or arrays of one end a coordinate."""


def checked_coordinates(coordinates: Sequence[int], n: int) -> tuple[int, ...]:
    """Return coordinates as a tuple, or raise ValueError: distinct, each in 0..n - 1."""
    given = np.asarray(coordinates)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise ValueError(f"coordinates must be a list of whole numbers, got {coordinates!r}")
    chosen = tuple(int(j) for j in given)
    outside = [j for j in chosen if not 0 <= j < n]
    if outside:
        raise ValueError(f"coordinate {outside[0]} is out of range: there are {n}, from 0")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"coordinates must not repeat, got {coordinates!r}")
    return chosen


def box_ends(box: Box, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the ends of a box for each coordinate, or raise ValueError if x is outside."""
    low, high = (np.asarray(end, dtype=np.float64) for end in box)
    for end in (low, high):
        if end.shape not in ((), x.shape) or np.any(np.isnan(end)):
            raise ValueError(f"an end of the box must be a number or {x.shape} of them, got {end}")
    low, high = np.broadcast_to(low, x.shape), np.broadcast_to(high, x.shape)
    outside = np.flatnonzero(~((low <= x) & (x <= high)))
    if outside.size:
        j = int(outside[0])
        raise ValueError(f"x is outside the box: x[{j}] = {x[j]} not in [{low[j]}, {high[j]}]")
    return low, high
