"""Certified radii of many points from linear relaxations, for the network as it is deployed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance import MarginCertifier
from theory.lipschitz.product import AffineLayer
from theory.norms import accumulated_error, frobenius_upper, least_singular_value_lower
from theory.relu import ReluNetwork

_STEPS: Final = 0
"""Of the slopes: those of least area cost a part of optimised ones, and lose little."""
_TOLERANCE: Final = 0.05
"""Relative, of the radii; each further digit costs as much again."""
_OUTSIDE: Final = 2.0**-20
"""How far inputs that stand for what is outside the computed range reach, for each unit."""
_MOST_SKEW: Final = 0.1
_DOWN: Final = 1 - 2.0**-48


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A network, and how distances of its inputs relate to those that are certified.

    Attributes
    ----------
    certifier : MarginCertifier
    units : int
        ReLUs of the network.
    basis : ndarray, shape (m, d), optional
        Inputs are (u, w) for the points basis @ u + _OUTSIDE w + origin; the points themselves if
        not given.
    origin : ndarray, shape (m,), optional
    stretch : float
        At least how many times as far two inputs are apart, at most, as two points of the range.
    """

    certifier: MarginCertifier
    units: int
    basis: FloatArray | None = None
    origin: FloatArray | None = None
    stretch: float = 1.0

    def radii(
        self, centers: FloatArray, labels: npt.NDArray[np.int64], blur: FloatArray
    ) -> FloatArray:
        """Return radii within which a label is kept, shape (n,), for points that far from centers.

        Parameters
        ----------
        centers : ndarray, shape (n, m)
        labels : ndarray of int, shape (n,)
        blur : ndarray, shape (n,)
            Bounds on the distances of the points that are meant from the centers.
        """
        inputs = centers
        if self.basis is not None:
            assert self.origin is not None
            d = self.basis.shape[1]
            moved = centers - self.origin
            along = moved @ self.basis
            inputs = np.hstack([along, (moved - along @ self.basis.T) / _OUTSIDE])
            size = np.linalg.norm(centers, axis=1) + float(np.linalg.norm(self.origin))
            size += frobenius_upper(self.basis) * np.linalg.norm(along, axis=1)
            blur = (blur + accumulated_error(d + 8) * size) / _OUTSIDE
        found = self.certifier.radii(inputs, p=2, method="linear", labels=labels)
        return np.asarray(np.maximum((found - blur) / self.stretch * _DOWN, 0.0))


def relaxed(network: ReluNetwork) -> Relaxed:
    """Return a network for certificates of distances of its inputs."""
    return Relaxed(_certifier(network), network.n_units)


def relaxed_on_range(generator: Sequence[AffineLayer], classifier: ReluNetwork) -> Relaxed | None:
    """Return a classifier on the range of an affine generator, z -> A z + b.

    With A = Q R but for what rounding leaves of it, x' - x = Q u + w for two points of the range,
    where u is hardly longer than x' - x, and w next to nothing. Both are inputs of a network in
    front of the classifier, so that nothing rests on how well the factorisation did.

    Parameters
    ----------
    generator : sequence of AffineLayer
    classifier : ReluNetwork

    Returns
    -------
    Relaxed or None
        None where there are more layers than one, where the range may be the whole space, or where
        the columns of A are too nearly dependent.
    """
    if len(generator) != 1:
        return None
    layer = generator[0]
    n, d = layer.weight.shape
    least = least_singular_value_lower(layer.weight) - layer.error if d < n else 0.0
    if least <= 0:
        return None
    basis, upper = np.linalg.qr(layer.weight)
    size = frobenius_upper(basis)
    skew = frobenius_upper(basis.T @ basis - np.eye(d)) + accumulated_error(n + 1) * size**2
    residual = frobenius_upper(layer.weight - basis @ upper)
    residual += accumulated_error(d + 1) * (size * frobenius_upper(upper) + layer.frobenius)
    outside = (residual + layer.error) / least
    if skew + outside > _MOST_SKEW:
        return None
    # |x' - x| = rho, x' - x = A r: |Q R r| <= (1 + outside) rho, |A r - Q R r| <= outside rho,
    # and |R r| <= |Q R r| / sqrt(1 - skew).
    stretch = np.sqrt((1 + outside) ** 2 / (1 - skew) + (outside / _OUTSIDE) ** 2)
    first = np.hstack([basis, _OUTSIDE * np.eye(n)])
    range_of = ReluNetwork([(first, layer.bias)])
    return Relaxed(
        _certifier(ReluNetwork([*range_of.layers, *classifier.layers])),
        classifier.n_units,
        basis,
        layer.bias,
        float(stretch * (1 + 2.0**-40)),
    )


def _certifier(network: ReluNetwork) -> MarginCertifier:
    return MarginCertifier(network, deployment="float32", steps=_STEPS, tolerance=_TOLERANCE)
