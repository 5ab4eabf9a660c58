"""Multi-bubbles: the slope at zero of real partitions, and the exact law of the simplex cones."""

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

from tests.test_gaussian import relative_error
from theory.claim import OutOfScopeError
from theory.claims.milman2022 import (
    CONES,
    DENSITY_AT_ZERO,
    isoperimetric,
    isoperimetric_lower_bound,
    multi_bubble,
    multi_bubble_lower_bound,
    simplex_cones,
    simplex_cones_cdf,
)
from theory.gaussian import half_space_offset
from theory.latent import R_LATENT
from theory.proofs.milman2022 import multi_bubble as proof_of_multi_bubble

EQUAL = {"latent_law": "gaussian", "class_masses": [0.25] * 4, "latent_dimension": 3}
CONE_FACTS = {"latent_law": "gaussian", "exact_law": {"family": "argmax", "n_classes": 10}}


def test_accepted_slopes() -> None:
    slopes = multi_bubble_lower_bound([2, 3, 10])
    exact = [np.sqrt(2 / np.pi), 3 / np.sqrt(2 * np.pi), 2.176124981085738065]
    np.testing.assert_allclose(slopes, exact, rtol=1e-14)
    weaker = isoperimetric_lower_bound([2, 3, 10])
    np.testing.assert_allclose(weaker, [np.sqrt(2 / np.pi), 1.090799, 1.754983], rtol=1e-6)
    np.testing.assert_allclose(slopes[0], weaker[0], rtol=1e-15)
    k = np.arange(3, 60)
    assert np.all(multi_bubble_lower_bound(k) > 1.05 * isoperimetric_lower_bound(k))
    assert float(simplex_cones_cdf(0.5, 10)) == pytest.approx(0.715344252495305301, rel=1e-14)


@pytest.mark.parametrize("k", [2, 3, 7, 1000])
def test_slope_is_sqrt_two_times_the_mean_of_the_largest(k: int) -> None:
    form = proof_of_multi_bubble().form
    seen = float(multi_bubble_lower_bound(k))
    assert relative_error(seen, form.exact({"n_classes": k})) < 1e-14
    with mp.workdps(30):
        # Another formula: the mean of the largest of k normals, by parts.
        ends = [-12, -4, 0, 2, 4, 8, 14]
        mean = mp.quad(lambda x: x * k * mp.npdf(x) * mp.ncdf(x) ** (k - 1), ends)
        assert relative_error(seen, mp.sqrt(2) * mean) < 1e-13


def slab_slope(k: int) -> float:
    """k parallel slabs of equal measure: each of the k - 1 boundaries is seen from both sides."""
    cuts = half_space_offset(np.arange(1, k) / k)
    return float(2 * np.exp(-0.5 * cuts**2).sum() / np.sqrt(2 * np.pi))


def sector_slope(k: int) -> float:
    """k equal sectors of the plane: each of the k rays is seen from both sides."""
    return 2 * k * np.sqrt(np.pi / 2) / (2 * np.pi)


@pytest.mark.parametrize("k", [2, 3, 4, 8, 30])
def test_no_partition_has_a_smaller_slope(k: int) -> None:
    least = float(multi_bubble_lower_bound(k))
    for slope in (slab_slope(k), sector_slope(k) if k > 2 else np.inf):
        assert slope >= least * (1 - 1e-14)
    # Products of two halves: 2^m classes in m dimensions, m hyperplanes.
    if k in (4, 8):
        assert 2 * np.log2(k) / np.sqrt(2 * np.pi) > least
    if k == 3:
        # The cones of three classes are three sectors of a plane.
        assert sector_slope(3) == pytest.approx(least, rel=1e-14)


def test_slopes_of_partitions_by_simulation() -> None:
    rng = np.random.default_rng(0)
    n, k, t = 400_000, 4, 0.02
    z = rng.normal(size=(n, 3))
    # A tetrahedron's cones (the optimum), and four slabs.
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    scores = -np.sort(-z @ corners.T, axis=1)
    # Corners are sqrt(8/3) apart.
    cones = (scores[:, 0] - scores[:, 1]) / np.sqrt(8 / 3)
    slabs = np.abs(z[:, :1] - half_space_offset(np.array([0.25, 0.5, 0.75]))).min(axis=1)
    for radii, slope in (
        (cones, float(multi_bubble_lower_bound(k))),
        (slabs, slab_slope(k)),
    ):
        near = int(np.count_nonzero(radii <= t))
        # The law is concave at first: within 3 % of its tangent at this distance.
        assert near / n / t == pytest.approx(slope, rel=0.05)
        assert stats.binomtest(near, n, t * slope * 0.97, alternative="less").pvalue > 1e-3


@pytest.mark.parametrize("k", [2, 3, 10])
def test_the_law_of_the_cones_is_that_of_the_nearest_label(k: int) -> None:
    rng = np.random.default_rng(k)
    n, d = 20_000, k + 2
    z = rng.normal(size=(n, d))
    own = z[:, :k].argmax(axis=1)
    top = z[np.arange(n), own]
    apart = (top[:, None] - z[:, :k]) / np.sqrt(2)
    apart[np.arange(n), own] = np.inf
    radii = apart.min(axis=1)
    # The nearest point with another label, a little beyond its distance, has that label.
    nearest = apart.argmin(axis=1)
    moved = z.copy()
    step = radii * (1 + 1e-9) / np.sqrt(2)
    moved[np.arange(n), own] -= step
    moved[np.arange(n), nearest] += step
    assert np.all(moved[:, :k].argmax(axis=1) == nearest)
    np.testing.assert_allclose(np.linalg.norm(moved - z, axis=1), radii, rtol=1e-6)
    assert stats.kstest(radii, lambda t: simplex_cones_cdf(t, k)).pvalue > 1e-3


def test_the_slope_is_that_of_the_law_and_must_not_be_extrapolated() -> None:
    for k in (2, 3, 10, 100):
        slope = float(multi_bubble_lower_bound(k))
        t = np.array([1e-9, 1e-6])
        np.testing.assert_allclose(simplex_cones_cdf(t, k) / t, slope, rtol=1e-5)
        # A straight line from 0 is above the law itself at any distance.
        far = np.array([0.05, 0.3, 1.0])
        assert np.all(simplex_cones_cdf(far, k) < slope * far)


def test_claims_evaluate() -> None:
    slope = float(multi_bubble_lower_bound(4))
    assert multi_bubble(EQUAL, DENSITY_AT_ZERO) == pytest.approx(slope, rel=1e-11)
    assert multi_bubble(EQUAL, DENSITY_AT_ZERO) < slope
    assert isoperimetric(EQUAL, DENSITY_AT_ZERO) < multi_bubble(EQUAL, DENSITY_AT_ZERO)
    law = simplex_cones(CONE_FACTS, R_LATENT, 0.05)
    eta = np.linspace(0, 2, 9)
    exact = simplex_cones_cdf(eta, 10)
    assert np.all((law.lower(eta) <= exact) & (exact <= law.upper(eta)))
    np.testing.assert_allclose(law.lower(eta), exact, rtol=2e-12)
    assert float(simplex_cones_cdf(law.quantile(0.25), 10)) == pytest.approx(0.25, rel=1e-12)
    assert CONES.log_survival is not None
    logs = CONES.log_survival(eta=eta, n_classes=10)
    np.testing.assert_allclose(np.exp(logs), 1 - exact, rtol=1e-12)


def test_two_cones_are_two_half_spaces() -> None:
    eta = np.array([1e-9, 0.1, 1.0, 4.0])
    np.testing.assert_allclose(simplex_cones_cdf(eta, 2), special.erf(eta / np.sqrt(2)), rtol=1e-13)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda: multi_bubble(EQUAL | {"latent_dimension": 2}, DENSITY_AT_ZERO), r"K = 4 is above"),
        (
            lambda: multi_bubble(
                {name: EQUAL[name] for name in ("latent_law", "class_masses")}, DENSITY_AT_ZERO
            ),
            "the latent dimension is not known",
        ),
        (
            lambda: multi_bubble(EQUAL | {"class_masses": [0.3, 0.7]}, DENSITY_AT_ZERO),
            "the masses are not equal",
        ),
        (
            lambda: isoperimetric({"latent_law": "gaussian"}, DENSITY_AT_ZERO),
            "no count can prove them",
        ),
        (
            lambda: isoperimetric(EQUAL | {"latent_law": "uniform"}, DENSITY_AT_ZERO),
            "the latent law is uniform",
        ),
        (
            lambda: simplex_cones({"latent_law": "gaussian"}, R_LATENT, 0.05),
            "the exact law of the radius is not known",
        ),
        (
            lambda: simplex_cones(
                CONE_FACTS | {"exact_law": {"family": "half_space"}}, R_LATENT, 0.05
            ),
            "the classifier is half_space, not the argmax",
        ),
        (
            lambda: simplex_cones(CONE_FACTS | {"latent_law": "uniform"}, R_LATENT, 0.05),
            "the latent law is uniform",
        ),
    ],
)
def test_hypotheses_are_asked_for(action: Callable[[], Any], reason: str) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        action()


def test_nonsense_is_refused() -> None:
    for wrong in (1, 2.5, np.nan):
        with pytest.raises(ValueError, match="n_classes must be"):
            multi_bubble_lower_bound(wrong)
        with pytest.raises(ValueError, match="n_classes must be"):
            isoperimetric_lower_bound(wrong)
        with pytest.raises(ValueError, match="n_classes must be"):
            simplex_cones_cdf(1.0, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 0"):
        simplex_cones_cdf(-1.0, 3)
