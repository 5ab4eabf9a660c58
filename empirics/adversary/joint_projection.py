"""Linearised steps to the boundaries of several classifiers at once."""

import itertools

import numpy as np
import torch
from scipy.optimize import linprog

from empirics.adversary.checks import Box
from empirics.adversary.cuts import nearest_in_half_spaces
from empirics.adversary.goal import within
from empirics.adversary.half_space import norms
from empirics.adversary.projection import Embedding, jacobian
from empirics.adversary.together import Together

_CUTS = 4
_BEYOND = 1e-6
_BISECTIONS = 8
_AT_REST = 1e-5
_RIDGE = 1e-9
_TINY = 1e-12
_LOOKED_AT = 100


def linearised_search(
    model: Together,
    origin: torch.Tensor,
    rivals: torch.Tensor,
    steps: int,
    *,
    p: float = 2,
    box: Box | None = None,
    embed: Embedding | None = None,
) -> torch.Tensor:
    """Return points where each classifier has about the same logits for its label and a rival.

    DeepFool's step for all classifiers at once, towards given labels: from the origin to the
    nearest point behind all boundaries, linearised at the last point.

    Parameters
    ----------
    model : Together
        Of points (n, d).
    origin : Tensor, shape (n, d)
    rivals : Tensor, shape (m, n)
    steps : int
    p, box, embed
        As in `project_jointly`.

    Returns
    -------
    Tensor, shape (n, d)
        Not always adversarial: the label may be kept, or a boundary be missed.
    """
    target = origin if embed is None else embed(origin).flatten(1)
    point = origin
    for _ in range(steps):
        value, normal = _linearised(model, point, rivals)
        point = within(_aim(origin, point, value, normal, p, box, target, embed), box)
    return point


def ranked_rivals(
    model: Together,
    origin: torch.Tensor,
    count: int,
    *,
    box: Box | None = None,
    embed: Embedding | None = None,
) -> torch.Tensor:
    """Return the combinations of labels nearest to first order in l2, shape (c, m, n).

    Parameters
    ----------
    model : Together
        Of points (n, d).
    origin : Tensor, shape (n, d)
    count : int
        Combinations of each point, at most; they are chosen among no more than 100.
    box, embed
        As in `project_jointly`.
    """
    m, n = len(model.models), len(origin)
    values, normals, labels = zip(*(_boundaries(model, origin, i) for i in range(m)), strict=True)
    each = max(2, int(_LOOKED_AT ** (1 / m) + 1e-9))
    likely = [
        (v / g.norm(dim=2).clamp_min(_TINY)).argsort(dim=0)[:each]
        for v, g in zip(values, normals, strict=True)
    ]
    rows = torch.arange(n, device=origin.device)
    target = origin if embed is None else embed(origin).flatten(1)
    distances, combined = [], []
    for ks in itertools.product(*(range(len(order)) for order in likely)):
        chosen = [order[k] for order, k in zip(likely, ks, strict=True)]
        value = torch.stack([v[c, rows] for v, c in zip(values, chosen, strict=True)], dim=1)
        normal = torch.stack([g[c, rows] for g, c in zip(normals, chosen, strict=True)], dim=1)
        aim = _aim(origin, origin, *_cuts(value, normal), 2, box, target, embed)
        reach = aim if embed is None else embed(aim).flatten(1)
        distances.append((reach - target).norm(dim=1))
        combined.append(torch.stack([own[c] for own, c in zip(labels, chosen, strict=True)]))
    order = torch.stack(distances).argsort(dim=0)[:count]
    every = torch.stack(combined)
    return torch.stack([every[some, :, rows].T for some in order])


def _boundaries(
    model: Together, x: torch.Tensor, i: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return one classifier's margins (k, n), their gradients (k, n, d) and the k other labels."""
    point = x.detach().requires_grad_(True)
    logits = model.models[i](point) / model.units[i]
    own = model.labels[i]
    others = [k for k in range(logits.shape[1]) if k != own]
    gaps = [logits[:, own] - logits[:, k] for k in others]
    slopes = [torch.autograd.grad(gap.sum(), point, retain_graph=True)[0] for gap in gaps]
    return torch.stack(gaps).detach(), torch.stack(slopes), torch.tensor(others, device=x.device)


def project_jointly(
    model: Together,
    origin: torch.Tensor,
    point: torch.Tensor,
    steps: int,
    *,
    p: float = 2,
    box: Box | None = None,
    embed: Embedding | None = None,
) -> torch.Tensor:
    """Return points that no classifier gives its label, at most as far from the origins.

    Each step goes towards the nearest point behind the linearised boundaries of all classifiers
    (of the four with the largest margins), as far as every label stays changed: at the joint
    optimum several boundaries meet, and one of them alone sends the point to and fro.

    Parameters
    ----------
    model : Together
        Of points (n, d).
    origin, point : Tensor, shape (n, d)
        Points where a classifier keeps its label are returned unchanged.
    steps : int
        At most so many.
    p : float
        2 or inf; with `embed` 2.
    box : tuple of float, optional
        Of each coordinate; not with `embed`.
    embed : callable, optional
        Distances are |embed(p) - embed(origin)|.

    References
    ----------
    Moosavi-Dezfooli, Fawzi and Frossard, DeepFool (CVPR 2016), for the linearised step; Croce and
    Hein (ICML 2020) take it from the origin.
    """

    def image_of(points: torch.Tensor) -> torch.Tensor:
        return points if embed is None else embed(points).flatten(1)

    point, target = point.clone(), image_of(origin)
    distance = norms(image_of(point) - target, p)
    active = (_all_left(model, point) & (distance > 0)).nonzero()[:, 0]
    for _ in range(steps):
        if not len(active):
            break
        here, home = point[active], origin[active]
        value, normal = _linearised(model, here)
        aim = _aim(home, here, value, normal, p, box, target[active], embed)
        trial = _as_far_as_all_left(model, here, aim, box)
        away = norms(image_of(trial) - target[active], p)
        better = (away < distance[active]) & _all_left(model, trial)
        gain = torch.where(better, 1 - away / distance[active], 0.0)
        point[active] = torch.where(better[:, None], trial, here)
        distance[active] = torch.where(better, away, distance[active])
        active = active[gain > _AT_REST]
    return point


def _all_left(model: Together, points: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(points).argmax(dim=1) == 1


def _as_far_as_all_left(
    model: Together, here: torch.Tensor, aim: torch.Tensor, box: Box | None
) -> torch.Tensor:
    """Return the points nearest to the aims on the way there that keep all labels changed."""
    low = _all_left(model, within(aim, box)).to(here)
    high = torch.ones_like(low)
    for _ in range(0 if low.all() else _BISECTIONS):
        middle = (low + high) / 2
        left = _all_left(model, within(here + middle[:, None] * (aim - here), box))
        low, high = torch.where(left, middle, low), torch.where(left, high, middle)
    return within(torch.where(low[:, None] == 1, aim, here + low[:, None] * (aim - here)), box)


def _linearised(
    model: Together, here: torch.Tensor, rivals: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest margins, (n, 4), and their gradients, (n, 4, d); zero where fewer."""
    point = here.detach().requires_grad_(True)
    margins = model.margins(point, rivals)
    slopes = [torch.autograd.grad(row.sum(), point, retain_graph=True)[0] for row in margins]
    return _cuts(margins.detach().T, torch.stack(slopes, dim=1))


def _cuts(values: torch.Tensor, normals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the four largest of the margins (n, m) and their gradients, zeros where fewer."""
    order = values.argsort(dim=1, descending=True)[:, :_CUTS]
    values = values.gather(1, order)
    normals = normals.gather(1, order[:, :, None].expand(-1, -1, normals.shape[2]))
    missing = _CUTS - values.shape[1]
    pad = torch.nn.functional.pad
    return pad(values, (0, missing)), pad(normals, (0, 0, 0, missing))


def _aim(
    home: torch.Tensor,
    here: torch.Tensor,
    value: torch.Tensor,
    normal: torch.Tensor,
    p: float,
    box: Box | None,
    target: torch.Tensor,
    embed: Embedding | None,
) -> torch.Tensor:
    """Return the solutions of the linearised problems, a little beyond the boundaries."""
    if embed is not None:
        return _aim_embedded(here, value, normal, target, embed)
    offset = value - (normal @ here[..., None])[..., 0]
    far = norms(here - home, p)
    slope = normal.abs().sum(dim=2) if p != 2 else normal.norm(dim=2)
    offset = offset + _BEYOND * far[:, None] * slope
    if p == 2:
        return nearest_in_half_spaces(home, normal, offset, box)
    return _nearest_in_cube(home, here, normal, offset, box)


def _aim_embedded(
    here: torch.Tensor,
    value: torch.Tensor,
    normal: torch.Tensor,
    target: torch.Tensor,
    embed: Embedding,
) -> torch.Tensor:
    # With J^T J = L L^T and s = L^-T u, |e + J s|^2 is |u - u0|^2 and a constant.
    j = jacobian(embed, here)
    gram = j.mT @ j
    mean = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(torch.finfo(j.dtype).tiny)
    ridge = _RIDGE * mean[:, None, None] * torch.eye(gram.shape[-1]).to(gram)
    root = torch.linalg.cholesky(gram + ridge)
    with torch.no_grad():
        offset = embed(here).flatten(1) - target
    solve = torch.linalg.solve_triangular
    start = -solve(root, j.mT @ offset[..., None], upper=False)[..., 0]
    across = solve(root, normal.mT, upper=False).mT
    beyond = _BEYOND * offset.norm(dim=1)[:, None] * across.norm(dim=2)
    solved = nearest_in_half_spaces(start, across, value + beyond)
    aim: torch.Tensor = here + solve(root.mT, solved[..., None], upper=True)[..., 0]
    return aim


def _nearest_in_cube(
    home: torch.Tensor,
    here: torch.Tensor,
    normal: torch.Tensor,
    offset: torch.Tensor,
    box: Box | None,
) -> torch.Tensor:
    """Return the points nearest in linf that lie behind all boundaries; `here` where none does."""
    found = here.clone()
    excess = (offset + (normal @ home[..., None])[..., 0]).double().cpu().numpy()
    planes, places = normal.double().cpu().numpy(), home.double().cpu().numpy()
    d = home.shape[1]
    cost = np.concatenate([np.zeros(d), [1.0]])
    edges = np.block([[np.eye(d), -np.ones((d, 1))], [-np.eye(d), -np.ones((d, 1))]])
    for i in range(len(home)):
        used = np.abs(planes[i]).sum(axis=1) > 0
        behind = np.concatenate([planes[i][used], np.zeros((used.sum(), 1))], axis=1)
        room = [(None, None)] * d if box is None else [(box[0] - v, box[1] - v) for v in places[i]]
        solved = linprog(
            cost,
            np.concatenate([behind, edges]),
            np.concatenate([-excess[i][used], np.zeros(2 * d)]),
            bounds=[*room, (0, None)],
            method="highs",
        )
        if solved.x is not None:
            found[i] = home[i] + torch.from_numpy(solved.x[:d]).to(home)
    return found
