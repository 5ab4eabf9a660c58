"""What a network from outside does with a few images, and which of its layers is to blame."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn

from empirics.operators.tracing import first_line
from empirics.seeds import torch_stream
from theory.errors import InputError


class Program(nn.Module):
    """A network that is a graph of operators: images (n, ...) to what it gives."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> Any:  # noqa: ANN401
        """Return what the graph gives."""
        # Called as a module, it would print its own traceback where an operator fails.
        return self.network.forward(images)


def random_images(n: int, image_shape: tuple[int, ...]) -> torch.Tensor:
    """Return images in [0, 1], float32 of shape (n, *image_shape): of few and of many values."""
    stream = torch_stream(0, "given", "images")
    images = torch.rand(n, *image_shape, generator=stream)
    images[1::3] = images[1::3] ** 4
    images[2::3] = images[2::3].round()
    return images


@contextmanager
def own_randomness(seed: int = 0, device: torch.device | None = None) -> Iterator[None]:
    """Let a network draw from a random state of its own, the same each time; autograd is off."""
    devices = [] if device is None or device.type != "cuda" else [device]
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.manual_seed(seed)
        yield


def leaves(module: nn.Module) -> dict[nn.Module, str]:
    """Return the layers that have no layers, with their places as messages name them."""
    return {
        child: f"layer '{path}' ({type(child).__name__})"
        for path, child in module.named_modules()
        if path and next(child.children(), None) is None
    }


@contextmanager
def _watched(
    module: nn.Module,
    before: Callable[[nn.Module, Any], None] | None,
    after: Callable[[nn.Module, Any, Any], None] | None,
) -> Iterator[None]:
    handles = []
    for layer in leaves(module):
        if before is not None:
            handles.append(layer.register_forward_pre_hook(before))
        if after is not None:
            handles.append(layer.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class ForwardError(RuntimeError):
    """A forward pass that raised.

    Attributes
    ----------
    cause : Exception
        What it raised.
    place : str
        The layer it was in; empty where it was in none.
    """

    def __init__(self, cause: Exception, place: str) -> None:
        super().__init__(f"{place}{': ' if place else ''}{first_line(cause)}")
        self.cause, self.place = cause, place


def outputs_of(module: nn.Module, images: torch.Tensor) -> Any:  # noqa: ANN401
    """Return what a module gives, always from the same random state.

    Raises
    ------
    ForwardError
        If its forward pass raises.
    """
    entered: list[nn.Module] = []

    def leave(*_: object) -> None:
        entered.pop()

    with own_randomness(), _watched(module, lambda layer, _: entered.append(layer), leave):
        try:
            return module(images.clone())
        except Exception as error:
            place = leaves(module).get(entered[-1], "") if entered else ""
            raise ForwardError(error, place) from error


def logits_of(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the outputs of a module known to give tensors, (n, K)."""
    try:
        outputs = outputs_of(module, images)
    except ForwardError as error:
        raise InputError(f"fails on {len(images)} images: {error}") from error.cause
    assert isinstance(outputs, torch.Tensor)
    return outputs


def _recorded(module: nn.Module, images: torch.Tensor) -> list[tuple[nn.Module, torch.Tensor]]:
    """Return the layers in the order in which they ran, with their outputs."""
    seen: list[tuple[nn.Module, torch.Tensor]] = []

    def keep(layer: nn.Module, _: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            seen.append((layer, output.detach().clone()))

    with _watched(module, None, keep):
        outputs_of(module, images)
    return seen


def first_not_finite(module: nn.Module, images: torch.Tensor) -> str:
    """Return the place of the first layer with an output that is not finite."""
    places = leaves(module)
    for layer, output in _recorded(module, images):
        if not torch.isfinite(output).all():
            return places[layer]
    return "no layer of its own"


def first_that_mixes(module: nn.Module, images: torch.Tensor) -> str:
    """Return the place of the first layer that gives one image another output in a batch."""
    places = leaves(module)
    together = _recorded(module, images)
    for i in range(len(images)):
        for (layer, batch), (_, one) in zip(
            together, _recorded(module, images[i : i + 1]), strict=False
        ):
            if len(batch) != len(images) or len(one) != 1 or batch[i].shape != one[0].shape:
                return places[layer]
            if not same(batch[i], one[0]):
                return places[layer]
    return "no layer of its own"


def same(first: torch.Tensor, second: torch.Tensor, relative: float = 1e-4) -> bool:
    """Whether two results are equal up to rounding in single precision."""
    size = float(second.abs().max()) if second.numel() else 0.0
    return bool((first - second).abs().le(relative * size + 1e-6).all())
