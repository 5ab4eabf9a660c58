"""The nearest point of a half-space within a box, in l0, l1, l2 and linf: closed forms, batched."""

import torch

from empirics.adversary.checks import Box

NORMS = (0.0, 1.0, 2.0, float("inf"))
_NEWTON = 20
_FAR = 1e18
"""Room without a box: finite, so that coordinates can be compared by their rates."""


def norms(difference: torch.Tensor, p: float) -> torch.Tensor:
    """Return the lp norms of a batch of arrays of any shape, shape (n,)."""
    result: torch.Tensor = torch.linalg.vector_norm(difference.flatten(1), ord=p, dim=1)
    return result


def room_against(normal: torch.Tensor, origin: torch.Tensor, box: Box | None) -> torch.Tensor:
    """Return how far each coordinate can move against the normal within the box, shape (n, d)."""
    if box is None:
        return torch.full_like(origin, torch.inf)
    low, high = box
    return torch.where(normal > 0, origin - low, high - origin)


def nearest_in_half_space(
    normal: torch.Tensor, excess: torch.Tensor, room: torch.Tensor, p: float
) -> torch.Tensor:
    """Return the shortest s in lp with normal . s = -excess, no coordinate moved beyond its room.

    Where the room does not suffice s goes as far as it can.

    Parameters
    ----------
    normal : Tensor, shape (n, d)
    excess : Tensor, shape (n,)
        Not negative: what the linear function is to lose.
    room : Tensor, shape (n, d)
        Not negative, +inf where there is no box; see `room_against`.
    p : float
        0, 1, 2 or inf.

    Returns
    -------
    Tensor, shape (n, d)

    Examples
    --------
    >>> normal, excess = torch.tensor([[3.0, 4.0]]), torch.tensor([5.0])
    >>> nearest_in_half_space(normal, excess, torch.full((1, 2), torch.inf), 2)
    tensor([[-0.6000, -0.8000]])
    >>> nearest_in_half_space(normal, excess, torch.tensor([[9.0, 0.5]]), 2)
    tensor([[-1.0000, -0.5000]])
    """
    rate = normal.abs()
    # Moves nobody needs are not made, and no infinity is multiplied by zero.
    room = torch.where(rate > 0, room, 0.0)
    if p < 2:
        length = _greedy(rate, excess, room, p)
    else:
        speed = rate if p == 2 else (rate > 0).to(rate)
        length = _stretched(rate, speed, excess, room)
    return -normal.sign() * length


def _stretched(
    rate: torch.Tensor, speed: torch.Tensor, excess: torch.Tensor, room: torch.Tensor
) -> torch.Tensor:
    """Return min(t speed, room) with rate . min(t speed, room) = excess, by Newton's method on t.

    The left side is concave in t, so that Newton's method from t = 0 climbs to the solution and
    ends there after finitely many steps.
    """
    tiny = torch.finfo(rate.dtype).tiny
    weight = rate * speed
    t = excess / weight.sum(dim=1).clamp_min(tiny)
    moved = torch.minimum(t[:, None] * speed, room)
    for _ in range(_NEWTON):
        missing = excess - (rate * moved).sum(dim=1)
        slope = torch.where(moved < room, weight, 0.0).sum(dim=1)
        gain = torch.where(slope > 0, missing / slope.clamp_min(tiny), 0.0).clamp_min(0)
        if not (gain > 1e-6 * t).any():
            break
        t = t + gain
        moved = torch.minimum(t[:, None] * speed, room)
    return moved


def _greedy(rate: torch.Tensor, excess: torch.Tensor, room: torch.Tensor, p: float) -> torch.Tensor:
    """Return the moves when coordinates are used up one after the other, the best first."""
    room = room.clamp_max(_FAR)
    order = (rate if p == 1 else rate * room).argsort(dim=1, descending=True)
    gains = (rate * room).gather(1, order)
    before = torch.cat([torch.zeros_like(gains[:, :1]), gains.cumsum(dim=1)[:, :-1]], dim=1)
    needed = (excess[:, None] - before).clamp_min(0)
    tiny = torch.finfo(rate.dtype).tiny
    moves = torch.minimum(needed / rate.gather(1, order).clamp_min(tiny), room.gather(1, order))
    return torch.zeros_like(rate).scatter(1, order, moves)
