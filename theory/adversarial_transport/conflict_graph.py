"""Which labelled points conflict: pairs of two classes that no classifier gets both right."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import distance

from theory.arrays import FloatArray
from theory.norms import accumulated_error

Norm = Literal["l1", "l2", "linf"]
BoolArray = npt.NDArray[np.bool_]

_BLOCK = 2**22
"""Entries of a distance matrix that are held at once."""
_UNDERFLOW = 1e-290
"""Above what all products that underflow can add to a sum of squares."""
_LARGEST = 1e300
"""Beyond this the difference of two coordinates might overflow."""


def checked_points(name: str, points: npt.ArrayLike) -> FloatArray:
    """Return points as an array of shape (n, d); images are flattened.

    Raises
    ------
    ValueError
        If there are none, or a coordinate is beyond 1e300 or NaN.
    """
    x = np.asarray(points, dtype=np.float64)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{name} must hold one point or more, shape (n, d), got shape {x.shape}")
    if not np.all(np.abs(x) <= _LARGEST):
        outside = x[~(np.abs(x) <= _LARGEST)][0]
        raise ValueError(f"{name} must lie in [-{_LARGEST:g}, {_LARGEST:g}], got {outside}")
    return x.reshape(len(x), -1)


def conflicts(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    budget: float,
    norm: Norm = "l2",
    *,
    coordinate_error: float = 0.0,
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return the pairs at distance surely, and possibly, at most twice the budget.

    Distances are computed in blocks, and each is compared with its rounding error allowed for. In
    l2 most are decided from inner products, and only what these leave open from differences. In
    linf nothing is left in doubt, unless the coordinates are.

    Parameters
    ----------
    first, second : array_like, shapes (n, ...) and (m, ...)
        Points of the two classes, taken as the exact numbers that they are.
    budget : float
        At least 0, in the unit of the norm.
    norm : {"l1", "l2", "linf"}
    coordinate_error : float
        Error of each coordinate, and of the budget: 2^-53 for pixels k/255 in float64.

    Returns
    -------
    sure, possible : csr_array of int8, shape (n, m)
        The same array where no pair is in doubt.

    Raises
    ------
    ValueError
        If points are not finite or of different dimensions, the budget or the error is negative or
        infinite, or the norm is unknown.

    Examples
    --------
    >>> sure, possible = conflicts([[0.0], [1.0]], [[0.5], [3.0]], 0.25, "linf")
    >>> sure.toarray().tolist(), possible is sure
    ([[1, 0], [1, 0]], True)
    """
    x, y = checked_points("first", first), checked_points("second", second)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"points must have one dimension, got {x.shape[1]} and {y.shape[1]}")
    for name, value in (("budget", budget), ("coordinate_error", coordinate_error)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} must be a finite number, at least 0, got {value!r}")
    if norm not in ("l1", "l2", "linf"):
        raise ValueError(f"norm must be 'l1', 'l2' or 'linf', got {norm!r}")
    d = x.shape[1]
    spread = {"l1": float(d), "l2": float(np.sqrt(d)), "linf": 1.0}[norm]
    within = (2.0 * budget, 2.0 * budget)
    if coordinate_error:
        slack = 2.0 * coordinate_error * (spread + 1.0) * (1 + 1e-15)
        low, high = (
            np.nextafter(within[0] - slack, -np.inf),
            np.nextafter(within[1] + slack, np.inf),
        )
        within = float(low), float(high)
    rows = max(1, _BLOCK // len(y))
    sure_blocks, possible_blocks, doubts = [], [], 0
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        sure, possible = _within(block, y, within, norm)
        doubt = int(np.count_nonzero(possible) - np.count_nonzero(sure))
        sure_blocks.append(_as_graph(sure))
        possible_blocks.append(_as_graph(possible) if doubt else sure_blocks[-1])
        doubts += doubt
    graph = sparse.vstack(sure_blocks, format="csr")
    return graph, graph if not doubts else sparse.vstack(possible_blocks, format="csr")


def _as_graph(mask: BoolArray) -> sparse.csr_array:
    counts = np.count_nonzero(mask, axis=1)
    columns = np.flatnonzero(mask)
    columns %= mask.shape[1]
    pointers = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    entries = (np.ones(columns.size, dtype=np.int8), columns.astype(np.int32), pointers)
    return sparse.csr_array(entries, shape=mask.shape)


def _within(
    x: FloatArray, y: FloatArray, within: tuple[float, float], norm: Norm
) -> tuple[BoolArray, BoolArray]:
    """Return where distances are surely at most within[0], and possibly at most within[1]."""
    d = x.shape[1]
    error = accumulated_error(d + 4)
    if norm == "l1":
        found = distance.cdist(x, y, "cityblock")
        return found * (1 + error) <= within[0], found * (1 - error) <= within[1]
    if norm == "linf":
        found = distance.cdist(x, y, "chebyshev")
        low, high = (_at_most(found, x, y, limit) for limit in within)
        return low, high
    # Scaled by a power of two, which is exact: no square overflows.
    power = 2.0 ** np.floor(np.log2(max(np.abs(x).max(), np.abs(y).max(), 1e-300)))
    u, v = x / power, y / power
    squares_u, squares_v = np.einsum("ij,ij->i", u, u), np.einsum("ij,ij->i", v, v)
    found = u @ v.T
    found *= -2.0
    found += squares_u[:, None]
    found += squares_v
    # Twice an inner product is at most the sum of the squares.
    slack = 2 * error * (squares_u[:, None] + squares_v.max()) + _UNDERFLOW
    low, high = max(within[0], 0.0) / power, within[1] / power
    sure = found + slack <= low * low * (1 - 1e-15) if within[0] > 0 else found < -np.inf
    possible = found - slack <= high * high * (1 + 1e-15)
    i, j = np.nonzero(possible & ~sure)
    for part in np.array_split(np.arange(i.size), i.size * d // _BLOCK + 1):
        apart = _distance(x[i[part]], y[j[part]])
        sure[i[part], j[part]] = apart * (1 + error) <= within[0]
        possible[i[part], j[part]] = apart * (1 - error) <= within[1]
    return sure, possible


def _at_most(found: FloatArray, x: FloatArray, y: FloatArray, limit: float) -> BoolArray:
    """Return where the largest coordinate of |x - y| is at most a limit, exactly.

    Rounding is monotone: a computed distance below or above the limit tells of the exact one. One
    at the limit may hide a coordinate a little beyond it, which comparisons with limits find.
    """
    inside = found <= limit
    if not np.any(found == limit):
        return inside
    for a, b in ((x, y), (-x, -y)):
        most = _sum_below(b, limit)
        # Above this a coordinate's computed difference is beyond the limit as well.
        hidden = most + 1e-15 * (np.abs(b) + limit)
        for k in range(a.shape[1]):
            order = np.argsort(a[:, k])
            values = a[order, k]
            start = np.searchsorted(values, most[:, k], side="right")
            counts = np.searchsorted(values, hidden[:, k], side="right") - start
            j = np.repeat(np.arange(len(b)), counts)
            place = np.arange(j.size) - np.repeat(np.cumsum(counts) - counts, counts)
            inside[order[start[j] + place], j] = False
    return inside


def _sum_below(b: FloatArray, limit: float) -> FloatArray:
    """Return the largest floats that are at most b + limit, by Knuth's exact addition."""
    total = b + limit
    seen = total - b
    rest = (b - (total - seen)) + (limit - seen)
    return np.where(rest < 0, np.nextafter(total, -np.inf), total)


def _distance(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return Euclidean distances row by row, from scaled differences: nothing underflows."""
    apart = x - y
    largest = np.abs(apart).max(axis=-1, initial=0.0)
    scaled = apart / np.where(largest > 0, largest, 1.0)[:, None]
    return np.asarray(largest * np.sqrt(np.einsum("ij,ij->i", scaled, scaled)))
