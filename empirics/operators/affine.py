"""Affine operators of torch, by name, on values of a circuit.

A function, a method and a module of one kind share one entry.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from scipy import sparse

from empirics.operators.circuit import Circuit, Value, joined
from empirics.operators.matrices import (
    Linear,
    Shape,
    array,
    by_basis,
    channelwise,
    convolution,
    dense_layer,
    selection,
    transposed_convolution,
)
from theory.errors import InputError

Operand: TypeAlias = "Value | torch.Tensor | float"
Setting: TypeAlias = Any
"""An argument that is handed on to torch."""


@dataclass(frozen=True)
class Call:
    """One use of an operator.

    Attributes
    ----------
    name : str
        Of the function or method.
    circuit : Circuit
    function : callable
        The operator as a function of the values among its arguments, all else as it is.
    """

    name: str
    circuit: Circuit
    function: Callable[..., Any]

    def value(self, given: Operand) -> Value:
        """Return an operand as a value, constant or not."""
        if isinstance(given, Value):
            return given
        return self.circuit.constant(torch.as_tensor(given, dtype=torch.float64))


Handler = TypeVar("Handler", bound=Callable[..., Any])
OPERATORS: dict[str, Callable[..., Any]] = {}
"""(call, *arguments of the operator) -> values."""


def named(*names: str) -> Callable[[Handler], Handler]:
    """Return a decorator that enters what it decorates as the operator of these names."""

    def decorate(handler: Handler) -> Handler:
        OPERATORS.update(dict.fromkeys(names, handler))
        return handler

    return decorate


def spread(value: Value, shape: Sequence[int]) -> Value:
    """Return a value broadcast to a shape."""
    if value.shape == tuple(shape):
        return value
    index = np.broadcast_to(np.arange(value.size).reshape(value.shape), tuple(shape))
    return value.picked(index.ravel(), tuple(shape))


def dimensions(name: str, shape: Shape) -> int:
    """Return how many axes of an image the operator of this name calls spatial."""
    found = re.search(r"(\d)d$", name)
    return int(found[1]) if found else len(shape) - 2


def of_channels(numbers: torch.Tensor, shape: Shape) -> Any:  # noqa: ANN401
    """Return one number for each channel at each entry of a tensor (batch, channels, ...)."""
    values = array(numbers).reshape(-1, *(1 for _ in shape[2:]))
    return np.broadcast_to(values, shape).ravel()


@named("add")
def _add(call: Call, a: Operand, other: Operand, *, alpha: float = 1.0) -> Value:
    first, second = call.value(a), call.value(other)
    shape = np.broadcast_shapes(first.shape, second.shape)
    second = spread(second, shape)
    return spread(first, shape).plus(second if alpha == 1.0 else second.scaled(alpha))


@named("sub", "subtract")
def _sub(call: Call, a: Operand, other: Operand, *, alpha: float = 1.0) -> Value:
    return _add(call, a, other, alpha=-alpha)


@named("rsub")
def _rsub(call: Call, a: Operand, other: Operand) -> Value:
    return _add(call, other, a, alpha=-1.0)


@named("neg", "negative")
def _neg(_: Call, a: Value) -> Value:
    return a.scaled(-1.0)


@named("mul", "multiply")
def _mul(_: Call, a: Operand, other: Operand) -> Value:
    if isinstance(a, Value) and isinstance(other, Value):
        raise InputError("is not piecewise linear: a product of two activations")
    value, factor = (a, other) if isinstance(a, Value) else (other, a)
    assert isinstance(value, Value)
    scale = torch.as_tensor(factor, dtype=torch.float64)
    shape = np.broadcast_shapes(value.shape, tuple(scale.shape))
    return spread(value, shape).scaled(array(scale.expand(shape)).ravel())


@named("div", "divide", "truediv")
def _div(call: Call, a: Operand, other: Operand) -> Value:
    if isinstance(other, Value):
        raise InputError("is not piecewise linear: it divides by an activation")
    return _mul(call, a, 1.0 / torch.as_tensor(other, dtype=torch.float64))


@named("matmul", "mm", "mean", "sum")
def _linear_map(call: Call, *operands: Setting, **_: Setting) -> Value:
    if sum(isinstance(each, Value) for each in operands) > 1:
        raise InputError("is not piecewise linear: a product of two activations")
    (value,) = (each for each in operands if isinstance(each, Value))
    return value.then(*by_basis(call.function, value.shape))


@named("linear")
def _linear(call: Call, x: Value, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Value:
    result = x.then(*dense_layer(weight, x.shape))
    return result if bias is None else _add(call, result, bias)


def _biased(value: Value, bias: torch.Tensor | None) -> Value:
    if bias is None:
        return value
    return value.scaled(1.0, np.repeat(array(bias), value.size // len(bias)))


@named("conv1d", "conv2d", "conv3d")
def _conv(
    _: Call,
    x: Value,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *geometry: Setting,
    **more: Setting,
) -> Value:
    return _biased(x.then(*convolution(weight, x.shape, *geometry, **more)), bias)


@named("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv_transpose(
    call: Call,
    x: Value,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Setting = 1,
    padding: Setting = 0,
    output_padding: Setting = 0,
    groups: int = 1,
    dilation: Setting = 1,
) -> Value:
    shape = tuple(call.function(torch.zeros(x.shape, dtype=torch.float64)).shape)
    matrix = transposed_convolution(weight, x.shape, shape, stride, padding, dilation, groups)
    return _biased(x.then(matrix, shape), bias)


@named("batch_norm")
def _batch_norm(
    _: Call,
    x: Value,
    mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    if training or mean is None or variance is None:
        raise InputError("normalises by the batch: call eval(), and keep running statistics")
    scale = torch.rsqrt(variance.double() + eps) * (1.0 if weight is None else weight)
    shift = (0.0 if bias is None else bias) - mean * scale
    return x.scaled(of_channels(scale, x.shape), of_channels(shift, x.shape))


@named(*(f"{kind}avg_pool{d}d" for kind in ("", "adaptive_") for d in (1, 2, 3)), "interpolate")
def _average(call: Call, x: Value, *_: Setting, **__: Setting) -> Value:
    matrix, shape = channelwise(call.function, x.shape, dimensions(call.name, x.shape))
    channels = sparse.eye_array(x.size // matrix.shape[1])
    return x.then(sparse.csr_array(sparse.kron(channels, matrix)), shape)


@named("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
def _dropout(
    _: Call, x: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    if training:
        raise InputError("is random: call eval()")
    return x


@named("identity", "contiguous", "clone", "detach", "double")
def _same(_: Call, x: Value, **__: Setting) -> Value:
    return x


@named(
    *("flatten", "unflatten", "reshape", "view", "squeeze", "unsqueeze", "permute", "transpose"),
    *("movedim", "expand", "repeat", "flip", "roll", "pad", "getitem", "narrow", "select"),
    *("chunk", "split", "unbind", "unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
)
def _selection(call: Call, x: Value, *_: Setting, **__: Setting) -> Value | tuple[Value, ...]:
    return _selected(call.function, x)


@named("cat", "concat", "stack")
def _cat(call: Call, tensors: Sequence[Operand], *_: Setting, **__: Setting) -> Value:
    values = [each for each in tensors if isinstance(each, Value)]
    edges = np.cumsum([each.size for each in values])[:-1]

    def together(flat: torch.Tensor) -> torch.Tensor:
        parts = torch.tensor_split(flat, edges.tolist())
        shaped = (p.reshape(v.shape) for p, v in zip(parts, values, strict=True))
        result: torch.Tensor = call.function(*shaped)
        return result

    result = _selected(together, joined(values))
    assert isinstance(result, Value)
    return result


def _selected(function: Callable[..., Any], x: Value) -> Value | tuple[Value, ...]:
    made: object = function(torch.empty(x.shape, dtype=torch.float64))
    if isinstance(made, torch.Tensor):
        source, constant, shape = selection(function, x.shape)
        return x.picked(source, shape).scaled(1.0, constant)
    assert isinstance(made, Sequence)
    parts = (_selected(_part(function, i), x) for i in range(len(made)))
    return tuple(part for part in parts if isinstance(part, Value))


def _part(function: Callable[..., Any], i: int) -> Linear:
    return lambda tensor: function(tensor)[i]


@named("size", "dim", "ndimension", "numel", "getattr")
def _metadata(call: Call, x: Value, *_: Setting) -> object:
    seen = call.function(torch.empty(x.shape, dtype=torch.float64))
    if isinstance(seen, torch.Tensor):
        raise InputError("is not known here: use permute or transpose")
    return seen
