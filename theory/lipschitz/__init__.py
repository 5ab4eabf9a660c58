"""Lipschitz constants of networks, each between certified ends.

Of one network these are told apart: the true constant (`exact_constant`, `sampled_constant`), the
largest norm over free activation patterns (`free_pattern_maximum`), and the bounds that use slopes
alone (`semidefinite_bound` and, each at least as large, the products of norms). Only a bound on a
ball or a box (`local_bound`) can be below the second.
"""

from theory.lipschitz.chains import absolute_bound, balanced_product_bound
from theory.lipschitz.cut_points import cut_point_bound
from theory.lipschitz.exact import exact_constant
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.lipschitz.free_pattern import free_pattern_maximum
from theory.lipschitz.graph import Graph
from theory.lipschitz.layers import layer_norm
from theory.lipschitz.local import local_bound
from theory.lipschitz.product import product_bound
from theory.lipschitz.sampled import sampled_constant
from theory.lipschitz.semidefinite import semidefinite_bound
from theory.lipschitz.seqlip import seqlip_bound

__all__ = [
    "FeedForward",
    "Graph",
    "Stage",
    "absolute_bound",
    "balanced_product_bound",
    "cut_point_bound",
    "exact_constant",
    "free_pattern_maximum",
    "layer_norm",
    "local_bound",
    "product_bound",
    "sampled_constant",
    "semidefinite_bound",
    "seqlip_bound",
]
