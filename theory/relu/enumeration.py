"""All activation regions of a small network, one after another.

Depth first, unit by unit: the interior point of a region says on which side of the next unit it
is, and a linear programme, if no short way does, whether the region has another side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import highspy
import numpy as np

from theory.arrays import FloatArray
from theory.relu.layer import BoolArray, Matrix, magnitudes
from theory.relu.network import ReluNetwork
from theory.relu.region import Box, ends

_LEAST = 1e-8
"""Radius of the largest ball of a region below which it is taken for empty."""
_COMFORT = 1e-4
"""Room on the other side of a unit with which an interior point that was found so is kept."""
_ROUNDING = 1e-13
"""Part of the sum of its absolute terms below which a coefficient cannot be told from 0."""


class ActivationRegion(NamedTuple):
    """An activation region and a point in its interior.

    Attributes
    ----------
    pattern : ndarray of bool, shape (n_units,)
    point : ndarray, shape (n,)
    """

    pattern: BoolArray
    point: FloatArray


@dataclass(frozen=True, eq=False)
class _Node:
    """A region of the units so far.

    `n_rows` of its half-spaces are those of the node that it came from, and `row` is one more;
    `forms` are the units of layer number `layer` as affine functions, of which `unit` is next.
    """

    n_rows: int
    row: FloatArray | None
    point: FloatArray
    phases: tuple[bool, ...]
    layer: int
    unit: int
    forms: FloatArray


def activation_regions(network: ReluNetwork, box: Box | None = None) -> Iterator[ActivationRegion]:
    """Yield all activation regions that have an interior, within a box.

    Parameters
    ----------
    network : ReluNetwork
    box : pair of array_like, optional
        Lower and upper ends of all coordinates, numbers or of shape (n_inputs,), possibly
        infinite. Without one, the whole space.

    Yields
    ------
    ActivationRegion
        Each once. A unit that is 0 throughout a region is not positive there. Regions that hold
        no ball of radius 1e-8 are left out: inputs should be of the order of 1.

    Raises
    ------
    ValueError
        If the box is malformed.
    RuntimeError
        If a linear programme was not solved.

    References
    ----------
    Rada and Cerny, A new algorithm for enumeration of cells of hyperplane arrangements and a
    comparison with Avis and Fukuda's reverse search (SIAM J. Discrete Math. 2018).

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> sorted(region.pattern.tolist() for region in activation_regions(absolute))
    [[False, True], [True, False]]
    """
    interior = _Interior(network.n_inputs, box)
    start = interior.point()
    if start is None:
        return
    n = network.n_inputs
    forms = _forms(network, 0, np.eye(n, n + 1))
    stack = [_Node(interior.n_rows, None, start, (), 0, 0, forms)]
    while stack:
        node = stack.pop()
        interior.cut_back(node.n_rows)
        if node.row is not None:
            interior.add(node.row)
        point, forms, phases = node.point, node.forms, list(node.phases)
        unit = node.unit
        for layer in range(node.layer, len(network.layers)):
            hinges = network.layers[layer].hinges
            first = len(phases) - unit
            for k in range(unit, len(hinges)):
                form = forms[hinges[k]]
                length = float(np.linalg.norm(form[:n]))
                if length == 0.0:
                    phases.append(bool(form[n] > 0))
                    continue
                row = form / length
                own, other = interior.sides(row, point)
                positive = bool(own is not None and row[:n] @ own + row[n] > 0)
                if own is None or other is None:
                    inside = own if own is not None else other
                    point = point if inside is None else inside
                    phases.append(bool(row[:n] @ point + row[n] > 0))
                    continue
                rest = (*phases, not positive)
                turned = -row if positive else row
                stack.append(_Node(interior.n_rows, turned, other, rest, layer, k + 1, forms))
                interior.add(-turned)
                point = own
                phases.append(positive)
            unit = 0
            if layer + 1 < len(network.layers):
                scale = network.layers[layer].slope.copy()
                scale[hinges[np.array(phases[first:], dtype=bool)]] = 1.0
                forms = _forms(network, layer + 1, scale[:, None] * forms)
        yield ActivationRegion(np.array(phases, dtype=bool), point)


def n_activation_regions(network: ReluNetwork, box: Box | None = None) -> int:
    """Return the number of activation regions that have an interior, within a box.

    Neighbours on which the outputs are one affine function count as two: linear regions may be
    fewer.

    Raises
    ------
    ValueError
        If the box is malformed.
    RuntimeError
        If a linear programme was not solved.

    Examples
    --------
    >>> lines = ReluNetwork([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
    >>> n_activation_regions(lines), n_activation_regions(lines, (0, 1))
    (7, 2)
    """
    return sum(1 for _ in activation_regions(network, box))


def _forms(network: ReluNetwork, index: int, states: FloatArray) -> FloatArray:
    """Return a layer's units as affine functions of the input, (m, n + 1), from its inputs'."""
    layer = network.layers[index]
    found = _product(layer.weight, states)
    found[:, -1] += layer.bias
    size = _product(magnitudes(layer), np.abs(states))
    size[:, -1] += np.abs(layer.bias)
    found[np.abs(found) <= _ROUNDING * size] = 0.0
    return found


def _product(weight: Matrix, states: FloatArray) -> FloatArray:
    return np.asarray(weight @ states)


class _Interior:
    """A stack of half-spaces row @ (z, 1) >= 0, |normal| = 1, and points far from their sides.

    The solver keeps its basis between programmes, which differ in few rows.
    """

    def __init__(self, n: int, box: Box | None) -> None:
        self._n = n
        self._rows = np.empty((64, n + 1))
        self.n_rows = 0
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        self._solver.setOptionValue("output_flag", False)
        for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            self._solver.setOptionValue(name, 1e-10)
        for _ in range(n):
            self._solver.addVar(-highspy.kHighsInf, highspy.kHighsInf)
        # The last variable is the distance from all sides.
        self._solver.addVar(-highspy.kHighsInf, 1.0)
        self._solver.changeColCost(n, -1.0)
        self._low, self._high = ends(box, n)
        for j in range(n):
            for sign, end in ((1.0, self._low[j]), (-1.0, self._high[j])):
                if np.isfinite(end):
                    row = np.zeros(n + 1)
                    row[j], row[n] = sign, -sign * end
                    self.add(row)

    def add(self, row: FloatArray) -> None:
        """Put a half-space on the stack."""
        if self.n_rows == len(self._rows):
            self._rows = np.vstack([self._rows, np.empty_like(self._rows)])
        self._rows[self.n_rows] = row
        self.n_rows += 1
        n = self._n
        values = np.append(row[:n], -1.0)
        self._solver.addRow(-row[n], highspy.kHighsInf, n + 1, np.arange(n + 1), values)

    def cut_back(self, n_rows: int) -> None:
        """Take half-spaces off the stack until so many are left."""
        if n_rows < self.n_rows:
            gone = np.arange(n_rows, self.n_rows)
            self._solver.deleteRows(len(gone), gone)
            self.n_rows = n_rows

    def sides(
        self, row: FloatArray, point: FloatArray
    ) -> tuple[FloatArray | None, FloatArray | None]:
        """Return interior points on the side of a unit where a point is, and on the other one."""
        n = self._n
        value = float(row[:n] @ point + row[n])
        turn = 1.0 if value > 0 else -1.0
        own = point if abs(value) > _COMFORT else self._point_with(turn * row)
        return own, self._across(-turn * row, point, abs(value))

    def _across(self, row: FloatArray, point: FloatArray, distance: float) -> FloatArray | None:
        """Return an interior point beyond a unit, straight ahead if there is room."""
        n, rows = self._n, self._rows[: self.n_rows]
        # Most units of a wide network have one sign in a small box: no programme is needed.
        used = row[:n] != 0
        farthest = np.where(row[:n] > 0, self._high, self._low)[used]
        if row[:n][used] @ farthest + row[n] <= 0:
            return None
        closing = -(rows[:, :n] @ row[:n])
        ahead = closing > 0
        room = rows[ahead, :n] @ point + rows[ahead, n]
        reach = float(np.min(room / closing[ahead], initial=distance + 2.0))
        if reach - distance > 2 * _COMFORT:
            moved = np.asarray(point + (distance + reach) / 2 * row[:n])
            if self._radius(moved, row) > _COMFORT:
                return moved
        return self._point_with(row)

    def _point_with(self, row: FloatArray) -> FloatArray | None:
        self.add(row)
        found = self.point()
        self.cut_back(self.n_rows - 1)
        return found

    def _radius(self, point: FloatArray, row: FloatArray) -> float:
        n, rows = self._n, self._rows[: self.n_rows]
        inside = float(np.min(rows[:, :n] @ point + rows[:, n], initial=np.inf))
        return min(inside, float(row[:n] @ point + row[n]))

    def point(self) -> FloatArray | None:
        """Return a point as far as it can be, or 1, from all sides; None if there is no room."""
        if not self.n_rows:
            return np.zeros(self._n)
        self._solver.run()
        if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            # From the basis that it kept the solver sometimes gets nowhere; from none it does.
            self._solver.clearSolver()
            self._solver.run()
        status = self._solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"HiGHS gave up with status {status}")
        best = np.array(self._solver.getSolution().col_value)
        # The solver's own tolerance is in the margin: what counts is the point's distance.
        rows = self._rows[: self.n_rows]
        radius = float(np.min(rows[:, :-1] @ best[:-1] + rows[:, -1]))
        return best[:-1] if radius > _LEAST else None
