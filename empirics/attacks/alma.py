"""Augmented Lagrangian: a minimal-norm attack in l1 and l2 (Rony et al., ICCV 2021)."""

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.closest import Closest
from empirics.adversary.goal import Goal, within
from empirics.adversary.half_space import nearest_in_half_space, norms, room_against
from empirics.attacks.registry import attack
from theory.errors import InputError

_CHECK = 10
"""The penalty is reconsidered every so many steps."""
_PROGRESS = 0.95
_MULTIPLIERS = (1e-6, 1e12)
_DECAY = 0.01
_MEMORY = 0.99
"""Of the squared gradients."""
_STRIDES = {1.0: 1.0, 2.0: 0.5}


@attack("alma")
def alma(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    p: float = 2,
    steps: int = 100,
    stride: float | None = None,
    alpha: float = 0.9,
    growth: float = 2.0,
    momentum: float = 0.9,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return close points with a label other than y; x itself where none was found.

    White box, minimal norm. Minimises the distance plus a penalty of the margin, whose
    multiplier follows the constraint. As published, except that distances are in units of each
    point's first-order distance to the boundary and margins in units of the margin at x, which
    needs no third class and makes the attack independent of the scale of inputs and logits. The
    steps are of about equal length in all coordinates: linf, whose gradient is that of a single
    one, is not served.

    Parameters
    ----------
    model, x, y, box, targets
        As in `fmn`.
    p : float
        1 or 2.
    steps : int
        Gradient steps.
    stride : float, optional
        Length of the first step, in the norm; the rate falls to a hundredth of the first. By
        default 1 in l1 and 0.5 in l2.
    alpha : float
        Memory of the multiplier.
    growth : float
        Factor of the penalty where the constraint makes no progress.
    momentum : float
        Of the steps.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        As `fmn`.

    References
    ----------
    Rony, Granger, Pedersoli and Ben Ayed, ICCV 2021, algorithm 1, with the penalty P2 of Birgin,
    Castillo and Martinez, Comput. Optim. Appl. 31 (2005).
    """
    checked(model, x, y, box=box, targets=targets)
    if p not in (1, 2):
        raise InputError(f"alma: p = {p}; expected 1 or 2")
    stride = _STRIDES[p] if stride is None else stride
    goal, origin, point = Goal(y, targets), x.flatten(1), x.flatten(1)
    tiny = torch.finfo(x.dtype).tiny
    closest = Closest(origin, p)
    multiplier, penalty = torch.ones_like(origin[:, 0]), torch.ones_like(origin[:, 0])
    square = velocity = torch.zeros_like(origin)
    reference = unit = rate = found_lately = torch.ones_like(multiplier)
    for step in range(steps + 1):
        point = point.detach().requires_grad_(True)
        logits = model(point.reshape(x.shape))
        margin = goal.margin(logits)
        reached = goal.reached(logits.detach())
        closest.offer(point.detach(), reached)
        if step == 0:
            (slope,) = torch.autograd.grad(margin.sum(), point, retain_graph=True)
            reference = margin.detach().abs().clamp_min(tiny)
            room = room_against(slope, origin, box)
            shortest = nearest_in_half_space(slope, reference, room, p)
            unit = norms(shortest, p).clamp(1e-12, 1e12)
            previous = torch.full_like(unit, torch.inf)
        missed = margin / reference
        now = missed.detach().requires_grad_(True)
        (estimate,) = torch.autograd.grad(_penalty(now, penalty, multiplier).sum(), now)
        multiplier = (alpha * multiplier + (1 - alpha) * estimate).clamp(*_MULTIPLIERS)
        found_lately = torch.where(reached, 0.0, found_lately)
        if (step + 1) % _CHECK == 0:
            stuck = (found_lately > 0) & (now.detach() > _PROGRESS * previous)
            penalty = torch.where(stuck, growth * penalty, penalty)
            previous, found_lately = now.detach(), torch.ones_like(found_lately)
        cost = _distance(point - origin, p) / unit + _penalty(missed, penalty, multiplier)
        (gradient,) = torch.autograd.grad(cost.sum(), point)
        gradient = gradient * unit[:, None]
        square = _MEMORY * square + (1 - _MEMORY) * gradient**2
        smooth = (square / (1 - _MEMORY ** (step + 1))).sqrt()
        direction = gradient / (smooth + 1e-8)
        if step == 0:
            rate = stride * unit / norms(direction, p).clamp_min(tiny)
        pace = rate * _DECAY ** (step / steps)
        velocity = momentum * velocity + pace[:, None] * direction
        point = within(point.detach() - velocity, box)
    return closest.points.reshape(x.shape)


def _penalty(y: torch.Tensor, rho: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
    outside = mu * y + mu * rho * y**2 + rho**2 * y**3 / 6
    inside = mu * y / (1 - rho.clamp_min(1) * y.clamp_max(0))
    return torch.where(y >= 0, outside, inside)


def _distance(offset: torch.Tensor, p: float) -> torch.Tensor:
    if p == 1:
        return offset.abs().sum(dim=1)
    # The norm has no gradient at 0, where the search starts.
    return ((offset**2).sum(dim=1) + torch.finfo(offset.dtype).tiny).sqrt()
