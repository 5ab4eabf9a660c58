"""What makes attacks on a model fail for reasons other than robustness, and what helps."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from empirics.adversary.ball import Ball, sizes
from empirics.adversary.batch import Model, margin, scale
from empirics.adversary.goal import Goal
from empirics.adversary.objective import objective_of
from empirics.attacks.pgd import ascended
from empirics.seeds import torch_stream
from theory.errors import InputError

_RANDOM = (
    "two calls at the same inputs give different logits: gradients and labels are noise around "
    "their mean",
    "averaged(model, None, samples, stream), or averaged(model, transform, ...)",
)
_NOT_FINITE = (
    "logits or their gradients are infinite or not numbers: steps along them lead nowhere",
    "divide the logits by a constant, work in double precision, or straight_through(part, ...)",
)
_VANISHING = (
    "the gradient of the cross entropy is zero although the logits have one: the softmax is "
    "saturated",
    "attack log odds or margins (all attacks here do), or divide the logits by a constant",
)
_NOT_DIFFERENTIABLE = (
    "the logits change with the input where their gradient is zero or not there: a part is not "
    "differentiable",
    "straight_through(preprocess, backward) around that part, or hop_skip_jump",
)
_RANDOM_BETTER = (
    "random steps raise the loss more than the gradient's: the gradient does not point uphill",
    "straight_through(preprocess, backward), averaged(model, transform, ...), or hop_skip_jump",
)
_BLIND_BETTER = (
    "random points of the ball have other labels where steps along the gradient found none",
    "hop_skip_jump or points transferred from another model; then straight_through or averaged",
)
_NOT_GROWING = (
    "a larger budget finds no more adversarial points although labels change farther out",
    "hop_skip_jump or transferred points; then straight_through or averaged",
)


@dataclass(frozen=True)
class Flag:
    """One reason for which the outcome of attacks on a model is not to be trusted.

    Attributes
    ----------
    name : str
        "random", "not finite", "vanishing", "not differentiable", "random direction",
        "blind attack" or "budget".
    share : float
        Part of the points at which it was seen.
    explanation : str
        What was seen, and what it does to attacks.
    remedy : str
        The wrapper or attack to use.
    """

    name: str
    share: float
    explanation: str
    remedy: str


def diagnosed(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    norm: str = "linf",
    directions: int = 20,
    steps: int = 20,
    least_share: float = 0.05,
    seed: int = 0,
) -> list[Flag]:
    """Return the flags of a model under attack; none speaks for it, none proves it robust.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    norm : str
        "l1", "l2" or "linf", of steps and budgets.
    directions : int
        Random steps and points tried.
    steps : int
        Of the gradient attack.
    least_share : float
        A flag is raised where it concerns more than this part of the points.
    seed : int
        Of the random directions.

    Returns
    -------
    list of Flag

    Raises
    ------
    InputError
        If x and y do not match.

    References
    ----------
    Athalye, Carlini and Wagner, Obfuscated gradients give a false sense of security (ICML 2018),
    section 3.1. Carlini et al., On evaluating adversarial robustness (arXiv:1902.06705),
    section 5.
    """
    if y.shape != (len(x),) or not len(x):
        raise InputError(f"y: shape {tuple(y.shape)}; expected ({len(x)},), n >= 1")
    found: list[Flag] = []

    def raise_where(mask: torch.Tensor, name: str, texts: tuple[str, str]) -> bool:
        share = float(mask.double().mean())
        if share > least_share:
            found.append(Flag(name, share, *texts))
        return share > least_share

    with torch.no_grad():
        logits, again = model(x), model(x)
    finite = torch.isfinite(logits).all(dim=1)
    rounding = torch.finfo(logits.dtype).eps ** 0.5
    moved = (logits - again).abs().amax(dim=1) > rounding * (1 + logits.abs().amax(dim=1))
    random = raise_where(finite & moved, "random", _RANDOM)

    slope = _gradient(model, x, lambda z: margin(z, y))
    smooth = torch.isfinite(slope).flatten(1).all(dim=1)
    if raise_where(~(finite & smooth), "not finite", _NOT_FINITE):
        return found
    stream = torch_stream(seed, "directions")
    unit = _unit(slope, logits, x, y, norm)
    dead = (slope == 0).flatten(1).all(dim=1)
    if not random:
        entropy = _gradient(
            model, x, lambda z: torch.nn.functional.cross_entropy(z, y, reduction="none")
        )
        saturated = (entropy == 0).flatten(1).all(dim=1) & ~dead
        raise_where(saturated, "vanishing", _VANISHING)
        changes = _changes(model, x, unit, norm, directions, stream)
        raise_where(dead & changes, "not differentiable", _NOT_DIFFERENTIABLE)
        raise_where(
            _random_better(model, x, y, slope, unit, norm, directions, stream),
            "random direction",
            _RANDOM_BETTER,
        )
    _compare_attacks(model, x, y, unit, norm, directions, steps, stream, raise_where)
    return found


def _gradient(
    model: Model, x: torch.Tensor, value: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Return the gradient of a function of the logits, 0 where there is no path to the inputs."""
    point = x.detach().requires_grad_(True)
    result = value(model(point)).sum()
    if not result.requires_grad:
        return torch.zeros_like(x)
    (gradient,) = torch.autograd.grad(result, point, allow_unused=True)
    return torch.zeros_like(x) if gradient is None else gradient


def _unit(
    slope: torch.Tensor, logits: torch.Tensor, x: torch.Tensor, y: torch.Tensor, norm: str
) -> torch.Tensor:
    """Return a length for each point, (n,): its first-order distance, at most the data's spread."""
    dual = {"l1": "linf", "l2": "l2", "linf": "l1"}[norm]
    tiny = torch.finfo(x.dtype).tiny
    distance = margin(logits, y).abs() / sizes(slope, dual).clamp_min(tiny)
    spread = sizes(x - x.mean(dim=0), norm).amax() if len(x) > 1 else sizes(x, norm).amax()
    spread = spread.clamp_min(torch.finfo(x.dtype).eps)
    length: torch.Tensor = torch.where((distance > 0) & (distance < spread), distance, spread)
    return length


def _steps(
    x: torch.Tensor, length: torch.Tensor, norm: str, stream: torch.Generator
) -> torch.Tensor:
    """Return random steps of the given lengths, shape of x."""
    draw = torch.randn(x.shape, generator=stream, dtype=x.dtype).to(x.device)
    draw = draw.sign() if norm == "linf" else draw
    return scale(length / sizes(draw, norm), draw)


def _changes(
    model: Model,
    x: torch.Tensor,
    unit: torch.Tensor,
    norm: str,
    directions: int,
    stream: torch.Generator,
) -> torch.Tensor:
    """Return where the logits change along some random step, (n,)."""
    with torch.no_grad():
        here = model(x)
        changed = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for _ in range(directions):
            there = model(x + _steps(x, unit, norm, stream))
            changed |= (there != here).any(dim=1)
    return changed


def _random_better(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    slope: torch.Tensor,
    unit: torch.Tensor,
    norm: str,
    directions: int,
    stream: torch.Generator,
) -> torch.Tensor:
    """Return where a random step lowers the margin further than the gradient's, in small steps."""
    short = 0.1 * unit
    ball = Ball.around(x, short.detach().cpu(), norm)
    with torch.no_grad():
        here = margin(model(x), y)
        there = margin(model(x + scale(short, ball.steepest(-slope, x))), y)
        best = torch.full_like(there, torch.inf)
        for _ in range(directions):
            best = torch.minimum(best, margin(model(x + _steps(x, short, norm, stream)), y))
    rounding = torch.finfo(here.dtype).eps ** 0.5 * (here.abs() + 1)
    better: torch.Tensor = best < torch.minimum(there, here) - rounding
    return better


def _compare_attacks(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    unit: torch.Tensor,
    norm: str,
    directions: int,
    steps: int,
    stream: torch.Generator,
    raise_where: Callable[[torch.Tensor, str, tuple[str, str]], bool],
) -> None:
    """Compare ascents at growing budgets with random points of the same balls."""
    objective = objective_of(model, Goal(y))
    everything = torch.arange(len(x), device=x.device)
    with torch.no_grad():
        right = model(x).argmax(dim=1) == y
    white, blind = [], []
    for factor in (1.0, 4.0, 16.0):
        ball = Ball.around(x, (factor * unit).detach().cpu(), norm)
        if _differentiable(model, x):
            white.append(ascended(objective, ball, everything, steps, 2.5 / steps)[1])
        else:
            white.append(~right)
        with torch.no_grad():
            hits = [model(ball.sample(stream)).argmax(dim=1) != y for _ in range(directions)]
        blind.append(torch.stack(hits).any(dim=0))
    reached = torch.stack(white)
    drawn = torch.stack(blind)
    raise_where((right & drawn & ~reached).any(dim=0), "blind attack", _BLIND_BETTER)
    stuck = right & ~reached[-1] & drawn[-1]
    raise_where(stuck | (right & reached[0] & ~reached[-1]), "budget", _NOT_GROWING)


def _differentiable(model: Model, x: torch.Tensor) -> bool:
    """Whether there is a path from the logits to the inputs."""
    return bool(model(x[:1].detach().requires_grad_(True)).requires_grad)
