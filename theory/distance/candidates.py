"""Points of another label near x: where the search starts, and how its points are made exact."""

import math

import numpy as np

from theory.arrays import FloatArray
from theory.distance.problem import DistanceProblem
from theory.distance.programme import Nearest, region_nearest
from theory.relu.layer import BoolArray

_STEPS = 10.0 ** np.arange(-14.0, 0.5, 0.5)
"""Parts of the way by which a point near the boundary is pushed across it."""
_LEAST = 1e-9
"""Programmes are not scaled to smaller distances."""
_LEADS = (1e-10, 1e-9, 1e-8, 1e-7)
"""What is asked for where no point just beyond the nearest one leads, in parts of the lead at x."""
_POLISHED = 3
"""First points that are polished."""


class Incumbent:
    """The best point known so far, verified by the network with its rounding error.

    Attributes
    ----------
    upper : float
    point : ndarray or None
    nearest : Nearest
        Its budget's time is kept.
    """

    def __init__(self, problem: DistanceProblem, nearest: Nearest) -> None:
        self._problem, self.nearest = problem, nearest
        self.upper = np.inf
        self.point: FloatArray | None = None
        self._tried: set[tuple[bytes, int]] = set()

    def offer(self, point: FloatArray) -> bool:
        """Keep a point if it is in the box, has another label and is nearer."""
        problem = self._problem
        point = problem.inside(point)
        upper = problem.length_above(point)
        if not upper < self.upper:
            return False
        lead = float(problem.leads(point).max())
        if not lead >= 0 or not lead >= problem.lead_error(point):
            return False
        self.upper, self.point = upper, point
        self.nearest.scale = max(upper, _LEAST)
        return True

    def push(self, change: FloatArray, target: int) -> bool:
        """Offer the points just beyond x + change, the nearest of those that lead."""
        problem = self._problem
        base = problem.x + change
        way = problem.slopes(problem.inside(base)[None], np.array([target]))[0]
        length = float(np.linalg.norm(way))
        size = max(float(np.abs(base).max()), 1e-3)
        error = problem.lead_error(problem.inside(base))
        ways = [change]
        if length > 0:
            ways.append(size * (np.sign(way) if math.isinf(problem.p) else way / length))
        found = False
        for each in ways:
            points = problem.inside(base + np.outer(np.append(0.0, _STEPS), each))
            beyond = problem.leads(points).max(axis=1) >= 1.01 * error
            if beyond.any():
                found |= self.offer(points[int(beyond.argmax())])
        return found

    def polish(self, pattern: BoolArray, target: int, rounds: int = 8) -> None:
        """Go from region to region: to the nearest point of each where the target leads."""
        problem = self._problem
        for _ in range(rounds):
            key = (np.packbits(pattern).tobytes(), target)
            if key in self._tried or self.nearest.budget.late():
                return
            self._tried.add(key)
            change = self._in_region(pattern, target)
            if change is None:
                return
            # Just before, units that are 0 there may have other phases, which may be better.
            at = problem.x + change * (1 - 1e-7)
            pattern = problem.network.pattern(problem.inside(at))

    def _in_region(self, pattern: BoolArray, target: int) -> FloatArray | None:
        """Return the nearest change in a region; None if that is not better."""
        for lead in (0.0, *_LEADS):
            change = region_nearest(self._problem, self.nearest, pattern, target, lead)
            if change is None or not self._problem.length(change) < self.upper:
                return None
            if self.push(change, target):
                return change
        return None


def linearised(
    problem: DistanceProblem, start: FloatArray, steps: int = 15
) -> list[FloatArray | None]:
    """Return for each target a point where it leads, by nearest points of linearised boundaries.

    References
    ----------
    Moosavi-Dezfooli, Fawzi and Frossard, DeepFool (CVPR 2016), algorithm 2, from any start.
    """
    targets = np.array(problem.targets)
    points = np.tile(start, (len(targets), 1))
    best: list[FloatArray | None] = [None] * len(targets)
    lengths = np.full(len(targets), np.inf)
    for i in range(steps):
        outputs = problem.network(points)
        behind = outputs[:, problem.label] - outputs[np.arange(len(targets)), targets]
        normals = -problem.slopes(points, targets)
        for k in range(len(targets)):
            change = points[k] - problem.x
            here = float(problem.length(change))
            if behind[k] < 0 and here < lengths[k]:
                best[k], lengths[k] = points[k].copy(), here
            shift = float(behind[k] - normals[k] @ change)
            step = _onto(problem, normals[k], shift * (1 + 1e-6 + 0.02 * i / steps))
            if step is not None:
                points[k] = problem.inside(problem.x + step)
    return best


def _onto(problem: DistanceProblem, normal: FloatArray, shift: float) -> FloatArray | None:
    """Return about the least change d of the box with normal @ d + shift <= 0."""
    if shift <= 0:
        return np.zeros(len(normal))
    steps = np.where(normal > 0, problem.x - problem.low, problem.high - problem.x)
    weights = np.abs(normal)
    steps = np.where(weights > 0, steps, 0.0)
    # Along the best direction, coordinates reach their ends in the order of these times.
    rates = weights if problem.p == 2 else np.ones(len(weights))
    times = steps / np.where(weights > 0, rates, 1.0)
    order = np.argsort(times)
    gone = np.cumsum(np.where(np.isfinite(steps), weights * steps, 0.0)[order])
    left = np.cumsum((weights * rates * (steps > 0))[order][::-1])[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = (shift - np.append(0.0, gone[:-1])) / left
    fits = np.flatnonzero((needed <= times[order]) & (needed >= 0))
    if not fits.size:
        return None
    return np.asarray(-np.sign(normal) * np.minimum(steps, needed[fits[0]] * rates))


def first_points(
    problem: DistanceProblem, incumbent: Incumbent, radius: float, restarts: int = 4
) -> None:
    """Offer points of all targets from several starts within a radius, the best ones polished."""
    n = len(problem.x)
    rng = np.random.default_rng(0)
    size = radius / np.sqrt(n) if problem.p == 2 else radius
    found: list[tuple[float, int, FloatArray]] = []
    for k in range(restarts + 1):
        if k and incumbent.nearest.budget.late():
            break
        start = problem.x
        if k:
            start = problem.inside(start + 0.3 * size * rng.normal(size=n))
        for target, point in zip(problem.targets, linearised(problem, start), strict=True):
            if point is not None:
                found.append((float(problem.length(point - problem.x)), target, point))
        if found and k == 0:
            nearest = min(each[0] for each in found)
            size = nearest / np.sqrt(n) if problem.p == 2 else nearest
    found.sort(key=lambda each: each[0])
    for _, _, point in found[:_POLISHED]:
        incumbent.offer(point)
    for _, target, point in found[:_POLISHED]:
        incumbent.polish(problem.network.pattern(point), target)
