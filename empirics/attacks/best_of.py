"""Several attacks as one: for each point the nearest adversarial point that any of them finds."""

from collections.abc import Sequence

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.closest import Closest
from empirics.adversary.goal import Goal
from empirics.attacks.registry import Attack
from theory.errors import InputError


def best_of(attacks: Sequence[Attack], *, p: float = 2) -> Attack:
    """Return an attack that keeps, point by point, the nearest that the attacks find.

    Every point is judged by the model itself, whatever an attack says of it.

    Parameters
    ----------
    attacks : sequence of callable
        One or more, each (model, x, y, **settings) -> points; settings other than `box` and
        `targets` go to all of them, these two only where they are given.
    p : float
        0, 1, 2 or inf: the norm in which the nearest is meant.

    Raises
    ------
    InputError
        Without an attack; when called, as `checked`.

    Examples
    --------
    >>> from empirics.attacks import ATTACKS
    >>> attack = best_of([ATTACKS["ddn"], ATTACKS["deepfool"]])
    >>> logits = torch.nn.Identity()
    >>> attack(logits, torch.tensor([[1.0, 0.0]]), torch.tensor([0])).argmax(dim=1)
    tensor([1])
    """
    if not attacks:
        raise InputError("best_of: no attacks; expected one or more")

    def best(
        model: Model,
        x: torch.Tensor,
        y: torch.Tensor,
        *,
        box: Box | None = None,
        targets: torch.Tensor | None = None,
        **settings: object,
    ) -> torch.Tensor:
        checked(model, x, y, box=box, targets=targets)
        given = {"box": box, "targets": targets}
        settings |= {name: value for name, value in given.items() if value is not None}
        goal, closest = Goal(y, targets), Closest(x.flatten(1), p)
        with torch.no_grad():
            closest.offer(closest.origin, goal.reached(model(x)))
        for run in attacks:
            points = run(model, x, y, **settings).detach()
            with torch.no_grad():
                reached = goal.reached(model(points))
            if box is not None:
                reached &= ((points >= box[0]) & (points <= box[1])).flatten(1).all(dim=1)
            closest.offer(points.flatten(1), reached)
        return closest.points.reshape(x.shape)

    return best
