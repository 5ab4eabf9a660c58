"""Certified lower ends of the distance to the nearest point with another label."""

from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.certificates.batch import Batch, Method, Settings
from theory.distance.certificates.branched import relu_network
from theory.distance.certificates.composition import compose
from theory.distance.certificates.constants import PairConstants
from theory.distance.certificates.deployment import Deployment, DeploymentError
from theory.lipschitz.activations import Identity, LeakyReLU
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.lipschitz.local.checks import checked_box
from theory.relu.network import ReluNetwork

__all__ = ["MarginCertifier", "certified", "certified_many", "compose"]

IntArray = npt.NDArray[np.intp]
_ENTRIES: Final = 2**22
"""Of the largest array of a batch."""


def certified(
    network: ReluNetwork | FeedForward,
    x: npt.ArrayLike,
    *,
    p: float,
    box: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    method: Method = "best",
    label: int | None = None,
    deployment: Deployment = "exact",
) -> float:
    """Return a proved lower end of the l_p distance from x to any point with another label.

    As `certified_many`, for one point. For many points, or many calls, `MarginCertifier` keeps the
    constants of the network.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
        Outputs one score a class; the label is the largest.
    x : array_like, shape (n_inputs,)
    p : {1, 2, inf}
    box, method, deployment
        As for `certified_many`.
    label : int, optional
        By default that of x.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As `certified_many`.

    Examples
    --------
    >>> halves = ReluNetwork([([[3.0, 4.0], [0.0, 0.0]], [0.0, 0.0])])
    >>> [round(certified(halves, [1.0, 1.0], p=p), 9) for p in (1, 2, np.inf)]
    [1.75, 1.4, 1.0]
    """
    point = np.asarray(x, dtype=np.float64)
    if point.ndim != 1:
        raise ValueError(f"x must be one point of shape (n_inputs,), got {point.shape}")
    labels = None if label is None else np.array([label])
    certifier = MarginCertifier(network, deployment=deployment)
    return float(certifier.radii(point[None], p=p, box=box, method=method, labels=labels)[0])


def certified_many(
    network: ReluNetwork | FeedForward,
    points: npt.ArrayLike,
    *,
    p: float,
    box: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    method: Method = "best",
    labels: npt.ArrayLike | None = None,
    deployment: Deployment = "exact",
) -> FloatArray:
    """Return proved lower ends of the l_p distances from many points to another label.

    The methods bound, by pair of classes, the margin output[label] - output[t] on a ball:

    - "product": the product of the layers' norms, the last one of the difference of two rows;
    - "semidefinite": the semidefinite Lipschitz constant of the difference of the two outputs, for
      p = 2; for p = 1 and inf what follows from it by the norms' equivalence;
    - "local": Lipschitz constants of the differences on nested balls around each point;
    - "interval": intervals, layer by layer;
    - "linear": lines around all units, taken back to the inputs, with optimised slopes;
    - "best": the largest of all of them, pair by pair, without those that a large network makes
      too slow; of piecewise-linear networks, raised by a few steps of branch and bound over the
      phases of units, as of `exact`.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
        Outputs one score a class; the label is the largest.
    points : array_like, shape (B, n_inputs)
    p : {1, 2, inf}
    box : (low, high), optional
        Only points of the box count as neighbours: "interval" and "linear" make use of it.
    method : {"product", "semidefinite", "local", "interval", "linear", "best"}
    labels : array_like of int, shape (B,), optional
        By default those of the points.
    deployment : {"exact", "float64", "float32"}
        Whether the label is meant to be kept by the network in exact arithmetic, or by a forward
        pass in floating point as well, whose rounding is taken off the margins.

    Returns
    -------
    ndarray, shape (B,)
        No point at a smaller distance has another label. 0 where the label of the point is another
        or not certain, +inf where no point (of the box) has another label.

    Raises
    ------
    ValueError
        If an input is malformed, a point is outside the box, or the method does not apply.

    References
    ----------
    Tsuzuku, Sato and Sugiyama, Lipschitz-Margin Training (NeurIPS 2018); Fazlyab et al., Efficient
    and Accurate Estimation of Lipschitz Constants for Deep Neural Networks (NeurIPS 2019); Hein and
    Andriushchenko, Formal Guarantees on the Robustness of a Classifier against Adversarial
    Manipulation (NeurIPS 2017), theorem 2.1, for local constants; Zhang et al., Efficient Neural
    Network Robustness Certification with General Activation Functions (NeurIPS 2018); Xu et al.,
    Fast and Complete (ICLR 2021), for optimised slopes.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0], [0, 0]], [-1.0, 0])])
    >>> certified_many(absolute, [[0.0], [0.5], [3.0]], p=2).round(3)
    array([1. , 0.5, 2. ])
    """
    certifier = MarginCertifier(network, deployment=deployment)
    return certifier.radii(points, p=p, box=box, method=method, labels=labels)


class MarginCertifier:
    """Certificates of one network for many points: it keeps its constants by pair of classes.

    Parameters
    ----------
    network : ReluNetwork or FeedForward
    deployment : {"exact", "float64", "float32"}
    steps : int
        Of the slopes of the method "linear"; 0 keeps those that leave least area.
    tolerance : float
        Relative, of the radii of the methods that search for them.
    max_units : int
        Units up to which "best" solves semidefinite bounds.
    nodes : int
        Of branch and bound, a point, by which "best" raises its radii for p = 2 and inf.

    Raises
    ------
    ValueError
        If the network has a single output, or a setting is out of range.

    Examples
    --------
    >>> halves = ReluNetwork([([[3.0, 4.0], [0.0, 0.0]], [0.0, 0.0])])
    >>> MarginCertifier(halves).radii([[1.0, 1.0], [0.0, 0.0]], p=2).round(9)
    array([1.4, 0. ])
    """

    def __init__(
        self,
        network: ReluNetwork | FeedForward,
        *,
        deployment: Deployment = "exact",
        steps: int = 16,
        tolerance: float = 1e-3,
        max_units: int = 300,
        nodes: int = 64,
    ) -> None:
        if not isinstance(network, ReluNetwork | FeedForward):
            raise ValueError(
                f"a network is a ReluNetwork or a FeedForward, got {type(network).__name__}"
            )
        if network.n_outputs < 2:
            raise ValueError("a classifier needs 2 outputs or more, got 1")
        if deployment not in get_args(Deployment):
            known = ", ".join(get_args(Deployment))
            raise ValueError(f"deployment must be one of {known}, got {deployment!r}")
        if isinstance(steps, bool) or steps != int(steps) or steps < 0:
            raise ValueError(f"steps must be a whole number from 0 on, got {steps!r}")
        if isinstance(nodes, bool) or nodes != int(nodes) or nodes < 0:
            raise ValueError(f"nodes must be a whole number from 0 on, got {nodes!r}")
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance must be between 0 and 1, got {tolerance}")
        self.network = FeedForward.of(network)
        error = None if deployment == "exact" else DeploymentError(self.network, deployment)
        constants = PairConstants(_affine_at_end(self.network))
        relu = relu_network(self.network)
        limits = tolerance, max_units, int(nodes)
        self._settings = Settings(constants, error, int(steps), *limits, relu)

    def radii(
        self,
        points: npt.ArrayLike,
        *,
        p: float,
        box: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        method: Method = "best",
        labels: npt.ArrayLike | None = None,
    ) -> FloatArray:
        """Return certified radii, shape (B,); see `certified_many`."""
        x = self._points(points)
        if p not in (1, 2, np.inf):
            raise ValueError(f"p must be 1, 2 or inf, got {p!r}")
        if method not in get_args(Method):
            raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
        within = None if box is None else self._box(box, x)
        y = self._labels(labels, x)
        found = [np.zeros(0)]
        widths = [len(stage.bias) for stage in self.network.stages]
        # Two lines a unit, but for the first stage without a box: its rows all points share.
        rows = max([2 * m for m in widths[int(box is None) :]] + widths[-1:])
        step = max(1, _ENTRIES // (rows * max(*widths, x.shape[1])))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            batch = Batch(self._settings, x[part], y[part], p, within)
            found.append(batch.radii(method))
        return np.concatenate(found)

    def _points(self, points: npt.ArrayLike) -> FloatArray:
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.network.n_inputs:
            raise ValueError(f"points have the shape (B, {self.network.n_inputs}), got {x.shape}")
        if not np.all(np.isfinite(x)):
            raise ValueError("points must be finite")
        return x

    def _box(
        self, box: tuple[npt.ArrayLike, npt.ArrayLike], x: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        try:
            low, high = box
        except (TypeError, ValueError) as error:
            raise ValueError(f"a box is a pair (low, high), got {box!r}") from error
        lower, upper = checked_box(self.network, low, high)
        outside = np.argwhere((x < lower) | (x > upper))
        if outside.size:
            i, j = outside[0]
            raise ValueError(
                f"points[{i}, {j}] = {x[i, j]} is outside the box [{lower[j]}, {upper[j]}]"
            )
        return lower, upper

    def _labels(self, labels: npt.ArrayLike | None, x: FloatArray) -> IntArray:
        if labels is None:
            return np.asarray(self.network(x).argmax(axis=1), dtype=np.intp)
        given = np.asarray(labels)
        n = self.network.n_outputs
        if given.shape != (len(x),) or given.dtype.kind not in "iu":
            raise ValueError(f"labels must be {len(x)} whole numbers, got {labels!r}")
        if np.any((given < 0) | (given >= n)):
            raise ValueError(f"labels must be from 0 to {n - 1}, got {labels!r}")
        return given.astype(np.intp)


def _affine_at_end(network: FeedForward) -> FeedForward:
    """Return the network with an affine last stage: differences of its outputs are rows of it."""
    last = network.stages[-1].activation
    if isinstance(last, LeakyReLU) and np.all(last.slope == 1):
        return network
    n = network.n_outputs
    return FeedForward((*network.stages, Stage(np.eye(n), np.zeros(n), Identity())))
