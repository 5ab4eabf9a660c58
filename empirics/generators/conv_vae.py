"""A variational auto-encoder whose decoder has transposed convolutions, as those of DCGAN."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import nn

from empirics.autoencoder import fit_decoder
from empirics.data import Dataset
from empirics.plugins import Context, ImageShape, Outcome, generator
from empirics.settings import setting
from theory.errors import InputError


@generator("conv_vae")
@dataclass(frozen=True)
class ConvolutionalVAE:
    """Linear, then transposed convolutions that double the size, with ReLUs between them.

    The last layer is linear: piecewise linear, unbounded pixels.

    Attributes
    ----------
    latent_dimension : int
        d.
    channels : tuple of int
        Channels after the linear layer and after each transposed convolution but the last.
    encoder_hidden : tuple of int
        Widths of the fully connected encoder's hidden layers.
    steps, batch, learning_rate
        Adam with a cosine schedule; see `empirics.autoencoder`.

    References
    ----------
    Kingma and Welling, ICLR 2014; Radford, Metz and Chintala, ICLR 2016 (the decoder's layers).
    """

    revision: ClassVar[int] = 1
    latent_dimension: int = setting(16, at_least=1)
    channels: tuple[int, ...] = setting((16, 8), at_least=1)
    encoder_hidden: tuple[int, ...] = setting((128, 128), at_least=1)
    steps: int = setting(6000, at_least=1)
    batch: int = setting(128, at_least=1)
    learning_rate: float = setting(2e-3, above=0)

    def build(self, image_shape: ImageShape) -> nn.Sequential:
        """Return the decoder.

        Raises
        ------
        InputError
            If the sides of the images are not multiples of 2 to the number of doublings.
        """
        factor = 2 ** len(self.channels)
        if len(image_shape) != 3 or any(side % factor for side in image_shape[1:]):
            raise InputError(
                f"conv_vae: {len(self.channels)} channels double the size as often: images need"
                f" sides that are multiples of {factor}, got the shape {tuple(image_shape)}"
            )
        height, width = (side // factor for side in image_shape[1:])
        first = (self.channels[0], height, width)
        layers: list[nn.Module] = [
            nn.Linear(self.latent_dimension, first[0] * height * width),
            nn.Unflatten(1, first),
        ]
        for before, after in pairwise((*self.channels, image_shape[0])):
            layers += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        return nn.Sequential(*layers)

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Train decoder and encoder; only the decoder is kept."""
        return fit_decoder(
            module,
            data,
            context,
            latent_dimension=self.latent_dimension,
            encoder_hidden=self.encoder_hidden,
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
        )
