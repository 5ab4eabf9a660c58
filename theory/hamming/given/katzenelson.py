"""The next direction of a path whose outputs stay on a line, region by region.

A region is told by its pattern, which is carried along: at a point where units are 0, evaluating
the network cannot say on which side the path goes on.
"""

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.relu.layer import AffineMap, BoolArray, Piece
from theory.relu.network import ReluNetwork

Indices = npt.NDArray[np.intp]

_RANK = 1e-9
"""Singular values below this part of the largest count as 0."""
_SAME = 1e-10
"""Part of the size of its terms below which a unit's value counts as 0."""
_PARALLEL = 1e-13
"""Part of the largest rate below which a unit's rate counts as 0."""
_NEAR = 1e-6
"""Part of the largest value below which a unit is looked at more closely."""
_LARGE = 1e6
"""Size of changes, for outputs to change by 1, above which a matrix may be singular."""
_BEND = 10.0
"""Speed away from a facet, in units of that towards it which had to be corrected, plus one."""
_MOST_PATTERNS = 256


@dataclass(frozen=True, eq=False)
class Line:
    """rows @ outputs = start + progress * direction, in a network of k inputs.

    Attributes
    ----------
    network : ReluNetwork
    rows : ndarray, shape (r, K)
    direction : ndarray, shape (r,)
    """

    network: ReluNetwork
    rows: FloatArray
    direction: FloatArray

    @cached_property
    def _first_of_last(self) -> int:
        """The first unit of a layer of hinges only, right before linear outputs."""
        *before, last = self.network.layers
        if not before or len(last.hinges) or len(before[-1].hinges) < len(before[-1].bias):
            return self.network.n_units
        return self.network.n_units - len(before[-1].bias)

    def piece(self, move: "Move", pattern: BoolArray) -> Piece:
        """Return the piece of a pattern, given that of a neighbouring region."""
        first = self._first_of_last
        if first == len(pattern) or np.any(pattern[:first] != move.pattern[:first]):
            return self.network.piece(pattern)
        # The units' own values are what they were; only what they hand on differs.
        units, (*_, hidden, last) = move.piece.units, self.network.layers
        scale = np.where(pattern[first:], 1.0, hidden.slope)
        weight = np.asarray(last.weight @ (scale[:, None] * units.weight[first:]))
        bias = np.asarray(last.weight @ (scale * units.bias[first:])) + last.bias
        return Piece(units, AffineMap(weight, bias))


class Move(NamedTuple):
    """A direction of length 1 in a region.

    Attributes
    ----------
    pattern : ndarray of bool
    piece : Piece
    change : ndarray, shape (k,)
    forward : float
        Progress on the line for a step of length 1; negative on the way back.
    """

    pattern: BoolArray
    piece: Piece
    change: FloatArray
    forward: float


def first_move(line: Line, change: FloatArray) -> Move | None:
    """Return a direction in which the outputs move forward, None if there is none."""
    pattern = line.network.pattern(change)
    ties = _zeros(line.network.piece(pattern).units, change)
    for candidate in _patterns(pattern, ties, ties[:0]):
        move = _into(line, candidate, line.network.piece(candidate), ties, np.zeros(len(change)))
        if move is not None and move.forward > 0:
            return move
    return None


def next_move(line: Line, move: Move, change: FloatArray, crossed: int) -> Move | None:
    """Return the direction behind the point where a unit has become 0, None if there is none.

    Where several units are 0 at once, the patterns of all sides are tried, but for the one that the
    path comes from.
    """
    ties = _zeros(move.piece.units, change)
    if crossed not in ties.tolist():
        ties = np.append(ties, crossed)
    speed = move.change / move.forward if move.forward > 0 else np.zeros(len(change))
    back: Move | None = None
    for candidate in _patterns(move.pattern, ties, np.array([crossed])):
        found = _into(line, candidate, line.piece(move, candidate), ties, speed)
        if found is None:
            continue
        if found.forward * move.forward >= 0:
            return found
        back = back or found
    return back


def crossing(move: Move, change: FloatArray) -> tuple[float, int]:
    """Return how far a move may go before a unit becomes 0, and which unit."""
    units = move.piece.units
    if not len(units.bias):
        return math.inf, -1
    side = np.where(move.pattern, 1.0, -1.0)
    closing = -side * (units.weight @ move.change)
    # Rounding may have carried a unit beyond 0: it is crossed at once.
    distance = np.maximum(side * (units.weight @ change + units.bias), 0.0)
    lengths = np.full(len(side), math.inf)
    closes = closing > _PARALLEL * np.abs(closing).max()
    np.divide(distance, closing, out=lengths, where=closes)
    first = int(lengths.argmin())
    return float(lengths[first]), first


def _zeros(units: AffineMap, change: FloatArray) -> Indices:
    """Return the units that are 0 but for rounding."""
    values = np.abs(units(change))
    near = np.flatnonzero(values <= _NEAR * values.max(initial=0.0))
    if not len(near):
        return near
    size = np.abs(units.weight[near]) @ np.abs(change) + np.abs(units.bias[near])
    return near[values[near] <= _SAME * size]


def _patterns(pattern: BoolArray, ties: Indices, crossed: Indices) -> Iterator[BoolArray]:
    """Yield the patterns around a point: those most likely to be entered come first."""
    at = sorted(ties.tolist())
    first = [tuple(crossed.tolist()), tuple(at)]
    every = (chosen for size in range(len(at) + 1) for chosen in itertools.combinations(at, size))
    seen = set() if len(crossed) == 0 else {()}
    for flipped in itertools.islice(itertools.chain(first, every), _MOST_PATTERNS):
        if flipped not in seen:
            seen.add(flipped)
            found = pattern.copy()
            found[list(flipped)] ^= True
            yield found


def _into(
    line: Line, pattern: BoolArray, piece: Piece, ties: Indices, speed: FloatArray
) -> Move | None:
    """Return the direction in a region, if it leads from a point of its boundary into it."""
    matrix = line.rows @ piece.outputs.weight
    side = np.where(pattern[ties], 1.0, -1.0)
    inward = side[:, None] * piece.units.weight[ties]
    if matrix.shape[0] == matrix.shape[1]:
        found = _determined(matrix, line.direction, inward)
    else:
        found = _free(matrix, line.direction, inward, speed)
    return None if found is None else Move(pattern, piece, *found)


def _enters(inward: FloatArray, change: FloatArray) -> bool:
    rates = inward @ change
    return bool(np.all(rates >= -_SAME * np.abs(inward).sum(axis=1)))


def _determined(
    matrix: FloatArray, direction: FloatArray, inward: FloatArray
) -> tuple[FloatArray, float] | None:
    """Return the null vector of changes and place on the line, turned inward."""
    length = math.sqrt(direction @ direction)
    change, forward = _null_vector(matrix, direction / length)
    if change is None:
        return None
    size = math.sqrt(change @ change)
    change, forward = change / size, forward / (size * length)
    for sign in (1.0, -1.0) if forward >= 0 else (-1.0, 1.0):
        if _enters(inward, sign * change):
            return sign * change, sign * forward
    return None


def _null_vector(matrix: FloatArray, unit: FloatArray) -> tuple[FloatArray | None, float]:
    """Return changes and step with matrix @ changes = step * unit, None if there are several."""
    with contextlib.suppress(np.linalg.LinAlgError):
        change = np.asarray(np.linalg.solve(matrix, unit), dtype=np.float64)
        if np.abs(change).max() < _LARGE:
            return change, 1.0
    _, sizes, right = np.linalg.svd(np.column_stack([matrix, -unit]))
    if sizes[-1] <= _RANK * sizes[0]:
        return None, 0.0
    # A singular matrix: the outputs stand still while the inputs cross the region.
    step = float(right[-1, -1])
    return right[-1, :-1], step if abs(step) > _RANK else 0.0


def _free(
    matrix: FloatArray, direction: FloatArray, inward: FloatArray, last: FloatArray
) -> tuple[FloatArray, float] | None:
    """Return the change along the line nearest to the last one, bent inward by null vectors.

    The shortest change instead of the nearest would lead to corners around which paths turn for
    ever: it comes back to facets that it has just left.
    """
    basis, triangle = np.linalg.qr(matrix.T)
    sizes = np.abs(np.diagonal(triangle))
    if not sizes.min() > _RANK * sizes.max():
        return None
    change = last + basis @ np.linalg.solve(triangle.T, direction - matrix @ last)
    forward = 1.0
    rates = inward @ change
    if rates.min(initial=0.0) < 0:
        rows = inward[rates < 0]
        # What null vectors can do for these units.
        free = rows - (rows @ basis) @ basis.T
        free[np.linalg.norm(free, axis=1) <= _RANK * np.linalg.norm(rows, axis=1)] = 0.0
        bent = change + np.linalg.lstsq(free, -_BEND * rates[rates < 0], rcond=_RANK)[0]
        if np.all(inward @ bent >= 0):
            change = bent
        else:
            change, forward = -change, -1.0
    size = math.sqrt(change @ change)
    return (change / size, forward / size) if _enters(inward, change / size) else None
