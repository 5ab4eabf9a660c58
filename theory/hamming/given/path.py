"""Straight lines in output space, followed back to a few coordinates of the input.

The construction of Shamir et al. with the rule of Katzenelson. On a piecewise-linear network the
points whose outputs lie on a line are, generically, the vertices and edges of a curve without ends.
Where it enters a region whose determinant has the other sign, it runs back along the line: a fold.
A method that only ever goes forward stops there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.hamming.given.draws import drawn_coordinates
from theory.hamming.given.katzenelson import Line, crossing, first_move, next_move
from theory.hamming.given.regions import lead_rows
from theory.hamming.limits import checked_coordinates
from theory.hamming.problem import MARGIN, LabelProblem

Status = Literal["reached", "loop", "ray", "rank", "steps", "box"]

_SAME = 1e-9
"""Difference in progress, and part of a length between points, that counts as none."""


@dataclass(frozen=True, eq=False)
class OutputPath:
    """A path of inputs whose outputs run along a straight line.

    Attributes
    ----------
    problem : LabelProblem
    coordinates : tuple of int
        Those that change, k of them.
    changes : ndarray, shape (s, k)
        The changes at x, at each point where units change phase, and at the end.
    outputs : ndarray, shape (s, K)
    progress : ndarray, shape (s,)
        The place on the line: 0 at x, 1 at the goal.
    status : str
        "reached": the target leads by more than `MARGIN`. "loop": back at x. "ray": a half-line
        that never reaches the goal. "rank": the outputs of a region do not vary along the line.
        "steps": the number of regions ran out. "box": the path leaves the box.
    folds : int
        How often the direction along the line was reversed.
    margin : float
        The target's lead at the last point.
    point : ndarray, shape (n,), or None
        The last point if the status is "reached".
    """

    problem: LabelProblem
    coordinates: tuple[int, ...]
    changes: FloatArray
    outputs: FloatArray
    progress: FloatArray
    status: Status
    folds: int
    margin: float
    point: FloatArray | None

    @cached_property
    def points(self) -> FloatArray:
        """The points of the path, shape (s, n)."""
        found = np.repeat(self.problem.x[None], len(self.changes), axis=0)
        found[:, list(self.coordinates)] += self.changes
        return found


def follow_path(
    problem: LabelProblem,
    coordinates: Sequence[int],
    goal: npt.ArrayLike | None = None,
    max_steps: int = 1000,
) -> OutputPath:
    """Move the outputs along a straight line by changing the same coordinates in all regions.

    With as many coordinates as rows the path is determined. With more of them the smallest change
    is taken, and the freedom that is left serves to enter a region without turning back.

    Parameters
    ----------
    problem : LabelProblem
        Its classifier must be a `ReluNetwork`. The path ends where it leaves the box.
    coordinates : sequence of int
    goal : array_like, shape (K - 1,) or (K,), optional
        The leads of the target over the others in the order of `problem.rivals`: K - 1 rows; or all
        K outputs, such as those of an image of the target's class: K rows. By default all leads
        equal to the largest |lead| at x.
    max_steps : int
        The most regions that are passed.

    Raises
    ------
    ValueError
        If there are fewer coordinates than rows, a coordinate is out of range or repeated, or the
        target does not lead at the goal.
    RuntimeError
        If rounding hides the lead at the end.

    References
    ----------
    A. Shamir, I. Safran, E. Ronen, O. Dunkelman, "A simple explanation for the existence of
    adversarial examples with small Hamming distance", arXiv:1901.10861 (2019).
    J. Katzenelson, "An algorithm for solving nonlinear resistor networks", Bell System Technical
    Journal 44 (1965). T. Fujisawa, E. S. Kuh, "Piecewise-linear theory of nonlinear networks",
    SIAM Journal on Applied Mathematics 22 (1972).

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> network = ReluNetwork([([[1.0, 2.0], [3.0, 1.0]], [2.0, 0.0])])
    >>> path = follow_path(LabelProblem.of(network, [0.0, 0.0], 1, (-9, 9)), [0])
    >>> path.status, path.point.tolist()
    ('reached', [2.0, 0.0])
    """
    chosen = checked_coordinates(coordinates, len(problem.x))
    network, low, high = problem.restricted(chosen)
    outputs = network(np.zeros(len(chosen)))
    rows, direction = _goal(problem, goal, outputs)
    if len(chosen) < len(rows):
        raise ValueError(
            f"a path along {len(rows)} outputs needs as many coordinates, got {len(chosen)}"
        )
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}")
    line = Line(network, rows, direction)
    return _followed(problem, chosen, line, (low, high), outputs, max_steps)


def draw_path(
    problem: LabelProblem,
    k: int,
    draws: int,
    stream: np.random.Generator,
    pool: Sequence[int] | None = None,
    max_steps: int = 1000,
) -> OutputPath:
    """Follow paths with random coordinates, to random leads, until one reaches the target.

    Parameters
    ----------
    problem : LabelProblem
    k : int
        Coordinates a draw, at least K - 1.
    draws : int
    stream : Generator
    pool : sequence of int, optional
        Coordinates to draw from; all by default.
    max_steps : int
        The most regions a draw.

    Returns
    -------
    OutputPath
        The first that reached the target, or else the one with the largest margin at its end.

    Raises
    ------
    ValueError
        As `follow_path`, or if there are fewer coordinates to draw from, or no draws.
    """
    best: OutputPath | None = None
    for chosen in drawn_coordinates(len(problem.x), k, draws, stream, pool):
        path = follow_path(problem, chosen, drawn_goal(problem, stream), max_steps)
        if best is None or path.margin > best.margin or path.point is not None:
            best = path
        if path.point is not None:
            break
    assert best is not None
    return best


def drawn_goal(problem: LabelProblem, stream: np.random.Generator) -> FloatArray:
    """Return random leads of the target, about as large as the largest |lead| at x."""
    scale = _largest_lead(problem, problem.classifier(problem.x))
    return scale * stream.uniform(0.5, 1.5, len(problem.rivals))


def _largest_lead(problem: LabelProblem, outputs: FloatArray) -> float:
    # All leads are 0 only where all outputs tie.
    return float(np.max(np.abs(problem.leads(outputs)))) or 1.0


def _goal(
    problem: LabelProblem, goal: npt.ArrayLike | None, outputs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the rows that turn outputs into places on the line, and the line's direction."""
    classes, leads = problem.classifier.n_outputs, lead_rows(problem)
    if goal is None:
        return leads, _largest_lead(problem, outputs) - problem.leads(outputs)
    end = np.asarray(goal, dtype=np.float64)
    if end.shape not in ((classes - 1,), (classes,)) or not np.all(np.isfinite(end)):
        raise ValueError(f"goal must be {classes - 1} leads or {classes} outputs, got {goal!r}")
    least = float(np.min(end if len(end) < classes else problem.leads(end)))
    if not least > MARGIN:
        raise ValueError(f"the target must lead by more than {MARGIN} at the goal, got {least}")
    if len(end) < classes:
        return leads, end - problem.leads(outputs)
    return np.eye(classes), end - outputs


def _followed(
    problem: LabelProblem,
    chosen: tuple[int, ...],
    line: Line,
    limits: tuple[FloatArray, FloatArray],
    outputs: FloatArray,
    max_steps: int,
) -> OutputPath:
    change = np.zeros(len(chosen))
    progress, folds, sense = 0.0, 0, 1.0
    status: Status = "steps"
    leads = lead_rows(problem)
    seen = [(change, outputs, progress)]
    entered: dict[bytes, float] = {}
    move = first_move(line, change)
    for step in range(max_steps):
        if move is None:
            status = "rank"
            break
        if len(chosen) > len(line.rows):
            # More freedom than rows: only the place on the line tells progress from a cycle.
            key = move.pattern.tobytes()
            if progress <= entered.get(key, -math.inf) + _SAME:
                status = "loop"
                break
            entered[key] = progress
        if move.forward * sense < 0:
            folds, sense = folds + 1, -sense
        to_unit, unit = crossing(move, change)
        to_box = _to_box(move.change, change, limits)
        to_goal = (1.0 - progress) / move.forward if move.forward > 0 else math.inf
        length = min(to_unit, to_box, to_goal)
        if not math.isfinite(length):
            status = "ray"
            break
        if step and _passes_start(change, move.change, length):
            status = "loop"
            break
        change = change + length * move.change
        progress += length * move.forward
        found = move.piece.outputs(change)
        seen.append((change, found, progress))
        if length == to_goal or float((leads @ found).min()) > MARGIN:
            status = "reached"
            break
        if length == to_box:
            status = "box"
            break
        move = next_move(line, move, change, unit)
    changes, values, places = (np.array(each) for each in zip(*seen, strict=True))
    return _ended(problem, chosen, (changes, values, places), status, folds)


def _ended(
    problem: LabelProblem,
    chosen: tuple[int, ...],
    seen: tuple[FloatArray, FloatArray, FloatArray],
    status: Status,
    folds: int,
) -> OutputPath:
    point = problem.moved(chosen, seen[0][-1])
    margin = float(problem.margin(point))
    if status == "reached" and not margin > MARGIN:
        raise RuntimeError(f"rounding hides the lead at the end of a path: {margin:.3g}")
    end = point if status == "reached" else None
    return OutputPath(problem, chosen, *seen, status, folds, margin, end)


def _to_box(
    direction: FloatArray, change: FloatArray, limits: tuple[FloatArray, FloatArray]
) -> float:
    """Return how far a direction may be followed within the box."""
    low, high = limits
    if not np.any(np.isfinite(limits)):
        return math.inf
    moving = direction != 0
    end = np.where(direction > 0, high, low)[moving]
    return max(0.0, float(np.min((end - change[moving]) / direction[moving], initial=math.inf)))


def _passes_start(change: FloatArray, direction: FloatArray, length: float) -> bool:
    """Whether a step from a point, of a direction of length 1, leads back through 0."""
    nearest = change + min(max(0.0, float(-change @ direction)), length) * direction
    size = max(math.sqrt(change @ change), length)
    return math.sqrt(nearest @ nearest) <= _SAME * size
