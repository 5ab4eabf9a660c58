"""Lower ends of Lipschitz constants: ascent from activation region to activation region."""

from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.pattern_jacobian import checked_norm, maximal_direction
from theory.norms import accumulated_error
from theory.relu.layer import BoolArray, magnitudes
from theory.relu.network import ReluNetwork
from theory.relu.region import Box, ends

_TRIED = 12
"""Pieces of a segment whose norms are computed; of more, those steepest along the segment."""
_UNITS = 8
"""Units that are drawn until one is not constant."""


@dataclass(frozen=True, eq=False)
class SampledConstant:
    """A lower end of a Lipschitz constant, and the pair of points that proves it.

    Attributes
    ----------
    value : float
        ||f(x) - f(y)||_p / ||x - y||_p, less what rounding may have added.
    x, y : ndarray, shape (n_inputs,)
    """

    value: float
    x: FloatArray
    y: FloatArray


def sampled_constant(
    network: ReluNetwork,
    points: npt.ArrayLike,
    p: float = 2,
    *,
    steps: int = 64,
    box: Box | None = None,
    rng: np.random.Generator | None = None,
) -> SampledConstant:
    """Return a lower bound on the Lipschitz constant l_p -> l_p, by ascent from given points.

    From each point a segment along the maximal direction of the Jacobian is followed; if one of
    the regions that it meets has a larger norm, the search goes on there, else a segment to the
    reflection of the point in the boundary of a random unit is.

    Parameters
    ----------
    network : ReluNetwork
    points : array_like, shape (k, n_inputs)
        Starts.
    p : {1, 2, inf}
    steps : int
        Segments for each start, at least 0.
    box : pair of array_like, optional
        Lower and upper ends of all coordinates; no segment leaves it.
    rng : numpy.random.Generator, optional
        Chooses the units; by default one with the seed 0.

    Returns
    -------
    SampledConstant
        Never above the constant on the box: the value is proved by the pair alone.

    Raises
    ------
    ValueError
        If there is no point, a point is malformed or outside the box, p is another number, or
        steps is negative.

    Examples
    --------
    >>> both = ReluNetwork([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 2.0]], [0.0])])
    >>> found = sampled_constant(both, [[-1.0]])
    >>> round(found.value, 9), bool(min(found.x[0], found.y[0]) >= 1)
    (3.0, True)
    """
    checked_norm(p)
    starts = network.checked(points)
    if starts.ndim != 2 or not len(starts):
        raise ValueError(f"points must have the shape (k, {network.n_inputs}): {starts.shape}")
    if steps < 0:
        raise ValueError(f"steps must be at least 0, got {steps}")
    low, high = ends(box, network.n_inputs)
    if np.any(starts < low) or np.any(starts > high):
        raise ValueError("a point is outside the box")
    generator = np.random.default_rng(0) if rng is None else rng
    search = _Ascent(network, p, low, high, generator)
    pairs = [search.pair(*search.climbed(start, steps)) for start in starts]
    return max(pairs, key=lambda pair: pair.value)


@dataclass(frozen=True, eq=False)
class _Ascent:
    network: ReluNetwork
    p: float
    low: FloatArray
    high: FloatArray
    rng: np.random.Generator

    def climbed(self, start: FloatArray, steps: int) -> tuple[FloatArray, BoolArray]:
        """Return a point and the pattern of its region, the best on the way from a start."""
        point, pattern = start, self.network.pattern(start)
        best, follow = self._norm(self._jacobian(pattern)), True
        for _ in range(steps):
            first, last = self._segment(point, pattern, follow)
            follow = False
            if not np.any(first != last):
                continue
            met = self.network.crossings(first, last)
            tried = np.arange(len(met.patterns))
            if len(tried) > _TRIED:
                # What a piece does to the direction of the segment is below its norm, and free.
                tried = np.argsort(-np.linalg.norm(met.slopes, self.p, axis=1))[:_TRIED]
            norms = [self._norm(self._jacobian(met.patterns[k])) for k in tried]
            i = int(np.argmax(norms))
            # A larger norm by rounding would keep the search where it is.
            if norms[i] > best * (1 + 1e-9):
                k = tried[i]
                point, pattern = met.points(met.middles[k]), met.patterns[k]
                best, follow = norms[i], True
        return point, pattern

    def _norm(self, matrix: FloatArray) -> float:
        """Return an operator norm, up to rounding."""
        if self.p != 2:
            return float(np.linalg.norm(matrix, self.p))
        gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
        return float(np.sqrt(max(np.linalg.eigvalsh(gram)[-1], 0.0)))

    def _scales(self, pattern: BoolArray) -> list[FloatArray]:
        """Return the slopes of all units, layer by layer."""
        found, first = [], 0
        for layer in self.network.layers:
            scale, last = layer.slope.copy(), first + len(layer.hinges)
            scale[layer.hinges[pattern[first:last]]] = 1.0
            found.append(scale)
            first = last
        return found

    def _jacobian(self, pattern: BoolArray) -> FloatArray:
        """Return the Jacobian for a pattern, multiplied from the side that is smaller."""
        layers, scales = self.network.layers, self._scales(pattern)
        if self.network.n_outputs <= self.network.n_inputs:
            return self._back(len(layers) - 1, np.diag(scales[-1]), scales)
        state = np.eye(self.network.n_inputs)
        for layer, scale in zip(layers, scales, strict=True):
            state = scale[:, None] * np.asarray(layer.weight @ state)
        return state

    def _back(self, last: int, rows: FloatArray, scales: list[FloatArray]) -> FloatArray:
        """Return rows @ (the derivative of the pre-activations of a layer)."""
        for i in range(last, -1, -1):
            rows = np.asarray((self.network.layers[i].weight.T @ rows.T).T)
            if i:
                rows = rows * scales[i - 1]
        return rows

    def _rates(self, direction: FloatArray, scales: list[FloatArray]) -> FloatArray:
        """Return the derivatives of all units with two phases along a direction."""
        state, found = direction, []
        for layer, scale in zip(self.network.layers, scales, strict=True):
            values = np.asarray(layer.weight @ state)
            found.append(values[layer.hinges])
            state = scale * values
        return np.concatenate(found)

    def _segment(
        self, point: FloatArray, pattern: BoolArray, follow: bool
    ) -> tuple[FloatArray, FloatArray]:
        values, scales = self.network.preactivations(point), self._scales(pattern)
        if follow:
            direction = maximal_direction(self._jacobian(pattern), self.p)
            # As far as the boundary of a unit in the middle of all, as seen from here.
            with np.errstate(divide="ignore", invalid="ignore"):
                times = np.abs(values / self._rates(direction, scales))
            times = times[np.isfinite(times)]
            length = 2 * float(np.median(times)) if times.size else 0.0
            return self._clipped(point, -length * direction), self._clipped(
                point, length * direction
            )
        for _ in range(_UNITS if len(values) else 0):
            unit = int(self.rng.integers(len(values)))
            gradient = self._gradient(unit, scales)
            square = float(gradient @ gradient)
            if square > 0:
                stride = self.rng.exponential(2.0)
                return point, self._clipped(point, -stride * values[unit] / square * gradient)
        return point, point

    def _gradient(self, unit: int, scales: list[FloatArray]) -> FloatArray:
        last = 0
        while unit >= len(self.network.layers[last].hinges):
            unit -= len(self.network.layers[last].hinges)
            last += 1
        layer = self.network.layers[last]
        row = np.zeros((1, len(layer.bias)))
        row[0, layer.hinges[unit]] = 1.0
        return np.asarray(self._back(last, row, scales)[0])

    def _clipped(self, point: FloatArray, step: FloatArray) -> FloatArray:
        return np.clip(point + step, self.low, self.high)

    def pair(self, point: FloatArray, pattern: BoolArray) -> SampledConstant:
        """Return two points of the region of a point, along the maximal direction."""
        scales = self._scales(pattern)
        direction = maximal_direction(self._jacobian(pattern), self.p)
        # In a side of the box there may be no room either way.
        inward = self._inner(point) - point
        point = (
            point
            + min(
                0.5, _time_to_change(self._values(point, scales), self._rates(inward, scales)) / 2
            )
            * inward
        )
        values, rates = self._values(point, scales), self._rates(direction, scales)
        reach = max(1.0, float(np.abs(point).max()))
        room = []
        for turn in (-1.0, 1.0):
            with np.errstate(divide="ignore", invalid="ignore"):
                wall = np.where(turn * direction > 0, self.high - point, point - self.low)
                walls = np.where(direction != 0, wall / np.abs(direction), inf)
            # Not quite to the boundary: a point beyond it by rounding has another slope.
            change = 0.99 * _time_to_change(values, turn * rates)
            room.append(min(reach, change, float(walls.min())))
        x = self._clipped(point, -room[0] * direction)
        y = self._clipped(point, room[1] * direction)
        return SampledConstant(_secant_lower(self.network, x, y, self.p), x, y)

    def _values(self, point: FloatArray, scales: list[FloatArray]) -> FloatArray:
        """Return the units as affine functions of a pattern's piece, at a point."""
        state, found = point, []
        for layer, scale in zip(self.network.layers, scales, strict=True):
            values = layer.affine(state)
            found.append(values[layer.hinges])
            state = scale * values
        return np.concatenate(found)

    def _inner(self, point: FloatArray) -> FloatArray:
        """Return the middle of the box, and where it has no other side the point 1 from a side."""
        bounded = np.isfinite(self.low) & np.isfinite(self.high)
        near = np.maximum(np.minimum(point, self.high - 1), self.low + 1)
        with np.errstate(invalid="ignore"):
            return np.where(bounded, (self.low + self.high) / 2, near)


def _time_to_change(values: FloatArray, rates: FloatArray) -> float:
    """Return when the first of values + t rates changes its sign, t > 0; inf if none does."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(rates * values < 0, np.abs(values / rates), inf)
    return float(times.min(initial=inf))


def _secant_lower(network: ReluNetwork, x: FloatArray, y: FloatArray, p: float) -> float:
    """Return ||f(x) - f(y)||_p / ||x - y||_p rounded down, whatever regions x and y are in.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.3: running errors.
    """
    if not np.any(x != y):
        return 0.0
    states = np.stack([x, y])
    error = np.zeros_like(states)
    for layer in network.layers:
        size = magnitudes(layer)
        gamma = accumulated_error(layer.weight.shape[1] + 8)
        grown = np.asarray(size @ error.T).T
        terms = np.asarray(size @ np.abs(states).T).T + np.abs(layer.bias)
        steepest = np.maximum(np.abs(layer.slope), 1.0)
        values = layer.affine(states)
        error = steepest * (grown * (1 + gamma) + 2 * gamma * terms) * (1 + gamma)
        states = layer.activate(values)
        # The product with a slope below 0 is rounded once more.
        error = error + gamma * np.abs(states)
    gap, doubt = states[1] - states[0], error[0] + error[1] + 2.0**-52 * np.abs(states).sum(axis=0)
    gamma = accumulated_error(len(x) + len(gap) + 16)
    rise = float(np.linalg.norm(gap, p)) * (1 - gamma)
    rise -= float(np.linalg.norm(doubt, p)) * (1 + 2 * gamma)
    return max(rise * (1 - gamma) / (float(np.linalg.norm(y - x, p)) * (1 + gamma)), 0.0)
