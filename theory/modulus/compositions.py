"""The modulus of one map after another, and the JSON form of every modulus."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.modulus.base import Modulus, product
from theory.modulus.powers import HoelderModulus, LipschitzModulus
from theory.modulus.tables import PiecewiseLinearModulus, SampledModulus

_KINDS = ("lipschitz", "hoelder", "piecewise_linear", "sampled", "composed")


@dataclass(frozen=True)
class ComposedModulus:
    """omega(t) = outer(inner(t)); `composition` gives a simpler form where there is one.

    Where the inner modulus has a flat piece, its inverse is only as good as the last digit of
    outer.inverse: at that one eta, rounding may give the left end of the piece, the smaller bound.

    Parameters
    ----------
    outer, inner : Modulus
        Moduli of the map that is applied last and of the one applied first; outer is continuous.

    Examples
    --------
    >>> capped = PiecewiseLinearModulus.capped(2.0, 16.0)
    >>> omega = ComposedModulus(HoelderModulus(1.0, 0.5), capped)
    >>> omega([2.0, 99.0]), omega.inverse([2.0, 4.0])
    (array([2., 4.]), array([ 2., inf]))
    """

    outer: Modulus
    inner: Modulus

    @property
    def certified(self) -> bool:
        """Whether both moduli are proved."""
        return self.outer.certified and self.inner.certified

    @property
    def concave(self) -> bool:
        """Whether both are concave, which is enough: neither ever falls."""
        return self.outer.concave and self.inner.concave

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return outer(inner(t))."""
        return self.outer(self.inner(t))

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return inner.inverse(outer.inverse(eta)), -inf where either has none."""
        between = self.outer.inverse(eta)
        # outer is continuous: outer(inner(t)) <= eta is the same as inner(t) <= between.
        return np.where(between >= 0, self.inner.inverse(np.maximum(between, 0.0)), -np.inf)

    def concave_majorant(self) -> Modulus:
        """Return the composition of the two majorants: concave, though not always the least."""
        if self.concave:
            return self
        return composition(self.outer.concave_majorant(), self.inner.concave_majorant())

    def scaled(self, factor: float) -> "ComposedModulus":
        """Return the composition with the outer modulus scaled."""
        return ComposedModulus(self.outer.scaled(factor), self.inner)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": "composed",
            "outer": self.outer.to_dict(),
            "inner": self.inner.to_dict(),
            "certified": self.certified,
        }


def composition(outer: Modulus, inner: Modulus) -> Modulus:
    """Return outer(inner(t)), a modulus of one map after another; certified iff both are.

    For a latent law that is the image of N(0, I) under a map of Lipschitz constant c, the modulus
    of the generator is composed with `LipschitzModulus(c)`.

    Parameters
    ----------
    outer : Modulus
        Modulus of the map that is applied last.
    inner : Modulus
        Modulus of the map that is applied first, into the norm in which `outer` is one.

    Returns
    -------
    Modulus
        A Lipschitz or Hoelder modulus or a table where the composition is one, else a
        `ComposedModulus`.

    Examples
    --------
    >>> composition(LipschitzModulus(2.0), LipschitzModulus(3.0, certified=False))
    LipschitzModulus(constant=6.0, certified=False)
    >>> composition(PiecewiseLinearModulus.capped(1.0, 4.0), LipschitzModulus(2.0)).distances
    (0.0, 2.0)
    """
    try:
        closed = _closed_form(outer, inner)
    except ValueError:
        # Its numbers leave the range of doubles, or two knots meet; the pieces themselves do not.
        closed = None
    return ComposedModulus(outer, inner) if closed is None else closed


def _closed_form(outer: Modulus, inner: Modulus) -> Modulus | None:
    certified = outer.certified and inner.certified
    match outer, inner:
        case LipschitzModulus(), ComposedModulus():
            return ComposedModulus(composition(outer, inner.outer), inner.inner)
        case ComposedModulus(), LipschitzModulus():
            return ComposedModulus(outer.outer, composition(outer.inner, inner))
        case LipschitzModulus(), LipschitzModulus() | HoelderModulus() | PiecewiseLinearModulus():
            return replace(inner.scaled(outer.constant), certified=certified)
        case LipschitzModulus(), SampledModulus():
            return inner.scaled(outer.constant)
        case HoelderModulus(), LipschitzModulus() | HoelderModulus():
            exponent = inner.exponent if isinstance(inner, HoelderModulus) else 1.0
            constant = product(outer.constant, inner.constant**outer.exponent)
            return HoelderModulus(float(constant), outer.exponent * exponent, certified)
        case PiecewiseLinearModulus(), LipschitzModulus():
            if not inner.constant:
                return PiecewiseLinearModulus((0.0,), outer.values[:1], 0.0, certified)
            distances = _shrunk(outer.distances, inner.constant)
            slope = float(product(inner.constant, outer.final_slope))
            return PiecewiseLinearModulus(distances, outer.values, slope, certified)
        case SampledModulus(), LipschitzModulus():
            if not inner.constant:
                return LipschitzModulus(0.0, certified)
            return SampledModulus(_shrunk(outer.distances, inner.constant), outer.values)
    return None


def _shrunk(distances: tuple[float, ...], constant: float) -> tuple[float, ...]:
    with np.errstate(over="ignore", under="ignore"):
        return tuple((np.array(distances) / constant).tolist())


def modulus_from_dict(data: Mapping[str, Any]) -> Modulus:
    """Return the modulus of this JSON form.

    Raises
    ------
    ValueError
        If the kind is unknown, a field is missing or of another type, or its value is refused.

    Examples
    --------
    >>> modulus_from_dict({"kind": "lipschitz", "constant": 2.0, "certified": True})
    LipschitzModulus(constant=2.0, certified=True)
    """
    match data:
        case {"kind": "lipschitz", "constant": float() | int() as c, "certified": bool(proved)}:
            return LipschitzModulus(c, proved)
        case {
            "kind": "hoelder",
            "constant": float() | int() as c,
            "exponent": float() | int() as exponent,
            "certified": bool(proved),
        }:
            return HoelderModulus(c, exponent, proved)
        case {
            "kind": "piecewise_linear",
            "distances": [*t],
            "values": [*v],
            "final_slope": float() | int() as slope,
            "certified": bool(proved),
        }:
            return PiecewiseLinearModulus(tuple(t), tuple(v), slope, proved)
        case {"kind": "sampled", "distances": [*t], "values": [*v]}:
            return SampledModulus(tuple(t), tuple(v))
        case {"kind": "composed", "outer": Mapping() as outer, "inner": Mapping() as inner}:
            return ComposedModulus(modulus_from_dict(outer), modulus_from_dict(inner))
    kind = data.get("kind")
    if kind in _KINDS:
        raise ValueError(f"a field of the {kind} modulus is missing or ill-typed: {dict(data)}")
    names = ", ".join(repr(name) for name in _KINDS)
    raise ValueError(f"modulus kind must be one of {names}, got {kind!r}")
