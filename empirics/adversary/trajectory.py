"""Projected ascent with a fixed step size, seen after several numbers of steps."""

from collections.abc import Sequence

import torch

from empirics.adversary.ball import Ball
from empirics.adversary.goal import Goal
from empirics.adversary.objective import Objective, with_gradient


def margin_loss(goal: Goal, logits: torch.Tensor, confidence: float) -> torch.Tensor:
    """Return the loss of Carlini and Wagner, to be raised, shape (n,).

    Parameters
    ----------
    goal : Goal
    logits : Tensor, shape (n, K)
    confidence : float
        By how much the goal is to be surpassed; beyond there is no gradient.

    References
    ----------
    Carlini and Wagner, Towards evaluating the robustness of neural networks (S&P 2017), the
    objective f_6.

    Examples
    --------
    >>> margin_loss(Goal(torch.tensor([0, 0])), torch.tensor([[3.0, 1.0], [0.0, 9.0]]), 5.0)
    tensor([-2.,  5.])
    """
    return -goal.margin(logits).clamp_min(-confidence)


def points_after(
    objective: Objective, ball: Ball, start: torch.Tensor, stride: float, stops: Sequence[int]
) -> list[torch.Tensor]:
    """Return the points of an ascent after each of these numbers of steps.

    No point stops at its goal: one that is meant for another model gains by going on.

    Parameters
    ----------
    objective : Objective
        Of the points of the ball, by their place in it.
    ball : Ball
        Of n points.
    start : Tensor, shape (n, ...)
        Brought into the ball.
    stride : float
        Length of a step in the ball's norm.
    stops : sequence of int
        At least one, each at least 1.

    Returns
    -------
    list of Tensor, each of shape (n, ...)
        In the order of the stops; all of them in the ball.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to
    adversarial attacks (ICLR 2018), section 2.1.
    """
    index = torch.arange(len(start), device=start.device)
    point, seen = ball.project(start), {}
    for step in range(1, max(stops) + 1):
        _, gradient, _ = with_gradient(objective, point, index)
        point = ball.project(point + stride * ball.steepest(gradient, point))
        if step in stops:
            seen[step] = point
    return [seen[stop] for stop in stops]
