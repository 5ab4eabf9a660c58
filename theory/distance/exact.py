"""The distance to the nearest points of another label, with proof.

What `lower` rests on: neither a status nor an objective value of a solver is believed. The
multipliers that it gives, whatever they are, are taken through the network by weak duality, with
the rounding errors subtracted. What `upper` rests on is a forward pass in double precision whose
lead is more than its rounding error.
"""

import math
import time
from collections.abc import Sequence

import numpy.typing as npt

from theory.distance.branching import Search
from theory.distance.candidates import Incumbent, first_points
from theory.distance.problem import Distance, DistanceProblem
from theory.distance.programme import Nearest
from theory.relu.network import ReluNetwork
from theory.relu.region import Box

_GROWTH = 10.0
_BALLS = 7
"""Balls, each so many times as large, that are searched where neither a point nor a box is known.
"""


def exact(
    network: ReluNetwork,
    x: npt.ArrayLike,
    *,
    p: float,
    box: Box | None = None,
    label: int | None = None,
    targets: Sequence[int] | None = None,
    time_limit: float | None = None,
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
        Seconds after which the search stops, with ends that may differ. The first points and
        bounds are found in any case. More time gives ends within those of less.
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
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    known = None if start is None else network.point(start)
    if not problem.targets or problem.unreachable():
        return Distance(math.inf, math.inf, None)
    if float(problem.leads(problem.x).max()) >= 0:
        return Distance(0.0, 0.0, problem.x)
    nearest = Nearest(problem.p, problem.low - problem.x, problem.high - problem.x)
    incumbent = Incumbent(problem, nearest)
    if known is not None:
        incumbent.offer(known)
        best = problem.targets[int(problem.leads(problem.inside(known)).argmax())]
        incumbent.polish(network.pattern(problem.inside(known)), best)
    far = problem.farthest()
    nodes, lower = 0, 0.0
    radius = min(far, max(1.0, float(problem.length(problem.x))))
    first_points(problem, incumbent, radius)
    for _ in range(_BALLS):
        if math.isfinite(incumbent.upper) or radius >= far or time.monotonic() > deadline:
            break
        search = Search(problem, nearest, incumbent, radius, deadline)
        lower = max(lower, search.run())
        nodes += search.n_nodes
        radius = min(far, radius * _GROWTH)
        if not math.isfinite(incumbent.upper):
            first_points(problem, incumbent, radius)
    known_upper = math.isfinite(incumbent.upper)
    if math.isfinite(far) or (known_upper and not Distance(lower, incumbent.upper, None).proved):
        # A little farther than the farthest point: a bound beyond that says that there is none.
        search = Search(problem, nearest, incumbent, far * (1 + 1e-6), deadline)
        found = search.run()
        nodes += search.n_nodes
        lower = math.inf if found > far else max(lower, found)
    return Distance(min(lower, incumbent.upper), incumbent.upper, incumbent.point, nodes)
