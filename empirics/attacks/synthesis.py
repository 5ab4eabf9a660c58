"""Inputs made from noise that a model takes for a class, free or in the likeness of others."""

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.attacks.registry import attack


@attack("synthesis")
def synthesis(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    targets: torch.Tensor,
    stream: torch.Generator,
    likeness: float = 0.0,
    confidence: float = 0.99,
    steps: int = 500,
    step_size: float = 0.05,
    box: Box | None = None,
) -> torch.Tensor:
    """Return inputs grown from noise that have the labels asked for; x where they have not.

    White box, neither minimal nor of a budget: Adam raises the log odds of the target, minus
    likeness times the mean squared difference from x, in units of the variance of the noise.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,): what the results shall look like where likeness is
        positive, otherwise only their shape matters.
    targets : Tensor, shape (n,)
        Labels to reach.
    stream : torch.Generator
        Draws the noise: uniform in the box, or standard normal without one.
    likeness : float
        Weight of looking like x; 0 for free inputs. With a positive one the search goes on after
        the target is reached, and the likest point is returned.
    confidence : float
        Probability of the target that is asked for; a point that has the label without it is
        returned where there is no better one.
    steps, step_size
        Of Adam; the step size in units of the noise's standard deviation.
    box : tuple of float, optional
        Lowest and highest value of a coordinate; kept exactly.

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
    Nguyen, Yosinski and Clune, Deep neural networks are easily fooled (CVPR 2015), section 2.4,
    for gradient ascent from noise.
    """
    checked(model, x, y, box=box, targets=targets)
    goal = Goal(y, targets)
    noise, deviation = _noise(x, box, stream)
    point = noise.clone().requires_grad_(True)
    adam = torch.optim.Adam([point], lr=step_size * deviation)
    best = noise.clone()
    # The likest of the confident points; before there is one, the most confident of the others.
    score = torch.full((len(x),), -torch.inf, dtype=x.dtype, device=x.device)
    for step in range(steps + 1):
        logits = model(point)
        gain = goal.gain(logits)
        difference = ((point - x) / deviation).flatten(1).square().mean(dim=1)
        with torch.no_grad():
            probability = gain.sigmoid()
            sure = probability >= confidence
            rank = torch.where(sure, 1 + 1 / (1 + likeness * difference), probability)
            better = goal.reached(logits) & (rank > score)
            best[better], score[better] = point[better], rank[better]
            if step == steps or (not likeness and bool((score > 1).all())):
                break
        cost = (likeness * difference - gain.clamp_max(_enough(confidence))).sum()
        (point.grad,) = torch.autograd.grad(cost, point)
        adam.step()
        with torch.no_grad():
            point.copy_(within(point, box))
    with torch.no_grad():
        keep = goal.reached(model(best)) & ~goal.reached(model(x))
    return torch.where(keep.reshape(-1, *[1] * (x.ndim - 1)), best, x)


def _enough(confidence: float) -> float:
    """Return the log odds of a probability, and a little more: beyond it nothing is gained."""
    return float(torch.logit(torch.tensor(confidence, dtype=torch.float64), eps=1e-12)) + 1


def _noise(x: torch.Tensor, box: Box | None, stream: torch.Generator) -> tuple[torch.Tensor, float]:
    """Return the first points, and the standard deviation of their coordinates."""
    if box is None:
        return torch.randn(x.shape, generator=stream, dtype=x.dtype).to(x), 1.0
    low, high = box
    part = torch.rand(x.shape, generator=stream, dtype=x.dtype).to(x)
    return within(low + (high - low) * part, box), (high - low) / 12**0.5
