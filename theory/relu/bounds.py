"""Ends of all pre-activations and outputs over a box, or its points of small Hamming distance.

Layer by layer, each end is the better of two: intervals from the layer before, and a linear
relaxation of all units below, taken back to the input, where it is optimised exactly. Every
rounding error is in the ends, so they hold for the network in exact arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.norms import accumulated_error
from theory.relu.layer import Layer, dense
from theory.relu.network import ReluNetwork

_TINY = float(np.finfo(np.float64).tiny)
"""More than all that fewer than 2^52 underflows lose together."""


class Ends(NamedTuple):
    """Lower and upper ends, each of one shape."""

    lower: FloatArray
    upper: FloatArray

    @property
    def size(self) -> FloatArray:
        """The largest absolute values between the ends."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))


@dataclass(frozen=True, eq=False)
class NetworkBounds:
    """Ends that hold at every point of a set.

    Attributes
    ----------
    layers : tuple of Ends
        For each layer the pre-activations of all its units, the linear ones too.
    units : Ends, shape (n_units,)
        Those of the units with two phases, in the order of a pattern.
    outputs : Ends, shape (n_outputs,)
    """

    layers: tuple[Ends, ...]
    units: Ends
    outputs: Ends

    @property
    def undecided(self) -> npt.NDArray[np.intp]:
        """Indices of the units with two phases that may have either one."""
        return np.flatnonzero((self.units.lower <= 0) & (self.units.upper > 0))


def interval_bounds(
    network: ReluNetwork, low: npt.ArrayLike, high: npt.ArrayLike, relaxed: bool = True
) -> NetworkBounds:
    """Return ends of all pre-activations and outputs over a box.

    Parameters
    ----------
    network : ReluNetwork
    low, high : array_like, scalars or of shape (n_inputs,)
        Ends of the box, finite.
    relaxed : bool
        Whether the linear relaxation is used where it is better than intervals.

    Raises
    ------
    ValueError
        If the box is malformed, or values on it leave the range of double precision.

    References
    ----------
    Tjeng, Xiao and Tedrake, Evaluating Robustness of Neural Networks with Mixed Integer
    Programming (ICLR 2019), section 4; Zhang et al., Efficient Neural Network Robustness
    Certification with General Activation Functions (NeurIPS 2018), section 3.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> found = interval_bounds(absolute, -1, 2)
    >>> found.units.lower.round(9).tolist(), found.outputs.upper.round(9).tolist()
    ([-1.0, -2.0], [2.0])
    """
    ends = _box(network, low, high)
    return _propagated(network, _Ball(ends.lower, ends, network.n_inputs), relaxed)


def hamming_ball_bounds(
    network: ReluNetwork,
    x: npt.ArrayLike,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    k: int,
    relaxed: bool = True,
) -> NetworkBounds:
    """Return ends over the points of a box that differ from x in at most k coordinates.

    Those of the first layer are attained, up to rounding: the k coordinates that change a unit
    most are different from unit to unit.

    Parameters
    ----------
    network : ReluNetwork
    x : array_like, shape (n_inputs,)
    low, high : array_like, scalars or of shape (n_inputs,)
        Ends of the box, finite, with x between them.
    k : int
        From 0 to n_inputs.
    relaxed : bool
        Whether the linear relaxation is used where it is better than intervals.

    Raises
    ------
    ValueError
        If an input is malformed, or values leave the range of double precision.

    Examples
    --------
    >>> total = ReluNetwork([([[1.0, 2.0, -3.0]], [0.0])])
    >>> found = hamming_ball_bounds(total, [0, 0, 0], 0, 1, 1)
    >>> found.outputs.lower.round(9).tolist(), found.outputs.upper.round(9).tolist()
    ([-3.0], [2.0])
    """
    point, ends = network.point(x), _box(network, low, high)
    outside = np.flatnonzero((point < ends.lower) | (point > ends.upper))
    if outside.size:
        j = int(outside[0])
        at = f"[{ends.lower[j]}, {ends.upper[j]}]"
        raise ValueError(f"x is outside the box: x[{j}] = {point[j]} not in {at}")
    if isinstance(k, bool) or k != int(k) or not 0 <= k <= network.n_inputs:
        raise ValueError(f"k must be a whole number from 0 to {network.n_inputs}, got {k!r}")
    return _propagated(network, _Ball(point, ends, int(k)), relaxed)


def _box(network: ReluNetwork, low: npt.ArrayLike, high: npt.ArrayLike) -> Ends:
    ends = []
    for name, given in (("low", low), ("high", high)):
        end = np.asarray(given, dtype=np.float64)
        if end.shape not in ((), (network.n_inputs,)) or not np.all(np.isfinite(end)):
            raise ValueError(f"{name} must be finite, a number or {network.n_inputs} of them")
        ends.append(np.broadcast_to(end, network.n_inputs))
    if np.any(ends[0] > ends[1]):
        j = int(np.argmax(ends[0] > ends[1]))
        raise ValueError(f"the box is empty: low[{j}] = {ends[0][j]} > high[{j}] = {ends[1][j]}")
    return Ends(*ends)


class _Ball(NamedTuple):
    """Points of a box that differ from x in at most k coordinates; with k = n the whole box."""

    x: FloatArray
    box: Ends
    k: int

    def lower(self, rows: FloatArray, shift: FloatArray) -> FloatArray:
        """Return lower ends of rows @ z + shift."""
        n = len(self.x)
        # What each coordinate can take off: at least 0, as it may stay as it is.
        loss = np.maximum(rows * (self.x - self.box.lower), rows * (self.x - self.box.upper))
        if self.k < n:
            loss = np.partition(loss, min(n - self.k, n - 1), axis=1)[:, n - self.k :]
        lost = loss.sum(axis=1)
        size = np.abs(rows) @ np.abs(self.x) + np.abs(shift) + lost
        error = 2 * accumulated_error(n + self.k + 6) * size + _TINY
        return np.asarray(np.nextafter(rows @ self.x + shift - lost - error, -np.inf))


def _propagated(network: ReluNetwork, ball: _Ball, relaxed: bool) -> NetworkBounds:
    layers: list[Ends] = []
    states = [ball.box]
    with np.errstate(over="ignore", invalid="ignore"):
        for i, layer in enumerate(network.layers):
            weight = dense(layer.weight)
            if i == 0:
                lower = ball.lower(weight, layer.bias)
                upper = -ball.lower(-weight, -layer.bias)
            else:
                before = states[-1]
                inner = _Ball(before.lower, before, len(before.lower))
                lower = inner.lower(weight, layer.bias)
                upper = -inner.lower(-weight, -layer.bias)
                if relaxed:
                    below = network.layers[:i]
                    lower = np.maximum(
                        lower, _relaxed_lower(weight, layer.bias, below, layers, states, ball)
                    )
                    upper = np.minimum(
                        upper, -_relaxed_lower(-weight, -layer.bias, below, layers, states, ball)
                    )
            if not (np.all(np.isfinite(lower)) and np.all(np.isfinite(upper))):
                raise ValueError(f"values of layer {i} leave the range of double precision")
            layers.append(Ends(lower, upper))
            states.append(_activated(layer, layers[-1]))
    hinges = [(ends, layer.hinges) for ends, layer in zip(layers, network.layers, strict=True)]
    units = Ends(
        np.concatenate([ends.lower[at] for ends, at in hinges]),
        np.concatenate([ends.upper[at] for ends, at in hinges]),
    )
    return NetworkBounds(tuple(layers), units, states[-1])


def _activated(layer: Layer, ends: Ends) -> Ends:
    """Return ends of the outputs of a layer: they are attained at the ends and where it kinks."""
    first, last = layer.activate(ends.lower), layer.activate(ends.upper)
    lower, upper = np.minimum(first, last), np.maximum(first, last)
    rounded = (layer.slope != 0) & (layer.slope != 1)
    lower = np.where(rounded, np.nextafter(lower, -np.inf), lower)
    upper = np.where(rounded, np.nextafter(upper, np.inf), upper)
    kinked = (ends.lower < 0) & (ends.upper > 0)
    return Ends(
        np.where(kinked, np.minimum(lower, 0.0), lower),
        np.where(kinked, np.maximum(upper, 0.0), upper),
    )


def _relaxed_lower(
    rows: FloatArray,
    shift: FloatArray,
    below: Sequence[Layer],
    known: Sequence[Ends],
    states: Sequence[Ends],
    ball: _Ball,
) -> FloatArray:
    """Return lower ends of rows @ (outputs of the layers below) + shift."""
    error = np.zeros(len(rows))
    for layer, ends, before in zip(
        reversed(below), reversed(known), reversed(states[: len(known)]), strict=True
    ):
        lines = _lines(layer.slope, ends)
        positive = rows > 0
        slopes = rows * np.where(positive, lines.lower_slope, lines.upper_slope)
        shifts = rows * np.where(positive, lines.lower_shift, lines.upper_shift)
        weight, sizes = dense(layer.weight), np.abs(slopes)
        # The true line of the float slopes differs by roundings of both products and all sums.
        reach = np.abs(weight) @ before.size + np.abs(layer.bias)
        size = sizes @ (ends.size + reach) + np.abs(shifts).sum(axis=1) + np.abs(shift)
        error = error + 2 * accumulated_error(sum(weight.shape) + 8) * size
        error = error + _TINY * (1 + ends.size.sum() + before.size.sum() + sizes.sum(axis=1))
        shift = shift + shifts.sum(axis=1) + slopes @ layer.bias
        rows = slopes @ weight
    return np.asarray(np.nextafter(ball.lower(rows, shift) - 2 * error, -np.inf))


class _Lines(NamedTuple):
    """slope z + shift below and above each unit's activation on its interval."""

    lower_slope: FloatArray
    lower_shift: FloatArray
    upper_slope: FloatArray
    upper_shift: FloatArray


def _lines(slope: FloatArray, ends: Ends) -> _Lines:
    low, high = ends
    kinked = (low < 0) & (high > 0) & (slope != 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        chord = np.where(kinked, (high - slope * low) / (high - low), 0.0)
    # Any slope will do: the shift is what the line of this slope needs at both ends and the kink.
    gaps = np.array([high - chord * high, slope * low - chord * low, np.zeros_like(low)])
    # A product and a difference of three roundings, of terms no larger than these.
    error = 4 * np.finfo(np.float64).eps * (np.abs(chord) + np.abs(slope) + 1) * ends.size + _TINY
    above = np.where(kinked, gaps.max(axis=0) + error, 0.0)
    under = np.where(kinked, gaps.min(axis=0) - error, 0.0)
    tangent = np.where(high > -low, 1.0, slope)
    single = np.where(low >= 0, 1.0, slope)
    chord, tangent = np.where(kinked, chord, single), np.where(kinked, tangent, single)
    convex = slope <= 1
    return _Lines(
        np.where(convex, tangent, chord),
        np.where(convex, 0.0, under),
        np.where(convex, chord, tangent),
        np.where(convex, above, 0.0),
    )
