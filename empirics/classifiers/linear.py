"""A linear classifier: its distances to the boundary are known exactly."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.train import Training


@classifier("linear")
@dataclass(frozen=True)
class Linear(Training):
    """Logistic regression on pixels."""

    revision: ClassVar[int] = 1

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return Linear(pixels, K)."""
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(image_shape)), n_classes))
