"""The largest norm of a Jacobian over all choices of a few uncertain slopes."""

from typing import Final

import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.local.spectral_batch import spectral_norms_upper
from theory.lipschitz.semidefinite.problem import Assembled, SlopeProblem
from theory.norms import accumulated_error

MOST_UNITS: Final = 12
_ENTRIES: Final = 2**22


def few_patterns(problem_units: int, n_inputs: int, n_outputs: int) -> bool:
    """Whether all choices of the slopes of so many units can be tried.

    Examples
    --------
    >>> few_patterns(5, 8, 784), few_patterns(40, 2, 2)
    (True, False)
    """
    sides = n_inputs * (n_outputs + problem_units)
    return problem_units <= MOST_UNITS and sides * 2**problem_units <= _ENTRIES


def pattern_norm_upper(problem: SlopeProblem, p: float) -> float:
    """Bound the norm l_p -> l_p of the outputs' change over all free slopes in [0, 1].

    As a function of one slope the Jacobian is affine and its norm convex: the largest is met where
    all slopes are 0 or 1, and the bound is above it by rounding only.

    Parameters
    ----------
    problem : SlopeProblem
        With few units, as `few_patterns` says.
    p : {1, 2, inf}

    Examples
    --------
    >>> hat = SlopeProblem(1, (3,), ({0: np.ones((3, 1))},), {1: np.array([[1.0, -2.0, 1.0]])})
    >>> round(pattern_norm_upper(hat, 2), 9)
    2.0
    """
    whole, n = problem.assembled, problem.n_inputs
    jacobians = _jacobians(whole.rows, whole.output, n)
    spread = _spread(whole, n)
    if p == 2:
        # The Frobenius norm of the spread, rounded up.
        off = float(np.sqrt(np.sum(spread**2))) * (1 + accumulated_error(spread.size + 4))
        off += spread.size * 2.0**-500
        return float(np.nextafter(spectral_norms_upper(jacobians).max() + off, np.inf))
    sums = (np.abs(jacobians) + spread).sum(axis=1 if p == 1 else 2)
    return float(sums.max(initial=0.0) * (1 + accumulated_error(sum(spread.shape) + 2)))


def _jacobians(rows: FloatArray, output: FloatArray, n: int) -> FloatArray:
    """Return F_x + F_u U for all 2^m choices of the slopes, shape (2^m, k, n)."""
    m = len(rows)
    units = np.zeros((1, 0, n))
    for i in range(m):
        change = rows[i, :n] + np.einsum("u,bun->bn", rows[i, n : n + i], units)
        chosen = np.stack([np.zeros_like(change), change], axis=1).reshape(-1, 1, n)
        units = np.concatenate([np.repeat(units, 2, axis=0), chosen], axis=1)
    return np.asarray(output[:, :n] + output[:, n:] @ units)


def _spread(whole: Assembled, n: int) -> FloatArray:
    """Return entrywise bounds on the errors of all Jacobians, shape (k, n).

    They are polynomials in the entries: with the absolute values P(|G| + e) - P(|G|) bounds what
    the entries' errors change, and a multiple of P(|G| + e) the rounding.
    """
    rows, output = np.abs(whole.rows), np.abs(whole.output)
    exact = _largest(rows, output, n)
    wider = _largest(rows + whole.rows_error, output + whole.output_error, n)
    gamma = accumulated_error(2 * (len(rows) + 2) * (len(rows) + 4) + 16)
    tiny = float(np.finfo(np.float64).tiny) * (1 + rows.sum() + output.sum())
    return np.asarray(np.maximum(wider - exact, 0.0) + 4 * gamma * wider + tiny)


def _largest(rows: FloatArray, output: FloatArray, n: int) -> FloatArray:
    units = np.zeros((len(rows), n))
    for i, row in enumerate(rows):
        units[i] = row[:n] + row[n:] @ units
    return np.asarray(output[:, :n] + output[:, n:] @ units)
