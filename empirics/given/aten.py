"""Operators of torch.export programs as the functions of torch that tracing knows."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import torch
from torch.nn import functional

Traced: TypeAlias = Any
"""A tensor, what stands for one while a module is traced, or nothing."""

_CONVOLUTIONS: Final[tuple[Callable[..., Traced], ...]] = (
    *(torch.conv1d, torch.conv2d, torch.conv3d),
)
_TRANSPOSED: Final[tuple[Callable[..., Traced], ...]] = (
    *(torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d),
)


def _convolution(
    x: Traced,
    weight: Traced,
    bias: Traced,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Traced:
    of_dimension = len(stride) - 1
    if transposed:
        more = (stride, padding, output_padding, groups, dilation)
        return _TRANSPOSED[of_dimension](x, weight, bias, *more)
    return _CONVOLUTIONS[of_dimension](x, weight, bias, stride, padding, dilation, groups)


def _batch_norm(
    x: Traced,
    weight: Traced,
    bias: Traced,
    mean: Traced,
    variance: Traced,
    training: bool,
    momentum: float,
    eps: float,
    *_: bool,
) -> Traced:
    return functional.batch_norm(x, mean, variance, weight, bias, training, momentum, eps)


def _batch_norm_of_core(x: Traced, weight: Traced, bias: Traced, *more: Traced) -> Traced:
    mean, variance, momentum, eps = more
    return _batch_norm(x, weight, bias, mean, variance, False, momentum, eps), None, None


def _slice(
    x: Traced, dim: int = 0, start: Traced = None, end: Traced = None, step: int = 1
) -> Traced:
    cut, whole = slice(start, end, step), slice(None)
    if dim < 0:
        return x[(..., cut, *(whole for _ in range(-1 - dim)))]
    return x[(*(whole for _ in range(dim)), cut)]


def _addmm(bias: Traced, x: Traced, weight: Traced, beta: float = 1, alpha: float = 1) -> Traced:
    product = torch.matmul(x, weight)
    return torch.add(bias if beta == 1 else bias * beta, product, alpha=alpha)


def _transposed(x: Traced) -> Traced:
    return torch.transpose(x, 0, 1)


def _dropout(x: Traced, p: float, train: bool) -> Traced:
    return torch.dropout(x, p, train) if train else x


def _same(x: Traced, *_: Traced) -> Traced:
    return x


def _softmax(x: Traced, dim: int, *_: Traced) -> Traced:
    return torch.softmax(x, dim)


def _log_softmax(x: Traced, dim: int, *_: Traced) -> Traced:
    return torch.log_softmax(x, dim)


def _max_pool_with_indices(x: Traced, *geometry: Traced) -> Traced:
    return functional.max_pool2d(x, *geometry), None


def _padded(x: Traced, pad: Sequence[int], value: float = 0.0) -> Traced:
    return functional.pad(x, list(pad), "constant", value)


def _size(x: Traced, dim: int) -> Traced:
    return x.size(dim)


_REPLACED: Final[dict[str, Callable[..., Traced]]] = {
    "convolution": _convolution,
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm_of_core,
    "slice": _slice,
    "addmm": _addmm,
    "t": _transposed,
    "dropout": _dropout,
    "dropout_": _dropout,
    "feature_dropout": _dropout,
    "alias": _same,
    "lift_fresh_copy": _same,
    "detach_": _same,
    "softmax": _softmax,
    "_softmax": _softmax,
    "log_softmax": _log_softmax,
    "_log_softmax": _log_softmax,
    "_unsafe_view": torch.reshape,
    "_adaptive_avg_pool2d": functional.adaptive_avg_pool2d,
    "max_pool2d_with_indices": _max_pool_with_indices,
    "constant_pad_nd": _padded,
    "sym_size": _size,
}
"""What takes an operator's place where torch calls it otherwise, with other arguments, or makes it
of others."""

_WORDS: Final = frozenset(("approximate", "mode", "rounding_mode", "padding", "reduce", "equation"))
"""Arguments of operators that are words and choose between formulas."""


def function_of(target: str) -> Callable[..., Traced] | None:
    """Return what takes an operator's place; None for what has effects besides its result.

    Among aten's operators are some that write files (aten::save), read them, print, or set the
    random state. Only what gives tensors, and takes no words but those that choose a formula, is
    called.

    Parameters
    ----------
    target : str
        As programs name it: "torch.ops.aten.relu.default".

    Examples
    --------
    >>> function_of("torch.ops.aten.relu.default")
    <OpOverloadPacket(op='aten.relu')>
    >>> function_of("torch.ops.aten.save.default"), function_of("os.system")
    (None, None)
    """
    if not target.startswith("torch.ops.aten."):
        return None
    name, _, overload = target.removeprefix("torch.ops.aten.").partition(".")
    if name in _REPLACED:
        return _REPLACED[name]
    packet = getattr(torch.ops.aten, name, None)
    if not isinstance(packet, torch._ops.OpOverloadPacket) or overload not in packet.overloads():  # type: ignore[no-untyped-call]
        return None
    schema = getattr(packet, overload)._schema
    gives = [str(each.type) for each in schema.returns]
    words = {each.name for each in schema.arguments if "str" in str(each.type)}
    if not gives or not all("Tensor" in kind for kind in gives) or words - _WORDS:
        return None
    return packet
