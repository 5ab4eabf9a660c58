"""Verdicts: cases worked by hand, error rates by simulation, one-sidedness, and Holm."""

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from theory.arrays import FloatArray
from theory.claim import LawBound, Relation
from theory.evidence import Interval, Radii
from theory.statistics import clopper_pearson, dkw_halfwidth, empirical_bernstein
from theory.verdict import (
    Judgement,
    Outcome,
    declared_grid,
    declared_range,
    judge_law,
    judge_mean,
    judge_pointwise,
    judge_scalar,
    judge_together,
)

HOLDS, VIOLATED, UNDECIDED = Outcome.HOLDS, Outcome.VIOLATED, Outcome.UNDECIDED
EIGHT = np.arange(1.0, 9.0)
QUARTER = float(np.exp(-1.0))  # the level at which the band of 8 points is 1/4 wide

Law = Callable[[FloatArray], FloatArray]
Ends = list[tuple[float, float]]


def line(shift: float) -> Law:
    return lambda eta: np.clip((eta + shift) / 8, 0, 1)


def eighths(bound: Law | LawBound, lower: FloatArray, upper: FloatArray) -> Judgement:
    return judge_law(lower, upper, bound, QUARTER, eta_range=(4.0, 8.0))


def through(etas: npt.ArrayLike, values: npt.ArrayLike) -> Law:
    return lambda eta: np.interp(eta, etas, values)


def level(value: float) -> Law:
    """A constant, reached in a continuous way."""
    return lambda eta: value * np.minimum(eta, 1e-3) / 1e-3


@pytest.mark.parametrize(
    ("shift", "outcome", "slack", "words"),
    [
        # sup of B - F_n: (shift + 1) / 8 against 1/4; inf of F_n - B: -(shift + 1) / 8.
        (1.1, VIOLATED, 0.25 - 2.1 / 8, "certificates for 8 of 8 points beyond it"),
        (0.9, UNDECIDED, -1.9 / 8 - 0.25, "n = 8 points do not tell the law from the bound"),
        (-2.9, UNDECIDED, 1.9 / 8 - 0.25, "n = 8 is too small, all points seen agree"),
        (-3.1, HOLDS, 2.1 / 8 - 0.25, r"on eta in \[4, 8\], by at least 0.01[23] beyond"),
    ],
)
def test_eight_exact_points(shift: float, outcome: Outcome, slack: float, words: str) -> None:
    for order in (EIGHT, np.random.default_rng(0).permutation(EIGHT)):
        judgement = eighths(line(shift), order, order)
        assert judgement.outcome is outcome
        assert judgement.slack == pytest.approx(slack, abs=1e-12)
        assert judgement.decided == (1.0 if outcome is HOLDS else 0.0)
        assert re.search(words, judgement.reason)


def test_a_stronger_attack_would_decide() -> None:
    judgement = eighths(line(-3.1), 0 * EIGHT, 20 + EIGHT)
    assert judgement.outcome is UNDECIDED
    assert "intervals are too wide: a stronger attack would decide" in judgement.reason


def test_part_of_the_range_is_decided() -> None:
    # F_n - 1/4 at the left limits 5, 6, 7, 8: .25, .375, .5, .625; the bound: .2, .4, .6, .8.
    judgement = eighths(lambda eta: np.clip((eta - 4) / 5, 0, 1), EIGHT, EIGHT)
    assert judgement.outcome is UNDECIDED
    assert judgement.decided == pytest.approx(0.25)
    assert judgement.slack == pytest.approx(0.625 - 0.8)
    assert judgement.reason.startswith("25% of the range decided")


@pytest.mark.parametrize(
    ("points", "value", "outcome"),
    [
        ([3.0] * 8, 0.26, VIOLATED),
        ([3.0] * 8, 0.24, HOLDS),
        ([0.0] * 4 + [5.0] * 4, 0.74, UNDECIDED),
        ([0.0] * 4 + [5.0] * 4, 0.76, VIOLATED),
        ([0.0] * 8, 0.74, HOLDS),
        ([0.0] * 8, 0.76, UNDECIDED),
        ([0.0] * 6 + [9.0] * 2, 0.49, HOLDS),
        ([0.0] * 6 + [9.0] * 2, 0.51, UNDECIDED),
        ([0.0] * 6 + [8.0] * 2, 0.51, UNDECIDED),
        ([0.0] * 6 + [np.inf] * 2, 0.49, HOLDS),
        ([np.inf] * 8, 0.26, VIOLATED),
    ],
)
def test_ties_and_ends_of_the_range(points: list[float], value: float, outcome: Outcome) -> None:
    assert eighths(level(value), np.array(points), np.array(points)).outcome is outcome


def test_each_end_of_an_estimated_bound_serves_its_own_outcome() -> None:
    def between(low: float, high: float) -> LawBound:
        return LawBound(line(low), line(high), lambda q: 8 * q)

    cases = [(1.1, 9.0, VIOLATED), (0.9, 9.0, UNDECIDED), (-9.0, -3.1, HOLDS)]
    for low, high, outcome in [*cases, (-9.0, -2.9, UNDECIDED)]:
        assert eighths(between(low, high), EIGHT, EIGHT).outcome is outcome


@pytest.mark.parametrize("eta_range", [(2.0, 1.0), (-1.0, 1.0), (0.0, np.nan)])
def test_ranges_that_are_none(eta_range: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="two distances, the smaller first"):
        judge_law(0 * EIGHT, EIGHT, line(-3.1), QUARTER, eta_range=eta_range)


@pytest.mark.parametrize("start", [0.0, 2.5])
def test_where_the_bound_is_nothing_there_is_nothing_to_show(start: float) -> None:
    for bound in (line(-3.1), level(0.0)):
        judgement = judge_law(0 * EIGHT, EIGHT, bound, QUARTER, eta_range=(start, 8.0))
        assert (judgement.outcome, judgement.decided) == (HOLDS, 1.0)


def test_worked_example_of_a_thousand_points() -> None:
    points = np.repeat([0.0, 1.5], [850, 150])
    half, hair = np.sqrt(np.log(20) / 2000), 1e-9
    cases = [(half + hair, VIOLATED), (half - hair, UNDECIDED), (-half - hair, HOLDS)]
    for above, outcome in [*cases, (-half + hair, UNDECIDED)]:
        seen = judge_law(points, points, level(0.85 + above), 0.05, eta_range=(0.6, 1.4))
        assert seen.outcome is outcome


def outcomes(n: int, runs: int, bound: Law, eta_range: tuple[float, float]) -> dict[Outcome, float]:
    """Frequencies of the outcomes on exact radii that are uniform on [0, 1], at level 0.2."""
    rng, seen = np.random.default_rng(n), []
    for _ in range(runs):
        radii = rng.uniform(size=n)
        seen.append(judge_law(radii, radii, bound, 0.2, eta_range=eta_range).outcome)
    return {outcome: seen.count(outcome) / runs for outcome in Outcome}


def test_a_tight_theorem_is_violated_at_most_at_its_level() -> None:
    found = outcomes(60, 2500, lambda eta: np.clip(eta, 0, 1), (0.1, 0.9))
    # The law is the bound itself: DKW's constant is nearly exact, so the level is nearly spent.
    assert 0.1 < found[VIOLATED] < 0.2 + 4 * np.sqrt(0.16 / 2500)
    assert found[HOLDS] < 0.2


@pytest.mark.parametrize("eta_range", [(0.5, 0.5), (0.3, 0.6)])
def test_a_false_claim_holds_at_most_at_its_level(eta_range: tuple[float, float]) -> None:
    found = outcomes(60, 2500, lambda eta: np.clip(eta + 1e-9, 0, eta_range[1] + 1e-9), eta_range)
    assert found[HOLDS] < 0.2 + 4 * np.sqrt(0.16 / 2500)
    assert eta_range != (0.5, 0.5) or found[HOLDS] > 0.03


def test_a_clearly_false_claim_is_violated_and_a_clearly_true_one_holds() -> None:
    assert outcomes(200, 50, lambda eta: np.clip(2 * eta, 0, 1), (0.1, 0.9))[VIOLATED] == 1
    assert outcomes(200, 50, lambda eta: np.clip(eta - 0.3, 0, 1), (0.4, 0.9))[HOLDS] == 1


@given(
    st.lists(st.floats(0, 10), min_size=20, max_size=60),
    st.floats(0.01, 1),
    st.floats(0, 1),
    st.floats(0, 20),
    st.none() | st.lists(st.floats(0, 20), min_size=1, max_size=5, unique=True).map(sorted),
)
def test_no_side_decides_what_it_cannot_know(
    radii: list[float], at_zero: float, slope: float, stop: float, etas: list[float] | None
) -> None:
    def bound(eta: FloatArray) -> FloatArray:
        return np.clip(at_zero + slope * np.minimum(eta, 1e3), 0, 1)

    points, grid = np.array(radii), None if etas is None else np.array(etas)
    for ends in ((0.0, stop), (stop, np.inf)):
        attacked = judge_law(0 * points, points, bound, 0.4, eta_range=ends, grid=grid)
        assert attacked.outcome is not VIOLATED
        certified = judge_law(points, points + np.inf, bound, 0.4, eta_range=ends, grid=grid)
        assert certified.outcome is not HOLDS


def radii_of(*intervals: tuple[float, float]) -> Radii:
    return Radii(*np.array(intervals).T)


@pytest.mark.parametrize(
    ("left", "right", "outcome", "decided"),
    [
        ([(0, 1), (2, 2)], [(1, 9), (3, 3)], HOLDS, 1.0),
        ([(0, 1.0003), (0, 2)], [(1, 4), (3, 4)], HOLDS, 1.0),
        ([(0, 1.0005), (0, 2)], [(1, 4), (3, 4)], UNDECIDED, 0.5),
        ([(0, 1), (3.1, 4)], [(1, 9), (0, 3)], VIOLATED, 0.0),
        ([(0, np.inf), (0, 1)], [(0, np.inf), (2, 3)], UNDECIDED, 0.5),
        ([(0, np.inf), (0, 1)], [(np.inf, np.inf), (2, 3)], HOLDS, 1.0),
    ],
)
def test_pointwise(left: Ends, right: Ends, outcome: Outcome, decided: float) -> None:
    judgement = judge_pointwise(radii_of(*left), radii_of(*right), rtol=1e-4)
    assert (judgement.outcome, judgement.decided) == (outcome, decided)
    assert (judgement.slack < 0) or outcome is HOLDS


def test_pointwise_needs_the_same_points() -> None:
    with pytest.raises(ValueError, match="have 1 and 2 points"):
        judge_pointwise(radii_of((0, 1)), radii_of((0, 1), (0, 1)))


@pytest.mark.parametrize(
    ("ends", "outcome", "slack"),
    [
        ((1, 2), HOLDS, 1),
        ((1, 3), HOLDS, 0),
        ((1, 4), UNDECIDED, -1),
        ((3, 4), UNDECIDED, -1),
        ((3.5, 4), VIOLATED, -0.5),
        ((3.5, np.inf), VIOLATED, -0.5),
        ((1, np.inf), UNDECIDED, -np.inf),
    ],
)
def test_scalar(ends: tuple[float, float], outcome: Outcome, slack: float) -> None:
    low, high = ends
    at_most = judge_scalar(Interval(low, high), Relation.AT_MOST, 3.0)
    at_least = judge_scalar(Interval(-high, -low), Relation.AT_LEAST, -3.0)
    for judgement in (at_most, at_least):
        assert (judgement.outcome, judgement.slack) == (outcome, slack)
        assert judgement.decided == (outcome is HOLDS)


def holm(p_values: list[float], alpha: float) -> set[int]:
    """The rejections of Holm's procedure, by its definition on sorted p-values."""
    order, rejected = np.argsort(p_values, kind="stable"), set()
    for rank, i in enumerate(order):
        if p_values[i] > alpha / (len(p_values) - rank):
            break
        rejected.add(int(i))
    return rejected


p_value = st.floats(1e-6, 0.2) | st.just(1.0)


# A rejection on one side does not shorten the table of the other side.
@example([(True, 1e-6), (False, 0.03)], 0.05)
@given(st.lists(st.tuples(st.booleans(), p_value), max_size=12), st.floats(0.01, 0.5))
def test_together_is_holm_for_each_outcome(cells: list[tuple[bool, float]], alpha: float) -> None:
    def judge(cell: tuple[bool, float], level: float) -> Judgement:
        against, p = cell
        outcome = UNDECIDED if p > level else VIOLATED if against else HOLDS
        return Judgement(outcome, "", decided=level)

    found = judge_together(cells, judge, alpha)
    for against, outcome in ((True, VIOLATED), (False, HOLDS)):
        rejected = holm([p if side is against else 1.0 for side, p in cells], alpha)
        assert {i for i, verdict in enumerate(found) if verdict.outcome is outcome} == rejected
    for verdict in found:
        assert verdict.outcome is not UNDECIDED or verdict.decided == alpha / len(cells)


def test_the_declared_range_is_where_the_bound_can_be_resolved() -> None:
    def bound(eta: np.ndarray) -> np.ndarray:
        return -np.expm1(-3 * eta)

    n, alpha = 500, 0.02
    e = dkw_halfwidth(n, alpha)
    low, high = declared_range(bound, n, alpha)
    assert bound(np.array([low, high])) == pytest.approx([4 * e, 1 - 2 * e])
    exact = LawBound(bound, bound, lambda q: -np.log1p(-q) / 3)
    assert declared_range(exact, n, alpha) == pytest.approx((low, high))
    # It is the default; a law half-way between the bound and 1 is found to hold on it.
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(200):
        radii = rng.exponential(1 / 3, n) * rng.integers(0, 2, n)
        judged = judge_law(0 * radii, radii, bound, alpha)
        assert judged == judge_law(0 * radii, radii, bound, alpha, eta_range=(low, high))
        held += judged.outcome is Outcome.HOLDS
    assert held > 100


def test_no_range_can_be_declared_with_too_few_points() -> None:
    radii = np.full(12, 1e-6)
    judged = judge_law(0 * radii, radii, lambda eta: -np.expm1(-eta), 0.05)
    assert judged.outcome is Outcome.UNDECIDED
    assert "too small to declare any range" in judged.reason


def test_eight_points_on_a_grid_of_two() -> None:
    # At level 1/4 for each: U(0) = 1 - 4^(-1/8) = 0.159 and L(8) = 4^(-1/8) = 0.841.
    grid, alpha = np.array([2.0, 5.0]), 0.5
    most, all_eight = 1 - 0.25 ** (1 / 8), 0.25 ** (1 / 8)
    seven = float(clopper_pearson(7, 8, 0.25, "lower")[0])
    cases = [
        # Counts at the two etas, the bound's values there.
        ((0, 8), (most + 1e-9, 0.9), VIOLATED, 0.0),
        ((0, 8), (most - 1e-9, 0.9), UNDECIDED, 0.0),
        ((8, 8), (0.1, all_eight - 1e-9), HOLDS, 1.0),
        ((8, 8), (0.1, all_eight + 1e-9), UNDECIDED, 0.0),
        # The bound at the second must be reached by the law at the first: 7 of 8, not 8 of 8.
        ((7, 8), (0.1, seven - 1e-9), HOLDS, 1.0),
        ((7, 8), (0.1, seven + 1e-9), UNDECIDED, 0.0),
    ]
    for (first, second), levels, outcome, decided in cases:
        # A point at an eta of the grid counts there.
        for places in ([1.0, 3.0, 9.0], [2.0, 5.0, 9.0]):
            points = np.repeat(places, [first, second - first, 8 - second])
            judgement = judge_law(points, points, through(grid, levels), alpha, grid=grid)
            assert (judgement.outcome, judgement.decided) == (outcome, decided)
            assert (judgement.slack < 0) is (outcome is not HOLDS)
            assert abs(judgement.slack) < 2e-9 or outcome is UNDECIDED


def test_the_part_of_a_grid_that_is_decided() -> None:
    # Half of 400 points lie below 1: that shows a bound of 0.4 at 2, and not one of 0.8 at 3.
    grid, half = np.array([1.0, 2.0, 3.0]), np.repeat([0.5, 9.0], 200)
    bound = through(grid, [0.3, 0.4, 0.8])
    judgement = judge_law(half, half, bound, 0.1, grid=grid)
    assert judgement.outcome is VIOLATED
    assert judgement.reason.startswith("at eta = 3 the bound is 0.8000, and with certificates for")
    assert "200 of 400 points beyond it the law is at most 0.5470" in judgement.reason
    limit = clopper_pearson(200, 400, 0.1 / 3, "lower")[0]
    for lower, words in ((0 * half, "stronger attack"), (np.minimum(half, 2.5), "do not tell")):
        judgement = judge_law(lower, half, bound, 0.1, grid=grid)
        assert judgement.outcome is UNDECIDED
        assert judgement.decided == pytest.approx(0.2)
        assert judgement.slack == pytest.approx(limit - 0.8)
        assert judgement.reason.startswith("20% of the range decided; ")
        assert words in judgement.reason
    # On the part before 2 it holds; nothing is known before the grid begins.
    for start, outcome in ((1.0, HOLDS), (1.5, HOLDS), (0.9, UNDECIDED)):
        ends = (start, 2.0)
        assert judge_law(0 * half, half, bound, 0.1, grid=grid, eta_range=ends).outcome is outcome


def test_beyond_its_grid_a_law_is_known_not_to_fall() -> None:
    points = np.full(50, 0.5)
    grid, limit = np.array([1.0]), 0.1 ** (1 / 50)
    for top, outcome in ((limit - 1e-9, HOLDS), (limit + 1e-9, UNDECIDED)):
        bound = through([0.0, 1.0, 7.0], [0.0, 0.2, top])
        for stop in (7.0, np.inf):
            ends = (1.0, stop)
            seen = judge_law(0 * points, points, bound, 0.1, grid=grid, eta_range=ends)
            assert seen.outcome is outcome


def test_the_declared_grid_lies_where_points_can_decide() -> None:
    def bound(eta: FloatArray) -> FloatArray:
        return -np.expm1(-3 * eta)

    exact = LawBound(bound, bound, lambda q: -np.log1p(-q) / 3)
    for n, m in ((30, None), (500, None), (500, 9), (500, 1)):
        grid = declared_grid(bound, n, 0.02, m)
        assert grid == pytest.approx(declared_grid(exact, n, 0.02, m), rel=1e-12)
        size = int(np.ceil(4 * np.sqrt(n))) if m is None else m
        assert grid.size == size
        share, levels = 0.02 / size, bound(grid)
        angles = np.arcsin(np.sqrt(levels))
        assert np.allclose(np.diff(angles), np.diff(angles)[:1])
        assert levels + levels[::-1] == pytest.approx(np.ones(size))
        # Half a step inside: no certificate refutes below 1 - share^(1/n), and so on.
        end = np.arcsin(np.sqrt(1 - share ** (2 / n)))
        assert angles[0] - end == pytest.approx((np.pi / 2 - 2 * end) / (2 * size))
        counts = np.arange(n + 1)
        assert clopper_pearson(counts, n, share, "upper")[1].min() < levels[0]
        assert clopper_pearson(counts, n, share, "lower")[0].max() > levels[-1]


def test_the_default_grid_is_nearly_the_best_for_holds() -> None:
    for n in (50, 1000, 20_000):
        sizes = np.unique(np.geomspace(1, 40 * np.sqrt(n), 500).astype(int))
        width = stats.norm.isf(0.05 / sizes) / (2 * np.sqrt(n)) + np.pi / (2 * sizes)
        default = declared_grid(lambda eta: -np.expm1(-eta), n, 0.05).size
        assert np.interp(default, sizes, width) < 1.1 * width.min()


def test_a_grid_ends_where_its_bound_does() -> None:
    def half(eta: FloatArray) -> FloatArray:
        return -np.expm1(-eta) / 2

    grid = declared_grid(half, 400, 0.05)
    assert 30 < grid.size < 50
    assert 0.45 < half(grid)[-1] < 0.5
    nothing = declared_grid(lambda eta: 0 * eta, 400, 0.05)
    too_few = declared_grid(half, 12, 0.05)
    for lone in (nothing, too_few):
        assert lone.tolist() == [np.inf]
        for points in (np.full(400, np.inf), np.zeros(400)):
            judged = judge_law(points, points, half, 0.05, grid=lone)
            assert judged.outcome is UNDECIDED
            assert "too small to declare any range" in judged.reason


def test_a_mean_by_hand() -> None:
    # Half of 1000 radii at 1, half at 3: with the cap at 2, values of mean 1.5.
    radii, value = np.repeat([1.0, 3.0], 500), 1.2
    lower, upper = empirical_bernstein(np.repeat([1.0, 2.0], 500), 0.1, 2.0)
    assert 1.4 < lower < 1.5 < upper < 1.6
    # One side at level 0.05 is one of two at level 0.1.
    for shift, outcome in ((-1e-9, VIOLATED), (0.0, UNDECIDED), (1e-9, UNDECIDED)):
        seen = judge_mean(radii, radii, lower + shift, 0.05, cap=2.0)
        assert seen.outcome is outcome
        assert outcome is UNDECIDED or seen.slack == pytest.approx(shift, rel=1e-4)
    for shift, outcome in ((1e-9, HOLDS), (0.0, HOLDS), (-1e-9, UNDECIDED)):
        seen = judge_mean(radii, radii, upper + shift, 0.05, cap=2.0)
        assert seen.outcome is outcome
        assert seen.slack == pytest.approx(shift, rel=1e-4)
        assert seen.decided == (outcome is HOLDS)
        assert "the mean of the radius, capped at 2," in seen.reason
    cases = [
        (radii, 1.51, "n = 1000 is too small, the mean of what was seen agrees with the bound"),
        (radii, 1.49, "n = 1000 points do not tell the mean from the bound"),
        (radii / 3, value, "the intervals are too wide: a stronger attack would decide"),
        (0 * radii, 2.0, "the cap 2 is not above the bound 2: it leaves nothing to show"),
        (0 * radii, np.inf, "the cap 2 is not above the bound inf: it leaves nothing to show"),
    ]
    for certified, claimed, words in cases:
        seen = judge_mean(certified, radii, claimed, 0.05, cap=2.0)
        assert seen.outcome is UNDECIDED
        assert words in seen.reason


@given(
    st.lists(st.floats(0, 10), min_size=2, max_size=60),
    st.floats(0, 12),
    st.floats(0.01, 12),
    st.floats(0.001, 0.999),
)
def test_no_side_decides_on_a_mean(
    radii: list[float], value: float, cap: float, alpha: float
) -> None:
    points = np.array(radii)
    attacked = judge_mean(0 * points, points, value, alpha, cap=cap).outcome
    certified = judge_mean(points, points + np.inf, value, alpha, cap=cap).outcome
    assert attacked in (HOLDS, UNDECIDED)
    assert certified in (VIOLATED, UNDECIDED)
    exact = judge_mean(points, points, value, alpha, cap=cap).outcome
    assert exact is (attacked if attacked is not UNDECIDED else certified)


ONES = np.ones(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judge_law(ONES, ONES, line(0), 0.6), r"alpha must lie in \(0, 1/2\], got 0.6"),
        (lambda: judge_law(ONES, ONES, line(0), 0.0, grid=ONES[:1]), "alpha must lie in"),
        (lambda: judge_law(ONES, ONES, line(0), np.nan), r"\(0, 1/2\], got nan"),
        (lambda: judge_law(ONES[:0], ONES[:0], line(0), 0.1), "non-empty"),
        (lambda: judge_law(ONES * np.nan, ONES, line(0), 0.1), "not intervals"),
        (lambda: judge_law(ONES, ONES, line(0), 0.1, grid=ONES), "grid must be an increasing"),
        (lambda: judge_law(ONES, ONES, line(0), 0.1, grid=ONES[:0]), "grid must be an increasing"),
        (lambda: judge_law(ONES, ONES, line(0), 0.1, grid=-ONES[:1]), "grid must be an increasing"),
        (lambda: judge_law(ONES, ONES, line(0), 0.1, grid=np.array([1, np.nan])), "grid must be"),
        (lambda: judge_law(ONES, ONES, line(0), 0.1, grid=np.array([np.nan])), "grid must be"),
        (lambda: judge_law(ONES, ONES, line(0), 0.1, grid=np.array([[1.0]])), "grid must be"),
        (lambda: judge_law(ONES, ONES, line(np.nan), 0.1), r"in \[0, 1\], got NaN at eta = \[1"),
        (lambda: judge_law(0 * ONES, ONES, line(np.nan), 0.1, eta_range=(0, 1)), "got NaN at eta"),
        (lambda: judge_law(ONES, ONES, line(np.nan), 0.1, grid=ONES[:1]), "got NaN at eta = "),
        (lambda: declared_range(line(0), 0, 0.1), "n must be at least 1 and whole, got 0"),
        (lambda: declared_range(line(0), 9, 1.0), "alpha must lie strictly"),
        (lambda: declared_grid(line(0), 0, 0.1), "n must be at least 1 and whole, got 0"),
        (lambda: declared_grid(line(0), np.nan, 0.1), "n must be at least 1 and whole, got nan"),
        (lambda: declared_grid(line(0), 9, 0.1, 0), "m must be at least 1 and whole, got 0"),
        (lambda: declared_grid(line(0), 9, 0.6), r"alpha must lie in \(0, 1/2\], got 0.6"),
        (lambda: judge_mean(ONES, ONES, -1.0, 0.1, cap=1.0), "value must be at least 0, got -1"),
        (lambda: judge_mean(ONES, ONES, np.nan, 0.1, cap=1.0), "at least 0, got nan"),
        (lambda: judge_mean(ONES, ONES, 1.0, 0.1, cap=0.0), "cap must be positive and finite"),
        (lambda: judge_mean(ONES, ONES, 1.0, 0.1, cap=np.inf), "positive and finite, got inf"),
        (lambda: judge_mean(ONES, ONES, 1.0, 0.1, cap=np.nan), "positive and finite, got nan"),
        (lambda: judge_mean(ONES, ONES, 1.0, 1.0, cap=2.0), "alpha must lie strictly"),
        (lambda: judge_mean(ONES[:1], ONES[:1], 1.0, 0.1, cap=2.0), "2 numbers or more"),
        (lambda: judge_mean(2 * ONES, ONES, 1.0, 0.1, cap=2.0), "not intervals"),
        (lambda: judge_scalar(Interval(0, 1), Relation.AT_MOST, np.nan), "got nan"),
        (lambda: judge_pointwise(radii_of((0, 1)), radii_of((0, 1)), np.nan), "rtol must be"),
        (lambda: judge_pointwise(radii_of((0, 1)), radii_of((0, 1)), -0.1), "rtol must be"),
        (lambda: judge_together([], lambda cell, level: cell, 1.0), "alpha must lie strictly"),
        (lambda: judge_together([1], lambda cell, level: cell, np.nan), "got nan"),
    ],
)
def test_nonsense_is_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
