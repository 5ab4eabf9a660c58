"""Convolutions and pools as linear maps on inputs of a given size, and their operator norms."""

from theory.lipschitz.convolution.convolution import Convolution, folded
from theory.lipschitz.convolution.correlation import Correlation
from theory.lipschitz.convolution.gram import gram_iteration_upper
from theory.lipschitz.convolution.norm import BUDGET, Method, convolution_norm
from theory.lipschitz.convolution.pooling import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    MaxPooling,
)
from theory.lipschitz.convolution.torus import torus_upper

__all__ = [
    "BUDGET",
    "AdaptiveAveragePooling",
    "AdaptiveMaxPooling",
    "AveragePooling",
    "Convolution",
    "Correlation",
    "MaxPooling",
    "Method",
    "convolution_norm",
    "folded",
    "gram_iteration_upper",
    "torus_upper",
]
