"""Hyperplane arrangements: regions with witnesses, exact counts, named families."""

from theory.arrangement.arrangement import HyperplaneArrangement, Region
from theory.arrangement.families import (
    boolean,
    braid,
    central_generic,
    generic,
    linial,
    parallel,
    shi,
    threshold,
)

__all__ = [
    "HyperplaneArrangement",
    "Region",
    "boolean",
    "braid",
    "central_generic",
    "generic",
    "linial",
    "parallel",
    "shi",
    "threshold",
]
