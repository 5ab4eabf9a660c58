"""The distance by traversal of activation regions, from that of x outwards: slow, for few inputs.

It shares nothing with branch and bound: no relaxation, no bound on a unit and no branch.
"""

import heapq
import itertools
import math
from typing import NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.distance.problem import DistanceProblem
from theory.distance.programme import Nearest
from theory.relu.layer import BoolArray

_LOST = 1e-9
"""Part of a distance that the solver may be off."""


class Traversed(NamedTuple):
    """What a traversal says, on the solver's word.

    Attributes
    ----------
    lower, upper : float
        Equal, but for a limit on the number of regions.
    n_regions : int
        Regions that were entered.
    """

    lower: float
    upper: float
    n_regions: int


def traversed(problem: DistanceProblem, max_regions: int | None = None) -> Traversed:
    """Return the distance to another label, going through regions in the order of their distances.

    Every region that meets a ball around x is reached from that of x through facets which meet the
    ball. A region's facets are those of its half-spaces, redundant or not: the nearest point of
    one is a quadratic programme for l2 and a linear one for linf. When the next region is farther
    than the nearest point of another label, that point is the answer.

    Parameters
    ----------
    problem : DistanceProblem
        Of few inputs and units; at x no unit is exactly 0.
    max_regions : int, optional
        Regions after which the traversal stops.

    References
    ----------
    Jordan, Lewis and Dimakis, Provable Certificates for Adversarial Examples: Fitting a Ball in the
    Union of Polytopes (NeurIPS 2019).

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> ramp = ReluNetwork([([[1.0]], [0.0]), ([[1.0], [0.0]], [0.0, 2.0])])
    >>> found = traversed(DistanceProblem.of(ramp, [-1.0], 2))
    >>> round(found.upper, 6), found.n_regions
    (3.0, 2)
    """
    if float(problem.leads(problem.x).max()) >= 0:
        return Traversed(0.0, 0.0, 0)
    nearest = Nearest(problem.p, problem.low - problem.x, problem.high - problem.x)
    count = itertools.count()
    first = problem.network.pattern(problem.x)
    frontier: list[tuple[float, int, BoolArray]] = [(0.0, next(count), first)]
    entered: set[bytes] = set()
    reached = {first.tobytes(): 0.0}
    upper = math.inf
    while frontier:
        lower, _, pattern = heapq.heappop(frontier)
        if lower >= upper * (1 - _LOST):
            return Traversed(upper, upper, len(entered))
        if max_regions is not None and len(entered) >= max_regions:
            return Traversed(lower, upper, len(entered))
        if pattern.tobytes() in entered:
            continue
        entered.add(pattern.tobytes())
        region = _Closed(problem, nearest, pattern)
        upper = min([upper, *(region.boundary(target) for target in problem.targets)])
        for unit in range(len(pattern)):
            beyond = pattern.copy()
            beyond[unit] = not beyond[unit]
            key = beyond.tobytes()
            if key in entered or not region.sides(unit, upper):
                continue
            # A facet is no nearer than the region on its near side, whatever the solver's digits.
            distance = max(region.facet(unit), lower)
            if distance < min(upper, reached.get(key, math.inf)):
                reached[key] = distance
                heapq.heappush(frontier, (distance, next(count), beyond))
    return Traversed(upper, upper, len(entered))


class _Closed:
    """A closed activation region, and nearest points of its parts."""

    def __init__(self, problem: DistanceProblem, nearest: Nearest, pattern: BoolArray) -> None:
        self._problem, self._nearest = problem, nearest
        piece = problem.network.piece(pattern)
        turned = np.where(pattern, -1.0, 1.0)
        self._rows = piece.units.weight * turned[:, None]
        self._sides = -(piece.units.bias * turned) - self._rows @ problem.x
        weight, bias = piece.outputs.weight, piece.outputs.bias
        self._weight, self._leads = weight, weight @ problem.x + bias

    def boundary(self, target: int) -> float:
        """Return the distance of the part where a target leads, inf if there is none."""
        label = self._problem.label
        row = self._weight[label] - self._weight[target]
        return self._least(row, self._leads[target] - self._leads[label])

    def sides(self, unit: int, radius: float) -> bool:
        """Return whether a unit's hyperplane is nearer than a radius, the region or not."""
        norm = np.linalg.norm(self._rows[unit], ord=2 if self._problem.p == 2 else 1)
        return bool(norm > 0 and abs(self._sides[unit]) <= radius * norm)

    def facet(self, unit: int) -> float:
        """Return the distance of the part where a unit is 0, inf if there is none."""
        return self._least(-self._rows[unit], -self._sides[unit])

    def _least(self, row: FloatArray, side: float) -> float:
        rows, sides = np.vstack([self._rows, row[None]]), np.append(self._sides, side)
        answer = self._nearest.solve(rows, sides)
        return float(self._problem.length(answer.point)) if answer.solved else math.inf
