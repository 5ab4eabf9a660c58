r"""Moduli of continuity by integration along paths of small balls.

Along a segment a network changes by at most the integral of its local constants, so that each
piece counts with the constant of a small ball around it, not with that of the whole.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.local.bound import Method, local_bound
from theory.lipschitz.local.checks import checked_ball, checked_points
from theory.lipschitz.pattern_jacobian import checked_norm
from theory.norms import accumulated_error
from theory.relu.network import ReluNetwork

RATIO: Final = 0.75
"""Of the radii of nested balls that follow each other."""


def certified_expansion(
    network: ReluNetwork | FeedForward,
    center: npt.ArrayLike,
    radius: float,
    p: float = 2,
    *,
    n_balls: int = 8,
    method: Method = "best",
    tolerance: float = 1e-3,
    max_units: int | None = None,
) -> float:
    r"""Bound how far a network moves from its value at a point, over a ball around it.

    For nested radii 0 = t_0 < ... < t_k = t, the segment to a point of the ball is in the ball of
    radius t_i until it has the length t_i, and

        sup_{|r| <= t} |g(z + r) - g(z)| <= sum_i L(B(z, t_i)) (t_i - t_{i-1}) <= t L(B(z, t)).

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    center : array_like, shape (n_inputs,)
    radius : float
        t, at least 0.
    p : {1, 2, inf}
        Norm of inputs and outputs.
    n_balls : int
        k, at least 1; the radii are geometric.
    method, tolerance, max_units
        Of the local bounds, as in `local_bound`.

    Raises
    ------
    ValueError
        If an input is malformed.

    Examples
    --------
    >>> late = ReluNetwork([([[1.0]], [-1.0]), ([[1.0]], [0.0])])  # z -> max(z - 1, 0)
    >>> certified_expansion(late, [0.0], 0.5), certified_expansion(late, [0.0], 2.0) < 1.5
    (0.0, True)
    """
    made = FeedForward.of(network)
    point, reach = checked_ball(made, center, radius, p)
    radii = nested_radii(reach, n_balls)
    constants = _nested_constants(made, point, radii, p, method, tolerance, max_units)
    return float(integrated(constants[None], radii)[0, -1])


def path_expansion(
    network: ReluNetwork | FeedForward,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    p: float = 2,
    *,
    n_balls: int = 8,
    method: Method = "best",
    tolerance: float = 1e-3,
    max_units: int | None = None,
) -> float:
    """Bound |g(x) - g(y)| by the local constants of small balls along the segment.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    x, y : array_like, shape (n_inputs,)
    p : {1, 2, inf}
        Norm of inputs and outputs.
    n_balls : int
        At least 1, of equal radii.
    method, tolerance, max_units
        Of the local bounds, as in `local_bound`.

    Raises
    ------
    ValueError
        If an input is malformed.

    Examples
    --------
    >>> hinge = ReluNetwork([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> round(path_expansion(hinge, [-1.0], [1.0], n_balls=5), 6)  # not 2
    1.2
    """
    made = FeedForward.of(network)
    checked_norm(p)
    first, last = checked_points(made, x, 1), checked_points(made, y, 1)
    shares = np.linspace(0.0, 1.0, _checked_count(n_balls) + 1)
    # A path over the rounded points leads from x to y like any other.
    corners = first + shares[:, None] * (last - first)
    corners[-1] = last
    up = 1 + accumulated_error(made.n_inputs + 8)
    total = 0.0
    for start, end in pairwise(corners):
        middle = start + (end - start) / 2
        length = float(np.linalg.norm(end - start, p)) * up
        if not length:
            continue
        ends = [float(np.linalg.norm(each - middle, p)) * up for each in (start, end)]
        bound = local_bound(
            made, middle, max(ends), p, method=method, tolerance=tolerance, max_units=max_units
        )
        total += bound.value * length
    return total * (1 + accumulated_error(2 * n_balls + 4))


def modulus_on_ball(
    network: ReluNetwork | FeedForward,
    center: npt.ArrayLike,
    radius: float,
    distances: npt.ArrayLike,
    p: float = 2,
    *,
    n_balls: int = 8,
    method: Method = "best",
    tolerance: float = 1e-3,
    max_units: int | None = None,
) -> FloatArray:
    r"""Bound the modulus of continuity of a network on a ball.

    A segment of length delta within the ball of radius R has at most min(delta, 2 sqrt(R^2 - s^2))
    of its length outside the concentric ball of radius s, in l2. With the constants L_i of nested
    balls of radii s_1 < ... < s_k = R, s_0 = L_0 = 0, summation by parts gives

        omega(delta) <= sum_i (L_i - L_{i-1}) min(delta, 2 sqrt(R^2 - s_{i-1}^2)).

    In l_1 and l_inf a segment may stay outside all smaller balls: omega(delta) <= L_k delta.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    center : array_like, shape (n_inputs,)
    radius : float
        R, at least 0.
    distances : array_like, shape (...)
        delta >= 0; beyond 2 R nothing is added.
    p : {1, 2, inf}
    n_balls, method, tolerance, max_units
        As for `certified_expansion`.

    Returns
    -------
    ndarray, shape (...)
        Upper ends of sup |g(x) - g(y)| over x, y in the ball with |x - y| <= delta.

    Raises
    ------
    ValueError
        If an input is malformed.

    Examples
    --------
    >>> hinge = ReluNetwork([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> modulus_on_ball(hinge, [0.0], 1.0, [0.5, 9.0]).round(6)
    array([0.5, 2. ])
    """
    made = FeedForward.of(network)
    point, reach = checked_ball(made, center, radius, p)
    deltas = np.asarray(distances, dtype=np.float64)
    if not np.all(deltas >= 0):
        raise ValueError("distances must be at least 0")
    radii = nested_radii(reach, n_balls) if p == 2 else np.array([reach])
    constants = _nested_constants(made, point, radii, p, method, tolerance, max_units)
    inner = np.concatenate([[0.0], radii[:-1]])
    outside = 2 * np.sqrt((reach - inner) * (reach + inner)) * (1 + 2.0**-48)
    steps = np.diff(constants, prepend=0.0) * (1 + 2.0**-50)
    total = (steps * np.minimum(deltas[..., None], outside)).sum(axis=-1)
    return np.asarray(total * (1 + accumulated_error(n_balls + 8)))


def nested_radii(radius: float, count: int) -> FloatArray:
    """Return geometric radii up to a given one, ascending, shape (count,)."""
    radii = radius * RATIO ** np.arange(_checked_count(count) - 1, -1, -1.0)
    radii[-1] = radius
    return np.asarray(radii)


def integrated(constants: FloatArray, radii: FloatArray) -> FloatArray:
    """Return sum_{j <= i} L_j (t_j - t_{j-1}), rounded up, for each i.

    Parameters
    ----------
    constants : ndarray, shape (n, k)
        Of the balls of each radius.
    radii : ndarray, shape (k,)
        Ascending.

    Returns
    -------
    ndarray, shape (n, k)

    Examples
    --------
    >>> integrated(np.array([[1.0, 2.0]]), np.array([1.0, 3.0])).round(6)
    array([[1., 5.]])
    """
    # A ball has no larger constant than one that holds it.
    least = np.minimum.accumulate(constants[:, ::-1], axis=1)[:, ::-1]
    sums = np.cumsum(least * np.diff(radii, prepend=0.0), axis=1)
    return np.asarray(sums * (1 + 2 * accumulated_error(len(radii) + 4)))


def _nested_constants(
    network: FeedForward,
    center: FloatArray,
    radii: Sequence[float] | FloatArray,
    p: float,
    method: Method,
    tolerance: float,
    max_units: int | None,
) -> FloatArray:
    """Return constants of the balls of ascending radii, ascending, shape (k,)."""
    found = [
        local_bound(
            network, center, radius, p, method=method, tolerance=tolerance, max_units=max_units
        ).value
        for radius in radii
    ]
    return np.asarray(np.minimum.accumulate(found[::-1])[::-1])


def _checked_count(count: int) -> int:
    if isinstance(count, bool) or count != int(count) or count < 1:
        raise ValueError(f"n_balls must be a whole number of at least 1, got {count!r}")
    return int(count)
