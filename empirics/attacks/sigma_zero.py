"""sigma-zero: a minimal l0 attack by a smooth count of changes (Cina et al., ICLR 2025)."""

import math

import torch

from empirics.adversary.batch import Model, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.adversary.sparse import Adam, n_changes
from empirics.attacks.registry import attack


@attack("sigma_zero")
def sigma_zero(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 1000,
    step_size: float = 1.0,
    sigma: float = 1e-3,
    threshold: float = 0.3,
    threshold_factor: float = 0.01,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return points that differ from x in few features and have another label; x where none was.

    White box, minimal l0. Adam descends on the hinge of the margin plus the smooth count
    sum_i d_i^2 / (d_i^2 + sigma) / d of changes; after each step the changes below a threshold,
    which rises while the label is changed and falls while it is not, are undone.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    steps : int
        Gradient steps.
    step_size : float
        Adam's at the start; it falls to a tenth by a cosine.
    sigma : float
        Sharpness of the smooth count.
    threshold, threshold_factor : float
        The first threshold, and its change in a step in units of the step size.
    box : tuple of float, optional
        Lowest and highest value of a feature.
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
    Cina, Villani, Pintor, Schoenherr, Biggio and Pelillo, sigma-zero: gradient-based optimization
    of l0-norm adversarial examples (ICLR 2025), algorithm 1.
    """
    checked(model, x, y, box=box, targets=targets)
    goal = Goal(y, targets)
    tiny = torch.finfo(x.dtype).tiny
    best = x.clone()
    fewest = torch.full((len(x),), x[0].numel() + 1, device=x.device)
    change = torch.zeros_like(x)
    adam = Adam(x)
    limit = torch.full((len(x),), threshold, dtype=x.dtype, device=x.device)
    for step in range(steps + 1):
        point = within(x + change, box).requires_grad_(step < steps)
        logits = model(point)
        reached = goal.reached(logits.detach())
        count = n_changes(x, point.detach())
        fewer = reached & (count < fewest)
        best[fewer], fewest[fewer] = point.detach()[fewer], count[fewer]
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(goal.margin(logits).clamp_min(0).sum(), point)
        # Derivative of the smooth count d^2 / (d^2 + sigma), divided by the dimension.
        gradient = gradient + 2 * sigma * change / ((change**2 + sigma) ** 2 * x[0].numel())
        gradient = scale(1 / gradient.flatten(1).abs().amax(dim=1).clamp_min(tiny), gradient)
        size = step_size * (0.1 + 0.9 * (1 + math.cos(math.pi * step / steps)) / 2)
        moved = change - size * adam.step(gradient)
        change = within(x + moved, box) - x
        limit = limit + torch.where(reached, 1.0, -1.0).to(x) * threshold_factor * size
        limit = limit.clamp(0.0, 1.0)
        small = change.flatten(1).abs() < limit[:, None]
        change = torch.where(small.reshape(x.shape), 0.0, change)
    return best
