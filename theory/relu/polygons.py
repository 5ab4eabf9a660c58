"""Many convex polygons at once, divided by lines."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray

Indices = npt.NDArray[np.intp]


class Polygons(NamedTuple):
    """Convex polygons, counter-clockwise, one after another.

    Attributes
    ----------
    vertices : ndarray, shape (c, 2)
    starts : ndarray of int, shape (p + 1,)
        Polygon i has the vertices from starts[i] up to starts[i + 1].
    """

    vertices: FloatArray
    starts: Indices

    @classmethod
    def rectangle(cls, extent: tuple[float, float, float, float]) -> "Polygons":
        """Return the rectangle [left, right] x [bottom, top]."""
        left, right, bottom, top = extent
        corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
        return cls(np.array(corners, dtype=np.float64), np.array([0, 4]))

    @property
    def n_polygons(self) -> int:
        """The number of polygons."""
        return len(self.starts) - 1

    @property
    def owner(self) -> Indices:
        """The polygon of each vertex, shape (c,)."""
        return np.repeat(np.arange(self.n_polygons), np.diff(self.starts))

    @property
    def following(self) -> Indices:
        """The vertex that comes after each in its polygon, shape (c,)."""
        after = np.arange(1, len(self.vertices) + 1)
        after[self.starts[1:] - 1] = self.starts[:-1]
        return after

    @property
    def areas(self) -> FloatArray:
        """The area of each polygon, shape (p,)."""
        if not self.n_polygons:
            return np.zeros(0)
        # From a vertex of each polygon, for the sake of small ones far from the origin.
        first = self.vertices - self.vertices[self.starts[:-1]][self.owner]
        second = first[self.following]
        twice = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
        return np.asarray(np.add.reduceat(twice, self.starts[:-1]) / 2)

    @property
    def centroids(self) -> FloatArray:
        """The mean of the vertices of each polygon, a point inside, shape (p, 2)."""
        total = np.add.reduceat(self.vertices, self.starts[:-1], axis=0)
        return np.asarray(total / np.diff(self.starts)[:, None])

    def chosen(self, polygons: Indices) -> "Polygons":
        """Return some of the polygons, given by their indices in ascending order."""
        keep = np.zeros(self.n_polygons, dtype=bool)
        keep[polygons] = True
        sizes = np.diff(self.starts)[keep]
        return Polygons(self.vertices[keep[self.owner]], _starts(sizes))


class Division(NamedTuple):
    """Polygons after a line has divided each.

    Attributes
    ----------
    polygons : Polygons
    origin : ndarray of int, shape (p,)
        The polygon, before, that each is a part of.
    side : ndarray of int, shape (p,)
        1 where the line's form is positive inside, -1 where negative, 0 where it is 0 throughout.
    """

    polygons: Polygons
    origin: Indices
    side: npt.NDArray[np.int8]


def divided(polygons: Polygons, forms: FloatArray, near: float) -> Division:
    """Return the parts of polygons on both sides of a line each.

    Parameters
    ----------
    polygons : Polygons
    forms : ndarray, shape (p, 3)
        The line of polygon i is where forms[i] @ (a, b, 1) = 0. A zero form has no line.
    near : float
        Distance from the line within which a vertex counts as on it.
    """
    owner, vertices = polygons.owner, polygons.vertices
    local = forms[owner]
    values = local[:, 0] * vertices[:, 0] + local[:, 1] * vertices[:, 1] + local[:, 2]
    signs = np.sign(values).astype(np.int8)
    signs[np.abs(values) <= near * np.hypot(local[:, 0], local[:, 1])] = 0
    high = np.maximum.reduceat(signs, polygons.starts[:-1])
    low = np.minimum.reduceat(signs, polygons.starts[:-1])
    cut = (high > 0) & (low < 0)
    side = np.where(high > 0, high, low)
    if not cut.any():
        return Division(polygons, np.arange(polygons.n_polygons), side)
    within = cut[owner]
    first = np.flatnonzero(within)
    second = polygons.following[first]
    crossed = signs[first] * signs[second] < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(crossed, values[first] / (values[first] - values[second]), 0.0)
    met = vertices[first] + (vertices[second] - vertices[first]) * share[:, None]
    # Each vertex, followed by the point where the line meets the edge after it, if it does.
    points = np.stack([vertices[first], met], axis=1).reshape(-1, 2)
    there = np.stack([np.ones(len(first), dtype=bool), crossed], axis=1).ravel()
    where = np.stack([signs[first], np.zeros(len(first), dtype=np.int8)], axis=1).ravel()
    whose = np.repeat(owner[first], 2)
    above, below = there & (where >= 0), there & (where <= 0)
    whole, halves = np.flatnonzero(~cut), np.flatnonzero(cut)
    sizes = [
        np.diff(polygons.starts)[whole],
        np.bincount(whose[above], minlength=polygons.n_polygons)[halves],
        np.bincount(whose[below], minlength=polygons.n_polygons)[halves],
    ]
    parts = Polygons(
        np.concatenate([vertices[~within], points[above], points[below]]),
        _starts(np.concatenate(sizes)),
    )
    sides = [side[whole], np.ones(len(halves), np.int8), -np.ones(len(halves), np.int8)]
    return Division(parts, np.concatenate([whole, halves, halves]), np.concatenate(sides))


def _starts(sizes: Indices) -> Indices:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
