"""Linear layers and pools of torch, by name, as nodes of a graph of `theory.lipschitz`."""

import numpy as np
import torch

from empirics.operators.affine import Setting, dimensions
from empirics.operators.graph_nodes import ROUNDED, NodeCall, Tensor, named_node, tensors
from empirics.operators.matrices import Shape, array, by_basis, channelwise, size_of
from theory.errors import InputError
from theory.lipschitz.layers import Convolution


@named_node("linear")
def _linear(call: NodeCall, x: Tensor, weight: torch.Tensor, bias: Setting = None) -> Tensor:
    node = call.graph.layer(x.node, array(weight), name=call.place)
    return call.made(node, (*x.shape[:-1], len(weight)))


@named_node("matmul", "mm", "mean", "sum")
def _linear_map(call: NodeCall, *operands: Setting, **_: Setting) -> Tensor:
    found = tensors(operands)
    if len(found) > 1:
        raise InputError("is a product of two activations: it has no bounded slopes")
    matrix, shape = by_basis(call.function, found[0].shape)
    flat = call.graph.reshape(found[0].node, (size_of(found[0].shape),), name=call.place)
    error = ROUNDED if call.name == "mean" else 0.0
    return call.made(call.graph.layer(flat, matrix, relative_error=error, name=call.place), shape)


@named_node("conv1d", "conv2d", "conv3d")
def _conv(
    call: NodeCall,
    x: Tensor,
    weight: torch.Tensor,
    bias: Setting = None,
    stride: Setting = 1,
    padding: Setting = 0,
    dilation: Setting = 1,
    groups: int = 1,
) -> Tensor:
    return convolved(call, x, Convolution(array(weight), stride, padding, dilation, groups))


@named_node("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv_transpose(
    call: NodeCall,
    x: Tensor,
    weight: torch.Tensor,
    bias: Setting = None,
    stride: Setting = 1,
    padding: Setting = 0,
    output_padding: Setting = 0,
    groups: int = 1,
    dilation: Setting = 1,
) -> Tensor:
    layer = Convolution(
        array(weight), stride, padding, dilation, groups, True, output_padding=output_padding
    )
    return convolved(call, x, layer)


def convolved(call: NodeCall, x: Tensor, layer: Convolution) -> Tensor:
    """Return a convolution of a tensor."""
    made = call.graph.layer(x.node, layer, name=call.place)
    return Tensor(made, (*x.shape[: -layer.dimensions - 1], *call.graph.nodes[made].shape))


@named_node("batch_norm")
def _batch_norm(
    call: NodeCall,
    x: Tensor,
    mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if training or mean is None or variance is None:
        raise InputError("normalises by the batch: call eval(), and keep running statistics")
    factors = 1 / np.sqrt(array(variance) + eps)
    if weight is not None:
        factors = factors * array(weight)
    node = call.graph.scale_channels(x.node, factors, relative_error=ROUNDED, name=call.place)
    return Tensor(node, x.shape)


@named_node(
    *(f"{kind}avg_pool{d}d" for kind in ("", "adaptive_") for d in (1, 2, 3)), "interpolate"
)
def _average(call: NodeCall, x: Tensor, *_: Setting, **__: Setting) -> Tensor:
    spatial = dimensions(call.name, x.shape)
    matrix, shape = channelwise(call.function, x.shape, spatial)
    after = shape[len(shape) - spatial :]
    copies = call.graph.reshape(x.node, _by_channel(x.shape, spatial), name=call.place)
    exact = set(np.unique(matrix.data)) <= {0.0, 1.0}
    node = call.graph.channelwise(
        copies, matrix, after, relative_error=0.0 if exact else ROUNDED, name=call.place
    )
    return call.made(node, shape)


def _by_channel(shape: Shape, spatial: int) -> Shape:
    """Return (channels, ...), whatever leads the spatial axes."""
    leading = len(shape) - spatial
    return (size_of(shape[:leading]), *shape[leading:])


@named_node(*(f"{kind}max_pool{d}d" for kind in ("", "adaptive_") for d in (1, 2, 3)))
def _max_pool(
    call: NodeCall, x: Tensor, *_: Setting, return_indices: bool = False, **__: Setting
) -> Tensor:
    if return_indices:
        raise InputError("returns the indices of its maxima, which have no bounded slopes")
    spatial = dimensions(call.name, x.shape)
    windows, shape = channelwise(call.function, x.shape, spatial)
    after = shape[len(shape) - spatial :]
    copies = call.graph.reshape(x.node, _by_channel(x.shape, spatial), name=call.place)
    return call.made(call.graph.maximum(copies, windows, after, name=call.place), shape)
