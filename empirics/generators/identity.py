"""The identity: image space is latent space, as the closed-form families have it."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from empirics.data import Dataset
from empirics.plugins import Context, ImageShape, Outcome, generator
from empirics.settings import setting


@generator("identity")
@dataclass(frozen=True)
class Identity:
    """g(z) = z.

    Attributes
    ----------
    latent_dimension : int
        d.
    """

    revision: ClassVar[int] = 1
    latent_dimension: int = setting(16, at_least=1)

    def build(self, image_shape: ImageShape) -> nn.Sequential:
        """Return the identity; the image shape is (d,)."""
        return nn.Sequential(nn.Identity())

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Do nothing: there is nothing to train."""
        return Outcome()
