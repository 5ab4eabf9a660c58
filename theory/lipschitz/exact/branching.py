"""Lipschitz constants by branch and bound over the phases of units.

A node is a cell: the part of the box where some units have given phases. The cells of a layer are
polyhedra once the phases of the layers before it are known, so a node branches on a unit of the
first layer that is not decided. Its upper end is the largest norm over all slopes that the other
units may have; its lower ends are the Jacobians at points that are found on the way.
"""

import heapq
import itertools
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.exact.cells import Node, PhasedUnits, Phases
from theory.lipschitz.exact.constant import LipschitzConstant, norm_at
from theory.lipschitz.exact.polyhedron import ROOM, Cell, Programmes
from theory.lipschitz.exact.slopes import SlopeNorms
from theory.lipschitz.pattern_jacobian import jacobian_with_error, operator_norm_upper
from theory.lipschitz.sampled import sampled_constant
from theory.relu.bounds import interval_bounds
from theory.relu.network import ReluNetwork

_VERTICES = 5
"""With so many open units or fewer all their phases are tried for the upper end."""
_LITTLE = 0.05
"""Part of a side of a box by which a programme must be able to move it to be solved."""
_CLOSED = 1e-10
"""Relative distance of the ends at which the search stops."""
_NOTHING = 1e-300
"""Norms below this are 0 up to underflow."""
_STARTS = 4
"""Points that the search for a first lower end begins at."""
_POOL = 64
"""Points of a cell that are remembered."""


class BranchAndBound:
    """A search for the largest norm of the Jacobians of all regions within a box.

    Parameters
    ----------
    network : ReluNetwork
    p : {1, 2, inf}
    low, high : ndarray, shape (n_inputs,)
        Ends of the box, which has an interior, possibly infinite.
    """

    def __init__(self, network: ReluNetwork, p: float, low: FloatArray, high: FloatArray) -> None:
        self._network, self._p, self._low, self._high = network, p, low, high
        self._norms = SlopeNorms(network, p)
        self._units = PhasedUnits(network, low, high)
        self._phases: Phases = np.zeros(network.n_units, np.int8)
        self._programmes = Programmes(low, high, self._exact_row)
        self._lower, self._dropped = -1.0, 0.0
        self._witness: FloatArray | None = None
        self._seen: set[bytes] = set()

    def run(self, deadline: float) -> LipschitzConstant:
        """Search until the ends meet or the time, that of `time.monotonic`, is over.

        Raises
        ------
        ValueError
            If no point off all boundaries was found.
        RuntimeError
            If a linear programme was not solved.
        """
        self._start()
        root = self._root()
        heap: list[tuple[float, int, Node]] = []
        count, done = itertools.count(), 0.0
        nodes = 1
        for bound, node in self._bounded([root]):
            heapq.heappush(heap, (-bound, next(count), node))
        while heap:
            bound = -heap[0][0]
            if bound <= self._goal() or time.monotonic() > deadline:
                break
            _, _, node = heapq.heappop(heap)
            if node.layer == len(self._network.layers):
                # Its only Jacobian counts, though no point of the cell's interior was found.
                done = max(done, bound)
                continue
            children = self._children(node)
            nodes += len(children)
            for limit, child in self._bounded(children):
                heapq.heappush(heap, (-min(limit, bound), next(count), child))
        if self._witness is None:
            raise ValueError("no point of the box was found off the boundaries of all regions")
        left = max(-heap[0][0] if heap else 0.0, done)
        lower = max(self._lower, 0.0)
        return LipschitzConstant(lower, max(left, self._dropped, lower), self._witness, nodes)

    def _goal(self) -> float:
        return max(self._lower, 0.0) * (1 + _CLOSED) + _NOTHING

    def _drop(self, bound: float) -> bool:
        """Return whether an upper end is below the goal; it is remembered then."""
        if bound > self._goal():
            return False
        self._dropped = max(self._dropped, bound)
        return True

    def _start(self) -> None:
        """Find a lower end by ascent from a few points."""
        rng = np.random.default_rng(0)
        n = self._network.n_inputs
        gaps = np.where(np.isfinite(self._high - self._low), self._high - self._low, 0.0)
        share = rng.uniform(0.05, 0.95, size=(_STARTS, n))
        inside = np.isfinite(self._low) & np.isfinite(self._high)
        points = np.where(
            inside,
            np.where(inside, self._low, 0.0) + share * gaps,
            np.clip(rng.normal(size=(_STARTS, n)), self._low, self._high),
        )
        for each in np.clip(points, self._low, self._high):
            self._try(each)
            found = sampled_constant(
                self._network, [each], self._p, steps=8 * n, box=(self._low, self._high), rng=rng
            )
            self._try((found.x + found.y) / 2)

    def _try(self, point: FloatArray) -> None:
        """Take the norm at a point for the lower end, if it is larger and the point allows it."""
        key = self._network.pattern(point).tobytes()
        if key in self._seen and self._witness is not None:
            return
        norm = norm_at(self._network, point, self._p)
        if norm is None:
            return
        self._seen.add(key)
        if norm > self._lower:
            self._lower, self._witness = norm, point.copy()

    def _root(self) -> Node:
        n, m = self._network.n_inputs, self._network.n_units
        node = Node(
            Cell(np.zeros((0, n + 1)), np.zeros(0), ()),
            np.zeros(m, np.int8),
            -1,
            np.zeros((0, n + 1)),
            np.zeros(0),
            np.zeros((0, n)),
            self._low,
            self._high,
        )
        self._load(node)
        point, _ = self._programmes.inner_point()
        assert point is not None
        return self._decided(replace(node, points=point[None]))

    def _children(self, node: Node) -> list[Node]:
        """Return the parts of a node on the sides of a unit, those whose interior is empty not."""
        unit, limits = self._chosen(node)
        k = unit - self._units.starts[node.layer]
        found = []
        for side, limit in zip((1, -1), limits, strict=True):
            if self._drop(float(limit)):
                continue
            phases = node.phases.copy()
            phases[unit] = side
            cell = node.cell.cut(node.forms[k], float(node.errors[k]), unit, side)
            values = side * (node.points @ node.forms[k, :-1] + node.forms[k, -1])
            child = replace(node, cell=cell, phases=phases, points=node.points[values >= 0])
            self._load(child)
            point, possible = self._programmes.inner_point()
            if not possible:
                continue
            if point is not None:
                self._try(point)
                child = replace(child, points=np.vstack([child.points, point]))
            found.append(self._decided(child))
        return found

    def _bounded(self, nodes: list[Node]) -> list[tuple[float, Node]]:
        """Return the nodes whose upper ends are above the goal, with these."""
        found = []
        for node in nodes:
            opened = np.flatnonzero(node.phases == 0)
            if not opened.size:
                jacobian, error = jacobian_with_error(self._network, node.phases > 0)
                bound = operator_norm_upper(jacobian, error, self._p)
            else:
                ends = self._units.slopes(self._split(node.phases, opened))
                bound = float(self._norms.rough(*ends).max())
                if self._p == 2 and bound > self._goal():
                    bound = float(self._norms.upper(*ends).max())
            if not self._drop(bound):
                found.append((bound, node))
        return found

    def _split(self, phases: Phases, opened: npt.NDArray[np.intp]) -> Phases:
        """Return phases with all those of a few open units, shape (k, n_units).

        A norm is convex in the slopes of each layer: its maximum is at a vertex.
        """
        if opened.size > _VERTICES:
            without = np.repeat(phases[None], len(opened), axis=0)
            tried = np.concatenate([without, without])
            tried[np.arange(len(opened)), opened] = 1
            tried[len(opened) + np.arange(len(opened)), opened] = -1
            upper = self._norms.rough(*self._units.slopes(tried)).reshape(2, -1)
            opened = opened[np.argsort(upper.sum(axis=0), kind="stable")[:_VERTICES]]
        signs = np.array(list(itertools.product((-1, 1), repeat=len(opened))), np.int8)
        found = np.repeat(phases[None], len(signs), axis=0)
        found[:, opened] = signs
        return found

    def _chosen(self, node: Node) -> tuple[int, FloatArray]:
        """Return the open unit of the first open layer whose phases lower the upper ends most.

        And the upper ends with it positive and negative.
        """
        opened = np.flatnonzero(node.phases == 0)
        candidates = opened[self._units.layer_of[opened] == node.layer]
        phases = np.repeat(node.phases[None], 2 * len(candidates), axis=0)
        phases[np.arange(len(candidates)), candidates] = 1
        phases[len(candidates) + np.arange(len(candidates)), candidates] = -1
        upper = self._norms.rough(*self._units.slopes(phases)).reshape(2, -1)
        best = int(upper.sum(axis=0).argmin())
        return int(candidates[best]), upper[:, best]

    def _load(self, node: Node) -> None:
        self._phases = node.phases
        self._programmes.load(node.cell)

    def _exact_row(self, unit: int, side: int) -> list[int]:
        return self._units.exact_row(self._phases, unit, side)

    def _decided(self, node: Node) -> Node:
        """Return a node with the phases that follow, and the forms of its first open layer."""
        node = self._boxed(node)
        while True:
            phases = node.phases.copy()
            self._phases = phases
            points = list(node.points)
            opened = np.flatnonzero(phases == 0)
            layer = (
                int(self._units.layer_of[opened[0]]) if opened.size else len(self._network.layers)
            )
            if layer == len(self._network.layers):
                return replace(node, layer=layer)
            if layer != node.layer:
                forms, errors = self._units.forms(phases, layer)
                node = replace(node, layer=layer, forms=forms, errors=errors)
            for unit in opened[self._units.layer_of[opened] == layer]:
                k = unit - self._units.starts[layer]
                phases[unit] = self._phase(node.forms[k], float(node.errors[k]), unit, points)
            node = replace(node, phases=phases, points=np.array(points[-_POOL:]))
            if np.any(phases[self._units.starts[layer] : self._units.starts[layer + 1]] == 0):
                return node

    def _phase(self, form: FloatArray, error: float, unit: int, points: list[FloatArray]) -> int:
        """Return 1 or -1 if a unit has one sign on the cell, else 0; points are added."""
        if not np.any(form[:-1]) and error == 0.0:
            return 1 if form[-1] > 0 else -1
        values = np.array(points) @ form[:-1] + form[-1] if points else np.zeros(0)
        order = (-1, 1) if values.max(initial=0.0) <= -values.min(initial=0.0) else (1, -1)
        for side in order:
            if (side * values).min(initial=0.0) < -ROOM:
                continue
            proved, point = self._programmes.nonnegative(side * form, error, unit, side)
            if proved:
                return side
            if point is not None:
                points.append(point)
        return 0

    def _boxed(self, node: Node) -> Node:
        """Return a node with a smaller box around its cell, and the phases that follow from it."""
        if not self._programmes.finite:
            return node
        last = int(self._units.layer_of[np.flatnonzero(node.phases == 0)].max(initial=-1))
        if last <= node.layer:
            return node
        low, high = node.low.copy(), node.high.copy()
        points = list(node.points)
        for j in range(len(low)) if len(node.cell.rows) else ():
            for side, end in ((1.0, low), (-1.0, high)):
                # A point of the cell near this end: there is little to gain.
                gap = min((side * (each[j] - end[j]) for each in points), default=np.inf)
                if gap <= _LITTLE * (high[j] - low[j]):
                    continue
                form = np.zeros(len(low) + 1)
                form[j] = side
                bound, point, _ = self._programmes.least(form, 0.0)
                if point is not None:
                    points.append(point)
                if np.isfinite(bound):
                    end[j] = max(end[j], bound) if side > 0 else min(end[j], -bound)
        if np.any(low > high):
            low, high = node.low, node.high
        ends = interval_bounds(self._units.with_phases(node.phases), low, high).layers
        hinges = [layer.hinges for layer in self._network.layers]
        lower = np.concatenate([each.lower[at] for each, at in zip(ends, hinges, strict=True)])
        upper = np.concatenate([each.upper[at] for each, at in zip(ends, hinges, strict=True)])
        phases = node.phases.copy()
        phases[(phases == 0) & (lower >= 0)] = 1
        phases[(phases == 0) & (upper <= 0)] = -1
        return replace(node, low=low, high=high, phases=phases, points=np.array(points[-_POOL:]))
