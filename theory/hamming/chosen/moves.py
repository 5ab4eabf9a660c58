"""Changes of one coordinate at a time, and what a classifier makes of all of them at once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.hamming.problem import Classifier
from theory.relu.layer import Layer, dense
from theory.relu.network import ReluNetwork

IntArray = npt.NDArray[np.intp]

_LARGEST_SCAN = 10**7
"""Entries of the first layer's changes that are kept: beyond, a scan is of first order."""
_REACH = 2.0 ** np.arange(0, 13, 2)
"""Where an end of the box is infinite: changes to try, in units of max(1, |x|)."""


class Changes(NamedTuple):
    """Coordinates and the values that they take; all others are those of x.

    Attributes
    ----------
    coordinates, values : ndarray, shape (k,)
    """

    coordinates: IntArray
    values: FloatArray

    def without(self, i: int) -> "Changes":
        """Return all changes but the i-th."""
        return Changes(np.delete(self.coordinates, i), np.delete(self.values, i))

    def swapped(self, i: int, coordinate: int, value: float) -> "Changes":
        """Return the changes with the i-th replaced."""
        coordinates, values = self.coordinates.copy(), self.values.copy()
        coordinates[i], values[i] = coordinate, value
        return Changes(coordinates, values)

    def added(self, coordinate: int, value: float) -> "Changes":
        """Return the changes and one more."""
        return Changes(np.append(self.coordinates, coordinate), np.append(self.values, value))

    def at(self, x: FloatArray) -> FloatArray:
        """Return the changed point."""
        point = x.copy()
        point[self.coordinates] = self.values
        return point


def no_changes() -> Changes:
    """Return the changes of no coordinate."""
    return Changes(np.zeros(0, dtype=np.intp), np.zeros(0))


class Moves(ABC):
    """All changes of one coordinate to a few values each, seen through features of the point.

    The features are affine in the point, so that changes of several coordinates add up in them.

    Attributes
    ----------
    classifier : Classifier
    x : ndarray, shape (n,)
    low, high : ndarray, shape (n,)
        Finite ends of the values, multiples of 1 / levels if there are levels.
    levels : int or None
    coordinates, values : ndarray, shape (m,)
        The moves, sorted by coordinate.
    base : ndarray, shape (f,)
        Features of x.
    """

    base: FloatArray

    def __init__(
        self,
        classifier: Classifier,
        x: FloatArray,
        box: tuple[FloatArray, FloatArray],
        levels: int | None,
        inner: int,
    ) -> None:
        self.classifier, self.x, self.levels = classifier, x, levels
        reach = float(max(1.0, np.abs(x).max()))
        self.low, self.high = finite_ends(x, box, reach * _REACH[-1], levels)
        tried = [self.low, self.high]
        tried += [self.low + (self.high - self.low) * i / (inner + 1) for i in range(1, inner + 1)]
        if not all(np.all(np.isfinite(end)) for end in box):
            tried += [x + sign * reach * r for r in _REACH for sign in (-1, 1)]
        grid = self.rounded(np.clip(np.stack(tried, axis=1), self.low[:, None], self.high[:, None]))
        grid = np.sort(grid, axis=1)
        new = (grid != x[:, None]) & (self.low <= self.high)[:, None]
        new[:, 1:] &= grid[:, 1:] != grid[:, :-1]
        self.coordinates, which = np.nonzero(new)
        self.values = grid[self.coordinates, which]

    def rounded(self, values: FloatArray) -> FloatArray:
        """Return values as multiples of 1 / levels, if there are levels."""
        if self.levels is None:
            return values
        return np.asarray(np.round(values * self.levels) / self.levels)

    @abstractmethod
    def shifts(self, changes: Changes) -> FloatArray:
        """Return the changes of the features, shape (k, f)."""

    @abstractmethod
    def outputs(self, features: FloatArray) -> FloatArray:
        """Return the classifier's outputs, shape (..., K), from features (..., f)."""

    @abstractmethod
    def outlook(self, features: FloatArray) -> FloatArray:
        """Return the outputs after each of the moves, exactly or to first order, shape (m, K)."""

    @abstractmethod
    def shifts_of(self, moves: IntArray) -> FloatArray:
        """Return the changes of the features by some of the moves, shape (len(moves), f)."""

    @cached_property
    def first(self) -> FloatArray:
        """The outputs after each of the moves from x, as `outlook` gives them."""
        return self.outlook(self.base)

    def features(self, changes: Changes) -> FloatArray:
        """Return the features of the changed point."""
        return np.asarray(self.base + self.shifts(changes).sum(axis=0))


class FirstLayerMoves(Moves):
    """Moves seen through the first pre-activations of a network: every scan is exact."""

    def __init__(
        self,
        network: ReluNetwork,
        x: FloatArray,
        box: tuple[FloatArray, FloatArray],
        levels: int | None,
        inner: int,
    ) -> None:
        super().__init__(network, x, box, levels, inner)
        self._layers = network.layers
        self._columns = np.ascontiguousarray(dense(network.layers[0].weight).T)
        self.base = network.layers[0].affine(x)
        self._all = self.shifts(Changes(self.coordinates, self.values))
        self._work = np.empty_like(self._all)

    def shifts(self, changes: Changes) -> FloatArray:
        """Return the changes of the features, shape (k, f)."""
        steps = changes.values - self.x[changes.coordinates]
        return np.asarray(steps[:, None] * self._columns[changes.coordinates])

    def shifts_of(self, moves: IntArray) -> FloatArray:
        """Return the changes of the features by some of the moves."""
        return np.asarray(self._all[moves])

    def outputs(self, features: FloatArray) -> FloatArray:
        """Return the network's outputs from first pre-activations."""
        return self._rest(features.copy())

    def outlook(self, features: FloatArray) -> FloatArray:
        """Return the outputs after each of the moves."""
        return self._rest(np.add(features, self._all, out=self._work))

    def _rest(self, values: FloatArray) -> FloatArray:
        """Return the outputs, overwriting the first pre-activations."""
        state = _activated(self._layers[0], values)
        for layer in self._layers[1:]:
            state = _activated(layer, layer.affine(state))
        return state


class TangentMoves(Moves):
    """Moves of any classifier: scans are of first order, from its tangent at the point."""

    def __init__(
        self,
        classifier: Classifier,
        x: FloatArray,
        box: tuple[FloatArray, FloatArray],
        levels: int | None,
        inner: int,
    ) -> None:
        super().__init__(classifier, x, box, levels, inner)
        self.base = x

    def shifts(self, changes: Changes) -> FloatArray:
        """Return the changes of the point, shape (k, n)."""
        rows = np.zeros((len(changes.values), len(self.x)))
        rows[np.arange(len(rows)), changes.coordinates] = (
            changes.values - self.x[changes.coordinates]
        )
        return rows

    def shifts_of(self, moves: IntArray) -> FloatArray:
        """Return the changes of the point by some of the moves."""
        return self.shifts(Changes(self.coordinates[moves], self.values[moves]))

    def outputs(self, features: FloatArray) -> FloatArray:
        """Return the outputs at points."""
        return self.classifier(features)

    def outlook(self, features: FloatArray) -> FloatArray:
        """Return the outputs after each of the moves, to first order."""
        if isinstance(self.classifier, ReluNetwork):
            first, *_ = self.classifier.layers
            outputs, back = _expansion(self.classifier.layers, first.affine(features))
            slopes = np.asarray(first.weight.T @ back.T)
        else:
            outputs = self.classifier(features)
            slopes = self.classifier.affine(features).weight.T
        steps = self.values - self.x[self.coordinates]
        return np.asarray(outputs + steps[:, None] * slopes[self.coordinates])


def moves_of(
    classifier: Classifier,
    x: FloatArray,
    box: tuple[FloatArray, FloatArray],
    levels: int | None,
    inner: int = 0,
) -> Moves:
    """Return the moves of a point to the ends of its box and to some inner values.

    Parameters
    ----------
    classifier : Classifier
    x : ndarray, shape (n,)
    box : pair of ndarray, shape (n,)
        Possibly infinite ends, x between them.
    levels : int, optional
        Values are multiples of 1 / levels.
    inner : int
        The number of equally spaced values between the ends.
    """
    if isinstance(classifier, ReluNetwork):
        width = classifier.layers[0].weight.shape[0]
        if width * classifier.n_inputs * (inner + 2) <= _LARGEST_SCAN:
            return FirstLayerMoves(classifier, x, box, levels, inner)
    return TangentMoves(classifier, x, box, levels, inner)


def finite_ends(
    x: FloatArray, box: tuple[FloatArray, FloatArray], reach: float, levels: int | None
) -> tuple[FloatArray, FloatArray]:
    """Return the least and the largest value of each coordinate: finite, of the levels if any.

    Where the box holds no level, the least is above the largest.
    """
    low, high = np.maximum(box[0], x - reach), np.minimum(box[1], x + reach)
    if levels is None:
        return low, high
    lowest, highest = np.ceil(low * levels), np.floor(high * levels)
    # Products are rounded: an end that is a level must stay one, and none may leave the box.
    lowest = np.where((lowest - 1) / levels >= low, lowest - 1, lowest)
    highest = np.where((highest + 1) / levels <= high, highest + 1, highest)
    lowest = np.where(lowest / levels < low, lowest + 1, lowest)
    highest = np.where(highest / levels > high, highest - 1, highest)
    return lowest / levels, highest / levels


def _activated(layer: Layer, values: FloatArray) -> FloatArray:
    """Return the layer's outputs, in place where its units are all ReLUs or all linear."""
    if not len(layer.hinges):
        return values
    if not np.any(layer.slope):
        return np.maximum(values, 0.0, out=values)
    return layer.activate(values)


def _expansion(layers: Sequence[Layer], values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return outputs and their derivative by the first pre-activations, shapes (K,) and (K, f)."""
    scales = []
    for i, layer in enumerate(layers):
        values = layer.affine(values) if i else values
        scales.append(np.where(values > 0, 1.0, layer.slope))
        values = values * scales[-1]
    back = np.diag(scales[-1])
    for layer, scale in zip(layers[:0:-1], scales[-2::-1], strict=True):
        back = np.asarray(layer.weight.T @ back.T).T * scale
    return values, back
