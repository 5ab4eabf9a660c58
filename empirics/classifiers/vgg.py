"""VGG for small images: convolutions of 3 x 3 with batch normalisation, and one dense layer."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training
from theory.errors import InputError

_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions of each stage, by depth."""
_WIDEST = 8


@classifier("vgg")
@dataclass(frozen=True)
class VGG(Training):
    """Five stages of 3 x 3 convolutions, batch normalisation and ReLU, halved between stages.

    Images are halved while their side is 2 or more; a linear layer follows, as usual on images of
    side 32, in place of the three dense layers on large ones.

    Attributes
    ----------
    depth : int
        11, 13, 16 or 19 weight layers of the original network, three of them dense.
    width : int
        Channels of the first stage; each stage has twice as many as the one before, up to 8 times.

    Raises
    ------
    InputError
        If there is no network of this depth.

    References
    ----------
    Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition
    (ICLR 2015), table 1; Ioffe and Szegedy (ICML 2015) for batch normalisation.
    """

    revision: ClassVar[int] = 1
    depth: int = setting(16)
    width: int = setting(64, at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth not in _STAGES:
            raise InputError(f"vgg: depth {self.depth}; known: {', '.join(map(str, _STAGES))}")

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return convolutions, batch normalisations, ReLUs and max pooling, then a linear layer.

        Raises
        ------
        InputError
            If these are not images.
        """
        if len(image_shape) != 3:
            raise InputError(
                f"vgg needs images (channels, height, width), got shape {tuple(image_shape)}"
            )
        n_in, *sides = image_shape
        layers: list[nn.Module] = []
        for stage, count in enumerate(_STAGES[self.depth]):
            n_out = self.width * min(2**stage, _WIDEST)
            for _ in range(count):
                layers += [
                    nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
                    nn.BatchNorm2d(n_out),
                    nn.ReLU(),
                ]
                n_in = n_out
            if min(sides) >= 2:
                layers.append(nn.MaxPool2d(2))
                sides = [side // 2 for side in sides]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_in * math.prod(sides), n_classes))
