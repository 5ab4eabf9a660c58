"""A variational auto-encoder whose decoder is a ReLU network (Kingma and Welling, 2014)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from empirics.data import Dataset
from empirics.plugins import Context, ImageShape, Outcome, generator
from empirics.settings import setting
from empirics.train import curve, initialise, optimise


def _perceptron(widths: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        layers += [nn.Linear(width, following), nn.ReLU()]
    return layers[:-1]


@generator("vae")
@dataclass(frozen=True)
class VariationalAutoEncoder:
    """A fully connected decoder with a linear last layer: piecewise linear, unbounded pixels.

    Trained on the evidence lower bound with a Gaussian likelihood whose one variance is set to
    its optimum on each batch, so that no weight between the two terms has to be chosen.

    Attributes
    ----------
    latent_dimension : int
        d.
    hidden : tuple of int
        Widths of the decoder's hidden layers; the encoder mirrors them.
    steps, batch, learning_rate
        Adam with a cosine schedule.

    References
    ----------
    Kingma and Welling, ICLR 2014; Rybkin, Daniilidis and Levine, ICML 2021 (optimal variance).
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
        return nn.Sequential(*_perceptron(widths), nn.Unflatten(1, tuple(image_shape)))

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Train decoder and encoder; only the decoder is kept."""
        pixels = int(np.prod(data.image_shape))
        widths = (pixels, *reversed(self.hidden), 2 * self.latent_dimension)
        encoder = nn.Sequential(nn.Flatten(), *_perceptron(widths)).to(context.device)
        initialise(encoder, context.stream("encoder"))
        images = torch.from_numpy(data.train_images).to(context.device)
        draws = context.stream("batches")

        def loss_of_step(_: int) -> torch.Tensor:
            batch = images[torch.randint(len(images), (self.batch,), generator=draws)]
            mean, log_variance = encoder(batch).chunk(2, dim=1)
            noise = torch.randn(mean.shape, generator=draws).to(mean)
            decoded = module(mean + noise * (log_variance / 2).exp())
            square = (decoded - batch).square().mean()
            divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
            loss: torch.Tensor = pixels / 2 * square.log() + divergence
            return loss

        parameters = [*module.parameters(), *encoder.parameters()]
        losses = optimise(
            iter(parameters), loss_of_step, self.steps, self.learning_rate, context.title
        )
        return Outcome(
            facts={"final_loss": float(losses[-max(1, self.steps // 20) :].mean())},
            arrays={"loss": curve(losses)},
        )
