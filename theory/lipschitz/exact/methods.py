"""The Lipschitz constant of a small network, by one of three methods."""

import math
import time
from typing import Literal

import numpy as np

from theory.lipschitz.exact.branching import BranchAndBound
from theory.lipschitz.exact.constant import LipschitzConstant
from theory.lipschitz.exact.enumeration import enumerated_constant
from theory.lipschitz.exact.milp import PhaseProgramme
from theory.lipschitz.pattern_jacobian import checked_norm, n_regions_upper
from theory.relu.network import ReluNetwork
from theory.relu.region import Box, ends

Method = Literal["auto", "enumeration", "branching", "milp"]

_MOST_UNITS = {"enumeration": 24, "branching": 96, "milp": 96}


def exact_constant(
    network: ReluNetwork,
    p: float = 2,
    *,
    box: Box | None = None,
    method: Method = "auto",
    max_units: int | None = None,
    time_limit: float | None = None,
) -> LipschitzConstant:
    """Return the Lipschitz constant l_p -> l_p of a small network, or what the time allows of it.

    On a convex set with an interior it is the largest operator norm of the Jacobians of the
    regions that meet the interior: a segment between almost all pairs of points has a Jacobian at
    almost all of its points, and each of these Jacobians is attained by pairs within a region.

    Parameters
    ----------
    network : ReluNetwork
    p : {1, 2, inf}
        Norm of both inputs and outputs.
    box : pair of array_like, optional
        Lower and upper ends of all coordinates, numbers or of shape (n_inputs,), possibly
        infinite: the constant of the network on the box. Without one, on the whole space.
    method : {"auto", "enumeration", "branching", "milp"}
        Enumeration of all regions; branch and bound over phases ("auto"); or mixed-integer
        programmes, for p = 1 and inf in a finite box.
    max_units : int, optional
        The largest number of units with two phases that is tried, by default 24 for enumeration
        and 96 for the others.
    time_limit : float, optional
        Seconds after which branching and programmes end with the interval they have; by default
        none. Enumeration has no interval to end with.

    Returns
    -------
    LipschitzConstant
        The lower end is proved by the Jacobian at the witness. The upper end of branching is
        proved, rounding included; that of enumeration is for the regions that hold a ball of
        radius 1e-8; that of programmes is the solver's own bound, widened by what its tolerances
        usually falsify.

    Raises
    ------
    ValueError
        If an argument is malformed, the box has no interior, the method cannot do what is asked,
        the network has too many units, or an entry of a Jacobian is near the ends of the number
        range.
    RuntimeError
        If a programme was not solved.

    References
    ----------
    Jordan and Dimakis, Exactly Computing the Local Lipschitz Constant of ReLU Networks (NeurIPS
    2020), theorem 1 and section 5; Higham, Accuracy and Stability of Numerical Algorithms (2002),
    section 3.5.

    Examples
    --------
    >>> both = ReluNetwork([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 2.0]], [0.0])])
    >>> everywhere, below = exact_constant(both), exact_constant(both, box=(-1, 1))
    >>> round(everywhere.upper, 9), round(below.upper, 9), bool(everywhere.witness[0] > 1)
    (3.0, 1.0, True)
    """
    checked_norm(p)
    if method not in ("auto", *_MOST_UNITS):
        known = ", ".join(["auto", *_MOST_UNITS])
        raise ValueError(f"method must be one of {known}, got {method!r}")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be above 0 seconds, got {time_limit}")
    chosen = "branching" if method == "auto" else method
    low, high = ends(box, network.n_inputs)
    if np.any(low == high):
        j = int(np.argmax(low == high))
        raise ValueError(f"the box has no interior: both ends of coordinate {j} are {low[j]}")
    _check_size(network, chosen, max_units)
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    if chosen == "enumeration":
        if time_limit is not None:
            raise ValueError("enumeration has no time limit: use method='branching'")
        return enumerated_constant(network, p, box)
    if chosen == "milp":
        if p == 2:
            raise ValueError("p = 2 is no linear programme: use method='branching'")
        if not np.all(np.isfinite(low) & np.isfinite(high)):
            raise ValueError("programmes need a finite box: use method='branching'")
        return PhaseProgramme(network, p, low, high).run(deadline)
    return BranchAndBound(network, p, low, high).run(deadline)


def _check_size(network: ReluNetwork, method: str, max_units: int | None) -> None:
    allowed = _MOST_UNITS[method] if max_units is None else max_units
    if network.n_units <= allowed:
        return
    most = n_regions_upper(network)
    # A wide network's number is beyond the range of floats.
    shown = str(most) if most < 10**6 else f"about 10^{math.log10(most):.1f}"
    if network.n_units <= _MOST_UNITS["branching"]:
        other = "use method='branching'"
    else:
        other = "use an upper bound such as semidefinite_bound"
    raise ValueError(
        f"{network.n_units} units may make {shown} regions, max_units of {method} is {allowed}:"
        f" raise it, or {other}"
    )
