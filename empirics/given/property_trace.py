"""A module as arrays of which bounds are computed, or why it is none."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from empirics.feed_forward import feed_forward
from empirics.trace import relu_network
from theory.errors import InputError
from theory.lipschitz.feed_forward import FeedForward
from theory.relu.network import ReluNetwork

_ENTRIES: Final = 2**25
"""Weights, written out as matrices, up to which bounds are computed."""
_AFFINE: Final = (nn.Linear, nn.modules.conv._ConvNd)
_ACTIVATIONS: Final = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh)


@dataclass(frozen=True, eq=False)
class Traced:
    """A network as arrays, or why it is none.

    Attributes
    ----------
    network : ReluNetwork, FeedForward or None
    reason : str
        Why there is none.
    plain : bool
        Whether the module computes the arrays' own products, one between activations, so that its
        rounding is known: affine operators that follow each other are one in the arrays.
    """

    network: ReluNetwork | FeedForward | None
    reason: str = ""
    plain: bool = False

    @property
    def form(self) -> str:
        """What kind of network it is."""
        if self.network is None:
            return "not traced"
        return "piecewise linear" if isinstance(self.network, ReluNetwork) else "smooth"


def traced(module: nn.Module, input_shape: tuple[int, ...]) -> Traced:
    """Return a module as arrays, piecewise linear or with smooth activations between layers."""
    reasons = []
    if (entries := _entries(module, input_shape)) > _ENTRIES:
        return Traced(None, _too_large(entries))
    for trace in (relu_network, feed_forward):
        try:
            network = trace(module, input_shape)
        except InputError as error:
            reasons.append(str(error))
            continue
        entries = sum(int(np.prod(each.weight.shape)) for each in FeedForward.of(network).stages)
        if entries > _ENTRIES:
            return Traced(None, _too_large(entries))
        return Traced(network, plain=_is_plain(module))
    return Traced(None, reasons[0])


def _too_large(entries: int) -> str:
    return f"its layers as matrices have {entries} entries, more than {_ENTRIES}"


def _entries(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return how many entries the affine layers have as matrices, before any is written out."""
    found = 0

    def count(_: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        nonlocal found
        found += given[0].numel() * made.numel()

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, _AFFINE)]
    device = next((each.device for each in module.parameters()), torch.device("cpu"))
    with torch.no_grad():
        module(torch.zeros(1, *input_shape, device=device))
    for hook in hooks:
        hook.remove()
    return found


def _is_plain(module: nn.Module) -> bool:
    """Whether a module is a sequence in which activations lie between affine layers."""
    if not isinstance(module, nn.Sequential):
        return False
    joined = False
    for each in module.modules():
        if isinstance(each, _AFFINE):
            if joined:
                return False
            joined = True
        elif isinstance(each, _ACTIVATIONS):
            joined = False
        elif not isinstance(each, nn.Sequential | nn.Flatten | nn.Unflatten | nn.Identity):
            return False
    return True
