"""Cells of a hyperplane arrangement, reached from a point by changing few of its coordinates.

Rows are divided by the length of their normals, so that a margin is a Euclidean distance. What is
returned has been verified: the signs are those of the exact rows at the float point that is given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from theory.arrays import FloatArray
from theory.hamming.limits import Box, box_ends, checked_coordinates

_SOLVER_ACCURACY = 1e-9
"""Margin, in units of the margins at the point, below which a linear programme has found none."""
_MARGINS = (1e-3, 1.0, 1e3)


@dataclass(frozen=True)
class CellPoint:
    """A point of a cell.

    Attributes
    ----------
    point : ndarray, shape (n,)
    coordinates : tuple of int
        Those that were allowed to change; all others are what they were.
    margin : float
        Lower bound on the Euclidean distance to the nearest hyperplane, above 0.
    """

    point: FloatArray
    coordinates: tuple[int, ...]
    margin: float


@dataclass(frozen=True)
class MinimalChanges:
    """The least number of coordinates to change, between two ends.

    Attributes
    ----------
    lower, upper : int
        Equal where the solver proved the optimum.
    reached : CellPoint
        A verified point that differs in `upper` coordinates.
    """

    lower: int
    upper: int
    reached: CellPoint


class _Task(NamedTuple):
    """Rows of length 1, turned so that the cell is where a . z > b for all of them."""

    normals: FloatArray
    offsets: FloatArray
    x: FloatArray
    given: tuple[FloatArray, FloatArray, FloatArray]

    def values(self) -> FloatArray:
        """Return the signed distances of x from the hyperplanes."""
        return np.asarray(self.normals @ self.x - self.offsets)


def reach_cell(
    normals: npt.ArrayLike,
    offsets: npt.ArrayLike,
    x: npt.ArrayLike,
    signs: npt.ArrayLike,
    coordinates: Sequence[int] | None = None,
    box: Box | None = None,
) -> CellPoint | None:
    """Return a point of a cell that differs from x in the given coordinates only.

    Parameters
    ----------
    normals, offsets : array_like, shapes (m, n) and (m,)
        The hyperplanes normals @ z = offsets.
    x : array_like, shape (n,)
    signs : array_like, shape (m,)
        The signs, 1 or -1, that normals @ z - offsets shall have.
    coordinates : sequence of int, optional
        Those that may change. By default as many as the normals' rank, chosen one by one by a QR
        decomposition with column pivoting: the minor is well conditioned.
    box : pair of array_like, optional
        Lower and upper ends of all coordinates, scalars or of shape (n,), infinite ends allowed.
        Without a box a linear system is solved, for which m independent rows are needed; with
        one, a linear programme finds the largest least margin.

    Returns
    -------
    CellPoint or None
        None if the box holds no such point. A cell that the box meets only within 1e-9 of its
        boundary (in units of the largest margin at x, or 1 if that is larger) counts as not met.

    Raises
    ------
    ValueError
        If an input is malformed, or without a box the coordinates have rank < m.
    RuntimeError
        If the solver failed, or rounding hides the signs of the point that it found.

    Examples
    --------
    >>> found = reach_cell([[1, 0, 2], [0, 1, 1]], [1, 1], [0, 0, 0], [1, -1], [0, 1])
    >>> [bool(entry > 1) for entry in found.point]
    [True, False, False]
    >>> reach_cell([[1, 0, 2], [0, 1, 1]], [1, 1], [0, 0, 0], [1, -1], [0, 1], (0, 1)) is None
    True
    """
    task = _task(normals, offsets, x, signs)
    limits = None if box is None else box_ends(box, task.x)
    chosen = (
        _pivots(task.normals)
        if coordinates is None
        else checked_coordinates(coordinates, len(task.x))
    )
    return _solved(task, chosen) if limits is None else _programmed(task, chosen, limits)


def minimal_changes(
    normals: npt.ArrayLike,
    offsets: npt.ArrayLike,
    x: npt.ArrayLike,
    signs: npt.ArrayLike,
    box: Box | None = None,
    bound: npt.ArrayLike | None = None,
    margin: float = 1e-6,
    time_limit: float | None = None,
) -> MinimalChanges | None:
    """Return the least number of coordinates of x to change for a point of a cell.

    A mixed-integer programme with a binary variable for each coordinate. Its answer is exact among
    the changes that `box` and `bound` allow, and that keep `margin` from the hyperplanes: without
    a box, a change of more than `bound` might need fewer coordinates.

    Parameters
    ----------
    normals, offsets, x, signs, box
        As in `reach_cell`.
    bound : array_like, optional
        Largest |change|, a scalar or of shape (n,); needed where the box is infinite or absent.
    margin : float
        Euclidean distance from all hyperplanes that is asked for, above 0. Values below 1e-6 are
        less than the solver can tell from 0.
    time_limit : float, optional
        Seconds, after which the ends may differ.

    Returns
    -------
    MinimalChanges or None
        None if nothing within the limits reaches the cell.

    Raises
    ------
    ValueError
        If an input is malformed, or the changes are not bounded.
    RuntimeError
        If the solver failed, or nothing that it found could be verified.

    Examples
    --------
    >>> found = minimal_changes([[1, 1, 3], [1, -1, 1]], [3, 0], [0, 0, 0], [1, 1], (0, 2))
    >>> found.lower, found.upper, found.reached.coordinates
    (1, 1, (2,))
    """
    task = _task(normals, offsets, x, signs)
    low, high = _change_limits(task.x, box, bound)
    if not margin > 0:
        raise ValueError(f"margin must be above 0, got {margin}")
    at_x = _verified(task, task.x, ())
    if at_x is not None:
        return MinimalChanges(0, 0, at_x)
    m, n = task.normals.shape
    # Columns: changes, then binaries; low u <= change <= high u.
    eye = np.eye(n)
    constraints = [
        optimize.LinearConstraint(
            np.hstack([task.normals, np.zeros((m, n))]), margin - task.values(), np.inf
        ),
        optimize.LinearConstraint(np.hstack([eye, -np.diag(high)]), -np.inf, 0.0),
        optimize.LinearConstraint(np.hstack([eye, -np.diag(low)]), 0.0, np.inf),
    ]
    found = optimize.milp(
        np.repeat([0.0, 1.0], n),
        constraints=constraints,
        integrality=np.repeat([0, 1], n),
        bounds=optimize.Bounds(
            np.concatenate([low, np.zeros(n)]), np.concatenate([high, np.ones(n)])
        ),
        options={"mip_rel_gap": 0.0, "time_limit": np.inf if time_limit is None else time_limit},
    )
    if found.status == 2:
        return None
    if found.status not in (0, 1):
        raise RuntimeError(f"milp gave up with status {found.status}: {found.message}")
    supports = [np.arange(n)]
    if found.x is not None:
        # Solvers let a binary that is 1e-6 pass for 0: its coordinate may matter.
        supports = [np.flatnonzero(found.x[n:] > 0.5), np.flatnonzero(found.x[:n]), *supports]
    # x + (end - x) may lie a rounding beyond an end of the box.
    ends = box_ends((-np.inf, np.inf) if box is None else box, task.x)
    limits = np.maximum(task.x + low, ends[0]), np.minimum(task.x + high, ends[1])
    for support in supports:
        reached = _programmed(task, tuple(int(j) for j in support), limits)
        if reached is not None:
            changed = tuple(int(j) for j in np.flatnonzero(reached.point != task.x))
            dual = found.mip_dual_bound
            lower = 1 if dual is None or not math.isfinite(dual) else math.ceil(dual - 1e-6)
            least = min(max(lower, 1), len(changed))
            return MinimalChanges(
                least, len(changed), CellPoint(reached.point, changed, reached.margin)
            )
    if found.x is None:
        return None
    raise RuntimeError("milp found a point whose signs no verification confirms")


def _task(
    normals: npt.ArrayLike, offsets: npt.ArrayLike, x: npt.ArrayLike, signs: npt.ArrayLike
) -> _Task:
    a = _finite("normals", normals)
    if a.ndim != 2 or 0 in a.shape:
        raise ValueError(f"normals must have the shape (m, n), got {a.shape}")
    m, n = a.shape
    b, start, turns = _finite("offsets", offsets), _finite("x", x), _finite("signs", signs)
    for name, array, shape in (("offsets", b, (m,)), ("x", start, (n,)), ("signs", turns, (m,))):
        if array.shape != shape:
            raise ValueError(f"{name} must have the shape {shape}, got {array.shape}")
    if not np.all(np.abs(turns) == 1):
        raise ValueError(f"signs must be 1 or -1, got {signs!r}")
    lengths = np.linalg.norm(a, axis=1)
    if not np.all(lengths > 0):
        raise ValueError(f"row {int(np.argmin(lengths))} of normals is zero")
    scale = turns / lengths
    return _Task(a * scale[:, None], b * scale, start, (a, b, turns))


def _finite(name: str, given: npt.ArrayLike) -> FloatArray:
    array = np.asarray(given, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {given!r}")
    return array


def _change_limits(
    x: FloatArray, box: Box | None, bound: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    """Return the least and the largest change of each coordinate."""
    low, high = box_ends((-np.inf, np.inf) if box is None else box, x)
    low, high = low - x, high - x
    if bound is not None:
        most = np.asarray(bound, dtype=np.float64)
        if most.shape not in ((), x.shape) or not np.all(most >= 0):
            raise ValueError(f"bound must be a number or {x.shape} of them, at least 0: {bound!r}")
        low, high = np.maximum(low, -most), np.minimum(high, most)
    if not np.all(np.isfinite(high - low)):
        raise ValueError("changes are not bounded: give a finite box, or a bound")
    return low, high


def _pivots(normals: FloatArray) -> tuple[int, ...]:
    triangle, order = linalg.qr(normals, mode="r", pivoting=True)
    sizes = np.abs(np.diagonal(triangle))
    rank = int(np.sum(sizes > max(normals.shape) * np.finfo(np.float64).eps * sizes[0]))
    return tuple(int(j) for j in order[:rank])


def _verified(task: _Task, point: FloatArray, coordinates: tuple[int, ...]) -> CellPoint | None:
    """Return the point if its signs are right whatever the rounding errors, from the given rows."""
    a, b, signs = task.given
    unit = float(np.finfo(np.float64).eps)
    # n products and n sums: n + 1 roundings of half a unit, bounded with room for the bound's own.
    error = (len(point) + 3) * unit * (np.abs(a) @ np.abs(point) + np.abs(b))
    left = signs * (a @ point - b) - error
    margin = float(np.min(left / np.linalg.norm(a, axis=1))) * (1 - 1e-12)
    tiny = float(np.finfo(np.float64).tiny) * len(point)
    return CellPoint(point, coordinates, margin) if np.min(left) > tiny else None


def _moved(task: _Task, chosen: tuple[int, ...], change: FloatArray) -> FloatArray:
    point = task.x.copy()
    point[list(chosen)] += change
    return point


def _solved(task: _Task, chosen: tuple[int, ...]) -> CellPoint:
    """Return a point at which the rows that are wrong have a small margin, by a linear system."""
    m, columns = len(task.normals), task.normals[:, list(chosen)]
    rank = int(np.linalg.matrix_rank(columns)) if chosen else 0
    if rank < m:
        raise ValueError(f"the normals in the coordinates {list(chosen)} have rank {rank} < {m}")
    values = task.values()
    scale = float(np.max(np.abs(values))) or 1.0
    for margin in _MARGINS:
        change = np.linalg.lstsq(columns, np.maximum(values, margin * scale) - values)[0]
        found = _verified(task, _moved(task, chosen, np.asarray(change, float)), chosen)
        if found is not None:
            return found
    raise RuntimeError(f"rounding hides the signs: coordinates {list(chosen)} are nearly dependent")


def _programmed(
    task: _Task, chosen: tuple[int, ...], limits: tuple[FloatArray, FloatArray]
) -> CellPoint | None:
    """Return the point of the largest least margin, by a linear programme."""
    at = list(chosen)
    low, high = (np.asarray((end - task.x)[at]) for end in limits)
    values = task.values()
    scale = max(1.0, float(np.max(np.abs(values))))
    # An unbounded cell has no largest margin.
    most = None if np.all(np.isfinite(high - low)) else scale
    columns = task.normals[:, at]
    found = optimize.linprog(
        np.append(np.zeros(len(at)), -1.0),
        A_ub=np.hstack([-columns, np.ones((len(values), 1))]),
        b_ub=values,
        bounds=[*zip(low, high, strict=True), (None, most)],
        method="highs",
    )
    if found.status != 0 or found.x is None:
        raise RuntimeError(f"linprog gave up with status {found.status}: {found.message}")
    best = np.asarray(found.x, dtype=np.float64)
    point = np.clip(_moved(task, chosen, best[:-1]), *limits)
    reached = _verified(task, point, chosen)
    if reached is None and best[-1] > _SOLVER_ACCURACY * scale:
        raise RuntimeError(f"rounding hides the signs at the least margin {best[-1]:.3g}")
    return reached
