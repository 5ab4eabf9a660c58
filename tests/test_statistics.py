"""Finite-sample statistics against exact enumeration, simulation and general optimisers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from theory.statistics import (
    Side,
    class_mass_box,
    clopper_pearson,
    dkw_halfwidth,
    empirical_bernstein,
    holm,
    most_equal_masses,
    quantile_interval,
)

SIDES: dict[str, Side] = {"two-sided": "two-sided", "less": "upper", "greater": "lower"}


def binomial(n: int, p: Fraction) -> list[Fraction]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


@pytest.mark.parametrize(("alternative", "side"), SIDES.items())
@pytest.mark.parametrize("n", [1, 7, 60, 2000])
def test_clopper_pearson_is_that_of_scipy(alternative: str, side: Side, n: int) -> None:
    counts = np.unique(np.append(np.random.default_rng(n).integers(0, n + 1, 6), [0, n]))
    for alpha in (0.001, 0.1):
        lower, upper = clopper_pearson(counts, n, alpha, side)
        for k, low, high in zip(counts, lower, upper, strict=True):
            test = stats.binomtest(int(k), n, alternative=alternative)
            interval = test.proportion_ci(1 - alpha, method="exact")
            assert (low, high) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("n", [1, 4, 13, 30])
@pytest.mark.parametrize("side", ["lower", "upper", "two-sided"])
def test_clopper_pearson_covers_exactly(n: int, side: Side) -> None:
    alpha = 0.13
    lower, upper = clopper_pearson(np.arange(n + 1), n, alpha, side)
    assert np.all(lower <= np.arange(n + 1) / n)
    assert np.all(upper >= np.arange(n + 1) / n)
    # Coverage is least just beside a limit: there it must reach, one-sided, 1 - alpha itself.
    beside = [float(p) * (1 + s) for p in (*lower, *upper) for s in (-1e-9, 1e-9) if 0 < p < 1]
    grid = np.append(np.linspace(0, 1, 200), np.clip(beside, 0, 1))
    chances = stats.binom.pmf(np.arange(n + 1), n, grid[:, None])
    coverage = (chances * ((lower <= grid[:, None]) & (grid[:, None] <= upper))).sum(axis=1)
    assert coverage.min() >= 1 - alpha - 1e-7
    assert side == "two-sided" or coverage.min() <= 1 - alpha + 1e-6


def test_accepted_numbers() -> None:
    assert float(clopper_pearson(30, 1000, 0.05, "upper")[1]) == pytest.approx(
        0.040472237280866235, rel=1e-13
    )
    assert float(clopper_pearson(30, 1000, 0.05, "lower")[0]) == pytest.approx(
        0.021674784293145390, rel=1e-13
    )
    assert dkw_halfwidth(10_000, 0.05) == pytest.approx(0.012238734153404083, rel=1e-14)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("n", [8, 300])
def test_dkw_by_simulation(n: int, sides: int) -> None:
    runs, alpha = 6000, 0.2
    points = np.sort(np.random.default_rng(n).uniform(size=(runs, n)), axis=1)
    above = (np.arange(1, n + 1) / n - points).max(axis=1)
    below = (points - np.arange(n) / n).max(axis=1)
    worst = above if sides == 1 else np.maximum(above, below)
    outside = (worst > dkw_halfwidth(n, alpha, sides)).mean()
    slack = 4 * np.sqrt(alpha * (1 - alpha) / runs)
    # The constant is asymptotically exact; at n = 8 the band is a little too wide.
    assert 0.55 * alpha - slack < outside < alpha + slack
    assert n < 100 or outside > 0.8 * alpha


def test_class_masses_hold_together() -> None:
    rng, alpha, runs = np.random.default_rng(2), 0.3, 3000
    for p in (np.array([0.5, 0.3, 0.15, 0.05]), np.full(8, 1 / 8)):
        counts = rng.multinomial(90, p, size=runs)
        missed = 0
        for row in counts:
            lower, upper = class_mass_box(row, alpha)
            missed += bool(np.any((lower > p) | (p > upper)))
        # Bonferroni and discreteness cost something, but not an order of magnitude.
        assert 0.1 * alpha < missed / runs < alpha + 4 * np.sqrt(alpha / runs)
        expected = clopper_pearson(counts[0], 90, alpha / p.size)
        np.testing.assert_array_equal(class_mass_box(counts[0], alpha), expected)


@pytest.mark.parametrize("seed", range(30))
def test_most_equal_masses_by_general_optimisation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(int(rng.integers(2, 7)), 0.8))
    lower = np.clip(p - rng.uniform(0, 0.4, p.size) * (rng.uniform(size=p.size) < 0.7), 0, 1)
    upper = np.clip(p + rng.uniform(0, 0.4, p.size) * (rng.uniform(size=p.size) < 0.7), 0, 1)
    masses = most_equal_masses(lower, upper)
    assert masses.sum() == pytest.approx(1, abs=1e-15)
    assert np.all((masses >= lower - 1e-12) & (masses <= upper + 1e-12))
    found = optimize.minimize(
        lambda x: float(((x - 1 / p.size) ** 2).sum()),
        p,
        method="SLSQP",
        bounds=list(zip(lower, upper, strict=True)),
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 300},
    )
    np.testing.assert_allclose(masses, found.x, atol=1e-5)
    assert (masses**2).sum() <= (found.x**2).sum() + 1e-9


@pytest.mark.parametrize("upper", [1e-3, 1.0, 40.0])
@pytest.mark.parametrize("n", [2, 3, 50])
def test_empirical_bernstein_is_the_theorem(n: int, upper: float) -> None:
    x, alpha = upper * np.random.default_rng(n).beta(3.0, 60.0, n), 0.9
    # Maurer and Pontil's variance, over pairs; their theorem is for values in [0, 1].
    pairs = ((x[:, None] - x) / upper) ** 2
    variance = float(pairs.sum()) / 2 / (n * (n - 1))

    def width(delta: float) -> float:
        log = math.log(2 / delta)
        return upper * (math.sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1)))

    mean = float(x.mean())
    expected = {
        "two-sided": (mean - width(alpha / 2), mean + width(alpha / 2)),
        "lower": (mean - width(alpha), upper),
        "upper": (0.0, mean + width(alpha)),
    }
    for side in SIDES.values():
        limits = empirical_bernstein(x, alpha, upper, side)
        clipped = np.clip(expected[side], 0.0, upper)
        assert limits == pytest.approx(tuple(clipped), rel=1e-12)


def test_empirical_bernstein_at_the_ends() -> None:
    n, alpha = 1000, 0.05
    first = 7 * math.log(2 / alpha) / (3 * (n - 1))
    zeros = np.zeros(n)
    assert empirical_bernstein(zeros, alpha, 2.0, "upper") == pytest.approx((0.0, 2 * first))
    assert empirical_bernstein(zeros + 2, alpha, 2.0, "lower") == pytest.approx((2 - 2 * first, 2))
    assert empirical_bernstein([0, 2], alpha, 2.0) == (0.0, 2.0)


@given(st.integers(1, 120), st.integers(1, 99), st.integers(1, 60))
def test_quantile_interval_is_exact_and_minimal(n: int, percent: int, alpha_percent: int) -> None:
    q, alpha = Fraction(percent, 100), Fraction(alpha_percent, 100)
    j, k = quantile_interval(n, float(q), float(alpha))
    chances, half = binomial(n, q), alpha / 2
    assert 0 <= j < k <= n + 1
    # r_(j) lies above the quantile when fewer than j points fall below it; r_(k) when k or more do.
    assert sum(chances[:j]) <= half * (1 + Fraction(1, 10**12))
    assert sum(chances[k:]) <= half * (1 + Fraction(1, 10**12))
    assert sum(chances[: j + 1]) > half * (1 - Fraction(1, 10**12))
    assert sum(chances[k - 1 :]) > half * (1 - Fraction(1, 10**12))


def test_quantile_interval_with_too_few_points() -> None:
    assert quantile_interval(1, 0.5, 0.05) == (0, 2)
    assert quantile_interval(100, 0.001, 0.05)[0] == 0
    assert quantile_interval(100, 0.999, 0.05)[1] == 101


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clopper_pearson(1, 0, 0.05), "trials must be at least 1"),
        (lambda: clopper_pearson([1, 4], 3, 0.05), r"whole numbers in 0\.\.3"),
        (lambda: clopper_pearson(-1, 3, 0.05), "whole numbers"),
        (lambda: clopper_pearson(1.5, 3, 0.05), "whole numbers"),
        (lambda: clopper_pearson(np.nan, 3, 0.05), "whole numbers"),
        (lambda: clopper_pearson(1, 3, 0.0), "alpha must lie strictly"),
        (lambda: clopper_pearson(1, 3, 1.0), "alpha must lie strictly"),
        (lambda: clopper_pearson(1, 3, 0.05, "both"), "side must be"),
        (lambda: dkw_halfwidth(0, 0.05), "n must be at least 1"),
        (lambda: dkw_halfwidth(10, 0.51), "alpha <= 1/2"),
        (lambda: dkw_halfwidth(10, 0.05, 3), "sides must be 1 or 2"),
        (lambda: dkw_halfwidth(10, np.nan), "alpha must lie strictly"),
        (lambda: class_mass_box([], 0.05), "one count a class"),
        (lambda: class_mass_box([0, 0], 0.05), "sum of counts must be at least 1"),
        (lambda: most_equal_masses(np.full(2, 0.6), np.ones(2)), "no masses between"),
        (lambda: most_equal_masses(np.zeros(2), np.full(2, 0.4)), "no masses between"),
        (lambda: most_equal_masses(np.ones(2), np.zeros(2)), "no masses between"),
        (lambda: quantile_interval(0, 0.5, 0.05), "n must be at least 1"),
        (lambda: quantile_interval(5, 1.0, 0.05), "q must lie strictly"),
        (lambda: quantile_interval(5, 0.5, 2.0), "alpha must lie strictly"),
        (lambda: quantile_interval(5, np.nan, 0.5), "q must lie strictly between 0 and 1, got nan"),
        (lambda: quantile_interval(2.5, 0.5, 0.5), "n must be at least 1 and whole, got 2.5"),
        (lambda: clopper_pearson([], 3, 0.05), "one count or more"),
        (lambda: clopper_pearson(1, np.nan, 0.05), "trials must be at least 1 and whole, got nan"),
        (lambda: clopper_pearson(1, 2.5, 0.05), "trials must be at least 1 and whole, got 2.5"),
        (lambda: clopper_pearson(1, 3, np.nan), "between 0 and 1, got nan"),
        (lambda: dkw_halfwidth(np.nan, 0.05), "n must be at least 1 and whole, got nan"),
        (lambda: dkw_halfwidth(np.inf, 0.05), "n must be at least 1 and whole, got inf"),
        (lambda: class_mass_box([3, np.nan], 0.05), "whole, got nan"),
        (lambda: class_mass_box([3, 1.5], 0.05), "whole, got 4.5"),
        (lambda: class_mass_box([1.5, 1.5], 0.05), r"whole numbers in 0\.\.3"),
        (lambda: class_mass_box([3, -1], 0.05), "whole numbers"),
        (lambda: class_mass_box([3] * 10, 2.0), "alpha must lie strictly between 0 and 1, got 2"),
        (lambda: most_equal_masses(np.array([np.nan, 0]), np.ones(2)), "no masses between"),
        (lambda: most_equal_masses(np.zeros(0), np.zeros(0)), "no masses between"),
        (lambda: empirical_bernstein([0.5], 0.05, 1.0), r"2 numbers or more, got shape \(1,\)"),
        (lambda: empirical_bernstein([], 0.05, 1.0), "2 numbers or more"),
        (lambda: empirical_bernstein([[0, 1], [0, 1]], 0.05, 1.0), "2 numbers or more"),
        (lambda: empirical_bernstein([0, np.nan], 0.05, 1.0), r"in \[0, 1.0\], got nan"),
        (lambda: empirical_bernstein([0, 1.1], 0.05, 1.0), r"in \[0, 1.0\], got 1.1"),
        (lambda: empirical_bernstein([0, -0.1], 0.05, 1.0), r"in \[0, 1.0\], got -0.1"),
        (lambda: empirical_bernstein([0, 1], 0.05, np.inf), "upper must be positive and finite"),
        (lambda: empirical_bernstein([0, 0], 0.05, 0.0), "upper must be positive and finite"),
        (lambda: empirical_bernstein([0, 1], 0.05, np.nan), "upper must be positive and finite"),
        (lambda: empirical_bernstein([0, 1], 1.0, 1.0), "alpha must lie strictly"),
        (lambda: empirical_bernstein([0, 1], np.nan, 1.0), "alpha must lie strictly"),
        (lambda: empirical_bernstein([0, 1], 0.05, 1.0, "both"), "side must be"),
    ],
)
def test_nonsense_is_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


def test_holm_is_the_step_down_procedure() -> None:
    rng = np.random.default_rng(21)
    for _ in range(200):
        p = rng.uniform(0, 1, int(rng.integers(1, 9))) ** 3
        alpha = float(rng.uniform(0.01, 0.4))
        left, rejected = list(range(p.size)), set()
        # The definition: as long as the least of what is left passes at alpha over their number.
        while left:
            least = min(left, key=lambda i: p[i])
            if p[least] > alpha / len(left):
                break
            rejected.add(least)
            left.remove(least)
        assert set(np.flatnonzero(holm(p) <= alpha)) == rejected
    for wrong in ([], [0.5, np.nan], [-0.1], [1.1], [[0.5]]):
        with pytest.raises(ValueError, match=r"p_values must be a list of numbers in \[0, 1\]"):
            holm(wrong)


def test_holm_errs_at_its_level() -> None:
    # Eight true hypotheses, dependent through one common term, and two false ones.
    rng, runs, alpha = np.random.default_rng(22), 2000, 0.1
    common = rng.standard_normal((runs, 1))
    z = (rng.standard_normal((runs, 10)) + common) / np.sqrt(2)
    z[:, 8:] += 4.0
    p = special.ndtr(-z)
    wrong = np.mean([np.any(holm(row)[:8] <= alpha) for row in p])
    found = np.mean([np.all(holm(row)[8:] <= alpha) for row in p])
    assert wrong <= alpha + 4 * np.sqrt(alpha * (1 - alpha) / runs)
    assert found > 0.8
