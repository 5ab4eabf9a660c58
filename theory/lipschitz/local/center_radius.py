r"""Centre-radius bounds on Jacobians: matrix products only, for many points at once.

The slopes of layer l are D_l = M_l + R_l T_l with diagonal centres M_l, radii R_l >= 0 and unknown
|T_l| <= 1. With X_kj = W_k M_{k-1} W_{k-1} ... M_{j+1} W_{j+1} R_j^{1/2} (and R_0 = I), telescoping
the products from the last uncertain slope on gives

    W_k D_{k-1} ... D_1 W_1 = X_k0 + sum_{0 < j < k} X_kj T_j R_j^{1/2} W_j D_{j-1} ... D_1 W_1,

so that b_k = sum_{j < k} ||R_k^{1/2} X_kj|| b_j, b_0 = 1, bounds ||R_k^{1/2} W_k D_{k-1} ... W_1||
and sum_j ||X_Lj|| b_j the Jacobian; in l_1 and l_inf the same holds entry by entry. Only columns of
uncertain units are kept, and the network is read from the side with fewer coordinates.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.local.reading import (
    Matrix,
    Precision,
    Reading,
    Stack,
    columns_at,
    entries,
    uncertain,
)
from theory.lipschitz.local.spectral_batch import spectral_norms_upper
from theory.lipschitz.semidefinite.problem import SlopeEnds
from theory.norms import UNIT_ROUNDOFF, accumulated_error

_UP = 1 + 2.0**-50


def jacobian_norms(
    network: FeedForward,
    slopes: Sequence[SlopeEnds],
    p: float,
    *,
    precision: Precision = "float64",
    memory: float = 2.0**28,
) -> FloatArray:
    """Return upper bounds on the l_p -> l_p norms of all Jacobians with slopes in given ranges.

    Parameters
    ----------
    network : FeedForward
    slopes : sequence of SlopeEnds, each of shape (n, m)
        For each stage least and largest slopes of its m units, at n points.
    p : {1, 2, inf}
    precision : {"float64", "float32"}
        Of the products; the bounds hold with either.
    memory : float
        Bytes that the products of one chunk of points may take, about.

    Returns
    -------
    ndarray, shape (n,)
        Infinite where values leave the number range.

    Raises
    ------
    ValueError
        For float32, if a weight is not a float32 number.

    Examples
    --------
    >>> network = FeedForward.of_weights([[[1.0], [1.0]], [[1.0, -1.0]]])
    >>> free = SlopeEnds(np.zeros((1, 2)), np.ones((1, 2)))
    >>> line = SlopeEnds(np.ones((1, 1)), np.ones((1, 1)))
    >>> jacobian_norms(network, [free, line], 2).round(6)
    array([1.])
    """
    n = len(slopes[0].least)
    if not n:
        return np.zeros(0)
    reading = Reading.of(network, slopes, p, precision)
    counts = np.stack([np.count_nonzero(each, axis=1) for each in reading.roots] or [np.zeros(n)])
    # Points alike in their numbers of uncertain units share a chunk: columns are padded to the
    # largest number in it.
    order = np.argsort(counts.sum(axis=0), kind="stable")
    bounds = np.empty(n)
    first = 0
    while first < n:
        size = reading.chunk(counts[:, order[first:]], memory)
        at = order[first : first + size]
        bounds[at] = _chunk_norms(reading, at)
        first += size
    return bounds


class _Source(NamedTuple):
    """What enters at one layer: columns X of its uncertain units, and what multiplies them.

    Attributes
    ----------
    columns : ndarray, shape (rows, n, u), or (rows, 1, u) where all points share it
    error : ndarray, shape (n,)
        Bound on the norm of what the columns are off: Frobenius for p = 2, else l_p -> l_p.
    factor : ndarray, shape (n,) for p = 2, (n, u, c) otherwise
        b_j, or an entrywise bound on R_j^{1/2} W_j D_{j-1} ... W_1 (its row sums for p = inf).
    doubt : ndarray, shape (n,)
        Bound on the norm of what the factor is off, for p = 1 and inf.
    """

    columns: Stack
    error: FloatArray
    factor: FloatArray
    doubt: FloatArray


def _chunk_norms(reading: Reading, at: npt.NDArray[np.intp]) -> FloatArray:
    n, c, p = len(at), reading.n_columns, reading.p
    rules = _Rules(p, UNIT_ROUNDOFF[str(reading.weights[0].dtype)])
    zero = np.zeros(n)
    if p == 2:
        factor = np.ones(n)
    elif p == np.inf:
        factor = np.ones((n, c, 1))
    else:
        factor = np.broadcast_to(np.eye(c), (n, c, c)).copy()
    columns = entries(reading.weights[0])[:, None, :]
    sources = [_Source(columns, zero, factor, zero)]
    if reading.first is not None:
        scale = reading.first[at]
        error = rules.unit * scale.max(axis=1) * rules.size(columns, n)
        sources = [_Source(columns * scale[None], error, factor, zero)]
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for k, (center, root) in enumerate(zip(reading.centers, reading.roots, strict=True)):
            middle, radius = center[at], root[at]
            index, kept = uncertain(radius)
            factor, doubt = rules.collected(sources, index, kept)
            weight, size = reading.weights[k + 1], reading.sizes[k + 1]
            gamma = accumulated_error(reading.terms[k + 1] + 2, rules.unit)
            mapped = [rules.mapped(each, middle, weight, size, gamma) for each in sources]
            if index.shape[1]:
                new = columns_at(weight, index) * kept[None]
                error = rules.unit * rules.size(new, n) * (1 + 4 * rules.unit)
                mapped.append(_Source(new, error, factor, doubt))
            sources = mapped
        return rules.total(sources, None if reading.last is None else reading.last[at], n)


class _Rules(NamedTuple):
    """How columns are mapped and summed in one norm, and what rounding adds."""

    p: float
    unit: float

    def size(self, columns: Stack, n: int) -> FloatArray:
        """Return upper bounds on the norms that errors are measured in, shape (n,)."""
        magnitude = np.abs(columns).astype(np.float64)
        if self.p == 2:
            found = np.sqrt(np.einsum("rnu,rnu->n", magnitude, magnitude))
        elif self.p == 1:
            found = magnitude.sum(axis=0).max(axis=1, initial=0.0)
        else:
            found = magnitude.sum(axis=2).max(axis=0, initial=0.0)
        terms = columns.shape[0] * columns.shape[2] + 8
        # Entries whose squares underflow count too.
        least = terms * 2.0**-500
        return np.broadcast_to((found + least) * (1 + accumulated_error(terms)), n)

    def mapped(
        self, source: _Source, middle: Stack, weight: Matrix, size: float, gamma: float
    ) -> _Source:
        """Return weight M X."""
        n = len(middle)
        scaled = source.columns * middle.T[:, :, None]
        flat = scaled.reshape(len(scaled), -1)
        product = np.asarray(weight @ flat).reshape(weight.shape[0], *scaled.shape[1:])
        most = np.abs(middle).max(axis=1, initial=0.0).astype(np.float64)
        whole = self.size(scaled, n)
        error = (most * source.error + self.unit * whole) * _UP + gamma * whole
        # What underflows, in either precision, loses no more than its smallest normal number.
        lost = float(np.finfo(product.dtype).tiny) * (scaled[:, 0].size + product[:, 0].size)
        return source._replace(columns=product, error=(size * error + (size + 1) * lost) * _UP)

    def collected(
        self, sources: list[_Source], index: npt.NDArray[np.intp], kept: Stack
    ) -> tuple[FloatArray, FloatArray]:
        """Return the factor, and its doubt, of the units at an index, shape (n, u)."""
        n, u = index.shape
        most = kept.max(axis=1, initial=0.0).astype(np.float64)
        zero = np.zeros(n)
        if not u:
            return (zero if self.p == 2 else np.zeros((n, 0, 1))), zero
        total: Any = 0.0
        doubt = zero
        for each in sources:
            shared = each.columns.shape[1] == 1
            points = np.zeros((n, 1), dtype=np.intp) if shared else np.arange(n)[:, None]
            rows = each.columns[index, points]
            if self.p == 2:
                rows = rows * kept[:, :, None]
                rounded = self.unit * self.size(np.moveaxis(rows, 1, 0), n) * _UP
                norm = spectral_norms_upper(rows) + (rounded + most * each.error) * _UP
                total = total + norm * each.factor * _UP
            else:
                part, off = self._entrywise(rows, each)
                total, doubt = total + part * kept[:, :, None], doubt + most * off * _UP
        terms = 4 * len(sources) + 8
        if self.p == 2:
            return total * (1 + accumulated_error(terms)), zero
        return total * (1 + accumulated_error(terms)), doubt * (1 + accumulated_error(terms))

    def _entrywise(self, rows: Stack, source: _Source) -> tuple[FloatArray, FloatArray]:
        """Return |rows| factor, rounded up, and the norm of what the true product may add."""
        magnitude = np.abs(rows).astype(np.float64)
        part = np.matmul(magnitude, source.factor)
        part *= 1 + 2 * accumulated_error(magnitude.shape[2] + 4)
        axis = 1 if self.p == 1 else 2
        up = 1 + accumulated_error(sum(magnitude.shape[1:]) + 8)
        norm = magnitude.sum(axis=axis).max(axis=1, initial=0.0) * up
        factor = source.factor.sum(axis=axis).max(axis=1, initial=0.0) * up
        off = source.error * (factor + source.doubt) + norm * source.doubt
        # Products that underflow are below this.
        return part, (off + magnitude.shape[2] * 2.0**-1000) * (1 + accumulated_error(8))

    def total(self, sources: list[_Source], last: Stack | None, n: int) -> FloatArray:
        """Return the bounds on the norms of all columns times their factors, shape (n,)."""
        whole: Any = 0.0
        doubt = np.zeros(n)
        for each in sources:
            columns, error = each.columns, each.error
            if last is not None:
                columns = columns * last.T[:, :, None]
                rounded = self.unit * self.size(columns, n)
                error = (last.max(axis=1).astype(np.float64) * error + rounded) * _UP
            stack = np.moveaxis(columns, 1, 0)
            if self.p == 2:
                whole = whole + (spectral_norms_upper(stack) + error) * each.factor * _UP
            else:
                part, off = self._entrywise(stack, each._replace(error=error))
                whole, doubt = whole + part, doubt + off
        terms = 4 * len(sources) + 8
        if self.p != 2:
            axis = 1 if self.p == 1 else 2
            terms += whole.shape[axis]
            whole = whole.sum(axis=axis).max(axis=1)
        bounds = (whole + doubt) * (1 + 2 * accumulated_error(terms))
        return np.where(np.isnan(bounds), np.inf, bounds)
