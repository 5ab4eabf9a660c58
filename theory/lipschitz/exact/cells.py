"""Cells of a network's units, and the units as functions on them."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.exact.polyhedron import Cell
from theory.lipschitz.exact.rational import ExactForms
from theory.norms import accumulated_error
from theory.relu.layer import Layer, dense, magnitudes
from theory.relu.network import ReluNetwork

Phases = npt.NDArray[np.int8]
"""1, -1 or 0 for each unit: positive, negative, open."""


@dataclass(frozen=True, eq=False)
class Node:
    """A cell, and what is known of the units in it.

    Attributes
    ----------
    cell : Cell
    phases : ndarray, shape (n_units,)
    layer : int
        The first with open units; the number of layers if there are none.
    forms, errors : ndarray, shapes (units of the layer, n + 1) and (units of the layer,)
        Its units as affine functions of the input.
    points : ndarray, shape (k, n)
        Points of the cell, up to rounding.
    low, high : ndarray, shape (n,)
        Ends of a box that holds the cell.
    """

    cell: Cell
    phases: Phases
    layer: int
    forms: FloatArray
    errors: FloatArray
    points: FloatArray
    low: FloatArray
    high: FloatArray


class PhasedUnits:
    """The units of a network whose phases are partly known.

    Parameters
    ----------
    network : ReluNetwork
    low, high : ndarray, shape (n_inputs,)
        Ends of a box, possibly infinite.

    Attributes
    ----------
    starts : list of int
        The first unit of each layer, and their number.
    layer_of : ndarray of int, shape (n_units,)
    """

    def __init__(self, network: ReluNetwork, low: FloatArray, high: FloatArray) -> None:
        self._network, self._exact = network, ExactForms(network)
        self._slope_ends = np.minimum(network.slopes, 1.0), np.maximum(network.slopes, 1.0)
        counts = [len(layer.hinges) for layer in network.layers]
        self.starts = [0, *itertools.accumulate(counts)]
        self.layer_of = np.repeat(np.arange(len(counts)), counts)
        self._reach = np.append(np.maximum(np.abs(low), np.abs(high)), 1.0)

    def exact_row(self, phases: Phases, unit: int, side: int) -> list[int]:
        """Return the exact form of a unit, turned to a side, up to a positive factor."""
        layer = int(self.layer_of[unit])
        forms = self._exact.layer(layer, phases > 0)
        return [side * each for each in forms[unit - self.starts[layer]]]

    def forms(self, phases: Phases, layer: int) -> tuple[FloatArray, FloatArray]:
        """Return the units of a layer as affine functions, scaled, with their errors in the box."""
        n, network = self._network.n_inputs, self._network
        state, size = np.eye(n, n + 1), np.eye(n, n + 1)
        terms = 0
        for i, each in enumerate(network.layers[: layer + 1]):
            if i:
                before = network.layers[i - 1]
                scale = before.slope.copy()
                at = slice(self.starts[i - 1], self.starts[i])
                scale[before.hinges[phases[at] > 0]] = 1.0
                state, size = scale[:, None] * state, np.abs(scale)[:, None] * size
            state = np.asarray(each.weight @ state)
            size = np.asarray(magnitudes(each) @ size)
            state[:, -1] += each.bias
            size[:, -1] += np.abs(each.bias)
            terms += each.weight.shape[1] + 2
        hinges = network.layers[layer].hinges
        state, size = state[hinges], size[hinges]
        lengths = np.linalg.norm(state[:, :-1], axis=1)
        factor = np.exp2(-np.ceil(np.log2(np.where(lengths > 0, lengths, 1.0))))[:, None]
        with np.errstate(invalid="ignore"):
            doubt = np.where(size > 0, size * self._reach, 0.0).sum(axis=1)
        gamma = 2 * accumulated_error(2 * terms + 8)
        return state * factor, gamma * doubt * factor[:, 0]

    def slopes(self, phases: Phases) -> tuple[FloatArray, FloatArray]:
        """Return the ends of the slopes of all units for one or k patterns, shape (k, n_units)."""
        given = np.atleast_2d(phases)
        known = np.where(given > 0, 1.0, self._network.slopes)
        least, most = (np.where(given == 0, end, known) for end in self._slope_ends)
        return least, most

    def with_phases(self, phases: Phases) -> ReluNetwork:
        """Return a network that is this one wherever units have the given phases."""
        layers = []
        for i, layer in enumerate(self._network.layers):
            at = slice(self.starts[i], self.starts[i + 1])
            weight, bias, slope = dense(layer.weight).copy(), layer.bias.copy(), layer.slope.copy()
            on, off = layer.hinges[phases[at] > 0], layer.hinges[phases[at] < 0]
            slope[on] = 1.0
            # Only a slope of 0 can be put into the weights without rounding.
            dead = off[slope[off] == 0.0]
            weight[dead], bias[dead] = 0.0, 0.0
            layers.append(Layer(weight, bias, slope))
        return ReluNetwork(layers)
