"""Products of layer norms, and the robustness certificate that follows from them.

`product_bound` is for networks of all forms, in l1, l2 and linf. For all else here a network is a
sequence of affine layers with a 1-Lipschitz activation that fixes 0 (ReLU) between them, in l2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.chains import checked_weights
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.graph import Graph
from theory.lipschitz.graph.bounds import graph_bound, times
from theory.lipschitz.graph.linear import LAYER_SIDE, LinearMap, norm_upper, up
from theory.lipschitz.pattern_jacobian import checked_norm
from theory.norms import (
    UNIT_ROUNDOFF,
    accumulated_error,
    frobenius_upper,
    least_singular_value_lower,
    spectral_norm_upper,
)
from theory.relu import ReluNetwork

Network = Graph | FeedForward | ReluNetwork | Sequence[Any]


@dataclass(frozen=True)
class AffineLayer:
    """x -> W x + b, with W known up to a matrix of spectral norm at most `error`.

    Attributes
    ----------
    weight : ndarray, shape (m, n)
    bias : ndarray, shape (m,)
    error : float
        Rounding error of a weight that was computed rather than given.
    """

    weight: FloatArray
    bias: FloatArray
    error: float = 0.0

    @cached_property
    def norm(self) -> float:
        """Upper end of the spectral norm."""
        return spectral_norm_upper(self.weight) + self.error

    @cached_property
    def frobenius(self) -> float:
        """Upper end of the Frobenius norm."""
        return frobenius_upper(self.weight)

    @cached_property
    def fan_in(self) -> int:
        """Largest number of terms in one output: non-zero weights of a row, and the bias."""
        return int(np.count_nonzero(self.weight, axis=1).max(initial=0)) + 1

    def after(self, first: "AffineLayer") -> "AffineLayer":
        """Return the composition self(first(x)) as one layer."""
        product = accumulated_error(self.weight.shape[1]) * self.frobenius * first.frobenius
        spread = self.error * (first.frobenius + first.error) + self.frobenius * first.error
        return AffineLayer(
            self.weight @ first.weight, self.weight @ first.bias + self.bias, product + spread
        )

    def restricted_to_range_of(self, first: "AffineLayer") -> "AffineLayer":
        """Return the layer on an orthonormal basis of the range of first's weight.

        Its norm bounds that of `self` on differences of points in the range of `first`.

        Raises
        ------
        ArithmeticError
            If the columns of the first weight are dependent to working precision.
        """
        n, d = first.weight.shape
        if d >= n:
            return self  # the range may be the whole space
        least = least_singular_value_lower(first.weight) - first.error
        if least <= 0:
            raise ArithmeticError("the generator's linear map has dependent columns")
        # Nothing below relies on how well the factorisation did: Q's distance from orthonormal
        # and the part of A outside its range are measured, with the rounding of measuring them.
        basis, upper = np.linalg.qr(first.weight)
        size = frobenius_upper(basis)
        skew = frobenius_upper(basis.T @ basis - np.eye(d)) + accumulated_error(n + 1) * size**2
        residual = frobenius_upper(first.weight - basis @ upper)
        residual += accumulated_error(d + 1) * (size * frobenius_upper(upper) + first.frobenius)
        outside = (residual + first.error) / least
        # For v = A r: ||W v|| <= ||W Q|| ||Q^T v|| + ||W|| ||(I - Q Q^T) v||, where
        # ||Q^T v|| <= (1 + skew) ||v|| and ||(I - Q Q^T) v|| <= 2 (outside + skew) ||v||.
        if skew + outside > 0.1:
            raise ArithmeticError("the generator's linear map has nearly dependent columns")
        spread = 2 * (outside + skew) + 2 * skew + accumulated_error(n) * size
        return AffineLayer(self.weight @ basis, self.bias, self.frobenius * spread + self.error)


def compose(first: Sequence[AffineLayer], second: Sequence[AffineLayer]) -> tuple[AffineLayer, ...]:
    """Return second(first(x)) with the two affine layers that meet merged into one."""
    return (*first[:-1], second[0].after(first[-1]), *second[1:])


def lipschitz_upper(layers: Sequence[AffineLayer]) -> float:
    """Return the product of the layer norms, an upper bound on the l2 Lipschitz constant.

    References
    ----------
    Szegedy et al., Intriguing properties of neural networks (ICLR 2014), section 4.3.

    Examples
    --------
    >>> layers = [AffineLayer(np.diag([2.0, 1.0]), np.zeros(2)), AffineLayer(np.eye(2), np.ones(2))]
    >>> round(lipschitz_upper(layers), 8)
    2.0
    """
    product = float(np.prod([layer.norm for layer in layers]))
    return product * (1 + accumulated_error(len(layers)))


def product_bound(network: Network, p: float = 2) -> float:
    """Return a product of layer norms, an upper bound on the Lipschitz constant l_p -> l_p.

    Over sums and concatenations of a graph, and over the linear units by which a piecewise-linear
    network carries skip connections, the bounds of the branches are added; linear maps that meet
    without an activation are merged where that is smaller (see `theory.lipschitz.graph.bounds`).

    Parameters
    ----------
    network : Graph, FeedForward, ReluNetwork, sequence of array_like or of AffineLayer
        Weights (out, in) and affine layers have activations with slopes in [-1, 1] between them.
    p : {1, 2, inf}

    Returns
    -------
    float
        Rounding is in it. For one layer at least the norm, and at most a relative 1e-5 above it
        where the layer's smaller side is at most 2,000.

    Raises
    ------
    ValueError
        If p is another number, there is no layer, a weight is malformed or not finite, or the
        shapes do not chain.

    References
    ----------
    Szegedy et al., Intriguing properties of neural networks (ICLR 2014), section 4.3.

    Examples
    --------
    >>> w = [np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[1.0, -1.0]])]
    >>> round(product_bound(w, 1), 9), round(product_bound(w, np.inf), 9)
    (3.0, 6.0)
    """
    checked_norm(p)
    if isinstance(network, Graph):
        return graph_bound(network, p)
    if isinstance(network, FeedForward | ReluNetwork):
        return graph_bound(_feed_forward_graph(FeedForward.of(network)), p)
    layers = list(network) if isinstance(network, Sequence) else None
    if layers is None:
        raise ValueError(
            "a network is a Graph, a FeedForward, a ReluNetwork, or a sequence of weights or affine"
            f" layers, got {type(network).__name__}"
        )
    if layers and all(isinstance(each, AffineLayer) for each in layers):
        checked_weights([each.weight for each in layers])
        norms = [_norm(each, p) for each in layers]
    else:
        weights = checked_weights(layers)
        norms = [norm_upper(LinearMap(each), p, largest_side=LAYER_SIDE) for each in weights]
    total = 1.0
    for norm in norms:
        total = times(total, norm)
    return total


def _norm(layer: AffineLayer, p: float) -> float:
    """Return an upper bound on the norm of a layer's true weight."""
    if p == 2:
        return layer.norm
    # The error is a spectral norm, which bounds a column's or a row's 2-norm.
    terms = layer.weight.shape[1 if p == inf else 0]
    error = layer.error * sqrt(terms) * (1 + accumulated_error(4))
    return up(norm_upper(LinearMap(layer.weight), p) + error)


def _feed_forward_graph(network: FeedForward) -> Graph:
    graph, at = Graph((network.n_inputs,)), 0
    for i, stage in enumerate(network.stages):
        at = graph.layer(at, stage.weight, name=f"stage {i}")
        m = len(stage.bias)
        least, most = stage.activation.slopes(np.full(m, -inf), np.full(m, inf))
        if np.any(least != 1.0) or np.any(most != 1.0):
            at = graph.activation(at, least, most, name=f"{stage.activation.name} {i}")
    return graph


def forward_error(
    layers: Sequence[AffineLayer], input_norm: npt.ArrayLike, precision: str
) -> FloatArray:
    """Return an upper bound on the l2 rounding error of a forward pass, in any summation order.

    Parameters
    ----------
    layers : sequence of AffineLayer
        The layers as they are evaluated, none merged.
    input_norm : array_like, shape (n,)
        l2 norms that the inputs do not exceed.
    precision : {"float32", "float64"}
        Arithmetic of the pass; sums by fused or split products are covered, transforms
        (Winograd, FFT) and underflow are not.

    Returns
    -------
    ndarray, shape (n,)
        In the unit of the outputs.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.5.
    """
    size = np.asarray(input_norm, dtype=np.float64)
    error = np.zeros_like(size)
    for layer in layers:
        gamma = accumulated_error(layer.fan_in + 1, UNIT_ROUNDOFF[precision])
        shift = float(np.linalg.norm(layer.bias))
        error = layer.norm * error + gamma * (layer.frobenius * (size + error) + shift)
        size = layer.norm * size + shift
    return error


def margin_radii(
    layers: Sequence[AffineLayer],
    logits: FloatArray,
    logit_error: Sequence[FloatArray] | tuple[FloatArray, ...] = (),
) -> FloatArray:
    """Return certified l2 distances within which no input changes the largest output.

    Output c - output j changes at most at the rate ||w_c - w_j|| prod_{k < L} ||W_k||, where w are
    the rows of the last layer: exact for a single layer.

    Parameters
    ----------
    layers : sequence of AffineLayer
        The network; affine layers that meet may be merged.
    logits : ndarray, shape (n, K)
        Outputs at the n points; the label is the first largest.
    logit_error : sequence of ndarray, each of shape (n,)
        l2 bounds on the errors of `logits`, and on those of the deployed network near the points;
        sqrt 2 of each, the most that a difference of two outputs is off, is taken off the margins.

    Returns
    -------
    ndarray, shape (n,)
        At least 0; +inf for a network of one class.

    References
    ----------
    Szegedy et al. (ICLR 2014), section 4.3; Tsuzuku, Sato and Sugiyama (NeurIPS 2018),
    proposition 1.

    Examples
    --------
    >>> halves = AffineLayer(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2))
    >>> radius = margin_radii([halves], np.array([[3.0, -3.0]]))
    >>> bool(np.isclose(radius[0], 3.0, rtol=1e-9) and radius[0] <= 3.0)
    True
    """
    rows = np.arange(len(logits))
    label = logits.argmax(axis=1)
    margins = logits[rows, label][:, None] - logits
    for error in logit_error:
        margins = margins - np.sqrt(2) * (1 + 2**-50) * error[:, None]
    last = layers[-1]
    differences = last.weight[:, None, :] - last.weight[None, :, :]
    inflation = 1 + accumulated_error(last.weight.shape[1] + 4)
    # Scaled by the largest entry of each row, so that no square underflows.
    largest = np.abs(differences).max(axis=2, initial=0.0)
    scaled = differences / np.where(largest > 0, largest, 1.0)[:, :, None]
    pairs = largest * np.linalg.norm(scaled, axis=2) * inflation + np.sqrt(2) * last.error
    inner = lipschitz_upper(layers[:-1]) if len(layers) > 1 else 1.0
    rates = pairs[label] * inner * inflation
    # A class whose output differs by a constant is never reached; a class is not its own rival.
    with np.errstate(divide="ignore", invalid="ignore"):
        radii = np.where(rates > 0, margins / rates, np.where(margins > 0, np.inf, 0.0))
    radii[rows, label] = np.inf
    return np.asarray(np.maximum(radii.min(axis=1) * (1 - 2**-50), 0.0))
