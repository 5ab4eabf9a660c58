"""The training objective TRADES: accuracy, and the change of the prediction within a ball."""

import torch
from torch import nn

from empirics.adversary.ball import Ball
from empirics.adversary.batch import Model, scale
from empirics.adversary.checks import Box

_START = 1e-3
"""Standard deviation of the noise at the start: the divergence has no gradient at x itself."""


def divergence(model: Model, clean: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return the Kullback-Leibler divergences of predictions at points from given logits, (n,)."""
    expected = clean.log_softmax(dim=1)
    found = model(points).log_softmax(dim=1)
    return nn.functional.kl_div(found, expected, reduction="none", log_target=True).sum(dim=1)


def most_divergent(
    model: Model,
    x: torch.Tensor,
    *,
    radius: float,
    steps: int,
    norm: str,
    box: Box | None,
    stream: torch.Generator,
) -> torch.Tensor:
    """Return points of a ball at which the prediction is far from that at x, by projected ascent.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x : Tensor, shape (n, ...)
    radius : float
        Budget.
    steps : int
        Of 2.5 / steps times the radius.
    norm : str
        "l2" or "linf".
    box : tuple of float or None
        Range of a coordinate.
    stream : torch.Generator
        Draws the start.

    References
    ----------
    Zhang et al., Theoretically principled trade-off between robustness and accuracy (ICML 2019),
    algorithm 1.
    """
    with torch.no_grad():
        clean = model(x)
    ball = Ball.around(x, radius, norm, box)
    noise = torch.randn(x.shape, generator=stream, dtype=x.dtype).to(x.device)
    points = ball.project(x + _START * noise)
    for _ in range(steps):
        points.requires_grad_(True)
        total = divergence(model, clean, points).sum()
        (gradient,) = torch.autograd.grad(total, points)
        points = points.detach()
        step = ball.steepest(gradient, points, points[0].numel())
        points = ball.project(points + scale(ball.radius * (2.5 / steps), step))
    return points.detach()
