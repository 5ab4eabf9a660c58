"""Operator norms p -> q between finite-dimensional spaces, as intervals that hold the norm.

Some are computed exactly; most are NP-hard and are enclosed between the value at a vector that was
found and the best of several proved bounds.
"""

from typing import Any, Final

import numpy as np
from scipy import sparse

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.norms.spectral import (
    accumulated_error,
    power_above,
    spectral_norm_upper,
)

_SIGN_COORDINATES: Final = 16
_SIGN_VALUES: Final = 2**27
_DENSE_ENTRIES: Final = 2**25
_ITERATIONS: Final = 300
_RANDOM_STARTS: Final = 12
# Rounded exponents and powers of norms between 2^-1 and the number of entries: some hundred units.
_INTERPOLATION_SLACK: Final = 1e-12

Matrix = Any
"""A dense FloatArray or a sparse CSR array, with entries in [-1, 1] and one of at least 1/2."""


def operator_norm(weight: Matrix, p: float, q: float) -> Interval:
    r"""Enclose max ||A x||_q / ||x||_p over the real vectors x that are not 0.

    Both ends hold in spite of rounding. Up to it, the interval is a point for 1 -> q (the largest
    q-norm of a column), p -> inf (the largest dual norm of a row) and 2 -> 2 (to a relative 1e-9).
    So it is for inf -> q with up to 16 columns and for p -> 1 with up to 16 rows, unless the other
    side has many thousands, by all sign vectors. The other norms are NP-hard in general. Their
    lower end is the value at `norm_witness`. Their upper end is the least of the q-norm of the
    dual row norms, the p*-norm of the column norms, and the interpolation of norms known exactly,
    moved to p -> q by the equivalence of norms.

    Parameters
    ----------
    weight : array_like or scipy.sparse matrix, shape (m, n)
        Real and finite. A sparse matrix stays sparse, except that the 2 -> 2 norm, which also
        enters the hard cases, is taken densely up to 2^25 entries; beyond, it is an interpolation.
    p, q : float
        Norms of the domain and of the range, in [1, inf].

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If p or q is not in [1, inf], or the weight is not a real matrix, has an entry that is not
        finite, or a largest entry beyond 2^900 or below 2^-900.

    Notes
    -----
    Interpolation bounds the norm over complex vectors, which for 1 -> q, p -> inf and 2 -> 2
    equals the real one. It is not taken between norms for which that fails, such as inf -> 1.
    Powers are taken to be correct to 8 units in the last place.

    References
    ----------
    Hendrickx and Olshevsky, Matrix p-norms are NP-hard to approximate if p != 1, 2, inf, SIAM
    J. Matrix Anal. Appl. 31 (2010); Steinberg, Computation of matrix norms with applications to
    robust optimization, Technion (2005), for p -> q; Higham, Estimating the matrix p-norm,
    Numer. Math. 62 (1992); Bergh and Loefstroem, Interpolation Spaces (1976), theorem 1.1.1.

    Examples
    --------
    >>> operator_norm([[1.0, -2.0], [3.0, 4.0]], 1, np.inf)
    Interval(lower=4.0, upper=4.0)
    >>> norm = operator_norm([[1.0, 1.0], [1.0, -1.0]], np.inf, 1)  # 2, not the entry sum 4
    >>> bool(abs(norm.lower - 2) < 1e-12 and abs(norm.upper - 2) < 1e-12)
    True
    """
    a, power = _checked(weight, p, q)
    if not _largest(a):
        return Interval(0.0, 0.0)
    column_norms, row_norms = _line_norms(a, q, 0), _line_norms(a, _dual(p), 1)
    lower_column = float(column_norms.max()) * (1 - _slack(a.shape[0], q))
    lower_row = float(row_norms.max()) * (1 - _slack(a.shape[1], _dual(p)))
    if p == 1:
        upper = float(column_norms.max()) * (1 + _slack(a.shape[0], q))
        return Interval(lower_column * power, upper * power)
    if q == np.inf:
        upper = float(row_norms.max()) * (1 + _slack(a.shape[1], _dual(p)))
        return Interval(lower_row * power, upper * power)
    mixed = min(_norm(row_norms, q), _norm(column_norms, _dual(p)))
    upper = mixed * (1 + _slack(sum(a.shape) + 256, 1))
    signs = None
    if _few_signs(a, p):
        signs, enumerated = _best_signs(a, q)
        upper = min(upper, enumerated)
    elif _few_signs(a.T, _dual(q)):
        rows, enumerated = _best_signs(a.T, _dual(p))
        signs, upper = _dual_vectors(a.T @ rows, _dual(p)), min(upper, enumerated)
    elif p == q == 2 and _fits_dense(a):
        upper = min(upper, spectral_norm_upper(_dense(a)))
    else:
        upper = min(upper, _interpolated(a, p, q))
    witness = _ascended(a, p, q, signs)
    lower = max(lower_column, lower_row, _value_lower(a, witness, p, q))
    return Interval(lower * power, upper * power)


def norm_witness(weight: Matrix, p: float, q: float) -> FloatArray:
    """Return a vector of p-norm 1 at which ||A x||_q is large.

    The power method for p -> q norms, which never decreases ||A x||_q, from the best column, the
    best row, the first singular vector and a fixed set of random vectors. `operator_norm` adds the
    best sign vector where it tries them all.

    Parameters
    ----------
    weight : array_like or scipy.sparse matrix, shape (m, n)
        Real and finite, n >= 1.
    p, q : float
        Norms of the domain and of the range, in [1, inf].

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        As for `operator_norm`, or if n = 0.

    References
    ----------
    Boyd, The power method for l^p norms, Linear Algebra Appl. 9 (1974); Higham, Estimating the
    matrix p-norm, Numer. Math. 62 (1992).

    Examples
    --------
    >>> norm_witness([[1.0, 0.0], [0.0, 3.0]], 1, 2)
    array([0., 1.])
    """
    a, _ = _checked(weight, p, q)
    if not a.shape[1]:
        raise ValueError("a witness needs a matrix with at least one column, got none")
    if not _largest(a):
        return np.asarray(np.eye(1, a.shape[1])[0])
    return _ascended(a, p, q, None)


def _checked(weight: Matrix, p: float, q: float) -> tuple[Matrix, float]:
    """Return weight / power and power, a power of two above all entries."""
    for name, value in (("p", p), ("q", q)):
        if not 1 <= value <= np.inf:
            raise ValueError(f"an operator norm needs {name} in [1, inf], got {value}")
    dtype = getattr(weight, "dtype", None)
    if dtype is not None and np.dtype(dtype).kind not in "biuf":
        raise ValueError(f"the weight must be a real matrix, got entries of type {dtype}")
    a: Matrix
    if _is_sparse(weight):
        a = weight
        if a.ndim == 2:
            a = sparse.csr_array(a, dtype=np.float64, copy=True)
            a.sum_duplicates()
    else:
        try:
            a = np.asarray(weight, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError("the weight must be a real matrix, got no array of numbers") from error
    if a.ndim != 2:
        raise ValueError(f"the weight must be a matrix, got shape {a.shape}")
    power = power_above(a.data if _is_sparse(a) else a)
    return a / power, power


def _is_sparse(a: Matrix) -> bool:
    return bool(sparse.issparse(a))


def _largest(a: Matrix) -> float:
    return float(np.abs(a.data if _is_sparse(a) else a).max(initial=0.0))


def _dual(p: float) -> float:
    """Return p* with 1/p + 1/p* = 1."""
    if p == 1:
        return np.inf
    return 1.0 if p == np.inf else p / (p - 1)


def _reciprocal(p: float) -> float:
    return 0.0 if p == np.inf else 1 / p


def _slack(terms: int, r: float) -> float:
    """Return the relative error of an r-norm of that many terms as `_line_norms` computes it.

    The sum has gamma_n; the powers, the rounded 1/r (the sum lies between 1 and n) and the rounded
    dual exponent (the logarithm of the norm changes by at most ln n / r^2) stay below 256 units.
    """
    return 0.0 if r == np.inf else accumulated_error(terms + 256)


def _line_norms(a: Matrix, r: float, axis: int) -> FloatArray:
    """Return the r-norms of the columns (axis 0) or rows (axis 1)."""
    if _is_sparse(a):
        lines = a.tocsc() if axis == 0 else a.tocsr()
        count = a.shape[1 - axis]
        of = np.repeat(np.arange(count), np.diff(lines.indptr))
        entries, largest = np.abs(lines.data), np.zeros(count)
        np.maximum.at(largest, of, entries)
        if r == np.inf:
            return largest
        # Scaled to a largest entry of 1, no power overflows, and those that underflow are nothing.
        ratios = entries / np.where(largest > 0, largest, 1.0)[of]
        sums = np.bincount(of, weights=ratios**r, minlength=count)
    else:
        entries = np.abs(a)
        largest = entries.max(axis=axis, initial=0.0)
        if r == np.inf:
            return np.asarray(largest)
        ratios = entries / np.expand_dims(np.where(largest > 0, largest, 1.0), axis)
        sums = np.sum(ratios**r, axis=axis)
    return np.asarray(largest * sums ** (1 / r))


def _norm(x: FloatArray, r: float) -> float:
    return float(_line_norms(x[:, None], r, 0)[0])


def _fits_dense(a: Matrix) -> bool:
    return not _is_sparse(a) or a.shape[0] * a.shape[1] <= _DENSE_ENTRIES


def _dense(a: Matrix) -> FloatArray:
    return np.asarray(a.toarray() if _is_sparse(a) else a)


def _few_signs(a: Matrix, p: float) -> bool:
    """Whether the domain is a cube with so few vertices that all can be tried."""
    m, n = a.shape
    return p == np.inf and n <= _SIGN_COORDINATES and m * 2 ** (n - 1) <= _SIGN_VALUES


def _best_signs(a: Matrix, q: float) -> tuple[FloatArray, float]:
    """Return the sign vector that maximises ||A s||_q, and an upper end of the inf -> q norm.

    A convex function on a cube is largest at a vertex.
    """
    m, n = a.shape
    best, found = np.ones(n), -1.0
    step = max(1, 2**21 // m)
    for start in range(0, 2 ** (n - 1), step):
        codes = np.arange(start, min(start + step, 2 ** (n - 1)))
        # s and -s are alike: the last sign stays +1.
        signs = 1.0 - 2.0 * ((codes >> np.arange(n)[:, None]) & 1)
        values = _line_norms(a @ signs, q, 0)
        k = int(values.argmax())
        if values[k] > found:
            best, found = signs[:, k], float(values[k])
    return best, found * (1 + _slack(m, q)) + _product_error(a, np.ones(n), q)


def _product_error(a: Matrix, x: FloatArray, q: float) -> float:
    """Return a bound on the q-norm of the error of the computed A x."""
    m, n = a.shape
    return accumulated_error(n + 2) * _norm(abs(a) @ np.abs(x), q) * (1 + _slack(m + n, 1))


def _value_lower(a: Matrix, x: FloatArray, p: float, q: float) -> float:
    """Return a lower end of ||A x||_q / ||x||_p.

    What underflows is nothing beside the largest entry of A, which the caller compares with.
    """
    m, n = a.shape
    image = _norm(a @ x, q) * (1 - _slack(m, q)) - _product_error(a, x, q)
    return image / (_norm(x, p) * (1 + _slack(n, p))) * (1 - accumulated_error(4))


def _interpolated(a: Matrix, p: float, q: float) -> float:
    """Return the best upper end that interpolation and equivalence of norms give.

    log ||A|| is convex in (1/p, 1/q), and ||A||_{p -> q} <= n^s m^t ||A||_{p' -> q'} for
    s >= 1/p' - 1/p, t >= 1/q - 1/q', s, t >= 0: the best combination solves a linear programme.
    Any weights give a bound, so what is returned does not depend on the solver's accuracy.
    """
    from scipy.optimize import linprog

    m, n = a.shape
    one, other = _reciprocal(p), _reciprocal(q)
    grid = np.linspace(0.0, 1.0, 9)
    points, ends = [], []
    for b in np.unique([*grid, other]):
        r = 1 / b if b else np.inf
        points.append((1.0, b))
        ends.append(float(_line_norms(a, r, 0).max()) * (1 + _slack(m, 1)))
    for b in np.unique([*grid, one]):
        r = 1 / b if b else np.inf
        points.append((b, 0.0))
        ends.append(float(_line_norms(a, _dual(r), 1).max()) * (1 + _slack(n, 1)))
    if _fits_dense(a):
        points.append((0.5, 0.5))
        ends.append(spectral_norm_upper(_dense(a)))
    at, logs = np.array(points), np.log(ends)
    solved = linprog(
        np.append(logs, [np.log(n), np.log(m)]),
        A_ub=[[*at[:, 0], -1.0, 0.0], [*-at[:, 1], 0.0, -1.0]],
        b_ub=[one, -other],
        A_eq=[[1.0] * len(at) + [0.0, 0.0]],
        b_eq=[1.0],
    )
    if solved.x is None:
        raise RuntimeError(f"the interpolation gave up with status {solved.status}")
    weights = np.maximum(solved.x[:-2], 0.0)
    weights /= weights.sum()
    reached = weights @ at
    exponent = weights @ logs
    exponent += max(reached[0] - one, 0.0) * np.log(n) + max(other - reached[1], 0.0) * np.log(m)
    return float(np.exp(exponent)) * (1 + _INTERPOLATION_SLACK)


def _dual_vectors(y: FloatArray, r: float) -> FloatArray:
    """Return, by column, a vector x of r*-norm about 1 with x . y = ||y||_r."""
    matrix = y if y.ndim == 2 else y[:, None]
    size = np.abs(matrix)
    if r == np.inf:
        x = np.zeros_like(matrix)
        chosen = size.argmax(axis=0), np.arange(matrix.shape[1])
        x[chosen] = np.where(matrix[chosen] < 0, -1.0, 1.0)
    else:
        largest = size.max(axis=0)
        ratios = size / np.where(largest > 0, largest, 1.0)
        x = np.where(matrix < 0, -1.0, 1.0) * ratios ** (r - 1)
        length = _line_norms(x, _dual(r), 0)
        x /= np.where(length > 0, length, 1.0)
    return x if y.ndim == 2 else x[:, 0]


def _ascended(a: Matrix, p: float, q: float, start: FloatArray | None) -> FloatArray:
    """Return the best end of the power method from all starts, one a column."""
    m, n = a.shape
    column, row = np.zeros(n), np.zeros(m)
    column[int(_line_norms(a, q, 0).argmax())] = 1.0
    row[int(_line_norms(a, _dual(p), 1).argmax())] = 1.0
    starts = [column, a.T @ row, np.ones(n)]
    if start is not None:
        starts.append(start)
    if _fits_dense(a):
        starts.append(_singular_vector(_dense(a)))
    starts.extend(np.random.default_rng(0).standard_normal((_RANDOM_STARTS, n)))
    x = np.stack(starts, axis=1)
    # A given start is kept as it is; the others are also tried after the map to extreme points.
    x = np.hstack([x, _dual_vectors(x, _dual(p))])
    x /= _line_norms(x, p, 0)
    values = _line_norms(a @ x, q, 0)
    best, found = x[:, int(values.argmax())], float(values.max())
    for _ in range(_ITERATIONS):
        x = _dual_vectors(a.T @ _dual_vectors(a @ x, q), _dual(p))
        before, values = values, _line_norms(a @ x, q, 0)
        if values.max() > found:
            best, found = x[:, int(values.argmax())], float(values.max())
        if np.all(values <= before * (1 + 1e-13)):
            break
    return np.asarray(best)


def _singular_vector(a: FloatArray) -> FloatArray:
    """Return a right singular vector of the largest singular value."""
    wide = a.shape[0] < a.shape[1]
    gram = a @ a.T if wide else a.T @ a
    vector = np.linalg.eigh(gram)[1][:, -1]
    return np.asarray(a.T @ vector if wide else vector)
