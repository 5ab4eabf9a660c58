"""A small convolutional network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from empirics.median import MedianPool
from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training
from theory.errors import InputError, nearest

_POOLS: dict[str, Callable[[int], nn.Module]] = {"max": nn.MaxPool2d, "median": MedianPool}


@classifier("conv")
@dataclass(frozen=True)
class SmallConvolutional(Training):
    """Two 3 x 3 convolutions and a linear layer; images of side 16 or more are halved twice.

    Attributes
    ----------
    channels : tuple of int
        Channels of the two convolutions.
    pooling : str
        How images are halved: "stride" of the convolution itself, or behind its ReLU the "max" or
        "median" of windows of 2 x 2.

    Raises
    ------
    InputError
        If the pooling is not known.
    """

    revision: ClassVar[int] = 1
    channels: tuple[int, ...] = setting((16, 32), at_least=1)
    pooling: str = setting("stride")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in ("stride", *_POOLS):
            raise InputError(
                f"conv: pooling '{self.pooling}' is not known;"
                f" {nearest(self.pooling, ('stride', *_POOLS))}"
            )

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return Conv, ReLU, Conv, ReLU, Linear, with pooling behind each ReLU if asked for.

        Raises
        ------
        InputError
            If these are not images, or not two channel counts.
        """
        if len(image_shape) != 3 or len(self.channels) != 2:
            raise InputError(
                f"conv needs images (channels, height, width) and two channel counts, got shape"
                f" {tuple(image_shape)} and channels {self.channels}"
            )
        depth, *sides = image_shape
        layers: list[nn.Module] = []
        for channels, halved in zip(self.channels, (min(sides) >= 16, True), strict=True):
            by_stride = halved and self.pooling == "stride"
            layers += [nn.Conv2d(depth, channels, 3, stride=1 + by_stride, padding=1), nn.ReLU()]
            if by_stride:
                sides = [math.ceil(side / 2) for side in sides]
            elif halved:
                layers.append(_POOLS[self.pooling](2))
                sides = [side // 2 for side in sides]
            depth = channels
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(depth * math.prod(sides), n_classes))
