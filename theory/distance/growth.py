"""Lower ends of the distance from balls that grow."""

import math

from theory.distance.branching import Search
from theory.distance.budget import Budget
from theory.distance.candidates import Incumbent
from theory.distance.problem import DistanceProblem

_STEP = 1.15
_FIRST = 8.0
"""Part of the end that the first ball is, if nothing is known."""
_LAST = 1.03


def grown(
    problem: DistanceProblem,
    budget: Budget,
    known: float,
    end: float,
    *,
    incumbent: Incumbent | None = None,
    step: float = _STEP,
) -> tuple[float, int]:
    """Return a lower end of the distance, and how many nodes were looked at.

    Units have tighter ends on a smaller ball, so that few nodes say that no point of it has another
    label. The first ball that the budget does not suffice for gives the lower end: that of its
    nodes.

    Parameters
    ----------
    problem : DistanceProblem
    budget : Budget
    known : float
        A lower end, perhaps 0.
    end : float
        Balls are smaller than this; it may be infinite if some lower end is known.
    incumbent : Incumbent, optional
        Made better on the way.
    step : float
        Above 1: each ball is so many times as large as the one before.
    """
    lower, nodes = known, 0
    radius = max(known * step, 0.0 if math.isinf(end) else end / _FIRST)
    while radius * _LAST < end and budget.nodes > 0 and not budget.late():
        search = Search(problem, radius, budget, incumbent)
        search.run()
        nodes += search.n_nodes
        lower = max(lower, search.lower)
        if not search.settled:
            break
        radius *= step
        if incumbent is not None:
            end = min(end, incumbent.upper)
    return lower, nodes
