"""Operator norms with rigorous upper ends: every rounding error is in the result."""

import numpy as np
from scipy import linalg

from theory.arrays import FloatArray

UNIT_ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}


def accumulated_error(terms: int, unit: float = UNIT_ROUNDOFF["float64"]) -> float:
    """Return gamma_n = n u / (1 - n u), the relative error of a sum of n products in any order.

    Raises
    ------
    ValueError
        If n u >= 1: the precision is too low for sums of that length.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.1.
    """
    if terms * unit >= 1:
        raise ValueError(f"sums of {terms} terms have no accuracy at unit roundoff {unit}")
    return terms * unit / (1 - terms * unit)


def frobenius_upper(matrix: FloatArray) -> float:
    """Return an upper bound on the Frobenius norm, rounding included."""
    power = power_above(matrix)
    return float(np.linalg.norm(matrix / power)) * (1 + accumulated_error(matrix.size + 2)) * power


def power_above(matrix: FloatArray) -> float:
    """Return a power of two above all entries, so that scaling by it is exact.

    Raises
    ------
    ValueError
        If an entry is not finite, or the largest is so near the ends of the number range that
        rounding could not be bounded.
    """
    if not np.all(np.isfinite(matrix)):
        raise ValueError("the matrix of a layer has an entry that is not finite")
    scale = float(np.abs(matrix).max(initial=0.0))
    if scale and not 2.0**-900 < scale < 2.0**900:
        raise ValueError(f"the matrix of a layer has a largest entry of {scale}, out of range")
    return float(2.0 ** np.ceil(np.log2(scale))) if scale else 1.0


def _eigenvalue(gram: FloatArray, index: int) -> float:
    """Return an eigenvalue, counted from the least; a proposal that is proved elsewhere."""
    try:
        return float(linalg.eigh(gram, eigvals_only=True, subset_by_index=(index, index))[0])
    except linalg.LinAlgError:
        # The partial solver of LAPACK gives up on some matrices near the identity.
        return float(np.linalg.eigvalsh(gram)[index])


def spectral_norm_upper(matrix: FloatArray) -> float:
    """Return an upper bound on the spectral norm that is proved in floating point.

    An eigenvalue solver proposes s; a Cholesky factorisation of s^2 I - A^T A, which shares
    nothing with it, proves sigma_max^2 <= s^2 + delta, where delta holds the rounding errors of
    the Gram matrix and of the factorisation.

    Parameters
    ----------
    matrix : ndarray, shape (m, n)
        A finite float64 matrix.

    Returns
    -------
    float
        At least the spectral norm, and above it by a relative 1e-9 for sides up to some thousands.

    Raises
    ------
    ValueError
        If an entry is not finite, or the largest is beyond 2^900 or below 2^-900.
    ArithmeticError
        If the factorisation refutes every proposal, which means that the solver failed.

    References
    ----------
    Rump, Verification of positive definiteness, BIT 46 (2006); Higham (2002), theorem 10.3.

    Examples
    --------
    >>> bound = spectral_norm_upper(np.diag([3.0, 4.0]))
    >>> 4.0 <= bound <= 4.0 * (1 + 1e-9)
    True
    """
    power = power_above(matrix)
    if not matrix.any():
        return 0.0
    # Squares of the scaled entries neither overflow nor, where it matters, underflow.
    a = matrix / power
    a = a if a.shape[0] >= a.shape[1] else a.T
    m, n = a.shape
    gram = a.T @ a
    frobenius_squared = frobenius_upper(a) ** 2
    top = _eigenvalue(gram, n - 1)
    for inflation in (1e-12, 1e-10, 1e-8):
        square = top * (1 + inflation) + accumulated_error(m) * frobenius_squared
        shifted = -gram
        shifted[np.diag_indices(n)] += square
        delta = semidefinite_up_to(shifted)
        if delta is not None:
            delta += _gram_error(m, frobenius_squared, square)
            return float(np.sqrt(square + delta) * (1 + 4 * UNIT_ROUNDOFF["float64"]) * power)
    raise ArithmeticError("no upper end of the spectral norm could be proved")


def least_singular_value_lower(matrix: FloatArray) -> float:
    """Return a lower bound on the least singular value that is proved in floating point.

    Proved as in `spectral_norm_upper`, by a Cholesky factorisation of A^T A - s^2 I.

    Parameters
    ----------
    matrix : ndarray, shape (m, n)
        A finite float64 matrix with m >= n.

    Returns
    -------
    float
        At most the least singular value; 0 where nothing more can be proved, as for columns that
        are dependent to about half the working precision.

    Raises
    ------
    ValueError
        If m < n, an entry is not finite, or the largest is beyond 2^900 or below 2^-900.

    References
    ----------
    Rump, Verification of positive definiteness, BIT 46 (2006); Higham (2002), theorem 10.3.

    Examples
    --------
    >>> bound = least_singular_value_lower(np.diag([3.0, 4.0]))
    >>> 3.0 * (1 - 1e-9) <= bound <= 3.0
    True
    """
    m, n = matrix.shape
    if m < n:
        raise ValueError(f"the matrix must have at least as many rows as columns, got {m} x {n}")
    power = power_above(matrix)
    a = matrix / power
    gram = a.T @ a
    frobenius_squared = frobenius_upper(a) ** 2
    bottom = _eigenvalue(gram, 0)
    for deflation in (1e-12, 1e-10, 1e-8):
        square = bottom * (1 - deflation) - accumulated_error(m) * frobenius_squared
        shifted = gram.copy()
        shifted[np.diag_indices(n)] -= square
        delta = semidefinite_up_to(shifted)
        if delta is not None:
            delta += _gram_error(m, frobenius_squared, square)
            root = np.sqrt(max(square - delta, 0.0))
            return float(root * (1 - 4 * UNIT_ROUNDOFF["float64"]) * power)
    return 0.0


def semidefinite_up_to(matrix: FloatArray) -> float | None:
    """Return delta such that matrix + delta I is proved positive semidefinite, or None.

    A factorisation that runs to completion is exact for a matrix at most delta away.
    """
    try:
        linalg.cholesky(matrix, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    n = len(matrix)
    gamma = accumulated_error(n + 1)
    trace = float(np.trace(matrix)) * (1 + accumulated_error(n))
    return gamma / (1 - gamma) * trace


def _gram_error(rows: int, frobenius_squared: float, square: float) -> float:
    """Return a bound on the error of A^T A +- square I as it was computed."""
    diagonal = 2 * UNIT_ROUNDOFF["float64"] * (abs(square) + frobenius_squared)
    return accumulated_error(rows) * frobenius_squared + diagonal
