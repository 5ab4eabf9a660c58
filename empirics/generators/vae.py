"""A variational auto-encoder whose decoder is a ReLU network (Kingma and Welling, 2014)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from empirics.autoencoder import fit_decoder, perceptron
from empirics.data import Dataset
from empirics.plugins import Context, ImageShape, Outcome, generator
from empirics.settings import setting


@generator("vae")
@dataclass(frozen=True)
class VariationalAutoEncoder:
    """A fully connected decoder with a linear last layer: piecewise linear, unbounded pixels.

    Attributes
    ----------
    latent_dimension : int
        d.
    hidden : tuple of int
        Widths of the decoder's hidden layers; the encoder mirrors them.
    steps, batch, learning_rate
        Adam with a cosine schedule; see `empirics.autoencoder`.

    References
    ----------
    Kingma and Welling, ICLR 2014.
    """

    revision: ClassVar[int] = 1
    latent_dimension: int = setting(16, at_least=1)
    hidden: tuple[int, ...] = setting((128, 128), at_least=1)
    steps: int = setting(6000, at_least=1)
    batch: int = setting(128, at_least=1)
    learning_rate: float = setting(2e-3, above=0)

    def build(self, image_shape: ImageShape) -> nn.Sequential:
        """Return the decoder."""
        widths = (self.latent_dimension, *self.hidden, int(np.prod(image_shape)))
        return nn.Sequential(*perceptron(widths), nn.Unflatten(1, tuple(image_shape)))

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Train decoder and encoder; only the decoder is kept."""
        return fit_decoder(
            module,
            data,
            context,
            latent_dimension=self.latent_dimension,
            encoder_hidden=self.hidden[::-1],
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
        )
