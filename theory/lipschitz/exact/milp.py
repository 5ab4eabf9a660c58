r"""Lipschitz constants l_1 -> l_1 and l_inf -> l_inf in a box as mixed-integer linear programmes.

The derivative of one output (l_inf), or along one input (l_1), is carried through the layers; it
shares its binaries, the phases, with the point at which it is taken. Big constants come from
interval bounds of pre-activations and derivatives.
"""

import time
from typing import NamedTuple

import numpy as np
from scipy import optimize

from theory.arrays import FloatArray
from theory.lipschitz.exact.constant import LipschitzConstant, norm_at
from theory.lipschitz.exact.slopes import SlopeNorms
from theory.lipschitz.sampled import sampled_constant
from theory.relu.bounds import interval_bounds
from theory.relu.layer import BoolArray, dense
from theory.relu.network import ReluNetwork
from theory.relu.region import Region

_TOLERANCE = 1e-6
"""Part of the interval bound that the solver's tolerances are granted."""


class _Vector(NamedTuple):
    """Affine functions of the columns, and ends of their values."""

    weights: FloatArray
    shifts: FloatArray
    lower: FloatArray
    upper: FloatArray

    def mapped(self, matrix: FloatArray) -> "_Vector":
        """Return matrix @ self."""
        positive, negative = np.maximum(matrix, 0.0), np.minimum(matrix, 0.0)
        return _Vector(
            matrix @ self.weights,
            matrix @ self.shifts,
            positive @ self.lower + negative @ self.upper,
            positive @ self.upper + negative @ self.lower,
        )

    def scaled(self, factor: FloatArray) -> "_Vector":
        """Return diag(factor) @ self."""
        return self.mapped(np.diag(factor))


class PhaseProgramme:
    """A programme whose binaries are the phases of the units that have either one in a box.

    Parameters
    ----------
    network : ReluNetwork
    p : {1, inf}
    low, high : ndarray, shape (n_inputs,)
        Ends of the box, finite.
    """

    def __init__(self, network: ReluNetwork, p: float, low: FloatArray, high: FloatArray) -> None:
        self._network, self._p, self._low, self._high = network, p, low, high
        self._bounds = interval_bounds(network, low, high)
        ends = self._bounds.units
        self._opened = self._bounds.undecided
        self._on = ends.lower > 0
        known = np.where(self._on, 1.0, network.slopes)
        open_now = np.isin(np.arange(network.n_units), self._opened)
        self._least = np.where(open_now, np.minimum(network.slopes, 1.0), known)
        self._most = np.where(open_now, np.maximum(network.slopes, 1.0), known)
        self._starts = np.cumsum([0, *(len(layer.hinges) for layer in network.layers)])
        self._n, self._u = network.n_inputs, len(self._opened)
        self._k = network.n_inputs if p == np.inf else network.n_outputs
        # Columns: the point; positive parts, phases and products of open units; absolute values
        # of the derivatives and their signs.
        self._width = self._n + 3 * self._u + 2 * self._k

    def run(self, deadline: float) -> LipschitzConstant:
        """Solve a programme for each output or input until the time is over.

        Raises
        ------
        ValueError
            If no point off all boundaries was found.
        RuntimeError
            If the solver failed.
        """
        norms = SlopeNorms(self._network, self._p)
        most = float(norms.upper(self._least[None], self._most[None])[0])
        lower, witness = -1.0, None
        middle = self._low + (self._high - self._low) / 2
        found = sampled_constant(self._network, [middle], self._p, box=(self._low, self._high))
        points = [middle, (found.x + found.y) / 2]
        upper, nodes = 0.0, 0
        for index in range(self._network.n_outputs if self._p == np.inf else self._n):
            for point in points:
                norm = norm_at(self._network, point, self._p)
                if norm is not None and norm > lower:
                    lower, witness = norm, point
            bound, pattern, count = self._solved(index, lower, deadline)
            nodes += count
            upper = max(upper, min(bound, most))
            points = [] if pattern is None else self._inside(pattern)
        for point in points:
            norm = norm_at(self._network, point, self._p)
            if norm is not None and norm > lower:
                lower, witness = norm, point
        if witness is None:
            raise ValueError("no point of the box was found off the boundaries of all regions")
        lower = max(lower, 0.0)
        widened = min(upper + _TOLERANCE * most, most)
        return LipschitzConstant(lower, max(widened, lower), witness, nodes)

    def _inside(self, pattern: BoolArray) -> list[FloatArray]:
        """Return the point of a pattern's region that is farthest from its sides, if it has any."""
        try:
            region = Region.of(self._network.piece(pattern), pattern, (self._low, self._high))
        except ValueError:
            return []
        return [np.clip(region.ball.center, self._low, self._high)]

    def _solved(
        self, index: int, least: float, deadline: float
    ) -> tuple[float, BoolArray | None, int]:
        """Return an upper end of one derivative's norm, a pattern that has it, number of nodes."""
        rows, limits = self._forward()
        derivative = self._derivative(index, rows, limits)
        n, u, k = self._n, self._u, self._k
        width = self._width
        absolute = n + 3 * u + np.arange(k)
        sign = absolute + k
        size = np.maximum(np.abs(derivative.lower), np.abs(derivative.upper))
        for i in range(k):
            for turn, end in ((1.0, derivative.lower[i]), (-1.0, -derivative.upper[i])):
                # |g| <= turn g + what the other sign may be off.
                gap = 2 * max(-end, 0.0)
                row = np.zeros(width)
                row[absolute[i]] = 1.0
                row -= turn * derivative.weights[i]
                row[sign[i]] += gap * turn
                rows.append(row)
                limits.append(turn * derivative.shifts[i] + (gap if turn > 0 else 0.0))
        lower, upper = np.zeros(width), np.ones(width)
        lower[:n], upper[:n] = self._low, self._high
        ends = self._bounds.units
        lower[n : n + 3 * u : 3] = 0.0
        upper[n : n + 3 * u : 3] = ends.upper[self._opened]
        lower[n + 2 : n + 3 * u : 3], upper[n + 2 : n + 3 * u : 3] = -np.inf, np.inf
        upper[absolute] = size
        cost = np.zeros(width)
        cost[absolute] = -1.0
        # Only values above those that are known are of interest.
        rows.append(cost)
        limits.append(-max(least, 0.0))
        whole = np.zeros(width, dtype=np.int64)
        whole[n + 1 : n + 3 * u : 3] = 1
        whole[sign] = 1
        left = deadline - time.monotonic()
        interval = float(size.sum()) * (1 + 1e-9)
        if left <= 0:
            return interval, None, 0
        found = optimize.milp(
            cost,
            integrality=whole,
            bounds=optimize.Bounds(lower, upper),
            constraints=optimize.LinearConstraint(np.array(rows), -np.inf, np.array(limits)),
            options={"time_limit": left, "mip_rel_gap": 1e-9},
        )
        nodes = int(found.mip_node_count or 0)
        if found.status == 2:
            return max(least, 0.0), None, nodes
        if found.status not in (0, 1):
            raise RuntimeError(f"HiGHS gave up with status {found.status}: {found.message}")
        bound = interval if found.mip_dual_bound is None else -float(found.mip_dual_bound)
        bound = max(bound if np.isfinite(bound) else interval, least, 0.0)
        if found.x is None:
            return min(bound, interval), None, nodes
        pattern = self._on.copy()
        pattern[self._opened] = found.x[n + 1 : n + 3 * u : 3] > 0.5
        return min(bound, interval), pattern, nodes

    def _forward(self) -> tuple[list[FloatArray], list[float]]:
        """Return rows and limits of the point and its phases: row @ columns <= limit."""
        rows: list[FloatArray] = []
        limits: list[float] = []
        state, shift = np.eye(self._n, self._width), np.zeros(self._n)
        ends = self._bounds.units
        for i, layer in enumerate(self._network.layers):
            weight = dense(layer.weight)
            state, shift = weight @ state, weight @ shift + layer.bias
            for unit, at in enumerate(layer.hinges, start=int(self._starts[i])):
                slope = layer.slope[at]
                column = self._column(unit)
                if column is None:
                    scale = 1.0 if self._on[unit] else slope
                    state[at], shift[at] = scale * state[at], scale * shift[at]
                    continue
                low, high = ends.lower[unit], ends.upper[unit]
                part, phase = np.zeros(self._width), np.zeros(self._width)
                part[column], phase[column + 1] = 1.0, 1.0
                rows += [state[at] - part, part - high * phase, part - state[at] - low * phase]
                limits += [-shift[at], 0.0, shift[at] - low]
                state[at] = slope * state[at] + (1 - slope) * part
                shift[at] = slope * shift[at]
        return rows, limits

    def _column(self, unit: int) -> int | None:
        """Return the first of an open unit's three columns."""
        place = int(np.searchsorted(self._opened, unit))
        is_open = place < self._u and self._opened[place] == unit
        return self._n + 3 * place if is_open else None

    def _derivative(self, index: int, rows: list[FloatArray], limits: list[float]) -> _Vector:
        """Return one output's or input's derivative; rows of its products are added."""
        network = self._network
        backward = self._p == np.inf
        start = np.eye(network.n_outputs if backward else self._n)[index]
        vector = _Vector(np.zeros((len(start), self._width)), start, start, start)
        order = range(len(network.layers))
        for i in reversed(order) if backward else order:
            weight = dense(network.layers[i].weight)
            if backward:
                vector = self._sloped(i, vector, rows, limits).mapped(weight.T)
            else:
                vector = self._sloped(i, vector.mapped(weight), rows, limits)
        return vector

    def _sloped(
        self, i: int, vector: _Vector, rows: list[FloatArray], limits: list[float]
    ) -> _Vector:
        """Return a derivative times the slopes of a layer."""
        layer = self._network.layers[i]
        weights, shifts = vector.weights.copy(), vector.shifts.copy()
        lower, upper = vector.lower.copy(), vector.upper.copy()
        for unit, at in enumerate(layer.hinges, start=int(self._starts[i])):
            slope, column = layer.slope[at], self._column(unit)
            low, high = vector.lower[at], vector.upper[at]
            if column is None:
                scale = 1.0 if self._on[unit] else slope
                weights[at], shifts[at] = scale * weights[at], scale * shifts[at]
                ends = scale * low, scale * high
            else:
                product, phase = np.zeros(self._width), np.zeros(self._width)
                product[column + 2], phase[column + 1] = 1.0, 1.0
                whole, offset = weights[at].copy(), float(shifts[at])
                rows += [
                    product - high * phase,
                    low * phase - product,
                    product - whole - low * phase,
                    whole - product + high * phase,
                ]
                limits += [0.0, 0.0, offset - low, high - offset]
                weights[at] = slope * whole + (1 - slope) * product
                shifts[at] = slope * offset
                ends = (
                    min(slope * low, slope * high, low, high),
                    max(slope * low, slope * high, low, high),
                )
            lower[at], upper[at] = min(ends), max(ends)
        return _Vector(weights, shifts, lower, upper)
