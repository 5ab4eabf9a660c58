"""Logits of images that differ in one pixel, from those parts of the features that change."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from empirics.adversary.batch import Model

_POINTWISE = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus)
_IN_EVALUATION = (nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)
_Windowed = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


class _Stage(NamedTuple):
    """A layer whose outputs see windows of its inputs, and the pointwise layers behind it.

    Attributes
    ----------
    layer, behind : nn.Module
        The layer without its padding, and what follows.
    kernel, stride, padding : int
        Of both sides.
    padded : Tensor, shape (n, height, width, C)
        The unchanged inputs, padded by `margin` on all sides.
    margin, length, wide : int
        The padding, and the sides of a window of the inputs and of the changed outputs.
    size : tuple of int
        Height and width of the inputs.
    """

    layer: nn.Module
    behind: nn.Module
    kernel: int
    stride: int
    padding: int
    padded: torch.Tensor
    margin: int
    length: int
    wide: int
    size: tuple[int, int]


class ChangedPixel:
    """A network in evaluation mode at images of which one pixel changes.

    Convolutions and pooling see windows: one pixel changes a few features of each layer, and only
    these are computed, from the unchanged features around them. Equal to the network's logits but
    for rounding.
    """

    def __init__(self, stages: list[_Stage], features: torch.Tensor, head: nn.Module) -> None:
        self._stages, self._features, self._head = stages, features, head

    @classmethod
    def of(cls, model: Model, x: torch.Tensor) -> "ChangedPixel | None":
        """Return the network at these images (n, C, H, W); None where it is not such a network.

        It must be an `nn.Sequential` that starts with convolutions, pooling and pointwise layers,
        square and zero-padded, up to an `nn.Flatten`; behind it anything goes.
        """
        layers = _flat_layers(model)
        cut = next((i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten)), None)
        if x.ndim != 4 or not cut or not isinstance(layers[0], _Windowed):
            return None
        stages, features, wide = [], x, 1
        with torch.no_grad():
            for i, layer in enumerate(layers[:cut]):
                if isinstance(layer, _Windowed):
                    if not _is_plain(layer):
                        return None
                    end = next(
                        (j for j in range(i + 1, cut) if isinstance(layers[j], _Windowed)), cut
                    )
                    stages.append(
                        _stage(layer, nn.Sequential(*layers[i + 1 : end]), features, wide)
                    )
                    wide = stages[-1].wide
                elif not _is_pointwise(layer):
                    return None
                features = layer(features)
        return cls(stages, features, nn.Sequential(*layers[cut:]))

    def __call__(self, image: torch.Tensor, at: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (m, K).

        Parameters
        ----------
        image : Tensor, shape (m,)
            Which of the images.
        at : Tensor, shape (m, 2)
            Row and column.
        values : Tensor, shape (m, C)
            Of the new pixel.
        """
        patch, corner = values[:, :, None, None], at
        for stage in self._stages:
            # The first output whose window touches the patch, and where that window starts.
            first = -((stage.kernel - 1 - stage.padding - corner) // stage.stride)
            start = first * stage.stride - stage.padding
            window = _windows(stage.padded, image, start + stage.margin, stage.length)
            window = _pasted(window, patch, corner - start, corner, stage.size)
            with torch.no_grad():
                patch = stage.behind(stage.layer(window))
            corner = first
        features = self._features.index_select(0, image)
        with torch.no_grad():
            size = (features.shape[2], features.shape[3])
            logits: torch.Tensor = self._head(_pasted(features, patch, corner, corner, size))
        return logits


def _windows(
    padded: torch.Tensor, image: torch.Tensor, start: torch.Tensor, length: int
) -> torch.Tensor:
    """Return windows of features, shape (m, C, length, length), channels last in memory."""
    _, height, width, channels = padded.shape
    steps = torch.arange(length, device=padded.device)
    rows = (image * height + start[:, 0])[:, None, None] + steps[:, None]
    flat = rows * width + start[:, 1, None, None] + steps
    taken = padded.reshape(-1, channels).index_select(0, flat.flatten())
    return taken.reshape(len(image), length, length, channels).permute(0, 3, 1, 2)


def _pasted(
    window: torch.Tensor,
    patch: torch.Tensor,
    offset: torch.Tensor,
    corner: torch.Tensor,
    size: Sequence[int],
) -> torch.Tensor:
    """Return the windows with the patches pasted in, as far as these lie within the features."""
    m, _, side, _ = patch.shape
    steps = torch.arange(side, device=patch.device)
    at, within = [], []
    for k, sides in enumerate(window.shape[2:]):
        place, real = offset[:, k, None] + steps, corner[:, k, None] + steps
        at.append(place)
        within.append((place >= 0) & (place < sides) & (real >= 0) & (real < size[k]))
    both = within[0][:, :, None] & within[1][:, None, :]
    item = torch.arange(m, device=patch.device)[:, None, None].expand_as(both)[both]
    row = at[0][:, :, None].expand_as(both)[both]
    column = at[1][:, None, :].expand_as(both)[both]
    window[item, :, row, column] = patch.permute(0, 2, 3, 1)[both]
    return window


def _stage(layer: _Windowed, behind: nn.Module, features: torch.Tensor, wide: int) -> _Stage:
    kernel, stride, padding = (
        _side(getattr(layer, n)) for n in ("kernel_size", "stride", "padding")
    )
    wide_out = (wide + kernel - 2) // stride + 1
    length = (wide_out - 1) * stride + kernel
    # Windows of patches at the border start and end outside.
    margin = length + padding
    filling = -torch.inf if isinstance(layer, nn.MaxPool2d) else 0.0
    padded = nn.functional.pad(features, [margin] * 4, value=filling)
    padded = padded.permute(0, 2, 3, 1).contiguous()
    return _Stage(
        _unpadded(layer),
        behind,
        kernel,
        stride,
        padding,
        padded,
        margin,
        length,
        wide_out,
        (features.shape[2], features.shape[3]),
    )


def _unpadded(layer: _Windowed) -> nn.Module:
    if isinstance(layer, nn.Conv2d):
        bare = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            _side(layer.kernel_size),
            _side(layer.stride),
            groups=layer.groups,
            device="meta",
        )
        bare.weight, bare.bias = layer.weight, layer.bias
        return bare
    return type(layer)(layer.kernel_size, layer.stride)


def _flat_layers(model: Model) -> list[nn.Module]:
    if not isinstance(model, nn.Sequential):
        return []
    return [
        inner
        for layer in model
        for inner in (_flat_layers(layer) if isinstance(layer, nn.Sequential) else [layer])
    ]


def _is_plain(layer: _Windowed) -> bool:
    pair = layer.kernel_size, layer.stride, layer.padding
    if any(isinstance(v, str) or (isinstance(v, tuple) and v[0] != v[1]) for v in pair):
        return False
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros" and set(layer.dilation) == {1}
    if layer.ceil_mode:
        return False
    if isinstance(layer, nn.MaxPool2d):
        return layer.dilation == 1 and not layer.return_indices
    return layer.count_include_pad and layer.divisor_override is None


def _is_pointwise(layer: nn.Module) -> bool:
    if isinstance(layer, _IN_EVALUATION):
        return not layer.training
    return isinstance(layer, (*_POINTWISE, nn.Identity))


def _side(value: int | str | tuple[int, ...]) -> int:
    return int(value[0] if isinstance(value, tuple) else value)
