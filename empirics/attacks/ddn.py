"""Decoupled direction and norm: a minimal-norm l2 attack (Rony et al., CVPR 2019)."""

import math

import torch

from empirics.attacks.registry import Model, attack, flat_norm, log_odds, margin, scale


@attack("ddn")
def ddn(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 100,
    gamma: float = 0.05,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return close points with a label other than y; x itself where none was found.

    As published, except that lengths are in units of each point's first-order distance to the
    boundary instead of 1, so that the attack does not depend on the scale of the inputs, and that
    the loss does not saturate.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    steps : int
        Gradient steps.
    gamma : float
        Relative change of the radius in a step.
    stream : torch.Generator, optional
        Draws a random start at the first-order distance; without it the start is x.

    Returns
    -------
    Tensor
        Shape of x; no box is imposed.

    References
    ----------
    Rony, Hafemann, Oliveira, Ben Ayed, Sabourin and Granger, CVPR 2019, algorithm 1.
    """
    tiny = torch.finfo(x.dtype).tiny
    best = x.clone()
    best_norm = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    delta = torch.zeros_like(x)
    unit = radius = torch.zeros_like(best_norm)
    for step in range(steps + 1):
        delta.requires_grad_(True)
        logits = model(x + delta)
        loss = log_odds(logits, y)
        (gradient,) = torch.autograd.grad(loss.sum(), delta)
        delta = delta.detach()
        length = flat_norm(gradient).clamp_min(tiny)
        if step == 0:
            # About the distance to the boundary of the linearised model.
            unit = radius = (margin(logits.detach(), y) / length).abs().clamp(1e-12, 1e12)
            if stream is not None:
                start = torch.randn(x.shape, generator=stream, dtype=x.dtype).to(x.device)
                delta = scale(unit / flat_norm(start), start)
                continue
        adversarial = logits.argmax(dim=1) != y
        norm = flat_norm(delta)
        closer = adversarial & (norm < best_norm)
        best_norm = torch.where(closer, norm, best_norm)
        best = torch.where(closer.reshape(-1, *[1] * (x.ndim - 1)), x + delta, best)
        cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2
        delta = delta + scale(cosine * unit / length, gradient)
        radius = radius * torch.where(adversarial, 1 - gamma, 1 + gamma)
        delta = scale(radius / flat_norm(delta).clamp_min(tiny), delta)
    return best
