"""A network behind which a property's margins are computed: by unsafe set, at most 0 is inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

import numpy as np
import torch
from torch import nn

from empirics.given.vnnlib import Case, Rows
from theory.arrays import FloatArray
from theory.distance.certificates.deployment import DeploymentError
from theory.distance.certificates.linear import margins
from theory.distance.certificates.sets import Sets
from theory.evidence import Interval
from theory.lipschitz.activations import LeakyReLU
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.norms import accumulated_error
from theory.relu.layer import Layer, Matrix, dense
from theory.relu.network import ReluNetwork

_BATCH_ENTRIES: Final = 2**22
"""Of the largest array, where many boxes are bounded at once."""
_EXACT_ENTRIES: Final = 2**16
"""Weights up to which a value is computed in rational numbers."""


def _margin_layers(unsafe: Sequence[Rows], sign: float) -> list[Layer]:
    """Return layers from outputs y to (0, sign times the largest row of each unsafe set).

    The largest of two is a + relu(b - a), round by round; all later entries are 0, 1 and -1.
    """
    weight = np.vstack([rows.weight for rows in unsafe])
    shift = np.concatenate([rows.shift for rows in unsafe])
    groups = np.split(np.arange(len(shift)), np.cumsum([len(rows.shift) for rows in unsafe])[:-1])
    layers: list[Layer] = []
    if max(len(group) for group in groups) > 1:
        # Differences of rows are of computed values: differences of the weights would be rounded.
        layers.append(Layer(weight, shift, np.ones(len(shift))))
        weight, shift = np.eye(len(shift)), np.zeros(len(shift))
    while max(len(group) for group in groups) > 1:
        units: list[FloatArray] = []
        slopes: list[float] = []
        values: list[list[int]] = []
        left = []
        for group in groups:
            first = len(values)
            for k in range(0, len(group) - 1, 2):
                a, b = weight[group[k]], weight[group[k + 1]]
                values.append([len(units), len(units) + 1])
                units += [a, b - a]
                slopes += [1.0, 0.0]
            if len(group) % 2:
                values.append([len(units)])
                units.append(weight[group[-1]])
                slopes.append(1.0)
            left.append(np.arange(first, len(values)))
        layers.append(Layer(np.array(units), np.zeros(len(units)), np.array(slopes)))
        weight = np.zeros((len(values), len(units)))
        for row, parts in enumerate(values):
            weight[row, parts] = 1.0
        shift, groups = np.zeros(len(values)), left
    nothing = np.zeros((1, weight.shape[1]))
    last = np.vstack([nothing, sign * weight])
    layers.append(Layer(last, np.append(0.0, sign * shift), np.ones(len(last))))
    return layers


@dataclass(frozen=True, eq=False)
class MarginNetwork:
    """A traced network with a case of a property behind it.

    Attributes
    ----------
    network : ReluNetwork or FeedForward
    case : Case
    """

    network: ReluNetwork | FeedForward
    case: Case

    @cached_property
    def relu(self) -> ReluNetwork | None:
        """Inputs to (0, minus the margins), where the network is piecewise linear."""
        if not isinstance(self.network, ReluNetwork):
            return None
        return ReluNetwork([*self.network.layers, *_margin_layers(self.case.unsafe, -1.0)])

    @cached_property
    def _below(self) -> FeedForward:
        return self._behind(-1.0)

    @cached_property
    def _above(self) -> FeedForward:
        return self._behind(1.0)

    def _behind(self, sign: float) -> FeedForward:
        layers = _margin_layers(self.case.unsafe, sign)
        stages = (Stage(each.weight, each.bias, LeakyReLU(each.slope)) for each in layers)
        return FeedForward((*FeedForward.of(self.network).stages, *stages))

    def margin(self, points: FloatArray) -> FloatArray:
        """Return the margins of points (..., n) as they are computed, shape (...)."""
        return self.case.margin(np.asarray(self.network(points)))

    def lower(self, low: FloatArray, high: FloatArray, steps: int) -> FloatArray:
        """Return lower ends of the margin on boxes, shape (B,), that hold in exact arithmetic.

        Parameters
        ----------
        low, high : ndarray, shape (B, n)
        steps : int
            Of the slopes of the lines around units.
        """
        return np.asarray(self._least(self._below, low, high, steps).min(axis=1))

    def at(self, point: FloatArray) -> Interval:
        """Return the margin at a point, shape (n,), with all rounding of computing it.

        Where its sign cannot be told so, a small piecewise-linear network is computed exactly.
        """
        one = point[None]
        lower = float(self._least(self._below, one, one, 0).min())
        upper = float((-self._least(self._above, one, one, 0)).min())
        if lower <= 0 < upper and (exact := self._exactly(point)) is not None:
            rounded = float(exact)
            below, above = np.nextafter(rounded, -np.inf), np.nextafter(rounded, np.inf)
            ends = (0.0, above) if exact > 0 else (below, 0.0)
            if exact > 0:
                ends = (max(below, np.nextafter(0.0, 1.0)), above)
            return Interval(*(float(end) for end in ends)) if exact else Interval(0.0, 0.0)
        return Interval(min(lower, upper), upper)

    def _least(
        self, network: FeedForward, low: FloatArray, high: FloatArray, steps: int
    ) -> FloatArray:
        """Return lower ends of minus the outputs behind the first one, shape (B, sets)."""
        widest = max(len(stage.bias) for stage in network.stages)
        part = max(1, _BATCH_ENTRIES // (2 * widest * max(widest, low.shape[1])))
        found = []
        for first in range(0, len(low), part):
            box = low[first : first + part], high[first : first + part]
            center = np.clip(box[0] / 2 + box[1] / 2, *box)
            radius = np.maximum(box[1] - center, center - box[0]).max(axis=1)
            # The box cuts every set down to its own ends.
            sets = Sets(center, np.nextafter(radius, np.inf), np.inf, box)
            labels = np.zeros(len(center), dtype=np.intp)
            found.append(margins(network, labels, sets, steps=steps)[:, 1:])
        return np.concatenate(found)

    def _exactly(self, point: FloatArray) -> Fraction | None:
        """Return the margin in rational numbers; None if the network is not one for that."""
        network = self.network
        if not isinstance(network, ReluNetwork):
            return None
        if sum(int(np.prod(each.weight.shape)) for each in network.layers) > _EXACT_ENTRIES:
            return None
        state = [Fraction(float(each)) for each in point]
        for layer in network.layers:
            values = _affine(layer.weight, layer.bias, state)
            state = [
                z if z > 0 else Fraction(float(slope)) * z
                for z, slope in zip(values, layer.slope, strict=True)
            ]
        return exact_margin(self.case, state)

    def rounding(self) -> float:
        """Return how far margins may be off where the network is computed in single precision.

        On all inputs of the box that are themselves numbers of single precision.
        """
        size = np.maximum(np.abs(self.case.low), np.abs(self.case.high))
        norm = float(np.linalg.norm(size)) * (1 + accumulated_error(len(size) + 8))
        off = float(DeploymentError(FeedForward.of(self.network), "float32")(np.array([norm]))[0])
        rows = np.vstack([each.weight for each in self.case.unsafe])
        steepest = float(np.linalg.norm(rows, axis=1).max(initial=0.0))
        return off * steepest * (1 + accumulated_error(rows.shape[1] + 8))


def _affine(weight: Matrix, bias: FloatArray, state: Sequence[Fraction]) -> list[Fraction]:
    found = []
    for row, shift in zip(dense(weight), bias, strict=True):
        terms = (Fraction(float(row[j])) * state[j] for j in np.flatnonzero(row).tolist())
        found.append(sum(terms, Fraction(float(shift))))
    return found


def exact_margin(case: Case, outputs: Sequence[Fraction]) -> Fraction:
    """Return the margin of outputs that are rational numbers, without rounding.

    Examples
    --------
    >>> rows = Rows(np.array([[1.0]]), np.array([-0.5]))
    >>> exact_margin(Case(np.zeros(1), np.ones(1), (rows,)), [Fraction(1, 3)])
    Fraction(-1, 6)
    """
    return min(max(_affine(rows.weight, rows.shift, outputs)) for rows in case.unsafe)


class MarginModule(nn.Module):
    """Points u of the unit cube to (0, minus the margins) of a network at low + u (high - low).

    A counterexample is a point at which the first label is not 0: all attacks on classifiers, in
    linf with radius 1/2 around the middle, look for it.
    """

    low: torch.Tensor
    high: torch.Tensor
    weight: torch.Tensor
    shift: torch.Tensor

    def __init__(self, module: nn.Module, case: Case, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module = module
        self.input_shape = input_shape
        self.sizes = [len(rows.shift) for rows in case.unsafe]
        arrays = {
            "low": case.low,
            "high": case.high,
            "weight": np.vstack([rows.weight for rows in case.unsafe]),
            "shift": np.concatenate([rows.shift for rows in case.unsafe]),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array).float())

    def inputs(self, u: torch.Tensor) -> torch.Tensor:
        """Return the inputs of the network, flattened."""
        points = self.low + u * (self.high - self.low)
        return torch.minimum(torch.maximum(points, self.low), self.high)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Return (0, minus the margins), shape (n, 1 + sets)."""
        outputs = self.module(self.inputs(u).reshape(-1, *self.input_shape)).flatten(1)
        rows = outputs @ self.weight.T + self.shift
        found = [part.amax(dim=1) for part in rows.split(self.sizes, dim=1)]
        return torch.stack([torch.zeros_like(found[0]), *(-each for each in found)], dim=1)
