"""A multi-layer perceptron."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from empirics.activations import ACTIVATIONS, check_activation
from empirics.median import MedianFilter
from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training
from theory.errors import InputError


@classifier("mlp")
@dataclass(frozen=True)
class MultiLayerPerceptron(Training):
    """Linear layers with an activation between them.

    Attributes
    ----------
    width : int
        Hidden units of the only hidden layer.
    hidden : tuple of int
        Widths of the hidden layers, where they are not one of `width`.
    activation : str
        "relu", "leaky_relu" (slope 0.01), "sigmoid", "tanh", "hardtanh", "softplus" or "gelu".
    median_filter : int
        Odd side of the window of a median filter that images pass first; 0 for none.

    Raises
    ------
    InputError
        If the activation is not known or the window is even.
    """

    revision: ClassVar[int] = 1
    width: int = setting(100, at_least=1)
    hidden: tuple[int, ...] = setting((), at_least=1)
    activation: str = setting("relu")
    median_filter: int = setting(0, at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_activation("mlp", self.activation)
        if self.median_filter and self.median_filter % 2 == 0:
            raise InputError(f"mlp: median_filter must be odd, or 0, got {self.median_filter}")

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return (MedianFilter,) Flatten, Linear, activation, ..., Linear.

        Raises
        ------
        InputError
            If what is to be filtered are not images.
        """
        if self.median_filter and len(image_shape) != 3:
            raise InputError(
                f"mlp: median_filter needs images (channels, height, width), got shape"
                f" {tuple(image_shape)}"
            )
        layers: list[nn.Module] = [MedianFilter(self.median_filter)] if self.median_filter else []
        layers.append(nn.Flatten())
        size = int(np.prod(image_shape))
        for width in self.hidden or (self.width,):
            layers += [nn.Linear(size, width), ACTIVATIONS[self.activation]()]
            size = width
        return nn.Sequential(*layers, nn.Linear(size, n_classes))
