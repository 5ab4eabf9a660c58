"""The graph of a torch module, and what its nodes are called, hold and do."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from torch import fx, nn

from empirics.operators.circuit import mapped
from theory.errors import InputError

_RENAMED = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div"}


class _Tracer(fx.Tracer):
    """A tracer that knows which module it was in when it failed."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = ("", "the module")

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:  # noqa: ANN401
        outer, self.inside = self.inside, (self.path_of_module(m), type(m).__name__)
        result = super().call_module(m, forward, args, kwargs)
        self.inside = outer
        return result


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _layer(path: str, kind: str) -> str:
    return f"layer '{path}' ({kind})" if path else f"the module ({kind})"


def graph_of(module: nn.Module) -> fx.Graph:
    """Return the graph of a module by symbolic tracing.

    Raises
    ------
    InputError
        If its forward pass depends on values; the innermost such module is named.
    """
    tracer = _Tracer()
    tracer.inside = ("", type(module).__name__)
    try:
        return tracer.trace(module)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        raise InputError(
            f"{_layer(*tracer.inside)} cannot be traced, its forward pass is not a fixed sequence"
            f" of operators: {first_line(e)}"
        ) from e


def place_of(node: fx.Node, root: nn.Module) -> str:
    """Return where a node is, for messages."""
    if node.op == "call_module":
        return _layer(str(node.target), type(root.get_submodule(str(node.target))).__name__)
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path, kind = stack[-1] if stack else ("", type(root))
    return f"'{operator_name(node)}' in {_layer(path, kind.__name__)}"


def operator_name(node: fx.Node) -> str:
    """Return the plain name of a function or method: "add" for `+`, `add_` and `torch.add`."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
    bare = name.strip("_")
    return _RENAMED.get(bare, bare)


def is_in_place(node: fx.Node, root: nn.Module) -> bool:
    """Whether a node writes its result over its first argument."""
    if node.op == "call_module":
        return bool(getattr(root.get_submodule(str(node.target)), "inplace", False))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    marked = name.endswith("_") and not name.endswith("__")
    return marked or name in _RENAMED or bool(node.kwargs.get("inplace"))


def held_arguments(node: fx.Node, held: Mapping[Hashable, Any]) -> tuple[tuple[Any, ...], Any]:
    """Return the arguments of a node with what is held in place of the nodes."""
    args, kwargs = mapped(
        (node.args, node.kwargs), lambda each: held[each] if isinstance(each, fx.Node) else each
    )
    named = dict(kwargs)
    if "input" in named:
        args = (named.pop("input"), *args)
    return args, named
