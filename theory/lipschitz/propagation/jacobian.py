"""Bounds on the Jacobian of a network on a set, from the slopes that its units have there.

On a convex set the difference of two outputs is a product of weights and of secant slopes times
that of the inputs, so that what bounds all such products bounds the Lipschitz constant, too.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.semidefinite.problem import SlopeEnds
from theory.norms import accumulated_error, operator_norm
from theory.relu.bounds import Ends
from theory.relu.layer import Matrix, dense
from theory.relu.network import ReluNetwork

_TINY: Final = float(np.finfo(np.float64).tiny)
_LEAST: Final = 2.0**-800
"""Entries below it are taken to be it: norms are proved within the range of their squares."""


def slope_ends(network: ReluNetwork | FeedForward, ends: Sequence[Ends]) -> list[SlopeEnds]:
    """Return least and largest slopes of the units of each stage, the last one included.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    ends : sequence of Ends
        Of the pre-activations of each stage, each of shape (..., m).

    Returns
    -------
    list of SlopeEnds
        One a stage, each of shape (..., m).

    Raises
    ------
    ValueError
        If there is not one pair of ends for each stage, of its number of units.

    Examples
    --------
    >>> hinges = ReluNetwork([([[1.0], [1.0]], [0.0, 3.0]), ([[1.0, 1.0]], [0.0])])
    >>> ends = [Ends(np.array([-1.0, 2.0]), np.array([1.0, 4.0])), Ends(np.zeros(1), np.ones(1))]
    >>> [least.tolist() for least, _ in slope_ends(hinges, ends)]
    [[0.0, 1.0], [1.0]]
    """
    made = FeedForward.of(network)
    if len(ends) != len(made.stages):
        raise ValueError(f"{len(made.stages)} stages need as many ends, got {len(ends)}")
    found = []
    for i, (stage, (lower, upper)) in enumerate(zip(made.stages, ends, strict=True)):
        m = stage.weight.shape[0]
        if np.shape(lower) != np.shape(upper) or np.shape(lower)[-1:] != (m,):
            raise ValueError(
                f"the ends of stage {i} must have the shape (..., {m}),"
                f" got {np.shape(lower)} and {np.shape(upper)}"
            )
        least, most = stage.activation.slopes(lower, upper)
        shape = np.shape(lower)
        found.append(SlopeEnds(np.broadcast_to(least, shape), np.broadcast_to(most, shape)))
    return found


def interval_jacobian(network: ReluNetwork | FeedForward, slopes: Sequence[SlopeEnds]) -> Ends:
    """Return entrywise ends of all products of weights and slopes, shape (n_outputs, n_inputs).

    Interval matrices are multiplied from the side of fewer coordinates, as a centre and a radius:
    exact but for what an entry that is met twice may be each time, and for rounding, which is in
    the ends.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    slopes : sequence of SlopeEnds
        One a stage, each of shape (m,).

    Raises
    ------
    ValueError
        If the slopes do not fit, or values leave the range of double precision.

    References
    ----------
    Weng et al., Towards Fast Computation of Certified Robustness for ReLU Networks (ICML 2018),
    section 3.4; Rump, Fast and parallel interval arithmetic, BIT 39 (1999), for the products.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> free = SlopeEnds(np.zeros(2), np.ones(2))
    >>> lower, upper = interval_jacobian(absolute, [free, SlopeEnds(np.ones(1), np.ones(1))])
    >>> lower.round(9).tolist(), upper.round(9).tolist()
    ([[-1.0]], [[1.0]])
    """
    made = FeedForward.of(network)
    shapes = [(stage.weight.shape[0],) for stage in made.stages]
    if [np.shape(each.least) for each in slopes] != shapes:
        raise ValueError(f"slope ends must have the shapes {shapes}, one a stage")
    weights: list[Any] = [stage.weight for stage in made.stages]
    scales = list(slopes[:-1])
    # From the outputs on: J^T = W_1^T D_1 ... W_L^T D_L.
    transposed = made.n_outputs < made.n_inputs
    if transposed:
        weights, scales = [each.T for each in reversed(weights)], scales[::-1]
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        found = _Intervals.of(weights[0])
        for weight, scale in zip(weights[1:], scales, strict=True):
            found = found.rows_scaled(scale).mapped(weight)
        # The last slopes are common factors of whole rows: they come last either way.
        found = found.transposed if transposed else found
        ends = found.rows_scaled(slopes[-1]).ends
    if not (np.all(np.isfinite(ends.lower)) and np.all(np.isfinite(ends.upper))):
        raise ValueError("the network's Jacobian leaves the range of double precision")
    return ends


def jacobian_norm_upper(
    network: ReluNetwork | FeedForward,
    ends: Sequence[Ends],
    p: float = 2,
    q: float | None = None,
) -> float:
    """Return an upper bound on the Lipschitz constant l_p -> l_q where pre-activations lie in ends.

    The least of two bounds on the norms of all matrices in the interval Jacobian: the norm of the
    largest absolute values, and the sum of the norms of its centre and of its radius.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    ends : sequence of Ends
        Of the pre-activations of each stage on a convex set, each of shape (m,).
    p : float
        In [1, inf].
    q : float, optional
        By default p.

    Raises
    ------
    ValueError
        If ends or norms are malformed, or values leave the range of double precision.

    Examples
    --------
    >>> line = ReluNetwork([([[3.0, 4.0]], [0.0])])
    >>> round(jacobian_norm_upper(line, [Ends(-np.ones(1), np.ones(1))], 2), 9)
    5.0
    """
    to = p if q is None else q
    lower, upper = interval_jacobian(network, slope_ends(network, ends))
    size = np.maximum(np.abs(lower), np.abs(upper))
    largest = operator_norm(np.where(size > 0, np.maximum(size, _LEAST), 0.0), p, to).upper
    center = lower / 2 + upper / 2
    center = np.where(np.abs(center) < _LEAST, 0.0, center)
    radius = np.nextafter(np.maximum(upper - center, center - lower), np.inf)
    radius = np.where((lower < center) | (upper > center), np.maximum(radius, _LEAST), 0.0)
    parted = operator_norm(center, p, to).upper + operator_norm(radius, p, to).upper
    return float(min(largest, np.nextafter(parted, np.inf)))


class _Intervals(NamedTuple):
    """All matrices with |J - center| <= radius, entry by entry."""

    center: FloatArray
    radius: FloatArray

    @classmethod
    def of(cls, weight: Matrix) -> "_Intervals":
        exact = dense(weight)
        return cls(exact, np.zeros_like(exact))

    @property
    def ends(self) -> Ends:
        lower, upper = self.center - self.radius, self.center + self.radius
        exact = self.radius == 0
        return Ends(
            np.where(exact, lower, np.nextafter(lower, -np.inf)),
            np.where(exact, upper, np.nextafter(upper, np.inf)),
        )

    @property
    def transposed(self) -> "_Intervals":
        return _Intervals(self.center.T, self.radius.T)

    def mapped(self, weight: Matrix) -> "_Intervals":
        """Return weight @ J."""
        left: Any = weight
        gamma = 2 * accumulated_error(int(weight.shape[1]) + 4)
        spread = self.radius * (1 + gamma) + gamma * (np.abs(self.center) + self.radius)
        radius = np.asarray(abs(left) @ spread) + _TINY
        return _Intervals(np.asarray(left @ self.center), radius)

    def rows_scaled(self, slopes: SlopeEnds) -> "_Intervals":
        """Return D J for all diagonal matrices D in the range."""
        least, most = slopes.least[:, None], slopes.most[:, None]
        lower, upper = self.ends
        products = [end * slope for end in (lower, upper) for slope in (least, most)]
        low, high = np.minimum.reduce(products), np.maximum.reduce(products)
        center = low / 2 + high / 2
        radius = np.maximum(high - center, center - low)
        # Four roundings, of values that the ends do not exceed; none of slopes 0 and 1.
        rounded = ~((least == most) & ((least == 0) | (least == 1)))
        error = 4 * accumulated_error(2) * np.maximum(np.abs(low), np.abs(high)) + _TINY
        one = (least == 1) & (most == 1)
        return _Intervals(
            np.where(one, self.center, center),
            np.where(one, self.radius, np.where(rounded, radius + error, 0.0)),
        )
