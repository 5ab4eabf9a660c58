"""Gram iteration: spectral norms of many matrices at once, from above, by products alone."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.norms import accumulated_error

Blocks = npt.NDArray[np.float64] | npt.NDArray[np.complex128]


def gram_iteration_upper(blocks: Blocks, iterations: int = 8) -> FloatArray:
    """Return an upper bound on the spectral norm of each matrix, rounding included.

    G_0 = A, G_{t+1} = G_t^H G_t and ||A||_2 <= ||G_t||_F^(1 / 2^t). Each step is rescaled, and
    the rounding of each is added on the way back from the last Frobenius norm to ||A||_2.

    Parameters
    ----------
    blocks : ndarray, shape (..., m, n)
        Real or complex, with entries that are at most about 1 and not all tiny.
    iterations : int
        At least 1; the ratio to the norm tends to 1 as fast as r^(2^-t / 2), r the rank.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If iterations is less than 1.

    References
    ----------
    Delattre, Barthelemy, Araujo and Allauzen, Efficient bound of Lipschitz constant for
    convolutional layers by Gram iteration (ICML 2023), theorem on the Gram iteration.

    Examples
    --------
    >>> bool(3.0 <= gram_iteration_upper(np.diag([3.0, 1.0]), 6) <= 3.001)
    True
    """
    if iterations < 1:
        raise ValueError(f"the Gram iteration needs at least 1 iteration, got {iterations}")
    adjoint = np.conj(np.swapaxes(blocks, -1, -2))
    r = max(blocks.shape[-2:])
    # Complex products are sums of twice as many real ones, in two parts.
    error = accumulated_error(4 * r + 8)
    wide = blocks.shape[-2] < blocks.shape[-1]
    gram, scales = (blocks @ adjoint if wide else adjoint @ blocks), []
    first = _frobenius(blocks) ** 2
    for _ in range(iterations - 1):
        norm = _frobenius(gram)
        scales.append(norm)
        unit = gram / np.where(norm > 0, norm, 1.0)[..., None, None]
        gram = np.conj(np.swapaxes(unit, -1, -2)) @ unit
    upper = _frobenius(gram)
    for scale in reversed(scales):
        upper = scale * (np.sqrt(upper + 2 * error) + error)
    return np.asarray(np.sqrt(upper + error * first) * (1 + accumulated_error(8)))


def _frobenius(blocks: Blocks) -> FloatArray:
    """Return upper ends of the Frobenius norms."""
    terms = blocks.shape[-1] * blocks.shape[-2]
    norms = np.sqrt(np.sum(np.abs(blocks) ** 2, axis=(-2, -1)))
    return np.asarray(norms * (1 + accumulated_error(terms + 8)))
