"""Randomised smoothing: radii to 50 digits, the certificate itself, its dual in latent space."""

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

from tests.test_gaussian import exact_offset, relative_error
from theory.claim import CLAIMS, OutOfScopeError
from theory.claims.cohen2019 import (
    LAW,
    SMOOTHING_RADIUS,
    certified_radius,
    isoperimetry,
    maximal_radius,
    theorem1,
)
from theory.claims.fawzi2018 import cdf_lower_bound
from theory.gaussian import argmax_family_cdf
from theory.modulus import LipschitzModulus

KNOWN = {
    "smoothing_noise": "gaussian",
    "smoothing_space": "latent",
    "latent_law": "gaussian",
    "smoothed_class_masses": [0.2] * 5,
}


def exact_quantile(p: mp.mpf) -> mp.mpf:
    return -exact_offset(p)


def test_accepted_radii() -> None:
    assert float(maximal_radius(100_000, 0.001, 1.0)) == pytest.approx(
        3.811456563389951892, rel=1e-15
    )
    # One class in every one of n samples: the lower limit is alpha^(1/n).
    lower = special.betaincinv(1000, 1, 0.001)
    assert float(maximal_radius(1000, 0.001, 0.25)) == pytest.approx(
        float(certified_radius(lower, 0.25)), rel=1e-12
    )


def test_radius_of_two_probabilities_is_exact() -> None:
    # Worst seen: 2e-15.
    rng = np.random.default_rng(0)
    pairs = [tuple(sorted(rng.uniform(size=2), reverse=True)) for _ in range(40)]
    pairs += [(p, p * (1 - gap)) for p in (0.3, 0.5, 0.9) for gap in (1e-14, 1e-9, 1e-4)]
    pairs += [(1 - 10.0**-k, 10.0 ** -(2 * k)) for k in range(1, 15)]
    pairs += [(10.0**-k, 10.0 ** -(k + 1)) for k in (1, 20, 250)]
    with mp.workdps(60):
        for p, q in pairs:
            exact = (exact_quantile(mp.mpf(p)) - exact_quantile(mp.mpf(q))) * mp.mpf(0.7) / 2
            assert relative_error(float(certified_radius(p, 0.7, q)), exact) < 1e-13, (p, q)


def test_radius_of_one_probability_is_exact() -> None:
    rng = np.random.default_rng(1)
    probabilities = [*rng.uniform(0.5, 1, 30), 0.5 + 2.0**-53, 0.5 + 1e-9, 1 - 2.0**-53]
    with mp.workdps(60):
        for p in probabilities:
            exact = mp.mpf(3) * exact_quantile(mp.mpf(float(p)))
            assert relative_error(float(certified_radius(p, 3.0)), exact) < 1e-13, p
        for rest in 10.0 ** rng.uniform(-300, -1, 20):
            exact = -exact_quantile(mp.mpf(rest))
            seen = float(certified_radius(1 - rest, 1.0, complement=rest))
            assert relative_error(seen, exact) < 1e-13, rest
            seen = float(certified_radius(1 - rest, 1.0, 0.001, complement=rest))
            exact = (exact - exact_quantile(mp.mpf(0.001))) / 2
            assert relative_error(seen, exact) < 1e-13, rest


def test_maximal_radius_does_not_cancel() -> None:
    with mp.workdps(60):
        for n in (1, 2, 3, 10, 1000, 10**5, 10**9, 10**15):
            for alpha in (0.9, 0.05, 0.001, 1e-30):
                power = mp.exp(mp.log(mp.mpf(alpha)) / n)
                seen = float(maximal_radius(n, alpha, 2.0))
                if power <= 0.5:
                    assert seen == 0
                else:
                    exact = 2 * exact_quantile(power)
                    assert abs(seen - exact) <= 1e-13 * exact + 1e-15, (n, alpha)


def test_radii_broadcast_and_know_their_ends() -> None:
    p = np.array([[0.4], [0.6], [1.0]])
    radii = certified_radius(p, [0.5, 1.0])
    assert radii.shape == (3, 2)
    np.testing.assert_array_equal(radii[0], 0.0)
    np.testing.assert_array_equal(radii[2], np.inf)
    np.testing.assert_array_equal(certified_radius([0.3, 0.3], 1.0, [0.3, 0.0]), [0.0, np.inf])
    np.testing.assert_allclose(certified_radius(p[1], 1.0, 1 - p[1]), radii[1, 1:], rtol=1e-15)
    assert maximal_radius([10, 100], 0.1, 1.0).shape == (2,)


# The certificate itself


@pytest.mark.parametrize("seed", range(6))
def test_smoothed_labels_are_constant_within_the_radius(seed: int) -> None:
    """Any base classifier on the line: three classes on random intervals, exact probabilities."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.normal(size=9) * 2)
    labels = rng.integers(0, 3, size=10)
    sigma = float(rng.uniform(0.2, 1.5))

    def probabilities(x: np.ndarray) -> np.ndarray:
        below = special.ndtr((np.append(cuts, np.inf) - x[:, None]) / sigma)
        pieces = np.diff(below, axis=1, prepend=0.0)
        return np.stack([pieces[:, labels == c].sum(axis=1) for c in range(3)], axis=1)

    points = rng.normal(size=300) * 2
    ranked = np.sort(probabilities(points), axis=1)
    radii = certified_radius(np.minimum(ranked[:, 2], 1.0), sigma, np.maximum(ranked[:, 1], 0.0))
    own = probabilities(points).argmax(axis=1)
    shares = np.linspace(-1, 1, 81) * (1 - 1e-9)
    near = points[:, None] + np.minimum(radii, 20.0)[:, None] * shares
    seen = probabilities(near.ravel()).argmax(axis=1).reshape(near.shape)
    assert np.all(seen == own[:, None])
    assert radii.max() > 0.1


@pytest.mark.parametrize("seed", range(6))
def test_no_shift_gains_more_than_that_of_a_half_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.normal(size=(200, 8)), axis=1)

    def measure(shift: np.ndarray) -> np.ndarray:
        return np.asarray(np.diff(special.ndtr(ends - shift), axis=1)[:, ::2].sum(axis=1))

    before, shift = measure(np.zeros((200, 1))), rng.uniform(-3, 3, size=(200, 1))
    distance = np.abs(shift[:, 0])
    assert np.all(measure(shift) <= special.ndtr(special.ndtri(before) + distance) + 1e-14)
    assert np.all(measure(shift) >= special.ndtr(special.ndtri(before) - distance) - 1e-14)


def test_a_half_space_is_certified_up_to_its_boundary() -> None:
    rng = np.random.default_rng(2)
    d, sigma, b = 20, 0.7, 0.4
    w = rng.normal(size=d)
    w /= np.linalg.norm(w)
    points = rng.normal(size=(200, d))
    distance = np.abs(points @ w - b)
    p = special.ndtr(distance / sigma)
    radii = certified_radius(p, sigma, complement=special.ndtr(-distance / sigma))
    np.testing.assert_allclose(radii, distance, rtol=1e-12)
    # The probability is that of the noise.
    noisy = points[:5, None] + sigma * rng.normal(size=(5, 20_000, d))
    votes = np.count_nonzero((noisy @ w >= b) == (points[:5, None] @ w >= b), axis=1)
    for count, chance in zip(votes, p, strict=False):
        assert stats.binomtest(int(count), 20_000, float(chance)).pvalue > 1e-4


# The dual, in latent space


def argmax_radii(z: np.ndarray, sigma: float) -> np.ndarray:
    """Radii of the smoothed argmax, its probabilities by Gauss and Hermite's quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / np.sqrt(2 * np.pi)
    ranked = -np.sort(-z, axis=1)
    chances = []
    for c in (0, 1):
        others = np.delete(ranked, c, axis=1)
        gaps = (ranked[:, [c]] - others) / sigma
        chances.append(special.ndtr(gaps[:, :, None] + nodes).prod(axis=1) @ weights)
    return certified_radius(np.minimum(chances[0], 1.0), sigma, chances[1])


@pytest.mark.parametrize("sigma", [0.3, 1.0])
@pytest.mark.parametrize("k", [2, 3, 8])
def test_certificates_stay_below_the_radius_and_above_the_law(k: int, sigma: float) -> None:
    rng = np.random.default_rng(k)
    n, omega = 4000, LipschitzModulus(1.0)
    z = rng.normal(size=(n, k))
    radii = argmax_radii(z, sigma)
    ranked = -np.sort(-z, axis=1)
    distance = (ranked[:, 0] - ranked[:, 1]) / np.sqrt(2)
    # Farther away the probability rounds to 1, as the quadrature is that of p_A itself.
    near = distance < 4 * sigma
    assert np.all(radii[near] <= distance[near] * (1 + 1e-9))
    assert np.all(radii[~near] > 3 * sigma)
    if k == 2:
        np.testing.assert_allclose(radii[near], distance[near], rtol=1e-6)
    masses = np.full(k, 1 / k)
    for eta in (0.1, 0.3, 0.6, 0.9):
        bound = float(LAW.value(eta=eta, class_masses=masses))
        assert bound == float(cdf_lower_bound(eta, omega, masses))
        assert bound <= float(argmax_family_cdf(eta, k)) + 1e-15
        near_ones = int(np.count_nonzero(radii <= eta))
        assert stats.binomtest(near_ones, n, bound, alternative="less").pvalue > 1e-3


def test_law_of_known_and_of_counted_masses() -> None:
    eta = np.linspace(0, 3, 7)
    law = isoperimetry(KNOWN, SMOOTHING_RADIUS, 0.05)
    exact = cdf_lower_bound(eta, LipschitzModulus(1.0), [0.2] * 5)
    assert np.all((law.lower(eta) <= exact) & (exact <= law.upper(eta)))
    counted = {name: value for name, value in KNOWN.items() if "masses" not in name}
    counted = counted | {"smoothed_class_counts": [200] * 5}
    other = isoperimetry(counted, SMOOTHING_RADIUS, 0.05)
    assert np.all(other.lower(eta) <= exact)
    assert np.all(other.lower(eta[1:]) < exact[1:])
    assert law.quantile(0.5) == pytest.approx(
        float(LAW.inverse(0.5, class_masses=[0.2] * 5)) if LAW.inverse else 0.0
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"smoothing_noise": "laplace"}, r"the noise is laplace, not N\(0, sigma\^2 I\)"),
        ({"smoothing_noise": None}, "the law of the noise that smooths is not known"),
        ({"smoothing_space": "image"}, "the noise is added in image space"),
        ({"smoothing_space": None}, "the space in which the noise is added is not known"),
        ({"smoothed_class_masses": None}, "the smoothed classifier's classes is not known"),
        ({"latent_law": "uniform"}, "the latent law is uniform"),
        ({"latent_law": None}, "the latent law is not known"),
    ],
)
def test_hypotheses_are_asked_for(changes: dict[str, Any], reason: str) -> None:
    facts = {name: value for name, value in (KNOWN | changes).items() if value is not None}
    # The base classifier's own masses are not those of the smoothed one.
    facts["class_masses"] = [0.5, 0.5]
    with pytest.raises(OutOfScopeError, match=reason):
        isoperimetry(facts, SMOOTHING_RADIUS, 0.05)


def test_theorem1_is_pointwise() -> None:
    assert theorem1({"smoothing_noise": "gaussian"}) is None
    assert [str(q) for q in CLAIMS["cohen2019/thm1"].quantities] == [
        "smoothing_radius[l2]",
        "r_smoothed[l2]",
    ]
    for facts in ({}, {"smoothing_noise": "uniform"}):
        with pytest.raises(OutOfScopeError, match="noise"):
            theorem1(facts)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: certified_radius(1.1, 1.0), "p_first must lie in"),
        (lambda: certified_radius(np.nan, 1.0), "p_first must lie in"),
        (lambda: certified_radius(0.9, 1.0, -0.1), "p_second must lie in"),
        (lambda: certified_radius(0.9, 1.0, complement=2.0), "complement must lie in"),
        (lambda: certified_radius(0.9, 0.0), "sigma must be positive"),
        (lambda: certified_radius(0.9, np.inf), "sigma must be positive"),
        (lambda: maximal_radius(0, 0.1, 1.0), "n_samples must be at least 1"),
        (lambda: maximal_radius(1.5, 0.1, 1.0), "n_samples must be at least 1"),
        (lambda: maximal_radius(10, 1.0, 1.0), "alpha must lie"),
    ],
)
def test_nonsense_is_refused(action: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        action()
