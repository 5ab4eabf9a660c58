"""Sequential projection: walks an adversarial point along the boundary to the nearest place."""

from collections.abc import Callable

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box
from empirics.adversary.goal import Goal, within
from empirics.adversary.half_space import nearest_in_half_space, norms, room_against

Embedding = Callable[[torch.Tensor], torch.Tensor]
_OVERSHOOT = 1e-6
_BISECTIONS = 8
_RIDGE = 1e-9
_AT_REST = 1e-4
"""A point whose distance shrinks by a smaller fraction in a step is left as it is."""


def _margin_and_normal(
    model: Model, point: torch.Tensor, goal: Goal
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return by how much the goal is missed, (n,), and the gradient of that, (n, d)."""
    point = point.detach().requires_grad_(True)
    value = goal.margin(model(point))
    (gradient,) = torch.autograd.grad(value.sum(), point)
    return value.detach(), gradient


def jacobian(embed: Embedding, point: torch.Tensor) -> torch.Tensor:
    """Return the Jacobians of a batched map at a batch of points, shape (n, m, d)."""

    def one(p: torch.Tensor) -> torch.Tensor:
        return embed(p[None]).flatten()

    result: torch.Tensor = torch.func.vmap(torch.func.jacfwd(one))(point)
    return result


def _regularised(j: torch.Tensor) -> torch.Tensor:
    gram = j.mT @ j
    mean = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(torch.finfo(j.dtype).tiny)
    return gram + _RIDGE * mean[:, None, None] * torch.eye(gram.shape[-1]).to(gram)


def metric(embed: Embedding, point: torch.Tensor) -> torch.Tensor:
    """Return J^T J of an embedding, slightly regularised, shape (n, d, d)."""
    return _regularised(jacobian(embed, point))


def sequential_projection(
    model: Model,
    origin: torch.Tensor,
    point: torch.Tensor,
    label: torch.Tensor,
    *,
    embed: Embedding | None = None,
    steps: int = 25,
    p: float = 2,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return adversarial points at most as far from `origin` as `point`, usually locally nearest.

    Each step solves min |e + J s|^2 subject to m + n.s = -kappa, the distance and the margin
    linearised at the point (for piecewise-linear models: exact in the current region), and goes
    towards that solution as far as the label stays changed.

    Parameters
    ----------
    model : callable
        Points (n, d) to logits (n, K).
    origin, point : Tensor, shape (n, d)
        Where distances are measured from, and where to start; points whose label is `label`
        (nothing was found) are returned unchanged.
    label : Tensor, shape (n,)
        The label to be left.
    embed : callable, optional
        Distances are |embed(p) - embed(origin)|, images flattened; by default |p - origin|.
    steps : int
        At most so many steps.
    p : float
        1, 2 or inf: the norm of distances; with `embed` 2.
    box : tuple of float, optional
        (low, high) of each coordinate, where `point` lies already; not with `embed`.
    targets : Tensor, shape (n,), optional
        The labels to be kept: a point of another label is returned unchanged.

    References
    ----------
    The projection step is DeepFool's (Moosavi-Dezfooli et al., CVPR 2016) taken from the origin,
    as in FAB (Croce and Hein, ICML 2020), in the metric of the embedding or within the box.
    """

    def image_of(p: torch.Tensor) -> torch.Tensor:
        return p if embed is None else embed(p).flatten(1)

    target = image_of(origin)
    everywhere = Goal(label, targets)
    point = point.clone()
    distance = norms(image_of(point) - target, p)
    # Points that no longer gain are at rest, and only the others are worked on.
    active = torch.nonzero(_changed(model, point, everywhere))[:, 0]
    for _ in range(steps):
        if not len(active):
            break
        here, goal = point[active], everywhere.of(active)
        if p == 2 and box is None:
            step = _step(model, here, goal, target[active], embed)
        else:
            step = _step_within(model, here, goal, target[active], p, box)
        reached = torch.zeros(len(active)).to(here)
        beyond = torch.ones_like(reached)
        reached = torch.where(_changed(model, within(here + step, box), goal), beyond, reached)
        for _ in range(_BISECTIONS):
            middle = (reached + beyond) / 2
            inside = _changed(model, within(here + middle[:, None] * step, box), goal)
            reached = torch.where(inside, middle, reached)
            beyond = torch.where(inside, beyond, middle)
        trial = within(here + reached[:, None] * step, box)
        trial_distance = norms(image_of(trial) - target[active], p)
        better = (trial_distance < distance[active]) & _changed(model, trial, goal)
        gain = torch.where(better, 1 - trial_distance / distance[active], 0.0)
        point[active] = torch.where(better[:, None], trial, here)
        distance[active] = torch.where(better, trial_distance, distance[active])
        active = active[gain > _AT_REST]
    return point


def _changed(model: Model, point: torch.Tensor, goal: Goal) -> torch.Tensor:
    with torch.no_grad():
        return goal.reached(model(point))


def _step_within(
    model: Model, point: torch.Tensor, goal: Goal, origin: torch.Tensor, p: float, box: Box | None
) -> torch.Tensor:
    """Return the steps to the nearest points of the linearised boundaries in a box, (n, d)."""
    value, normal = _margin_and_normal(model, point, goal)
    at_origin = value + (normal * (origin - point)).sum(dim=1)
    excess = (at_origin * (1 + _OVERSHOOT)).clamp_min(0)
    offset = nearest_in_half_space(normal, excess, room_against(normal, origin, box), p)
    return origin + offset - point


def _step(
    model: Model,
    point: torch.Tensor,
    goal: Goal,
    target: torch.Tensor,
    embed: Embedding | None,
) -> torch.Tensor:
    """Return the solution of the linearised problem at each point, shape (n, d)."""
    value, normal = _margin_and_normal(model, point, goal)
    if embed is None:
        offset = point - target
        free, across = -offset, normal
    else:
        with torch.no_grad():
            offset = embed(point).flatten(1) - target
        j = jacobian(embed, point)
        right = torch.stack([-(j.mT @ offset[..., None])[..., 0], normal], dim=-1)
        solved = torch.linalg.solve(_regularised(j), right)
        free, across = solved[..., 0], solved[..., 1]
    curvature = (normal * across).sum(dim=1).clamp_min(torch.finfo(point.dtype).tiny)
    # kappa moves the target beyond the boundary by a millionth of the distance.
    kappa = _OVERSHOOT * offset.norm(dim=1) * curvature.sqrt()
    multiplier = (value + kappa + (normal * free).sum(dim=1)) / curvature
    step: torch.Tensor = free - multiplier[:, None] * across
    return step
