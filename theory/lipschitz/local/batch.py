"""Centre-radius bounds on the balls around many points."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.local.center_radius import jacobian_norms
from theory.lipschitz.local.checks import checked_points
from theory.lipschitz.local.reading import Precision
from theory.lipschitz.pattern_jacobian import checked_norm
from theory.lipschitz.propagation import batched_ends
from theory.lipschitz.propagation.jacobian import slope_ends
from theory.relu.network import ReluNetwork

_SHARE = 8
"""The part of the memory that the pre-activations of one chunk of points may take."""


def center_radius_bounds(
    network: ReluNetwork | FeedForward,
    centers: npt.ArrayLike,
    radius: npt.ArrayLike,
    p: float = 2,
    *,
    precision: Precision = "float64",
    memory: float = 2.0**29,
) -> FloatArray:
    """Bound the Lipschitz constant l_p -> l_p on the closed l_p balls around many points.

    The slopes of each layer lie within a radius of their centres; the product of all layers is
    expanded into the product of the centres and terms with one, two, ... radii, whose norms are
    taken with what they share merged. Matrix products only, of all points together.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    centers : array_like, shape (n, n_inputs)
    radius : array_like, a number or of shape (n,)
        Of all balls, or of each, at least 0.
    p : {1, 2, inf}
    precision : {"float64", "float32"}
        Of the products, whose rounding is in the bounds: float32 takes half the memory and
        for wide networks down to 2/3 of the time, loses a relative 1e-5 to 1e-2, and needs weights
        that are float32 numbers. Pre-activations are always bounded in float64.
    memory : float
        Bytes that are taken at once, about.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        If an input is malformed.

    Examples
    --------
    >>> hinge = ReluNetwork([([[2.0]], [0.0]), ([[1.0]], [0.0])])
    >>> center_radius_bounds(hinge, [[-1.0], [0.0], [1.0]], 0.5).round(6)
    array([0., 2., 2.])
    """
    made = FeedForward.of(network)
    checked_norm(p)
    points = checked_points(made, centers, 2)
    reach = np.asarray(radius, dtype=np.float64)
    if reach.shape not in ((), (len(points),)) or not np.all((reach >= 0) & (reach < np.inf)):
        raise ValueError(
            f"radius must be a number or {len(points)} of them, finite and at least 0,"
            f" got {radius!r}"
        )
    reach = np.broadcast_to(reach, len(points))
    if precision not in ("float64", "float32"):
        raise ValueError(f"precision must be 'float64' or 'float32', got {precision!r}")
    units = sum(len(stage.bias) for stage in made.stages)
    step = max(1, int(memory / (_SHARE * 8 * 8 * units)))
    found = [np.zeros(0)]
    for first in range(0, len(points), step):
        ends = batched_ends(made, points[first : first + step], reach[first : first + step], p)
        slopes = slope_ends(made, ends)
        found.append(jacobian_norms(made, slopes, p, precision=precision, memory=memory / 2))
    return np.concatenate(found)
