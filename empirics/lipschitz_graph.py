"""From a torch module to a graph of operators whose Lipschitz constants `theory` bounds."""

import copy
import operator
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from empirics.operators.circuit import mapped
from empirics.operators.graph_activations import SMOOTH_MODULES
from empirics.operators.graph_layers import convolved
from empirics.operators.graph_nodes import NODES, NodeCall, Tensor, activated, tensors
from empirics.operators.modules import Step, steps
from empirics.operators.tracing import (
    first_line,
    graph_of,
    held_arguments,
    is_in_place,
    operator_name,
    place_of,
)
from empirics.seeds import torch_stream
from theory.errors import InputError
from theory.lipschitz.graph import Graph
from theory.lipschitz.layers import Convolution, described

_UNKNOWN = "is an activation without slope bounds, or not an operator known here"


def lipschitz_graph(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """Return the operators of a module with their weights, in double precision.

    Parameters
    ----------
    module : nn.Module
        In eval mode; made of linear operators, activations and pools of bounded slopes, sums and
        concatenations in a fixed sequence, as modules, functions or methods. It is not changed.
    input_shape : tuple of int
        Shape of one input, without the batch axis.

    Returns
    -------
    Graph
        Batch normalisation behind a convolution is part of its kernel.

    Raises
    ------
    InputError
        If an operator has no slope bounds or is not known (it and its place are named), depends on
        the batch or on chance, or a weight is not finite.

    Examples
    --------
    >>> from theory.lipschitz.product import product_bound
    >>> graph = lipschitz_graph(nn.Sequential(nn.Flatten(), nn.MaxPool1d(3, 1)), (1, 5))
    >>> product_bound(graph, 1), product_bound(graph, float("inf"))
    (3.0, 1.0)
    """
    twin: nn.Module = copy.deepcopy(module).cpu().double().requires_grad_(False)
    if type(twin).__module__.startswith("torch.nn") and not isinstance(twin, nn.Sequential):
        twin = nn.Sequential(twin)  # known as a whole, not by what it does inside
    try:
        graph = Graph(input_shape)
    except ValueError as error:
        raise InputError(str(error)) from error
    held: dict[Hashable, Any] = {}
    result: Any = None
    with torch.no_grad():
        traced = graph_of(twin)
        for i, node in enumerate(traced.nodes):
            args, kwargs = held_arguments(node, held)
            if node.op == "placeholder":
                if i and not args:
                    raise InputError(f"the module takes a second input, '{node.target}'")
                held[node] = args[0] if i else Tensor(0, (1, *input_shape))
            elif node.op == "get_attr":
                held[node] = operator.attrgetter(str(node.target))(twin)
            elif node.op == "output":
                result = args[0]
            else:
                made = _made(twin, graph, node, args, kwargs)
                changed = node.args[0] if node.args else None
                if isinstance(changed, fx.Node) and is_in_place(node, twin):
                    old = held[changed]
                    if _seen_again(node, changed, old, held):
                        raise InputError(
                            f"{place_of(node, twin)} changes a tensor in place that is used again"
                            " as another variable: use the operator that is not in place"
                        )
                    made = held[changed] = replace(made, storage=old.storage)
                held[node] = made
        if not isinstance(result, Tensor):
            raise InputError(
                f"the module must return one tensor that depends on its input: {result!r}"
            )
        _compare(twin, traced, input_shape)
    graph.output = result.node
    return graph


def _seen_again(node: fx.Node, changed: fx.Node, old: Any, held: dict[Hashable, Any]) -> bool:  # noqa: ANN401
    """Whether a later operator takes a tensor that shares what a node changes in place."""
    later: set[fx.Node] = set()
    following = node.next
    while following.op != "root":
        later.add(following)
        following = following.next
    return any(
        isinstance(other, fx.Node)
        and other is not changed
        and any(each.storage is old.storage for each in tensors(value))
        and not later.isdisjoint(other.users)
        for other, value in held.items()
    )


def _compare(module: nn.Module, traced: fx.Graph, input_shape: tuple[int, ...]) -> None:
    """Raise InputError unless module and trace give an input the same outputs, in a batch or not.

    What assigns in place (x += y) may be traced as if it made a new tensor.
    """
    points = torch.randn(3, *input_shape, generator=torch_stream(0, "lipschitz_graph")).double()
    trace = fx.GraphModule(module, traced)
    try:
        together = module(points.clone())
        alone, again = (
            torch.cat([function(point[None].clone()) for point in points])
            for function in (module, trace)
        )
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"the module fails on a batch in double precision: {first_line(error)}"
        ) from error
    if together.shape != alone.shape or not torch.allclose(together, alone, rtol=1e-9, atol=1e-9):
        raise InputError("the module mixes the inputs of a batch: its outputs are not those of one")
    if not torch.allclose(again, alone, rtol=1e-9, atol=1e-9):
        raise InputError(
            "the trace differs from the module at random inputs: something in its forward pass"
            " cannot be seen in its graph"
        )


def _made(root: nn.Module, graph: Graph, node: fx.Node, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
    """Return what a module, function or method makes of its arguments."""
    place = place_of(node, root)
    try:
        if node.op == "call_module":
            return _module(root.get_submodule(str(node.target)), graph, place, args, kwargs)
        return _function(graph, node, place, args, kwargs)
    except InputError as error:
        raise InputError(f"{place} {error}") from error
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{place} cannot be traced with these shapes and arguments: {first_line(error)}"
        ) from error


def _module(module: nn.Module, graph: Graph, place: str, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
    if not tensors((args, kwargs)):
        return module(*args, **kwargs)
    if len(args) != 1 or kwargs:
        raise InputError(_UNKNOWN)
    (result,) = args
    if isinstance(module, nn.modules.conv._ConvNd):
        layer = described(module)
        assert isinstance(layer, Convolution)
        return convolved(NodeCall("convolution", place, graph, module), result, layer)
    for name, arguments, function, settings in _steps(module):
        call = NodeCall(name, place, graph, function)
        result = _applied(call, (result, *arguments), settings)
    return result


def _steps(module: nn.Module) -> list[Step]:
    """Return the operators that a module of torch.nn applies."""
    for kind, (name, attributes) in SMOOTH_MODULES.items():
        if isinstance(module, kind):
            return [Step(name, tuple(getattr(module, each) for each in attributes), module, {})]
    if isinstance(module, nn.ReLU6):
        return [Step("relu6", (), module, {})]
    chain = steps(module)
    if chain is None:
        raise InputError(_UNKNOWN)
    return chain


def _function(graph: Graph, node: fx.Node, place: str, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
    target: Any = node.target
    if node.op == "call_method":

        def target(first: Any, *more: Any, **settings: Any) -> Any:  # noqa: ANN401
            return getattr(first, str(node.target))(*more, **settings)

    name = operator_name(node)
    if not tensors((args, kwargs)) or (
        name in ("getitem", "getattr") and isinstance(args[0], tuple)
    ):
        return target(*args, **kwargs)
    return _applied(NodeCall(name, place, graph, _filled(target, args, kwargs)), args, kwargs)


def _applied(call: NodeCall, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
    if call.name in NODES:
        return NODES[call.name](call, *args, **kwargs)
    made = activated(call, *args, **kwargs)
    if made is None:
        raise InputError(_UNKNOWN)
    return made


def _filled(target: Callable[..., Any], args: Any, kwargs: Any) -> Callable[..., Any]:  # noqa: ANN401
    """Return an operator as a function of the tensors among its arguments, in their order."""

    def function(*given: torch.Tensor) -> Any:  # noqa: ANN401
        left = iter(given)
        positional, keywords = mapped(
            (args, kwargs), lambda each: next(left) if isinstance(each, Tensor) else each
        )
        return target(*positional, **keywords)

    return function
