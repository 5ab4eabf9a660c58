"""Activations with proved ends of their slopes and lines around them, over any interval."""

from theory.lipschitz.activations.activation import (
    ACTIVATIONS,
    Absolute,
    Activation,
    Identity,
    LeakyReLU,
    activation,
)
from theory.lipschitz.activations.curve import Lines
from theory.lipschitz.activations.curved import (
    ELU,
    GELU,
    SELU,
    Arctan,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LogSigmoid,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "SELU",
    "Absolute",
    "Activation",
    "Arctan",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "LeakyReLU",
    "Lines",
    "LogSigmoid",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "activation",
]
