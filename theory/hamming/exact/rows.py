"""The rows of a network over the points of few changes: affine functions of moves and parts.

Columns p in [0, 1], one for each coordinate and each side of x to which it may move, say how far
it moves; each unit whose phase is open has a positive and a negative part, in this order. All
other units are affine in the columns of the layers below.
"""

from typing import NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.hamming.exact.envelope import Majorants, central_majorants, envelope_majorants
from theory.hamming.problem import LabelProblem
from theory.norms import accumulated_error
from theory.relu.bounds import Ends, hamming_ball_bounds
from theory.relu.layer import BoolArray, dense
from theory.relu.network import ReluNetwork

_NARROW = 1e-9
"""Ends of open units are kept this far from 0: a triangle needs a width."""


class Row(NamedTuple):
    """Affine functions of the columns, and by how much rounding may have falsified them."""

    weights: FloatArray
    shifts: FloatArray
    error: FloatArray


class BallRows:
    """Open units and leads of the target over the points of at most k changes.

    Parameters
    ----------
    problem : LabelProblem
        A `ReluNetwork` in a finite box.
    k : int
        At least 1.
    movable : ndarray of bool, shape (n,)
        Coordinates that may change.

    Attributes
    ----------
    coordinates : ndarray of int
        Those that can move.
    owner : ndarray of int, shape (n_moves,)
        For each column p the index among them.
    ranges : ndarray, shape (n_moves,)
        The change of the coordinate where p is 1.
    lower, upper : ndarray, shape (m,)
        Ends of the m open units.
    units, leads : Row
    n_first : int
        Open units of the first layer; they come first.
    """

    def __init__(self, problem: LabelProblem, k: int, movable: BoolArray) -> None:
        network = problem.classifier
        if not isinstance(network, ReluNetwork):
            raise TypeError("rows need a piecewise-linear classifier, a ReluNetwork")
        x, low = problem.x, np.where(movable, problem.low, problem.x)
        high = np.where(movable, problem.high, problem.x)
        self.k = k
        up, down = np.flatnonzero(high > x), np.flatnonzero(low < x)
        at = np.concatenate([up, down])
        self.ranges = np.concatenate([(high - x)[up], (low - x)[down]])
        self.coordinates, self.owner = np.unique(at, return_inverse=True)
        self.n_moves = len(at)
        self.lower, self.upper = np.zeros((2, 0))
        bounds = hamming_ball_bounds(network, x, low, high, min(k, len(x)))
        first = network.layers[0]
        reach = np.abs(x) + np.maximum(np.abs(low), np.abs(high))
        weight = dense(first.weight)
        size = np.abs(weight) @ reach + np.abs(first.bias)
        # Ranges, products with them and the values at x: few roundings each, and their sums.
        error = 4 * accumulated_error(len(x) + 8) * size
        values = Row(weight[:, at] * self.ranges, first.affine(x), error)
        units, states = [], values
        for i, (layer, ends) in enumerate(zip(network.layers, bounds.layers, strict=True)):
            if i:
                values = self._affine(dense(layer.weight), layer.bias, states)
            rows, states = self._activated(values, layer.slope, ends)
            units.append(rows)
        self.n_first = len(units[0].shifts)
        self.units = self._stacked(units)
        signs = np.zeros((len(problem.rivals), network.n_outputs))
        signs[:, problem.target] = 1.0
        signs[np.arange(len(signs)), problem.rivals] = -1.0
        self.leads = self._stacked([self._affine(signs, np.zeros(len(signs)), states)])

    @property
    def n_units(self) -> int:
        """The number of open units."""
        return len(self.upper)

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.n_moves + 2 * self.n_units

    def ends(self) -> FloatArray:
        """Return the largest values of all columns."""
        parts = np.column_stack([self.upper, -self.lower]).ravel()
        return np.concatenate([np.ones(self.n_moves), parts])

    def _affine(self, weight: FloatArray, bias: FloatArray, states: Row) -> Row:
        size = np.abs(states.weights) @ self.ends() + np.abs(states.shifts)
        rounding = 2 * accumulated_error(weight.shape[1] + self.width + 8)
        error = np.abs(weight) @ (states.error + rounding * size) + rounding * np.abs(bias)
        return Row(weight @ states.weights, weight @ states.shifts + bias, error)

    def _activated(self, values: Row, slope: FloatArray, ends: Ends) -> tuple[Row, Row]:
        """Return the rows of the open units, given columns here, and the outputs of a layer."""
        linear = (slope == 1) | (ends.lower >= 0)
        still = ~linear & (ends.upper <= 0)
        opened = np.flatnonzero(~linear & ~still)
        scale = np.where(still, slope, 1.0)
        before = values.weights.shape[1]
        weights = np.hstack(
            [values.weights * scale[:, None], np.zeros((len(slope), 2 * len(opened)))]
        )
        shifts, error = values.shifts * scale, values.error * np.abs(scale)
        weights[opened], shifts[opened], error[opened] = 0.0, 0.0, 0.0
        columns = before + 2 * np.arange(len(opened))
        weights[opened, columns] = 1.0
        weights[opened, columns + 1] = -slope[opened]
        self.upper = np.append(self.upper, np.maximum(ends.upper[opened], _NARROW))
        self.lower = np.append(self.lower, np.minimum(ends.lower[opened], -_NARROW))
        rows = Row(values.weights[opened], values.shifts[opened], values.error[opened])
        return rows, Row(weights, shifts, error)

    def _stacked(self, rows: list[Row]) -> Row:
        wide = [
            np.pad(each.weights, ((0, 0), (0, self.width - each.weights.shape[1]))) for each in rows
        ]
        return Row(
            np.vstack(wide),
            np.concatenate([each.shifts for each in rows]),
            np.concatenate([each.error for each in rows]),
        )

    def majorants(self, point: FloatArray | None) -> Majorants:
        """Return cuts: part - weights @ moves <= shift, the parts of each unit one after another.

        Open units of the first layer are affine in p. Those above are between affine functions of
        p, in which the majorants of the units below take the place of these.
        """
        n, m, k = self.n_moves, self.n_units, self.k
        # Upper and lower affine functions of p for each part.
        above, above_shift = np.zeros((2 * m, n)), np.zeros(2 * m)
        below, below_shift = np.zeros((2 * m, n)), np.zeros(2 * m)
        sizes = np.zeros(2 * m)
        start = 0
        while start < m:
            # Units of one layer do not depend on each other.
            columns = self.units.weights[start:, n + 2 * start :].any(axis=1)
            stop = start + (int(np.argmax(columns)) if columns.any() else m - start)
            stop = max(stop, start + 1)
            rows = slice(start, stop)
            direct = self.units.weights[rows, :n]
            parts = self.units.weights[rows, n : n + 2 * start]
            shift, error = self.units.shifts[rows], self.units.error[rows]
            positive, negative = np.maximum(parts, 0.0), np.minimum(parts, 0.0)
            known = slice(0, 2 * start)
            high = direct + positive @ above[known] + negative @ below[known]
            high_shift = shift + positive @ above_shift[known] + negative @ below_shift[known]
            low = direct + positive @ below[known] + negative @ above[known]
            low_shift = shift + positive @ below_shift[known] + negative @ above_shift[known]
            size = np.abs(parts) @ sizes[known] + np.abs(direct).sum(axis=1) + np.abs(shift)
            slop = error + 4 * accumulated_error(2 * start + n + 8) * size
            high_shift, low_shift = high_shift + slop, low_shift - slop
            on = _majorants(high, high_shift, point, k)
            off = _majorants(-low, -low_shift, point, k)
            first, second = slice(2 * start, 2 * stop, 2), slice(2 * start + 1, 2 * stop, 2)
            above[first], above_shift[first] = on.weights, on.shifts
            above[second], above_shift[second] = off.weights, off.shifts
            # max(0, z) is above 0 and above z: the better one at the point.
            at = np.zeros(n) if point is None else point
            for part, weight, offset in ((first, low, low_shift), (second, -high, -high_shift)):
                rises = weight @ at + offset > 0
                below[part] = np.where(rises[:, None], weight, 0.0)
                below_shift[part] = np.where(rises, offset, 0.0)
            for part in (first, second):
                sizes[part] = (
                    np.abs(above[part]).sum(axis=1)
                    + np.abs(above_shift[part])
                    + np.abs(below[part]).sum(axis=1)
                    + np.abs(below_shift[part])
                )
            start = stop
        weights = np.hstack([-above, np.eye(2 * m)])
        return Majorants(weights, above_shift)


def _majorants(
    weights: FloatArray, shifts: FloatArray, point: FloatArray | None, k: int
) -> Majorants:
    if point is None:
        return central_majorants(weights, shifts, k)
    return envelope_majorants(weights, shifts, point, k)
