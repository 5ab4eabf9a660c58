"""Greedy searches for sets that grow little: unions of balls, complements of rectangles."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import OutOfScopeError
from theory.claims.mahloujifar2019.regions import (
    BallUnion,
    RectangleComplement,
    checked_points,
    checked_share,
    depth_in,
    l2_distances,
)
from theory.latent import checked_distance

_BEYOND = 1 + 1e-9
"""Rectangles are enlarged by a little more than the budget, so that rounding does not undo it."""


def _checked_search(points: npt.ArrayLike, mass: float, budget: float, n: int) -> FloatArray:
    checked_share(mass)
    checked_distance("budget", budget)
    if n < 1 or n != int(n):
        raise ValueError(f"the number of regions must be whole, at least 1, got {n}")
    return checked_points("points", points)


def greedy_balls(
    points: npt.ArrayLike,
    mass: float,
    budget: float,
    n_balls: int,
    *,
    rng: np.random.Generator,
    n_candidates: int = 100,
) -> BallUnion:
    """Return a union of l2 balls of enough measure whose neighbourhood is small.

    Ball by ball: around random points of the sample, the radius is the least that brings the union
    to its share of the measure, and the centre is the one whose ball makes the union grow least.

    Parameters
    ----------
    points : array_like, shape (n, d)
        Training sample.
    mass : float
        Share of it that the union must hold, in (0, 1).
    budget : float
        Radius of the neighbourhood, in l2.
    n_balls : int
        At least 1.
    rng : Generator
        Draws the candidate centres.
    n_candidates : int
        Centres tried for each ball; all points where there are fewer.

    Raises
    ------
    ValueError
        If the points are not finite or none, or a number is out of range.

    References
    ----------
    After Mahloujifar, Zhang, Mahmoody and Evans (2019), the search over unions of balls.

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(200, 2))
    >>> balls = greedy_balls(points, 0.1, 0.5, 2, rng=np.random.default_rng(1))
    >>> int(np.count_nonzero(balls.distance(points) <= 0)) >= 20
    True
    """
    seen = _checked_search(points, mass, budget, n_balls)
    n = len(seen)
    to_union = np.full(n, np.inf)
    centres, radii = [], []
    for ball in range(1, n_balls + 1):
        missing = int(np.ceil(mass * n * ball / n_balls)) - int(np.count_nonzero(to_union <= 0))
        if missing <= 0:
            continue
        tried = seen[rng.choice(n, min(n_candidates, n), replace=False)]
        distances = l2_distances(tried, seen)
        outside = np.where(to_union > 0, distances, np.inf)
        radius = np.partition(outside, missing - 1, axis=1)[:, missing - 1]
        gaps = np.maximum(distances - radius[:, None], 0.0)
        grown = np.count_nonzero(np.minimum(gaps, to_union) <= budget, axis=1)
        best = int(np.argmin(grown))
        to_union = np.minimum(to_union, gaps[best])
        centres.append(tried[best])
        radii.append(radius[best])
    return BallUnion(np.array(centres), np.array(radii))


def greedy_rectangles(
    points: npt.ArrayLike,
    mass: float,
    budget: float,
    n_rectangles: int,
    *,
    rng: np.random.Generator,
    n_candidates: int = 20,
) -> RectangleComplement:
    """Return the complement of a union of rectangles, of enough measure and with small growth.

    Rectangle by rectangle: the box of the points nearest to a random point of the sample is
    enlarged by the budget; it takes as many points as leave outside of the union the share that is
    asked for, and the best centre is the one whose boxes hold most points deeper than the budget.

    Parameters
    ----------
    points : array_like, shape (n, d)
        Training sample.
    mass : float
        Share of it that must lie outside of the rectangles, in (0, 1).
    budget : float
        Radius of the neighbourhood, in l_inf.
    n_rectangles : int
        At least 1.
    rng, n_candidates
        As in `greedy_balls`.

    Raises
    ------
    OutOfScopeError
        If not even the smallest box leaves enough points outside.
    ValueError
        If the points are not finite or none, or a number is out of range.

    References
    ----------
    After Mahloujifar, Zhang, Mahmoody and Evans (2019), the search over rectangles.

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(200, 2))
    >>> outside = greedy_rectangles(points, 0.1, 0.2, 2, rng=np.random.default_rng(1))
    >>> int(np.count_nonzero(outside.distance(points) <= 0)) >= 20
    True
    """
    seen = _checked_search(points, mass, budget, n_rectangles)
    n, margin = len(seen), budget * _BEYOND
    depth = np.full(n, -np.inf)
    corners = []
    for rectangle in range(1, n_rectangles + 1):
        allowed = int(np.floor((1.0 - mass) * n * rectangle / n_rectangles))
        best = None
        for centre in seen[rng.choice(n, min(n_candidates, n), replace=False)]:
            near = seen[np.argsort(np.abs(seen - centre).max(axis=1), kind="stable")]
            found = _largest_box(near, seen, depth, margin, allowed)
            if found is None:
                continue
            deep = np.count_nonzero(np.maximum(depth, found[2]) > budget)
            if best is None or deep > best[0]:
                best = deep, found
        if best is not None:
            corners.append(best[1][:2])
            depth = np.maximum(depth, best[1][2])
    if not corners:
        raise OutOfScopeError(f"every box enlarged by {budget} leaves less than {mass} outside")
    lower, upper = (np.array(corner) for corner in zip(*corners, strict=True))
    return RectangleComplement(lower, upper)


def _largest_box(
    near: FloatArray, points: FloatArray, depth: FloatArray, margin: float, allowed: int
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return corners, and depths of the points, of the largest box that the union may take."""
    best, low, high = None, 1, len(near)
    while low <= high:
        k = (low + high) // 2
        lower, upper = near[:k].min(axis=0) - margin, near[:k].max(axis=0) + margin
        here = depth_in(points, lower, upper)
        # A point on the boundary has depth 0 and belongs to the complement's closure.
        if np.count_nonzero(np.maximum(depth, here) > 0) <= allowed:
            best, low = (lower, upper, here), k + 1
        else:
            high = k - 1
    return best
