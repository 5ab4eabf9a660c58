"""Points of minimal Hamming distance with another label: which coordinates to change, and to what.

A search gives upper bounds: that it finds nothing proves nothing.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.hamming.chosen.moves import Changes, Moves, moves_of, no_changes
from theory.hamming.chosen.swaps import Reached, Swaps
from theory.hamming.limits import Box, box_ends
from theory.hamming.problem import Classifier, LabelProblem


class _Effort(NamedTuple):
    """What a search does.

    Attributes
    ----------
    softness : tuple of float
        Temperatures of the objectives that start a search each.
    shortlist, patience : int
        As in `Swaps`.
    rounds : int
        Perturbations in a row without a gain, after which a search ends.
    inner : tuple of int
        Values between the ends of the box that moves go to, of few coordinates and of many.
    tune : bool
        Whether values between those of the moves are tried.
    """

    softness: tuple[float, ...]
    shortlist: int
    patience: int
    rounds: int
    inner: tuple[int, int]
    tune: bool


_EFFORTS = (
    _Effort((0.1,), 24, 6, 0, (0, 0), False),
    _Effort((0.1, 0.03, 0.3), 24, 10, 12, (3, 0), True),
    _Effort((0.1, 0.01, 0.03, 0.3, 1.0), 64, 30, 40, (7, 1), True),
)

_FEW = 100
"""Coordinates up to which each must be used well; of more, enough are best at an end."""


def search(
    problem: LabelProblem, max_changes: int, *, levels: int | None = None, effort: int = 1
) -> FloatArray | None:
    """Return a point of the box with the target as its label and few changed coordinates.

    Coordinates and values are chosen together: greedily, each time the move that raises a soft
    minimum of the target's leads most; then, one change fewer at a time, by exchanges with a tabu
    list and by perturbations. Where the classifier is a network, all moves of one coordinate are
    evaluated exactly, through the first pre-activations; elsewhere to first order.

    Parameters
    ----------
    problem : LabelProblem
    max_changes : int
        At least 1.
    levels : int, optional
        Changed coordinates take multiples of 1 / levels only, as those of an image do.
    effort : int
        0, 1 or 2: the more, the slower and the better.

    Returns
    -------
    ndarray of shape (n,), or None
        The point: its margin is above `MARGIN`, at most max_changes coordinates differ from x.
        None if no such point was found, which does not prove that there is none.

    Raises
    ------
    ValueError
        If max_changes or levels is below 1, or there is no such effort.

    References
    ----------
    N. Papernot et al., "The limitations of deep learning in adversarial settings", EuroS&P 2016:
    greedy changes of few coordinates. F. Glover, "Tabu search - part I", ORSA Journal on Computing
    1 (1989).

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> linear = ReluNetwork([([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]], [0.0, -3.5])])
    >>> problem = LabelProblem.of(linear, [0.0, 0.0, 0.0], 1, (0, 1))
    >>> search(problem, 3).tolist(), search(problem, 1) is None
    ([0.0, 1.0, 1.0], True)
    """
    chosen = _checked(max_changes, levels, effort)
    box = problem.low, problem.high
    moves = _moves(problem.classifier, problem.x, box, levels, chosen)
    if not len(moves.values):
        return None
    found = _targeted(moves, problem.target, max_changes, chosen)
    return None if found is None else found.at(problem.x)


def search_untargeted(
    classifier: Classifier,
    x: npt.ArrayLike,
    box: Box,
    max_changes: int,
    *,
    levels: int | None = None,
    effort: int = 1,
) -> FloatArray | None:
    """Return a point of the box with another label than x and few changed coordinates.

    All other labels are tried in the order of what a first change does for them, each with one
    change fewer than the best point found so far.

    Parameters
    ----------
    classifier : Classifier
    x : array_like, shape (n,)
    box : pair of array_like
        Lower and upper ends of all coordinates, scalars or of shape (n,), infinite ends allowed.
    max_changes, levels, effort
        As in `search`.

    Returns
    -------
    ndarray of shape (n,), or None
        As in `search`.

    Raises
    ------
    ValueError
        If an input is malformed.

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> linear = ReluNetwork([([[0, 0], [0, 1], [3, 3]], [0.0, -0.5, -5.0])])
    >>> search_untargeted(linear, [0.0, 0.0], (0, 1), 2).tolist()
    [0.0, 1.0]
    """
    chosen = _checked(max_changes, levels, effort)
    point = np.asarray(x, dtype=np.float64)
    if point.shape != (classifier.n_inputs,) or not np.all(np.isfinite(point)):
        raise ValueError(f"x must be finite, of the shape ({classifier.n_inputs},): {point.shape}")
    moves = _moves(classifier, point, box_ends(box, point), levels, chosen)
    if not len(moves.values):
        return None
    best: Changes | None = None
    best_target = -1
    passes = [_EFFORTS[0], chosen] if effort else [chosen]
    targets = _in_order(moves, int(classifier(point).argmax()))
    for each in passes:
        for target in sorted(targets, key=lambda target: target != best_target):
            limit = max_changes if best is None else len(best.values) - 1
            start = best if target == best_target else None
            found = _targeted(moves, target, limit, each, start, True) if limit else None
            if found is not None and (best is None or len(found.values) < len(best.values)):
                best, best_target = found, target
    return None if best is None else best.at(point)


def _moves(
    classifier: Classifier,
    x: FloatArray,
    box: tuple[FloatArray, FloatArray],
    levels: int | None,
    effort: _Effort,
) -> Moves:
    return moves_of(classifier, x, box, levels, effort.inner[len(x) > _FEW])


def _in_order(moves: Moves, label: int) -> list[int]:
    """Return all other labels, first those that one move brings nearest."""
    outputs = moves.first
    deficits = np.min(outputs.max(axis=1, keepdims=True) - outputs, axis=0)
    return [int(j) for j in np.argsort(deficits, kind="stable") if j != label]


def _targeted(
    moves: Moves,
    target: int,
    max_changes: int,
    effort: _Effort,
    start: Changes | None = None,
    hasty: bool = False,
) -> Changes | None:
    """Return the fewest changes found with which the target leads, no more than max_changes.

    If start is given, the target leads with it already. In haste, a target is given up that is
    out of reach by more than one change.
    """
    searches = [
        Swaps(moves, target, softness, effort.shortlist, effort.patience)
        for softness in effort.softness
    ]
    limit = min(max_changes, len(np.unique(moves.coordinates)))
    best: Changes | None = start
    nearest: Changes | None = start
    for each in searches if start is None else []:
        found = _led(each, each.grown(no_changes(), limit), limit, effort.tune, hasty)
        if nearest is None or found.success:
            nearest = found.changes
        if found.success:
            best, limit = found.changes, len(found.changes.values) - 1
        if limit == 0 or (hasty and best is None and each.is_far(found.changes)):
            break
    rng = np.random.default_rng(0)
    failures = 0
    while nearest is not None and limit > 0 and failures < effort.rounds:
        each = searches[int(rng.integers(len(searches)))]
        size = min(limit, len(nearest.values) + 1)
        found = _led(each, each.perturbed(nearest, size, rng), limit, effort.tune, hasty)
        failures = 0 if found.success else failures + 1
        if found.success:
            best = nearest = found.changes
            limit = len(found.changes.values) - 1
        elif best is None and hasty and each.is_far(found.changes):
            break
    return best


def _led(swaps: Swaps, found: Reached, limit: int, tune: bool, hasty: bool) -> Reached:
    """Return what exchanges and more changes, up to a limit, make of what was found.

    If the target leads then, as few changes as exchanges find.
    """
    while not (found.success or (hasty and swaps.is_far(found.changes))):
        size = len(found.changes.values)
        found = swaps.improved(found.changes, tune)
        if found.success or size == limit:
            break
        found = swaps.grown(found.changes, limit)
        if not found.success and len(found.changes.values) == size:
            break
    return Reached(swaps.fewer(found.changes, tune), True) if found.success else found


def _checked(max_changes: int, levels: int | None, effort: int) -> _Effort:
    if max_changes < 1:
        raise ValueError(f"max_changes must be at least 1, got {max_changes}")
    if levels is not None and levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    if isinstance(effort, bool) or effort not in range(len(_EFFORTS)):
        raise ValueError(f"effort must be 0 to {len(_EFFORTS) - 1}, got {effort!r}")
    return _EFFORTS[effort]
