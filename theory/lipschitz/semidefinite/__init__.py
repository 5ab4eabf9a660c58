"""Semidefinite bounds on Lipschitz constants, each with a certificate that is checked."""

from theory.lipschitz.semidefinite.bound import SemidefiniteBound, bound_of, semidefinite_bound
from theory.lipschitz.semidefinite.certificate import Certificate, certified
from theory.lipschitz.semidefinite.problem import (
    SlopeEnds,
    SlopeProblem,
    global_slopes,
    slope_problem,
)
from theory.lipschitz.semidefinite.solution import Solution

__all__ = [
    "Certificate",
    "SemidefiniteBound",
    "SlopeEnds",
    "SlopeProblem",
    "Solution",
    "bound_of",
    "certified",
    "global_slopes",
    "semidefinite_bound",
    "slope_problem",
]
