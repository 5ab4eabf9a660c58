"""Borell, The Brunn-Minkowski inequality in Gauss space (1975); Sudakov and Tsirelson (1974).

Among all sets of one Gaussian measure, half-spaces have the least enlargements and the least
boundary. For the set of latents on which a classifier errs, this bounds the distance to an error.
"""

import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    LawBound,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.claims.mahloujifar2019.error_region import ERROR_LATENT, RISK, checked_risk, law_at_risk
from theory.gaussian import (
    halfspace_enlargement,
    halfspace_enlargement_distance,
    halfspace_log_survival,
    isoperimetric_profile,
)
from theory.latent import require_gaussian_latent
from theory.parameter import Parameter, Reals

KEY, SOURCE = "borell1975", "Borell, Invent. Math. 30, 1975"
BOUNDARY_MEASURE = Quantity("boundary_measure", "l2")
"""Lower limit of (measure of the t-enlargement - measure) / t of a region as t -> 0."""


def enlargement_lower_bound(eta: npt.ArrayLike, risk: npt.ArrayLike) -> FloatArray:
    """Return the least measure that the points at distance at most eta from a set can have.

    Parameters
    ----------
    eta : array_like
        Euclidean distance in latent space, at least 0 (+inf allowed).
    risk : array_like
        Gaussian measure of the set, in (0, 1]; broadcasts with eta.

    Returns
    -------
    ndarray
        Phi(Phi^{-1}(risk) + eta), a lower bound on P(dist(z, E) <= eta), z ~ N(0, I), for every set
        E of this measure.

    Raises
    ------
    OutOfScopeError
        If a risk is 0: nothing is near an empty set.
    ValueError
        If a risk lies outside [0, 1], or a distance is negative or NaN.

    References
    ----------
    Borell (1975); Sudakov and Tsirelson, Extremal properties of half-spaces for spherically
    invariant measures (1974).

    Examples
    --------
    >>> round(float(enlargement_lower_bound(5.0, 0.01)), 12)
    0.996248488125
    """
    return halfspace_enlargement(checked_risk(risk), eta)


def enlargement_log_survival(eta: npt.ArrayLike, risk: npt.ArrayLike) -> FloatArray:
    """Return log of the upper bound on P(dist(z, E) > eta), accurate where it underflows.

    Parameters and errors are those of `enlargement_lower_bound`.

    Examples
    --------
    >>> round(float(enlargement_log_survival(40.0, 0.5)), 6)
    -804.608442
    """
    return halfspace_log_survival(checked_risk(risk), eta)


def enlargement_distance(probability: npt.ArrayLike, risk: npt.ArrayLike) -> FloatArray:
    """Return the least distance within which every set of this measure has so many points.

    Parameters
    ----------
    probability : array_like
        In [0, 1].
    risk : array_like
        Gaussian measure of the set, in (0, 1].

    Returns
    -------
    ndarray
        0 where the measure is enough, +inf for probability 1.

    Raises
    ------
    OutOfScopeError
        If a risk is 0.
    ValueError
        If a risk or a probability lies outside [0, 1].

    Examples
    --------
    >>> round(float(enlargement_distance(0.99, 0.01)), 12)
    4.652695748082
    """
    return halfspace_enlargement_distance(probability, checked_risk(risk))


_ETA = Parameter("eta", r"\eta", "Euclidean distance in latent space", Reals(), 1.0)
ENLARGEMENT = Bound(
    (_ETA, RISK), enlargement_lower_bound, enlargement_log_survival, enlargement_distance
)
_MASS = Parameter("mass", "p", "measure of the region", Reals(0.0, 1.0, typical=(0.0, 1.0)), 0.1)


@theorem(
    "borell1975/isoperimetry",
    kind=Kind.LAW,
    quantities=(ERROR_LATENT,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the isoperimetric inequality in Gauss space"),
    setting=(
        r"Let $z \sim \mathcal{N}(0, I_d)$, let $E$ be the set of the latents on which a classifier"
        r" is wrong, of measure $\rho > 0$, and let $d$ be the Euclidean distance"
    ),
    bound=ENLARGEMENT,
)
def isoperimetry(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """No set of latents is farther from the rest of the space than a half-space of its measure.

    Hypotheses: Gaussian latent, and a positive risk, known or counted on an independent sample.
    Half-spaces attain it at every distance.
    """
    require_gaussian_latent(facts)
    return law_at_risk(ENLARGEMENT, facts, alpha)


@theorem(
    "borell1975/perimeter",
    kind=Kind.SCALAR,
    quantities=(BOUNDARY_MEASURE,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the isoperimetric inequality, for small distances"),
    setting=(
        r"Let $\gamma$ be the law of $z \sim \mathcal{N}(0, I_d)$, and let $A$ be a region with"
        r" $\gamma(A) = p$, and $A^t$ the set of the points at distance at most $t$ from it"
    ),
    bound=Bound((_MASS,), isoperimetric_profile),
)
def perimeter(facts: Facts, quantity: Quantity) -> float:
    """No region has less boundary in Gauss space than a half-space of its measure.

    Hypotheses: Gaussian latent, and the measure of the region is known. Half-spaces attain it.
    """
    require_gaussian_latent(facts)
    mass = required(facts, "region_mass", "the measure of the region")
    return float(isoperimetric_profile(mass)) * (1 - ROUNDING)
