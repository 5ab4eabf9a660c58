"""Best-first branch and bound over targets and phases of units.

A node is a target and the phases of some units. Its relaxation, a convex programme, gives
multipliers; they combine all inequalities of the node to one half-space that holds every point
sought, and the distance of that half-space is the node's bound. Points that are better than the
best one known lie in the cap that the half-space cuts off the ball of its radius: over the cap,
units have tighter ends than over the ball, with which the programme is solved again. As the bound
nears the radius, the cap shrinks to a point.
"""

import heapq
import itertools
import math
import time
from typing import NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.distance.candidates import Incumbent
from theory.distance.problem import DistanceProblem
from theory.distance.programme import Nearest, NodeSolution, node_programme
from theory.distance.reach import HalfSpace, half_space_distance
from theory.distance.relaxation import Relaxation, Units
from theory.relu.layer import BoolArray

_GAP = 1e-8
"""Nodes whose bound is nearer than this part to the best point are not looked at."""
_ROUNDS = 8
"""Times that a node's cap is cut at most."""
_PROGRESS = 0.1
"""Part of the gap that a round must close for another one to follow."""
_POLISH = 5
"""Nodes from one to the next whose point is taken to the boundary."""
_VIOLATED = 1e-12
"""Scores below this are the solver's tolerance."""


class _Node(NamedTuple):
    """A target and what is known where it leads; `branch` is None until it has been solved.

    Attributes
    ----------
    target : int
    bound : float
    units : list of Units
    half : HalfSpace
        It holds all points of the node that are nearer than the best one.
    branch : (int, int) or None
        Stage and unit whose phases are to be told apart.
    """

    target: int
    bound: float
    units: list[Units]
    half: HalfSpace
    branch: tuple[int, int] | None


class Search:
    """Branch and bound within a radius.

    Parameters
    ----------
    problem : DistanceProblem
    nearest : Nearest
    incumbent : Incumbent
        Made better on the way.
    radius : float
        Finite: only changes of at most this norm are looked at.
    deadline : float
        In the time of `time.monotonic`.
    """

    def __init__(
        self,
        problem: DistanceProblem,
        nearest: Nearest,
        incumbent: Incumbent,
        radius: float,
        deadline: float,
    ) -> None:
        self._problem, self._nearest, self._incumbent = problem, nearest, incumbent
        self._radius, self._deadline = radius, deadline
        self._relaxation = Relaxation(problem, self.radius)
        self._floor = math.inf
        self.n_nodes = 0

    @property
    def radius(self) -> float:
        """The norm beyond which nothing is of interest."""
        return min(self._radius, self._incumbent.upper)

    def run(self) -> float:
        """Return a lower end of the distance; at the radius if there is no nearer point."""
        relaxation, count = self._relaxation, itertools.count()
        heap: list[tuple[float, int, _Node]] = []

        def add(node: _Node | None) -> None:
            if node is None:
                return
            if self._settled(node.bound):
                self._floor = min(self._floor, node.bound)
            else:
                heapq.heappush(heap, (node.bound, next(count), node))

        start = relaxation.start()
        for target in self._problem.targets:
            half = relaxation.half_space(start, target)
            add(_Node(target, self._distance(half), start, half, None))
        while heap and not self._settled(heap[0][0]) and time.monotonic() <= self._deadline:
            node = heapq.heappop(heap)[2]
            if node.branch is None:
                add(self._solved(node))
                continue
            for phase in (1, -1):
                units = relaxation.branched(node.units, node.branch, phase)
                add(_Node(node.target, node.bound, units, node.half, None))
        return min(heap[0][0] if heap else math.inf, self._floor, self.radius)

    def _settled(self, bound: float) -> bool:
        return bound >= self.radius * (1 - _GAP)

    def _distance(self, half: HalfSpace) -> float:
        low, high = self._relaxation.low, self._relaxation.high
        return half_space_distance(self._problem.p, low, high, half)

    def _solved(self, node: _Node) -> _Node | None:
        """Return a node with its bound and branch, None if it holds no nearer point."""
        self.n_nodes += 1
        relaxation = self._relaxation
        target, bound, units, half, _ = node
        for _ in range(_ROUNDS):
            before = bound
            found = relaxation.propagated(units, relaxation.reach(self.radius, half))
            if found is None:
                return None
            units = found
            solution = node_programme(self._problem, self._nearest, units, target)
            new = relaxation.half_space(units, target, solution.price, solution.multipliers)
            distance = self._distance(new)
            if distance > bound:
                bound, half = distance, new
            if self._settled(bound):
                return node._replace(bound=bound)
            if bound - before < _PROGRESS * (self.radius - before):
                break
        if self.n_nodes % _POLISH == 1:
            self._incumbent.polish(self._pattern(solution, units), target, rounds=3)
        branch = self._branch(solution, units)
        if branch is None:
            # The relaxation is the network itself, as far as the solver can tell.
            self._incumbent.push(solution.change, target)
            self._incumbent.polish(self._pattern(solution, units), target)
            branch = self._any_open(units)
        if branch is None:
            self._floor = min(self._floor, bound)
            return None
        return _Node(target, bound, units, half, branch)

    def _branch(self, solution: NodeSolution, units: list[Units]) -> tuple[int, int] | None:
        """Return the unit of most violation times multiplier, or else of most violation."""
        for scores in (solution.scores, solution.violations):
            if (best := _largest(scores)) is not None:
                return best
        return None

    def _pattern(self, solution: NodeSolution, units: list[Units]) -> BoolArray:
        """Return the phases at a node's solution; those that the node knows, whatever it says."""
        problem = self._problem
        phases = problem.network.pattern(problem.inside(problem.x + solution.change))
        layers = zip(problem.network.layers, units, strict=True)
        known = [(each.lower[layer.hinges], each.upper[layer.hinges]) for layer, each in layers]
        low, high = (np.concatenate(ends) for ends in zip(*known, strict=True))
        return np.where(low >= 0, True, np.where(high <= 0, False, phases))

    def _any_open(self, units: list[Units]) -> tuple[int, int] | None:
        stages = self._problem.stages
        widths = [
            np.where(each.opened(stage), each.upper - each.lower, 0.0)
            for stage, each in zip(stages, units, strict=True)
        ]
        return _largest(widths)


def _largest(scores: list[FloatArray]) -> tuple[int, int] | None:
    tops = [(float(each.max()), i, int(each.argmax())) for i, each in enumerate(scores)]
    top, i, j = max(tops)
    return (i, j) if top > _VIOLATED else None
