"""A linear programme below the number of changes with which a network reaches a label.

Columns p in [0, 1], one for each coordinate and each side of x to which it may move, say how far
it moves; each unit whose phase is open has a positive and a negative part. The least sum p is below
the least number of changes, for sum p <= k is the hull of the points of few changes [1]_. Units
are relaxed by triangles (the ends are those over the points of at most k changes) and by
the concave envelopes of `theory.hamming.ball_envelope`.

No answer of the solver is believed. Whatever its dual values are, weak duality makes of them a
bound that is computed here, with the rounding errors of the rows and of the bound subtracted.

References
----------
.. [1] The hull of the points of few changes in a box scales each coordinate by its range; see
   Shapira, Wiesel, Shabelman and Drachsler-Cohen, Verifying L0 robustness (CAV 2023), for the
   balls.
"""

import math
from typing import NamedTuple

import highspy
import numpy as np
import numpy.typing as npt
from scipy import sparse

from theory.arrays import FloatArray
from theory.hamming.ball_envelope import Majorants, central_majorants, envelope_majorants
from theory.hamming.problem import LabelProblem
from theory.norms import accumulated_error
from theory.relu.bounds import Ends, hamming_ball_bounds
from theory.relu.network import BoolArray, ReluNetwork, dense

Marks = npt.NDArray[np.int8]
"""1, -1 or 0 for each coordinate (changed, unchanged, open) or unit (positive, negative, open)."""

_ROUNDED = float(np.finfo(np.float64).eps)
_VIOLATED = 1e-4
"""Part of a unit's range by which a cut must be violated to be added."""
_NARROW = 1e-9
"""Ends of open units are kept this far from 0: a triangle needs a width."""
_RAYS = tuple(10.0**i for i in range(-3, 10))


class Relaxed(NamedTuple):
    """What the linear programme says of a node.

    Attributes
    ----------
    bound : float
        Certified: no point of the node has fewer changes. Infinite if the node holds no point.
    moves : ndarray, shape (number of columns p,)
        The solver's point; empty if it gave none.
    parts : ndarray, shape (m, 2)
        Positive and negative parts of the m open units there.
    lost, forced : ndarray, shape (number of coordinates,)
        Certified bounds if a coordinate is changed, or is not.
    """

    bound: float
    moves: FloatArray
    parts: FloatArray
    lost: FloatArray
    forced: FloatArray


class Row(NamedTuple):
    """Affine functions of the columns, and by how much rounding may have falsified them."""

    weights: FloatArray
    shifts: FloatArray
    error: FloatArray


class BallRelaxation:
    """The linear programme for points of at most k changes, with cuts, solved node by node.

    Parameters
    ----------
    problem : LabelProblem
        A `ReluNetwork` in a finite box.
    k : int
        At least 1.
    movable : ndarray of bool, shape (n,)
        Coordinates that may change.
    margin : float
        The target's lead that is asked for.
    """

    def __init__(self, problem: LabelProblem, k: int, movable: BoolArray, margin: float) -> None:
        network = problem.classifier
        assert isinstance(network, ReluNetwork)
        x, low = problem.x, np.where(movable, problem.low, problem.x)
        high = np.where(movable, problem.high, problem.x)
        self.problem, self.k, self.margin = problem, k, margin
        up, down = np.flatnonzero(high > x), np.flatnonzero(low < x)
        at = np.concatenate([up, down])
        self.ranges = np.concatenate([(high - x)[up], (low - x)[down]])
        self.coordinates, self.owner = np.unique(at, return_inverse=True)
        self.n_moves = len(at)
        bounds = hamming_ball_bounds(network, x, low, high, min(k, len(x)))
        first = network.layers[0]
        reach = np.abs(x) + np.maximum(np.abs(low), np.abs(high))
        weight = dense(first.weight)
        size = np.abs(weight) @ reach + np.abs(first.bias)
        values = Row(
            weight[:, at] * self.ranges,
            first.affine(x),
            4 * accumulated_error(len(x) + 8) * size,
        )
        units, states = [], values
        self.upper = np.zeros(0)
        self.lower = np.zeros(0)
        for i, (layer, ends) in enumerate(zip(network.layers, bounds.layers, strict=True)):
            if i:
                values = self._affine(dense(layer.weight), layer.bias, states)
            rows, states = self._activated(values, layer.slope, ends)
            units.append(rows)
            if i == 0:
                self._first = rows
        self.units = self._stacked(units)
        self.n_units = len(self.units.shifts)
        leads = np.zeros((len(problem.rivals), network.n_outputs))
        leads[:, problem.target] = 1.0
        leads[np.arange(len(leads)), problem.rivals] = -1.0
        self.leads = self._stacked([self._affine(leads, np.zeros(len(leads)), states)])
        leads_of_units = np.abs(self.leads.weights[:, self.n_moves :]).max(axis=0, initial=0.0)
        self.influence = leads_of_units.reshape(-1, 2).sum(axis=1) + _NARROW
        # How much each coordinate can do to each open unit of the first layer.
        self._gains, self._losses = np.zeros((2, len(self.coordinates), len(self._first.shifts)))
        moved = self._first.weights[:, : self.n_moves].T
        np.maximum.at(self._gains, self.owner, moved)
        np.minimum.at(self._losses, self.owner, moved)
        self._cuts = Majorants(np.zeros((0, self.width)), np.zeros(0))
        self._build()

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.n_moves + 2 * len(self.upper)

    def _affine(self, weight: FloatArray, bias: FloatArray, states: Row) -> Row:
        size = np.abs(states.weights) @ self._ends() + np.abs(states.shifts)
        rounding = 2 * accumulated_error(weight.shape[1] + self.width + 8)
        error = np.abs(weight) @ (states.error + rounding * size) + rounding * np.abs(bias)
        return Row(weight @ states.weights, weight @ states.shifts + bias, error)

    def _ends(self) -> FloatArray:
        """Return the largest values of all columns."""
        parts = np.column_stack([self.upper, -self.lower]).ravel()
        return np.concatenate([np.ones(self.n_moves), parts])

    def _activated(self, values: Row, slope: FloatArray, ends: Ends) -> tuple[Row, Row]:
        """Return the rows of the open units, given columns here, and the outputs of a layer."""
        linear = (slope == 1) | (ends.lower >= 0)
        still = ~linear & (ends.upper <= 0)
        opened = np.flatnonzero(~linear & ~still)
        scale = np.where(still, slope, 1.0)
        before = values.weights.shape[1]
        weights = np.hstack([values.weights * scale[:, None], np.zeros((len(slope), 2 * len(opened)))])
        shifts, error = values.shifts * scale, values.error * np.abs(scale)
        weights[opened], shifts[opened], error[opened] = 0.0, 0.0, 0.0
        columns = before + 2 * np.arange(len(opened))
        weights[opened, columns] = 1.0
        weights[opened, columns + 1] = -slope[opened]
        self.upper = np.append(self.upper, np.maximum(ends.upper[opened], _NARROW))
        self.lower = np.append(self.lower, np.minimum(ends.lower[opened], -_NARROW))
        rows = Row(values.weights[opened], values.shifts[opened], values.error[opened])
        return rows, Row(weights, shifts, error)

    def _stacked(self, rows: list[Row]) -> Row:
        wide = [np.pad(each.weights, ((0, 0), (0, self.width - each.weights.shape[1]))) for each in rows]
        return Row(
            np.vstack(wide),
            np.concatenate([each.shifts for each in rows]),
            np.concatenate([each.error for each in rows]),
        )

    def _build(self) -> None:
        """Pass everything to the solver: units, leads, triangles; cuts are appended later."""
        m = self.n_units
        split = np.zeros((m, self.width))
        at = self.n_moves + 2 * np.arange(m)
        split[np.arange(m), at], split[np.arange(m), at + 1] = 1.0, -1.0
        self._rows = np.vstack([split - self.units.weights, self.leads.weights])
        self._sides = np.concatenate([self.units.shifts, self.margin - self.leads.shifts])
        self._errors = np.concatenate([self.units.error, self.leads.error])
        self._ends_now = self._ends()
        self._sizes = np.abs(self._rows) @ self._ends_now + np.abs(self._sides)
        self._cost = np.concatenate([np.ones(self.n_moves), np.zeros(2 * m)])
        solver = self._solver = highspy.Highs()
        options = {
            "output_flag": False,
            "threads": 1,
            "presolve": "off",
            "solver": "simplex",
            "primal_feasibility_tolerance": 1e-9,
            "dual_feasibility_tolerance": 1e-9,
        }
        for name, value in options.items():
            solver.setOptionValue(name, value)
        model = highspy.HighsLp()
        triangles = np.zeros((m, self.width))
        self._triangles = first, second, side = _triangle(self.lower, self.upper)
        triangles[np.arange(m), at], triangles[np.arange(m), at + 1] = first, second
        matrix = sparse.csc_array(np.vstack([self._rows, triangles]))
        model.num_col_, model.num_row_ = matrix.shape[1], matrix.shape[0]
        model.col_cost_, model.col_lower_ = self._cost, np.zeros(self.width)
        model.col_upper_ = self._ends_now
        infinite = np.full(m, -math.inf)
        above = np.concatenate([self.units.shifts, np.full(len(self.leads.shifts), math.inf)])
        model.row_lower_ = np.concatenate([self._sides, infinite])
        model.row_upper_ = np.concatenate([above, side])
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        solver.passModel(model)
        self._now = (self._cost, self._ends_now)

    def node_ends(self, marks: Marks) -> Ends:
        """Return ends of the open units where coordinates are marked as changed or unchanged."""
        m = self._gains.shape[1]
        free, moved = marks == 0, marks == 1
        left = self.k - int(moved.sum())
        lower, upper = self.lower.copy(), self.upper.copy()
        if m:
            error = 2 * self._first.error + 64 * len(marks) * _ROUNDED * (upper - lower)[:m]
            most = self._gains[moved].sum(axis=0) + _largest(self._gains[free], left)
            least = self._losses[moved].sum(axis=0) - _largest(-self._losses[free], left)
            lower[:m] = np.maximum(lower[:m], self._first.shifts + least - error)
            upper[:m] = np.minimum(upper[:m], self._first.shifts + most + error)
        return Ends(lower, upper)

    def solve(self, marks: Marks, phases: Marks, ends: Ends) -> Relaxed:
        """Return what the relaxation says where coordinates and phases are marked."""
        cost, most = self._cost.copy(), self._ends_now.copy()
        mark = marks[self.owner]
        cost[: self.n_moves][mark == 1] = 0.0
        most[: self.n_moves][mark == -1] = 0.0
        most[self.n_moves :: 2] = np.where(phases == -1, 0.0, np.maximum(ends.upper, 0.0))
        most[self.n_moves + 1 :: 2] = np.where(phases == 1, 0.0, np.maximum(-ends.lower, 0.0))
        changed = int((marks == 1).sum())
        self._pass(cost, most)
        self._solver.setOptionValue("objective_bound", self.k + 1e-3 - changed)
        self._solver.run()
        return self._read(cost, most, changed)

    def _pass(self, cost: FloatArray, most: FloatArray) -> None:
        """Tell the solver what is new since the last node."""
        solver, (old_cost, old_most) = self._solver, self._now
        at = np.flatnonzero(cost != old_cost).astype(np.int32)
        if at.size:
            solver.changeColsCost(len(at), at, cost[at])
        at = np.flatnonzero(most != old_most).astype(np.int32)
        if at.size:
            solver.changeColsBounds(len(at), at, np.zeros(len(at)), most[at])
        self._now = (cost, most)

    def _read(self, cost: FloatArray, most: FloatArray, changed: int) -> Relaxed:
        status = self._solver.getModelStatus()
        solution = self._solver.getSolution()
        none = np.zeros(len(self.coordinates))
        if status == highspy.HighsModelStatus.kInfeasible:
            _, there, ray = self._solver.getDualRay()
            if there:
                for length in _RAYS:
                    for sign in (1.0, -1.0):
                        bound, _ = self._bound(sign * length * ray, cost, most)
                        if bound + changed > self.k:
                            return Relaxed(math.inf, np.zeros(0), np.zeros((0, 2)), none, none)
            return Relaxed(0.0, np.zeros(0), np.zeros((0, 2)), none, none)
        prices = np.array(solution.row_dual)
        if len(prices) != len(self._sides) + self.n_units + len(self._cuts.shifts):
            name = self._solver.modelStatusToString(status)
            raise RuntimeError(f"HiGHS gave up with status {name}")
        bound, reduced = self._bound(prices, cost, most)
        bound += changed
        values = np.array(solution.col_value)
        reduced = reduced[: self.n_moves]
        gone = np.bincount(self.owner, np.minimum(reduced, 0.0) * most[: self.n_moves], len(none))
        kept = np.bincount(self.owner, np.minimum(reduced - 1.0, 0.0), len(none))
        slack = 1e-9
        return Relaxed(
            bound,
            values[: self.n_moves],
            values[self.n_moves :].reshape(-1, 2),
            bound + 1 + kept - gone - slack,
            bound - gone - slack,
        )

    def _bound(
        self, prices: FloatArray, cost: FloatArray, most: FloatArray
    ) -> tuple[float, FloatArray]:
        """Return a lower bound on cost @ columns, and the reduced costs, by weak duality."""
        m, e = self.n_units, len(self._sides)
        rows, flat, cuts = prices[:e].copy(), prices[e : e + m], prices[e + m :]
        rows[m:] = np.maximum(rows[m:], 0.0)
        flat, cuts = np.minimum(flat, 0.0), np.minimum(cuts, 0.0)
        first, second, side = self._triangles
        reduced = cost - rows @ self._rows
        if len(cuts):
            reduced -= cuts @ self._cuts.weights
        reduced[self.n_moves :: 2] -= flat * first
        reduced[self.n_moves + 1 :: 2] -= flat * second
        bound = rows @ self._sides + flat @ side + np.minimum(reduced, 0.0) @ most
        rounding = 4 * accumulated_error(len(prices) + self.width + 8)
        error = np.abs(rows) @ (self._errors + rounding * self._sizes)
        error += rounding * (2 * np.abs(flat) @ (side + self.upper - self.lower) + self.n_moves)
        if len(cuts):
            bound += cuts @ self._cuts.shifts
            error += rounding * (np.abs(cuts) @ self._cut_sizes)
        return float(bound - error), reduced

    def add_cuts(self, relaxed: Relaxed) -> int:
        """Add the majorants of open units that a solver's point violates; return their number."""
        if not self.n_units:
            return 0
        point = np.clip(relaxed.moves, 0.0, 1.0)
        total = point.sum()
        point = point * min(1.0, self.k / total) if total > 0 else point
        values = np.concatenate([relaxed.moves, relaxed.parts.ravel()])
        found = self._majorants(point)
        over = found.weights @ values - found.shifts
        width = np.repeat(self.upper - self.lower, 2)[: len(over)]
        chosen = np.flatnonzero(over > _VIOLATED * width)
        self._append(Majorants(found.weights[chosen], found.shifts[chosen]))
        return len(chosen)

    def start_cuts(self) -> None:
        """Add the majorants that touch at x."""
        if self.n_units:
            self._append(self._majorants(None))

    def drop_slack_cuts(self) -> None:
        """Remove the cuts that do not matter at the solver's last point."""
        base = len(self._sides) + self.n_units
        prices = np.array(self._solver.getSolution().row_dual)[base:]
        if len(prices) != len(self._cuts.shifts):
            return
        slack = np.flatnonzero(prices > -1e-9)
        if slack.size:
            self._solver.deleteRows(len(slack), (base + slack).astype(np.int32))
            kept = np.delete(np.arange(len(prices)), slack)
            self._cuts = Majorants(self._cuts.weights[kept], self._cuts.shifts[kept])
            self._cut_sizes = self._cut_sizes[kept]

    def _append(self, cuts: Majorants) -> None:
        if not len(cuts.shifts):
            return
        matrix = sparse.csr_array(cuts.weights)
        self._solver.addRows(
            len(cuts.shifts),
            np.full(len(cuts.shifts), -math.inf),
            cuts.shifts,
            matrix.nnz,
            matrix.indptr.astype(np.int32),
            matrix.indices.astype(np.int32),
            matrix.data,
        )
        self._cuts = Majorants(
            np.vstack([self._cuts.weights, cuts.weights]),
            np.concatenate([self._cuts.shifts, cuts.shifts]),
        )
        self._cut_sizes = np.abs(self._cuts.weights) @ self._ends_now + np.abs(self._cuts.shifts)

    def _majorants(self, point: FloatArray | None) -> Majorants:
        """Return cuts: part - weights @ moves <= shift, the parts of each unit one after another.

        Open units of the first layer are affine in p. Those above are between affine functions of
        p, in which the majorants of the units below take the place of these.
        """
        n, m, k = self.n_moves, self.n_units, self.k
        # Upper and lower affine functions of p for each part.
        above, above_shift = np.zeros((2 * m, n)), np.zeros(2 * m)
        below, below_shift = np.zeros((2 * m, n)), np.zeros(2 * m)
        sizes = np.zeros(2 * m)
        start = 0
        while start < m:
            # Units of one layer do not depend on each other.
            columns = self.units.weights[start:, n + 2 * start :].any(axis=1)
            stop = start + (int(np.argmax(columns)) if columns.any() else m - start)
            stop = max(stop, start + 1)
            rows = slice(start, stop)
            direct = self.units.weights[rows, :n]
            parts = self.units.weights[rows, n : n + 2 * start]
            shift, error = self.units.shifts[rows], self.units.error[rows]
            positive, negative = np.maximum(parts, 0.0), np.minimum(parts, 0.0)
            known = slice(0, 2 * start)
            high = direct + positive @ above[known] + negative @ below[known]
            high_shift = shift + positive @ above_shift[known] + negative @ below_shift[known]
            low = direct + positive @ below[known] + negative @ above[known]
            low_shift = shift + positive @ below_shift[known] + negative @ above_shift[known]
            size = np.abs(parts) @ sizes[known] + np.abs(direct).sum(axis=1) + np.abs(shift)
            slop = error + 4 * accumulated_error(2 * start + n + 8) * size
            high_shift, low_shift = high_shift + slop, low_shift - slop
            on = _majorants(high, high_shift, point, k)
            off = _majorants(-low, -low_shift, point, k)
            first, second = slice(2 * start, 2 * stop, 2), slice(2 * start + 1, 2 * stop, 2)
            above[first], above_shift[first] = on.weights, on.shifts
            above[second], above_shift[second] = off.weights, off.shifts
            # max(0, z) is above 0 and above z: the better one at the point.
            at = np.zeros(n) if point is None else point
            for part, weight, offset in ((first, low, low_shift), (second, -high, -high_shift)):
                rises = weight @ at + offset > 0
                below[part] = np.where(rises[:, None], weight, 0.0)
                below_shift[part] = np.where(rises, offset, 0.0)
            for part in (first, second):
                sizes[part] = (
                    np.abs(above[part]).sum(axis=1)
                    + np.abs(above_shift[part])
                    + np.abs(below[part]).sum(axis=1)
                    + np.abs(below_shift[part])
                )
            start = stop
        weights = np.hstack([-above, np.eye(2 * m)])
        return Majorants(weights, above_shift)

    def point(self, moves: FloatArray) -> FloatArray:
        """Return the point of the box that given columns p stand for."""
        change = np.bincount(self.owner, moves * self.ranges, len(self.coordinates))
        return self.problem.moved(self.coordinates.tolist(), change)


def _majorants(
    weights: FloatArray, shifts: FloatArray, point: FloatArray | None, k: int
) -> Majorants:
    if point is None:
        return central_majorants(weights, shifts, k)
    return envelope_majorants(weights, shifts, point, k)


def _triangle(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the row under which positive and negative part of a unit are not both large."""
    width = upper - lower
    return -lower / width, upper / width, -lower * upper / width


def _largest(rows: FloatArray, k: int) -> FloatArray:
    """Return the sums of the k largest entries of each column."""
    n = len(rows)
    if k >= n or not n:
        return np.asarray(rows.sum(axis=0))
    if k <= 0:
        return np.zeros(rows.shape[1])
    return np.asarray(np.partition(rows, n - k, axis=0)[n - k :].sum(axis=0))
