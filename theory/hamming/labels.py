"""A given label by few changes: the entry point to all methods."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.hamming.chosen.search import search
from theory.hamming.exact.least import LeastChanges, least_changes
from theory.hamming.given.climb import climb
from theory.hamming.given.draws import drawn_coordinates, drawn_start
from theory.hamming.given.path import drawn_goal, follow_path
from theory.hamming.limits import Box, checked_coordinates
from theory.hamming.problem import MARGIN, Classifier, LabelProblem
from theory.hamming.rounding import rounded
from theory.relu.network import ReluNetwork

Method = Literal["path", "climb", "search", "exact"]


@dataclass(frozen=True, eq=False)
class Targeted:
    """What a method found.

    Attributes
    ----------
    point : ndarray, shape (n,), or None
        It has the target as its label, by more than the margin asked for. None if none was found.
    coordinates : tuple of int
        Those in which the point differs from x.
    lower : int
        No point of the box with fewer changed coordinates has the label by that margin: proved.
    upper : int or inf
        The number of changed coordinates of the point.
    path : ndarray, shape (s, n)
        The points visited, x the first. Of "path" and "climb", successive ones share a closed
        region, but for the last one where it was moved to the levels.
    margin : float
        The target's lead at the point, or at the last point visited.
    method : str
    """

    point: FloatArray | None
    coordinates: tuple[int, ...]
    lower: int
    upper: int | float
    path: FloatArray
    margin: float
    method: Method


class _Way(NamedTuple):
    """Points visited, and the coordinates that were allowed to change."""

    points: FloatArray
    coordinates: tuple[int, ...]


def targeted(
    network: Classifier,
    x: npt.ArrayLike,
    target: int,
    *,
    box: Box,
    max_changes: int | None = None,
    method: Method = "search",
    coordinates: Sequence[int] | None = None,
    draws: int = 1,
    pool: Sequence[int] | None = None,
    stream: np.random.Generator | None = None,
    levels: int | None = None,
    time_limit: float | None = None,
    margin: float = MARGIN,
) -> Targeted:
    """Change few coordinates of x so that a network gives it a chosen label.

    Parameters
    ----------
    network : Classifier
        All methods but "search" need a `ReluNetwork`.
    x : array_like, shape (n,)
    target : int
    box : pair of array_like
        Lower and upper ends of all coordinates, scalars or of shape (n,). Only "path" and "climb"
        allow infinite ends.
    max_changes : int, optional
        The most coordinates that change; without it, as many as are given.
    method : str
        "path": the outputs move on a straight line, by coordinates that are given or random.
        "climb": the largest margin from region to region, by coordinates that are given or random.
        "search": the coordinates are chosen. "exact": they are proved to be as few as possible.
    coordinates : sequence of int, optional
        Those that change in "path" and "climb"; by default random ones, max_changes of them.
    draws : int
        Attempts of "path" and "climb": with new coordinates, or if these are given, with other
        goals and starts.
    pool : sequence of int, optional
        Coordinates to draw from; all by default.
    stream : Generator, optional
        Needed where something is random.
    levels : int, optional
        Changed coordinates are multiples of 1 / levels, as 255 for images.
    time_limit : float, optional
        Seconds for the proof of "exact", after which its ends may differ.
    margin : float
        Least lead over all other classes, at least `MARGIN`.

    Raises
    ------
    ValueError
        If x is outside the box or has the label already, or what is asked for makes no sense.
    RuntimeError
        If a solver failed.

    References
    ----------
    A. Shamir, I. Safran, E. Ronen, O. Dunkelman, "A simple explanation for the existence of
    adversarial examples with small Hamming distance", arXiv:1901.10861 (2019).

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> network = ReluNetwork([([[0.0, 0.0], [1.0, 2.0]], [0.0, -1.5])])
    >>> found = targeted(network, [0.0, 0.0], 1, box=(0, 1), coordinates=[1], method="climb")
    >>> found.point.tolist(), found.coordinates, found.upper
    ([0.0, 1.0], (1,), 1)
    """
    problem = LabelProblem.of(network, x, target, box)
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
    if not margin >= MARGIN or not math.isfinite(margin):
        raise ValueError(f"margin must be at least {MARGIN}, got {margin}")
    if levels is not None and levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    n = len(problem.x)
    chosen = None if coordinates is None else checked_coordinates(coordinates, n)
    k = _allowed(chosen, max_changes, n)
    if method in ("search", "exact"):
        if chosen is not None or pool is not None:
            raise ValueError(f"{method!r} chooses the coordinates: give neither those nor a pool")
        return _chosen(problem, method, k, levels, time_limit, margin)
    if stream is None and (chosen is None or draws > 1):
        raise ValueError(f"a stream is needed: {method!r} with random coordinates, or many draws")
    best: Targeted | None = None
    for i in range(draws):
        way = _way(problem, method, chosen, k, i > 0, pool, stream)
        found = _settled(problem, method, way, levels, margin)
        if best is None or found.point is not None or found.margin > best.margin:
            best = found
        if best.point is not None:
            break
    assert best is not None
    return best


def _allowed(chosen: tuple[int, ...] | None, max_changes: int | None, n: int) -> int:
    """Return the most coordinates that may change, or raise ValueError."""
    if max_changes is None:
        if not chosen:
            raise ValueError("give max_changes, or at least one coordinate")
        return len(chosen)
    if not 1 <= max_changes <= n:
        raise ValueError(f"max_changes must be 1 to {n}, got {max_changes}")
    if chosen is not None and not 1 <= len(chosen) <= max_changes:
        raise ValueError(f"give 1 to {max_changes} coordinates, got {len(chosen)}")
    return max_changes


def _way(
    problem: LabelProblem,
    method: Method,
    chosen: tuple[int, ...] | None,
    k: int,
    again: bool,
    pool: Sequence[int] | None,
    stream: np.random.Generator | None,
) -> _Way:
    """Return what one attempt visited."""
    if chosen is None:
        assert stream is not None
        (at,) = drawn_coordinates(len(problem.x), k, 1, stream, pool)
    else:
        at = chosen
    if method == "path":
        # Another goal: with the same coordinates and the same goal the path is the same.
        goal = drawn_goal(problem, stream) if again and stream is not None else None
        return _Way(follow_path(problem, at, goal).points, at)
    start = drawn_start(problem, at, stream) if again and chosen and stream is not None else None
    return _Way(climb(problem, at, start).points, at)


def _settled(
    problem: LabelProblem, method: Method, way: _Way, levels: int | None, margin: float
) -> Targeted:
    """Return the result for the last point, if need be moved to a larger margin and to levels."""
    points, end = way.points, None
    for enough in (None, margin, math.inf):
        if enough is not None:
            start = np.clip(points[-1], problem.low, problem.high)
            points = np.vstack(
                [points, climb(problem, way.coordinates, start, enough=enough).points]
            )
        last = float(problem.margin(points[-1]))
        if last <= MARGIN:
            break
        end = _accepted(problem, points[-1], levels, margin)
        if end is not None:
            break
    return _result(problem, method, points, end, 1)


def _accepted(
    problem: LabelProblem, point: FloatArray, levels: int | None, margin: float
) -> FloatArray | None:
    """Return the point, moved to the levels, or None if its margin is too small."""
    if levels is not None:
        return rounded(problem, point, levels, margin)
    return point if float(problem.margin(point)) > margin else None


def _result(
    problem: LabelProblem,
    method: Method,
    points: FloatArray,
    end: FloatArray | None,
    lower: int,
) -> Targeted:
    if end is None:
        return Targeted(
            None, (), lower, math.inf, points, float(problem.margin(points[-1])), method
        )
    if not np.array_equal(points[-1], end):
        points = np.vstack([points, end])
    changed = problem.changed(end)
    margin = float(problem.margin(end))
    return Targeted(end, changed, lower, len(changed), points, margin, method)


def _chosen(
    problem: LabelProblem,
    method: Method,
    k: int,
    levels: int | None,
    time_limit: float | None,
    margin: float,
) -> Targeted:
    """Return what the search found, and with "exact" what was proved about it."""
    lower = 1
    points = [problem.x]
    ends = []
    known = search(problem, k, levels=levels)
    if known is not None:
        points.append(known)
        ends.append(_strong(problem, known, levels, margin))
    if method == "exact":
        proved = _proved(problem, ends[0] if ends else None, k, time_limit, margin)
        lower = proved.lower
        if proved.point is not None:
            points.append(proved.point)
            ends.append(_strong(problem, proved.point, levels, margin))
    good = [end for end in ends if end is not None]
    end = min(good, key=lambda each: len(problem.changed(each)), default=None)
    return _result(problem, method, np.array(points), end, lower)


def _proved(
    problem: LabelProblem,
    known: FloatArray | None,
    k: int,
    time_limit: float | None,
    margin: float,
) -> LeastChanges:
    """Return the least number of changes, or a proof that it is above k."""
    if known is None:
        first = least_changes(problem, max_changes=k, time_limit=time_limit, margin=margin)
        if first.point is None:
            return first
        known = first.point
    return least_changes(problem, known=known, time_limit=time_limit, margin=margin)


def _strong(
    problem: LabelProblem, point: FloatArray, levels: int | None, margin: float
) -> FloatArray | None:
    """Return a point with the same changed coordinates whose margin is large enough, or None."""
    end = _accepted(problem, point, levels, margin)
    if end is None and isinstance(problem.classifier, ReluNetwork):
        best = climb(problem, problem.changed(point), point, enough=math.inf)
        end = _accepted(problem, best.points[-1], levels, margin)
    return end
