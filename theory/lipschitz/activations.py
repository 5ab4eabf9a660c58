"""Activations with proved ends of their slopes, over any interval."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray


class Activation(Protocol):
    """An elementwise function with bounded slopes."""

    @property
    def name(self) -> str:
        """Its name in words."""
        ...

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        ...

    def slopes(self, lower: npt.ArrayLike, upper: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return ends of (f(a) - f(b)) / (a - b) over all a, b in [lower, upper], shape (m,).

        The ends hold in spite of rounding; -inf and inf give the global slopes.
        """
        ...


@dataclass(frozen=True, eq=False)
class LeakyReLU:
    """z -> z where z > 0, slope z elsewhere: 0 is ReLU, 1 the identity; unit by unit.

    Attributes
    ----------
    slope : ndarray, shape () or (m,)
    """

    slope: FloatArray

    @property
    def name(self) -> str:
        """Its name in words."""
        return "relu" if not np.any(self.slope) else "leaky relu"

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.where(z > 0, z, self.slope * z)

    def slopes(self, lower: npt.ArrayLike, upper: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return ends of the slopes of all secants within [lower, upper]."""
        low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
        least, most = np.minimum(self.slope, 1.0), np.maximum(self.slope, 1.0)
        below, above = high <= 0, low >= 0
        # With low >= 0 only slopes 1 are met, with high <= 0 only the other.
        at_least = np.where(above, 1.0, np.where(below, self.slope, least))
        at_most = np.where(above, 1.0, np.where(below, self.slope, most))
        return at_least, at_most
