"""From a torch module to a feed-forward network with smooth activations, as arrays."""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from empirics.operators.graph_activations import smooth_activation
from empirics.operators.matrices import array
from empirics.operators.tracing import first_line
from empirics.seeds import torch_stream
from empirics.trace import relu_network
from theory.errors import InputError
from theory.lipschitz.activations import Activation
from theory.lipschitz.feed_forward import FeedForward, Stage

_CHECKED_POINTS = 6
_TOLERANCE = 1e-9


def feed_forward(module: nn.Module, input_shape: tuple[int, ...]) -> FeedForward:
    """Return a module as affine maps with activations between them, on flattened inputs.

    What lies between smooth activations goes through `relu_network`: skip connections and pools
    there travel as linear units.

    Parameters
    ----------
    module : nn.Module
        In eval mode; piecewise linear, or an nn.Sequential, possibly nested, in which modules that
        are smooth activations (Sigmoid, Tanh, Softplus, ELU, SELU, GELU, SiLU, Hardswish, ...) lie
        between piecewise-linear parts. It is not changed.
    input_shape : tuple of int
        Shape of one input, without the batch axis.

    Returns
    -------
    FeedForward
        Of the module as it is in double precision: its outputs agree to 1e-9 at random points.

    Raises
    ------
    InputError
        If a part is not piecewise linear and no smooth activation that is known (it is named), or
        the network does not reproduce the module.

    Examples
    --------
    >>> network = feed_forward(nn.Sequential(nn.Flatten(), nn.Sigmoid()), (1, 2))
    >>> network([[0.0, 0.0]]).tolist(), len(network.stages)
    ([[0.5, 0.5]], 1)
    """
    twin: nn.Module = copy.deepcopy(module).cpu().double().requires_grad_(False)
    stages: list[Stage] = []
    shape = tuple(input_shape)
    with torch.no_grad():
        for part, activation in _parts(twin):
            pieces = FeedForward.of(relu_network(part, shape)).stages
            if activation is not None:
                last = pieces[-1]
                pieces = (*pieces[:-1], Stage(last.weight, last.bias, activation))
            stages.extend(pieces)
            shape = tuple(part(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])
        network = FeedForward(tuple(stages))
        _compare(network, twin, tuple(input_shape))
    return network


def _operators(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _operators(child)
    else:
        yield module


def _parts(module: nn.Module) -> Iterator[tuple[nn.Sequential, Activation | None]]:
    """Yield piecewise-linear parts and the smooth activations behind them, None at the end."""
    part = nn.Sequential()
    for each in _operators(module):
        activation = smooth_activation(each)
        if activation is None:
            part.append(each)
        else:
            yield part or nn.Sequential(nn.Identity()), activation
            part = nn.Sequential()
    # A network that ends in an activation has nothing behind it.
    if len(part) or not list(_operators(module)):
        yield part or nn.Sequential(nn.Identity()), None


def _compare(network: FeedForward, module: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Raise InputError unless the network reproduces the module at random points."""
    points = torch.randn(
        _CHECKED_POINTS, *input_shape, generator=torch_stream(0, "feed_forward")
    ).double()
    points *= torch.logspace(-1, 1, _CHECKED_POINTS).reshape(-1, *(1 for _ in input_shape))
    try:
        expected = array(module(points).reshape(_CHECKED_POINTS, -1))
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"the module fails on a batch in double precision: {first_line(error)}"
        ) from error
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
