"""Activations of classifiers by the names that presets give them."""

from collections.abc import Callable

from torch import nn

from theory.errors import InputError, nearest

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "hardtanh": nn.Hardtanh,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
}
"""Modules with the defaults of torch: slope 0.01 of "leaky_relu", the exact "gelu"."""


def check_activation(plugin: str, name: str) -> None:
    """Raise InputError unless an activation of this name is known; says whose setting it is.

    Examples
    --------
    >>> check_activation("mlp", "gelu")
    """
    if name not in ACTIVATIONS:
        raise InputError(
            f"{plugin}: activation '{name}' is not known; {nearest(name, ACTIVATIONS)}"
        )
