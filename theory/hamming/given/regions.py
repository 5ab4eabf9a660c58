"""The largest lead of a label within one region of a network, by linear programmes."""

import math
from typing import NamedTuple

import highspy
import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.hamming.problem import LabelProblem
from theory.relu.bounds import interval_bounds
from theory.relu.layer import BoolArray
from theory.relu.network import ReluNetwork

PRICE = 1e-9
"""Dual value above which a row stands in the way."""
_TIGHT = 1e-7
"""Part of the size of its terms below which a unit's value counts as 0."""


class Best(NamedTuple):
    """The best point of a closed region.

    Attributes
    ----------
    pattern : ndarray of bool
    change : ndarray, shape (k,)
    margin : float
    prices : ndarray, shape (n_units,)
        Dual values: above 0 for units that stand in the way.
    unique : bool
        Whether the dual values prove that no other point of the region is as good.
    """

    pattern: BoolArray
    change: FloatArray
    margin: float
    prices: FloatArray
    unique: bool


def lead_rows(problem: LabelProblem) -> FloatArray:
    """Return the matrix that takes outputs to leads, shape (K - 1, K)."""
    classes = np.eye(problem.classifier.n_outputs)
    return np.asarray(classes[problem.target] - classes[problem.rivals])


class Regions:
    """Linear programmes over closed regions, each from the basis of the one before.

    Parameters
    ----------
    problem : LabelProblem
    network : ReluNetwork
        As a function of the changes.
    limits : pair of ndarray, shape (k,)
        Least and largest changes.
    cap : float
        The largest margin that is asked for.
    """

    def __init__(
        self,
        problem: LabelProblem,
        network: ReluNetwork,
        limits: tuple[FloatArray, FloatArray],
        cap: float,
    ) -> None:
        self.n_programmes = 0
        self._network = network
        self._rows = lead_rows(problem)
        self._loose = _loose(network, limits)
        columns = network.n_inputs + 1
        rows = len(self._loose) + len(self._rows)
        model = self._model = highspy.HighsLp()
        model.num_col_, model.num_row_ = columns, rows
        self._limits = limits
        model.col_upper_ = np.append(limits[1], cap)
        matrix = model.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.num_col_, matrix.num_row_ = columns, rows
        matrix.start_ = np.arange(rows + 1) * columns
        matrix.index_ = np.tile(np.arange(columns), rows)
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        # Strategy 4 is the primal simplex method: the last point stays feasible, its prices do not.
        for name, value in (("output_flag", False), ("presolve", "off"), ("simplex_strategy", 4)):
            self._solver.setOptionValue(name, value)
        self._basis: highspy.HighsBasis | None = None

    def best(self, pattern: BoolArray, change: FloatArray) -> Best:
        """Return the best point of a closed region, given one of its points."""
        return self._optimum(pattern, change, np.append(np.zeros(len(change)), -1.0), -math.inf)

    def farthest(self, best: Best, direction: FloatArray) -> Best:
        """Return the point farthest in a direction, of those as good as the best of a region."""
        floor = best.margin - _TIGHT * (1.0 + abs(best.margin))
        return self._optimum(best.pattern, best.change, np.append(-direction, 0.0), floor)

    def _optimum(
        self, pattern: BoolArray, change: FloatArray, cost: FloatArray, floor: float
    ) -> Best:
        piece = self._network.piece(pattern)
        n, loose = len(change), self._loose
        side = np.where(pattern[loose], 1.0, -1.0)
        normals = side[:, None] * piece.units.weight[loose]
        values = side * piece.units.bias[loose]
        lengths = np.linalg.norm(normals, axis=1)
        lengths[lengths == 0] = 1.0
        leads = self._rows @ piece.outputs.weight
        table = np.zeros((len(loose) + len(leads), n + 1))
        table[: len(loose), :n] = normals / lengths[:, None]
        table[len(loose) :, :n] = leads
        table[len(loose) :, n] = -1.0
        # Rounding may have put the point a little outside: it must remain feasible.
        least = np.minimum(-values / lengths, table[: len(loose), :n] @ change)
        model = self._model
        model.col_cost_ = cost
        model.col_lower_ = np.append(self._limits[0], floor)
        model.row_lower_ = np.append(least, -self._rows @ piece.outputs.bias)
        model.row_upper_ = np.full(len(table), math.inf)
        model.a_matrix_.value_ = table.ravel()
        solver = self._solver
        solver.passModel(model)
        if self._basis is not None:
            solver.setBasis(self._basis)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            solver.clearSolver()
            solver.run()
        self.n_programmes += 1
        status = solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"HiGHS gave up with status {solver.modelStatusToString(status)}")
        self._basis = solver.getBasis()
        solution = solver.getSolution()
        found = np.clip(np.array(solution.col_value[:n]), *self._limits)
        row_duals, column_duals = np.array(solution.row_dual), np.array(solution.col_dual)
        prices = np.zeros(len(pattern))
        prices[loose] = row_duals[: len(loose)]
        active = sum(int(np.sum(np.abs(each) > PRICE)) for each in (row_duals, column_duals))
        return Best(pattern, found, float(solution.col_value[n]), prices, active > n)

    def tight(self, best: Best) -> BoolArray:
        """Return which units are 0 at the best point of a region, but for rounding."""
        units = self._network.piece(best.pattern).units
        size = np.abs(units.weight) @ np.abs(best.change) + np.abs(units.bias)
        zero = np.abs(units(best.change)) <= _TIGHT * size
        loose = np.zeros(len(zero), dtype=bool)
        loose[self._loose] = True
        return np.asarray(zero & loose)


def _loose(network: ReluNetwork, limits: tuple[FloatArray, FloatArray]) -> npt.NDArray[np.intp]:
    """Return the units that may change phase within the box: no others need a row."""
    if not np.all(np.isfinite(limits[1] - limits[0])):
        return np.arange(network.n_units)
    return interval_bounds(network, *limits, relaxed=False).undecided
