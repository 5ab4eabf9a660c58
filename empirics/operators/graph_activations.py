"""Activations of torch as those of `theory`, which know their slopes and their values."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from empirics.operators.matrices import array
from theory.errors import InputError
from theory.lipschitz.activations import (
    ELU,
    GELU,
    SELU,
    Absolute,
    Activation,
    Arctan,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)

SMOOTH_MODULES: Final[dict[type[nn.Module], tuple[str, tuple[str, ...]]]] = {
    nn.Sigmoid: ("sigmoid", ()),
    nn.Tanh: ("tanh", ()),
    nn.Softplus: ("softplus", ("beta", "threshold")),
    nn.ELU: ("elu", ("alpha",)),
    nn.SELU: ("selu", ()),
    nn.CELU: ("celu", ("alpha",)),
    nn.GELU: ("gelu", ("approximate",)),
    nn.SiLU: ("silu", ()),
    nn.Hardswish: ("hardswish", ()),
    nn.Hardsigmoid: ("hardsigmoid", ()),
    nn.Softsign: ("softsign", ()),
    nn.LogSigmoid: ("logsigmoid", ()),
    nn.Tanhshrink: ("tanhshrink", ()),
    nn.Softshrink: ("softshrink", ("lambd",)),
}
"""Functions of torch that these modules apply, and the attributes that are their settings."""

SLOPES: Final[dict[str, tuple[float, float]]] = {
    "celu": (0.0, 1.0),
    "tanhshrink": (0.0, 1.0),
    "softshrink": (0.0, 1.0),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
}
"""Slopes of functions that are no activations of `theory`."""


def _relu(inplace: bool = False) -> Activation:
    return LeakyReLU(np.zeros(()))


def _leaky_relu(negative_slope: float = 0.01, inplace: bool = False) -> Activation:
    return LeakyReLU(np.asarray(negative_slope, dtype=np.float64))


def _prelu(weight: torch.Tensor) -> Activation:
    slopes = array(weight.flatten())
    return LeakyReLU(slopes[0] if slopes.size == 1 else slopes)


def _hardtanh(min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Activation:
    return Hardtanh(float(min_val), float(max_val))


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> Activation:
    return Softplus(float(beta))


def _elu(alpha: float = 1.0, inplace: bool = False) -> Activation:
    return ELU(float(alpha))


def _gelu(approximate: str = "none") -> Activation:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu with approximate={approximate!r}")
    return GELU(approximate=approximate == "tanh")


def _plain(make: Callable[[], Activation]) -> Callable[..., Activation]:
    return lambda inplace=False: make()


_MAKERS: Final[dict[str, Callable[..., Activation]]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "hardtanh": _hardtanh,
    "softplus": _softplus,
    "elu": _elu,
    "gelu": _gelu,
    "abs": _plain(Absolute),
    "absolute": _plain(Absolute),
    "relu6": _plain(ReLU6),
    "sigmoid": _plain(Sigmoid),
    "tanh": _plain(Tanh),
    "selu": _plain(SELU),
    "silu": _plain(SiLU),
    "hardswish": _plain(Hardswish),
    "hardsigmoid": _plain(Hardsigmoid),
    "softsign": _plain(Softsign),
    "logsigmoid": _plain(LogSigmoid),
    "atan": _plain(Arctan),
    "arctan": _plain(Arctan),
}


def activation_of(name: str, *settings: Any, **named: Any) -> Activation | None:  # noqa: ANN401
    """Return the activation that a function of torch is; None if it is not one of `theory`.

    Parameters
    ----------
    name : str
        Of the function, without underscores at its ends.
    *settings, **named
        Its arguments behind the tensor.

    Raises
    ------
    InputError
        If a setting is not one for which slopes are known.

    Examples
    --------
    >>> activation_of("elu", 2.0)
    ELU(alpha=2.0, scale=1.0)
    """
    if name not in _MAKERS:
        return None
    try:
        return _MAKERS[name](*settings, **named)
    except (TypeError, ValueError) as error:
        raise InputError(f"is an activation without slope bounds: {error}") from error


def smooth_activation(module: nn.Module) -> Activation | None:
    """Return the activation that a module of torch is, if it is not piecewise linear."""
    for kind, (name, attributes) in SMOOTH_MODULES.items():
        if isinstance(module, kind):
            return activation_of(name, *(getattr(module, each) for each in attributes))
    return None
