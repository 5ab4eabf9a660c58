"""Projections onto lp balls of one radius a point, batched."""

import torch


def onto_ball(delta: torch.Tensor, radius: torch.Tensor, p: float) -> torch.Tensor:
    """Return the l2-nearest offsets in the lp balls of these radii.

    Parameters
    ----------
    delta : Tensor, shape (n, d)
    radius : Tensor, shape (n,)
        Not negative; for p = 0 rounded down to a number of coordinates.
    p : float
        0, 1, 2 or inf.

    Returns
    -------
    Tensor, shape (n, d)

    References
    ----------
    For p = 1: Duchi, Shalev-Shwartz, Singer and Chandra, ICML 2008, figure 1.

    Examples
    --------
    >>> onto_ball(torch.tensor([[3.0, -4.0]]), torch.tensor([2.0]), 1)
    tensor([[ 0.5000, -1.5000]])
    >>> onto_ball(torch.tensor([[3.0, -4.0]]), torch.tensor([1.0]), 0)
    tensor([[ 0., -4.]])
    """
    limit = radius[:, None]
    if p == float("inf"):
        return delta.clamp(-limit, limit)
    if p == 2:
        length = delta.norm(dim=1, keepdim=True).clamp_min(torch.finfo(delta.dtype).tiny)
        shorter: torch.Tensor = delta * (limit / length).clamp_max(1)
        return shorter
    size, order = delta.abs().sort(dim=1, descending=True)
    rank = torch.arange(1, delta.shape[1] + 1, device=delta.device)
    if p == 0:
        kept = torch.zeros_like(delta).scatter(1, order, (rank <= limit).to(delta))
        return delta * kept
    excess = size.cumsum(dim=1) - limit
    last = (size * rank > excess).sum(dim=1, keepdim=True).clamp_min(1)
    threshold = (excess.gather(1, last - 1) / last).clamp_min(0)
    return delta.sign() * (delta.abs() - threshold).clamp_min(0)
