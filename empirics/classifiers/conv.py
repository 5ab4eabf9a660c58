"""A small convolutional network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from empirics.activations import ACTIVATIONS, check_activation
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
        How images are halved: "stride" of the convolution itself, or behind its activation the
        "max" or "median" of windows of 2 x 2.
    activation : str
        "relu", "leaky_relu" (slope 0.01), "sigmoid", "tanh", "hardtanh", "softplus" or "gelu".

    Raises
    ------
    InputError
        If the pooling or the activation is not known.
    """

    revision: ClassVar[int] = 1
    channels: tuple[int, ...] = setting((16, 32), at_least=1)
    pooling: str = setting("stride")
    activation: str = setting("relu", later=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in ("stride", *_POOLS):
            raise InputError(
                f"conv: pooling '{self.pooling}' is not known;"
                f" {nearest(self.pooling, ('stride', *_POOLS))}"
            )
        check_activation("conv", self.activation)

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return Conv, activation, Conv, activation, Linear; pooling behind each if asked for.

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
            layers += [
                nn.Conv2d(depth, channels, 3, stride=1 + by_stride, padding=1),
                ACTIVATIONS[self.activation](),
            ]
            if by_stride:
                sides = [math.ceil(side / 2) for side in sides]
            elif halved:
                layers.append(_POOLS[self.pooling](2))
                sides = [side // 2 for side in sides]
            depth = channels
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(depth * math.prod(sides), n_classes))
