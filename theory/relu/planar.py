"""A network on a plane: its activation regions as polygons, its labels and where they change.

The polygons are cut unit by unit and layer by layer. In each, all units of the next layer are
affine in the two coordinates of the plane.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.relu.layer import AffineMap, BoolArray, Matrix, magnitudes
from theory.relu.network import ReluNetwork
from theory.relu.polygons import Polygons, divided

Extent = tuple[float, float, float, float]
"""The least and largest a, the least and largest b."""
_NEAR = 1e-11
"""Part of the rectangle's size within which a vertex counts as on a line."""
_ROUNDING = 1e-13
"""Part of the sum of its absolute terms below which a coefficient cannot be told from 0."""


class Plane(NamedTuple):
    """The plane origin + a u + b v, with u and v orthonormal.

    Attributes
    ----------
    origin, u, v : ndarray, shape (n,)
    coordinates : ndarray, shape (3, 2)
        (a, b) of the three points that it was made from.
    """

    origin: FloatArray
    u: FloatArray
    v: FloatArray
    coordinates: FloatArray


class PlanarRegion(NamedTuple):
    """An activation region in a plane.

    Attributes
    ----------
    vertices : ndarray, shape (k, 2)
        Counter-clockwise, in the coordinates (a, b).
    pattern : ndarray of bool, shape (n_units,)
    outputs : AffineMap
        Of (a, b).
    """

    vertices: FloatArray
    pattern: BoolArray
    outputs: AffineMap


class LabelPolygon(NamedTuple):
    """The part of an activation region in a plane that has one label.

    Attributes
    ----------
    vertices : ndarray, shape (k, 2)
    label : int
    region : int
        Index of the activation region.
    """

    vertices: FloatArray
    label: int
    region: int


class BoundarySegment(NamedTuple):
    """Where the outputs of two classes are equal, and no other is larger.

    Attributes
    ----------
    ends : ndarray, shape (2, 2)
    labels : tuple of int
        In ascending order.
    """

    ends: FloatArray
    labels: tuple[int, int]


@dataclass(frozen=True, eq=False)
class PlanarSlice:
    """The activation regions of a network in a rectangle of a plane.

    Attributes
    ----------
    origin, u, v : ndarray, shape (n,)
    extent : tuple of float
    polygons : Polygons
    patterns : ndarray of bool, shape (r, n_units)
    forms : ndarray, shape (r, n_outputs, 3)
        The outputs are forms @ (a, b, 1).
    """

    origin: FloatArray
    u: FloatArray
    v: FloatArray
    extent: Extent
    polygons: Polygons
    patterns: BoolArray
    forms: FloatArray

    @property
    def n_regions(self) -> int:
        """The number of activation regions."""
        return self.polygons.n_polygons

    @property
    def regions(self) -> Iterator[PlanarRegion]:
        """The activation regions, one by one."""
        for i, vertices in enumerate(_each(self.polygons)):
            form = self.forms[i]
            yield PlanarRegion(vertices, self.patterns[i], AffineMap(form[:, :2], form[:, 2]))

    def points(self, coordinates: npt.ArrayLike) -> FloatArray:
        """Return points of input space, shape (..., n), from coordinates (a, b), (..., 2)."""
        given = np.asarray(coordinates, dtype=np.float64)
        return np.asarray(self.origin + given @ np.array([self.u, self.v]))

    def label_polygons(self) -> list[LabelPolygon]:
        """Return the activation regions, each cut by which output is (the first) largest."""
        found = []
        for label, (cells, owner) in enumerate(self._cells()):
            for vertices, region in zip(_each(cells), owner.tolist(), strict=True):
                found.append(LabelPolygon(vertices, label, region))
        return found

    def decision_boundary(self) -> list[BoundarySegment]:
        """Return the segments on which the two largest outputs are equal.

        A region in which two outputs are equal throughout, and largest, has none.
        """
        near, found = _near(self.extent), []
        for label, (cells, owner) in enumerate(self._cells()):
            if not label or not cells.n_polygons:
                continue
            first, second = cells.vertices, cells.vertices[cells.following]
            forms = self.forms[owner][cells.owner]
            long = np.hypot(*(second - first).T) > 100 * near
            # A segment belongs to the cells of both labels: it is taken from that of the larger.
            for other in range(label):
                lead = forms[:, label] - forms[:, other]
                reach = 10 * near * np.hypot(lead[:, 0], lead[:, 1])
                equal = [np.abs(_at(lead, ends)) <= reach for ends in (first, second)]
                for i in np.flatnonzero(equal[0] & equal[1] & long):
                    ends = np.array([first[i], second[i]])
                    found.append(BoundarySegment(ends, (other, label)))
        return found

    def _cells(self) -> Iterator[tuple[Polygons, npt.NDArray[np.intp]]]:
        """Yield, label by label, the parts of the regions that have it, and their regions."""
        near, classes = _near(self.extent), self.forms.shape[1]
        for label in range(classes):
            cells, owner = self.polygons, np.arange(self.n_regions)
            for other in range(classes):
                if other == label or not cells.n_polygons:
                    continue
                lead = self.forms[owner, label] - self.forms[owner, other]
                parts = divided(cells, lead, near)
                # Of two that are equal throughout, the first is the label.
                kept = np.flatnonzero(parts.side >= (0 if other > label else 1))
                cells, owner = parts.polygons.chosen(kept), owner[parts.origin[kept]]
            yield cells, owner


def slice_regions(
    network: ReluNetwork,
    origin: npt.ArrayLike,
    u: npt.ArrayLike,
    v: npt.ArrayLike,
    extent: Extent,
) -> PlanarSlice:
    """Return the activation regions of a network on the plane origin + a u + b v.

    Parameters
    ----------
    network : ReluNetwork
    origin, u, v : array_like, shape (n_inputs,)
    extent : tuple of float
        The least and largest a, the least and largest b.

    Returns
    -------
    PlanarSlice
        Exact up to rounding: a vertex within 1e-11 of the rectangle's size of a line is on it. A
        unit that is 0 on a whole region is not positive there.

    Raises
    ------
    ValueError
        If a point or the rectangle is malformed.

    Examples
    --------
    >>> crossed = ReluNetwork([(np.eye(2), np.zeros(2)), (np.ones((1, 2)), [0.0])])
    >>> found = slice_regions(crossed, [0, 0], [1, 0], [0, 1], (-1, 1, -2, 2))
    >>> found.n_regions, found.polygons.areas.tolist()
    (4, [2.0, 2.0, 2.0, 2.0])
    """
    axes = [network.point(each) for each in (u, v, origin)]
    left, right, bottom, top = (float(end) for end in extent)
    if not (np.all(np.isfinite([left, right, bottom, top])) and left < right and bottom < top):
        raise ValueError(f"extent must be left < right, bottom < top, all finite: {extent}")
    checked = left, right, bottom, top
    near = _near(checked)
    polygons, patterns = Polygons.rectangle(checked), np.zeros((1, 0), dtype=bool)
    # Shape (n, p, 3): every unit of the layer in every polygon, with no copy for the product.
    states = np.stack(axes, axis=1)[:, None, :]
    for layer in network.layers:
        forms = _product(layer.weight, states)
        forms[:, :, 2] += layer.bias[:, None]
        size = _product(magnitudes(layer), np.abs(states))
        size[:, :, 2] += np.abs(layer.bias)[:, None]
        forms[np.abs(forms) <= _ROUNDING * size] = 0.0
        # The polygon, when the layer began, that each is a part of now.
        source, history = np.arange(polygons.n_polygons), []
        for unit in layer.hinges:
            parts = divided(polygons, forms[unit, source], near)
            polygons, source = parts.polygons, source[parts.origin]
            history.append((parts.side > 0, parts.origin))
        # Phases are read backwards: carried along, they would be copied with every unit.
        phases = np.empty((polygons.n_polygons, len(history)), dtype=bool)
        whose = np.arange(polygons.n_polygons)
        for k, (positive, origin_of) in reversed(list(enumerate(history))):
            phases[:, k], whose = positive[whose], origin_of[whose]
        patterns = np.hstack([patterns[source], phases])
        states = forms[:, source]
        scale = np.where(phases, 1.0, layer.slope[layer.hinges])
        states[layer.hinges] *= scale.T[:, :, None]
    outputs = np.ascontiguousarray(states.transpose(1, 0, 2))
    return PlanarSlice(axes[2], axes[0], axes[1], checked, polygons, patterns, outputs)


def plane_through(p: npt.ArrayLike, q: npt.ArrayLike, r: npt.ArrayLike) -> Plane:
    """Return the plane through three points: the origin is p, and q is on its first axis.

    Parameters
    ----------
    p, q, r : array_like, shape (n,)

    Raises
    ------
    ValueError
        If the shapes differ, or the points are on one line.

    Examples
    --------
    >>> plane_through([0, 0, 1], [0, 2, 1], [0, 3, 5]).coordinates.tolist()
    [[0.0, 0.0], [2.0, 0.0], [3.0, 4.0]]
    """
    points = [np.asarray(each, dtype=np.float64) for each in (p, q, r)]
    if points[0].ndim != 1 or any(each.shape != points[0].shape for each in points):
        raise ValueError(f"three points of one shape (n,): {[each.shape for each in points]}")
    first, second = points[1] - points[0], points[2] - points[0]
    length = float(np.linalg.norm(first))
    u = first / (length or 1.0)
    along = float(second @ u)
    # Once more against rounding: what is left is at a right angle.
    rest = second - along * u
    rest -= (rest @ u) * u
    height = float(np.linalg.norm(rest))
    if not (length > 0 and height > 1e-12 * float(np.linalg.norm(second))):
        raise ValueError("the three points are on one line: they span no plane")
    coordinates = np.array([[0.0, 0.0], [length, 0.0], [along, height]])
    return Plane(points[0], u, rest / height, coordinates)


def _near(extent: Extent) -> float:
    left, right, bottom, top = extent
    return _NEAR * max(abs(left), abs(right), abs(bottom), abs(top), right - left, top - bottom)


def _product(weight: Matrix, states: FloatArray) -> FloatArray:
    """Return weight @ states along the first axis of states of shape (n, p, 3)."""
    product = np.asarray(weight @ states.reshape(len(states), -1))
    return product.reshape(-1, *states.shape[1:])


def _at(forms: FloatArray, points: FloatArray) -> FloatArray:
    return np.asarray(forms[:, 0] * points[:, 0] + forms[:, 1] * points[:, 1] + forms[:, 2])


def _each(polygons: Polygons) -> list[FloatArray]:
    return [
        polygons.vertices[i:j] for i, j in zip(polygons.starts, polygons.starts[1:], strict=False)
    ]
