"""Random coordinates, and random points of a box."""

from collections.abc import Iterator, Sequence

import numpy as np

from theory.arrays import FloatArray
from theory.hamming.limits import checked_coordinates
from theory.hamming.problem import LabelProblem

_FAR = 10.0
"""Where a box has no end, draws end this many times the size of the point away."""


def drawn_coordinates(
    n: int, k: int, draws: int, stream: np.random.Generator, pool: Sequence[int] | None
) -> Iterator[tuple[int, ...]]:
    """Yield random sets of k coordinates out of a pool, or raise ValueError."""
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    source = checked_coordinates(range(n) if pool is None else pool, n)
    if not 1 <= k <= len(source):
        raise ValueError(f"k must be 1 to {len(source)}, the coordinates to draw from, got {k}")
    for _ in range(draws):
        yield tuple(sorted(int(j) for j in stream.choice(source, k, replace=False)))


def drawn_start(
    problem: LabelProblem, coordinates: Sequence[int], stream: np.random.Generator
) -> FloatArray:
    """Return a random point of the box that differs from x in the given coordinates only."""
    at = list(coordinates)
    far = _FAR * (1.0 + float(np.max(np.abs(problem.x))))
    low = np.maximum(problem.low, problem.x - far)[at]
    high = np.minimum(problem.high, problem.x + far)[at]
    return problem.moved(at, stream.uniform(low, high) - problem.x[at])
