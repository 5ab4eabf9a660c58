"""The bound of Theorem 1 is within a factor of two of what the best trained classifier attains."""

import functools
from collections.abc import Callable

import numpy as np

from theory.arrays import FloatArray
from theory.claim import Facts, Kind, LawBound, Quantity, Ref, Relation, conjecture
from theory.claims.fawzi2018.robustness import KEY, SOURCE, law_bound
from theory.latent import R_IN, R_LATENT, known_modulus, least_distance

FACTOR = 2.0
FROM = 0.25
"""Fewer points than the quartile of the papers' tables do not count: in the tail near 0 no number
of points tells a law from another one that is nearly as steep."""
NEARNESS = {
    Quantity(f"nearness_{radius.symbol}", radius.norm): radius for radius in (R_LATENT, R_IN)
}
"""1 / r of the most robust of several classifiers: large where it is fragile."""

Curve = Callable[[FloatArray], FloatArray]


def law_of_inverse(curve: Curve, factor: float) -> Curve:
    """Return 1 - max(B(factor / s), 1/4), P(r <= eta) <= B(factor eta) put for 1 / r <= s.

    Parameters
    ----------
    curve : callable
        B, non-decreasing, of a distance.
    factor : float

    Examples
    --------
    >>> bound = law_of_inverse(lambda eta: np.minimum(eta, 1.0), 2.0)
    >>> bound(np.array([0.0, 1.0, 4.0, np.inf])).tolist()
    [0.0, 0.0, 0.5, 0.75]
    """

    def kept(s: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            reached = curve(factor / np.asarray(s, dtype=np.float64))
        return np.asarray(1.0 - np.maximum(reached, FROM))

    return kept


@conjecture(
    "fawzi2018/bound-within-factor-two",
    kind=Kind.LAW,
    quantities=tuple(NEARNESS),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Section 4, on the gap between the bounds and the best classifiers"),
    setting=(
        r"Let $r$ be the distance to another label, in latent space or within the range of $g$, of"
        r" the most robust of several classifiers, and $B$ the bound of Theorem 1 on its law;"
        r" consider $\Pr(r \le \eta)$ and $B(2 \eta)$ for every $\eta$ at which the latter is at"
        r" least $1/4$"
    ),
)
def bound_within_factor_two(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The best classifier has half of the radius that the bound leaves it, from the quartile on.

    Believed because: for two classes half-spaces attain the bound, and for K the simplex cones come
    within a factor of 1.25 of it near zero; trained networks were found within a small factor on
    the latent radius. In image space a generator stretches some directions less than others, and
    the modulus counts the most stretched: there the factor is one of the generator as well.

    The claim is put for 1 / r, of which it bounds the law from below: P(1/r <= s) is at least
    1 - max(B(2/s), 1/4).

    Hypotheses: Gaussian latent, class masses known or counted, and for r_in a certified modulus.
    The classifier was chosen on other points.
    """
    bound = law_bound(facts, known_modulus(facts, NEARNESS[quantity]), alpha)
    # The larger end of B is the smaller one of what is left of it.
    lower, upper = (law_of_inverse(end, FACTOR) for end in (bound.upper, bound.lower))
    return LawBound(
        lower, upper, functools.partial(least_distance, lambda s: float(upper(np.array(s))))
    )
