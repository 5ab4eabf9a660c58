"""Points whose changed coordinates are multiples of 1 / levels, as those of an image are."""

import math

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.hamming.given.climb import climb
from theory.hamming.problem import LabelProblem
from theory.relu.network import ReluNetwork

Indices = npt.NDArray[np.intp]


def rounded(
    problem: LabelProblem, point: FloatArray, levels: int, margin: float
) -> FloatArray | None:
    """Return a point near another one, on the levels and with the target as its label.

    The nearest multiples come first, then exchanges with their neighbours, one coordinate at a
    time. For a network, coordinates are then fixed one by one while the others climb.

    Parameters
    ----------
    problem : LabelProblem
    point : ndarray, shape (n,)
    levels : int
        Each coordinate that differs from x becomes a multiple of 1 / levels.
    margin : float
        Least lead of the target.

    Returns
    -------
    ndarray of shape (n,), or None
        None if no such point was found.

    Examples
    --------
    >>> network = ReluNetwork([([[0.0, 0.0], [3.0, 4.0]], [0.0, -4.5])])
    >>> problem = LabelProblem.of(network, [0.0, 0.0], 1, (0, 1))
    >>> rounded(problem, np.array([0.7, 0.7]), 2, 1e-6).tolist()
    [0.5, 1.0]
    """
    at = np.array(problem.changed(point), dtype=np.intp)
    grid = _Grid(problem, levels)
    if not np.all(grid.least[at] <= grid.most[at]):
        return None
    found = grid.exchanged(grid.nearest(point, at), at, margin)
    if float(problem.margin(found)) > margin:
        return found
    if not isinstance(problem.classifier, ReluNetwork):
        return None
    found = grid.exchanged(grid.one_by_one(point, at), at, margin)
    return found if float(problem.margin(found)) > margin else None


class _Grid:
    """The multiples of 1 / levels within the box.

    Attributes
    ----------
    least, most : ndarray, shape (n,)
        Numbers of steps from 0 to the first and the last multiple.
    """

    def __init__(self, problem: LabelProblem, levels: int) -> None:
        self._problem, self._levels = problem, levels
        self.least, self.most = np.ceil(problem.low * levels), np.floor(problem.high * levels)
        # low * levels is rounded: what counts is the quotient, which is the value itself.
        self.least += self.least / levels < problem.low
        self.most -= self.most / levels > problem.high

    def nearest(self, point: FloatArray, at: Indices) -> FloatArray:
        """Return a point with some coordinates at the nearest multiples."""
        found = point.copy()
        steps = np.clip(np.rint(point[at] * self._levels), self.least[at], self.most[at])
        found[at] = steps / self._levels
        return found

    def exchanged(self, point: FloatArray, at: Indices, margin: float) -> FloatArray:
        """Move one coordinate by one level, the best one each time, until the margin is enough."""
        best = float(self._problem.margin(point))
        while best <= margin:
            steps = np.rint(point[at] * self._levels)
            up, down = steps + 1 <= self.most[at], steps - 1 >= self.least[at]
            moves = [(j, s + 1) for j, s in zip(at[up], steps[up], strict=True)]
            moves += [(j, s - 1) for j, s in zip(at[down], steps[down], strict=True)]
            if not moves:
                break
            trials = np.repeat(point[None], len(moves), axis=0)
            columns, values = (np.array(each) for each in zip(*moves, strict=True))
            trials[np.arange(len(moves)), columns] = values / self._levels
            margins = self._problem.margin(trials)
            if not margins.max() > best:
                break
            point, best = trials[margins.argmax()], float(margins.max())
        return point

    def one_by_one(self, point: FloatArray, at: Indices) -> FloatArray:
        """Fix the coordinate that is nearest to a level, let the others climb, and so on."""
        problem, free = self._problem, at.tolist()
        while free:
            steps = point[free] * self._levels
            first = int(np.abs(steps - np.rint(steps)).argmin())
            j, step = free.pop(first), float(steps[first])
            best, fixed = -math.inf, point
            for side in {math.floor(step), math.ceil(step)}:
                trial = point.copy()
                trial[j] = np.clip(side, self.least[j], self.most[j]) / self._levels
                reached, margin = trial, float(problem.margin(trial))
                if free:
                    rest = LabelProblem(
                        problem.classifier, trial, problem.target, problem.low, problem.high
                    )
                    climbed = climb(rest, free, enough=math.inf)
                    reached, margin = climbed.points[-1], climbed.margin
                if margin > best:
                    best, fixed = margin, reached
            point = fixed
        return point
