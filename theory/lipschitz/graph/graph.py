"""Networks as directed acyclic graphs of operators on real tensors, without their biases.

A graph says how fast outputs may change, not what they are: constants that are added are left out.
"""

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from theory.lipschitz.graph.linear import checked_matrix, finite
from theory.lipschitz.graph.nonlinear import Elementwise, Maximum, Nonexpansive
from theory.lipschitz.graph.operators import (
    Channelwise,
    Concatenation,
    DescribedLayer,
    Node,
    Operator,
    Scale,
    Selection,
    Shape,
    Sum,
)
from theory.lipschitz.layers import Convolution, folded, output_shape
from theory.relu.layer import Matrix


class Graph:
    """A network in the making: every method adds a node and returns its index.

    Node 0 is the input; the output is the node that was added last, unless `output` is set.

    Parameters
    ----------
    input_shape : tuple of int
        Without a batch axis.

    Attributes
    ----------
    nodes : list of Node
        Every node comes after its sources.
    output : int

    Raises
    ------
    ValueError
        If shapes do not fit, a weight is not finite or a slope is not bounded; the node is named.

    Examples
    --------
    >>> graph = Graph((2,))
    >>> hidden = graph.activation(graph.layer(0, [[3.0, 0.0], [0.0, 1.0]]), 0, 1)
    >>> block = graph.add([0, hidden])  # x + relu(W x)
    >>> graph.nodes[block].shape, graph.output == block
    ((2,), True)
    """

    def __init__(self, input_shape: Sequence[int]) -> None:
        shape = tuple(int(side) for side in input_shape)
        if not shape or min(shape) < 1:
            raise ValueError(f"the input's shape needs sides of at least 1, got {shape}")
        self.nodes = [Node("input", shape, None, ())]
        self._output: int | None = None

    @property
    def output(self) -> int:
        """The index of the output."""
        return len(self.nodes) - 1 if self._output is None else self._output

    @output.setter
    def output(self, node: int) -> None:
        self._output = self._checked(node)

    def layer(
        self,
        source: int,
        layer: Any,  # noqa: ANN401
        *,
        relative_error: float = 0.0,
        name: str = "layer",
    ) -> int:
        """Add a layer; its bias, if any, changes nothing.

        Parameters
        ----------
        source : int
        layer : array_like, scipy.sparse matrix or description of `theory.lipschitz.layers`
            A matrix (m, n) acts on the flattened source where that has n entries, else on its last
            axis.
        relative_error : float
            Bound on the relative errors of a matrix that was computed rather than given.
        name : str
        """
        shape = self._shape(source)
        if is_dataclass(layer):
            try:
                after = output_shape(layer, shape)
            except ValueError as error:
                raise ValueError(f"'{name}': {error}") from None
            return self._add(name, after, DescribedLayer(layer), source)
        matrix = checked_matrix(layer, f"'{name}'")
        m, n = matrix.shape
        if n == prod(shape):
            after = (m,)
        elif n == shape[-1]:
            after = (*shape[:-1], m)
        else:
            raise ValueError(f"'{name}' takes {n} values, its source has the shape {shape}")
        return self._add(name, after, DescribedLayer(matrix, relative_error), source)

    def channelwise(
        self,
        source: int,
        matrix: Any,  # noqa: ANN401
        spatial: Sequence[int],
        *,
        relative_error: float = 0.0,
        name: str = "channelwise",
    ) -> int:
        """Add one linear map, shape (output positions, positions), on every channel.

        Parameters
        ----------
        source : int
            Of the shape (channels, ...).
        matrix : array_like or scipy.sparse matrix
        spatial : sequence of int
            Shape of the output positions.
        relative_error : float
        name : str
        """
        checked = checked_matrix(matrix, f"'{name}'")
        after = self._by_channel(source, checked, spatial, name)
        return self._add(name, after, Channelwise(checked, relative_error), source)

    def scale(
        self,
        source: int,
        factors: npt.ArrayLike,
        *,
        relative_error: float = 0.0,
        name: str = "scale",
    ) -> int:
        """Add a product with numbers that broadcast to the shape of the source."""
        given = np.asarray(factors, dtype=np.float64)
        finite(np.atleast_1d(given))
        shape = self._shape(source)
        if given.size > 1:
            try:
                given = np.broadcast_to(given, shape).ravel()
            except ValueError:
                raise ValueError(
                    f"'{name}' has factors of shape {given.shape}, its source has {shape}"
                ) from None
        operator = Scale(given if given.size > 1 else given.reshape(()), relative_error)
        return self._add(name, shape, operator, source)

    def scale_channels(
        self,
        source: int,
        factors: npt.ArrayLike,
        *,
        relative_error: float = 0.0,
        name: str = "channel scale",
    ) -> int:
        """Add a product with one number for each channel, shape (channels,).

        Behind a convolution it is folded into a copy of that: the norm of both together is taken.
        """
        node = self.nodes[self._checked(source)]
        given = np.asarray(factors, dtype=np.float64)
        if given.shape != node.shape[:1]:
            raise ValueError(f"'{name}' needs {node.shape[0]} factors, got the shape {given.shape}")
        finite(given)
        operator = node.operator
        if isinstance(operator, DescribedLayer) and isinstance(operator.layer, Convolution):
            both = folded(operator.layer, scale_after=given)
            both = replace(both, rounding=both.rounding + (1 + both.rounding) * relative_error)
            return self._add(
                f"{node.name}, {name}", node.shape, DescribedLayer(both), *node.sources
            )
        spread = given.reshape(-1, *(1 for _ in node.shape[1:]))
        return self.scale(source, spread, relative_error=relative_error, name=name)

    def select(
        self, source: int, entries: npt.ArrayLike, shape: Sequence[int], *, name: str = "select"
    ) -> int:
        """Add a tensor of entries of the flattened source, -1 for a constant."""
        chosen = np.asarray(entries, dtype=np.intp).ravel()
        after, n = tuple(shape), prod(self._shape(source))
        if len(chosen) != prod(after) or np.any(chosen >= n) or np.any(chosen < -1):
            raise ValueError(
                f"'{name}' needs {prod(after)} entries from -1 to {n - 1} for the shape {after}"
            )
        return self._add(name, after, Selection(chosen), source)

    def reshape(self, source: int, shape: Sequence[int], *, name: str = "reshape") -> int:
        """Add the source in another shape; return it as it is if it has that shape."""
        after = tuple(shape)
        if prod(after) != prod(self._shape(source)):
            raise ValueError(f"'{name}' cannot make {after} of the shape {self._shape(source)}")
        if after == self._shape(source):
            return source
        return self._add(name, after, Selection(), source)

    def activation(
        self, source: int, least: npt.ArrayLike, most: npt.ArrayLike, *, name: str = "activation"
    ) -> int:
        """Add an elementwise function of slopes in [least, most], numbers or one for each entry.

        Entries whose two ends are equal are linear, and stay apart from the others: they merge with
        the linear maps around them, as skip connections do that travel along a sequence of layers.
        """
        shape = self._shape(source)
        try:
            low, high = (np.asarray(end, dtype=np.float64) for end in (least, most))
            low, high = (np.broadcast_to(end, shape).ravel() for end in (low, high))
        except ValueError:
            raise ValueError(f"'{name}' has slopes that do not fit the shape {shape}") from None
        if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high)) and np.all(low <= high)):
            raise ValueError(
                f"'{name}' is an activation without slope bounds: it needs finite least <= most"
            )
        linear = np.flatnonzero(low == high)
        free = np.flatnonzero(low < high)
        if not linear.size or not free.size:
            if linear.size and np.any(low != low[0]):
                return self.scale(source, low.reshape(shape), name=name)
            return self._add(name, shape, Elementwise(float(low.min()), float(high.max())), source)
        bent = self.select(source, free, (len(free),), name=f"{name}: units with kinks")
        ends = Elementwise(float(low[free].min()), float(high[free].max()))
        bent = self._add(name, (len(free),), ends, bent)
        straight = self.select(source, linear, (len(linear),), name=f"{name}: linear units")
        if np.any(low[linear] != 1.0):
            straight = self.scale(straight, low[linear], name=f"{name}: linear units")
        both = self.concatenate([bent, straight], name=f"{name}: both")
        place = np.empty(len(low), dtype=np.intp)
        place[free], place[linear] = np.arange(len(free)), len(free) + np.arange(len(linear))
        return self.select(both, place, shape, name=name)

    def maximum(
        self,
        source: int,
        windows: Any,  # noqa: ANN401
        spatial: Sequence[int],
        *,
        name: str = "max pooling",
    ) -> int:
        """Add the largest entries of windows, shape (windows, positions), in every channel."""
        members = sparse.csr_array(windows)
        after = self._by_channel(source, members, spatial, name)
        return self._add(name, after, Maximum(members), source)

    def nonexpansive(
        self, source: int, shape: Sequence[int] | None = None, *, name: str = "nonexpansive"
    ) -> int:
        """Add a function, not elementwise, that is 1-Lipschitz in l1, l2 and linf (group sort)."""
        after = self._shape(source) if shape is None else tuple(shape)
        return self._add(name, after, Nonexpansive(), source)

    def add(
        self, sources: Sequence[int], factors: Sequence[float] | None = None, *, name: str = "sum"
    ) -> int:
        """Add factors[0] x_0 + factors[1] x_1 + ..., by default the plain sum."""
        shapes = {self._shape(each) for each in sources}
        if len(shapes) != 1:
            raise ValueError(f"'{name}' needs tensors of one shape, got {sorted(shapes)}")
        scales = tuple(float(each) for each in (factors or (1.0,) * len(sources)))
        if len(scales) != len(sources) or not np.all(np.isfinite(scales)):
            raise ValueError(f"'{name}' needs {len(sources)} finite factors, got {scales}")
        return self._add(name, next(iter(shapes)), Sum(scales), *sources)

    def concatenate(
        self, sources: Sequence[int], axis: int = 0, *, name: str = "concatenation"
    ) -> int:
        """Add tensors side by side along an axis."""
        shapes = [self._shape(each) for each in sources]
        if not shapes or not -len(shapes[0]) <= axis < len(shapes[0]):
            raise ValueError(f"'{name}' needs tensors that have an axis {axis}, got {shapes}")
        axis %= len(shapes[0])
        if len({(len(each), each[:axis], each[axis + 1 :]) for each in shapes}) != 1:
            raise ValueError(f"'{name}' needs shapes that agree but for axis {axis}, got {shapes}")
        side = sum(each[axis] for each in shapes)
        after = (*shapes[0][:axis], side, *shapes[0][axis + 1 :])
        return self._add(name, after, Concatenation(axis), *sources)

    def _add(
        self, name: str, shape: Shape, operator: Operator | Sum | Concatenation, *sources: int
    ) -> int:
        self.nodes.append(Node(name, shape, operator, sources))
        return len(self.nodes) - 1

    def _checked(self, node: int) -> int:
        if not 0 <= node < len(self.nodes):
            raise ValueError(f"node {node} is not one of the {len(self.nodes)} nodes of the graph")
        return node

    def _shape(self, node: int) -> Shape:
        return self.nodes[self._checked(node)].shape

    def _by_channel(
        self,
        source: int,
        matrix: Matrix,
        spatial: Sequence[int],
        name: str,
    ) -> Shape:
        shape, after = self._shape(source), tuple(spatial)
        m, n = matrix.shape
        if prod(shape[1:]) != n or prod(after) != m:
            raise ValueError(
                f"'{name}' maps {n} positions to {m}, not the shape {shape} to (channels, *{after})"
            )
        return (shape[0], *after)
