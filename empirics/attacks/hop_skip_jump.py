"""HopSkipJump: a walk along the boundary that sees labels alone (Chen et al., S&P 2020)."""

import math

import torch

from empirics.adversary.ball import sizes
from empirics.adversary.batch import Model, scale
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.adversary.nearest import Nearest
from empirics.attacks.registry import attack
from theory.errors import InputError

_TRIALS = 100
_BISECTIONS = 60
_HALVINGS = 40
_GROWTH = 1.2
_ROWS = 8192
"""Inputs in one call of the model, at most."""


@attack("hop_skip_jump")
def hop_skip_jump(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    stream: torch.Generator,
    norm: str = "l2",
    iterations: int = 40,
    queries: int = 100,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    starts: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return close points that have another label, from labels alone; x where none was found.

    Black box (decisions), minimal l2 or linf, all points in step.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K); only their argmax is used.
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    stream : torch.Generator
        Draws starts and directions.
    norm : str
        "l2" or "linf".
    iterations : int
        Rounds of bisection, estimated gradient and step.
    queries : int
        Directions of the first estimate; sqrt(t) times as many in round t.
    box : tuple of float, optional
        Lowest and highest value of a coordinate; kept exactly.
    targets : Tensor, shape (n,), optional
        Labels to reach.
    starts : Tensor, optional
        Shape of x; points that reach the goal. Others are sought at random: uniform in the box and
        among its corners, or by normal steps from x of growing length.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the inputs, labels, targets, norm or the model's values are not as above.

    References
    ----------
    Chen, Jordan and Wainwright, HopSkipJumpAttack: a query-efficient decision-based attack (IEEE
    S&P 2020), algorithms 1 and 2.
    """
    checked(model, x, y, box=box, targets=targets)
    if norm not in ("l2", "linf"):
        raise InputError(f"norm: '{norm}'; expected l2 or linf")
    whole = Goal(y, targets)
    with torch.no_grad():
        pending = (~whole.reached(model(x))).nonzero()[:, 0]
        found = x.clone()
        if len(pending):
            begin = None if starts is None else starts[pending]
            walk = _Walk(model, x[pending], whole.of(pending), norm, box, stream)
            found[pending] = walk.run(iterations, queries, begin)
        keep = whole.reached(model(found)) & ~whole.reached(model(x))
    return torch.where(keep.reshape(-1, *[1] * (x.ndim - 1)), found, x)


class _Walk:
    """The walks of a batch; those that have no start stay where they are."""

    def __init__(
        self,
        model: Model,
        x: torch.Tensor,
        goal: Goal,
        norm: str,
        box: Box | None,
        stream: torch.Generator,
    ) -> None:
        self.model, self.x, self.goal = model, x, goal
        self.norm, self.box, self.stream = norm, box, stream
        self.features = x[0].numel()

    def reached(self, points: torch.Tensor) -> torch.Tensor:
        return self.goal.reached(self.model(points))

    def run(self, iterations: int, queries: int, starts: torch.Tensor | None) -> torch.Tensor:
        """Return the nearest points seen."""
        x = self.x
        points, started = self._start() if starts is None else (starts, self.reached(starts))
        best = Nearest(x, self.norm, self.box)
        # The boundary is met to within theta, which leaves room for the estimate's directions.
        power = 1.5 if self.norm == "l2" else 2.0
        theta = self.features**-power
        for t in range(1, iterations + 1):
            before = sizes(points - x, self.norm)
            points = self._bisected(points, theta)
            best.offer(points, started)
            distance = sizes(points - x, self.norm)
            spread = theta * (math.sqrt(self.features) if self.norm == "l2" else self.features)
            delta = 0.1 * before if t == 1 else spread * distance
            direction = self._estimate(points, delta, round(queries * math.sqrt(t)))
            points = self._stepped(points, direction, distance / math.sqrt(t), started)
        best.offer(self._bisected(points, theta), started)
        return best.points

    def _start(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return random points that reach the goal, and where there are some."""
        points = self.x.clone()
        started = torch.zeros(len(points), dtype=torch.bool, device=points.device)
        length = sizes(self.x, "l2").clamp_min(1.0)
        for trial in range(_TRIALS):
            if self.box is None:
                draw = self._normal(self.x.shape)
                draw = self.x + scale(length * _GROWTH**trial / sizes(draw, "l2"), draw)
            else:
                low, high = self.box
                part = torch.rand(self.x.shape, generator=self.stream, dtype=self.x.dtype)
                if trial % 2:
                    # Corners of the box, of any share of high ends: farther out than noise.
                    share = torch.rand(len(part), generator=self.stream, dtype=self.x.dtype)
                    part = (part < scale(share, torch.ones_like(part))).to(part)
                draw = within(low + (high - low) * part.to(self.x), self.box)
            hit = self.reached(draw) & ~started
            points[hit], started = draw[hit], started | hit
            if bool(started.all()):
                break
        return points, started

    def _normal(self, shape: torch.Size | tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=self.stream, dtype=self.x.dtype).to(self.x)

    def _towards(self, points: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        """Return points between x (part 0) and the given ones (part 1)."""
        if self.norm == "l2":
            return within(self.x + scale(part, points - self.x), self.box)
        limit = (part * sizes(points - self.x, "linf")).reshape(-1, *[1] * (points.ndim - 1))
        return torch.minimum(torch.maximum(points, self.x - limit), self.x + limit)

    def _bisected(self, points: torch.Tensor, theta: float) -> torch.Tensor:
        """Return the points brought to the boundary, on the side of the goal."""
        low = torch.zeros(len(points), dtype=points.dtype, device=points.device)
        high, nearest = torch.ones_like(low), points
        theta = max(theta, 4 * torch.finfo(points.dtype).eps)
        for _ in range(_BISECTIONS):
            if bool((high - low <= theta * high).all()):
                break
            middle = (low + high) / 2
            trial = self._towards(points, middle)
            hit = self.reached(trial)
            low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
            nearest = torch.where(hit.reshape(-1, *[1] * (points.ndim - 1)), trial, nearest)
        return nearest

    def _estimate(self, points: torch.Tensor, delta: torch.Tensor, queries: int) -> torch.Tensor:
        """Return the estimated normal of the boundary, towards the goal, in units of its norm."""
        shape = points.shape
        n, item = len(points), shape[1:]
        total, votes = torch.zeros_like(points), torch.zeros(n).to(points)
        plain = torch.zeros_like(points)
        at_once = max(1, _ROWS // n)
        for first in range(0, queries, at_once):
            count = min(at_once, queries - first)
            draw = self._normal((n, count, *item))
            draw = draw / draw.flatten(2).norm(dim=2).reshape(n, count, *[1] * len(item))
            reach = delta.reshape(-1, *[1] * (draw.ndim - 1))
            trial = within(points[:, None] + reach * draw, self.box)
            # In a box the direction that was tried is the one that was cut.
            draw = (trial - points[:, None]) / reach.clamp_min(torch.finfo(points.dtype).tiny)
            rows = torch.arange(n, device=points.device).repeat_interleave(count)
            logits = self.model(trial.reshape(n * count, *item))
            signs = 2 * self.goal.of(rows).reached(logits).to(points).reshape(n, count) - 1
            weighted = signs.reshape(n, count, *[1] * len(item)) * draw
            total, plain = total + weighted.sum(dim=1), plain + draw.sum(dim=1)
            votes = votes + signs.sum(dim=1)
        mean = votes / queries
        # The mean vote is taken off, unless all agree.
        agreed = mean.abs() == 1
        direction = total - scale(torch.where(agreed, 0.0, mean).to(points), plain)
        if self.norm == "linf":
            return direction.sign()
        tiny = torch.finfo(points.dtype).tiny
        return scale(1 / sizes(direction, "l2").clamp_min(tiny), direction)

    def _stepped(
        self,
        points: torch.Tensor,
        direction: torch.Tensor,
        length: torch.Tensor,
        active: torch.Tensor,
    ) -> torch.Tensor:
        """Return the points after the longest of the halved steps that keeps the goal reached."""
        moved, left = points, active
        for _ in range(_HALVINGS):
            trial = within(points + scale(length, direction), self.box)
            hit = self.reached(trial) & left
            moved = torch.where(hit.reshape(-1, *[1] * (points.ndim - 1)), trial, moved)
            left = left & ~hit
            if not bool(left.any()):
                break
            length = length / 2
        return moved
