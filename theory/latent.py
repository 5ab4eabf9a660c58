"""What all bounds for Gaussian latents share: class masses, latent distances, and known facts.

Data are x = g(z), z ~ N(0, I_d); f is any map to K classes, of masses p_i = P(f(g(z)) = i);
omega is a modulus of continuity of g from (latent, l2) to the image norm.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray
from theory.claim import Facts, OutOfScopeError, Quantity, required
from theory.gaussian import crossing_at, half_space_offset, log_survival_at
from theory.modulus import LipschitzModulus, Modulus
from theory.statistics import class_mass_box

R_LATENT, R_IN, R_UNC = (Quantity(name, "l2") for name in ("r_latent", "r_in", "r_unc"))

SUM_TOLERANCE = 1e-9


def checked_masses(class_masses: npt.ArrayLike) -> FloatArray:
    """Return masses as an array of shape (..., K).

    Raises
    ------
    ValueError
        If there are none, one lies outside [0, 1], or they do not sum to 1 within 1e-9.
    """
    p = np.asarray(class_masses, dtype=np.float64)
    if p.ndim == 0 or p.shape[-1] == 0:
        raise ValueError(f"class_masses must have one entry a class, got {class_masses!r}")
    if not np.all((p >= 0) & (p <= 1 + SUM_TOLERANCE)):
        raise ValueError(f"class_masses must lie in [0, 1], got {class_masses!r}")
    total = p.sum(axis=-1)
    if not np.all(np.abs(total - 1) <= SUM_TOLERANCE):
        raise ValueError(f"class_masses must sum to 1 within 1e-9, got a sum of {total}")
    return np.minimum(p, 1.0)


def checked_distance(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return distances as an array; raises ValueError if one is negative or NaN."""
    distance = np.asarray(value, dtype=np.float64)
    if not np.all(distance >= 0):
        raise ValueError(f"{name} must be a distance, at least 0, got {value!r}")
    return distance


def checked_probability(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return probabilities as an array; raises ValueError if one lies outside [0, 1]."""
    probability = np.asarray(value, dtype=np.float64)
    if not np.all((probability >= 0) & (probability <= 1)):
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}")
    return probability


def checked_classes(n_classes: npt.ArrayLike) -> FloatArray:
    """Return numbers of classes as floats; raises ValueError if one is not whole or below 2."""
    k = np.asarray(n_classes, dtype=np.float64)
    if not np.all((k >= 2) & (k == np.floor(k)) & np.isfinite(k)):
        raise ValueError(f"n_classes must be a whole number, at least 2, got {n_classes!r}")
    return k


def latent_distance(eta: npt.ArrayLike, modulus: Modulus) -> FloatArray:
    """Return omega^{-1}(eta), 0 where no latent distance is that small in the image."""
    return np.maximum(modulus.inverse(checked_distance("eta", eta)), 0.0)


def mass_offsets(p: FloatArray) -> FloatArray:
    """Return isf(p_i), accurate for a class near mass 1 too."""
    # At most one class has more than half: the others' mass is summed, not subtracted from 1.
    others = np.where(p <= 0.5, p, 0.0).sum(axis=-1, keepdims=True)
    return half_space_offset(p, np.where(p > 0.5, np.clip(others, 0.0, 1.0), 1.0 - p))


def crossing_mass(p: FloatArray, t: FloatArray) -> FloatArray:
    """Return sum_i [Phi(a_i + t) - Phi(a_i)], shape of t broadcast with the leading axes of p."""
    offsets = mass_offsets(p)
    if p.ndim > 1:
        return np.asarray(crossing_at(offsets, t[..., None]).sum(axis=-1))
    different, first, counts = np.unique(p, return_index=True, return_counts=True)
    if different.size > t.size:
        return np.asarray(crossing_at(offsets[first], t[..., None]) @ counts)
    # A pass over the distances for each different mass: no array of both is ever made.
    total = np.zeros(t.shape)
    for offset, count in zip(offsets[first], counts, strict=True):
        total += count * crossing_at(offset, t)
    return total


def log_kept_mass(p: FloatArray, t: FloatArray) -> FloatArray:
    """Return log sum_i G_t(p_i), shape of t broadcast with the leading axes of p."""
    far = special.logsumexp(log_survival_at(mass_offsets(p), t[..., None]), axis=-1)
    crossing = np.minimum(crossing_mass(p, t), 1.0)
    # Near 1 the sum has lost the digits of its logarithm.
    with np.errstate(divide="ignore"):
        return np.asarray(np.minimum(np.where(crossing < 0.5, np.log1p(-crossing), far), 0.0))


def largest_convex_sum(
    convex: Callable[[FloatArray], FloatArray], lower: FloatArray, upper: FloatArray
) -> FloatArray:
    """Return an upper bound on sum_i G(p_i) over all masses in a box, for a convex G.

    On [lower_i, upper_i] a convex function lies below its chord; the sum of the chords is
    maximised over {sum p = 1} by raising the steepest first. All masses but one then lie at a
    limit, where the chord meets the function: only that one is overestimated.

    Parameters
    ----------
    convex : callable
        G: masses of shape (K,) to values of shape (..., K).
    lower, upper : ndarray, shape (K,)
        Limits of the masses, with sum(lower) <= 1 <= sum(upper).

    Raises
    ------
    ValueError
        If no masses between the limits sum to 1.

    Examples
    --------
    >>> low, high = np.array([0.4, 0.2]), np.array([0.7, 0.6])
    >>> round(float(largest_convex_sum(np.square, low, high)), 12)
    0.61
    """
    if not lower.sum() - SUM_TOLERANCE <= 1 <= upper.sum() + SUM_TOLERANCE:
        raise ValueError(f"no masses between {lower} and {upper} sum to 1")
    # What the others need at least limits each mass too.
    upper = np.clip(1.0 - (lower.sum() - lower), lower, upper)
    at_lower, at_upper, width = convex(lower), convex(upper), upper - lower
    with np.errstate(invalid="ignore"):
        slope = np.where(width > 0, (at_upper - at_lower) / np.where(width > 0, width, 1.0), 0.0)
    order = np.argsort(-slope, axis=-1)
    widths = np.take_along_axis(np.broadcast_to(width, slope.shape), order, axis=-1)
    before = np.cumsum(widths, axis=-1) - widths
    spent = np.clip(1.0 - lower.sum() - before, 0.0, widths)
    steepest = np.take_along_axis(slope, order, axis=-1)
    gain = np.where(spent > 0, steepest * np.where(spent > 0, spent, 1.0), 0.0).sum(axis=-1)
    return np.asarray(at_lower.sum(axis=-1) + gain)


def least_distance(value: Callable[[float], float], probability: float) -> float:
    """Return the least distance at which a rising bound reaches a probability, by bisection.

    Parameters
    ----------
    value : callable
        Distance to a bound that does not fall.
    probability : float
        In [0, 1].

    Returns
    -------
    float
        To the last digit, from above; 0 at probability 0, +inf where the bound never gets there.

    Examples
    --------
    >>> least_distance(lambda eta: min(eta / 4, 0.9), 0.5), least_distance(lambda eta: 0.9, 1.0)
    (2.0, inf)
    """
    if probability <= value(0.0):
        return 0.0
    low, high = -1070.0, 1023.0
    if value(2.0**high) < probability:
        return float("inf")
    # In the logarithm: distances may be of any magnitude.
    for _ in range(64):
        middle = 0.5 * (low + high)
        reached = value(2.0**middle) >= probability
        low, high = (low, middle) if reached else (middle, high)
    return float(2.0**high)


def require_gaussian_latent(facts: Facts) -> None:
    """Raise OutOfScopeError unless the latent law is known to be N(0, I)."""
    law = required(facts, "latent_law", "the latent law")
    if law != "gaussian":
        raise OutOfScopeError(f"the latent law is {law}, not N(0, I)")


def known_modulus(facts: Facts, quantity: Quantity, certified: bool = True) -> Modulus:
    """Return the first known modulus into the norm of this radius: that of the identity if latent.

    Raises
    ------
    OutOfScopeError
        If none of this kind is known.
    """
    if quantity.symbol == "r_latent" and certified:
        return LipschitzModulus(1.0)
    if quantity.symbol != "r_latent":
        for modulus in facts.get(f"moduli[l2->{quantity.norm}]", ()):
            if modulus.certified is certified:
                found: Modulus = modulus
                return found
    kind = "certified" if certified else "sampled"
    raise OutOfScopeError(f"no {kind} modulus of continuity is known")


def mass_limits(facts: Facts, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Return limits that hold for all class masses at once with probability 1 - alpha.

    Raises
    ------
    OutOfScopeError
        If the masses are neither known nor were counted.
    """
    if "class_masses" in facts:
        p = checked_masses(facts["class_masses"])
        return p, p
    counts = required(facts, "class_counts", "the law of the predicted classes")
    return class_mass_box(counts, alpha)
