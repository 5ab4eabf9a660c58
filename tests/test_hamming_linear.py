"""Cells by few coordinates: coins against linear programmes, and all subsets of coordinates."""

import itertools
import math
from types import SimpleNamespace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize

from theory.arrays import FloatArray
from theory.claim import CLAIMS, OutOfScopeError
from theory.claims.shamir2019 import (
    change_norm_cdf,
    change_norm_log_survival,
    change_norm_quantile,
    expected_good_sets,
    label_distance_bound,
    log_expected_good_sets,
    reach_log_probability,
    reach_probability,
)
from theory.hamming import minimal_changes, reach_cell
from theory.hamming.linear import Box
from theory.proof import prove

IDS = [f"shamir2019/{name}" for name in ("any-cell", "any-label", "change-size", "k-coordinates")]
FREE = (-np.inf, np.inf)


def arrangement(m: int, n: int, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    return rng.normal(size=(m, n)), rng.normal(size=m), rng.normal(size=n)


def evaluated(claim: str, facts: dict[str, Any]) -> float:
    return float(CLAIMS[claim].evaluate(facts, CLAIMS[claim].quantities[0]))


def test_accepted_numbers() -> None:
    table = [0.0020, 0.0195, 0.0898, 0.2539, 0.5, 0.7461, 0.9102, 0.9805, 0.9980, 1.0]
    assert reach_probability(range(10), 9).round(4).tolist() == table
    assert float(expected_good_sets(1, 9, 784)) == 15.3125
    assert round(float(expected_good_sets(2, 10, 784)), 2) == 16785.56
    assert change_norm_quantile(0.5, [9, 10], 9).round(4).tolist() == [1.4826, 0.8493]
    assert label_distance_bound([2, 10]).tolist() == [1, 9]


def test_counts_at_any_size() -> None:
    for m in (1, 2, 7, 8, 61, 200):
        exact = [sum(math.comb(m, i) for i in range(k + 1)) / 2**m for k in range(m + 1)]
        np.testing.assert_allclose(reach_probability(range(m + 1), m), exact, rtol=4e-16)
        np.testing.assert_allclose(
            reach_log_probability(range(m), m), np.log(exact[:-1]), rtol=1e-12, atol=1e-16
        )
    # One half, and half of the middle term.
    middle = math.exp(math.log(math.comb(10**5, 50_000)) - (10**5 + 1) * math.log(2))
    assert float(reach_probability(50_000, 10**5)) == pytest.approx(0.5 + middle, rel=1e-12)
    # Far down the tail, and so near 1 that the logarithm is minus the upper tail.
    low = sum(math.comb(3000, i) for i in range(301))
    with mp.workdps(40):
        log = float(mp.log(low) - 3000 * mp.log(2))
        sets = float(mp.log(mp.binomial(784, 300)) + log)
    assert float(reach_log_probability(300, 3000)) == pytest.approx(log, rel=1e-13)
    assert float(reach_log_probability(199, 200)) == -(2.0**-200)
    assert float(log_expected_good_sets(300, 3000, 784)) == pytest.approx(sets, rel=1e-13)
    assert float(expected_good_sets(5000, 9, 10_000)) == np.inf
    assert float(expected_good_sets(5, 9, 4)) == 0
    assert float(log_expected_good_sets(5, 9, 4)) == -np.inf


@pytest.mark.parametrize(("m", "k"), [(6, 2), (9, 3), (10, 5)])
def test_coins_say_how_often_a_cell_is_reached(m: int, k: int) -> None:
    rng, trials = np.random.default_rng(m), 200
    hits = 0
    for _ in range(trials):
        a, b, x = arrangement(m, k + 2, rng)
        hits += reach_cell(a, b, x, np.ones(m), range(k), FREE) is not None
    p = float(reach_probability(k, m))
    assert abs(hits - trials * p) < 4 * math.sqrt(trials * p * (1 - p))


@pytest.mark.parametrize("m", [1, 3, 6])
def test_every_cell_is_reached_by_any_minor(m: int) -> None:
    rng = np.random.default_rng(m)
    a, b, x = arrangement(m, 12, rng)
    for signs in itertools.product((-1, 1), repeat=m):
        chosen = rng.choice(12, m, replace=False).tolist()
        for coordinates, box in ((chosen, None), (None, None), (chosen, FREE)):
            found = reach_cell(a, b, x, signs, coordinates, box)
            assert found is not None
            assert np.array_equal(np.sign(a @ found.point - b), signs)
            others = np.delete(np.arange(12), list(found.coordinates))
            assert np.array_equal(found.point[others], x[others])
            assert len(found.coordinates) == m
            distances = np.abs(a @ found.point - b) / np.linalg.norm(a, axis=1)
            assert 0 < found.margin <= distances.min()


def test_a_box_allows_less_and_the_largest_margin_is_found() -> None:
    rows, offsets = [[1.0, 1.0], [1.0, -1.0]], [1.0, 0.0]
    found = reach_cell(rows, offsets, [0, 0], [1, 1], box=(0, 3))
    assert found is not None
    # The corner (3, y) is as far from x + y = 1 as from x = y at y = 1/2.
    np.testing.assert_allclose(found.point, [3, 0.5], atol=1e-9)
    assert found.margin == pytest.approx(2.5 / math.sqrt(2), rel=1e-9)
    assert reach_cell(rows, offsets, [0, 0], [1, 1], [0], (0, 0.9)) is None
    assert reach_cell(rows, offsets, [0, 0], [1, 1], [0], (0, 1.1)) is not None
    assert reach_cell(rows, offsets, [0, 0], [1, 1], [], (0, 1)) is None
    stay = reach_cell(rows, offsets, [2, 0], [1, 1], [], (0, 2))
    assert stay is not None
    assert stay.point.tolist() == [2, 0]


def subsets(a: FloatArray, b: FloatArray, x: FloatArray, signs: FloatArray, box: Box) -> int | None:
    """The size of the smallest set of coordinates in which the box meets the cell."""
    n = len(x)
    for size in range(n + 1):
        for chosen in itertools.combinations(range(n), size):
            if reach_cell(a, b, x, signs, chosen, box) is not None:
                return size
    return None


@pytest.mark.parametrize("seed", range(10))
def test_least_changes_are_those_of_all_subsets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(2, 6)), int(rng.integers(2, 8))
    a, b, _ = arrangement(m, n, rng)
    x, signs = rng.uniform(size=n), rng.choice([-1, 1], m)
    limit = float(rng.choice([0.5, 1.5, 5.0]))
    box = (x - limit, x + limit)
    least = subsets(a, b, x, signs, box)
    for found in (
        minimal_changes(a, b, x, signs, box),
        minimal_changes(a, b, x, signs, bound=limit),
        minimal_changes(a, b, x, signs, (-9, 9), np.full(n, limit)),
    ):
        assert (found is None) == (least is None)
        if found is not None:
            assert found.lower == found.upper == least
            reached = found.reached
            assert np.array_equal(np.sign(a @ reached.point - b), signs)
            assert np.flatnonzero(reached.point != x).tolist() == list(reached.coordinates)
            assert np.all(np.abs(reached.point - x) <= limit * (1 + 1e-12))
    inside = minimal_changes(a, b, x, signs, (0.1 * x, 3.3))
    if inside is not None:
        assert np.all((inside.reached.point >= 0.1 * x) & (inside.reached.point <= 3.3))
        assert inside.lower == inside.upper == subsets(a, b, x, signs, (0.1 * x, 3.3))


@pytest.mark.parametrize(("k", "m"), [(4, 4), (5, 4), (9, 4)])
def test_changes_have_the_law_of_one_over_chi(k: int, m: int) -> None:
    rng, v = np.random.default_rng(k), np.arange(1.0, m + 1)
    a = rng.normal(size=(4000, m, k))
    gram = a @ a.swapaxes(1, 2)
    ratios = np.sqrt(np.linalg.solve(gram, np.tile(v[:, None], (4000, 1, 1)))[..., 0] @ v / (v @ v))
    steps = np.arange(1, 4001) / 4000
    assert np.abs(change_norm_cdf(np.sort(ratios), k, m) - steps).max() < 0.03


def test_tails_of_the_change() -> None:
    for radius, k, m in ((1e3, 9, 9), (1e40, 18, 9), (1e160, 20, 3), (0.02, 9, 9), (0.5, 900, 9)):
        with mp.workdps(40):
            half, x = mp.mpf(k - m + 1) / 2, 1 / (2 * mp.mpf(radius) ** 2)
            log = float(mp.log(mp.gammainc(half, 0, x, regularized=True)))
        assert float(change_norm_log_survival(radius, k, m)) == pytest.approx(log, rel=1e-12)
    assert change_norm_cdf([0, np.inf], 9, 9).tolist() == [0, 1]
    assert change_norm_quantile([0, 1], 9, 9).tolist() == [0, np.inf]
    q = np.array([1e-200, 1e-9, 0.3, 0.99])
    np.testing.assert_allclose(
        change_norm_cdf(change_norm_quantile(q, 12, 9), 12, 9), q, rtol=1e-11
    )


def test_bad_input_is_named() -> None:
    a, b, x, signs = np.eye(3)[:2], np.ones(2), np.zeros(3), [1, 1]
    cases: list[tuple[tuple[Any, ...], str]] = [
        ((a, b, x, signs, [0, 0]), "must not repeat"),
        ((a, b, x, signs, [0, 3]), "coordinate 3 is out of range"),
        ((a, b, x, signs, [0, -1]), "coordinate -1 is out of range"),
        ((a, b, x, signs, [0.5]), "whole numbers"),
        ((a, b, x, signs, [0]), "rank 1 < 2"),
        ((a, b, x, signs, [0, 2]), "rank 1 < 2"),
        ((a, b, x, signs, []), "rank 0 < 2"),
        (([[1, 1], [2, 2]], b, [0, 0], signs), "rank 1 < 2"),
        ((a[0], b, x, signs), r"normals must have the shape \(m, n\)"),
        ((a, b[:1], x, signs), r"offsets must have the shape \(2,\)"),
        ((a, b, x[:2], signs), r"x must have the shape \(3,\)"),
        ((a, b, x, [1]), r"signs must have the shape \(2,\)"),
        ((a, b, x, [1, 0]), "signs must be 1 or -1"),
        ((a, b, [np.nan, 0, 0], signs), "x must be finite"),
        ((np.zeros((2, 3)), b, x, signs), "row 0 of normals is zero"),
        ((a, b, x, signs, None, (0.5, 2)), r"x is outside the box: x\[0\]"),
        ((a, b, x, signs, None, (np.nan, 2)), "an end of the box"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            reach_cell(*arguments)
    for options, message in (
        ({}, "changes are not bounded"),
        ({"box": FREE}, "changes are not bounded"),
        ({"bound": -1}, "bound must be"),
        ({"bound": 2, "margin": 0.0}, "margin must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            minimal_changes(a, b, x, signs, **options)
    for function, name in ((reach_probability, "k"), (reach_log_probability, "k")):
        with pytest.raises(ValueError, match=f"{name} must be a whole number"):
            function(1.5, 9)
    with pytest.raises(ValueError, match="radius must be a distance"):
        change_norm_cdf(-1, 9, 9)


def test_a_solver_that_fails_is_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(status=4, message="numerical difficulties", x=None)
    a, b, x, signs = np.eye(2), np.ones(2), np.zeros(2), [1, 1]
    monkeypatch.setattr(optimize, "linprog", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="linprog gave up with status 4"):
        reach_cell(a, b, x, signs, box=(0, 2))
    monkeypatch.setattr(optimize, "milp", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="milp gave up with status 4"):
        minimal_changes(a, b, x, signs, box=(0, 2))


def test_a_time_limit_leaves_ends_that_hold() -> None:
    rng = np.random.default_rng(5)
    a, b, _ = arrangement(12, 30, rng)
    found = minimal_changes(a, b, np.zeros(30), np.ones(12), bound=1.0, time_limit=0.0)
    assert found is not None
    assert 1 <= found.lower <= found.upper <= 30
    assert np.all(a @ found.reached.point > b)


def test_claims_need_their_hypotheses() -> None:
    m, k = {"n_hyperplanes": 9}, {"n_changed": 3}
    assert evaluated("shamir2019/any-cell", m | {"normal_rank": 9}) == 9
    assert evaluated("shamir2019/any-label", {"n_classes": 10, "difference_rank": 9}) == 9
    law = {"row_law": "sign-symmetric"}
    assert evaluated("shamir2019/k-coordinates", m | k | law) == pytest.approx(0.25390625)
    gaussian = m | {"n_changed": 10, "row_law": "gaussian"}
    claim = CLAIMS["shamir2019/change-size"]
    bound = claim.evaluate(gaussian, claim.quantities[0], 0.05)
    assert bound.quantile(0.5) == pytest.approx(0.8493218)
    for name, facts, reason in (
        ("any-cell", m, "the rank of the normals is not known"),
        ("any-cell", m | {"normal_rank": 8}, "rank 8 < 9"),
        ("any-label", {"n_classes": 10, "difference_rank": 8}, "rank 8 < 9"),
        ("k-coordinates", m | k, "the law of the random rows is not known"),
        ("k-coordinates", m | k | {"row_law": "fixed"}, "the law of the rows is fixed"),
    ):
        with pytest.raises(OutOfScopeError, match=reason):
            evaluated(f"shamir2019/{name}", facts)
    for known, reason in ((gaussian | law, "sign-symmetric"), (gaussian | k, "k = 3 is below")):
        with pytest.raises(OutOfScopeError, match=reason):
            claim.evaluate(known, claim.quantities[0], 0.05)


@pytest.mark.parametrize("name", IDS)
def test_proofs_hold(name: str) -> None:
    assert all(holds for _, holds in prove(name))
