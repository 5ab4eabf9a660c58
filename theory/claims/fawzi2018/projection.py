"""Theorem 2: a classifier that projects first has half the in-distribution robustness anywhere."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, theorem
from theory.claims.fawzi2018.robustness import KEY, SOURCE
from theory.latent import R_IN, checked_distance
from theory.parameter import Parameter, Reals

R_UNC_PROJECTED = Quantity("r_unc_projected", "l2")


def projected_unconstrained_lower_bound(
    r_in: npt.ArrayLike, slack: npt.ArrayLike = 0.0, relative_slack: npt.ArrayLike = 0.0
) -> FloatArray:
    """Return a lower bound on r_unc of the classifier that first projects on the generator's range.

    Parameters
    ----------
    r_in : array_like
        In-distribution robustness of f at a point of the range, in the norm of the projection.
    slack, relative_slack : array_like
        tau and rho, both at least 0: off the range the projection z* of a point y is only known to
        satisfy ||g(z*) - y|| <= (1 + rho) dist(y, range) + tau; both must be proved, not observed.

    Returns
    -------
    ndarray
        max(r_in - tau, 0) / (2 + rho); half of r_in for the exact projection.

    Raises
    ------
    ValueError
        If an argument is negative or NaN.

    References
    ----------
    Theorem 2; the slack follows from the same triangle inequality. No factor above 1/2 is true for
    all generators: a range of two points attains it.

    Examples
    --------
    >>> float(projected_unconstrained_lower_bound(1.0)), float(
    ...     projected_unconstrained_lower_bound(1.0, slack=0.5)
    ... )
    (0.5, 0.25)
    """
    r, tau, rho = (
        checked_distance(name, value)
        for name, value in (("r_in", r_in), ("slack", slack), ("relative_slack", relative_slack))
    )
    with np.errstate(invalid="ignore"):
        left = np.where(np.isinf(tau), 0.0, np.maximum(r - tau, 0.0))
        return np.where(np.isinf(rho), 0.0, left / (2.0 + rho))


_RADIUS = Parameter("r_in", r"r_{\mathrm{in}}", "in-distribution robustness", Reals(), 1.0)
_SLACK = Parameter("slack", r"\tau", "absolute gap of the projection", Reals(), 0.1)


@theorem(
    "fawzi2018/thm2",
    kind=Kind.POINTWISE,
    quantities=(R_IN, R_UNC_PROJECTED),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem 2"),
    setting=r"Let $x$ be in the range of $g$, and let $\tilde f(y) = f(g(z^\ast(y)))$, where"
    r" $g(z^\ast(y))$ is a point of the range nearest to $y$ in the norm of both radii",
    hypotheses=(r"the range of $g$ is closed",),
    bound=Bound((_RADIUS,), projected_unconstrained_lower_bound),
)
def theorem2(facts: Facts) -> object:
    """Projecting on the range first makes unconstrained robustness half the in-distribution one.

    Hypotheses: the projection is exact (no slack), in the norm of both radii. The factor 1/2 is the
    best possible.
    """
    if _known_slack(facts) > 0:
        raise OutOfScopeError("the projection is not exact: its gap is positive")
    return projected_unconstrained_lower_bound


@theorem(
    "fawzi2018/thm2-slack",
    kind=Kind.POINTWISE,
    quantities=(R_IN, R_UNC_PROJECTED),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem 2, for an inexact projection"),
    setting=r"Let $x$ be in the range of $g$, and let $\tilde f(y) = f(g(z^\ast(y)))$, where"
    r" $g(z^\ast(y))$ is farther from $y$ than its nearest point of the range by at most $\tau$,"
    r" and"
    r" $g(z^\ast(x)) = x$",
    bound=Bound((_RADIUS, _SLACK), projected_unconstrained_lower_bound),
)
def theorem2_slack(facts: Facts) -> object:
    """A projection that is off by a proved gap loses half of the gap, and no more.

    Hypotheses: the gap is proved (a descent that merely ended proves none), and points of the range
    project on themselves.
    """
    slack = _known_slack(facts)
    return lambda r_in: projected_unconstrained_lower_bound(r_in, slack)


def _known_slack(facts: Facts) -> float:
    if "projection_slack" not in facts:
        raise OutOfScopeError("no gap of the projection is proved")
    return float(facts["projection_slack"])
