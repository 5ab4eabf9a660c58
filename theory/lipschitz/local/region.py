"""Jacobians at one point: the exact constant on its activation region, and lower ends."""

import numpy as np
import numpy.typing as npt

from theory.evidence import Interval
from theory.lipschitz.activations import LeakyReLU
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.local.checks import checked_points
from theory.lipschitz.pattern_jacobian import (
    checked_norm,
    jacobian_with_error,
    operator_norm_lower,
    operator_norm_upper,
)
from theory.lipschitz.propagation import preactivation_ends
from theory.lipschitz.propagation.jacobian import interval_jacobian, slope_ends
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork


def region_constant(network: ReluNetwork | FeedForward, x: npt.ArrayLike, p: float = 2) -> Interval:
    """Return the Lipschitz constant l_p -> l_p on the activation region of a point.

    The network is affine there, so that this is the operator norm of its Jacobian, with the
    rounding of computing it as the width of the interval.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
        Piecewise linear.
    x : array_like, shape (n_inputs,)
        The region is that of the pattern computed at x, also where x is on its boundary.
    p : {1, 2, inf}

    Raises
    ------
    ValueError
        If an input is malformed or the network is not piecewise linear.

    Examples
    --------
    >>> hinge = ReluNetwork([([[2.0]], [0.0]), ([[1.0]], [0.0])])
    >>> [round(region_constant(hinge, [x]).upper, 6) for x in (-1.0, 1.0)]
    [0.0, 2.0]
    """
    checked_norm(p)
    made = network if isinstance(network, ReluNetwork) else _piecewise_linear(network)
    jacobian, error = jacobian_with_error(made, made.pattern(made.point(x)))
    upper = operator_norm_upper(jacobian, error, p)
    return Interval(min(max(operator_norm_lower(jacobian, error, p), 0.0), upper), upper)


def _piecewise_linear(network: FeedForward) -> ReluNetwork:
    layers = []
    for i, stage in enumerate(network.stages):
        if not isinstance(stage.activation, LeakyReLU):
            raise ValueError(
                f"stage {i} has the activation {stage.activation.name}, which has no regions:"
                " use local_bound with radius 0"
            )
        slope = np.broadcast_to(stage.activation.slope, stage.bias.shape)
        layers.append(Layer(stage.weight, stage.bias, slope))
    return ReluNetwork(layers)


def jacobian_norm_lower(
    network: ReluNetwork | FeedForward, x: npt.ArrayLike, p: float = 2
) -> float:
    """Return a lower bound on the norm l_p -> l_p of the Jacobian at a point, rounding included.

    It bounds the Lipschitz constant of every set with the point in its interior: near it there are
    Jacobians whose slopes are as close as one likes to those between the ends that are taken.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    x : array_like, shape (n_inputs,)
    p : {1, 2, inf}

    Returns
    -------
    float
        At a kink, up to rounding, that of the least Jacobian the free slopes may make.

    Examples
    --------
    >>> hinge = ReluNetwork([([[2.0]], [0.0]), ([[1.0]], [0.0])])
    >>> round(jacobian_norm_lower(hinge, [1.0]), 6), jacobian_norm_lower(hinge, [0.0])
    (2.0, 0.0)
    """
    checked_norm(p)
    made = FeedForward.of(network)
    ends = preactivation_ends(made, checked_points(made, x, 1), 0.0, p, backward=False)
    least, most = interval_jacobian(made, slope_ends(made, ends))
    jacobian = least / 2 + most / 2
    # Rounded up: every matrix between the ends is as close as this.
    error = np.nextafter(np.maximum(most - jacobian, jacobian - least), np.inf)
    return max(operator_norm_lower(jacobian, error, p), 0.0)
