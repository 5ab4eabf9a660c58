"""Theorem 1 from the law of local expansions: coverage, brute force, and the table itself."""

import json

import numpy as np
import pytest
from scipy import special, stats

from theory.arrays import FloatArray
from theory.claim import CLAIMS, LawBound, OutOfScopeError
from theory.claims.fawzi2018 import (
    LocalExpansions,
    cdf_lower_bound,
    local_cdf_lower_bound,
    probabilistic_cdf_lower_bound,
    worst_cdf_lower_bound,
)
from theory.latent import R_IN, R_LATENT, R_UNC
from theory.modulus import LipschitzModulus
from theory.modulus.expansion import ExpansionTable, band_at_ranks, limited_ranks
from theory.statistics import class_mass_box

NAME, FACT = "fawzi2018/thm1-probabilistic-modulus", "expansions[l2->l2]"
IDENTITY, EQUAL = LipschitzModulus(1.0), [0.1] * 10
ETAS = np.linspace(0.0, 4.0, 401)


def table_of(values: FloatArray, radii: tuple[float, ...]) -> ExpansionTable:
    return ExpansionTable(radii, tuple(tuple(row) for row in values))


def facts(table: ExpansionTable, **changes: object) -> dict[str, object]:
    known = {"latent_law": "gaussian", "class_masses": EQUAL, FACT: table.to_dict()}
    return {name: value for name, value in (known | changes).items() if value is not None}


def law(table: ExpansionTable, alpha: float = 0.05, **changes: object) -> LawBound:
    bound: LawBound = CLAIMS[NAME].evaluate(facts(table, **changes), R_IN, alpha)
    return bound


# Limits at ranks


@pytest.mark.parametrize("n", [1, 2, 7, 50, 333, 5000])
def test_ranks_and_their_limits(n: int) -> None:
    j = limited_ranks(n)
    assert j[-1] == n
    assert np.all(np.diff(j) > 0)
    assert 1 <= j[0] <= max(1, n // 20)
    alpha = 0.03
    lower, upper = band_at_ranks(n, alpha)
    assert np.all((lower > 0) & (lower < upper) & (upper < 1))
    assert np.all(np.diff(lower) > 0)
    assert np.all(np.diff(upper) > 0)
    # Each misses with its share of alpha exactly, by the binomial law.
    level = alpha / (2 * j.size)
    np.testing.assert_allclose(stats.binom.sf(j - 1, n, lower), level, rtol=1e-8)
    np.testing.assert_allclose(stats.binom.cdf(j - 1, n, upper), level, rtol=1e-8)


@pytest.mark.parametrize("step", [0.0, 0.5])
def test_all_shares_are_covered_at_once(step: float) -> None:
    rng, alpha, runs, n = np.random.default_rng(1), 0.25, 600, 80
    radii, grid = (1.0, 2.0, 3.0), np.linspace(0, 6, 241)
    missed, near = 0, 0
    for _ in range(runs):
        # Shared latents: the expansions within the radii depend on each other.
        drawn = rng.exponential(size=n) * np.array(radii)[:, None]
        floor = np.floor(drawn / step) * step if step else drawn
        low, high = table_of(floor, radii).shares(grid, alpha)
        reach = (np.floor(grid / step + 1e-9) + 1) * step if step else grid
        true = -np.expm1(-reach / np.array(radii)[:, None])
        missed += bool(np.any(low > true + 1e-9) or np.any(high < true - 1e-9))
        near += bool(np.any(low > true - 0.02))
    assert missed <= alpha * runs + 3 * np.sqrt(alpha * (1 - alpha) * runs)
    # The limits are not idle: they come close.
    assert near > 0


def test_limits_are_tighter_than_one_width_where_it_counts() -> None:
    n, alpha = 500, 0.001
    lower, _ = band_at_ranks(n, alpha)
    assert 1 - lower[-1] < 0.03 < np.sqrt(np.log(1 / alpha) / (2 * n)) / 2


# The bound


def test_bound_is_the_best_of_all_radii() -> None:
    rng, radii = np.random.default_rng(2), (0.5, 1.0, 1.7)
    values = np.sort(rng.gamma(3.0, size=(3, 200)) * np.array(radii)[:, None], axis=1)
    values[2, -30:] = np.inf
    table = table_of(values, radii)
    at = np.concatenate([ETAS, values[:, 100], [1e9]])
    found = probabilistic_cdf_lower_bound(at, table, EQUAL, 0.05)
    j = limited_ranks(200)
    level = 0.05 / (3 * j.size)
    for eta, seen in zip(at, found, strict=True):
        best = 0.0
        for t, row in zip(radii, values, strict=True):
            passed = j[row[j - 1] <= eta]
            if passed.size:
                share = special.betaincinv(passed[-1], 201 - passed[-1], level)
                crossing = float(cdf_lower_bound(t, IDENTITY, EQUAL))
                best = max(best, crossing - 1 + share)
        assert seen == pytest.approx(best, abs=1e-12)
    assert np.all(np.diff(found[: ETAS.size]) >= 0)
    assert found[-1] < 1
    # One threshold that was declared in advance spends less than all that could be.
    one = table_of(values[1:2], (1.0,))
    for eta in (2.0, 3.0, 4.0):
        failure = float(special.betainccinv(k := (values[1] > eta).sum() + 1, 201 - k, 0.05))
        declared = local_cdf_lower_bound(eta, LocalExpansions((1.0,), (eta,), (failure,)), EQUAL)
        spent = probabilistic_cdf_lower_bound(eta, one, EQUAL, 0.05)
        assert 0 <= spent <= declared


def test_the_inequality_on_a_real_map() -> None:
    """In one dimension, g(z) = z + 0.2 z |z| and a threshold, all of it is known."""
    rng, c, n, radii = np.random.default_rng(3), 0.4, 400, (0.3, 0.7, 1.2)
    g = lambda z: z + 0.2 * z * np.abs(z)  # noqa: E731
    p = float(special.ndtr(-c))
    radius = np.sort(np.abs(g(rng.standard_normal(400_000)) - g(np.array(c))))
    true = np.searchsorted(radius, ETAS, side="right") / radius.size
    highest = 0.0
    for _ in range(30):
        z = rng.standard_normal(n)
        values = np.stack(
            [np.maximum(np.abs(g(z + t) - g(z)), np.abs(g(z - t) - g(z))) for t in radii]
        )
        bound = law(table_of(values, radii), 0.01, class_masses=[p, 1 - p])
        assert np.all(bound.lower(ETAS) <= true + 0.004)
        # Which ends are loose may depend on all latents: the lower end only falls.
        loose = np.where(values < np.median(values, axis=1)[:, None], 1.5, 1.0) * values
        weaker = law(table_of(loose, radii), 0.01, class_masses=[p, 1 - p])
        assert np.all(weaker.lower(ETAS) <= bound.lower(ETAS))
        highest = max(highest, float(bound.lower(ETAS).max()))
    assert highest > 0.4


def test_a_bound_that_ignores_its_confidence_would_fail() -> None:
    """The share that was seen overstates the bound about half of the time; the limit does not."""
    rng, n, t, runs = np.random.default_rng(4), 100, 1.0, 300
    exceeding, eta = 0.3, 1.0
    over, limited = 0, 0
    truth = float(cdf_lower_bound(t, IDENTITY, EQUAL)) - exceeding
    for _ in range(runs):
        row = np.where(rng.random(n) < exceeding, 2.0, 0.5)
        seen = float(cdf_lower_bound(t, IDENTITY, EQUAL)) - float((row > eta).mean())
        over += seen > truth
        found = float(probabilistic_cdf_lower_bound(eta, table_of(row[None], (t,)), EQUAL, 0.1))
        limited += found > truth
    assert over > 0.3 * runs
    assert limited <= 0.1 * runs


def test_law_bound_is_a_continuous_band() -> None:
    rng, radii = np.random.default_rng(5), (0.5, 1.0, 2.0)
    values = rng.gamma(4.0, size=(3, 120)) * np.array(radii)[:, None] / 4
    values[:, :3] = 0.0
    values[2, 60:] = np.inf
    table = table_of(values, radii)
    bound = law(table)
    knots = table.knots()
    assert knots[0] == 0
    near = np.concatenate([knots * (1 - 2e-9), knots * (1 - 5e-10), knots, knots * (1 + 5e-10)])
    grid = np.sort(np.concatenate([ETAS, near, [1e6]]))
    low, high = bound.lower(grid), bound.upper(grid)
    for curve in (low, high):
        assert np.all((curve >= 0) & (curve <= 1))
        assert np.all(np.diff(curve) >= 0)
    assert np.all(low <= high)
    # Never above the step function at the same level, and below it on ramps alone.
    steps = probabilistic_cdf_lower_bound(grid, table, EQUAL, 0.05 / 4)
    assert np.all(low <= steps + 1e-15)
    away = np.min(np.abs(grid[:, None] - knots), axis=1) > 3e-9 * (1 + grid)
    np.testing.assert_allclose(low[away], steps[away], atol=2e-12)
    # Its upper end is above the bound at the shares that were seen.
    crossing = cdf_lower_bound(np.array(radii), IDENTITY, EQUAL)
    shares = np.stack([np.searchsorted(np.sort(row), grid, side="right") / 120 for row in values])
    assert np.all(high >= (crossing[:, None] - 1 + shares).max(axis=0).clip(0) - 1e-12)
    for q in (1e-9, 0.05, 0.2, 0.4):
        at = bound.quantile(q)
        assert float(bound.upper(np.array(at))) >= q
        if at > 0:
            assert float(bound.upper(np.array(at * (1 - 1e-6)))) < q
    assert bound.quantile(0.0) == 0.0
    assert bound.quantile(1.0) == np.inf


def test_nothing_certified_says_nothing() -> None:
    table = ExpansionTable((0.5, 1.0), ((np.inf,) * 20, (np.inf,) * 20))
    bound = law(table)
    assert np.all(bound.lower(ETAS) == 0)
    assert np.all(bound.upper(ETAS) < 1)
    assert np.all(probabilistic_cdf_lower_bound(ETAS, table, EQUAL, 0.05) == 0)


def test_more_latents_and_less_confidence_say_more() -> None:
    rng = np.random.default_rng(6)
    whole = rng.gamma(8.0, size=(1, 2000)) / 8
    few, many = table_of(whole[:, :100], (1.0,)), table_of(whole, (1.0,))
    assert law(many).lower(ETAS).sum() > law(few).lower(ETAS).sum() + 1
    assert law(few, 0.4).lower(ETAS).sum() > law(few, 0.001).lower(ETAS).sum()
    counted = law(many, class_masses=None, class_counts=[200] * 10)
    exact = law(many)
    assert np.all(counted.lower(ETAS) <= exact.lower(ETAS))
    assert np.all(exact.upper(ETAS) <= counted.upper(ETAS) + 1e-15)
    # Half of the level is for the masses, half for the table.
    worst = worst_cdf_lower_bound(1.0, IDENTITY, *class_mass_box([200] * 10, 0.025))
    share = band_at_ranks(2000, 0.025)[0][-1]
    assert float(counted.lower(np.array(1e6))) == pytest.approx(float(worst) - 1 + share, abs=1e-11)


# Hypotheses and input


def test_hypotheses_that_fail_are_named() -> None:
    claim, table = CLAIMS[NAME], ExpansionTable((1.0,), ((0.5, 0.6),))
    assert set(claim.quantities) == {R_IN, R_UNC}
    for changes, reason in (
        ({"latent_law": "uniform"}, r"uniform, not N\(0, I\)"),
        ({FACT: None}, "a table of certified local expansions is not known"),
        ({"class_masses": None}, "law of the predicted classes is not known"),
    ):
        with pytest.raises(OutOfScopeError, match=reason):
            claim.evaluate(facts(table, **changes), R_IN, 0.05)
    assert R_LATENT not in claim.quantities


def test_tables_come_back_from_json() -> None:
    rng = np.random.default_rng(7)
    values = rng.random((2, 30))
    values[1, 3] = np.inf
    table = table_of(values, (0.1, 0.2))
    text = json.dumps(table.to_dict(), allow_nan=False)
    assert ExpansionTable.from_dict(json.loads(text)) == table
    assert table.n == 30
    assert table.values[1][-1] == np.inf
    assert list(table.values[0]) == sorted(table.values[0])


@pytest.mark.parametrize(
    ("radii", "values", "reason"),
    [
        ((), (), "increase from above 0"),
        ((0.0, 1.0), ((1.0,), (1.0,)), "increase from above 0"),
        ((1.0, 1.0), ((1.0,), (1.0,)), "increase from above 0"),
        ((1.0, np.inf), ((1.0,), (1.0,)), "must be finite"),
        ((1.0,), ((),), "one list a radius"),
        ((1.0, 2.0), ((1.0,), (1.0, 2.0)), "one list a radius"),
        ((1.0,), ((1.0,), (1.0,)), "one list a radius"),
        ((1.0,), ((-1.0,),), "at least 0"),
        ((1.0,), ((np.nan,),), "at least 0"),
    ],
)
def test_bad_tables_are_refused(
    radii: tuple[float, ...], values: tuple[tuple[float, ...], ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        ExpansionTable(radii, values)


def test_bad_arguments_are_refused() -> None:
    table = ExpansionTable((1.0,), ((0.5, 0.6),))
    for eta, masses, alpha, reason in (
        (-1.0, EQUAL, 0.05, "eta"),
        (np.nan, EQUAL, 0.05, "eta"),
        (1.0, [0.5, 0.6], 0.05, "sum to 1"),
        (1.0, [EQUAL, EQUAL], 0.05, "one list of K masses"),
        (1.0, EQUAL, 0.5, "between 0 and 1/2"),
        (1.0, EQUAL, 0.0, "between 0 and 1/2"),
    ):
        with pytest.raises(ValueError, match=reason):
            probabilistic_cdf_lower_bound(eta, table, masses, alpha)
    with pytest.raises(ValueError, match="n must be at least 1"):
        limited_ranks(0)
    with pytest.raises(ValueError, match="alpha must lie"):
        band_at_ranks(5, 1.0)
