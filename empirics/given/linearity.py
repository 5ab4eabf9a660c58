"""Whether a network is piecewise linear, and which of its operators is not."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from empirics.given.kinds import AFFINE, CURVED, JUMPING, KINKED, MIXING, SORTING
from empirics.given.probing import own_randomness
from empirics.operators.tracing import graph_of, operator_name, place_of
from empirics.trace import relu_network
from theory.errors import InputError

MOST_PRODUCTS: Final = 20_000_000
"""Products for one image up to which a network is unrolled: each may be an entry of a matrix."""


@dataclass(frozen=True)
class Linearity:
    """What is known of a network's operators.

    Attributes
    ----------
    piecewise_linear : bool or None
        None where its forward pass could not be followed.
    traced : bool
        Whether it was unrolled into affine layers and ReLUs that reproduce it.
    reason : str
        Which operator is not piecewise linear or stands in the way; "" where it was unrolled.
    n_units : int or None
        ReLU units, those of maxima included where it was unrolled; None where not counted.
    n_products : int
        Multiplications for one image.
    normalises : str
        What it does to its images before the first layer that mixes pixels; "" for nothing known.
    """

    piecewise_linear: bool | None
    traced: bool
    reason: str
    n_units: int | None
    n_products: int
    normalises: str


def linearity(module: nn.Module, input_shape: tuple[int, ...]) -> Linearity:
    """Follow a network's operators, and unroll it where it is not too large.

    An operator that is known to be curved (sigmoid, tanh, softplus, GELU, ELU, a normalisation by
    the activations, a product of two) or to jump (sign, round, a comparison) makes it not
    piecewise linear. One that is not known, or an order statistic (a median, which is piecewise
    linear but not unrolled here), leaves it not traced: nothing is concluded.

    Parameters
    ----------
    module : nn.Module
        In eval mode.
    input_shape : tuple of int
        Of one image.

    Examples
    --------
    >>> linearity(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), (2,)).n_units
    3
    >>> linearity(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), (2,)).reason
    "layer '1' (Tanh) is curved"
    """
    twin = copy.deepcopy(module).cpu()
    products, units = _counted(twin, input_shape)

    def found(piecewise: bool | None, reason: str, normalises: str) -> Linearity:
        return Linearity(piecewise, False, reason, units, products, normalises)

    if type(twin).__module__.startswith("torch.nn") and not isinstance(twin, nn.Sequential):
        twin = nn.Sequential(twin)  # known as a whole, not by what it does inside
    try:
        graph = graph_of(twin)
    except InputError as error:
        return found(None, f"not traced: {error}", "")
    normalises = _first_steps(twin, graph)
    for node in _depending(graph):
        name, place = _name(twin, node), place_of(node, twin)
        if name in CURVED:
            return found(False, f"{place} is curved", normalises)
        if name in JUMPING:
            return found(False, f"{place} jumps", normalises)
    if products > MOST_PRODUCTS:
        reason = f"not unrolled: {products:,} products an image, more than {MOST_PRODUCTS:,}"
        return found(None, reason, normalises)
    try:
        network = relu_network(module, input_shape)
    except InputError as error:
        said = str(error)
        if "is not piecewise linear: " in said:
            return found(False, said, normalises)
        sorting = any(_name(twin, node) in SORTING for node in _depending(graph))
        more = " (an order statistic is piecewise linear, but not unrolled here)" if sorting else ""
        said = said.replace(
            "is not piecewise linear, or not an operator known here", "is not known"
        )
        return found(None, f"not traced: {said}{more}", normalises)
    return Linearity(True, True, "", network.n_units, products, normalises)


def _name(root: nn.Module, node: fx.Node) -> str:
    """Return the name of a module's kind, a function or a method, without case and underscores."""
    if node.op == "call_module":
        name = type(root.get_submodule(str(node.target))).__name__
    else:
        name = operator_name(node)
    return name.replace("_", "").lower()


def _depending(graph: fx.Graph) -> Iterator[fx.Node]:
    """Yield the operators on values that depend on the images."""
    depending: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder":
            depending.add(node)
        elif node.op.startswith("call_") and not depending.isdisjoint(node.all_input_nodes):
            if operator_name(node) in ("size", "dim", "getattr"):
                continue
            depending.add(node)
            yield node


def _first_steps(root: nn.Module, graph: fx.Graph) -> str:
    """Return what a network does to images before the first layer that mixes their pixels."""
    steps = []
    for node in _depending(graph):
        name = _name(root, node)
        if name.startswith(MIXING):
            break
        if name in AFFINE or name.startswith("batchnorm"):
            steps.append(place_of(node, root))
    else:
        return ""
    return ", ".join(steps)


class _Counter(TorchFunctionMode):
    """Counts multiplications, and the entries that ReLUs and their like give."""

    def __init__(self) -> None:
        super().__init__()
        self.products = self.units = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            name = getattr(func, "__name__", "").replace("_", "")
            if name in KINKED:
                self.units += result.numel()
            elif name.startswith(MIXING):
                self.products += _products(name, result, args, kwargs or {})
        return result


def _products(
    name: str, result: torch.Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> int:
    """Return the multiplications of one operator."""
    images, weight = (*args, kwargs.get("weight"))[:2]
    if name.startswith("convtranspose"):
        return int(images.numel() * weight[0].numel())
    if name.startswith("conv"):
        return int(result.numel() * weight[0].numel())
    factor = weight if name == "addmm" else images
    return int(result.numel() * factor.shape[-1])


def _counted(module: nn.Module, input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the products and the units with a kink of one image."""
    parameter = next(module.parameters(), torch.zeros(0))
    image = torch.zeros(1, *input_shape, dtype=parameter.dtype)
    with own_randomness(), _Counter() as counter:
        module(image)
    return counter.products, counter.units
