"""An interior-point method for the semidefinite bound that exploits its rank-two constraints.

The primal is min rho with S(rho, lambda) >= 0, the dual max tr(F X F^T) with tr(E X) = 1,
e_i^T X v_i = 0 and X >= 0. S is feasible from the start, so every iterate is a bound; X becomes
feasible with the first full step, and from then on rho - tr(F X F^T) = tr(S X) is the gap.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import linalg
from threadpoolctl import ThreadpoolController

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.dual import proved_lower_end
from theory.lipschitz.semidefinite.interior.operators import Operators
from theory.lipschitz.semidefinite.interior.steps import (
    clear_of_boundary,
    factored,
    inverted,
    longest_step,
)
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.lipschitz.semidefinite.restoring import restored
from theory.lipschitz.semidefinite.scaling import ScaledProblem, scaled_problem
from theory.lipschitz.semidefinite.solution import Solution
from theory.lipschitz.semidefinite.stagewise import closed_form

# The first point is so much of the closed-form point, which lies on the boundary.
_START = 1.3
_MOST_ITERATIONS = 150


class _Iterate(NamedTuple):
    """A point (rho, lambda), its S and the dual X, with Cholesky factors."""

    point: FloatArray
    slack: FloatArray
    slack_factor: FloatArray
    dual: FloatArray
    dual_factor: FloatArray


class _Direction(NamedTuple):
    """Where to go from an iterate, and how much of the way to the boundary."""

    point: FloatArray
    dual: FloatArray
    damping: float


def interior_point(problem: SlopeProblem, tolerance: float = 1e-6) -> Solution:
    """Return a feasible point near the optimum, with a proved lower end of the optimum.

    Parameters
    ----------
    problem : SlopeProblem
    tolerance : float
        Relative gap between the bound and its lower end at which to stop, in (0, 1). Where
        rounding does not let the point come so near to the boundary and still be verified, the
        method ends before: the two ends of the solution say how near it came.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If the tolerance is out of range.

    References
    ----------
    Fazlyab et al., Efficient and accurate estimation of Lipschitz constants for deep neural
    networks, NeurIPS 2019 (the bound). Helmberg, Rendl, Vanderbei and Wolkowicz, An interior-point
    method for semidefinite programming, SIAM J. Optim. 6 (1996) (the direction). Mehrotra, On the
    implementation of a primal-dual interior point method, SIAM J. Optim. 2 (1992) (the corrector).

    Examples
    --------
    >>> problem = SlopeProblem(1, (1,), ({0: np.array([[2.0]])},), {1: np.array([[3.0]])})
    >>> found = interior_point(problem)
    >>> bool(found.lower <= 6.0 <= found.square**0.5 <= 6.00001)
    True
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"the tolerance must be between 0 and 1, got {tolerance}")
    # Threads contend on matrices of this size: two can take far longer than one.
    with _controller().limit(limits=1, user_api="blas"):
        small = scaled_problem(problem)
        if small is None:
            return restored(problem, small, 0.0, np.zeros(0))
        square, multipliers = closed_form(small)
        if not multipliers.size:
            top = np.linalg.svd(small.output)[2][:1].T
            lower = proved_lower_end(problem, small.original_vectors(top, problem))
            return restored(problem, small, square * (1 + 1e-10), multipliers, lower)
        small = small.rescaled(square, multipliers)
        point, lower, iterations = _followed(problem, small, tolerance)
        return restored(problem, small, float(point[0]), point[1:], lower, iterations)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _followed(
    problem: SlopeProblem, small: ScaledProblem, tolerance: float
) -> tuple[FloatArray, float, int]:
    """Return where the path leads from near the point (1, ..., 1), its lower end, its length."""
    operators = Operators(small)
    # The closed-form point, off the boundary.
    best = np.full(operators.m + 1, 1 + 1e-10)
    iterate = _started(operators)
    if iterate is None:
        return best, 0.0, 0
    lower, wanted, iterations = 0.0, tolerance, 0
    while iterations < _MOST_ITERATIONS:
        direction = _direction(operators, iterate)
        following = None if direction is None else _moved(operators, iterate, direction)
        if following is None:
            break
        iterate = following
        iterations += 1
        if iterate.point[0] < best[0]:
            best = iterate.point
        gap = float(np.vdot(iterate.slack, iterate.dual) / iterate.point[0])
        infeasibility = float(np.abs(operators.residual(iterate.dual)).max())
        if max(gap, infeasibility) <= wanted:
            lower = max(lower, _lower(problem, small, iterate))
            reached = small.original_square(float(iterate.point[0]))
            if lower >= (1 - tolerance) * np.sqrt(reached):
                return iterate.point, lower, iterations
            # What the repair of X took was too much: a gap that much less makes up for it.
            wanted /= 4
    return best, max(lower, _lower(problem, small, iterate)), iterations


def _lower(problem: SlopeProblem, small: ScaledProblem, iterate: _Iterate) -> float:
    return proved_lower_end(problem, small.original_vectors(iterate.dual_factor, problem))


def _started(operators: Operators) -> _Iterate | None:
    """Return the first iterate, None if it is too ill-conditioned.

    X is a multiple of S^{-1}, as it is on the central path.
    """
    point = np.full(operators.m + 1, _START)
    slack = operators.slack(point)
    factor = factored(slack)
    if factor is None:
        return None
    dual = inverted(factor)
    dual /= np.trace(dual[: operators.n, : operators.n])
    dual_factor = factored(dual)
    return None if dual_factor is None else _Iterate(point, slack, factor, dual, dual_factor)


def _direction(operators: Operators, iterate: _Iterate) -> _Direction | None:
    """Return the direction of the next step, None if rounding leaves none.

    It is dX = mu Z - X - (X dS Z + Z dS X) / 2 with Z = S^{-1}, such that X + dX meets the
    constraints; a predictor with mu = 0 chooses mu and gives the second-order correction.
    """
    slack, slack_factor, x, x_factor = iterate[1:]
    z = inverted(slack_factor)
    x_seen, z_seen = operators.transposed(x), operators.transposed(z)
    schur = operators.schur(x, x_seen, z, z_seen)
    scale = 1 / np.sqrt(np.diag(schur))
    schur *= scale[:, None] * scale
    factor = factored(schur)
    if factor is None:
        return None

    def solved(right: FloatArray) -> FloatArray:
        found = linalg.cho_solve((factor, True), scale * right, check_finite=False)
        return np.asarray(scale * found)

    objective = np.zeros(len(scale))
    objective[0] = 1.0
    ahead = solved(-objective)
    slack_ahead = operators.combination(ahead)
    dual_ahead = _symmetric(z @ operators.combination_times(ahead, x, x_seen))
    dual_ahead += x
    dual_ahead *= -1
    up_to = (
        min(1.0, longest_step(slack_factor, slack_ahead)),
        min(1.0, longest_step(x_factor, dual_ahead)),
    )
    mu = float(np.vdot(slack, x)) / len(x)
    ahead_mu = (
        float(np.vdot(slack, x))
        + up_to[0] * float(np.vdot(slack_ahead, x))
        + up_to[1] * float(np.vdot(slack, dual_ahead))
        + up_to[0] * up_to[1] * float(np.vdot(slack_ahead, dual_ahead))
    ) / len(x)
    shortest = min(up_to)
    power = max(1.0, 3 * shortest**2)
    target = mu * min(1.0, max(ahead_mu / mu, 1e-6) ** power)

    second = operators.combination_times(ahead, dual_ahead, operators.transposed(dual_ahead))
    direction = solved(
        target * operators.traces(z, z_seen)
        - objective
        - operators.product_traces(z, z_seen, second)
    )
    second += operators.combination_times(direction, x, x_seen)
    dual_direction = target * z - x - _symmetric(z @ second)
    return _Direction(direction, dual_direction, 0.9 + 0.09 * shortest)


def _moved(operators: Operators, iterate: _Iterate, direction: _Direction) -> _Iterate | None:
    """Return the iterate after the longest steps, damped, that keep S and X definite.

    None if rounding leaves no progress.
    """
    longest = longest_step(iterate.slack_factor, operators.combination(direction.point))
    step = min(1.0, direction.damping * longest)
    longest = longest_step(iterate.dual_factor, direction.dual)
    dual_step = min(1.0, direction.damping * longest)
    for _ in range(12):
        point = iterate.point + step * direction.point
        # Not the old S and a multiple of its change: their rounding would accumulate.
        slack = operators.slack(point)
        slack_factor = factored(slack) if clear_of_boundary(slack) else None
        if slack_factor is not None:
            break
        step *= 0.7
    else:
        return None
    for _ in range(12):
        dual = iterate.dual + dual_step * direction.dual
        dual_factor = factored(dual)
        if dual_factor is not None:
            break
        dual_step *= 0.7
    else:
        return None
    if max(step, dual_step) < 1e-3:
        return None
    return _Iterate(point, slack, slack_factor, dual, dual_factor)


def _symmetric(matrix: FloatArray) -> FloatArray:
    return np.asarray((matrix + matrix.T) / 2)
