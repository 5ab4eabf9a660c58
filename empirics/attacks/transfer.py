"""Transfer: points made against one model, judged by others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from empirics.adversary.batch import Model, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.attacks.registry import ATTACKS, attack
from theory.errors import InputError


@attack("transfer")
def transfer(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    source: Model,
    by: str = "pgd",
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    settings: dict[str, Any] | None = None,
) -> torch.Tensor:
    """Return the points of an attack on another model that fool this one; x where none does.

    Black box (labels of the points alone); norm and budget are those of the attack.

    Parameters
    ----------
    model : callable
        The model under attack, inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    source : callable
        The model whose gradients are used, with the same classes.
    by : str
        Name of the attack on the source.
    box, targets
        As of the attack.
    settings : dict, optional
        Further settings of the attack.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If there is no such attack, or the arguments are not as above for one of the models.

    References
    ----------
    Szegedy et al., Intriguing properties of neural networks (ICLR 2014), section 4.2.
    """
    checked(model, x, y, box=box, targets=targets)
    goal = Goal(y, targets)
    points = _made(source, x, y, by, box, targets, settings)
    with torch.no_grad():
        keep = goal.reached(model(points)) & ~goal.reached(model(x))
    return torch.where(keep.reshape(-1, *[1] * (x.ndim - 1)), points, x)


@dataclass(frozen=True)
class Transferred:
    """Which points, made against which models, fooled which.

    Attributes
    ----------
    counted : Tensor, shape (m, n)
        Where the attack on a source found a point, and no model had another label at x.
    fooled : Tensor, shape (m, m, n)
        Entry (s, t, i): the label of model t at the i-th point made against s is an adversarial
        one; false where it is not counted.
    points : Tensor, shape (m, n, ...)
        What was made against each source; the inputs where nothing was found.
    """

    counted: torch.Tensor
    fooled: torch.Tensor
    points: torch.Tensor

    @property
    def rates(self) -> torch.Tensor:
        """The matrix of shares, sources by judges, (m, m); not a number where none is counted."""
        return self.fooled.double().sum(dim=2) / self.counted.double().sum(dim=1)[:, None]


def transfer_matrix(
    models: Sequence[Model],
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    by: str = "pgd",
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    settings: dict[str, Any] | None = None,
) -> Transferred:
    """Judge adversarial points of each model by all others.

    Parameters
    ----------
    models : sequence of callable
        Inputs (n, ...) to logits (n, K), with the same classes.
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    by, box, targets, settings
        As in `transfer`. A random attack draws on from model to model.

    Returns
    -------
    Transferred

    Raises
    ------
    InputError
        If there is no model or no such attack, or the arguments are not as above for a model.
    """
    if not models:
        raise InputError("models: none; expected a sequence of one or more")
    goal = Goal(y, targets)
    for model in models:
        checked(model, x, y, box=box, targets=targets)
    with torch.no_grad():
        fair = torch.stack([~goal.reached(model(x)) for model in models]).all(dim=0)
        if targets is not None:
            fair &= torch.stack([model(x).argmax(dim=1) == y for model in models]).all(dim=0)
    counted, fooled, made = [], [], []
    for source in models:
        points = _made(source, x, y, by, box, targets, settings)
        with torch.no_grad():
            row = torch.stack([goal.reached(judge(points)) for judge in models])
            found = fair & goal.reached(source(points))
        counted.append(found)
        fooled.append(row & found)
        made.append(points)
    return Transferred(torch.stack(counted), torch.stack(fooled), torch.stack(made))


def magnified(
    x: torch.Tensor, points: torch.Tensor, distortion: float, *, box: Box | None = None
) -> torch.Tensor:
    """Return the inputs moved in the directions of given points to a given distortion.

    Parameters
    ----------
    x, points : Tensor, shape (n, ...)
        Where a point is its input, it stays there.
    distortion : float
        Root mean square of the change of a coordinate, above 0.
    box : tuple of float, optional
        What is moved is clipped to it: the distortion is then smaller.

    Raises
    ------
    InputError
        If the distortion is not positive and finite, or the shapes differ.

    References
    ----------
    Szegedy et al. (ICLR 2014), table 4.

    Examples
    --------
    >>> magnified(torch.zeros(1, 4), torch.tensor([[0.1, 0.0, 0.0, 0.0]]), 0.5)
    tensor([[1., 0., 0., 0.]])
    """
    if not 0 < distortion < float("inf"):
        raise InputError(f"distortion: {distortion}; expected positive and finite")
    if x.shape != points.shape:
        raise InputError(
            f"points: shape {tuple(points.shape)}; expected that of x {tuple(x.shape)}"
        )
    change = points - x
    size = change.flatten(1).double().pow(2).mean(dim=1).sqrt()
    factor = torch.where(size > 0, distortion / size.clamp_min(1e-300), 0.0).to(x)
    return within(x + scale(factor, change), box)


def _made(
    source: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    by: str,
    box: Box | None,
    targets: torch.Tensor | None,
    settings: dict[str, Any] | None,
) -> torch.Tensor:
    """Return the points of the attack of this name; box and targets only where they are given."""
    given = {"box": box, "targets": targets}
    chosen = {name: value for name, value in given.items() if value is not None}
    return ATTACKS[by](source, x, y, **chosen, **(settings or {}))
