"""The smallest change of label that one quick search finds at each of some images."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from empirics.attacks.candidates import PUSHES, minimal_candidates, pushed
from empirics.devices import precise


@dataclass(frozen=True, eq=False)
class Changes:
    """What a search found at n images.

    Attributes
    ----------
    offset : Tensor, shape (n, pixels)
        In double precision, the change itself; 0 where none was found.
    found : Tensor of bool, shape (n,)
        Where the deployed network and the same network in double precision change their label.
    label : Tensor, shape (n,)
        Of the deployed network at the images themselves.
    """

    offset: torch.Tensor
    found: torch.Tensor
    label: torch.Tensor


def nearest_changes(
    module: nn.Module,
    images: torch.Tensor,
    *,
    stream: torch.Generator,
    restarts: int,
    steps: int,
    polish_steps: int,
) -> Changes:
    """Search for the nearest point in l2, of any real pixel values, whose label is another one.

    Parameters
    ----------
    module : nn.Module
        Images to logits.
    images : Tensor, shape (n, channels, height, width)
        Deployed precision.
    stream : torch.Generator
        Draws the random starts.
    restarts, steps, polish_steps : int
        See `empirics.attacks.candidates.minimal_candidates`.
    """
    home = precise(images.device)
    double = copy.deepcopy(module).to(home, torch.float64)
    origin = images.flatten(1).to(home).double()

    def of(network: nn.Module, flat: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(flat.reshape(len(flat), *images.shape[1:]))
        return logits

    with torch.no_grad():
        label = module(images).argmax(dim=1)
    candidates = minimal_candidates(
        lambda flat: of(module, flat),
        lambda flat: of(double, flat),
        images.flatten(1),
        label,
        stream=stream,
        restarts=restarts,
        steps=steps,
        polish_steps=polish_steps,
    )
    best = torch.full((len(images),), torch.inf, dtype=torch.float64, device=home)
    offset = torch.zeros_like(origin)
    for candidate in candidates:
        for push in PUSHES:
            stored = pushed(origin, candidate, push).to(images)
            there = stored.to(home).double()
            with torch.no_grad():
                changed = (of(module, stored).argmax(dim=1) != label).to(home)
                changed &= of(double, there).argmax(dim=1) != label.to(home)
            size = (there - origin).norm(dim=1)
            closer = changed & (size < best)
            best = torch.where(closer, size, best)
            offset = torch.where(closer[:, None], there - origin, offset)
    return Changes(offset, torch.isfinite(best), label)
