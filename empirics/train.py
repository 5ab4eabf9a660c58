"""Training of classifiers, on real or on generated images, normally or adversarially."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from empirics.adversary.checks import Box
from empirics.attacks.pgd import pgd
from empirics.plugins import Context, Outcome
from empirics.processes import processes
from empirics.progress import progress
from empirics.recipe import OPTIMISERS, SCHEDULES, Recipe, averaged, cropped, flipped
from empirics.settings import setting
from empirics.snapshot import Snapshot
from empirics.trades import divergence, most_divergent
from theory.errors import InputError, nearest

Batches = Callable[[int, torch.Generator], tuple[torch.Tensor, torch.Tensor]]
"""(size, stream) -> images and labels on the device."""


_BOXES: dict[str, Box | None] = {"l2": None, "linf": (0.0, 1.0)}
_PLAIN = Recipe()
_NAMES: dict[str, Iterable[str]] = {
    "adversarial_norm": _BOXES,
    "optimiser": OPTIMISERS,
    "schedule": SCHEDULES,
    "half": ("", "first", "second"),
    "precision": ("float32", "bfloat16"),
}


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
    trades : float
        Weight of the divergence between predictions in the objective TRADES; 0 trains on the
        adversarial examples themselves.
    optimiser : str
        "adam", or "sgd" with Nesterov momentum 0.9.
    schedule : str
        "cosine" or "one_cycle", of the learning rate.
    weight_decay : float
        Coupled, as the optimiser has it.
    average : float
        Decay a step of a running average of the weights, which is what is kept; 0 for none.
    crop : int
        As shift, but each image is moved by its own offsets.
    flip : bool
        Whether images of the data set are mirrored at random.
    half : str
        "first" or "second" half of the training images; "" for all.
    classes : int
        Labels count modulo this number; 0 for all classes of the data set.
    shuffled : bool
        Learns images of the data set whose labels were dealt out at random, in equal numbers.
    precision : str
        "float32", or "bfloat16" for the forward and backward passes on a GPU.
    compiled : bool
        Whether the network is compiled for the training.

    Raises
    ------
    InputError
        If a name is not one of these.

    References
    ----------
    Zhang et al., ICML 2019 (TRADES).
    """

    steps: int = setting(1500, at_least=1)
    batch: int = setting(128, at_least=1)
    learning_rate: float = setting(2e-3, above=0)
    shift: int = setting(0, at_least=0)
    adversarial_radius: float = setting(0.0, at_least=0)
    adversarial_steps: int = setting(5, at_least=1)
    adversarial_norm: str = setting("l2", later=True)
    adversarial_ramp: float = setting(0.0, at_least=0, at_most=1, later=True)
    trades: float = setting(0.0, at_least=0, later=True)
    optimiser: str = setting("adam", later=True)
    schedule: str = setting("cosine", later=True)
    weight_decay: float = setting(0.0, at_least=0, later=True)
    average: float = setting(0.0, at_least=0, at_most=1, later=True)
    crop: int = setting(0, at_least=0, later=True)
    flip: bool = setting(False, later=True)
    half: str = setting("", later=True)
    classes: int = setting(0, at_least=0, later=True)
    shuffled: bool = setting(False, later=True)
    precision: str = setting("float32", later=True)
    compiled: bool = setting(False, later=True)

    def __post_init__(self) -> None:
        for name, known in _NAMES.items():
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"{name} '{value}' is not known; {nearest(value, known)}")
        if self.classes == 1:
            raise InputError("classes must be at least 2, or 0, got 1")
        if self.trades and not self.adversarial_radius:
            raise InputError("trades needs an adversarial_radius above 0")

    @property
    def recipe(self) -> Recipe:
        """How the weights move."""
        return Recipe(self.optimiser, self.schedule, self.weight_decay, self.average)

    def augmented(self, images: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        """Return images of the data set as the training sees them."""
        images = shifted(images, self.shift, stream)
        images = cropped(images, self.crop, stream) if self.crop else images
        return flipped(images, stream) if self.flip else images

    def prepare(self, module: nn.Sequential, batches: Batches, context: Context) -> None:
        """Move the first weights in place before the training itself: nothing, by default.

        Layers whose gradient is switched off here stay as they are. The context keeps its own
        snapshot, for `optimise`.
        """

    def merged(self, labels: torch.Tensor) -> torch.Tensor:
        """Return labels of the data set as the labels of its own classes."""
        return labels % self.classes if self.classes else labels

    def of_half(self, n: int) -> slice:
        """Return which of n training images it learns from."""
        return {"": slice(n), "first": slice(n // 2), "second": slice(n // 2, n)}[self.half]


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
    recipe: Recipe = _PLAIN,
) -> np.ndarray:
    """Run an optimiser with a schedule and return the loss at each step, shape (steps,).

    A training that was killed goes on where it was last kept, to the same weights.

    Parameters
    ----------
    modules : mapping from str to nn.Module
        What is trained.
    loss_of_step : callable
        From the number of the step.
    steps : int
    learning_rate : float
        At its peak.
    context : Context
    streams : mapping from str to torch.Generator
        Those that the loss draws from.
    recipe : Recipe
        Adam with a cosine schedule by default.

    Raises
    ------
    TrainingError
        If the loss is not finite; the last good state is kept.
    """
    parameters = [parameter for module in modules.values() for parameter in module.parameters()]
    optimiser = OPTIMISERS[recipe.optimiser](parameters, learning_rate, recipe.weight_decay)
    schedule = SCHEDULES[recipe.schedule](optimiser, steps, learning_rate)
    averages = {
        name: averaged(module, recipe.average) for name, module in modules.items() if recipe.average
    }
    losses = np.zeros(steps, dtype=np.float32)
    snapshot = Snapshot(
        context.snapshot,
        modules={**modules, **{f"average {name}": each for name, each in averages.items()}},
        optimisers={"all": optimiser},
        schedules={"all": schedule},
        streams=streams,
        notes={"losses": losses},
    )
    done = snapshot.resume()
    for step in progress(range(done, steps), context.title):
        loss = loss_of_step(step)
        losses[step] = loss.item()
        if not math.isfinite(losses[step]):
            raise TrainingError(f"the loss is {losses[step]} at step {step} of {steps}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        for name, average in averages.items():
            average.update_parameters(modules[name])
        snapshot.keep(step + 1)
    for name, average in averages.items():
        modules[name].load_state_dict(average.module.state_dict())
    return losses


def curve(losses: np.ndarray, points: int = 100) -> np.ndarray:
    """Return the means of about `points` equal stretches of a loss curve."""
    return np.array([part.mean() for part in np.array_split(losses, min(points, len(losses)))])


def _before(context: Context) -> Context:
    """Return the context of what precedes a training: its snapshot lies beside the training's."""
    path = context.snapshot
    kept = None if path is None else path.with_stem(f"{path.stem}-prepared")
    return replace(context, snapshot=kept, title=f"{context.title}, first weights")


def fit_classifier(
    module: nn.Sequential, batches: Batches, settings: Training, context: Context
) -> Outcome:
    """Train a classifier in place, by one process or by all that torchrun started.

    Several processes find the weights of one, but for rounding; on adversarial examples only in
    law, because each draws the starts of PGD for its own share of a batch.

    Parameters
    ----------
    module : nn.Sequential
        Freshly initialised, on the context's device.
    batches : callable
        Source of labelled images.
    settings : Training
    context : Context
        Its stream "batches" draws the images, "adversary" the starts of PGD.

    Raises
    ------
    InputError
        If several processes cannot share the batches, or the statistics of batch normalisation.

    References
    ----------
    Madry et al., Towards deep learning models resistant to adversarial attacks (ICLR 2018), for
    adversarial training; Zhang et al., ICML 2019, equation 5, for TRADES.
    """
    images_stream, adversary = context.stream("batches"), context.stream("adversary")
    on_gpu = context.device.type == "cuda"
    if on_gpu:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    group = processes()
    group.check(settings.batch)
    before = _before(context)
    settings.prepare(module, batches, before)
    joined = group.joined(module, context.device)
    compiled: nn.Module = torch.compile(joined) if settings.compiled else joined  # type: ignore[assignment]
    # The gradients of an attack are those of a share, and meet no one else's.
    alone = compiled if group.count == 1 else module
    low = torch.autocast("cuda", torch.bfloat16, enabled=on_gpu and settings.precision != "float32")
    ball: dict[str, Any] = {
        "steps": settings.adversarial_steps,
        "norm": settings.adversarial_norm,
        "box": _BOXES[settings.adversarial_norm],
    }

    def attacked(images: torch.Tensor, labels: torch.Tensor, step: int) -> torch.Tensor:
        ramp = settings.adversarial_ramp * settings.steps
        radius = settings.adversarial_radius * min(1.0, (step + 1) / max(ramp, 1.0))
        # One process goes on with its stream; of several, each has another one at every step, so
        # that a training that was killed goes on alike.
        own = (str(group.rank), str(step))
        ball["stream"] = adversary if group.count == 1 else context.stream("adversary", *own)
        # The examples are those of the network as it will be used; they count in no average.
        module.requires_grad_(False).eval()
        if settings.trades:
            found = most_divergent(alone, images, radius=radius, **ball)
        else:
            found = pgd(alone, images, labels, radius=radius, **ball)
        module.requires_grad_(True).train()
        return found

    def loss_of_step(step: int) -> torch.Tensor:
        images, labels = map(group.share, batches(settings.batch, images_stream))
        with low:
            hard = attacked(images, labels, step) if settings.adversarial_radius else images
            if not settings.trades:
                return group.mean(nn.functional.cross_entropy(compiled(hard), labels))
            logits = compiled(images)
            change = divergence(compiled, logits, hard).mean()
            loss = nn.functional.cross_entropy(logits, labels) + settings.trades * change
            return group.mean(loss)

    losses = optimise(
        {"classifier": module},
        loss_of_step,
        settings.steps,
        settings.learning_rate,
        context,
        {"batches": images_stream, "adversary": adversary},
        settings.recipe,
    )
    if before.snapshot is not None:
        before.snapshot.unlink(missing_ok=True)
    module.eval().requires_grad_(False)
    tail = losses[-max(1, len(losses) // 20) :]
    return Outcome(facts={"final_loss": float(tail.mean())}, arrays={"loss": curve(losses)})
