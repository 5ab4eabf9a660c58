"""Certified radii of piecewise-linear networks that a few branches make larger."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.budget import Budget
from theory.distance.growth import grown
from theory.distance.problem import DistanceProblem
from theory.lipschitz.activations import LeakyReLU
from theory.lipschitz.feed_forward import FeedForward
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

_ENTRIES: Final = 2**19
"""Weights up to which a node is quick."""
_STEP: Final = 1.1
_FARTHEST: Final = 8.0
"""Balls are at most so many times as large as that of the radius known."""


def relu_network(network: FeedForward) -> ReluNetwork | None:
    """Return the same network, None if it is not piecewise linear or too large."""
    layers, entries = [], 0
    for stage in network.stages:
        if not isinstance(stage.activation, LeakyReLU):
            return None
        m, n = stage.weight.shape
        entries += m * n
        layers.append(Layer(stage.weight, stage.bias, np.broadcast_to(stage.activation.slope, m)))
    return ReluNetwork(layers) if entries <= _ENTRIES else None


def branched_radii(
    network: ReluNetwork,
    points: FloatArray,
    labels: npt.NDArray[np.intp],
    p: float,
    box: tuple[FloatArray, FloatArray] | None,
    known: FloatArray,
    slack: Callable[[FloatArray, int], float],
    nodes: int,
) -> FloatArray:
    """Return certified radii, shape (B,), at least those known.

    Parameters
    ----------
    network : ReluNetwork
    points : ndarray, shape (B, n)
    labels : ndarray of int, shape (B,)
    p : {2, inf}
    box : (ndarray, ndarray) or None
    known : ndarray, shape (B,)
        Radii that hold; 0 and infinite ones stay.
    slack : callable
        Radius and index of a point to what rounding may take off its margins up to there.
    nodes : int
        Of branch and bound, a point.
    """
    found = known.copy()
    for b in np.flatnonzero((known > 0) & np.isfinite(known)):
        at = int(b)
        end = _FARTHEST * float(known[at])
        problem = DistanceProblem.of(network, points[at], p, box, int(labels[at]))
        problem = replace(problem, slack=slack(np.array([[end]]), at))
        end = min(end, problem.farthest())
        try:
            lower, _ = grown(problem, Budget(nodes=nodes), float(known[at]), end, step=_STEP)
        except ValueError:
            continue  # values leave the range of double precision
        found[at] = max(found[at], lower)
    return found
