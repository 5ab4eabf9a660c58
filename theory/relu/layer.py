"""Layers of piecewise-linear networks, and the affine maps that they make.

A layer is affine and then, unit by unit, z -> z for z > 0 and slope z otherwise. A unit of slope 1
is linear, which is how a skip connection travels along a sequence of layers. Leaky and parametric
ReLU are other slopes; hard tanh and max pooling are sums and tournaments of ReLUs.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from theory.arrays import FloatArray

Matrix: TypeAlias = "FloatArray | sparse.csr_array[np.float64, tuple[int, int]]"
"""A weight: dense, or sparse as those of convolutions are."""
BoolArray = npt.NDArray[np.bool_]


class AffineMap(NamedTuple):
    """x -> weight @ x + bias."""

    weight: FloatArray
    bias: FloatArray

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Return the values at one point, shape (n,), or at several, shape (..., n)."""
        return np.asarray(np.asarray(x, dtype=np.float64) @ self.weight.T + self.bias)


class Piece(NamedTuple):
    """All that a network computes with one activation pattern, as affine functions of its input.

    Attributes
    ----------
    units : AffineMap
        Pre-activations of the units that have two phases, in the order of the pattern.
    outputs : AffineMap
    """

    units: AffineMap
    outputs: AffineMap


@dataclass(frozen=True, eq=False)
class Layer:
    """An affine map followed by z -> z where z > 0, slope z elsewhere, unit by unit.

    Attributes
    ----------
    weight : ndarray or scipy.sparse array, shape (m, n)
    bias : ndarray, shape (m,)
    slope : ndarray, shape (m,)
        0 for a ReLU, 1 for a linear unit.

    Raises
    ------
    ValueError
        If the shapes do not fit or a value is not finite.
    """

    weight: Matrix
    bias: FloatArray
    slope: FloatArray

    def __post_init__(self) -> None:
        given: Any = self.weight
        is_sparse = bool(sparse.issparse(given))
        weight: Any = (
            sparse.csr_array(given.astype(np.float64))
            if is_sparse
            else np.asarray(given, dtype=np.float64)
        )
        if weight.ndim != 2 or 0 in weight.shape:
            raise ValueError(f"a layer's weight must have the shape (m, n), got {weight.shape}")
        object.__setattr__(self, "weight", weight)
        for name in ("bias", "slope"):
            array = np.asarray(getattr(self, name), dtype=np.float64)
            if array.shape != weight.shape[:1]:
                expected = f"({weight.shape[0]},)"
                raise ValueError(f"a layer's {name} must have the shape {expected}: {array.shape}")
            object.__setattr__(self, name, array)
        entries = weight.data if is_sparse else weight
        for name, array in (("weight", entries), ("bias", self.bias), ("slope", self.slope)):
            if not np.all(np.isfinite(array)):
                raise ValueError(f"a layer's {name} has a value that is not finite")

    @cached_property
    def hinges(self) -> npt.NDArray[np.intp]:
        """Indices of the units that have two phases."""
        return np.flatnonzero(self.slope != 1.0)

    def affine(self, states: FloatArray) -> FloatArray:
        """Return the pre-activations at states of shape (..., n)."""
        flat = states.reshape(-1, states.shape[-1])
        values = np.asarray(self.weight @ flat.T).T
        return values.reshape(*states.shape[:-1], len(self.bias)) + self.bias

    def activate(self, values: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.where(values > 0, values, self.slope * values)


def dense(weight: Matrix) -> FloatArray:
    """Return a weight as an ordinary array."""
    if isinstance(weight, np.ndarray):
        return weight
    return np.asarray(weight.toarray(), dtype=np.float64)


def magnitudes(layer: Layer) -> Matrix:
    """Return the absolute values of a weight."""
    weight: Any = layer.weight
    return cast("Matrix", abs(weight))
