"""Lipschitz constants of networks on balls and boxes, and the moduli that follow from them."""

from theory.lipschitz.local.batch import center_radius_bounds
from theory.lipschitz.local.bisection import BisectedBound, bisected_bound, bisected_box_bound
from theory.lipschitz.local.bound import LocalBound, box_bound, local_bound
from theory.lipschitz.local.path import certified_expansion, modulus_on_ball, path_expansion
from theory.lipschitz.local.region import jacobian_norm_lower, region_constant
from theory.lipschitz.local.table import expansion_table

__all__ = [
    "BisectedBound",
    "LocalBound",
    "bisected_bound",
    "bisected_box_bound",
    "box_bound",
    "center_radius_bounds",
    "certified_expansion",
    "expansion_table",
    "jacobian_norm_lower",
    "local_bound",
    "modulus_on_ball",
    "path_expansion",
    "region_constant",
]
