"""Margins of networks on balls, from intervals and from lines taken back to the inputs."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.certificates.backward import Relaxed, Rows, optimised_lower
from theory.distance.certificates.sets import TINY, Sets
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.lipschitz.propagation.forms import interval_ends
from theory.norms import UNIT_ROUNDOFF, accumulated_error
from theory.relu.bounds import Ends
from theory.relu.layer import dense

_UNIT: Final = UNIT_ROUNDOFF["float64"]
_INNER: Final = 4
"""Steps of the slopes for one unit, as a part of those for one margin."""


def margins(
    network: FeedForward, labels: npt.NDArray[np.intp], sets: Sets, *, steps: int | None
) -> FloatArray:
    """Return lower ends of output[label] - output[t] on B sets, +inf for t = label.

    Parameters
    ----------
    network : FeedForward
        With an affine last stage.
    labels : ndarray of int, shape (B,)
    sets : Sets
    steps : int or None
        Of the lines' slopes; None for intervals alone.

    Returns
    -------
    ndarray, shape (B, K)
        -inf where values leave the range of double precision.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        found = _margins(network, labels, sets, steps)
    found = np.where(np.isnan(found), -np.inf, found)
    found[np.arange(len(labels)), labels] = np.inf
    return found


def _margins(
    network: FeedForward, labels: npt.NDArray[np.intp], sets: Sets, steps: int | None
) -> FloatArray:
    try:
        _, below, state = propagated(network, sets, None if steps is None else steps // _INNER)
    except OverflowError:
        return np.full((len(labels), network.n_outputs), -np.inf)
    rows = label_rows(network.stages[-1], labels, state.size)
    if len(network.stages) == 1:
        return optimised_lower(rows, [], sets, 0)
    found = _interval_lower(rows, state)
    if steps is not None:
        found = np.maximum(found, optimised_lower(rows, below, sets, steps))
    return found


def propagated(
    network: FeedForward, sets: Sets, steps: int | None
) -> tuple[list[Ends], list[Relaxed], Ends]:
    """Return what the stages before the last one do on B sets.

    Parameters
    ----------
    network : FeedForward
    sets : Sets
    steps : int or None
        Of the slopes of the lines around each unit; None for intervals alone.

    Returns
    -------
    ends : list of Ends, each of shape (B, m)
        Of the pre-activations.
    below : list of Relaxed
        Empty for intervals alone.
    state : Ends, shape (B, m)
        Of the inputs of the last stage.

    Raises
    ------
    OverflowError
        If values leave the range of double precision.
    """
    found: list[Ends] = []
    below: list[Relaxed] = []
    state = Ends(*sets.ends)
    for i, stage in enumerate(network.stages[:-1]):
        ends = _interval(stage, state) if i else _first(stage, sets)
        if i and steps is not None:
            ends = _improved(stage, ends, below, sets, steps)
        if not (np.all(np.isfinite(ends.lower)) and np.all(np.isfinite(ends.upper))):
            raise OverflowError(f"values of stage {i} leave the range of double precision")
        found.append(ends)
        if steps is not None:
            below.append(Relaxed.of(stage, ends, state.size))
        low, high = stage.activation.remainders(0.0, *ends)
        state = Ends(np.asarray(low), np.asarray(high))
    return found, below, state


def label_rows(stage: Stage, labels: npt.NDArray[np.intp], size: FloatArray) -> Rows:
    """Return output[label] - output[t], all t, as functions of the inputs of the last stage.

    Parameters
    ----------
    stage : Stage
    labels : ndarray of int, shape (B,)
    size : ndarray, shape (B, m)
        Upper ends of the absolute values of its inputs.
    """
    weight, bias = dense(stage.weight), stage.bias
    rows = weight[labels][:, None, :] - weight
    shift = bias[labels][:, None] - bias
    # Each difference is rounded once.
    error = 2 * _UNIT * (np.matmul(np.abs(rows), size[:, :, None])[..., 0] + np.abs(shift)) + TINY
    return Rows(rows, shift, error)


def _first(stage: Stage, sets: Sets) -> Ends:
    """Return ends of the pre-activations of a stage that takes the inputs."""
    weight, bias = dense(stage.weight), stage.bias
    both = sets.least(np.vstack([weight, -weight])[None])
    lower, upper = both[:, : len(bias)] + bias, -both[:, len(bias) :] + bias
    return Ends(np.nextafter(lower, -np.inf), np.nextafter(upper, np.inf))


def _interval(stage: Stage, before: Ends) -> Ends:
    lower, upper = interval_ends(stage, Ends(before.lower.T, before.upper.T))
    return Ends(lower.T, upper.T)


def _improved(stage: Stage, ends: Ends, below: Sequence[Relaxed], sets: Sets, steps: int) -> Ends:
    """Return ends that lines taken back to the inputs improve, of units that are not linear."""
    least, most = stage.activation.slopes(*ends)
    at = np.flatnonzero(np.any(np.broadcast_to(least < most, ends.lower.shape), axis=0))
    if not at.size:
        return ends
    weight: Any = stage.weight
    rows, shift = dense(weight[at]), stage.bias[at]
    both = optimised_lower(
        Rows(
            np.vstack([rows, -rows])[None],
            np.append(shift, -shift)[None],
            np.zeros((1, 2 * len(at))),
        ),
        below,
        sets,
        steps,
    )
    lower, upper = ends.lower.copy(), ends.upper.copy()
    lower[:, at] = np.maximum(lower[:, at], both[:, : len(at)])
    upper[:, at] = np.minimum(upper[:, at], -both[:, len(at) :])
    return Ends(lower, upper)


def _interval_lower(rows: Rows, state: Ends) -> FloatArray:
    """Return lower ends of functions of values between ends, each of shape (B, m)."""
    positive = np.maximum(rows.weight, 0.0)
    negative = rows.weight - positive
    lower = np.matmul(positive, state.lower[:, :, None])
    lower = (lower + np.matmul(negative, state.upper[:, :, None]))[..., 0]
    size = np.matmul(np.abs(rows.weight), state.size[:, :, None])[..., 0] + np.abs(rows.shift)
    error = 2 * accumulated_error(2 * rows.weight.shape[2] + 8) * size + 2 * rows.error + TINY
    return np.asarray(np.nextafter(lower + rows.shift - error, -np.inf))
