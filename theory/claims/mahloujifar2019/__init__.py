"""Mahloujifar, Diochnos and Mahmoody, The curse of concentration in robust learning (AAAI 2019).

With Mahloujifar, Zhang, Mahmoody and Evans, Empirically measuring concentration (NeurIPS 2019).
An error set of measure rho > 0 grows within a small distance to nearly everything, where measure
concentrates. A classifier without errors escapes these bounds; those of Fawzi et al. it does not.
"""

from theory.claims.mahloujifar2019.empirical import (
    two_sided_budget,
    two_sided_log_survival,
    two_sided_risk,
)
from theory.claims.mahloujifar2019.gaussian import (
    gaussian_risk_budget,
    gaussian_risk_log_survival,
    gaussian_risk_lower_bound,
    isoperimetric_budget,
    isoperimetric_log_survival,
    isoperimetric_lower_bound,
)
from theory.claims.mahloujifar2019.levy import (
    levy_budget,
    levy_half_distance,
    levy_log_survival,
    levy_lower_bound,
    levy_mean_upper_bound,
)
from theory.claims.mahloujifar2019.regions import (
    BallUnion,
    MeasuredConcentration,
    RectangleComplement,
    Region,
    empirical_concentration,
    measured_concentration,
)
from theory.claims.mahloujifar2019.search import greedy_balls, greedy_rectangles

__all__ = [
    "BallUnion",
    "MeasuredConcentration",
    "RectangleComplement",
    "Region",
    "empirical_concentration",
    "gaussian_risk_budget",
    "gaussian_risk_log_survival",
    "gaussian_risk_lower_bound",
    "greedy_balls",
    "greedy_rectangles",
    "isoperimetric_budget",
    "isoperimetric_log_survival",
    "isoperimetric_lower_bound",
    "levy_budget",
    "levy_half_distance",
    "levy_log_survival",
    "levy_lower_bound",
    "levy_mean_upper_bound",
    "measured_concentration",
    "two_sided_budget",
    "two_sided_log_survival",
    "two_sided_risk",
]
