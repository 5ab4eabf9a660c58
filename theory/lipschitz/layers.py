"""Norms of the layers of networks as linear maps on inputs of a given size.

A layer is a matrix, one of the descriptions here, or a module of torch, which is recognised by its
attributes and the name of its class. Biases have no part in a norm.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from scipy import sparse

from theory.evidence import Interval
from theory.lipschitz.convolution.convolution import Convolution, folded
from theory.lipschitz.convolution.correlation import Csr
from theory.lipschitz.convolution.description import ChannelScale, Described, Linear, described
from theory.lipschitz.convolution.norm import BUDGET, Method, convolution_norm
from theory.lipschitz.convolution.pooling import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    MaxPooling,
    average_matrix,
    average_norm,
    max_pooling_norm,
    pooled_shape,
    scaled_interval,
)
from theory.norms import accumulated_error, operator_norm

__all__ = [
    "AdaptiveAveragePooling",
    "AdaptiveMaxPooling",
    "AveragePooling",
    "ChannelScale",
    "Convolution",
    "Linear",
    "MaxPooling",
    "described",
    "folded",
    "layer_norm",
    "matrix",
    "output_shape",
]


_FACTORISED: Final = 10_000
"""Side up to which the Gram matrix of a dense layer is factorised."""


def _shape(layer: Described, input_shape: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """Return how many independent copies a layer is applied to, and the shape of one."""
    shape = tuple(int(side) for side in input_shape)
    if not shape or min(shape) < 1:
        raise ValueError(f"an input shape needs positive sides, got {shape}")
    if isinstance(layer, Convolution):
        own = layer.dimensions + 1
    elif isinstance(layer, Linear):
        own = 1
        if shape[-1] != layer.weight.shape[1]:
            raise ValueError(
                f"a linear layer of shape {layer.weight.shape} does not fit an input of shape"
                f" {shape}"
            )
    elif isinstance(layer, ChannelScale):
        own = len(shape)
        if shape[0] != len(layer.scale):
            raise ValueError(
                f"a scale of {len(layer.scale)} channels does not fit an input of shape {shape}"
            )
    else:
        own = len(layer.windows(shape))
    if own > len(shape):
        raise ValueError(f"a layer of {own} axes does not fit an input of shape {shape}")
    return math.prod(shape[: len(shape) - own]), shape[len(shape) - own :]


def output_shape(layer: object, input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a layer's output.

    Parameters
    ----------
    layer : object
        As for `layer_norm`.
    input_shape : sequence of int
        Of one input, without a batch.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        As for `layer_norm`.

    Examples
    --------
    >>> output_shape(np.ones((5, 3)), (2, 3)), output_shape(MaxPooling(2), (4, 7, 7))
    ((2, 5), (4, 3, 3))
    """
    known = described(layer)
    _, own = _shape(known, input_shape)
    shape = tuple(int(side) for side in input_shape)
    if isinstance(known, Linear):
        return (*shape[:-1], int(known.weight.shape[0]))
    if isinstance(known, ChannelScale):
        return shape
    if isinstance(known, Convolution):
        return (*shape[: len(shape) - len(own)], *known.output_shape(own))
    return pooled_shape(known.windows(shape), shape)


def matrix(layer: object, input_shape: Sequence[int]) -> Csr:
    """Return a linear layer as a sparse matrix from flattened inputs to flattened outputs.

    Parameters
    ----------
    layer : object
        As for `layer_norm`, but no max pooling.
    input_shape : sequence of int
        Of one input, without a batch.

    Returns
    -------
    csr_array, shape (m, n)
        The entries are those of the layer; only where a padding other than with zeros puts several
        on one position, and in averages, are they rounded.

    Raises
    ------
    ValueError
        As for `layer_norm`, or for a layer that is not linear.

    Examples
    --------
    >>> matrix(Convolution(np.array([[[1.0, 2.0]]])), (1, 3)).toarray().tolist()
    [[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]]
    """
    known = described(layer)
    copies, own = _shape(known, input_shape)
    if isinstance(known, MaxPooling | AdaptiveMaxPooling):
        raise ValueError("max pooling is not linear and has no matrix")
    single: Any
    if isinstance(known, Linear):
        single = sparse.csr_array(known.weight)
    elif isinstance(known, ChannelScale):
        single = sparse.diags_array(np.repeat(known.scale, math.prod(own[1:])))
    elif isinstance(known, Convolution):
        single = known.on(own).matrix()
        single = single.T if known.transposed else single
    else:
        single = average_matrix(known.windows(input_shape))
    if copies > 1:
        single = sparse.kron(sparse.eye_array(copies), single, format="csr")
    return sparse.csr_array(single)


def layer_norm(
    layer: object,
    input_shape: Sequence[int],
    p: float = 2,
    q: float | None = None,
    *,
    method: Method = "auto",
    budget: float = BUDGET,
) -> Interval:
    r"""Enclose the norm p -> q of a layer on inputs of a given size; of a max pool, its constant.

    Both ends hold in spite of rounding. 1 -> q and p -> inf are points up to rounding for every
    layer. 2 -> 2 is found to nine digits where the smaller side of the matrix is at most 2000, or
    a banded factorisation of a Gram matrix is within the budget; beyond, the upper end is the least
    norm on several tori, above the norm by a part that falls as the square of the input's sides.
    Other norms of convolutions are enclosed by `operator_norm` of the sparse matrix.

    Parameters
    ----------
    layer : object
        A matrix of shape (m, n), applied to the last axis; `Linear`, `Convolution`, `ChannelScale`,
        `AveragePooling`, `MaxPooling` and their adaptive kinds; or such a module of torch.
    input_shape : sequence of int
        Of one input, without a batch: (n, *spatial) for a convolution. What leads the axes that a
        layer takes is so many independent inputs.
    p, q : float
        Norms of the domain and of the range, in [1, inf]; q is p unless given.
    method : {"auto", "dense", "torus", "gram"}
        For 2 -> 2 of convolutions: by cost, by factorisation, by tori with a factorisation of the
        block of each frequency, or by tori with Gram iterations.
    budget : float
        Operations of a factorisation, and of all tori.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If the layer is of no known type, has a weight that is not finite, or does not fit the
        input; if p or q is not in [1, inf]; if a factorisation that was asked for does not fit in
        memory.

    References
    ----------
    Sedghi, Gupta and Long, The singular values of convolutional layers (ICLR 2019); Delattre et
    al., Efficient bound of Lipschitz constant for convolutional layers by Gram iteration (ICML
    2023); Rump, Verification of positive definiteness, BIT 46 (2006).

    Examples
    --------
    >>> difference = Convolution(np.array([[[1.0, -1.0]]]))
    >>> norm = layer_norm(difference, (1, 8))
    >>> bool(norm.lower <= 2 * np.cos(np.pi / 16) <= norm.upper <= norm.lower * (1 + 1e-9))
    True
    >>> layer_norm(MaxPooling(2), (1, 8)), layer_norm(MaxPooling(2, 1), (1, 8), 1)
    (Interval(lower=1.0, upper=1.0), Interval(lower=2.0, upper=2.0))
    """
    q = p if q is None else q
    for name, value in (("p", p), ("q", q)):
        if not 1 <= value <= np.inf:
            raise ValueError(f"a layer norm needs {name} in [1, inf], got {value}")
    known = described(layer)
    copies, own = _shape(known, input_shape)
    if isinstance(known, MaxPooling | AdaptiveMaxPooling):
        return max_pooling_norm(known.windows(input_shape), p, q, copies)
    if isinstance(known, Linear):
        found = _linear_norm(known, p, q)
    elif isinstance(known, Convolution):
        found = convolution_norm(known, own, p, q, method=method, budget=budget)
    elif isinstance(known, ChannelScale):
        found = _scale_norm(known, own, p, q)
    else:
        found = average_norm(known.windows(input_shape), p, q)
    if copies == 1 or p <= q:
        return found
    # Copies share ||x||_p: the sum of ||A x_i||_q^q is largest where all are alike.
    exponent = 1 / q - (0.0 if p == np.inf else 1 / p)
    return scaled_interval(found, float(copies) ** exponent, accumulated_error(64))


def _linear_norm(given: Linear, p: float, q: float) -> Interval:
    """Enclose the norm of a matrix, 2 -> 2 of a dense one as a convolution of a single position."""
    if p == q == 2 and not sparse.issparse(given.weight) and min(given.weight.shape) <= _FACTORISED:
        single = Convolution(given.weight[:, :, None])
        return convolution_norm(single, (given.weight.shape[1], 1), 2, 2, method="dense")
    return operator_norm(given.weight, p, q)


def _scale_norm(given: ChannelScale, shape: tuple[int, ...], p: float, q: float) -> Interval:
    largest = float(np.abs(given.scale).max())
    if p <= q:
        return scaled_interval(Interval(largest, largest), 1.0, given.rounding)
    # By Hoelder's inequality it is the norm of the factors with 1 / r = 1 / q - 1 / p.
    reciprocal = 1 / q - (0.0 if p == np.inf else 1 / p)
    ratios = np.abs(given.scale) / (largest or 1.0)
    size = float(np.sum(ratios ** (1 / reciprocal)) * math.prod(shape[1:])) ** reciprocal
    error = given.rounding + accumulated_error(len(ratios) + 2**12) / min(reciprocal, 1.0)
    return scaled_interval(Interval(largest * size, largest * size), 1.0, error)
