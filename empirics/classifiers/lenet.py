"""LeNet: two convolutions of 5 x 5 with max pooling, and one hidden dense layer."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training
from theory.errors import InputError


@classifier("lenet")
@dataclass(frozen=True)
class LeNet(Training):
    """Two 5 x 5 convolutions, each with ReLU and 2 x 2 max pooling, and a dense layer with ReLU.

    Attributes
    ----------
    channels : tuple of int
        Channels of the two convolutions.
    hidden : int
        Units of the dense layer.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition
    (Proc. IEEE 86, 1998). With channels 32, 64 and 1024 hidden units it is the network of Madry et
    al. (ICLR 2018), section 5, on MNIST.
    """

    revision: ClassVar[int] = 1
    channels: tuple[int, ...] = setting((16, 32), at_least=1)
    hidden: int = setting(128, at_least=1)

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return Conv, ReLU, MaxPool, Conv, ReLU, MaxPool, Flatten, Linear, ReLU, Linear.

        Raises
        ------
        InputError
            If these are not images of side 4 or more, or not two channel counts.
        """
        if len(image_shape) != 3 or min(image_shape[1:]) < 4 or len(self.channels) != 2:
            raise InputError(
                f"lenet needs images (channels, height, width) of side 4 or more and two channel"
                f" counts, got shape {tuple(image_shape)} and channels {self.channels}"
            )
        depth, *sides = image_shape
        layers: list[nn.Module] = []
        for channels in self.channels:
            layers += [nn.Conv2d(depth, channels, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
            depth, sides = channels, [side // 2 for side in sides]
        return nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(depth * math.prod(sides), self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, n_classes),
        )
