"""The strongest search for a nearest point with another label: restarts, then a polish each."""

import torch

from empirics.attacks.ddn import ddn
from empirics.attacks.projection import Embedding, sequential_projection
from empirics.attacks.registry import Model


def minimal_candidates(
    model: Model,
    precise_model: Model,
    origin: torch.Tensor,
    label: torch.Tensor,
    *,
    stream: torch.Generator,
    restarts: int = 3,
    steps: int = 100,
    polish_steps: int = 20,
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
        DDN runs: the first from the origin, the others from random starts.
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

    base = torch.zeros_like(origin)
    starts = list(extra)
    for restart in range(restarts):
        found = ddn(
            lambda v: model(moved(v)),
            base,
            label,
            steps=steps,
            stream=stream if restart else None,
        )
        starts.append(moved(found).to(extra[0] if extra else origin.double()))
    return [
        sequential_projection(
            precise_model,
            origin.to(start),
            start,
            label.to(start.device),
            embed=embed,
            steps=polish_steps,
        )
        for start in starts
    ]
