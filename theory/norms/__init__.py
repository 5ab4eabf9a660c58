"""Operator norms between certified ends, and what bounds the rounding of computing them."""

from theory.norms.operator import norm_witness, operator_norm
from theory.norms.spectral import (
    UNIT_ROUNDOFF,
    accumulated_error,
    frobenius_upper,
    least_singular_value_lower,
    power_above,
    semidefinite_up_to,
    spectral_norm_upper,
)

__all__ = [
    "UNIT_ROUNDOFF",
    "accumulated_error",
    "frobenius_upper",
    "least_singular_value_lower",
    "norm_witness",
    "operator_norm",
    "power_above",
    "semidefinite_up_to",
    "spectral_norm_upper",
]
