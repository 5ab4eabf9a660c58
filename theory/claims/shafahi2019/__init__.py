r"""Shafahi et al., Are adversarial examples inevitable? (ICLR 2019): sphere, cube, few coordinates.

Points of class c have a density of at most V times the uniform one, and a classifier says c on a
set of uniform measure at most 1/2. The distance of such a point to the rest is 0 where it is
misclassified, and elsewhere that of its nearest adversarial example. Densities may be astronomic,
so all is in terms of log V.
"""

from theory.claims.shafahi2019.cube import (
    cube_cdf_lower_bound,
    cube_log_survival_upper_bound,
    cube_quantile_upper_bound,
    cube_scale,
)
from theory.claims.shafahi2019.sparse import (
    hamming_cdf_lower_bound,
    hamming_log_survival_upper_bound,
    hamming_quantile_upper_bound,
)
from theory.claims.shafahi2019.sphere import (
    sphere_cdf_lower_bound,
    sphere_log_survival_upper_bound,
    sphere_quantile_upper_bound,
)

__all__ = [
    "cube_cdf_lower_bound",
    "cube_log_survival_upper_bound",
    "cube_quantile_upper_bound",
    "cube_scale",
    "hamming_cdf_lower_bound",
    "hamming_log_survival_upper_bound",
    "hamming_quantile_upper_bound",
    "sphere_cdf_lower_bound",
    "sphere_log_survival_upper_bound",
    "sphere_quantile_upper_bound",
]
