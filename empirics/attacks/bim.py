"""The basic iterative method: many small steps of the fast gradient sign (Kurakin et al., 2017)."""

import math

import torch

from empirics.adversary.ball import Ball
from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.adversary.objective import objective_of, restarted
from empirics.attacks.pgd import ascended
from empirics.attacks.registry import attack

_LEVELS = 255
"""The paper counts in grey levels: its step is one of them."""


def schedule(radius: torch.Tensor, box: Box | None, steps: int | None) -> tuple[int, float]:
    """Return the number of steps, and their size in units of the radius.

    By default steps of one grey level, min(r + 4, 1.25 r) of them for a radius of r levels, as
    published; without a box its width counts as 1. For a given number, 1.25 / steps.
    """
    if steps is not None:
        return steps, 1.25 / steps
    width = 1.0 if box is None else box[1] - box[0]
    levels = max(float(radius.max()) * _LEVELS / width, torch.finfo(torch.float32).tiny)
    return math.ceil(min(levels + 4, 1.25 * levels)), 1 / levels


@attack("bim")
def bim(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float | torch.Tensor,
    steps: int | None = None,
    norm: str = "linf",
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return points within the budget that have another label; x where none was found.

    White box, budget; linf as published, l2 and l1 with the steepest steps of these norms.

    Parameters
    ----------
    model, x, y, radius, norm, box, targets
        As in `fgsm`.
    steps : int, optional
        Steps of 1.25 radius / steps; by default as published: steps of 1/255 of the box's width (1
        without a box), and min(r + 4, 1.25 r) of them for the largest radius, of r such steps.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        As `fgsm`.

    References
    ----------
    Kurakin, Goodfellow and Bengio, Adversarial examples in the physical world (ICLR 2017
    workshop), section 2.2.
    """
    checked(model, x, y, box=box, targets=targets)
    ball = Ball.around(x, radius, norm, box)
    objective = objective_of(model, Goal(y, targets))
    count, stride = schedule(ball.radius, box, steps)

    def run(index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return ascended(objective, ball, index, count, stride, sparsity=0)

    return restarted(objective, x, run)
