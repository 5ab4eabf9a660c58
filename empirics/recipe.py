"""How weights move: the optimiser, its schedule, averages of weights and augmented images."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

_MOMENTUM = 0.9

Rule = Callable[[Iterable[nn.Parameter], float, float], Optimizer]
OPTIMISERS: dict[str, Rule] = {
    "adam": lambda parameters, rate, decay: Adam(parameters, lr=rate, weight_decay=decay),
    "sgd": lambda parameters, rate, decay: SGD(
        parameters, lr=rate, weight_decay=decay, momentum=_MOMENTUM, nesterov=True
    ),
}
"""By name, from parameters, learning rate and weight decay."""

SCHEDULES: dict[str, Callable[[Optimizer, int, float], LRScheduler]] = {
    "cosine": lambda optimiser, steps, rate: CosineAnnealingLR(optimiser, steps),
    "one_cycle": lambda optimiser, steps, rate: OneCycleLR(
        optimiser, max_lr=rate, total_steps=steps + 1, cycle_momentum=False
    ),
}
"""By name, from an optimiser, the number of steps and the peak learning rate."""


@dataclass(frozen=True)
class Recipe:
    """How a training moves its weights.

    Attributes
    ----------
    optimiser, schedule : str
        Names in `OPTIMISERS` and `SCHEDULES`.
    weight_decay : float
        Of the optimiser.
    average : float
        Decay a step of the running average of weights that is kept in the end; 0 for none.
    """

    optimiser: str = "adam"
    schedule: str = "cosine"
    weight_decay: float = 0.0
    average: float = 0.0


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """Return a running average of the weights and buffers of a module, of this decay a step."""
    rule = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(module, multi_avg_fn=rule, use_buffers=True)


def cropped(images: torch.Tensor, most: int, stream: torch.Generator) -> torch.Tensor:
    """Return images moved by offsets of at most `most` pixels, each image by its own.

    What moves in from outside is 0.

    Parameters
    ----------
    images : Tensor, shape (n, channels, height, width)
    most : int
    stream : torch.Generator
    """
    n, _, height, width = images.shape
    offsets = torch.randint(0, 2 * most + 1, (2, n), generator=stream).to(images.device)
    padded = nn.functional.pad(images, (most, most, most, most))
    rows = offsets[0][:, None] + torch.arange(height, device=images.device)
    columns = offsets[1][:, None] + torch.arange(width, device=images.device)
    return padded[
        torch.arange(n, device=images.device)[:, None, None, None],
        torch.arange(images.shape[1], device=images.device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def flipped(images: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
    """Return images of which each is mirrored left to right with probability 1/2."""
    mirrored = torch.rand(len(images), generator=stream) < 0.5
    return torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(-1), images)
