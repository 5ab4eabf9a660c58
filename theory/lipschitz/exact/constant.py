"""What is known of a Lipschitz constant, and how a lower end is proved."""

from dataclasses import dataclass

import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.pattern_jacobian import jacobian_with_error, operator_norm_lower
from theory.norms import accumulated_error
from theory.relu.layer import magnitudes
from theory.relu.network import ReluNetwork


@dataclass(frozen=True, eq=False)
class LipschitzConstant:
    """Ends of a Lipschitz constant l_p -> l_p.

    Attributes
    ----------
    lower, upper : float
        Apart by rounding only, unless a time limit ended the search.
    witness : ndarray, shape (n_inputs,)
        A point of the interior of an activation region whose Jacobian has at least the norm
        `lower`.
    n_nodes : int
        Regions, or nodes of the search, that were looked at.
    """

    lower: float
    upper: float
    witness: FloatArray
    n_nodes: int = 0

    @property
    def closed(self) -> bool:
        """Whether the ends are equal up to rounding."""
        return self.upper - self.lower <= 1e-8 * self.upper + 1e-300


def norm_at(network: ReluNetwork, x: FloatArray, p: float) -> float | None:
    """Return a lower bound on the norm of the Jacobian at x; None if x may be on a boundary.

    Off all boundaries in exact arithmetic, x has a neighbourhood with one Jacobian.

    Parameters
    ----------
    network : ReluNetwork
    x : ndarray, shape (n_inputs,)
    p : {1, 2, inf}

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.3: running errors.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> norm_at(absolute, np.zeros(1), 2) is None, round(norm_at(absolute, np.ones(1), 2), 9)
    (True, 1.0)
    """
    state, error = x, np.zeros(len(x))
    # Rows of zeros are exact: a unit that no input reaches has no boundary.
    paths = np.ones(len(x))
    phases = []
    for layer in network.layers:
        size = magnitudes(layer)
        gamma = accumulated_error(layer.weight.shape[1] + 8)
        values = layer.affine(state)
        terms = np.asarray(size @ np.abs(state)) + np.abs(layer.bias)
        error = (np.asarray(size @ error) * (1 + gamma) + 2 * gamma * terms) * (1 + gamma)
        paths = np.asarray(size @ paths)
        on = values > 0
        if np.any((np.abs(values) <= error)[layer.hinges] & (paths[layer.hinges] > 0)):
            return None
        phases.append(on[layer.hinges])
        state = layer.activate(values)
        scale = np.where(on | (layer.slope == 1), 1.0, np.abs(layer.slope))
        error, paths = scale * error + gamma * np.abs(state), scale * paths
    jacobian, doubt = jacobian_with_error(network, np.concatenate(phases))
    return operator_norm_lower(jacobian, doubt, p)
