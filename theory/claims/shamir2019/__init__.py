"""Shamir, Safran, Ronen and Dunkelman, adversarial examples of small Hamming distance (2019).

How many coordinates of a point must change for another cell of hyperplanes, or another label of a
network. The statements are in a form of their own, so that no theorem numbers are cited.
"""

from theory.claims.shamir2019.change_size import (
    change_norm_cdf,
    change_norm_log_survival,
    change_norm_quantile,
)
from theory.claims.shamir2019.labels import label_reach_probability
from theory.claims.shamir2019.linear import (
    cell_distance_bound,
    expected_good_sets,
    label_distance_bound,
    log_expected_good_sets,
    reach_log_probability,
    reach_probability,
)
from theory.claims.shamir2019.networks import (
    network_label_distance_bound,
    recession_bound,
    targeted_quantile,
)
from theory.claims.shamir2019.setting import (
    BOXES,
    CELL_DISTANCE,
    CHANGE_NORM,
    LABEL_DISTANCE,
    LABEL_DISTANCE_IN,
    LABEL_REACH_PROBABILITY,
    REACH_PROBABILITY,
    TARGETED_QUANTILES,
    hamming_in,
)

__all__ = [
    "BOXES",
    "CELL_DISTANCE",
    "CHANGE_NORM",
    "LABEL_DISTANCE",
    "LABEL_DISTANCE_IN",
    "LABEL_REACH_PROBABILITY",
    "REACH_PROBABILITY",
    "TARGETED_QUANTILES",
    "cell_distance_bound",
    "change_norm_cdf",
    "change_norm_log_survival",
    "change_norm_quantile",
    "expected_good_sets",
    "hamming_in",
    "label_distance_bound",
    "label_reach_probability",
    "log_expected_good_sets",
    "network_label_distance_bound",
    "reach_log_probability",
    "reach_probability",
    "recession_bound",
    "targeted_quantile",
]
