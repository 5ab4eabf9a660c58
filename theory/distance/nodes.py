"""Nodes of branch and bound, and the units after which they are branched."""

import math
from typing import NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.distance.ascent import Ascent
from theory.distance.problem import DistanceProblem
from theory.distance.programme import NodeSolution
from theory.distance.reach import HalfSpace
from theory.distance.relaxation import Multipliers, Relaxation, Units

Branch = tuple[int, int]
"""Stage and unit."""
_CANDIDATES = 4
"""Units whose two sides are bounded before one is chosen."""
_LOOK = 2
"""Steps of the ascent for those."""
_VIOLATED = 1e-12
"""Scores below this are the solver's tolerance."""


class Node(NamedTuple):
    """A target and what is known where it leads.

    Attributes
    ----------
    target : int
    bound : float
    units : list of Units
    half : HalfSpace
        It holds all points of the node that are nearer than the best one.
    multipliers : list of Multipliers or None
        For a lead of price 1, those of the half-space or better ones.
    cut : float
        The bound when the ends of first units were found last.
    branch : (int, int) or None
        Stage and unit whose phases are to be told apart; None until it has been bounded.
    """

    target: int
    bound: float
    units: list[Units]
    half: HalfSpace
    multipliers: list[Multipliers] | None = None
    cut: float = 0.0
    branch: Branch | None = None


def with_branches(
    nodes: list[Node],
    losses: list[FloatArray],
    relaxation: Relaxation,
    ascent: Ascent,
    radius: float,
) -> list[Node]:
    """Return nodes with the branches after which both sides' distances are largest.

    Both sides are tried of the units that lose most. Without such units, the widest one is it.

    Parameters
    ----------
    nodes : list of Node
        B of them, each with a unit that is open.
    losses : list of ndarray, each of shape (B, m)
        What the relaxation of each unit gives away at the nodes' points.
    relaxation : Relaxation
    ascent : Ascent
    radius : float
        Distances beyond count as this one.

    References
    ----------
    Bunel et al., Branch and Bound for Piecewise Linear Neural Network Verification (JMLR 2020), for
    the losses as scores; De Palma et al., Improved Branch and Bound for Neural Network Verification
    via Lagrangian Decomposition (2021), for bounds of both sides.
    """
    candidates = [(b, *each) for b in range(len(nodes)) for each in _most(losses, b)]
    found: dict[int, tuple[float, Branch]] = {}
    if candidates:
        sides = [
            (nodes[b], relaxation.branched(nodes[b].units, (i, j), phase))
            for b, i, j in candidates
            for phase in (1, -1)
        ]
        raised = ascent.run(
            [node.target for node, _ in sides],
            [units for _, units in sides],
            [node.multipliers for node, _ in sides],
            math.inf,
            _LOOK,
        )
        for (b, i, j), ends in zip(candidates, raised.distances.reshape(-1, 2), strict=True):
            rises = np.minimum(ends, radius) - nodes[b].bound
            score = float(np.prod(np.maximum(rises, 1e-6 * radius)))
            if b not in found or score > found[b][0]:
                found[b] = score, (i, j)
    return [
        node._replace(branch=found[b][1] if b in found else widest(relaxation.problem, node.units))
        for b, node in enumerate(nodes)
    ]


def violated(solution: NodeSolution) -> Branch | None:
    """Return the unit of most violation times multiplier, or else of most violation."""
    for scores in (solution.scores, solution.violations):
        if (best := _largest(scores)) is not None:
            return best
    return None


def widest(problem: DistanceProblem, units: list[Units]) -> Branch | None:
    """Return the open unit with the widest range, None if all are closed."""
    return _largest(
        [
            np.where(each.opened(stage), each.upper - each.lower, 0.0)
            for stage, each in zip(problem.stages, units, strict=True)
        ]
    )


def _largest(scores: list[FloatArray]) -> Branch | None:
    tops = [(float(each.max()), i, int(each.argmax())) for i, each in enumerate(scores)]
    top, i, j = max(tops)
    return (i, j) if top > _VIOLATED else None


def _most(losses: list[FloatArray], b: int) -> list[Branch]:
    """Return the units of a node that lose most."""
    flat = np.concatenate([each[b] for each in losses])
    ends = np.cumsum([each.shape[1] for each in losses])
    found = []
    for k in np.argsort(-flat, kind="stable")[:_CANDIDATES]:
        if flat[k] > 0:
            i = int(np.searchsorted(ends, k, side="right"))
            found.append((i, int(k - (ends[i - 1] if i else 0))))
    return found
