r"""The split over pairs of layers: one free pattern of slopes at a time.

With factorisations W_l = B_l A_l of the inner weights, the Jacobian W_L D_(L-1) ... D_1 W_1 is the
product of A_(l+1) D_l B_l over the hidden layers l, with B_1 = W_1 and A_L = W_L. Each of these
has a pattern of its own, and its largest norm over all patterns is bounded by itself. The
factorisation is U sqrt(S) times sqrt(S) V^T, from singular values; any other is valid too, and how
far the computed one is from the weights is in the bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.pattern_jacobian import operator_norm_lower
from theory.norms import accumulated_error, frobenius_upper, spectral_norm_upper
from theory.relu.layer import dense

_STARTS, _SWEEPS = 4, 50


@dataclass(frozen=True)
class SeqLipBound:
    """The split bound, with certified ends.

    Attributes
    ----------
    value : float
        Upper end of the Lipschitz constant l2 -> l2.
    lower : float
        Lower end of the product of the largest norms for the factorisation that was used: what no
        better maximiser of the factors can bring `value` below. Not a bound on the constant.
    factors : tuple of float
        Upper ends, one a hidden layer, whose product is `value` up to rounding: the residual of
        the factorisation is in the last one.
    """

    value: float
    lower: float
    factors: tuple[float, ...]


def seqlip_bound(weights: Sequence[npt.ArrayLike], *, tolerance: float = 1e-6) -> SeqLipBound:
    """Return the split bound on the l2 Lipschitz constant of a feed-forward network.

    Parameters
    ----------
    weights : sequence of array_like
        W_1, ..., W_L, each of shape (out, in).
    tolerance : float
        Relative, of the semidefinite bound on each factor.

    Returns
    -------
    SeqLipBound
        Valid for all biases and all activations with slopes in [0, 1].

    Raises
    ------
    ValueError
        If the shapes do not chain, an entry is not finite, or a norm is beyond the range of floats.
    RuntimeError
        If the semidefinite bound of a factor was not solved.

    References
    ----------
    Virmaux and Scaman, Lipschitz regularity of deep neural networks: analysis and efficient
    estimation (NeurIPS 2018): SeqLip. Its greedy maximiser gives lower ends of the factors, which
    bound nothing from above; here each factor has an upper end, from the semidefinite bound.

    Examples
    --------
    >>> found = seqlip_bound([[[1.0], [1.0]], [[1.0, -1.0]]])
    >>> bool(1.0 <= found.value < 1.0001), round(found.lower, 9)
    (True, 1.0)
    """
    matrices = [dense(stage.weight) for stage in FeedForward.of_weights(weights).stages]
    norms = [spectral_norm_upper(matrix) for matrix in matrices]
    if len(matrices) == 1:
        least = operator_norm_lower(matrices[0], np.zeros(matrices[0].shape), 2)
        return SeqLipBound(norms[0], max(least, 0.0), (norms[0],))
    split = [_halves(matrix) for matrix in matrices[1:-1]]
    firsts = [matrices[0], *(first for first, _, _ in split)]
    seconds = [*(second for _, second, _ in split), matrices[-1]]
    pairs = list(zip(firsts, seconds, strict=True))
    factors = [_factor_upper(first, second, tolerance) for first, second in pairs]
    lower = float(np.prod([_factor_lower(first, second) for first, second in pairs]))
    residual = _residual(norms, [error for _, _, error in split])
    product = float(np.prod(factors))
    gamma = accumulated_error(2 * len(factors) + 6)
    value = (product + residual) * (1 + gamma)
    if not np.isfinite(value):
        raise ValueError("the norms of the layers multiply to more than the range of floats")
    if product > 0:
        factors[-1] *= (1 + residual / product) * (1 + gamma)
    elif residual > 0:
        factors = [float(residual ** (1 / len(factors)) * (1 + 1e-12))] * len(factors)
    return SeqLipBound(value, max(lower * (1 - gamma), 0.0), tuple(factors))


def _halves(matrix: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return B and A with B A near the matrix, and a bound on ||matrix - B A||_2."""
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(s)
    first, second = u * root, root[:, None] * vt
    # Nothing relies on the decomposition: the difference is measured, with its rounding.
    gamma = accumulated_error(len(s) + 2)
    rounding = gamma * (np.abs(first) @ np.abs(second) + np.abs(matrix))
    apart = np.abs(matrix - first @ second) + (1 + gamma) * rounding
    return first, second, frobenius_upper(apart) if apart.any() else 0.0


def _factor_upper(first: FloatArray, second: FloatArray, tolerance: float) -> float:
    """Return an upper end of max ||second diag(s) first|| over s in [0, 1]^n."""
    # The solver of the semidefinite bound is needed here alone.
    from theory.lipschitz.semidefinite.bound import semidefinite_bound

    apart = spectral_norm_upper(second) * spectral_norm_upper(first) * (1 + accumulated_error(1))
    if apart == 0:
        return 0.0
    return min(semidefinite_bound([first, second], tolerance=tolerance).value, apart)


def _factor_lower(first: FloatArray, second: FloatArray) -> float:
    """Return a lower end of max ||second diag(s) first||, by ascent over patterns of 0 and 1.

    For unit vectors u and v the form u^T second diag(s) first v is linear in s, so the s that
    maximises it at the singular vectors of one pattern has at least the norm of that pattern.
    """
    rng = np.random.default_rng(0)
    n = len(first)
    starts = [np.ones(n, dtype=bool), *(rng.random((_STARTS - 1, n)) < 0.5)]
    best, found = -1.0, starts[0]
    for start in starts:
        pattern, norm = start, -1.0
        for _ in range(_SWEEPS):
            u, s, vt = np.linalg.svd(second[:, pattern] @ first[pattern], full_matrices=False)
            if s[0] <= norm * (1 + 1e-12):
                break
            norm = float(s[0])
            if norm > best:
                best, found = norm, pattern
            pattern = (u[:, 0] @ second) * (first @ vt[0]) > 0
            if not pattern.any():
                break
    chosen = second[:, found] @ first[found]
    error = accumulated_error(n + 2) * (np.abs(second[:, found]) @ np.abs(first[found]))
    return max(operator_norm_lower(chosen, error, 2), 0.0)


def _residual(norms: Sequence[float], errors: Sequence[float]) -> float:
    """Return how much the Jacobian changes at most where each inner W_l is replaced by B_l A_l.

    The weights are replaced one by one: those before have the norm ||W_l|| + e_l at most, those
    after it have ||W_l||.
    """
    total = 0.0
    wide = [norms[0], *(n + e for n, e in zip(norms[1:-1], errors, strict=True)), norms[-1]]
    for i, error in enumerate(errors, start=1):
        total += error * float(np.prod(wide[:i])) * float(np.prod(wide[i + 1 :]))
    return total * (1 + accumulated_error(3 * len(norms)))
