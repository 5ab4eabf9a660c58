"""Residual networks for small images."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training
from theory.errors import InputError

_BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of each stage, by depth."""
_EXPANSION = 4


def _normalised(n_in: int, n_out: int, size: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(n_out)]


class Residual(nn.Module):
    """ReLU of the sum of a branch and a shortcut.

    Parameters
    ----------
    branch : nn.Module
    n_in, n_out, stride : int
        Where the branch changes the channels or the size, the shortcut is a 1 x 1 convolution with
        batch normalisation.
    """

    def __init__(self, branch: nn.Module, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.branch = branch
        same = n_in == n_out and stride == 1
        shortcut = [] if same else _normalised(n_in, n_out, 1, stride)
        self.shortcut = nn.Sequential(*shortcut) if shortcut else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, n_out, height / stride, width / stride)."""
        return torch.relu(self.branch(x) + self.shortcut(x))


def _basic(n_in: int, width: int, stride: int) -> Residual:
    branch = nn.Sequential(
        *_normalised(n_in, width, 3, stride), nn.ReLU(), *_normalised(width, width, 3)
    )
    return Residual(branch, n_in, width, stride)


def _bottleneck(n_in: int, width: int, stride: int) -> Residual:
    n_out = _EXPANSION * width
    branch = nn.Sequential(
        *_normalised(n_in, width, 1),
        nn.ReLU(),
        *_normalised(width, width, 3, stride),
        nn.ReLU(),
        *_normalised(width, n_out, 1),
    )
    return Residual(branch, n_in, n_out, stride)


@classifier("resnet")
@dataclass(frozen=True)
class ResNet(Training):
    """A 3 x 3 convolution, four stages of residual blocks, the mean over the image, a linear map.

    The 7 x 7 convolution and the pooling of the original stem are for images of side 224.

    Attributes
    ----------
    depth : int
        18 or 34, of basic blocks; 50, 101 or 152, of bottlenecks.
    width : int
        Channels of the first stage; each stage has twice as many as the one before.

    Raises
    ------
    InputError
        If there is no network of this depth.

    References
    ----------
    He, Zhang, Ren and Sun, Deep residual learning for image recognition (CVPR 2016), table 1.
    """

    revision: ClassVar[int] = 1
    depth: int = setting(18)
    width: int = setting(64, at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = (*_BASIC, *_BOTTLENECK)
        if self.depth not in known:
            raise InputError(f"resnet: depth {self.depth}; known: {', '.join(map(str, known))}")

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return the network.

        Raises
        ------
        InputError
            If these are not images.
        """
        if len(image_shape) != 3:
            raise InputError(
                f"resnet needs images (channels, height, width), got shape {tuple(image_shape)}"
            )
        is_basic = self.depth in _BASIC
        block, expansion = (_basic, 1) if is_basic else (_bottleneck, _EXPANSION)
        layers: list[nn.Module] = [*_normalised(image_shape[0], self.width, 3), nn.ReLU()]
        n_in = self.width
        for stage, count in enumerate((_BASIC if is_basic else _BOTTLENECK)[self.depth]):
            width = self.width * 2**stage
            for i in range(count):
                layers.append(block(n_in, width, 2 if stage and not i else 1))
                n_in = expansion * width
        return nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, n_classes)
        )
