"""Nodes of a graph, and linear operators between them with their norms in l1, l2 and linf."""

from dataclasses import dataclass, replace
from math import inf, prod, sqrt
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from theory.arrays import FloatArray
from theory.lipschitz.graph.linear import (
    LAYER_SIDE,
    MERGED_ENTRIES,
    LinearMap,
    is_sparse,
    norm_upper,
    up,
)
from theory.lipschitz.layers import (
    AdaptiveMaxPooling,
    Convolution,
    MaxPooling,
    layer_norm,
    matrix,
    output_shape,
)
from theory.norms import accumulated_error
from theory.relu.layer import Matrix

Shape = tuple[int, ...]
IntArray = npt.NDArray[np.intp]


class Operator(Protocol):
    """A map from one tensor to another."""

    @property
    def is_linear(self) -> bool:
        """Whether it is linear, up to a constant."""
        ...

    def norm(self, shape: Shape, p: float) -> float:
        """Return an upper bound on its Lipschitz constant l_p -> l_p on tensors of this shape."""
        ...

    def linear_map(self, shape: Shape) -> LinearMap | None:
        """Return it as a matrix on flattened tensors; None if it is not linear or not written."""
        ...


@dataclass(frozen=True, eq=False)
class DescribedLayer:
    """A layer by its description (a bias changes no slope).

    Attributes
    ----------
    layer : ndarray, csr_array, or description of `theory.lipschitz.layers`
        A matrix of shape (m, n) acts on the last axis, or on the flattened tensor where that has
        n entries.
    relative_error : float
        Bound on the relative errors of a matrix that was computed.
    """

    layer: Any
    relative_error: float = 0.0

    @property
    def is_linear(self) -> bool:
        """Whether it is linear: all but max pooling are."""
        return not isinstance(self.layer, MaxPooling | AdaptiveMaxPooling)

    @property
    def _is_matrix(self) -> bool:
        return isinstance(self.layer, np.ndarray) or is_sparse(self.layer)

    def norm(self, shape: Shape, p: float) -> float:
        """Return an upper bound on its norm."""
        if self._is_matrix:
            given = LinearMap.given(self.layer, self.relative_error)
            return norm_upper(given, p, largest_side=LAYER_SIDE)
        return float(layer_norm(self.layer, shape, p).upper)

    def linear_map(self, shape: Shape) -> LinearMap | None:
        """Return it as a matrix on flattened tensors, unless that has too many entries."""
        if not self.is_linear:
            return None
        if self._is_matrix:
            copies = prod(shape) // self.layer.shape[1]
            whole: Matrix = self.layer
            if copies > 1:
                whole = sparse.csr_array(sparse.kron(sparse.eye_array(copies), whole, format="csr"))
            return LinearMap.given(whole, self.relative_error)
        if not isinstance(self.layer, Convolution):
            relative_error = float(getattr(self.layer, "rounding", 0.0)) + accumulated_error(4)
            return LinearMap.given(matrix(self.layer, shape), relative_error)
        # Every weight is met once at each output position, or input position if transposed.
        ends = shape if self.layer.transposed else output_shape(self.layer, shape)
        if self.layer.weight.size * prod(ends) // len(self.layer.weight) > MERGED_ENTRIES:
            return None
        # Padding other than with zeros adds several weights up in one entry.
        relative_error = self.layer.rounding
        if self.layer.padding_mode == "zeros":
            return LinearMap.given(matrix(self.layer, shape), relative_error)
        relative_error += accumulated_error(self.layer.weight[0, 0].size)
        sizes = replace(self.layer, weight=np.abs(self.layer.weight))
        return LinearMap(matrix(self.layer, shape), relative_error * matrix(sizes, shape))


@dataclass(frozen=True, eq=False)
class Channelwise:
    """One linear map on every channel: average pooling, interpolation.

    Attributes
    ----------
    matrix : ndarray or csr_array, shape (output positions, positions)
    relative_error : float
    """

    matrix: Matrix
    relative_error: float = 0.0

    @property
    def is_linear(self) -> bool:
        """Whether it is linear."""
        return True

    def norm(self, shape: Shape, p: float) -> float:
        """Return an upper bound on its norm: that on one channel."""
        return norm_upper(LinearMap.given(self.matrix, self.relative_error), p)

    def linear_map(self, shape: Shape) -> LinearMap | None:
        """Return it as a matrix on flattened tensors."""
        return DescribedLayer(self.matrix, self.relative_error).linear_map(shape)


@dataclass(frozen=True, eq=False)
class Scale:
    """Multiplication by one number for each entry.

    Attributes
    ----------
    factors : ndarray, shape () or that of the flattened tensor
    relative_error : float
    """

    factors: FloatArray
    relative_error: float = 0.0

    @property
    def is_linear(self) -> bool:
        """Whether it is linear."""
        return True

    def norm(self, shape: Shape, p: float) -> float:
        """Return its norm, the largest absolute value."""
        largest = float(np.abs(self.factors).max(initial=0.0))
        return up(largest * (1 + self.relative_error)) if self.relative_error else largest

    def linear_map(self, shape: Shape) -> LinearMap | None:
        """Return it as a diagonal matrix."""
        diagonal = np.broadcast_to(self.factors, prod(shape))
        return LinearMap.given(sparse.csr_array(sparse.diags_array(diagonal)), self.relative_error)


@dataclass(frozen=True, eq=False)
class Selection:
    """Moves, copies and drops entries, or puts constants in.

    Attributes
    ----------
    source : ndarray of int, shape (m,), or None
        The entry that each output is, -1 for a constant; None for a mere change of shape.
    """

    source: IntArray | None = None

    @property
    def is_linear(self) -> bool:
        """Whether it is linear."""
        return True

    def _copies(self) -> int:
        if self.source is None:
            return 1
        chosen = self.source[self.source >= 0]
        return int(np.bincount(chosen).max()) if chosen.size else 0

    def norm(self, shape: Shape, p: float) -> float:
        """Return its norm, from the largest number of copies of an entry."""
        copies = self._copies()
        if copies <= 1 or p == inf:
            return float(min(copies, 1))
        return float(copies) if p == 1 else up(sqrt(copies))

    def linear_map(self, shape: Shape) -> LinearMap | None:
        """Return it as a matrix of zeros and ones."""
        n = prod(shape)
        if self.source is None:
            return LinearMap.identity(n)
        rows = np.flatnonzero(self.source >= 0)
        entries = (np.ones(len(rows)), (rows, self.source[rows]))
        matrix = sparse.csr_array(entries, shape=(len(self.source), n))
        return LinearMap(matrix, None, moves=self._copies() <= 1)


@dataclass(frozen=True, eq=False)
class Sum:
    """factors[0] x_0 + factors[1] x_1 + ... of tensors of one shape.

    Attributes
    ----------
    factors : tuple of float
    """

    factors: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Concatenation:
    """Tensors side by side along an axis.

    Attributes
    ----------
    axis : int
    """

    axis: int


@dataclass(frozen=True, eq=False)
class Node:
    """One tensor, and what makes it of others.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Without a batch axis.
    operator : Operator, Sum, Concatenation or None
        None for the input.
    sources : tuple of int
        Indices of the nodes that it is made of.
    """

    name: str
    shape: Shape
    operator: Operator | Sum | Concatenation | None
    sources: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of entries."""
        return prod(self.shape)
