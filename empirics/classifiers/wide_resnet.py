"""Wide residual networks for small images."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training
from theory.errors import InputError

_FIRST = 16
_STAGES = 3


class PreActivation(nn.Module):
    """Batch normalisation, ReLU and 3 x 3 convolution, twice, added to a shortcut.

    Parameters
    ----------
    n_in, n_out, stride : int
        Where the channels or the size change, the shortcut is a 1 x 1 convolution of what the first
        ReLU gives.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(n_in), nn.ReLU())
        self.branch = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
        )
        self.changes = n_in != n_out or stride != 1
        if self.changes:
            self.shortcut = nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, n_out, height / stride, width / stride)."""
        normalised = self.first(x)
        kept = self.shortcut(normalised) if self.changes else x
        return torch.add(self.branch(normalised), kept)


@classifier("wide_resnet")
@dataclass(frozen=True)
class WideResNet(Training):
    """A convolution, three stages of wide blocks, the average over the image and a linear map.

    Attributes
    ----------
    depth : int
        6 n + 4 with n blocks a stage: 10, 16, 22, 28, 40.
    widening : int
        k: the stages have 16 k, 32 k and 64 k channels.

    Raises
    ------
    InputError
        If the depth is not of this form.

    References
    ----------
    Zagoruyko and Komodakis, Wide residual networks (BMVC 2016), table 1.
    """

    revision: ClassVar[int] = 1
    depth: int = setting(28, at_least=10)
    widening: int = setting(10, at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.depth - 4) % 6:
            raise InputError(f"wide_resnet: depth {self.depth}; expected 6 n + 4: 10, 16, 22, 28")

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return the network.

        Raises
        ------
        InputError
            If these are not images.
        """
        if len(image_shape) != 3:
            raise InputError(
                f"wide_resnet needs images (channels, height, width), got shape"
                f" {tuple(image_shape)}"
            )
        n_in = _FIRST
        layers: list[nn.Module] = [nn.Conv2d(image_shape[0], n_in, 3, padding=1, bias=False)]
        for stage in range(_STAGES):
            n_out = _FIRST * self.widening * 2**stage
            for i in range((self.depth - 4) // 6):
                layers.append(PreActivation(n_in, n_out, 2 if stage and not i else 1))
                n_in = n_out
        return nn.Sequential(
            *layers,
            nn.BatchNorm2d(n_in),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(n_in, n_classes),
        )
