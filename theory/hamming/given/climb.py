"""The largest lead of a label over a few given coordinates, region by region.

In one region everything is linear: a linear programme finds the largest margin in it. Units that
stand in the way are flipped, and the next programme starts at the point that the last one found.
The last point has no better neighbouring region; it is a local maximum, seldom not the largest.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.hamming.given.draws import drawn_start
from theory.hamming.given.regions import PRICE, Best, Regions
from theory.hamming.limits import checked_coordinates
from theory.hamming.problem import MARGIN, LabelProblem
from theory.relu.layer import BoolArray

_GAIN = 1e-7
"""Part of the margin by which it must grow for a region to count as better."""


@dataclass(frozen=True, eq=False)
class Climb:
    """Where a climb ended, and its way.

    Attributes
    ----------
    problem : LabelProblem
    coordinates : tuple of int
        Those that were allowed to change, k of them.
    changes : ndarray, shape (s, k)
        The changes at the start and at the best point of each region; successive ones share a
        closed region.
    margin : float
        The target's lead at the last point.
    point : ndarray, shape (n,), or None
        The last point, if the target leads there by more than `MARGIN`.
    n_programmes : int
    """

    problem: LabelProblem
    coordinates: tuple[int, ...]
    changes: FloatArray
    margin: float
    point: FloatArray | None
    n_programmes: int

    @cached_property
    def points(self) -> FloatArray:
        """The points of the way, shape (s, n)."""
        return np.array([self.problem.moved(self.coordinates, each) for each in self.changes])


def climb(
    problem: LabelProblem,
    coordinates: Sequence[int],
    start: npt.ArrayLike | None = None,
    *,
    enough: float = MARGIN,
    cap: float | None = None,
    max_programmes: int = 1000,
) -> Climb:
    """Increase the target's lead from region to region by changing the same few coordinates.

    Parameters
    ----------
    problem : LabelProblem
        Its classifier must be a `ReluNetwork`.
    coordinates : sequence of int
    start : array_like, shape (n,), optional
        A point of the box that differs from x in the coordinates only; x by default.
    enough : float
        The climb stops at the best point of the first region where the lead exceeds this; with
        infinity it goes on until no neighbouring region is better.
    cap : float, optional
        Leads above this are not worth more. By default there is no cap where the box bounds the
        coordinates, else the largest |lead| at x.
    max_programmes : int

    Raises
    ------
    ValueError
        If a coordinate is out of range or repeated, there are none, the start is outside the box or
        differs from x elsewhere, or the cap is not above `MARGIN`.
    RuntimeError
        If a linear programme was not solved.

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> bend = ReluNetwork([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 2.0], [0.0, 0.0]], [0.0, 1.5])])
    >>> found = climb(LabelProblem.of(bend, [0.5], 0, (0, 2)), [0], enough=math.inf)
    >>> found.points.ravel().tolist(), found.margin
    ([0.5, 1.0, 2.0], 2.5)
    """
    chosen = checked_coordinates(coordinates, len(problem.x))
    if not chosen:
        raise ValueError("at least one coordinate must be given")
    if max_programmes < 1:
        raise ValueError(f"max_programmes must be at least 1, got {max_programmes}")
    network, low, high = problem.restricted(chosen)
    change = _start(problem, chosen, start)
    if cap is None and not np.all(np.isfinite(high - low)):
        cap = float(np.max(np.abs(problem.leads(problem.classifier(problem.x))))) or 1.0
    if cap is not None and not cap > MARGIN:
        raise ValueError(f"cap must be above {MARGIN}, got {cap}")
    regions = Regions(problem, network, (low, high), math.inf if cap is None else cap)
    best = regions.best(network.pattern(change), change)
    seen = [change, best.change]
    tried = {best.pattern.tobytes()}
    while True:
        point = problem.moved(chosen, best.change)
        margin = float(problem.margin(point))
        if margin > enough or (cap is not None and best.margin >= cap * (1 - _GAIN)):
            break
        way = _better(regions, best, tried, max_programmes) or _across(
            regions, best, tried, max_programmes
        )
        if not way:
            break
        best = way[-1]
        seen += [each.change for each in way]
    reached = point if margin > MARGIN else None
    return Climb(problem, chosen, np.array(seen), margin, reached, regions.n_programmes)


def restart_climb(
    problem: LabelProblem,
    coordinates: Sequence[int],
    draws: int,
    stream: np.random.Generator,
    enough: float = MARGIN,
) -> Climb:
    """Climb from x, then from random points, until the margin is enough.

    Parameters
    ----------
    problem : LabelProblem
    coordinates : sequence of int
        Those that change, the same in all climbs.
    draws : int
        Climbs, the one from x included.
    stream : Generator
    enough : float
        As in `climb`; with infinity all draws are made.

    Returns
    -------
    Climb
        The first whose margin is enough, or else the one with the largest margin.

    Raises
    ------
    ValueError, RuntimeError
        As `climb`, or if there are no draws.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    chosen = checked_coordinates(coordinates, len(problem.x))
    best = climb(problem, chosen, enough=enough)
    for _ in range(draws - 1):
        if best.margin > enough:
            break
        found = climb(problem, chosen, drawn_start(problem, chosen, stream), enough=enough)
        best = max(best, found, key=lambda each: each.margin)
    return best


def _start(
    problem: LabelProblem, chosen: tuple[int, ...], start: npt.ArrayLike | None
) -> FloatArray:
    """Return the changes at the start, or raise ValueError."""
    if start is None:
        return np.zeros(len(chosen))
    point = np.asarray(start, dtype=np.float64)
    if point.shape != problem.x.shape:
        raise ValueError(f"start must have the shape {problem.x.shape}, got {point.shape}")
    if not np.all((problem.low <= point) & (point <= problem.high)):
        raise ValueError("start is outside the box")
    other = sorted(set(problem.changed(point)) - set(chosen))
    if other:
        raise ValueError(f"start differs from x in coordinate {other[0]}, which is not given")
    return np.asarray((point - problem.x)[list(chosen)])


def _better(regions: Regions, best: Best, tried: set[bytes], max_programmes: int) -> list[Best]:
    """Return the best point of the first neighbouring region that is better, [] without one."""
    for pattern in _neighbours(regions, best):
        if regions.n_programmes >= max_programmes:
            return []
        if pattern.tobytes() not in tried:
            tried.add(pattern.tobytes())
            found = regions.best(pattern, best.change)
            if found.margin > best.margin + _GAIN * (1.0 + abs(best.margin)):
                return [found]
    return []


def _across(regions: Regions, best: Best, tried: set[bytes], max_programmes: int) -> list[Best]:
    """Return the way over a plateau of the best region to a better one, [] without one."""
    if best.unique:
        return []
    for direction in (sign * row for row in np.eye(len(best.change)) for sign in (1.0, -1.0)):
        if regions.n_programmes >= max_programmes:
            return []
        edge = regions.farthest(best, direction)
        way = _better(regions, edge, tried, max_programmes)
        if way:
            return [edge, *way]
    return []


def _neighbours(regions: Regions, best: Best) -> Iterator[BoolArray]:
    """Yield the patterns around the best point of a region, the most promising first."""
    blocking = np.flatnonzero(best.prices > PRICE)
    blocking = blocking[np.argsort(-best.prices[blocking], kind="stable")]
    yield _flipped(best.pattern, blocking)
    yield _flipped(best.pattern, np.flatnonzero(regions.tight(best)))
    for unit in blocking:
        yield _flipped(best.pattern, np.array([unit]))
    for unit in blocking:
        yield _flipped(best.pattern, blocking[blocking != unit])
    for pair in itertools.combinations(blocking, 2):
        yield _flipped(best.pattern, np.array(pair))


def _flipped(pattern: BoolArray, units: npt.NDArray[np.intp]) -> BoolArray:
    found = pattern.copy()
    found[units] ^= True
    return found
