"""What a piecewise-linear network does far away: labels along rays, without a limit on range.

F(x + tau d) / tau tends to F0(d), where F0 is the network with all biases 0, whatever x is: the
network with biases b at tau z is tau times the one with biases b / tau at z. So a direction in
which F0 has a strict label leads to that label from every point, and where the directions that
change one coordinate have all labels, one coordinate of unlimited range suffices for any label.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.norms import accumulated_error
from theory.relu.layer import BoolArray, Layer
from theory.relu.network import ReluNetwork

NO_LABEL = -1
"""In place of a label where the largest output is not told from the others."""
_TINY = float(np.finfo(np.float64).tiny)
"""More than all that fewer than 2^52 underflows lose together."""
_BATCH = 2**22
"""Numbers in the largest array of a batch of directions."""
_ROUNDING = 1e-13
"""Part of the sum of its absolute terms below which a value cannot be told from 0."""


@dataclass(frozen=True, eq=False)
class RecessionLabels:
    """Labels that a network has far away, along directions.

    Attributes
    ----------
    labels : ndarray of int, shape (...)
        The class whose output leads without biases, `NO_LABEL` where none does beyond rounding.
    leads : ndarray, shape (...)
        What it leads by in exact arithmetic, at least; 0 where there is no label.
    """

    labels: npt.NDArray[np.intp]
    leads: FloatArray

    @property
    def classes(self) -> tuple[int, ...]:
        """The labels of any direction, in order."""
        return tuple(int(t) for t in np.unique(self.labels) if t != NO_LABEL)

    def reaching(self, target: int) -> list[tuple[int, ...]]:
        """Return the indices of the directions with this label, largest lead first."""
        found = np.argwhere(self.labels == target)
        order = np.argsort(-self.leads[self.labels == target], kind="stable")
        return [tuple(int(i) for i in index) for index in found[order]]


def recession_labels(
    network: ReluNetwork, directions: npt.ArrayLike | None = None
) -> RecessionLabels:
    """Return the labels of the network without biases, where they are certain.

    Parameters
    ----------
    network : ReluNetwork
    directions : array_like, shape (..., n), optional
        By default the signed unit vectors, shape (2, n, n): the entry (0, j) of what is returned
        belongs to an increase of coordinate j, (1, j) to a decrease.

    Returns
    -------
    RecessionLabels
        From every point x the label of x + tau d is that of d for all large tau. A label counts
        where its lead exceeds a bound on all rounding errors, so it holds in exact arithmetic.

    Raises
    ------
    ValueError
        If directions have a wrong shape or are not finite, or the network has one output.

    Examples
    --------
    >>> greater = ReluNetwork([([[1.0, 0.0], [0.0, 1.0]], [-5.0, 3.0])])
    >>> found = recession_labels(greater)
    >>> found.labels.tolist(), found.classes, found.reaching(1)
    ([[0, 1], [1, 0]], (0, 1), [(0, 1), (1, 0)])
    """
    if network.n_outputs < 2:
        raise ValueError("labels need at least two outputs, the network has one")
    n = network.n_inputs
    if directions is None:
        shape: tuple[int, ...] = (2, n)
        blocks = _unit_blocks(n, _rows(network))
    else:
        given = network.checked(directions)
        shape, flat, rows = given.shape[:-1], given.reshape(-1, n), _rows(network)
        blocks = (flat[i : i + rows] for i in range(0, len(flat), rows))
    found = [_certain(network, block) for block in blocks]
    labels = np.concatenate([np.zeros(0, dtype=np.intp), *(each[0] for each in found)])
    leads = np.concatenate([np.zeros(0), *(each[1] for each in found)])
    return RecessionLabels(labels.reshape(shape), leads.reshape(shape))


def escape_range(
    network: ReluNetwork,
    x: npt.ArrayLike,
    coordinate: int,
    sign: int,
    target: int,
    margin: float = 0.0,
) -> float:
    """Return the least tau >= 0 beyond which x with one coordinate changed has the target's label.

    Parameters
    ----------
    network : ReluNetwork
    x : array_like, shape (n,)
    coordinate : int
    sign : {1, -1}
        The coordinate changes by sign * tau.
    target : int
        The label of that direction, by `recession_labels`.
    margin : float
        The least lead with which the target counts as the label.

    Returns
    -------
    float
        At all larger tau the target leads by more than the margin, and just below not: pieces of
        the ray are walked from infinity back, each an affine function. Exact up to rounding.

    Raises
    ------
    ValueError
        If an input is malformed, or the direction does not lead to the target.

    Examples
    --------
    >>> absolute = ([[1.0], [-1.0]], [0.0, 0.0])
    >>> deep = ReluNetwork([absolute, ([[1.0, 1.0], [0.0, 0.0]], [-3.0, 0.0])])
    >>> escape_range(deep, [2.0], 0, -1, 0), escape_range(deep, [2.0], 0, 1, 0)
    (5.0, 1.0)
    """
    point, n = network.point(x), network.n_inputs
    if isinstance(coordinate, bool) or not 0 <= coordinate < n:
        raise ValueError(f"coordinate {coordinate!r} is out of range: there are {n}, from 0")
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1, got {sign!r}")
    if isinstance(target, bool) or not 0 <= target < network.n_outputs:
        raise ValueError(f"target must be a class, 0 to {network.n_outputs - 1}: {target!r}")
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin must be finite and at least 0, got {margin!r}")
    direction = np.zeros(n)
    direction[coordinate] = sign
    if int(recession_labels(network, direction).labels) != target:
        raise ValueError(
            f"coordinate {coordinate} with sign {sign} does not lead to class {target} for certain"
        )
    ray = network.restricted(point, [coordinate]).layers
    tau = np.inf
    while True:
        piece = _piece_below(ray, float(sign), tau)
        shift, slope = (
            np.delete(values[target] - values, target) for values in (piece.shift, piece.slope)
        )
        shift = shift - margin
        if np.isfinite(tau) and np.any(shift + slope * tau <= 0):
            # Lost at the breakpoint itself, where rounding has put it into the piece above.
            return tau
        rising = slope > 0
        lost = float(np.max(-shift[rising] / slope[rising], initial=-np.inf))
        if lost >= piece.start or piece.start <= 0:
            return min(max(lost, 0.0), tau)
        tau = piece.start


class _RayPiece(NamedTuple):
    """Outputs shift + slope tau along a ray, from `start` up to where they were asked for."""

    start: float
    shift: FloatArray
    slope: FloatArray


def _piece_below(layers: tuple[Layer, ...], sign: float, tau: float) -> _RayPiece:
    """Return the piece of a ray that ends at tau, possibly infinite."""
    start = 0.0
    shift, slope = np.zeros(1), np.array([sign])
    shift_size, slope_size = np.zeros(1), np.ones(1)
    for layer in layers:
        shift, slope = layer.weight @ shift + layer.bias, layer.weight @ slope
        sizes: Any = abs(layer.weight)
        shift_size, slope_size = sizes @ shift_size + abs(layer.bias), sizes @ slope_size
        slope = np.where(abs(slope) <= _ROUNDING * slope_size, 0.0, slope)
        if np.isfinite(tau):
            value, size = shift + slope * tau, shift_size + slope_size * tau
            zero = abs(value) <= _ROUNDING * size
            # A unit that is 0 at tau has the phase of the values before it.
            positive = np.where(zero, slope < 0, value > 0)
        else:
            zero = (slope == 0) & (abs(shift) <= _ROUNDING * shift_size)
            positive = np.where(slope == 0, shift > 0, slope > 0) & ~zero
        start = max(start, _last_zero(layer, shift, slope, positive, ~zero, tau))
        scale = np.where(positive, 1.0, layer.slope)
        shift, slope = scale * shift, scale * slope
        shift_size, slope_size = abs(scale) * shift_size, abs(scale) * slope_size
    return _RayPiece(start, shift, slope)


def _last_zero(
    layer: Layer,
    shift: FloatArray,
    slope: FloatArray,
    positive: BoolArray,
    known: BoolArray,
    tau: float,
) -> float:
    """Return the last place before tau where a unit of two phases leaves its phase, or 0."""
    nearing = known & (slope != 0) & (positive == (slope > 0)) & (layer.slope != 1.0)
    zeros = -shift[nearing] / slope[nearing]
    return float(np.max(zeros[zeros < tau], initial=0.0))


def _rows(network: ReluNetwork) -> int:
    widest = max(int(max(layer.weight.shape)) for layer in network.layers)
    return max(1, _BATCH // widest)


def _unit_blocks(n: int, rows: int) -> Iterator[FloatArray]:
    for sign in (1.0, -1.0):
        for first in range(0, n, rows):
            count = min(rows, n - first)
            block = np.zeros((count, n))
            block[np.arange(count), first + np.arange(count)] = sign
            yield block


def _certain(
    network: ReluNetwork, directions: FloatArray
) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Return labels and leads of the network without biases that no rounding can change."""
    states, errors = directions, np.zeros_like(directions)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in network.layers:
            # Of sums of n products, in any order; doubled for the roundings of the bound itself.
            unit = 2 * accumulated_error(layer.weight.shape[1] + 6)
            values = np.asarray(layer.weight @ states.T).T
            sizes: Any = abs(layer.weight)
            spread = np.asarray(sizes @ (errors + unit * abs(states)).T).T
            spread = spread * (1 + unit) + _TINY
            states = layer.activate(values)
            steepest = np.maximum(1.0, abs(layer.slope))
            errors = steepest * (spread * (1 + unit) + unit * abs(values)) + _TINY
        label = states.argmax(axis=1)
        at = np.arange(len(label))
        ends = states[at, label] - errors[at, label]
        rivals = states + errors
        rivals[at, label] = -np.inf
        size = abs(states).max(axis=1) + errors.max(axis=1)
        lead = ends - rivals.max(axis=1) - 2 * accumulated_error(8) * size - _TINY
    # Overflow leaves a lead that is infinite or NaN: nothing is known.
    certain = np.isfinite(lead) & np.isfinite(size) & (lead > 0)
    return np.where(certain, label, NO_LABEL), np.where(certain, lead, 0.0)
