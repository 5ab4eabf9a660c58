"""Is there a point of the label that differs from x in at most k coordinates? Branch and bound.

A node marks coordinates as changed or unchanged, and units as positive or negative. Marks that
follow from a bound are set before the next programme is solved.
"""

import math
import time
from typing import NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.hamming.exact.relaxation import BallRelaxation, Marks, Relaxed
from theory.hamming.given.climb import climb
from theory.hamming.problem import LabelProblem
from theory.relu.layer import BoolArray

_WHOLE = 1e-7
"""Fractions below this, and above one minus this, are whole."""
_ROUNDS = 6
"""Times that cuts are added at the root at most."""
_PROGRESS = 0.01
"""Part of the gap that a round of cuts must close for another one to follow."""
_DOUBTS = 1000
"""Nodes that only tolerances keep open, after which the search stops to branch on them."""
_FEWER = 0.8
"""The root is built again where less than this part of its coordinates is left."""


class Answer(NamedTuple):
    """What is known of the points that differ from x in at most k coordinates.

    Attributes
    ----------
    point : ndarray, shape (n,), or None
        One of them where the target leads by the margin.
    proved : bool
        That there is none.
    lower : int
        Certified: no fewer changes suffice, as far as points of at most k changes go.
    n_nodes : int
    """

    point: FloatArray | None
    proved: bool
    lower: int
    n_nodes: int


class _Node(NamedTuple):
    marks: Marks
    phases: Marks


class BallSearch:
    """A search for a point of at most k changes.

    Parameters
    ----------
    problem : LabelProblem
        A `ReluNetwork` in a finite box.
    k : int
        At least 1.
    margin : float
    deadline : float
        In the time of `time.monotonic`.
    """

    def __init__(self, problem: LabelProblem, k: int, margin: float, deadline: float) -> None:
        self._problem, self._k, self._margin, self._deadline = problem, k, margin, deadline
        self._best: FloatArray | None = None
        self._nodes = 0
        self._doubts = 0

    def run(self, root_only: bool = False) -> Answer:
        """Search until a point is found, there is proved to be none, or the time is over."""
        movable = self._problem.low < self._problem.high
        lower = 1
        while True:
            if not movable.any():
                return Answer(None, True, self._k + 1, self._nodes)
            self._relaxation = BallRelaxation(self._problem, self._k, movable, self._margin)
            root, bound = self._root()
            lower = max(lower, math.ceil(min(bound, self._k + 1)))
            if root is None:
                return Answer(None, True, self._k + 1, self._nodes)
            if self._found():
                return Answer(self._best, False, lower, self._nodes)
            left = self._relaxation.rows.coordinates[root.marks >= 0]
            if len(left) >= _FEWER * int(movable.sum()):
                break
            movable = np.zeros_like(movable)
            movable[left] = True
        if root_only:
            return Answer(None, False, lower, self._nodes)
        stack = [root]
        open_nodes = False
        while stack:
            if time.monotonic() > self._deadline:
                return Answer(None, False, lower, self._nodes)
            self._nodes += 1
            children, settled = self._branched(stack.pop())
            if self._found():
                return Answer(self._best, False, lower, self._nodes)
            open_nodes |= not settled
            stack += children
        return Answer(None, not open_nodes, lower if open_nodes else self._k + 1, self._nodes)

    def _root(self) -> tuple[_Node | None, float]:
        relaxation = self._relaxation
        relaxation.start_cuts()
        node = _Node(
            np.zeros(len(relaxation.rows.coordinates), np.int8),
            np.zeros(relaxation.n_units, np.int8),
        )
        bound = 0.0
        for left in reversed(range(_ROUNDS)):
            solved = self._solved(node)
            if solved is None:
                return None, math.inf
            relaxed, node = solved
            gain = relaxed.bound - bound
            bound = max(bound, relaxed.bound)
            self._try(relaxed)
            if not left or self._best is not None or time.monotonic() > self._deadline:
                break
            if gain < _PROGRESS * (self._k + 1 - bound) or not relaxed.moves.size:
                break
            if not relaxation.add_cuts(relaxed):
                break
        relaxation.drop_slack_cuts()
        return node, bound

    def _solved(self, node: _Node) -> tuple[Relaxed, _Node] | None:
        """Return a node's relaxation, and the node with all marks that follow; None if empty."""
        relaxation, k = self._relaxation, self._k
        marks, phases = node.marks.copy(), node.phases.copy()
        while True:
            if int((marks == 1).sum()) > k:
                return None
            ends = relaxation.node_ends(marks)
            if np.any((phases == 1) & (ends.upper < 0) | (phases == -1) & (ends.lower > 0)):
                return None
            phases[(phases == 0) & (ends.lower >= 0)] = 1
            phases[(phases == 0) & (ends.upper <= 0)] = -1
            relaxed = relaxation.solve(marks, phases, ends)
            if relaxed.bound > k:
                return None
            if not relaxed.moves.size:
                return relaxed, _Node(marks, phases)
            opened = marks == 0
            out, moved = opened & (relaxed.lost > k), opened & (relaxed.forced > k)
            if np.any(out & moved):
                return None
            marks[out], marks[moved] = -1, 1
            if not moved.any() and out.sum() <= (1 - _FEWER) * opened.sum():
                return relaxed, _Node(marks, phases)

    def _branched(self, node: _Node) -> tuple[list[_Node], bool]:
        """Return the children, the last one to be looked at first, and whether that is all."""
        solved = self._solved(node)
        if solved is None:
            return [], True
        relaxed, node = solved
        marks, phases = node
        if relaxed.moves.size:
            self._try(relaxed)
            if self._found():
                return [], True
            unit = self._unit(relaxed, phases)
            if unit is not None:
                positive, negative = relaxed.parts[unit]
                order = (1, -1) if positive < negative else (-1, 1)
                return [_Node(marks, _marked(phases, unit, mark)) for mark in order], True
            total = self._relaxation.totals(relaxed.moves)
            fraction = np.where(marks == 0, np.minimum(total, 1 - total), 0.0)
            if fraction.max(initial=0.0) > _WHOLE:
                return self._split(node, int(fraction.argmax())), True
            self._climbed((total > _WHOLE) | (marks == 1), relaxed)
            if self._found():
                return [], True
        # All but the solver's tolerances says that there is a point: smaller nodes may tell.
        self._doubts += 1
        if self._doubts > _DOUBTS:
            return [], False
        opened = np.flatnonzero(phases == 0)
        if opened.size:
            return [_Node(marks, _marked(phases, int(opened[0]), mark)) for mark in (-1, 1)], True
        unmarked = np.flatnonzero(marks == 0)
        if unmarked.size:
            return self._split(node, int(unmarked[0])), True
        return [], False

    def _split(self, node: _Node, coordinate: int) -> list[_Node]:
        return [_Node(_marked(node.marks, coordinate, mark), node.phases) for mark in (-1, 1)]

    def _unit(self, relaxed: Relaxed, phases: Marks) -> int | None:
        """Return the open unit whose relaxation is furthest from it, in the target's leads."""
        gap = np.where(phases == 0, relaxed.parts.min(axis=1, initial=math.inf), 0.0)
        width = self._relaxation.rows.upper - self._relaxation.rows.lower
        violated = gap > _WHOLE * width
        if not violated.any():
            return None
        return int(np.where(violated, gap * self._relaxation.influence, -1.0).argmax())

    def _try(self, relaxed: Relaxed) -> None:
        """Look whether the largest of the solver's moves suffice, as they are or all the way."""
        if not relaxed.moves.size:
            return
        total = self._relaxation.totals(relaxed.moves)
        kept = np.zeros(len(total), dtype=bool)
        kept[np.argsort(-total)[: self._k]] = True
        moves = np.where(kept[self._relaxation.rows.owner], np.maximum(relaxed.moves, 0.0), 0.0)
        for each in (moves, (moves > 0.3).astype(np.float64)):
            self._offer(self._relaxation.point(each))

    def _climbed(self, changed: BoolArray, relaxed: Relaxed) -> None:
        """Look for a better point that differs from x in the same coordinates as the solver's."""
        used = np.flatnonzero(changed)
        if 0 < len(used) <= self._k:
            kept = changed[self._relaxation.rows.owner]
            start = self._relaxation.point(np.where(kept, np.maximum(relaxed.moves, 0.0), 0.0))
            coordinates = self._relaxation.rows.coordinates[used].tolist()
            found = climb(self._problem, coordinates, start, enough=self._margin, max_programmes=20)
            self._offer(self._problem.moved(coordinates, found.changes[-1]))

    def _found(self) -> bool:
        return self._best is not None

    def _offer(self, point: FloatArray) -> None:
        if (
            len(self._problem.changed(point)) <= self._k
            and self._problem.margin(point) >= self._margin
        ):
            self._best = point


def _marked(marks: Marks, at: int, mark: int) -> Marks:
    found = marks.copy()
    found[at] = mark
    return found
