"""An equivalent smaller problem in coordinates in which all levels weigh the same.

The optimum of a problem stays where it is when
- a unit that is always 0 (all that it reads is 0) or that nobody reads is left out;
- the n inputs are turned so that all blocks on them touch the first min(n, rows) alone;
- the k outputs are turned so that the R factor of F takes the place of F;
- a unit is measured in another positive unit s_i: g_ij -> g_ij s_j / s_i, F_i -> F_i s_i,
  lambda_i -> lambda_i s_i^2; and F in another one: F -> F / t, rho -> rho / t^2.
The bounds of deep networks are far from 1 in double precision's sense, and so are the scales of
their levels: without the last step factorisations break down.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.relu.layer import BoolArray

IndexArray = npt.NDArray[np.intp]


class Level(NamedTuple):
    """The units first, ..., last - 1, which read no coordinate before `low`."""

    first: int
    last: int
    low: int


@dataclass(frozen=True, eq=False)
class ScaledProblem:
    """A smaller, scaled equivalent of a problem: n inputs, m units, N = n + m coordinates.

    Attributes
    ----------
    rows : ndarray, shape (m, N)
        g_i, zero from the coordinates of its own level on.
    output : ndarray, shape (k, N)
        F.
    levels : tuple of Level
        The levels that have units.
    kept : ndarray, shape (m,)
        The units that these are in the original problem.
    turn : ndarray, shape (original n, n)
        Orthonormal columns: original inputs are turn @ inputs.
    units : ndarray, shape (m,)
        Original changes of units are units * changes here.
    output_unit : float
        Original outputs have the norm output_unit * norm here.
    """

    rows: FloatArray
    output: FloatArray
    levels: tuple[Level, ...]
    kept: IndexArray
    turn: FloatArray
    units: FloatArray
    output_unit: float

    @property
    def n_inputs(self) -> int:
        """Return the number n of inputs."""
        return int(self.turn.shape[1])

    def original_square(self, square: float) -> float:
        """Return rho of the original problem for one of this."""
        return square * self.output_unit**2

    def original_multipliers(self, multipliers: FloatArray) -> FloatArray:
        """Return the multipliers of the kept units in the original problem."""
        return np.asarray(multipliers * (self.output_unit / self.units) ** 2)

    def original_vectors(self, vectors: FloatArray, problem: SlopeProblem) -> FloatArray:
        """Return vectors of all coordinates, shape (original N, d), for those of this problem."""
        n = self.n_inputs
        found = np.zeros((problem.n_coordinates, vectors.shape[1]))
        found[: problem.n_inputs] = self.turn @ vectors[:n]
        found[problem.n_inputs + self.kept] = self.units[:, None] * vectors[n:]
        return found

    def rescaled(self, square: float, multipliers: FloatArray) -> "ScaledProblem":
        """Return the problem in the units in which the given point is rho = 1, lambda = 1."""
        root = float(np.sqrt(square))
        units = root / np.sqrt(multipliers)
        both = np.concatenate([np.ones(self.n_inputs), units])
        return replace(
            self,
            rows=self.rows * both / units[:, None],
            output=self.output * both / root,
            units=self.units * units,
            output_unit=self.output_unit * root,
        )


def scaled_problem(problem: SlopeProblem) -> ScaledProblem | None:
    """Return a smaller equivalent problem, or None if no change of the inputs reaches the outputs.

    Its F has Frobenius norm 1, and so has the part of the rows of each level.

    Examples
    --------
    >>> w = 1e-9 * np.ones((2, 784))
    >>> problem = SlopeProblem(784, (2,), ({0: w},), {1: np.eye(2)})
    >>> small = scaled_problem(problem)
    >>> small.n_inputs, round(float(np.linalg.norm(small.rows)), 12)
    (2, 1.0)
    """
    rows, output = problem.assembled.rows, problem.assembled.output
    n = problem.n_inputs
    live = np.flatnonzero(moved_coordinates(problem)[n:] & read_units(problem))
    coordinates = np.concatenate([np.arange(n), n + live])
    rows, output = rows[np.ix_(live, coordinates)], output[:, coordinates]
    if not output.any():
        return None
    turn: FloatArray = np.eye(n)
    blocks = np.vstack([rows[:, :n], output[:, :n]])
    touching = np.flatnonzero(blocks.any(axis=1))
    if len(touching) < n:
        turn, triangle = (
            np.asarray(part) for part in linalg.qr(blocks[touching].T, mode="economic")
        )
        turned = np.zeros((len(blocks), len(touching)))
        turned[touching] = triangle.T
        rows = np.hstack([turned[: len(live)], rows[:, n:]])
        output = np.hstack([turned[len(live) :], output[:, n:]])
        n = len(touching)
    if output.shape[0] > output.shape[1]:
        (triangle,) = linalg.qr(output, mode="r", check_finite=False)
        output = np.asarray(triangle[: output.shape[1]], dtype=np.float64)
    sizes = [
        int(np.count_nonzero((live >= first) & (live < last))) for first, last in _ranges(problem)
    ]
    bounds = np.cumsum([0, *sizes])
    levels = []
    rows, output = rows.copy(), output.copy()
    units = np.ones(len(live))
    for first, last in pairwise(bounds):
        if first == last:
            continue
        part = rows[first:last]
        unit = float(np.linalg.norm(part))
        # Later rows and the outputs read these units in the new measure.
        part /= unit
        rows[last:, n + first : n + last] *= unit
        output[:, n + first : n + last] *= unit
        units[first:last] = unit
        low = int(np.flatnonzero(part.any(axis=0))[0])
        levels.append(Level(int(first), int(last), low))
    output_unit = float(np.linalg.norm(output))
    return ScaledProblem(rows, output / output_unit, tuple(levels), live, turn, units, output_unit)


def _ranges(problem: SlopeProblem) -> Iterator[tuple[int, int]]:
    """Yield the first and last unit of each level."""
    starts = [start - problem.n_inputs for start in problem.starts[1:]]
    yield from pairwise(starts)


def moved_coordinates(problem: SlopeProblem) -> BoolArray:
    """Return which coordinates changes of the inputs can move."""
    n, rows = problem.n_inputs, problem.assembled.rows
    moved = np.ones(problem.n_coordinates, dtype=np.bool_)
    for first, last in _ranges(problem):
        read = rows[first:last, : n + first][:, moved[: n + first]]
        moved[n + first : n + last] = np.any(read != 0, axis=1)
    return moved


def read_units(problem: SlopeProblem) -> BoolArray:
    """Return which units can move the outputs."""
    n, rows = problem.n_inputs, problem.assembled.rows
    read = np.asarray(np.any(problem.assembled.output[:, n:] != 0, axis=0))
    for first, last in reversed(list(_ranges(problem))):
        readers = rows[first:last][read[first:last], n : n + first]
        read[:first] |= np.any(readers != 0, axis=0)
    return read
