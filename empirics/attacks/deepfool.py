"""DeepFool: steps to the nearest linearised boundary (Moosavi-Dezfooli et al., CVPR 2016)."""

import torch

from empirics.adversary.batch import Model, flat_norm, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.adversary.half_space import nearest_in_half_space, room_against
from empirics.attacks.registry import attack


@attack("deepfool")
def deepfool(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 10,
    overshoot: float = 0.02,
    rivals: int = 9,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return points near x with a label other than y; x itself where none was found.

    White box, minimal l2 norm. Within a box each step is the shortest that reaches the linearised
    boundary inside it.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    steps : int
        At most so many linearisations.
    overshoot : float
        The total step is lengthened by this fraction to cross the boundary.
    rivals : int
        Classes considered: those with the largest logits at x.
    box : tuple of float, optional
        (low, high): the least and largest value of a coordinate.
    targets : Tensor, shape (n,), optional
        The label that each point is to get; by default any but its own.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the arguments or the model are unfit; see `checked`.

    References
    ----------
    Moosavi-Dezfooli, Fawzi and Frossard, CVPR 2016, algorithm 2 (l2).
    """
    checked(model, x, y, box=box, targets=targets)
    goal = Goal(y, targets)
    with torch.no_grad():
        logits = model(x)
        unchanged = (~goal.reached(logits)).to(x.dtype)
        logits = logits.scatter(1, y[:, None], -torch.inf)
    others = logits.topk(min(rivals, logits.shape[1] - 1), dim=1).indices
    total = torch.zeros_like(x)
    for _ in range(steps):
        if not unchanged.any():
            break
        at = within(x + (1 + overshoot) * total, box)
        total = total + scale(unchanged, _nearest_boundary(model, at, goal, others, box))
        with torch.no_grad():
            reached = goal.reached(model(within(x + (1 + overshoot) * total, box)))
        unchanged = (~reached).to(x.dtype)
    return within(x + scale((1 + overshoot) * (1 - unchanged), total), box)


def _nearest_boundary(
    model: Model,
    point: torch.Tensor,
    goal: Goal,
    others: torch.Tensor,
    box: Box | None,
) -> torch.Tensor:
    point = point.detach().requires_grad_(True)
    logits = model(point)
    if goal.targets is None:
        margins = logits.gather(1, goal.y[:, None]) - logits.gather(1, others)
    else:
        margins = goal.margin(logits)[:, None]
    tiny = torch.finfo(point.dtype).tiny
    best = torch.full((len(point),), torch.inf).to(margins)
    step = torch.zeros_like(point)
    for k in range(margins.shape[1]):
        (normal,) = torch.autograd.grad(margins[:, k].sum(), point, retain_graph=True)
        shortfall = margins[:, k].detach().abs()
        if box is None:
            length = flat_norm(normal).clamp_min(tiny)
            # Without a gradient there is no direction, and a step would not be finite.
            distance = torch.where(length > tiny, shortfall / length, torch.inf)
            towards = scale(-distance / length, normal)
        else:
            flat = normal.flatten(1)
            room = room_against(flat, point.detach().flatten(1), box)
            towards = nearest_in_half_space(flat, shortfall, room, 2).reshape(point.shape)
            short = ((flat * towards.flatten(1)).sum(dim=1) + shortfall) > 1e-3 * shortfall
            distance = torch.where(short, torch.inf, flat_norm(towards))
        nearer = distance < best
        best = torch.where(nearer, distance, best)
        mask = nearer.reshape(-1, *[1] * (point.ndim - 1))
        step = torch.where(mask, towards, step)
    return step
