"""Operators of torch, by name, as nodes of a graph of `theory.lipschitz`.

A tensor has the shape that it has in torch for a batch of one; its node is without that axis.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from empirics.operators.affine import Setting, of_channels
from empirics.operators.circuit import mapped
from empirics.operators.graph_activations import SLOPES, activation_of
from empirics.operators.matrices import Shape, array, selection, size_of
from theory.errors import InputError
from theory.lipschitz.graph import Graph
from theory.norms import accumulated_error

ROUNDED = accumulated_error(8)
"""Relative error of averages, quotients and factors of normalisation, computed in a few steps."""


@dataclass(frozen=True)
class Tensor:
    """A node, and the shape of its tensor with the batch axis.

    Attributes
    ----------
    node : int
    shape : tuple of int
    storage : object
        What it may share with its views: an operator in place changes them all.
    """

    node: int
    shape: Shape
    storage: object = field(default_factory=object)


def node_shape(shape: Shape) -> Shape:
    """Return the shape of the node of a tensor: without a batch axis of one."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def tensors(tree: Setting) -> list[Tensor]:
    """Return the tensors among the leaves of a tree, each time that they are there."""
    found: list[Tensor] = []
    mapped(tree, lambda leaf: found.append(leaf) if isinstance(leaf, Tensor) else None)
    return found


@dataclass(frozen=True)
class NodeCall:
    """One use of an operator.

    Attributes
    ----------
    name : str
        Of the function or method.
    place : str
        Where it is in the module; the name of its node.
    graph : Graph
    function : callable
        The operator as a function of the tensors among its arguments, all else as it is.
    """

    name: str
    place: str
    graph: Graph
    function: Callable[..., Any]

    def made(self, node: int, shape: Shape) -> Tensor:
        """Return a node as a tensor of a shape."""
        if self.graph.nodes[node].shape != node_shape(shape):
            node = self.graph.reshape(node, node_shape(shape), name=self.place)
        return Tensor(node, shape)

    def moved(self, x: Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> Tensor:
        """Return what an operator makes that only moves, copies or drops entries."""
        source, _, shape = selection(function, x.shape)
        if len(source) == size_of(x.shape) and np.array_equal(source, np.arange(len(source))):
            node = self.made(x.node, shape).node
        else:
            node = self.graph.select(x.node, source, node_shape(shape), name=self.place)
        return Tensor(node, shape, x.storage)

    def spread(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Return a tensor broadcast to a shape."""
        return self.moved(x, lambda tensor: tensor.expand(*shape))


Handler = TypeVar("Handler", bound=Callable[..., Any])
NODES: dict[str, Callable[..., Any]] = {}
"""(call, *arguments of the operator) -> tensors."""


def named_node(*names: str) -> Callable[[Handler], Handler]:
    """Return a decorator that enters what it decorates as the operator of these names."""

    def decorate(handler: Handler) -> Handler:
        NODES.update(dict.fromkeys(names, handler))
        return handler

    return decorate


def activated(call: NodeCall, x: Tensor, *settings: Setting, **named: Setting) -> Tensor | None:
    """Return an elementwise activation of a tensor, None if no slopes of it are known."""
    if call.name in SLOPES:
        least, most = SLOPES[call.name]
        if call.name == "celu" and not (*settings, *named.values(), 1.0)[0] > 0:
            raise InputError("is an activation without slope bounds: celu needs alpha > 0")
        return Tensor(call.graph.activation(x.node, least, most, name=call.place), x.shape)
    activation = activation_of(call.name, *settings, **named)
    if activation is None:
        return None
    ends = activation.slopes(-np.inf, np.inf)
    low, high = (
        of_channels(torch.from_numpy(end), x.shape) if np.size(end) > 1 else end for end in ends
    )
    shape = node_shape(x.shape)
    low, high = (np.broadcast_to(end, size_of(shape)).reshape(shape) for end in (low, high))
    return Tensor(call.graph.activation(x.node, low, high, name=call.place), x.shape)


@named_node("clamp", "clip", "maximum", "minimum")
def _clamp(call: NodeCall, x: Setting, other: Setting = None, *_: Setting, **__: Setting) -> Tensor:
    both = tensors((x, other))
    if len(both) == 2:
        shape = tuple(np.broadcast_shapes(*(each.shape for each in both)))
        nodes = [call.spread(each, shape).node for each in both]
        joined = call.graph.concatenate(nodes, name=call.place)
        # |max(a, b) - max(c, d)| <= max(|a - c|, |b - d|), pair by pair.
        node = call.graph.nonexpansive(joined, node_shape(shape), name=call.place)
        return Tensor(node, shape)
    (only,) = both
    shape = tuple(call.function(torch.zeros(only.shape, dtype=torch.float64)).shape)
    whole = call.spread(only, shape)
    return Tensor(call.graph.activation(whole.node, 0.0, 1.0, name=call.place), shape)


@named_node("add", "sub", "subtract", "rsub")
def _add(call: NodeCall, a: Setting, other: Setting, *, alpha: float = 1.0) -> Tensor:
    shapes = [
        tuple(torch.as_tensor(each).shape) if not isinstance(each, Tensor) else each.shape
        for each in (a, other)
    ]
    shape = tuple(np.broadcast_shapes(*shapes))
    factors = [1.0, float(alpha)]
    if call.name in ("sub", "subtract"):
        factors[1] = -factors[1]
    if call.name == "rsub":
        factors = [-float(alpha), 1.0]
    kept = [
        (call.spread(each, shape), factor)
        for each, factor in zip((a, other), factors, strict=True)
        if isinstance(each, Tensor)
    ]
    if len(kept) == 1 and kept[0][1] == 1.0:
        return Tensor(kept[0][0].node, shape)
    nodes, scales = [each.node for each, _ in kept], [factor for _, factor in kept]
    return Tensor(call.graph.add(nodes, scales, name=call.place), shape)


@named_node("neg", "negative")
def _neg(call: NodeCall, x: Tensor) -> Tensor:
    return Tensor(call.graph.scale(x.node, -1.0, name=call.place), x.shape)


@named_node("mul", "multiply", "div", "divide", "truediv")
def _mul(call: NodeCall, a: Setting, other: Setting, **named: Setting) -> Tensor:
    dividing = call.name in ("div", "divide", "truediv")
    if (isinstance(a, Tensor) and isinstance(other, Tensor)) or (
        dividing and not isinstance(a, Tensor)
    ):
        raise InputError("multiplies or divides by an activation: it has no bounded slopes")
    if named.get("rounding_mode"):
        raise InputError("rounds: it has no bounded slopes")
    value, given = (a, other) if isinstance(a, Tensor) else (other, a)
    factor = torch.as_tensor(given, dtype=torch.float64)
    shape = tuple(np.broadcast_shapes(value.shape, tuple(factor.shape)))
    scale = (
        array(factor.expand(shape)).reshape(node_shape(shape))
        if factor.numel() > 1
        else (array(factor.reshape(())))
    )
    node = call.spread(value, shape).node
    error = 0.0
    if dividing:
        if not np.all(scale):
            raise InputError("divides by 0")
        scale, error = 1 / scale, ROUNDED
    return Tensor(call.graph.scale(node, scale, relative_error=error, name=call.place), shape)


@named_node(
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"
)
def _dropout(
    _: NodeCall, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    if training:
        raise InputError("is random: call eval()")
    return x


@named_node("identity", "contiguous", "clone", "detach", "double", "float")
def _same(_: NodeCall, x: Tensor, *__: Setting, **___: Setting) -> Tensor:
    return x


@named_node("sort", "msort", "median", "kthvalue", "topk", "amax", "amin", "max", "min")
def _ranked(call: NodeCall, x: Tensor, *settings: Setting, **named: Setting) -> Setting:
    if tensors((settings, named)):
        return _clamp(call, x, *settings, **named)
    # The k-th largest of some entries moves at most as far as the entry that moves most, and
    # sorting moves a vector no further than the vector itself.
    seen: Setting = call.function(torch.zeros(x.shape, dtype=torch.float64))
    values = seen if isinstance(seen, torch.Tensor) else seen.values
    shape = tuple(values.shape)
    if not shape or shape[0] != 1:
        raise InputError("ranks over the batch or over all entries: give a dim")
    node = call.graph.nonexpansive(x.node, node_shape(shape), name=call.place)
    made = Tensor(node, shape)
    return made if isinstance(seen, torch.Tensor) else Ranked(made, None)


class Ranked(NamedTuple):
    """Values and their indices, of which only the values have bounded slopes."""

    values: Tensor
    indices: None


@named_node(
    *("flatten", "unflatten", "reshape", "view", "squeeze", "unsqueeze", "permute", "transpose"),
    *("movedim", "expand", "repeat", "flip", "roll", "pad", "getitem", "narrow", "select"),
    *("chunk", "split", "unbind", "unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
    *("swapaxes", "swapdims", "repeat_interleave", "view_as", "reshape_as", "tile"),
)
def _selection(call: NodeCall, x: Tensor, *_: Setting, **__: Setting) -> Setting:
    made: object = call.function(torch.empty(x.shape, dtype=torch.float64))
    if isinstance(made, torch.Tensor):
        return call.moved(x, call.function)
    assert isinstance(made, Sequence)
    return tuple(call.moved(x, _part(call.function, i)) for i in range(len(made)))


def _part(function: Callable[..., Any], i: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tensor: function(tensor)[i]


@named_node("cat", "concat", "concatenate", "stack")
def _cat(call: NodeCall, given: Sequence[Any], *_: Setting, **__: Setting) -> Tensor:
    parts = tensors(given)
    edges = np.cumsum([size_of(each.shape) for each in parts])[:-1].tolist()

    def together(flat: torch.Tensor) -> torch.Tensor:
        split = torch.tensor_split(flat, edges)
        shaped = (piece.reshape(each.shape) for piece, each in zip(split, parts, strict=True))
        result: torch.Tensor = call.function(*shaped)
        return result

    flat = [call.graph.reshape(e.node, (size_of(e.shape),), name=call.place) for e in parts]
    joined = flat[0] if len(flat) == 1 else call.graph.concatenate(flat, name=call.place)
    return call.moved(Tensor(joined, call.graph.nodes[joined].shape), together)


@named_node("size", "dim", "ndimension", "numel", "getattr")
def _metadata(call: NodeCall, x: Setting, *settings: Setting) -> object:
    seen = call.function(torch.empty(x.shape, dtype=torch.float64))
    if isinstance(seen, torch.Tensor):
        raise InputError("is not known here: use permute or transpose")
    return seen
