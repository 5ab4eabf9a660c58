"""Two subjects compared: exact limits on both sides, and signs of many pairs; planned sizes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from theory.arrays import FloatArray
from theory.claim import OutOfScopeError, Relation
from theory.comparison import differences, only_difference
from theory.evidence import Interval, Radii
from theory.outcome import Outcome
from theory.statistics import empirical_bernstein, quantile_interval
from theory.verdict import (
    compared_ends,
    gap_between,
    judge_combinatorial,
    judge_comparison,
    judge_law,
    judge_mean,
    judge_pairs,
    judge_scalar,
    sign_flip,
)

AT_MOST, AT_LEAST = Relation.AT_MOST, Relation.AT_LEAST
HOLDS, VIOLATED, UNDECIDED = Outcome.HOLDS, Outcome.VIOLATED, Outcome.UNDECIDED
INF = float("inf")


def exact(values: FloatArray) -> Radii:
    return Radii(values, values)


def test_limits_are_order_statistics_of_each_end() -> None:
    rng = np.random.default_rng(0)
    lower = rng.exponential(size=300)
    upper = lower + rng.exponential(size=300)
    for name, q in (("quartile", 0.25), ("median", 0.5)):
        j, k = quantile_interval(300, q, 0.01)
        ends = compared_ends(Radii(lower, upper), name, alpha=0.01)
        assert ends == Interval(np.sort(lower)[j - 1], np.sort(upper)[k - 1])
    ends = compared_ends(Radii(lower, upper), "mean", alpha=0.01, cap=2.0)
    low, high = np.minimum(lower, 2.0), np.minimum(upper, 2.0)
    assert ends.lower == empirical_bernstein(low, 0.005, 2.0, "lower")[0]
    assert ends.upper == empirical_bernstein(high, 0.005, 2.0, "upper")[1]
    few = compared_ends(Radii(lower[:3], upper[:3]), "quartile", alpha=0.01)
    assert few == Interval(0.0, INF)
    assert compared_ends(Interval(1.0, 2.0), "mean", alpha=0.01) == Interval(1.0, 2.0)


@pytest.mark.parametrize("relation", [AT_MOST, AT_LEAST])
def test_like_samples_differ_at_most_at_the_level(relation: Relation) -> None:
    rng, alpha, runs = np.random.default_rng(1), 0.2, 300
    found = [
        judge_comparison(
            exact(rng.exponential(size=80)), exact(rng.exponential(size=80)), relation, alpha
        ).outcome
        for _ in range(runs)
    ]
    for outcome in (HOLDS, VIOLATED):
        assert found.count(outcome) <= alpha * runs + 3 * np.sqrt(alpha * (1 - alpha) * runs)
    far = judge_comparison(
        exact(rng.exponential(size=80)), exact(4 * rng.exponential(size=80)), relation, alpha
    )
    assert far.outcome is (HOLDS if relation is AT_MOST else VIOLATED)


@given(
    st.lists(st.floats(0.0, 9.0), min_size=2, max_size=40),
    st.lists(st.floats(0.0, 9.0), min_size=2, max_size=40),
    st.sampled_from(["quartile", "median"]),
    st.booleans(),
)
@settings(max_examples=60)
def test_one_sided_evidence_on_both_sides_decides_nothing(
    one: list[float], two: list[float], statistic: str, attacks: bool
) -> None:
    sides = []
    for values in (one, two):
        x = np.array(values) + 0.1
        sides.append(Radii(0 * x, x) if attacks else Radii(x, np.full(x.size, INF)))
    for relation in Relation:
        judged = judge_comparison(*sides, relation, 0.4, statistic=statistic)
        assert judged.outcome is UNDECIDED
        assert judged.to_decide


@pytest.mark.parametrize(
    ("one", "two", "outcome"),
    [
        ((1.0, 2.0), (2.0, 3.0), HOLDS),
        ((1.0, 2.5), (2.0, 3.0), UNDECIDED),
        ((3.5, 4.0), (2.0, 3.0), VIOLATED),
        ((3.0, 4.0), (2.0, 3.0), UNDECIDED),
        ((1.0, INF), (2.0, INF), UNDECIDED),
    ],
)
def test_intervals_are_compared_as_they_are(
    one: tuple[float, float], two: tuple[float, float], outcome: Outcome
) -> None:
    first, second = Interval(*one), Interval(*two)
    judged = judge_comparison(first, second, AT_MOST, 0.05)
    assert judged.outcome is outcome
    assert bool(judged.to_decide) is (outcome is UNDECIDED)
    assert judge_comparison(second, first, AT_LEAST, 0.05).outcome is outcome


def test_so_many_points_as_are_said_decide() -> None:
    """The sizes that a judgement names are enough for points like those seen, and half are not."""
    rng = np.random.default_rng(2)
    one, two = np.sort(rng.exponential(size=100)), np.sort(1.4 * rng.exponential(size=100))
    judged = judge_comparison(exact(one), exact(two), AT_MOST, 0.05)
    size = int(judged.to_decide.split()[1].replace(",", ""))
    assert "of each would confirm it" in judged.to_decide
    for times, outcome in ((0.5, UNDECIDED), (1.2, HOLDS)):
        more = [np.repeat(x, int(np.ceil(times * size / 100))) for x in (one, two)]
        assert judge_comparison(*map(exact, more), AT_MOST, 0.05).outcome is outcome
    radii = (np.arange(200) + 0.5) / 200 * 0.9
    for where in ({"eta_range": (0.3, 0.6)}, {"grid": np.linspace(0.3, 0.6, 99)}):
        law = judge_law(radii, radii, lambda eta: eta, 0.05, **where)  # type: ignore[arg-type]
        assert law.outcome is UNDECIDED
        size = int(law.to_decide.split()[1].replace(",", ""))
        for times, outcome in ((0.7, UNDECIDED), (1.2, HOLDS)):
            more_radii = np.repeat(radii, int(np.ceil(times * size / 200)))
            again = judge_law(more_radii, more_radii, lambda eta: eta, 0.05, **where)  # type: ignore[arg-type]
            assert again.outcome is outcome
    coarse = judge_law(radii, radii, lambda eta: eta, 0.05, grid=np.linspace(0.3, 0.6, 9))
    assert coarse.to_decide.startswith("a grid of more etas, declared first")
    weak = judge_law(0 * radii, radii + 0.2, lambda eta: eta, 0.05, eta_range=(0.3, 0.6))
    assert weak.to_decide.startswith("a stronger attack, or exact distances")
    mean = judge_mean(radii, radii, 0.5, 0.05, cap=2.0)
    size = int(mean.to_decide.split()[1].replace(",", ""))
    for times, outcome in ((0.7, UNDECIDED), (1.2, HOLDS)):
        more_radii = np.repeat(radii, int(np.ceil(times * size / 200)))
        assert judge_mean(more_radii, more_radii, 0.5, 0.05, cap=2.0).outcome is outcome


def brute_force(d: list[float]) -> float:
    patterns = list(itertools.product((-1, 1), repeat=len(d)))
    sums = [sum(s * x for s, x in zip(signs, d, strict=True)) for signs in patterns]
    return sum(found >= sum(d) - 1e-9 for found in sums) / len(patterns)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9), st.integers(0, 8), st.floats(0, 5))
@settings(max_examples=80)
def test_signs_are_flipped_in_every_way(d: list[int], at: int, rise: float) -> None:
    numbers = [float(x) for x in d]
    p = sign_flip(numbers)
    assert p == pytest.approx(brute_force(numbers))
    numbers[at % len(d)] += rise
    assert sign_flip(numbers) <= p + 1e-12
    numbers[at % len(d)] = -INF
    assert sign_flip(numbers) == 1.0
    numbers[at % len(d)] = INF
    assert sign_flip(numbers) <= p + 1e-12


def test_beyond_twenty_the_signs_alone_count() -> None:
    d = np.concatenate([np.full(20, 3.0), -np.ones(6), np.zeros(2), [-INF]])
    assert sign_flip(d) == pytest.approx(float(stats.binom.sf(19, 29, 0.5)), rel=1e-12)
    assert sign_flip(np.r_[np.ones(20), [-1.0] * 0]) == 2.0**-20
    with pytest.raises(ValueError, match="list of numbers"):
        sign_flip([1.0, float("nan")])


def test_the_level_of_the_signs_is_kept() -> None:
    rng, alpha, runs = np.random.default_rng(3), 0.1, 600
    p = [sign_flip(rng.standard_t(2, size=8)) for _ in range(runs)]
    assert np.mean(np.array(p) <= alpha) <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)
    assert np.mean(np.array(p) <= alpha) > alpha / 3


def test_all_pairs_together() -> None:
    up = [Interval.exact(1.0 + i, 0.5) for i in range(7)]
    judged = judge_pairs(up, range(7), 0.05)
    assert (judged.outcome, judged.slack) == (HOLDS, pytest.approx(3.5))
    down = [Interval(-gap.upper, -gap.lower) for gap in up]
    assert judge_pairs(down, range(7), 0.05).outcome is VIOLATED
    # Pairs that share a subject are one: two groups can never tell.
    shared = judge_pairs(up, [0, 0, 0, 0, 1, 1, 1], 0.05)
    assert shared.outcome is UNDECIDED
    assert (
        shared.to_decide == "at least 5 pairs that share no subject, all of one sign: there are 2"
    )
    wide = judge_pairs([Interval(-1.0, 2.0)] * 7, range(7), 0.05)
    assert wide.to_decide == "narrower intervals: of 7 gaps 7 are not known in sign"
    unknown = judge_pairs([Interval(-INF, INF)] * 7, range(7), 0.05)
    assert unknown.outcome is UNDECIDED
    mixed = judge_pairs([Interval.exact(x, 0.0) for x in (1.0, -1, 1, -1, 1, -1)], range(6), 0.05)
    assert "3 for it and 3 against" in mixed.to_decide
    likely = judge_pairs([Interval.exact(x, 0.0) for x in (1.0, -9, 1, 1, 1, 1)], range(6), 0.05)
    assert likely.to_decide.startswith("about ")
    for gaps, groups in (([], []), (up, [0])):
        with pytest.raises(ValueError, match="gaps in"):
            judge_pairs(gaps, groups, 0.05)


def test_gaps_of_infinite_ends() -> None:
    assert gap_between(Interval(INF, INF), Interval(INF, INF)) == Interval(0.0, 0.0)
    assert gap_between(Interval(1.0, INF), Interval(INF, INF)) == Interval(0.0, INF)
    assert gap_between(Interval(0.0, INF), Interval(0.0, INF)) == Interval(-INF, INF)


@pytest.mark.parametrize(
    ("ends", "relation", "value", "outcome"),
    [
        ((9, 11), AT_MOST, 11, HOLDS),
        ((9, 12), AT_MOST, 11, UNDECIDED),
        ((12, 12), AT_MOST, 11, VIOLATED),
        ((3, 30), AT_MOST, 11, UNDECIDED),
        ((9, INF), AT_LEAST, 9, HOLDS),
        ((2, 8), AT_LEAST, 9, VIOLATED),
        ((2, 9), AT_LEAST, 9, UNDECIDED),
        # One more than a float tells apart.
        ((0, float(2**53)), AT_MOST, 2**53 - 1, UNDECIDED),
        ((float(2**53), INF), AT_MOST, 2**53 - 1, VIOLATED),
        ((float(2**53), INF), AT_LEAST, 2**53 + 1, UNDECIDED),
    ],
)
def test_whole_numbers_are_judged_exactly(
    ends: tuple[float, float], relation: Relation, value: int, outcome: Outcome
) -> None:
    judged = judge_combinatorial(Interval(*ends), relation, value)
    assert judged.outcome is outcome
    assert bool(judged.to_decide) is (outcome is UNDECIDED)
    assert judged.tolerance == 0


def test_what_is_no_whole_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"whole ends, got 1\.5"):
        judge_combinatorial(Interval(1.0, 1.5), AT_MOST, 3)
    with pytest.raises(ValueError, match="got nan"):
        judge_combinatorial(Interval(1, 2), AT_MOST, float("nan"))


def test_the_loose_end_of_a_number_is_named() -> None:
    judged = judge_scalar(Interval(1.0, 5.0), AT_MOST, 3.0)
    assert judged.to_decide == (
        "an upper end at most 3 (now 5, 2 short) would confirm it, a lower end above it"
        " (now 1, 2 short) would refute it"
    )
    judged = judge_scalar(Interval(1.0, INF), AT_LEAST, 3.0)
    assert judged.to_decide == (
        "a lower end at least 3 (now 1, 2 short) would confirm it, an upper end below it"
        " (now unknown) would refute it"
    )


def test_subjects_differ_in_what_their_parts_do() -> None:
    relu = {"name": "mlp", "label": "a", "settings": {"hidden": [9], "revision": 1}}
    tanh = {"name": "mlp", "label": "b", "settings": {"hidden": [9], "activation": "tanh"}}
    conv = {"name": "conv", "label": "c", "settings": {"channels": [4], "activation": "relu"}}
    digits = {"name": "digits", "variant": "csv"}
    one, two = ({"data": digits, "image_classifier": part} for part in (relu, tanh))
    name = "image_classifier.settings.activation"
    assert differences(one, two) == {name: (None, "tanh")}
    assert only_difference(one, two, "data.name", name) == (None, "tanh")
    assert differences(one, one) == {}
    three = {"image_classifier": conv}
    assert set(differences(two, three)) == {"data", "image_classifier.name", name}
    with pytest.raises(OutOfScopeError, match=f"differ in {name}, and not in data.name alone"):
        only_difference(one, two, "data.name")
    with pytest.raises(OutOfScopeError, match="differ in nothing, and not in"):
        only_difference(one, one, name)
