"""From the nodes of an ONNX graph to modules of torch: what an operator is given, and makes."""

import itertools
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from empirics.given.onnx_layers import Pick
from empirics.operators.tracing import first_line
from theory.errors import InputError

Constant: TypeAlias = npt.NDArray[Any]


class Value(NamedTuple):
    """What depends on the input: a node of the graph of torch, and its shape for a batch of one."""

    node: fx.Node
    shape: tuple[int, ...]


Operand: TypeAlias = "Value | Constant | None"


@dataclass(eq=False)
class Network:
    """The graph of torch as it is made.

    Attributes
    ----------
    file : str
        For messages.
    uses : mapping from str to int
        How many operators take each tensor of the file.
    """

    file: str
    uses: Mapping[str, int]
    graph: fx.Graph = field(default_factory=fx.Graph)
    modules: dict[str, nn.Module] = field(default_factory=dict)

    def input(self, shape: tuple[int, ...]) -> Value:
        """Return the input."""
        return Value(self.graph.placeholder("x"), shape)

    def finished(self, output: Value) -> nn.Module:
        """Return the module: nn.Sequential where each operator takes what the one before makes."""
        self.graph.output(output.node)
        for node in reversed(list(self.graph.nodes)):
            if node.op in ("call_module", "call_function") and not node.users:
                self.graph.erase_node(node)
        nodes = list(self.graph.nodes)
        chain = all(
            node.op == "call_module" and node.args == (before,) and not node.kwargs
            for before, node in itertools.pairwise(nodes[:-1])
        )
        used = {str(n.target): self.modules[str(n.target)] for n in nodes if n.op == "call_module"}
        module: nn.Module = (
            nn.Sequential(OrderedDict(used)) if chain else fx.GraphModule(used, self.graph)
        )
        return module.eval().requires_grad_(False)


@dataclass(frozen=True, eq=False)
class Operation:
    """One node of the file.

    Attributes
    ----------
    network : Network
    kind, name : str
        Operator and name of the node.
    inputs : tuple of Value, ndarray or None
    names : tuple of str
        Of the inputs.
    attributes : mapping
    opset : int
    n_outputs : int
        Outputs that are taken.
    """

    network: Network
    kind: str
    name: str
    inputs: tuple[Operand, ...]
    names: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    n_outputs: int

    def refuse(self, reason: str) -> NoReturn:
        """Raise InputError that names the file and the node."""
        raise InputError(f"{self.network.file}: node '{self.name}' ({self.kind}): {reason}")

    def input(self, i: int) -> Operand:
        """Return an input, None where it is left out."""
        return self.inputs[i] if i < len(self.inputs) else None

    def value(self, i: int = 0) -> Value:
        """Return an input that depends on that of the network."""
        given = self.input(i)
        if not isinstance(given, Value):
            self.refuse(f"input {i} must depend on the network's input")
        return given

    def constant(self, i: int) -> Constant | None:
        """Return an input that does not, None where it is left out."""
        given = self.input(i)
        if isinstance(given, Value):
            self.refuse(f"input {i} must be a constant")
        return given

    def tensor(self, i: int) -> torch.Tensor:
        """Return a constant input of the network's own precision."""
        given = self.constant(i)
        if given is None:
            self.refuse(f"input {i} is missing")
        if given.dtype != np.float32:
            self.refuse(f"input {i} has the type {given.dtype}: only float32 is known")
        if not np.all(np.isfinite(given)):
            self.refuse(f"input {i} has a value that is not finite")
        return torch.from_numpy(np.array(given))

    def setting(self, name: str, i: int, default: Any = None) -> Any:  # noqa: ANN401
        """Return what is an attribute in older operator sets and the constant input i in newer."""
        if name in self.attributes:
            return self.attributes[name]
        given = self.constant(i)
        return default if given is None else given.tolist()

    def attribute(self, name: str, default: Any) -> Any:  # noqa: ANN401
        """Return an attribute."""
        return self.attributes.get(name, default)

    def axis(self, given: int, rank: int, *, batch: bool = False) -> int:
        """Return an axis counted from the front, not that of the batch."""
        axis = given + rank if given < 0 else given
        if not 0 <= axis < rank:
            self.refuse(f"axis {given} of a tensor of rank {rank}")
        if axis == 0 and not batch:
            self.refuse("works along the batch axis: each input must go its own way")
        return axis

    def applied(self, module: nn.Module, given: Value) -> Value:
        """Return what a module makes of a value."""
        network = self.network
        target = f"{re.sub('[^a-z0-9]', '', self.kind.lower())}_{len(network.modules)}"
        network.modules[target] = module.eval().requires_grad_(False)
        return Value(network.graph.call_module(target, (given.node,)), self._shape(module, given))

    def called(self, function: Callable[..., torch.Tensor], given: Sequence[Value]) -> Value:
        """Return what a function of several values makes of them."""
        node = self.network.graph.call_function(function, tuple(each.node for each in given))
        return Value(node, self._shape(function, *given))

    def joined(self, given: Sequence[Value], axis: int) -> Value:
        """Return values one behind the other."""
        node = self.network.graph.call_function(torch.cat, ([each.node for each in given], axis))
        return Value(node, self._shape(lambda *each: torch.cat(each, axis), *given))

    def reshaped(self, given: Value, shape: tuple[int, ...]) -> Value:
        """Return a value in another shape, given with the batch axis of one in front."""
        if not shape or shape[0] != 1:
            self.refuse(f"makes the shape {shape} of one input: the batch axis must stay in front")
        if shape == given.shape:
            return given
        if len(given.shape) == 1:
            self.refuse("takes a tensor that has a batch axis alone")
        flat = given if len(given.shape) == 2 else self.applied(nn.Flatten(1), given)
        if len(shape) == 1:
            return self.applied(Pick((slice(None), 0)), flat)
        return flat if len(shape) == 2 else self.applied(nn.Unflatten(1, shape[1:]), flat)

    def _shape(self, function: Callable[..., torch.Tensor], *given: Value) -> tuple[int, ...]:
        try:
            with torch.no_grad():
                made = function(*(torch.zeros(each.shape) for each in given))
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            self.refuse(f"fails on inputs of these shapes: {first_line(error)}")
        if made.ndim == 0 or made.shape[0] != 1:
            shape = tuple(made.shape)
            self.refuse(f"makes the shape {shape} of one input: the batch axis must stay in front")
        return tuple(made.shape)


Converter: TypeAlias = Callable[[Operation], "Value | Sequence[Value]"]
C = TypeVar("C", bound=Converter)
CONVERTERS: dict[str, Converter] = {}
"""By operator."""


def converts(*kinds: str) -> Callable[[C], C]:
    """Return a decorator that enters what it decorates as the converter of these operators."""

    def decorate(converter: C) -> C:
        CONVERTERS.update(dict.fromkeys(kinds, converter))
        return converter

    return decorate
