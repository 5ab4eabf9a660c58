"""Convolutions, pools, padding and normalisation of ONNX as modules of torch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from empirics.given.onnx_graph import Operation, Value, converts

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_MAX_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGES = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_WHOLE_AVERAGES = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_WHOLE_MAXIMA = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
_NORMALISED = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_PADS: dict[str, dict[int, Callable[..., nn.Module]]] = {
    "reflect": {1: nn.ReflectionPad1d, 2: nn.ReflectionPad2d, 3: nn.ReflectionPad3d},
    "edge": {1: nn.ReplicationPad1d, 2: nn.ReplicationPad2d, 3: nn.ReplicationPad3d},
}
_CONSTANT_PADS: dict[int, Callable[..., nn.Module]] = {
    1: nn.ConstantPad1d,
    2: nn.ConstantPad2d,
    3: nn.ConstantPad3d,
}


def _dimensions(op: Operation, value: Value) -> int:
    found = len(value.shape) - 2
    if not 1 <= found <= 3:
        op.refuse(f"takes (batch, channels, ...) with 1 to 3 axes of space, got {value.shape}")
    return found


def _outer(begin: Sequence[int], end: Sequence[int]) -> tuple[int, ...]:
    """Return paddings as torch counts them: from the last axis on, both sides of each."""
    pairs = zip(reversed(begin), reversed(end), strict=True)
    return tuple(side for pair in pairs for side in pair)


def _padding(
    op: Operation, space: Sequence[int], kernel: Sequence[int], stride: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return how many entries are added in front of and behind each axis of space."""
    n = len(space)
    auto = op.attribute("auto_pad", b"NOTSET").decode()
    dilation = op.attribute("dilations", [1] * n)
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        begin, end = [], []
        for size, width, step, apart in zip(space, kernel, stride, dilation, strict=True):
            total = max((-(-size // step) - 1) * step + (width - 1) * apart + 1 - size, 0)
            less, more = total // 2, total - total // 2
            begin.append(less if auto == "SAME_UPPER" else more)
            end.append(more if auto == "SAME_UPPER" else less)
        return begin, end
    if auto not in ("NOTSET", "VALID"):
        op.refuse(f"unknown auto_pad '{auto}'")
    given = op.attribute("pads", [0] * (2 * n)) if auto == "NOTSET" else [0] * (2 * n)
    return list(given[:n]), list(given[n:])


def _padded(op: Operation, value: Value, begin: list[int], end: list[int], fill: float) -> Value:
    pad: Callable[..., nn.Module] = _CONSTANT_PADS[len(begin)]
    return op.applied(pad(_outer(begin, end), fill), value)


def _weighted(
    op: Operation, layer: nn.modules.conv._ConvNd, weight: torch.Tensor, value: Value
) -> Value:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        layer.bias = nn.Parameter(op.tensor(2), requires_grad=False)
    return op.applied(layer, value)


@converts("Conv")
def _convolution(op: Operation) -> Value:
    value, weight = op.value(), op.tensor(1)
    n = _dimensions(op, value)
    if weight.ndim != n + 2:
        op.refuse(f"has a kernel of shape {tuple(weight.shape)} for inputs {value.shape}")
    kernel = list(weight.shape[2:])
    stride = op.attribute("strides", [1] * n)
    begin, end = _padding(op, value.shape[2:], kernel, stride)
    groups = op.attribute("group", 1)
    if begin != end:
        value, begin = _padded(op, value, begin, end, 0.0), [0] * n
    made: Any = _CONVOLUTIONS[n]
    layer = made(
        weight.shape[1] * groups,
        weight.shape[0],
        kernel,
        stride,
        begin,
        op.attribute("dilations", [1] * n),
        groups,
        op.input(2) is not None,
        device="meta",
    )
    return _weighted(op, layer, weight, value)


@converts("ConvTranspose")
def _transposed(op: Operation) -> Value:
    value, weight = op.value(), op.tensor(1)
    n = _dimensions(op, value)
    if weight.ndim != n + 2:
        op.refuse(f"has a kernel of shape {tuple(weight.shape)} for inputs {value.shape}")
    if "output_shape" in op.attributes or op.attribute("auto_pad", b"NOTSET") != b"NOTSET":
        op.refuse("gives its padding by output_shape or auto_pad: only pads are known")
    pads = op.attribute("pads", [0] * (2 * n))
    begin, end = pads[:n], pads[n:]
    even = begin == end
    groups = op.attribute("group", 1)
    made: Any = _TRANSPOSED[n]
    layer = made(
        weight.shape[0],
        weight.shape[1] * groups,
        list(weight.shape[2:]),
        op.attribute("strides", [1] * n),
        begin if even else [0] * n,
        op.attribute("output_padding", [0] * n),
        groups,
        op.input(2) is not None,
        op.attribute("dilations", [1] * n),
        device="meta",
    )
    made_value = _weighted(op, layer, weight, value)
    if even:
        return made_value
    return _padded(op, made_value, [-p for p in begin], [-p for p in end], 0.0)


@converts("BatchNormalization")
def _normalised(op: Operation) -> Value:
    value = op.value()
    n = len(value.shape) - 2
    if n not in _NORMALISED:
        op.refuse(f"takes (batch, channels, ...), got {value.shape}")
    if op.attribute("training_mode", 0) or op.n_outputs > 1 or not op.attribute("spatial", 1):
        op.refuse("normalises by the batch, or entry by entry: only fixed moments are known")
    weight, bias, mean, variance = (op.tensor(i) for i in range(1, 5))
    made: Any = _NORMALISED[n]
    layer = made(len(weight), eps=op.attribute("epsilon", 1e-5))
    layer.load_state_dict(
        {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance},
        strict=False,
    )
    return op.applied(layer, value)


@converts("MaxPool", "AveragePool")
def _pool(op: Operation) -> Value:
    value = op.value()
    n = _dimensions(op, value)
    if op.n_outputs > 1:
        op.refuse("has a second output, its indices, that is taken")
    kernel = op.attribute("kernel_shape", None)
    if kernel is None or len(kernel) != n:
        op.refuse(f"has kernel_shape {kernel} for inputs {value.shape}")
    stride = op.attribute("strides", [1] * n)
    dilation = op.attribute("dilations", [1] * n)
    begin, end = _padding(op, value.shape[2:], kernel, stride)
    ceiling = bool(op.attribute("ceil_mode", 0))
    counted = bool(op.attribute("count_include_pad", 0))
    largest = op.kind == "MaxPool"
    outside = begin != end or any(2 * p > k for p, k in zip(begin, kernel, strict=True))
    if outside:
        if not largest and not counted:
            op.refuse(f"averages over uneven padding {begin}, {end} without counting it")
        fill = -np.inf if largest else 0.0
        value, begin = _padded(op, value, begin, end, float(fill)), [0] * n
    if largest:
        maxima: Any = _MAX_POOLS[n]
        return op.applied(maxima(kernel, stride, begin, dilation, ceil_mode=ceiling), value)
    if any(each != 1 for each in dilation):
        op.refuse("averages with dilations: they are not known here")
    average: Any = _AVERAGES[n]
    padded = any(begin)
    return op.applied(
        average(kernel, stride, begin, ceiling, count_include_pad=counted or not padded), value
    )


@converts("GlobalAveragePool", "GlobalMaxPool")
def _whole(op: Operation) -> Value:
    value = op.value()
    pools: Any = _WHOLE_AVERAGES if op.kind == "GlobalAveragePool" else _WHOLE_MAXIMA
    return op.applied(pools[_dimensions(op, value)](1), value)


@converts("Pad")
def _pad(op: Operation) -> Value:
    value = op.value()
    rank = len(value.shape)
    mode = op.attribute("mode", b"constant").decode()
    given = op.setting("pads", 1, op.attribute("paddings", None))
    fill = float(np.asarray(op.setting("value", 2, 0.0) or 0.0).reshape(()))
    axes = op.setting("axes", 3, list(range(rank)))
    if given is None or len(given) != 2 * len(axes):
        op.refuse(f"has pads {given} for inputs {value.shape}")
    begin, end = [0] * rank, [0] * rank
    for k, axis in enumerate(axes):
        place = op.axis(axis, rank, batch=True)
        begin[place], end[place] = given[k], given[k + len(axes)]
    first = next((i for i in range(rank) if begin[i] or end[i]), rank)
    if first == rank:
        return value
    if first == 0:
        op.refuse("pads the batch axis")
    if rank - first > 3:
        op.refuse("pads more than three axes")
    if mode == "constant":
        return _padded(op, value, begin[first:], end[first:], fill)
    if mode not in _PADS or first < 2:
        op.refuse(f"pads by '{mode}': known are constant, and reflect and edge of axes of space")
    return op.applied(_PADS[mode][rank - 2](_outer(begin[2:], end[2:])), value)
