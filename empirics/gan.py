"""Generators trained against a discriminator: networks, and the loop that all objectives share."""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from empirics.data import Dataset
from empirics.plugins import Context, ImageShape, Outcome
from empirics.progress import progress
from empirics.recipe import averaged
from empirics.settings import setting
from empirics.snapshot import Snapshot
from empirics.train import TrainingError, curve
from theory.errors import InputError

_SMALLEST = 4
"""Images are halved while their sides are even and above this."""
_SLOPE = 0.2
_SCALE = 0.02
"""Standard deviation of the first weights (Radford et al., section 3)."""
_GRIDS, _SHOWN = 6, 8
"""Times at which samples are kept, and how many."""
_WHITE = 255


def _halvings(image_shape: ImageShape) -> tuple[int, tuple[int, int]]:
    """Return how often images can be halved, and the sides in the end."""
    if len(image_shape) != 3:
        raise InputError(
            f"a GAN needs images (channels, height, width), got shape {tuple(image_shape)}"
        )
    height, width = image_shape[1:]
    count = 0
    while min(height, width) > _SMALLEST and height % 2 == width % 2 == 0:
        height, width, count = height // 2, width // 2, count + 1
    if not count:
        raise InputError(f"images of sides {image_shape[1:]} cannot be halved; a GAN needs that")
    return count, (height, width)


def deconvolution(latent_dimension: int, channels: int, image_shape: ImageShape) -> nn.Sequential:
    """Return transposed convolutions that double the size, with batch normalisation and ReLU.

    The last activation is the logistic function: pixels lie in (0, 1).

    Parameters
    ----------
    latent_dimension : int
    channels : int
        Behind the last but one layer; twice as many before each doubling.
    image_shape : tuple of int

    Raises
    ------
    InputError
        If the images cannot be halved.
    """
    count, sides = _halvings(image_shape)
    widths = [channels * 2 ** (count - 1 - i) for i in range(count)]
    first = (widths[0], *sides)
    layers: list[nn.Module] = [
        nn.Linear(latent_dimension, math.prod(first), bias=False),
        nn.Unflatten(1, first),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
    ]
    for before, after in pairwise(widths):
        layers += [
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    last = nn.ConvTranspose2d(widths[-1], image_shape[0], 4, stride=2, padding=1)
    return nn.Sequential(*layers, last, nn.Sigmoid())


def discriminator(channels: int, image_shape: ImageShape, kind: str) -> nn.Sequential:
    """Return strided convolutions with leaky ReLUs, and a linear layer to one number.

    Parameters
    ----------
    channels : int
        Of the first convolution; twice as many behind each further one.
    image_shape : tuple of int
    kind : str
        "batch" normalisation of all but the first; "spectral" normalisation of every layer; "none".
    """
    count, sides = _halvings(image_shape)
    n_in, layers = image_shape[0], list[nn.Module]()

    def wrapped(layer: nn.Module) -> nn.Module:
        return spectral_norm(layer) if kind == "spectral" else layer

    for i in range(count):
        n_out = channels * 2**i
        normalised = kind == "batch" and i > 0
        layers.append(wrapped(nn.Conv2d(n_in, n_out, 4, 2, 1, bias=not normalised)))
        layers += [nn.BatchNorm2d(n_out)] if normalised else []
        layers.append(nn.LeakyReLU(_SLOPE))
        n_in = n_out
    last = wrapped(nn.Linear(n_in * math.prod(sides), 1))
    return nn.Sequential(*layers, nn.Flatten(), last, nn.Flatten(0))


def normal_weights(module: nn.Module, stream: torch.Generator) -> None:
    """Draw weights from N(0, 0.02^2), those of batch normalisation around 1; biases are 0.

    The vectors from which spectral normalisation starts its power iteration are drawn anew too.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            weights = [w for name, w in layer.named_parameters() if "bias" not in name]
            for weight in weights:
                nn.init.normal_(weight, 0.0, _SCALE, generator=stream)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, _SCALE, generator=stream)
            nn.init.zeros_(layer.bias)
    for name, vector in module.named_buffers():
        if name.endswith(("._u", "._v")):
            drawn = torch.randn(vector.shape, generator=stream)
            vector.copy_(nn.functional.normalize(drawn, dim=0))


Loss = Callable[[torch.Tensor], torch.Tensor]
"""From the discriminator's values, shape (n,), to a number."""


@dataclass(frozen=True)
class Objective:
    """What discriminator and generator minimise.

    Attributes
    ----------
    on_real, on_generated : callable
        The discriminator's losses.
    of_generator : callable
        The generator's.
    penalty : callable or None
        Of the discriminator, real and generated images and a stream; added to its loss.
    kind : str
        Of the discriminator, see `discriminator`.
    """

    on_real: Loss
    on_generated: Loss
    of_generator: Loss
    kind: str
    penalty: (
        Callable[[nn.Module, torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor] | None
    ) = None


@dataclass(frozen=True)
class AdversarialGenerator:
    """Settings of a generator that is trained against a discriminator.

    It is measured with the running statistics of batch normalisation: a fixed, Lipschitz map.

    Attributes
    ----------
    latent_dimension : int
        d.
    channels : int
        Of the generator's last but one layer and of the discriminator's first.
    steps, critic_steps, batch : int
        Steps of the generator, of the discriminator before each of them, and images a step.
    learning_rate, beta1, beta2 : float
        Of Adam, for both.
    average : float
        Decay a step of the running average of the generator's weights that is kept; 0 for none.
    """

    latent_dimension: int = setting(100, at_least=1)
    channels: int = setting(32, at_least=1)
    steps: int = setting(20_000, at_least=1)
    critic_steps: int = setting(1, at_least=1)
    batch: int = setting(64, at_least=2)
    learning_rate: float = setting(2e-4, above=0)
    beta1: float = setting(0.5, at_least=0, at_most=1)
    beta2: float = setting(0.999, at_least=0, at_most=1)
    average: float = setting(0.999, at_least=0, at_most=1)

    @abstractmethod
    def objective(self) -> Objective:
        """Return what the two networks minimise."""

    def build(self, image_shape: ImageShape) -> nn.Sequential:
        """Return the generator."""
        return deconvolution(self.latent_dimension, self.channels, image_shape)

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Train both networks; only the generator is kept."""
        return fit_gan(module, data, context, self.objective(), self)


def fit_gan(
    module: nn.Sequential,
    data: Dataset,
    context: Context,
    objective: Objective,
    settings: AdversarialGenerator,
) -> Outcome:
    """Train a generator in place against a discriminator that is dropped.

    Parameters
    ----------
    module : nn.Sequential
        Latents (n, d) to images, on the context's device.
    data : Dataset
    context : Context
        Its streams: "generator" and "discriminator" for first weights, "batches" for images and
        latents, "shown" for the latents of the samples that are kept.
    objective : Objective
    settings : AdversarialGenerator

    Returns
    -------
    Outcome
        Arrays: the loss curves of both, and samples of the same latents at equal stretches, as
        bytes from 0 (black) to 255 (white).

    Raises
    ------
    TrainingError
        If a loss is not finite.
    """
    device = context.device
    # Constructors draw default weights from the global random state: keep it as it was.
    with torch.random.fork_rng(devices=[]):
        critic = discriminator(settings.channels, data.image_shape, objective.kind).to(device)
    normal_weights(module, context.stream("generator"))
    normal_weights(critic, context.stream("discriminator"))
    images = torch.from_numpy(data.train_images).to(device)
    draws = context.stream("batches")
    dimension = settings.latent_dimension
    fixed = torch.randn(_SHOWN, dimension, generator=context.stream("shown")).to(device)
    betas = (settings.beta1, settings.beta2)
    optimisers = {
        name: torch.optim.Adam(net.parameters(), lr=settings.learning_rate, betas=betas)
        for name, net in (("generator", module), ("discriminator", critic))
    }
    average = averaged(module, settings.average) if settings.average else None
    losses = np.zeros((settings.steps, 2), dtype=np.float32)
    moments = np.unique(np.linspace(0, settings.steps, _GRIDS + 1).astype(int)[1:])
    grids = np.zeros((len(moments), _SHOWN, *data.image_shape), dtype=np.uint8)
    nets: Mapping[str, nn.Module] = {"generator": module, "discriminator": critic}
    snapshot = Snapshot(
        context.snapshot,
        modules=nets if average is None else {**nets, "average": average},
        optimisers=optimisers,
        streams={"batches": draws},
        notes={"losses": losses, "grids": grids},
    )

    def generated() -> torch.Tensor:
        z = torch.randn(settings.batch, dimension, generator=draws).to(device)
        result: torch.Tensor = module(z)
        return result

    def moved(name: str, loss: torch.Tensor) -> float:
        optimisers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimisers[name].step()
        return loss.item()

    done = snapshot.resume()
    for step in progress(range(done, settings.steps), context.title):
        module.train()
        for _ in range(settings.critic_steps):
            chosen = torch.randint(len(images), (settings.batch,), generator=draws)
            real = images[chosen.to(device)]
            with torch.no_grad():
                fake = generated()
            loss = objective.on_real(critic(real)) + objective.on_generated(critic(fake))
            if objective.penalty is not None:
                loss = loss + objective.penalty(critic, real, fake, draws)
            losses[step, 1] = moved("discriminator", loss)
        critic.requires_grad_(False)
        losses[step, 0] = moved("generator", objective.of_generator(critic(generated())))
        critic.requires_grad_(True)
        if not np.isfinite(losses[step]).all():
            raise TrainingError(f"the losses are {losses[step]} at step {step} of {settings.steps}")
        if average is not None:
            average.update_parameters(module)
        for row in np.flatnonzero(moments == step + 1):
            grids[row] = _samples(module if average is None else average, fixed)
        snapshot.keep(step + 1)
    if average is not None:
        module.load_state_dict(average.module.state_dict())
    return Outcome(facts=_facts(losses), arrays=_arrays(losses, grids, moments))


def _samples(module: nn.Module, latents: torch.Tensor) -> npt.NDArray[np.uint8]:
    module.eval()
    with torch.no_grad():
        return np.asarray((_WHITE * module(latents)).round().to(torch.uint8).cpu().numpy())


def _facts(losses: npt.NDArray[np.float32]) -> dict[str, Any]:
    tail = losses[-max(1, len(losses) // 20) :].mean(axis=0)
    return {"final_loss": float(tail[0]), "final_loss_discriminator": float(tail[1])}


def _arrays(
    losses: npt.NDArray[np.float32], grids: npt.NDArray[np.uint8], moments: npt.NDArray[np.int_]
) -> dict[str, npt.NDArray[Any]]:
    return {
        "loss": curve(losses[:, 0]),
        "loss_discriminator": curve(losses[:, 1]),
        "grids": grids,
        "grid_steps": moments.astype(np.int64),
    }
