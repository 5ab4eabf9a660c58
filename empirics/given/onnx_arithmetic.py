"""Operators of ONNX that add and multiply, as modules of torch."""

import operator
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from empirics.given import onnx_layers as layers
from empirics.given.onnx_graph import Operation, Value, converts

_FUNCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "Add": operator.add,
    "Sum": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": operator.truediv,
    "Max": torch.maximum,
    "Min": torch.minimum,
    "MatMul": torch.matmul,
}
_CONSTANT_RIGHT: dict[str, Callable[[torch.Tensor], nn.Module]] = {
    "Add": layers.Add,
    "Sum": layers.Add,
    "Sub": layers.Subtract,
    "Mul": layers.Multiply,
    "Div": layers.Divide,
    "Max": layers.Maximum,
    "Min": layers.Minimum,
    "MatMul": layers.TimesMatrix,
}
_CONSTANT_LEFT = _CONSTANT_RIGHT | {
    "Sub": layers.SubtractFrom,
    "Div": layers.DivideInto,
    "MatMul": layers.MatrixTimes,
}


@converts("Add", "Sum", "Sub", "Mul", "Div", "Max", "Min")
def _elementwise(op: Operation) -> Value:
    if not op.inputs:
        op.refuse("has no input")
    if op.opset < 7 and op.attribute("broadcast", 0):
        op.refuse("broadcasts as before operator set 7: convert the file to a newer one")
    total = op.input(0)
    at = 0
    for i in range(1, len(op.inputs)):
        total = _two(op, total, at, i)
        at = i
    return total if isinstance(total, Value) else op.value(0)


def _two(op: Operation, first: object, at: int, i: int) -> Value:
    """Return what the operator makes of what there is, the input `at` or a value, and input i."""
    second = op.input(i)
    if isinstance(first, Value) and isinstance(second, Value):
        return op.called(_FUNCTIONS[op.kind], (first, second))
    if isinstance(first, Value):
        constant = op.tensor(i)
        if op.kind in ("Add", "Sum") and (merged := _as_bias(op, first, constant, at)):
            return merged
        return op.applied(_CONSTANT_RIGHT[op.kind](constant), first)
    value, constant = op.value(i), op.tensor(at)
    if op.kind in ("Add", "Sum") and (merged := _as_bias(op, value, constant, i)):
        return merged
    return op.applied(_CONSTANT_LEFT[op.kind](constant), value)


def _as_bias(op: Operation, value: Value, constant: torch.Tensor, at: int) -> Value | None:
    """Return a value with a constant as the bias of the layer that made it, None if it is none."""
    if value.node.op != "call_module" or op.network.uses.get(op.names[at], 0) != 1:
        return None
    layer = op.network.modules[str(value.node.target)]
    if value.node.users or getattr(layer, "bias", 0) is not None:
        return None
    if isinstance(layer, nn.Linear):
        wanted: tuple[int, ...] = (layer.out_features,)
    elif isinstance(layer, nn.modules.conv._ConvNd):
        wanted = (layer.out_channels, *(1 for _ in value.shape[2:]))
    else:
        return None
    if tuple(constant.shape)[-len(wanted) :] != wanted or constant.numel() != wanted[0]:
        return None
    if constant.ndim > len(value.shape):
        return None
    layer.bias = nn.Parameter(constant.reshape(-1).clone(), requires_grad=False)
    return value


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    outputs, inputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.contiguous(), requires_grad=False)
    return layer


@converts("MatMul")
def _matmul(op: Operation) -> Value:
    first, second = op.input(0), op.input(1)
    if isinstance(first, Value) and isinstance(second, Value):
        return op.called(torch.matmul, (first, second))
    if not isinstance(first, Value):
        return op.applied(layers.MatrixTimes(op.tensor(0)), op.value(1))
    matrix = op.tensor(1)
    if matrix.ndim == 2 and len(first.shape) > 1 and first.shape[-1] == len(matrix):
        return op.applied(_linear(matrix.T, None), first)
    return op.applied(layers.TimesMatrix(matrix), first)


@converts("Gemm")
def _gemm(op: Operation) -> Value:
    value, weight = op.value(0), op.tensor(1)
    if op.attribute("transA", 0):
        op.refuse("transposes the input (transA): the batch axis must stay in front")
    if weight.ndim != 2 or len(value.shape) != 2:
        op.refuse(f"takes matrices, got shapes {value.shape} and {tuple(weight.shape)}")
    matrix = weight if op.attribute("transB", 0) else weight.T
    alpha, beta = op.attribute("alpha", 1.0), op.attribute("beta", 1.0)
    bias = None
    if isinstance(op.input(2), Value):
        op.refuse("adds a value (C) that is no constant")
    if op.input(2) is not None:
        # As C is broadcast, (K,), (1, K), (1, 1) and a number say the same.
        given = op.tensor(2)
        if given.numel() not in (1, len(matrix)) or (given.ndim == 2 and given.shape[0] != 1):
            op.refuse(f"adds C of shape {tuple(given.shape)}, expected ({len(matrix)},)")
        bias = (beta * given.reshape(-1)).expand(len(matrix))
    if matrix.shape[1] != value.shape[1]:
        op.refuse(f"takes {matrix.shape[1]} values an input, got {value.shape[1]}")
    return op.applied(_linear(alpha * matrix, bias), value)


@converts("Neg", "Abs", "Exp", "Log", "Sqrt", "Erf", "Sin", "Cos", "Reciprocal", "Sign", "Floor")
def _function(op: Operation) -> Value:
    return op.applied(layers.Elementwise(op.kind.lower()), op.value())


@converts("ReduceMean", "ReduceSum")
def _reduce(op: Operation) -> Value:
    value = op.value()
    given = op.setting("axes", 1)
    rank = len(value.shape)
    if given is None:
        op.refuse("reduces all axes, that of the batch too")
    axes = sorted(op.axis(int(axis), rank) for axis in np.atleast_1d(given))
    kind = op.kind.removeprefix("Reduce").lower()
    return op.applied(layers.Reduce(kind, axes, bool(op.attribute("keepdims", 1))), value)


@converts("Pow")
def _power(op: Operation) -> Value:
    value, exponent = op.value(), op.constant(1)
    if exponent is None or exponent.size != 1 or exponent.item() not in (1, 2):
        op.refuse("has another exponent than 1 and 2")
    return value if exponent.item() == 1 else op.called(operator.mul, (value, value))
