r"""What the semidefinite bounds bound: expansions of a network whose units have free slopes.

Coordinates are w = (x, u): changes of the n inputs, then of the units, level by level. A unit's
change is u_i = s_i g_i w with a free slope s_i in [0, 1], where g_i touches the coordinates of
earlier levels alone; the output's change is F w. Every network of affine maps and slope-restricted
activations has this form: slopes in [a, b] are a + (b - a) s.

The bound: |F w|^2 <= rho |x|^2 for all such w if for some multipliers

    S(rho, lambda) = rho E + sum_i lambda_i (e_i v_i^T + v_i e_i^T) - F^T F >= 0,   v_i = e_i - g_i,

with E the projection to the inputs, as u_i (g_i w - u_i) >= 0. (lambda >= 0 follows: the diagonal
of S at unit i is 2 lambda_i - |F e_i|^2.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.norms import accumulated_error
from theory.relu.layer import Matrix, dense


class Assembled(NamedTuple):
    """A problem as dense matrices over all N = n + m coordinates.

    Attributes
    ----------
    rows : ndarray, shape (m, N)
        g_i, zero from column n + i on.
    output : ndarray, shape (k, N)
        F.
    rows_error, output_error : ndarray, same shapes
        Entrywise bounds on how far the true matrices may be.
    """

    rows: FloatArray
    output: FloatArray
    rows_error: FloatArray
    output_error: FloatArray


@dataclass(frozen=True, eq=False)
class SlopeProblem:
    """A network whose units have free slopes in [0, 1].

    Attributes
    ----------
    n_inputs : int
    sizes : tuple of int
        Numbers of units of the levels 1, 2, ...; level 0 is the inputs.
    levels : tuple of mappings
        For each level from 1: block of g on an earlier level, shape (size, size of that level).
    output : mapping
        Block of F on a level.
    level_errors, output_errors : as `levels` and `output`
        Entrywise error bounds; a block that is missing is exact.
    """

    n_inputs: int
    sizes: tuple[int, ...]
    levels: tuple[Mapping[int, Matrix], ...]
    output: Mapping[int, Matrix]
    level_errors: tuple[Mapping[int, FloatArray], ...] = ()
    output_errors: Mapping[int, FloatArray] = field(default_factory=dict)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first coordinate of each level, and the number of coordinates."""
        return tuple(int(each) for each in np.cumsum([0, self.n_inputs, *self.sizes]))

    @property
    def n_units(self) -> int:
        """The number m of units with a free slope."""
        return sum(self.sizes)

    @property
    def n_coordinates(self) -> int:
        """N = n_inputs + n_units."""
        return self.starts[-1]

    @property
    def n_outputs(self) -> int:
        """The number of outputs."""
        return int(next(iter(self.output.values())).shape[0])

    @cached_property
    def assembled(self) -> Assembled:
        """The problem as dense matrices; 16 N (m + k) bytes."""
        rows = np.zeros((self.n_units, self.n_coordinates))
        errors = np.zeros_like(rows)
        output = np.zeros((self.n_outputs, self.n_coordinates))
        output_error = np.zeros_like(output)
        level_errors = self.level_errors or ({},) * len(self.levels)
        for target, blocks, at in (
            *((rows, blocks, i) for i, blocks in enumerate(self.levels)),
            *((errors, blocks, i) for i, blocks in enumerate(level_errors)),
        ):
            first = self.starts[at + 1] - self.n_inputs
            for level, block in blocks.items():
                columns = slice(self.starts[level], self.starts[level + 1])
                target[first : first + self.sizes[at], columns] = dense(block)
        for target, blocks in ((output, self.output), (output_error, self.output_errors)):
            for level, block in blocks.items():
                target[:, self.starts[level] : self.starts[level + 1]] = dense(block)
        return Assembled(rows, output, errors, output_error)


class SlopeEnds(NamedTuple):
    """Least and largest slopes of the units of a layer, each of shape (m,)."""

    least: FloatArray
    most: FloatArray


def slope_problem(weights: Sequence[Matrix], slopes: Sequence[SlopeEnds]) -> SlopeProblem:
    """Return the problem of a feed-forward network with slopes in given ranges.

    Units whose range is a point are linear and are eliminated; the rounding of doing so is in the
    problem's errors. A layer whose units all have slopes in [0, 1] is taken over exactly.

    Parameters
    ----------
    weights : sequence of ndarray or csr_array
        W_1, ..., W_L, each of shape (out, in).
    slopes : sequence of SlopeEnds
        Of the L - 1 layers between them; or L, where the last scales the outputs: at most the
        larger absolute value of its two ends.

    Raises
    ------
    ValueError
        If the numbers of weights and slopes do not fit.

    Examples
    --------
    >>> w = [np.array([[1.0], [2.0]]), np.array([[3.0, 4.0]])]
    >>> ends = SlopeEnds(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    >>> problem = slope_problem(w, [ends])  # the second unit is linear
    >>> problem.sizes, problem.output[0].tolist(), problem.output[1].tolist()
    ((1,), [[8.0]], [[3.0]])
    """
    if len(slopes) not in (len(weights) - 1, len(weights)):
        raise ValueError(f"{len(weights)} weights have slopes between them, got {len(slopes)}")
    n = int(weights[0].shape[1])
    sizes: list[int] = []
    levels: list[dict[int, Matrix]] = []
    errors: list[dict[int, FloatArray]] = []
    # The state: what comes out of the layers so far, by level, with entrywise errors.
    state: dict[int, Matrix] = {}
    doubt: dict[int, FloatArray] = {}
    pure = 0  # the level that the state is the identity of: it is not written down
    for i, weight in enumerate(weights):
        before, before_doubt = _mapped(weight, state, doubt, pure)
        pure = -1
        if i == len(slopes):
            return SlopeProblem(n, tuple(sizes), tuple(levels), before, tuple(errors), before_doubt)
        least, most = (np.broadcast_to(end, weight.shape[0]) for end in slopes[i])
        if i == len(weights) - 1:
            scale = np.maximum(np.abs(least), np.abs(most))
            last = {level: _scaled(scale, block) for level, block in before.items()}
            last_doubt = _rounded(scale, before, before_doubt)
            return SlopeProblem(n, tuple(sizes), tuple(levels), last, tuple(errors), last_doubt)
        free = np.flatnonzero(most > least)
        after: dict[int, Matrix] = {}
        after_doubt: dict[int, FloatArray] = {}
        if np.any(least != 0):
            after = {level: _scaled(least, block) for level, block in before.items()}
            after_doubt = _rounded(least, before, before_doubt)
        if free.size:
            sizes.append(free.size)
            levels.append({level: block[free] for level, block in before.items()})
            errors.append({level: each[free] for level, each in before_doubt.items()})
            # The difference of the ends is rounded once.
            spread = np.zeros((len(most), free.size))
            spread[free, np.arange(free.size)] = (most - least)[free]
            after[len(sizes)] = spread
            if free.size == len(most) and np.all(spread[free, free] == 1.0) and len(after) == 1:
                pure = len(sizes)
            elif np.any((least != 0) & (most != least)):
                after_doubt[len(sizes)] = accumulated_error(2) * spread
        state, doubt = after, after_doubt
        if not state:
            state = {0: np.zeros((weight.shape[0], n))}
    raise AssertionError("unreachable: the last weight returns")


def _mapped(
    weight: Matrix, state: Mapping[int, Matrix], doubt: Mapping[int, FloatArray], pure: int
) -> tuple[dict[int, Matrix], dict[int, FloatArray]]:
    """Return weight @ state by level, with its errors; exactly where the state is an identity."""
    if pure >= 0:
        return {pure: weight}, {}
    gamma = accumulated_error(int(weight.shape[1]) + 4)
    whole: Any = weight
    size = abs(whole)
    found: dict[int, Matrix] = {}
    errors: dict[int, FloatArray] = {}
    for level, block in state.items():
        made = dense(block)
        found[level] = np.asarray(whole @ made)
        error = gamma * np.asarray(size @ np.abs(made))
        if level in doubt:
            error = error + (1 + gamma) * np.asarray(size @ doubt[level])
        errors[level] = error
    return found, errors


def _scaled(scale: FloatArray, block: Matrix) -> FloatArray:
    return scale[:, None] * dense(block)


def _rounded(
    scale: FloatArray, blocks: Mapping[int, Matrix], doubt: Mapping[int, FloatArray]
) -> dict[int, FloatArray]:
    """Return errors of scale * blocks, one rounding each."""
    size = np.abs(scale)[:, None]
    gamma = np.where((size == 0) | (size == 1), 0.0, accumulated_error(2))
    errors = {}
    for level, block in blocks.items():
        error = gamma * size * np.abs(dense(block))
        if level in doubt:
            error = error + (1 + gamma) * size * doubt[level]
        if np.any(error):
            errors[level] = error
    return errors


def global_slopes(network_slopes: npt.ArrayLike, m: int) -> SlopeEnds:
    """Return one range (least, most) for all m units of a layer."""
    least, most = np.asarray(network_slopes, dtype=np.float64)
    return SlopeEnds(np.full(m, least), np.full(m, most))
