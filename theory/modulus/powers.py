"""Moduli given by a formula: Lipschitz and Hoelder maps."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.modulus.base import checked_constant, checked_distances, product


@dataclass(frozen=True)
class LipschitzModulus:
    """omega(t) = constant * t.

    Parameters
    ----------
    constant : float
        Lipschitz constant from (latent, l2) to the image norm; at least 0 (0: constant map).
    certified : bool
        Whether the constant is proved to be an upper bound.

    Raises
    ------
    ValueError
        If the constant is negative, infinite or NaN.

    Examples
    --------
    >>> omega = LipschitzModulus(2.0)
    >>> float(omega(3.0)), float(omega.inverse(3.0))
    (6.0, 1.5)
    """

    constant: float
    certified: bool = True

    def __post_init__(self) -> None:
        checked_constant("Lipschitz constant", self.constant)

    @property
    def concave(self) -> bool:
        """True: a line is concave."""
        return True

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return constant * t (0 for a constant map even at t = inf)."""
        s = checked_distances("t", t)
        with np.errstate(over="ignore"):
            return self.constant * s if self.constant else np.zeros_like(s)

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return eta / constant; +inf for a constant map, where every t qualifies."""
        e = checked_distances("eta", eta)
        with np.errstate(over="ignore"):
            return e / self.constant if self.constant else np.full_like(e, np.inf)

    def concave_majorant(self) -> "LipschitzModulus":
        """Return omega itself."""
        return self

    def scaled(self, factor: float) -> "LipschitzModulus":
        """Return the modulus of constant factor * constant.

        Raises
        ------
        ValueError
            If the factor is negative, infinite or NaN, or the product overflows.
        """
        constant = product(checked_constant("factor", factor), self.constant)
        return LipschitzModulus(float(constant), self.certified)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"kind": "lipschitz", "constant": self.constant, "certified": self.certified}


@dataclass(frozen=True)
class HoelderModulus:
    """omega(t) = constant * t**exponent.

    The relative error of `inverse` is a few roundings / exponent: its condition in eta.

    Parameters
    ----------
    constant : float
        In the unit of the image per latent distance**exponent; at least 0 (0: constant map).
    exponent : float
        In (0, 1]; beyond 1 only constant maps have such a modulus.
    certified : bool
        Whether the inequality is proved.

    Raises
    ------
    ValueError
        If the constant is negative, infinite or NaN, or the exponent lies outside (0, 1].

    Examples
    --------
    >>> omega = HoelderModulus(2.0, 0.5)
    >>> float(omega(9.0)), float(omega.inverse(6.0))
    (6.0, 9.0)
    """

    constant: float
    exponent: float
    certified: bool = True

    def __post_init__(self) -> None:
        checked_constant("Hoelder constant", self.constant)
        if not 0 < self.exponent <= 1:
            raise ValueError(f"Hoelder exponent must lie in (0, 1], got {self.exponent}")

    @property
    def concave(self) -> bool:
        """True: the exponent is at most 1."""
        return True

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return constant * t**exponent (0 for a constant map even at t = inf)."""
        s = checked_distances("t", t)
        with np.errstate(over="ignore"):
            return self.constant * s**self.exponent if self.constant else np.zeros_like(s)

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return (eta / constant)**(1 / exponent); +inf for a constant map."""
        e = checked_distances("eta", eta)
        if not self.constant:
            return np.full_like(e, np.inf)
        with np.errstate(over="ignore"):
            ratio = e / self.constant
            power, slip = _reciprocal(self.exponent)
            # The rounding error of 1 / exponent is multiplied by log(ratio): put it back. Beyond
            # 1e-12 the power is 0 or inf anyway; at 0 and inf there is nothing to put back.
            inner = np.where((ratio > 0) & np.isfinite(ratio), ratio, 1.0)
            put_back = np.clip(slip * np.log(inner), -1e-12, 1e-12)
            return np.asarray(ratio**power * (1.0 + put_back))

    def concave_majorant(self) -> "HoelderModulus":
        """Return omega itself."""
        return self

    def scaled(self, factor: float) -> "HoelderModulus":
        """Return the modulus of constant factor * constant and the same exponent.

        Raises
        ------
        ValueError
            If the factor is negative, infinite or NaN, or the product overflows.
        """
        constant = product(checked_constant("factor", factor), self.constant)
        return HoelderModulus(float(constant), self.exponent, self.certified)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": "hoelder",
            "constant": self.constant,
            "exponent": self.exponent,
            "certified": self.certified,
        }


def _reciprocal(exponent: float) -> tuple[float, float]:
    """Return 1 / exponent, rounded, and what it lacks."""
    power = 1.0 / exponent
    if not np.isfinite(power):
        return power, 0.0
    exact = Fraction(exponent)
    return power, float((1 - exact * Fraction(power)) / exact)
