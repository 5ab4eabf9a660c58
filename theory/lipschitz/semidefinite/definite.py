r"""Proofs in floating point that a matrix is positive semidefinite, by a Cholesky factorisation.

The backward error of a factorisation is |L L^T - A| <= gamma_c |L| |L|^T, entry by entry, with c
the non-zero terms of the entry's sum. A symmetric matrix B with entries of at least 0 is at most
diag(B s / s), in the semidefinite order, for every s > 0.
"""

from typing import Final

import numpy as np
from scipy import linalg

from theory.arrays import FloatArray
from theory.norms import UNIT_ROUNDOFF

_UNIT: Final = UNIT_ROUNDOFF["float64"]
# Sums of positive terms that bound errors are themselves off by less than this factor.
_COVER: Final = 1.01


def definite_beyond(matrix: FloatArray, errors: FloatArray) -> bool:
    """Whether matrix - diag(errors) is proved positive semidefinite.

    The factorisation is made twice: the first measures what its backward error may be, the second
    has a shift that covers it.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric, of which the lower triangle is read, with a diagonal between 0 and 2.
    errors : ndarray, shape (n,)
        At least 0.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), theorem 10.3; Rump, Verification
    of positive definiteness, BIT 46 (2006).

    Examples
    --------
    >>> nearly = np.array([[1.0, 0.5], [0.5, 0.25 + 1e-12]])
    >>> definite_beyond(nearly, np.zeros(2)), definite_beyond(nearly, np.full(2, 1e-12))
    (True, False)
    """
    if not len(matrix):
        return True
    # Taking the shifts off a diagonal of at most 2 rounds twice.
    diagonal = np.diag(matrix).copy()
    covered = 64 * _UNIT
    for _ in range(4):
        shifted = matrix.copy(order="F")
        np.fill_diagonal(shifted, diagonal - (_COVER * errors + 4 * _UNIT) - covered)
        try:
            factor = linalg.cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:
            return False
        needed = _backward_error(factor)
        if not np.isfinite(needed):
            return False
        if needed <= covered:
            return True
        covered = _COVER * needed
    return False


def _backward_error(factor: FloatArray) -> float:
    """Return a bound on the spectral norm of the backward error; overwrites the factor."""
    terms = np.count_nonzero(factor, axis=1) + 4
    # An entry's sum has at most as many terms as the shorter of two rows, and gamma at the lesser
    # of two counts is at most the geometric mean.
    weights = np.sqrt(terms * _UNIT / (1 - terms * _UNIT))
    size = np.abs(factor, out=factor)
    s = np.ones(len(factor))
    bound = np.inf
    for _ in range(8):
        # Towards the vector for which the inequality of the module's text is sharp.
        image = weights * (size @ (size.T @ (weights * s)))
        bound = min(bound, float(np.max(image / s)))
        s = image / np.max(image)
    return _COVER * bound
