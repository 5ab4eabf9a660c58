"""Modules of torch.nn as the operators that they apply."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn


class Step(NamedTuple):
    """An operator of `OPERATORS`, the arguments behind its input, and itself as a function."""

    name: str
    arguments: tuple[Any, ...]
    function: Callable[[torch.Tensor], Any]
    settings: dict[str, Any]


_CONVOLUTIONS: dict[type[nn.Module], str] = {
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.Conv3d: "conv3d",
}
_TRANSPOSED: dict[type[nn.Module], str] = {
    nn.ConvTranspose1d: "conv_transpose1d",
    nn.ConvTranspose2d: "conv_transpose2d",
    nn.ConvTranspose3d: "conv_transpose3d",
}
_POOLS: dict[type[nn.Module], str] = {
    nn.MaxPool1d: "max_pool1d",
    nn.MaxPool2d: "max_pool2d",
    nn.MaxPool3d: "max_pool3d",
    nn.AvgPool1d: "avg_pool1d",
    nn.AvgPool2d: "avg_pool2d",
    nn.AvgPool3d: "avg_pool3d",
    nn.AdaptiveMaxPool1d: "adaptive_max_pool1d",
    nn.AdaptiveMaxPool2d: "adaptive_max_pool2d",
    nn.AdaptiveMaxPool3d: "adaptive_max_pool3d",
    nn.AdaptiveAvgPool1d: "adaptive_avg_pool1d",
    nn.AdaptiveAvgPool2d: "adaptive_avg_pool2d",
    nn.AdaptiveAvgPool3d: "adaptive_avg_pool3d",
    nn.Upsample: "interpolate",
}
_SELECTIONS: dict[type[nn.Module], str] = {
    nn.Flatten: "flatten",
    nn.Unflatten: "unflatten",
    nn.PixelShuffle: "pixel_shuffle",
    nn.PixelUnshuffle: "pixel_unshuffle",
    nn.ChannelShuffle: "channel_shuffle",
    nn.modules.padding._ConstantPadNd: "pad",
    nn.modules.padding._ReflectionPadNd: "pad",
    nn.modules.padding._ReplicationPadNd: "pad",
    nn.modules.padding._CircularPadNd: "pad",
}
_WITH_ARGUMENTS: tuple[tuple[type[nn.Module], str, tuple[str, ...]], ...] = (
    (nn.Linear, "linear", ("weight", "bias")),
    (nn.Identity, "identity", ()),
    (nn.modules.dropout._DropoutNd, "dropout", ("p", "training")),
    (nn.ReLU, "relu", ()),
    (nn.LeakyReLU, "leaky_relu", ("negative_slope",)),
    (nn.PReLU, "prelu", ("weight",)),
    (nn.Hardtanh, "hardtanh", ("min_val", "max_val")),
)


def _padded(module: Any) -> tuple[list[Step], Any]:  # noqa: ANN401
    """Return the step that pads otherwise than with zeros, and the padding that is left."""
    if module.padding_mode == "zeros":
        return [], module.padding
    both_sides, mode = module._reversed_padding_repeated_twice, module.padding_mode
    return [Step("pad", (), lambda x: nn.functional.pad(x, both_sides, mode=mode), {})], 0


def steps(module: nn.Module) -> list[Step] | None:
    """Return the operators that a module of torch.nn applies, in order; None if it is not known."""
    given: Any = module
    for kind, name in _CONVOLUTIONS.items():
        if isinstance(module, kind):
            first, padding = _padded(given)
            geometry = (given.stride, padding, given.dilation, given.groups)
            return [*first, Step(name, (given.weight, given.bias, *geometry), module, {})]
    for kind, name in _TRANSPOSED.items():
        if isinstance(module, kind):
            geometry = (given.stride, given.padding, given.output_padding, given.groups)
            return [Step(name, (given.weight, given.bias, *geometry, given.dilation), module, {})]
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        by_batch = given.training or given.running_mean is None
        moments = (given.running_mean, given.running_var, given.weight, given.bias)
        return [Step("batch_norm", (*moments, by_batch, given.momentum, given.eps), module, {})]
    for table in (_POOLS, _SELECTIONS):
        for kind, name in table.items():
            if isinstance(module, kind):
                indices = getattr(module, "return_indices", False)
                return [Step(name, (), module, {"return_indices": True} if indices else {})]
    for kind, name, attributes in _WITH_ARGUMENTS:
        if isinstance(module, kind):
            return [Step(name, tuple(getattr(given, each) for each in attributes), module, {})]
    return None
