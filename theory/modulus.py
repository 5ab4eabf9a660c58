"""Moduli of continuity of a generator, their generalised inverses, and what each one certifies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from theory.claim import FloatArray


@runtime_checkable
class Modulus(Protocol):
    """A non-decreasing function omega with ||g(z) - g(z')|| <= omega(||z - z'||_2).

    `certified` says whether that inequality is proved for the generator at hand; a modulus that
    was sampled is a lower estimate of the true one, and a bound that uses it claims too much.
    """

    @property
    def certified(self) -> bool:
        """Whether omega is proved to be a modulus."""
        ...

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return omega(t), in the unit of the image, for latent distances t >= 0."""
        ...

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return sup{t >= 0: omega(t) <= eta}; NaN-free, -inf where no such t exists."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, the inverse of `modulus_from_dict`."""
        ...


def _distances(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not np.all(array >= 0):
        raise ValueError(f"{name} must be at least 0, got {values!r}")
    return array


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
        if not (np.isfinite(self.constant) and self.constant >= 0):
            raise ValueError(f"Lipschitz constant must be finite and >= 0, got {self.constant}")

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return constant * t (0 for a constant map even at t = inf)."""
        s = _distances("t", t)
        return self.constant * s if self.constant else np.zeros_like(s)

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return eta / constant; +inf for a constant map, where every t qualifies."""
        e = _distances("eta", eta)
        with np.errstate(over="ignore"):
            return e / self.constant if self.constant else np.full_like(e, np.inf)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"kind": "lipschitz", "constant": self.constant, "certified": self.certified}


@dataclass(frozen=True)
class SampledModulus:
    """The largest expansions seen at a few latent distances: a lower estimate of the modulus.

    Between the distances it is linear, from (0, 0); beyond the last one nothing was seen, and the
    estimate stays flat there, so that `inverse` never exceeds the last distance.

    Parameters
    ----------
    distances : tuple of float
        Increasing latent distances t > 0 at which ||g(z + r) - g(z)||, ||r|| = t, was maximised.
    values : tuple of float
        The maxima, in the unit of the image; replaced by their running maximum.

    Raises
    ------
    ValueError
        If the two differ in length, are empty, or are not increasing and non-negative.

    Examples
    --------
    >>> omega = SampledModulus((1.0, 2.0), (3.0, 4.0))
    >>> float(omega(1.5)), float(omega.inverse(3.5)), float(omega.inverse(9.0))
    (3.5, 1.5, 2.0)
    """

    distances: tuple[float, ...]
    values: tuple[float, ...]
    certified: bool = False

    def __post_init__(self) -> None:
        t, v = np.asarray(self.distances), np.asarray(self.values)
        if t.shape != v.shape or t.ndim != 1 or not t.size:
            raise ValueError(f"distances and values must be two equal lists, got {self}")
        if not (np.all(t > 0) and np.all(np.diff(t) > 0) and np.all(np.isfinite(t))):
            raise ValueError(f"distances must be positive and increasing, got {self.distances}")
        if not (np.all(v >= 0) and np.all(np.isfinite(v))):
            raise ValueError(f"values must be finite and at least 0, got {self.values}")
        if self.certified:
            raise ValueError("a sampled modulus certifies nothing: certified must be False")
        object.__setattr__(self, "values", tuple(np.maximum.accumulate(v).tolist()))

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return the linear interpolation of the maxima, flat beyond the last distance."""
        xs, ys = (0.0, *self.distances), (0.0, *self.values)
        return np.asarray(np.interp(_distances("t", t), xs, ys))

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return sup{t <= last distance: omega(t) <= eta}, the right end of a flat piece."""
        xs, ys = np.array((0.0, *self.distances)), np.array((0.0, *self.values))
        e = _distances("eta", eta)
        right = np.searchsorted(ys, e, side="right")
        last = right == len(ys)
        i = np.minimum(right, len(ys) - 1)
        rise = ys[i] - ys[i - 1]
        inside = xs[i - 1] + (e - ys[i - 1]) * (xs[i] - xs[i - 1]) / np.where(rise > 0, rise, 1.0)
        return np.asarray(np.where(last, xs[-1], inside))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": "sampled",
            "distances": list(self.distances),
            "values": list(self.values),
            "certified": False,
        }


def modulus_from_dict(data: Mapping[str, Any]) -> Modulus:
    """Return the modulus of this JSON form.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if data["kind"] == "lipschitz":
        return LipschitzModulus(data["constant"], data["certified"])
    if data["kind"] == "sampled":
        return SampledModulus(tuple(data["distances"]), tuple(data["values"]))
    raise ValueError(f"modulus kind must be 'lipschitz' or 'sampled', got {data['kind']!r}")
