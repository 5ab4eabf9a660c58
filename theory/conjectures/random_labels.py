"""Random labels are no more robust than the slope of the bound at zero."""

import numpy as np

from theory.arrays import FloatArray
from theory.claim import (
    Facts,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    conjecture,
    required,
)
from theory.claims.fawzi2018.robustness import KEY, SOURCE
from theory.gaussian import isoperimetric_profile
from theory.latent import R_LATENT, largest_convex_sum, mass_limits, require_gaussian_latent
from theory.statistics import clopper_pearson, most_equal_masses

UP_TO = 0.5
"""A straight line leaves every law at last: it is followed up to this probability."""
_LEVEL = 0.01
"""That the labels are random is a hypothesis, tested at this level, and no part of the verdict."""


def slope_at_zero(p: FloatArray) -> float:
    """Return sum_i phi(isf(p_i)), the slope at 0 of the bound of Theorem 1.

    Examples
    --------
    >>> round(slope_at_zero(np.full(10, 0.1)), 12)
    1.754983319325
    """
    return float(isoperimetric_profile(p).sum())


def require_random_labels(facts: Facts) -> None:
    """Raise OutOfScopeError unless a classifier errs on real images as often as by chance."""
    seen = required(facts, "errors", "the number of errors on real images")
    _, high = clopper_pearson(seen["wrong"], seen["n"], _LEVEL)
    chance = 1 - 1 / seen["n_classes"]
    if high < chance:
        raise OutOfScopeError(f"it errs on at most {float(high):.1%} of real images, by no chance")


@conjecture(
    "fawzi2018/random-labels",
    kind=Kind.LAW,
    quantities=(R_LATENT,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 1 for small distances, followed along its tangent"),
    setting=(
        r"Let a classifier of masses $p_i$ have labels that tell nothing of the data, and let"
        r" $c = \sum_i \varphi(\Phi^{-1}(p_i))$; consider $\Pr(r_{\mathrm{latent}} \le \eta)$ and"
        r" $\min(c\, \eta, 1/2)$ for every $\eta$"
    ),
)
def random_labels(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """With random labels P(r <= eta) is at least eta times the slope of the bound at zero.

    Believed because: near zero this is Theorem 1; further out its bound bends below its tangent, as
    half-spaces leave less and less within reach. Labels that follow nothing have far more boundary
    than half-spaces, and there should be enough of it for the straight line.

    Hypotheses: Gaussian latent, class masses known or counted, and errors on real images that are
    as frequent as by chance.
    """
    require_gaussian_latent(facts)
    require_random_labels(facts)
    lower, upper = mass_limits(facts, alpha)
    # The profile is concave: the least sum lies where the masses are least equal.
    flat = -float(largest_convex_sum(lambda p: -isoperimetric_profile(p), lower, upper))
    steep = slope_at_zero(most_equal_masses(lower, upper))

    def line(slope: float, eta: FloatArray) -> FloatArray:
        return np.asarray(np.minimum(slope * np.asarray(eta, dtype=np.float64), UP_TO))

    return LawBound(
        lower=lambda eta: line(flat, eta),
        upper=lambda eta: line(steep, eta),
        quantile=lambda q: q / steep if q <= UP_TO else float("inf"),
    )
