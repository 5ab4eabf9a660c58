"""One point against several classifiers at once."""

from collections.abc import Sequence

import torch

from empirics.adversary.ball import Ball
from empirics.adversary.batch import Model, margin
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.attacks.apgd import raised
from empirics.attacks.registry import attack
from theory.errors import InputError


def joint_margin(models: Sequence[Model], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the largest margin of the labels over the models, shape (n,).

    It is negative exactly where no model has the label y.

    Parameters
    ----------
    models : sequence of callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    """
    return torch.stack([margin(model(x), y) for model in models]).amax(dim=0)


@attack("joint")
def joint(
    model: Sequence[Model],
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float | torch.Tensor,
    norm: str = "linf",
    steps: int = 100,
    restarts: int = 1,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return points within the budget at which every model has another label; x where none was.

    White box, budget, l2 and linf: Auto-PGD on the smallest of the models' log odds against y,
    softened to -log sum_m exp(-log odds_m), so that no step gives up one model for another. Where
    one model has another label at x already, the others are still attacked.

    Parameters
    ----------
    model : sequence of callable
        Inputs (n, ...) to logits (n, K), of one or more classifiers with the same classes.
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    radius, norm, steps, restarts, box, stream
        As in `empirics.attacks.apgd.apgd`.
    targets : Tensor, shape (n,), optional
        Labels that every model is to have.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If there is no model, or the arguments are not as above for one of them.

    References
    ----------
    Liu, Chen, Liu and Song, Delving into transferable adversarial examples and black-box attacks
    (ICLR 2017), section 4, attack the mean of several models; here all must be fooled. Croce and
    Hein (ICML 2020), algorithm 1, for the ascent.
    """
    models = list(model)
    if not models:
        raise InputError("model: no classifier; expected a sequence of one or more")
    for one in models:
        checked(one, x, y, box=box, targets=targets)
    if norm not in ("l2", "linf"):
        raise InputError(f"norm: '{norm}'; expected l2 or linf")
    goal = Goal(y, targets)

    def objective(points: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        part = goal.of(index)
        logits = [one(points) for one in models]
        gains = torch.stack([part.gain(each) for each in logits])
        reached = torch.stack([part.reached(each.detach()) for each in logits]).all(dim=0)
        return -(-gains).logsumexp(dim=0), reached

    return raised(objective, Ball.around(x, radius, norm, box), steps, restarts, stream)
