"""A small convolutional network."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training
from theory.errors import InputError


@classifier("conv")
@dataclass(frozen=True)
class SmallConvolutional(Training):
    """Two 3 x 3 convolutions and a linear layer; images of side 16 or more are halved twice.

    Attributes
    ----------
    channels : tuple of int
        Channels of the two convolutions.
    """

    revision: ClassVar[int] = 1
    channels: tuple[int, ...] = setting((16, 32), at_least=1)

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return Conv, ReLU, Conv (stride 2), ReLU, Linear."""
        if len(image_shape) != 3 or len(self.channels) != 2:
            raise InputError(
                f"conv needs images (channels, height, width) and two channel counts, got shape"
                f" {tuple(image_shape)} and channels {self.channels}"
            )
        depth, height, width = image_shape
        stride = 2 if min(height, width) >= 16 else 1
        after = [math.ceil(math.ceil(side / stride) / 2) for side in (height, width)]
        first, second = self.channels
        return nn.Sequential(
            nn.Conv2d(depth, first, 3, stride=stride, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * after[0] * after[1], n_classes),
        )
