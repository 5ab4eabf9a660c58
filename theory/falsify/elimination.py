"""Polyhedra of few dimensions with integer data, decided exactly by eliminating variables.

A row (a_1, ..., a_n, b) of integers stands for a @ x + b > 0, or >= 0 where it is said. Rows are
divided by their greatest common divisor, and of rows with one normal the tightest is kept: what
elimination leaves stays short for the dimensions and numbers of rows that occur here.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from math import gcd, lcm

Row = tuple[int, ...]


def integer_row(row: Sequence[int | Fraction]) -> Row:
    """Return a positive multiple of a row whose entries are integers without common divisor.

    Examples
    --------
    >>> integer_row([Fraction(1, 2), Fraction(-3, 4), 0])
    (2, -3, 0)
    """
    scale = lcm(*(Fraction(entry).denominator for entry in row))
    whole = [int(entry * scale) for entry in row]
    divisor = gcd(*whole)
    return tuple(entry // divisor for entry in whole) if divisor > 1 else tuple(whole)


def interior_point(rows: Iterable[Sequence[int | Fraction]], n: int) -> list[Fraction] | None:
    """Return a point with all a @ x + b > 0, or None: then there is none.

    Parameters
    ----------
    rows : iterable of sequences of length n + 1
    n : int

    References
    ----------
    Fourier-Motzkin elimination: Schrijver, Theory of Linear and Integer Programming (1986), section
    12.2.

    Examples
    --------
    >>> interior_point([(1, 0), (-1, 1)], 1), interior_point([(1, 0), (-1, 0)], 1)
    ([Fraction(1, 2)], None)
    """
    return _solved(_tight([integer_row(row) for row in rows], strict=True), n, strict=True)


def least_value(rows: Iterable[Sequence[int | Fraction]], n: int) -> Fraction | None:
    """Return the least first coordinate of all points with a @ x + b >= 0; None if there is none.

    Raises
    ------
    ValueError
        If the first coordinate has no lower bound.

    Examples
    --------
    >>> least_value([(1, -1, 0), (0, 1, -2)], 2)
    Fraction(2, 1)
    """
    left = _tight([integer_row(row) for row in rows], strict=False)
    for k in range(n - 1, 0, -1):
        left = None if left is None else _tight(_eliminated(left, k), strict=False)
    if left is None:
        return None
    low = [Fraction(-row[-1], row[0]) for row in left if row[0] > 0]
    high = [Fraction(-row[-1], row[0]) for row in left if row[0] < 0]
    if not low:
        raise ValueError("the first coordinate has no lower bound")
    return None if high and max(low) > min(high) else max(low)


def least_square(rows: Sequence[Sequence[int | Fraction]], n: int) -> Fraction | None:
    """Return the least |x|^2 of all points with a @ x + b >= 0; None if there is none.

    The nearest point is a nonnegative combination of at most n linearly independent normals whose
    rows are 0 there; all such points are looked at.

    Parameters
    ----------
    rows : sequence of sequences of length n + 1
    n : int

    References
    ----------
    Schrijver, Theory of Linear and Integer Programming (1986), section 7.1: Caratheodory's theorem.

    Examples
    --------
    >>> least_square([(1, 1, -2)], 2), least_square([(1, -1), (-1, 0)], 1)
    (Fraction(2, 1), None)
    """
    tight = _tight([integer_row(row) for row in rows], strict=False)
    if tight is None:
        return None
    if all(row[-1] >= 0 for row in tight):
        return Fraction(0)
    best: Fraction | None = None
    for size in range(1, min(n, len(tight)) + 1):
        for chosen in combinations(tight, size):
            gram = [
                [sum(p * q for p, q in zip(r[:n], s[:n], strict=True)) for s in chosen]
                for r in chosen
            ]
            factors = solved([[*line, -row[-1]] for line, row in zip(gram, chosen, strict=True)])
            if factors is None or min(factors) < 0:
                continue
            square = -sum(
                (f * row[-1] for f, row in zip(factors, chosen, strict=True)), Fraction(0)
            )
            if best is not None and square >= best:
                continue
            x = [
                sum((f * row[j] for f, row in zip(factors, chosen, strict=True)), Fraction(0))
                for j in range(n)
            ]
            if all(
                sum((a * e for a, e in zip(row, x, strict=False)), Fraction(row[-1])) >= 0
                for row in tight
            ):
                best = square
    return best


def solved(rows: Sequence[Sequence[int | Fraction]]) -> list[Fraction] | None:
    """Return the solution of a @ x = b for rows (a, b), n of them; None if it is not the only one.

    Examples
    --------
    >>> solved([(2, 0, 1), (0, 1, 3)]), solved([(1, 1, 0), (1, 1, 0)])
    ([Fraction(1, 2), Fraction(3, 1)], None)
    """
    left = [[Fraction(entry) for entry in row] for row in rows]
    for k in range(len(left)):
        pivot = next((i for i in range(k, len(left)) if left[i][k]), None)
        if pivot is None:
            return None
        left[k], left[pivot] = left[pivot], left[k]
        left[k] = [entry / left[k][k] for entry in left[k]]
        for i, row in enumerate(left):
            if i != k and row[k]:
                left[i] = [a - row[k] * b for a, b in zip(row, left[k], strict=True)]
    return [row[-1] for row in left]


def _tight(rows: Iterable[Row], *, strict: bool) -> list[Row] | None:
    """Return the rows without repetitions and without those that always hold; None if one never."""
    best: dict[Row, tuple[Fraction, Row]] = {}
    for row in rows:
        normal = row[:-1]
        size = gcd(*normal)
        if not size:
            if row[-1] < 0 or (strict and row[-1] == 0):
                return None
            continue
        key, offset = tuple(entry // size for entry in normal), Fraction(row[-1], size)
        if key not in best or offset < best[key][0]:
            best[key] = offset, row
    return [row for _, row in best.values()]


def _eliminated(rows: list[Row], k: int) -> list[Row]:
    """Return what rows in k + 1 variables say of the first k: rows of length k + 1."""
    up = [row for row in rows if row[k] > 0]
    down = [row for row in rows if row[k] < 0]
    found = [(*row[:k], row[-1]) for row in rows if not row[k]]
    for high in down:
        for low in up:
            whole = [low[k] * a - high[k] * b for a, b in zip(high, low, strict=True)]
            found.append(integer_row([*whole[:k], whole[-1]]))
    return found


def _solved(rows: list[Row] | None, n: int, *, strict: bool) -> list[Fraction] | None:
    if rows is None:
        return None
    if n == 0:
        return []
    k = n - 1
    first = _solved(_tight(_eliminated(rows, k), strict=strict), k, strict=strict)
    if first is None:
        return None
    low: Fraction | None = None
    high: Fraction | None = None
    for row in rows:
        if not row[k]:
            continue
        rest = sum((a * x for a, x in zip(row, first, strict=False)), Fraction(row[-1]))
        at = -rest / row[k]
        if row[k] > 0:
            low = at if low is None else max(low, at)
        else:
            high = at if high is None else min(high, at)
    if low is None or high is None:
        return [*first, _beyond(low, high)]
    return [*first, (low + high) / 2]


def _beyond(low: Fraction | None, high: Fraction | None) -> Fraction:
    if low is not None:
        return max(low + 1, Fraction(0))
    return Fraction(0) if high is None else min(high - 1, Fraction(0))
