"""Norms of the Jacobians of a network whose units have slopes in given ranges, many at a time."""

import numpy as np

from theory.arrays import FloatArray
from theory.norms import accumulated_error
from theory.relu.layer import dense
from theory.relu.network import ReluNetwork


class SlopeNorms:
    """Upper ends of Jacobian norms over boxes of slopes.

    Each entry of the Jacobian is enclosed in a disc, layer by layer, all roundings included.

    Parameters
    ----------
    network : ReluNetwork
    p : {1, 2, inf}
    """

    def __init__(self, network: ReluNetwork, p: float) -> None:
        self._p = p
        self._weights = [dense(layer.weight) for layer in network.layers]
        self._sizes = [np.abs(weight) for weight in self._weights]
        self._hinges = [layer.hinges for layer in network.layers]

    def upper(self, least: FloatArray, most: FloatArray) -> FloatArray:
        """Return bounds on the norms of all Jacobians with slopes between the ends.

        Parameters
        ----------
        least, most : ndarray, shape (k, n_units)

        Returns
        -------
        ndarray, shape (k,)
        """
        center, radius = self.enclosed(least, most)
        outer, rough = self._rough(center, radius)
        if self._p != 2:
            return rough
        return np.minimum(
            spectral_upper(outer),
            (spectral_upper(center) + spectral_upper(radius)) * (1 + 2.0**-51),
        )

    def rough(self, least: FloatArray, most: FloatArray) -> FloatArray:
        """Return bounds as `upper` does, for p = 2 on the Frobenius norms, which is faster."""
        return self._rough(*self.enclosed(least, most))[1]

    def _rough(self, center: FloatArray, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return bounds on the absolute values of the entries, and on their norms."""
        outer = (np.abs(center) + radius) * (1 + 2.0**-51)
        rounding = 1 + accumulated_error(outer[0].size + 4)
        if self._p == 2:
            return outer, np.sqrt((outer * outer).sum(axis=(1, 2))) * rounding
        axis = 1 if self._p == 1 else 2
        return outer, outer.sum(axis=axis).max(axis=1) * rounding

    def enclosed(self, least: FloatArray, most: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return centres and radii of the entries of the Jacobians, each (k, n_outputs, n_inputs).

        Parameters
        ----------
        least, most : ndarray, shape (k, n_units)
        """
        first, center, radius = 0, np.zeros(0), np.zeros(0)
        for i, (weight, size) in enumerate(zip(self._weights, self._sizes, strict=True)):
            if i:
                gamma = 2 * accumulated_error(weight.shape[1] + 4)
                # The rounding of the radius itself is in the last factor.
                radius = (size @ radius + gamma * (size @ (np.abs(center) + radius))) * (1 + gamma)
                center = weight @ center
            else:
                center = np.broadcast_to(weight, (len(least), *weight.shape))
                radius = np.zeros_like(center)
            at = self._hinges[i]
            last = first + len(at)
            if not at.size:
                continue
            a, b = least[:, first:last, None], most[:, first:last, None]
            first = last
            scaled = _scaled(a, b, center[:, at], radius[:, at])
            if at.size == len(weight):
                center, radius = scaled
            else:
                center, radius = center.copy(), radius.copy()
                center[:, at], radius[:, at] = scaled
        return center, radius


def _scaled(
    a: FloatArray, b: FloatArray, center: FloatArray, radius: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return discs that hold the products of slopes in [a, b] with numbers of given discs."""
    low, high = center - radius, center + radius
    ends = a * low, a * high, b * low, b * high
    lower = np.minimum(np.minimum(ends[0], ends[1]), np.minimum(ends[2], ends[3]))
    upper = np.maximum(np.maximum(ends[0], ends[1]), np.maximum(ends[2], ends[3]))
    # Slopes 0 and 1 without a radius are exact: nothing is added for them.
    exact = (a == b) & ((a == 0) | (a == 1))
    rounding = 2.0**-49 * np.maximum(np.abs(a), np.abs(b)) * (np.abs(center) + radius)
    middle = np.where(exact, a * center, (lower + upper) / 2)
    return middle, np.where(exact, a * radius, (upper - lower) / 2 + rounding)


def spectral_upper(matrices: FloatArray) -> FloatArray:
    """Return proved upper bounds on spectral norms, one for each matrix.

    An eigenvalue solver proposes, a Cholesky factorisation proves, as in
    `theory.norms.spectral_norm_upper`; where it does not, the Frobenius norm is taken.

    Parameters
    ----------
    matrices : ndarray, shape (k, m, n)

    References
    ----------
    Rump, Verification of positive definiteness, BIT 46 (2006); Higham, Accuracy and Stability of
    Numerical Algorithms (2002), theorem 10.3.

    Examples
    --------
    >>> bool(abs(spectral_upper(np.array([[[3.0, 0.0], [0.0, 4.0]]]))[0] - 4) < 1e-9)
    True
    """
    k, m, n = matrices.shape
    a = matrices if m >= n else matrices.transpose(0, 2, 1)
    m, n = max(m, n), min(m, n)
    largest = np.abs(a).max(axis=(1, 2), initial=0.0)
    # Exact scaling: no square overflows, none that matters underflows.
    power = np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1.0))))
    a = a / power[:, None, None]
    gram = a.transpose(0, 2, 1) @ a
    squares = (a * a).sum(axis=(1, 2)) * (1 + accumulated_error(m * n + 2))
    frobenius = np.sqrt(squares) * (1 + 2.0**-50)
    if n == 1 or not k:
        return np.asarray(frobenius * power)
    top = np.linalg.eigvalsh(gram)[:, -1]
    square = top * (1 + 1e-12) + accumulated_error(m) * squares + 1e-300
    shifted = square[:, None, None] * np.eye(n) - gram
    try:
        np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        if k == 1:
            return np.asarray(frobenius * power)
        halves = matrices[: k // 2], matrices[k // 2 :]
        return np.concatenate([spectral_upper(half) for half in halves])
    gamma = accumulated_error(n + 1)
    # A factorisation that ran through is exact for a matrix at most `delta` away.
    trace = np.trace(shifted, axis1=1, axis2=2) * (1 + accumulated_error(n))
    delta = gamma / (1 - gamma) * trace
    delta = delta + accumulated_error(m) * squares + 2.0**-51 * (square + squares)
    return np.asarray(np.minimum(np.sqrt(square + delta) * (1 + 2.0**-50), frobenius) * power)
