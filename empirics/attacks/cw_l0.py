"""Carlini and Wagner's l0 attack: l2 attacks on ever fewer features (S&P 2017)."""

import torch

from empirics.adversary.batch import Model, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.adversary.sparse import Adam, n_changes
from empirics.attacks.registry import attack

_INSIDE = 1 - 1e-3
"""Searches start this far inside the box: where tanh is flat there is no gradient. Features that
were given up have exactly their values in x."""

_SMALL = 0.01
"""Features of less importance than this are given up together, but at most `_AT_ONCE` times the
square root of their number: as in the authors' program, where the paper gives up one by one."""

_AT_ONCE = 0.3


@attack("cw_l0")
def cw_l0(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 1000,
    step_size: float = 0.01,
    first_weight: float = 1e-3,
    last_weight: float = 2e6,
    factor: float = 2.0,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return points that differ from x in few features and have another label; x where none was.

    White box, minimal l0. Adam minimises |x' - x|^2 + c hinge(x') over the features that are still
    allowed until the label has changed; then those features are given up that matter least, by
    |change x derivative of the margin|, and the search goes on from where it is. Where it fails in
    `steps` steps, c grows; an image is finished when c is larger than `last_weight`. Images do not
    wait for each other: each has its own c, its own allowed features and its own step count.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    steps : int
        Gradient steps for one set of allowed features and one c.
    step_size : float
        Adam's.
    first_weight, last_weight, factor : float
        c at the start, its largest value, and its growth where a search fails.
    box : tuple of float, optional
        Lowest and highest value of a feature, kept through tanh.
    targets : Tensor, shape (n,), optional
        Labels to reach.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the inputs, labels, targets or the model's values are not as above.

    References
    ----------
    Carlini and Wagner, Towards evaluating the robustness of neural networks (S&P 2017), section
    VI-B.
    """
    checked(model, x, y, box=box, targets=targets)
    goal = Goal(y, targets)
    best, fewest = x.clone(), torch.full((len(x),), x[0].numel() + 1, device=x.device)
    with torch.no_grad():
        image = (model(x).argmax(dim=1) == y).nonzero()[:, 0]
    start = _free(x, box)[image]
    free = start.clone()
    adam = Adam(free)
    allowed = torch.ones_like(free, dtype=torch.bool)
    weight = torch.full((len(image),), first_weight, dtype=x.dtype, device=x.device)
    step = torch.zeros_like(image)
    while len(image):
        origin = x[image]
        inside, slope = _point(free, box)
        point = torch.where(allowed, inside, origin).requires_grad_(True)
        logits = model(point)
        lead = -goal.of(image).margin(logits)
        (gradient,) = torch.autograd.grad(lead.sum(), point)
        point, lead = point.detach(), lead.detach()
        reached = goal.of(image).reached(logits.detach())

        # A success: fewer features from here on.
        count = n_changes(origin, point)
        fewer = reached & (count < fewest[image])
        best[image[fewer]], fewest[image[fewer]] = point[fewer], count[fewer]
        start[reached] = free[reached]
        importance = ((point - origin) * gradient).abs()
        allowed[reached] = _most_important(importance[reached], allowed[reached])
        step[reached] = 0

        # A failure: the same features again, with a larger weight of the hinge.
        failed = ~reached & (step == steps)
        weight[failed] *= factor
        free[failed] = start[failed]
        step[failed] = 0

        searching = ~reached & ~failed
        step = step + searching
        slope = slope * allowed
        gradient = (2 * (point - origin) - scale(weight * (lead <= 0), gradient)) * slope
        move = adam.step(gradient) * step_size
        free = free - scale(searching.to(x), move)
        # A new search begins with the next step.
        adam.restart(~searching)

        busy = (weight <= last_weight) & allowed.flatten(1).any(dim=1)
        image, step, weight, allowed = image[busy], step[busy], weight[busy], allowed[busy]
        free, start = free[busy], start[busy]
        adam.keep(busy)
    return best


def _free(x: torch.Tensor, box: Box | None) -> torch.Tensor:
    """Return the free variables of points, all real numbers."""
    if box is None:
        return x.clone()
    low, high = box
    return ((2 * (x - low) / (high - low) - 1) * _INSIDE).atanh()


def _point(free: torch.Tensor, box: Box | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the points of free variables, and the derivatives of features by their variables."""
    if box is None:
        return free, torch.ones_like(free)
    low, high = box
    unit = free.tanh()
    return within(low + (high - low) * (unit + 1) / 2, box), (high - low) * (1 - unit**2) / 2


def _most_important(importance: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Return the allowed features (n, ...) without the least important ones, at least one."""
    flat = importance.flatten(1).masked_fill(~allowed.flatten(1), torch.inf)
    small = (flat <= _SMALL).sum(dim=1) + 1
    most = (_AT_ONCE * allowed.flatten(1).sum(dim=1).sqrt()).ceil().long()
    rank = flat.argsort(dim=1, stable=True).argsort(dim=1)
    return allowed & (rank >= torch.minimum(small, most)[:, None]).reshape(allowed.shape)
