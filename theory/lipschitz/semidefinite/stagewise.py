r"""A closed-form point of the semidefinite bound, level by level.

With P the leading part of S at rho = 1 up to a level and G the rows of the next level, equal
multipliers c = 1 / lmax(G P^{-1} G^T) leave the Schur complement 2 c I - c^2 G P^{-1} G^T >= c I.
After the last level, rho = lmax(F P^{-1} F^T) times all of it is feasible.
"""

import numpy as np
from scipy import linalg

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.lipschitz.semidefinite.restoring import restored
from theory.lipschitz.semidefinite.scaling import ScaledProblem, scaled_problem
from theory.lipschitz.semidefinite.solution import Solution


def stagewise(problem: SlopeProblem) -> Solution:
    """Return the closed-form point; its bound is at most the product of the layers' norms.

    Parameters
    ----------
    problem : SlopeProblem

    Returns
    -------
    Solution
        Without a lower end.

    References
    ----------
    Xu and Sivaranjani, ECLipsE: efficient compositional Lipschitz constant estimation for deep
    neural networks, NeurIPS 2024 (the variant ECLipsE-Fast), extended to blocks on all earlier
    levels.

    Examples
    --------
    >>> problem = SlopeProblem(1, (1,), ({0: np.array([[2.0]])},), {1: np.array([[3.0]])})
    >>> round(stagewise(problem).square, 6)
    36.0
    """
    small = scaled_problem(problem)
    if small is None:
        return restored(problem, small, 0.0, np.zeros(0))
    square, multipliers = closed_form(small)
    return restored(problem, small, square, multipliers)


def closed_form(problem: ScaledProblem) -> tuple[float, FloatArray]:
    """Return (rho, lambda) on the boundary of the feasible set."""
    n, n_units = problem.n_inputs, len(problem.rows)
    # The Cholesky factor of the leading part, from the lowest coordinate that is still read on.
    factor = np.zeros((n + n_units, n + n_units))
    factor[np.arange(n), np.arange(n)] = 1.0
    multipliers = np.empty(n_units)
    for first, last, low in problem.levels:
        here = n + first
        rows = problem.rows[first:last, low:here]
        seen = linalg.solve_triangular(
            factor[low:here, low:here], rows.T, lower=True, check_finite=False
        ).T
        gram = seen @ seen.T
        c = 1.0 / float(linalg.eigvalsh(gram, check_finite=False)[-1])
        block = -(c**2) * gram
        block[np.diag_indices(last - first)] += 2 * c
        factor[here : n + last, low:here] = -c * seen
        factor[here : n + last, here : n + last] = linalg.cholesky(
            block, lower=True, check_finite=False
        )
        multipliers[first:last] = c
    touched = problem.output.any(axis=0)
    low = int(np.flatnonzero(touched)[0])
    seen = linalg.solve_triangular(
        factor[low:, low:], problem.output[:, low:].T, lower=True, check_finite=False
    )
    square = float(np.linalg.norm(seen, 2)) ** 2
    return square, square * multipliers
