"""A linear programme below the number of changes with which a network reaches a label.

Columns p in [0, 1], one for each coordinate and each side of x to which it may move, say how far
it moves; each unit whose phase is open has a positive and a negative part. The least sum p is below
the least number of changes, for sum p <= k is the hull of the points of few changes [1]_. Units
are relaxed by triangles (the ends are those over the points of at most k changes) and by
the concave envelopes of `theory.hamming.exact.envelope`.

No answer of the solver is believed. Whatever its dual values are, weak duality makes of them a
bound that is computed here, with the rounding errors of the rows and of the bound subtracted.

References
----------
.. [1] Y. Shapira, D. Drachsler-Cohen, "Tight robustness certification through the convex hull of
   l0 attacks", AAAI 2026, arXiv:2511.10576: the hull of the points of few changes in a box is the
   box, cut by one half-space in which each coordinate counts in units of its range.
"""

import math
from typing import Any, NamedTuple

import highspy
import numpy as np
import numpy.typing as npt
from scipy import sparse

from theory.arrays import FloatArray
from theory.hamming.exact.envelope import Majorants
from theory.hamming.exact.rows import BallRows
from theory.hamming.problem import LabelProblem
from theory.norms import accumulated_error
from theory.relu.bounds import Ends
from theory.relu.layer import BoolArray

Marks = npt.NDArray[np.int8]
"""1, -1 or 0 for each coordinate (changed, unchanged, open) or unit (positive, negative, open)."""

_ROUNDED = float(np.finfo(np.float64).eps)
_VIOLATED = 1e-4
"""Part of a unit's range by which a cut must be violated to be added."""
_OPTIONS: dict[str, bool | int | float | str] = {
    "output_flag": False,
    "threads": 1,
    "presolve": "off",
    "solver": "simplex",
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}
"""Each programme starts at the basis of the last one."""
_SLACK = 1e-9
"""More than the rounding errors of what a mark adds to a bound."""
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
        self.rows = rows = BallRows(problem, k, movable)
        self.problem, self.k, self.margin = problem, k, margin
        self.n_moves, self.n_units = rows.n_moves, rows.n_units
        influence = np.abs(rows.leads.weights[:, rows.n_moves :]).max(axis=0, initial=0.0)
        # Layers above come later: what they do to the leads is known first.
        for i in reversed(range(rows.n_units)):
            above = influence[2 * i] + influence[2 * i + 1]
            influence += above * np.abs(rows.units.weights[i, rows.n_moves :])
        self.influence = influence.reshape(-1, 2).sum(axis=1)
        # How much each coordinate can do to each open unit of the first layer.
        moved = rows.units.weights[: rows.n_first, : rows.n_moves].T
        self._gains, self._losses = np.zeros((2, len(rows.coordinates), rows.n_first))
        np.maximum.at(self._gains, rows.owner, moved)
        np.minimum.at(self._losses, rows.owner, moved)
        self._cuts = Majorants(np.zeros((0, rows.width)), np.zeros(0))
        self._cut_sizes = np.zeros(0)
        self._build()

    def _build(self) -> None:
        """Pass everything to the solver: units, leads, triangles; cuts are appended later."""
        m = self.n_units
        split = np.zeros((m, self.rows.width))
        at = self.n_moves + 2 * np.arange(m)
        split[np.arange(m), at], split[np.arange(m), at + 1] = 1.0, -1.0
        self._matrix = np.vstack([split - self.rows.units.weights, self.rows.leads.weights])
        self._sides = np.concatenate([self.rows.units.shifts, self.margin - self.rows.leads.shifts])
        self._errors = np.concatenate([self.rows.units.error, self.rows.leads.error])
        self._ends_now = self.rows.ends()
        self._sizes = np.abs(self._matrix) @ self._ends_now + np.abs(self._sides)
        self._cost = np.concatenate([np.ones(self.n_moves), np.zeros(2 * m)])
        # The stubs know less of the solver than there is.
        made: Any = highspy.Highs
        solver = self._solver = made()
        for name, value in _OPTIONS.items():
            solver.setOptionValue(name, value)
        model = highspy.HighsLp()
        triangles = np.zeros((m, self.rows.width))
        self._triangles = first, second, side = _triangle(self.rows.lower, self.rows.upper)
        triangles[np.arange(m), at], triangles[np.arange(m), at + 1] = first, second
        matrix = sparse.csc_array(np.vstack([self._matrix, triangles]))
        model.num_col_, model.num_row_ = matrix.shape[1], matrix.shape[0]
        model.col_cost_, model.col_lower_ = self._cost, np.zeros(self.rows.width)
        model.col_upper_ = self._ends_now
        infinite = np.full(m, -math.inf)
        above = np.concatenate(
            [self.rows.units.shifts, np.full(len(self.rows.leads.shifts), math.inf)]
        )
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
        lower, upper = self.rows.lower.copy(), self.rows.upper.copy()
        if m:
            error = 2 * self.rows.units.error[:m] + 64 * len(marks) * _ROUNDED * (upper - lower)[:m]
            most = self._gains[moved].sum(axis=0) + _largest(self._gains[free], left)
            least = self._losses[moved].sum(axis=0) - _largest(-self._losses[free], left)
            lower[:m] = np.maximum(lower[:m], self.rows.units.shifts[:m] + least - error)
            upper[:m] = np.minimum(upper[:m], self.rows.units.shifts[:m] + most + error)
        return Ends(lower, upper)

    def solve(self, marks: Marks, phases: Marks, ends: Ends) -> Relaxed:
        """Return what the relaxation says where coordinates and phases are marked."""
        cost, most = self._cost.copy(), self._ends_now.copy()
        mark = marks[self.rows.owner]
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
        none = np.zeros(len(self.rows.coordinates))
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
        gone = self.totals(np.minimum(reduced, 0.0) * most[: self.n_moves])
        kept = self.totals(np.minimum(reduced - 1.0, 0.0))
        return Relaxed(
            bound,
            values[: self.n_moves],
            values[self.n_moves :].reshape(-1, 2),
            bound + 1 + kept - gone - _SLACK,
            bound - gone - _SLACK,
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
        reduced = cost - rows @ self._matrix
        if len(cuts):
            reduced -= cuts @ self._cuts.weights
        reduced[self.n_moves :: 2] -= flat * first
        reduced[self.n_moves + 1 :: 2] -= flat * second
        bound = rows @ self._sides + flat @ side + np.minimum(reduced, 0.0) @ most
        rounding = 4 * accumulated_error(len(prices) + self.rows.width + 8)
        error = np.abs(rows) @ (self._errors + rounding * self._sizes)
        error += rounding * (
            2 * np.abs(flat) @ (side + self.rows.upper - self.rows.lower) + self.n_moves
        )
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
        found = self.rows.majorants(point)
        over = found.weights @ values - found.shifts
        width = np.repeat(self.rows.upper - self.rows.lower, 2)[: len(over)]
        chosen = np.flatnonzero(over > _VIOLATED * width)
        self._append(Majorants(found.weights[chosen], found.shifts[chosen]))
        return len(chosen)

    def start_cuts(self) -> None:
        """Add the majorants that touch at x."""
        if self.n_units:
            self._append(self.rows.majorants(None))

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

    def totals(self, values: FloatArray) -> FloatArray:
        """Return for each coordinate the sum over its columns p."""
        summed = np.bincount(self.rows.owner, values, len(self.rows.coordinates))
        return np.asarray(summed, dtype=np.float64)

    def point(self, moves: FloatArray) -> FloatArray:
        """Return the point of the box that given columns p stand for."""
        change = self.totals(moves * self.rows.ranges)
        return self.problem.moved(self.rows.coordinates.tolist(), change)


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
