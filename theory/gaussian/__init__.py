"""Gauss space N(0, I_d): isoperimetry of half-spaces, and the exact law of the argmax family."""

from theory.gaussian.argmax_family import (
    argmax_family_cdf,
    argmax_family_log_survival,
    argmax_family_mean,
    argmax_family_quantile,
    multi_bubble_slope,
)
from theory.gaussian.half_spaces import (
    checked_distance,
    checked_log_survival,
    checked_mass,
    crossing_at,
    expected_norm,
    half_space_offset,
    halfspace_enlargement,
    halfspace_enlargement_distance,
    halfspace_log_survival,
    isoperimetric_profile,
    log_survival_at,
    log_survival_kernel,
    mean_survival,
    mills_ratio,
    survival_kernel,
)

__all__ = [
    "argmax_family_cdf",
    "argmax_family_log_survival",
    "argmax_family_mean",
    "argmax_family_quantile",
    "checked_distance",
    "checked_log_survival",
    "checked_mass",
    "crossing_at",
    "expected_norm",
    "half_space_offset",
    "halfspace_enlargement",
    "halfspace_enlargement_distance",
    "halfspace_log_survival",
    "isoperimetric_profile",
    "log_survival_at",
    "log_survival_kernel",
    "mean_survival",
    "mills_ratio",
    "multi_bubble_slope",
    "survival_kernel",
]
