"""Gaussian isoperimetry: 50 digits, and real sets: intervals, balls, slabs, random unions."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

from tests.test_gaussian import exact_offset, exact_tail, relative_error
from theory.claim import OutOfScopeError
from theory.claims.borell1975 import (
    BOUNDARY_MEASURE,
    enlargement_distance,
    enlargement_log_survival,
    enlargement_lower_bound,
    isoperimetry,
    perimeter,
)
from theory.claims.mahloujifar2019.error_region import ERROR_LATENT
from theory.gaussian import isoperimetric_profile
from theory.proofs.borell1975 import isoperimetry as proof_of_isoperimetry


def unions(seed: int, n: int, m: int) -> np.ndarray:
    """Return the ends of n unions of m disjoint intervals, shape (n, 2 m)."""
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.normal(size=(n, 2 * m)) * rng.uniform(0.2, 3, size=(n, 1)), axis=1)
    ends[rng.random(n) < 0.2, 0] = -np.inf
    return ends


def measure(ends: np.ndarray) -> np.ndarray:
    """The measure of a union of intervals that may overlap."""
    total = np.zeros(len(ends))
    reached = np.full(len(ends), -np.inf)
    for k in range(0, ends.shape[1], 2):
        start = np.maximum(ends[:, k], reached)
        reached = np.maximum(ends[:, k + 1], reached)
        total += np.maximum(special.ndtr(reached) - special.ndtr(start), 0.0)
    return total


@pytest.mark.parametrize("m", [1, 2, 5])
def test_unions_of_intervals_grow_at_least_as_half_lines_do(m: int) -> None:
    ends = unions(m, 400, m)
    before = measure(ends)
    boundary = np.exp(-0.5 * ends**2).sum(axis=1) / np.sqrt(2 * np.pi)
    assert np.all(boundary >= isoperimetric_profile(before) * (1 - 1e-12) - 1e-15)
    for t in (1e-3, 0.1, 0.7, 2.0):
        grown = measure(ends + t * np.tile([-1.0, 1.0], m))
        assert np.all(grown >= enlargement_lower_bound(t, np.maximum(before, 1e-300)) - 1e-13)


@pytest.mark.parametrize("d", [1, 2, 3, 30, 784])
def test_balls_and_their_complements(d: int) -> None:
    for radius in np.sqrt(d) * np.array([0.5, 0.9, 1.0, 1.1, 1.5]):
        ball, rest = stats.chi2.cdf(radius**2, d), stats.chi2.sf(radius**2, d)
        # The density of ||z|| is the boundary measure of the ball.
        boundary = 2 * radius * stats.chi2.pdf(radius**2, d)
        assert boundary >= float(isoperimetric_profile(ball, rest)) * (1 - 1e-9)
        for t in (0.01, 0.3, 1.0):
            if ball > 0:
                grown = stats.chi2.cdf((radius + t) ** 2, d)
                assert grown >= float(enlargement_lower_bound(t, ball)) * (1 - 1e-12)
            if rest > 0 and t < radius:
                grown = stats.chi2.sf((radius - t) ** 2, d)
                assert grown >= float(enlargement_lower_bound(t, rest)) * (1 - 1e-12)


def test_half_spaces_attain_the_bound() -> None:
    b, t = np.linspace(-6, 2, 17), np.array([[0.0], [1e-6], [0.5], [3.0]])
    np.testing.assert_allclose(
        enlargement_lower_bound(t, special.ndtr(b)), special.ndtr(b + t), rtol=1e-12
    )
    np.testing.assert_allclose(
        isoperimetric_profile(special.ndtr(b)), stats.norm.pdf(b), rtol=1e-12
    )


def test_a_union_of_random_balls_by_simulation() -> None:
    rng = np.random.default_rng(3)
    n, d = 20_000, 4
    centres, radius = rng.normal(size=(6, d)), 0.8
    z, fresh = rng.normal(size=(2, n, d))

    def distance(points: np.ndarray) -> np.ndarray:
        apart = np.linalg.norm(points[:, None] - centres, axis=2) - radius
        return np.maximum(apart.min(axis=1), 0.0)

    wrong = int(np.count_nonzero(distance(fresh) == 0))
    facts = {"latent_law": "gaussian", "error_counts": {"wrong": wrong, "n": n}}
    law = isoperimetry(facts, ERROR_LATENT, 1e-3)
    seen = distance(z)
    for t in (0.0, 0.2, 0.5, 1.0):
        least = float(law.lower(np.array([t]))[0])
        near = int(np.count_nonzero(seen <= t))
        assert stats.binomtest(near, n, least, alternative="less").pvalue > 1e-3
    assert law.quantile(1e-9) == 0


def test_law_and_its_inverse_are_exact() -> None:
    # Worst seen: 5e-14, of the inverse.
    rng = np.random.default_rng(4)
    masses = [*10.0 ** rng.uniform(-300, -1, 15), *rng.uniform(size=15), 1 - 2.0**-53]
    with mp.workdps(60):
        for mass in masses:
            a = exact_offset(mp.mpf(mass))
            for t in (1e-12, 0.01, 1.0, 6.0, 40.0):
                kept = exact_tail(mp.mpf(t) - a)
                grown = exact_tail(a - mp.mpf(t))
                assert relative_error(float(enlargement_lower_bound(t, mass)), grown) < 1e-12
                log = float(enlargement_log_survival(t, mass))
                exact_log = mp.log(kept) if grown > 0.5 else mp.log1p(-grown)
                assert relative_error(log, exact_log) < 1e-12
            for q in (0.1, 0.5, 0.999):
                exact = max(a - exact_offset(mp.mpf(q)), mp.mpf(0))
                seen = float(enlargement_distance(q, mass))
                assert abs(seen - exact) <= 1e-12 * exact, (mass, q)


def test_the_form_knows_the_ends() -> None:
    form = proof_of_isoperimetry().form
    assert form.exact({"eta": 0.0, "risk": 0.25}) == 0.25
    assert form.exact({"eta": 3.0, "risk": 1.0}) == 1
    assert float(enlargement_lower_bound(np.inf, 0.25)) == 1


def test_perimeter_of_a_region() -> None:
    facts: dict[str, Any] = {"latent_law": "gaussian", "region_mass": 0.5}
    value = perimeter(facts, BOUNDARY_MEASURE)
    assert value == pytest.approx(1 / np.sqrt(2 * np.pi), rel=1e-11)
    assert value < 1 / np.sqrt(2 * np.pi)
    for mass in (0.0, 1.0):
        assert perimeter(facts | {"region_mass": mass}, BOUNDARY_MEASURE) == 0
    with pytest.raises(OutOfScopeError, match="the measure of the region is not known"):
        perimeter({"latent_law": "gaussian"}, BOUNDARY_MEASURE)
    with pytest.raises(OutOfScopeError, match="the latent law is uniform"):
        perimeter(facts | {"latent_law": "uniform"}, BOUNDARY_MEASURE)
    with pytest.raises(ValueError, match="must lie in"):
        perimeter(facts | {"region_mass": 1.5}, BOUNDARY_MEASURE)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"error_mass": 0.1}, "the latent law is not known"),
        ({"latent_law": "uniform", "error_mass": 0.1}, "the latent law is uniform"),
        ({"latent_law": "gaussian"}, "is not known"),
        ({"latent_law": "gaussian", "error_mass": 0.0}, "must be positive"),
        ({"latent_law": "gaussian", "error_counts": {"wrong": 0, "n": 50}}, "no error was seen"),
    ],
)
def test_hypotheses_are_asked_for(facts: dict[str, Any], reason: str) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        isoperimetry(facts, ERROR_LATENT, 0.05)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="risk must lie in"):
        enlargement_lower_bound(1.0, 1.5)
    with pytest.raises(ValueError, match="at least 0"):
        enlargement_lower_bound(-1.0, 0.5)
    with pytest.raises(ValueError, match="probability must lie in"):
        enlargement_distance(1.5, 0.5)
    with pytest.raises(OutOfScopeError, match="nothing is near an empty"):
        enlargement_log_survival(1.0, 0.0)
