"""Upper ends of the Lipschitz constant of a network on a ball or a box."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.local.center_radius import jacobian_norms
from theory.lipschitz.local.checks import checked_ball, checked_box
from theory.lipschitz.local.patterns import few_patterns, pattern_norm_upper
from theory.lipschitz.local.reduced import n_uncertain, reduced_problem
from theory.lipschitz.pattern_jacobian import checked_norm, operator_norm_upper
from theory.lipschitz.propagation import box_ends, preactivation_ends
from theory.lipschitz.propagation.jacobian import jacobian_norm_upper, slope_ends
from theory.lipschitz.semidefinite.bound import bound_of
from theory.lipschitz.semidefinite.certificate import Certificate
from theory.lipschitz.semidefinite.problem import SlopeEnds
from theory.relu.bounds import Ends
from theory.relu.layer import dense
from theory.relu.network import ReluNetwork

Method: TypeAlias = Literal[
    "best", "region", "interval", "center_radius", "patterns", "semidefinite"
]
MAX_UNITS: Final = 1500
"""Uncertain units that the semidefinite bound takes in some minutes."""
AFFORDABLE: Final = 600
"""Uncertain units up to which the method "best" solves it."""
_FEW: Final = 64
"""Uncertain units up to which tighter bounds on the pre-activations cost more than they bring."""


@dataclass(frozen=True, eq=False)
class LocalBound:
    """An upper end of a Lipschitz constant l_p -> l_p on a set, and what it rests on.

    Attributes
    ----------
    value : float
    p : float
    method : str
        The one that gave the value, never "best".
    n_uncertain : int
        Units before the outputs whose slope is not the same on the whole set.
    certificate : Certificate or None
        Of the semidefinite bound.
    network : FeedForward
    ends : tuple of Ends
        Pre-activations of each stage on the set.
    """

    value: float
    p: float
    method: str
    n_uncertain: int
    certificate: Certificate | None
    network: FeedForward = field(repr=False)
    ends: tuple[Ends, ...] = field(repr=False)

    def verify(self) -> bool:
        """Whether the value is proved again, from the network and the pre-activations alone.

        A semidefinite bound's matrix inequality is formed anew and checked without its solver.
        The other values are sums of certified norms, which are computed again.
        """
        slopes = slope_ends(self.network, self.ends)
        if self.certificate is None:
            return _plain(self.network, self.ends, slopes, self.p, self.method) <= self.value
        problem = reduced_problem(self.network, slopes, self.n_uncertain)
        if self.certificate.multipliers.shape != (problem.n_units,):
            return False
        return Certificate(problem, self.value, self.certificate.multipliers).verify()


def local_bound(
    network: ReluNetwork | FeedForward,
    center: npt.ArrayLike,
    radius: float,
    p: float = 2,
    *,
    method: Method = "best",
    tolerance: float = 1e-4,
    solver: str = "structured",
    max_units: int | None = None,
) -> LocalBound:
    r"""Bound the Lipschitz constant l_p -> l_p on the closed l_p ball around a point.

    Bounds on the pre-activations over the ball tell which units have one slope on all of it. With
    s the largest slope of a last activation such as a sigmoid, the methods are

    - "region": the norm of the Jacobian, exact, when no unit is uncertain;
    - "interval": the norm of an interval Jacobian;
    - "patterns": the largest norm over all choices of the uncertain slopes, when these are a dozen
      at most: no bound that knows only the ends of the slopes is smaller;
    - "center_radius": `center_radius_bounds` at one point;
    - "semidefinite": for p = 2, the reduced semidefinite bound: inputs and uncertain units are its
      coordinates, whatever the width. It is the norm of the Jacobian for a radius that goes to 0,
      and the global semidefinite bound when all units are uncertain;
    - "best": the least of these, without the semidefinite one where more than `max_units` units
      are uncertain, or few enough to try all patterns.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    center : array_like, shape (n_inputs,)
    radius : float
        At least 0; for 0 the norm of the Jacobians that meet at the center.
    p : {1, 2, inf}
        Norm of the ball, of the inputs and of the outputs.
    method : {"best", "region", "interval", "center_radius", "patterns", "semidefinite"}
    tolerance : float
        Relative, of the semidefinite bound's optimum.
    solver : str
        Of the semidefinite bound, as in `semidefinite_bound`.
    max_units : int, optional
        The most uncertain units of a semidefinite bound: by default 1500, for "best" 600.

    Raises
    ------
    ValueError
        If an input is malformed, the method does not apply, or too many units are uncertain.

    References
    ----------
    Hashemi, Ruths and Fazlyab, Certifying Incremental Quadratic Constraints for Neural Networks
    via Convex Optimization (L4DC 2021); Weng et al., Towards Fast Computation of Certified
    Robustness for ReLU Networks (ICML 2018), for interval Jacobians.

    Examples
    --------
    >>> hat = ReluNetwork([([[1.0], [1.0], [1.0]], [1, 0, -1]), ([[1.0, -2.0, 1.0]], [0.0])])
    >>> [round(local_bound(hat, [0.5], r).value, 6) for r in (0.4, 10.0)]  # globally: free slopes
    [1.0, 2.0]
    """
    made = FeedForward.of(network)
    point, reach = checked_ball(made, center, radius, p)
    _check_choices(method, p, tolerance)
    return bound_on(made, ball_ends(made, point, reach, p), p, method, tolerance, solver, max_units)


def ball_ends(
    network: FeedForward, center: FloatArray, radius: float, p: float
) -> tuple[Ends, ...]:
    """Return ends of the pre-activations on a ball: the tighter ones where they pay.

    Parameters
    ----------
    network : FeedForward
    center : ndarray, shape (n_inputs,)
    radius : float
    p : {1, 2, inf}
    """
    ends = preactivation_ends(network, center, radius, p, backward=False)
    if n_uncertain(slope_ends(network, ends)) <= _FEW:
        return ends
    return preactivation_ends(network, center, radius, p, known=ends)


def box_bound(
    network: ReluNetwork | FeedForward,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    p: float = 2,
    *,
    method: Method = "best",
    tolerance: float = 1e-4,
    solver: str = "structured",
    max_units: int | None = None,
) -> LocalBound:
    """Bound the Lipschitz constant l_p -> l_p on a box, as `local_bound` does on a ball.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    low, high : array_like, scalars or of shape (n_inputs,)
        Finite.
    p, method, tolerance, solver, max_units
        As for `local_bound`.

    Raises
    ------
    ValueError
        As for `local_bound`, and if the box is malformed.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> round(box_bound(absolute, -1, 2).value, 6)
    1.0
    """
    made = FeedForward.of(network)
    checked_norm(p)
    _check_choices(method, p, tolerance)
    lower, upper = checked_box(made, low, high)
    return bound_on(made, box_ends(made, lower, upper), p, method, tolerance, solver, max_units)


def bound_on(
    network: FeedForward,
    ends: Sequence[Ends],
    p: float,
    method: Method = "best",
    tolerance: float = 1e-4,
    solver: str = "structured",
    max_units: int | None = None,
) -> LocalBound:
    """Bound the Lipschitz constant on any convex set, from its pre-activations.

    Parameters
    ----------
    network : FeedForward
    ends : sequence of Ends
        One a stage.
    p, method, tolerance, solver, max_units
        As for `local_bound`.
    """
    slopes = slope_ends(network, ends)
    units = n_uncertain(slopes)

    def made(value: float, by: str, certificate: Certificate | None = None) -> LocalBound:
        return LocalBound(value, p, by, units, certificate, network, tuple(ends))

    if method not in ("best", "semidefinite"):
        return made(_plain(network, ends, slopes, p, method), method)
    if method == "semidefinite":
        problem = reduced_problem(network, slopes, MAX_UNITS if max_units is None else max_units)
        found = bound_of(problem, solver=solver, tolerance=tolerance)
        return made(found.value, method, found.certificate)
    if not units:
        return made(_plain(network, ends, slopes, p, "region"), "region")
    if few_patterns(units, network.n_inputs, network.n_outputs):
        return made(_plain(network, ends, slopes, p, "patterns"), "patterns")
    tried = [made(_plain(network, ends, slopes, p, by), by) for by in ("interval", "center_radius")]
    if p == 2 and units <= (AFFORDABLE if max_units is None else max_units):
        problem = reduced_problem(network, slopes, units)
        found = bound_of(problem, solver=solver, tolerance=tolerance)
        tried.append(made(found.value, "semidefinite", found.certificate))
    return min(tried, key=lambda each: each.value)


def _plain(
    network: FeedForward, ends: Sequence[Ends], slopes: Sequence[SlopeEnds], p: float, method: str
) -> float:
    """Return the bound of a method that solves nothing."""
    if method == "interval":
        return float(jacobian_norm_upper(network, ends, p))
    if method == "center_radius":
        batch = [SlopeEnds(least[None], most[None]) for least, most in slopes]
        return float(jacobian_norms(network, batch, p)[0])
    units = n_uncertain(slopes)
    if method == "patterns":
        if not few_patterns(units, network.n_inputs, network.n_outputs):
            raise ValueError(
                f"{units} units are uncertain, too many to try all their patterns: take a smaller"
                " set, or method='center_radius' or 'semidefinite'"
            )
        return pattern_norm_upper(reduced_problem(network, slopes, units), p)
    if units:
        raise ValueError(
            f"{units} units are uncertain, method 'region' needs a set within one region:"
            " take a smaller one, or method='center_radius'"
        )
    problem = reduced_problem(network, slopes, 0)
    jacobian = dense(problem.output[0])
    error = problem.output_errors.get(0, np.zeros_like(jacobian))
    return operator_norm_upper(jacobian, error, p)


def _check_choices(method: str, p: float, tolerance: float) -> None:
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
    if method == "semidefinite" and p != 2:
        raise ValueError(f"the semidefinite bound is for p = 2, got {p}: use 'center_radius'")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be between 0 and 1, got {tolerance}")
