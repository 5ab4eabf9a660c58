"""Points of a class on a sphere: printed, with the best constant, and exactly."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Facts, Kind, LawBound, Quantity, Ref, Relation, theorem
from theory.claims.gilmer2018 import GEODESIC, SPHERE_DIMENSION
from theory.claims.mcdiarmid1989 import checked_whole
from theory.claims.shafahi2019.common import (
    HALF,
    KEY,
    LOG_DENSITY,
    SOURCE,
    checked_form,
    checked_log_density,
    class_bound,
    known_class,
    least_distances,
    log_goal,
    setting,
    value_at,
)
from theory.concentration import cap_angle, sphere_log_survival
from theory.latent import checked_distance
from theory.parameter import Parameter, Reals

SPHERE_FORMS = ("exact", "sharp", "printed")
_LOG_CONSTANTS = {"sharp": float(np.log(0.5)), "printed": float(0.5 * np.log(np.pi / 8))}
_LEAST_LOGARITHM = -690.0
"""Below this a measure is no longer a normal float."""
_LAST_DIGITS = 3
"""So many times an angle may be rounded up: near pi / 2 a last digit of it moves the bound."""


def sphere_cdf_lower_bound(
    angle: npt.ArrayLike, log_density: npt.ArrayLike, n: npt.ArrayLike, *, form: str = "exact"
) -> FloatArray:
    """Return the lower bound on the probability of an error within an angle, on a sphere.

    Parameters
    ----------
    angle : array_like
        Geodesic distance in radians, at least 0; +inf allowed.
    log_density : array_like
        log V, where V is the largest density of the class relative to the uniform one; at least 0.
    n : array_like of int
        Dimension of the space around the sphere S^(n-1), at least 2.
    form : {"exact", "sharp", "printed"}
        1 - (V/2) I((n-1)/2, 1/2; cos^2 angle), with the regularised incomplete beta function, and
        1 from pi/2 on; 1 - (V/2) exp(-(n-1) angle^2 / 2); the same with sqrt(pi/8) for 1/2. All
        are 0 where negative.

    Returns
    -------
    ndarray
        In [0, 1]. That the classifier says c on at most half of the sphere is for the caller to
        know; the claims check it.

    Raises
    ------
    ValueError
        If an angle or a log density is negative, n is no such number, or the form is unknown.

    References
    ----------
    Shafahi et al. (2019), theorem on the sphere.

    Examples
    --------
    >>> [round(float(sphere_cdf_lower_bound(0.1, 0.0, 784, form=f)), 9) for f in SPHERE_FORMS]
    [0.997442158, 0.990029726, 0.987504114]
    """
    return value_at(sphere_log_survival_upper_bound(angle, log_density, n, form=form))


def sphere_log_survival_upper_bound(
    angle: npt.ArrayLike, log_density: npt.ArrayLike, n: npt.ArrayLike, *, form: str = "exact"
) -> FloatArray:
    """Return log of the upper bound on the probability that no error is within an angle.

    Parameters and errors are those of `sphere_cdf_lower_bound`.

    Examples
    --------
    >>> round(float(sphere_log_survival_upper_bound(1.0, 0.0, 784)), 6)
    -486.114271
    """
    distance, density = checked_distance("angle", angle), checked_log_density(log_density)
    size = checked_whole("n", n, 2)
    if checked_form(form, SPHERE_FORMS) == "exact":
        log_cap = sphere_log_survival(0.5, distance, size)
    else:
        with np.errstate(over="ignore"):
            log_cap = _LOG_CONSTANTS[form] - 0.5 * (size - 1) * distance**2
    return np.minimum(density + log_cap, 0.0)


def sphere_quantile_upper_bound(
    probability: npt.ArrayLike,
    log_density: npt.ArrayLike,
    n: npt.ArrayLike,
    *,
    form: str = "exact",
) -> FloatArray:
    """Return the least angle at which the sphere's bound reaches a probability.

    Examples
    --------
    >>> round(float(sphere_quantile_upper_bound(0.99, 100.0, 784)), 12)
    0.497285869265
    """
    density, size = checked_log_density(log_density), checked_whole("n", n, 2)
    goal = log_goal(probability, density, size)
    if checked_form(form, SPHERE_FORMS) != "exact":
        needed = np.maximum(density + _LOG_CONSTANTS[form] - goal, 0.0)
        return np.where(goal < 0, np.sqrt(2 * needed / (size - 1)), 0.0)

    def log_survival(r: FloatArray) -> FloatArray:
        return sphere_log_survival_upper_bound(r, density, size)

    # What may be left has the uniform measure of a cap, beyond a hemisphere.
    left = goal - density
    cap = cap_angle(np.exp(np.minimum(left, _LOG_CONSTANTS["sharp"])), size)
    angle = np.maximum(np.pi / 2 - cap, 0.0)
    for _ in range(_LAST_DIGITS):
        angle = np.where(log_survival(angle) > goal, np.nextafter(angle, np.pi), angle)
    if np.any(np.isfinite(left) & (left < _LEAST_LOGARITHM)):
        angle = np.where(left < _LEAST_LOGARITHM, least_distances(log_survival, goal), angle)
    return np.where(goal < 0, angle, 0.0)


_ANGLE = Parameter(
    "angle", r"\epsilon", "geodesic distance, in radians", Reals(typical=(0.0, 1.2)), 0.1
)
_SPHERE = {
    form: class_bound(
        (_ANGLE, LOG_DENSITY, SPHERE_DIMENSION),
        (sphere_cdf_lower_bound, sphere_log_survival_upper_bound, sphere_quantile_upper_bound),
        form,
    )
    for form in SPHERE_FORMS
}
_SPHERE_SETTING = setting(
    r"on the unit sphere of $\mathbb{R}^n$", "the geodesic distance from $x$ to the nearest point"
)


@theorem(
    "shafahi2019/sphere",
    kind=Kind.LAW,
    quantities=(GEODESIC,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on the sphere"),
    setting=_SPHERE_SETTING,
    hypotheses=HALF,
    bound=_SPHERE["printed"],
    stronger="shafahi2019/sphere-sharp",
)
def sphere(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """On a sphere of high dimension most points of a class are near an error.

    Hypotheses: the class's density is bounded, and the classifier says c on at most half of the
    sphere. Never tight.
    """
    return _SPHERE["printed"].law(**known_class(facts, "sphere"))


@theorem(
    "shafahi2019/sphere-sharp",
    kind=Kind.LAW,
    quantities=(GEODESIC,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on the sphere, with its best constant"),
    setting=_SPHERE_SETTING,
    hypotheses=HALF,
    bound=_SPHERE["sharp"],
    stronger="shafahi2019/sphere-exact",
)
def sphere_sharp(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The same with the constant 1/2, which a distance of 0 needs.

    Hypotheses: those of the theorem on the sphere. Tight at distance 0 only.
    """
    return _SPHERE["sharp"].law(**known_class(facts, "sphere"))


@theorem(
    "shafahi2019/sphere-exact",
    kind=Kind.LAW,
    quantities=(GEODESIC,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on the sphere, its proof without estimates"),
    setting=_SPHERE_SETTING,
    hypotheses=HALF,
    bound=_SPHERE["exact"],
)
def sphere_exact(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """No set of half of the sphere is farther from the rest than a hemisphere.

    Hypotheses: those of the theorem on the sphere. Tight for a hemisphere and a class that has
    its largest density on the cap of the points that are that far away.
    """
    return _SPHERE["exact"].law(**known_class(facts, "sphere"))
