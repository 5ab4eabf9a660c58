r"""The matrix S(rho, lambda) of a semidefinite bound, and how far it is from what was computed.

Where the outputs do not read the inputs, the inputs' block of S is rho I, and for rho > 0 S >= 0
is the same as

    T = S_uu - (1 / rho) Lambda G G^T Lambda >= 0,

with S_uu the units' block and G what the units read of the inputs: a matrix as large as there are
units, however many inputs there are.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.norms import UNIT_ROUNDOFF, accumulated_error
from theory.relu.layer import BoolArray, Matrix, dense

_UNIT: Final = UNIT_ROUNDOFF["float64"]
# A product of floats that underflows is off by less, however many are summed.
_UNDERFLOW: Final = 2.0**-1022


def live_coordinates(problem: SlopeProblem) -> BoolArray:
    """Return which coordinates can differ from 0: a unit whose row is zero has no change.

    Parameters
    ----------
    problem : SlopeProblem

    Returns
    -------
    ndarray of bool, shape (n_coordinates,)

    Examples
    --------
    >>> rows = np.array([[1.0], [0.0]])
    >>> live_coordinates(SlopeProblem(1, (2,), ({0: rows},), {1: np.ones((1, 2))})).tolist()
    [True, True, False]
    """
    live = np.zeros(problem.n_coordinates, dtype=np.bool_)
    live[: problem.n_inputs] = True
    for rows, columns, block, error in _row_blocks(problem):
        for each in (block, error):
            if each is not None:
                live[rows] |= np.asarray(_pattern(each) @ live[columns].astype(np.float64)) > 0
    return live


def reads_inputs(problem: SlopeProblem) -> bool:
    """Whether the outputs read the inputs past all units."""
    blocks = (*_output_blocks(problem), *_output_errors(problem))
    return any(bool(block.any()) for columns, block in blocks if columns.start == 0)


def slack_matrix(
    problem: SlopeProblem, square: float, multipliers: FloatArray, *, whole: bool
) -> FloatArray:
    """Return S as it is computed, shape (N, N); or T, shape (m, m), if not `whole`.

    Its errors are those of `slack_errors`. T is S_uu for an infinite square.
    """
    n = problem.n_inputs
    first = 0 if whole else n
    size = problem.n_coordinates - first
    slack = np.zeros((size, size), order="F")
    for rows, columns, block, _ in _row_blocks(problem):
        if columns.start >= first:
            scaled = multipliers[rows.start - n : rows.stop - n, None] * dense(block)
            slack[_less(rows, first), _less(columns, first)] -= scaled
            slack[_less(columns, first), _less(rows, first)] -= scaled.T
    diagonal = np.arange(size)
    slack[diagonal, diagonal] = np.concatenate([np.full(n - first, square), 2 * multipliers])
    for (rows, left), (columns, right) in product(_output_blocks(problem), repeat=2):
        if rows.start >= columns.start >= first:
            gram = left.T @ right
            slack[_less(rows, first), _less(columns, first)] -= gram
            if rows != columns:
                slack[_less(columns, first), _less(rows, first)] -= gram.T
    if not whole and np.isfinite(square):
        reading, blocks, _ = input_rows(problem)
        gram = blocks @ blocks.T
        gram *= multipliers[reading, None]
        gram *= multipliers[reading] / square
        slack[np.ix_(reading, reading)] -= gram
    return slack


def slack_errors(
    problem: SlopeProblem,
    square: float,
    multipliers: FloatArray,
    slack: FloatArray,
    x: FloatArray,
    *,
    whole: bool,
) -> FloatArray:
    """Return E x for entrywise bounds E on the errors of `slack_matrix`, at x >= 0."""
    n = problem.n_inputs
    first = 0 if whole else n
    # The last two subtractions, of which the last but one can be from more than what is left, and
    # products that underflow.
    result = 2 * _UNIT * (np.abs(slack) @ x) + _UNDERFLOW * x.sum()
    for rows, columns, block, doubt in _row_blocks(problem):
        if columns.start >= first:
            size: Any = abs(cast("Any", block))
            error = _UNIT * size
            if doubt is not None:
                error = error + doubt
            factor = multipliers[rows.start - n : rows.stop - n]
            row, column = _less(rows, first), _less(columns, first)
            result[row] += factor * np.asarray(error @ x[column])
            result[column] += np.asarray(error.T @ (factor * x[row]))
    image, doubtful = np.zeros(problem.n_outputs), np.zeros(problem.n_outputs)
    units = [each for each in _output_blocks(problem) if each[0].start >= first]
    doubts = [each for each in _output_errors(problem) if each[0].start >= first]
    for columns, block in units:
        image += np.abs(block) @ x[_less(columns, first)]
    for columns, block in doubts:
        doubtful += block @ x[_less(columns, first)]
    gamma = accumulated_error(problem.n_outputs + 1)
    for columns, block in units:
        result[_less(columns, first)] += np.abs(block).T @ (gamma * image + doubtful)
    for columns, block in doubts:
        result[_less(columns, first)] += block.T @ (image + doubtful)
    if not whole and np.isfinite(square):
        reading, blocks, doubt = input_rows(problem)
        size = np.abs(blocks)
        given = multipliers[reading] * x[reading]
        seen = size.T @ given
        # Three factors, and the subtraction from what may be larger than the result.
        error = accumulated_error(n + 8) * (size @ seen)
        if doubt is not None:
            unsure = doubt.T @ given
            error += size @ unsure + doubt @ (seen + unsure)
        result[reading] += multipliers[reading] * error / square
    return np.asarray(result)


def input_rows(
    problem: SlopeProblem,
) -> tuple[npt.NDArray[np.intp], FloatArray, FloatArray | None]:
    """Return the units of levels that read the inputs, their rows G of shape (., n), its errors."""
    n = problem.n_inputs
    read = [each for each in _row_blocks(problem) if each[1].start == 0]
    if not read:
        return np.zeros(0, dtype=np.intp), np.zeros((0, n)), None
    reading = np.concatenate([np.arange(rows.start - n, rows.stop - n) for rows, *_ in read])
    blocks = np.vstack([dense(block) for _, _, block, _ in read])
    if all(doubt is None for *_, doubt in read):
        return reading, blocks, None
    return (
        reading,
        blocks,
        np.vstack([np.zeros(b.shape) if doubt is None else doubt for _, _, b, doubt in read]),
    )


def _less(columns: slice, first: int) -> slice:
    return slice(columns.start - first, columns.stop - first)


def untouched(problem: SlopeProblem, multipliers: FloatArray) -> BoolArray:
    """Return the coordinates whose row of S, off the diagonal, is zero exactly."""
    n = problem.n_inputs
    touched = np.zeros(problem.n_coordinates)
    used = np.concatenate([np.zeros(n), multipliers != 0])
    for rows, columns, block, error in _row_blocks(problem):
        for each in (block, error):
            if each is not None:
                pattern = _pattern(each)
                touched[columns] += np.asarray(pattern.T @ used[rows])
                touched[rows] += used[rows] * np.asarray(pattern @ np.ones(each.shape[1]))
    for blocks in (_output_blocks(problem), _output_errors(problem)):
        for columns, block in blocks:
            touched[columns] += _pattern(block).sum(axis=0)
    return np.asarray(touched == 0)


def _row_blocks(
    problem: SlopeProblem,
) -> Iterator[tuple[slice, slice, Matrix, FloatArray | None]]:
    """Yield coordinates of the units and of what they touch, the block of g and its errors."""
    starts = problem.starts
    errors: tuple[Mapping[int, FloatArray], ...]
    errors = problem.level_errors or ({},) * len(problem.levels)
    for i, (blocks, doubts) in enumerate(zip(problem.levels, errors, strict=True)):
        rows = slice(starts[i + 1], starts[i + 2])
        for level in sorted({*blocks, *doubts}):
            block = blocks.get(level)
            if block is None:
                block = np.zeros_like(doubts[level])
            yield rows, slice(starts[level], starts[level + 1]), block, doubts.get(level)


def _output_blocks(problem: SlopeProblem) -> Iterator[tuple[slice, FloatArray]]:
    for level, block in problem.output.items():
        yield slice(problem.starts[level], problem.starts[level + 1]), dense(block)


def _output_errors(problem: SlopeProblem) -> Iterator[tuple[slice, FloatArray]]:
    for level, block in problem.output_errors.items():
        yield slice(problem.starts[level], problem.starts[level + 1]), block


def _pattern(block: Matrix) -> Matrix:
    """Return 1 where an entry is not 0."""
    entries: Any = block
    pattern: Matrix = (entries != 0).astype(np.float64)
    return pattern
