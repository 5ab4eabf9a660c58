"""Conflicts in rational arithmetic, certificates against failing solvers, Gaussian margins."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from tests.test_gaussian import exact_tail, relative_error
from theory.adversarial_transport import (
    conflict_graph,
    conflicts,
    feasible_flow,
    gaussian_margin,
    largest_matching,
    lightest_cover,
    plans,
    require_cover,
    require_matching,
)
from theory.claims.bhagoji2019 import gaussian_adversarial_loss

NORMS = ("l1", "l2", "linf")


def within(x: np.ndarray, y: np.ndarray, budget: float, norm: str) -> bool:
    """Whether two points are at distance at most twice the budget, in rational arithmetic."""
    apart = [abs(Fraction(float(a)) - Fraction(float(b))) for a, b in zip(x, y, strict=True)]
    twice = 2 * Fraction(budget)
    if norm == "l2":
        return sum(a * a for a in apart) <= twice**2
    return (sum(apart) if norm == "l1" else max(apart)) <= twice


def exact_conflicts(x: np.ndarray, y: np.ndarray, budget: float, norm: str) -> np.ndarray:
    return np.array([[within(a, b, budget, norm) for b in y] for a in x])


def least_cover(conflict: np.ndarray, a: np.ndarray, b: np.ndarray) -> Fraction:
    """The least weight of points that meet every conflict, by trying all subsets of rows."""
    best = Fraction(10)
    for kept in itertools.product((False, True), repeat=len(a)):
        needed = conflict[np.array(kept)].any(axis=0)
        weight = sum(
            (Fraction(float(w)) for w, k in zip(a, kept, strict=True) if not k), Fraction(0)
        )
        weight += sum((Fraction(float(w)) for w in b[needed]), Fraction(0))
        best = min(best, weight)
    return best


# Which points conflict


def test_conflicts_are_those_of_rational_arithmetic() -> None:
    rng = np.random.default_rng(11)
    for scale, offset in ((1.0, 0.0), (1.0, 1e7), (1e-200, 0.0), (1e200, 0.0), (1e-3, 1.0)):
        x, y = offset + scale * rng.normal(size=(2, 12, 5))
        for norm in NORMS:
            budget = scale * float(rng.uniform(0.5, 2.0))
            sure, possible = conflicts(x, y, budget, norm)
            exact = exact_conflicts(x, y, budget, norm)
            np.testing.assert_array_equal(sure.toarray().astype(bool), exact)
            assert possible is sure
    # Distances far below the coordinates: inner products know nothing of them.
    x = 1.0 + rng.integers(0, 50, size=(12, 3)) * 2.0**-52
    budget = 20 * 2.0**-52
    for norm in NORMS:
        sure, possible = conflicts(x[:6], x[6:], budget + 2.0**-55, norm)
        exact = exact_conflicts(x[:6], x[6:], budget + 2.0**-55, norm)
        np.testing.assert_array_equal(sure.toarray().astype(bool), exact)
        np.testing.assert_array_equal(possible.toarray().astype(bool), exact)
    # Thirds: rounded differences tie with the limit where exact ones do not, and otherwise.
    x, y = rng.integers(0, 40, size=(2, 30, 2)) / 3
    for limit in (1, 5, 8):
        sure, possible = conflicts(x, y, limit / 6, "linf")
        assert possible is sure
        exact = exact_conflicts(x, y, limit / 6, "linf")
        np.testing.assert_array_equal(sure.toarray().astype(bool), exact)
    # Differences whose squares underflow.
    sure, _ = conflicts([[1.0, 0.0]], [[1.0, 1e-200]], 1e-250)
    assert sure.nnz == 0
    sure, _ = conflicts([[1.0, 0.0]], [[1.0, 1e-200]], 1e-200)
    assert sure.nnz == 1


def test_images_are_flattened_and_blocks_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(13)
    x, y = rng.uniform(size=(2, 40, 1, 4, 4))
    whole = conflicts(x, y, 0.6)[0].toarray()
    monkeypatch.setattr(conflict_graph, "_BLOCK", 100)
    np.testing.assert_array_equal(conflicts(x.reshape(40, 16), y, 0.6)[0].toarray(), whole)
    assert 0 < whole.sum() < whole.size


# Certificates


def test_a_solver_that_fails_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(17)
    graph = conflicts(*rng.normal(size=(2, 20, 2)), 0.4)[0]
    pairs, rows, columns = largest_matching(graph)
    assert len(pairs) == rows.size + columns.size
    solve = plans.sparse.csgraph.maximum_bipartite_matching

    def spoiled(change: Callable[[np.ndarray], None]) -> None:
        def solver(*given: Any, **named: Any) -> np.ndarray:  # noqa: ANN401
            partner = solve(*given, **named)
            change(partner)
            return partner

        monkeypatch.setattr(plans.sparse.csgraph, "maximum_bipartite_matching", solver)
        with pytest.raises(ArithmeticError):
            largest_matching(graph)

    def fewer(partner: np.ndarray) -> None:
        partner[np.flatnonzero(partner >= 0)[0]] = -1

    def twice(partner: np.ndarray) -> None:
        one, other = np.flatnonzero(partner >= 0)[:2]
        partner[one] = partner[other]

    def none(partner: np.ndarray) -> None:
        row = np.flatnonzero(partner >= 0)[0]
        bare = set(range(20)) - set(graph.toarray()[row].nonzero()[0]) - set(partner)
        partner[row] = bare.pop()

    for change in (fewer, twice, none):
        spoiled(change)
    with pytest.raises(ArithmeticError, match="no point in the cover"):
        require_cover(graph, np.zeros(20, dtype=bool), np.zeros(20, dtype=bool))
    with pytest.raises(ArithmeticError, match="uses a point twice"):
        require_matching(graph, np.array([[0, 0], [0, 1]]))


def test_bounds_hold_whatever_a_solver_proposes() -> None:
    rng = np.random.default_rng(19)
    for _ in range(30):
        x, y = rng.normal(size=(2, 6, 2))
        graph = conflicts(x, y, 0.5)[0]
        weights = rng.dirichlet(np.ones(12))
        a, b = weights[:6], weights[6:]
        exact = least_cover(graph.toarray().astype(bool), a, b)
        pairs, flow = feasible_flow(graph, a, b, rng.exponential(0.1, size=graph.nnz))
        assert sum(flow, Fraction(0)) <= exact
        for side, room in zip(pairs.T, (a, b), strict=True):
            for point in set(side):
                sent = sum((f for f, p in zip(flow, side, strict=True) if p == point), Fraction(0))
                assert sent <= Fraction(float(room[point]))
        rows, columns, weight = lightest_cover(graph, a, b, rng.normal(0.5, 1.0, size=6))
        assert weight >= exact
        assert not graph.toarray()[np.setdiff1d(range(6), rows)][
            :, np.setdiff1d(range(6), columns)
        ].any()


# Two Gaussians


def exact_margin(mean: np.ndarray, sigma: float, budget: float, norm: str) -> mp.mpf:
    kept = [mp.mpf(float(m)) for m in mean]
    if norm == "linf":
        return mp.sqrt(sum(max(abs(m) - mp.mpf(budget), 0) ** 2 for m in kept)) / mp.mpf(sigma)
    return max(mp.sqrt(sum(m * m for m in kept)) - mp.mpf(budget), mp.mpf(0)) / mp.mpf(sigma)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_isotropic_loss_is_exact(norm: Any) -> None:  # noqa: ANN401
    rng = np.random.default_rng(23)
    with mp.workdps(50):
        for d in (1, 2, 10, 784):
            for sigma in (1e-3, 0.7, 40.0):
                mean = sigma * rng.normal(size=d) * 6 / np.sqrt(d)
                length = float(np.linalg.norm(mean))
                largest = float(np.abs(mean).max())
                near = length * (1 - 1e-9) if norm == "l2" else largest * (1 - 1e-9)
                for budget in (0.0, 0.1 * largest, 0.6 * largest, near, 2 * length):
                    margin = exact_margin(mean, sigma, budget, norm)
                    found = gaussian_margin(mean, sigma, budget, norm)
                    assert found.lower == found.upper
                    assert relative_error(found.upper, margin) < 4e-15
                    loss = float(gaussian_adversarial_loss(mean, sigma, budget, norm))
                    assert relative_error(loss, exact_tail(margin)) < 1e-12


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("seed", range(5))
def test_margin_in_the_plane_is_the_least_on_the_ball(norm: Any, seed: int) -> None:  # noqa: ANN401
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(2, 3))
    covariance = root @ root.T
    covariance = (covariance + covariance.T) / 2
    mean, budget = 3 * rng.normal(size=2), float(rng.uniform(0.1, 1.0))
    angles = np.linspace(0, 2 * np.pi, 400_001)
    edge = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if norm == "linf":
        edge /= np.abs(edge).max(axis=1, keepdims=True)
    apart = mean - budget * edge
    squares = np.einsum("ij,ij->i", apart, np.linalg.solve(covariance, apart.T).T)
    found = gaussian_margin(mean, covariance, budget, norm)
    assert found.lower <= np.sqrt(squares.min()) * (1 + 1e-12)
    assert np.sqrt(squares.min()) == pytest.approx(found.upper, rel=1e-8)
    assert found.upper - found.lower <= 1e-12 * found.upper


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_margin_for_any_covariance(norm: Any) -> None:  # noqa: ANN401
    rng = np.random.default_rng(29)
    for d in (1, 3, 12, 40):
        mean = 2 * rng.normal(size=d)
        root = rng.normal(size=(d, 2 * d))
        covariance = root @ root.T / d
        covariance = (covariance + covariance.T) / 2
        for budget in (0.0, 0.05, 0.4, 1.5, float(np.linalg.norm(mean)) * (1 - 1e-14)):
            found = gaussian_margin(mean, covariance, budget, norm)
            assert found.lower <= found.upper
            assert found.upper - found.lower <= 1e-11 * (1 + found.upper)
            same = gaussian_margin(mean, 4.0 * np.eye(d), budget, norm)
            closed = gaussian_margin(mean, 2.0, budget, norm).upper
            assert same.lower * (1 - 1e-15) <= closed <= same.upper * (1 + 1e-15)
            # No linear classifier has a larger margin.
            for _ in range(20):
                w = rng.normal(size=d)
                dual = np.linalg.norm(w) if norm == "l2" else np.abs(w).sum()
                margin = (abs(w @ mean) - budget * dual) / np.sqrt(w @ covariance @ w)
                assert margin <= found.upper * (1 + 1e-12) + 1e-12
        assert gaussian_margin(mean, covariance, 10 * np.linalg.norm(mean), norm).upper == 0


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6])
def test_margin_holds_the_exact_one(condition: float) -> None:
    rng = np.random.default_rng(37)
    for _ in range(6):
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        covariance = (axes * np.geomspace(1.0, condition, 3)) @ axes.T
        covariance = (covariance + covariance.T) / 2
        mean, budget = 3 * rng.normal(size=3), float(rng.uniform(0.1, 1.0))
        found = gaussian_margin(mean, covariance, budget)
        with mp.workdps(50):
            sigma, mu = mp.matrix(covariance.tolist()), mp.matrix(mean.tolist())

            def nearest(multiplier: mp.mpf, sigma: Any = sigma, mu: Any = mu) -> Any:  # noqa: ANN401
                return mp.lu_solve(mp.eye(3) + multiplier * sigma, mu)

            low, high = mp.mpf(0), mp.mpf(10) ** 12
            for _ in range(200):
                middle = (low + high) / 2
                outside = mp.norm(nearest(middle)) > budget
                low, high = (middle, high) if outside else (low, middle)
            apart = mu - nearest(high)
            exact = mp.sqrt((apart.T * mp.lu_solve(sigma, apart))[0])
            assert found.lower <= exact <= found.upper
            assert found.upper - found.lower < 1e-15 * condition * 40 * float(exact)


def test_an_ill_conditioned_covariance_proves_nothing() -> None:
    covariance = np.array([[1.0, 1.0 - 1e-13], [1.0 - 1e-13, 1.0]])
    with pytest.raises(ArithmeticError, match=r"ill conditioned|only known"):
        gaussian_margin([1.0, -1.0], covariance, 0.1)
