"""Generators with a class: one map from latents to images for each, and their mixture."""

import copy

import numpy as np
import torch
from scipy import special
from torch import nn

from theory.errors import InputError


class ClassOfLast(nn.Module):
    """Latents (n, d + 1) to (n, d + K): the last coordinate gives way to its class.

    Of K classes, each is as likely as any other where the last coordinate is N(0, 1): class c is
    between its quantiles c / K and (c + 1) / K, and becomes a row with a 1 at c. The map jumps
    there, so that a generator behind it has no modulus of continuity; each class alone has.

    Parameters
    ----------
    n_classes : int
        K.

    Examples
    --------
    >>> ClassOfLast(2)(torch.tensor([[0.5, -3.0], [0.5, 0.1]])).tolist()
    [[0.5, 1.0, 0.0], [0.5, 0.0, 1.0]]
    """

    quantiles: torch.Tensor

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        inner = special.ndtri(np.arange(1, n_classes) / n_classes).astype(np.float32)
        self.register_buffer("quantiles", torch.from_numpy(inner), persistent=False)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the other coordinates, and the class as a row of one 1."""
        last = latents[:, -1:]
        above = (last > self.quantiles).to(latents)
        one = torch.ones_like(last)
        classes = torch.cat([one, above], dim=1) - torch.cat([above, 0 * one], dim=1)
        return torch.cat([latents[:, :-1], classes], dim=1)


def class_generators(module: nn.Sequential) -> tuple[nn.Sequential, ...]:
    """Return the generator of each class, latents (n, d) to images; they differ in one bias.

    Parameters
    ----------
    module : nn.Sequential
        `ClassOfLast`, an affine layer, and whatever follows. It is not changed.

    Raises
    ------
    InputError
        If the module has no classes of its own.

    Examples
    --------
    >>> module = nn.Sequential(ClassOfLast(2), nn.Linear(3, 4), nn.ReLU())
    >>> latents = torch.tensor([[0.5, -3.0], [0.5, 0.1]])
    >>> both = [g(latents[i : i + 1, :1]) for i, g in enumerate(class_generators(module))]
    >>> bool(torch.allclose(torch.cat(both), module(latents)))
    True
    """
    if not is_conditional(module):
        raise InputError("a generator of images of each class begins with a choice of the class")
    choice, first = module[0], module[1]
    assert isinstance(choice, ClassOfLast)
    assert isinstance(first, nn.Linear)
    d, found = first.in_features - choice.n_classes, []
    for c in range(choice.n_classes):
        own = nn.Linear(d, first.out_features).to(first.weight)
        own.weight.data = first.weight.data[:, :d].clone()
        own.bias.data = (first.bias.data.double() + first.weight.data[:, d + c].double()).to(
            first.bias
        )
        twin = nn.Sequential(own, *map(copy.deepcopy, list(module)[2:]))
        found.append(twin.train(module.training).requires_grad_(False))
    return tuple(found)


def is_conditional(module: nn.Sequential) -> bool:
    """Whether a generator chooses a class first, as `class_generators` needs."""
    return (
        len(module) > 1 and isinstance(module[0], ClassOfLast) and isinstance(module[1], nn.Linear)
    )
