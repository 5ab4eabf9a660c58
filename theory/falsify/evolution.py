"""The (1+1) evolution strategy with covariance matrix adaptation: no gradient, few evaluations.

Counts of regions have no gradient, distances and constants have one almost everywhere but kinks
where it counts. One point moves at a time, and a move that is no worse is taken: on the plateaus
of a count that is a walk.
"""

import math
from collections.abc import Callable

import numpy as np

from theory.arrays import FloatArray

_RATE_TARGET = 2 / 11
_RATE_LIMIT = 0.44


def descend(
    value: Callable[[FloatArray], float],
    start: FloatArray,
    rng: np.random.Generator,
    *,
    steps: int,
    below: float,
    step_size: float = 0.5,
) -> tuple[FloatArray, float]:
    """Return the point of least value that a (1+1)-CMA-ES finds, and the value.

    Parameters
    ----------
    value : callable
        What is to be small; +inf where there is none.
    start : ndarray, shape (n,)
    rng : Generator
    steps : int
        Evaluations, beside that of the start.
    below : float
        A value below it ends the search.
    step_size : float
        Of the first moves, in the unit of the point.

    References
    ----------
    Igel, Suttorp and Hansen, A computational efficient covariance matrix update and a (1+1)-CMA for
    evolution strategies (GECCO 2006), algorithm 3 and table 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bowl = lambda x: float((x - 3) @ np.diag([1.0, 100.0]) @ (x - 3))
    >>> point, least = descend(bowl, np.zeros(2), rng, steps=400, below=1e-9)
    >>> point.round(3).tolist(), least < 1e-6
    ([3.0, 3.0], True)
    """
    best, least = start.copy(), value(start)
    n = len(start)
    if not n:
        return best, least
    damping, path_rate, matrix_rate = 1 + n / 2, 2 / (n + 2), 2 / (n * n + 6)
    success_rate = 1 / 12
    factor, path = np.eye(n), np.zeros(n)
    inverse = np.eye(n)
    size, rate = step_size, _RATE_TARGET
    for _ in range(steps):
        if least < below:
            break
        move = rng.standard_normal(n)
        turned = factor @ move
        trial = best + size * turned
        found = value(trial)
        success = found <= least
        rate = (1 - success_rate) * rate + success_rate * success
        size *= math.exp((rate - _RATE_TARGET) / (1 - _RATE_TARGET) / damping)
        size = min(max(size, 1e-9), 1e3)
        if not success:
            continue
        best, least = trial, found
        if rate < _RATE_LIMIT:
            path = (1 - path_rate) * path + math.sqrt(path_rate * (2 - path_rate)) * turned
            keep = 1 - matrix_rate
        else:
            path = (1 - path_rate) * path
            keep = 1 - matrix_rate + matrix_rate * path_rate * (2 - path_rate)
        # The update of a factor of the matrix, which needs no decomposition.
        weight = inverse @ path
        square = float(weight @ weight)
        if square > 0:
            grown = math.sqrt(1 + matrix_rate / keep * square)
            root = math.sqrt(keep)
            factor = root * factor + root / square * (grown - 1) * np.outer(path, weight)
            inverse = inverse / root - (1 - 1 / grown) / (root * square) * np.outer(
                weight, weight @ inverse
            )
    return best, least
