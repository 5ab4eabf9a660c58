"""What an ascent needs: a function to raise, where the goal is reached, restarts of the rest."""

from collections.abc import Callable

import torch

from empirics.adversary.batch import Model
from empirics.adversary.goal import Goal
from theory.errors import InputError

Objective = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(points (m, ...), their indices (m,) in the batch) -> (what to raise (m,), reached (m,))."""

Loss = Callable[[Goal, torch.Tensor], torch.Tensor]
"""(goal, logits (m, K)) -> what to raise (m,)."""


def objective_of(model: Model, goal: Goal, loss: Loss = Goal.gain) -> Objective:
    """Return the objective of one model: a loss of its logits, and whether the goal is reached."""

    def objective(points: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(points)
        part = goal.of(index)
        return loss(part, logits), part.reached(logits.detach())

    return objective


def with_gradient(
    objective: Objective, points: torch.Tensor, index: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return an objective, its gradient with entries that are not finite as 0, and the reached."""
    points = points.detach().requires_grad_(True)
    value, reached = objective(points, index)
    (gradient,) = torch.autograd.grad(value.sum(), points)
    return value.detach(), gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0), reached


def restarted(
    objective: Objective,
    x: torch.Tensor,
    run: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    runs: int = 1,
) -> torch.Tensor:
    """Return the points of the first run that reached the goal, x where none did or it is reached.

    Parameters
    ----------
    objective : Objective
        Judges x before and the points afterwards, each in one batch.
    x : Tensor, shape (n, ...)
    run : callable
        Indices (m,) to points (m, ...), and whether these reached the goal (m,).
    runs : int
        At most so many calls, each for the points that are left.
    """
    everything = torch.arange(len(x), device=x.device)
    with torch.no_grad():
        _, already = objective(x, everything)
    found = x.clone()
    left = (~already).nonzero()[:, 0]
    for _ in range(runs):
        if not len(left):
            break
        points, reached = run(left)
        found[left[reached]] = points[reached].detach()
        left = left[~reached]
    # A label may hang on the rounding of a batch's size: what counts is the label in the whole.
    with torch.no_grad():
        _, reached = objective(found, everything)
    keep = (reached & ~already).reshape(-1, *[1] * (x.ndim - 1))
    return torch.where(keep, found, x)


def check_runs(runs: int, stream: torch.Generator | None) -> None:
    """Raise InputError for fewer than one run, or for several that would all be the same."""
    if runs < 1:
        raise InputError(f"restarts: {runs}; expected at least 1")
    if runs > 1 and stream is None:
        raise InputError(f"restarts: {runs} without a stream are all the same; give a stream")
