"""DeepFool: steps to the nearest linearised boundary (Moosavi-Dezfooli et al., CVPR 2016)."""

import torch

from empirics.attacks.registry import Model, attack, flat_norm, scale


@attack("deepfool")
def deepfool(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 10,
    overshoot: float = 0.02,
    rivals: int = 9,
) -> torch.Tensor:
    """Return points near x with a label other than y; x itself where none was found.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    steps : int
        At most so many linearisations.
    overshoot : float
        The total step is lengthened by this fraction to cross the boundary.
    rivals : int
        Classes considered: those with the largest logits at x.

    Returns
    -------
    Tensor
        Shape of x; no box is imposed.

    References
    ----------
    Moosavi-Dezfooli, Fawzi and Frossard, CVPR 2016, algorithm 2 (l2).
    """
    with torch.no_grad():
        logits = model(x).scatter(1, y[:, None], -torch.inf)
    others = logits.topk(min(rivals, logits.shape[1] - 1), dim=1).indices
    total = torch.zeros_like(x)
    unchanged = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for _ in range(steps):
        step = _nearest_boundary(model, x + (1 + overshoot) * total, y, others)
        total = total + scale(unchanged, step)
        with torch.no_grad():
            labels = model(x + (1 + overshoot) * total).argmax(dim=1)
        unchanged = (labels == y).to(x.dtype)
        if not unchanged.any():
            break
    return x + scale((1 + overshoot) * (1 - unchanged), total)


def _nearest_boundary(
    model: Model, point: torch.Tensor, label: torch.Tensor, others: torch.Tensor
) -> torch.Tensor:
    point = point.detach().requires_grad_(True)
    logits = model(point)
    margins = logits.gather(1, label[:, None]) - logits.gather(1, others)
    tiny = torch.finfo(point.dtype).tiny
    best = torch.full((len(point),), torch.inf).to(margins)
    step = torch.zeros_like(point)
    for k in range(others.shape[1]):
        (normal,) = torch.autograd.grad(margins[:, k].sum(), point, retain_graph=True)
        length = flat_norm(normal).clamp_min(tiny)
        distance = margins[:, k].detach().abs() / length
        nearer = distance < best
        best = torch.where(nearer, distance, best)
        mask = nearer.reshape(-1, *[1] * (point.ndim - 1))
        step = torch.where(mask, scale(-distance / length, normal), step)
    return step
