"""Descent with a radius that follows the boundary: what the minimal-norm searches run."""

import math
from dataclasses import dataclass

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box
from empirics.adversary.closest import Closest
from empirics.adversary.goal import Goal, within
from empirics.adversary.half_space import norms
from empirics.adversary.lp_balls import onto_ball

DUAL = {1.0: float("inf"), 2.0: 2.0, float("inf"): 1.0}
"""The norm in which gradients are measured where distances are in lp."""


def cosine(start: float, end: float, fraction: float) -> float:
    """Return what lies between the ends of a cosine schedule at this fraction of it."""
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2


@dataclass(frozen=True)
class Schedule:
    """Settings of one descent.

    Attributes
    ----------
    steps : int
        Gradients.
    stride : tuple of float
        First and last step, in units of the point's length.
    gamma : tuple of float
        First and last relative change of the radius in a step.
    """

    steps: int
    stride: tuple[float, float] = (1.0, 0.01)
    gamma: tuple[float, float] = (0.05, 0.002)


def descend(
    model: Model,
    origin: torch.Tensor,
    goal: Goal,
    start: torch.Tensor,
    schedule: Schedule,
    *,
    p: float,
    box: Box | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nearest adversarial points met, and their distances, +inf where there is none.

    Steps along the gradient, shorter and shorter; the radius shrinks by a fraction where the last
    point is adversarial and grows where it is not, and each step ends in the ball of that radius.
    A start at the origin takes its radius from the linearised model.

    Parameters
    ----------
    model : callable
        Points (n, d) to logits.
    origin, start : Tensor, shape (n, d)
    goal : Goal
    schedule : Schedule
    p : float
        1, 2 or inf.
    box : tuple of float, optional

    Returns
    -------
    points : Tensor, shape (n, d)
    distances : Tensor, shape (n,)

    References
    ----------
    Rony et al., CVPR 2019, algorithm 1 (l2), whose radius changes by a constant fraction; that it
    changes less and less, and balls other than l2, are from Pintor et al., NeurIPS 2021.
    """
    tiny = torch.finfo(origin.dtype).tiny
    point = within(start, box)
    closest = Closest(origin, p)
    radius = norms(start - origin, p)
    for step in range(schedule.steps):
        point = point.detach().requires_grad_(True)
        logits = model(point)
        (gradient,) = torch.autograd.grad(goal.gain(logits).sum(), point)
        point, logits = point.detach(), logits.detach()
        reached = goal.reached(logits)
        distance = closest.offer(point, reached)
        if step == 0:
            slope = norms(gradient, DUAL[p]).clamp_min(tiny)
            linear = (goal.margin(logits).abs() / slope).clamp(1e-12, 1e12)
            radius = torch.where(distance > 0, radius, linear)
            unit = radius
        fraction = step / max(schedule.steps - 1, 1)
        gamma = cosine(*schedule.gamma, fraction)
        radius = radius * torch.where(reached, 1 - gamma, 1 + gamma)
        if p == float("inf"):
            direction = gradient.sign()
        else:
            direction = gradient / norms(gradient, 2).clamp_min(tiny)[:, None]
        offset = point - origin + (cosine(*schedule.stride, fraction) * unit)[:, None] * direction
        if p == 2:
            offset = offset / norms(offset, 2).clamp_min(tiny)[:, None] * radius[:, None]
        else:
            offset = onto_ball(offset, radius, p)
        point = within(origin + offset, box)
    return closest.points, closest.distance
