"""A label to be reached from a point by changing few of its coordinates, within a box."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.hamming.limits import Box, box_ends
from theory.relu.layer import AffineMap
from theory.relu.network import ReluNetwork

MARGIN = 1e-6
"""Least lead of the target's output over all others with which it counts as the label."""


class Classifier(Protocol):
    """Outputs and their first-order expansion: all that a search needs.

    A `ReluNetwork` is one, and its expansion is exact in a region; a smooth network is another.
    """

    @property
    def n_inputs(self) -> int:
        """The number of input coordinates."""
        ...

    @property
    def n_outputs(self) -> int:
        """The number of classes."""
        ...

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Return the outputs, shape (..., n_outputs), at points of shape (..., n_inputs)."""
        ...

    def affine(self, x: npt.ArrayLike) -> AffineMap:
        """Return the tangent at one point."""
        ...


@dataclass(frozen=True, eq=False)
class LabelProblem:
    """Find a point of the box that has the target as its label and few coordinates other than x.

    Attributes
    ----------
    classifier : Classifier
    x : ndarray, shape (n,)
    target : int
    low, high : ndarray, shape (n,)
        Ends of the box, possibly infinite; x is in it.
    """

    classifier: Classifier
    x: FloatArray
    target: int
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, classifier: Classifier, x: npt.ArrayLike, target: int, box: Box) -> "LabelProblem":
        """Return the problem, or raise ValueError if it makes no sense.

        Raises
        ------
        ValueError
            If x has a wrong shape, is not finite or outside the box, there is no such class, or
            the target is the label of x already.
        """
        point = np.asarray(x, dtype=np.float64)
        if point.shape != (classifier.n_inputs,):
            raise ValueError(f"x must have the shape ({classifier.n_inputs},), got {point.shape}")
        if not np.all(np.isfinite(point)):
            raise ValueError("x must be finite")
        low, high = box_ends(box, point)
        if isinstance(target, bool) or not 0 <= target < classifier.n_outputs:
            raise ValueError(f"target must be a class, 0 to {classifier.n_outputs - 1}: {target!r}")
        problem = cls(classifier, point, int(target), low, high)
        if int(classifier(point).argmax()) == target:
            raise ValueError(f"target {target} is the label of x already")
        return problem

    @property
    def rivals(self) -> npt.NDArray[np.intp]:
        """All classes but the target."""
        return np.delete(np.arange(self.classifier.n_outputs), self.target)

    def leads(self, outputs: FloatArray) -> FloatArray:
        """Return F_t - F_j for all rivals j, shape (..., K - 1), from outputs (..., K)."""
        return np.asarray(outputs[..., [self.target]] - outputs[..., self.rivals])

    def margin(self, points: FloatArray) -> FloatArray:
        """Return F_t - max_j F_j at points of shape (..., n): the target leads where it is > 0."""
        return np.asarray(self.leads(self.classifier(points)).min(axis=-1))

    def changed(self, point: FloatArray) -> tuple[int, ...]:
        """Return the coordinates in which a point differs from x."""
        return tuple(int(j) for j in np.flatnonzero(point != self.x))

    def restricted(self, coordinates: Sequence[int]) -> tuple[ReluNetwork, FloatArray, FloatArray]:
        """Return the network as a function of changes of a few coordinates, and their limits.

        Raises
        ------
        TypeError
            If the classifier is not piecewise linear.
        """
        if not isinstance(self.classifier, ReluNetwork):
            raise TypeError("regions need a piecewise-linear classifier, a ReluNetwork")
        at = list(coordinates)
        return (
            self.classifier.restricted(self.x, at),
            (self.low - self.x)[at],
            (self.high - self.x)[at],
        )

    def moved(self, coordinates: Sequence[int], change: FloatArray) -> FloatArray:
        """Return x with a few coordinates changed, clipped to the box against rounding."""
        at, point = list(coordinates), self.x.copy()
        point[at] = np.clip(point[at] + change, self.low[at], self.high[at])
        return point
