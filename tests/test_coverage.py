"""Error rates and powers over 2,000 synthetic experiments, against chances computed exactly.

What is exact rests on one fact: the number of n uniform points up to t is a Poisson process of
rate n, given that it ends at n. The chance that it reaches given counts at given times is a
recursion over its states; Clopper-Pearson's limits enter as the binomial tails they invert, and
no code is shared with the tests of the law.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from theory.arrays import FloatArray
from theory.claim import LawBound
from theory.statistics import (
    Side,
    class_mass_box,
    clopper_pearson,
    dkw_halfwidth,
    empirical_bernstein,
    quantile_interval,
)
from theory.verdict import (
    Judgement,
    Outcome,
    declared_grid,
    declared_range,
    judge_law,
    judge_mean,
    judge_together,
)

HOLDS, VIOLATED, UNDECIDED = Outcome.HOLDS, Outcome.VIOLATED, Outcome.UNDECIDED
RUNS, ALPHA = 2000, 0.05
SIDES: tuple[Side, ...] = ("lower", "upper", "two-sided")

Curve = Callable[[FloatArray], FloatArray]


def exponential(eta: FloatArray) -> FloatArray:
    return -np.expm1(-eta)


def half_space(eta: FloatArray) -> FloatArray:
    """Theorem 1 for K = 2 and the masses of a half-space at distance 0.7, which attains it."""
    return stats.norm.cdf(0.7 + eta) - stats.norm.cdf(0.7 - eta)


@dataclass(frozen=True)
class Case:
    """A bound, and a law by the chance F that it gives where the bound is q."""

    bound: Curve
    chance: Curve
    draw: Callable[[np.random.Generator, int], FloatArray]


def rate(slope: float) -> Case:
    """Return radii of law 1 - exp(-slope eta), against the bound 1 - exp(-eta)."""
    return Case(
        exponential, lambda q: 1 - (1 - q) ** slope, lambda rng, n: rng.exponential(1 / slope, n)
    )


def capped(top: float) -> Case:
    """Return the law min(B, top), false only in the tail: the rest of the points are far away."""

    def draw(rng: np.random.Generator, n: int) -> FloatArray:
        chances = rng.uniform(size=n)
        return np.where(chances < top, -np.log1p(-np.minimum(chances, top)), np.inf)

    return Case(exponential, lambda q: np.minimum(q, top), draw)


CASES = {
    "tight": rate(1.0),
    "half-space": Case(
        half_space, lambda q: q, lambda rng, n: np.abs(rng.standard_normal(n) - 0.7)
    ),
    "false": rate(0.75),
    "clear": rate(3.0),
}


def chance_of_counts(times: FloatArray, least: FloatArray, n: int) -> float:
    """Return P(at least `least[j]` of n uniform points lie in [0, times[j]], for all j)."""
    state, now = np.zeros(n + 1), 0.0
    state[0] = 1.0
    for time, count in zip([*times, 1.0], [*least, n], strict=True):
        mean = n * (time - now)
        arrivals = np.arange(min(n, 20 + 12 * math.ceil(math.sqrt(mean)) + math.ceil(mean)) + 1)
        state = np.convolve(state, stats.poisson.pmf(arrivals, mean))[: n + 1]
        state[: int(count)] = 0.0
        now = time
    return min(float(state[n] / stats.poisson.pmf(n, n)), 1.0)


def test_the_recursion_is_that_of_kolmogorov_and_smirnov() -> None:
    for n, e in ((1, 0.3), (7, 0.2), (60, 0.15), (400, 0.04)):
        levels = e + np.arange(n) / n
        times = levels[levels < 1]
        kept = chance_of_counts(times, np.arange(1, times.size + 1), n)
        assert 1 - kept == pytest.approx(stats.ksone.sf(e, n), abs=1e-12)


def uniform_chances(case: Case, n: int, alpha: float) -> dict[Outcome, float]:
    e = math.sqrt(math.log(1 / alpha) / (2 * n))
    levels = e + np.arange(n) / n
    kept = case.chance(levels[levels < 1])
    violated = 1 - chance_of_counts(kept, np.arange(1, kept.size + 1), n)
    # F_n >= B + e from B = 4 e to 1 - 2 e: the k-th point must be there when n (B + e) passes k-1.
    first = math.ceil(5 * n * e)
    counts = np.arange(first, math.ceil(n * (1 - e)) + 1)
    levels = np.append(4 * e, (counts[1:] - 1) / n - e)
    assert levels[-1] < 1 - 2 * e
    return {VIOLATED: violated, HOLDS: chance_of_counts(case.chance(levels), counts, n)}


def grid_chances(case: Case, n: int, alpha: float, grid: FloatArray) -> dict[Outcome, float]:
    levels, counts = case.bound(grid), np.arange(n + 1)
    share = alpha / grid.size
    # U(k) < B iff P_B(X <= k) < share, and L(k) >= B iff P_B(X >= k) <= share.
    refuting = (stats.binom.cdf(counts, n, levels[:, None]) < share).sum(axis=1)
    needed = levels[1:] if grid.size > 1 else levels
    confirming = (stats.binom.sf(counts - 1, n, needed[:, None]) > share).sum(axis=1)
    times = case.chance(levels)
    return {
        VIOLATED: 1 - chance_of_counts(times, refuting, n),
        HOLDS: chance_of_counts(times[: needed.size], confirming, n)
        if confirming.max() <= n
        else 0.0,
    }


def spread(chance: float) -> float:
    """Return four standard deviations of a frequency over the experiments."""
    return 4 * math.sqrt(chance * (1 - chance) / RUNS)


def frequencies(
    case: Case, n: int, alpha: float, grid: FloatArray | None = None
) -> dict[Outcome, float]:
    rng, seen = np.random.default_rng(n), []
    eta_range = declared_range(case.bound, n, alpha) if grid is None else None
    for _ in range(RUNS):
        radii = case.draw(rng, n)
        judged = judge_law(radii, radii, case.bound, alpha, eta_range=eta_range, grid=grid)
        seen.append(judged.outcome)
    return {outcome: seen.count(outcome) / RUNS for outcome in Outcome}


@pytest.mark.parametrize("test", ["uniform", "grid", "one point"])
@pytest.mark.parametrize("name", CASES)
def test_error_rates_and_powers_of_laws(name: str, test: str) -> None:
    case, n = CASES[name], 200
    grid = None
    if test != "uniform":
        grid = declared_grid(case.bound, n, ALPHA, None if test == "grid" else 1)
    exact = uniform_chances(case, n, ALPHA) if grid is None else grid_chances(case, n, ALPHA, grid)
    found = frequencies(case, n, ALPHA, grid)
    for outcome in (VIOLATED, HOLDS):
        assert abs(found[outcome] - exact[outcome]) <= spread(exact[outcome]) + 1e-9
    wrong = HOLDS if name == "false" else VIOLATED
    assert exact[wrong] <= ALPHA
    assert found[wrong] <= ALPHA + spread(ALPHA)
    # The bound is attained: the level is nearly spent, but for m tests that are far from disjoint.
    if name in ("tight", "half-space"):
        assert exact[VIOLATED] > {"uniform": 0.8, "one point": 0.6, "grid": 0.1}[test] * ALPHA
    if name == "false":
        assert exact[VIOLATED] > 0.5
    if name == "clear":
        assert exact[HOLDS] > 0.5


def test_power_at_one_point_is_a_binomial_tail() -> None:
    n, grid = 200, declared_grid(exponential, 200, ALPHA, 1)
    level = float(exponential(grid)[0])
    cut = np.flatnonzero(stats.binom.cdf(np.arange(n + 1), n, level) < ALPHA)[-1]
    power = stats.binom.cdf(cut, n, 1 - (1 - level) ** 0.75)
    assert level == pytest.approx(0.5)
    assert grid_chances(rate(0.75), n, ALPHA, grid)[VIOLATED] == pytest.approx(power, rel=1e-10)


def test_the_grid_finds_what_is_false_in_the_tail_and_the_band_what_is_in_the_middle() -> None:
    n, tail, middle = 2000, capped(0.98), rate(0.95)
    grid = declared_grid(exponential, n, ALPHA)
    frozen = -np.log1p(-np.array([0.25, 0.5, 0.75, 0.99, 0.999]))
    assert uniform_chances(tail, n, ALPHA)[VIOLATED] < 0.07
    assert grid_chances(tail, n, ALPHA, grid)[VIOLATED] > 0.8
    assert grid_chances(tail, n, ALPHA, frozen)[VIOLATED] > 1 - 1e-9
    assert uniform_chances(middle, n, ALPHA)[VIOLATED] > 0.55
    assert grid_chances(middle, n, ALPHA, grid)[VIOLATED] < 0.3
    # What is computed is what the judge does, at numbers of a real table.
    rng = np.random.default_rng(0)
    seen = {"band": 0, "declared": 0, "frozen": 0}
    for _ in range(RUNS):
        radii = tail.draw(rng, n)
        for name, etas in (("band", None), ("declared", grid), ("frozen", frozen)):
            judged = judge_law(radii, radii, exponential, ALPHA, eta_range=(1.0, 2.0), grid=etas)
            seen[name] += judged.outcome is VIOLATED
    chances = {
        "band": uniform_chances(tail, n, ALPHA),
        "declared": grid_chances(tail, n, ALPHA, grid),
        "frozen": grid_chances(tail, n, ALPHA, frozen),
    }
    for name, count in seen.items():
        chance = chances[name][VIOLATED]
        assert abs(count / RUNS - chance) <= spread(chance) + 1e-9


def step(below: float, eta: float) -> Callable[[np.random.Generator, int], FloatArray]:
    """Return radii that are 0 with this chance and otherwise just above eta: false there only."""
    return lambda rng, n: np.where(rng.uniform(size=n) < below, 0.0, eta * (1 + 1e-9))


@pytest.mark.parametrize("test", ["uniform", "grid", "one point"])
def test_a_false_law_is_said_to_hold_at_most_at_its_level(test: str) -> None:
    n, eta = 200, math.log(2)
    below = 0.5 - 1e-12
    counts = np.arange(n + 1)
    eta_range, grid = (0.3, eta), None
    if test == "uniform":
        holding = counts / n - dkw_halfwidth(n, ALPHA) >= 0.5
    else:
        eta_range, grid = None, np.array([eta] if test == "one point" else [0.3, 0.5, eta])
        holding = stats.binom.sf(counts - 1, n, 0.5) <= ALPHA / grid.size
    chance = float(stats.binom.pmf(counts, n, below)[holding].sum())
    rng, false = np.random.default_rng(1), 0
    for _ in range(RUNS):
        radii = step(below, eta)(rng, n)
        judged = judge_law(radii, radii, exponential, ALPHA, eta_range=eta_range, grid=grid)
        false += judged.outcome is HOLDS
    assert chance <= ALPHA
    assert test != "one point" or chance > 0.7 * ALPHA
    assert abs(false / RUNS - chance) <= spread(chance) + 1e-9


@dataclass(frozen=True)
class Cell:
    """One law of a table, with what was declared of it in advance."""

    case: Case
    n: int
    eta_range: tuple[float, float] | None
    grid: FloatArray | None
    radii: FloatArray

    def judge(self, level: float) -> Judgement:
        return judge_law(
            self.radii,
            self.radii,
            self.case.bound,
            level,
            eta_range=self.eta_range,
            grid=self.grid,
        )


def test_a_table_is_wrong_at_most_at_its_level() -> None:
    n, alpha, rng = 200, 0.1, np.random.default_rng(2)
    point = np.array([math.log(2)])
    hair = Case(exponential, lambda q: q, step(0.5 - 1e-12, point[0]))
    # True: not to be violated. False: not to hold. The two clear ones are found at once, and
    # leave more of the level to the others.
    table = [
        (True, rate(1.0), None),
        (True, rate(1.0), declared_grid(exponential, n, alpha / 6)),
        (True, rate(1.0), point),
        (True, rate(3.0), None),
        (False, hair, point),
        (False, rate(0.5), None),
    ]
    ranges = [declared_range(exponential, n, alpha / 6) if g is None else None for *_, g in table]
    wrong, decided = {VIOLATED: 0, HOLDS: 0}, 0
    for _ in range(RUNS):
        cells = [
            Cell(case, n, eta_range, grid, case.draw(rng, n))
            for (_, case, grid), eta_range in zip(table, ranges, strict=True)
        ]
        seen = [judged.outcome for judged in judge_together(cells, Cell.judge, alpha)]
        truth = [is_true for is_true, *_ in table]
        wrong[VIOLATED] += (True, VIOLATED) in zip(truth, seen, strict=True)
        wrong[HOLDS] += (False, HOLDS) in zip(truth, seen, strict=True)
        decided += seen[3] is HOLDS and seen[5] is VIOLATED
    assert decided > 0.99 * RUNS
    for outcome, chance in ((VIOLATED, 0.2), (HOLDS, 0.1)):
        assert chance * alpha < wrong[outcome] / RUNS <= alpha + spread(alpha)


def test_no_side_decides_what_it_cannot_know() -> None:
    n, rng = 60, np.random.default_rng(3)
    bounds = [exponential, lambda eta: exponential(5 * eta), lambda eta: exponential(eta / 5)]
    grids = [declared_grid(bound, n, 0.4, m) for bound in bounds for m in (1, 20)]
    decided = {"attack": 0, "certificate": 0}
    for run in range(RUNS):
        slope, width = rng.uniform(0.3, 3), rng.uniform(0, 0.5)
        radii = rng.exponential(1 / slope, n)
        lower = radii * (1 - width * rng.uniform(size=n))
        upper = radii * (1 + width * rng.uniform(size=n))
        bound, grid = bounds[run % 3], [None, grids[2 * (run % 3)], grids[2 * (run % 3) + 1]]
        etas = grid[run // 3 % 3]
        attacked = judge_law(0 * radii, upper, bound, 0.4, eta_range=(0.1, 2.0), grid=etas)
        certified = judge_law(lower, 0 * radii + np.inf, bound, 0.4, grid=etas)
        means = {"cap": 5.0, "value": float(rng.uniform(0, 6)), "alpha": 0.4}
        assert attacked.outcome is not VIOLATED
        assert certified.outcome is not HOLDS
        assert judge_mean(0 * radii, upper, **means).outcome is not VIOLATED
        assert judge_mean(lower, 0 * radii + np.inf, **means).outcome is not HOLDS
        decided["attack"] += attacked.outcome is HOLDS
        decided["certificate"] += certified.outcome is VIOLATED
        # Exact radii confirm what an attack did, unless they refute the law beyond the range.
        exact = judge_law(radii, radii, bound, 0.4, eta_range=(0.1, 2.0), grid=etas).outcome
        assert attacked.outcome is UNDECIDED or exact in (HOLDS, VIOLATED)
    assert min(decided.values()) > RUNS // 50


def test_worked_example_of_a_thousand_points_at_one_eta() -> None:
    n, level = 1000, 0.887421
    grid = np.array([1.0])

    def bound(eta: FloatArray) -> FloatArray:
        return level * np.minimum(eta, 1.0)

    def outcome(certified: int, attacked: int) -> Outcome:
        """Judge when so many lower ends, and so many upper ends, lie below 1."""
        lower = np.repeat([0.5, 2.0], [certified, n - certified])
        upper = np.repeat([0.6, np.inf], [attacked, n - attacked])
        return judge_law(lower, upper, bound, 0.05, grid=grid).outcome

    assert clopper_pearson(850, n, 0.05, "upper")[1] == pytest.approx(0.868292, abs=5e-7)
    assert clopper_pearson(905, n, 0.05, "lower")[0] == pytest.approx(0.888348, abs=5e-7)
    assert outcome(850, 850) is VIOLATED
    assert outcome(n, 905) is HOLDS
    for k in range(840, 930):
        assert outcome(k, k) is (VIOLATED if k <= 870 else HOLDS if k >= 905 else UNDECIDED)
        assert outcome(k, 0) is (VIOLATED if k <= 870 else UNDECIDED)
        assert outcome(n, k) is (HOLDS if k >= 905 else UNDECIDED)


@pytest.mark.parametrize("estimated", [True, False])
def test_counted_masses_are_paid_for(estimated: bool) -> None:
    # The law of a half-space of mass 0.1 attains the bound at that mass, and grows with it.
    n, samples, p, rng = 1000, 300, 0.1, np.random.default_rng(4)
    offset = stats.norm.isf(p)

    def bound_at(mass: float) -> Curve:
        a = -stats.norm.ppf(min(mass, 1 - mass))
        return lambda eta: stats.norm.cdf(eta + a) - stats.norm.cdf(a - eta)

    violated = 0
    for _ in range(RUNS):
        counts = rng.multinomial(samples, [p, 1 - p])
        masses = counts[:1] / samples
        if estimated:
            lower, upper = class_mass_box(counts, 0.1 * ALPHA)
            masses = np.array([lower[0], upper[0]])
        curves = [bound_at(float(mass)) for mass in masses]
        bound = LawBound(curves[0], curves[-1], lambda q: q)
        radii = np.abs(rng.standard_normal(n) - offset)
        judged = judge_law(radii, radii, bound, 0.9 * ALPHA, eta_range=(0.5, 2.0))
        violated += judged.outcome is VIOLATED
    # Masses that are plugged in break the level; limits on them keep it.
    assert (violated / RUNS <= ALPHA + spread(ALPHA)) is estimated


@pytest.mark.parametrize("p", [(0.5, 0.3, 0.2), (0.9, 0.08, 0.02), (1 / 3, 1 / 3, 1 / 3)])
def test_class_masses_cover_together_exactly(p: tuple[float, ...]) -> None:
    n, alpha, missed = 24, 0.2, 0.0
    for i, j in itertools.product(range(n + 1), repeat=2):
        if i + j <= n:
            counts = [i, j, n - i - j]
            lower, upper = class_mass_box(counts, alpha)
            if np.any((lower > p) | (p > upper)):
                missed += stats.multinomial.pmf(counts, n, p)
    assert 0.1 * alpha < missed <= alpha


@pytest.mark.parametrize("n", [1, 9, 150, 1000])
def test_limits_of_a_proportion_cover_exactly(n: int) -> None:
    counts, p = np.arange(n + 1), np.linspace(0.001, 0.999, 199)[:, None]
    chances = stats.binom.pmf(counts, n, p)
    for alpha in (0.001, 0.05):
        _, upper = clopper_pearson(counts, n, alpha, "upper")
        lower, _ = clopper_pearson(counts, n, alpha, "lower")
        assert (chances * (upper < p)).sum(axis=1).max() <= alpha
        assert (chances * (lower > p)).sum(axis=1).max() <= alpha
        # Both ends of an order-statistic interval: fewer than j points below, or at least k.
        for q, row in zip(p[::20, 0], chances[::20], strict=True):
            j, k = quantile_interval(n, float(q), alpha)
            assert row[:j].sum() <= alpha / 2 * (1 + 1e-9)
            assert row[k:].sum() <= alpha / 2 * (1 + 1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 30, 200, 2000])
def test_the_band_of_massart_covers_exactly(n: int) -> None:
    for alpha in (0.001, 0.05, 0.2, 0.5):
        outside = stats.ksone.sf(dkw_halfwidth(n, alpha), n)
        assert outside <= alpha * (1 + 1e-12)
        assert n < 200 or outside > 0.85 * alpha
        assert stats.kstwo.sf(dkw_halfwidth(n, alpha, 2), n) <= alpha * (1 + 1e-12)


@pytest.mark.parametrize("n", [2, 12, 300])
def test_empirical_bernstein_covers_exactly_where_values_are_zero_or_one(n: int) -> None:
    chances = np.concatenate([np.geomspace(1e-4, 0.5, 60), 1 - np.geomspace(1e-4, 0.5, 60)])
    rows = stats.binom.pmf(np.arange(n + 1), n, chances[:, None])
    samples = [np.repeat([0.0, 3.0], [n - k, k]) for k in range(n + 1)]
    for alpha in (0.05, 0.4):
        for side in SIDES:
            limits = np.array([empirical_bernstein(x, alpha, 3.0, side) for x in samples])
            missed = (limits[:, 0] > 3 * chances[:, None]) | (limits[:, 1] < 3 * chances[:, None])
            assert (rows * missed).sum(axis=1).max() <= alpha


@pytest.mark.parametrize("shape", [(0.02, 0.4), (0.5, 0.5), (8.0, 2.0)])
def test_empirical_bernstein_by_simulation(shape: tuple[float, float]) -> None:
    n, alpha = 400, 0.3
    values = np.random.default_rng(5).beta(*shape, size=(RUNS, n))
    mean = shape[0] / sum(shape)
    limits = np.array([empirical_bernstein(row, alpha, 1.0) for row in values])
    assert ((limits[:, 0] > mean) | (limits[:, 1] < mean)).mean() <= alpha + spread(alpha)
    # Narrower than Hoeffding's wherever the values vary little.
    if shape != (0.5, 0.5):
        half = np.sqrt(np.log(2 / alpha) / (2 * n))
        assert np.diff(limits).mean() < 2 * half


@pytest.mark.parametrize(
    ("mean", "value"), [(0.3, 0.3), (0.3, 0.24), (0.3, 0.18), (0.3, 0.33), (0.3, 0.42), (0.3, 0.5)]
)
def test_error_rates_and_powers_of_means(mean: float, value: float) -> None:
    # Radii of 0 or 1 = cap: the number of ones is binomial, and decides.
    n, counts = 300, np.arange(301)
    log = math.log(2 / ALPHA)
    variance = counts * (n - counts) / (n * (n - 1))
    width = np.sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1))
    chances = stats.binom.pmf(counts, n, mean)
    exact = {
        VIOLATED: float(chances[counts / n - width > value].sum()),
        HOLDS: float(chances[counts / n + width <= value].sum()),
    }
    rng = np.random.default_rng(6)
    draws = (rng.uniform(size=(RUNS, n)) < mean).astype(float)
    outcomes = [judge_mean(row, row, value, ALPHA, cap=1.0).outcome for row in draws]
    for outcome, chance in exact.items():
        assert abs(outcomes.count(outcome) / RUNS - chance) <= spread(chance) + 1e-9
    assert exact[VIOLATED if mean <= value else HOLDS] <= ALPHA
    assert value != 0.18 or exact[VIOLATED] > 0.5
    assert value != 0.42 or exact[HOLDS] > 0.5
