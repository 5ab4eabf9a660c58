"""Jacobians of activation patterns, and their operator norms between proved ends."""

from math import inf, prod

import numpy as np

from theory.arrangement.counting import binomial_sum
from theory.arrays import FloatArray
from theory.norms import accumulated_error, frobenius_upper, spectral_norm_upper
from theory.relu.layer import BoolArray, magnitudes
from theory.relu.network import ReluNetwork

_NORMS = (1, 2, inf)


def checked_norm(p: float) -> None:
    """Raise ValueError unless p is 1, 2 or inf."""
    if p not in _NORMS:
        raise ValueError(f"p must be 1, 2 or inf, got {p!r}")


def n_regions_upper(network: ReluNetwork) -> int:
    """Return an upper bound on the number of activation regions, whatever the slopes are.

    Each layer cuts each region of those before it as an arrangement of hyperplanes does.

    References
    ----------
    Zaslavsky, Facing up to arrangements (1975); Raghu et al., On the expressive power of deep
    neural networks (ICML 2017), theorem 1.

    Examples
    --------
    >>> n_regions_upper(ReluNetwork([(np.ones((3, 2)), np.zeros(3)), (np.ones((1, 3)), [0.0])]))
    7
    """
    n = network.n_inputs
    return prod(binomial_sum(len(layer.hinges), n) for layer in network.layers)


def jacobian_with_error(network: ReluNetwork, pattern: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the Jacobian for a pattern, shape (n_outputs, n_inputs), and entrywise error bounds.

    Parameters
    ----------
    network : ReluNetwork
    pattern : ndarray of bool, shape (n_units,)

    Examples
    --------
    >>> line = ReluNetwork([([[3.0]], [1.0])])
    >>> jacobian, error = jacobian_with_error(line, np.zeros(0, dtype=bool))
    >>> jacobian.tolist(), bool(error[0, 0] < 1e-14)
    ([[3.0]], True)
    """
    # Every entry is a sum of products along paths, so its error is relative to the sum of their
    # absolute values.
    size, first, terms = np.eye(network.n_inputs), 0, 0
    for layer in network.layers:
        last = first + len(layer.hinges)
        scale = np.abs(layer.slope)
        scale[layer.hinges[pattern[first:last]]] = 1.0
        size, first = scale[:, None] * np.asarray(magnitudes(layer) @ size), last
        terms += layer.weight.shape[1] + 1
    gamma = accumulated_error(2 * terms + 4)
    return network.piece(pattern).outputs.weight, gamma * size


def maximal_direction(matrix: FloatArray, p: float) -> FloatArray:
    """Return a vector v for which ||matrix v||_p / ||v||_p is the operator norm, up to rounding.

    Parameters
    ----------
    matrix : ndarray, shape (m, n)
    p : {1, 2, inf}

    Examples
    --------
    >>> maximal_direction(np.array([[1.0, -3.0], [1.0, 0.0]]), np.inf).tolist()
    [1.0, -1.0]
    """
    if p == 1:
        return np.asarray(np.eye(matrix.shape[1])[np.abs(matrix).sum(axis=0).argmax()])
    if p == 2:
        return np.asarray(np.linalg.svd(matrix, full_matrices=False)[2][0])
    row = matrix[np.abs(matrix).sum(axis=1).argmax()]
    return np.where(row < 0, -1.0, 1.0)


def operator_norm_upper(matrix: FloatArray, error: FloatArray, p: float) -> float:
    """Return an upper bound on the norms l_p -> l_p of all matrices within `error`, entrywise."""
    if p == 2:
        spread = frobenius_upper(error)
        return float(np.nextafter(spectral_norm_upper(matrix) + spread, inf))
    sums = (np.abs(matrix) + error).sum(axis=0 if p == 1 else 1)
    return float(sums.max() * (1 + accumulated_error(sum(matrix.shape) + 2)))


def operator_norm_lower(matrix: FloatArray, error: FloatArray, p: float) -> float:
    """Return a lower bound on the norms l_p -> l_p of all matrices within `error`, entrywise.

    It is proved by one vector. Not below 0 by more than rounding.
    """
    v = maximal_direction(matrix, p)
    m, n = matrix.shape
    # What rounding the products with v may have changed, and what the error may.
    doubt = (error + accumulated_error(n + 2) * np.abs(matrix)) @ np.abs(v)
    gamma = accumulated_error(m + n + 8)
    image = float(np.linalg.norm(matrix @ v, p)) * (1 - gamma)
    change = float(np.linalg.norm(doubt, p)) * (1 + 2 * gamma)
    return (image - change) * (1 - gamma) / (float(np.linalg.norm(v, p)) * (1 + gamma))
