"""Projection onto several linearised boundaries at once: past kinks, where one alone zigzags."""

import itertools

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box
from empirics.adversary.goal import Goal, within
from empirics.adversary.half_space import norms

_KEPT = 4
_BISECTIONS = 6
_BEYOND = 1e-6
_CLAMPED = 6
_TOLERANCE = 1e-5
_AT_REST = 1e-5
_PATIENCE = 3
_SUBSETS = torch.tensor([s for s in itertools.product((0.0, 1.0), repeat=_KEPT) if any(s)])
_FIRST_ALONE = len(_SUBSETS) // 2


def nearest_in_half_spaces(
    origin: torch.Tensor, normals: torch.Tensor, offsets: torch.Tensor, box: Box | None = None
) -> torch.Tensor:
    """Return the points nearest to the origins in l2 with normals @ point + offsets <= 0.

    Parameters
    ----------
    origin : Tensor, shape (n, d)
        Within the box.
    normals : Tensor, shape (n, 4, d)
        Zero where there are fewer half-spaces than four.
    offsets : Tensor, shape (n, 4)
        Zero there, too.
    box : tuple of float, optional
        (low, high) of each coordinate. Which coordinates end there is found by a few Newton steps
        on the multipliers, which as a rule, but not always, are enough.

    Returns
    -------
    Tensor, shape (n, d)
        Where the half-spaces have no point in common, the point nearest in the first.

    Examples
    --------
    >>> normals = torch.tensor([[[-1.0, 0.0], [0.0, -1.0], [0.0, 0.0], [0.0, 0.0]]])
    >>> offsets = torch.tensor([[1.0, 2.0, 0.0, 0.0]])
    >>> nearest_in_half_spaces(torch.zeros(1, 2), normals, offsets).round(decimals=4)
    tensor([[1., 2.]])
    """
    excess = offsets + (normals @ origin[..., None])[..., 0]
    moved, free = torch.zeros_like(origin), torch.ones_like(origin)
    for _ in range(_CLAMPED):
        inner = normals * free[:, None]
        left = excess + (normals @ (moved * (1 - free))[..., None])[..., 0]
        step = -(normals.mT @ _multipliers(inner @ inner.mT, left)[..., None])[..., 0]
        if box is None:
            return origin + step
        moved = torch.minimum(torch.maximum(step, box[0] - origin), box[1] - origin)
        before, free = free, (moved == step).to(step)
        if torch.equal(before, free):
            break
    return within(origin + moved, box)


def _multipliers(gram: torch.Tensor, excess: torch.Tensor) -> torch.Tensor:
    """Return the multipliers of the shortest step that removes every excess, shape (n, 4).

    The cuts are few: the system of every subset is solved, and one that fits is the solution.
    """
    limits = torch.finfo(gram.dtype)
    size = gram.diagonal(dim1=1, dim2=2)
    scale = size.clamp_min(limits.tiny).sqrt()
    cosines = gram / (scale[:, :, None] * scale[:, None])
    wanted = excess / scale
    subsets, identity = _SUBSETS.to(gram), torch.eye(_KEPT).to(gram)
    # Rows and columns of other cuts are the identity's; parallel cuts need a ridge.
    both = subsets[:, :, None] * subsets[:, None]
    ridge = max(1e-7, 10 * limits.eps)
    systems = cosines[:, None] * both + identity * (1 - subsets)[:, :, None] + ridge * identity
    # Singular systems give no numbers, and no number fits.
    found = torch.linalg.solve_ex(systems, (wanted[:, None] * subsets)[..., None]).result[..., 0]
    missing = wanted[:, None] - (cosines[:, None] @ found[..., None])[..., 0]
    wrong = torch.maximum((missing * (size > 0)[:, None]).amax(dim=2), (-found).amax(dim=2))
    fits = wrong <= _TOLERANCE * wanted.abs().amax(dim=1, keepdim=True)
    square = torch.where(fits, (found * wanted[:, None]).sum(dim=2), torch.inf)
    best = torch.where(fits.any(dim=1), square.argmin(dim=1), _FIRST_ALONE)
    rows = torch.arange(len(gram), device=gram.device)
    multipliers: torch.Tensor = found[rows, best].clamp_min(0) / scale
    return multipliers


def _linearised(
    model: Model, point: torch.Tensor, goal: Goal, rival: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return whether the goal is reached, and the normal and offset of the boundary."""
    point = point.detach().requires_grad_(True)
    logits = model(point)
    if goal.targets is None:
        pair = logits.gather(1, torch.stack([goal.y, rival], dim=1))
        margin = pair[:, 0] - pair[:, 1]
    else:
        margin = goal.margin(logits)
    (normal,) = torch.autograd.grad(margin.sum(), point)
    offset = margin.detach() - (normal * point.detach()).sum(dim=1)
    return goal.reached(logits.detach()), normal, offset


def walk(
    model: Model,
    origin: torch.Tensor,
    point: torch.Tensor,
    everywhere: Goal,
    *,
    steps: int,
    box: Box | None = None,
) -> torch.Tensor:
    """Return adversarial points at most as far in l2 from the origins as the given ones.

    Each step goes towards the point nearest to the origin behind the latest linearised boundaries,
    as far as the goal stays reached, and what is in the way there is linearised next. At a kink
    of the boundary, where one linearisation sends the point to and fro, several hold it there.

    Parameters
    ----------
    model : callable
        Points (n, d) to logits (n, K).
    origin, point : Tensor, shape (n, d)
        Where distances are measured from, and where to start; points that do not reach the goal
        are returned unchanged.
    everywhere : Goal
        Without targets, each point keeps to the label that it starts with as long as it linearises.
    steps : int
        At most so many, a gradient each and some evaluations.
    box : tuple of float, optional

    Returns
    -------
    Tensor, shape (n, d)

    References
    ----------
    Kelley, J. SIAM 8 (1960), cutting planes; each single projection is FAB's (Croce and Hein,
    ICML 2020).
    """
    point = point.clone()
    with torch.no_grad():
        logits = model(point)
    rival = logits.scatter(1, everywhere.y[:, None], -torch.inf).argmax(dim=1)
    distance = norms(point - origin, 2)
    active = torch.nonzero(everywhere.reached(logits) & (distance > 0))[:, 0]
    if not len(active):
        return point
    _, normal, offset = _linearised(model, point[active], everywhere.of(active), rival[active])
    normals = torch.zeros(len(active), _KEPT, origin.shape[1]).to(origin)
    offsets = torch.zeros(len(active), _KEPT).to(origin)
    normals[:, 0], offsets[:, 0] = normal, offset
    idle = torch.zeros(len(active)).to(origin)
    for _ in range(steps):
        here, home, goal = point[active], origin[active], everywhere.of(active)
        far = distance[active]
        beyond = _BEYOND * far[:, None] * torch.linalg.vector_norm(normals, dim=2)
        trial = nearest_in_half_spaces(home, normals, offsets + beyond, box)
        with torch.no_grad():
            reached = goal.reached(model(trial))
        low, high = reached.to(far), torch.ones_like(far)
        for _ in range(0 if reached.all() else _BISECTIONS):
            middle = (low + high) / 2
            with torch.no_grad():
                inside = goal.reached(model(here + middle[:, None] * (trial - here)))
            low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
        ends = [here + part[:, None] * (trial - here) for part in (low, high)]
        landed = torch.where(reached[:, None], trial, within(ends[0], box))
        # What blocks the way is linearised just where it does.
        _, normal, offset = _linearised(model, within(ends[1], box), goal, rival[active])
        away = norms(landed - home, 2)
        with torch.no_grad():
            better = goal.reached(model(landed)) & (away < far)
        gain = torch.where(better, 1 - away / far, 0.0)
        point[active] = torch.where(better[:, None], landed, here)
        distance[active] = torch.where(better, away, far)
        normals = torch.cat([normal[:, None], normals[:, :-1]], dim=1)
        offsets = torch.cat([offset[:, None], offsets[:, :-1]], dim=1)
        idle = torch.where(gain > _AT_REST, 0.0, idle + 1)
        going = idle < _PATIENCE
        if not going.any():
            break
        active, idle = active[going], idle[going]
        normals, offsets = normals[going], offsets[going]
    return point
