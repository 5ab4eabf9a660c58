"""Theorem 1 for balanced and for equal classes, printed and sharp."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray
from theory.claim import (
    Bound,
    Facts,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
)
from theory.claims.fawzi2018.robustness import KEY, SOURCE, image_quantile, law_theorem
from theory.gaussian import crossing_at, half_space_offset, log_survival_at
from theory.latent import (
    checked_classes,
    checked_masses,
    checked_probability,
    known_modulus,
    latent_distance,
    mass_limits,
    require_gaussian_latent,
)
from theory.modulus import Modulus
from theory.parameter import DISTANCE, MODULUS, N_CLASSES

Form = Literal["sharp", "printed"]
FORMS = ("sharp", "printed")
LOG_CONSTANT = float(0.5 * np.log(np.pi / 2))
"""The logarithm of sqrt(pi / 2), the constant of the printed forms."""
PRINTED_FROM = 5
"""The least number of classes for which the printed offset is a real number."""


def checked_form(form: str) -> str:
    """Return the form; raises ValueError if it is neither "sharp" nor "printed"."""
    if form not in FORMS:
        raise ValueError(f"form must be 'sharp' or 'printed', got {form!r}")
    return form


def _printed_exponent(t: FloatArray, offset: FloatArray | float) -> FloatArray:
    """Return the logarithm of sqrt(pi/2) exp(-t^2/2 - t offset); -inf beyond the doubles."""
    with np.errstate(over="ignore"):
        return np.asarray(LOG_CONSTANT - t * (0.5 * t + offset))


def balanced_cdf_lower_bound(
    eta: npt.ArrayLike, modulus: Modulus, *, form: Form = "sharp"
) -> FloatArray:
    """Return the lower bound on P(r <= eta) where no class has more than half of the mass.

    Parameters
    ----------
    eta : array_like
        Distance in image space, at least 0; +inf allowed.
    modulus : Modulus
        omega of the generator; `LipschitzModulus(1.0)` for r_latent.
    form : {"sharp", "printed"}
        1 - 2 Phibar(t), or 1 - sqrt(pi/2) exp(-t^2/2), with t = omega^{-1}(eta); 0 where negative.

    Returns
    -------
    ndarray
        In [0, 1], shaped as eta. That no class has more than half of the mass is for the caller
        to know; the claims check it.

    Raises
    ------
    ValueError
        If eta is negative or NaN, or the form is unknown.

    References
    ----------
    Theorem 1, equation (4); the sharp form follows from (3), since G_t is convex.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega = LipschitzModulus(1.0)
    >>> round(float(balanced_cdf_lower_bound(2.0, omega)), 12)
    0.954499736104
    >>> round(float(balanced_cdf_lower_bound(2.0, omega, form="printed")), 12)
    0.830382376242
    """
    t = latent_distance(eta, modulus)
    if checked_form(form) == "sharp":
        return np.asarray(special.erf(t / np.sqrt(2.0)))
    return np.maximum(-np.expm1(_printed_exponent(t, 0.0)), 0.0)


def balanced_log_survival_upper_bound(
    eta: npt.ArrayLike, modulus: Modulus, *, form: Form = "sharp"
) -> FloatArray:
    """Return log of the upper bound on P(r > eta) that `balanced_cdf_lower_bound` has below 1.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(balanced_log_survival_upper_bound(100.0, LipschitzModulus(1.0))), 6)
    -5004.831062
    """
    t = latent_distance(eta, modulus)
    if checked_form(form) == "printed":
        return np.minimum(_printed_exponent(t, 0.0), 0.0)
    with np.errstate(divide="ignore"):
        near = np.log1p(-special.erf(np.minimum(t, 1.0) / np.sqrt(2.0)))
    return np.asarray(np.where(t < 1.0, near, np.log(2.0) + special.log_ndtr(-t)))


def balanced_quantile_upper_bound(
    probability: npt.ArrayLike, modulus: Modulus, *, form: Form = "sharp"
) -> FloatArray:
    """Return the least eta whose balanced bound reaches a probability; +inf at 1.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(balanced_quantile_upper_bound(0.5, LipschitzModulus(2.0))), 12)
    1.348979500392
    """
    q = checked_probability("probability", probability)
    if checked_form(form) == "sharp":
        low = np.sqrt(2.0) * special.erfinv(np.minimum(q, 0.5))
        t = np.where(q < 0.5, low, -special.ndtri(0.5 * (1.0 - q)))
    else:
        with np.errstate(divide="ignore"):
            t = np.sqrt(2.0 * (LOG_CONSTANT - np.log1p(-q)))
    return image_quantile(q, t, modulus)


def printed_offset(n_classes: npt.ArrayLike) -> FloatArray:
    """Return alpha_K = sqrt(log(K^2 / (4 pi log K))), which isf(1/K) is never below.

    Parameters
    ----------
    n_classes : array_like of int
        K, at least 5: for smaller K it is no real number.

    Raises
    ------
    OutOfScopeError
        If K < 5: the printed form says nothing there.
    ValueError
        If K is not a whole number of at least 2.

    References
    ----------
    Theorem 1, equation (5).

    Examples
    --------
    >>> round(float(printed_offset(10)), 12)
    1.113603831607
    """
    k = checked_classes(n_classes)
    if np.any(k < PRINTED_FROM):
        raise OutOfScopeError(f"the printed form needs at least 5 classes, got {n_classes!r}")
    return np.sqrt(2.0 * np.log(k) - np.log(4.0 * np.pi * np.log(k)))


def equiprobable_cdf_lower_bound(
    eta: npt.ArrayLike, modulus: Modulus, n_classes: npt.ArrayLike, *, form: Form = "sharp"
) -> FloatArray:
    """Return the lower bound on P(r <= eta) for K classes of equal mass.

    Parameters
    ----------
    eta : array_like
        Distance in image space, at least 0.
    modulus : Modulus
        omega of the generator.
    n_classes : array_like of int
        K >= 2 (printed form: K >= 5); broadcasts with eta.
    form : {"sharp", "printed"}
        1 - K Phibar(a_K + t) with a_K = isf(1/K), or 1 - sqrt(pi/2) exp(-t^2/2 - t alpha_K).

    Returns
    -------
    ndarray
        In [0, 1].

    Raises
    ------
    OutOfScopeError
        Printed form, and K < 5.
    ValueError
        If eta is negative or NaN, or K is not a whole number of at least 2.

    References
    ----------
    Theorem 1, equation (5), with t = omega^{-1}(eta) in both terms of the exponent.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega = LipschitzModulus(1.0)
    >>> round(float(equiprobable_cdf_lower_bound(1.0, omega, 10)), 12)
    0.887420854874
    >>> round(float(equiprobable_cdf_lower_bound(1.0, omega, 10, form="printed")), 12)
    0.750379241521
    """
    k, t = checked_classes(n_classes), latent_distance(eta, modulus)
    if checked_form(form) == "sharp":
        return np.clip(k * crossing_at(half_space_offset(1.0 / k), t), 0.0, 1.0)
    return np.maximum(-np.expm1(_printed_exponent(t, printed_offset(n_classes))), 0.0)


def equiprobable_log_survival_upper_bound(
    eta: npt.ArrayLike, modulus: Modulus, n_classes: npt.ArrayLike, *, form: Form = "sharp"
) -> FloatArray:
    """Return log of the upper bound on P(r > eta) of `equiprobable_cdf_lower_bound`.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega = LipschitzModulus(1.0)
    >>> round(float(equiprobable_log_survival_upper_bound(100.0, omega, 10)), 6)
    -5132.210699
    """
    k, t = checked_classes(n_classes), latent_distance(eta, modulus)
    if checked_form(form) == "printed":
        return np.minimum(_printed_exponent(t, printed_offset(n_classes)), 0.0)
    far = np.log(k) + log_survival_at(half_space_offset(1.0 / k), t)
    crossing = equiprobable_cdf_lower_bound(eta, modulus, k)
    with np.errstate(divide="ignore"):
        return np.minimum(np.where(crossing < 0.5, np.log1p(-crossing), far), 0.0)


def equiprobable_quantile_upper_bound(
    probability: npt.ArrayLike, modulus: Modulus, n_classes: npt.ArrayLike, *, form: Form = "sharp"
) -> FloatArray:
    """Return the least eta whose bound for K equal classes reaches a probability; +inf at 1.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega = LipschitzModulus(1.0)
    >>> round(float(equiprobable_quantile_upper_bound(0.25, omega, 10)), 12)
    0.157979905394
    """
    q, k = checked_probability("probability", probability), checked_classes(n_classes)
    if checked_form(form) == "printed":
        offset = printed_offset(n_classes)
        with np.errstate(divide="ignore", invalid="ignore"):
            twice = 2.0 * (LOG_CONSTANT - np.log1p(-q))
            # The positive root of t^2 / 2 + t alpha = twice / 2, without cancellation.
            t = np.where(q < 1, twice / (offset + np.sqrt(offset**2 + twice)), np.inf)
    else:
        t = _equal_classes_quantile(q, k)
    return image_quantile(q, t, modulus)


def _equal_classes_quantile(q: FloatArray, k: FloatArray) -> FloatArray:
    offset = half_space_offset(1.0 / k)
    with np.errstate(divide="ignore"):
        t = half_space_offset((1.0 - q) / k) - offset
    q, k, t, offset = np.broadcast_arrays(q, k, t, offset)
    t = np.array(t)
    near = (q > 0) & (q < 0.5)
    # The two offsets nearly cancel for small q: Newton's method on the crossing puts it right.
    t[near] = np.maximum(t[near], 0.25 * q[near])
    for _ in range(60):
        a, s = offset[near], t[near]
        excess = k[near] * crossing_at(a, s) - q[near]
        rate = k[near] * np.exp(-0.5 * (a + s) ** 2) / np.sqrt(2.0 * np.pi)
        # The crossing is concave beyond the offset: from the left no step passes the root.
        step = np.maximum(excess / rate, -s)
        t[near] = np.where(s - step > 0, s - step, s / 2)
        if np.all(np.abs(step) <= 4e-16 * s):
            break
    return t


def _balanced(facts: Facts, quantity: Quantity, alpha: float, bound: Bound) -> LawBound:
    require_gaussian_latent(facts)
    _, upper = mass_limits(facts, alpha)
    if upper.max() > 0.5:
        raise OutOfScopeError(f"a class may have more than half of the mass: {upper.max():.4g}")
    return bound.law(modulus=known_modulus(facts, quantity))


def known_equal_classes(facts: Facts) -> int:
    """Return K where the class masses are known to be equal; raises OutOfScopeError elsewhere."""
    if "class_masses" not in facts:
        raise OutOfScopeError("equal masses are not known, and no count can prove them")
    p = checked_masses(facts["class_masses"])
    if p.size < 2 or np.ptp(p) > 1e-12:
        raise OutOfScopeError(f"the masses are not equal: {p.min():.4g} to {p.max():.4g}")
    return int(p.size)


def _equiprobable(facts: Facts, quantity: Quantity, bound: Bound) -> LawBound:
    require_gaussian_latent(facts)
    n, modulus = known_equal_classes(facts), known_modulus(facts, quantity)
    bound.value(eta=0.0, modulus=modulus, n_classes=n)  # the printed form may be out of scope
    return bound.law(modulus=modulus, n_classes=n)


def _with_form(form: Form) -> tuple[Bound, Bound]:
    """Return the balanced and the equiprobable bound of one form."""
    absolute = 1e-15 if form == "printed" else 0.0
    balanced = Bound(
        (DISTANCE, MODULUS),
        lambda eta, modulus: balanced_cdf_lower_bound(eta, modulus, form=form),
        lambda eta, modulus: balanced_log_survival_upper_bound(eta, modulus, form=form),
        lambda probability, modulus: balanced_quantile_upper_bound(probability, modulus, form=form),
        absolute=absolute,
    )
    equal = Bound(
        (DISTANCE, MODULUS, N_CLASSES),
        lambda eta, modulus, n_classes: equiprobable_cdf_lower_bound(
            eta, modulus, n_classes, form=form
        ),
        lambda eta, modulus, n_classes: equiprobable_log_survival_upper_bound(
            eta, modulus, n_classes, form=form
        ),
        lambda probability, modulus, n_classes: equiprobable_quantile_upper_bound(
            probability, modulus, n_classes, form=form
        ),
        absolute=absolute,
    )
    return balanced, equal


_BALANCED, _EQUIPROBABLE = _with_form("sharp")
_BALANCED_PRINTED, _EQUIPROBABLE_PRINTED = _with_form("printed")
_NO_MAJORITY = (r"$p_i \le 1/2$ for every class",)


@law_theorem(
    "fawzi2018/thm1-balanced",
    ref=Ref(KEY, SOURCE, "Theorem 1, equation (4)"),
    hypotheses=_NO_MAJORITY,
    bound=_BALANCED_PRINTED,
    stronger="fawzi2018/thm1-balanced-sharp",
)
def balanced_printed(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """No class above half: at two moduli of distance, four points in five have another label.

    Hypotheses: those of Theorem 1, and no class has more than half of the mass. Never tight.
    """
    return _balanced(facts, quantity, alpha, _BALANCED_PRINTED)


@law_theorem(
    "fawzi2018/thm1-balanced-sharp",
    ref=Ref(KEY, SOURCE, "Theorem 1, equation (4), with its best constant"),
    hypotheses=_NO_MAJORITY,
    bound=_BALANCED,
    stronger="fawzi2018/thm1",
)
def balanced_sharp(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """No class above half: two half-spaces of equal mass are the worst case.

    Hypotheses: those of Theorem 1, and no class has more than half of the mass. Tight for K = 2.
    """
    return _balanced(facts, quantity, alpha, _BALANCED)


@law_theorem(
    "fawzi2018/thm1-equiprobable",
    ref=Ref(KEY, SOURCE, "Theorem 1, equation (5)"),
    hypotheses=(r"$p_i = 1/K$", r"$K \ge 5$"),
    bound=_EQUIPROBABLE_PRINTED,
    stronger="fawzi2018/thm1-equiprobable-sharp",
)
def equiprobable_printed(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """More classes of equal mass make every classifier less robust.

    Hypotheses: those of Theorem 1, equal class masses, and at least five classes. Never tight.
    """
    return _equiprobable(facts, quantity, _EQUIPROBABLE_PRINTED)


@law_theorem(
    "fawzi2018/thm1-equiprobable-sharp",
    ref=Ref(KEY, SOURCE, "Theorem 1, equation (3) for equal masses"),
    hypotheses=(r"$p_i = 1/K$",),
    bound=_EQUIPROBABLE,
)
def equiprobable_sharp(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Equal class masses, for every number of classes from two on.

    Hypotheses: those of Theorem 1, and equal class masses. Tight for K = 2.
    """
    return _equiprobable(facts, quantity, _EQUIPROBABLE)
