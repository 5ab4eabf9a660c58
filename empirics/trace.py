"""From a torch module to the affine layers that `theory` reasons about."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from theory.errors import InputError
from theory.lipschitz.product import AffineLayer

_RESHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)


def _operators(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _operators(child)
    else:
        yield module


def _float64(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().cpu().numpy().astype(np.float64)


def _dense(operator: nn.Linear | nn.Conv2d, shape: torch.Size) -> AffineLayer:
    """Return an operator as its true linear map on flattened inputs of this shape, exactly.

    Every output of a basis vector is one weight (or 0), so no rounding happens.
    """
    if isinstance(operator, nn.Linear):
        bias = torch.zeros(operator.out_features) if operator.bias is None else operator.bias
        return AffineLayer(_float64(operator.weight), _float64(bias))
    size = shape.numel()
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    with torch.no_grad():
        columns = nn.functional.conv2d(
            basis,
            operator.weight.detach().cpu().double(),
            None,
            operator.stride,
            operator.padding,
            operator.dilation,
            operator.groups,
        )
    positions = columns.shape[2] * columns.shape[3]
    flat_bias = torch.zeros(columns.shape[1])
    if operator.bias is not None:
        flat_bias = operator.bias.detach().cpu()
    return AffineLayer(
        columns.reshape(size, -1).T.contiguous().numpy(),
        _float64(flat_bias.repeat_interleave(positions)),
    )


def affine_layers(module: nn.Module, input_shape: tuple[int, ...]) -> tuple[AffineLayer, ...]:
    """Return the affine layers of a module whose only other operators are ReLUs between them.

    Parameters
    ----------
    module : nn.Module
        An nn.Sequential, possibly nested, of Linear, Conv2d, ReLU, Flatten, Unflatten, Identity.
    input_shape : tuple of int
        Shape of one input, without the batch axis.

    Returns
    -------
    tuple of AffineLayer
        On flattened inputs; affine operators that meet are merged into one.

    Raises
    ------
    InputError
        If an operator is of another kind (it is named), or a ReLU comes first or last.
    """
    layers: list[AffineLayer] = []
    separated = True
    probe = torch.zeros(1, *input_shape)
    for operator in _operators(module):
        shape = probe.shape[1:]
        if isinstance(operator, nn.Linear | nn.Conv2d):
            layer = _dense(operator, shape)
            layers = [*layers, layer] if separated else [*layers[:-1], layer.after(layers[-1])]
            separated = False
        elif isinstance(operator, nn.ReLU) and layers and not separated:
            separated = True
        elif not isinstance(operator, _RESHAPES):
            raise InputError(
                f"{type(operator).__name__} cannot be traced here: known are Linear, Conv2d,"
                " ReLU after one of these, Flatten, Unflatten and Identity"
            )
        with torch.no_grad():
            probe = operator(probe.to(_dtype(operator))).float()
    if not layers:
        size = int(np.prod(input_shape))
        return (AffineLayer(np.eye(size), np.zeros(size)),)
    if separated:
        raise InputError("a network that ends in a ReLU cannot be traced: its last layer is affine")
    return tuple(layers)


def _dtype(operator: nn.Module) -> torch.dtype:
    return next((p.dtype for p in operator.parameters()), torch.float32)


def traced_layers(module: nn.Module, input_shape: tuple[int, ...]) -> tuple[AffineLayer, ...]:
    """Return `affine_layers`, or nothing where an operator stands in the way.

    A network whose layers cannot be bounded is measured all the same: nothing is certified of it.
    """
    try:
        return affine_layers(module, input_shape)
    except InputError:
        return ()
