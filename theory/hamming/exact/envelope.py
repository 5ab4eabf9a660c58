"""Concave envelopes of a unit over the points of a box that differ from x in few coordinates.

Write such a point as x + D p with p in [0, 1]^n and at most k entries other than 0; the convex hull
of these p is the polytope 0 <= p <= 1, sum p <= k. A unit max(0, c + w . p) is convex, so its
smallest concave majorant on the hull is decided by the sparse corners. With numbers theta, phi and
vectors mu, nu, all at least 0, it is below

    phi k + sum nu + max(0, c + (theta - phi) k + sum mu - sum nu) + coefficients . p,
    coefficients = max(0, w - theta + phi - mu + nu) - phi - nu,

by duality for the disjunction "off, or on"; the best multipliers make it the envelope. For p = 0
and c < 0 the value is 0, where the chord between the ends of c + w . p is far above it.
"""

from typing import NamedTuple

import numpy as np

from theory.arrays import FloatArray

_HALVINGS = 45
_ROUNDED = 1e-14
"""Sums of parts that differ by less are equal."""
_USED = 1e-9
"""Entries of a point above this are looked at one by one."""


class Majorants(NamedTuple):
    """Affine functions of p: shifts + weights @ p, m of them over n columns."""

    weights: FloatArray
    shifts: FloatArray


def central_majorants(weights: FloatArray, shifts: FloatArray, k: int) -> Majorants:
    """Return majorants of max(0, shifts + weights @ p) that touch it at p = 0.

    Of all that do, these have the smallest coefficients.

    Parameters
    ----------
    weights : ndarray, shape (m, n)
    shifts : ndarray, shape (m,)
    k : int
        At most k entries of p are other than 0; at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> above = central_majorants(np.array([[3.0, 1.0]]), np.array([-2.0]), 2)
    >>> above.weights.tolist(), above.shifts.round(9).tolist()
    ([[2.0, 0.0]], [0.0])
    """
    share = shifts[:, None] / k
    below = np.maximum(weights, -share) + np.minimum(share, 0.0)
    return _outward(below, np.maximum(shifts, 0.0), np.abs(shifts), weights, k)


def envelope_majorants(
    weights: FloatArray, shifts: FloatArray, point: FloatArray, k: int
) -> Majorants:
    """Return majorants of max(0, shifts + weights @ p) that meet the envelope at a point.

    Parameters
    ----------
    weights : ndarray, shape (m, n)
    shifts : ndarray, shape (m,)
    point : ndarray, shape (n,)
        In the hull: entries from 0 to 1, of sum at most k.
    k : int

    References
    ----------
    Tjandraatmadja, Anderson, Huchette, Ma, Patel and Vielma, The Convex Relaxation Barrier,
    Revisited (NeurIPS 2020), is the same for a box.

    Examples
    --------
    >>> import numpy as np
    >>> above = envelope_majorants(np.ones((1, 2)), np.array([-1.0]), np.array([0.5, 0.5]), 2)
    >>> round(float((above.shifts + above.weights @ [0.5, 0.5])[0]), 9)
    0.5
    """
    used = np.flatnonzero(point > _USED)
    if not used.size:
        return central_majorants(weights, shifts, k)
    order = np.argsort(-weights[:, used], axis=1)
    sorted_weights = np.take_along_axis(weights[:, used], order, axis=1)
    dual = _Dual(sorted_weights, shifts, point[used][order], float(point[used].sum()), k)
    # The value is concave in the weight of "on": halve where its slope changes sign.
    low, high = np.zeros(len(shifts)), np.ones(len(shifts))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rising = dual.at(middle).slope > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    left, right = dual.at(low), dual.at(high)
    # A mixture of slope 0 makes the weight of "on" free.
    drop = left.slope - right.slope
    even = np.clip(-right.slope / np.where(drop > 0, drop, 1.0), 0.0, 1.0)
    mixed = np.where(drop > 0, even, (left.slope <= 0).astype(np.float64))
    price = mixed * left.price + (1 - mixed) * right.price
    theta = mixed * np.maximum(left.price, 0) + (1 - mixed) * np.maximum(right.price, 0)
    phi = theta - price
    phi[phi < 0] = 0.0
    top, bottom = np.zeros((2, len(shifts), len(used)))
    mixed, rest = mixed[:, None], 1 - mixed[:, None]
    np.put_along_axis(top, order, mixed * left.top + rest * right.top, axis=1)
    np.put_along_axis(bottom, order, mixed * left.bottom + rest * right.bottom, axis=1)
    found = np.maximum(weights - theta[:, None], -phi[:, None])
    found[:, used] = (
        np.maximum(weights[:, used] - (theta - phi)[:, None] - top + bottom, 0.0)
        - phi[:, None]
        - bottom
    )
    spread = top.sum(axis=1) - bottom.sum(axis=1)
    constant = phi * k + bottom.sum(axis=1) + np.maximum(shifts + (theta - phi) * k + spread, 0.0)
    size = np.abs(shifts) + (theta + phi) * k + (top + bottom).sum(axis=1)
    return _outward(found, constant, size, weights, k)


class _Prices(NamedTuple):
    """Multipliers for one weight of "on", and the slope of the value there.

    Attributes
    ----------
    slope, price : ndarray, shape (m,)
        The price is theta - phi, of which one is 0.
    top, bottom : ndarray, shape (m, number of used columns)
        mu and nu.
    """

    slope: FloatArray
    price: FloatArray
    top: FloatArray
    bottom: FloatArray


class _Dual(NamedTuple):
    """What is spent on "on": a knapsack, filled by decreasing weight, for each unit."""

    weights: FloatArray
    shifts: FloatArray
    point: FloatArray
    total: float
    k: int

    def at(self, share: FloatArray) -> _Prices:
        """Return optimal multipliers where "on" has the given weights, shape (m,)."""
        part = share[:, None]
        least = np.maximum(0.0, self.point - (1 - part))
        filled = np.cumsum(np.minimum(self.point, part) - least, axis=1)
        empty = np.zeros((len(share), 1))
        filled = np.hstack([empty, filled])
        # What "on" may take, and what "off" must leave to it.
        most = self.k * share - least.sum(axis=1)
        needed = self.total - self.k * (1 - share) - least.sum(axis=1)
        wanted = np.take_along_axis(filled, (self.weights > 0).sum(axis=1)[:, None], axis=1)[:, 0]
        price = np.zeros(len(share))
        for sign, amount in ((1.0, most), (-1.0, needed)):
            last = (filled[:, 1:] < amount[:, None] - _ROUNDED).sum(axis=1)
            last = np.minimum(last, self.weights.shape[1] - 1)
            marginal = np.take_along_axis(self.weights, last[:, None], axis=1)[:, 0]
            binding = (sign * (wanted - amount) > _ROUNDED) & (sign * marginal > 0)
            price = np.where(binding, marginal, price)
        gain = self.weights - price[:, None]
        top = np.where(self.point > part, np.maximum(gain, 0.0), 0.0)
        bottom = np.where(self.point > 1 - part, np.maximum(-gain, 0.0), 0.0)
        slope = self.shifts + price * self.k + top.sum(axis=1) - bottom.sum(axis=1)
        return _Prices(slope, price, top, bottom)


def _outward(
    weights: FloatArray, shifts: FloatArray, size: FloatArray, units: FloatArray, k: int
) -> Majorants:
    """Raise the shifts by more than all rounding errors at points with k entries can be."""
    largest = np.abs(units).max(axis=1, initial=0.0) + np.abs(weights).max(axis=1, initial=0.0)
    unit = 16 * float(np.finfo(np.float64).eps) * (units.shape[1] + 1)
    return Majorants(weights, shifts + unit * (size + k * largest))
