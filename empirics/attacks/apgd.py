"""Auto-PGD: projected ascent with momentum and a step size that adapts (Croce and Hein, 2020)."""

import torch

from empirics.adversary.ball import Ball
from empirics.adversary.batch import Model, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.adversary.objective import (
    Loss,
    Objective,
    check_runs,
    objective_of,
    restarted,
    with_gradient,
)
from empirics.attacks.registry import attack
from theory.errors import InputError

_MOMENTUM = 0.75
_SUCCESSES = 0.75
"""Steps of a period that must raise the objective if the step size is to stay."""
_FIRST_PERIOD, _SHORTER, _SHORTEST = 0.22, 0.03, 0.06
"""Fractions of the steps: the first period, by how much the next is shorter, the least."""
_TINY = 1e-12


@attack("apgd")
def apgd(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float | torch.Tensor,
    norm: str = "linf",
    loss: str = "ce",
    steps: int = 100,
    restarts: int = 1,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return points within the budget that have another label; x where none was found.

    White box, budget, l2 and linf.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    radius : float or Tensor
        Budget, common or one a point (n,); kept exactly.
    norm : str
        "l2" or "linf".
    loss : str
        "ce": the cross entropy, as log odds, which have its maxima and never saturate; "dlr": the
        difference of logits ratio, for which there must be three classes.
    steps : int
        Gradients of a run.
    restarts : int
        So many runs for the points that are left.
    box : tuple of float, optional
        Lowest and highest value of a coordinate; kept exactly.
    targets : Tensor, shape (n,), optional
        Labels to reach.
    stream : torch.Generator, optional
        Draws a uniform start in the ball; without it the start is x.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the inputs, labels, targets, budget, norm, loss or the model's values are not as above.

    References
    ----------
    Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks (ICML 2020), algorithm 1 and equations 6 and 7.
    """
    checked(model, x, y, box=box, targets=targets)
    goal = Goal(y, targets)
    objective = objective_of(model, goal, _loss_of(loss, model, x))
    return raised(objective, _ball(x, radius, norm, box), steps, restarts, stream)


@attack("apgd_targeted")
def apgd_targeted(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float | torch.Tensor,
    norm: str = "linf",
    loss: str = "dlr",
    rivals: int = 9,
    steps: int = 100,
    box: Box | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return points within the budget that have any other label, sought towards one by one.

    White box, budget, l2 and linf; one run of `apgd` towards each of the strongest rivals at x.

    Parameters
    ----------
    model, x, y, radius, norm, loss, steps, box, stream
        As in `apgd`.
    rivals : int
        Other classes to try, those with the largest logits at x first.

    Returns
    -------
    Tensor
        Shape of x; x itself where no run found another label.

    Raises
    ------
    InputError
        As `apgd`.

    References
    ----------
    Croce and Hein (ICML 2020), section 4.2 and equation 7.
    """
    checked(model, x, y, box=box)
    ball, raising = _ball(x, radius, norm, box), _loss_of(loss, model, x)
    with torch.no_grad():
        others = model(x).scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)
    found = x
    for k in range(min(rivals, others.shape[1] - 1)):
        towards = Goal(y, others[:, k])

        def objective(
            points: torch.Tensor, index: torch.Tensor, towards: Goal = towards
        ) -> tuple[torch.Tensor, torch.Tensor]:
            logits = model(points)
            return raising(towards.of(index), logits), logits.detach().argmax(dim=1) != y[index]

        # The points that have another label by now are not touched again.
        found = raised(objective, ball, steps, 1, stream, start=found)
    return found


def raised(
    objective: Objective,
    ball: Ball,
    steps: int,
    restarts: int,
    stream: torch.Generator | None,
    start: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the points at which algorithm 1 reached the goal of an objective.

    Parameters
    ----------
    objective : Objective
    ball : Ball
        Of the whole batch.
    steps, restarts, stream
        As in `apgd`.
    start : Tensor, optional
        Points of the balls that are judged first; by default the centers.

    Returns
    -------
    Tensor
        Shape of the centers; the start where the goal was not reached, or is from the beginning.
    """
    check_runs(restarts, stream)
    origin = ball.center if start is None else start

    def run(index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return _run(objective, ball, index, steps, stream)

    return restarted(objective, origin, run, restarts)


def dlr(goal: Goal, logits: torch.Tensor) -> torch.Tensor:
    """Return the difference of logits ratio, shape (n,), to be raised.

    Parameters
    ----------
    goal : Goal
    logits : Tensor, shape (n, K)
        K >= 3; towards targets the third and fourth largest are averaged where there are four.

    References
    ----------
    Croce and Hein (ICML 2020), equations 6 and 7.

    Examples
    --------
    >>> logits = torch.tensor([[3.0, 1.0, 0.0]])
    >>> dlr(Goal(torch.tensor([0])), logits)
    tensor([-0.6667])
    >>> dlr(Goal(torch.tensor([0]), torch.tensor([2])), logits)
    tensor([-1.])
    """
    ordered = logits.topk(min(4, logits.shape[1]), dim=1).values
    if goal.targets is None:
        return -goal.margin(logits) / (ordered[:, 0] - ordered[:, 2] + _TINY)
    rates = logits.gather(1, torch.stack([goal.y, goal.targets], dim=1))
    spread = ordered[:, 0] - ordered[:, 2:4].mean(dim=1)
    return (rates[:, 1] - rates[:, 0]) / (spread + _TINY)


def _loss_of(name: str, model: Model, x: torch.Tensor) -> Loss:
    if name == "ce":
        return Goal.gain
    if name != "dlr":
        raise InputError(f"loss: '{name}'; expected 'ce' or 'dlr'")
    with torch.no_grad():
        n_classes = model(x[:1]).shape[1]
    if n_classes < 3:
        raise InputError(f"loss: 'dlr' of {n_classes} classes; it needs 3, expected 'ce'")
    return dlr


def _ball(x: torch.Tensor, radius: float | torch.Tensor, norm: str, box: Box | None) -> Ball:
    if norm not in ("l2", "linf"):
        raise InputError(f"norm: '{norm}'; expected l2 or linf")
    return Ball.around(x, radius, norm, box)


def checkpoints(steps: int) -> list[int]:
    """Return the steps at which the step size is looked at.

    Examples
    --------
    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    period = max(int(_FIRST_PERIOD * steps), 1)
    shorter, shortest = max(int(_SHORTER * steps), 1), max(int(_SHORTEST * steps), 1)
    found = [period]
    while found[-1] < steps:
        period = max(period - shorter, shortest)
        found.append(found[-1] + period)
    return [step for step in found if step < steps]


def _run(
    objective: Objective,
    ball: Ball,
    index: torch.Tensor,
    steps: int,
    stream: torch.Generator | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the points of one run, and whether they reached the goal; these leave the run."""
    part = ball.of(index)
    point = part.center if stream is None else part.sample(stream)
    found, done = point.clone(), torch.zeros(len(index), dtype=torch.bool, device=index.device)
    rows = torch.arange(len(index), device=index.device)
    previous = best = point
    best_gradient = torch.zeros_like(point)
    best_value = torch.full((len(index),), -torch.inf).to(point)
    value, value_then = best_value, best_value
    stride = 2 * part.radius
    rises = torch.zeros(len(index), dtype=torch.long, device=index.device)
    halved = torch.zeros_like(done)
    looks, last_look = checkpoints(steps), 0
    for step in range(steps + 1):
        if step == steps:
            with torch.no_grad():
                reached = objective(point, index[rows])[1]
        else:
            value_before = value
            value, gradient, reached = with_gradient(objective, point, index[rows])
        found[rows[reached]], done[rows[reached]] = point[reached], True
        if step == steps or bool(reached.all()):
            break
        rises = rises + (value > value_before)
        better = value > best_value
        best_value = torch.where(better, value, best_value)
        best, best_gradient = _where(better, point, best), _where(better, gradient, best_gradient)
        if step in looks:
            slow = rises < _SUCCESSES * (step - last_look)
            halved = slow | (~halved & (best_value <= value_then))
            stride = torch.where(halved, stride / 2, stride)
            # The search goes on from the best point, and without momentum.
            point, gradient = _where(halved, best, point), _where(halved, best_gradient, gradient)
            previous = _where(halved, best, previous)
            value = torch.where(halved, best_value, value)
            value_then, rises, last_look = best_value, torch.zeros_like(rises), step
        aim = part.project(point + scale(stride, part.steepest(gradient, point)))
        moved = aim
        if step:
            drift = (1 - _MOMENTUM) * (point - previous)
            moved = part.project(point + _MOMENTUM * (aim - point) + drift)
        previous, point = point, moved
        if bool(reached.any()):
            stay = ~reached
            rows, part = rows[stay], part.of(stay)
            point, previous, best = point[stay], previous[stay], best[stay]
            best_gradient, value, best_value = best_gradient[stay], value[stay], best_value[stay]
            value_then, stride = value_then[stay], stride[stay]
            rises, halved = rises[stay], halved[stay]
    return found, done


def _where(mask: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return torch.where(mask.reshape(-1, *[1] * (first.ndim - 1)), first, second)
