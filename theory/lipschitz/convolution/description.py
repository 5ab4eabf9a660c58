"""Descriptions of the layers of networks, also of modules of torch, which is not imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from theory.arrays import FloatArray
from theory.lipschitz.convolution.convolution import Convolution
from theory.lipschitz.convolution.pooling import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    MaxPooling,
)
from theory.norms import UNIT_ROUNDOFF


@dataclass(frozen=True, eq=False)
class Linear:
    """x -> W x on the last axis of the input.

    Attributes
    ----------
    weight : ndarray or scipy.sparse array, shape (m, n)
    """

    weight: Any

    def __post_init__(self) -> None:
        weight: Any = self.weight
        is_sparse = bool(sparse.issparse(weight))
        if not is_sparse:
            weight = np.asarray(weight, dtype=np.float64)
            object.__setattr__(self, "weight", weight)
        if weight.ndim != 2 or 0 in weight.shape:
            raise ValueError(f"a linear layer's weight must have the shape (m, n): {weight.shape}")
        if not np.all(np.isfinite(weight.data if is_sparse else weight)):
            raise ValueError("a linear layer's weight has an entry that is not finite")


@dataclass(frozen=True, eq=False)
class ChannelScale:
    """x -> s x, one factor for each channel, as batch normalisation in evaluation.

    Attributes
    ----------
    scale : ndarray, shape (n,)
        For inputs of shape (n, *spatial).
    rounding : float
        Relative error of each factor, where they were computed rather than given.
    """

    scale: FloatArray
    rounding: float = 0.0

    def __post_init__(self) -> None:
        scale = np.asarray(self.scale, dtype=np.float64)
        object.__setattr__(self, "scale", scale)
        if scale.ndim != 1 or not scale.size:
            raise ValueError(f"a channel scale must have the shape (n,), got {scale.shape}")
        if not np.all(np.isfinite(scale)):
            raise ValueError("a channel scale has a factor that is not finite")


Described: TypeAlias = (
    Linear
    | Convolution
    | ChannelScale
    | AveragePooling
    | AdaptiveAveragePooling
    | MaxPooling
    | AdaptiveMaxPooling
)
_KINDS = (
    *(Linear, Convolution, ChannelScale, AveragePooling),
    *(AdaptiveAveragePooling, MaxPooling, AdaptiveMaxPooling),
)


def described(layer: object) -> Described:
    """Return the description of a layer: of a matrix, a description, or a module of torch.

    Parameters
    ----------
    layer : object
        A 2-D array, dense or sparse, or a tensor is a Linear. A module of torch, or anything with
        the same attributes: Linear, convolutions, batch normalisation in evaluation, average and
        max pools.

    Raises
    ------
    ValueError
        If it is none of these, or has a weight that is not finite.
    """
    given: Any = layer
    if isinstance(given, _KINDS):
        return given
    if isinstance(given, np.ndarray | list | tuple) or sparse.issparse(given):
        return Linear(given)
    if hasattr(given, "detach"):
        return Linear(_array(given))
    names = {each.__name__ for each in type(given).__mro__}
    if all(hasattr(given, name) for name in ("weight", "stride", "dilation", "groups")):
        return Convolution(
            _array(given.weight),
            given.stride,
            given.padding,
            given.dilation,
            given.groups,
            bool(getattr(given, "transposed", False)),
            getattr(given, "output_padding", 0),
            getattr(given, "padding_mode", "zeros"),
        )
    if all(hasattr(given, name) for name in ("running_mean", "running_var", "eps")):
        return _batch_norm(given, names)
    pool = _pool(given, names)
    if pool is not None:
        return pool
    if hasattr(given, "weight") and hasattr(given, "in_features"):
        return Linear(_array(given.weight))
    raise ValueError(
        f"a layer of type {type(given).__name__} has no known norm: give a matrix, a linear layer,"
        " a convolution, a batch normalisation or a pool"
    )


def _array(tensor: Any) -> FloatArray:  # noqa: ANN401
    """Return an array or a tensor of torch as float64, without importing torch."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().double().numpy()
    return np.asarray(tensor, dtype=np.float64)


def _batch_norm(given: Any, names: set[str]) -> ChannelScale:  # noqa: ANN401
    if getattr(given, "training", False) or given.running_var is None or "_InstanceNorm" in names:
        raise ValueError(
            f"{type(given).__name__} normalises by the batch: call eval(), keep running statistics"
        )
    scale = 1 / np.sqrt(_array(given.running_var) + float(given.eps))
    if getattr(given, "weight", None) is not None:
        scale = scale * _array(given.weight)
    return ChannelScale(scale, 4 * UNIT_ROUNDOFF["float64"])


def _pool(given: Any, names: set[str]) -> Described | None:  # noqa: ANN401
    """Return a pool of torch, whose class says how many axes are spatial."""
    for d in (1, 2, 3):

        def each(value: Any, d: int = d) -> Any:  # noqa: ANN401
            return value if isinstance(value, Sequence) and len(value) == d else _spread(value, d)

        if f"AvgPool{d}d" in names:
            return AveragePooling(
                each(given.kernel_size),
                each(given.stride),
                each(given.padding),
                given.ceil_mode,
                given.count_include_pad,
                getattr(given, "divisor_override", None),
            )
        if f"MaxPool{d}d" in names:
            return MaxPooling(
                each(given.kernel_size),
                each(given.stride),
                each(given.padding),
                each(given.dilation),
                given.ceil_mode,
            )
        if f"AdaptiveAvgPool{d}d" in names:
            return AdaptiveAveragePooling(each(given.output_size))
        if f"AdaptiveMaxPool{d}d" in names:
            return AdaptiveMaxPooling(each(given.output_size))
    return None


def _spread(value: Any, d: int) -> tuple[Any, ...]:  # noqa: ANN401
    """Return one value for each axis, where torch has one for all, also in a tuple of one."""
    return (value[0] if isinstance(value, Sequence) else value,) * d
