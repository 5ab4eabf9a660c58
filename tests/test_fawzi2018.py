"""Theorem 1 of Fawzi et al.: printed numbers, 50-digit arithmetic, and its laws."""

import itertools
import tomllib
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_gaussian import DIGITS, exact_offset, exact_tail, relative_error
from theory.claim import Quantity
from theory.claims.fawzi2018 import (
    cdf_lower_bound,
    log_survival_upper_bound,
    quantile_upper_bound,
    worst_cdf_lower_bound,
)
from theory.claims.fawzi2018.robustness import theorem1
from theory.gaussian import argmax_family_cdf, expected_norm, survival_kernel
from theory.modulus import LipschitzModulus, SampledModulus

IDENTITY = LipschitzModulus(1.0)
EQUAL = [0.1] * 10
TINY = (1 - 1e-12, 1e-12)
GOLDEN = tomllib.loads((Path(__file__).parent / "golden" / "fawzi2018.toml").read_text())


def masses(k: int, seed: int, concentration: float = 0.7) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(k, concentration))


seeded_masses = st.builds(
    masses, st.integers(2, 12), st.integers(0, 10**6), st.sampled_from([0.1, 0.7, 5.0])
)
distances = st.floats(0, 12) | st.floats(0, 1e-3) | st.sampled_from([0.0, 0.5, 1e300, np.inf])


ACCEPTED = [
    (EQUAL, 1.0, 0.887420854873952346),
    (EQUAL, 0.5, 0.625888055999398764),
    ((0.5, 0.3, 0.15, 0.05), 0.75, 0.626783834847783943),
    ((0.9, 0.1), 2.0, 0.763243395876239326),
    ((0.55, *[0.05] * 9), 1.0, 0.772256254833979626),
    (EQUAL, 1e-10, 1.754983319212413e-10),
    (TINY, 1.0, 7.973575405957330510e-10),
]


@pytest.mark.parametrize(("p", "t", "value"), ACCEPTED)
def test_accepted_bounds(p: tuple[float, ...], t: float, value: float) -> None:
    # The mass 1 - 1e-12 is a double only to 1e-16, which is 1e-5 of the tiny class.
    digits = 1e-4 if p is TINY else 1e-14
    assert float(cdf_lower_bound(t, IDENTITY, p)) == pytest.approx(value, rel=digits)


@pytest.mark.parametrize(("t", "value"), [(40, -854.420604915189071), (100, -5132.210698941681527)])
def test_accepted_survivals(t: float, value: float) -> None:
    assert float(log_survival_upper_bound(t, IDENTITY, EQUAL)) == pytest.approx(value, rel=1e-15)


def test_accepted_quantile() -> None:
    ratio = quantile_upper_bound(0.25, IDENTITY, EQUAL) / expected_norm(100)
    assert float(ratio) == pytest.approx(0.015837534265802659, rel=1e-14)


@pytest.mark.parametrize("table", GOLDEN["table"], ids=lambda table: table["name"])
def test_printed_tables(table: dict[str, Any]) -> None:
    setting, latent = GOLDEN["setting"], table["latent"]["bound"]
    p = np.full(setting["classes"], 1 / setting["classes"])
    quantile = quantile_upper_bound(setting["probability"], IDENTITY, p)
    own = float(quantile) / expected_norm(setting["latent_dimension"])
    assert own == pytest.approx(float(latent["printed"]), abs=latent["tolerance"])
    rows = [table[name] for name in ("latent", "in_distribution", "unconstrained")]
    for row in rows:
        assert max(map(float, row["measured"])) < float(row["bound"]["printed"])
    for within, free in zip(rows[1]["measured"], rows[2]["measured"], strict=True):
        assert float(free) <= float(within)


@pytest.mark.parametrize("seed", range(6))
def test_bound_in_exact_arithmetic(seed: int) -> None:
    p = masses(2 + seed, seed, 0.3)
    t = np.array([1e-300, 1e-12, 0.01, 0.4999, 0.5001, 2.0, 9.0, 60.0])
    seen, logs = (f(t, IDENTITY, p) for f in (cdf_lower_bound, log_survival_upper_bound))
    with mp.workdps(DIGITS + 300):
        total = mp.fsum(map(mp.mpf, p))
        offsets = [exact_offset(mp.mpf(x) if x <= 0.5 else 1 - total + mp.mpf(x)) for x in p]
        for i, distance in enumerate(t):
            kept = [exact_tail(a + mp.mpf(distance)) for a in offsets]
            crossing = mp.fsum(exact_tail(a) - k for a, k in zip(offsets, kept, strict=True))
            assert relative_error(seen[i], crossing) < 1e-12
            assert abs(logs[i] - float(mp.log(mp.fsum(kept)))) < 1e-13 + 1e-12 * abs(logs[i])


@given(seeded_masses, distances, distances)
def test_bound_is_a_law_and_symmetric(p: np.ndarray, a: float, b: float) -> None:
    t = np.sort([a, b])
    low, high = cdf_lower_bound(t, IDENTITY, p)
    assert 0 <= low <= high * (1 + 1e-12) <= 1 + 1e-12
    shuffled = np.random.default_rng(0).permutation(p)
    np.testing.assert_allclose(cdf_lower_bound(t, IDENTITY, shuffled), [low, high], 1e-12, 1e-300)
    np.testing.assert_allclose(
        1 - np.exp(log_survival_upper_bound(t, IDENTITY, p)), [low, high], atol=1e-12
    )


@given(seeded_masses, distances)
def test_merging_lowers_and_equal_masses_maximise(p: np.ndarray, t: float) -> None:
    bound = float(cdf_lower_bound(t, IDENTITY, p))
    merged = np.append(p[2:], min(p[0] + p[1], 1.0))
    assert float(cdf_lower_bound(t, IDENTITY, merged)) <= bound * (1 + 1e-12) + 1e-300
    assert bound <= float(cdf_lower_bound(t, IDENTITY, np.full(p.size, 1 / p.size))) + 1e-15
    empty_too = float(cdf_lower_bound(t, IDENTITY, np.append(p, 0.0)))
    assert empty_too == pytest.approx(bound, rel=1e-12, abs=1e-300)


@given(seeded_masses, distances, st.floats(1e-3, 1e3))
def test_scaling_of_the_generator(p: np.ndarray, eta: float, c: float) -> None:
    here = float(cdf_lower_bound(eta, LipschitzModulus(2.5), p))
    scaled = float(cdf_lower_bound(c * eta, LipschitzModulus(2.5 * c), p))
    assert scaled == pytest.approx(here, rel=1e-12, abs=1e-300)


@given(st.floats(1e-12, 1 - 1e-9), st.floats(0, 10))
def test_equality_for_half_spaces(p: float, t: float) -> None:
    # f(z) = [z_1 > c]: the radius is |z_1 - c|.
    seen = float(cdf_lower_bound(t, IDENTITY, [p, 1 - p]))
    with mp.workdps(DIGITS):
        c = exact_offset(mp.mpf(p))
        law = mp.ncdf(c + t) - mp.ncdf(c - t)
    assert seen == pytest.approx(float(law), rel=1e-12, abs=1e-35)


@given(st.integers(2, 40), st.floats(0, 5))
def test_argmax_law_obeys_the_bound(k: int, t: float) -> None:
    bound = float(cdf_lower_bound(t, IDENTITY, np.full(k, 1 / k)))
    assert bound <= float(argmax_family_cdf(t, k)) + 1e-13


def test_constant_classifier() -> None:
    t = np.array([0.0, 1.0, 1e300, np.inf])
    for p in ([1.0], [0.0, 1.0, 0.0]):
        np.testing.assert_array_equal(cdf_lower_bound(t, IDENTITY, p), 0.0)
        np.testing.assert_array_equal(log_survival_upper_bound(t, IDENTITY, p), 0.0)
        quantiles = quantile_upper_bound([0.0, 1e-9, 0.5, 1.0], IDENTITY, p)
        np.testing.assert_array_equal(quantiles, [0, np.inf, np.inf, np.inf])


def test_masses_and_distances_broadcast() -> None:
    p = np.stack([masses(4, seed) for seed in range(6)]).reshape(2, 3, 4)
    eta = np.array([[0.2], [1.4]])
    omega = SampledModulus((1.0, 3.0), (2.0, 3.0))
    for function in (cdf_lower_bound, log_survival_upper_bound):
        together = function(eta, omega, p)
        assert together.shape == (2, 3)
        for i, j in itertools.product(range(2), range(3)):
            assert together[i, j] == function(eta[i, 0], omega, p[i, j])
        assert function([], omega, EQUAL).shape == (0,)
        assert function(1.0, omega, EQUAL).shape == ()


@pytest.mark.parametrize(
    ("eta", "p", "message"),
    [
        (-1e-9, EQUAL, "eta must be a distance"),
        (np.nan, EQUAL, "eta must be a distance"),
        (1.0, [0.5, 0.5 + 2e-9], "must sum to 1 within 1e-9"),
        (1.0, [1.5, -0.5], r"must lie in \[0, 1\]"),
        (1.0, [np.nan, 1.0], r"must lie in \[0, 1\]"),
        (1.0, [], "one entry a class"),
        (1.0, 1.0, "one entry a class"),
    ],
)
def test_nonsense_is_refused(eta: float, p: list[float], message: str) -> None:
    for function in (cdf_lower_bound, log_survival_upper_bound):
        with pytest.raises(ValueError, match=message):
            function(eta, IDENTITY, p)


@given(seeded_masses, st.floats(1e-12, 1) | st.sampled_from([1e-200, 1 - 1e-9, 1 - 2.0**-53]))
def test_quantile_inverts_the_bound(p: np.ndarray, q: float) -> None:
    omega = LipschitzModulus(0.3)
    eta = float(quantile_upper_bound(q, omega, p))
    if q == 1:
        assert eta == np.inf
    elif q <= 0.5:
        assert float(cdf_lower_bound(eta, omega, p)) == pytest.approx(q, rel=1e-11)
    else:
        kept = float(log_survival_upper_bound(eta, omega, p))
        assert kept == pytest.approx(np.log1p(-q), abs=1e-10)


@given(seeded_masses, st.floats(1e-9, 7))
def test_bound_inverts_the_quantile(p: np.ndarray, eta: float) -> None:
    q = float(cdf_lower_bound(eta, IDENTITY, p))
    # What a rounding of q moves eta by: the bound's density is the derivative of the survival.
    density = (float(cdf_lower_bound(eta * 1.001, IDENTITY, p)) - q) / (eta * 1e-3)
    if density > 1e-8 and q < 1:
        back = float(quantile_upper_bound(q, IDENTITY, p))
        assert back == pytest.approx(eta, abs=1e-11 * eta + 1e-14 / density)


def test_quantile_is_unknown_beyond_a_sampled_modulus() -> None:
    omega = SampledModulus((0.5, 1.0, 2.0), (0.0, 3.0, 4.0))
    reached = float(cdf_lower_bound(4.0, omega, EQUAL))
    eta = quantile_upper_bound([0.0, 0.3, reached - 1e-9, reached + 1e-9], omega, EQUAL)
    np.testing.assert_allclose(eta, [0, 0, 4, np.inf], atol=1e-6)


@pytest.mark.parametrize("q", [-1e-9, 1 + 1e-9, np.nan])
def test_probabilities_outside_the_unit_interval_are_refused(q: float) -> None:
    with pytest.raises(ValueError, match=r"probability must lie in \[0, 1\]"):
        quantile_upper_bound(q, IDENTITY, EQUAL)
    with pytest.raises(ValueError, match="one list of K masses"):
        quantile_upper_bound(0.5, IDENTITY, [EQUAL, EQUAL])


def worst_at_a_vertex(t: float, lower: np.ndarray, upper: np.ndarray) -> float:
    """The least bound over a box: convex, so at a vertex with at most one mass between its ends."""
    best = 1.0
    for free in range(lower.size):
        for ends in itertools.product((0, 1), repeat=lower.size):
            p = np.where(ends, upper, lower)
            p[free] = 1 - (p.sum() - p[free])
            if lower[free] - 1e-12 <= p[free] <= upper[free] + 1e-12:
                best = min(best, float(cdf_lower_bound(t, IDENTITY, p)))
    return best


@pytest.mark.parametrize("seed", range(40))
def test_worst_bound_over_a_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, t = masses(int(rng.integers(2, 6)), seed, 1.0), float(rng.uniform(0.05, 3))
    lower = np.clip(p - rng.uniform(0, 0.3, p.size), 0, 1)
    upper = np.clip(p + rng.uniform(0, 0.3, p.size), 0, 1)
    worst = float(worst_cdf_lower_bound(t, IDENTITY, lower, upper))
    vertex = worst_at_a_vertex(t, lower, upper)
    # At most one mass lies inside its interval, where its chord is above the kernel by at most gap.
    share = np.linspace(0, 1, 201)[:, None]
    chord = (1 - share) * survival_kernel(lower, t) + share * survival_kernel(upper, t)
    gap = float((chord - survival_kernel(lower + share * (upper - lower), t)).max())
    assert vertex - 1.0001 * gap - 1e-12 <= worst <= vertex + 1e-12
    for _ in range(20):
        inside = p + 0.999 * rng.uniform() * (rng.uniform(lower, upper) - p)
        inside += (1 - inside.sum()) * p
        if np.all((inside >= lower) & (inside <= upper)):
            assert worst <= float(cdf_lower_bound(t, IDENTITY, inside)) + 1e-12


def test_masses_that_do_not_sum_to_one_never_reach_a_verdict() -> None:
    facts = {"latent_law": "gaussian", "class_masses": [0.1, 0.1]}
    with pytest.raises(ValueError, match="must sum to 1"):
        theorem1(facts, Quantity("r_latent", "l2"), 0.05)
    low = np.array([0.1, 0.1])
    with pytest.raises(ValueError, match="sum to 1"):
        worst_cdf_lower_bound(1.0, LipschitzModulus(1.0), low, 2 * low)
