"""The matrix inequality of a semidefinite bound, decided in rational arithmetic."""

from fractions import Fraction
from math import lcm
from typing import Final

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.relu.layer import BoolArray

_MOST_COORDINATES: Final = 64

Rows = list[list[Fraction]]


def exactly_semidefinite(
    problem: SlopeProblem, value: float, multipliers: FloatArray, live: BoolArray
) -> bool:
    """Decide S(value^2, multipliers) >= 0 on the live coordinates, without any rounding.

    Parameters
    ----------
    problem : SlopeProblem
        Without errors, of at most 64 coordinates.
    value : float
    multipliers : ndarray, shape (n_units,)
    live : ndarray of bool, shape (n_coordinates,)
        Coordinates that can differ from 0.

    Raises
    ------
    ValueError
        If the problem is too large, or its matrices are known up to errors only.
    """
    n, size = problem.n_inputs, problem.n_coordinates
    if size > _MOST_COORDINATES:
        raise ValueError(
            f"{size} coordinates are too many for rational arithmetic: at most {_MOST_COORDINATES}"
        )
    assembled = problem.assembled
    if assembled.rows_error.any() or assembled.output_error.any():
        raise ValueError("rational arithmetic needs exact matrices, these are known up to errors")
    rows = [[Fraction(x) for x in row] for row in assembled.rows.tolist()]
    output = [[Fraction(x) for x in row] for row in assembled.output.tolist()]
    slack = [
        [-sum((row[i] * row[j] for row in output), Fraction(0)) for j in range(size)]
        for i in range(size)
    ]
    for i in range(n):
        slack[i][i] += Fraction(value) ** 2
    for i, (multiplier, row) in enumerate(zip(multipliers.tolist(), rows, strict=True)):
        unit = n + i
        slack[unit][unit] += 2 * Fraction(multiplier)
        for j in range(unit):
            slack[unit][j] -= Fraction(multiplier) * row[j]
            slack[j][unit] -= Fraction(multiplier) * row[j]
    kept = [i for i in range(size) if live[i]]
    return semidefinite([[slack[i][j] for j in kept] for i in kept])


def semidefinite(matrix: Rows) -> bool:
    """Decide whether a symmetric rational matrix is positive semidefinite.

    L D L^T with the largest diagonal entry as pivot, fraction-free: all entries are integers, the
    minors of the matrix, so that they stay as short as they can be.

    Parameters
    ----------
    matrix : list of list of Fraction, (n, n)

    References
    ----------
    Bareiss, Sylvester's identity and multistep integer-preserving Gaussian elimination, Math.
    Comp. 22 (1968).

    Examples
    --------
    >>> one, two = Fraction(1), Fraction(2)
    >>> semidefinite([[one, two], [two, 4 * one]]), semidefinite([[one, two], [two, one]])
    (True, False)
    """
    rest = _integers(matrix)
    before = 1
    while rest:
        diagonal = [row[i] for i, row in enumerate(rest)]
        if min(diagonal) < 0:
            return False
        pivot = max(diagonal)
        if pivot == 0:
            return not any(any(row) for row in rest)
        at = diagonal.index(pivot)
        column = rest[at]
        others = [i for i in range(len(rest)) if i != at]
        rest = [
            [(pivot * rest[i][j] - column[i] * column[j]) // before for j in others] for i in others
        ]
        before = pivot
    return True


def _integers(matrix: Rows) -> list[list[int]]:
    """Return a multiple of the matrix by a positive integer that has integer entries."""
    common = lcm(*(entry.denominator for row in matrix for entry in row))
    return [[int(entry * common) for entry in row] for row in matrix]
