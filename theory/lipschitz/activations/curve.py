"""Scalar functions made of convex, concave and linear pieces: slopes and lines with proved ends.

Between two neighbouring turns such a function is convex, concave or linear, so that its derivative
is monotone there. All that is needed follows from this and from the errors of evaluating it:
elementary functions are taken to be correct to 8 units in the last place, relative to 1 for erf
and the like. A turn that is no double is off by an ulp; the wrong curvature on that ulp changes
values and derivatives by less than 1e-30, far below the errors that are added.
"""

from abc import ABC, abstractmethod
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray

ROUNDING: Final = 2.0**-48
"""More than the relative error of some elementary functions and products in a row."""
_TINY: Final = float(np.finfo(np.float64).tiny)
_NEAR: Final = 2.0**-20
"""Part of the range of slopes within which one is met; the remainder is off by a part like it."""
_STEPS: Final = 48
_HALF_GRID: Final = 8
_CHUNK: Final = 2**13
"""Intervals that are treated at a time, so few that they stay in the cache."""


class Lines(NamedTuple):
    """lower_slope z + lower_shift <= f(z) <= upper_slope z + upper_shift on given intervals."""

    lower_slope: FloatArray
    lower_shift: FloatArray
    upper_slope: FloatArray
    upper_shift: FloatArray


class Curve(ABC):
    """A continuous function that is convex, concave or linear between its turns."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in words."""

    @property
    @abstractmethod
    def turns(self) -> tuple[float, ...]:
        """Points where the curvature changes its sign or the derivative jumps, ascending."""

    @property
    @abstractmethod
    def bends(self) -> tuple[int, ...]:
        """For each piece 1 (convex), -1 (concave) or 0 (linear, its slope an exact double)."""

    @property
    @abstractmethod
    def span(self) -> tuple[float, float]:
        """Ends of all slopes, rounded outwards."""

    @property
    def unit(self) -> float:
        """Values have an error of ROUNDING (unit + |f(z)| + |z| max |slope|) at most."""
        return 0.0

    @abstractmethod
    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the values at points of shape (..., m)."""

    @abstractmethod
    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative on a closed piece, also at infinite points."""

    def slopes(self, lower: npt.ArrayLike, upper: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return ends of the slopes of all secants within [lower, upper]."""
        low, high = checked_ends(lower, upper)
        error = ROUNDING * max(map(abs, self.span))
        least, most = np.full(low.shape, np.inf), np.full(low.shape, -np.inf)
        for piece, (s, t, bend) in enumerate(self._pieces(low, high)):
            # Of a point at a kink both derivatives are taken.
            met = (s < t) | ((s == t) & (low == high))
            ends = [self.derivative(end[met], piece) for end in (s, t)]
            margin = error if bend else 0.0
            least[met] = np.minimum(least[met], np.minimum(*ends) - margin)
            most[met] = np.maximum(most[met], np.maximum(*ends) + margin)
        return np.clip(least, *self.span), np.clip(most, *self.span)

    def remainders(
        self, slope: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Return ends of f(z) - slope z over z in [lower, upper], finite."""
        low, high = checked_ends(lower, upper, finite=True)
        given = np.broadcast_arrays(np.asarray(slope, dtype=np.float64), low, high)
        a, low, high = (each.ravel() for each in given)
        least, most = np.full(a.shape, np.inf), np.full(a.shape, -np.inf)
        for start in range(0, a.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            for piece, (s, t, bend) in enumerate(self._pieces(low[part], high[part])):
                met = s <= t
                below, above = self._remainders(piece, bend, a[part][met], s[met], t[met])
                least[part][met] = np.minimum(least[part][met], below)
                most[part][met] = np.maximum(most[part][met], above)
        return least.reshape(given[0].shape), most.reshape(given[0].shape)

    def lines(self, lower: npt.ArrayLike, upper: npt.ArrayLike) -> Lines:
        """Return lines below and above the function on [lower, upper], finite.

        Their slopes are about those of the convex and the concave envelope at the midpoint, which
        leave the least area; the shifts make them hold, whatever the slopes.
        """
        low, high = checked_ends(lower, upper, finite=True)
        below, above = np.empty(low.size), np.empty(low.size)
        flat = low.ravel(), high.ravel()
        for start in range(0, low.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            below[part], above[part] = self._envelope_slopes(flat[0][part], flat[1][part])
        ends = self.slopes(low, high)
        a = np.clip(below.reshape(low.shape), *ends)
        b = np.clip(above.reshape(low.shape), *ends)
        return Lines(a, self.remainders(a, low, high)[0], b, self.remainders(b, low, high)[1])

    def _pieces(
        self, low: FloatArray, high: FloatArray
    ) -> list[tuple[FloatArray, FloatArray, int]]:
        """Return the part of [low, high] on each piece, empty where its first end is larger."""
        edges = (-np.inf, *self.turns, np.inf)
        return [
            (np.maximum(low, edges[i]), np.minimum(high, edges[i + 1]), bend)
            for i, bend in enumerate(self.bends)
        ]

    def _remainder(self, a: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return f(z) - a z and a bound on its error."""
        value, line = self(z), a * z
        size = np.abs(value) + np.abs(line) + max(map(abs, self.span)) * np.abs(z) + self.unit
        return value - line, ROUNDING * size + _TINY

    def _remainders(
        self, piece: int, bend: int, a: FloatArray, s: FloatArray, t: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return ends of f(z) - a z over [s, t], a part of one piece."""
        (first, first_error), (last, last_error) = self._remainder(a, s), self._remainder(a, t)
        below = np.minimum(first - first_error, last - last_error)
        above = np.maximum(first + first_error, last + last_error)
        if not bend:
            return below, above
        # A convex function lies above each tangent: no accuracy of `touch` is relied upon.
        touch = self._stationary(piece, bend, a, s, t)
        value, error = self._remainder(a, touch)
        tilt = self.derivative(touch, piece) - a
        error = error + ROUNDING * (max(map(abs, self.span)) + np.abs(a)) * (t - s)
        ends = tilt * (s - touch), tilt * (t - touch)
        if bend > 0:
            return value + np.minimum(*ends) - error, above
        return below, value + np.maximum(*ends) + error

    def _stationary(
        self, piece: int, bend: int, a: FloatArray, s: FloatArray, t: FloatArray
    ) -> FloatArray:
        """Return points of [s, t] where the derivative is about a, or as near as it comes."""

        def excess(z: FloatArray, at: FloatArray) -> FloatArray:
            return bend * (self.derivative(z, piece) - at)

        first, last = excess(s, a), excess(t, a)
        found = np.where(first >= 0, s, t)
        inside = np.flatnonzero((first < 0) & (last > 0))
        if not inside.size:
            return found
        state = np.array([s, t, a, first, last])[:, inside]
        found[inside] = state[0]
        enough = _NEAR * (last - first)[inside]
        # Regula falsi that halves the value of an end that stays, and now and then a bisection.
        for i in range(_STEPS):
            low, high, at, under, over = state
            share = 0.5 if i % 3 == 2 else -under / (over - under)
            middle = np.clip(low + share * (high - low), low, high)
            value = excess(middle, at)
            found[inside] = middle
            up = value < 0
            state = np.where(
                up, [middle, high, at, value, over / 2], [low, middle, at, under / 2, value]
            )
            far = np.abs(value) > enough
            inside, state, enough = inside[far], state[:, far], enough[far]
            if not inside.size:
                break
        return found

    def _envelope_slopes(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return slopes of the envelopes of a few points, at the midpoint, each of shape (m,)."""
        middle = low / 2 + high / 2
        share = np.arange(_HALF_GRID) / (2 * _HALF_GRID - 1)
        width = (high - low)[:, None]
        turns = np.clip(np.array(self.turns), low[:, None], high[:, None])
        left, right = low[:, None] + share * width, high[:, None] - share * width
        left = np.hstack([left, np.where(turns < middle[:, None], turns, low[:, None])])
        right = np.hstack([right, np.where(turns > middle[:, None], turns, high[:, None])])
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = right[:, None, :] - left[:, :, None]
            secants = (self(right)[:, None, :] - self(left)[:, :, None]) / gap
        # An interval too short for its midpoint has no secants to choose from.
        secants = np.where(gap > 0, secants, 0.0)
        heights = self(left)[:, :, None] + secants * (middle[:, None] - left)[:, :, None]
        rows = np.arange(len(low))
        heights, secants = heights.reshape(len(low), -1), secants.reshape(len(low), -1)
        return secants[rows, heights.argmin(axis=1)], secants[rows, heights.argmax(axis=1)]


def checked_ends(
    lower: npt.ArrayLike, upper: npt.ArrayLike, finite: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return the ends of intervals as float64 arrays of one shape, or raise ValueError."""
    low, high = np.broadcast_arrays(
        np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    )
    if not np.all(low <= high):
        at = int(np.flatnonzero(~(low <= high).ravel())[0])
        raise ValueError(f"an interval is empty: [{low.ravel()[at]}, {high.ravel()[at]}]")
    if finite and not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise ValueError("a line below or above an activation needs an interval of finite ends")
    return low, high
