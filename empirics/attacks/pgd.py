"""Projected gradient descent in an l2 ball (Madry et al., ICLR 2018)."""

import torch

from empirics.attacks.registry import Model, attack, flat_norm, log_odds, scale


@attack("pgd")
def pgd(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    radius: float | torch.Tensor,
    steps: int = 40,
    step_size: float | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return points within l2 distance `radius` of x that raise the loss of labels y.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    radius : float or Tensor
        l2 budget, common or one a point (n,).
    steps : int
        Gradient steps.
    step_size : float, optional
        In units of the radius; 2.5 / steps by default.
    stream : torch.Generator, optional
        Draws a uniform start in the ball; without it the start is x.

    Returns
    -------
    Tensor
        Shape of x; no box is imposed.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras and Vladu, ICLR 2018, section 2.1.
    """
    budget = torch.as_tensor(radius, dtype=x.dtype, device=x.device).expand(len(x))
    stride = budget * (2.5 / steps if step_size is None else step_size)
    delta = torch.zeros_like(x)
    if stream is not None:
        delta = torch.randn(x.shape, generator=stream, dtype=x.dtype).to(x.device)
        depth = torch.rand(len(x), generator=stream, dtype=x.dtype).to(x.device)
        shrink = depth ** (1 / x[0].numel()) * budget / flat_norm(delta)
        delta = scale(shrink, delta)
    for _ in range(steps):
        delta.requires_grad_(True)
        (gradient,) = torch.autograd.grad(log_odds(model(x + delta), y).sum(), delta)
        length = flat_norm(gradient).clamp_min(torch.finfo(x.dtype).tiny)
        delta = delta.detach() + scale(stride / length, gradient)
        delta = scale((budget / flat_norm(delta).clamp_min(1e-30)).clamp_max(1.0), delta)
    return (x + delta).detach()
