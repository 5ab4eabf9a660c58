"""Operator norms: never below the norm in 50-digit arithmetic, and hardly above it."""

import mpmath as mp
import numpy as np
import pytest
from scipy import linalg

from theory.norms import (
    UNIT_ROUNDOFF,
    accumulated_error,
    frobenius_upper,
    least_singular_value_lower,
    spectral,
    spectral_norm_upper,
)

DIGITS = 50


def exact_spectral_norm(matrix: np.ndarray) -> mp.mpf:
    """The largest singular value, by 50-digit decomposition of the matrix at unit scale."""
    scale = mp.mpf(float(np.abs(matrix).max()))
    entries = mp.matrix([[mp.mpf(float(x)) / scale for x in row] for row in matrix])
    entries = entries if entries.rows <= entries.cols else entries.T
    gram = entries * entries.T
    return mp.sqrt(max(mp.eigsy(gram, eigvals_only=True))) * scale


def matrices() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    shapes = [(1, 1), (1, 6), (6, 1), (3, 3), (5, 2), (2, 5), (6, 6)]
    random = [rng.standard_normal(shape) for shape in shapes]
    thin = rng.standard_normal((5, 1)) @ rng.standard_normal((1, 4))
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    repeated = rotation @ np.diag([2.0, 2.0, 2.0, 0.5]) @ rotation.T
    graded = np.diag(10.0 ** -np.arange(0.0, 200, 40))
    ones, hilbert = np.ones((4, 4)), linalg.hilbert(6)
    return [*random, thin, repeated, rotation, graded, ones, hilbert, np.eye(3), -np.eye(2)]


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200, 2.0**-500, 3e-7])
def test_spectral_norm_is_above_and_near(scale: float) -> None:
    with mp.workdps(DIGITS):
        for matrix in matrices():
            exact = exact_spectral_norm(scale * matrix)
            excess = (mp.mpf(spectral_norm_upper(scale * matrix)) - exact) / exact
            assert 0 <= excess < 1e-9, matrix


def test_frobenius_norm_is_above_and_near() -> None:
    with mp.workdps(DIGITS):
        for matrix in matrices():
            exact = mp.sqrt(mp.fsum(mp.mpf(float(x)) ** 2 for x in matrix.ravel()))
            assert 0 <= (mp.mpf(frobenius_upper(matrix)) - exact) / exact < 1e-13


@pytest.mark.parametrize("side", [60, 250])
def test_norm_of_a_layer_of_usual_size(side: int) -> None:
    matrix = np.random.default_rng(side).standard_normal((side, side + 30))
    assert 0 <= spectral_norm_upper(matrix) / np.linalg.norm(matrix, 2) - 1 < 1e-9


def test_norm_of_nothing() -> None:
    for shape in ((0, 3), (3, 0), (2, 2)):
        assert spectral_norm_upper(np.zeros(shape)) == 0


@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
def test_entries_that_are_no_numbers_are_refused(entry: float) -> None:
    matrix = np.eye(3)
    matrix[1, 2] = entry
    with pytest.raises(ValueError, match="not finite"):
        spectral_norm_upper(matrix)


@pytest.mark.parametrize("factor", [0.5, 1 - 1e-6])
def test_a_proposal_that_is_too_small_is_refuted(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_eigh = linalg.eigh

    def too_small(*arguments: object, **options: object) -> np.ndarray:
        return factor * true_eigh(*arguments, **options)

    monkeypatch.setattr(spectral.linalg, "eigh", too_small)
    for matrix in matrices():
        with pytest.raises(ArithmeticError, match="could be proved"):
            spectral_norm_upper(matrix)


@pytest.mark.parametrize(("short", "loose"), [(5e-13, 1e-11), (5e-11, 1e-9), (5e-9, 1e-7)])
def test_a_proposal_that_is_slightly_too_small_is_mended(
    short: float, loose: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_eigh = linalg.eigh
    monkeypatch.setattr(spectral.linalg, "eigh", lambda *a, **k: (1 - short) * true_eigh(*a, **k))
    with mp.workdps(DIGITS):
        for matrix in matrices():
            exact = exact_spectral_norm(matrix)
            assert 0 <= (mp.mpf(spectral_norm_upper(matrix)) - exact) / exact < loose


def test_a_proposal_that_is_too_large_is_only_loose(monkeypatch: pytest.MonkeyPatch) -> None:
    true_eigh = linalg.eigh
    monkeypatch.setattr(spectral.linalg, "eigh", lambda *a, **k: 4 * true_eigh(*a, **k))
    assert spectral_norm_upper(np.diag([3.0, 1.0])) == pytest.approx(6.0, rel=1e-9)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_accumulated_error(precision: str) -> None:
    unit = UNIT_ROUNDOFF[precision]
    assert unit == np.finfo(precision).eps / 2
    for terms in (0, 1, 7, 10**6):
        exact = mp.mpf(terms) * unit / (1 - mp.mpf(terms) * unit)
        assert accumulated_error(terms, unit) == pytest.approx(float(exact), rel=1e-15)
    with pytest.raises(ValueError, match="no accuracy"):
        accumulated_error(int(1 / unit), unit)
    assert accumulated_error(5) == accumulated_error(5, UNIT_ROUNDOFF["float64"])


def test_accumulated_error_bounds_sums_in_any_order() -> None:
    rng, n = np.random.default_rng(6), 200
    for _ in range(200):
        x, y = rng.standard_normal((2, n)).astype(np.float32)
        x *= np.float32(10.0) ** rng.integers(-3, 4, n)
        exact, scale = np.dot(x.astype(float), y), np.dot(np.abs(x).astype(float), np.abs(y))
        order = rng.permutation(n)
        total = np.float32(0)
        for product in (x * y)[order]:
            total += product
        allowed = accumulated_error(n, UNIT_ROUNDOFF["float32"]) * scale
        assert abs(float(total) - exact) <= allowed


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (30, 12), (16, 16)])
@pytest.mark.parametrize("scale", [1e-120, 1.0, 1e120])
def test_least_singular_value_is_bounded_from_below(shape: tuple[int, int], scale: float) -> None:
    rng = np.random.default_rng(sum(shape))
    for _ in range(5):
        matrix = scale * rng.standard_normal(shape)
        bound = least_singular_value_lower(matrix)
        with mp.workdps(50):
            exact = min(mp.svd_r(mp.matrix(matrix.tolist()), compute_uv=False))
            assert mp.mpf(bound) <= exact
            assert bound >= exact * (1 - mp.mpf("1e-4"))


def test_dependent_columns_prove_nothing() -> None:
    column = np.random.default_rng(0).standard_normal((9, 1))
    assert least_singular_value_lower(np.hstack([column, 2 * column])) < 1e-6
    with pytest.raises(ValueError, match="at least as many rows"):
        least_singular_value_lower(np.ones((2, 3)))


def test_a_planted_least_singular_value_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.diag([1.0, 2.0])
    monkeypatch.setattr(linalg, "eigh", lambda *_, **__: np.array([1.5]))
    assert least_singular_value_lower(matrix) == 0.0


def test_matrices_whose_singular_values_are_all_alike() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        q = np.linalg.qr(rng.normal(size=(20, 20)))[0]
        assert 1 - 1e-12 <= spectral_norm_upper(q) <= 1 + 1e-9
        assert 1 - 1e-9 <= least_singular_value_lower(q) <= 1 + 1e-12
