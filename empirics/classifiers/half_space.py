"""Half-spaces of latent space: the classifiers that attain the bound."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from scipy import special
from torch import nn

from empirics.plugins import ImageShape, classifier
from empirics.settings import setting


@classifier("half_space")
@dataclass(frozen=True)
class HalfSpace:
    """f(z) = [z_1 > offset]; r(z) = |z_1 - offset|, whose law equals the bound of Theorem 1.

    Attributes
    ----------
    offset : float
        Signed distance of the hyperplane from the origin; 0 gives two classes of mass 1/2.

    References
    ----------
    Fawzi, Fawzi and Fawzi, NeurIPS 2018, section 3: equality for linear classifiers and K = 2.
    """

    revision: ClassVar[int] = 1
    offset: float = setting(0.0)

    @property
    def n_classes(self) -> int:
        """Two."""
        return 2

    @property
    def class_masses(self) -> tuple[float, ...]:
        """Exact masses of the two classes."""
        return float(special.ndtr(-self.offset)), float(special.ndtr(self.offset))

    @property
    def exact_law(self) -> dict[str, Any]:
        """Name and parameters of the exact law of the radius."""
        return {"family": "half_space", "offset": self.offset}

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return logits +-(z_1 - offset)."""
        linear = nn.Linear(image_shape[0], 2)
        with torch.no_grad():
            linear.weight.zero_()
            linear.weight[0, 0], linear.weight[1, 0] = 1.0, -1.0
            linear.bias[0], linear.bias[1] = -self.offset, self.offset
        return nn.Sequential(linear)
