"""Fawzi, Fawzi and Fawzi, Adversarial vulnerability for any classifier (NeurIPS 2018).

Data are x = g(z), z ~ N(0, I_d); a classifier f is any map to K classes, of masses
p_i = P(f(g(z)) = i); omega is a modulus of continuity of g from (latent, l2) to the image norm.
r_latent, r_in and r_unc are the distances to another label in latent space, in image space within
the range of g, and in image space.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from theory.claim import (
    Facts,
    FloatArray,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    conjecture,
    theorem,
)
from theory.gaussian import crossing_at, half_space_offset, log_survival_at, survival_kernel
from theory.modulus import LipschitzModulus, Modulus
from theory.statistics import class_mass_box, most_equal_masses

_KEY, _SOURCE = "fawzi2018", "Fawzi, Fawzi and Fawzi, NeurIPS 2018"
_SUM_TOLERANCE = 1e-9


def _checked_masses(class_masses: npt.ArrayLike) -> FloatArray:
    p = np.asarray(class_masses, dtype=np.float64)
    if p.ndim == 0 or p.shape[-1] == 0:
        raise ValueError(f"class_masses must have one entry a class, got {class_masses!r}")
    if not np.all((p >= 0) & (p <= 1 + _SUM_TOLERANCE)):
        raise ValueError(f"class_masses must lie in [0, 1], got {class_masses!r}")
    total = p.sum(axis=-1)
    if not np.all(np.abs(total - 1) <= _SUM_TOLERANCE):
        raise ValueError(f"class_masses must sum to 1 within 1e-9, got a sum of {total}")
    return np.minimum(p, 1.0)


def _offsets(p: FloatArray) -> FloatArray:
    # The mass of the other classes, summed rather than subtracted from 1, for classes near mass 1.
    others = p @ (1.0 - np.eye(p.shape[-1]))
    return half_space_offset(p, np.clip(others, 0.0, 1.0))


def _latent_distance(eta: npt.ArrayLike, modulus: Modulus) -> FloatArray:
    e = np.asarray(eta, dtype=np.float64)
    if not np.all(e >= 0):
        raise ValueError(f"eta must be a distance, at least 0, got {eta!r}")
    return np.maximum(modulus.inverse(e), 0.0)


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
    >>> round(float(cdf_lower_bound(1.0, LipschitzModulus(1.0), [0.1] * 10)), 12)
    0.887420854874
    """
    p = _checked_masses(class_masses)
    t = _latent_distance(eta, modulus)[..., None]
    return np.asarray(np.clip(crossing_at(_offsets(p), t).sum(axis=-1), 0.0, 1.0))


def log_survival_upper_bound(
    eta: npt.ArrayLike, modulus: Modulus, class_masses: npt.ArrayLike
) -> FloatArray:
    """Return log of the upper bound of Theorem 1 on P(r > eta), accurate where it underflows.

    Parameters and errors are those of `cdf_lower_bound`.

    Examples
    --------
    >>> round(float(log_survival_upper_bound(100.0, LipschitzModulus(1.0), [0.1] * 10)), 6)
    -5132.210699
    """
    p = _checked_masses(class_masses)
    t = _latent_distance(eta, modulus)[..., None]
    return np.minimum(special.logsumexp(log_survival_at(_offsets(p), t), axis=-1), 0.0)


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
    >>> round(float(quantile_upper_bound(0.25, LipschitzModulus(1.0), [0.1] * 10)), 12)
    0.157979905394
    """
    p = _checked_masses(class_masses)
    if p.ndim != 1:
        raise ValueError(f"class_masses must be one list of K masses, got shape {p.shape}")
    q = np.asarray(probability, dtype=np.float64)
    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError(f"probability must lie in [0, 1], got {probability!r}")
    t = np.vectorize(_latent_quantile, otypes=[np.float64], excluded={1})(q, _offsets(p))
    # A sampled modulus says nothing beyond its last distance: no eta leads there.
    reached = np.isfinite(t) & (t <= modulus.inverse(np.inf))
    return np.where(q == 0, 0.0, np.where(reached, modulus(np.where(reached, t, 0.0)), np.inf))


def _latent_quantile(q: float, offsets: FloatArray) -> float:
    if q == 0:
        return 0.0
    if q == 1 or np.isneginf(offsets).any():
        return np.inf

    def excess(t: float) -> float:
        # Upper quantiles compare logarithms of the survival, where 1 - B rounds away.
        if q <= 0.5:
            return float(crossing_at(offsets, np.array(t)).sum()) - q
        kept = special.logsumexp(log_survival_at(offsets, np.array(t)))
        return float(np.log1p(-q) - kept)

    stop = 1.0
    while excess(stop) < 0:
        stop *= 2
    return float(optimize.brentq(excess, 0.0, stop, xtol=1e-300, rtol=8.9e-16, maxiter=500))


def worst_cdf_lower_bound(
    eta: npt.ArrayLike, modulus: Modulus, lower: FloatArray, upper: FloatArray
) -> FloatArray:
    """Return a lower bound on `cdf_lower_bound` over all masses in a box.

    G_t is convex in the mass, so on [lower_i, upper_i] it lies below its chord; the sum of the
    chords is maximised over {sum p = 1} by raising the steepest first.

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
    >>> p = np.array([0.5, 0.3, 0.2])
    >>> omega = LipschitzModulus(1.0)
    >>> bool(np.isclose(worst_cdf_lower_bound(1.0, omega, p, p), cdf_lower_bound(1.0, omega, p)))
    True
    """
    if not lower.sum() - _SUM_TOLERANCE <= 1 <= upper.sum() + _SUM_TOLERANCE:
        raise ValueError(f"no masses between {lower} and {upper} sum to 1")
    t = _latent_distance(eta, modulus)[..., None]
    at_lower, at_upper = survival_kernel(lower, t), survival_kernel(upper, t)
    width = upper - lower
    slope = (at_upper - at_lower) / np.where(width > 0, width, 1.0)
    order = np.argsort(-slope, axis=-1)
    widths = np.take_along_axis(np.broadcast_to(width, slope.shape), order, axis=-1)
    before = np.cumsum(widths, axis=-1) - widths
    spent = np.clip(1.0 - lower.sum() - before, 0.0, widths)
    gain = (np.take_along_axis(slope, order, axis=-1) * spent).sum(axis=-1)
    return np.asarray(np.clip(1.0 - at_lower.sum(axis=-1) - gain, 0.0, 1.0))


R_LATENT, R_IN, R_UNC = (Quantity(name, "l2") for name in ("r_latent", "r_in", "r_unc"))


def _required(facts: Facts, name: str, what: str) -> Any:  # noqa: ANN401
    if name not in facts:
        raise OutOfScopeError(f"{what} is not known")
    return facts[name]


def _law_bound(facts: Facts, modulus: Modulus, alpha: float) -> LawBound:
    law = _required(facts, "latent_law", "the latent law")
    if law != "gaussian":
        raise OutOfScopeError(f"the latent law is {law}, not N(0, I)")
    if "class_masses" in facts:
        p = _checked_masses(facts["class_masses"])
        lower = upper = p
    else:
        counts = _required(facts, "class_counts", "the law of the predicted classes")
        lower, upper = class_mass_box(counts, alpha)
        p = most_equal_masses(lower, upper)
    return LawBound(
        lower=lambda eta: worst_cdf_lower_bound(eta, modulus, lower, upper),
        upper=lambda eta: cdf_lower_bound(eta, modulus, p),
        quantile=lambda q: float(quantile_upper_bound(q, modulus, p)),
    )


def _known_moduli(facts: Facts, quantity: Quantity, certified: bool) -> list[Modulus]:
    if quantity.symbol == "r_latent":
        return [LipschitzModulus(1.0)] if certified else []
    known = facts.get(f"moduli[l2->{quantity.norm}]", ())
    return [modulus for modulus in known if modulus.certified is certified]


_STATEMENT = (
    r"For $x = g(z)$, $z \sim \mathcal{N}(0, I_d)$, a generator $g$ with modulus of continuity"
    r" $\omega$, and any classifier with class masses $p_i$ under that law,"
    r" \[ \Pr(r \le \eta) \ge \sum_{i=1}^{K} \bigl[\Phi(a_i + \omega^{-1}(\eta)) - \Phi(a_i)\bigr],"
    r" \qquad a_i = \Phi^{-1}(1 - p_i), \]"
)


@theorem(
    "fawzi2018/thm1",
    kind=Kind.LAW,
    quantities=(R_LATENT, R_IN, R_UNC),
    relation=Relation.AT_LEAST,
    ref=Ref(_KEY, _SOURCE, "Theorem 1, equation (3)"),
    statement=_STATEMENT + r" for each of $r_{\mathrm{latent}}$ ($\omega(t) = t$),"
    r" $r_{\mathrm{in}}$ and $r_{\mathrm{unc}}$.",
)
def theorem1(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """No classifier is more robust than half-spaces of latent space would allow.

    Hypotheses: Gaussian latent, class masses known or counted on an independent sample, and for
    image radii a certified modulus. Tight for K = 2 (half-spaces); never attained for K >= 3.
    """
    moduli = _known_moduli(facts, quantity, certified=True)
    if not moduli:
        raise OutOfScopeError("no certified modulus of continuity is known")
    return _law_bound(facts, moduli[0], alpha)


@conjecture(
    "fawzi2018/thm1-sampled-modulus",
    kind=Kind.LAW,
    quantities=(R_IN, R_UNC),
    relation=Relation.AT_LEAST,
    ref=Ref(_KEY, _SOURCE, "Section 4, the bound column of the tables"),
    statement=_STATEMENT + r" with $\omega$ replaced by a sampled estimate"
    r" $\hat\omega \le \omega$: not rigorous.",
)
def theorem1_sampled(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Theorem 1 with the largest expansion that was seen in place of the modulus: not rigorous.

    A sampled modulus is a lower estimate, so the bound may claim too much; a violation would
    refute the estimate, not the theorem. This is how the paper's image-space columns were made.

    Hypotheses: those of Theorem 1, with a sampled modulus in place of a certified one.
    """
    moduli = _known_moduli(facts, quantity, certified=False)
    if not moduli:
        raise OutOfScopeError("no sampled modulus of continuity is known")
    return _law_bound(facts, moduli[0], alpha)


@theorem(
    "fawzi2018/unconstrained-below-in-distribution",
    kind=Kind.POINTWISE,
    quantities=(R_UNC, R_IN),
    relation=Relation.AT_MOST,
    ref=Ref(_KEY, _SOURCE, "Section 2"),
    statement=r"$r_{\mathrm{unc}}(x) \le r_{\mathrm{in}}(x)$ at every $x$ in the range of $g$.",
)
def unconstrained_below_in_distribution(facts: Facts) -> None:
    """A change of label within the range of the generator is a change of label.

    Hypotheses: the two radii are in one norm and belong to the same points.
    """
