"""Milman and Neeman, The Gaussian double-bubble and multi-bubble conjectures (2022).

Of all partitions of R^d into K <= d + 1 classes of equal Gaussian measure, the simplex cones
f(z) = argmax_i z_i have the least total boundary. So no classifier has a smaller share of points
at distance at most t from another label in the limit t -> 0. The statement is infinitesimal: what
the simplex cones are at a distance t > 0 is the exact law of one family, and bounds no other.
"""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.claims.fawzi2018.corollaries import known_equal_classes
from theory.gaussian import (
    argmax_family_cdf,
    argmax_family_log_survival,
    argmax_family_quantile,
    isoperimetric_profile,
    multi_bubble_slope,
)
from theory.latent import R_LATENT, checked_classes, require_gaussian_latent
from theory.parameter import Integers, Parameter, Reals

KEY, SOURCE = "milman2022", "Milman and Neeman, Ann. Math. 195, 2022"
DENSITY_AT_ZERO = Quantity("density_at_zero", "r_latent")
"""Lower limit of P(r_latent <= t) / t as t -> 0, r_latent in l2."""
_CLASSES = Parameter("n_classes", "K", "number of classes", Integers(2, 100), 10)


def multi_bubble_lower_bound(n_classes: npt.ArrayLike) -> FloatArray:
    """Return K (K-1) sqrt 2 int phi^2 Phi^(K-2), the least lim inf of P(r_latent <= t) / t.

    Parameters
    ----------
    n_classes : array_like
        K >= 2 classes of equal mass, at most one more than the latent dimension.

    Returns
    -------
    ndarray
        In 1 / distance; attained by simplex cones, for t -> 0 only.

    Raises
    ------
    ValueError
        If a number of classes is not whole or below 2.

    References
    ----------
    The multi-bubble theorem in Gauss space.

    Examples
    --------
    >>> multi_bubble_lower_bound([2, 3, 10]).round(12).tolist()
    [0.797884560803, 1.196826841204, 2.176124981086]
    """
    k = checked_classes(n_classes)
    slopes = [multi_bubble_slope(int(each)) for each in k.ravel()]
    return np.reshape(np.array(slopes, dtype=np.float64), k.shape)


def isoperimetric_lower_bound(n_classes: npt.ArrayLike) -> FloatArray:
    """Return K phi(isf(1/K)), the slope at 0 of the isoperimetric bound for K equal classes.

    Parameters and errors are those of `multi_bubble_lower_bound`; any latent dimension will do.

    References
    ----------
    Fawzi, Fawzi and Fawzi (2018), Theorem 1, for small distances.

    Examples
    --------
    >>> isoperimetric_lower_bound([2, 10]).round(12).tolist()
    [0.797884560803, 1.754983319325]
    """
    k = checked_classes(n_classes)
    return np.asarray(k * isoperimetric_profile(1.0 / k))


def simplex_cones_cdf(eta: npt.ArrayLike, n_classes: int) -> FloatArray:
    """Return P(r_latent <= eta) for f(z) = argmax_i z_i on K coordinates: an equality.

    Parameters
    ----------
    eta : array_like
        Euclidean distance in latent space, at least 0 (+inf allowed).
    n_classes : int
        K, at least 2.

    Returns
    -------
    ndarray
        1 - K int phi(x) Phi(x - eta sqrt 2)^(K-1) dx.

    Raises
    ------
    ValueError
        If a distance is negative or NaN, or n_classes not an integer, at least 2.

    Examples
    --------
    >>> round(float(simplex_cones_cdf(0.5, 10)), 12)
    0.715344252495
    """
    return argmax_family_cdf(eta, n_classes)


CONES = Bound(
    (Parameter("eta", r"\eta", "distance in latent space", Reals(), 1.0), _CLASSES),
    simplex_cones_cdf,
    lambda eta, n_classes: argmax_family_log_survival(eta, n_classes),
    lambda probability, n_classes: argmax_family_quantile(probability, n_classes),
)
_SETTING = (
    r"Let $z \sim \mathcal{N}(0, I_d)$, and let $r$ be the Euclidean distance to another label of"
)


@theorem(
    "milman2022/multi-bubble-slope",
    kind=Kind.SCALAR,
    quantities=(DENSITY_AT_ZERO,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the multi-bubble theorem"),
    setting=_SETTING + r" a classifier with $K$ classes of equal mass",
    hypotheses=(r"$K \le d + 1$",),
    bound=Bound((_CLASSES,), multi_bubble_lower_bound),
)
def multi_bubble(facts: Facts, quantity: Quantity) -> float:
    """Near zero the radius has at least the density of the simplex cones.

    Hypotheses: Gaussian latent, class masses known to be equal, and at most one class more than
    latent dimensions. Attained by simplex cones. It is infinitesimal: nothing follows for t > 0.
    """
    require_gaussian_latent(facts)
    k = known_equal_classes(facts)
    dimension = required(facts, "latent_dimension", "the latent dimension")
    if k > dimension + 1:
        raise OutOfScopeError(f"K = {k} is above d + 1 = {dimension + 1}")
    return multi_bubble_slope(k) * (1 - ROUNDING)


@theorem(
    "milman2022/isoperimetric-slope",
    kind=Kind.SCALAR,
    quantities=(DENSITY_AT_ZERO,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "two cells: the isoperimetric inequality for each class"),
    setting=_SETTING + r" a classifier with $K$ classes of equal mass",
    bound=Bound((_CLASSES,), isoperimetric_lower_bound),
    stronger="milman2022/multi-bubble-slope",
)
def isoperimetric(facts: Facts, quantity: Quantity) -> float:
    """Near zero the radius has at least the density that a half-space for each class would give.

    Hypotheses: Gaussian latent, and class masses known to be equal. Attained for K = 2 only: three
    half-spaces do not fill the space.
    """
    require_gaussian_latent(facts)
    return float(isoperimetric_lower_bound(known_equal_classes(facts))) * (1 - ROUNDING)


@theorem(
    "milman2022/simplex-cones",
    kind=Kind.LAW,
    quantities=(R_LATENT,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the multi-bubble theorem: the law of its minimisers"),
    setting=_SETTING + r" $f(z) = \arg\max_{i \le K} z_i$, $K \le d$",
    bound=CONES,
)
def simplex_cones(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The exact law of the simplex cones: an equality, for this one family.

    Hypotheses: Gaussian latent, and the classifier is the argmax of K coordinates. Tight at every
    distance; it bounds no other classifier.
    """
    require_gaussian_latent(facts)
    law = required(facts, "exact_law", "the exact law of the radius")
    if law.get("family") != "argmax":
        raise OutOfScopeError(f"the classifier is {law.get('family')}, not the argmax")
    return CONES.law(n_classes=int(law["n_classes"]))
