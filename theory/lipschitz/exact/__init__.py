"""Lipschitz constants of small piecewise-linear networks between proved ends that meet."""

from theory.lipschitz.exact.constant import LipschitzConstant
from theory.lipschitz.exact.methods import exact_constant

__all__ = ["LipschitzConstant", "exact_constant"]
