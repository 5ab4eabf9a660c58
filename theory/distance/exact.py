"""The distance to the nearest points of another label, with proof.

What `lower` rests on: neither a status nor an objective value of a solver is believed. The
multipliers that it gives, whatever they are, are taken through the network by weak duality, with
the rounding errors subtracted. What `upper` rests on is a forward pass in double precision whose
lead is more than its rounding error.
"""

import math
from collections.abc import Sequence

import numpy.typing as npt

from theory.distance.branching import Search
from theory.distance.budget import Budget
from theory.distance.candidates import Incumbent, first_points
from theory.distance.growth import grown
from theory.distance.problem import Distance, DistanceProblem
from theory.distance.programme import Nearest
from theory.relu.network import ReluNetwork
from theory.relu.region import Box

_GROWTH = 10.0
_BALLS = 7
"""Balls, each so many times as large, that are searched where neither a point nor a box is known.
"""
_FIRST = 64
"""Nodes after which a search that is to be stopped turns to smaller balls first."""


def exact(
    network: ReluNetwork,
    x: npt.ArrayLike,
    *,
    p: float,
    box: Box | None = None,
    label: int | None = None,
    targets: Sequence[int] | None = None,
    time_limit: float | None = None,
    node_limit: int | None = None,
    start: npt.ArrayLike | None = None,
) -> Distance:
    """Return the smallest l_p distance from x to a point with another label.

    A point has another label where some other output is at least the label's. On the decision
    boundary outputs are equal, so that this is the infimum of the distances of points where another
    output is larger. (Where an output reaches the label's and is larger nowhere near, that counts
    for the lower end, while the upper one is of a point where it is larger.) An x of another label
    has distance 0.

    Parameters
    ----------
    network : ReluNetwork
    x : array_like, shape (n_inputs,)
    p : {2, inf}
    box : pair of array_like, optional
        Lower and upper ends of the points looked at, numbers or of shape (n_inputs,), possibly
        infinite.
    label : int, optional
        That of the network at x if not given.
    targets : sequence of int, optional
        Labels that count as another one; all if not given.
    time_limit : float, optional
        Seconds after which the search stops, with ends that may differ. A first point of each
        target is looked for, and first bounds are found, in any case. More time gives ends within
        those of less.
    node_limit : int, optional
        Nodes after which it stops: without a time limit, the ends are the same on each call.
    start : array_like, shape (n_inputs,), optional
        A point of another label, such as an attack's, from which a nearer one may be found.

    Returns
    -------
    Distance
        Its lower end is infinite if no point of a finite box has another label. Without a box, the
        search for a first point ends at 1e6 times the size of x, or 1: the lower end is then
        that radius, or infinite if no output of a target depends on x.

    Raises
    ------
    ValueError
        If an input is malformed: x outside the box, of a wrong shape or not finite, p neither 2
        nor inf, a label out of range, or a network whose values leave the range of doubles.

    References
    ----------
    Katz et al., Reluplex (CAV 2017) and Wang et al., Beta-CROWN (NeurIPS 2021) for branching over
    phases with their multipliers; Kotha et al., Provably Bounding Neural Network Preimages (NeurIPS
    2023) for bounds of units where the output is constrained.

    Examples
    --------
    >>> linear = ReluNetwork([([[1.0, 2.0], [-2.0, 6.0]], [0.0, -1.0])])
    >>> found = exact(linear, [1.0, 0.0], p=2)
    >>> round(found.lower, 9), round(found.upper, 9), found.proved
    (0.8, 0.8, True)
    """
    problem = DistanceProblem.of(network, x, p, box, label, targets)
    if time_limit is not None and not time_limit >= 0:
        raise ValueError(f"time_limit must be at least 0, got {time_limit}")
    if node_limit is not None and (
        isinstance(node_limit, bool) or node_limit != int(node_limit) or node_limit < 0
    ):
        raise ValueError(f"node_limit must be a whole number from 0 on, got {node_limit!r}")
    budget = Budget(time_limit, node_limit)
    known = None if start is None else network.point(start)
    if not problem.targets or problem.unreachable():
        return Distance(math.inf, math.inf, None)
    if float(problem.leads(problem.x).max()) >= 0:
        return Distance(0.0, 0.0, problem.x)
    nearest = Nearest(problem.p, problem.low - problem.x, problem.high - problem.x, budget)
    incumbent = Incumbent(problem, nearest)
    if known is not None:
        incumbent.offer(known)
        best = problem.targets[int(problem.leads(problem.inside(known)).argmax())]
        incumbent.polish(network.pattern(problem.inside(known)), best)
    far = problem.farthest()
    radius = min(far, max(1.0, float(problem.length(problem.x))))
    first_points(problem, incumbent, radius)
    nodes, lower = 0, 0.0
    for _ in range(_BALLS):
        if math.isfinite(incumbent.upper) or radius >= far or budget.late():
            break
        ball = Search(problem, radius, budget, incumbent)
        ball.run()
        nodes, lower = nodes + ball.n_nodes, max(lower, ball.lower)
        radius = min(far, radius * _GROWTH)
        if not math.isfinite(incumbent.upper):
            first_points(problem, incumbent, radius)
    found = math.isfinite(incumbent.upper)
    if math.isfinite(far) or (found and not Distance(lower, incumbent.upper, None).proved):
        # A little farther than the farthest point: a bound beyond that says that there is none.
        search = Search(problem, far * (1 + 1e-6), budget, incumbent)
        search.run(_FIRST)
        lower = max(lower, search.lower)
        limited = time_limit is not None or node_limit is not None
        if limited and not search.settled and math.isfinite(incumbent.upper):
            end = incumbent.upper
            lower, inner = grown(problem, budget, lower, end, incumbent=incumbent)
            nodes += inner
        search.run()
        lower = max(lower, search.lower)
        nodes += search.n_nodes
        lower = math.inf if lower > far else lower
    return Distance(min(lower, incumbent.upper), incumbent.upper, incumbent.point, nodes)
