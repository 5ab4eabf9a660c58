"""Moduli given by a table and linear between its knots: proved ones and sampled ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.modulus.base import checked_constant, checked_distances, product


@dataclass(frozen=True)
class PiecewiseLinearModulus:
    """A polygon through a table of knots, and a ray beyond the last one.

    A table of one knot is an affine modulus, values[0] + final_slope * t.

    Parameters
    ----------
    distances : sequence of float
        Latent distances of the knots, strictly increasing from 0; stored as a tuple.
    values : sequence of float
        omega at the knots, in the unit of the image, never falling; values[0] = omega(0) may be
        positive. Stored as a tuple.
    final_slope : float
        Slope beyond the last knot; 0 where the range of the generator is bounded.
    certified : bool
        Whether the inequality is proved.

    Raises
    ------
    ValueError
        If the two lists differ in length or are empty, the distances do not increase from 0, the
        values decrease, or a number is negative, infinite or NaN.

    Examples
    --------
    >>> omega = PiecewiseLinearModulus((0.0, 1.0, 2.0), (0.5, 3.0, 3.0), final_slope=1.0)
    >>> omega([0.0, 0.5, 4.0]), omega.inverse([0.0, 1.75, 3.0, 5.0])
    (array([0.5 , 1.75, 5.  ]), array([-inf,  0.5,  2. ,  4. ]))
    """

    distances: tuple[float, ...]
    values: tuple[float, ...]
    final_slope: float = 0.0
    certified: bool = True

    def __post_init__(self) -> None:
        t, v = _two_lists(self.distances, self.values)
        if not (t[0] == 0 and np.all(np.diff(t) > 0) and np.all(np.isfinite(t))):
            raise ValueError(
                f"distances must be finite and increasing from 0, got {self.distances}"
            )
        _check_values(v)
        falls = np.flatnonzero(np.diff(v) < 0)
        if falls.size:
            i = int(falls[0]) + 1
            raise ValueError(
                f"values must not decrease, got {v[i]} after {v[i - 1]} at distance {t[i]}"
                f" (entry {i})"
            )
        checked_constant("final_slope", self.final_slope)
        object.__setattr__(self, "distances", tuple(t.tolist()))
        object.__setattr__(self, "values", tuple(v.tolist()))

    @classmethod
    def capped(
        cls, constant: float, diameter: float, certified: bool = True
    ) -> "PiecewiseLinearModulus":
        """Return min(constant * t, diameter): a Lipschitz map into a set of that diameter.

        Parameters
        ----------
        constant : float
            Lipschitz constant.
        diameter : float
            The largest distance of two images.
        certified : bool
            Whether both are proved to be upper bounds.

        Raises
        ------
        ValueError
            If either is negative, infinite or NaN.

        Examples
        --------
        >>> omega = PiecewiseLinearModulus.capped(2.0, 3.0)
        >>> omega([1.0, 9.0]), omega.inverse([1.0, 3.0])
        (array([2., 3.]), array([0.5, inf]))
        """
        checked_constant("Lipschitz constant", constant)
        checked_constant("diameter", diameter)
        if constant == 0 or diameter == 0:
            return cls((0.0,), (0.0,), 0.0, certified)
        with np.errstate(over="ignore", under="ignore"):
            corner = float(np.float64(diameter) / constant)
        if np.isinf(corner):  # no double reaches the diameter
            return cls((0.0,), (0.0,), constant, certified)
        if corner == 0:  # every double above 0 reaches it
            return cls((0.0,), (diameter,), 0.0, certified)
        return cls((0.0, corner), (0.0, diameter), 0.0, certified)

    @property
    def concave(self) -> bool:
        """Whether the slopes never rise, decided in rational arithmetic: no rounding."""
        return len(_hull(self.distances, self.values, self.final_slope)) == len(self.distances)

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return the linear interpolation of the knots; on the ray beyond the last one."""
        s = checked_distances("t", t)
        inside = _interpolated(s, self.distances, self.values)
        if not self.final_slope:
            return inside
        with np.errstate(over="ignore"):
            return inside + self.final_slope * np.maximum(s - self.distances[-1], 0.0)

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return sup{t: omega(t) <= eta}: -inf below omega(0), +inf where omega never exceeds."""
        e = checked_distances("eta", eta)
        inside = _inverted(e, self.distances, self.values)
        if not self.final_slope:
            return np.where(e >= self.values[-1], np.inf, inside)
        with np.errstate(over="ignore"):
            return inside + np.maximum(e - self.values[-1], 0.0) / self.final_slope

    def concave_majorant(self) -> "PiecewiseLinearModulus":
        """Return the least concave function that is nowhere below omega.

        It is the upper hull of the knots and of the direction of the final ray. A concave function
        above that ray is nowhere flatter, so knots that the hull would leave by a flatter piece
        than the ray are left out, and the ray starts earlier.

        Examples
        --------
        >>> omega = PiecewiseLinearModulus((0.0, 1.0, 2.0, 3.0), (0.0, 0.0, 2.0, 2.0))
        >>> omega.concave, omega.concave_majorant().distances
        (False, (0.0, 2.0, 3.0))
        >>> PiecewiseLinearModulus((0.0, 1.0), (0.5, 1.0), 2.0).concave_majorant().values
        (0.5,)
        """
        kept = _hull(self.distances, self.values, self.final_slope)
        if len(kept) == len(self.distances):
            return self
        return PiecewiseLinearModulus(
            tuple(self.distances[i] for i in kept),
            tuple(self.values[i] for i in kept),
            self.final_slope,
            self.certified,
        )

    def scaled(self, factor: float) -> "PiecewiseLinearModulus":
        """Return the table of factor * omega.

        Raises
        ------
        ValueError
            If the factor is negative, infinite or NaN, or a product overflows.
        """
        checked_constant("factor", factor)
        return PiecewiseLinearModulus(
            self.distances,
            tuple(product(factor, self.values).tolist()),
            float(product(factor, self.final_slope)),
            self.certified,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": "piecewise_linear",
            "distances": list(self.distances),
            "values": list(self.values),
            "final_slope": self.final_slope,
            "certified": self.certified,
        }


@dataclass(frozen=True)
class SampledModulus:
    """The largest expansions seen at a few latent distances: a lower estimate of the modulus.

    Between the distances it is linear, from (0, 0); beyond the last one nothing was seen, and the
    estimate stays flat there, so that `inverse` never exceeds the last distance.

    Parameters
    ----------
    distances : sequence of float
        Increasing latent distances t > 0 at which ||g(z + r) - g(z)||, ||r|| = t, was maximised;
        stored as a tuple.
    values : sequence of float
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
        t, v = _two_lists(self.distances, self.values)
        if not (np.all(t > 0) and np.all(np.diff(t) > 0) and np.all(np.isfinite(t))):
            raise ValueError(f"distances must be positive and increasing, got {self.distances}")
        _check_values(v)
        if self.certified:
            raise ValueError("a sampled modulus certifies nothing: certified must be False")
        object.__setattr__(self, "distances", tuple(t.tolist()))
        object.__setattr__(self, "values", tuple(np.maximum.accumulate(v).tolist()))

    @property
    def concave(self) -> bool:
        """Whether the slopes between the knots, from (0, 0), never rise."""
        return len(self._hull_above_zero()) == len(self.distances)

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return the linear interpolation of the maxima, flat beyond the last distance."""
        s = checked_distances("t", t)
        return _interpolated(s, (0.0, *self.distances), (0.0, *self.values))

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return sup{t <= last distance: omega(t) <= eta}, the right end of a flat piece."""
        e = checked_distances("eta", eta)
        return _inverted(e, (0.0, *self.distances), (0.0, *self.values))

    def concave_majorant(self) -> "SampledModulus":
        """Return the least concave function above the estimate: as little certified as it is.

        The last distance stays a knot, so that the inverse of the majorant does not exceed it
        either.

        Examples
        --------
        >>> SampledModulus((1.0, 2.0, 3.0), (0.0, 2.0, 2.0)).concave_majorant().distances
        (2.0, 3.0)
        """
        kept = self._hull_above_zero()
        if len(kept) == len(self.distances):
            return self
        return SampledModulus(
            tuple(self.distances[i] for i in kept), tuple(self.values[i] for i in kept)
        )

    def scaled(self, factor: float) -> "SampledModulus":
        """Return the estimate for factor * g.

        Raises
        ------
        ValueError
            If the factor is negative, infinite or NaN, or a product overflows.
        """
        values = product(checked_constant("factor", factor), self.values)
        return SampledModulus(self.distances, tuple(values.tolist()))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": "sampled",
            "distances": list(self.distances),
            "values": list(self.values),
            "certified": False,
        }

    def _hull_above_zero(self) -> list[int]:
        # The ray beyond the last knot is flat and the values never fall: it removes no knot.
        return [i - 1 for i in _hull((0.0, *self.distances), (0.0, *self.values), 0.0)[1:]]


def _two_lists(distances: npt.ArrayLike, values: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    t, v = np.asarray(distances, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if t.shape != v.shape or t.ndim != 1 or not t.size:
        raise ValueError(
            "distances and values must be two equal lists of at least one number,"
            f" got {distances!r} and {values!r}"
        )
    return t, v


def _check_values(values: FloatArray) -> None:
    if not (np.all(values >= 0) and np.all(np.isfinite(values))):
        raise ValueError(f"values must be finite and at least 0, got {tuple(values.tolist())}")


def _interpolated(t: FloatArray, distances: Sequence[float], values: Sequence[float]) -> FloatArray:
    """Return the polygon at t, flat beyond the last knot; it never falls, rounding included."""
    xs, ys = np.array(distances), np.array(values)
    i = np.clip(np.searchsorted(xs, t, side="right"), 1, len(xs) - 1)
    # A single knot is both ends of its piece, of width 0.
    width = xs[i] - xs[i - 1]
    part = (np.minimum(t, xs[-1]) - xs[i - 1]) / np.where(width > 0, width, 1.0)
    inside = np.minimum(ys[i - 1] + part * (ys[i] - ys[i - 1]), ys[i])
    return np.asarray(np.where(t >= xs[-1], ys[-1], inside))


def _inverted(eta: FloatArray, distances: Sequence[float], values: Sequence[float]) -> FloatArray:
    """Return sup{t <= last knot: polygon(t) <= eta}, -inf where there is none."""
    xs, ys = np.array(distances), np.array(values)
    right = np.searchsorted(ys, eta, side="right")
    i = np.clip(right, 1, len(ys) - 1)
    rise = ys[i] - ys[i - 1]
    part = (np.clip(eta, ys[0], ys[-1]) - ys[i - 1]) / np.where(rise > 0, rise, 1.0)
    inside = np.minimum(xs[i - 1] + part * (xs[i] - xs[i - 1]), xs[i])
    return np.where(right == len(ys), xs[-1], np.where(right == 0, -np.inf, inside))


def _hull(distances: Sequence[float], values: Sequence[float], final_slope: float) -> list[int]:
    """Return the knots that lie on the least concave majorant, in rational arithmetic.

    Exact signs make the result consistent: the hull of a hull is all of it.
    """
    knots = [(Fraction(x), Fraction(y)) for x, y in zip(distances, values, strict=True)]
    last = Fraction(final_slope)

    def slope(i: int, j: int) -> Fraction:
        return (knots[j][1] - knots[i][1]) / (knots[j][0] - knots[i][0])

    kept: list[int] = []
    for i in range(len(knots)):
        while len(kept) > 1 and slope(kept[-2], kept[-1]) < slope(kept[-1], i):
            kept.pop()
        kept.append(i)
    while len(kept) > 1 and slope(kept[-2], kept[-1]) < last:
        kept.pop()
    return kept
