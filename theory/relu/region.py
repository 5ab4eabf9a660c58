"""The activation region of a point: its half-spaces, which of them bound it, a ball inside."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from theory.arrays import FloatArray
from theory.relu.layer import AffineMap, BoolArray, Piece

Box = tuple[npt.ArrayLike, npt.ArrayLike]
"""Lower and upper ends, numbers or one a coordinate, possibly infinite."""
_ACCURACY = 1e-9
"""Distance that a linear programme can tell from 0, for rows of length 1."""


class Ball(NamedTuple):
    """The points within `radius` of `center`."""

    center: FloatArray
    radius: float


@dataclass(frozen=True, eq=False)
class Region:
    """A closed activation region, within a box.

    Attributes
    ----------
    pattern : ndarray of bool, shape (n_units,)
    outputs : AffineMap
        The network on the region.
    normals, offsets : ndarray, shapes (r, n) and (r,)
        The region is where normals @ z >= offsets: positive units have z >= 0 and others z <= 0.
        Units that are constant where the units before them have their phases have no row.
    units : ndarray of int, shape (r,)
        The unit of each row, as an index into the pattern.
    low, high : ndarray, shape (n,)
        Ends of the box, possibly infinite.
    """

    pattern: BoolArray
    outputs: AffineMap
    normals: FloatArray
    offsets: FloatArray
    units: npt.NDArray[np.intp]
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, piece: Piece, pattern: npt.ArrayLike, box: Box | None = None) -> "Region":
        """Return the region of a pattern and its piece, possibly empty.

        Raises
        ------
        ValueError
            If the pattern or the box is malformed, or a constant unit contradicts the pattern.
        """
        phases = np.asarray(pattern, dtype=bool)
        low, high = ends(box, piece.units.weight.shape[1])
        turned = np.where(phases, 1.0, -1.0)
        normals, shifts = piece.units.weight * turned[:, None], piece.units.bias * turned
        rows = np.any(normals != 0, axis=1)
        if np.any(shifts[~rows] < 0):
            unit = int(np.flatnonzero(~rows & (shifts < 0))[0])
            raise ValueError(f"no point has this pattern: unit {unit} is constant")
        return cls(
            phases, piece.outputs, normals[rows], -shifts[rows], np.flatnonzero(rows), low, high
        )

    def contains(self, z: npt.ArrayLike, tolerance: float = 0.0) -> BoolArray:
        """Return which points, shape (..., n), are in the region.

        Parameters
        ----------
        z : array_like, shape (..., n)
        tolerance : float
            Euclidean distance beyond a half-space or the box that still counts as inside.
        """
        points = np.asarray(z, dtype=np.float64)
        a, b = self._unit_rows
        inside = np.all(points @ a.T - b >= -tolerance, axis=-1)
        in_box = (points >= self.low - tolerance) & (points <= self.high + tolerance)
        return np.asarray(inside & np.all(in_box, axis=-1))

    @cached_property
    def _unit_rows(self) -> tuple[FloatArray, FloatArray]:
        lengths = np.linalg.norm(self.normals, axis=1)
        return self.normals / lengths[:, None], self.offsets / lengths

    @cached_property
    def ball(self) -> Ball:
        """A largest ball in the region: its centre is a point far from all sides.

        In an unbounded region, where there may be no largest, a ball of radius at most 1 or the
        distance of the farthest unit from the origin, if that is more. The radius is 0 where the
        region has no interior, and negative where it is empty.

        Raises
        ------
        RuntimeError
            If the linear programme was not solved.
        """
        a, b = self._unit_rows
        n = a.shape[1]
        lower, upper = np.isfinite(self.low), np.isfinite(self.high)
        eye: Any = sparse.eye_array(n, format="csr")
        sides = sparse.vstack([sparse.csr_array(a), eye[lower], -eye[upper]])
        rows = sparse.hstack([-sides, sparse.csr_array(np.ones((sides.shape[0], 1)))])
        at = np.concatenate([b, self.low[lower], -self.high[upper]])
        most = max(1.0, float(np.abs(b).max(initial=0.0)))
        best = solved(
            np.append(np.zeros(n), -1.0),
            rows.tocsr(),
            -at,
            [(None, None)] * n + [(None, most)],
        )
        return Ball(best[:-1], float(best[-1]))

    @cached_property
    def bounded(self) -> bool:
        """Whether the region, not empty, is bounded.

        Raises
        ------
        RuntimeError
            If the linear programme was not solved.
        """
        n, lower, upper = self.normals.shape[1], np.isfinite(self.low), np.isfinite(self.high)
        if np.all(lower & upper):
            return True
        eye = np.eye(n)
        rows = np.vstack([self._unit_rows[0], eye[lower], -eye[upper]])
        if len(rows) <= n or np.linalg.matrix_rank(rows) < n:
            return False
        # A direction that leaves no half-space can be scaled until one side moves away by 1: the
        # optimum is 0 or at least 1.
        m = len(rows)
        best = solved(
            np.concatenate([np.zeros(n), -np.ones(m)]),
            np.hstack([-rows, np.eye(m)]),
            np.zeros(m),
            [(None, None)] * n + [(0, 1)] * m,
        )
        return float(best[n:].sum()) < 0.5

    def irredundant(self) -> npt.NDArray[np.intp]:
        """Return the units whose half-spaces are needed: those that have a facet, in order.

        Of units with the same facet, one. Facets in the sides of the box have no unit.

        Returns
        -------
        ndarray of int, shape (f,)
            Indices into the pattern.

        Raises
        ------
        ValueError
            If the region has no interior.
        RuntimeError
            If a linear programme was not solved.

        References
        ----------
        Clarkson, More output-sensitive geometric algorithms (FOCS 1994), section 2: a programme
        has only the rows that are known to be needed, and its optimum, if it is outside, shows
        one more.
        """
        start, radius = self.ball
        if radius <= _ACCURACY:
            raise ValueError(f"the region has no interior: its largest ball has radius {radius}")
        a, b = self._unit_rows
        needed = set(np.flatnonzero(self._crossed_alone()).tolist())
        rng = np.random.default_rng(0)
        for i in range(len(a)):
            while i not in needed:
                chosen = [*sorted(needed), i]
                limits = -b[chosen]
                limits[-1] += 1.0
                best = solved(a[i], -a[chosen], limits, list(zip(self.low, self.high, strict=True)))
                if a[i] @ best - b[i] >= -_ACCURACY * max(1.0, abs(b[i])):
                    break
                for _ in range(8):
                    hit, alone = self._first_met(start, best - start)
                    if alone:
                        break
                    # Rows that meet the way in one point: from elsewhere, only equal ones do.
                    step = rng.normal(size=len(start))
                    start = self.ball.center + radius / 2 * step / np.linalg.norm(step)
                if hit is None or hit in needed:
                    break
                needed.add(hit)
        return self.units[sorted(needed)]

    def _crossed_alone(self, rounds: int = 200) -> BoolArray:
        """Return the rows for which a point was found that is beyond them and no other side.

        A point for each row is sent there from the ball's centre, with the least change of the
        distances from all others, and put back in the box, by turns.
        """
        a, b = self._unit_rows
        center, radius = self.ball
        inverse, margin = np.linalg.pinv(a), radius / 100
        points = np.tile(center, (len(a), 1))
        found, own = np.zeros(len(a), dtype=bool), np.arange(len(a))
        turned = np.ones((len(a), len(a)))
        np.fill_diagonal(turned, -1.0)
        for _ in range(rounds):
            values = (points @ a.T - b) * turned[own]
            # Beyond by more than rounding: the margin was asked for, and half of it was reached.
            done = values.min(axis=1) > margin / 2
            found[own[done]] = True
            own, points, values = own[~done], points[~done], values[~done]
            if not own.size:
                break
            wanted = np.where(values < margin, margin - values, 0.0) * turned[own]
            points = np.clip(points + wanted @ inverse.T, self.low, self.high)
        return found

    def _first_met(self, start: FloatArray, direction: FloatArray) -> tuple[int | None, bool]:
        """Return the row met first on a ray, None for the box, and whether no other is there."""
        a, b = self._unit_rows
        closing = -(a @ direction)
        with np.errstate(divide="ignore", invalid="ignore"):
            times = np.where(closing > 0, (a @ start - b) / closing, np.inf)
            ahead = np.where(direction > 0, self.high - start, self.low - start) / direction
        wall = float(np.min(ahead[direction != 0], initial=np.inf))
        first = float(times.min(initial=np.inf))
        if wall <= first:
            return None, wall < first
        near = np.flatnonzero(times <= first * (1 + _ACCURACY))
        return int(near[0]), len(near) == 1 and wall > first * (1 + _ACCURACY)


def ends(box: Box | None, n: int) -> tuple[FloatArray, FloatArray]:
    """Return the ends of a box for each of n coordinates, infinite without one.

    Raises
    ------
    ValueError
        If an end has another shape or is not a number, or the box is empty.
    """
    low, high = (
        np.asarray(end, dtype=np.float64) for end in ((-np.inf, np.inf) if box is None else box)
    )
    for end in (low, high):
        if end.shape not in ((), (n,)) or np.any(np.isnan(end)):
            raise ValueError(f"an end of the box must be a number or ({n},) of them, got {end}")
    if np.any(low > high):
        raise ValueError(f"the box is empty: {low} is not below {high}")
    return np.broadcast_to(low, n), np.broadcast_to(high, n)


def solved(
    objective: FloatArray,
    rows: FloatArray,
    limits: FloatArray,
    bounds: Any,  # noqa: ANN401
) -> FloatArray:
    """Return a minimiser of objective @ z where rows @ z <= limits, within the bounds.

    Raises
    ------
    RuntimeError
        If the linear programme was not solved.
    """
    found = optimize.linprog(objective, A_ub=rows, b_ub=limits, bounds=bounds, method="highs")
    if found.status != 0 or found.x is None:
        raise RuntimeError(f"linprog gave up with status {found.status}: {found.message}")
    return np.asarray(found.x, dtype=np.float64)
