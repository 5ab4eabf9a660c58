r"""The cut-point bound: activations that are halfway to the identity let layers merge.

A slope s in [0, 1] is (1 + r) / 2 with r in [-1, 1]. Expanded, the change of outputs is a mean of
2^(L-1) terms, one a set of layers at which r is taken: between them the weights are multiplied out,
and only the norms of these products are multiplied.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.pattern_jacobian import checked_norm, operator_norm_lower, operator_norm_upper
from theory.norms import accumulated_error
from theory.relu.layer import dense

_EXPONENT = 500


def cut_point_bound(weights: Sequence[npt.ArrayLike], p: float = 2) -> float:
    """Return the cut-point bound on the Lipschitz constant of a feed-forward network.

    Parameters
    ----------
    weights : sequence of array_like
        W_1, ..., W_L, each of shape (out, in).
    p : {1, 2, inf}
        Norm of both inputs and outputs.

    Returns
    -------
    float
        At least the constant of x -> W_L phi(... phi(W_1 x + b_1) ...) + b_L for all biases and
        all activations with slopes in [0, 1]; rounding is in it. In exact arithmetic it is at most
        the product of the layers' norms.

    Raises
    ------
    ValueError
        If p is another number, the shapes do not chain, an entry is not finite, or the entries of
        a product are far beyond 1, where rounding could not be bounded.

    References
    ----------
    Combettes and Pesquet, Lipschitz certificates for layered network structures driven by averaged
    activation operators, SIAM J. Math. Data Sci. 2 (2020), for firmly nonexpansive activations.

    Examples
    --------
    >>> round(cut_point_bound([[[1.0], [1.0]], [[1.0, -1.0]]]), 9)  # (0 + sqrt 2 sqrt 2) / 2
    1.0
    """
    return cut_point_sum(weights, p).upper


def cut_point_sum(weights: Sequence[npt.ArrayLike], p: float = 2) -> Interval:
    """Enclose 2^(1-L) times the sum, over all sets of cuts, of the products of merged norms.

    The sum of 2^(L-1) products takes L (L + 1) / 2 norms: the sets of cuts before layer b are those
    before a last cut a, each followed by the norm of W_b ... W_(a+1).

    Parameters
    ----------
    weights : sequence of array_like
        W_1, ..., W_L, each of shape (out, in).
    p : {1, 2, inf}

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        As for `cut_point_bound`.

    Examples
    --------
    >>> ends = cut_point_sum([np.diag([2.0, 1.0]), np.diag([1.0, 3.0])])  # (3 + 2 * 3) / 2
    >>> round(ends.lower, 9), round(ends.upper, 9)
    (4.5, 4.5)
    """
    checked_norm(p)
    stages = FeedForward.of_weights(weights).stages
    matrices = [dense(stage.weight) for stage in stages]
    n_layers = len(matrices)
    lower, upper = np.zeros(n_layers + 1), np.zeros(n_layers + 1)
    lower[0] = upper[0] = 1.0
    with np.errstate(over="ignore"):
        for a in range(n_layers):
            for b, ends in enumerate(_merged_norms(matrices[a:], p), start=a + 1):
                lower[b] += lower[a] * ends.lower
                upper[b] += upper[a] * ends.upper
    # Every term has at most 2 L roundings; halving is exact.
    doubt = accumulated_error(3 * n_layers)
    least = float(np.ldexp(lower[-1], 1 - n_layers)) * (1 - doubt)
    most = float(np.ldexp(upper[-1], 1 - n_layers)) * (1 + doubt)
    if not np.isfinite(most):
        raise ValueError("the norms of the layers multiply to more than the range of floats")
    return Interval(least, most)


def _merged_norms(matrices: Sequence[FloatArray], p: float) -> list[Interval]:
    """Return the norms of the products of the first 1, 2, ... of the matrices."""
    norms, terms = [], 0
    product = size = np.eye(matrices[0].shape[1])
    for i, matrix in enumerate(matrices):
        if i == 0:
            product, size, error = matrix, np.abs(matrix), np.zeros(matrix.shape)
        else:
            # Each entry is a sum of products along paths; its error is relative to the sum of
            # their absolute values, which is rounded too.
            product, size = matrix @ product, np.abs(matrix) @ size
            terms += matrix.shape[1] + 1
            error = accumulated_error(2 * terms + 4) * size
        # Within these limits an entry that underflows is nothing beside the largest one's error.
        largest = float(size.max(initial=0.0))
        if largest and not 2.0**-_EXPONENT <= largest <= 2.0**_EXPONENT:
            raise ValueError(
                f"the product of {i + 1} weights has entries up to {largest:.3g}, beyond"
                f" 2^+-{_EXPONENT}: rescale them to about 1"
            )
        low = max(operator_norm_lower(product, error, p), 0.0)
        norms.append(Interval(low, operator_norm_upper(product, error, p)))
    return norms
