"""Moduli of continuity of a generator, their generalised inverses, and what each one certifies."""

from theory.modulus.base import Modulus
from theory.modulus.compositions import ComposedModulus, composition, modulus_from_dict
from theory.modulus.powers import HoelderModulus, LipschitzModulus
from theory.modulus.tables import PiecewiseLinearModulus, SampledModulus

__all__ = [
    "ComposedModulus",
    "HoelderModulus",
    "LipschitzModulus",
    "Modulus",
    "PiecewiseLinearModulus",
    "SampledModulus",
    "composition",
    "modulus_from_dict",
]
