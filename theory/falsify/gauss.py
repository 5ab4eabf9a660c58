"""Exact laws of distances in Gauss space, for classifiers whose labels are known intervals.

f(z) is a function of z_1 alone: labels 0, 1, ..., K - 1, 0, 1, ... between thresholds. The distance
of z to another label is that of z_1 to the nearest threshold, in any dimension. And the argmax of
K coordinates, whose law is known in closed form.
"""

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import mpmath as mp
import numpy as np
from scipy import special

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.gaussian import argmax_family_cdf, argmax_family_mean

_ROUNDING = 4e-15
"""Error of a sum of a few differences of normal probabilities in double precision."""
_DIGITS = 30
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


class Law(Protocol):
    """The law of a distance."""

    def cdf(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ends of P(r <= eta), for distances of shape (n,)."""
        ...

    def mean(self) -> Interval:
        """Return ends of the mean."""
        ...


@dataclass(frozen=True)
class LineLaw:
    """The law of scale * distance(z_1, set), z_1 standard normal, the set a union of intervals.

    Attributes
    ----------
    gaps : tuple of (float, float)
        The open intervals off the set, infinite at an end where nothing of the set follows.
    scale : float
        Above 0.
    """

    gaps: tuple[tuple[float, float], ...]
    scale: float = 1.0

    def cdf(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ends of P(r <= eta): one minus what is left of each gap."""
        t = np.asarray(eta, dtype=np.float64) / self.scale
        kept = np.zeros(t.shape)
        for low, high in self.gaps:
            a, b = low + t, high - t
            # Of a gap above the middle the upper tails: they do not cancel.
            mass = np.where(
                a > 0, special.ndtr(-a) - special.ndtr(-b), special.ndtr(b) - special.ndtr(a)
            )
            kept += np.where(a < b, mass, 0.0)
        error = _ROUNDING * (1 + len(self.gaps)) * (1 + kept)
        value = 1 - kept
        return np.clip(value - error, 0, 1), np.clip(value + error, 0, 1)

    def mean(self) -> Interval:
        """Return ends of the mean, in closed form from each half of each gap."""
        total = sum(_half_means(low, high) for low, high in self.gaps)
        error = _ROUNDING * 10 * (1 + len(self.gaps)) * (1 + total)
        return Interval(max(0.0, total - error) * self.scale, (total + error) * self.scale)


def _half_means(low: float, high: float) -> float:
    """Return the integral of the distance to the ends of a gap against the normal density."""
    if not low < high:
        return 0.0
    if np.isinf(low):
        return _first_moment(-high)
    if np.isinf(high):
        return _first_moment(low)
    middle = (low + high) / 2
    left = _moment_between(low, middle)
    return left + _moment_between(-high, -middle)


def _first_moment(a: float) -> float:
    """Return E (z - a)+."""
    return float(np.exp(-a * a / 2) / np.sqrt(2 * np.pi) - a * special.ndtr(-a))


def _moment_between(a: float, b: float) -> float:
    """Return the integral of (z - a) over [a, b]."""
    return _first_moment(a) - _first_moment(b) - (b - a) * float(special.ndtr(-b))


@dataclass(frozen=True)
class PreciseLineLaw:
    """`LineLaw` in thirty digits: what it is checked with."""

    gaps: tuple[tuple[float, float], ...]
    scale: float = 1.0

    def cdf(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ends of P(r <= eta)."""
        ends = [self._kept(float(each)) for each in np.ravel(eta)]
        values = np.array([float(1 - kept) for kept in ends])
        return np.nextafter(values, -1).clip(0, 1), np.nextafter(values, 2).clip(0, 1)

    def _kept(self, eta: float) -> mp.mpf:
        with mp.workdps(_DIGITS):
            t = mp.mpf(eta) / mp.mpf(self.scale)
            total = mp.mpf(0)
            for low, high in self.gaps:
                a, b = mp.mpf(low) + t, mp.mpf(high) - t
                if a < b:
                    total += mp.ncdf(b) - mp.ncdf(a) if a < 0 else mp.ncdf(-a) - mp.ncdf(-b)
            return total

    def mean(self) -> Interval:
        """Return ends of the mean: the survival function, integrated numerically."""
        halves = [(high - low) / 2 for low, high in self.gaps if np.isfinite(high - low)]
        last = max([0.0, *halves])
        places = [0.0, *sorted(set(halves)), *(last + k for k in (1, 4, 12, 40))]
        # The integrand is analytic between the places, which are where a gap closes.
        value = 0.0
        for low, high in pairwise(places):
            nodes = (low + high) / 2 + (high - low) / 2 * _NODES
            kept = [float(self._kept(float(node) * self.scale)) for node in nodes]
            value += (high - low) / 2 * float(np.dot(_WEIGHTS, kept))
        return Interval(value * self.scale * (1 - 1e-9), value * self.scale * (1 + 1e-9))


@dataclass(frozen=True)
class ConesLaw:
    """The law of scale * distance to another label, for the argmax of K coordinates."""

    n_classes: int
    scale: float = 1.0

    def cdf(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ends of P(r <= eta)."""
        value = argmax_family_cdf(np.asarray(eta) / self.scale, self.n_classes)
        error = 1e-12 * value
        return np.clip(value - error, 0, 1), np.clip(value + error, 0, 1)

    def mean(self) -> Interval:
        """Return ends of the mean."""
        value = float(argmax_family_mean(self.n_classes)) * self.scale
        return Interval.exact(value, 1e-12 * value)


@dataclass(frozen=True)
class PreciseConesLaw:
    """`ConesLaw` by quadrature of 1 - K int phi(x) Phi(x - eta sqrt 2)^(K - 1) dx."""

    n_classes: int
    scale: float = 1.0

    def cdf(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ends of P(r <= eta)."""
        values = np.array([1 - self._kept(float(each)) for each in np.ravel(eta)])
        return np.clip(values - 1e-13, 0, 1), np.clip(values + 1e-13, 0, 1)

    def _kept(self, eta: float) -> float:
        with mp.workdps(25):
            shift = mp.mpf(eta) / mp.mpf(self.scale) * mp.sqrt(2)
            places = [-12, 0, shift / 2, shift, shift + 12]
            whole = mp.quad(
                lambda x: mp.npdf(x) * mp.ncdf(x - shift) ** (self.n_classes - 1),
                sorted(set(places)),
            )
            return float(self.n_classes * whole)

    def mean(self) -> Interval:
        """Return ends of the mean: the survival function, integrated numerically."""
        value = 0.0
        for low, high in pairwise([0.0, 1.0, 4.0, 12.0]):
            nodes = (low + high) / 2 + (high - low) / 2 * _NODES
            kept = [self._kept(float(node) * self.scale) for node in nodes]
            value += (high - low) / 2 * float(np.dot(_WEIGHTS, kept))
        return Interval(value * self.scale * (1 - 1e-8), value * self.scale * (1 + 1e-8))


@functools.lru_cache(maxsize=64)
def equal_thresholds(n_classes: int) -> tuple[float, ...]:
    """Return the K - 1 thresholds between classes of equal mass.

    Examples
    --------
    >>> equal_thresholds(2)
    (0.0,)
    """
    return tuple(float(special.ndtri(i / n_classes)) for i in range(1, n_classes))
