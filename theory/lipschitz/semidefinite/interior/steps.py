"""Cholesky factors, inverses and step lengths in the cone of positive definite matrices."""

import numpy as np
from scipy import linalg
from scipy.linalg import blas, lapack

from theory.arrays import FloatArray
from theory.norms import accumulated_error


def factored(matrix: FloatArray) -> FloatArray | None:
    """Return the lower Cholesky factor of a symmetric matrix, None if it is not definite.

    The part above the diagonal is zero, and the factor lies column by column in memory.
    """
    factor, status = lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=0)
    if status != 0 or not np.isfinite(factor[-1, -1]):
        return None
    lower: FloatArray = factor
    return lower


def clear_of_boundary(matrix: FloatArray) -> bool:
    """Return whether a positive definite matrix can be verified as such by another computation.

    With unit diagonal, its least eigenvalue is then well above the rounding of a factorisation.
    """
    diagonal = np.diag(matrix)
    if not np.all(diagonal > 0):
        return False
    margin = 16 * accumulated_error(len(matrix) + 1)
    shifted = matrix.copy()
    shifted.flat[:: len(matrix) + 1] -= margin * diagonal
    return factored(shifted) is not None


def inverted(factor: FloatArray) -> FloatArray:
    """Return (L L^T)^{-1}, symmetric to the last bit."""
    half, _ = lapack.dpotri(factor, lower=1)
    found: FloatArray = np.tril(half)
    found += np.tril(half, -1).T
    return found


def longest_step(
    factor: FloatArray, direction: FloatArray, accuracy: float = 0.05, most: int = 40
) -> float:
    """Return about the largest t with L L^T + t D positive semidefinite, seldom above it.

    A Lanczos iteration finds the least eigenvalue of L^{-1} D L^{-T}, less its residual.

    Parameters
    ----------
    factor : ndarray, shape (N, N)
        L.
    direction : ndarray, shape (N, N)
        D, symmetric.
    accuracy : float
        Relative residual at which to stop.
    most : int
        Iterations at most.

    References
    ----------
    Toh, A note on the calculation of step-lengths in interior-point methods for semidefinite
    programming, Comput. Optim. Appl. 21 (2002).

    Examples
    --------
    >>> round(longest_step(np.eye(2), np.diag([1.0, -0.5])), 6)
    2.0
    """
    size = len(factor)
    vector = np.random.default_rng(0).standard_normal(size)
    vector /= np.linalg.norm(vector)
    basis = np.empty((min(most, size), size))
    diagonal: list[float] = []
    beside: list[float] = []
    least = residual = 0.0
    for step in range(len(basis)):
        basis[step] = vector
        image = blas.dtrsv(factor, vector, lower=1, trans=1)
        image = blas.dtrsv(factor, direction @ image, lower=1)
        diagonal.append(float(vector @ image))
        # Full orthogonalisation: the bases are short, and lost orthogonality gives ghosts.
        image -= basis[: step + 1].T @ (basis[: step + 1] @ image)
        rest = float(np.linalg.norm(image))
        if step % 4 == 3 or step == len(basis) - 1 or rest < 1e-12:
            values, vectors = linalg.eigh_tridiagonal(
                diagonal, beside, select="i", select_range=(0, 0), check_finite=False
            )
            least, residual = float(values[0]), rest * abs(float(vectors[-1, 0]))
            # Steps above 1 / 0.9 are not told apart.
            long = step > 10 and least - residual > -0.9
            if long or residual <= accuracy * abs(least):
                break
        if rest < 1e-12:
            break
        beside.append(rest)
        vector = image / rest
    bound = least - residual
    return -1.0 / bound if bound < 0 else np.inf
