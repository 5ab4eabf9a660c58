"""Piecewise-linear networks as arrays: patterns, affine pieces, regions, restrictions."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.relu.layer import AffineMap, BoolArray, Layer, Piece, dense
from theory.relu.region import Box, Region
from theory.relu.segment import Crossings, crossings


class ReluNetwork:
    """A continuous piecewise-linear network in double precision.

    Parameters
    ----------
    layers : sequence of Layer, or of pairs (weight, bias)
        A pair is a layer of ReLUs, or the linear last layer.

    Raises
    ------
    ValueError
        If there are no layers, two that follow each other do not fit, or a layer is malformed.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> absolute([[-2.0], [3.0]]).ravel().tolist(), absolute.pattern([-2.0]).tolist()
    ([2.0, 3.0], [False, True])
    """

    def __init__(self, layers: Sequence[Layer | tuple[npt.ArrayLike, npt.ArrayLike]]) -> None:
        if not layers:
            raise ValueError("a network needs at least one layer")
        made: list[Layer] = []
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                weight, bias = layer
                shift = np.asarray(bias, dtype=np.float64)
                slope = np.full(shift.shape, float(i == len(layers) - 1))
                layer = Layer(np.asarray(weight, dtype=np.float64), shift, slope)
            if made and layer.weight.shape[1] != made[-1].weight.shape[0]:
                raise ValueError(
                    f"layer {i} takes {layer.weight.shape[1]} values, but the one before gives"
                    f" {made[-1].weight.shape[0]}"
                )
            made.append(layer)
        self.layers = tuple(made)

    @property
    def n_inputs(self) -> int:
        """The number of input coordinates."""
        return int(self.layers[0].weight.shape[1])

    @property
    def n_outputs(self) -> int:
        """The number of outputs."""
        return int(self.layers[-1].weight.shape[0])

    @cached_property
    def n_units(self) -> int:
        """The number of units with two phases: the length of a pattern."""
        return sum(len(layer.hinges) for layer in self.layers)

    @cached_property
    def slopes(self) -> FloatArray:
        """Slopes below 0 of the units with two phases, shape (n_units,)."""
        return np.concatenate([layer.slope[layer.hinges] for layer in self.layers])

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Return the outputs, shape (..., n_outputs), at inputs of shape (..., n_inputs)."""
        state = self.checked(x)
        for layer in self.layers:
            state = layer.activate(layer.affine(state))
        return state

    def label(self, x: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Return the index of the (first) largest output, shape (...)."""
        return np.asarray(self(x).argmax(axis=-1))

    def preactivations(self, x: npt.ArrayLike) -> FloatArray:
        """Return the pre-activations of the units with two phases, shape (..., n_units)."""
        state, seen = self.checked(x), []
        for layer in self.layers:
            values = layer.affine(state)
            seen.append(values[..., layer.hinges])
            state = layer.activate(values)
        return np.concatenate(seen, axis=-1)

    def pattern(self, x: npt.ArrayLike) -> BoolArray:
        """Return which units have a positive pre-activation, shape (..., n_units)."""
        return self.preactivations(x) > 0

    def piece(self, pattern: npt.ArrayLike) -> Piece:
        """Return units and outputs as affine functions of the input, for one pattern.

        Parameters
        ----------
        pattern : array_like of bool, shape (n_units,)
            It need not be the pattern of any point.

        Raises
        ------
        ValueError
            If it has another shape.
        """
        phases = np.asarray(pattern, dtype=bool)
        if phases.shape != (self.n_units,):
            raise ValueError(f"a pattern has the shape ({self.n_units},), got {phases.shape}")
        # Columns: one for each input coordinate, the last for the constant.
        state = np.hstack([np.eye(self.n_inputs), np.zeros((self.n_inputs, 1))])
        rows: list[FloatArray] = []
        first = 0
        for layer in self.layers:
            # The first weight times the identity is itself: no product for the largest matrix.
            values = self._first if not rows else np.asarray(layer.weight @ state)
            values[:, -1] += layer.bias
            hinges = layer.hinges
            units = values[hinges]
            rows.append(units)
            scale = np.where(phases[first : first + len(hinges)], 1.0, layer.slope[hinges])
            state, first = values, first + len(hinges)
            state[hinges] = scale[:, None] * units
        found = np.vstack(rows)
        return Piece(AffineMap(found[:, :-1], found[:, -1]), AffineMap(state[:, :-1], state[:, -1]))

    @property
    def _first(self) -> FloatArray:
        weight = dense(self.layers[0].weight)
        return np.hstack([weight, np.zeros((len(weight), 1))])

    def affine(self, x: npt.ArrayLike) -> AffineMap:
        """Return the affine map that the network is in the region of a point, shape (n_inputs,)."""
        return self.piece(self.pattern(self.point(x))).outputs

    def restricted(self, x: npt.ArrayLike, coordinates: Sequence[int]) -> "ReluNetwork":
        """Return the network as a function of the changes of a few coordinates of x.

        Parameters
        ----------
        x : array_like, shape (n_inputs,)
        coordinates : sequence of int
            Its k inputs are the changes of these, in this order.
        """
        point, first = self.point(x), self.layers[0]
        columns = dense(first.weight[:, list(coordinates)])
        return ReluNetwork([Layer(columns, first.affine(point), first.slope), *self.layers[1:]])

    def without_biases(self) -> "ReluNetwork":
        """Return the network with all biases 0: the limit of F(t x) / t as t grows."""
        return ReluNetwork(
            [Layer(each.weight, np.zeros_like(each.bias), each.slope) for each in self.layers]
        )

    def crossings(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Crossings:
        """Return where units change phase on the way from x to y, each of shape (n_inputs,)."""
        return crossings(self.layers, self.point(x), self.point(y))

    def region(self, x: npt.ArrayLike, box: Box | None = None) -> Region:
        """Return the closed activation region of a point, shape (n_inputs,), within a box."""
        pattern = self.pattern(self.point(x))
        return Region.of(self.piece(pattern), pattern, box)

    def checked(self, x: npt.ArrayLike) -> FloatArray:
        """Return points as float64 of shape (..., n_inputs), or raise ValueError."""
        given = np.asarray(x, dtype=np.float64)
        if given.ndim == 0 or given.shape[-1] != self.n_inputs:
            raise ValueError(f"a point has {self.n_inputs} coordinates, got shape {given.shape}")
        if not np.all(np.isfinite(given)):
            raise ValueError("a point must be finite")
        return given

    def point(self, x: npt.ArrayLike) -> FloatArray:
        """Return one point, of shape (n_inputs,), or raise ValueError."""
        given = self.checked(x)
        if given.ndim != 1:
            raise ValueError(f"one point is needed, of shape ({self.n_inputs},): {given.shape}")
        return given
