"""How far a network that is evaluated in floating point may be from the network itself."""

from typing import Final, Literal, TypeAlias

import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.activations import LeakyReLU
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.product import AffineLayer
from theory.norms import UNIT_ROUNDOFF, accumulated_error
from theory.relu.layer import dense

Deployment: TypeAlias = Literal["exact", "float64", "float32"]
_ULPS: Final = 32
"""Roundings that a curved activation is off, relative to 1, its argument and its value."""
_UP: Final = 1 + 2.0**-46


class DeploymentError:
    """Bounds on the l2 rounding error of a forward pass of a network, in any summation order.

    Parameters
    ----------
    network : FeedForward
        As it is evaluated, stage by stage, with these weights.
    precision : {"float32", "float64"}
        Arithmetic of the pass; sums by fused or split products are covered, transforms (Winograd,
        FFT) and underflow are not. Curved activations are taken to be off by no more than 32 units
        of rounding, relative to 1 + |z| + |f(z)|.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.5.
    """

    def __init__(self, network: FeedForward, precision: Literal["float32", "float64"]) -> None:
        self.unit = UNIT_ROUNDOFF[precision]
        self._stages = []
        for stage in network.stages:
            m = len(stage.bias)
            layer = AffineLayer(dense(stage.weight), stage.bias)
            least, most = stage.activation.slopes(np.full(m, -np.inf), np.full(m, np.inf))
            steepest = float(np.maximum(np.abs(least), np.abs(most)).max())
            linear = isinstance(stage.activation, LeakyReLU)
            shift = 0.0 if linear else float(np.linalg.norm(stage.activation(np.zeros(m))))
            whole = bool(np.all(np.isin([least, most], (0.0, 1.0))))
            ulps = (0 if whole else 1) if linear else _ULPS
            self._stages.append((layer, steepest, shift, ulps))

    def __call__(self, input_norm: FloatArray) -> FloatArray:
        """Return the bounds, shape (B,), for inputs of at most these l2 norms."""
        size = np.asarray(input_norm, dtype=np.float64)
        error = np.zeros_like(size)
        for layer, steepest, shift, ulps in self._stages:
            gamma = accumulated_error(layer.fan_in + 2, self.unit)
            bias = float(np.linalg.norm(layer.bias))
            error = layer.norm * error + gamma * (layer.frobenius * (size + error) + bias)
            size = layer.norm * size + bias
            before = size + error
            error, size = steepest * error, shift + steepest * size
            if ulps:
                unit = 0.0 if ulps == 1 else np.sqrt(len(layer.bias))
                error = error + ulps * self.unit * (unit + before + size + error)
            error, size = error * _UP, size * _UP
        return np.asarray(error)
