"""Branch and bound over the inputs: ends of the Lipschitz constant on a ball or a box that meet."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.local.bound import Method, bound_on
from theory.lipschitz.local.checks import checked_ball, checked_box
from theory.lipschitz.local.region import jacobian_norm_lower
from theory.lipschitz.pattern_jacobian import checked_norm
from theory.lipschitz.propagation import box_ends, preactivation_ends
from theory.lipschitz.propagation.jacobian import slope_ends
from theory.norms import accumulated_error
from theory.relu.bounds import Ends
from theory.relu.network import ReluNetwork

_SAMPLES: Final = 64
_TINY: Final = 1e-300


@dataclass(frozen=True, eq=False)
class BisectedBound:
    """Ends of a Lipschitz constant l_p -> l_p on a ball or a box.

    Attributes
    ----------
    lower, upper : float
        Both are proved, rounding included.
    witness : ndarray, shape (n_inputs,)
        A point of the set whose Jacobian has at least the norm `lower`.
    n_pieces : int
        Boxes that the set was cut into.
    """

    lower: float
    upper: float
    witness: FloatArray
    n_pieces: int


def bisected_bound(
    network: ReluNetwork | FeedForward,
    center: npt.ArrayLike,
    radius: float,
    p: float = 2,
    *,
    method: Method = "best",
    tolerance: float = 1e-2,
    max_pieces: int = 256,
    max_units: int = 200,
    rng: np.random.Generator | None = None,
) -> BisectedBound:
    """Enclose the Lipschitz constant l_p -> l_p on the closed l_p ball around a point.

    The ball is covered by boxes, and the one with the largest local bound is cut in two until the
    ends meet. On a convex set no constant exceeds the largest of pieces that cover it. For a few
    inputs the ends meet; for many the pieces run out first.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    center : array_like, shape (n_inputs,)
    radius : float
        Above 0.
    p : {1, 2, inf}
        Norm of the ball, of the inputs and of the outputs.
    method : str
        Of the local bounds, as in `local_bound`.
    tolerance : float
        The relative distance of the ends at which the search stops.
    max_pieces : int
        Boxes after whose local bounds it stops otherwise.
    max_units : int
        Uncertain units up to which the method "best" solves a semidefinite bound of a piece.
    rng : numpy.random.Generator, optional
        Draws the first points of the lower end; by default one with the seed 0.

    Raises
    ------
    ValueError
        If an input is malformed or the radius is 0.

    References
    ----------
    Shi et al., Efficiently Computing Local Lipschitz Constants of Neural Networks via Bound
    Propagation (NeurIPS 2022), for branching on the inputs.

    Examples
    --------
    >>> both = ReluNetwork([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, -1.0]], [0.0])])
    >>> found = bisected_bound(both, [0.5], 2.0)
    >>> round(found.lower, 6), round(found.upper, 6)
    (1.0, 1.0)
    """
    made = FeedForward.of(network)
    point, reach = checked_ball(made, center, radius, p)
    if not reach:
        raise ValueError("a ball of radius 0 has no interior: use local_bound")
    # Rounded out, so that the box holds the ball.
    low, high = np.nextafter(point - reach, -inf), np.nextafter(point + reach, inf)
    within = _Ball(point, reach, p)
    ends = preactivation_ends(made, point, reach, p)
    search = _Search(made, p, method, tolerance, max_units, within)
    return search.run(low, high, ends, max_pieces, rng)


def bisected_box_bound(
    network: ReluNetwork | FeedForward,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    p: float = 2,
    *,
    method: Method = "best",
    tolerance: float = 1e-2,
    max_pieces: int = 256,
    max_units: int = 200,
    rng: np.random.Generator | None = None,
) -> BisectedBound:
    """Enclose the Lipschitz constant l_p -> l_p on a box, as `bisected_bound` does on a ball.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    low, high : array_like, scalars or of shape (n_inputs,)
        Finite.
    p, method, tolerance, max_pieces, max_units, rng
        As for `bisected_bound`.

    Raises
    ------
    ValueError
        If an input is malformed or the box has no interior.

    Examples
    --------
    >>> late = ReluNetwork([([[1.0]], [-1.0]), ([[3.0]], [0.0])])  # z -> 3 max(z - 1, 0)
    >>> [round(bisected_box_bound(late, 0, end).upper, 6) for end in (0.5, 2)]
    [0.0, 3.0]
    """
    made = FeedForward.of(network)
    checked_norm(p)
    lower, upper = checked_box(made, low, high)
    if np.any(lower == upper):
        j = int(np.argmax(lower == upper))
        raise ValueError(f"the box has no interior: both ends of coordinate {j} are {lower[j]}")
    ends = box_ends(made, lower, upper)
    search = _Search(made, p, method, tolerance, max_units, None)
    return search.run(lower, upper, ends, max_pieces, rng)


@dataclass(frozen=True, eq=False)
class _Ball:
    center: FloatArray
    radius: float
    p: float

    def holds(self, x: FloatArray) -> bool:
        """Whether a point is in the interior."""
        margin = 1 - accumulated_error(len(x) + 8)
        return bool(np.linalg.norm(x - self.center, self.p) < self.radius * margin)

    def misses(self, low: FloatArray, high: FloatArray) -> bool:
        """Whether a box has no point of the ball."""
        nearest = np.maximum(np.maximum(low - self.center, self.center - high), 0.0)
        margin = 1 + accumulated_error(len(low) + 8)
        return bool(np.linalg.norm(nearest, self.p) > self.radius * margin)

    def sampled(self, n: int, rng: np.random.Generator) -> FloatArray:
        directions = rng.standard_normal((n, len(self.center)))
        directions /= np.linalg.norm(directions, self.p, axis=1, keepdims=True)
        shares = rng.uniform(size=(n, 1)) ** (1 / len(self.center))
        return self.center + self.radius * shares * directions


@dataclass(frozen=True, eq=False)
class _Piece:
    low: FloatArray
    high: FloatArray
    ends: Sequence[Ends]
    bound: float


@dataclass(eq=False)
class _Search:
    network: FeedForward
    p: float
    method: Method
    tolerance: float
    max_units: int
    ball: _Ball | None
    lower: float = -1.0
    witness: FloatArray | None = None

    def run(
        self,
        low: FloatArray,
        high: FloatArray,
        ends: Sequence[Ends],
        max_pieces: int,
        rng: np.random.Generator | None,
    ) -> BisectedBound:
        if not self.tolerance > 0:
            raise ValueError(f"tolerance must be above 0, got {self.tolerance}")
        if isinstance(max_pieces, bool) or max_pieces != int(max_pieces) or max_pieces < 1:
            raise ValueError(f"max_pieces must be a whole number from 1 on, got {max_pieces!r}")
        draws = np.random.default_rng(0) if rng is None else rng
        if self.ball is None:
            samples = draws.uniform(low, high, size=(_SAMPLES, len(low)))
        else:
            samples = self.ball.sampled(_SAMPLES, draws)
        for x in (low / 2 + high / 2, *samples):
            self._try(x, low, high)
        first = _Piece(low, high, ends, self._bound(ends, inf))
        heap = [(-first.bound, 0, first)]
        numbers = count(1)
        number = 0
        while number + 2 < max_pieces and -heap[0][0] > (1 + self.tolerance) * max(self.lower, 0.0):
            parent = heapq.heappop(heap)[2]
            j = self._coordinate(parent)
            cut = parent.low[j] / 2 + parent.high[j] / 2
            if not parent.low[j] < cut < parent.high[j]:
                heapq.heappush(heap, (-parent.bound, next(numbers), parent))
                break
            for side in (0, 1):
                low, high = parent.low.copy(), parent.high.copy()
                (high if side == 0 else low)[j] = cut
                if self.ball is not None and self.ball.misses(low, high):
                    continue
                ends = box_ends(self.network, low, high, known=parent.ends)
                child = _Piece(low, high, ends, self._bound(ends, parent.bound))
                number = next(numbers)
                heapq.heappush(heap, (-child.bound, number, child))
                self._try(low / 2 + high / 2, low, high)
        if self.witness is None:
            raise AssertionError("unreachable: the middle of a set is in its interior")
        lower = max(self.lower, 0.0)
        return BisectedBound(lower, max(-heap[0][0], lower), self.witness, len(heap))

    def _bound(self, ends: Sequence[Ends], before: float) -> float:
        tolerance = min(self.tolerance / 4, 1e-3)
        found = bound_on(
            self.network, ends, self.p, self.method, tolerance, max_units=self.max_units
        )
        return min(found.value, before)

    def _try(self, x: FloatArray, low: FloatArray, high: FloatArray) -> None:
        inside = np.all((low < x) & (x < high)) if self.ball is None else self.ball.holds(x)
        if inside:
            value = jacobian_norm_lower(self.network, x, self.p)
            if value > self.lower:
                self.lower, self.witness = value, x

    def _coordinate(self, piece: _Piece) -> int:
        """Return the coordinate whose cut may tell the slopes of most units."""
        widths = piece.high - piece.low
        score = np.zeros(len(widths))
        jacobian = np.eye(len(widths))
        slopes = slope_ends(self.network, piece.ends)
        for stage, (least, most), (low, high) in zip(
            self.network.stages, slopes, piece.ends, strict=True
        ):
            jacobian = np.asarray(stage.weight @ jacobian)
            free = most > least
            # A unit's change along a coordinate, as a share of all that it may do on the piece.
            share = (most - least)[free] / np.maximum((high - low)[free], _TINY)
            score += share @ np.abs(jacobian[free])
            jacobian = ((least + most) / 2)[:, None] * jacobian
        score *= widths
        return int(np.argmax(score if score.any() else widths))
