"""Fawzi, Fawzi and Fawzi, Adversarial vulnerability for any classifier (NeurIPS 2018).

Data are x = g(z), z ~ N(0, I_d); a classifier f is any map to K classes, of masses
p_i = P(f(g(z)) = i); omega is a modulus of continuity of g from (latent, l2) to the image norm.
r_latent, r_in and r_unc are the distances to another label in latent space, in image space within
the range of g, and in image space.
"""

from theory.claims.fawzi2018.approximate import (
    approximate_generator_equiprobable_mean_bound,
    approximate_generator_mean_bound,
)
from theory.claims.fawzi2018.approximate_law import (
    approximate_generator_survival_bound,
    total_variation_survival_bound,
)
from theory.claims.fawzi2018.corollaries import (
    balanced_cdf_lower_bound,
    balanced_log_survival_upper_bound,
    balanced_quantile_upper_bound,
    equiprobable_cdf_lower_bound,
    equiprobable_log_survival_upper_bound,
    equiprobable_quantile_upper_bound,
    printed_offset,
)
from theory.claims.fawzi2018.latents import cube_transport, gaussian_transport
from theory.claims.fawzi2018.local import LocalExpansions, local_cdf_lower_bound
from theory.claims.fawzi2018.mean import mean_upper_bound
from theory.claims.fawzi2018.probabilistic import probabilistic_cdf_lower_bound
from theory.claims.fawzi2018.projection import projected_unconstrained_lower_bound
from theory.claims.fawzi2018.robustness import (
    cdf_lower_bound,
    log_survival_upper_bound,
    quantile_upper_bound,
    worst_cdf_lower_bound,
)
from theory.claims.fawzi2018.transfer import (
    transfer_log_survival_upper_bound,
    transfer_lower_bound,
    transfer_lower_bound_from_unions,
    transfer_quantile_upper_bound,
)

__all__ = [
    "LocalExpansions",
    "approximate_generator_equiprobable_mean_bound",
    "approximate_generator_mean_bound",
    "approximate_generator_survival_bound",
    "balanced_cdf_lower_bound",
    "balanced_log_survival_upper_bound",
    "balanced_quantile_upper_bound",
    "cdf_lower_bound",
    "cube_transport",
    "equiprobable_cdf_lower_bound",
    "equiprobable_log_survival_upper_bound",
    "equiprobable_quantile_upper_bound",
    "gaussian_transport",
    "local_cdf_lower_bound",
    "log_survival_upper_bound",
    "mean_upper_bound",
    "printed_offset",
    "probabilistic_cdf_lower_bound",
    "projected_unconstrained_lower_bound",
    "quantile_upper_bound",
    "total_variation_survival_bound",
    "transfer_log_survival_upper_bound",
    "transfer_lower_bound",
    "transfer_lower_bound_from_unions",
    "transfer_quantile_upper_bound",
    "worst_cdf_lower_bound",
]
