"""From the scaled problem back to the original: multipliers also for the units left out."""

import numpy as np
from scipy import linalg

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.lipschitz.semidefinite.scaling import (
    IndexArray,
    ScaledProblem,
    moved_coordinates,
    read_units,
)
from theory.lipschitz.semidefinite.solution import Solution

# How much a point is moved off the boundary if there is no room for further units.
_ROOMS = (0.0, 1e-10, 1e-8, 1e-6)


def restored(
    problem: SlopeProblem,
    small: ScaledProblem | None,
    square: float,
    multipliers: FloatArray,
    lower: float = 0.0,
    iterations: int = 0,
) -> Solution:
    """Return a solution of the original problem for a point of the scaled one.

    A unit that nobody reads gets the multiplier 0. One that is read and always 0 gets one so large
    that S stays semidefinite, rather than none, as its row may only be zero up to rounding.

    Parameters
    ----------
    problem : SlopeProblem
    small : ScaledProblem or None
        None if no change of the inputs reaches the outputs.
    square, multipliers
        rho and lambda of the scaled problem, feasible.
    lower, iterations
        As in the solution.
    """
    whole = np.zeros(problem.n_units)
    rho = 0.0
    if small is not None:
        rho = small.original_square(square)
        whole[small.kept] = small.original_multipliers(multipliers)
    unmoved = np.flatnonzero(read_units(problem) & ~moved_coordinates(problem)[problem.n_inputs :])
    if not unmoved.size:
        return Solution(rho, whole, lower, iterations)
    for room in _ROOMS:
        try:
            completed = _completed(problem, rho * (1 + room), whole, unmoved)
        except linalg.LinAlgError:
            continue
        return Solution(rho * (1 + room), completed, lower, iterations)
    raise RuntimeError("the semidefinite bound gave up with status: no room for unmoved units")


def _completed(
    problem: SlopeProblem, rho: float, multipliers: FloatArray, unmoved: IndexArray
) -> FloatArray:
    """Return multipliers of all units that make S definite where it is without these units.

    From the last unit to the first, as a unit's row is read by those after it. Each takes at most
    one part in 2 q of the room that the others leave, q units in all.
    """
    rows, output, _, _ = problem.assembled
    n, size = problem.n_inputs, problem.n_coordinates
    found = multipliers.copy()
    parts = 2.0 * len(unmoved)
    half = -found[:, None] * rows
    half[np.arange(len(rows)), n + np.arange(len(rows))] += found
    slack = -output.T @ output
    slack[n:] += half
    slack[:, n:] += half.T
    slack[np.arange(n), np.arange(n)] += rho
    # Where nothing reaches the outputs, all but the unmoved units is 0.
    used = np.concatenate([np.full(n, rho > 0), found > 0])
    present = np.flatnonzero(used)
    order = np.concatenate([present, n + unmoved])
    count = len(present)
    scale = np.ones(size)
    scale[:count] = np.sqrt(np.maximum(np.diag(slack)[present], np.finfo(np.float64).tiny))
    factor = np.zeros((len(order), len(order)))
    if count:
        unit_diagonal = slack[np.ix_(present, present)] / np.outer(scale[:count], scale[:count])
        factor[:count, :count] = linalg.cholesky(unit_diagonal, lower=True)
    for unit in unmoved[::-1]:
        at = n + unit
        column = slack[order[:count], at] / scale[:count]
        seen = column
        if count:
            seen = linalg.solve_triangular(factor[:count, :count], column, lower=True)
        own = float(output[:, at] @ output[:, at])
        diagonal = own + parts * float(seen @ seen)
        if diagonal == 0:
            continue
        found[unit] = (diagonal + own) / 2
        slack[at] -= found[unit] * rows[unit]
        slack[:, at] -= found[unit] * rows[unit]
        order[count], scale[count] = at, np.sqrt(diagonal)
        factor[count, :count] = seen / scale[count]
        factor[count, count] = np.sqrt(1 - factor[count, :count] @ factor[count, :count])
        count += 1
    return found
