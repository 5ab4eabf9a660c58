"""Theorem 1: the law of the distance to another label, for any classifier."""

import functools

import numpy as np
import numpy.typing as npt
from scipy import optimize

from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, LawBound, Quantity, Ref, Relation, conjecture, theorem
from theory.gaussian import survival_kernel
from theory.latent import (
    R_IN,
    R_LATENT,
    R_UNC,
    checked_masses,
    checked_probability,
    crossing_mass,
    known_modulus,
    largest_convex_sum,
    latent_distance,
    log_kept_mass,
    mass_limits,
    require_gaussian_latent,
)
from theory.modulus import Modulus
from theory.parameter import DISTANCE, MASSES, MODULUS
from theory.statistics import most_equal_masses

KEY, SOURCE = "fawzi2018", "Fawzi, Fawzi and Fawzi, NeurIPS 2018"
SETTING = (
    r"Let $x = g(z)$, $z \sim \mathcal{N}(0, I_d)$, where the generator $g$ has the modulus of"
    r" continuity $\omega$, let $f$ be any classifier with class masses $p_i = \Pr(f(x) = i)$, and"
    r" let $r$ be $r_{\mathrm{latent}}$ (with $\omega(t) = t$), $r_{\mathrm{in}}$ or"
    r" $r_{\mathrm{unc}}$"
)


def cdf_lower_bound(
    eta: npt.ArrayLike, modulus: Modulus, class_masses: npt.ArrayLike
) -> FloatArray:
    """Return the lower bound of Theorem 1 on P(r <= eta), for r in {r_in, r_unc}.

    With the modulus of the identity, `LipschitzModulus(1.0)`, it bounds the law of r_latent.

    Parameters
    ----------
    eta : array_like
        Distance in image space, at least 0; +inf allowed.
    modulus : Modulus
        omega of the generator, from latent l2 to the image norm in which r is measured.
    class_masses : array_like, shape (..., K)
        p_i, the masses of the classifier's own predictions on generated data; leading axes
        broadcast with eta.

    Returns
    -------
    ndarray
        sum_i [Phi(a_i + t) - Phi(a_i)], t = omega^{-1}(eta), a_i = isf(p_i); in [0, 1], never NaN.

    Raises
    ------
    ValueError
        If masses lie outside [0, 1] or do not sum to 1 within 1e-9, or eta is negative or NaN.

    References
    ----------
    Theorem 1, equation (3); equality for K = 2 and half-spaces of latent space.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(cdf_lower_bound(1.0, LipschitzModulus(1.0), [0.1] * 10)), 12)
    0.887420854874
    """
    p = checked_masses(class_masses)
    return np.clip(crossing_mass(p, latent_distance(eta, modulus)), 0.0, 1.0)


def log_survival_upper_bound(
    eta: npt.ArrayLike, modulus: Modulus, class_masses: npt.ArrayLike
) -> FloatArray:
    """Return log of the upper bound of Theorem 1 on P(r > eta), accurate where it underflows.

    Parameters and errors are those of `cdf_lower_bound`.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(log_survival_upper_bound(100.0, LipschitzModulus(1.0), [0.1] * 10)), 6)
    -5132.210699
    """
    return log_kept_mass(checked_masses(class_masses), latent_distance(eta, modulus))


def quantile_upper_bound(
    probability: npt.ArrayLike, modulus: Modulus, class_masses: npt.ArrayLike
) -> FloatArray:
    """Return the least eta whose bound reaches `probability`: an upper bound on that quantile of r.

    Parameters
    ----------
    probability : array_like
        q in [0, 1].
    modulus : Modulus
        omega of the generator.
    class_masses : array_like, shape (K,)
        p_i, as in `cdf_lower_bound`.

    Returns
    -------
    ndarray
        omega(t_q) with sum_i G_{t_q}(p_i) = 1 - q; 0 at q = 0; +inf where no eta qualifies (q = 1,
        or q above the bound's limit: one class has mass 1, or t_q lies beyond a sampled modulus).

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1] or the masses are invalid.

    References
    ----------
    Theorem 1, equation (3), inverted: the "25% percentile" of the paper's tables.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> round(float(quantile_upper_bound(0.25, LipschitzModulus(1.0), [0.1] * 10)), 12)
    0.157979905394
    """
    p = checked_masses(class_masses)
    if p.ndim != 1:
        raise ValueError(f"class_masses must be one list of K masses, got shape {p.shape}")
    q = checked_probability("probability", probability)
    t = np.vectorize(_latent_quantile, otypes=[np.float64], excluded={1})(q, p)
    return image_quantile(q, t, modulus)


def image_quantile(q: FloatArray, t: FloatArray, modulus: Modulus) -> FloatArray:
    """Return omega(t) for the latent distance t at which a bound reaches q; 0 at q = 0."""
    # A sampled modulus says nothing beyond its last distance: no eta leads there.
    reached = np.isfinite(t) & (t <= modulus.inverse(np.inf))
    return np.where(q == 0, 0.0, np.where(reached, modulus(np.where(reached, t, 0.0)), np.inf))


def _latent_quantile(q: float, p: FloatArray) -> float:
    if q == 0:
        return 0.0
    if q == 1 or np.any(p == 1):
        return np.inf

    def excess(log_t: float) -> float:
        # Both logarithms are nearly linear in log t where the bound is near 0.
        t = np.array(np.exp(log_t))
        if q <= 0.5:
            with np.errstate(divide="ignore"):
                return max(float(np.log(crossing_mass(p, t))), -1e4) - float(np.log(q))
        return float(np.log1p(-q) - log_kept_mass(p, t))

    low = high = 0.0
    while excess(high) < 0:
        high += 1.0
    while excess(low) > 0 and low > -800.0:
        low -= 50.0
    if low <= -800.0:
        return 0.0
    root = optimize.brentq(excess, low, high, xtol=1e-15, rtol=8.9e-16, maxiter=500)
    return float(np.exp(root))


def worst_cdf_lower_bound(
    eta: npt.ArrayLike, modulus: Modulus, lower: FloatArray, upper: FloatArray
) -> FloatArray:
    """Return a lower bound on `cdf_lower_bound` over all masses in a box.

    Parameters
    ----------
    eta, modulus
        As in `cdf_lower_bound`.
    lower, upper : ndarray, shape (K,)
        Limits of the masses, with sum(lower) <= 1 <= sum(upper).

    Raises
    ------
    ValueError
        If no masses between the limits sum to 1, or eta is negative or NaN.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> p = np.array([0.5, 0.3, 0.2])
    >>> omega = LipschitzModulus(1.0)
    >>> bool(np.isclose(worst_cdf_lower_bound(1.0, omega, p, p), cdf_lower_bound(1.0, omega, p)))
    True
    """
    t = latent_distance(eta, modulus)[..., None]
    kept = largest_convex_sum(lambda p: survival_kernel(p, t), lower, upper)
    return np.clip(1.0 - kept, 0.0, 1.0)


def law_bound(facts: Facts, modulus: Modulus, alpha: float) -> LawBound:
    """Return Theorem 1 for masses that are known, or counted and then limited at level alpha."""
    require_gaussian_latent(facts)
    lower, upper = mass_limits(facts, alpha)
    p = lower if lower is upper else most_equal_masses(lower, upper)
    bound = THEOREM1.law(modulus=modulus, class_masses=p)
    if lower is upper:
        return bound
    return LawBound(
        lower=lambda eta: worst_cdf_lower_bound(eta, modulus, lower, upper) * (1 - 1e-12),
        upper=bound.upper,
        quantile=bound.quantile,
    )


THEOREM1 = Bound(
    (DISTANCE, MODULUS, MASSES), cdf_lower_bound, log_survival_upper_bound, quantile_upper_bound
)

law_theorem = functools.partial(
    theorem,
    kind=Kind.LAW,
    quantities=(R_LATENT, R_IN, R_UNC),
    relation=Relation.AT_LEAST,
    setting=SETTING,
)


@law_theorem("fawzi2018/thm1", ref=Ref(KEY, SOURCE, "Theorem 1, equation (3)"), bound=THEOREM1)
def theorem1(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """No classifier is more robust than half-spaces of latent space would allow.

    Hypotheses: Gaussian latent, class masses known or counted on an independent sample, and for
    image radii a certified modulus. Tight for K = 2 (half-spaces); never attained for K >= 3.
    """
    return law_bound(facts, known_modulus(facts, quantity), alpha)


@conjecture(
    "fawzi2018/thm1-sampled-modulus",
    kind=Kind.LAW,
    quantities=(R_IN, R_UNC),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Section 4, the bound column of the tables"),
    setting=SETTING + r", where $\omega$ is only a sampled estimate, not above the true modulus",
    bound=THEOREM1,
)
def theorem1_sampled(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Theorem 1 with the largest expansion that was seen in place of the modulus: not rigorous.

    A sampled modulus is a lower estimate, so the bound may claim too much; a violation would
    refute the estimate, not the theorem. This is how the paper's image-space columns were made.

    Hypotheses: those of Theorem 1, with a sampled modulus in place of a certified one.
    """
    return law_bound(facts, known_modulus(facts, quantity, certified=False), alpha)


@theorem(
    "fawzi2018/unconstrained-below-in-distribution",
    kind=Kind.POINTWISE,
    quantities=(R_UNC, R_IN),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Section 2"),
    setting=r"Let $x$ be in the range of $g$, both radii in one norm",
)
def unconstrained_below_in_distribution(facts: Facts) -> None:
    """A change of label within the range of the generator is a change of label.

    Hypotheses: the two radii are in one norm and belong to the same points.
    """
