"""Backward linear relaxation: lines around all units, taken back to the inputs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.activations.curve import Lines
from theory.lipschitz.feed_forward import Stage
from theory.lipschitz.propagation.forms import TINY, InputSet
from theory.norms import accumulated_error
from theory.relu.bounds import Ends
from theory.relu.layer import Matrix


class Relaxed(NamedTuple):
    """A stage below, with lines around its units; those that are 0 on the set are left out.

    Attributes
    ----------
    alive : ndarray of int, shape (m,)
        The units that are kept.
    weight : ndarray or csr_array, shape (m, n)
        From the n units of the stage before that are kept.
    bias : ndarray, shape (m,)
    lines : Lines, each of shape (m,)
    size : ndarray, shape (m,)
        Upper ends of |z| + |weight| |y| + |bias|, by which rounding is measured.
    total : float
        Sum of the largest absolute values of its inputs and of its pre-activations.
    """

    alive: npt.NDArray[np.intp]
    weight: Matrix
    bias: FloatArray
    lines: Lines
    size: FloatArray
    total: float

    @classmethod
    def of(
        cls, stage: Stage, ends: Ends, before: FloatArray, previous: "Relaxed | None"
    ) -> "Relaxed":
        """Return a stage with these ends, shape (m,), and largest inputs `before`, shape (n,)."""
        weight: Any = stage.weight
        size = ends.size + np.asarray(abs(weight) @ before) + np.abs(stage.bias)
        total = float(ends.size.sum() + before.sum())
        lines = stage.activation.lines(*ends)
        alive = np.flatnonzero(np.any([np.asarray(each) != 0 for each in lines], axis=0))
        kept = weight[alive] if previous is None else weight[alive][:, previous.alive]
        some = Lines(*(each[alive] for each in lines))
        return cls(alive, kept, stage.bias[alive], some, size[alive], total)


def relaxed_lower(
    rows: FloatArray, shift: FloatArray, below: Sequence[Relaxed], inputs: InputSet
) -> FloatArray:
    """Return lower ends of rows @ (outputs of the stages below) + shift on one set of inputs.

    Parameters
    ----------
    rows : ndarray, shape (k, m)
        Their columns are the units of the last stage below that are kept.
    shift : ndarray, shape (k,)
    below : sequence of Relaxed
        The first takes the inputs.
    inputs : InputSet
        Of one set.

    References
    ----------
    Zhang et al., Efficient Neural Network Robustness Certification with General Activation
    Functions (NeurIPS 2018), theorem 3.2 and corollary 3.3.
    """
    error = np.zeros(len(rows))
    for stage in reversed(below):
        lines, weight = stage.lines, stage.weight
        positive = np.maximum(rows, 0.0)
        negative = rows - positive
        slopes = positive * lines.lower_slope
        slopes += negative * lines.upper_slope
        added = positive @ lines.lower_shift + negative @ lines.upper_shift
        sizes = np.abs(slopes)
        # The true line of the float slopes differs by roundings of both products and all sums.
        size = sizes @ stage.size + np.abs(shift)
        size += positive @ np.abs(lines.lower_shift) - negative @ np.abs(lines.upper_shift)
        error += 2 * accumulated_error(2 * sum(weight.shape) + 8) * size
        error += TINY * (1 + stage.total + sizes.sum(axis=1))
        shift = shift + added + slopes @ stage.bias
        rows = np.asarray(slopes @ weight)
    center = inputs.center[:, 0]
    size = np.abs(rows) @ np.abs(center) + np.abs(shift)
    error = 2 * error + 2 * accumulated_error(len(center) + 8) * size + TINY
    spread = inputs.spread(rows[:, :, None])[:, 0]
    error += accumulated_error(4) * spread
    return np.asarray(np.nextafter(rows @ center + shift - spread - error, -np.inf))
