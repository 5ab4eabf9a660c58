"""The semidefinite bound as a plain cvxpy problem: the oracle of the structured solvers.

Its answers are proposals: SCS stops below the optimum, and the multipliers of others are feasible
up to their tolerance only. `certified` turns them into bounds.
"""

import warnings
from importlib import import_module
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import linalg

from theory.arrays import FloatArray
from theory.errors import nearest
from theory.lipschitz.semidefinite.dual import proved_lower_end
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.lipschitz.semidefinite.slack import live_coordinates
from theory.lipschitz.semidefinite.solution import Solution

# In the order in which they are tried.
_TOLERANCES: Final = {
    "SDPA": ("epsilonStar", "epsilonDash"),
    "CVXOPT": ("abstol", "reltol", "feastol"),
    "CLARABEL": ("tol_gap_abs", "tol_gap_rel", "tol_feas"),
    "SCS": ("eps_abs", "eps_rel"),
}
# Below, it stops all the same, with a complaint on the standard output.
_LEAST_TOLERANCE: Final = {"SDPA": 1e-7}
# The number of steps that cvxpy's own default, made for small problems, cuts short.
_STEPS: Final = {"SCS": {"max_iters": 100_000}}


def cvxpy_solution(
    problem: SlopeProblem, tolerance: float = 1e-6, solver: str | None = None
) -> Solution:
    """Minimise rho subject to S(rho, lambda) >= 0, lambda >= 0, with a general solver.

    Parameters
    ----------
    problem : SlopeProblem
        Its levels are scaled to norm 1 first, and its inputs are restricted to the span of what
        reads them; both leave the optimum as it is.
    tolerance : float
        The solver's own, on gaps and feasibility.
    solver : {"SDPA", "CVXOPT", "CLARABEL", "SCS"}, optional
        By default the first of them that is installed.

    Returns
    -------
    Solution
        As the solver gave it, not to be trusted; its lower end is proved.

    Raises
    ------
    ValueError
        If the solver is unknown or not installed.
    RuntimeError
        If it did not solve the problem.

    References
    ----------
    Fazlyab et al., Efficient and Accurate Estimation of Lipschitz Constants for Deep Neural
    Networks (NeurIPS 2019), theorem 2 and section 3.2, LipSDP-Neuron.
    """
    cvxpy = import_module("cvxpy")
    name = _installed(cvxpy, solver)
    scaled = _scaled(problem)
    rows, output = scaled.rows, scaled.output
    m, size = rows.shape
    n = size - m
    if not output.any():
        return Solution(0.0, np.zeros(m), 0.0, 0)
    square = cvxpy.Variable(nonneg=True)
    multipliers = cvxpy.Variable(m, nonneg=True) if m else None
    slack: Any = square * np.diag(np.arange(size) < n).astype(np.float64) - output.T @ output
    if multipliers is not None:
        changes = np.eye(size)[n:]
        half = changes.T @ cvxpy.diag(multipliers) @ (changes - rows)
        slack = slack + half + half.T
    definite = slack >> 0
    programme = cvxpy.Problem(cvxpy.Minimize(square), [definite])
    options: dict[str, Any] = dict.fromkeys(
        _TOLERANCES[name], max(tolerance, _LEAST_TOLERANCE.get(name, 0.0))
    )
    try:
        with warnings.catch_warnings():
            # That an answer may be inaccurate is its status too, and it is verified anyway.
            warnings.simplefilter("ignore")
            programme.solve(solver=name, **options, **_STEPS.get(name, {}))
    except cvxpy.SolverError as error:
        raise RuntimeError(f"{name} gave up with status {error}") from error
    if programme.status not in (cvxpy.OPTIMAL, cvxpy.OPTIMAL_INACCURATE):
        raise RuntimeError(f"{name} gave up with status {programme.status}")
    found = np.asarray([] if multipliers is None else multipliers.value, dtype=np.float64)
    return Solution(
        float(square.value) * scaled.unit**2,
        np.maximum(found, 0.0) * (scaled.unit / scaled.scales) ** 2,
        _lower_end(problem, scaled, definite.dual_value),
        int(programme.solver_stats.num_iters or 0),
    )


def _lower_end(problem: SlopeProblem, scaled: "_Scaled", dual: FloatArray | None) -> float:
    """Return the lower end that a dual solution proves, mapped back to the problem."""
    if dual is None or not np.all(np.isfinite(dual)):
        return 0.0
    values, vectors = np.linalg.eigh((dual + dual.T) / 2)
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    n = len(factor) - len(scaled.scales)
    inputs, units = scaled.turn @ factor[:n], scaled.scales[:, None] * factor[n:]
    return proved_lower_end(problem, np.vstack([inputs, units]))


def _installed(cvxpy: ModuleType, solver: str | None) -> str:
    present = cvxpy.installed_solvers()
    if solver is None:
        chosen = next((each for each in _TOLERANCES if each in present), None)
        if chosen is None:
            raise ValueError(
                "no solver for semidefinite programmes is installed: pip install advbounds[oracle]"
            )
        return chosen
    name = solver.upper()
    if name not in _TOLERANCES:
        raise ValueError(f"unknown solver {solver!r}: {nearest(name, _TOLERANCES)}")
    if name not in present:
        raise ValueError(f"the solver {name} is not installed: pip install advbounds[oracle]")
    return name


class _Scaled(NamedTuple):
    """Rows g and the output F with inputs = turn @ inputs', units = scales * units', F = unit F'.

    The multipliers are lambda' = (scales / unit)^2 lambda. Scales are powers of two.
    """

    rows: FloatArray
    output: FloatArray
    turn: FloatArray
    scales: FloatArray
    unit: float


def _scaled(problem: SlopeProblem) -> _Scaled:
    """Return the problem with all blocks of norm about 1, units that cannot move fixed at 0."""
    assembled, n = problem.assembled, problem.n_inputs
    live = live_coordinates(problem)
    rows, output = assembled.rows * live, assembled.output * live
    turn: FloatArray = np.eye(n)
    touching = np.vstack([rows[:, :n], output[:, :n]])
    if len(touching) < n:
        # The part of x outside the span of these rows changes nothing.
        factors = linalg.qr(touching.T, mode="economic")
        turn, triangle = (np.asarray(each, dtype=np.float64) for each in factors)
        rows = np.hstack([triangle.T[: len(rows)], rows[:, n:]])
        output = np.hstack([triangle.T[len(rows) :], output[:, n:]])
        n = turn.shape[1]
    scales = np.ones(n + len(rows))
    for first, last in zip(problem.starts[1:], problem.starts[2:], strict=False):
        units = slice(first - problem.n_inputs, last - problem.n_inputs)
        scales[n:][units] = _power(rows[units] * scales)
    output = output * scales
    unit = _power(output)
    return _Scaled(rows * scales / scales[n:, None], output / unit, turn, scales[n:], unit)


def _power(matrix: FloatArray) -> float:
    """Return the power of two nearest to a matrix's norm, 1 for none."""
    norm = np.linalg.norm(matrix, 2)
    return float(2.0 ** np.round(np.log2(norm))) if norm > 0 else 1.0
