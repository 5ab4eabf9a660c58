"""The distance from a point to another label: exact, and certified from below."""

from theory.distance.certified import MarginCertifier, certified, certified_many, compose
from theory.distance.exact import exact
from theory.distance.problem import Distance, DistanceProblem
from theory.distance.smoothing import certify, smoothed_pair_radius, smoothed_radius

__all__ = [
    "Distance",
    "DistanceProblem",
    "MarginCertifier",
    "certified",
    "certified_many",
    "certify",
    "compose",
    "exact",
    "smoothed_pair_radius",
    "smoothed_radius",
]
