"""Ends of all pre-activations of a network over l_p balls and boxes.

Stage by stage, each end is the best of three: intervals from the stage before, an affine form of
the inputs with an error box, and lines around all units below, taken back to the inputs. The last
two are optimised over the ball exactly, by the dual norm. Every rounding error is in the ends, so
they hold for the network in exact arithmetic.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.lipschitz.propagation.backward import Relaxed, relaxed_lower
from theory.lipschitz.propagation.forms import (
    AffineForm,
    InputSet,
    intersection,
    interval_ends,
    output_range,
)
from theory.relu.bounds import Ends
from theory.relu.layer import dense
from theory.relu.network import ReluNetwork

_CHUNK: Final = 2**23
"""Entries of the largest array of a batch."""
_ROWS: Final = 2048
_SPARSE_ROWS: Final = 64
"""Units whose lines are taken back together: with sparse weights their rows stay in the cache."""


def preactivation_ends(
    network: ReluNetwork | FeedForward,
    center: npt.ArrayLike,
    radius: float,
    p: float = 2,
    *,
    backward: bool = True,
    known: Sequence[Ends] | None = None,
) -> tuple[Ends, ...]:
    """Return ends of the pre-activations of every stage over a closed l_p ball.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    center : array_like, shape (n_inputs,)
    radius : float
        At least 0.
    p : {1, 2, inf}
    backward : bool
        Whether lines are taken back to the inputs: tighter, at the cost of products of weights.
        Units that are linear on the ends found without are left as they are, but for outputs.
    known : sequence of Ends, optional
        Ends that hold on the ball, one a stage, such as those of a larger set: the result is never
        worse.

    Returns
    -------
    tuple of Ends
        One a stage, each of shape (m,). `output_ends` has those of the outputs.

    Raises
    ------
    ValueError
        If an input is malformed, or values leave the range of double precision.

    References
    ----------
    Singh et al., Fast and Effective Robustness Certification (NeurIPS 2018); Zhang et al.,
    Efficient Neural Network Robustness Certification with General Activation Functions
    (NeurIPS 2018).

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> first, last = preactivation_ends(absolute, [0.5], 1.5)
    >>> first.lower.round(9).tolist(), last.upper.round(9).tolist()
    ([-1.0, -2.0], [2.0])
    """
    made = FeedForward.of(network)
    point = _points(made, center, 1)
    return _single(made, _balls(point[None], radius, p), backward, known)


def box_ends(
    network: ReluNetwork | FeedForward,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    *,
    backward: bool = True,
    known: Sequence[Ends] | None = None,
) -> tuple[Ends, ...]:
    """Return ends of the pre-activations of every stage over a box.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    low, high : array_like, scalars or of shape (n_inputs,)
        Ends of the box, finite.
    backward, known
        As for `preactivation_ends`.

    Returns
    -------
    tuple of Ends
        One a stage, each of shape (m,).

    Raises
    ------
    ValueError
        If an input is malformed, or values leave the range of double precision.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> box_ends(absolute, -1, 2)[-1].upper.round(9).tolist()
    [2.0]
    """
    made = FeedForward.of(network)
    ends = []
    for name, given in (("low", low), ("high", high)):
        end = np.asarray(given, dtype=np.float64)
        if end.shape not in ((), (made.n_inputs,)) or not np.all(np.isfinite(end)):
            raise ValueError(f"{name} must be finite, a number or {made.n_inputs} of them")
        ends.append(np.broadcast_to(end, made.n_inputs)[:, None])
    first, last = ends
    if np.any(first > last):
        j = int(np.argmax(first[:, 0] > last[:, 0]))
        raise ValueError(f"the box is empty: low[{j}] = {first[j, 0]} > high[{j}] = {last[j, 0]}")
    center = first / 2 + last / 2
    # Rounded upwards, the box of these radii holds the given one.
    radii = np.nextafter(np.maximum(last - center, center - first), np.inf)
    radii = np.where(first == last, 0.0, radii)
    return _single(made, InputSet(center, radii, np.inf), backward, known)


def batched_ends(
    network: ReluNetwork | FeedForward,
    centers: npt.ArrayLike,
    radius: npt.ArrayLike,
    p: float = 2,
) -> tuple[Ends, ...]:
    """Return ends over many balls, without lines taken back to the inputs: matrix products only.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    centers : array_like, shape (B, n_inputs)
    radius : array_like, shape () or (B,)
    p : {1, 2, inf}

    Returns
    -------
    tuple of Ends
        One a stage, each of shape (B, m).

    Raises
    ------
    ValueError
        If an input is malformed, or values leave the range of double precision.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> batched_ends(absolute, [[0.5], [3.0]], 1.5)[0].lower.round(9).tolist()
    [[-1.0, -2.0], [1.5, -4.5]]
    """
    made = FeedForward.of(network)
    points = _points(made, centers, 2)
    balls = _balls(points, radius, p)
    widest = max(stage.weight.shape[0] for stage in made.stages)
    step = max(1, _CHUNK // (widest * made.n_inputs))
    found: list[list[Ends]] = [[] for _ in made.stages]
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        chunk = InputSet(balls.center[:, part], balls.radii[:, part], p)
        for each, ends in zip(found, _propagated(made, chunk, False, None), strict=True):
            each.append(ends)
    return tuple(
        Ends(*(np.hstack([each[i] for each in parts]).T for i in range(2)))
        if parts
        else Ends(*np.zeros((2, 0, stage.weight.shape[0])))
        for parts, stage in zip(found, made.stages, strict=True)
    )


def output_ends(network: ReluNetwork | FeedForward, ends: Sequence[Ends]) -> Ends:
    """Return ends of a network's outputs, from those of its pre-activations.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    ends : sequence of Ends
        One a stage, each of shape (..., m); the last counts.

    Examples
    --------
    >>> hinge = ReluNetwork([([[1.0]], [0.0]), ([[2.0]], [0.0])])
    >>> output_ends(hinge, preactivation_ends(hinge, [0.0], 1.0)).upper.round(9).tolist()
    [2.0]
    """
    made = FeedForward.of(network)
    if len(ends) != len(made.stages):
        raise ValueError(f"{len(made.stages)} stages need as many ends, got {len(ends)}")
    low, high = made.stages[-1].activation.remainders(0.0, *ends[-1])
    return Ends(np.asarray(low), np.asarray(high))


def _points(network: FeedForward, given: npt.ArrayLike, ndim: int) -> FloatArray:
    points = np.asarray(given, dtype=np.float64)
    if points.ndim != ndim or points.shape[-1] != network.n_inputs:
        shape = f"({network.n_inputs},)" if ndim == 1 else f"(B, {network.n_inputs})"
        raise ValueError(f"a center has the shape {shape}, got {points.shape}")
    if not np.all(np.isfinite(points)):
        raise ValueError("a center must be finite")
    return points


def _balls(points: FloatArray, radius: npt.ArrayLike, p: float) -> InputSet:
    if p not in (1, 2, np.inf):
        raise ValueError(f"p must be 1, 2 or inf, got {p!r}")
    given = np.asarray(radius, dtype=np.float64)
    if given.shape not in ((), (len(points),)) or not np.all((given >= 0) & (given < np.inf)):
        raise ValueError(f"a radius must be finite and at least 0, got {radius!r}")
    return InputSet(points.T, np.broadcast_to(given, points.T.shape), p)


def _single(
    network: FeedForward, inputs: InputSet, backward: bool, known: Sequence[Ends] | None
) -> tuple[Ends, ...]:
    if known is not None:
        shapes = [(stage.weight.shape[0],) for stage in network.stages]
        if [np.shape(each.lower) for each in known] != shapes:
            raise ValueError(f"known ends must have the shapes {shapes}, one a stage")
    found = _propagated(network, inputs, backward, known)
    return tuple(Ends(ends.lower[:, 0], ends.upper[:, 0]) for ends in found)


def _propagated(
    network: FeedForward, inputs: InputSet, backward: bool, known: Sequence[Ends] | None
) -> list[Ends]:
    """Return the ends of each stage, shape (m, B)."""
    found: list[Ends] = []
    below: list[Relaxed] = []
    state = Ends(-inputs.size, inputs.size)
    form: AffineForm | None = None
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for i, stage in enumerate(network.stages):
            form = inputs.first(stage) if form is None else form.mapped(stage, inputs)
            ends = form.ends(inputs)
            if i:
                ends = intersection(ends, interval_ends(stage, state))
            if known is not None:
                ends = intersection(ends, Ends(*(np.asarray(end)[:, None] for end in known[i])))
            last = i == len(network.stages) - 1
            if i and backward:
                ends = _improved(stage, ends, below, inputs, every=last)
            if not (np.all(np.isfinite(ends.lower)) and np.all(np.isfinite(ends.upper))):
                raise ValueError(f"values of stage {i} leave the range of double precision")
            found.append(ends)
            if last:
                break
            form = form.activated(stage.activation, ends, inputs)
            if backward:
                flat = Ends(ends.lower[:, 0], ends.upper[:, 0])
                previous = below[-1] if below else None
                below.append(Relaxed.of(stage, flat, state.size[:, 0], previous))
            state = output_range(stage.activation, ends)
    return found


def _improved(
    stage: Stage,
    ends: Ends,
    below: Sequence[Relaxed],
    inputs: InputSet,
    every: bool,
) -> Ends:
    """Return ends that lines taken back to the inputs improve, of units that are not linear."""
    lower, upper = ends.lower[:, 0].copy(), ends.upper[:, 0].copy()
    least, most = stage.activation.slopes(lower, upper)
    rows = np.flatnonzero(np.broadcast_to(every | (least < most), lower.shape))
    if not rows.size:
        return ends
    some_sparse = any(not isinstance(each.weight, np.ndarray) for each in below)
    step = _SPARSE_ROWS if some_sparse else _ROWS
    for start in range(0, len(rows), step):
        at = rows[start : start + step]
        weight, bias = dense(stage.weight[at])[:, below[-1].alive], stage.bias[at]
        both = relaxed_lower(np.vstack([weight, -weight]), np.append(bias, -bias), below, inputs)
        lower[at] = np.maximum(lower[at], both[: len(at)])
        upper[at] = np.minimum(upper[at], -both[len(at) :])
    return Ends(lower[:, None], upper[:, None])
