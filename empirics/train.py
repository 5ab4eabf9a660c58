"""Training of classifiers, on real or on generated images, normally or adversarially."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from empirics.adversary.checks import Box
from empirics.attacks.pgd import pgd
from empirics.plugins import Context, Outcome
from empirics.progress import progress
from empirics.settings import setting
from empirics.snapshot import Snapshot
from theory.errors import InputError, nearest

Batches = Callable[[int, torch.Generator], tuple[torch.Tensor, torch.Tensor]]
"""(size, stream) -> images and labels on the device."""


_BOXES: dict[str, Box | None] = {"l2": None, "linf": (0.0, 1.0)}


class TrainingError(RuntimeError):
    """A training that cannot go on: the loss is not finite."""


@dataclass(frozen=True)
class Training:
    """Settings that every trained classifier has.

    Attributes
    ----------
    steps, batch : int
        Optimiser steps (Adam, cosine schedule) and images a step.
    learning_rate : float
        Peak learning rate.
    shift : int
        Images of the data set are moved by up to this many pixels in each direction, batch by
        batch; generated ones are not.
    adversarial_radius : float
        Radius of the PGD examples it is trained on; 0 trains normally.
    adversarial_steps : int
        PGD steps for each of them.
    adversarial_norm : str
        "l2", or "linf" within the range of pixels, [0, 1].
    adversarial_ramp : float
        First part of the steps, over which the radius grows linearly: large linf radii are not
        learnt from untrained weights otherwise.

    Raises
    ------
    InputError
        If the norm is not one of these.
    """

    steps: int = setting(1500, at_least=1)
    batch: int = setting(128, at_least=1)
    learning_rate: float = setting(2e-3, above=0)
    shift: int = setting(0, at_least=0)
    adversarial_radius: float = setting(0.0, at_least=0)
    adversarial_steps: int = setting(5, at_least=1)
    adversarial_norm: str = setting("l2", later=True)
    adversarial_ramp: float = setting(0.0, at_least=0, at_most=1, later=True)

    def __post_init__(self) -> None:
        if self.adversarial_norm not in _BOXES:
            raise InputError(
                f"adversarial_norm '{self.adversarial_norm}' is not known;"
                f" {nearest(self.adversarial_norm, _BOXES)}"
            )


def initialise(module: nn.Module, stream: torch.Generator) -> None:
    """Draw the weights of affine layers anew: Kaiming-uniform, from a named stream."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=stream)
            if layer.bias is not None:
                limit = 1 / math.sqrt(layer.weight[0].numel())
                nn.init.uniform_(layer.bias, -limit, limit, generator=stream)


def shifted(images: torch.Tensor, most: int, stream: torch.Generator) -> torch.Tensor:
    """Return images moved by one random offset of at most `most` pixels in each direction.

    What moves in from outside is 0.
    """
    if not most:
        return images
    down, right = (int(v) for v in torch.randint(-most, most + 1, (2,), generator=stream))
    height, width = images.shape[-2:]
    padded = nn.functional.pad(images, (most, most, most, most))
    return padded[..., most + down :, most + right :][..., :height, :width]


def optimise(
    modules: Mapping[str, nn.Module],
    loss_of_step: Callable[[int], torch.Tensor],
    steps: int,
    learning_rate: float,
    context: Context,
    streams: Mapping[str, torch.Generator],
) -> np.ndarray:
    """Run Adam with a cosine schedule and return the loss at each step, shape (steps,).

    A training that was killed goes on where it was last kept, to the same weights.

    Parameters
    ----------
    modules : mapping from str to nn.Module
        What is trained.
    loss_of_step : callable
        From the number of the step.
    steps, learning_rate
        Of Adam.
    context : Context
    streams : mapping from str to torch.Generator
        Those that the loss draws from.

    Raises
    ------
    TrainingError
        If the loss is not finite; the last good state is kept.
    """
    parameters = [parameter for module in modules.values() for parameter in module.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses = np.empty(steps, dtype=np.float32)
    snapshot = Snapshot(
        context.snapshot,
        modules=modules,
        optimisers={"adam": optimiser},
        schedules={"adam": schedule},
        streams=streams,
    )
    done = snapshot.resume(losses)
    for step in progress(range(done, steps), context.title):
        loss = loss_of_step(step)
        losses[step] = loss.item()
        if not math.isfinite(losses[step]):
            raise TrainingError(f"the loss is {losses[step]} at step {step} of {steps}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        snapshot.keep(step + 1, losses)
    return losses


def curve(losses: np.ndarray, points: int = 100) -> np.ndarray:
    """Return the means of about `points` equal stretches of a loss curve."""
    return np.array([part.mean() for part in np.array_split(losses, min(points, len(losses)))])


def fit_classifier(
    module: nn.Sequential, batches: Batches, settings: Training, context: Context
) -> Outcome:
    """Train a classifier in place.

    Parameters
    ----------
    module : nn.Sequential
        Freshly initialised, on the context's device.
    batches : callable
        Source of labelled images.
    settings : Training
    context : Context
        Its stream "batches" draws the images, "adversary" the starts of PGD.

    References
    ----------
    Madry et al., Towards deep learning models resistant to adversarial attacks (ICLR 2018), for
    adversarial training.
    """
    images_stream, adversary = context.stream("batches"), context.stream("adversary")

    ramp = settings.adversarial_ramp * settings.steps

    def loss_of_step(step: int) -> torch.Tensor:
        images, labels = batches(settings.batch, images_stream)
        if settings.adversarial_radius:
            module.requires_grad_(False)
            images = pgd(
                module,
                images,
                labels,
                radius=settings.adversarial_radius * min(1.0, (step + 1) / max(ramp, 1.0)),
                steps=settings.adversarial_steps,
                stream=adversary,
                norm=settings.adversarial_norm,
                box=_BOXES[settings.adversarial_norm],
            )
            module.requires_grad_(True)
        return nn.functional.cross_entropy(module(images), labels)

    losses = optimise(
        {"classifier": module},
        loss_of_step,
        settings.steps,
        settings.learning_rate,
        context,
        {"batches": images_stream, "adversary": adversary},
    )
    module.eval().requires_grad_(False)
    tail = losses[-max(1, len(losses) // 20) :]
    return Outcome(facts={"final_loss": float(tail.mean())}, arrays={"loss": curve(losses)})
