"""Best-first branch and bound over targets and phases of units.

A node is a target and the phases of some units. Multipliers combine all inequalities of its
relaxation to one half-space that holds every point sought, and the distance of that half-space is
the node's bound. Many nodes at once find theirs by ascent, starting from those of the nodes that
they come from; where that leaves little, a convex programme finds them as well as can be. Points
that are better than the best one known lie in the cap that the half-space cuts off the ball of its
radius: over the cap, units have tighter ends than over the ball, with which bounds rise again. As
the bound nears the radius, the cap shrinks to a point.
"""

import heapq
import itertools
import math

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.ascent import Ascended, Ascent
from theory.distance.budget import Budget
from theory.distance.candidates import Incumbent
from theory.distance.nodes import Branch, Node, violated, widest, with_branches
from theory.distance.problem import DistanceProblem
from theory.distance.programme import node_programme
from theory.distance.reach import HalfSpace, half_space_distance
from theory.distance.relaxation import Multipliers, Relaxation, Units
from theory.relu.layer import BoolArray

_GAP = 1e-8
"""Nodes whose bound is nearer than this part to the best point are not looked at."""
_BATCH = 16
"""Nodes that are branched at once."""
_STEPS = 12
"""Of an ascent."""
_NEAR = 1e-3
"""Part of the radius, or of the margin at x, that is left to a programme."""
_CUT = 0.8
"""Part of the gap to which it must have come down since for first units to be bounded again."""
_CUT_ONCE = 1e-300
_ROUNDS = 8
"""Times that a node's cap is cut at most."""
_PROGRESS = 0.1
"""Part of the gap that a round must close for another one to follow."""
_POLISH = 1.5
"""Growth of the number of nodes from one whose point is taken to the boundary to the next."""
_PRICE = 1e-12
"""Multiplier of the lead below which a programme has none."""


class Search:
    """Branch and bound within a radius.

    Parameters
    ----------
    problem : DistanceProblem
    radius : float
        Finite: only changes of at most this norm are looked at.
    budget : Budget
        Spent on the way.
    incumbent : Incumbent, optional
        Made better on the way. Without one, there are no programmes either.
    """

    def __init__(
        self,
        problem: DistanceProblem,
        radius: float,
        budget: Budget,
        incumbent: Incumbent | None = None,
    ) -> None:
        self._problem, self._incumbent = problem, incumbent
        self._radius, self._budget = radius, budget
        self._relaxation = Relaxation(problem, self.radius)
        self._ascent = Ascent(problem, self._relaxation.low, self._relaxation.high)
        self._behind = -float(problem.leads(problem.x).max())
        self._floor = math.inf
        self._heap: list[tuple[float, int, Node]] = []
        self._count = itertools.count()
        self._polish_at = 1.0
        self.n_nodes = 0
        start = self._relaxation.start()
        for target in problem.targets:
            half = self._relaxation.half_space(start, target)
            self._add(Node(target, self._distance(half), start, half))

    @property
    def radius(self) -> float:
        """The norm beyond which nothing is of interest."""
        if self._incumbent is None:
            return self._radius
        return min(self._radius, self._incumbent.upper)

    @property
    def lower(self) -> float:
        """A lower end of the distance; at the radius if there is no nearer point."""
        return min(self._heap[0][0] if self._heap else math.inf, self._floor, self.radius)

    @property
    def settled(self) -> bool:
        """Whether more nodes would not give a higher end."""
        return not self._heap or self._settled(self._heap[0][0])

    def run(self, nodes: float = math.inf) -> None:
        """Look at about so many nodes more."""
        last = self.n_nodes + nodes
        while not self.settled and not self._budget.late() and self.n_nodes < last:
            batch: list[Node] = []
            room = min(_BATCH, self._budget.nodes)
            while self._heap and not self._settled(self._heap[0][0]):
                node = self._heap[0][2]
                if len(batch) + (1 if node.branch is None else 2) > room:
                    break
                heapq.heappop(self._heap)
                batch += self._sides(node)
            if not batch:
                break
            for node in self._bounded(batch):
                self._add(node)

    def _add(self, node: Node) -> None:
        if self._settled(node.bound):
            self._floor = min(self._floor, node.bound)
        else:
            heapq.heappush(self._heap, (node.bound, next(self._count), node))

    def _sides(self, node: Node) -> list[Node]:
        """Return the two sides of a node, or itself if it has not been bounded."""
        if node.branch is None:
            return [node]
        return [
            node._replace(
                units=self._relaxation.branched(node.units, node.branch, phase), branch=None
            )
            for phase in (1, -1)
        ]

    def _settled(self, bound: float) -> bool:
        return bound >= self.radius * (1 - _GAP)

    def _distance(self, half: HalfSpace) -> float:
        low, high = self._relaxation.low, self._relaxation.high
        return half_space_distance(self._problem.p, low, high, half)

    def _bounded(self, nodes: list[Node]) -> list[Node]:
        """Return nodes with their bounds and branches, without those that hold no nearer point.

        Where time ends on the way, as they are.
        """
        self.n_nodes += len(nodes)
        self._budget.spend(len(nodes))
        done: list[Node] = []
        nodes, _ = self._raised(nodes, done)
        cut: list[Node] = []
        for k, node in enumerate(nodes):
            if self._budget.late():
                return [*done, *cut, *nodes[k:]]
            if (found := self._cut(node)) is not None:
                cut.append(found)
        nodes, raised = self._raised(cut, done)
        if raised is None or self._budget.late():
            return [*done, *nodes]
        lost = sum(each.sum(axis=1) for each in raised.losses)
        near = lost < _NEAR * self._behind
        if self._incumbent is not None:
            left = np.array([self.radius - node.bound for node in nodes])
            # As long as no point is known, the radius is no guide, and programmes lead to points.
            near |= (left < _NEAR * self.radius) | math.isinf(self._incumbent.upper)
        hard = np.flatnonzero(~near)
        if hard.size:
            self._polish(nodes, raised, hard)
            done += with_branches(
                [nodes[b] for b in hard],
                [each[hard] for each in raised.losses],
                self._relaxation,
                self._ascent,
                self.radius,
            )
        for b in np.flatnonzero(near):
            if self._budget.late():
                done.append(nodes[b])
            elif (solved := self._solved(nodes[b])) is not None:
                done.append(solved)
        return done

    def _raised(self, nodes: list[Node], done: list[Node]) -> tuple[list[Node], Ascended | None]:
        """Return nodes with higher bounds that are not settled; the others go to `done`."""
        if not nodes:
            return [], None
        found = self._ascent.run(
            [node.target for node in nodes],
            [node.units for node in nodes],
            [node.multipliers for node in nodes],
            self.radius * (1 + 1e-9),
            _STEPS,
        )
        left, at = [], []
        for b, node in enumerate(nodes):
            half = self._relaxation.half_space(node.units, node.target, 1.0, found.multipliers[b])
            distance = self._distance(half)
            node = node._replace(multipliers=found.multipliers[b])
            if distance > node.bound:
                node = node._replace(bound=distance, half=half)
            if self._settled(node.bound):
                done.append(node)
            else:
                left.append(node)
                at.append(b)
        return left, found.at(at) if at else None

    def _cut(self, node: Node) -> Node | None:
        """Return a node with tighter ends over its cap; None if there is no point in it."""
        # Ends of first units depend on the cap alone, and few caps shrink much.
        fresh = node.cut == 0 or self.radius - node.bound < _CUT * (self.radius - node.cut)
        reach = self._relaxation.reach(self.radius, node.half)
        units = self._relaxation.propagated(node.units, reach, first=0 if fresh else 1)
        if units is None:
            return None
        return node._replace(units=units, cut=max(node.bound, _CUT_ONCE) if fresh else node.cut)

    def _polish(self, nodes: list[Node], raised: Ascended, hard: npt.NDArray[np.intp]) -> None:
        """Take the point of one of the nodes to the boundary, now and then."""
        if self._incumbent is None or self.n_nodes < self._polish_at:
            return
        self._polish_at = self.n_nodes * _POLISH
        b = min(hard, key=lambda b: nodes[b].bound)
        pattern = self._pattern(raised.changes[b], nodes[b].units)
        self._incumbent.polish(pattern, nodes[b].target, rounds=3)

    def _solved(self, node: Node) -> Node | None:
        """Return a node with a branch, bounded by programmes; None if it holds no nearer point."""
        relaxation, incumbent = self._relaxation, self._incumbent
        target, bound, units, half, multipliers = node[:5]
        if incumbent is None:
            return self._branched(node, widest(self._problem, units))
        for _ in range(_ROUNDS):
            before = bound
            solution = node_programme(self._problem, incumbent.nearest, units, target)
            new = relaxation.half_space(units, target, solution.price, solution.multipliers)
            distance = self._distance(new)
            if distance > bound:
                bound, half = distance, new
                if solution.price > _PRICE:
                    multipliers = [
                        Multipliers(each.share, each.split / solution.price)
                        for each in solution.multipliers
                    ]
            if self._settled(bound):
                return node._replace(bound=bound)
            if bound - before < _PROGRESS * (self.radius - before) or self._budget.late():
                break
            found = relaxation.propagated(units, relaxation.reach(self.radius, half))
            if found is None:
                return None
            units = found
        branch = violated(solution)
        incumbent.push(solution.change, target)
        incumbent.polish(self._pattern(solution.change, units), target, rounds=3)
        if branch is None:
            # The relaxation is the network itself, as far as the solver can tell.
            incumbent.polish(self._pattern(solution.change, units), target)
            branch = widest(self._problem, units)
        return self._branched(Node(target, bound, units, half, multipliers, node.cut), branch)

    def _branched(self, node: Node, branch: Branch | None) -> Node | None:
        """Return a node with a branch; without one, its bound is all that is known of it."""
        if branch is None:
            self._floor = min(self._floor, node.bound)
            return None
        return node._replace(branch=branch)

    def _pattern(self, change: FloatArray, units: list[Units]) -> BoolArray:
        """Return the phases after a change; those that the node knows, whatever it says."""
        problem = self._problem
        phases = problem.network.pattern(problem.inside(problem.x + change))
        layers = zip(problem.network.layers, units, strict=True)
        known = [(each.lower[layer.hinges], each.upper[layer.hinges]) for layer, each in layers]
        low, high = (np.concatenate(ends) for ends in zip(*known, strict=True))
        return np.where(low >= 0, True, np.where(high <= 0, False, phases))
