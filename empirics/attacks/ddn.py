"""Decoupled direction and norm: a minimal-norm l2 attack (Rony et al., CVPR 2019)."""

import math

import torch

from empirics.adversary.batch import Model, flat_norm, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.attacks.registry import attack


@attack("ddn")
def ddn(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 100,
    gamma: float = 0.05,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return close points with a label other than y; x itself where none was found.

    White box, minimal l2 norm. As published, except that lengths are in units of each point's
    first-order distance to the boundary instead of 1, so that the attack does not depend on the
    scale of the inputs, and that the loss does not saturate.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    steps : int
        Gradient steps.
    gamma : float
        Relative change of the radius in a step.
    box : tuple of float, optional
        (low, high): the least and largest value of a coordinate.
    targets : Tensor, shape (n,), optional
        The label that each point is to get; by default any but its own.
    stream : torch.Generator, optional
        Draws a random start at the first-order distance; without it the start is x.

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
    Rony, Hafemann, Oliveira, Ben Ayed, Sabourin and Granger, CVPR 2019, algorithm 1.
    """
    checked(model, x, y, box=box, targets=targets)
    goal = Goal(y, targets)
    tiny = torch.finfo(x.dtype).tiny
    best = x.clone()
    best_norm = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    delta = torch.zeros_like(x)
    unit = radius = torch.zeros_like(best_norm)
    for step in range(steps + 1):
        point = within(x + delta, box).detach().requires_grad_(True)
        logits = model(point)
        (gradient,) = torch.autograd.grad(goal.gain(logits).sum(), point)
        point, logits = point.detach(), logits.detach()
        length = flat_norm(gradient).clamp_min(tiny)
        adversarial = goal.reached(logits)
        norm = flat_norm(delta)
        closer = adversarial & (norm < best_norm)
        best_norm = torch.where(closer, norm, best_norm)
        best = torch.where(closer.reshape(-1, *[1] * (x.ndim - 1)), point, best)
        if step == 0:
            # About the distance to the boundary of the linearised model.
            unit = radius = (goal.margin(logits) / length).abs().clamp(1e-12, 1e12)
            if stream is not None:
                start = torch.randn(x.shape, generator=stream, dtype=x.dtype).to(x.device)
                delta = _brought(x, scale(unit / flat_norm(start), start), box)
                continue
        cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2
        delta = delta + scale(cosine * unit / length, gradient)
        radius = radius * torch.where(adversarial, 1 - gamma, 1 + gamma)
        delta = _brought(x, scale(radius / flat_norm(delta).clamp_min(tiny), delta), box)
    return best


def _brought(x: torch.Tensor, delta: torch.Tensor, box: Box | None) -> torch.Tensor:
    """Return the offsets of x + delta brought into the box."""
    return delta if box is None else within(x + delta, box) - x
