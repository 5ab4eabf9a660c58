"""The attacks of Carlini and Wagner in l2 and linf: a penalty for the margin, by Adam."""

from collections.abc import Callable

import torch

from empirics.adversary.batch import Model, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.adversary.nearest import Nearest, first_order_distance, surpassed
from empirics.attacks.registry import attack

_INSIDE = 0.99
"""The change of variables reaches a little beyond the box, so that it is not flat at its ends."""
_PARTS = 10
_WORTHWHILE = 0.9999
"""A search ends when a tenth of its steps lowered no point's loss below this part of it."""
_GROWTH = 10.0
_LARGEST = 1e4
"""Weights of the margin that did not help by then will not."""
_CLOSE = 1.005


@attack("cw_l2")
def cw_l2(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 1000,
    search_steps: int = 9,
    step_size: float = 0.01,
    weight: float = 1.0,
    confidence: float = 0.0,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return close points in l2 that have another label; x where none was found.

    White box, minimal l2: |x' - x|^2 + c max(margin, -confidence) is minimised for a c found by
    bisection, x' being a scaled tanh of free variables where there is a box. Unlike as published
    lengths are in units of each point's first-order distance to the boundary and margins in units
    of the one at x, so that nothing depends on the scale of inputs or logits; the change of
    variables has a slope at the ends of the box as well; and the best point is last drawn towards
    x.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    steps : int
        Steps of Adam for each c, at most: fewer where a tenth of them gained nothing.
    search_steps : int
        Values of c.
    step_size : float
        Adam's, in the free variables.
    weight : float
        The first c.
    confidence : float
        Margin by which the other label is to win, in logits.
    box : tuple of float, optional
        Lowest and highest value of a coordinate; kept exactly.
    targets : Tensor, shape (n,), optional
        Labels to reach.

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
    Carlini and Wagner, Towards evaluating the robustness of neural networks (IEEE S&P 2017),
    section VI.A.
    """
    checked(model, x, y, box=box, targets=targets)
    descent = _Descent(model, x, Goal(y, targets), "l2", box, confidence)
    low = torch.zeros_like(descent.unit)
    high = torch.full_like(low, torch.inf)
    c = torch.full_like(low, weight)

    def length(shift: torch.Tensor) -> torch.Tensor:
        return shift.flatten(1).square().sum(dim=1)

    for _ in range(search_steps):
        hit = descent.run(length, c, steps, step_size, descent.start)[1]
        low, high = torch.where(hit, low, c), torch.where(hit, c, high)
        c = torch.where(high.isfinite(), (low + high) / 2, _GROWTH * c)
    return descent.result()


@attack("cw_linf")
def cw_linf(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 200,
    rounds: int = 20,
    step_size: float = 0.01,
    decay: float = 0.9,
    confidence: float = 0.0,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return close points in linf that have another label; x where none was found.

    White box, minimal linf: sum_i max(|x'_i - x_i| - tau, 0) + c max(margin, -confidence) is
    minimised for falling tau, each search starting where the last one ended; c grows where a
    search failed. Units and variables are as in `cw_l2`; unlike as published tau rises again, to
    between the last failure and the last success.

    Parameters
    ----------
    model, x, y, step_size, confidence, box, targets
        As in `cw_l2`.
    steps : int
        Steps of Adam in a round, at most.
    rounds : int
        Pairs of tau and c, at most.
    decay : float
        The next tau as a part of the smallest distance so far.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        As `cw_l2`.

    References
    ----------
    Carlini and Wagner (IEEE S&P 2017), section VI.C.
    """
    checked(model, x, y, box=box, targets=targets)
    descent = _Descent(model, x, Goal(y, targets), "linf", box, confidence)
    # In units of the first-order distance, like the shifts that the penalty sees.
    tau = torch.full_like(descent.unit, 1 / decay)
    failed, c = torch.zeros_like(tau), torch.ones_like(tau)
    free = descent.start
    for _ in range(rounds):
        best = descent.nearest.distance / descent.unit
        limit = tau

        def excess(shift: torch.Tensor, limit: torch.Tensor = limit) -> torch.Tensor:
            return (shift.abs().flatten(1) - limit[:, None]).clamp_min(0.0).sum(dim=1)

        free, _ = descent.run(excess, c, steps, step_size, free)
        reached = descent.nearest.distance / descent.unit
        nearer = reached < best
        spent = ~nearer & (c >= _LARGEST)
        failed = torch.where(spent, tau, failed)
        c = torch.where(nearer | spent, torch.ones_like(c), _GROWTH * c)
        lower = torch.maximum(decay * reached, (failed * reached).sqrt())
        tau = torch.where(nearer | spent, torch.where(reached.isfinite(), lower, 2 * tau), tau)
        # Where it failed the search does not go on from its end, which may be far away.
        mask = nearer.reshape(-1, *[1] * (x.ndim - 1))
        free = torch.where(mask, free, descent.start)
        if bool((reached <= _CLOSE * failed).all()):
            break
    return descent.result()


class _Descent:
    """Descents on penalties of shift and margin; every point seen is offered to the nearest."""

    def __init__(
        self,
        model: Model,
        x: torch.Tensor,
        goal: Goal,
        norm: str,
        box: Box | None,
        confidence: float,
    ) -> None:
        self.model, self.x, self.goal, self.box = model, x, goal, box
        self.confidence = confidence
        self.margin, self.unit = first_order_distance(model, x, goal, norm)
        self.nearest = Nearest(x, norm, box)
        self.start = torch.zeros_like(x)
        if box is not None:
            low, high = box
            self.start = torch.atanh(_INSIDE * (2 * (x - low) / (high - low) - 1))

    def _decoded(self, free: torch.Tensor) -> torch.Tensor:
        if self.box is None:
            return self.x + scale(self.unit, free)
        low, high = self.box
        return low + (high - low) * (torch.tanh(free) / _INSIDE + 1) / 2

    def run(
        self,
        penalty: Callable[[torch.Tensor], torch.Tensor],
        weight: torch.Tensor,
        steps: int,
        step_size: float,
        start: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the free variables at the end, and which points reached the goal on the way."""
        free = start.clone().requires_grad_(True)
        adam = torch.optim.Adam([free], lr=step_size)
        hit = torch.zeros(len(self.x), dtype=torch.bool, device=self.x.device)
        lowest = torch.full_like(self.unit, torch.inf)
        for step in range(steps + 1):
            wide = self._decoded(free)
            # The model sees points of the box, and its gradient goes through where they were cut.
            point = wide + (within(wide.detach(), self.box) - wide.detach())
            logits = self.model(point)
            missing = self.goal.margin(logits) + self.confidence
            seen = within(point.detach(), self.box)
            success = surpassed(self.goal, logits.detach(), self.confidence)
            hit |= success
            self.nearest.offer(seen, success)
            shift = scale(1 / self.unit, wide - self.x)
            loss = penalty(shift) + weight * (missing / self.margin).clamp_min(0.0)
            if step % max(1, steps // _PARTS) == 0:
                if not bool((loss.detach() < _WORTHWHILE * lowest).any()):
                    break
                lowest = torch.minimum(lowest, loss.detach())
            if step < steps:
                (free.grad,) = torch.autograd.grad(loss.sum(), free)
                adam.step()
        return free.detach(), hit

    def result(self) -> torch.Tensor:
        """Return the nearest points, drawn towards x."""
        return self.nearest.drawn_in(self.model, self.goal, self.confidence)
