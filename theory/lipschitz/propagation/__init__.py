"""What the units of a network may do over a ball or a box: pre-activations, slopes, Jacobians."""

from theory.lipschitz.propagation.ends import (
    batched_ends,
    box_ends,
    output_ends,
    preactivation_ends,
)
from theory.lipschitz.propagation.jacobian import interval_jacobian, jacobian_norm_upper, slope_ends

__all__ = [
    "batched_ends",
    "box_ends",
    "interval_jacobian",
    "jacobian_norm_upper",
    "output_ends",
    "preactivation_ends",
    "slope_ends",
]
