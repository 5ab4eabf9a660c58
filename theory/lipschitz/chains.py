"""Bounds on chains of weights that improve on the product of their norms by diagonal scalings.

Slopes of activations form diagonal matrices S_l, and these commute with all diagonal matrices:
W_2 S_1 W_1 = (W_2 D^-1) S_1 (D W_1) for every D > 0. So with |S_l| <= 1 and D_0 = D_L = I

    || W_L S_(L-1) ... S_1 W_1 || <= prod_l || D_l W_l D_(l-1)^-1 ||.

In l1 and linf the best scalings are known: they give the norm of |W_L| ... |W_1|.
"""

from collections.abc import Sequence
from math import inf
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from theory.arrays import FloatArray
from theory.lipschitz.graph.bounds import times
from theory.lipschitz.graph.linear import checked_matrix, up
from theory.norms import accumulated_error, frobenius_upper, power_above, spectral_norm_upper
from theory.relu.layer import Matrix, dense

_EXPONENTS: Final = (4, 16, 64)
_STEPS: Final = 25
_LARGEST_LOGARITHM: Final = 20.0
_SUBNORMAL: Final = float(np.finfo(np.float64).smallest_subnormal)


def checked_weights(weights: Sequence[Any]) -> list[Matrix]:
    """Return weights as matrices of float64 that chain, or raise ValueError.

    Parameters
    ----------
    weights : sequence of array_like or scipy.sparse matrix
        Each of shape (out, in).
    """
    made: list[Matrix] = []
    for i, given in enumerate(weights):
        weight = checked_matrix(given, f"weights[{i}]")
        if made and weight.shape[1] != made[-1].shape[0]:
            raise ValueError(
                f"weights[{i}] takes {weight.shape[1]} values, but weights[{i - 1}] gives"
                f" {made[-1].shape[0]}"
            )
        made.append(weight)
    if not made:
        raise ValueError("a network needs at least one weight")
    return made


def absolute_bound(weights: Sequence[npt.ArrayLike], p: float) -> float:
    """Return the norm l_p -> l_p of |W_L| ... |W_1|, rounded up; p is 1 or inf.

    It bounds the Lipschitz constant for all elementwise activations with slopes in [-1, 1], and is
    at most the product of the norms: it is the least product after diagonal scalings.

    Parameters
    ----------
    weights : sequence of array_like, each of shape (out, in)
    p : {1, inf}

    Raises
    ------
    ValueError
        If p is another number, an entry is not finite, or the shapes do not chain.

    References
    ----------
    Horn and Johnson, Matrix Analysis (2013), theorem 8.1.18 (of absolute values of products).

    Examples
    --------
    >>> w = [np.array([[1.0, 0.0], [0.0, 4.0]]), np.array([[4.0, 0.0], [0.0, 1.0]])]
    >>> round(absolute_bound(w, np.inf), 9)  # the product of the norms is 16
    4.0
    """
    if p not in (1, inf):
        raise ValueError(f"the absolute bound is for p = 1 or inf, got {p!r}")
    chain: list[Any] = list(checked_weights(weights))
    if p == 1:
        # The norm in l1 is that in linf of the transpose.
        chain = [each.T for each in reversed(chain)]
    sums = np.ones(chain[0].shape[1])
    for weight in chain:
        n = weight.shape[1]
        sums = np.asarray(abs(weight) @ sums) * (1 + accumulated_error(n + 2)) + n * _SUBNORMAL
    return float(sums.max())


def balanced_product_bound(weights: Sequence[npt.ArrayLike]) -> float:
    """Return a product of spectral norms after diagonal scalings that make it small.

    The scalings come from a few quasi-Newton steps and need not be the best: every choice gives a
    bound, proved by the norms of the scaled matrices. They leave the network's slopes as they are
    only where the activations are elementwise: not for max pooling or group sort between layers.

    Parameters
    ----------
    weights : sequence of array_like, each of shape (out, in)

    Returns
    -------
    float
        An upper bound on the Lipschitz constant l2 -> l2 for all elementwise activations with
        slopes in [-1, 1], at most the product of the norms of the weights.

    Raises
    ------
    ValueError
        If an entry is not finite or the shapes do not chain.

    References
    ----------
    Bauer, Optimally scaled matrices, Numer. Math. 5 (1963); Nesterov, Smoothing technique and its
    applications in semidefinite optimization, Math. Program. 110 (2007), for Schatten norms in
    place of spectral ones.

    Examples
    --------
    >>> w = [np.array([[1.0, 0.0], [0.0, 4.0]]), np.array([[4.0, 0.0], [0.0, 1.0]])]
    >>> balanced_product_bound(w) < 4.01  # the product of the norms is 16
    True
    """
    given = [dense(each) for each in checked_weights(weights)]
    powers = [power_above(each) for each in given]
    chain = [each / power for each, power in zip(given, powers, strict=True)]
    plain = _product(spectral_norm_upper(each) for each in chain)
    if len(chain) == 1 or not plain:
        return _product([plain, *powers])
    best, scales = plain, np.zeros(sum(len(each) for each in chain[:-1]))
    small = _compressed(chain)
    for exponent in _EXPONENTS:
        found = optimize.minimize(
            _smoothed,
            scales,
            args=(small, exponent),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-_LARGEST_LOGARITHM, _LARGEST_LOGARITHM)] * len(scales),
            options={"maxiter": _STEPS},
        )
        scales = np.asarray(found.x)
        best = min(best, _certified(chain, scales))
    return _product([best, *powers])


def _product(norms: Any) -> float:  # noqa: ANN401
    total = 1.0
    for norm in norms:
        total = times(total, norm)
    return total


def _compressed(chain: Sequence[FloatArray]) -> list[FloatArray]:
    """Return weights of the same scaled norms, up to rounding, with the ends in fewer entries.

    Rotations of the inputs and outputs change no norm.
    """
    first, last = chain[0], chain[-1]
    made: list[Any] = [*chain]
    if first.shape[1] > first.shape[0]:
        made[0] = linalg.qr(first.T, mode="r")[0][: first.shape[0]].T
    if last.shape[0] > last.shape[1]:
        made[-1] = linalg.qr(last, mode="r")[0][: last.shape[1]]
    # A weight of zeros has no logarithm, and the product has been found to be positive.
    return [np.asarray(each / np.linalg.norm(each)) for each in made]


def _split(chain: Sequence[FloatArray], scales: FloatArray) -> list[FloatArray]:
    """Return the logarithms of D_0, ..., D_L from those between the layers."""
    edges = np.cumsum([len(each) for each in chain[:-1]])[:-1]
    ends = np.zeros(chain[0].shape[1]), np.zeros(chain[-1].shape[0])
    return [ends[0], *np.split(scales, edges), ends[1]]


def _smoothed(
    scales: FloatArray, chain: Sequence[FloatArray], exponent: int
) -> tuple[float, FloatArray]:
    """Return the sum of logarithms of Schatten norms of order 2 exponent, and its gradient."""
    logs = _split(chain, scales)
    value = 0.0
    slopes: list[FloatArray] = [np.zeros(each.shape) for each in logs]
    for i, weight in enumerate(chain):
        scaled = np.exp(logs[i + 1])[:, None] * weight * np.exp(-logs[i])
        wide = scaled.shape[0] <= scaled.shape[1]
        short = scaled if wide else scaled.T
        squares, vectors = np.linalg.eigh(short @ short.T)
        shares = (np.maximum(squares, 0.0) / squares[-1]) ** exponent
        total = float(shares.sum())
        value += (np.log(squares[-1]) + np.log(total) / exponent) / 2
        own = vectors**2 @ (shares / total)
        # The other side's singular vectors are W^T u / sigma.
        kept = squares > 1e-14 * squares[-1]
        weights = np.zeros_like(shares)
        weights[kept] = shares[kept] / total / squares[kept]
        across = (short.T @ vectors) ** 2 @ weights
        rows, columns = (own, across) if wide else (across, own)
        slopes[i + 1] = slopes[i + 1] + rows
        slopes[i] = slopes[i] - columns
    return float(value), np.concatenate(slopes[1:-1])


def _certified(chain: Sequence[FloatArray], scales: FloatArray) -> float:
    """Return the product of the norms of the scaled weights, rounding included."""
    diagonals = [np.exp(each) for each in _split(chain, scales)]
    norms = []
    for i, weight in enumerate(chain):
        scaled = diagonals[i + 1][:, None] * weight / diagonals[i]
        # Two roundings an entry.
        spread = accumulated_error(3) * frobenius_upper(scaled)
        norms.append(up(spectral_norm_upper(scaled) + spread))
    return _product(norms)
