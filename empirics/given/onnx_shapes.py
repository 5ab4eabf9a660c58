"""Operators of ONNX that only move entries, as modules of torch."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from empirics.given import onnx_layers as layers
from empirics.given.onnx_graph import Operation, Value, converts


def _whole(given: Any) -> list[int]:  # noqa: ANN401
    """Return whole numbers, of an attribute or a constant input."""
    return [int(each) for each in np.atleast_1d(given)]


@converts("Flatten")
def _flatten(op: Operation) -> Value:
    value = op.value()
    rank = len(value.shape)
    axis = op.attribute("axis", 1)
    axis = axis + rank if axis < 0 else axis
    rows = int(np.prod(value.shape[:axis]))
    return op.reshaped(value, (rows, int(np.prod(value.shape[axis:]))))


@converts("Reshape")
def _reshape(op: Operation) -> Value:
    value, given = op.value(), op.setting("shape", 1)
    if given is None:
        op.refuse("has no shape")
    shape = _whole(given)
    if not op.attribute("allowzero", 0):
        shape = [
            value.shape[i] if s == 0 and i < len(value.shape) else s for i, s in enumerate(shape)
        ]
    size = int(np.prod(value.shape))
    if shape.count(-1) == 1:
        known = int(np.prod([s for s in shape if s != -1]))
        shape = [size // known if s == -1 and known else s for s in shape]
    if int(np.prod(shape)) != size or min(shape, default=1) < 1:
        op.refuse(f"reshapes {value.shape} to {tuple(_whole(given))}")
    return op.reshaped(value, tuple(shape))


@converts("Squeeze")
def _squeeze(op: Operation) -> Value:
    value, given = op.value(), op.setting("axes", 1)
    rank = len(value.shape)
    if given is None:
        axes = [i for i in range(1, rank) if value.shape[i] == 1]
    else:
        axes = [op.axis(axis, rank) for axis in _whole(given)]
    if any(value.shape[axis] != 1 for axis in axes):
        op.refuse(f"squeezes axes {axes} of the shape {value.shape}")
    return op.reshaped(value, tuple(s for i, s in enumerate(value.shape) if i not in axes))


@converts("Unsqueeze")
def _unsqueeze(op: Operation) -> Value:
    value, given = op.value(), op.setting("axes", 1)
    if given is None:
        op.refuse("has no axes")
    axes = _whole(given)
    rank = len(value.shape) + len(axes)
    places = {op.axis(axis, rank, batch=True) for axis in axes}
    left = iter(value.shape)
    return op.reshaped(value, tuple(1 if i in places else next(left) for i in range(rank)))


@converts("Transpose")
def _transpose(op: Operation) -> Value:
    value = op.value()
    axes = _whole(op.attribute("perm", list(reversed(range(len(value.shape))))))
    if axes[0] != 0:
        op.refuse(f"moves the batch axis: perm {axes}")
    return value if axes == sorted(axes) else op.applied(layers.Permute(axes), value)


@converts("Concat")
def _concat(op: Operation) -> Value:
    values = [op.value(i) for i in range(len(op.inputs))]
    rank = len(values[0].shape)
    axis = op.axis(op.attribute("axis", 1), rank)
    return values[0] if len(values) == 1 else op.joined(values, axis)


def _picked(op: Operation, value: Value, axis: int, index: layers.Index) -> Value:
    whole: list[layers.Index] = [slice(None)] * axis
    return op.applied(layers.Pick([*whole, index]), value)


@converts("Gather")
def _gather(op: Operation) -> Value:
    value, given = op.value(), op.constant(1)
    if given is None:
        op.refuse("has no indices")
    axis = op.axis(op.attribute("axis", 0), len(value.shape))
    size = value.shape[axis]
    if given.size and not (-size <= given.min() and given.max() < size):
        op.refuse(f"gathers {given.ravel().tolist()} of {size} entries")
    index = np.where(given < 0, given + size, given)
    if index.ndim == 0:
        return _picked(op, value, axis, int(index))
    flat = _picked(op, value, axis, index.ravel().tolist())
    return op.reshaped(flat, (*value.shape[:axis], *index.shape, *value.shape[axis + 1 :]))


@converts("Slice")
def _slice(op: Operation) -> Value:
    value = op.value()
    rank = len(value.shape)
    starts, ends = (op.setting(name, i) for name, i in (("starts", 1), ("ends", 2)))
    if starts is None or ends is None:
        op.refuse("has no starts or no ends")
    axes = op.setting("axes", 3, list(range(len(starts))))
    steps = op.setting("steps", 4, [1] * len(starts))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = op.axis(axis, rank, batch=True)
        size = value.shape[place]
        # A start or an end far beyond the front counts as before it.
        bounds = [max(each, -size - 1) if step < 0 else each for each in (start, end)]
        kept = range(size)[slice(bounds[0], None if bounds[1] < -size else bounds[1], step)]
        if len(kept) == size and step > 0:
            continue
        if place == 0:
            op.refuse("slices the batch axis")
        if not kept:
            op.refuse(f"keeps nothing of axis {place}")
        index: layers.Index = slice(kept.start, kept.stop, kept.step) if step > 0 else list(kept)
        value = _picked(op, value, place, index)
    return value


@converts("Split")
def _split(op: Operation) -> Sequence[Value]:
    value = op.value()
    axis = op.axis(op.attribute("axis", 0), len(value.shape))
    size = value.shape[axis]
    given = op.setting("split", 1)
    width = -(-size // op.n_outputs)
    sizes = _whole(given) if given is not None else [width] * (op.n_outputs - 1)
    if given is None:
        sizes.append(size - sum(sizes))
    if sum(sizes) != size or min(sizes) < 1:
        op.refuse(f"splits {size} entries into {sizes}")
    ends = np.cumsum([0, *sizes]).tolist()
    return [
        _picked(op, value, axis, slice(first, last)) for first, last in itertools.pairwise(ends)
    ]
