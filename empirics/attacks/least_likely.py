"""The iterative least-likely class method (Kurakin et al., 2017)."""

import torch

from empirics.adversary.ball import Ball
from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.adversary.objective import objective_of, restarted
from empirics.attacks.bim import schedule
from empirics.attacks.pgd import ascended
from empirics.attacks.registry import attack


@attack("least_likely")
def least_likely(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float | torch.Tensor,
    steps: int | None = None,
    norm: str = "linf",
    box: Box | None = None,
) -> torch.Tensor:
    """Return points on the way to the least likely class with another label; x where none was.

    White box, budget. A point stops where it has reached the class; one that did not reach it
    counts if its last label is another one than y.

    Parameters
    ----------
    model, x, y, radius, steps, norm, box
        As in `bim`.

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
    workshop), section 2.3.
    """
    checked(model, x, y, box=box)
    ball = Ball.around(x, radius, norm, box)
    with torch.no_grad():
        # The label y itself is no target, though it may be the least likely where it is wrong.
        targets = model(x).scatter(1, y[:, None], torch.inf).argmin(dim=1)
    towards = objective_of(model, Goal(y, targets))
    away = objective_of(model, Goal(y))
    count, stride = schedule(ball.radius, box, steps)

    def run(index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        points, _ = ascended(towards, ball, index, count, stride, sparsity=0)
        with torch.no_grad():
            return points, away(points, index)[1]

    return restarted(away, x, run)
