"""Operator norms p -> q: closed forms, all sign vectors, sampling, duality, 50-digit values."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from scipy import sparse

from theory.norms import norm_witness, operator, operator_norm

INF = np.inf
EXPONENTS = [1.0, 1.3, 2.0, 3.0, INF]
PAIRS = list(itertools.product(EXPONENTS, EXPONENTS))
CLOSED = [(p, q) for p, q in PAIRS if p == 1 or q == INF]
SHAPES = [(1, 1), (1, 5), (5, 1), (4, 3), (3, 6), (20, 18)]


def dual(p: float) -> float:
    return INF if p == 1 else 1.0 if p == INF else p / (p - 1)


def exact_norm(x: np.ndarray, r: float) -> mp.mpf:
    """The r-norm in the working precision of mpmath; r is taken as the double it is."""
    entries = [abs(mp.mpf(float(v))) for v in x]
    if r == INF:
        return max(entries)
    return mp.fsum(v ** mp.mpf(r) for v in entries) ** (1 / mp.mpf(r))


def ratios(a: np.ndarray, x: np.ndarray, p: float, q: float) -> np.ndarray:
    """||A x||_q / ||x||_p of the columns x."""
    return np.linalg.norm(a @ x, q, axis=0) / np.linalg.norm(x, p, axis=0)


def brute_force_signs(a: np.ndarray, q: float) -> float:
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=a.shape[1]))).T
    return float(np.linalg.norm(a @ signs, q, axis=0).max())


def on_circle(a: np.ndarray, p: float, q: float) -> float:
    """The norm of a matrix with two columns, by a fine walk round the circle."""
    t = np.linspace(0, math.pi, 200_001)
    return float(ratios(a, np.array([np.cos(t), np.sin(t)]), p, q).max())


@pytest.mark.parametrize(("p", "q"), CLOSED)
def test_closed_forms_hold_in_50_digits(p: float, q: float) -> None:
    rng = np.random.default_rng()
    with mp.workdps(50):
        for shape in SHAPES:
            a = rng.standard_normal(shape) * 10.0 ** rng.integers(-9, 9, shape)
            if p == 1:
                exact = max(exact_norm(column, q) for column in a.T)
            else:
                r = mp.inf if p == 1 else mp.mpf(1) if p == INF else mp.mpf(p) / (mp.mpf(p) - 1)
                rows = [[abs(mp.mpf(float(v))) for v in row] for row in a]
                exact = max(mp.fsum(v**r for v in row) ** (1 / r) for row in rows)
            found = operator_norm(a, p, q)
            assert found.lower <= exact <= found.upper
            assert found.upper - found.lower <= 1e-12 * found.upper
            if (p, q) == (1, INF):
                assert found.lower == found.upper == np.abs(a).max()


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_spectral_norm_holds_in_50_digits(scale: float) -> None:
    rng = np.random.default_rng()
    near = np.diag([1.0, 1 - 1e-12, 0.5]) @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    cases = [rng.standard_normal(shape) for shape in SHAPES[:-1]]
    with mp.workdps(50):
        for matrix in [*cases, near, np.ones((3, 3))]:
            a = scale * matrix
            unit = mp.matrix([[mp.mpf(float(v)) / scale for v in row] for row in a])
            gram = unit * unit.T
            exact = mp.sqrt(max(mp.eigsy(gram, eigvals_only=True))) * scale
            found = operator_norm(a, 2, 2)
            assert found.lower <= exact <= found.upper
            assert found.upper - found.lower <= 1e-9 * found.upper
            assert exact - found.lower <= 1e-11 * exact


@pytest.mark.parametrize("q", EXPONENTS)
def test_all_sign_vectors(q: float) -> None:
    rng = np.random.default_rng()
    for shape in [(1, 1), (7, 4), (3, 9), (30, 8)]:
        a = rng.standard_normal(shape)
        exact = brute_force_signs(a, q)
        for found in (operator_norm(a, INF, q), operator_norm(a.T, dual(q), 1)):
            assert found.lower <= exact * (1 + 1e-12)
            assert found.upper >= exact * (1 - 1e-12)
            assert found.upper - found.lower <= 1e-11 * exact


@pytest.mark.parametrize("q", [1.0, 2.0, 3.0])
def test_signs_in_pieces_and_the_bounds_without_them(
    q: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = np.random.default_rng().standard_normal((40_000, 8))
    assert operator_norm(a, INF, q).upper == pytest.approx(brute_force_signs(a, q), rel=1e-10)
    monkeypatch.setattr(operator, "_SIGN_COORDINATES", 0)
    small = np.random.default_rng().standard_normal((9, 8))
    exact, found = brute_force_signs(small, q), operator_norm(small, INF, q)
    assert found.lower <= exact * (1 + 1e-12)
    assert exact <= found.upper * (1 + 1e-12)
    assert found.lower >= 0.9 * exact
    assert found.upper <= 2.5 * exact


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_matrices_with_two_columns(p: float, q: float) -> None:
    rng = np.random.default_rng()
    for rows in (2, 5):
        a = rng.standard_normal((rows, 2))
        exact, found = on_circle(a, p, q), operator_norm(a, p, q)
        assert exact <= found.upper * (1 + 1e-12)
        # The walk falls short of the norm by up to its step, at kinks of the 1- and inf-norms.
        assert found.lower <= exact * (1 + 1e-4)
        assert found.lower >= exact * (1 - 1e-6)
        assert found.upper <= 1.5 * exact


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_samples_and_witness(p: float, q: float) -> None:
    rng = np.random.default_rng()
    for shape in [(6, 4), (17, 23)]:
        a = rng.standard_normal(shape)
        found = operator_norm(a, p, q)
        heavy = rng.standard_normal((shape[1], 3000)) ** 5
        x = np.hstack([heavy, np.sign(heavy), np.eye(shape[1])])
        witness = norm_witness(a, p, q)
        assert witness.shape == (shape[1],)
        assert np.linalg.norm(witness, p) == pytest.approx(1, rel=1e-13)
        reached = float(ratios(a, witness[:, None], p, q)[0])
        sampled = float(ratios(a, x, p, q).max())
        assert sampled <= found.upper * (1 + 1e-13)
        assert sampled <= found.lower * (1 + 1e-9)
        assert reached <= found.upper * (1 + 1e-13)
        assert found.lower == pytest.approx(reached, rel=1e-8 if shape[0] > 16 else 0.1)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_duality(p: float, q: float) -> None:
    a = np.random.default_rng().standard_normal((18, 21))
    one, other = operator_norm(a, p, q), operator_norm(a.T, dual(q), dual(p))
    assert one.lower <= other.upper
    assert other.lower <= one.upper
    assert one.upper == pytest.approx(other.upper, rel=1e-6)
    assert one.lower == pytest.approx(other.lower, rel=0.08)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_rank_one(p: float, q: float) -> None:
    rng = np.random.default_rng()
    u, v = rng.standard_normal(19), rng.standard_normal(22)
    found = operator_norm(np.outer(u, v), p, q)
    exact = np.linalg.norm(u, q) * np.linalg.norm(v, dual(p))
    assert found.lower == pytest.approx(exact, rel=1e-11)
    assert found.upper == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("seed", range(60))
def test_orthogonal_matrices(seed: int) -> None:
    # On about one in fifteen, LAPACK's search for the largest eigenvalue of Q^T Q fails.
    n = 20
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    found = operator_norm(rotation, 2, 2)
    assert found.lower == pytest.approx(1, rel=1e-12)
    assert found.upper == pytest.approx(1, rel=1e-9)
    # ||Q s||_2 = ||s||_2 for every s, and by duality.
    for ends in (operator_norm(rotation, INF, 2), operator_norm(rotation, 2, 1)):
        assert ends.lower == pytest.approx(math.sqrt(n), rel=1e-12)
        assert ends.upper == pytest.approx(math.sqrt(n), rel=1e-8)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_the_identity(p: float, q: float) -> None:
    n = 20
    exact = n ** max(0.0, 1 / q - 1 / p)
    found = operator_norm(np.eye(n), p, q)
    assert found.lower == pytest.approx(exact, rel=1e-10)
    assert found.upper == pytest.approx(exact, rel=1e-8)


def test_interpolation_is_sharp_where_it_is_known_to_be() -> None:
    # The Fourier matrix of the group Z_2^5: Hausdorff-Young, ||H||_{p -> p*} = n^(1/p*), p <= 2.
    h = np.array([[1.0]])
    for _ in range(5):
        h = np.block([[h, h], [h, -h]])
    for p in (1.1, 1.5, 1.9):
        found = operator_norm(h, p, dual(p))
        assert found.upper == pytest.approx(32 ** (1 / dual(p)), rel=1e-8)
        assert found.lower == pytest.approx(found.upper, rel=1e-8)


@pytest.mark.parametrize("scale", [1e-150, 1e150, -1.0, 2.0**-300])
@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_scaling(p: float, q: float, scale: float) -> None:
    a = np.random.default_rng().standard_normal((5, 4))
    plain, scaled = operator_norm(a, p, q), operator_norm(scale * a, p, q)
    assert scaled.lower == pytest.approx(abs(scale) * plain.lower, rel=1e-8)
    assert scaled.upper == pytest.approx(abs(scale) * plain.upper, rel=1e-8)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_nothing_has_norm_zero(p: float, q: float) -> None:
    for shape in [(0, 0), (0, 3), (3, 0), (2, 3)]:
        for matrix in (np.zeros(shape), sparse.csr_matrix(shape), sparse.coo_array(shape)):
            found = operator_norm(matrix, p, q)
            assert (found.lower, found.upper) == (0, 0)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_sparse_equals_dense(p: float, q: float) -> None:
    rng = np.random.default_rng()
    a = rng.standard_normal((19, 25)) * (rng.random((19, 25)) < 0.3)
    a[3], a[:, 4] = 0, 0
    dense = operator_norm(a, p, q)
    for form in (sparse.csr_matrix, sparse.csc_array, sparse.coo_array):
        found = operator_norm(form(a), p, q)
        assert found.lower == pytest.approx(dense.lower, rel=1e-8)
        assert found.upper == pytest.approx(dense.upper, rel=1e-8)


def test_sparse_duplicates_are_one_entry() -> None:
    # 3 - 3 + 1 in one place; the CSR form keeps the three apart, and must be left as it is.
    a = sparse.csr_array((np.array([3.0, -3.0, 1.0]), np.array([0, 0, 0]), np.array([0, 3])))
    assert operator_norm(a, 1, INF).upper == 1
    assert a.nnz == 3


def test_large_sparse_matrices_stay_sparse() -> None:
    n = 300_000
    a = sparse.diags_array([np.full(n, 2.0), np.full(n - 1, -1.0)], offsets=[0, 1])
    for p, q, exact in ((1, 1, 3), (1, 2, math.sqrt(5)), (2, INF, math.sqrt(5)), (INF, INF, 3)):
        found = operator_norm(a, p, q)
        assert found.lower <= exact * (1 + 1e-15)
        assert exact <= found.upper * (1 + 1e-15)
        assert found.upper - found.lower < 1e-9


def test_a_sparse_matrix_too_large_for_the_dense_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "_DENSE_ENTRIES", 10)
    a = np.random.default_rng().standard_normal((20, 30))
    found, exact = operator_norm(sparse.csr_array(a), 2, 2), np.linalg.norm(a, 2)
    assert found.lower == pytest.approx(exact, rel=1e-6)
    assert exact <= found.upper <= math.sqrt(np.linalg.norm(a, 1) * np.linalg.norm(a, INF)) * 1.01


@pytest.mark.parametrize("p", [0.5, 0.0, -1.0, np.nan, 1 - 1e-16 * 2])
def test_exponents_out_of_range_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"needs p in \[1, inf\]"):
        operator_norm(np.eye(2), p, 2)
    with pytest.raises(ValueError, match=r"needs q in \[1, inf\]"):
        operator_norm(np.eye(2), 2, p)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.array([[1.0, INF]]), "not finite"),
        (sparse.csr_array(np.array([[1.0, INF]])), "not finite"),
        (np.ones(3), "must be a matrix"),
        (np.ones((2, 2, 2)), "must be a matrix"),
        (sparse.coo_array(np.ones(3)), "must be a matrix"),
        (3.0, "must be a matrix"),
        ([[1.0], [1.0, 2.0]], "real matrix"),
        (np.array([["a"]]), "real matrix"),
        (np.array([[1j]]), "real matrix"),
        ([[1j]], "real matrix"),
        (np.array([[1e300]]), "out of range"),
    ],
)
def test_what_is_no_matrix_is_refused(weight: object, message: str) -> None:
    for p, q in ((1, 1), (2, 2), (3, 1.5)):
        with pytest.raises(ValueError, match=message):
            operator_norm(weight, p, q)


def test_a_witness_needs_a_column() -> None:
    with pytest.raises(ValueError, match="at least one column"):
        norm_witness(np.zeros((2, 0)), 2, 2)
    assert norm_witness(np.zeros((2, 3)), 2, 2).tolist() == [1, 0, 0]


@pytest.mark.parametrize(("p", "q"), [(1 + 2.0**-52, 2), (2, 1 + 2.0**-52), (1e300, 3), (3, 1e300)])
def test_exponents_next_to_the_ends(p: float, q: float) -> None:
    a = np.random.default_rng().standard_normal((18, 20))
    near = operator_norm(a, p, q)
    end = operator_norm(a, *(1 if r < 1.1 else INF if r > 1e9 else r for r in (p, q)))
    assert near.lower <= end.upper * (1 + 1e-9)
    assert end.lower <= near.upper * (1 + 1e-9)
    assert near.upper == pytest.approx(end.upper, rel=0.05)
