"""Regions of arrangements in general position, by their lowest vertices.

Turn the space so that no two vertices have the same last coordinate. A region that is bounded below
has one lowest vertex, on n hyperplanes, and each vertex is the lowest of one region: the signs of
its n hyperplanes are those of the cone that rises from it, and the others' are their values at the
vertex. The regions that are not bounded below are those of the slice far down, which is to first
order the slice x_n = -1 of the hyperplanes through the origin parallel to these: an arrangement in
general position in one dimension less. So regions are pairs of a dimension k and k hyperplanes, a
batch of linear systems each, and there is nothing to search or to remember.

What floats find is proved before it is used: the sides on which a vertex and a witness lie are
certain when each value exceeds a bound of its error, and what is not certain is found again in
rational arithmetic.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrangement.rows import TOLERANCE, Rows, eliminate, is_exact
from theory.arrays import FloatArray

CHUNK = 4096
"""Regions found at a time."""
_UNIT = 2.0**-53
_SMALLEST_ENTRY = 1e-150
Signs = npt.NDArray[np.int8]
Indices = npt.NDArray[np.int64]


def float_rows(rows: Rows) -> FloatArray | None:
    """Return rows in floats, each entry within a rounding of a multiple; None if that fails."""
    if not is_exact(rows):
        return np.asarray(rows, dtype=np.float64)
    largest = [max(abs(entry) for entry in row) for row in rows]
    scaled = [
        [float(Fraction(entry, most)) for entry in row]
        for row, most in zip(rows, largest, strict=True)
    ]
    found = np.array(scaled, dtype=np.float64).reshape(rows.shape)
    small = (np.abs(found) < _SMALLEST_ENTRY) & (rows != 0)
    return None if np.any(small) else found


def rounding_of(n: int) -> float:
    """Return the relative error of a value a . x - b, with entries rounded once before."""
    return 2 * (n + 4) * _UNIT


def subsets(m: int, k: int, size: int = CHUNK) -> Iterator[Indices]:
    """Yield all k-subsets of range(m) in order, as arrays of up to `size` rows."""
    if k == 0:
        yield np.zeros((1, 0), dtype=np.int64)
        return
    left = itertools.combinations(range(m), k)
    while len(block := list(itertools.islice(left, size))):
        yield np.array(block, dtype=np.int64)


def in_general_position(rows: Rows) -> bool:
    """Whether any k <= n of the hyperplanes meet in codimension k, and no n + 1 of them in a point.

    Parameters
    ----------
    rows : ndarray, shape (m, n + 1)
        With m >= n. Whole numbers are decided exactly, by floats only where their error bounds
        allow. Of floats, n + 1 rows of [A | b] of length 1, the hyperplane at infinity (0 | 1)
        included, are dependent where the sine of the angle of one with the meet of the others is
        at most `TOLERANCE`; offsets are measured in the median of those that are not 0.
    """
    m, n = rows.shape[0], rows.shape[1] - 1
    if not n:
        return True
    near = float_rows(rows)
    if near is not None:
        near = near / np.linalg.norm(near[:, :-1], axis=1, keepdims=True)
        some = np.abs(near[near[:, -1] != 0, -1])
        near[:, -1] /= np.median(some) if len(some) else 1.0
        near /= np.linalg.norm(near, axis=1, keepdims=True)
    for chosen in subsets(m, n):
        if near is None:
            unsure = chosen
        else:
            clear = _clear_vertices(near, chosen, is_exact(rows))
            if not is_exact(rows) and not np.all(clear):
                return False
            unsure = chosen[~clear]
        if not all(_is_clear(rows, subset) for subset in unsure):
            return False
    return True


class _Vertices(NamedTuple):
    """Where k hyperplanes of R^k meet, for many choices of them, with error bounds.

    Attributes
    ----------
    inverses : ndarray, shape (s, k, k)
        Of the matrices of the chosen normals.
    points : ndarray, shape (s, k)
    values : ndarray, shape (s, m)
        normal . x - offset of all rows.
    doubt : ndarray, shape (s, m)
        What the values may differ by from the exact ones; not finite without a proof that the
        matrix is regular.
    rising_doubt : ndarray, shape (s, k)
        What the last row of the inverse may differ by.
    """

    inverses: FloatArray
    points: FloatArray
    values: FloatArray
    doubt: FloatArray
    rising_doubt: FloatArray


def _vertices(
    normals: FloatArray, offsets: FloatArray, sizes: FloatArray, chosen: Indices, rounding: float
) -> _Vertices:
    """Return the vertices of the chosen rows, whose entries are known to `rounding` * `sizes`."""
    k, slack = normals.shape[1], 8 * rounding
    matrices, right = normals[chosen], offsets[chosen]
    try:
        inverses = np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        inverses = np.full(matrices.shape, np.nan)
    points = np.einsum("sij,sj->si", inverses, right)
    values = points @ normals.T - offsets
    # |I - R M| < 1 proves that M is regular, and R times the residual how far the vertex is.
    size, own = np.abs(inverses), sizes[chosen]
    blur = slack * np.einsum("sij,sj->si", size, own)
    defect = np.abs(np.eye(k) - inverses @ matrices).sum(axis=2) + k * blur
    contraction = defect.max(axis=1)
    regular = np.where(contraction < 0.5, 1 - contraction, np.nan)[:, None]
    spread = 1 + np.abs(points).sum(axis=1, keepdims=True)
    residual = np.abs(right - np.einsum("sij,sj->si", matrices, points)) + slack * own * spread
    error = np.einsum("sij,sj->si", size, residual).max(axis=1, keepdims=True) / regular
    doubt = 2 * sizes * (k * error + slack * spread)
    rising_doubt = 2 * defect[:, -1:] * size.max(axis=1) / regular
    return _Vertices(np.asarray(inverses), points, values, doubt, rising_doubt)


def _clear_vertices(near: FloatArray, chosen: Indices, exact: bool) -> npt.NDArray[np.bool_]:
    """Return which subsets of n rows have one vertex, that lies on no other hyperplane."""
    with np.errstate(all="ignore"):
        sizes = np.asarray(np.linalg.norm(near, axis=1))
        found = _vertices(near[:, :-1], near[:, -1], sizes, chosen, rounding_of(near.shape[1]))
        values = np.abs(found.values)
        np.put_along_axis(values, chosen, np.inf, axis=1)
        if exact:
            return np.asarray(np.all(values > found.doubt, axis=1))
        length = np.sqrt(1 + np.sum(found.points**2, axis=1))
        sines = np.minimum(values.min(axis=1), 1.0) / length
        return np.asarray(np.isfinite(length) & (sines > TOLERANCE))


def _is_clear(rows: Rows, subset: Indices) -> bool:
    """Decide in whole numbers what `_clear_vertices` left open."""
    left = np.delete(rows, subset, axis=0)
    on = rows[subset]
    while len(on):
        if not np.any(on[0, :-1] != 0):
            return False
        left, on = eliminate(left, on[0]), eliminate(on[1:], on[0])
    return bool(np.all(left[:, -1] != 0))


@dataclass(frozen=True)
class Turned:
    """Rows in the turned coordinates, with what is on the right of level k in column k.

    Attributes
    ----------
    rows : ndarray, shape (m, n + 1)
        As given.
    near : ndarray of float, shape (m, n + 1)
        In floats.
    turn : ndarray, shape (n, n)
        Orthogonal; x = turn @ x'.
    table : ndarray, shape (m, n + 1)
        Normals in the new coordinates, and the offsets: level k has the normals table[:, :k] and
        the offsets table[:, k].
    sizes : ndarray, shape (m,)
        Lengths of the rows in floats.
    """

    rows: Rows
    near: FloatArray
    turn: FloatArray
    table: FloatArray
    sizes: FloatArray

    @classmethod
    def of(cls, rows: Rows, near: FloatArray) -> "Turned":
        """Return rows in coordinates turned at random, the same in every run."""
        n = rows.shape[1] - 1
        turn = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))[0]
        table = np.column_stack([near[:, :-1] @ turn, near[:, -1]])
        return cls(rows, near, turn, table, np.linalg.norm(near, axis=1))

    @cached_property
    def exact(self) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
        """The turn and the table in fractions; the turn is taken as the floats that it is."""
        turn = [[Fraction(entry) for entry in row] for row in self.turn.tolist()]
        table = []
        for given in self.rows.tolist():
            row = [Fraction(entry) for entry in given]
            table.append(
                [*(_dot(row, list(column)) for column in zip(*turn, strict=True)), row[-1]]
            )
        return turn, table


def simple_regions(rows: Rows, near: FloatArray) -> Iterator[tuple[Signs, npt.NDArray[Any]]]:
    """Yield sign vectors and witnesses of the regions of an arrangement in general position.

    Parameters
    ----------
    rows : ndarray, shape (m, n + 1)
        Hyperplanes in general position, m >= n.
    near : ndarray, shape (m, n + 1)
        The same in floats, from `float_rows`.

    Yields
    ------
    ndarray of int8, shape (s, m)
    ndarray, shape (s, n)
        Floats whose signs are certain; objects (fractions) where there are none.
    """
    m, n = rows.shape[0], rows.shape[1] - 1
    turned = Turned.of(rows, near)
    for k in range(n, -1, -1):
        for chosen in subsets(m, k):
            signs, points, certain = _cells(turned, chosen)
            if np.all(certain):
                yield signs, points
                continue
            yield signs[certain], points[certain]
            for subset in chosen[~certain]:
                yield exact_cell(turned, subset)


def _certain(near: FloatArray, points: FloatArray, signs: Signs) -> npt.NDArray[np.bool_]:
    """Return which points have these signs, whatever the rounding."""
    normals, offsets, n = near[:, :-1], near[:, -1], near.shape[1] - 1
    with np.errstate(all="ignore"):
        values = points @ normals.T - offsets
        doubt = rounding_of(n) * (np.abs(points) @ np.abs(normals).T + np.abs(offsets))
        return np.asarray(np.all(values * signs > 2 * doubt, axis=1))


def _cells(turned: Turned, chosen: Indices) -> tuple[Signs, FloatArray, npt.NDArray[np.bool_]]:
    """Return signs and a point of the regions with these lowest vertices, and which are certain.

    Where rounding leaves the side of a vertex open, the region found may be one of another vertex.
    """
    k, n = chosen.shape[1], turned.table.shape[1] - 1
    normals, offsets = turned.table[:, :k], turned.table[:, k]
    with np.errstate(all="ignore"):
        if k:
            found = _vertices(normals, offsets, turned.sizes, chosen, rounding_of(n))
            points, values, last = found.points, found.values, found.inverses[:, k - 1]
            rising = np.where(last > 0, 1.0, -1.0)
            # At the same distance from all hyperplanes of the vertex.
            speed = rising * np.linalg.norm(normals, axis=1)[chosen]
            along = np.einsum("sij,sj->si", found.inverses, speed)
            slopes = along @ normals.T
            clear = np.abs(values) > found.doubt
            np.put_along_axis(clear, chosen, np.abs(last) > found.rising_doubt, axis=1)
            np.put_along_axis(values, chosen, 0.0, axis=1)
            np.put_along_axis(slopes, chosen, speed, axis=1)
            length = (1 + np.linalg.norm(points, axis=1)) / np.linalg.norm(along, axis=1)
            meets = np.where(values * slopes < 0, -values / slopes, np.inf).min(axis=1)
            step = np.minimum(length, meets / 2)[:, None]
            points, values = points + step * along, values + step * slopes
        else:
            points, values = np.zeros((1, 0)), -offsets[None, :]
            clear = np.abs(values) > rounding_of(n) * turned.sizes
        signs = np.where(values > 0, 1, -1).astype(np.int8)
        for level in range(k + 1, n + 1):
            # So far down that the directions outweigh the offsets.
            right = turned.table[:, level]
            depth = np.maximum(1.0, 2 * np.max(right / values, axis=1))[:, None]
            points = depth * np.column_stack([points, np.full(len(points), -1.0)])
            values = depth * values - right
        points = points @ turned.turn.T
    return signs, points, np.all(clear, axis=1) & _certain(turned.near, points, signs)


def exact_cell(turned: Turned, subset: Indices) -> tuple[Signs, npt.NDArray[Any]]:
    """Return the region of one lowest vertex in rational arithmetic, as arrays of one row.

    Raises
    ------
    ArithmeticError
        If the hyperplanes are not in general position.
    """
    turn, table = turned.exact
    n, k = len(turn), len(subset)
    inverse = _inverse([table[i][:k] for i in subset])
    rising = [1 if entry > 0 else -1 for entry in (inverse[k - 1] if k else [])]
    at = [_dot(line, [table[i][k] for i in subset]) for line in inverse]
    along = [_dot(line, rising) for line in inverse]
    values = [_dot(row, at) - row[k] for row in table]
    slopes = [_dot(row, along) for row in table]
    for i, sign in zip(subset, rising, strict=True):
        values[i], slopes[i] = Fraction(0), Fraction(sign)
    meets = [-v / s for v, s in zip(values, slopes, strict=True) if v * s < 0]
    step = min(meets, default=Fraction(2)) / 2
    at = [a + step * b for a, b in zip(at, along, strict=True)]
    values = [v + step * s for v, s in zip(values, slopes, strict=True)]
    if not all(values):
        raise ArithmeticError(f"the hyperplanes {subset.tolist()} are not in general position")
    signs = [1 if value > 0 else -1 for value in values]
    for level in range(k + 1, n + 1):
        depth = max(
            Fraction(1), *(2 * row[level] / v for row, v in zip(table, values, strict=True))
        )
        at = [depth * a for a in [*at, Fraction(-1)]]
        values = [depth * v - row[level] for row, v in zip(table, values, strict=True)]
    exact = np.array([[_dot(line, at) for line in turn]], dtype=object)
    found = np.array([signs], dtype=np.int8)
    try:
        rounded = exact.astype(np.float64)
    except OverflowError:
        return found, exact
    return found, rounded if np.all(_certain(turned.near, rounded, found)) else exact


def _dot(one: list[Any], other: list[Any]) -> Fraction:
    return sum((a * b for a, b in zip(one, other, strict=False)), Fraction(0))


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Return the inverse, by Gauss and Jordan."""
    k = len(matrix)
    work = [row + [Fraction(i == j) for j in range(k)] for i, row in enumerate(matrix)]
    for c in range(k):
        pivot = next((r for r in range(c, k) if work[r][c]), None)
        if pivot is None:
            raise ArithmeticError("hyperplanes that should be independent are not")
        work[c], work[pivot] = work[pivot], work[c]
        work[c] = [entry / work[c][c] for entry in work[c]]
        for r in range(k):
            if r != c and work[r][c]:
                factor = work[r][c]
                work[r] = [a - factor * b for a, b in zip(work[r], work[c], strict=True)]
    return [row[k:] for row in work]
