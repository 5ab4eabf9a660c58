"""From a torch module to what `theory` reasons about: affine layers, piecewise-linear networks."""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from empirics.operators.matrices import (
    array,
    convolution,
    dense_layer,
    transposed_convolution,
)
from empirics.operators.tracing import first_line
from empirics.operators.unroll import unroll
from empirics.seeds import torch_stream
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.lipschitz.product import AffineLayer
from theory.relu import ReluNetwork
from theory.relu.layer import dense

_Affine = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
_RESHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)
_CHECKED_POINTS = 6
_TOLERANCE = 1e-9


def _operators(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _operators(child)
    else:
        yield module


def _dense(operator: _Affine, shape: tuple[int, ...]) -> AffineLayer:
    """Return an operator as its true linear map on flattened inputs of this shape, exactly.

    Every entry is one weight (or 0), so no rounding happens.
    """
    if isinstance(operator, nn.Linear):
        weight, after = dense_layer(operator.weight, shape)
        per_output = int(np.prod(after[:-1]))
        return AffineLayer(dense(weight), np.tile(_bias(operator), per_output))
    if operator.padding_mode != "zeros":
        raise InputError(
            f"Conv2d with padding_mode '{operator.padding_mode}' cannot be traced here: 'zeros' can"
        )
    geometry = (operator.stride, operator.padding, operator.dilation, operator.groups)
    if isinstance(operator, nn.ConvTranspose2d):
        with torch.no_grad():
            after = tuple(operator(torch.zeros(1, *shape).to(operator.weight)).shape)
        weight = transposed_convolution(operator.weight, (1, *shape), after, *geometry)
    else:
        weight, after = convolution(operator.weight, (1, *shape), *geometry)
    return AffineLayer(dense(weight), np.repeat(_bias(operator), int(np.prod(after[2:]))))


def _bias(operator: _Affine) -> FloatArray:
    if operator.bias is not None:
        return array(operator.bias)
    if isinstance(operator, nn.ConvTranspose2d):
        return np.zeros(operator.out_channels)
    return np.zeros(len(operator.weight))


def affine_layers(module: nn.Module, input_shape: tuple[int, ...]) -> tuple[AffineLayer, ...]:
    """Return the affine layers of a module whose only other operators are ReLUs between them.

    Parameters
    ----------
    module : nn.Module
        An nn.Sequential, possibly nested, of Linear, Conv2d, ConvTranspose2d, ReLU, Flatten,
        Unflatten and Identity.
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
        shape = tuple(probe.shape[1:])
        if isinstance(operator, _Affine):
            layer = _dense(operator, shape)
            layers = [*layers, layer] if separated else [*layers[:-1], layer.after(layers[-1])]
            separated = False
        elif isinstance(operator, nn.ReLU) and layers and not separated:
            separated = True
        elif not isinstance(operator, _RESHAPES):
            raise InputError(
                f"{type(operator).__name__} cannot be traced here: known are Linear, Conv2d,"
                " ConvTranspose2d, ReLU after one of these, Flatten, Unflatten and Identity"
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


def relu_network(module: nn.Module, input_shape: tuple[int, ...]) -> ReluNetwork:
    """Return a module as a piecewise-linear network on flattened inputs, in double precision.

    Skip connections and all else that is needed later travel as linear units, hard tanh is a sum
    of two ReLUs, max pooling a tournament of a + relu(b - a); the last layer is affine.

    Parameters
    ----------
    module : nn.Module
        In eval mode; made of affine and piecewise-linear operators in a fixed sequence, as
        modules, functions or methods. It is not changed.
    input_shape : tuple of int
        Shape of one input, without the batch axis.

    Returns
    -------
    ReluNetwork
        Of the module as it is in double precision: its outputs agree to 1e-9 at random points.

    Raises
    ------
    InputError
        If an operator is not piecewise linear or not known (it is named), depends on the batch or
        on chance, or the network does not reproduce the module.

    Examples
    --------
    >>> network = relu_network(nn.Sequential(nn.Flatten(), nn.MaxPool1d(3)), (1, 3))
    >>> network([[1.0, 5.0, 2.0]]).tolist(), network.n_units
    ([[5.0]], 2)
    """
    twin = copy.deepcopy(module).cpu().double().requires_grad_(False)
    points = torch.randn(
        _CHECKED_POINTS, *input_shape, generator=torch_stream(0, "trace"), dtype=torch.float64
    )
    # Small and large ones, so that the units are seen on both sides of their kinks.
    points *= torch.logspace(-1, 1, _CHECKED_POINTS).reshape(-1, *(1 for _ in input_shape))
    with torch.no_grad():
        network = ReluNetwork(unroll(twin, tuple(input_shape)))
        expected = _outputs(twin, points)
    found = network(array(points.flatten(1)))
    if found.shape != expected.shape:
        raise InputError(
            f"the module gives {expected.shape[1:]} values for one input in a batch, its trace"
            f" {found.shape[1:]}: it mixes the inputs of a batch"
        )
    scale = np.abs(expected).max(axis=1, keepdims=True) + np.finfo(np.float64).tiny
    difference = float((np.abs(found - expected) / scale).max())
    if not difference <= _TOLERANCE:
        raise InputError(
            f"the trace differs from the module by {difference:.1e} at random inputs, more than"
            f" {_TOLERANCE}: something in its forward pass cannot be seen in its graph"
        )
    return network


def _outputs(module: nn.Module, points: torch.Tensor) -> FloatArray:
    try:
        outputs = module(points)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"the module fails on a batch in double precision: {first_line(error)}"
        ) from error
    if not isinstance(outputs, torch.Tensor) or outputs.ndim == 0:
        raise InputError("the module must return one tensor, with a batch axis")
    return array(outputs.reshape(len(outputs), -1))
