"""The fast gradient sign method: one step to the edge of the budget (Goodfellow et al., 2015)."""

import torch

from empirics.adversary.ball import Ball
from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.adversary.objective import objective_of, restarted, with_gradient
from empirics.attacks.registry import attack


@attack("fgsm")
def fgsm(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float | torch.Tensor,
    norm: str = "linf",
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return points one gradient step away that have another label; x where they have not.

    White box, budget; linf as published, l2 and l1 by the steepest step of that norm.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    radius : float or Tensor
        Budget, common or one a point (n,); kept exactly.
    norm : str
        "l1", "l2" or "linf".
    box : tuple of float, optional
        Lowest and highest value of a coordinate; kept exactly.
    targets : Tensor, shape (n,), optional
        Labels to reach.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the inputs, labels, targets, budget or the model's values are not as above.

    References
    ----------
    Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples (ICLR 2015),
    section 4.
    """
    checked(model, x, y, box=box, targets=targets)
    ball = Ball.around(x, radius, norm, box)
    objective = objective_of(model, Goal(y, targets))

    def run(index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        part = ball.of(index)
        _, gradient, _ = with_gradient(objective, part.center, index)
        step = part.steepest(gradient, part.center)
        radii = part.radius.reshape(-1, *[1] * (x.ndim - 1))
        point = part.project(part.center + radii * step)
        with torch.no_grad():
            return point, objective(point, index)[1]

    return restarted(objective, x, run)
