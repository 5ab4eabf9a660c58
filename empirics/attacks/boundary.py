"""Walks along the decision boundary to the nearest place: a refinement in l1, l2 and linf."""

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.descent import DUAL, Schedule, descend
from empirics.adversary.goal import Goal, within
from empirics.adversary.projection import sequential_projection
from empirics.attacks.registry import attack
from theory.errors import InputError

_START = Schedule(steps=30, gamma=(0.6, 0.01))


@attack("boundary")
def boundary(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    p: float = 2,
    steps: int = 50,
    start: torch.Tensor | None = None,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return close points with a label other than y; x itself where none was found.

    White box, minimal norm. From an adversarial point, repeatedly towards the nearest point of the
    boundary linearised there, within the box, as far as the label stays changed. Unlike in the
    paper the step has no trust region, since every step is searched for its last adversarial
    point, and no solver: its subproblem has a closed form.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    p : float
        1, 2 or inf.
    steps : int
        At most so many steps along the boundary.
    start : Tensor, optional
        Shape of x: adversarial points; by default those of a short descent.
    box : tuple of float, optional
        (low, high): the least and largest value of a coordinate.
    targets : Tensor, shape (n,), optional
        The label that each point is to get; by default any but its own.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the arguments or the model are unfit; see `checked`.

    References
    ----------
    Brendel, Rauber, Kuemmerer, Ustyuzhaninov and Bethge, NeurIPS 2019, section 3.
    """
    checked(model, x, y, box=box, targets=targets)
    if p not in DUAL:
        raise InputError(f"boundary: p = {p}; expected 1, 2 or inf")
    if start is not None and start.shape != x.shape:
        raise InputError(f"start: shape {tuple(start.shape)}; expected {tuple(x.shape)}, as x")
    goal, origin = Goal(y, targets), x.flatten(1)

    def flat(points: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(points.reshape(-1, *x.shape[1:]))
        return logits

    with torch.no_grad():
        done = goal.reached(flat(origin))
    if start is None:
        points, _ = descend(flat, origin, goal, origin, _START, p=p, box=box)
    else:
        points = within(start.flatten(1), box)
        with torch.no_grad():
            points = torch.where(goal.reached(flat(points))[:, None], points, origin)
    rows = torch.nonzero(~done)[:, 0]
    if len(rows):
        part = goal.of(rows)
        points = points.index_copy(
            0,
            rows,
            sequential_projection(
                flat,
                origin[rows],
                points[rows],
                part.y,
                steps=steps,
                p=p,
                box=box,
                targets=part.targets,
            ),
        )
    return torch.where(done[:, None], origin, points).reshape(x.shape)
