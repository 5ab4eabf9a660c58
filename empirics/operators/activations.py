"""Operators with kinks, by name: what each is as ReLUs."""

import numpy as np
import torch

from empirics.operators.affine import Call, Operand, Setting, dimensions, named, of_channels, spread
from empirics.operators.circuit import Value, joined, windows
from empirics.operators.matrices import channelwise
from theory.errors import InputError


@named("relu")
def _relu(call: Call, x: Value, inplace: bool = False) -> Value:
    return call.circuit.activate(x, 0.0)


@named("leaky_relu")
def _leaky_relu(call: Call, x: Value, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    return call.circuit.activate(x, negative_slope)


@named("prelu")
def _prelu(call: Call, x: Value, weight: torch.Tensor) -> Value:
    if weight.numel() == 1:
        return call.circuit.activate(x, float(weight))
    return call.circuit.activate(x, of_channels(weight, x.shape))


@named("abs", "absolute")
def _abs(call: Call, x: Value) -> Value:
    return call.circuit.activate(x, -1.0)


@named("hardtanh")
def _hardtanh(
    call: Call, x: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    return call.circuit.clamp(x, min_val, max_val)


@named("relu6")
def _relu6(call: Call, x: Value, inplace: bool = False) -> Value:
    return call.circuit.clamp(x, 0.0, 6.0)


@named("clamp", "clip")
def _clamp(call: Call, x: Value, min: Setting = None, max: Setting = None) -> Value:
    for limit in (min, max):
        if isinstance(limit, Value | torch.Tensor):
            raise InputError("has limits that are tensors: only numbers are known here")
    return call.circuit.clamp(x, min, max)


@named("maximum")
def _maximum(call: Call, a: Operand, other: Operand) -> Value:
    first, second = call.value(a), call.value(other)
    shape = tuple(np.broadcast_shapes(first.shape, second.shape))
    both = joined([spread(first, shape), spread(second, shape)])
    return call.circuit.largest(both, np.arange(both.size).reshape(2, -1).T, shape)


@named("minimum")
def _minimum(call: Call, a: Operand, other: Operand) -> Value:
    opposite = (call.value(each).scaled(-1.0) for each in (a, other))
    result: Value = _maximum(call, *opposite)
    return result.scaled(-1.0)


@named(*(f"{kind}max_pool{d}d" for kind in ("", "adaptive_") for d in (1, 2, 3)))
def _max_pool(
    call: Call, x: Value, *_: Setting, return_indices: bool = False, **__: Setting
) -> Value:
    if return_indices:
        raise InputError("returns the indices of its maxima, which are not piecewise linear")
    # A one-hot image is seen by exactly the windows that hold its position.
    membership, shape = channelwise(call.function, x.shape, dimensions(call.name, x.shape))
    return call.circuit.largest(x, windows(membership, x.shape), shape)
