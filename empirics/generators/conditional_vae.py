"""A conditional variational auto-encoder: one decoder for each class, and their mixture."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from empirics.autoencoder import perceptron
from empirics.conditional import ClassOfLast
from empirics.data import Dataset
from empirics.plugins import Context, ImageShape, Outcome, generator
from empirics.settings import setting
from empirics.train import curve, initialise, optimise
from theory.errors import InputError


@generator("conditional_vae")
@dataclass(frozen=True)
class ConditionalVAE:
    """A fully connected decoder of a Gaussian latent and a class, all classes equally likely.

    The last coordinate of the latent chooses the class by its quantiles, so that the generator is
    the mixture of its classes, and jumps between them: it has no modulus of continuity. The
    generators of its classes (`empirics.conditional.class_generators`) are piecewise linear, and
    differ in the bias of the first layer alone.

    Attributes
    ----------
    latent_dimension : int
        d + 1: that of each class, and the coordinate that chooses.
    n_classes : int
        K, that of the data set.
    hidden : tuple of int
        Widths of the decoder's hidden layers; the encoder mirrors them.
    steps, batch, learning_rate
        Adam with a cosine schedule.

    References
    ----------
    Sohn, Lee and Yan, NeurIPS 2015, equation (4), with a prior that is the same for all classes, as
    in Kingma et al., NeurIPS 2014; Rybkin, Daniilidis and Levine, ICML 2021 (optimal variance).
    """

    revision: ClassVar[int] = 1
    latent_dimension: int = setting(17, at_least=2)
    n_classes: int = setting(10, at_least=2)
    hidden: tuple[int, ...] = setting((128, 128), at_least=1)
    steps: int = setting(6000, at_least=1)
    batch: int = setting(128, at_least=1)
    learning_rate: float = setting(2e-3, above=0)

    def build(self, image_shape: ImageShape) -> nn.Sequential:
        """Return the choice of the class and the decoder."""
        inputs = self.latent_dimension - 1 + self.n_classes
        layers = perceptron((inputs, *self.hidden, int(np.prod(image_shape))))
        return nn.Sequential(
            ClassOfLast(self.n_classes), *layers, nn.Unflatten(1, tuple(image_shape))
        )

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Train decoder and encoder, both of which see the class; only the decoder is kept.

        Raises
        ------
        InputError
            If the data set has another number of classes.
        """
        if data.n_classes != self.n_classes:
            raise InputError(
                f"conditional_vae: n_classes must be that of the data set, {data.n_classes}, got"
                f" {self.n_classes}"
            )
        pixels, d = int(np.prod(data.image_shape)), self.latent_dimension - 1
        widths = (pixels + self.n_classes, *self.hidden[::-1], 2 * d)
        encoder = nn.Sequential(*perceptron(widths)).to(context.device)
        initialise(encoder, context.stream("encoder"))
        decoder = module[1:]
        images = torch.from_numpy(data.train_images).flatten(1).to(context.device)
        labels = torch.from_numpy(data.train_labels.astype(np.int64)).to(context.device)
        classes = nn.functional.one_hot(labels, self.n_classes).to(images)
        draws = context.stream("batches")

        def loss_of_step(step: int) -> torch.Tensor:
            index = torch.randint(len(images), (self.batch,), generator=draws).to(images.device)
            shown, said = images[index], classes[index]
            encoded = encoder(torch.cat([shown, said], dim=1))
            mean, log_variance = encoded.chunk(2, dim=1)
            noise = torch.randn(mean.shape, generator=draws).to(mean)
            latent = mean + noise * (log_variance / 2).exp()
            decoded = decoder(torch.cat([latent, said], dim=1)).flatten(1)
            square = (decoded - shown).square().mean()
            divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
            loss: torch.Tensor = pixels / 2 * square.log() + divergence
            return loss

        losses = optimise(
            {"decoder": module, "encoder": encoder},
            loss_of_step,
            self.steps,
            self.learning_rate,
            context,
            {"batches": draws},
        )
        return Outcome(
            facts={"final_loss": float(losses[-max(1, self.steps // 20) :].mean())},
            arrays={"loss": curve(losses)},
        )
