"""Lipschitz constants by enumeration of all activation regions."""

from theory.lipschitz.exact.constant import LipschitzConstant
from theory.lipschitz.pattern_jacobian import (
    jacobian_with_error,
    operator_norm_lower,
    operator_norm_upper,
)
from theory.norms import frobenius_upper
from theory.relu.enumeration import activation_regions
from theory.relu.network import ReluNetwork
from theory.relu.region import Box


def enumerated_constant(network: ReluNetwork, p: float, box: Box | None) -> LipschitzConstant:
    """Return the largest norm of the Jacobians of all regions that hold a ball of radius 1e-8.

    Parameters
    ----------
    network : ReluNetwork
    p : {1, 2, inf}
    box : pair of array_like or None
        With an interior.

    Raises
    ------
    ValueError
        If no region holds such a ball.
    RuntimeError
        If a linear programme was not solved.

    References
    ----------
    Jordan and Dimakis, Exactly Computing the Local Lipschitz Constant of ReLU Networks (NeurIPS
    2020), theorem 1.
    """
    lower, upper, witness, count = -1.0, 0.0, None, 0
    for pattern, point in activation_regions(network, box):
        count += 1
        jacobian, error = jacobian_with_error(network, pattern)
        # Frobenius norms are cheaper, and most regions are far from the largest norm.
        if p != 2 or 1.000001 * (frobenius_upper(jacobian) + frobenius_upper(error)) > upper:
            upper = max(upper, operator_norm_upper(jacobian, error, p))
        least = operator_norm_lower(jacobian, error, p)
        if least > lower:
            lower, witness = least, point
    if witness is None:
        raise ValueError("no activation region within the box holds a ball of radius 1e-8")
    return LipschitzConstant(max(lower, 0.0), upper, witness, count)
