"""Randomised smoothing: half-spaces in closed form, coverage by simulation, hostile inputs."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from theory.arrays import FloatArray
from theory.claims.cohen2019 import maximal_radius
from theory.distance.smoothing import (
    ABSTAIN,
    Smoothed,
    certify,
    smoothed_pair_radius,
    smoothed_radius,
)


def half_space(normal: FloatArray) -> Callable[[FloatArray], FloatArray]:
    def predict(x: FloatArray) -> FloatArray:
        return np.asarray(x.reshape(len(x), -1) @ normal.ravel() > 0)

    return predict


def test_all_samples_alike_give_the_largest_radius() -> None:
    for n, alpha, sigma in ((10, 0.05, 1.0), (100_000, 0.001, 0.25)):
        found = smoothed_radius(n, n, sigma, alpha)
        assert found == pytest.approx(float(maximal_radius(n, alpha, sigma)), rel=1e-9)
        assert found <= maximal_radius(n, alpha, sigma)


def test_against_clopper_and_pearson_by_their_definition() -> None:
    n, alpha = 200, 0.01
    counts = np.array([110, 140, 180, 199])
    radii = smoothed_radius(counts, n, 2.0, alpha)
    for count, radius in zip(counts, radii, strict=True):
        lower = stats.norm.cdf(radius / 2.0)
        # At the lower limit so many successes or more have the probability alpha.
        tail = stats.binom.sf(count - 1, n, lower)
        assert radius == 0 or tail == pytest.approx(alpha, rel=1e-6)
    assert radii[0] == 0 < radii[1]
    assert np.all(np.diff(radii) > 0)


@pytest.mark.parametrize("distance", [0.3, 1.0])
def test_exact_radius_of_a_half_space(distance: float) -> None:
    normal = np.array([[3.0, 0.0], [0.0, 4.0]])
    x = distance * normal / 5
    found = certify(half_space(normal), x, 0.5, n=100_000, rng=np.random.default_rng(1))
    assert found.label == 1
    assert 0.9 * distance < found.radius <= distance
    opposite = certify(half_space(normal), -x, 0.5, n=20_000)
    assert opposite.label == 0
    assert 0.8 * distance < opposite.radius <= distance


def test_coverage_by_simulation() -> None:
    distance, sigma, alpha, n = 0.4, 1.0, 0.1, 50
    rng = np.random.default_rng(0)
    p = stats.norm.cdf(distance / sigma)
    radii = smoothed_radius(rng.binomial(n, p, 20_000), n, sigma, alpha)
    wrong = (radii > distance).mean()
    # Clopper and Pearson's limits are conservative, but not by more than a step of the count.
    assert 0.02 < wrong <= alpha + 0.007
    wrong_protocol = 0
    for _ in range(150):
        found = certify(half_space(np.ones(1)), [distance], sigma, 10, n, alpha, rng)
        wrong_protocol += found.radius > distance or found.label == 0
    assert wrong_protocol / 150 <= alpha + 0.07


def test_coverage_of_counts_that_choose_their_class() -> None:
    masses, alpha, n = np.array([0.4, 0.35, 0.25]), 0.2, 40
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n, masses, 20_000)
    radii = smoothed_pair_radius(counts, 1.0, alpha)
    # The radius of the true masses, for the class that the counts chose.
    truth = 0.5 * (stats.norm.ppf(0.4) - stats.norm.ppf(0.35))
    right = np.where(counts.argmax(axis=1) == 0, truth, 0.0)
    assert (radii > right).mean() <= alpha


def test_several_classes() -> None:
    spread, alpha = np.array([600, 200, 200]), 0.001
    pair = smoothed_pair_radius(spread, 1.0, alpha)
    assert pair > 2 * smoothed_radius(600, 1000, 1.0, alpha)
    # Chosen beforehand, fewer limits have to hold.
    assert smoothed_pair_radius(spread, 1.0, alpha, 0) > pair
    assert smoothed_pair_radius(spread, 1.0, alpha, 1) == 0
    two = smoothed_pair_radius([800, 200], 1.0, alpha, 0)
    assert two == pytest.approx(float(smoothed_radius(800, 1000, 1.0, alpha / 2)), rel=1e-6)
    many = smoothed_pair_radius([[900, 50, 50], [500, 490, 10]], [1.0, 2.0], alpha)
    assert many.shape == (2,)
    assert many[0] > 0 == many[1]
    truth = 0.5 * (stats.norm.ppf(0.6) - stats.norm.ppf(0.2))
    assert 0.9 * truth < smoothed_pair_radius(spread * 1000, 1.0, alpha) < truth


def test_abstains_on_the_boundary() -> None:
    found = certify(half_space(np.ones(1)), [0.0], 1.0, n=1000, alpha=1e-6)
    assert found.label == ABSTAIN
    assert found.radius == 0
    assert found.n == 1000


def test_repeatable_and_the_same_in_batches() -> None:
    predict = half_space(np.array([1.0, -1.0]))
    first, second = (
        certify(predict, [0.5, 0.0], 0.7, n=3000, rng=np.random.default_rng(3), batch=batch)
        for batch in (None, 7)
    )
    assert isinstance(first, Smoothed)
    assert first == second
    assert first != certify(predict, [0.5, 0.0], 0.7, n=3000, rng=np.random.default_rng(4))
    assert certify(predict, [0.5, 0.0], 0.7, n=3000) == certify(predict, [0.5, 0.0], 0.7, n=3000)


def test_noise_in_a_latent_space() -> None:
    # The generator stretches by 3: in latent space the half-space is 3 times as near.
    predict = half_space(np.array([1.0, 0.0]))
    decoder, shift = np.array([[3.0, 0.0], [0.0, 1.0]]), np.array([0.2, 0.0])
    found = certify(lambda z: predict((z + shift) @ decoder), [0.0, 5.0], 0.2, n=50_000)
    assert found.label == 1
    assert 0.18 < found.radius <= 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((11, 10, 1.0, 0.1), r"counts must be whole numbers in 0..10"),
        ((2.5, 10, 1.0, 0.1), r"counts must be whole numbers in 0..10"),
        ((1, 0, 1.0, 0.1), "n must be at least 1"),
        ((1, 10, 0.0, 0.1), "sigma must be positive"),
        ((1, 10, 1.0, 1.0), "alpha must lie strictly between 0 and 1"),
    ],
)
def test_bad_counts(arguments: tuple[float, int, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        smoothed_radius(*arguments)


@pytest.mark.parametrize(
    ("counts", "label", "message"),
    [
        ([5], None, "K at least 2"),
        ([[5, 5], [4, 5]], None, "the same number"),
        ([5, -1], None, r"counts must be whole numbers"),
        ([5, 5], 2, "label must be from 0 to 1"),
        ([5, 5], [0, 1], "label needs a whole number"),
    ],
)
def test_bad_counts_of_classes(counts: list[int], label: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        smoothed_pair_radius(counts, 1.0, 0.1, label)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": [np.nan]}, "x must be finite"),
        ({"x": []}, "not empty"),
        ({"sigma": -1.0}, "sigma must be positive"),
        ({"n0": 0}, "n0 must be at least 1"),
        ({"n": 1.5}, "n must be at least 1 and whole"),
        ({"alpha": 0.0}, "alpha must lie"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"predict": lambda x: np.zeros((len(x), 2), int)}, "predict must give"),
        ({"predict": lambda x: np.zeros(len(x))}, "predict must give"),
        ({"predict": lambda x: np.full(len(x), -1)}, "labels of at least 0"),
    ],
)
def test_bad_protocols(change: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"predict": half_space(np.ones(1)), "x": [0.0], "sigma": 1.0}
    with pytest.raises(ValueError, match=message):
        certify(**(given | change))  # type: ignore[arg-type]
