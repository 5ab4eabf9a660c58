"""What all bounds on the distance to an error set share: its measure, and what is known of it.

The error set E is where a classifier is wrong; the adversarial risk at eta is P(distance <= eta).
"""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Bound, Facts, LawBound, OutOfScopeError, Quantity, required
from theory.latent import checked_probability, known_modulus, require_gaussian_latent
from theory.modulus import LipschitzModulus, Modulus
from theory.parameter import Parameter, Reals
from theory.statistics import clopper_pearson

ERROR_LATENT = Quantity("error_distance_latent", "l2")
ERROR_L2, ERROR_LINF = (Quantity("error_distance", norm) for norm in ("l2", "linf"))

RISK = Parameter(
    "risk",
    r"\rho",
    "measure of the error set",
    Reals(0.0, 1.0, typical=(0.0, 1.0), ends=(False, True)),
    0.01,
)


def checked_risk(risk: npt.ArrayLike, name: str = "risk") -> FloatArray:
    """Return measures of error sets as an array.

    Raises
    ------
    ValueError
        If one lies outside [0, 1].
    OutOfScopeError
        If one is 0: nothing is near an empty set.

    Examples
    --------
    >>> float(checked_risk(0.25))
    0.25
    """
    rho = checked_probability(name, risk)
    if np.any(rho == 0):
        raise OutOfScopeError(f"{name} must be positive: nothing is near an empty error set")
    return rho


def checked_positive(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return numbers as an array; raises ValueError if one is not positive and finite."""
    number = np.asarray(value, dtype=np.float64)
    if not np.all((number > 0) & np.isfinite(number)):
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return number


def checked_dimension(n: npt.ArrayLike) -> FloatArray:
    """Return dimensions as floats; raises ValueError if one is not whole or below 1."""
    dimension = np.asarray(n, dtype=np.float64)
    if not np.all((dimension >= 1) & (dimension == np.floor(dimension)) & np.isfinite(dimension)):
        raise ValueError(f"n must be a whole number, at least 1, got {n!r}")
    return dimension


def risk_limits(facts: Facts, alpha: float) -> tuple[float, float]:
    """Return limits on the measure of the error set that hold with probability 1 - alpha.

    It is known ("error_mass"), or was counted on independent points ("error_counts": {"wrong": ...,
    "n": ...}).

    Raises
    ------
    OutOfScopeError
        If the risk is neither known nor counted, or the error set may be empty.

    Examples
    --------
    >>> risk_limits({"error_mass": 0.02}, 0.05)
    (0.02, 0.02)
    """
    if "error_mass" in facts:
        known = float(checked_risk(facts["error_mass"], "error_mass"))
        return known, known
    seen = required(facts, "error_counts", "the risk of the classifier")
    low, high = clopper_pearson(seen["wrong"], int(seen["n"]), alpha)
    if low == 0:
        raise OutOfScopeError(f"no error was seen in {seen['n']} points: there may be none")
    return float(low), float(high)


def law_between(low: LawBound, high: LawBound) -> LawBound:
    """Return the bound whose lower end is that of the first and whose upper end the second's."""
    return LawBound(low.lower, high.upper, high.quantile)


def law_at_risk(bound: Bound, facts: Facts, alpha: float, **others: object) -> LawBound:
    """Return a bound that rises with the risk, for a risk that is known, or counted and limited."""
    low, high = risk_limits(facts, alpha)
    return law_between(bound.law(risk=low, **others), bound.law(risk=high, **others))


def error_modulus(facts: Facts, quantity: Quantity) -> Modulus:
    """Return the modulus into the space of this distance; of latent space that of the identity.

    Raises
    ------
    OutOfScopeError
        If the latent law is not N(0, I), or no certified modulus is known.
    """
    require_gaussian_latent(facts)
    if quantity.symbol == ERROR_LATENT.symbol:
        return LipschitzModulus(1.0)
    return known_modulus(facts, quantity)
