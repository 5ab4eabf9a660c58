"""Bhagoji, Cullina and Mittal, Lower bounds on robustness from optimal transport (2019).

Two labelled laws are given, and every point may be moved within a budget before it is classified.
The least loss of any classifier is (1 - C) / 2, where C is the least cost of a coupling of the two
laws that pays 1 for each pair whose neighbourhoods do not meet. It is exact for finite samples, by
a matching, and for two Gaussians, by a projection.
"""

from theory.claims.bhagoji2019.gaussians import (
    gaussian,
    gaussian_adversarial_loss,
    loss_at_margin,
)
from theory.claims.bhagoji2019.samples import (
    ADVERSARIAL_LOSS,
    finite_samples,
    loss_at_cost,
    minimal_adversarial_loss,
    minimal_adversarial_loss_weighted,
    population_lower_bound,
)

__all__ = [
    "ADVERSARIAL_LOSS",
    "finite_samples",
    "gaussian",
    "gaussian_adversarial_loss",
    "loss_at_cost",
    "loss_at_margin",
    "minimal_adversarial_loss",
    "minimal_adversarial_loss_weighted",
    "population_lower_bound",
]
