"""A primal-dual interior-point method for slope problems, whose constraints have rank two."""

from theory.lipschitz.semidefinite.interior.method import interior_point

__all__ = ["interior_point"]
