"""Balls around many points, cut by a box: least values of linear functions on them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from theory.arrays import FloatArray
from theory.norms import accumulated_error

TINY: Final = float(np.finfo(np.float64).tiny)
_ROOT_TINY: Final = 2.0**-510
_HALVINGS: Final = 24


@dataclass(frozen=True, eq=False)
class Sets:
    """B sets: the points of a box, or of the whole space, with |x - center|_p <= radius.

    Attributes
    ----------
    center : ndarray, shape (B, n)
    radius : ndarray, shape (B,)
    p : {1, 2, inf}
    box : (ndarray, ndarray) or None
        Ends of shape (n,) with all centers between them.
    """

    center: FloatArray
    radius: FloatArray
    p: float
    box: tuple[FloatArray, FloatArray] | None = None

    @property
    def ends(self) -> tuple[FloatArray, FloatArray]:
        """Ends of all coordinates, shape (B, n), rounded outwards."""
        reach = self.radius[:, None]
        low = np.nextafter(self.center - reach, -np.inf)
        high = np.nextafter(self.center + reach, np.inf)
        if self.box is None:
            return low, high
        return np.maximum(low, self.box[0]), np.minimum(high, self.box[1])

    def least(self, rows: FloatArray) -> FloatArray:
        """Return lower ends of rows @ x, shape (B, k), rounding included.

        Parameters
        ----------
        rows : ndarray, shape (B, k, n) or (1, k, n)
        """
        n = self.center.shape[1]
        size = np.matmul(np.abs(rows), np.abs(self.center)[:, :, None])[..., 0]
        middle = np.matmul(rows, self.center[:, :, None])[..., 0]
        if self.p == np.inf:
            spread = self._corner(rows)
        else:
            spread = self.radius[:, None] * self._dual_norm(rows)
            if self.box is not None:
                spread = np.minimum(spread, self._corner(rows) if self.p == 1 else self._cut(rows))
        error = 2 * accumulated_error(n + 8) * (size + spread) + TINY
        return np.asarray(np.nextafter(middle - spread - error, -np.inf))

    def lowest(self, rows: FloatArray) -> FloatArray:
        """Return points, shape (B, k, n), at which rows @ x is about least."""
        low, high = self.ends
        below, above = (low - self.center)[:, None, :], (high - self.center)[:, None, :]
        if self.p == np.inf:
            move = np.where(rows > 0, below, above)
        elif self.p == 2:
            multiplier = self._multiplier(rows)
            move = np.clip(-rows / multiplier[..., None], below, above)
        else:
            at = np.abs(rows).argmax(axis=2)[..., None]
            move = np.zeros((len(self.radius), *rows.shape[1:]))
            steps = -np.sign(np.take_along_axis(rows, at, axis=2)) * self.radius[:, None, None]
            np.put_along_axis(move, np.broadcast_to(at, steps.shape), steps, axis=2)
            move = np.clip(move, below, above)
        return self.center[:, None, :] + move

    def _dual_norm(self, rows: FloatArray) -> FloatArray:
        """Return upper ends of the dual norms of rows for p = 1 and 2."""
        n = rows.shape[2]
        if self.p == 1:
            return np.asarray(np.abs(rows).max(axis=2))
        # Squares that underflow are below the square of what is added.
        norm = np.sqrt(np.einsum("bkn,bkn->bk", rows, rows)) + n * _ROOT_TINY
        return np.asarray(norm * (1 + accumulated_error(n + 6)))

    def _corner(self, rows: FloatArray) -> FloatArray:
        """Return how much less than at the centers rows are on the box of the coordinates' ends."""
        n = rows.shape[2]
        low, high = self.ends
        # Centers lie between the ends, so that both products are at least 0.
        positive = np.maximum(rows, 0.0)
        lost = -np.matmul(positive, (low - self.center)[..., None])[..., 0]
        lost += np.matmul(positive - rows, (high - self.center)[..., None])[..., 0]
        return np.asarray(lost * (1 + accumulated_error(n + 8)) + n * TINY)

    def _multiplier(self, rows: FloatArray) -> FloatArray:
        """Return about the multipliers of |x - center|^2 <= radius^2 at the least points."""
        # Without a box it is |row| / radius; with one it is less.
        reach = np.maximum(self.radius, _ROOT_TINY)[:, None]
        large = self._dual_norm(rows) / reach
        if self.box is None:
            return large
        low, high = self.ends
        below, above = (low - self.center)[:, None, :], (high - self.center)[:, None, :]
        small = np.zeros_like(large)
        for _ in range(_HALVINGS):
            middle = np.maximum(small / 2 + large / 2, TINY)
            move = np.clip(-rows / middle[..., None], below, above)
            far = np.einsum("bkn,bkn->bk", move, move) > reach**2
            small, large = np.where(far, middle, small), np.where(far, large, middle)
        return large

    def _cut(self, rows: FloatArray) -> FloatArray:
        """Return the same as `_corner` on the Euclidean ball in the box, by weak duality.

        For each multiplier of |x - center|^2 <= radius^2 the coordinates part, and the sum of their
        least values is a lower end.
        """
        n = rows.shape[2]
        low, high = self.ends
        below, above = (low - self.center)[:, None, :], (high - self.center)[:, None, :]
        reach, multiplier = self.radius[:, None], np.maximum(self._multiplier(rows), TINY)
        move = np.clip(-rows / multiplier[..., None], below, above)
        square = np.einsum("bkn,bkn->bk", move, move)
        value = np.einsum("bkn,bkn->bk", np.broadcast_to(rows, move.shape), move)
        change = np.einsum("bkn,bkn->bk", np.broadcast_to(np.abs(rows), move.shape), np.abs(move))
        # The point at which the coordinates are least is rounded: to first order that is nothing.
        size = change + multiplier * (square + reach**2)
        lost = -value - multiplier / 2 * (square - reach**2)
        return np.asarray(lost + 4 * accumulated_error(n + 12) * size + n * TINY)
