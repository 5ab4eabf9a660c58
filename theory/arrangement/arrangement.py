"""Hyperplane arrangements: regions, faces, the characteristic polynomial; exact over rationals."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrangement.counting import (
    Coefficients,
    n_regions_of,
    n_relatively_bounded_of,
    simple_faces,
    simple_polynomial,
)
from theory.arrangement.incremental import affine, incremental_regions
from theory.arrangement.poset import Poset, characteristic_coefficients, face_counts, poset_of
from theory.arrangement.rows import (
    TOLERANCE,
    Rows,
    eliminate,
    grouped,
    independent_columns,
    is_exact,
    primitive,
    real_entries,
    whole_rows,
)
from theory.arrangement.simple import (
    float_rows,
    in_general_position,
    rounding_of,
    simple_regions,
)

Signs = npt.NDArray[np.int8]


class Region(NamedTuple):
    """One region: on which side of each hyperplane, and a point in it.

    Attributes
    ----------
    sign_vector : ndarray of int8, shape (m,)
        1 where normal . x exceeds the offset, else -1.
    witness : ndarray, shape (n,)
        A point of the open region: floats, or fractions where the arrangement is exact and floats
        were not proved to lie inside.
    """

    sign_vector: Signs
    witness: npt.NDArray[Any]


class HyperplaneArrangement:
    """Finitely many different hyperplanes normal . x = offset in R^n.

    Integers and fractions are computed with exactly. With floats, what is below
    `theory.arrangement.rows.TOLERANCE` (1e-11, the sine of an angle between rows of length 1)
    counts as zero in every question of dependence.

    Parameters
    ----------
    normals : array_like, shape (m, n)
        Not zero.
    offsets : array_like, shape (m,)

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, a normal is zero, or a hyperplane is repeated.

    References
    ----------
    Zaslavsky, Facing up to arrangements, Memoirs AMS 154 (1975).

    Examples
    --------
    >>> lines = HyperplaneArrangement([[1, 0], [0, 1], [1, 1]], [0, 0, 1])
    >>> lines.n_regions, lines.n_bounded_regions, lines.characteristic_polynomial()
    (7, 1, (1, -3, 3))
    >>> lines.face_numbers()
    (3, 9, 7)
    """

    def __init__(self, normals: npt.ArrayLike, offsets: npt.ArrayLike) -> None:
        a, b = np.asarray(normals), np.asarray(offsets)
        if a.ndim != 2 or b.shape != a.shape[:1]:
            raise ValueError(
                f"normals must have the shape (m, n) and offsets (m,), got {a.shape} and {b.shape}"
            )
        self._normals, self._offsets = real_entries("normals", a), real_entries("offsets", b)
        if len({self._normals.dtype, self._offsets.dtype}) > 1:
            self._normals = self._normals.astype(np.float64)
            self._offsets = self._offsets.astype(np.float64)
        rows = np.column_stack([self._normals, self._offsets])
        zero = np.flatnonzero(~np.any(rows[:, :-1] != 0, axis=1))
        if len(zero):
            raise ValueError(f"normals must not be zero, but normals[{zero[0]}] is")
        self._rows = whole_rows(rows) if is_exact(rows) else primitive(rows)
        kinds = grouped(self._rows)
        for i, group in enumerate(kinds.group):
            first = kinds.representatives[group]
            if first != i:
                raise ValueError(f"hyperplane {i} is hyperplane {first} again")

    def __repr__(self) -> str:
        kind = "exact" if self.is_exact else "float"
        return f"<{kind} arrangement of {self.n_hyperplanes} hyperplanes in R^{self.dimension}>"

    @classmethod
    def _of(cls, rows: Rows) -> "HyperplaneArrangement":
        return cls(rows[:, :-1], rows[:, -1])

    @property
    def normals(self) -> npt.NDArray[Any]:
        """Normals, shape (m, n), as given."""
        return self._normals

    @property
    def offsets(self) -> npt.NDArray[Any]:
        """Offsets, shape (m,), as given."""
        return self._offsets

    @property
    def is_exact(self) -> bool:
        """Whether it is given in integers and fractions."""
        return is_exact(self._rows)

    @property
    def n_hyperplanes(self) -> int:
        """Number of hyperplanes, m."""
        return len(self._rows)

    @property
    def dimension(self) -> int:
        """Dimension of the space, n."""
        return int(self._rows.shape[1]) - 1

    @cached_property
    def _columns(self) -> list[int]:
        return independent_columns(self._rows)

    @cached_property
    def _essential_rows(self) -> Rows:
        """Rows on a coordinate subspace that meets each flat of least dimension in a point."""
        return primitive(self._rows[:, [*self._columns, self.dimension]])

    @property
    def rank(self) -> int:
        """Dimension of the span of the normals."""
        return len(self._columns)

    @property
    def is_essential(self) -> bool:
        """Whether the normals span the space."""
        return self.rank == self.dimension

    @cached_property
    def is_central(self) -> bool:
        """Whether all hyperplanes have a point in common."""
        rows = self._rows
        while len(rows):
            if not np.any(rows[0, :-1] != 0):
                return False
            rows = eliminate(rows[1:], rows[0])
            rows = rows[np.any(rows != 0, axis=1)]
        return True

    @cached_property
    def _is_simple_in_its_span(self) -> bool:
        return in_general_position(self._essential_rows)

    @property
    def is_simple(self) -> bool:
        """Whether any k <= n of the hyperplanes meet in codimension k, and no n + 1 in a point."""
        full = self.is_essential or self.n_hyperplanes == self.rank
        return full and self._is_simple_in_its_span

    @cached_property
    def _poset(self) -> Poset:
        return poset_of(self._rows)

    def characteristic_polynomial(self) -> Coefficients:
        """Return the coefficients of chi, from that of t^n down to that of t^0.

        chi(t) is the sum of mu(X) t^dim X over all flats X. In closed form in general position, or
        from the poset of flats, which may be large.
        """
        if self._is_simple_in_its_span:
            found = simple_polynomial(self.n_hyperplanes, self.rank)
            return found + (0,) * (self.dimension - self.rank)
        return characteristic_coefficients(self._poset, self.dimension)

    @property
    def n_regions(self) -> int:
        """Number of regions, (-1)^n chi(-1)."""
        return n_regions_of(self.characteristic_polynomial())

    @property
    def n_relatively_bounded_regions(self) -> int:
        """Number of regions bounded up to translations that keep every hyperplane, |chi(1)|."""
        return n_relatively_bounded_of(self.characteristic_polynomial())

    @property
    def n_bounded_regions(self) -> int:
        """Number of bounded regions: 0 unless the normals span the space."""
        return self.n_relatively_bounded_regions if self.is_essential else 0

    def face_numbers(self) -> tuple[int, ...]:
        """Return the numbers of relatively open faces of dimension 0 to n (n: the regions)."""
        n, m, lost = self.dimension, self.n_hyperplanes, self.dimension - self.rank
        if self._is_simple_in_its_span:
            found = tuple(simple_faces(m, self.rank, k) for k in range(self.rank + 1))
            return (0,) * lost + found
        return face_counts(self._poset, n)

    def deletion(self, i: int) -> "HyperplaneArrangement":
        """Return the arrangement without hyperplane i."""
        i = self._index(i)
        return type(self)(np.delete(self.normals, i, axis=0), np.delete(self.offsets, i))

    def restriction(self, i: int) -> "HyperplaneArrangement":
        """Return the arrangement that the others cut out on hyperplane i, one dimension lower.

        Its coordinates are those of the space but one; hyperplanes parallel to i are gone, and
        those that meet it in one flat are one.
        """
        i = self._index(i)
        lower = eliminate(np.delete(self._rows, i, axis=0), self._rows[i])
        return self._of(lower[grouped(lower).representatives])

    def _index(self, i: int) -> int:
        if not 0 <= i < self.n_hyperplanes:
            raise ValueError(f"i must lie in [0, {self.n_hyperplanes}), got {i}")
        return i

    def sign_vector(self, x: npt.ArrayLike) -> Signs:
        """Return the sides on which points lie: signs of normal . x - offset, 0 on a hyperplane.

        Parameters
        ----------
        x : array_like, shape (..., n)
            Points. Of an exact arrangement, floats count as the numbers that they are.

        Returns
        -------
        ndarray of int8, shape (..., m)

        Raises
        ------
        ValueError
            If the last axis has not n entries, or one is not finite.

        Examples
        --------
        >>> HyperplaneArrangement([[1, 2]], [1]).sign_vector([[0, 0], [1, 0], [1, 1]]).ravel()
        array([-1,  0,  1], dtype=int8)
        """
        points = np.asarray(x)
        if points.ndim == 0 or points.shape[-1] != self.dimension:
            raise ValueError(f"x must have the shape (..., {self.dimension}), got {points.shape}")
        points = real_entries("x", points)
        near = float_rows(self._rows)
        if near is None or (is_exact(points) and self.is_exact):
            return self._exact_signs(points)
        rounded = points.astype(np.float64)
        values = rounded @ near[:, :-1].T - near[:, -1]
        scale = np.abs(rounded) @ np.abs(near[:, :-1]).T + np.abs(near[:, -1])
        if not self.is_exact:
            return np.where(np.abs(values) <= TOLERANCE * scale, 0, np.sign(values)).astype(np.int8)
        signs = np.sign(values).astype(np.int8)
        unsure = np.any(np.abs(values) <= 2 * rounding_of(self.dimension) * scale, axis=-1)
        if np.any(unsure):
            signs[unsure] = self._exact_signs(points[unsure])
        return signs

    def _exact_signs(self, points: npt.NDArray[Any]) -> Signs:
        if not is_exact(points):
            points = np.vectorize(Fraction, otypes=[object])(points)
        values = points @ self._rows[:, :-1].T - self._rows[:, -1]
        return np.asarray((values > 0).astype(np.int8) - (values < 0).astype(np.int8))

    def region_blocks(self) -> Iterator[tuple[Signs, npt.NDArray[Any]]]:
        """Yield all regions, many at a time.

        Yields
        ------
        ndarray of int8, shape (s, m)
            Sign vectors; each region comes once.
        ndarray, shape (s, n)
            Witnesses.

        Notes
        -----
        In general position (which is tested first) blocks are made as they are asked for, in
        memory that does not grow; else all regions are found before the first one is given.
        """
        rows, columns = self._essential_rows, self._columns
        near = float_rows(rows)
        if near is not None and self._is_simple_in_its_span and self.rank:
            blocks = simple_regions(rows, near)
        else:
            signs, points = incremental_regions(rows)
            blocks = iter([(signs, affine(points))])
        for signs, points in blocks:
            witnesses = np.zeros((len(points), self.dimension), dtype=points.dtype)
            witnesses[:, columns] = points
            yield signs, witnesses

    def regions(self) -> Iterator[Region]:
        """Yield all regions, each with its sign vector and a point in it; see `region_blocks`.

        Examples
        --------
        >>> axes = HyperplaneArrangement([[1, 0], [0, 1]], [0, 0])
        >>> sorted(tuple(region.sign_vector.tolist()) for region in axes.regions())
        [(-1, -1), (-1, 1), (1, -1), (1, 1)]
        """
        for signs, witnesses in self.region_blocks():
            yield from map(Region, signs, witnesses)

    def distance(self, one: Region | npt.ArrayLike, other: Region | npt.ArrayLike) -> int:
        """Return the number of hyperplanes that separate two regions or faces.

        Parameters
        ----------
        one, other : Region or array_like of int, shape (m,)
            Regions, or sign vectors of points (`sign_vector`); a point on a hyperplane is not
            separated by it from any other.

        Raises
        ------
        ValueError
            If a sign vector has another length, or entries other than -1, 0 and 1.

        Examples
        --------
        >>> axes = HyperplaneArrangement([[1, 0], [0, 1]], [0, 0])
        >>> axes.distance(axes.sign_vector([1, 1]), axes.sign_vector([-1, -1]))
        2
        """
        product = self._signs("one", one) * self._signs("other", other)
        return int(np.count_nonzero(product < 0))

    def _signs(self, name: str, given: Region | npt.ArrayLike) -> npt.NDArray[Any]:
        signs = np.asarray(given.sign_vector if isinstance(given, Region) else given)
        if signs.shape != (self.n_hyperplanes,) or not np.all(np.isin(signs, (-1, 0, 1))):
            raise ValueError(
                f"{name} must be a sign vector of {self.n_hyperplanes} entries -1, 0 or 1"
            )
        return signs
