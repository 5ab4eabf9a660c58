"""The part of a ball and a box beyond a half-space: least values of linear functions on it.

Everything is in terms of the change d = z - x. Each value is that of a dual function, rounded
down, at multipliers that are nearly best: it is a lower end whatever they are.
"""

import math
from typing import NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.distance.problem import TINY
from theory.norms import accumulated_error

_ROUNDS = 4
"""Guesses of which coordinates are at an end of the box."""


class HalfSpace(NamedTuple):
    """Where normal @ d + shift <= 0.

    Attributes
    ----------
    normal : ndarray, shape (n,)
    shift : float
        All rounding errors of both, for the changes that count, have been taken off.
    """

    normal: FloatArray
    shift: float


class Reach(NamedTuple):
    """Changes d with low <= d <= high and |d|_p <= radius, in a half-space or everywhere.

    Attributes
    ----------
    p : float
        2 or inf.
    low, high : ndarray, shape (n,)
        Finite, at most and at least 0.
    radius : float
    half : HalfSpace or None
    """

    p: float
    low: FloatArray
    high: FloatArray
    radius: float
    half: HalfSpace | None

    @classmethod
    def of(
        cls, p: float, low: FloatArray, high: FloatArray, radius: float, half: HalfSpace | None
    ) -> "Reach":
        """Return the set, with the box cut down to the ball."""
        return cls(p, np.maximum(low, -radius), np.minimum(high, radius), radius, half)

    def lower(self, rows: FloatArray) -> FloatArray:
        """Return lower ends of rows @ d, shape (k,), for rows of shape (k, n)."""
        if not len(rows):
            return np.zeros(0)
        found = self._box_value(rows, np.zeros(len(rows)))
        if math.isinf(self.p):
            if self.half is not None:
                found = np.maximum(found, self._box_value(rows, self._box_multipliers(rows)))
            return found
        return np.maximum(found, self._ball_value(rows))

    def _box_value(self, rows: FloatArray, eta: FloatArray) -> FloatArray:
        values, shift = rows, np.zeros(len(rows))
        sizes = np.abs(rows)
        if self.half is not None and eta.any():
            moved = eta[:, None] * self.half.normal
            values, sizes = rows + moved, sizes + np.abs(moved)
            shift = eta * self.half.shift
        least = np.minimum(values * self.low, values * self.high).sum(axis=1) + shift
        size = sizes @ np.maximum(-self.low, self.high) + np.abs(shift)
        error = 2 * accumulated_error(rows.shape[1] + 6) * size + TINY * (rows.shape[1] + 2)
        return np.asarray(least - error)

    def _box_multipliers(self, rows: FloatArray) -> FloatArray:
        """Return the multipliers of the half-space at which the dual function stops to rise."""
        assert self.half is not None
        normal, shift = self.half
        with np.errstate(divide="ignore", invalid="ignore"):
            kinks = np.where(normal != 0, -rows / normal, np.inf)
        kinks = np.where(kinks > 0, kinks, np.inf)
        # Just above 0 a coordinate whose own weight is 0 follows the half-space.
        signs = np.where(rows != 0, rows, normal)
        slope = np.where(signs > 0, self.low, self.high) @ normal + shift
        order = np.argsort(kinks, axis=1)
        drops = (np.abs(normal) * (self.high - self.low))[order]
        after = slope[:, None] - np.cumsum(drops, axis=1)
        at = np.minimum((after > 0).sum(axis=1), rows.shape[1] - 1)[:, None]
        best = np.take_along_axis(kinks, np.take_along_axis(order, at, axis=1), axis=1)[:, 0]
        return np.where((slope > 0) & np.isfinite(best), best, 0.0)

    def _ball_value(self, rows: FloatArray) -> FloatArray:
        low, high, radius = self.low, self.high, self.radius
        normal = np.zeros(rows.shape[1]) if self.half is None else self.half.normal
        shift = 0.0 if self.half is None else self.half.shift
        wall = np.maximum(-low, high)
        best = np.full(len(rows), -np.inf)
        walls = np.where(rows > 0, low, high)
        # A coordinate that cannot move at all in the wanted direction is at its end from the start.
        fixed = walls == 0
        for _ in range(_ROUNDS):
            free = np.where(fixed, 0.0, rows)
            squared = np.einsum("kn,kn->k", free, free)
            left = radius**2 - np.where(fixed, walls**2, 0.0).sum(axis=1)
            left = np.maximum(left, 1e-12 * radius**2)
            tau = np.sqrt(squared / left)
            eta = np.zeros(len(rows))
            if self.half is not None:
                along = free @ normal
                across = np.where(fixed, 0.0, normal**2).sum(axis=1)
                moved = shift + np.where(fixed, walls, 0.0) @ normal
                with np.errstate(divide="ignore", invalid="ignore"):
                    outside = (moved - along / tau > 0) & (across > 0)
                    beyond = np.maximum(left - moved**2 / across, 1e-12 * left)
                    aside = np.maximum(squared - along**2 / across, 0.0)
                    turned = np.sqrt(aside / beyond)
                    tau = np.where(outside, turned, tau)
                    eta = np.where(outside, (turned * moved - along) / across, 0.0)
                eta = np.where(np.isfinite(eta), np.maximum(eta, 0.0), 0.0)
            tau = np.where(np.isfinite(tau), np.maximum(tau, 1e-150), 1.0)
            pushed = eta[:, None] * normal
            values = rows + pushed
            wanted = -values / tau[:, None]
            moves = np.clip(wanted, low, high)
            squares = moves * moves
            terms = values * moves
            held = tau / 2 * squares.sum(axis=1)
            kept = tau / 2 * radius**2
            least = terms.sum(axis=1) + held - kept + eta * shift
            size = np.abs(terms).sum(axis=1) + held + kept + np.abs(eta * shift)
            # Rounding of rows + pushed counts at any change of the box.
            size += (np.abs(rows) + np.abs(pushed)) @ wall
            error = 2 * accumulated_error(rows.shape[1] + 10) * size + TINY * rows.shape[1]
            best = np.maximum(best, least - error)
            now = (wanted < low) | (wanted > high)
            if np.array_equal(now, fixed):
                break
            fixed, walls = now, moves
        return best


def half_space_distance(p: float, low: FloatArray, high: FloatArray, half: HalfSpace) -> float:
    """Return a lower end of |d|_p over d in a half-space and low <= d <= high, which may be inf.

    Parameters
    ----------
    p : float
        2 or inf.
    low, high : ndarray, shape (n,)
        At most and at least 0, possibly infinite.
    half : HalfSpace

    Examples
    --------
    >>> wide = np.full(2, np.inf)
    >>> half = HalfSpace(np.array([3.0, 4.0]), 10.0)
    >>> round(half_space_distance(2, -wide, wide, half), 9)
    2.0
    >>> round(half_space_distance(np.inf, -wide, wide, half), 9)
    1.428571429
    """
    normal, shift = half
    if shift <= 0 or not (math.isfinite(shift) and np.all(np.isfinite(normal))):
        return 0.0
    steps = np.where(normal > 0, -low, np.where(normal < 0, high, 0.0))
    weights = np.abs(normal)
    used = (weights > 0) & (steps > 0)
    weights, steps = weights[used], steps[used]
    # Half the gap is more than the rounding of the sum.
    error = 2 * accumulated_error(len(weights) + 4)
    if float(weights @ steps) * (1 + error) < shift * (1 - error):
        return math.inf
    if math.isinf(p):
        times = steps
        order = np.argsort(times)
        # Rate of decrease in the radius, until a coordinate is at its end.
        gone = np.concatenate(
            [[0.0], np.cumsum((weights * np.where(np.isfinite(steps), steps, 0.0))[order])[:-1]]
        )
        rates = np.cumsum(weights[order][::-1])[::-1]
        candidates = (shift - gone) / rates
        at = int(np.argmax(candidates <= times[order])) if len(order) else 0
        found = float(candidates[at]) if np.any(candidates <= times[order]) else float(times.max())
        step = error
        while found > 0:
            if float(weights @ np.minimum(steps, found)) * (1 + error) < shift * (1 - error):
                return found
            found, step = found * (1 - step) if step < 1 else 0.0, 4 * step
        return 0.0
    # d = -kappa * normal, cut off: the coordinates reach their ends in the order of these.
    with np.errstate(over="ignore"):
        times = steps / weights
    order = np.argsort(times)
    finite = np.where(np.isfinite(steps), steps, 0.0)
    gone = np.concatenate([[0.0], np.cumsum((weights * finite)[order])[:-1]])
    rates = np.cumsum((weights**2)[order][::-1])[::-1]
    candidates = (shift - gone) / rates
    fits = candidates <= times[order]
    kappa = float(candidates[int(np.argmax(fits))]) if fits.any() else float(times.max())
    moves = np.minimum(kappa * weights, steps)
    # Any multiplier kappa is right: min of d^2 / 2 + kappa (normal @ d + shift) over the box.
    gain = kappa * shift
    terms = kappa * weights * moves
    held = float(moves @ moves) / 2
    size = gain + float(terms.sum()) + held
    value = gain - float(terms.sum()) + held - accumulated_error(len(weights) + 10) * 2 * size
    return math.sqrt(max(2 * value, 0.0)) * (1 - accumulated_error(4))
