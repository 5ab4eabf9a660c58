"""Activations of ONNX as modules of torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from empirics.given import onnx_layers as layers
from empirics.given.onnx_graph import Operation, Value, converts

_PLAIN: dict[str, Callable[[], nn.Module]] = {
    "Relu": nn.ReLU,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "Softplus": nn.Softplus,
    "Softsign": nn.Softsign,
    "HardSwish": nn.Hardswish,
}


@converts(*_PLAIN)
def _plain(op: Operation) -> Value:
    return op.applied(_PLAIN[op.kind](), op.value())


@converts("LeakyRelu")
def _leaky_relu(op: Operation) -> Value:
    return op.applied(nn.LeakyReLU(op.attribute("alpha", 0.01)), op.value())


@converts("Elu")
def _elu(op: Operation) -> Value:
    return op.applied(nn.ELU(op.attribute("alpha", 1.0)), op.value())


@converts("Gelu")
def _gelu(op: Operation) -> Value:
    given = op.attribute("approximate", b"none")
    return op.applied(nn.GELU(given.decode()), op.value())


@converts("PRelu")
def _prelu(op: Operation) -> Value:
    value, slope = op.value(), op.tensor(1)
    spread = (1, *(1 for _ in value.shape[2:]))
    channels = value.shape[1] if len(value.shape) > 1 else 1
    if slope.numel() not in (1, channels) or (
        slope.numel() > 1 and tuple(slope.shape)[-len(spread) :] != (channels, *spread[1:])
    ):
        op.refuse(f"has slopes of shape {tuple(slope.shape)}: one a channel, or one, are known")
    layer = nn.PReLU(slope.numel())
    layer.weight = nn.Parameter(slope.reshape(-1).clone(), requires_grad=False)
    return op.applied(layer, value)


@converts("Clip")
def _clip(op: Operation) -> Value:
    ends: list[float | None] = []
    for name, i in (("min", 1), ("max", 2)):
        given: Any = op.setting(name, i)
        end = None if given is None else float(np.asarray(given).reshape(()))
        # Operator sets before 11 have the largest numbers where there is no limit.
        ends.append(None if end is None or abs(end) >= torch.finfo(torch.float32).max else end)
    least, most = ends
    if least is None and most is None:
        return op.value()
    if least == 0 and most is None:
        return op.applied(nn.ReLU(), op.value())
    if least is not None and most is not None and least < most:
        return op.applied(nn.Hardtanh(least, most), op.value())
    return op.applied(layers.Clamp(least, most), op.value())


@converts("Softmax", "LogSoftmax")
def _softmax(op: Operation) -> Value:
    made = nn.Softmax if op.kind == "Softmax" else nn.LogSoftmax
    value = op.value()
    rank = len(value.shape)
    axis = op.axis(op.attribute("axis", 1 if op.opset < 13 else -1), rank)
    if op.opset >= 13 or axis == rank - 1:
        return op.applied(made(dim=axis), value)
    # Before operator set 13 all axes from this one on are one.
    flat = op.reshaped(value, (*value.shape[:axis], int(np.prod(value.shape[axis:]))))
    return op.reshaped(op.applied(made(dim=axis), flat), value.shape)


@converts("Identity", "Dropout")
def _same(op: Operation) -> Value:
    if op.n_outputs > 1:
        op.refuse("has a second output, its mask, that is taken")
    training = op.constant(2)
    if op.opset >= 12 and training is not None and bool(training):
        op.refuse("is in training mode: it is random")
    return op.value()


@converts("Cast")
def _cast(op: Operation) -> Value:
    single = 1  # onnx.TensorProto.FLOAT
    if op.attribute("to", single) != single:
        op.refuse("casts to another type: only float32 is known")
    return op.value()
