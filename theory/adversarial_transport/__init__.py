"""Labelled points under attack: which ones conflict, and the least weight that must be given up.

Two points of different classes conflict at a budget when their closed neighbourhoods meet, that is,
when their distance is at most twice the budget: no classifier is right on both under attack. Points
without conflicts can all be right, so the least loss of any classifier is the least weight of a set
of points that meets every conflict. A transport plan between the classes along conflicts weighs no
more than any such set, and the heaviest plan weighs as much (Koenig; Kantorovich).
"""

from theory.adversarial_transport.conflict_graph import Norm, checked_points, conflicts
from theory.adversarial_transport.margin import BallNorm, gaussian_margin
from theory.adversarial_transport.plans import (
    Plan,
    feasible_flow,
    float_above,
    float_below,
    largest_matching,
    lightest_cover,
    propose,
    require_cover,
    require_matching,
)

__all__ = [
    "BallNorm",
    "Norm",
    "Plan",
    "checked_points",
    "conflicts",
    "feasible_flow",
    "float_above",
    "float_below",
    "gaussian_margin",
    "largest_matching",
    "lightest_cover",
    "propose",
    "require_cover",
    "require_matching",
]
