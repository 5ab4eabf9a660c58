"""Lower ends of Lipschitz constants: ascent from activation region to activation region."""

from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.exact import checked_norm, maximal_direction
from theory.norms import accumulated_error
from theory.relu.layer import BoolArray, magnitudes
from theory.relu.network import ReluNetwork
from theory.relu.region import Box, ends


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
        best, follow = self._norm(pattern), True
        for _ in range(steps):
            first, last = self._segment(point, pattern, follow)
            follow = False
            if not np.any(first != last):
                continue
            met = self.network.crossings(first, last)
            norms = [self._norm(each) for each in met.patterns]
            i = int(np.argmax(norms))
            # A larger norm by rounding would keep the search where it is.
            if norms[i] > best * (1 + 1e-9):
                point, pattern = met.points(met.middles[i]), met.patterns[i]
                best, follow = norms[i], True
        return point, pattern

    def _norm(self, pattern: BoolArray) -> float:
        return float(np.linalg.norm(self.network.piece(pattern).outputs.weight, self.p))

    def _segment(
        self, point: FloatArray, pattern: BoolArray, follow: bool
    ) -> tuple[FloatArray, FloatArray]:
        units, outputs = self.network.piece(pattern)
        values = units(point)
        if follow:
            direction = maximal_direction(outputs.weight, self.p)
            # As far as the boundary of a unit in the middle of all, as seen from here.
            with np.errstate(divide="ignore", invalid="ignore"):
                times = np.abs(values / (units.weight @ direction))
            times = times[np.isfinite(times)]
            length = 2 * float(np.median(times)) if times.size else 0.0
            return self._clipped(point, -length * direction), self._clipped(
                point, length * direction
            )
        squares = np.sum(units.weight**2, axis=1)
        crossed = np.flatnonzero(squares > 0)
        if not crossed.size:
            return point, point
        unit = int(self.rng.choice(crossed))
        stride = self.rng.exponential(2.0)
        step = -stride * values[unit] / squares[unit] * units.weight[unit]
        return point, self._clipped(point, step)

    def _clipped(self, point: FloatArray, step: FloatArray) -> FloatArray:
        return np.clip(point + step, self.low, self.high)

    def pair(self, point: FloatArray, pattern: BoolArray) -> SampledConstant:
        """Return two points of the region of a point, along the maximal direction."""
        units, outputs = self.network.piece(pattern)
        direction = maximal_direction(outputs.weight, self.p)
        # In a side of the box there may be no room either way.
        inward = self._inner(point) - point
        point = point + min(0.5, _time_to_change(units(point), units.weight @ inward) / 2) * inward
        values, rates = units(point), units.weight @ direction
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
