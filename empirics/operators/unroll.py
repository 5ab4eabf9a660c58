"""From the graph of a torch module to a circuit of ReLU layers."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from empirics.operators import activations  # noqa: F401  (enters its operators)
from empirics.operators.affine import OPERATORS, Call
from empirics.operators.circuit import Circuit, Value, mapped, values
from empirics.operators.matrices import Shape, size_of
from empirics.operators.modules import steps
from empirics.operators.tracing import (
    first_line,
    graph_of,
    held_arguments,
    is_in_place,
    operator_name,
    place_of,
)
from theory.errors import InputError
from theory.relu import Layer


def _with_values(
    target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[..., Any]:
    """Return an operator as a function of the values among its arguments, in their order."""

    def function(*tensors: torch.Tensor) -> Any:  # noqa: ANN401
        left = iter(tensors)
        filled = mapped((args, kwargs), lambda a: next(left) if isinstance(a, Value) else a)
        positional, keywords = filled
        return target(*positional, **keywords)

    return function


def _applied(root: nn.Module, circuit: Circuit, node: fx.Node, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
    """Return what a module, function or method makes of its arguments."""
    target: Any = node.target
    if node.op == "call_module":
        module = root.get_submodule(target)
        chain = steps(module) if len(args) == 1 and not kwargs else None
        if not values(args):
            return module(*args, **kwargs)
        if chain is None:
            raise InputError("is not piecewise linear, or not an operator known here")
        result = args[0]
        for name, arguments, function, settings in chain:
            call = Call(name, circuit, function)
            result = OPERATORS[name](call, result, *arguments, **settings)
        return result
    if node.op == "call_method":
        method = target

        def target(first: Any, *more: Any, **settings: Any) -> Any:  # noqa: ANN401
            return getattr(first, method)(*more, **settings)

    name = operator_name(node)
    if not values((args, kwargs)) or (name == "getitem" and isinstance(args[0], tuple)):
        return target(*args, **kwargs)
    if name not in OPERATORS:
        raise InputError("is not piecewise linear, or not an operator known here")
    call = Call(name, circuit, _with_values(target, args, kwargs))
    return OPERATORS[name](call, *args, **kwargs)


def unroll(module: nn.Module, input_shape: Shape) -> list[Layer]:
    """Return the layers of a module on flattened inputs; the last one is affine.

    Parameters
    ----------
    module : nn.Module
        In eval mode and in double precision.
    input_shape : tuple of int
        Shape of one input, without the batch axis.

    Raises
    ------
    InputError
        If an operator is not piecewise linear or not known; it is named.
    """
    if type(module).__module__.startswith("torch.nn") and not isinstance(module, nn.Sequential):
        module = nn.Sequential(module)  # known as a whole, not by what it does inside
    nodes = list(graph_of(module).nodes)
    last_use = {used: i for i, node in enumerate(nodes) for used in node.all_input_nodes}
    circuit = Circuit(size_of(input_shape))
    result: Any = circuit.input((1, *input_shape))
    for i, node in enumerate(nodes):
        args, kwargs = held_arguments(node, circuit.held)
        for used in node.all_input_nodes:
            if last_use[used] == i:
                del circuit.held[used]
        if node.op == "placeholder" and i > 0:
            if not args:
                raise InputError(f"the module takes a second input, '{node.target}'")
            (result,) = args
        elif node.op == "get_attr":
            result = operator.attrgetter(str(node.target))(module)
        elif node.op == "output":
            result = args[0]
        elif node.op != "placeholder":
            try:
                result = _applied(module, circuit, node, args, kwargs)
            except InputError as error:
                raise InputError(f"{place_of(node, module)} {error}") from error
            except (LookupError, RuntimeError, TypeError, ValueError) as error:
                raise InputError(
                    f"{place_of(node, module)} cannot be traced with these shapes and arguments:"
                    f" {first_line(error)}"
                ) from error
        if node in last_use:
            circuit.held[node] = result
        changed = node.args[0] if node.args else None
        if isinstance(changed, fx.Node) and changed in circuit.held and is_in_place(node, module):
            circuit.held[changed] = result
    if not isinstance(result, Value):
        raise InputError(f"the module must return one tensor that depends on its input: {result!r}")
    return [*circuit.layers, Layer(result.weight, result.bias, np.ones(result.size))]
