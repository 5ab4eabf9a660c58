"""Gilmer et al., Adversarial Spheres (2018): how far points of a sphere are from an error.

Data are uniform on the unit sphere of R^n, and a classifier errs on a set of measure rho; the
distance to the nearest error is 0 at the errors themselves.
"""

from typing import Literal

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
    refuted,
    required,
    theorem,
)
from theory.claims.mahloujifar2019.error_region import (
    RISK,
    checked_risk,
    law_at_risk,
    risk_limits,
)
from theory.concentration import (
    cap_angle,
    sphere_enlargement,
    sphere_enlargement_angle,
    sphere_log_survival,
)
from theory.evidence import Interval
from theory.gaussian import half_space_offset
from theory.parameter import Integers, Parameter, Reals

KEY, SOURCE = "gilmer2018", "Gilmer et al., Adversarial Spheres, arXiv 1801.02774 (2018)"
Metric = Literal["geodesic", "chord"]
METRICS = ("geodesic", "chord")

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_QUARTER_TURN_REST = 6.123233995736766e-17
"""pi / 2 less its nearest float."""
_NEGLIGIBLE_EXPONENT = 40.0

GEODESIC = Quantity("error_distance", "geodesic")
CHORD = Quantity("error_distance", "l2")


def mean_cap_distance(
    mass: npt.ArrayLike, n: npt.ArrayLike, metric: Metric = "geodesic"
) -> FloatArray:
    """Return the mean distance from a uniform point of the sphere to a cap of this measure.

    No set of the same measure is farther away on average: the cap has the least enlargements.

    Parameters
    ----------
    mass : array_like
        Uniform measure of the cap, in (0, 1]; points of the cap count with distance 0.
    n : array_like of int
        Dimension of the space around the unit sphere S^(n-1), at least 2; broadcasts.
    metric : {"geodesic", "chord"}
        Angle in radians, or the Euclidean distance in R^n.

    Returns
    -------
    ndarray
        E (theta - theta_0)_+, or E 2 sin((theta - theta_0)_+ / 2), where theta is the angle
        between two independent uniform points and P(theta <= theta_0) = mass. Its relative error
        is below 1e-12 for n up to 1e6, from a mass of 1e-300 to 1 - 1e-15.

    Raises
    ------
    OutOfScopeError
        If a mass is 0: a null set need not be near anything.
    ValueError
        If a mass lies outside [0, 1], n is no whole number of at least 2, or the metric is
        unknown.

    References
    ----------
    Gilmer et al. (2018), the theorem on the mean distance; Levy, Problemes concrets d'analyse
    fonctionnelle (1951).

    Examples
    --------
    >>> round(float(mean_cap_distance(0.01, 500)), 12)
    0.104250773513
    >>> round(float(mean_cap_distance(0.01, 500, "chord")), 6)
    0.104178
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be 'geodesic' or 'chord', got {metric!r}")
    p, power = np.broadcast_arrays(checked_risk(mass, "mass"), np.asarray(n, dtype=np.float64) - 2)
    # Angles from the antipode, where the points are that are far away; from `first` to `last`
    # sin^m is not negligible beside its largest value.
    farthest = cap_angle(1.0 - p, n, complement=p)
    share = np.where(power > 0, np.exp(-_NEGLIGIBLE_EXPONENT / np.maximum(power, 1.0)), 0.0)
    equator = np.arcsin(share)
    first = np.minimum(farthest, np.pi - equator)
    last = np.arcsin(share * np.sin(np.minimum(first, np.pi / 2)))
    width = first - last
    steps = width[..., None] * (0.5 * (_NODES + 1.0))
    beyond = (farthest - first)[..., None] + steps
    distance = beyond if metric == "geodesic" else 2.0 * np.sin(0.5 * beyond)
    latitude = ((np.pi / 2 - first) + _QUARTER_TURN_REST)[..., None] + steps
    here = _power_of_sine(first[..., None] - steps, latitude, power[..., None])
    reach = (np.pi / 2 - equator)[..., None] * _NODES
    everywhere = _power_of_sine(np.pi / 2 - reach, reach, power[..., None])
    whole = (np.pi / 2 - equator) * (everywhere @ _WEIGHTS)
    return np.where(p < 1, 0.5 * width * ((distance * here) @ _WEIGHTS) / whole, 0.0)


def _power_of_sine(angle: FloatArray, latitude: FloatArray, power: FloatArray) -> FloatArray:
    """Return sin^m of an angle, given also as pi / 2 less its latitude: the accurate one counts."""
    rise = np.minimum(np.abs(np.sin(latitude)), 0.8)
    # Near the equator the sine rounds to 1, and a power of 1e6 would show it.
    log_sine = np.where(
        rise < 0.8, 0.5 * np.log1p(-(rise**2)), np.log(np.maximum(np.sin(angle), 1e-300))
    )
    return np.exp(power * log_sine)


def asymptotic_mean_distance(mass: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return Phi^-1(accuracy) / sqrt(n), the printed rate of the mean distance to an error.

    Parameters
    ----------
    mass : array_like
        Measure of the error set, 1 - accuracy, in (0, 1/2].
    n : array_like of int
        Dimension of the space around the sphere, at least 2; broadcasts.

    Returns
    -------
    ndarray
        It is not an upper bound: `mean_cap_distance` is above it, for large n by
        (phi(a) - a mass) / sqrt(n), where a = Phi^-1(accuracy).

    Raises
    ------
    OutOfScopeError
        If the accuracy is 1, or below 1/2: the theorem does not speak of it.
    ValueError
        If a mass lies outside [0, 1], or n is no whole number of at least 2.

    References
    ----------
    Gilmer et al. (2018), the theorem on the mean distance.

    Examples
    --------
    >>> round(float(asymptotic_mean_distance(0.01, 500)), 12)
    0.104037439713
    """
    p, size = checked_risk(mass, "mass"), np.asarray(n, dtype=np.float64)
    if not np.all((size >= 2) & (size == np.rint(size))):
        raise ValueError(f"n must be a whole number of at least 2, got {n!r}")
    if np.any(p > 0.5):
        raise OutOfScopeError(f"the accuracy is below one half: the errors have measure {mass!r}")
    return half_space_offset(p) / np.sqrt(size)


def require_law(facts: Facts, law: str, words: str) -> None:
    """Raise OutOfScopeError unless the law of the data ("data_law") is known to be this one."""
    known = required(facts, "data_law", "the law of the data")
    if known != law:
        raise OutOfScopeError(f"the law of the data is {known}, not {words}")


def known_dimension(facts: Facts) -> int:
    """Return the number of coordinates ("dimension"); raises OutOfScopeError if not known."""
    return int(required(facts, "dimension", "the dimension"))


SPHERE_DIMENSION = Parameter(
    "n", "n", "dimension of the space around the sphere", Integers(2, 1000), 500
)
_SMALL_RISK = Parameter(
    "risk",
    r"\rho",
    "measure of the error set",
    Reals(0.0, 0.5, typical=(0.0, 0.5), ends=(False, True)),
    0.01,
)
_ANGLE = Parameter(
    "angle",
    r"\alpha",
    "geodesic distance, in radians",
    Reals(0.0, np.pi, typical=(0.0, 0.5)),
    0.1,
)
_ASYMPTOTIC = Bound(
    (_SMALL_RISK, SPHERE_DIMENSION), lambda risk, n: asymptotic_mean_distance(risk, n)
)
_CAP = Bound((RISK, SPHERE_DIMENSION), lambda risk, n: mean_cap_distance(risk, n))
_CAP_CHORD = Bound((RISK, SPHERE_DIMENSION), lambda risk, n: mean_cap_distance(risk, n, "chord"))
_LAW = Bound(
    (_ANGLE, RISK, SPHERE_DIMENSION),
    lambda angle, risk, n: sphere_enlargement(risk, angle, n),
    lambda angle, risk, n: sphere_log_survival(risk, angle, n),
    lambda probability, risk, n: sphere_enlargement_angle(probability, risk, n),
)
_SETTING = (
    r"Let $x$ be uniform on the unit sphere of $\mathbb{R}^n$, $n \ge 2$, let $E$ be the set of"
    r" measure $\rho$ of the points of the sphere that a classifier gets wrong, and let $d$ be the"
)
_MEAN_SETTING = {
    "geodesic": _SETTING + " geodesic distance from $x$ to $E$",
    "chord": _SETTING + " Euclidean distance from $x$ to $E$",
    "either": _SETTING + " geodesic or the Euclidean distance from $x$ to $E$",
}
_SOME_ERRORS = (r"$\rho > 0$",)


def _mean(facts: Facts, alpha: float, bound: Bound) -> Interval:
    require_law(facts, "uniform-sphere", "uniform on a sphere")
    n = known_dimension(facts)
    least, most = risk_limits(facts, alpha)
    # The more errors, the nearer they are.
    ends = [float(bound.value(risk=risk, n=n)) for risk in (most, least)]
    return Interval(ends[0] * (1 - ROUNDING), ends[1] * (1 + ROUNDING))


@refuted(
    "gilmer2018/thm",
    kind=Kind.MEAN,
    quantities=(GEODESIC, CHORD),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "theorem on the mean distance, its rate read as a bound"),
    setting=_MEAN_SETTING["either"],
    hypotheses=(r"$0 < \rho \le 1/2$",),
    bound=_ASYMPTOTIC,
    stronger="gilmer2018/cap",
)
def rate(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """The mean distance to an error is at most the printed rate, its constant taken as 1.

    The theorem says O(Phi^-1(accuracy) / sqrt n). Without a constant that is no bound: a cap in
    500 dimensions with an error of 1 % is at mean distance 0.10425 (chord 0.10418), the rate is
    0.10404, and for every risk the cap is farther away than the rate once n is large.

    Hypotheses: uniform data on the unit sphere, and an accuracy of at least one half and below 1.
    """
    return _mean(facts, alpha, _ASYMPTOTIC)


@theorem(
    "gilmer2018/cap",
    kind=Kind.MEAN,
    quantities=(GEODESIC,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "theorem on the mean distance, exactly"),
    setting=_MEAN_SETTING["geodesic"],
    hypotheses=_SOME_ERRORS,
    bound=_CAP,
)
def cap(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """No error set is farther from the points of the sphere, on average, than a cap.

    Hypotheses: uniform data on the unit sphere, and some error. Tight: caps attain it.
    """
    return _mean(facts, alpha, _CAP)


@theorem(
    "gilmer2018/cap-chord",
    kind=Kind.MEAN,
    quantities=(CHORD,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "theorem on the mean distance, exactly, for the Euclidean distance"),
    setting=_MEAN_SETTING["chord"],
    hypotheses=_SOME_ERRORS,
    bound=_CAP_CHORD,
)
def cap_chord(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """No error set is farther from the points of the sphere, in R^n, than a cap.

    Hypotheses: uniform data on the unit sphere, and some error. Tight for errors on the sphere:
    caps attain it.
    """
    return _mean(facts, alpha, _CAP_CHORD)


@theorem(
    "gilmer2018/law",
    kind=Kind.LAW,
    quantities=(GEODESIC,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "proof of the theorem on the mean distance"),
    setting=_MEAN_SETTING["geodesic"],
    hypotheses=_SOME_ERRORS,
    bound=_LAW,
)
def law(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """As many points have an error nearby as would have a cap of the same measure nearby.

    Hypotheses: uniform data on the unit sphere, and some error. Tight: caps attain it.
    """
    require_law(facts, "uniform-sphere", "uniform on a sphere")
    return law_at_risk(_LAW, facts, alpha, n=known_dimension(facts))
