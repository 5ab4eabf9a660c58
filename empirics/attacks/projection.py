"""Sequential projection: walks an adversarial point along the boundary to the nearest place."""

from collections.abc import Callable

import torch

from empirics.attacks.registry import Model, margin

Embedding = Callable[[torch.Tensor], torch.Tensor]
_OVERSHOOT = 1e-6
_BISECTIONS = 8
_RIDGE = 1e-9
_AT_REST = 1e-4
"""A point whose distance shrinks by a smaller fraction in a step is left as it is."""


def _margin_and_normal(
    model: Model, point: torch.Tensor, label: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the margin of `label` over its strongest rival, (n,), and its gradient, (n, d)."""
    point = point.detach().requires_grad_(True)
    value = margin(model(point), label)
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

    References
    ----------
    The projection step is DeepFool's (Moosavi-Dezfooli et al., CVPR 2016) taken from the origin,
    as in FAB (Croce and Hein, ICML 2020), in the metric of the embedding.
    """

    def image_of(p: torch.Tensor) -> torch.Tensor:
        return p if embed is None else embed(p).flatten(1)

    target = image_of(origin)
    point = point.clone()
    distance = (image_of(point) - target).norm(dim=1)
    # Points that no longer gain are at rest, and only the others are worked on.
    active = torch.nonzero(_changed(model, point, label))[:, 0]
    for _ in range(steps):
        if not len(active):
            break
        here, leave = point[active], label[active]
        step = _step(model, here, leave, target[active], embed)
        reached = torch.zeros(len(active)).to(here)
        beyond = torch.ones_like(reached)
        reached = torch.where(_changed(model, here + step, leave), beyond, reached)
        for _ in range(_BISECTIONS):
            middle = (reached + beyond) / 2
            inside = _changed(model, here + middle[:, None] * step, leave)
            reached = torch.where(inside, middle, reached)
            beyond = torch.where(inside, beyond, middle)
        trial = here + reached[:, None] * step
        trial_distance = (image_of(trial) - target[active]).norm(dim=1)
        better = (trial_distance < distance[active]) & _changed(model, trial, leave)
        gain = torch.where(better, 1 - trial_distance / distance[active], 0.0)
        point[active] = torch.where(better[:, None], trial, here)
        distance[active] = torch.where(better, trial_distance, distance[active])
        active = active[gain > _AT_REST]
    return point


def _changed(model: Model, point: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        changed: torch.Tensor = model(point).argmax(dim=1) != label
    return changed


def _step(
    model: Model,
    point: torch.Tensor,
    label: torch.Tensor,
    target: torch.Tensor,
    embed: Embedding | None,
) -> torch.Tensor:
    """Return the solution of the linearised problem at each point, shape (n, d)."""
    value, normal = _margin_and_normal(model, point, label)
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
