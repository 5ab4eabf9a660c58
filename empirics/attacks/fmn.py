"""Fast minimum norm: a minimal-norm attack in l0, l1, l2 and linf (Pintor et al., 2021)."""

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.closest import Closest
from empirics.adversary.descent import DUAL, cosine
from empirics.adversary.goal import Goal, within
from empirics.adversary.half_space import nearest_in_half_space, norms, room_against
from empirics.adversary.lp_balls import onto_ball
from empirics.attacks.registry import attack
from theory.errors import InputError

_FAR = 1e12
"""The longest step, where there is no gradient to go by."""


@attack("fmn")
def fmn(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    p: float = 2,
    steps: int = 100,
    stride: float = 1.0,
    gamma: float = 0.05,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return close points with a label other than y; x itself where none was found.

    White box, minimal norm. As published, except that strides are in units of the l2 length of
    each point's shortest step to the linearised boundary, so that the attack does not depend on
    the scale of the inputs; that gradients are those of the log odds, which do not jump between
    rivals; and that until a first point is found radius and stride reach beyond the linearised
    boundary by gamma: up to it alone, steps come nearer and nearer without ever crossing, and
    strides that fall may end before it.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    p : float
        0, 1, 2 or inf.
    steps : int
        Gradient steps.
    stride : float
        First step; the last one is a hundredth of it.
    gamma : float
        First relative change of the radius; the last one is 0.001.
    box : tuple of float, optional
        (low, high): the least and largest value of a coordinate.
    targets : Tensor, shape (n,), optional
        The label that each point is to get; by default any but its own.
    stream : torch.Generator, optional
        Draws a random start at the linearised distance; without it the start is x.

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
    Pintor, Roli, Brendel and Biggio, NeurIPS 2021, algorithm 1.
    """
    checked(model, x, y, box=box, targets=targets)
    if p not in (0, *DUAL):
        raise InputError(f"fmn: p = {p}; expected 0, 1, 2 or inf")
    goal = Goal(y, targets)
    origin = x.flatten(1)
    tiny = torch.finfo(x.dtype).tiny
    closest = Closest(origin, p)
    radius = torch.full_like(origin[:, 0], torch.inf if p else 1.0)
    point = origin
    for step in range(steps + 1):
        point = point.detach().requires_grad_(True)
        logits = model(point.reshape(x.shape))
        margin = goal.margin(logits.detach())
        (gradient,) = torch.autograd.grad(goal.gain(logits).sum(), point)
        point = point.detach()
        # Coordinates at an end of the box that cannot go on do not count.
        free = room_against(-gradient, point, box) > 0
        gradient = torch.where(free, gradient, 0.0)
        reached = goal.reached(logits.detach())
        distance = closest.offer(point, reached)
        if step == 0:
            room = room_against(-gradient, origin, box)
            shortest = nearest_in_half_space(-gradient, margin.clamp_min(0), room, p or 2)
            unit = norms(shortest, 2)
            if stream is not None:
                noise = torch.randn(origin.shape, generator=stream, dtype=x.dtype).to(x.device)
                away = within(origin + (unit / norms(noise, 2))[:, None] * noise, box)
                point = torch.where(reached[:, None], origin, away)
                continue
        change = cosine(gamma, min(gamma, 1e-3), step / steps)
        if p == 0:
            radius = _counted(radius, reached, change, closest.distance)
        else:
            slope = norms(gradient, DUAL[p]).clamp_min(tiny)
            linear = distance + margin.abs() / slope
            grown = torch.where(closest.distance.isinf(), linear, radius) * (1 + change)
            shrunk = torch.minimum(radius, closest.distance) * (1 - change)
            radius = torch.where(reached, shrunk, grown)
        length = norms(gradient, 2).clamp_min(tiny)
        pace = cosine(stride, stride / 100, step / steps) * unit
        needed = ((1 + change) * margin.abs() / length).clamp_max(_FAR)
        pace = torch.where(closest.distance.isinf(), torch.maximum(pace, needed), pace)
        moved = point + pace[:, None] * (gradient / length[:, None]) - origin
        point = within(origin + onto_ball(moved, radius, p), box)
    return closest.points.reshape(x.shape)


def _counted(
    radius: torch.Tensor, reached: torch.Tensor, change: float, found: torch.Tensor
) -> torch.Tensor:
    """Return the next numbers of coordinates, changed by one at least."""
    grown = torch.maximum(radius + 1, (radius * (1 + change)).floor())
    shrunk = torch.minimum(torch.minimum(radius - 1, (radius * (1 - change)).floor()), found)
    return torch.where(reached, shrunk, grown).clamp_min(0)
