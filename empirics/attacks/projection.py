"""Sequential projection: walks an adversarial point along the boundary to the nearest place."""

from collections.abc import Callable

import torch

from empirics.attacks.registry import Model

Embedding = Callable[[torch.Tensor], torch.Tensor]
_OVERSHOOT = 1e-6
_BISECTIONS = 12
_RIDGE = 1e-9


def _margin(
    model: Model, point: torch.Tensor, label: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the margin of `label` over its strongest rival, (n,), and its gradient, (n, d)."""
    point = point.detach().requires_grad_(True)
    logits = model(point)
    own = logits.gather(1, label[:, None])[:, 0]
    rival = logits.scatter(1, label[:, None], -torch.inf).amax(dim=1)
    margin = own - rival
    (gradient,) = torch.autograd.grad(margin.sum(), point)
    return margin.detach(), gradient


def jacobian(embed: Embedding, point: torch.Tensor) -> torch.Tensor:
    """Return the Jacobians of a batched map at a batch of points, shape (n, m, d)."""

    def one(p: torch.Tensor) -> torch.Tensor:
        return embed(p[None]).flatten()

    result: torch.Tensor = torch.func.vmap(torch.func.jacfwd(one))(point)
    return result


def metric(embed: Embedding, point: torch.Tensor) -> torch.Tensor:
    """Return J^T J of an embedding, slightly regularised, shape (n, d, d)."""
    j = jacobian(embed, point)
    gram = j.mT @ j
    mean = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(torch.finfo(point.dtype).tiny)
    return gram + _RIDGE * mean[:, None, None] * torch.eye(gram.shape[-1]).to(gram)


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

    def difference(p: torch.Tensor) -> torch.Tensor:
        image = p - origin if embed is None else embed(p) - embed(origin)
        return image.flatten(1)

    def changed(p: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model(p).argmax(dim=1) != label

    point = point.clone()
    found = changed(point)
    distance = difference(point).norm(dim=1)
    for _ in range(steps):
        margin, normal = _margin(model, point, label)
        offset = difference(point)
        if embed is None:
            free, across = -offset, normal
        else:
            j = jacobian(embed, point)
            m = metric(embed, point)
            right = torch.stack([-(j.mT @ offset[..., None])[..., 0], normal], dim=-1)
            solved = torch.linalg.solve(m, right)
            free, across = solved[..., 0], solved[..., 1]
        curvature = (normal * across).sum(dim=1).clamp_min(torch.finfo(point.dtype).tiny)
        # kappa moves the target beyond the boundary by a millionth of the distance.
        kappa = _OVERSHOOT * distance * curvature.sqrt()
        multiplier = (margin + kappa + (normal * free).sum(dim=1)) / curvature
        step = free - multiplier[:, None] * across
        reached = torch.zeros_like(distance)
        beyond = torch.ones_like(distance)
        reached = torch.where(changed(point + step), beyond, reached)
        for _ in range(_BISECTIONS):
            middle = (reached + beyond) / 2
            inside = changed(point + middle[:, None] * step)
            reached = torch.where(inside, middle, reached)
            beyond = torch.where(inside, beyond, middle)
        trial = point + reached[:, None] * step
        trial_distance = difference(trial).norm(dim=1)
        better = found & changed(trial) & (trial_distance < distance)
        gain = torch.where(better, 1 - trial_distance / distance, 0.0)
        point = torch.where(better[:, None], trial, point)
        distance = torch.where(better, trial_distance, distance)
        if not (gain > 1e-9).any():
            break
    return point
