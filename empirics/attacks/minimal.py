"""The strongest search for a nearest point with another label: restarts, then a polish each."""

import copy

import torch
from torch import nn

from empirics.attacks.ddn import ddn
from empirics.attacks.deepfool import deepfool
from empirics.attacks.projection import Embedding, sequential_projection
from empirics.attacks.registry import Model, flat_norm
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
    found = [deepfool(search, base, label)]
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


def minimal(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    stream: torch.Generator,
    restarts: int = 5,
    steps: int = 40,
    polish_steps: int = 40,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nearest points found with a label other than y, and their l2 distances.

    Parameters
    ----------
    model : nn.Module
        Inputs (n, ...) to logits (n, K), in the precision of x.
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    stream, restarts, steps, polish_steps
        As in `minimal_candidates`.

    Returns
    -------
    points, radii : Tensor
        Shapes of x and (n,). Every point's label was seen to change; where none was found the
        point is x and the radius +inf; a point whose label is not y already has radius 0.
    """
    precise_model = copy.deepcopy(model).to(precise(x.device), torch.float64)
    candidates = minimal_candidates(
        lambda p: model(p.reshape(-1, *x.shape[1:])),
        lambda p: precise_model(p.reshape(-1, *x.shape[1:])),
        x.flatten(1),
        y,
        stream=stream,
        restarts=restarts,
        steps=steps,
        polish_steps=polish_steps,
    )
    best = x.clone()
    with torch.no_grad():
        wrong = model(x).argmax(dim=1) != y
        radii = torch.where(wrong, 0.0, torch.inf).to(x)
        for candidate in candidates:
            pending = ~wrong
            for push in PUSHES:
                moved = pushed(x.flatten(1).to(candidate), candidate, push)
                point = moved.to(x).reshape(x.shape)
                changed = pending & (model(point).argmax(dim=1) != y)
                distance = flat_norm(point - x)
                closer = changed & (distance < radii)
                best[closer], radii[closer] = point[closer], distance[closer]
                pending = pending & ~changed
    return best, radii
