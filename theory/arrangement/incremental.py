"""Regions of any arrangement, one hyperplane after another, by deletion and restriction.

A new hyperplane H cuts exactly the regions of the old arrangement that hold a region of its
restriction to H, and each of these becomes two. So the regions on H, found in one dimension less,
say which, and a point of each, moved off H by less than its distance from the other hyperplanes,
is a witness of the half that is new.

Points are homogeneous, (x w, w) with w > 0: whole numbers in exact arithmetic, w = 1 in floats.
"""

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.arrangement.rows import Rows, eliminate, grouped, is_exact, pivot_of

Signs = npt.NDArray[np.int8]
Points = npt.NDArray[Any]


def incremental_regions(rows: Rows) -> tuple[Signs, Points]:
    """Return the sign vectors of all regions and a homogeneous point of each.

    Parameters
    ----------
    rows : ndarray, shape (m, n + 1)
        Hyperplanes, no two of them equal and none with a zero normal.

    Returns
    -------
    ndarray of int8, shape (r, m)
        1 where normal . x exceeds the offset, else -1.
    ndarray, shape (r, n + 1)
        A point of each region.
    """
    n = rows.shape[1] - 1
    if n == 1 and len(rows):
        return _on_a_line(rows)
    signs = np.zeros((1, 0), dtype=np.int8)
    points = np.zeros((1, n + 1), dtype=rows.dtype)
    points[0, n] = 1
    for i, row in enumerate(rows):
        cut, on = _regions_on(rows[:i], row)
        where = {known.tobytes(): k for k, known in enumerate(signs)}
        old = np.array([where[half.tobytes()] for half in cut], dtype=np.int64)
        sides = np.where(_values(points, row) > 0, 1, -1).astype(np.int8)
        # A witness that lies on the new hyperplane leaves it for the positive side.
        level = old[_values(points[old], row) == 0]
        sides[level] = 1
        for k, start, half in zip(old, on, cut, strict=True):
            if k in level:
                points[k] = _pushed(start, row, 1, rows[:i], half)
        new = [
            _pushed(start, row, -sides[k], rows[:i], half)
            for k, start, half in zip(old, on, cut, strict=True)
        ]
        signs = np.vstack(
            [np.column_stack([signs, sides]), np.column_stack([signs[old], -sides[old]])]
        )
        points = np.vstack([points, *new])
    return signs, points


def _values(points: Points, row: Rows) -> Any:  # noqa: ANN401
    """Return w (a . x - b) of homogeneous points."""
    return points[:, :-1] @ row[:-1] - points[:, -1] * row[-1]


def _regions_on(rows: Rows, row: Rows) -> tuple[Signs, Points]:
    """Return the regions of the restriction to a hyperplane, as signs of all rows, and points."""
    lower = eliminate(rows, row)
    kinds = grouped(lower)
    cut, within = incremental_regions(lower[kinds.representatives])
    parallel = kinds.group < 0
    full = np.empty((len(cut), len(rows)), dtype=np.int8)
    full[:, parallel] = kinds.orientation[parallel]
    full[:, ~parallel] = cut[:, kinds.group[~parallel]] * kinds.orientation[~parallel]
    pivot = pivot_of(row)
    others = np.delete(row, pivot)
    # a_p x_p = b - (the other terms), with everything multiplied by |a_p|.
    solved = -_values(within, others) * (1 if row[pivot] > 0 else -1)
    lifted = np.insert(within * abs(row[pivot]), pivot, solved, axis=1)
    return full, _reduced(lifted)


def _reduced(points: Points) -> Points:
    if is_exact(points):
        factors = [math.gcd(*point) for point in points]
        return np.asarray(points // np.array(factors, dtype=object).reshape(-1, 1))
    return np.asarray(points / points[:, -1:])


def _pushed(start: Points, row: Rows, side: int, rows: Rows, signs: Signs) -> Points:
    """Return the point beside a hyperplane that is nearer to it than to where others are met."""
    step = row[:-1] * int(side)
    turned = signs.astype(rows.dtype)
    room = turned * (rows[:, :-1] @ start[:-1] - rows[:, -1] * start[-1])
    closing = -turned * (rows[:, :-1] @ step)
    meets = closing > 0
    if not is_exact(rows):
        limit = np.min(room[meets] / closing[meets], initial=np.inf)
        length = min(limit / 2, 1 + float(np.linalg.norm(start[:-1])))
        return np.append(start[:-1] + length * step, 1.0)
    limits = [Fraction(a, b * start[-1]) for a, b in zip(room[meets], closing[meets], strict=True)]
    length = _short(min(limits, default=Fraction(2)))
    moved = np.append(start[:-1] * length.denominator, 0)
    moved[:-1] += step * (length.numerator * start[-1])
    moved[-1] = start[-1] * length.denominator
    return np.asarray(_reduced(moved[None, :])[0])


def _short(limit: Fraction) -> Fraction:
    """Return a power of two below the limit: witnesses keep few digits."""
    exponent = limit.numerator.bit_length() - limit.denominator.bit_length() - 2
    return Fraction(2) ** exponent


def _on_a_line(rows: Rows) -> tuple[Signs, Points]:
    """Return the intervals between distinct points of a line."""
    slopes, m = rows[:, 0], len(rows)
    if is_exact(rows):
        at = [Fraction(row[1], row[0]) for row in rows]
    else:
        at = list(rows[:, 1] / rows[:, 0])
    order = sorted(range(m), key=at.__getitem__)
    middle = [(at[p] + at[q]) / 2 for p, q in itertools.pairwise(order)]
    between = [at[order[0]] - 1, *middle, at[order[-1]] + 1]
    rank = np.empty(m, dtype=np.int64)
    rank[order] = np.arange(m)
    above = np.arange(m + 1)[:, None] > rank[None, :]
    signs = np.where(above == (slopes > 0)[None, :], 1, -1).astype(np.int8)
    points = np.empty((m + 1, 2), dtype=rows.dtype)
    for k, x in enumerate(between):
        points[k] = (x.numerator, x.denominator) if isinstance(x, Fraction) else (x, 1.0)
    return signs, points


def affine(points: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return homogeneous points as points: fractions, or floats."""
    if not is_exact(points):
        return np.asarray(points[:, :-1])
    found = np.empty((len(points), points.shape[1] - 1), dtype=object)
    for i, point in enumerate(points):
        found[i] = [Fraction(entry, point[-1]) for entry in point[:-1]]
    return found
