"""Spectral norms of many small matrices at once, with rigorous upper ends."""

import numpy as np
import numpy.typing as npt
from scipy import linalg

from theory.arrays import FloatArray
from theory.norms import UNIT_ROUNDOFF, accumulated_error, spectral_norm_upper

Stack = npt.NDArray[np.floating]


def spectral_norms_upper(stack: Stack) -> FloatArray:
    """Return upper bounds on the spectral norms of many matrices, proved in floating point.

    As `theory.norms.spectral_norm_upper` proves one: eigenvalues propose, Cholesky factorisations
    of s^2 I - A^T A prove, and the rounding of the Gram matrices, in the precision of the stack,
    and of the factorisations is added.

    Parameters
    ----------
    stack : ndarray of float32 or float64, shape (n, a, b)

    Returns
    -------
    ndarray of float64, shape (n,)
        Infinite where an entry is not finite, or beyond 2^60 or (all of them) below 2^-60 in
        float32, 2^900 and 2^-900 in float64.

    References
    ----------
    Rump, Verification of positive definiteness, BIT 46 (2006); Higham, Accuracy and Stability of
    Numerical Algorithms (2002), sections 3.5 and 10.1.

    Examples
    --------
    >>> spectral_norms_upper(np.array([np.diag([3.0, 4.0]), np.zeros((2, 2))])).round(9)
    array([4., 0.])
    """
    n, a, b = stack.shape
    if not stack.size:
        return np.zeros(n)
    largest = np.abs(stack).max(axis=(1, 2))
    reach = 2.0**60 if stack.dtype == np.float32 else 2.0**900
    regular = np.isfinite(largest) & (largest < reach) & (largest > 1 / reach)
    found = np.where(largest == 0, 0.0, np.inf)
    chosen = np.flatnonzero(regular)
    if chosen.size:
        # A power of two scales exactly; entries of at most 1 have squares that do not overflow.
        power = np.exp2(np.ceil(np.log2(largest[chosen].astype(np.float64))))
        scaled = stack[chosen] / power.astype(stack.dtype)[:, None, None]
        found[chosen] = _of_scaled(scaled if a >= b else scaled.transpose(0, 2, 1)) * power
    return found


def _of_scaled(stack: Stack) -> FloatArray:
    """Return the bounds for matrices of largest entries in [1/2, 1], with a >= b."""
    n, a, b = stack.shape
    unit = UNIT_ROUNDOFF[str(stack.dtype)]
    gram = np.matmul(stack.transpose(0, 2, 1), stack).astype(np.float64)
    diagonal = np.einsum("nii->ni", gram).sum(axis=1)
    frobenius = diagonal * (1 + 2 * accumulated_error(a, unit)) * (1 + accumulated_error(b + 2))
    # Squares that underflow are far below the roundings of a largest entry of 1/2.
    doubt = accumulated_error(a + 1, unit) * frobenius
    square = np.linalg.eigvalsh(gram)[:, -1] * (1 + 1e-12) + accumulated_error(a + b) * frobenius
    shifted = -gram
    index = np.arange(b)
    shifted[:, index, index] += square[:, None]
    gamma = accumulated_error(b + 1)
    trace = np.einsum("nii->n", shifted) * (1 + accumulated_error(b))
    delta = gamma / (1 - gamma) * trace
    doubt += 4 * UNIT_ROUNDOFF["float64"] * (square + frobenius)
    upper = np.sqrt(square + delta + doubt) * (1 + 4 * UNIT_ROUNDOFF["float64"])
    try:
        np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        # Which of them failed is not told: one by one, and what fails is proved otherwise.
        for i in range(n):
            try:
                linalg.cholesky(shifted[i], lower=True)
            except linalg.LinAlgError:
                upper[i] = spectral_norm_upper(stack[i].astype(np.float64))
    return np.asarray(upper)
