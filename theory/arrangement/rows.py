"""Hyperplanes a . x = b as rows (a, b): whole numbers without common factor, or floats.

An array of objects holds Python integers, and all that is done with it is exact. A float array has
normals of length 1, and what is below `TOLERANCE` counts as zero.
"""

import math
from fractions import Fraction
from numbers import Rational, Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[Any]
"""Shape (m, n + 1): normals, and offsets in the last column."""
TOLERANCE = 1e-11
"""Sine of an angle between float hyperplanes below which they count as dependent."""


def real_entries(name: str, given: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers and fractions as objects, and other real numbers as floats.

    Raises
    ------
    ValueError
        If an entry is not real, or not finite.
    """
    if given.size == 0 or given.dtype.kind not in "iuO":
        if given.dtype.kind not in "iufO":
            raise ValueError(f"{name} must be real numbers, got an array of {given.dtype}")
        found = given.astype(np.float64)
        if not np.all(np.isfinite(found)):
            raise ValueError(f"{name} must be finite, got {given!r}")
        return found
    entries = given.ravel().tolist()
    if all(isinstance(entry, Rational) for entry in entries):
        exact = np.empty(len(entries), dtype=object)
        exact[:] = entries
        return exact.reshape(given.shape)
    if not all(isinstance(entry, Real) for entry in entries):
        raise ValueError(f"{name} must be real numbers, got {given!r}")
    return real_entries(name, given.astype(np.float64))


def is_exact(rows: Rows) -> bool:
    """Whether the rows are whole numbers."""
    return rows.dtype == object


def whole_rows(rows: Rows) -> Rows:
    """Return rational rows as whole numbers without common factor, of the same orientation."""
    scaled = np.empty(rows.shape, dtype=object)
    for i, row in enumerate(rows):
        below = math.lcm(*(Fraction(entry).denominator for entry in row))
        scaled[i] = [int(Fraction(entry) * below) for entry in row]
    return primitive(scaled)


def primitive(rows: Rows) -> Rows:
    """Return rows divided by a positive number each: the common factor, or a normal's length."""
    if is_exact(rows):
        factors = [math.gcd(*row) or 1 for row in rows]
        return np.asarray(rows // np.array(factors, dtype=object).reshape(-1, 1))
    lengths = np.linalg.norm(rows[:, :-1], axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))


def pivot_of(row: Rows) -> int:
    """Return the coordinate to solve a row for: the least whole number, or the largest float."""
    if is_exact(row):
        return min((k for k in range(len(row) - 1) if row[k]), key=lambda k: abs(row[k]))
    return int(np.argmax(np.abs(row[:-1])))


def eliminate(rows: Rows, by: Rows) -> Rows:
    """Return the rows on the hyperplane `by`, in the coordinates other than its pivot.

    Rows that are parallel to it come out with a zero normal, and those equal to it as zeros.
    """
    pivot = pivot_of(by)
    if is_exact(rows):
        size, sign = abs(by[pivot]), 1 if by[pivot] > 0 else -1
        left = size * rows - np.outer(sign * rows[:, pivot], by)
        return primitive(np.delete(left, pivot, axis=1))
    change = np.outer(rows[:, pivot] / by[pivot], by)
    left = np.delete(rows - change, pivot, axis=1)
    size = np.abs(rows[:, -1]) + np.abs(change[:, -1])
    left[np.abs(left[:, -1]) <= TOLERANCE * size, -1] = 0.0
    left[np.linalg.norm(left[:, :-1], axis=1) <= TOLERANCE * math.sqrt(len(by)), :-1] = 0.0
    return primitive(left)


class Grouped(NamedTuple):
    """Rows sorted by the hyperplane that they describe.

    Attributes
    ----------
    representatives : list of int
        A row for each hyperplane.
    group : ndarray of int, shape (m,)
        Which of these each row is; -1 for rows with a zero normal.
    orientation : ndarray of int8, shape (m,)
        Whether its normal points the same way, 1 or -1; the sign of 0 - b for zero normals.
    """

    representatives: list[int]
    group: npt.NDArray[np.int64]
    orientation: npt.NDArray[np.int8]


def grouped(rows: Rows) -> Grouped:
    """Return which rows describe one hyperplane."""
    representatives: list[int] = []
    group = np.full(len(rows), -1, dtype=np.int64)
    orientation = np.zeros(len(rows), dtype=np.int8)
    seen: dict[tuple[int, ...], int] = {}
    for i, row in enumerate(rows):
        if not np.any(row[:-1] != 0):
            orientation[i] = int(row[-1] < 0) - int(row[-1] > 0)
            continue
        if is_exact(rows):
            found, orientation[i] = seen.get(tuple(row)), 1
            if found is None:
                found, orientation[i] = seen.get(tuple(-row)), -1
        else:
            found, orientation[i] = _near(row, rows[representatives])
        if found is None:
            orientation[i], found = 1, len(representatives)
            representatives.append(i)
            seen[tuple(row)] = found
        group[i] = found
    return Grouped(representatives, group, orientation)


def _near(row: Rows, others: Rows) -> tuple[int | None, int]:
    """Return which float row describes the same hyperplane, and whether it points the same way."""
    for turn in (1, -1):
        gap = np.abs(others - turn * row)
        gap[:, -1] /= 1 + abs(row[-1])
        near = np.flatnonzero(np.all(gap <= TOLERANCE, axis=1))
        if len(near):
            return int(near[0]), turn
    return None, 1


def independent_columns(rows: Rows) -> list[int]:
    """Return coordinates in which the normals have the same rank, as many as that rank.

    The others run along the flats that all hyperplanes contain a translate of.
    """
    columns, kept = list(range(rows.shape[1] - 1)), []
    while rows.shape[1] > 1:
        some = np.flatnonzero(np.any(rows[:, :-1] != 0, axis=1))
        if not len(some):
            break
        by = rows[some[0]]
        kept.append(columns.pop(pivot_of(by)))
        rows = eliminate(np.delete(rows, some[0], axis=0), by)
    return sorted(kept)
