"""The argmax of coordinates: simplex cones, the best partition known for K >= 3."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting
from theory.errors import InputError


@classifier("argmax")
@dataclass(frozen=True)
class Argmax:
    """f(z) = argmax_{i <= K} z_i; r(z) = (z_(1) - z_(2)) / sqrt 2, masses exactly 1/K.

    Attributes
    ----------
    n_classes : int
        K, at most the latent dimension.

    References
    ----------
    Milman and Neeman, Ann. Math. 195 (2022): optimal in the limit of small distances.
    """

    revision: ClassVar[int] = 1
    n_classes: int = setting(10, at_least=2)

    @property
    def class_masses(self) -> tuple[float, ...]:
        """Exact masses, all equal."""
        return (1 / self.n_classes,) * self.n_classes

    @property
    def exact_law(self) -> dict[str, Any]:
        """Name and parameters of the exact law of the radius."""
        return {"family": "argmax", "n_classes": self.n_classes}

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return logits z_1, ..., z_K."""
        if self.n_classes > image_shape[0]:
            raise InputError(
                f"argmax: n_classes must be at most the latent dimension {image_shape[0]},"
                f" got {self.n_classes}"
            )
        linear = nn.Linear(image_shape[0], self.n_classes)
        with torch.no_grad():
            linear.weight.copy_(torch.eye(self.n_classes, image_shape[0]))
            linear.bias.zero_()
        return nn.Sequential(linear)
