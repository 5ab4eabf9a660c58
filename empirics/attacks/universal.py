"""One perturbation for all inputs (Moosavi-Dezfooli et al., CVPR 2017)."""

from dataclasses import dataclass

import torch

from empirics.adversary.ball import Ball
from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.attacks.deepfool import deepfool
from empirics.attacks.registry import attack


@dataclass(frozen=True)
class Universal:
    """A universal perturbation, and how it came to fool.

    Attributes
    ----------
    shift : Tensor, shape of one input
        Within the budget, added to every input.
    rates : list of float
        Before the first and after each pass, the part of the points with label y at x that have
        another one at x + shift.
    """

    shift: torch.Tensor
    rates: list[float]


def universal_perturbation(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float,
    norm: str = "linf",
    rate: float = 0.8,
    passes: int = 10,
    steps: int = 10,
    overshoot: float = 0.02,
    box: Box | None = None,
    stream: torch.Generator | None = None,
) -> Universal:
    """Return a perturbation that changes the labels of most of the points, if it is found.

    Pass by pass, for each point whose label it does not change yet, the perturbation is moved by
    DeepFool's step there and projected to the budget; the best one of all passes is returned.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    radius, norm
        Budget in "l1", "l2" or "linf".
    rate : float
        Passes end when this part is fooled.
    passes : int
        At most so many.
    steps, overshoot
        Of DeepFool.
    box : tuple of float, optional
        The perturbed inputs are cut to it when they are judged.
    stream : torch.Generator, optional
        Draws the order of the points in each pass; without it they keep their order.

    Returns
    -------
    Universal

    Raises
    ------
    InputError
        If the inputs, labels, budget or the model's values are not as above.

    References
    ----------
    Moosavi-Dezfooli, Fawzi, Fawzi and Frossard, Universal adversarial perturbations (CVPR 2017),
    algorithm 1.
    """
    checked(model, x, y, box=box)
    home = Ball.around(torch.zeros_like(x[:1]), radius, norm)
    balls, goal = Ball.around(x, radius, norm, box), Goal(y)
    with torch.no_grad():
        right = ~goal.reached(model(x))

    def fooled(shift: torch.Tensor) -> float:
        with torch.no_grad():
            changed = goal.reached(model(balls.project(x + shift)))
        return float(changed[right].double().mean()) if bool(right.any()) else 0.0

    shift = best = home.center
    rates = [0.0]
    rows = right.nonzero()[:, 0]
    for _ in range(passes):
        order = rows
        if stream is not None:
            order = rows[torch.randperm(len(rows), generator=stream).to(rows.device)]
        for row in order.reshape(-1, 1):
            ball, label = balls.of(row), y[row]
            point = ball.project(x[row] + shift)
            with torch.no_grad():
                if int(model(point).argmax()) != int(label):
                    continue
            moved = deepfool(model, point, label, steps=steps, overshoot=overshoot)
            # Where the gradient is zero there is no step.
            if bool(torch.isfinite(moved).all()):
                shift = home.project(shift + (moved - point))
        rates.append(fooled(shift))
        if rates[-1] > max(rates[:-1]):
            best = shift
        if rates[-1] >= rate:
            break
    return Universal(best[0], rates)


@attack("universal")
def universal(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float,
    norm: str = "linf",
    rate: float = 0.8,
    passes: int = 10,
    box: Box | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return the points moved by one perturbation made for them all; x where the label stayed.

    White box, budget; kept exactly.

    Parameters
    ----------
    model, x, y, radius, norm, rate, passes, box, stream
        As in `universal_perturbation`.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        As `universal_perturbation`.

    References
    ----------
    Moosavi-Dezfooli, Fawzi, Fawzi and Frossard (CVPR 2017), algorithm 1.
    """
    found = universal_perturbation(
        model,
        x,
        y,
        radius=radius,
        norm=norm,
        rate=rate,
        passes=passes,
        box=box,
        stream=stream,
    )
    points, goal = Ball.around(x, radius, norm, box).project(x + found.shift), Goal(y)
    with torch.no_grad():
        keep = goal.reached(model(points)) & ~goal.reached(model(x))
    return torch.where(keep.reshape(-1, *[1] * (x.ndim - 1)), points, x)
