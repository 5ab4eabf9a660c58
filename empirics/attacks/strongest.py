"""The strongest search for a nearest adversarial point: many short descents, the best ones on."""

from dataclasses import dataclass

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.descent import Schedule, descend
from empirics.adversary.goal import Goal, within
from empirics.adversary.half_space import norms
from empirics.adversary.projection import sequential_projection
from empirics.seeds import torch_stream
from theory.errors import InputError, nearest

_FAR = Schedule(steps=30, stride=(1.0, 0.1), gamma=(0.6, 0.01))
"""For points that no other descent has found: the radius grows more than a millionfold."""
_SHAKE = 0.3


@dataclass(frozen=True)
class Plan:
    """How much work a search does.

    Attributes
    ----------
    first : Schedule
        The descent to any other label, from the origin.
    rivals : int
        Further descents: to each of the labels with the largest logits.
    probe : Schedule
        Of these.
    margin : float
        A probe that ends within this factor of the nearest point is followed up.
    pursuit : Schedule
        How.
    samples : int
        Random points within the distance of the nearest point, looked at and not descended from.
    shakes : int
        Descents from the nearest point, randomly moved.
    shake : Schedule
        Of these.
    polish : Schedule
        Of the nearest point at last.
    projections : int
        Steps of sequential projection after that.
    """

    first: Schedule
    rivals: int
    probe: Schedule
    margin: float
    pursuit: Schedule
    samples: int
    shakes: int
    shake: Schedule
    polish: Schedule
    projections: int


_FINE = (0.01, 5e-4)
BUDGETS = {
    "quick": Plan(
        first=Schedule(25),
        rivals=3,
        probe=Schedule(12, gamma=(0.2, 0.02)),
        margin=1.1,
        pursuit=Schedule(12, (0.3, 0.01), _FINE),
        samples=3,
        shakes=0,
        shake=Schedule(20, (0.5, 0.01), (0.02, 5e-4)),
        polish=Schedule(13, (0.1, 0.005), _FINE),
        projections=1,
    ),
    "standard": Plan(
        first=Schedule(40),
        rivals=5,
        probe=Schedule(20, gamma=(0.15, 0.01)),
        margin=1.15,
        pursuit=Schedule(25, (0.3, 0.01), _FINE),
        samples=60,
        shakes=3,
        shake=Schedule(30, (0.5, 0.01), (0.02, 5e-4)),
        polish=Schedule(30, (0.1, 0.003), (0.01, 2e-4)),
        projections=10,
    ),
    "thorough": Plan(
        first=Schedule(100),
        rivals=9,
        probe=Schedule(30, gamma=(0.1, 0.005)),
        margin=1.3,
        pursuit=Schedule(40, (0.3, 0.01), _FINE),
        samples=300,
        shakes=10,
        shake=Schedule(40, (0.5, 0.01), (0.02, 5e-4)),
        polish=Schedule(60, (0.1, 0.002), (0.01, 1e-4)),
        projections=40,
    ),
}
"""Gradients of the batch: about 100, 350 and 1,000."""


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
        rows = self.found()
        self.run(rows, self.goal.of(rows), self.best[rows], plan.polish)
        self._project(plan.projections)

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

    def _race(self, plan: Plan) -> None:
        """Try the likeliest other labels one by one, and go on where that is promising."""
        others = self.logits.scatter(1, self.goal.y[:, None], -torch.inf)
        count = min(plan.rivals, others.shape[1] - 1)
        ranked = others.topk(count, dim=1).indices
        for k in range(count if others.shape[1] > 2 else 0):
            rows = torch.nonzero(self.distance > 0)[:, 0]
            rival = Goal(self.goal.y, ranked[:, k])
            points, distance = self.run(rows, rival.of(rows), self.origin[rows], plan.probe)
            near = distance < plan.margin * self.distance[rows]
            self.run(rows[near], rival.of(rows[near]), points[near], plan.pursuit)

    def _project(self, steps: int) -> None:
        rows = self.found()
        if not len(rows) or not steps:
            return
        goal = self.goal.of(rows)
        points = sequential_projection(
            self.model,
            self.origin[rows],
            self.best[rows],
            goal.y,
            steps=steps,
            p=self.p,
            box=self.box,
            targets=goal.targets,
        )
        self.offer(rows, points)


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
    the linearised boundary. A batch that does not fit in memory is halved.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K), in the precision of x.
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    p : float
        1, 2 or inf.
    budget : str
        "quick", "standard" or "thorough": about 100, 350 or 1,000 gradients of the batch.
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
    (projections, several targets).
    """
    if p not in (1, 2, float("inf")):
        raise InputError(f"p: {p}; expected 1, 2 or inf")
    if budget not in BUDGETS:
        raise InputError(f"unknown budget '{budget}': {nearest(budget, BUDGETS)}")
    points, radii = x.clone(), torch.empty(len(x), dtype=x.dtype, device=x.device)
    parts = [(0, len(x))]
    while parts:
        begin, end = parts.pop()
        part = slice(begin, end)
        goal = Goal(y[part], None if targets is None else targets[part])
        stream = torch_stream(seed, "minimal", str(begin))
        try:
            checked(model, x[part], goal.y, box=box, targets=goal.targets)
            search = _Search(model, x[part], goal, p, box)
            search.search(BUDGETS[budget], stream)
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
