"""Sets of inputs, and affine forms of what a network computes on them, many sets at a time.

Arrays are units first: (m, B) for m units and B sets, so that a weight acts on them as it is. Every
rounding error is in the error boxes.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.activations import Activation
from theory.lipschitz.feed_forward import Stage
from theory.norms import accumulated_error
from theory.relu.bounds import Ends

TINY: Final = float(np.finfo(np.float64).tiny)
"""More than all that fewer than 2^52 underflows lose together."""
_ROOT_TINY: Final = 2.0**-510


class InputSet(NamedTuple):
    """B balls: the points with || (x - center) / radii ||_p <= 1.

    Attributes
    ----------
    center, radii : ndarray, shape (n, B)
    p : float
        1, 2 or inf.
    """

    center: FloatArray
    radii: FloatArray
    p: float

    @property
    def size(self) -> FloatArray:
        """Upper ends of the coordinates' absolute values."""
        return (np.abs(self.center) + self.radii) * (1 + accumulated_error(2))

    def spread(self, rows: FloatArray) -> FloatArray:
        """Return upper ends of rows @ (x - center) for rows of shape (m, n, B): the dual norm."""
        scaled = np.abs(rows * self.radii) if self.p != 2 else rows * self.radii
        n = len(self.radii)
        if self.p == 1:
            found = scaled.max(axis=1)
        elif self.p == 2:
            # Squares that underflow are below the square of what is added.
            found = np.sqrt(np.einsum("mnb,mnb->mb", scaled, scaled)) + n * _ROOT_TINY
        else:
            found = scaled.sum(axis=1)
        return np.asarray(found * (1 + accumulated_error(n + 6)) + n * TINY)

    def first(self, stage: Stage) -> "AffineForm":
        """Return the pre-activations of a stage that takes the inputs."""
        weight: Any = stage.weight
        rows = np.asarray(weight if isinstance(weight, np.ndarray) else weight.toarray())[..., None]
        size = np.asarray(abs(weight) @ np.abs(self.center)) + np.abs(stage.bias)[:, None]
        middle = np.asarray(weight @ self.center) + stage.bias[:, None]
        return AffineForm(rows, middle, 2 * accumulated_error(rows.shape[1] + 4) * size + TINY)


class AffineForm(NamedTuple):
    """State = rows @ (x - center) + middle, up to an error box.

    Attributes
    ----------
    rows : ndarray, shape (m, n, B), or (m, n, 1) for one matrix for all sets
    middle, error : ndarray, shape (m, B)
    """

    rows: FloatArray
    middle: FloatArray
    error: FloatArray

    def ends(self, inputs: InputSet) -> Ends:
        """Return lower and upper ends, shape (m, B)."""
        spread = inputs.spread(self.rows) + self.error
        spread = spread * (1 + accumulated_error(4)) + accumulated_error(2) * np.abs(self.middle)
        return Ends(self.middle - spread, self.middle + spread)

    def reach(self, inputs: InputSet) -> FloatArray:
        """Return upper ends of sum_j |row_j (x - center)_j| + |middle| + error, but for rounding.

        Errors relative to the entries of a form are measured by it.
        """
        rows = np.abs(self.rows)
        moved = np.einsum("mnb,nb->mb", rows, inputs.radii)
        return np.asarray(moved + np.abs(self.middle) + self.error)

    def mapped(self, stage: Stage, inputs: InputSet) -> "AffineForm":
        """Return the pre-activations of a stage that takes this state."""
        weight: Any = stage.weight
        m, n, sets = self.rows.shape
        rows = np.asarray(weight @ self.rows.reshape(m, n * sets)).reshape(-1, n, sets)
        middle = np.asarray(weight @ self.middle) + stage.bias[:, None]
        gamma = 2 * accumulated_error(m + n + 8)
        size = abs(weight)
        carried = np.asarray(size @ self.error)
        rounded = np.asarray(size @ self.reach(inputs)) + np.abs(stage.bias)[:, None]
        lost = TINY * (1 + inputs.radii.sum(axis=0))
        return AffineForm(rows, middle, carried * (1 + gamma) + gamma * rounded + lost)

    def activated(self, activation: Activation, ends: Ends, inputs: InputSet) -> "AffineForm":
        """Return the outputs of an activation whose inputs lie between `ends`, shape (m, B).

        A unit becomes its chord's slope times what it was, and an interval.

        References
        ----------
        Singh et al., Fast and Effective Robustness Certification (NeurIPS 2018), theorem 3.2.
        """
        slope = chord_slopes(activation, ends).T
        low, high = (end.T for end in activation.remainders(slope.T, ends.lower.T, ends.upper.T))
        shift = low / 2 + high / 2
        radius = np.maximum(high - shift, shift - low)
        gamma = accumulated_error(len(inputs.radii) + 12)
        rounded = np.abs(slope) * self.reach(inputs) + np.abs(shift) + radius
        lost = TINY * (1 + inputs.radii.sum(axis=0))
        return AffineForm(
            self.rows * slope[:, None, :],
            slope * self.middle + shift,
            np.abs(slope) * self.error + radius + gamma * rounded + lost,
        )


def chord_slopes(activation: Activation, ends: Ends) -> FloatArray:
    """Return about the slopes of the chords between `ends`, shape (m, B), as shape (B, m)."""
    low, high = ends.lower.T, ends.upper.T
    least, most = activation.slopes(low, high)
    width = np.where(low < high, high - low, 1.0)
    return np.clip((activation(high) - activation(low)) / width, least, most)


def output_range(activation: Activation, ends: Ends) -> Ends:
    """Return ends of the outputs of an activation whose inputs lie between ends, shape (m, B)."""
    low, high = activation.remainders(0.0, ends.lower.T, ends.upper.T)
    return Ends(np.asarray(low).T, np.asarray(high).T)


def interval_ends(stage: Stage, before: Ends) -> Ends:
    """Return ends of the pre-activations of a stage that takes values between ends, (m, B)."""
    weight: Any = stage.weight
    middle = before.lower / 2 + before.upper / 2
    radius = np.maximum(before.upper - middle, middle - before.lower)
    center = np.asarray(weight @ middle) + stage.bias[:, None]
    size = abs(weight)
    spread = np.asarray(size @ radius)
    gamma = 2 * accumulated_error(int(weight.shape[1]) + 8)
    rounded = np.asarray(size @ (np.abs(middle) + radius)) + np.abs(stage.bias)[:, None] + spread
    spread = spread + gamma * rounded + TINY
    return Ends(np.nextafter(center - spread, -np.inf), np.nextafter(center + spread, np.inf))


def intersection(first: Ends, second: Ends) -> Ends:
    """Return the better ends."""
    return Ends(np.maximum(first.lower, second.lower), np.minimum(first.upper, second.upper))
