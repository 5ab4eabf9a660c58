"""Sets that are searched for the least growth, and the honest measurement of what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import OutOfScopeError
from theory.evidence import Interval
from theory.latent import checked_distance
from theory.statistics import clopper_pearson


class Region(Protocol):
    """A set of points, known by the distance to it."""

    def distance(self, points: FloatArray) -> FloatArray:
        """Return the distances of the points, shape (n, d), to the set: 0 inside, never too far."""
        ...


@dataclass(frozen=True)
class BallUnion:
    """A union of closed l2 balls; its distance is exact.

    Attributes
    ----------
    centres : ndarray, shape (T, d)
    radii : ndarray, shape (T,)
        At least 0, in the unit of the points.
    """

    centres: FloatArray
    radii: FloatArray

    def distance(self, points: FloatArray) -> FloatArray:
        """Return the l2 distances of the points, shape (n, d), to the union."""
        gaps = l2_distances(self.centres, points) - self.radii[:, None]
        return np.asarray(np.maximum(gaps, 0.0).min(axis=0))


@dataclass(frozen=True)
class RectangleComplement:
    """The complement of a union of closed axis-parallel rectangles, in l_inf.

    Its distance is exact for one rectangle, and for several never above the true one, so that a
    neighbourhood measured with it is never too small.

    Attributes
    ----------
    lower, upper : ndarray, shape (T, d)
        Opposite corners.
    """

    lower: FloatArray
    upper: FloatArray

    def distance(self, points: FloatArray) -> FloatArray:
        """Return the greatest depth of the points, shape (n, d), in a rectangle; 0 outside all."""
        pairs = zip(self.lower, self.upper, strict=True)
        depths = np.stack([depth_in(points, low, up) for low, up in pairs])
        return np.asarray(np.maximum(depths.max(axis=0), 0.0))


def l2_distances(centres: FloatArray, points: FloatArray) -> FloatArray:
    """Return the distances of every point to every centre, shape (T, n)."""
    # Differences, not the expanded square: that would cancel for points near a centre.
    return np.stack([np.sqrt(np.square(points - centre).sum(axis=1)) for centre in centres])


def depth_in(points: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return the l_inf distance to the boundary of a rectangle, negative outside of it."""
    return np.asarray(np.minimum(points - lower, upper - points).min(axis=1))


@dataclass(frozen=True)
class MeasuredConcentration:
    """The measure of a set and of its neighbourhood, on points that did not choose it.

    With probability 1 - alpha both intervals hold; then the concentration function h at the lower
    end of `mass_limits` is at most the upper end of `expansion_limits`: an upper estimate.

    Attributes
    ----------
    mass, expansion : float
        Shares of the test points in the set, and within the budget of it.
    mass_limits, expansion_limits : Interval
        Clopper-Pearson limits, at level alpha / 2 each.
    """

    mass: float
    expansion: float
    mass_limits: Interval
    expansion_limits: Interval


def checked_points(name: str, points: npt.ArrayLike) -> FloatArray:
    """Return points as an array of shape (n, d); raises ValueError if none, or not finite."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or not array.size or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be a finite array of shape (n, d), got {array.shape}")
    return array


def checked_share(mass: float) -> float:
    """Return the measure that a set must have; raises ValueError outside (0, 1)."""
    if not 0 < mass < 1:
        raise ValueError(f"mass must lie strictly between 0 and 1, got {mass}")
    return float(mass)


def measured_concentration(
    region: Region, points: npt.ArrayLike, budget: float, alpha: float = 0.05
) -> MeasuredConcentration:
    """Return the measure of a region and of its neighbourhood, with their confidence limits.

    Parameters
    ----------
    region : Region
        Chosen without these points.
    points : array_like, shape (n, d)
        Independent points of the law.
    budget : float
        Radius of the neighbourhood, in the metric of the region's distance.
    alpha : float
        Allowed probability that one of the two intervals misses, in (0, 1).

    Raises
    ------
    ValueError
        If the points are not finite or none, or budget or alpha are out of range.

    References
    ----------
    Clopper and Pearson, Biometrika 26 (1934).

    Examples
    --------
    >>> region = BallUnion(np.zeros((1, 1)), np.ones(1))
    >>> seen = measured_concentration(region, [[0.0], [1.5], [3.0], [-0.5]], 1.0)
    >>> seen.mass, seen.expansion
    (0.5, 0.75)
    """
    array = checked_points("points", points)
    checked_distance("budget", budget)
    distances = region.distance(array)
    counts = np.array([np.count_nonzero(distances <= 0), np.count_nonzero(distances <= budget)])
    lower, upper = clopper_pearson(counts, len(array), alpha / 2)
    inside, near = (Interval(float(a), float(b)) for a, b in zip(lower, upper, strict=True))
    mass, expansion = (counts / len(array)).tolist()
    return MeasuredConcentration(mass, expansion, inside, near)


def empirical_concentration(
    regions: Sequence[Region],
    train: npt.ArrayLike,
    test: npt.ArrayLike,
    mass: float,
    budget: float,
    alpha: float = 0.05,
) -> tuple[Region, MeasuredConcentration]:
    """Choose the region that grows least on one sample, and measure it on another.

    Parameters
    ----------
    regions : sequence of Region
        Candidates, built without the test points.
    train, test : array_like, shape (n, d)
        Independent samples of the law.
    mass : float
        Least share of the training points that a candidate must hold, in (0, 1).
    budget : float
        Radius of the neighbourhood.
    alpha : float
        As in `measured_concentration`.

    Returns
    -------
    region : Region
        Of those with enough training points, the one whose neighbourhood holds fewest.
    measured : MeasuredConcentration
        On the test points alone: an upper estimate of what concentration can prove, since other
        sets may grow less; no lower bound on the adversarial risk of any classifier.

    Raises
    ------
    OutOfScopeError
        If no candidate holds enough training points.
    ValueError
        If points, mass, budget or alpha are out of range.

    References
    ----------
    Mahloujifar, Zhang, Mahmoody and Evans (2019), Section 3, with exact limits on a second sample
    in place of those for the complexity of the family.

    Examples
    --------
    >>> one, two = (BallUnion(np.full((1, 1), c), np.full(1, 0.6)) for c in (0.5, 3.5))
    >>> points = np.arange(5.0)[:, None]
    >>> region, seen = empirical_concentration([one, two], points, points, 0.4, 0.5)
    >>> region is one, seen.expansion
    (True, 0.4)
    """
    seen = checked_points("train", train)
    checked_share(mass)
    checked_distance("budget", budget)
    grown: list[float] = []
    for region in regions:
        distances = region.distance(seen)
        enough = np.count_nonzero(distances <= 0) >= mass * len(seen)
        grown.append(float(np.count_nonzero(distances <= budget)) if enough else np.inf)
    if not np.any(np.isfinite(grown)):
        raise OutOfScopeError(f"no candidate region holds a share of {mass} of the training points")
    best = regions[int(np.argmin(grown))]
    return best, measured_concentration(best, test, budget, alpha)
