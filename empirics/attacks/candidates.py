"""Candidates for a nearest point with another label in l2: restarts, then a polish each."""

import torch

from empirics.adversary.batch import Model
from empirics.adversary.projection import Embedding, sequential_projection
from empirics.attacks.ddn import ddn
from empirics.attacks.deepfool import deepfool
from empirics.devices import precise

PUSHES = (0.0, 1e-6, 4e-6, 2e-5, 1e-4, 1e-3)
"""A candidate that the deployed precision does not confirm is pushed away from its origin by these
fractions of its distance, and by as much of a hundredth of the origin's norm: near the boundary
the spacing of floating-point numbers is what counts."""


def pushed(origin: torch.Tensor, candidate: torch.Tensor, push: float) -> torch.Tensor:
    """Return candidates, shape (n, d), moved away from their origins; see `PUSHES`."""
    offset = candidate - origin
    length = offset.norm(dim=1, keepdim=True)
    floor = 0.01 * origin.norm(dim=1, keepdim=True) / length.clamp_min(1e-300)
    moved: torch.Tensor = origin + offset * (1 + push * (1 + floor))
    return moved


def minimal_candidates(
    model: Model,
    precise_model: Model,
    origin: torch.Tensor,
    label: torch.Tensor,
    *,
    stream: torch.Generator,
    restarts: int = 5,
    steps: int = 40,
    polish_steps: int = 40,
    linearisations: int = 10,
    embed: Embedding | None = None,
    spread: torch.Tensor | None = None,
    extra: tuple[torch.Tensor, ...] = (),
) -> list[torch.Tensor]:
    """Return candidate nearest points; where a search failed its candidate is not adversarial.

    Parameters
    ----------
    model, precise_model : callable
        Points (n, d) to logits, in the deployed and in double precision.
    origin : Tensor, shape (n, d)
        Deployed precision.
    label : Tensor, shape (n,)
    stream : torch.Generator
        Draws the random starts.
    restarts : int
        DDN runs: the first from the origin, the others from random starts; DeepFool comes first.
    steps, polish_steps : int
        Steps of each DDN run, and at most so many of each polish.
    linearisations : int
        At most so many steps of DeepFool.
    embed : callable, optional
        In double precision: distances are those of embedded points.
    spread : Tensor, shape (n, d, d), optional
        Columns in which DDN searches, p = origin + spread v, so that |v| resembles the distance.
    extra : tuple of Tensor
        Further starting points for the polish, in double precision.

    Returns
    -------
    list of Tensor, each of shape (n, d)
        In double precision.
    """

    def moved(v: torch.Tensor) -> torch.Tensor:
        return origin + (v if spread is None else (spread @ v[..., None])[..., 0])

    def search(v: torch.Tensor) -> torch.Tensor:
        return model(moved(v))

    base = torch.zeros_like(origin)
    found = [deepfool(search, base, label, steps=linearisations)]
    found += [
        ddn(search, base, label, steps=steps, stream=stream if restart else None)
        for restart in range(restarts)
    ]
    home = precise(origin.device)
    starts = [*extra, *(moved(v).to(home).double() for v in found)]
    return [
        sequential_projection(
            precise_model,
            origin.to(home).double(),
            start,
            label.to(home),
            embed=embed,
            steps=polish_steps,
        )
        for start in starts
    ]
