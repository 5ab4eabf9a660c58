"""Where the units of a network change phase along a segment.

The values of a layer are affine between the breakpoints of the layers before it, so they are known
from those at the breakpoints; where one changes its sign between two, there is a new breakpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.relu.layer import BoolArray, Layer, magnitudes

_SAME_TIME = 1e-12
"""Parameters closer than this are one: units that cross together do so up to rounding."""
_ROUNDING = 1e-13
"""Part of the sum of its absolute terms below which a value cannot be told from 0."""


@dataclass(frozen=True, eq=False)
class Crossings:
    """The pieces that a network cuts a segment x + t (y - x), 0 <= t <= 1, into.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        The ends.
    times : ndarray, shape (c,)
        Parameters in (0, 1) at which a unit changes phase, in order; one entry for each unit.
    units : ndarray of int, shape (c,)
        The unit that changes, as an index into the pattern.
    breakpoints : ndarray, shape (p + 1,)
        0, the distinct times, 1.
    patterns : ndarray of bool, shape (p, n_units)
        Phases between neighbouring breakpoints. A unit that is 0 on a whole piece is not positive
        there.
    slopes : ndarray, shape (p, n_outputs)
        Derivatives of the outputs with respect to t on each piece.
    joined : ndarray of bool, shape (p - 1,)
        Whether the outputs have no kink between a piece and the next, up to rounding.
    """

    x: FloatArray
    y: FloatArray
    times: FloatArray
    units: npt.NDArray[np.intp]
    breakpoints: FloatArray
    patterns: BoolArray
    slopes: FloatArray
    joined: BoolArray

    @property
    def n_pieces(self) -> int:
        """The number of activation regions that are met along the segment."""
        return len(self.patterns)

    @property
    def n_linear_pieces(self) -> int:
        """The number of pieces on which the outputs are affine, neighbours that agree merged."""
        return self.n_pieces - int(self.joined.sum())

    @cached_property
    def middles(self) -> FloatArray:
        """The parameter halfway along each piece, shape (p,)."""
        return (self.breakpoints[:-1] + self.breakpoints[1:]) / 2

    def points(self, times: npt.ArrayLike | None = None) -> FloatArray:
        """Return points of the segment, shape (..., n), by default those of the breakpoints."""
        t = np.asarray(self.breakpoints if times is None else times, dtype=np.float64)[..., None]
        return np.asarray((1 - t) * self.x + t * self.y)


def crossings(layers: Sequence[Layer], start: FloatArray, end: FloatArray) -> Crossings:
    """Return where units change phase on the way from start to end.

    Parameters
    ----------
    layers : sequence of Layer
    start, end : ndarray, shape (n_inputs,)

    Returns
    -------
    Crossings
        Exact up to rounding: times within 1e-12 of each other are one, and a value is 0 that is
        within 1e-13 of it, relative to the sum of its absolute terms.

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> tent = ([[2.0], [4.0]], [0.0, -2.0]), ([[1.0, -1.0]], [0.0])
    >>> twice = ReluNetwork([tent[0], ([[2.0, -2.0], [4.0, -4.0]], [0.0, -2.0]), tent[1]])
    >>> found = crossings(twice.layers, np.zeros(1), np.ones(1))
    >>> found.times.tolist(), found.units.tolist(), found.slopes.ravel().tolist()
    ([0.25, 0.5, 0.75], [3, 1, 3], [4.0, -4.0, 4.0, -4.0])
    """
    at, states = np.array([0.0, 1.0]), np.array([start, end])
    # Absolute values, or where a value was interpolated those that it was made of.
    sizes = np.abs(states)
    seen: list[tuple[FloatArray, BoolArray]] = []
    for layer in layers:
        values = layer.affine(states)
        terms = np.asarray(magnitudes(layer) @ sizes.T).T + np.abs(layer.bias)
        values[np.abs(values) <= _ROUNDING * terms] = 0.0
        at, values, sizes = _refined(at, values, layer.hinges)
        # A unit without an interior crossing has one sign between breakpoints, 0 included.
        ends = values[:, layer.hinges]
        seen.append((at, (ends[:-1] > 0) | (ends[1:] > 0)))
        states = layer.activate(values)
        sizes = np.where(values >= 0, 1.0, np.abs(layer.slope)) * sizes
    patterns = np.hstack(
        [phases[np.searchsorted(times, at[:-1], side="right") - 1] for times, phases in seen]
    )
    changes = patterns[:-1] != patterns[1:]
    piece, unit = np.nonzero(changes)
    keep = changes.any(axis=1)
    breakpoints = at[np.concatenate([[True], keep, [True]])]
    distinct = patterns[np.concatenate([[True], keep])]
    slopes, error = _slopes(layers, end - start, distinct)
    joined = np.all(np.abs(np.diff(slopes, axis=0)) <= np.maximum(error[:-1], error[1:]), axis=1)
    return Crossings(start, end, at[1:-1][piece], unit, breakpoints, distinct, slopes, joined)


def _refined(
    at: FloatArray, values: FloatArray, hinges: npt.NDArray[np.intp]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return breakpoints with the places between them where hinges change sign, values, sizes."""
    signs = np.sign(values[:, hinges]).astype(np.int8)
    interval, column = np.nonzero(signs[:-1] * signs[1:] < 0)
    if not interval.size:
        return at, values, np.abs(values)
    unit = hinges[column]
    first, last = values[interval, unit], values[interval + 1, unit]
    times = at[interval] + (at[interval + 1] - at[interval]) * (first / (first - last))
    order = np.argsort(times, kind="stable")
    interval, unit, times = interval[order], unit[order], times[order]
    # Of times that are one, and of a time and an old breakpoint that are, one breakpoint is made.
    to_left = times - at[interval] <= _SAME_TIME
    to_right = ~to_left & (at[interval + 1] - times <= _SAME_TIME)
    inside = ~(to_left | to_right)
    new, new_interval = times[inside], interval[inside]
    leads = np.ones(len(new), dtype=bool)
    leads[1:] = (np.diff(new) > _SAME_TIME) | (np.diff(new_interval) > 0)
    made, made_interval = new[leads], new_interval[leads]
    merged = np.concatenate([at, made])
    place = np.argsort(merged, kind="stable")
    merged = merged[place]
    share = ((made - at[made_interval]) / (at[made_interval + 1] - at[made_interval]))[:, None]
    # Between values of one sign, or 0 and 0, this sum has that sign, or is 0, rounded too.
    between = (1 - share) * values[made_interval] + share * values[made_interval + 1]
    absolute = np.abs(values)
    made_of = (1 - share) * absolute[made_interval] + share * absolute[made_interval + 1]
    refined = np.concatenate([values, between])[place]
    sizes = np.concatenate([absolute, made_of])[place]
    where = np.argsort(place)
    row = np.where(to_left, where[interval], where[interval + 1])
    row[inside] = where[len(at) + np.cumsum(leads) - 1]
    refined[row, unit] = 0.0
    return merged, refined, sizes


def _slopes(
    layers: Sequence[Layer], direction: FloatArray, patterns: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return derivatives of the outputs along a direction for each pattern, and rounding errors."""
    state, size, first = direction[None, :], np.abs(direction)[None, :], 0
    for layer in layers:
        values = np.asarray(layer.weight @ state.T).T
        size = np.asarray(magnitudes(layer) @ size.T).T
        last = first + len(layer.hinges)
        scale = np.broadcast_to(layer.slope, (len(patterns), len(layer.slope))).copy()
        scale[:, layer.hinges] = np.where(patterns[:, first:last], 1.0, layer.slope[layer.hinges])
        state, size, first = scale * values, np.abs(scale) * size, last
    return state, _ROUNDING * size
