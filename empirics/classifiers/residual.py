"""A small residual network."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training
from theory.errors import InputError


class ResidualBlock(nn.Module):
    """ReLU of the sum of two 3 x 3 convolutions, with a ReLU between them, and a shortcut.

    Parameters
    ----------
    n_in, n_out : int
        Channels; where they differ or the stride is not 1 the shortcut is a 1 x 1 convolution.
    stride : int
        Of the first convolution and of the shortcut.

    References
    ----------
    He, Zhang, Ren and Sun, Deep residual learning for image recognition (CVPR 2016), figure 2.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1),
        )
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(n_in, n_out, 1, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, n_out, height / stride, width / stride)."""
        return torch.relu(self.branch(x) + self.shortcut(x))


@classifier("residual")
@dataclass(frozen=True)
class SmallResidual(Training):
    """A convolution, two residual blocks, the average over the image and a linear layer.

    Attributes
    ----------
    channels : tuple of int
        Channels of the two blocks; the second halves the image, and so does the first convolution
        where its side is 16 or more.
    """

    revision: ClassVar[int] = 1
    channels: tuple[int, ...] = setting((16, 32), at_least=1)

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return Conv, ReLU, two blocks, AdaptiveAvgPool, Linear.

        Raises
        ------
        InputError
            If these are not images, or not two channel counts.
        """
        if len(image_shape) != 3 or len(self.channels) != 2:
            raise InputError(
                f"residual needs images (channels, height, width) and two channel counts, got"
                f" shape {tuple(image_shape)} and channels {self.channels}"
            )
        first, second = self.channels
        stride = 2 if min(image_shape[1:]) >= 16 else 1
        return nn.Sequential(
            nn.Conv2d(image_shape[0], first, 3, stride=stride, padding=1),
            nn.ReLU(),
            ResidualBlock(first, first, 1),
            ResidualBlock(first, second, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(second, n_classes),
        )
