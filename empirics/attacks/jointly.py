"""The nearest point at which several classifiers have left their labels at once."""

from collections.abc import Sequence

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import within
from empirics.adversary.half_space import norms
from empirics.adversary.joint_projection import (
    linearised_search,
    project_jointly,
    ranked_rivals,
)
from empirics.adversary.projection import Embedding
from empirics.adversary.together import Together, groups, softened, together
from empirics.attacks.strongest import minimal
from theory.errors import InputError

_COMBINATIONS = {2.0: 8, float("inf"): 4}
_STEPS = 4
_PUSHES = (1.0, 1.0005, 1.02)
"""Ends of linearised searches lie on the boundary, on either side of it."""


def minimal_joint(
    models: Sequence[Model],
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    p: float,
    budget: str = "standard",
    box: Box | None = None,
    seed: int = 0,
    polish_steps: int = 20,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nearest points found that no model gives its label, and their distances in lp.

    `empirics.attacks.minimal` on the largest margin, once with the gradients of that margin and
    once with mixed ones, and linearised steps to several combinations of labels; the nearest point
    is then projected onto all boundaries at once.

    Parameters
    ----------
    models : sequence of callable
        Inputs (n, ...) to logits (n, K), each in the precision of x.
    x : Tensor, shape (n, ...)
    y : Tensor, shape (m, n)
        The labels to be left, a row a model.
    p : float
        2 or inf.
    budget, box, seed
        As in `empirics.attacks.minimal`.
    polish_steps : int
        Steps of the projection, at most.

    Returns
    -------
    points, radii : Tensor
        Shapes of x and (n,); x and +inf where nothing was found, x and 0 where all labels are
        others already.

    Raises
    ------
    InputError
        If there is no model, or the arguments are not as above for one of them.
    """
    _check(models, x, y, p, box)
    points = x.clone()
    radii = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    for own, rows in groups(y):
        model = together(models, own, x[rows])
        none = torch.zeros(len(rows), dtype=torch.long, device=x.device)
        found = [
            minimal(each, x[rows], none, p=p, budget=budget, box=box, seed=seed)[0].flatten(1)
            for each in (model, softened(model))
        ]
        shape, origin = x.shape[1:], x[rows].flatten(1)
        flat = model.flattened(shape)
        found += linearised_candidates(flat, origin, _COMBINATIONS[p], p=p, box=box)
        best, distance = nearest_of(flat, origin, found, p=p)
        known = torch.isfinite(distance)
        best[known] = project_jointly(flat, origin[known], best[known], polish_steps, p=p, box=box)
        points[rows] = best.reshape(-1, *shape)
        radii[rows] = torch.where(known, norms(best - origin, p), torch.inf)
    return points, radii


def linearised_candidates(
    model: Together,
    origin: torch.Tensor,
    count: int,
    *,
    p: float = 2,
    box: Box | None = None,
    embed: Embedding | None = None,
) -> list[torch.Tensor]:
    """Return the ends of `linearised_search` for several combinations of labels, and points beyond.

    Parameters
    ----------
    model : Together
        Of points (n, d).
    origin : Tensor, shape (n, d)
    count : int
        Combinations for each point, the nearest to first order.
    p, box, embed
        As in `project_jointly`.

    Returns
    -------
    list of Tensor, each of shape (n, d)
    """
    found = []
    for rivals in ranked_rivals(model, origin, count, box=box, embed=embed):
        end = linearised_search(model, origin, rivals, _STEPS, p=p, box=box, embed=embed)
        found += [within(origin + push * (end - origin), box) for push in _PUSHES]
    return found


def nearest_of(
    model: Together,
    origin: torch.Tensor,
    candidates: Sequence[torch.Tensor],
    *,
    p: float = 2,
    embed: Embedding | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nearest candidates that no classifier gives its label, and their distances.

    Parameters
    ----------
    model : Together
        Of points (n, d).
    origin : Tensor, shape (n, d)
        Returned with +inf where no candidate will do.
    candidates : sequence of Tensor, each of shape (n, d)
    p, embed
        As in `project_jointly`.
    """
    target = origin if embed is None else embed(origin)
    best = origin.clone()
    distance = torch.full_like(origin[:, 0], torch.inf)
    for candidate in candidates:
        with torch.no_grad():
            left = model(candidate).argmax(dim=1) == 1
            reach = candidate if embed is None else embed(candidate)
        away = norms(reach - target, p)
        closer = left & (away < distance)
        best[closer], distance[closer] = candidate[closer], away[closer]
    return best, distance


def _check(
    models: Sequence[Model], x: torch.Tensor, y: torch.Tensor, p: float, box: Box | None
) -> None:
    if not models:
        raise InputError("models: none; expected a sequence of one or more")
    if p not in (2, float("inf")):
        raise InputError(f"p: {p}; expected 2 or inf")
    if y.shape != (len(models), len(x)):
        raise InputError(
            f"y: shape {tuple(y.shape)}; expected a row a model, {(len(models), len(x))}"
        )
    for model, labels in zip(models, y, strict=True):
        checked(model, x, labels, box=box)


def _flattened(model: Together, shape: Sequence[int]) -> Together:
    def of(one: Model) -> Model:
        return lambda points: one(points.reshape(-1, *shape))

    return Together([of(one) for one in model.models], model.labels, model.units)
