"""The largest lead of a label over a few given coordinates, by a mixed-integer programme."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import highspy
import numpy as np
import numpy.typing as npt
from scipy import sparse

from theory.arrays import FloatArray
from theory.hamming.given.climb import climb
from theory.hamming.given.regions import lead_rows
from theory.hamming.limits import checked_coordinates
from theory.hamming.problem import LabelProblem
from theory.relu.bounds import interval_bounds
from theory.relu.network import ReluNetwork


class FixedMargin(NamedTuple):
    """The largest margin over the box of some coordinates, between two ends.

    Attributes
    ----------
    lower : float
        The margin at the point.
    upper : float
        What the solver proved, within its tolerance of about 1e-6 of the values that units take.
    point : ndarray, shape (n,)
    """

    lower: float
    upper: float
    point: FloatArray


class _Model(NamedTuple):
    """Columns: k changes, the positive parts of p units, their binaries, the margin."""

    rows: FloatArray
    lower: FloatArray
    upper: FloatArray
    column_lower: FloatArray
    column_upper: FloatArray
    undecided: npt.NDArray[np.intp]


def best_margin(
    problem: LabelProblem, coordinates: Sequence[int], time_limit: float | None = None
) -> FixedMargin:
    """Return the largest lead of the target that changing the given coordinates can bring.

    Only units that may have either phase, by bounds over the box of these coordinates, have a
    binary variable. The search starts at the end of a climb.

    Parameters
    ----------
    problem : LabelProblem
        Its classifier must be a `ReluNetwork`, its box finite in the coordinates.
    coordinates : sequence of int
    time_limit : float, optional
        Seconds, after which the ends may differ.

    Raises
    ------
    ValueError
        If a coordinate is out of range or repeated, there are none, or the box is infinite there.
    RuntimeError
        If the solver failed.

    References
    ----------
    V. Tjeng, K. Xiao, R. Tedrake, "Evaluating robustness of neural networks with mixed integer
    programming", ICLR 2019, section 4.

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> tent = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 2.0], [0.0, 0.0]], [0.0, 1.5])])
    >>> found = best_margin(LabelProblem.of(tent, [1.0], 0, (-2, 2)), [0])
    >>> found.lower, round(found.upper, 6), found.point.tolist()
    (2.5, 2.5, [-2.0])
    """
    chosen = checked_coordinates(coordinates, len(problem.x))
    if not chosen:
        raise ValueError("at least one coordinate must be given")
    network, low, high = problem.restricted(chosen)
    if not np.all(np.isfinite(high - low)):
        raise ValueError(f"the box must be finite in the coordinates {list(chosen)}")
    climbed = climb(problem, chosen, enough=math.inf)
    model = _model(network, lead_rows(problem), low, high)
    known = _columns(network, model, climbed.changes[-1], climbed.margin)
    change, upper = _solved(model, known, len(chosen), time_limit)
    # The solver's point is within its tolerance of the network's graph: the region says the rest.
    polished = climb(problem, chosen, problem.moved(chosen, change), enough=math.inf)
    best = max(climbed, polished, key=lambda each: each.margin)
    return FixedMargin(
        best.margin, max(upper, best.margin), problem.moved(chosen, best.changes[-1])
    )


def _model(network: ReluNetwork, rivals: FloatArray, low: FloatArray, high: FloatArray) -> _Model:
    bounds = interval_bounds(network, low, high)
    undecided = bounds.undecided
    k, p = network.n_inputs, len(undecided)
    state, shift = np.eye(k, k + 2 * p + 1), np.zeros(k)
    rows, lower = [np.zeros((0, k + 2 * p + 1))], [np.zeros(0)]
    unit, positive = 0, k
    for layer in network.layers:
        values = np.asarray(layer.weight @ state)
        constants = np.asarray(layer.weight @ shift) + layer.bias
        state, shift = values.copy(), constants.copy()
        for row in layer.hinges:
            least, most = bounds.units.lower[unit], bounds.units.upper[unit]
            unit += 1
            slope = layer.slope[row]
            if most <= 0:
                state[row], shift[row] = slope * values[row], slope * constants[row]
            elif least <= 0:
                # 0 <= r, z <= r, r <= most b, r <= z - least (1 - b): r is the positive part of z.
                part, phase = np.zeros((2, values.shape[1]))
                part[positive] = phase[positive + p] = 1.0
                rows.append(
                    np.array(
                        [
                            part - values[row],
                            most * phase - part,
                            values[row] - part + least * phase,
                        ]
                    )
                )
                lower.append(np.array([constants[row], 0.0, least - constants[row]]))
                state[row] = slope * values[row] + (1.0 - slope) * part
                shift[row] = slope * constants[row]
                positive += 1
    leads, offsets = rivals @ state, rivals @ shift
    leads[:, -1] = -1.0
    rows.append(leads)
    lower.append(-offsets)
    ends = np.concatenate(lower)
    largest = float(
        np.min(
            np.clip(rivals, 0, None) @ bounds.outputs.upper
            - np.clip(-rivals, 0, None) @ bounds.outputs.lower
        )
    )
    return _Model(
        np.vstack(rows),
        ends,
        np.full(len(ends), math.inf),
        np.concatenate([low, np.zeros(2 * p), [-math.inf]]),
        np.concatenate([high, bounds.units.upper[undecided], np.ones(p), [largest]]),
        undecided,
    )


def _columns(network: ReluNetwork, model: _Model, change: FloatArray, margin: float) -> FloatArray:
    """Return a point of the network's graph as a solution of the programme."""
    values = network.preactivations(change)[model.undecided]
    return np.concatenate([change, np.maximum(values, 0.0), values > 0, [margin]])


def _solved(
    model: _Model, known: FloatArray, k: int, time_limit: float | None
) -> tuple[FloatArray, float]:
    """Return the changes at the best solution, and an upper bound on the margin."""
    p = len(model.undecided)
    matrix = sparse.csr_array(model.rows)
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_ = np.append(np.zeros(k + 2 * p), -1.0)
    lp.col_lower_, lp.col_upper_ = model.column_lower, model.column_upper
    lp.row_lower_, lp.row_upper_ = model.lower, model.upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_row_, lp.a_matrix_.num_col_ = matrix.shape
    lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.indptr, matrix.indices
    lp.a_matrix_.value_ = matrix.data
    kinds = [highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger]
    lp.integrality_ = [kinds[k + p <= j < k + 2 * p] for j in range(k + 2 * p + 1)]
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("mip_rel_gap", 0.0)
    if time_limit is not None:
        solver.setOptionValue("time_limit", float(time_limit))
    solver.passModel(lp)
    start = highspy.HighsSolution()
    start.col_value = known.tolist()
    solver.setSolution(start)
    solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    if status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit):
        raise RuntimeError(f"HiGHS gave up with status {solver.modelStatusToString(status)}")
    found = np.array(solver.getSolution().col_value) if math.isfinite(info.mip_gap) else known
    if len(found) != len(known):
        found = known
    # Without binaries it is a linear programme, whose value is the bound.
    upper = -(info.mip_dual_bound if p else info.objective_function_value)
    return found[:k], min(upper, float(model.column_upper[-1]))
