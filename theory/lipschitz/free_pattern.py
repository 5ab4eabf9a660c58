"""The largest Jacobian norm over all activation patterns, whether or not a point has them.

It lies between the Lipschitz constant of a ReLU network and every bound from slopes alone, such as
the semidefinite ones: their gap to it is the relaxation's, the rest is reachability.
"""

import heapq
import itertools
from collections.abc import Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.lipschitz.exact.slopes import SlopeNorms
from theory.lipschitz.pattern_jacobian import (
    checked_norm,
    jacobian_with_error,
    maximal_direction,
    operator_norm_lower,
    operator_norm_upper,
)
from theory.norms import accumulated_error
from theory.relu.layer import BoolArray, dense
from theory.relu.network import ReluNetwork

_VERTICES = 7
"""With so many open units or fewer all their phases are tried."""
_CLOSED = 1e-10
"""Relative distance of the ends at which branching stops."""


def free_pattern_maximum(
    weights: Sequence[npt.ArrayLike],
    p: float = 2,
    *,
    upper: float = inf,
    starts: int = 16,
    max_nodes: int = 5000,
    rng: np.random.Generator | None = None,
) -> Interval:
    r"""Enclose max ||W_L D_{L-1} W_{L-1} ... D_1 W_1|| over diagonal D_l with entries 0 and 1.

    By convexity it is the maximum over entries in [0, 1]. The lower end is the norm of a pattern,
    found by alternating maximisation from several starts; the upper end comes from branch and
    bound over entries, which closes the interval for some 20 units.

    Parameters
    ----------
    weights : sequence of array_like
        W_1, ..., W_L, each of shape (out, in).
    p : {1, 2, inf}
        Norm of both inputs and outputs.
    upper : float
        A proved upper bound that is known already, such as a semidefinite one.
    starts : int
        Patterns that the ascent begins at, at least 1.
    max_nodes : int
        Nodes after which branching ends with the interval it has; 0 for none.
    rng : numpy.random.Generator, optional
        Draws the starts; by default one with the seed 0.

    Returns
    -------
    Interval
        Both ends hold in spite of rounding.

    Raises
    ------
    ValueError
        If the weights do not chain or are not finite, or another argument is out of range.

    References
    ----------
    Virmaux and Scaman, Lipschitz regularity of deep neural networks (NeurIPS 2018), section 5.

    Examples
    --------
    >>> found = free_pattern_maximum([[[1.0], [1.0]], [[1.0, -2.0]]])
    >>> round(found.lower, 9), round(found.upper, 9)
    (2.0, 2.0)
    """
    checked_norm(p)
    if starts < 1 or max_nodes < 0:
        raise ValueError(f"starts must be at least 1 and max_nodes 0, got {starts}, {max_nodes}")
    if not upper >= 0:
        raise ValueError(f"upper must be at least 0, got {upper}")
    matrices = [np.asarray(weight, dtype=np.float64) for weight in weights]
    for i, matrix in enumerate(matrices):
        if matrix.ndim != 2:
            raise ValueError(f"weights[{i}] must have the shape (out, in), got {matrix.shape}")
    network = ReluNetwork([(matrix, np.zeros(len(matrix))) for matrix in matrices])
    generator = np.random.default_rng(0) if rng is None else rng
    lower = 0.0
    for start in range(starts):
        # Of all patterns that of all ones is the largest for positive weights.
        first = np.ones(network.n_units, bool)
        if start:
            first = generator.random(network.n_units) < 0.5
        lower = max(lower, _norm_lower(network, _ascended(network, first, p), p))
    product = 1.0
    for layer in network.layers:
        weight = dense(layer.weight)
        product *= operator_norm_upper(weight, np.zeros_like(weight), p)
    product *= 1 + accumulated_error(len(matrices))
    lower, branched = _branched(network, p, lower, max_nodes)
    return Interval(lower, max(min(branched, product, upper), lower))


def _norm_lower(network: ReluNetwork, pattern: BoolArray, p: float) -> float:
    return operator_norm_lower(*jacobian_with_error(network, pattern), p)


def _ascended(network: ReluNetwork, pattern: BoolArray, p: float) -> BoolArray:
    """Return a pattern that no layer alone improves, as seen from its maximal vectors.

    The norm is the largest u J v over unit vectors, and u J v is linear in the entries of a layer.
    """
    matrices = [dense(layer.weight) for layer in network.layers]
    ends = list(itertools.accumulate((len(matrix) for matrix in matrices[:-1]), initial=0))
    pattern, best = pattern.copy(), -1.0
    while True:
        value = 0.0
        for i in range(len(matrices)):
            scales = [pattern[a:b, None] for a, b in itertools.pairwise(ends)]
            forward = [matrices[0]]
            for matrix, scale in zip(matrices[1:], scales, strict=True):
                forward.append(matrix @ (scale * forward[-1]))
            v = maximal_direction(forward[-1], p)
            image = forward[-1] @ v
            value = float(np.linalg.norm(image, p) / np.linalg.norm(v, p))
            if i == len(matrices) - 1:
                break
            u = image if p == 2 else np.sign(image)
            if p == inf:
                u = np.where(np.arange(len(image)) == np.abs(image).argmax(), u, 0.0)
            for k in range(len(matrices) - 1, i, -1):
                u = u @ matrices[k]
                if k - 1 > i:
                    u = u * scales[k - 1][:, 0]
            pattern[ends[i] : ends[i + 1]] = u * (forward[i] @ v) > 0
        if value <= best * (1 + 1e-9):
            return pattern
        best = value


def _branched(network: ReluNetwork, p: float, lower: float, max_nodes: int) -> tuple[float, float]:
    """Return the ends that branch and bound leaves; infinite above if it may not start."""
    if not max_nodes:
        return lower, inf
    norms = SlopeNorms(network, p)
    root = np.zeros(network.n_units, np.int8)
    bound = float(norms.upper(*_slopes(root[None]))[0])
    heap, count = [(-bound, 0, root)], itertools.count(1)
    finished = 0.0
    while heap and -heap[0][0] > lower * (1 + _CLOSED):
        if next(count) > max_nodes:
            return lower, max(-heap[0][0], finished)
        limit, _, phases = heapq.heappop(heap)
        opened = np.flatnonzero(phases == 0)
        if opened.size <= _VERTICES:
            signs = np.array(list(itertools.product((-1, 1), repeat=len(opened))), np.int8)
            children = np.repeat(phases[None], len(signs), axis=0)
            children[:, opened] = signs
            upper = norms.upper(*_slopes(children))
            # All below the upper end: what is left of the gap is rounding.
            lower = max(lower, _norm_lower(network, children[int(upper.argmax())] > 0, p))
            finished = max(finished, min(float(upper.max()), -limit))
            continue
        tried = np.repeat(phases[None], 2 * len(opened), axis=0)
        tried[np.arange(len(opened)), opened] = 1
        tried[len(opened) + np.arange(len(opened)), opened] = -1
        best = int(norms.rough(*_slopes(tried)).reshape(2, -1).sum(axis=0).argmin())
        pair = tried[[best, len(opened) + best]]
        for child, most in zip(pair, norms.upper(*_slopes(pair)), strict=True):
            if most > lower * (1 + _CLOSED):
                heapq.heappush(heap, (max(limit, -float(most)), next(count), child))
    return lower, max(lower * (1 + _CLOSED), finished)


def _slopes(phases: npt.NDArray[np.int8]) -> tuple[FloatArray, FloatArray]:
    return (phases > 0).astype(np.float64), (phases >= 0).astype(np.float64)
