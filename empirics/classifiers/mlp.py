"""A multi-layer perceptron."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from empirics.train import Training


@classifier("mlp")
@dataclass(frozen=True)
class MultiLayerPerceptron(Training):
    """Two layers: one hidden layer of ReLUs.

    Attributes
    ----------
    width : int
        Hidden units.
    """

    revision: ClassVar[int] = 1
    width: int = setting(100, at_least=1)

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return Linear, ReLU, Linear."""
        pixels = int(np.prod(image_shape))
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, self.width),
            nn.ReLU(),
            nn.Linear(self.width, n_classes),
        )
