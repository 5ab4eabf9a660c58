"""Product of layer norms, and the robustness certificate that follows from it.

A network is a sequence of affine layers with a 1-Lipschitz activation that fixes 0 (ReLU) between
them. Everything is in l2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.norms import (
    UNIT_ROUNDOFF,
    accumulated_error,
    frobenius_upper,
    least_singular_value_lower,
    spectral_norm_upper,
)


@dataclass(frozen=True)
class AffineLayer:
    """x -> W x + b, with W known up to a matrix of spectral norm at most `error`.

    Attributes
    ----------
    weight : ndarray, shape (m, n)
    bias : ndarray, shape (m,)
    error : float
        Rounding error of a weight that was computed rather than given.
    """

    weight: FloatArray
    bias: FloatArray
    error: float = 0.0

    @cached_property
    def norm(self) -> float:
        """Upper end of the spectral norm."""
        return spectral_norm_upper(self.weight) + self.error

    @cached_property
    def frobenius(self) -> float:
        """Upper end of the Frobenius norm."""
        return frobenius_upper(self.weight)

    @cached_property
    def fan_in(self) -> int:
        """Largest number of terms in one output: non-zero weights of a row, and the bias."""
        return int(np.count_nonzero(self.weight, axis=1).max(initial=0)) + 1

    def after(self, first: "AffineLayer") -> "AffineLayer":
        """Return the composition self(first(x)) as one layer."""
        product = accumulated_error(self.weight.shape[1]) * self.frobenius * first.frobenius
        spread = self.error * (first.frobenius + first.error) + self.frobenius * first.error
        return AffineLayer(
            self.weight @ first.weight, self.weight @ first.bias + self.bias, product + spread
        )

    def restricted_to_range_of(self, first: "AffineLayer") -> "AffineLayer":
        """Return the layer on an orthonormal basis of the range of first's weight.

        Its norm bounds that of `self` on differences of points in the range of `first`.

        Raises
        ------
        ArithmeticError
            If the columns of the first weight are dependent to working precision.
        """
        n, d = first.weight.shape
        if d >= n:
            return self  # the range may be the whole space
        least = least_singular_value_lower(first.weight) - first.error
        if least <= 0:
            raise ArithmeticError("the generator's linear map has dependent columns")
        # Nothing below relies on how well the factorisation did: Q's distance from orthonormal
        # and the part of A outside its range are measured, with the rounding of measuring them.
        basis, upper = np.linalg.qr(first.weight)
        size = frobenius_upper(basis)
        skew = frobenius_upper(basis.T @ basis - np.eye(d)) + accumulated_error(n + 1) * size**2
        residual = frobenius_upper(first.weight - basis @ upper)
        residual += accumulated_error(d + 1) * (size * frobenius_upper(upper) + first.frobenius)
        outside = (residual + first.error) / least
        # For v = A r: ||W v|| <= ||W Q|| ||Q^T v|| + ||W|| ||(I - Q Q^T) v||, where
        # ||Q^T v|| <= (1 + skew) ||v|| and ||(I - Q Q^T) v|| <= 2 (outside + skew) ||v||.
        if skew + outside > 0.1:
            raise ArithmeticError("the generator's linear map has nearly dependent columns")
        spread = 2 * (outside + skew) + 2 * skew + accumulated_error(n) * size
        return AffineLayer(self.weight @ basis, self.bias, self.frobenius * spread + self.error)


def compose(first: Sequence[AffineLayer], second: Sequence[AffineLayer]) -> tuple[AffineLayer, ...]:
    """Return second(first(x)) with the two affine layers that meet merged into one."""
    return (*first[:-1], second[0].after(first[-1]), *second[1:])


def lipschitz_upper(layers: Sequence[AffineLayer]) -> float:
    """Return the product of the layer norms, an upper bound on the l2 Lipschitz constant.

    References
    ----------
    Szegedy et al., Intriguing properties of neural networks (ICLR 2014), section 4.3.

    Examples
    --------
    >>> layers = [AffineLayer(np.diag([2.0, 1.0]), np.zeros(2)), AffineLayer(np.eye(2), np.ones(2))]
    >>> round(lipschitz_upper(layers), 8)
    2.0
    """
    product = float(np.prod([layer.norm for layer in layers]))
    return product * (1 + accumulated_error(len(layers)))


def forward_error(
    layers: Sequence[AffineLayer], input_norm: npt.ArrayLike, precision: str
) -> FloatArray:
    """Return an upper bound on the l2 rounding error of a forward pass, in any summation order.

    Parameters
    ----------
    layers : sequence of AffineLayer
        The layers as they are evaluated, none merged.
    input_norm : array_like, shape (n,)
        l2 norms that the inputs do not exceed.
    precision : {"float32", "float64"}
        Arithmetic of the pass; sums by fused or split products are covered, transforms
        (Winograd, FFT) and underflow are not.

    Returns
    -------
    ndarray, shape (n,)
        In the unit of the outputs.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.5.
    """
    size = np.asarray(input_norm, dtype=np.float64)
    error = np.zeros_like(size)
    for layer in layers:
        gamma = accumulated_error(layer.fan_in + 1, UNIT_ROUNDOFF[precision])
        shift = float(np.linalg.norm(layer.bias))
        error = layer.norm * error + gamma * (layer.frobenius * (size + error) + shift)
        size = layer.norm * size + shift
    return error


def margin_radii(
    layers: Sequence[AffineLayer],
    logits: FloatArray,
    logit_error: Sequence[FloatArray] | tuple[FloatArray, ...] = (),
) -> FloatArray:
    """Return certified l2 distances within which no input changes the largest output.

    Output c - output j changes at most at the rate ||w_c - w_j|| prod_{k < L} ||W_k||, where w are
    the rows of the last layer: exact for a single layer.

    Parameters
    ----------
    layers : sequence of AffineLayer
        The network; affine layers that meet may be merged.
    logits : ndarray, shape (n, K)
        Outputs at the n points; the label is the first largest.
    logit_error : sequence of ndarray, each of shape (n,)
        l2 bounds on the errors of `logits`, and on those of the deployed network near the points;
        sqrt 2 of each, the most that a difference of two outputs is off, is taken off the margins.

    Returns
    -------
    ndarray, shape (n,)
        At least 0; +inf for a network of one class.

    References
    ----------
    Szegedy et al. (ICLR 2014), section 4.3; Tsuzuku, Sato and Sugiyama (NeurIPS 2018),
    proposition 1.

    Examples
    --------
    >>> halves = AffineLayer(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2))
    >>> radius = margin_radii([halves], np.array([[3.0, -3.0]]))
    >>> bool(np.isclose(radius[0], 3.0, rtol=1e-9) and radius[0] <= 3.0)
    True
    """
    rows = np.arange(len(logits))
    label = logits.argmax(axis=1)
    margins = logits[rows, label][:, None] - logits
    for error in logit_error:
        margins = margins - np.sqrt(2) * (1 + 2**-50) * error[:, None]
    last = layers[-1]
    differences = last.weight[:, None, :] - last.weight[None, :, :]
    inflation = 1 + accumulated_error(last.weight.shape[1] + 4)
    # Scaled by the largest entry of each row, so that no square underflows.
    largest = np.abs(differences).max(axis=2, initial=0.0)
    scaled = differences / np.where(largest > 0, largest, 1.0)[:, :, None]
    pairs = largest * np.linalg.norm(scaled, axis=2) * inflation + np.sqrt(2) * last.error
    inner = lipschitz_upper(layers[:-1]) if len(layers) > 1 else 1.0
    rates = pairs[label] * inner * inflation
    # A class whose output differs by a constant is never reached; a class is not its own rival.
    with np.errstate(divide="ignore", invalid="ignore"):
        radii = np.where(rates > 0, margins / rates, np.where(margins > 0, np.inf, 0.0))
    radii[rows, label] = np.inf
    return np.asarray(np.maximum(radii.min(axis=1) * (1 - 2**-50), 0.0))
