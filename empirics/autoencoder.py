"""Decoders trained on the evidence lower bound, with a fully connected encoder that is dropped."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from empirics.data import Dataset
from empirics.plugins import Context, Outcome
from empirics.train import curve, initialise, optimise


def perceptron(widths: tuple[int, ...]) -> list[nn.Module]:
    """Return fully connected layers with ReLUs between them."""
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        layers += [nn.Linear(width, following), nn.ReLU()]
    return layers[:-1]


def fit_decoder(
    module: nn.Sequential,
    data: Dataset,
    context: Context,
    *,
    latent_dimension: int,
    encoder_hidden: tuple[int, ...],
    steps: int,
    batch: int,
    learning_rate: float,
    penalty: Callable[[nn.Sequential, int], torch.Tensor] | None = None,
) -> Outcome:
    """Train a decoder in place on the evidence lower bound.

    The likelihood is Gaussian, with one variance that is set to its optimum on each batch, so that
    no weight between the two terms has to be chosen.

    Parameters
    ----------
    module : nn.Sequential
        Latents (n, d) to images; freshly initialised, on the context's device.
    data : Dataset
    context : Context
        Its stream "batches" draws images and latents, "encoder" the encoder's first weights.
    latent_dimension : int
        d.
    encoder_hidden : tuple of int
        Widths of the encoder's hidden layers.
    steps, batch, learning_rate
        Adam with a cosine schedule.
    penalty : callable, optional
        Of the decoder and the number of the step; added to the loss.

    References
    ----------
    Kingma and Welling, ICLR 2014; Rybkin, Daniilidis and Levine, ICML 2021 (optimal variance).
    """
    pixels = int(np.prod(data.image_shape))
    widths = (pixels, *encoder_hidden, 2 * latent_dimension)
    encoder = nn.Sequential(nn.Flatten(), *perceptron(widths)).to(context.device)
    initialise(encoder, context.stream("encoder"))
    images = torch.from_numpy(data.train_images).to(context.device)
    draws = context.stream("batches")

    def loss_of_step(step: int) -> torch.Tensor:
        chosen = images[torch.randint(len(images), (batch,), generator=draws)]
        mean, log_variance = encoder(chosen).chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=draws).to(mean)
        decoded = module(mean + noise * (log_variance / 2).exp())
        square = (decoded - chosen).square().mean()
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        loss: torch.Tensor = pixels / 2 * square.log() + divergence
        return loss if penalty is None else loss + penalty(module, step)

    modules = {"decoder": module, "encoder": encoder}
    streams = {"batches": draws}
    losses = optimise(modules, loss_of_step, steps, learning_rate, context, streams)
    return Outcome(
        facts={"final_loss": float(losses[-max(1, steps // 20) :].mean())},
        arrays={"loss": curve(losses)},
    )
