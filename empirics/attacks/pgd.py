"""Projected gradient descent in a norm ball (Madry et al., ICLR 2018)."""

import torch

from empirics.adversary.ball import Ball
from empirics.adversary.batch import Model, flat_norm, log_odds, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.adversary.objective import (
    Objective,
    check_runs,
    objective_of,
    restarted,
    with_gradient,
)
from empirics.attacks.registry import attack


@attack("pgd")
def pgd(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float | torch.Tensor,
    steps: int = 40,
    step_size: float | None = None,
    stream: torch.Generator | None = None,
    norm: str = "l2",
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    restarts: int | None = None,
    sparsity: float = 0.01,
) -> torch.Tensor:
    """Return points within a distance of x that raise the loss of labels y, or lower the targets'.

    White box, budget.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    radius : float or Tensor
        Budget, common or one a point (n,); kept exactly (see restarts).
    steps : int
        Gradient steps of a run.
    step_size : float, optional
        In units of the radius; 2.5 / steps by default.
    stream : torch.Generator, optional
        Draws a uniform start in the ball; without it the start is x.
    norm : str
        "l1", "l2" or "linf".
    box : tuple of float, optional
        Lowest and highest value of a coordinate; kept exactly.
    targets : Tensor, shape (n,), optional
        Labels to reach.
    restarts : int, optional
        So many runs for the points that are left; the first point that reached the goal counts,
        and x is returned where none did. By default a single run, whose last points are returned
        whatever their labels and nothing is checked, as training on them asks; in l2 without a
        box and targets their rounding is not corrected either.
    sparsity : float
        In l1 the part of the coordinates that share a step at first; it falls to one coordinate.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the budget is not as above; with restarts, also for inputs, labels, targets or a model
        that are not.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras and Vladu, ICLR 2018, section 2.1. In l1 the sparse steps of
    Tramer and Boneh, Adversarial training and robustness for multiple perturbations (NeurIPS
    2019), section 4, and the projection of Croce and Hein, Mind the box (ICML 2021), section 2.
    """
    if restarts is None and norm == "l2" and box is None and targets is None:
        return _last_in_l2(model, x, y, radius, steps, step_size, stream)
    if restarts is not None:
        check_runs(restarts, stream)
        checked(model, x, y, box=box, targets=targets)
    ball = Ball.around(x, radius, norm, box)
    objective = objective_of(model, Goal(y, targets))
    stride = 2.5 / steps if step_size is None else step_size

    def run(index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return ascended(objective, ball, index, steps, stride, stream, sparsity)

    if restarts is None:
        everywhere = torch.arange(len(x), device=x.device)
        return _ascent(objective, ball, everywhere, steps, stride, stream, sparsity)
    return restarted(objective, x, run, restarts)


def ascended(
    objective: Objective,
    ball: Ball,
    index: torch.Tensor,
    steps: int,
    stride: float,
    stream: torch.Generator | None = None,
    sparsity: float = 0.01,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the points at which a run of projected ascent reached its goal, and where it did.

    Points that reached it take no further steps.

    Parameters
    ----------
    objective : Objective
    ball : Ball
        Of the whole batch.
    index : Tensor, shape (m,)
        Points of the batch to work on.
    steps, stride, stream, sparsity
        As in `pgd`; the stride is in units of the radius.

    Returns
    -------
    points, reached : Tensor
        Shapes (m, ...) and (m,).
    """
    points = ball.of(index).center.clone() if stream is None else ball.of(index).sample(stream)
    done = torch.zeros(len(index), dtype=torch.bool, device=index.device)
    for step in range(steps + 1):
        rows = (~done).nonzero()[:, 0]
        if not len(rows):
            break
        here, part = points[rows], ball.of(index[rows])
        if step == steps:
            with torch.no_grad():
                done[rows] = objective(here, index[rows])[1]
            break
        _, gradient, reached = with_gradient(objective, here, index[rows])
        done[rows] = reached
        moved = _stepped(part, here, gradient, stride, step / steps, sparsity)
        points[rows] = torch.where(reached.reshape(-1, *[1] * (here.ndim - 1)), here, moved)
    return points, done


def _ascent(
    objective: Objective,
    ball: Ball,
    index: torch.Tensor,
    steps: int,
    stride: float,
    stream: torch.Generator | None,
    sparsity: float,
) -> torch.Tensor:
    """Return the last points of a run; every point takes every step."""
    points = ball.center if stream is None else ball.sample(stream)
    for step in range(steps):
        _, gradient, _ = with_gradient(objective, points, index)
        points = _stepped(ball, points, gradient, stride, step / steps, sparsity)
    return points.detach()


def _stepped(
    ball: Ball,
    points: torch.Tensor,
    gradient: torch.Tensor,
    stride: float,
    progress: float,
    sparsity: float,
) -> torch.Tensor:
    features = max(1, round(sparsity * (1 - progress) * points[0].numel()))
    step = ball.steepest(gradient, points, features)
    return ball.project(points + scale(ball.radius * stride, step))


def _last_in_l2(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    radius: float | torch.Tensor,
    steps: int,
    step_size: float | None,
    stream: torch.Generator | None,
) -> torch.Tensor:
    """Return the last points of a run in l2 without a box, in the fewest operations."""
    budget = torch.as_tensor(radius, dtype=x.dtype, device=x.device).expand(len(x))
    stride = budget * (2.5 / steps if step_size is None else step_size)
    delta = torch.zeros_like(x)
    if stream is not None:
        delta = torch.randn(x.shape, generator=stream, dtype=x.dtype).to(x.device)
        depth = torch.rand(len(x), generator=stream, dtype=x.dtype).to(x.device)
        shrink = depth ** (1 / x[0].numel()) * budget / flat_norm(delta)
        delta = scale(shrink, delta)
    for _ in range(steps):
        delta.requires_grad_(True)
        (gradient,) = torch.autograd.grad(log_odds(model(x + delta), y).sum(), delta)
        length = flat_norm(gradient).clamp_min(torch.finfo(x.dtype).tiny)
        delta = delta.detach() + scale(stride / length, gradient)
        delta = scale((budget / flat_norm(delta).clamp_min(1e-30)).clamp_max(1.0), delta)
    return (x + delta).detach()
