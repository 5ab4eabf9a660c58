"""Dohmatob, Generalized no free lunch theorem for adversarial robustness (ICML 2019).

A law P satisfies T_2(sigma^2) if W_2(Q, P) <= sqrt(2 sigma^2 KL(Q || P)) for every Q: strongly
log-concave laws do (with Hessian of -log density at least sigma^{-2}), not all log-concave ones.
The law is that of the points of one class, or of all points; the risk is measured under it.
"""

from theory.claims.dohmatob2019.norms import quoted_lq_lower_bound
from theory.claims.dohmatob2019.transport import (
    natural_noise_distance,
    printed_mean_upper_bound,
    transport_budget,
    transport_log_survival,
    transport_lower_bound,
)

__all__ = [
    "natural_noise_distance",
    "printed_mean_upper_bound",
    "quoted_lq_lower_bound",
    "transport_budget",
    "transport_log_survival",
    "transport_lower_bound",
]
