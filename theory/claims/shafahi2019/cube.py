"""Points of a class in a cube, by any l_p norm: printed, and without the tail estimate."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Facts, Kind, LawBound, Quantity, Ref, Relation, theorem
from theory.claims.mcdiarmid1989 import checked_whole
from theory.claims.shafahi2019.common import (
    CUBE_DIMENSION,
    FORMS,
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
from theory.concentration import cube_log_survival
from theory.latent import checked_distance
from theory.parameter import Parameter, Reals

ORDERS = {"l1": 1.0, "l2": 2.0, "linf": np.inf}
"""The norms of the cube that are measured, and their orders."""


def cube_cdf_lower_bound(
    distance: npt.ArrayLike,
    log_density: npt.ArrayLike,
    n: npt.ArrayLike,
    p: npt.ArrayLike = 2.0,
    *,
    form: str = "sharp",
) -> FloatArray:
    """Return the lower bound on the probability of an error within an l_p distance, in [0, 1]^n.

    Parameters
    ----------
    distance : array_like
        l_p distance, at least 0; +inf allowed.
    log_density : array_like
        log U, where U is the largest density of the class in the cube; at least 0.
    n : array_like of int
        Dimension, at least 1.
    p : array_like
        Order of the norm (quasi-norm below 1), in (0, inf].
    form : {"sharp", "printed"}
        1 - U Phibar(sqrt(2 pi) tau), or 1 - U exp(-pi tau^2) / (2 pi tau), where tau =
        n^(1/2 - 1/min(p, 2)) distance; 0 where negative.

    Returns
    -------
    ndarray
        In [0, 1]. That the classifier says c on at most half of the cube is for the caller to
        know; the claims check it.

    Raises
    ------
    ValueError
        If a distance or a log density is negative, p not positive, n no such number, or the form
        is unknown.

    References
    ----------
    Shafahi et al. (2019), theorem on the cube.

    Examples
    --------
    >>> [round(float(cube_cdf_lower_bound(1.0, 0.0, 784, form=f)), 12) for f in FORMS]
    [0.993905558908, 0.993122291298]
    """
    return value_at(cube_log_survival_upper_bound(distance, log_density, n, p, form=form))


def cube_log_survival_upper_bound(
    distance: npt.ArrayLike,
    log_density: npt.ArrayLike,
    n: npt.ArrayLike,
    p: npt.ArrayLike = 2.0,
    *,
    form: str = "sharp",
) -> FloatArray:
    """Return log of the upper bound on the probability that no error is within a distance.

    Parameters and errors are those of `cube_cdf_lower_bound`.

    Examples
    --------
    >>> round(float(cube_log_survival_upper_bound(20.0, 1000.0, 784)), 6)
    -261.471068
    """
    length, density = checked_distance("distance", distance), checked_log_density(log_density)
    if checked_form(form, FORMS) == "sharp":
        return np.minimum(density + cube_log_survival(0.5, length, n, p), 0.0)
    tau = cube_scale(n, p) * length
    with np.errstate(divide="ignore", over="ignore"):
        return np.minimum(density - np.pi * tau**2 - np.log(2 * np.pi * tau), 0.0)


def cube_scale(n: npt.ArrayLike, p: npt.ArrayLike) -> FloatArray:
    """Return n^(1/2 - 1/min(p, 2)), the l_2 distance that an l_p distance of 1 is worth.

    Parameters
    ----------
    n : array_like of int
        Dimension, at least 1.
    p : array_like
        Order of the norm, in (0, inf].

    Raises
    ------
    ValueError
        If n is no such number or p is not positive.

    Examples
    --------
    >>> cube_scale(784, [1.0, 2.0, np.inf]).round(12).tolist()
    [0.035714285714, 1.0, 1.0]
    """
    order = np.asarray(p, dtype=np.float64)
    if not np.all(order > 0):
        raise ValueError(f"p must lie in (0, inf], got {p!r}")
    return np.asarray(checked_whole("n", n, 1) ** (0.5 - 1.0 / np.minimum(order, 2.0)))


def cube_quantile_upper_bound(
    probability: npt.ArrayLike,
    log_density: npt.ArrayLike,
    n: npt.ArrayLike,
    p: npt.ArrayLike = 2.0,
    *,
    form: str = "sharp",
) -> FloatArray:
    """Return the least l_p distance at which the cube's bound reaches a probability; inf at 1.

    Examples
    --------
    >>> round(float(cube_quantile_upper_bound(0.99, 100.0, 784)), 12)
    5.670795055186
    """
    density, scale = checked_log_density(log_density), cube_scale(n, p)

    def log_survival(tau: FloatArray) -> FloatArray:
        return cube_log_survival_upper_bound(tau, density, 1, form=form)

    # An l_2 distance first, which depends neither on n nor on p.
    tau = least_distances(log_survival, log_goal(probability, density, scale))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.where(tau > 0, tau / scale, 0.0)


_DISTANCE = Parameter(
    "distance", r"\epsilon", "distance in the l_p norm", Reals(0.0, ends=(False, True)), 1.0
)
_ORDER = Parameter(
    "p", "p", "order of the norm", Reals(0.0, typical=(0.4, 4.0), ends=(False, False)), 2.0
)
_CUBE = {
    form: class_bound(
        (_DISTANCE, LOG_DENSITY, CUBE_DIMENSION, _ORDER),
        (cube_cdf_lower_bound, cube_log_survival_upper_bound, cube_quantile_upper_bound),
        form,
    )
    for form in FORMS
}
_CUBE_SETTING = setting("in $[0, 1]^n$", r"the $\ell_p$ distance from $x$ to the nearest point")
_CUBE_QUANTITIES = tuple(Quantity("error_distance", norm) for norm in ORDERS)


def _cube(facts: Facts, quantity: Quantity, form: str) -> LawBound:
    return _CUBE[form].law(**known_class(facts, "cube"), p=ORDERS[quantity.norm])


@theorem(
    "shafahi2019/cube",
    kind=Kind.LAW,
    quantities=_CUBE_QUANTITIES,
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on the cube"),
    setting=_CUBE_SETTING,
    hypotheses=HALF,
    bound=_CUBE["printed"],
    stronger="shafahi2019/cube-sharp",
)
def cube(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """In a cube most points of a class are within an l_2 distance of order 1 of an error.

    Hypotheses: the class's density is bounded, and the classifier says c on at most half of the
    cube. Never tight, and void at distance 0.
    """
    return _cube(facts, quantity, "printed")


@theorem(
    "shafahi2019/cube-sharp",
    kind=Kind.LAW,
    quantities=_CUBE_QUANTITIES,
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on the cube, its proof without the tail estimate"),
    setting=_CUBE_SETTING,
    hypotheses=HALF,
    bound=_CUBE["sharp"],
)
def cube_sharp(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The cube is the image of Gauss space, whose half-spaces are the worst case.

    Hypotheses: those of the theorem on the cube. Tight at distance 0, and to first order there
    for p >= 2 (half of the cube along one coordinate).
    """
    return _cube(facts, quantity, "sharp")
