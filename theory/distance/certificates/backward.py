"""Lines around all units taken back to the inputs, for many sets at once, with slopes optimised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.certificates.sets import TINY, Sets
from theory.lipschitz.activations import LeakyReLU
from theory.lipschitz.activations.curve import Lines
from theory.lipschitz.feed_forward import Stage
from theory.norms import accumulated_error
from theory.relu.bounds import Ends

_RATE: Final = 0.3
_DECAY: Final = 0.85


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A stage with lines around its units on B sets.

    Attributes
    ----------
    weight : ndarray or csr_array, shape (m, n)
    bias : ndarray, shape (m,)
    lines : Lines, each of shape (B, m)
    least_slope : ndarray, shape (B, m)
        Of the lower lines through 0; not below it, and at most 1, any slope will do.
    free : ndarray of bool, shape (B, m)
        The units whose lower line may be turned so.
    size : ndarray, shape (B, m)
        Upper ends of |z| + |weight| |y| + |bias|, by which rounding is measured.
    total : ndarray, shape (B,)
        Sums of the largest absolute values of inputs and pre-activations.
    """

    weight: Any
    bias: FloatArray
    lines: Lines
    least_slope: FloatArray
    free: npt.NDArray[np.bool_]
    size: FloatArray
    total: FloatArray

    @classmethod
    def of(cls, stage: Stage, ends: Ends, before: FloatArray) -> "Relaxed":
        """Return a stage with these ends, shape (B, m), and largest inputs, shape (B, n)."""
        weight: Any = stage.weight
        size = ends.size + np.asarray(abs(weight) @ before.T).T + np.abs(stage.bias)
        lines = Lines(
            *(np.broadcast_to(each, ends.lower.shape) for each in stage.activation.lines(*ends))
        )
        activation = stage.activation
        least_slope = np.zeros_like(ends.lower)
        free = np.zeros(ends.lower.shape, dtype=np.bool_)
        if isinstance(activation, LeakyReLU):
            # max(z, slope z) lies above all lines through 0 with slopes between slope and 1.
            least_slope = np.broadcast_to(activation.slope, ends.lower.shape)
            free = (ends.lower < 0) & (ends.upper > 0) & (least_slope < 1)
        total = ends.size.sum(axis=1) + before.sum(axis=1)
        return cls(weight, stage.bias, lines, least_slope, free, size, total)


class Rows(NamedTuple):
    """k linear functions of the outputs of the last stage below.

    Attributes
    ----------
    weight : ndarray, shape (B, k, m) or (1, k, m)
    shift : ndarray, shape (B, k) or (1, k)
    error : ndarray, shape (B, k) or (1, k)
        What is taken off the lower ends besides.
    """

    weight: FloatArray
    shift: FloatArray
    error: FloatArray


def optimised_lower(rows: Rows, below: Sequence[Relaxed], sets: Sets, steps: int) -> FloatArray:
    """Return lower ends of linear functions on B sets, with slopes of lower lines optimised.

    Each function has slopes of its own. They start at those that leave least area, then at those of
    the chords, and go on from the better ones by `steps` projected steps (Adam); every step gives
    lower ends that hold, and the best are returned.

    Parameters
    ----------
    rows : Rows
    below : sequence of Relaxed
        The first takes the inputs.
    sets : Sets
    steps : int
        0 for the slopes that leave least area alone.

    Returns
    -------
    ndarray, shape (B, k)

    References
    ----------
    Zhang et al., Efficient Neural Network Robustness Certification with General Activation
    Functions (NeurIPS 2018), theorem 3.2; Xu et al., Fast and Complete: Enabling Complete
    Verification with Rapid and Massively Parallel Incomplete Verifiers (ICLR 2021), section 3.1.
    """
    shape = (len(sets.center), rows.weight.shape[1])
    slopes = [
        np.broadcast_to(each.lines.lower_slope[:, None, :], (*shape, len(each.bias)))
        for each in below
    ]
    if not steps or not any(np.any(each.free) for each in below):
        return _backward(rows, below, slopes, sets, False)[0]
    best, gradients = _backward(rows, below, slopes, sets)
    chords = [
        np.where(each.free[:, None, :], each.lines.upper_slope[:, None, :], slope)
        for each, slope in zip(below, slopes, strict=True)
    ]
    second, other = _backward(rows, below, chords, sets)
    better = (second > best)[..., None]
    slopes = [np.where(better, c, s) for c, s in zip(chords, slopes, strict=True)]
    gradients = [np.where(better, c, s) for c, s in zip(other, gradients, strict=True)]
    best = np.maximum(best, second)
    means = [np.zeros_like(each) for each in slopes]
    squares = [np.zeros_like(each) for each in slopes]
    rate = _RATE
    for step in range(1, steps + 1):
        for i, gradient in enumerate(gradients):
            means[i] = 0.9 * means[i] + 0.1 * gradient
            squares[i] = 0.99 * squares[i] + 0.01 * gradient**2
            move = means[i] / (1 - 0.9**step) / (np.sqrt(squares[i] / (1 - 0.99**step)) + TINY)
            least = below[i].least_slope[:, None, :]
            turned = np.clip(slopes[i] + rate * move, least, 1.0)
            slopes[i] = np.where(below[i].free[:, None, :], turned, slopes[i])
        rate *= _DECAY
        lower, gradients = _backward(rows, below, slopes, sets, step < steps)
        best = np.maximum(best, lower)
    return best


def _backward(
    rows: Rows,
    below: Sequence[Relaxed],
    slopes: Sequence[FloatArray],
    sets: Sets,
    derived: bool = True,
) -> tuple[FloatArray, list[FloatArray]]:
    """Return lower ends, and their derivatives by the lower slopes."""
    weight, shift, error = rows
    passed: list[tuple[FloatArray, FloatArray]] = []
    for stage, slope in zip(reversed(below), reversed(slopes), strict=True):
        lines = stage.lines
        positive = np.maximum(weight, 0.0)
        negative = weight - positive
        under, over = lines.lower_shift[:, :, None], lines.upper_shift[:, :, None]
        passed.append((positive, negative))
        scaled = positive * slope + negative * lines.upper_slope[:, None, :]
        sizes = np.abs(scaled)
        added = (np.matmul(positive, under) + np.matmul(negative, over))[..., 0]
        # The true line of the float slopes differs by roundings of both products and all sums.
        size = np.matmul(sizes, stage.size[:, :, None])[..., 0] + np.abs(shift)
        size += (np.matmul(positive, np.abs(under)) - np.matmul(negative, np.abs(over)))[..., 0]
        gamma = 2 * accumulated_error(2 * sum(stage.weight.shape) + 8)
        lost = TINY * (1 + stage.total[:, None] + sizes.sum(axis=2))
        error = error + gamma * size + lost
        shift = shift + added + scaled @ stage.bias
        flat = scaled.reshape(-1, scaled.shape[2])
        weight = np.asarray(flat @ stage.weight).reshape(*scaled.shape[:2], -1)
    lower = sets.least(weight)
    total = np.abs(shift) + np.abs(lower)
    error = 2 * error + accumulated_error(8) * total + TINY
    ends = np.nextafter(lower + shift - error, -np.inf)
    if not derived:
        return ends, []
    return ends, _derivatives(below, slopes, passed[::-1], sets.lowest(weight))


def _derivatives(
    below: Sequence[Relaxed],
    slopes: Sequence[FloatArray],
    passed: Sequence[tuple[FloatArray, FloatArray]],
    points: FloatArray,
) -> list[FloatArray]:
    """Return the derivatives of the lower ends by the lower slopes, each of shape (B, k, m).

    By the envelope theorem they are those at the point where the end is taken: the relaxed
    pre-activation times the positive part of what comes back to the unit.
    """
    found = []
    state = points
    for stage, slope, (positive, _) in zip(below, slopes, passed, strict=True):
        weight: Any = stage.weight
        flat = state.reshape(-1, state.shape[2])
        before = np.asarray(weight @ flat.T).T.reshape(*state.shape[:2], -1) + stage.bias
        found.append(positive * before)
        under = slope * before + stage.lines.lower_shift[:, None, :]
        over = stage.lines.upper_slope[:, None, :] * before + stage.lines.upper_shift[:, None, :]
        state = np.where(positive > 0, under, over)
    return found
