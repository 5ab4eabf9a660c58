"""The strongest search for a nearest adversarial point: many short descents, the best ones on."""

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.cuts import walk
from empirics.adversary.descent import Schedule, descend
from empirics.adversary.goal import Goal, within
from empirics.adversary.half_space import norms
from empirics.adversary.plan import BUDGETS, Plan
from empirics.adversary.projection import sequential_projection
from empirics.attacks.fewest_changes import fewest_changes
from empirics.seeds import torch_stream
from theory.errors import InputError, nearest

__all__ = ["BUDGETS", "minimal"]

_FAR = Schedule(steps=30, stride=(1.0, 0.1), gamma=(0.6, 0.01))
"""For points that no other descent has found: the radius grows more than a millionfold."""
_BEYOND = (1e-6, 1e-5, 1e-4, 1e-3)
"""A point that the batch as a whole does not confirm is moved on by these parts of its distance."""
_SHAKE = 0.3
_OUT = 1.05
_AT_ONCE = 1024
"""Points that are descended from together, unless the batch itself has more."""


class _Search:
    """The nearest adversarial points of one batch so far, and what brings them nearer."""

    def __init__(
        self, model: Model, x: torch.Tensor, goal: Goal, p: float, box: Box | None
    ) -> None:
        self.shape, self.p, self.box = x.shape, p, box
        self.raw, self.goal = model, goal
        self.origin = x.flatten(1)
        self.best = self.origin.clone()
        with torch.no_grad():
            logits = model(x)
        self.logits = logits
        self.distance = torch.where(goal.reached(logits), 0.0, torch.inf).to(x)

    def model(self, points: torch.Tensor) -> torch.Tensor:
        return self.raw(points.reshape(-1, *self.shape[1:]))

    def offer(self, rows: torch.Tensor, points: torch.Tensor) -> None:
        """Keep those points of the rows that are adversarial and nearer than the best."""
        with torch.no_grad():
            reached = self.goal.of(rows).reached(self.model(points))
        distance = norms(points - self.origin[rows], self.p)
        closer = reached & (distance < self.distance[rows])
        self.best[rows[closer]] = points[closer]
        self.distance[rows[closer]] = distance[closer]

    def run(
        self, rows: torch.Tensor, goal: Goal, start: torch.Tensor, schedule: Schedule
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Descend from starts of these rows, keep what is nearer, return what was found."""
        if not len(rows) or not schedule.steps:
            return start, torch.full_like(start[:, 0], torch.inf)
        points, distance = descend(
            self.model, self.origin[rows], goal, start, schedule, p=self.p, box=self.box
        )
        self.offer(rows, points)
        return points, distance

    def found(self) -> torch.Tensor:
        """Return the rows that can be improved, as indices."""
        return torch.nonzero(torch.isfinite(self.distance) & (self.distance > 0))[:, 0]

    def search(self, plan: Plan, stream: torch.Generator) -> None:
        """Do one stage; no distance grows by it."""
        points, distance = self.best.clone(), self.distance.clone()
        if plan.first.steps:
            rows = torch.nonzero(self.distance > 0)[:, 0]
            self.run(rows, self.goal.of(rows), self.origin[rows], plan.first)
            rows = torch.nonzero(torch.isinf(self.distance))[:, 0]
            self.run(rows, self.goal.of(rows), self.origin[rows], _FAR)
        if self.goal.targets is None:
            self._race(plan)
        self._sample(plan, stream)
        for _ in range(plan.shakes):
            rows = self.found()
            noise = self._noise(stream)[rows]
            length = norms(self.best[rows] - self.origin[rows], 2) / norms(noise, 2)
            moved = self.best[rows] + _SHAKE * length[:, None] * noise
            self.run(rows, self.goal.of(rows), within(moved, self.box), plan.shake)
        self._scatter(plan, stream)
        rows = self.found()
        self.run(rows, self.goal.of(rows), self.best[rows], plan.polish)
        self._project(plan.projections)
        if plan.walk and len(rows):
            self._walk(rows, self.best[rows], 2 * plan.walk)
        self._confirm(points, distance)

    def _confirm(self, points: torch.Tensor, distance: torch.Tensor) -> None:
        """Judge the whole batch at once; keep the given points where that leaves nothing nearer.

        Batches of other sizes round differently, and the nearest points lie at the boundary.
        """
        shift, found = self.best - self.origin, torch.isfinite(self.distance)
        reached = self._reached()
        for beyond in _BEYOND:
            missed = found & ~reached
            if not missed.any():
                break
            moved = within(self.origin + (1 + beyond) * shift, self.box)
            self.best = torch.where(missed[:, None], moved, self.best)
            reached = self._reached()
        far = torch.where(reached, norms(self.best - self.origin, self.p), torch.inf)
        nearer = far < distance
        self.best = torch.where(nearer[:, None], self.best, points)
        self.distance = torch.where(nearer, far, distance)

    def _reached(self) -> torch.Tensor:
        with torch.no_grad():
            return self.goal.reached(self.model(self.best))

    def _noise(self, stream: torch.Generator) -> torch.Tensor:
        noise = torch.randn(self.origin.shape, generator=stream, dtype=self.origin.dtype)
        return noise.to(self.origin.device)

    def _sample(self, plan: Plan, stream: torch.Generator) -> None:
        """Look at random points nearer than the nearest: other basins, where dimensions are few."""
        before = self.distance.clone()
        rows = self.found()
        for _ in range(plan.samples):
            part = torch.rand(len(self.origin), generator=stream, dtype=self.origin.dtype)
            reach = part.to(self.origin.device)[rows] * self.distance[rows]
            noise = self._noise(stream)[rows]
            moved = self.origin[rows] + (reach / norms(noise, self.p))[:, None] * noise
            self.offer(rows, within(moved, self.box))
        nearer = torch.nonzero(self.distance < before)[:, 0]
        self.run(nearer, self.goal.of(nearer), self.best[nearer], plan.pursuit)

    def _scatter(self, plan: Plan, stream: torch.Generator) -> None:
        """Descend from random starts, and walk on from all that is found: other basins."""
        rows = self.found()
        if not len(rows) or not plan.scattered.steps:
            return
        at_once = max(1, _AT_ONCE // len(rows))
        for begin in range(0, plan.starts, at_once):
            copies = rows.repeat(min(at_once, plan.starts - begin))
            self._descend_and_walk(copies, self.goal.of(copies), plan, stream)
        if plan.labels and self.goal.targets is None:
            for some in torch.split(self._rivals(plan.labels)[rows].T, at_once):
                copies = rows.repeat(len(some))
                self._descend_and_walk(
                    copies, Goal(self.goal.y[copies], some.flatten()), plan, stream
                )

    def _descend_and_walk(
        self, rows: torch.Tensor, goal: Goal, plan: Plan, stream: torch.Generator
    ) -> None:
        origin = self.origin[rows]
        noise = torch.randn(origin.shape, generator=stream, dtype=origin.dtype).to(origin.device)
        reach = _OUT * self.distance[rows] / norms(noise, self.p)
        start = within(origin + reach[:, None] * noise, self.box)
        points, _ = descend(self.model, origin, goal, start, plan.scattered, p=self.p, box=self.box)
        self._walk(rows, points, plan.walk)

    def _walk(self, rows: torch.Tensor, points: torch.Tensor, steps: int) -> None:
        """Walk from points of the rows, which may be repeated as a whole; keep the nearest."""
        origin, goal = self.origin[rows], self.goal.of(rows)
        if self.p == 2:
            points = walk(self.model, origin, points, goal, steps=steps, box=self.box)
        else:
            points = self._projected(rows, points, steps)
        with torch.no_grad():
            reached = goal.reached(self.model(points))
        distance = torch.where(reached, norms(points - origin, self.p), torch.inf)
        single = len(torch.unique(rows))
        copy = distance.reshape(-1, single).argmin(dim=0)
        chosen = copy * single + torch.arange(single, device=copy.device)
        self.offer(rows[chosen], points[chosen])

    def _rivals(self, count: int) -> torch.Tensor:
        """Return the other labels with the largest logits, shape (n, count) or fewer."""
        others = self.logits.scatter(1, self.goal.y[:, None], -torch.inf)
        return others.topk(min(count, others.shape[1] - 1), dim=1).indices

    def _race(self, plan: Plan) -> None:
        """Try the likeliest other labels one by one, and go on where that is promising."""
        ranked = self._rivals(plan.rivals)
        for k in range(ranked.shape[1] if self.logits.shape[1] > 2 else 0):
            rows = torch.nonzero(self.distance > 0)[:, 0]
            rival = Goal(self.goal.y, ranked[:, k])
            points, distance = self.run(rows, rival.of(rows), self.origin[rows], plan.probe)
            near = distance < plan.margin * self.distance[rows]
            self.run(rows[near], rival.of(rows[near]), points[near], plan.pursuit)

    def _project(self, steps: int) -> None:
        rows = self.found()
        if len(rows) and steps:
            self.offer(rows, self._projected(rows, self.best[rows], steps))

    def _projected(self, rows: torch.Tensor, points: torch.Tensor, steps: int) -> torch.Tensor:
        goal = self.goal.of(rows)
        return sequential_projection(
            self.model,
            self.origin[rows],
            points,
            goal.y,
            steps=steps,
            p=self.p,
            box=self.box,
            targets=goal.targets,
        )


def minimal(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    p: float,
    budget: str = "standard",
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nearest adversarial points found, and their distances in lp.

    A descent to any other label, short ones to each of the likeliest labels, of which the
    promising are followed up, descents from the best point randomly moved, and projections onto
    the linearised boundary. The standard search begins with the quick one, and goes on with longer
    descents and more of them; the thorough one begins with that, and then descends from random
    starts and walks along the boundary, in l2 past its kinks. So for the same seed and batch no
    point of a larger budget is farther than that of a smaller one. In l0 points grow by single
    features, which are then exchanged; larger budgets add sigma-zero, whose points are pruned and
    exchanged as well. A batch that does not fit in memory is halved.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K), in the precision of x.
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    p : float
        0, 1, 2 or inf.
    budget : str
        "quick", "standard" or "thorough": about 100, 400 or 1,000 gradients of the batch, in l0
        about as long as 50, 250 or 2,000.
    box : tuple of float, optional
        (low, high): the least and largest value of a coordinate.
    targets : Tensor, shape (n,), optional
        The label that each point is to get; by default any but its own.
    seed : int
        Same seed, same result.

    Returns
    -------
    points, radii : Tensor
        Shapes of x and (n,). The model itself was seen to give every point an adversarial label;
        where none was found the point is x and the radius +inf; a point that is adversarial
        already comes back as it is, with radius 0.

    Raises
    ------
    InputError
        If the arguments or the model are unfit; see `checked`.

    References
    ----------
    The parts: Rony et al., CVPR 2019; Pintor et al., NeurIPS 2021; Croce and Hein, ICML 2020
    (projections, several targets); in l0 Hajri et al., ICTAI 2021, and Cina et al., ICLR 2025.
    """
    if p not in (0, 1, 2, float("inf")):
        raise InputError(f"p: {p}; expected 0, 1, 2 or inf")
    if budget not in BUDGETS:
        raise InputError(f"unknown budget '{budget}': {nearest(budget, BUDGETS)}")
    points, radii = x.clone(), torch.empty(len(x), dtype=x.dtype, device=x.device)
    parts = [(0, len(x))]
    while parts:
        begin, end = parts.pop()
        part = slice(begin, end)
        goal = Goal(y[part], None if targets is None else targets[part])
        try:
            checked(model, x[part], goal.y, box=box, targets=goal.targets)
            if p == 0:
                points[part], radii[part] = fewest_changes(model, x[part], goal, budget, box)
                continue
            search = _Search(model, x[part], goal, p, box)
            stream = torch_stream(seed, "minimal", str(begin))
            for plan in BUDGETS[budget]:
                search.search(plan, stream)
        except RuntimeError as error:
            if end - begin == 1 or not _out_of_memory(error):
                raise
            middle = (begin + end) // 2
            parts += [(begin, middle), (middle, end)]
            continue
        points[part], radii[part] = search.best.reshape(x[part].shape), search.distance
    return points, radii


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
