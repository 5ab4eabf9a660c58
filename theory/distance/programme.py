"""The convex programmes of nodes and regions: quadratic for l2, linear for linf, by Clarabel.

Nothing that the solver says is believed: its multipliers become a half-space by `Relaxation`, its
points are looked at by the network itself.
"""

import math
from typing import Any, NamedTuple

import clarabel
import numpy as np
from scipy import sparse

from theory.arrays import FloatArray
from theory.distance.budget import Budget
from theory.distance.problem import DistanceProblem
from theory.distance.relaxation import Multipliers, Units
from theory.relu.layer import BoolArray

_SECONDS = 1e-3
"""That a solver is given at least."""


class Solved(NamedTuple):
    """Primal point and multipliers of rows @ v <= limits, whatever the solver's status."""

    point: FloatArray
    multipliers: FloatArray
    solved: bool


class Nearest:
    """Least |d|_p for low <= d <= high and rows of more inequalities in d and further variables.

    Attributes
    ----------
    scale : float
        About the size of d: the solver's tolerances are parts of it.
    budget : Budget
        A programme that is not solved when its time ends is given up.
    """

    def __init__(
        self, p: float, low: FloatArray, high: FloatArray, budget: Budget | None = None
    ) -> None:
        self.p, self.n, self.scale = p, len(low), 1.0
        self.budget = Budget() if budget is None else budget
        eye: Any = sparse.eye_array(self.n, format="csc")
        finite_low, finite_high = np.isfinite(low), np.isfinite(high)
        blocks = [-eye.tocsr()[finite_low], eye.tocsr()[finite_high]]
        limits = [-low[finite_low], high[finite_high]]
        self._box = sparse.vstack(blocks, format="csc")
        self._limits = np.concatenate(limits)
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.max_threads = 1
        settings.max_iter = 60
        settings.tol_gap_abs = settings.tol_gap_rel = 1e-10
        settings.tol_feas = 1e-10
        settings.presolve_enable = False
        self._settings = settings

    def solve(self, rows: FloatArray, limits: FloatArray) -> Solved:
        """Minimise over (d, further variables), where rows @ (d, further variables) <= limits."""
        n, extra = self.n, rows.shape[1] - self.n
        own: Any = sparse.csc_array(rows)
        box: Any = self._box
        if box.shape[0]:
            box = sparse.hstack([box, sparse.csc_array((box.shape[0], extra))], format="csc")
            matrix: Any = sparse.vstack([own, box], format="csc")
        else:
            matrix = own
        # All variables are in units of the scale; rows keep their multipliers up to one factor.
        sides = np.concatenate([limits, self._limits]) / self.scale
        width = n + extra
        if math.isinf(self.p):
            eye: Any = sparse.eye_array(n)
            ball = sparse.block_array(
                [[eye, sparse.csc_array((n, extra))], [-eye, sparse.csc_array((n, extra))]]
            )
            column = np.concatenate([np.zeros(matrix.shape[0]), -np.ones(2 * n)])
            matrix = sparse.hstack(
                [sparse.vstack([matrix, ball]), sparse.csc_array(column[:, None])], format="csc"
            )
            sides = np.concatenate([sides, np.zeros(2 * n)])
            quadratic: Any = sparse.csc_array((width + 1, width + 1))
            linear = np.concatenate([np.zeros(width), [1.0]])
        else:
            quadratic = sparse.diags_array(
                np.concatenate([np.ones(n), np.zeros(extra)]), format="csc"
            )
            linear = np.zeros(width)
        if math.isfinite(seconds := self.budget.seconds):
            self._settings.time_limit = max(seconds, _SECONDS)
        cones = [clarabel.NonnegativeConeT(matrix.shape[0])]
        solver = clarabel.DefaultSolver(
            sparse.csc_matrix(quadratic),
            linear,
            sparse.csc_matrix(matrix),
            sides,
            cones,
            self._settings,
        )
        answer = solver.solve()
        return Solved(
            self.scale * np.nan_to_num(np.asarray(answer.x)[:width]),
            np.maximum(np.nan_to_num(np.asarray(answer.z))[: len(rows)], 0.0),
            "Solved" in str(answer.status),
        )


class NodeSolution(NamedTuple):
    """What a node's programme says.

    Attributes
    ----------
    change : ndarray, shape (n,)
    price : float
        Multiplier of the lead.
    multipliers : list of Multipliers
    scores : list of ndarray, each of shape (m,)
        For open units, violation of the relaxation times the multiplier of its upper side.
    """

    change: FloatArray
    price: float
    multipliers: list[Multipliers]
    scores: list[FloatArray]
    violations: list[FloatArray]


def node_programme(
    problem: DistanceProblem, nearest: Nearest, units: list[Units], target: int
) -> NodeSolution:
    """Solve the relaxation of a node: triangles for open units, signs for those that are set."""
    n = len(problem.x)
    counts = [int(each.opened(s).sum()) for s, each in zip(problem.stages, units, strict=True)]
    width = n + sum(counts)
    # Columns: changes, open units' max(0, z), the constant.
    state = np.zeros((n, width + 1))
    state[:, :n], state[:, -1] = np.eye(n), problem.x
    blocks: list[FloatArray] = []
    limits: list[FloatArray] = []
    first = n
    parts = []
    for stage, each in zip(problem.stages, units, strict=True):
        z = stage.weight @ state
        z[:, -1] += stage.bias
        opened = np.flatnonzero(each.opened(stage))
        k = len(opened)
        ramp = np.where((each.lower >= 0)[:, None], z, 0.0)
        own = np.zeros((k, width + 1))
        own[np.arange(k), first + np.arange(k)] = 1.0
        ramp[opened] = own
        low, high = each.lower[opened], each.upper[opened]
        chord = (high / (high - low))[:, None]
        lines = z[opened] * chord
        lines[:, -1] -= chord[:, 0] * low
        split = np.flatnonzero(each.split)
        signed = -each.split[split][:, None] * z[split]
        rows = np.vstack([-own, z[opened] - own, own - lines, signed])
        blocks.append(rows[:, :-1])
        limits.append(-rows[:, -1])
        parts.append((opened, split, z[opened], first))
        first += k
        state = stage.linear[:, None] * z + stage.kink[:, None] * ramp
    lead = state[problem.label] - state[target]
    rows = np.vstack([lead[None, :-1], *blocks])
    sides = np.concatenate([[-lead[-1]], *limits])
    answer = nearest.solve(rows, sides)
    point, dual = answer.point, answer.multipliers
    # Only their ratios count, and those of an infeasible programme grow without end.
    dual = dual / max(float(dual.max()), 1e-300)
    multipliers, scores, violations = [], [], []
    start = 1
    for stage, (opened, split, z, at) in zip(problem.stages, parts, strict=True):
        m, k = len(stage.bias), len(opened)
        none, some, upper = dual[start : start + 3 * k].reshape(3, k)
        share, pushed, score, violation = np.zeros((4, m))
        share[opened] = some / np.maximum(none + some, 1e-300)
        pushed[split] = dual[start + 3 * k : start + 3 * k + len(split)]
        values = z[:, :-1] @ point + z[:, -1]
        gap = point[at : at + k] - np.maximum(values, 0.0)
        violation[opened] = np.maximum(gap, 0.0)
        score[opened] = violation[opened] * upper
        multipliers.append(Multipliers(np.clip(share, 0.0, 1.0), pushed))
        scores.append(score)
        violations.append(violation)
        start += 3 * k + len(split)
    return NodeSolution(point[:n], float(dual[0]), multipliers, scores, violations)


def region_nearest(
    problem: DistanceProblem, nearest: Nearest, pattern: BoolArray, target: int, lead: float = 0.0
) -> FloatArray | None:
    """Return about the least change in a closed activation region where the target leads.

    Parameters
    ----------
    problem : DistanceProblem
    nearest : Nearest
    pattern : ndarray of bool, shape (n_units,)
    target : int
    lead : float
        The lead that is asked for, as a part of how far the target is behind at x.
    """
    piece = problem.network.piece(pattern)
    turned = np.where(pattern, -1.0, 1.0)
    normal = piece.outputs.weight[problem.label] - piece.outputs.weight[target]
    shift = piece.outputs.bias[problem.label] - piece.outputs.bias[target]
    rows = np.vstack([normal[None], piece.units.weight * turned[:, None]])
    sides = -np.concatenate([[shift], piece.units.bias * turned]) - rows @ problem.x
    sides[0] -= lead * float(np.abs(problem.leads(problem.x)).max())
    answer = nearest.solve(rows, sides)
    return answer.point if answer.solved else None
