"""A network in the making: affine values of a state that ReLU layers renew one after the other."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.fx.node import map_aggregate

from empirics.operators.matrices import Shape, array, compact, picks, size_of, stack
from theory.arrays import FloatArray
from theory.relu import Layer
from theory.relu.layer import Matrix


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor as an affine function of the state: weight @ state + bias, flattened.

    Attributes
    ----------
    weight : ndarray or csr_array, shape (m, n)
    bias : ndarray, shape (m,)
    shape : tuple of int
        The tensor's, with m entries; a batch axis has length 1.
    """

    weight: Matrix
    bias: FloatArray
    shape: Shape

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self.bias)

    def then(self, matrix: Matrix, shape: Shape, shift: FloatArray | float = 0.0) -> "Value":
        """Return matrix @ self + shift, with another shape."""
        bias = np.asarray(matrix @ self.bias) + shift
        return Value(compact(matrix @ self.weight), bias, shape)

    def scaled(self, scale: FloatArray | float, shift: FloatArray | float = 0.0) -> "Value":
        """Return scale * self + shift, entry by entry."""
        factors = np.broadcast_to(np.asarray(scale, dtype=np.float64), self.bias.shape)
        weight = compact(_scale_rows(self.weight, factors))
        return replace(self, weight=weight, bias=factors * self.bias + shift)

    def plus(self, other: "Value") -> "Value":
        """Return the sum of two values of one shape."""
        return replace(
            self, weight=compact(_sum(self.weight, other.weight)), bias=self.bias + other.bias
        )

    def picked(self, source: npt.NDArray[np.intp], shape: Shape) -> "Value":
        """Return the entries of these indices, 0 for -1."""
        return self.then(picks(source, self.size), shape)


def _sum(first: Any, second: Any) -> Any:  # noqa: ANN401
    """Return the sum of two matrices, of which one may be sparse and the other dense."""
    return first + second


def _scale_rows(weight: Matrix, scale: FloatArray) -> Any:  # noqa: ANN401
    if isinstance(weight, np.ndarray):
        return scale[:, None] * weight
    scaled = weight.copy()
    scaled.data = scaled.data * np.repeat(scale, np.diff(scaled.indptr))
    return scaled


@dataclass
class Circuit:
    """Layers so far, and the values that are still needed.

    Attributes
    ----------
    size : int
        Length of the current state; first the number of inputs.
    held : dict
        Trees of values that a new layer must carry along.
    """

    size: int
    layers: list[Layer] = field(default_factory=list)
    held: dict[Hashable, Any] = field(default_factory=dict)

    def input(self, shape: Shape) -> Value:
        """Return the state itself."""
        return Value(picks(np.arange(self.size), self.size), np.zeros(self.size), shape)

    def constant(self, tensor: torch.Tensor) -> Value:
        """Return a value that does not depend on the state."""
        bias = array(tensor.flatten())
        return Value(picks(np.full(len(bias), -1), self.size), bias, tuple(tensor.shape))

    def activate(self, value: Value, slope: npt.ArrayLike) -> Value:
        """Add a layer of units with these pre-activations, and return their outputs.

        Values that are held go through it as linear units. All others are of the old state.

        Parameters
        ----------
        value : Value
        slope : array_like, shape () or (m,)
            Slopes for negative pre-activations; 1 for a linear unit.
        """
        held = values(list(self.held.values()))
        own = value.size
        needed = _columns([each.weight for each in held])
        if len(needed) <= sum(each.size for each in held):
            # The entries of the state that they are made of: carried without any rounding.
            carried = [picks(needed, self.size)] if len(needed) else []
            shift = np.zeros(len(needed))
            after = own + len(needed)
            place = np.full(self.size, -1)
            place[needed] = own + np.arange(len(needed))
            moved = [_move_columns(each, place, after) for each in held]
        else:
            carried = [each.weight for each in held]
            shift = np.concatenate([each.bias for each in held])
            after = own + len(shift)
            ends = own + np.cumsum([each.size for each in held])
            moved = [
                Value(
                    picks(np.arange(end - each.size, end), after), np.zeros(each.size), each.shape
                )
                for each, end in zip(held, ends, strict=True)
            ]
        slopes = np.concatenate([np.broadcast_to(slope, own), np.ones(len(shift))])
        bias = np.concatenate([value.bias, shift])
        self.layers.append(Layer(stack([value.weight, *carried]), bias, slopes))
        self.size = after
        renewed = {id(old): new for old, new in zip(held, moved, strict=True)}
        self.held = {
            key: mapped(each, lambda leaf: renewed.get(id(leaf), leaf))
            for key, each in self.held.items()
        }
        return Value(picks(np.arange(own), after), np.zeros(own), value.shape)

    def relu(self, value: Value) -> Value:
        """Return max(value, 0)."""
        return self.activate(value, 0.0)

    def clamp(self, value: Value, low: float | None, high: float | None) -> Value:
        """Return min(max(value, low), high); None is no limit."""
        if low is not None and high is not None:
            # low + relu(z - low) - relu(z - high)
            both = joined([value.scaled(1.0, -low), value.scaled(1.0, -high)])
            units = self.relu(both)
            rising, falling = np.arange(value.size), np.arange(value.size, units.size)
            rise, fall = units.picked(rising, value.shape), units.picked(falling, value.shape)
            return rise.plus(fall.scaled(-1.0)).scaled(1.0, low)
        if low is not None:
            return self.relu(value.scaled(1.0, -low)).scaled(1.0, low)
        if high is not None:
            return self.relu(value.scaled(-1.0, high)).scaled(-1.0, high)
        return value

    def largest(self, value: Value, members: npt.NDArray[np.intp], shape: Shape) -> Value:
        """Return the largest entry of each window, by rounds of max(a, b) = a + relu(b - a).

        Parameters
        ----------
        value : Value
        members : ndarray of int, shape (windows, k)
            Indices of the entries in each window, -1 behind the last.
        shape : tuple of int
            Shape of the result.
        """
        while members.shape[1] > 1:
            first, second = members[:, 0::2], members[:, 1::2]
            if first.shape[1] > second.shape[1]:
                second = np.hstack([second, np.full((len(second), 1), -1)])
            alone = second < 0
            # Who has no opponent meets itself; equal pairs of different windows meet once.
            pairs = np.stack([first, np.where(alone, first, second)], axis=-1)
            pairs.sort(axis=-1)
            games, index = np.unique(pairs[first >= 0], axis=0, return_inverse=True)
            players, kept = np.unique(games[:, 0], return_inverse=True)
            real = games[:, 0] != games[:, 1]
            a, b = (value.picked(games[real, i], (int(real.sum()),)) for i in (0, 1))
            gains = b.plus(a.scaled(-1.0))
            linear = value.picked(players, (len(players),))
            slope = np.concatenate([np.ones(linear.size), np.zeros(gains.size)])
            units = self.activate(joined([linear, gains]), slope)
            gain = np.full(len(games), -1)
            gain[real] = linear.size + np.arange(gains.size)
            value = units.picked(kept, (len(games),)).plus(units.picked(gain, (len(games),)))
            members = np.full(first.shape, -1)
            members[first >= 0] = index.ravel()
        return value.picked(members[:, 0], shape)


def joined(values: Sequence[Value]) -> Value:
    """Return values flattened, one behind the other."""
    bias = np.concatenate([each.bias for each in values])
    return Value(stack([each.weight for each in values]), bias, (len(bias),))


def mapped(tree: Any, function: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Return a tree of tuples, lists and dicts with the function of each leaf."""
    return map_aggregate(tree, function)


def values(tree: Any) -> list[Value]:  # noqa: ANN401
    """Return the values among the leaves of a tree, each once."""
    found: dict[int, Value] = {}
    mapped(tree, lambda leaf: found.setdefault(id(leaf), leaf) if isinstance(leaf, Value) else None)
    return list(found.values())


def _columns(weights: Sequence[Matrix]) -> npt.NDArray[np.intp]:
    """Return which columns are not all 0 in every one of some matrices."""
    used = [
        np.flatnonzero(each.any(axis=0))
        if isinstance(each, np.ndarray)
        else np.unique(each.indices)
        for each in weights
    ]
    return np.unique(np.concatenate(used)) if used else np.zeros(0, dtype=np.intp)


def _move_columns(value: Value, place: npt.NDArray[np.intp], after: int) -> Value:
    """Return a value of the old state as one of the new, where column j is column place[j]."""
    return replace(value, weight=compact(value.weight @ picks(place, after)))


def windows(membership: Any, shape: Shape) -> npt.NDArray[np.intp]:  # noqa: ANN401
    """Return the members of each window of all channels, -1 behind the last of a window.

    Parameters
    ----------
    membership : csr_array, shape (windows of a channel, positions)
    shape : tuple of int
        Shape (..., *spatial) of the input.
    """
    n_windows, n_positions = membership.shape
    counts = np.diff(membership.indptr)
    table = np.full((n_windows, int(counts.max())), -1)
    rows = np.repeat(np.arange(n_windows), counts)
    table[rows, np.arange(membership.nnz) - membership.indptr[rows]] = membership.indices
    offsets = np.arange(size_of(shape) // n_positions) * n_positions
    shifted = np.where(table >= 0, table + offsets[:, None, None], -1)
    return np.asarray(shifted.reshape(-1, table.shape[1]), dtype=np.intp)
