"""The least number of coordinates to change for another label, with proof.

Branch and bound, for one number of changes after another. What `lower` rests on: neither a status
nor an objective value of the linear-programming solver is believed. Each node that is given up has
been refuted by weak duality, evaluated here from the solver's dual values, whatever they are, with
the rounding errors of the network's rows, of its bounds and of the evaluation subtracted. Hence
tolerances of the solver can only cost time, or leave the ends apart. What `upper` rests on is a
forward pass in double precision.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from theory.arrays import FloatArray
from theory.hamming.exact.branching import BallSearch
from theory.hamming.problem import MARGIN, LabelProblem
from theory.relu.network import ReluNetwork


@dataclass(frozen=True, eq=False)
class LeastChanges:
    """The least number of coordinates to change for a label, between two ends.

    Attributes
    ----------
    lower : int
        Proved: with fewer changes the target does not lead by the margin, at no point of the box.
        n + 1 if no point will do at all.
    upper : int or float
        That of the point; infinite if none is known.
    point : ndarray, shape (n,), or None
        The target leads here by the margin.
    """

    lower: int
    upper: int | float
    point: FloatArray | None

    @property
    def proved(self) -> bool:
        """Whether the point is one of fewest changes."""
        return self.lower == self.upper


def least_changes(
    problem: LabelProblem,
    *,
    known: FloatArray | None = None,
    max_changes: int | None = None,
    time_limit: float | None = None,
    margin: float = MARGIN,
) -> LeastChanges:
    """Return the least number of coordinates to change for the target to lead by a margin.

    Parameters
    ----------
    problem : LabelProblem
        Of a `ReluNetwork`, in a finite box.
    known : ndarray, shape (n,), optional
        A point of the box where the target leads by the margin. The fewer its changes, the shorter
        the proof.
    max_changes : int, optional
        Only find out whether at most that many suffice: `lower` is `max_changes` + 1 if it is
        proved that they do not; a point of so many changes need not be one of fewest.
    time_limit : float, optional
        Seconds, after which the ends may differ. One linear programme is finished first.
    margin : float
        The target's lead that is asked for, above 0.

    Raises
    ------
    TypeError
        If the classifier is not piecewise linear.
    ValueError
        If the box is not finite, or another argument makes no sense.
    RuntimeError
        If the solver failed.

    References
    ----------
    Tjeng, Xiao and Tedrake, Evaluating Robustness of Neural Networks with Mixed Integer
    Programming (ICLR 2019), for the problem; Neumaier and Shcherbina, Safe bounds in linear and
    mixed-integer linear programming (Math. Program. 99, 2004), for the proof.

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> sums = ReluNetwork([([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]], [-3.5, 0.0])])
    >>> problem = LabelProblem.of(sums, [0, 0, 0], 0, (0, 1))
    >>> found = least_changes(problem)
    >>> found.lower, found.upper, problem.changed(found.point)
    (2, 2, (1, 2))
    """
    top, point, upper = _checked(problem, known, max_changes, margin)
    if time_limit is not None and not time_limit >= 0:
        raise ValueError(f"time_limit must be at least 0, got {time_limit}")
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    # The root at the largest number may find better points; then numbers from below, of which all
    # but the last are refuted soon: fewer changes make for tighter relaxations.
    lower, k, refined = 1, top, max_changes is not None
    while lower <= top:
        answer = BallSearch(problem, k, margin, deadline).run(root_only=not refined)
        lower = max(lower, answer.lower)
        if answer.point is not None:
            point = answer.point
            upper = len(problem.changed(point))
            top = min(top, upper - 1)
            if max_changes is not None:
                break
        elif refined and not answer.proved:
            break
        refined |= answer.point is None
        if time.monotonic() > deadline:
            break
        k = lower if refined else top
    return LeastChanges(int(min(lower, upper)), upper, point)


def _checked(
    problem: LabelProblem, known: FloatArray | None, max_changes: int | None, margin: float
) -> tuple[int, FloatArray | None, int | float]:
    """Return the largest number of changes to be refuted, and the known point and its changes."""
    if not isinstance(problem.classifier, ReluNetwork):
        raise TypeError("proofs need a piecewise-linear classifier, a ReluNetwork")
    unbounded = np.flatnonzero(~np.isfinite(problem.high - problem.low))
    if unbounded.size:
        j = int(unbounded[0])
        ends = f"[{problem.low[j]}, {problem.high[j]}]"
        raise ValueError(f"the box must be finite, but coordinate {j} may be in {ends}")
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"margin must be a finite number above 0, got {margin}")
    if max_changes is not None and (isinstance(max_changes, bool) or max_changes < 1):
        raise ValueError(f"max_changes must be at least 1, got {max_changes}")
    top: int | float = len(problem.x)
    if max_changes is not None:
        top = min(top, max_changes)
    if known is None:
        return int(top), None, math.inf
    point = np.asarray(known, dtype=np.float64)
    if point.shape != problem.x.shape:
        raise ValueError(f"known must have the shape {problem.x.shape}, got {point.shape}")
    if not np.all((problem.low <= point) & (point <= problem.high)):
        raise ValueError("known is outside the box")
    if not float(problem.margin(point)) >= margin:
        raise ValueError(f"the target does not lead by {margin} at known: {problem.margin(point)}")
    upper = len(problem.changed(point))
    return int(min(top, upper - 1)), point, upper
