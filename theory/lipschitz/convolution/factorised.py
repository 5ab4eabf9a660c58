"""Spectral norms of convolutions to nine digits: a banded Cholesky factorisation proves them.

With the channels of a position next to each other, the Gram matrix of a convolution is a band; the
factorisation of s^2 I minus it takes N b^2 operations, N its side and b its half width.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from scipy import linalg, sparse

from theory.arrays import FloatArray
from theory.lipschitz.convolution.correlation import Correlation
from theory.lipschitz.convolution.line_norms import absolute_norm_upper
from theory.norms import UNIT_ROUNDOFF, accumulated_error

Side = Literal["outputs", "inputs"]
_DENSE_ENTRIES: Final = 2**24
_INFLATIONS: Final = (1e-10, 1e-8, 1e-6)


@dataclass(frozen=True, eq=False)
class PositionMajor:
    """One group as a map of arrays (positions, channels), the longer axes slower.

    Attributes
    ----------
    given : Correlation
        Of one group, with entries in [-1, 1].
    """

    given: Correlation

    @cached_property
    def gather(self) -> Any:  # noqa: ANN401
        """The 0-1 matrix from positions to (output, kernel entry), shape (T K, S)."""
        taps = self.given.taps.T
        rows = np.flatnonzero(taps >= 0)
        entries = (np.ones(len(rows)), (rows, taps.ravel()[rows]))
        return sparse.csr_array(entries, shape=(taps.size, math.prod(self.given.spatial)))

    @cached_property
    def kernel(self) -> FloatArray:
        """The weight as a matrix, shape (K n, m)."""
        m, n = self.given.weight.shape[1:3]
        flat = self.given.weight[0].reshape(m, n, -1)
        return np.ascontiguousarray(flat.transpose(2, 1, 0).reshape(-1, m))

    @cached_property
    def scatter(self) -> Any:  # noqa: ANN401
        """The transpose of `gather`."""
        return sparse.csr_array(self.gather.T)

    def forward(self, x: FloatArray) -> FloatArray:
        """Return the output, shape (T, m), at an input of shape (S, n)."""
        seen = self.gather @ x
        return np.asarray(seen.reshape(-1, len(self.kernel)) @ self.kernel)

    def adjoint(self, y: FloatArray) -> FloatArray:
        """Return the transposed map, shape (S, n), at an array of shape (T, m)."""
        n = self.given.weight.shape[2]
        return np.asarray(self.scatter @ (y @ self.kernel.T).reshape(-1, n))

    def lower(self, x: FloatArray) -> float:
        """Return a lower end of ||A x|| / ||x||, which is one of the norm."""
        length = float(np.linalg.norm(x))
        if not length:
            return 0.0
        image = self.forward(x / length)
        error = accumulated_error(len(self.kernel) + 1) * absolute_norm_upper(self.given)
        found = float(np.linalg.norm(image)) * (1 - accumulated_error(image.size + 4))
        # x / length has length 1 up to its rounding and that of the length.
        found = (found - 2 * error) * (1 - accumulated_error(x.size + 8))
        return max(found, 0.0)


def leading_vector(mapped: PositionMajor, tolerance: float) -> FloatArray:
    """Return about the leading right singular vector, shape (S, n), by the Lanczos method.

    Parameters
    ----------
    mapped : PositionMajor
    tolerance : float
        Relative size of the residual of A^T A x = lambda x.
    """
    from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

    m, n = mapped.given.weight.shape[1:3]
    rows, columns = math.prod(mapped.given.outputs) * m, math.prod(mapped.given.spatial) * n
    wide = rows < columns
    side = min(rows, columns)

    def gram(x: FloatArray) -> FloatArray:
        if wide:
            return mapped.forward(mapped.adjoint(x.reshape(-1, m))).ravel()
        return mapped.adjoint(mapped.forward(x.reshape(-1, n))).ravel()

    start = np.random.default_rng(0).standard_normal(side)
    vector = start
    if side > 1:
        operator = LinearOperator((side, side), matvec=gram, dtype=np.float64)
        basis = min(side, 40)
        try:
            _, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=tolerance, ncv=basis)
            vector = vectors[:, 0]
        except ArpackNoConvergence as partial:
            vector = partial.eigenvectors[:, 0] if partial.eigenvectors.size else gram(start)
        except ArpackError:
            # The map is 0 on the start, as where entries of the kernel cancel.
            vector = start
    return mapped.adjoint(vector.reshape(-1, m)) if wide else vector.reshape(-1, n)


def ordered(given: Correlation, side: Side) -> Correlation:
    """Return the same map with the axes of most positions first, which makes the band narrow."""
    counts = given.outputs if side == "outputs" else given.spatial
    order = sorted(range(len(counts)), key=lambda i: -counts[i])
    weight = given.weight.transpose(0, 1, 2, *(3 + i for i in order))
    return Correlation(weight, tuple(given.axes[i] for i in order))


def band(given: Correlation, side: Side) -> tuple[int, int]:
    """Return the side N of the Gram matrix of outputs or inputs, and the half width of its band."""
    counts = given.outputs if side == "outputs" else given.spatial
    channels = given.weight.shape[1 if side == "outputs" else 2]
    reach = 0
    for axis, at, count in zip(given.axes, given.axis_taps, counts, strict=True):
        incidence = np.zeros((axis.outputs, axis.side + 1))
        incidence[np.arange(axis.outputs), at] = 1.0
        incidence = incidence[:, :-1] if side == "outputs" else incidence[:, :-1].T
        met = np.nonzero(incidence @ incidence.T)
        reach = reach * count + int(np.abs(met[0] - met[1]).max())
    n = math.prod(counts) * channels
    return n, min(n - 1, (reach + 1) * channels - 1)


def factorisation_cost(n: int, width: int) -> float:
    """Return the operations of a banded Cholesky factorisation."""
    return n * float(width + 1) ** 2 - 2 / 3 * float(width) ** 3


def cheaper_side(given: Correlation) -> tuple[Side, float]:
    """Return of which side the Gram matrix is cheaper to factorise, and the operations."""
    costs: dict[Side, float] = {}
    sides: tuple[Side, Side] = ("outputs", "inputs")
    for side in sides:
        costs[side] = factorisation_cost(*band(ordered(given, side), side))
    side = min(costs, key=lambda each: costs[each])
    return side, costs[side]


def banded_gram(given: Correlation, side: Side) -> FloatArray:
    """Return the lower band of the Gram matrix, shape (N, width + 1): entry [j, i - j] is G_ij.

    Each entry is a sum of at most K (K + max(m, n)) rounded products or sums of them.
    """
    n, width = band(given, side)
    m, into = given.weight.shape[1:3]
    entries = len(given.taps)
    rows, columns = math.prod(given.outputs) * m, math.prod(given.spatial) * into
    channels = m if side == "outputs" else into
    # Rough seconds of both ways; only large kernels on small inputs go through the dense matrix.
    by_pairs = entries**2 * (2e-4 + 8e-9 * n * channels)
    small = rows * columns <= _DENSE_ENTRIES and 2e-10 * n * rows * columns < by_pairs
    # With one position, the matrix is the kernel.
    if small or rows * columns == m * into:
        return _dense_band(given, side, width)
    return _pairwise_band(given, side, width)


def _dense_band(given: Correlation, side: Side, width: int) -> FloatArray:
    m, n = given.weight.shape[1:3]
    places = math.prod(given.outputs), math.prod(given.spatial)
    blocks = given.matrix().toarray().reshape(m, places[0], n, places[1])
    a = blocks.transpose(1, 0, 3, 2).reshape(places[0] * m, places[1] * n)
    gram = a @ a.T if side == "outputs" else a.T @ a
    result = np.zeros((len(gram), width + 1))
    for j, line in enumerate(result):
        column = gram[j : j + width + 1, j]
        line[: len(column)] = column
    return result


def _pairwise_band(given: Correlation, side: Side, width: int) -> FloatArray:
    """Return the band as a sum over pairs of kernel entries of (P_e P_f^T) x (K_e K_f^T).

    A Kronecker product of the 0-1 matrix of the positions that they share and of a matrix of
    channels.
    """
    m_out, n_in = given.weight.shape[1:3]
    kernel = given.weight[0].reshape(m_out, n_in, -1)
    channels, total = (m_out, n_in) if side == "outputs" else (n_in, m_out)
    factors = kernel.transpose(2, 0, 1) if side == "outputs" else kernel.transpose(2, 1, 0)
    flat = np.ascontiguousarray(factors).reshape(-1, total)
    entries = len(given.taps)
    products = (flat @ flat.T).reshape(entries, channels, entries, channels)
    places = [_placed(each, math.prod(given.spatial)) for each in given.taps]
    if side == "inputs":
        places = [sparse.csr_array(each.T) for each in places]
    transposed = [sparse.csr_array(each.T) for each in places]
    result = np.zeros((places[0].shape[0] * channels, width + 1))
    cells = result.ravel()
    row, column = np.indices((channels, channels))
    offset = column * (width + 1) + row - column
    for e, f in itertools.product(range(entries), repeat=2):
        shared = (places[e] @ transposed[f]).tocoo()
        at, to, times = shared.coords[0], shared.coords[1], shared.data
        product = products[e, :, f, :]
        for chosen, inside in ((at > to, row >= 0), (at == to, row >= column)):
            if chosen.any():
                i, j = at[chosen].astype(np.int64), to[chosen].astype(np.int64)
                base = j * channels * (width + 1) + (i - j) * channels
                # Each cell occurs once here: a pair of positions has one entry in the product.
                cells[base[:, None] + offset[inside]] += times[chosen, None] * product[inside]
    return result


def _placed(at: Any, positions: int) -> Any:  # noqa: ANN401
    """Return the 0-1 matrix of shape (outputs, positions) of one kernel entry."""
    to = np.flatnonzero(at >= 0)
    return sparse.csr_array((np.ones(len(to)), (to, at[to])), shape=(len(at), positions))


def factorised_upper(given: Correlation, side: Side, value: float) -> float:
    """Return an upper end of the spectral norm, from a value that is close below it.

    Parameters
    ----------
    given : Correlation
        Of one group, with entries in [-1, 1].
    side : {"outputs", "inputs"}
        Which Gram matrix to factorise.
    value : float
        As found by an iteration; whether it is right decides how close the bound is, and whether
        there is one, but not whether it holds.

    Raises
    ------
    ArithmeticError
        If the factorisation refutes the value and its inflations up to 1e-6.

    References
    ----------
    Rump, Verification of positive definiteness, BIT 46 (2006); Higham, Accuracy and Stability of
    Numerical Algorithms (2002), theorem 10.3.
    """
    placed = ordered(given, side)
    gram = banded_gram(placed, side)
    n, entries = len(gram), len(given.taps)
    terms = entries * (entries + max(given.weight.shape[1:3])) + 4
    absolute = absolute_norm_upper(given) ** 2
    gram_error = accumulated_error(terms) * absolute * (1 + accumulated_error(4))
    width = gram.shape[1] - 1
    gamma = accumulated_error(width + 3)
    np.negative(gram, out=gram)
    diagonal = gram[:, 0].copy()
    for inflation in _INFLATIONS:
        square = value**2 * (1 + inflation) + gram_error
        shifted = gram.copy() if inflation != _INFLATIONS[-1] else gram
        shifted[:, 0] = diagonal + square
        trace = float(shifted[:, 0].sum()) * (1 + accumulated_error(n))
        try:
            linalg.cholesky_banded(shifted.T, lower=True, overwrite_ab=True, check_finite=False)
        except linalg.LinAlgError:
            continue
        delta = gamma / (1 - gamma) * trace + gram_error
        delta += 2 * UNIT_ROUNDOFF["float64"] * (square + absolute)
        return float(np.sqrt(square + delta)) * (1 + 4 * UNIT_ROUNDOFF["float64"])
    raise ArithmeticError("no upper end of the spectral norm of a convolution could be proved")
