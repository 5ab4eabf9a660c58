"""The distance to another label: what is asked, checked once, and the network as plain arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.norms import accumulated_error
from theory.relu.layer import dense
from theory.relu.network import ReluNetwork
from theory.relu.region import Box, ends

TINY = float(np.finfo(np.float64).tiny)
"""More than all that fewer than 2^52 underflows lose together."""

_EQUAL = 1e-7
"""Ends that differ by this part of the upper one are equal."""


@dataclass(frozen=True, eq=False)
class Distance:
    """The l_p distance from a point to the nearest points of another label, between two ends.

    Both ends are about the network in exact arithmetic.

    Attributes
    ----------
    lower : float
        Proved: no point of the box that is nearer has another label. Infinite if none has.
    upper : float
        That of `point`, rounded up; infinite if none is known.
    point : ndarray, shape (n_inputs,), or None
        A point of the box where another output is at least the label's.
    n_nodes : int
        Nodes, or regions, that were looked at.
    """

    lower: float
    upper: float
    point: FloatArray | None
    n_nodes: int = 0

    @property
    def proved(self) -> bool:
        """Whether the ends are equal, up to 1e-7 of the upper one."""
        return self.lower == self.upper or self.upper - self.lower <= _EQUAL * self.upper < np.inf


class Stage(NamedTuple):
    """z = weight @ y + bias, then unit by unit linear * z + kink * max(0, z).

    Attributes
    ----------
    weight, size : ndarray, shape (m, n)
        The size is its absolute value.
    bias, linear, kink : ndarray, shape (m,)
        A ReLU has linear 0 and kink 1, a linear unit 1 and 0, a leaky one slope and 1 - slope.
    """

    weight: FloatArray
    size: FloatArray
    bias: FloatArray
    linear: FloatArray
    kink: FloatArray


@dataclass(frozen=True, eq=False)
class DistanceProblem:
    """What `exact` was asked.

    Attributes
    ----------
    network : ReluNetwork
    x : ndarray, shape (n_inputs,)
    p : float
        2 or inf.
    low, high : ndarray, shape (n_inputs,)
        Ends of the box, possibly infinite, with x between them.
    label : int
    targets : tuple of int
        Labels that count as others.
    stages : tuple of Stage
    slack : float
        At least 0: where a target is behind by no more than that, it counts as leading in what is
        said from below.
    """

    network: ReluNetwork
    x: FloatArray
    p: float
    low: FloatArray
    high: FloatArray
    label: int
    targets: tuple[int, ...]
    stages: tuple[Stage, ...]
    slack: float = 0.0

    @classmethod
    def of(
        cls,
        network: ReluNetwork,
        x: npt.ArrayLike,
        p: float,
        box: Box | None = None,
        label: int | None = None,
        targets: Sequence[int] | None = None,
    ) -> "DistanceProblem":
        """Return the problem, or raise ValueError; the label of x is the default."""
        if not isinstance(network, ReluNetwork):
            raise ValueError(f"the network must be a ReluNetwork, got {type(network).__name__}")
        if isinstance(p, bool) or p not in (2, math.inf):
            raise ValueError(f"p must be 2 or inf, got {p!r}")
        point = network.point(x)
        low, high = ends(box, network.n_inputs)
        outside = np.flatnonzero((point < low) | (point > high))
        if outside.size:
            j = int(outside[0])
            at = f"[{low[j]}, {high[j]}]"
            raise ValueError(f"x is outside the box: x[{j}] = {point[j]} not in {at}")
        n = network.n_outputs
        own = int(network.label(point)) if label is None else _label("label", label, n)
        others: Sequence[int] = [t for t in range(n) if t != own] if targets is None else targets
        wanted = dict.fromkeys(_label("a target", t, n) for t in others)
        if own in wanted:
            raise ValueError(f"a target must differ from the label, {own}")
        if targets is not None and not wanted:
            raise ValueError("targets must not be empty")
        stages = []
        for layer in network.layers:
            weight = dense(layer.weight)
            stages.append(Stage(weight, np.abs(weight), layer.bias, layer.slope, 1.0 - layer.slope))
        return cls(network, point, float(p), low, high, own, tuple(wanted), tuple(stages))

    def leads(self, points: FloatArray) -> FloatArray:
        """Return target minus label outputs, shape (..., number of targets)."""
        outputs = self.network(points)
        return np.asarray(outputs[..., list(self.targets)] - outputs[..., [self.label]])

    def slopes(self, points: FloatArray, targets: npt.NDArray[np.intp]) -> FloatArray:
        """Return gradients of target minus label outputs, one target a point.

        Parameters
        ----------
        points : ndarray, shape (B, n_inputs)
        targets : ndarray of int, shape (B,)

        Returns
        -------
        ndarray, shape (B, n_inputs)
        """
        state, steps = points, []
        for stage in self.stages:
            values = state @ stage.weight.T + stage.bias
            steps.append(stage.linear + stage.kink * (values > 0))
            state = stage.linear * values + stage.kink * np.maximum(values, 0.0)
        rows = np.zeros(state.shape)
        rows[np.arange(len(rows)), targets] = 1.0
        rows[:, self.label] -= 1.0
        for stage, step in zip(reversed(self.stages), reversed(steps), strict=True):
            rows = (rows * step) @ stage.weight
        return rows

    def lead_error(self, point: FloatArray) -> float:
        """Return a bound on the rounding error of `leads` at one point."""
        state, error = point, np.zeros(len(point))
        for stage in self.stages:
            n = len(state)
            rounded = stage.size @ np.abs(state) + np.abs(stage.bias)
            error = (stage.size @ error) * (1 + accumulated_error(n + 4))
            error += 2 * accumulated_error(n + 4) * rounded + n * TINY
            values = stage.weight @ state + stage.bias
            steepest = np.maximum(1.0, np.abs(stage.linear))
            state = stage.linear * values + stage.kink * np.maximum(values, 0.0)
            error = steepest * error * (1 + accumulated_error(4))
            error += accumulated_error(4) * steepest * np.abs(values) + TINY
        size = float(np.abs(state).max(initial=0.0))
        return 2 * float(error.max(initial=0.0)) + accumulated_error(4) * 4 * size

    def length(self, change: FloatArray) -> FloatArray:
        """Return l_p norms, shape (...)."""
        return np.asarray(np.linalg.norm(change, ord=self.p, axis=-1))

    def length_above(self, point: FloatArray) -> float:
        """Return an upper bound on the distance of a point from x."""
        change = np.abs(point - self.x)
        # A difference of two doubles is off by half a unit in its last place.
        change = np.where(point == self.x, 0.0, np.nextafter(change, np.inf))
        if math.isinf(self.p):
            return float(change.max(initial=0.0))
        largest = float(change.max(initial=0.0))
        if largest == 0:
            return 0.0
        scaled = change / largest
        found = math.sqrt(float(scaled @ scaled)) * largest
        return float(np.nextafter(found * (1 + accumulated_error(len(change) + 8)), np.inf))

    def farthest(self) -> float:
        """Return an upper bound on the distances of the points of the box, infinite without one."""
        corner = np.where(self.x - self.low > self.high - self.x, self.low, self.high)
        if not np.all(np.isfinite(corner)):
            return math.inf
        return self.length_above(corner)

    def unreachable(self) -> bool:
        """Whether no lead depends on x and all are below 0."""
        last = self.stages[-1]
        if np.any(last.kink != 0):
            return False
        rows = last.weight[list(self.targets)] == last.weight[self.label]
        slopes = last.linear[list(self.targets)] == last.linear[self.label]
        behind = last.bias[list(self.targets)] < last.bias[self.label]
        return bool(np.all(rows) and np.all(slopes) and np.all(behind))

    def inside(self, points: FloatArray) -> FloatArray:
        """Return the nearest points of the box."""
        return np.clip(points, self.low, self.high)


def _label(name: str, given: int, n: int) -> int:
    if isinstance(given, bool) or given != int(given) or not 0 <= given < n:
        raise ValueError(f"{name} must be a whole number from 0 to {n - 1}, got {given!r}")
    return int(given)
