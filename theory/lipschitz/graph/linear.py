"""Linear maps as matrices with a bound on every entry's rounding error, and their norms."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import frexp, inf, sqrt
from typing import Any, Final

import numpy as np
from scipy import sparse

from theory.arrays import FloatArray
from theory.norms import accumulated_error, frobenius_upper, power_above, spectral_norm_upper
from theory.relu.layer import Matrix, dense

_DENSE_ENTRIES: Final = 2**24
LAYER_SIDE: Final = 5800
"""Smaller side of a given matrix up to which its spectral norm is found: half a minute."""
_SPARSE_SIDE: Final = 3000
_POWER_STEPS: Final = 30
MERGED_SIDE: Final = 2000
"""The same of merged maps, of which there may be many."""
NO_UNDERFLOW: Final = 2.0**-900
"""Products of entries that are at least this large have relative errors, and so have these."""
MERGED_ENTRIES: Final = 2**23
"""Merged maps keep at most so many entries, held sparse or not."""


def up(value: float) -> float:
    """Return the next larger number, and 0 for an exact 0."""
    return float(np.nextafter(value, inf)) if value else 0.0


def is_sparse(matrix: object) -> bool:
    """Return whether a matrix is held sparse."""
    return bool(sparse.issparse(matrix))


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A matrix known up to an entrywise error.

    Attributes
    ----------
    matrix : ndarray or csr_array, shape (m, n)
    error : ndarray or csr_array, shape (m, n), or None
        Bounds on the absolute errors of the entries; None where there are none.
    moves : bool
        Whether every row and every column has at most one entry other than 0, which is 1: products
        with such a matrix are exact.
    """

    matrix: Matrix
    error: "Matrix | None" = None
    moves: bool = False

    @classmethod
    def identity(cls, n: int) -> "LinearMap":
        """Return the identity of n coordinates."""
        return cls(sparse.csr_array(sparse.eye_array(n)), None, moves=True)

    @classmethod
    def given(cls, matrix: Matrix, relative_error: float = 0.0) -> "LinearMap":
        """Return a map whose entries are known up to a relative error."""
        size: Any = abs(_any(matrix))
        return cls(matrix, relative_error * size if relative_error else None)

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        m, n = self.matrix.shape
        return int(m), int(n)

    @property
    def least(self) -> float:
        """The least absolute value of an entry that is not 0; inf if there is none."""
        sizes = np.abs(_entries(self.matrix))
        return float(sizes.min(initial=inf, where=sizes > 0))

    def after(self, first: "LinearMap") -> "LinearMap":
        """Return the composition self(first(x)); products of entries must not underflow."""
        a, b = _any(self.matrix), _any(first.matrix)
        product = a @ b
        moves = self.moves and first.moves
        parts: list[Any] = []
        if not (self.moves or first.moves):
            gamma = accumulated_error(_longest_row(a) + 2)
            parts.append(gamma * (abs(a) @ abs(b)))
        if self.error is not None:
            parts.append(_any(self.error) @ abs(b))
        if first.error is not None:
            parts.append(abs(a) @ _any(first.error))
        if self.error is not None and first.error is not None:
            parts.append(_any(self.error) @ _any(first.error))
        return LinearMap(_compact(product), _total(parts, _longest_row(a)), moves)

    def plus(self, other: "LinearMap") -> "LinearMap":
        """Return the sum of two maps of one shape."""
        made = _any(self.matrix) + _any(other.matrix)
        parts = [accumulated_error(2) * abs(made)]
        parts += [_any(each) for each in (self.error, other.error) if each is not None]
        return LinearMap(_compact(made), _total(parts, 1))

    def scaled(self, factor: float) -> "LinearMap":
        """Return factor * self; products with entries must not underflow."""
        if factor == 1.0:
            return self
        made = factor * _any(self.matrix)
        # A power of two rounds nothing.
        exact = not factor or frexp(abs(factor))[0] == 0.5
        parts: list[Any] = [] if exact else [accumulated_error(2) * abs(made)]
        if self.error is not None:
            parts.append(abs(factor) * _any(self.error))
        return LinearMap(made, _total(parts, 1))


def norm_upper(linear: LinearMap, p: float, *, largest_side: int = MERGED_SIDE) -> float:
    """Return an upper bound on the norm l_p -> l_p, p = 1, 2 or inf, rounding included.

    For p = 2 it is the norm to a relative 1e-8 where the smaller side is at most `largest_side`,
    and that of a sparse matrix at most 3,000; beyond, the lesser of the Frobenius norm and of the
    norm of the absolute values.
    """
    entries = _entries(linear.matrix)
    if not np.all(np.isfinite(entries)):
        return inf  # a product that overflowed
    if p != 2:
        return up(_sum_norm(linear.matrix, p) + _error_norm(linear.error, p))
    largest = float(np.abs(entries).max(initial=0.0))
    if not 2.0**-900 < largest < 2.0**900:
        # Roots and products of two numbers: some roundings more.
        interpolated = sqrt(_sum_norm(linear.matrix, 1)) * sqrt(_sum_norm(linear.matrix, inf))
        return up(interpolated * (1 + accumulated_error(4)) + _error_norm(linear.error, 2))
    side = min(largest_side, _SPARSE_SIDE) if is_sparse(linear.matrix) else largest_side
    if min(linear.shape) <= side:
        main = _spectral(linear.matrix)
    else:
        main = min(frobenius_upper(entries), _absolute_spectral(linear.matrix))
    return up(main + _error_norm(linear.error, 2))


def _absolute_spectral(matrix: Matrix) -> float:
    """Return an upper bound on the spectral norm of the absolute values, which bounds that without.

    The spectral radius of a non-negative matrix B is at most the largest (B x)_i / x_i, for every
    positive vector x (Collatz and Wielandt: Horn and Johnson, Matrix Analysis (2013), 8.1.26);
    here B = |A|^T |A|, and x comes from the power method.
    """
    power = power_above(_entries(matrix))
    size: Any = abs(_any(matrix)) / power
    best, x = inf, np.ones(size.shape[1])
    for _ in range(_POWER_STEPS):
        made: FloatArray = np.asarray(size.T @ (size @ x))
        best = min(best, float((made / x).max()))
        x = np.maximum(made / made.max(), 2.0**-40)
    return sqrt(best) * (1 + accumulated_error(sum(matrix.shape) + 8)) * power


def _spectral(matrix: Matrix) -> float:
    if not is_sparse(matrix) or matrix.shape[0] * matrix.shape[1] <= _DENSE_ENTRIES:
        return spectral_norm_upper(dense(matrix))
    power = power_above(_entries(matrix))
    a: Any = sparse.csr_array(_any(matrix)) / power
    wide = a.shape[0] <= a.shape[1]
    gram = np.asarray((a @ a.T if wide else a.T @ a).toarray())
    # The Gram matrix of the absolute values has at most the squared Frobenius norm.
    error = accumulated_error(max(a.shape) + 2) * frobenius_upper(_entries(a)) ** 2
    return sqrt(spectral_norm_upper(gram) + error) * (1 + accumulated_error(4)) * power


def joined(maps: Sequence[LinearMap]) -> LinearMap:
    """Return the maps side by side: (x_1, x_2, ...) -> sum of maps_i x_i."""
    matrix = _compact(sparse.hstack([sparse.csr_array(_any(each.matrix)) for each in maps]))
    if all(each.error is None for each in maps):
        return LinearMap(matrix)
    errors = [
        sparse.csr_array(each.shape) if each.error is None else sparse.csr_array(_any(each.error))
        for each in maps
    ]
    return LinearMap(matrix, _compact(sparse.hstack(errors)))


def _any(matrix: Matrix) -> Any:  # noqa: ANN401
    return matrix


def _compact(matrix: Any) -> Matrix:  # noqa: ANN401
    """Return a matrix as a csr_array where few of its entries are not 0, else as an ndarray."""
    if not is_sparse(matrix):
        return np.asarray(matrix, dtype=np.float64)
    m, n = matrix.shape
    if matrix.nnz >= 0.2 * m * n and m * n <= MERGED_ENTRIES:
        return np.asarray(matrix.toarray(), dtype=np.float64)
    return sparse.csr_array(matrix)


def _total(parts: Sequence[Any], terms: int) -> "Matrix | None":
    """Return the sum of non-negative error bounds, enlarged by the rounding of computing them."""
    if not parts:
        return None
    total = parts[0]
    for each in parts[1:]:
        total = total + each
    return _compact((1 + accumulated_error(terms + 8)) * total)


def _longest_row(matrix: Any) -> int:  # noqa: ANN401
    if is_sparse(matrix):
        return int(np.diff(sparse.csr_array(matrix).indptr).max(initial=0))
    return int(matrix.shape[1])


def _sum_norm(matrix: Matrix, p: float) -> float:
    """Return an upper bound on the largest absolute column sum (p = 1) or row sum (p = inf)."""
    size: Any = abs(_any(matrix))
    sums: FloatArray = np.asarray(size.sum(axis=0 if p == 1 else 1))
    return float(sums.max(initial=0.0)) * (1 + accumulated_error(max(matrix.shape) + 2))


def _entries(matrix: Matrix) -> FloatArray:
    held: Any = matrix
    return np.asarray(held.data if is_sparse(held) else held)


def _error_norm(error: "Matrix | None", p: float) -> float:
    if error is None:
        return 0.0
    if p != 2:
        return _sum_norm(error, p)
    entries = _entries(error)
    largest = float(np.abs(entries).max(initial=0.0))
    # Errors of tiny weights may lie below what `frobenius_upper` can scale.
    if largest <= 2.0**-900:
        return float(np.sqrt(entries.size)) * 2.0**-899 if largest else 0.0
    return frobenius_upper(entries)


def finite(matrix: Matrix) -> None:
    """Raise ValueError unless all entries are finite and the largest is in range."""
    power_above(_entries(matrix))


def checked_matrix(given: Any, name: str) -> Matrix:  # noqa: ANN401
    """Return a weight as a matrix of float64.

    Parameters
    ----------
    given : array_like or scipy.sparse matrix, shape (out, in)
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        If it is no matrix or an entry is not finite.
    """
    matrix: Any
    try:
        if is_sparse(given):
            matrix = sparse.csr_array(given, dtype=np.float64)
        else:
            matrix = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a real matrix, got no array of numbers") from None
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must have the shape (out, in), got {matrix.shape}")
    try:
        finite(matrix)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    checked: Matrix = matrix
    return checked
