"""Few coordinates and networks: what far away decides, what boxes leave open, and random labels."""

import math
from itertools import pairwise
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from theory.claim import CLAIMS, OutOfScopeError, Quantity, Relation, Status
from theory.claims.shamir2019 import (
    BOXES,
    LABEL_DISTANCE,
    LABEL_DISTANCE_IN,
    TARGETED_QUANTILES,
    hamming_in,
    label_reach_probability,
    network_label_distance_bound,
    reach_probability,
    targeted_quantile,
)
from theory.evidence import Interval, Radii
from theory.hamming import reach_cell
from theory.hamming.recession import escape_range, recession_labels
from theory.outcome import Outcome
from theory.proofs.shamir2019.labels import angle_products, tied_rivals
from theory.relu.network import ReluNetwork
from theory.verdict import judge_scalar

FREE = (-np.inf, np.inf)
TRAINED = {"n_classes": 10, "piecewise_linear": True, "test_error": 0.02}
IN_BOXES = ("eleven-pixels", "depth-does-not-help", "half-in-own-range")


def evaluated(name: str, facts: dict[str, Any]) -> float:
    claim = CLAIMS[f"shamir2019/{name}"]
    return float(claim.evaluate(facts, claim.quantities[0]))


def test_quantities_carry_their_box() -> None:
    names = [str(quantity) for quantity in LABEL_DISTANCE_IN]
    assert names == [f"label_distance[hamming in {box}]" for box in ("0..1", "-1..2", "-50..51")]
    assert [Quantity.parse(name) for name in names] == list(LABEL_DISTANCE_IN)
    assert hamming_in(-0.0, 1.0) == hamming_in(*BOXES[0]) == "hamming in 0..1"
    assert hamming_in(-2.5, 3.5) == "hamming in -2.5..3.5"
    assert str(LABEL_DISTANCE) == f"label_distance[{hamming_in(*FREE)}]"
    for low, high in ((1, 0), (0, 0), (np.nan, 1)):
        with pytest.raises(ValueError, match="a box needs low < high"):
            hamming_in(low, high)
    known = {name: CLAIMS[f"shamir2019/{name}"] for name in ("recession", *IN_BOXES)}
    # Without a box nothing that holds in one is claimed, nor the other way round.
    assert known["recession"].quantities == (LABEL_DISTANCE,)
    assert known["recession"].status is Status.PROVED
    for name in IN_BOXES:
        assert known[name].status is Status.CONJECTURED
        assert all(" in " in quantity.norm for quantity in known[name].quantities)
        assert known[name].relation is Relation.AT_MOST
    symbols = {known[name].quantities[0].symbol for name in IN_BOXES[1:]}
    assert symbols == set(TARGETED_QUANTILES)


def test_quantiles_of_pairs_are_those_of_their_ends() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 9, 10, 90):
        true = rng.integers(1, 40, n).astype(np.float64)
        radii = Radii(true - rng.integers(0, 2, n), true + rng.integers(0, 3, n))
        for share in (0.1, 0.5, 0.9, 1.0):
            # The least value within which at least this share lies.
            values = np.sort(true)
            least = next(v for v in values if np.sum(true <= v) >= share * n - 1e-9)
            found = targeted_quantile(radii, share)
            assert found.lower <= least <= found.upper
            assert targeted_quantile(Radii(true, true), share) == Interval(least, least)
    one = targeted_quantile(Radii(np.array([1.0, 2.0]), np.array([3.0, np.inf])), 0.9)
    assert one == Interval(2.0, np.inf)
    for share in (0.0, 1.1, np.nan):
        with pytest.raises(ValueError, match="share must lie"):
            targeted_quantile(radii, share)


@pytest.mark.parametrize("name", IN_BOXES)
def test_certified_pairs_refute_and_found_ones_confirm(name: str) -> None:
    bound = evaluated(name, TRAINED)
    assert bound == float(network_label_distance_bound(10)) == 11
    relation = CLAIMS[f"shamir2019/{name}"].relation
    for evidence, outcome in (
        (Interval(12, 20), Outcome.VIOLATED),
        (Interval(1, 11), Outcome.HOLDS),
        (Interval(11, 12), Outcome.UNDECIDED),
        (Interval(1, np.inf), Outcome.UNDECIDED),
    ):
        assert judge_scalar(evidence, relation, bound).outcome is outcome


@pytest.mark.parametrize("name", IN_BOXES)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n_classes": None}, "the number of classes is not known"),
        ({"piecewise_linear": None}, "whether the classifier is piecewise linear is not known"),
        ({"piecewise_linear": False}, "the classifier is not piecewise linear"),
        ({"test_error": None}, "the error rate on test images is not known"),
        ({"test_error": 0.11}, "0.11 of the test images are classified wrongly"),
        ({"test_error": np.nan}, "nan of the test images"),
    ],
)
def test_hypotheses_of_conjectures_are_named(
    name: str, changes: dict[str, object], reason: str
) -> None:
    facts = {key: v for key, v in (TRAINED | changes).items() if v is not None}
    with pytest.raises(OutOfScopeError, match=reason):
        evaluated(name, facts)


def test_recession_needs_all_classes() -> None:
    assert evaluated("recession", {"n_classes": 10, "recession_classes": 10}) == 1
    known = {"n_classes": 10, "recession_classes": 7}
    assert evaluated("recession", known | {"recession_sparsity": 2}) == 2
    for facts, reason in (
        (known, "single coordinates reach 7 of 10 classes"),
        ({"n_classes": 10}, "the number of classes that single coordinates reach is not known"),
        ({"recession_classes": 10}, "the number of classes is not known"),
    ):
        with pytest.raises(OutOfScopeError, match=reason):
            evaluated("recession", facts)


@pytest.mark.parametrize("seed", range(6))
def test_where_recession_applies_one_coordinate_is_enough_for_any_label(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_classes = 400, int(rng.integers(2, 6))
    widths = [n, *([60] * (seed % 3)), n_classes]
    pairs = list(pairwise(widths))
    network = ReluNetwork([(rng.normal(size=(b, a)), 3 * rng.normal(size=b)) for a, b in pairs])
    found = recession_labels(network)
    facts = {"n_classes": n_classes, "recession_classes": len(found.classes)}
    bound = evaluated("recession", facts)
    for x in 5 * rng.normal(size=(10, n)):
        for t in range(n_classes):
            row, j = found.reaching(t)[0]
            sign = 1 - 2 * row
            point = x.copy()
            point[j] += sign * (escape_range(network, x, j, sign, t) * (1 + 1e-9) + 1e-6)
            assert network.label(point) == t
            assert np.sum(point != x) <= bound


def test_directions_of_few_coordinates_do_what_single_ones_do_not() -> None:
    # Of 3/2 max(u, v) and u + v, u, v > 0, the second leads only where both are positive.
    hidden = ([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]], [0.5, -1.0, 2.0])
    network = ReluNetwork([hidden, ([[0.0, 1.5, 1.5], [1.0, 1.0, 0.0]], [0.0, -7.0])])
    known = {"n_classes": 2, "recession_classes": len(recession_labels(network).classes)}
    with pytest.raises(OutOfScopeError, match="single coordinates reach 1 of 2"):
        evaluated("recession", known)
    directions = np.array([[1.0, 1.0], [1.0, 0.0]])
    assert recession_labels(network, directions).classes == (0, 1)
    assert evaluated("recession", known | {"recession_sparsity": 2}) == 2
    for x in 100 * np.random.default_rng(0).normal(size=(50, 2)):
        assert network.label(x + 1e6 * directions).tolist() == [1, 0]
        # One coordinate is too few: from a point without positive ones.
        alone = -abs(x) - 20 + np.linspace(-1e6, 1e6, 1001)[:, None] * [1.0, 0.0]
        assert not network.label(alone).any()


# A label of a random affine classifier


def test_accepted_probabilities() -> None:
    angle = math.acos(1 / 3)
    known = [1 / 4, 1 / 4 + 3 / 4 * (1 - angle / math.pi), 1 - (3 * angle / math.pi - 1) / 4, 1]
    np.testing.assert_allclose(label_reach_probability(range(4), 4), known, rtol=1e-12)
    np.testing.assert_allclose(label_reach_probability([0, 1, 2], 3), [1 / 3, 5 / 6, 1], rtol=1e-12)
    assert label_reach_probability([0, 1], 2) == pytest.approx([0.5, 1], rel=1e-12)
    table = [0.1, 0.3727, 0.6833, 0.8863, 0.9713, 0.9950, 0.9994, 1.0, 1.0, 1.0]
    assert label_reach_probability(range(10), 10).round(4).tolist() == table


def test_angles_at_forty_digits() -> None:
    with mp.workdps(40):
        for n_classes in (5, 12, 30):
            exact = np.cumsum(angle_products(n_classes))
            for k in range(0, n_classes, 3):
                seen = float(label_reach_probability(k, n_classes))
                assert abs(mp.mpf(seen) - exact[k]) <= mp.mpf(10) ** -11 * exact[k]


def test_probabilities_of_many_classes() -> None:
    for n_classes in (2, 3, 10, 64, 250, 1000):
        k = np.unique(np.linspace(0, n_classes, 12).astype(int))
        p = label_reach_probability(k, n_classes)
        assert p[0] == pytest.approx(1 / n_classes, rel=1e-10)
        assert p[-1] == 1
        assert np.all((np.diff(p) > 0) | (p[1:] > 1 - 1e-12))
        # Rows that share one are not coins.
        middle = (k > 0) & (k < n_classes - 1)
        coins = reach_probability(k[middle], n_classes - 1)
        assert np.all((p[middle] > coins) | (coins > 1 - 1e-9))


@pytest.mark.parametrize(("n_classes", "k"), [(4, 0), (4, 1), (6, 2), (10, 1), (10, 3)])
def test_random_classifiers_have_a_label_so_often(n_classes: int, k: int) -> None:
    rng, trials, hits = np.random.default_rng(10 * n_classes + k), 300, 0
    n = k + 3
    # Correlated weights of different sizes, and a bias that depends on them: one covariance.
    mixing = rng.normal(size=(n + 1, n + 1))
    x = rng.normal(size=n)
    for _ in range(trials):
        rows = rng.normal(size=(n_classes, n + 1)) @ mixing
        lead = rows[:1] - rows[1:]
        signs = np.ones(n_classes - 1)
        hits += reach_cell(lead[:, :-1], -lead[:, -1], x, signs, range(k), FREE) is not None
    p = float(label_reach_probability(k, n_classes))
    assert abs(hits - trials * p) < 4 * math.sqrt(trials * p * (1 - p))
    assert abs(hits - trials * float(reach_probability(k, n_classes - 1))) > 30


def test_faces_that_gaussian_outputs_are_projected_to() -> None:
    rng = np.random.default_rng(5)
    for n_classes in (2, 5, 10, 100):
        tied = tied_rivals(rng.normal(size=(20_000, n_classes)))
        steps = np.arange(n_classes)
        seen = np.searchsorted(np.sort(tied), steps, side="right") / 20_000
        assert np.abs(seen - label_reach_probability(steps, n_classes)).max() < 0.016


def test_nonsense_about_labels_is_named() -> None:
    for k, n_classes, message in (
        (-1, 5, "k must be a whole number"),
        (0.5, 5, "k must be a whole number"),
        (1, 1, "n_classes must be a whole number"),
        (1, 1001, "n_classes must be at most 1000"),
    ):
        with pytest.raises(ValueError, match=message):
            label_reach_probability(k, n_classes)
    known = {"n_classes": 10, "n_changed": 3, "output_law": "gaussian"}
    assert evaluated("k-coordinates-label", known) == pytest.approx(0.8863, abs=1e-4)
    for changes, reason in (
        ({"output_law": "uniform"}, "the law of the outputs is uniform"),
        ({"output_law": None}, "the law of the random outputs is not known"),
        ({"n_changed": None}, "the number of coordinates that may change is not known"),
    ):
        facts = {key: v for key, v in (known | changes).items() if v is not None}
        with pytest.raises(OutOfScopeError, match=reason):
            evaluated("k-coordinates-label", facts)
