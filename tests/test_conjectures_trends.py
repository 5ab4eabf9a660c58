"""Conjectures on trends: what they speak of, what they say, and where they are known to fail."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import special

from empirics.judge import judge_records
from figures import style
from figures.plates.slack import ALL_PAIRS, CLOSED_FORM, SEVERAL, architecture, slack
from figures.registry import Drawing
from figures.view import NothingToDraw, View
from tests.drawn_hamming import select, view_of
from tests.synthetic_conjectures import CLASSIFIERS, GENERATORS, conjecture_records
from theory.claim import CLAIMS, OutOfScopeError, Quantity, Status
from theory.claims.fawzi2018 import cdf_lower_bound
from theory.claims.milman2022 import multi_bubble_lower_bound
from theory.conjectures.bound_within_factor_two import FACTOR, NEARNESS
from theory.conjectures.random_labels import random_labels, slope_at_zero
from theory.conjectures.simplex_cones import (
    cone_offsets,
    cones_cdf,
    least_equal_masses,
    up_to_median,
)
from theory.evidence import Radii
from theory.gaussian import argmax_family_cdf
from theory.latent import R_LATENT
from theory.modulus import LipschitzModulus
from theory.proof import prove
from theory.verdict import Outcome

IDS = (
    "fawzi2018/adversarial-training-aligns",
    "fawzi2018/bound-within-factor-two",
    "fawzi2018/fewer-classes",
    "fawzi2018/random-labels",
    "fawzi2018/smaller-latent-dimension",
    "fawzi2018/smoother-generator",
    "goodfellow2015/transfer-follows-agreement",
    "milman2022/simplex-cones-up-to-median",
    "shamir2021/in-distribution-is-far",
    "shamir2021/nearly-normal",
)
EQUAL = {"latent_law": "gaussian", "latent_dimension": 16, "class_masses": [0.1] * 10}
ETA = np.linspace(0.0, 3.0, 61)


@pytest.fixture(scope="module")
def view() -> View:
    return view_of(conjecture_records())


@pytest.fixture(scope="module")
def made(view: View) -> Drawing:
    with style.applied():
        return slack(view)


def facts_of(generator: str, classifier: str, **more: object) -> dict[str, object]:
    parts = {"generator": GENERATORS[generator], "classifier": CLASSIFIERS[classifier]}
    return {"data": {"name": "digits"}, **parts, "n_classes": 10, **more}


@pytest.mark.parametrize("name", IDS)
def test_each_says_why_one_would_believe_it(name: str) -> None:
    claim = CLAIMS[name]
    assert claim.status is Status.CONJECTURED
    text = claim.evaluate.__doc__ or ""
    paragraphs = [part.strip() for part in text.split("\n\n")]
    (why,) = [part for part in paragraphs if part.startswith("Believed because: ")]
    assert len(why) > 100


def test_pairs_that_differ_in_one_thing_are_judged(view: View) -> None:
    found = [v for v in view.verdicts if v.claim in IDS]
    assert {v.claim for v in found} == set(IDS)
    judged = [v for v in found if v.outcome != Outcome.OUT_OF_SCOPE]
    assert {v.claim for v in judged} == set(IDS)
    pairs = Counter((v.claim, v.quantity) for v in judged if " vs " in v.subject)
    # Three generators each; five classifiers on the two that differ.
    assert pairs["fawzi2018/adversarial-training-aligns", "found_radius_ratio[l2]"] == 3
    assert pairs["fawzi2018/fewer-classes", "found_r_in[l2]"] == 3
    assert pairs["fawzi2018/smaller-latent-dimension", "found_r_in_relative[l2]"] == 5
    assert pairs["fawzi2018/smoother-generator", "found_r_unc[l2]"] == 5
    # They were drawn as the conjectures say, and so what was found is decided.
    for quantity in ("found_radius_ratio[l2]", "found_r_in[l2]", "found_r_in_relative[l2]"):
        outcomes = {v.outcome for v in judged if v.quantity == quantity and " vs " in v.subject}
        assert Outcome.VIOLATED not in outcomes
        assert Outcome.HOLDS in outcomes
    of_shares = {v.outcome for v in judged if v.claim == "shamir2021/nearly-normal"}
    assert of_shares == {Outcome.VIOLATED}
    by_random = [v for v in judged if v.claim == "fawzi2018/random-labels"]
    assert {v.subject for v in by_random} == {f"{g} · mlp-random" for g in GENERATORS}
    (text,) = {v.outcome for v in judged if v.claim.startswith("goodfellow2015")}
    assert text == Outcome.HOLDS


@pytest.mark.parametrize(
    ("claim", "first", "second", "reason"),
    [
        ("fewer-classes", ("small", "mlp"), ("small", "mlp-2"), "no fewer"),
        ("fewer-classes", ("small", "mlp-2"), ("large", "mlp"), "latent_dimension"),
        ("fewer-classes", ("small", "mlp-2"), ("small", "linear"), "differ in"),
        ("smaller-latent-dimension", ("large", "mlp"), ("small", "mlp"), "no smaller"),
        ("smaller-latent-dimension", ("small", "mlp"), ("large", "mlp-2"), "classes"),
        ("smaller-latent-dimension", ("small", "mlp"), ("smooth", "mlp"), "name"),
        ("smoother-generator", ("large", "mlp"), ("smooth", "mlp"), "no smaller constant"),
        ("smoother-generator", ("smooth", "mlp"), ("large", "linear"), "classifier"),
        ("smoother-generator", ("smooth", "mlp"), ("small", "mlp"), "latent_dimension"),
        ("adversarial-training-aligns", ("small", "mlp"), ("small", "mlp-adv"), "not the first"),
        ("adversarial-training-aligns", ("small", "mlp"), ("small", "mlp"), "not the first"),
        ("adversarial-training-aligns", ("small", "mlp-adv"), ("small", "linear"), "name"),
    ],
)
def test_other_pairs_are_out_of_scope(
    claim: str, first: tuple[str, str], second: tuple[str, str], reason: str
) -> None:
    sides = [facts_of(*labels) for labels in (first, second)]
    for facts, (_, classifier) in zip(sides, (first, second), strict=True):
        facts["n_classes"] = 2 if classifier == "mlp-2" else 10
    evaluate = CLAIMS[f"fawzi2018/{claim}"].evaluate
    with pytest.raises(OutOfScopeError, match=reason):
        evaluate(*sides, Quantity("r_in", "l2"))


def test_generators_without_a_smoothness_are_out_of_scope() -> None:
    sides = [facts_of("smooth", "mlp"), facts_of("large", "mlp")]
    evaluate = CLAIMS["fawzi2018/smoother-generator"].evaluate
    evaluate(*sides, Quantity("r_in", "l2"))
    other: dict[str, Any] = {"name": "ppca", "label": "ppca", "settings": {}}
    with pytest.raises(OutOfScopeError, match="ppca has no setting"):
        evaluate(sides[0], {**sides[1], "generator": other}, Quantity("r_in", "l2"))


def test_cones_have_the_masses_and_the_law_that_are_known() -> None:
    np.testing.assert_allclose(
        cones_cdf(ETA, [0.1] * 10), argmax_family_cdf(ETA, 10), rtol=0, atol=1e-12
    )
    # Two classes of any masses are half-spaces: the bound of Theorem 1.
    for p in (0.5, 0.2, 0.01):
        exact = cdf_lower_bound(ETA, LipschitzModulus(1.0), [p, 1 - p])
        np.testing.assert_allclose(cones_cdf(ETA, [p, 1 - p]), exact, rtol=0, atol=1e-9)
    rng = np.random.default_rng(2)
    masses = np.array([0.55, 0.3, 0.15])
    z = rng.standard_normal((200_000, 3)) + cone_offsets(masses)
    np.testing.assert_allclose(np.bincount(z.argmax(axis=1)) / len(z), masses, atol=0.005)
    top = np.sort(z, axis=1)
    radii = (top[:, -1] - top[:, -2]) / np.sqrt(2)
    for eta in (0.1, 0.5, 1.0):
        assert cones_cdf(eta, masses) == pytest.approx(np.mean(radii <= eta), abs=0.005)
    for p in ([0.9, 0.05, 0.05], [0.998, 0.001, 0.001], [0.001, 0.009, 0.09, 0.9]):
        assert cones_cdf(0.0, p) == pytest.approx(0.0, abs=1e-9)
    for wrong in ([0.5, 0.5, 0.0], [0.6, 0.6], [[0.5, 0.5]]):
        with pytest.raises(ValueError, match="masses"):
            cone_offsets(wrong)


def test_the_law_of_cones_is_above_the_bound_and_falls_with_unequal_masses() -> None:
    rng = np.random.default_rng(3)
    near = ETA[ETA < 0.6]
    for _ in range(6):
        p = np.sort(rng.dirichlet(np.full(4, 3.0)))
        law = cones_cdf(near, p)
        assert np.all(law >= cdf_lower_bound(near, LipschitzModulus(1.0), p) - 1e-9)
        shift = 0.5 * p[0]
        less_equal = p + np.array([-shift, 0, 0, shift])
        assert np.all(cones_cdf(near, less_equal) <= law + 1e-9)
    slope = float(cones_cdf(1e-5, [0.2] * 5)) / 1e-5
    assert slope == pytest.approx(float(multi_bubble_lower_bound(5)), rel=1e-3)


def wedges(t: np.ndarray, angle: float) -> np.ndarray:
    """Return P(r <= t) of three equal classes: a wedge of this half angle and the two halves of
    the rest, cut along its axis."""
    x = np.linspace(-10, 10, 40_001)
    density = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi) * (x[1] - x[0])

    def mass(apex: np.ndarray, half: float) -> float:
        # The wedge opens along the first axis; its apex is a point of the plane.
        reach = np.maximum(x - apex[0], 0) * np.tan(half)
        inside = special.ndtr(apex[1] + reach) - special.ndtr(apex[1] - reach)
        return float(density @ inside)

    low, high = -4.0, 4.0
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if mass(np.array([c, 0.0]), angle) > 1 / 3 else (low, c)
    half = (np.pi - angle) / 2
    axis = np.array([np.cos((np.pi + angle) / 2), np.sin((np.pi + angle) / 2)])
    kept = []
    for each in t:
        first = mass(np.array([c + each / np.sin(angle), 0.0]), angle)
        apex = np.array([c, 0.0]) + axis * each / np.sin(half)
        turned = np.array([apex @ axis, apex @ np.array([-axis[1], axis[0]])])
        kept.append(first + 2 * mass(turned, half))
    return 1 - np.array(kept)


def test_no_partition_tried_is_better_than_the_cones_up_to_the_median() -> None:
    t = np.array([0.05, 0.2, 0.4, 0.487])
    cones = argmax_family_cdf(t, 3)
    assert cones[-1] == pytest.approx(0.5, abs=0.005)
    np.testing.assert_allclose(wedges(t, np.pi / 3), cones, atol=1e-6)
    for angle in np.deg2rad([35, 50, 58, 62, 70, 89]):
        assert np.all(wedges(t, float(angle)) > cones)
    a = special.ndtri(2 / 3)
    slabs = 1 - 2 * special.ndtr(-a - t) - np.maximum(special.ndtr(a - t) * 2 - 1, 0)
    assert np.all(slabs > cones)
    quadrants = 1 - (2 * special.ndtr(-t)) ** 2
    assert np.all(quadrants > argmax_family_cdf(t, 4))


def test_slabs_are_better_than_the_cones_far_out() -> None:
    far = np.array([1.5, 1.6, 2.0, 4.0])
    slabs = 1 - 2 * special.ndtr(-special.ndtri(2 / 3) - far)
    assert (slabs < argmax_family_cdf(far, 3)).tolist() == [False, True, True, True]
    claim = CLAIMS["milman2022/simplex-cones-at-every-distance"]
    assert claim.status is Status.REFUTED
    assert all(holds for _, holds in prove(claim.id))


def test_the_claim_on_cones_at_counted_masses_holds_both_ends() -> None:
    counts = [1300, 1250, 1200, 1100, 1000, 950, 900, 800, 800, 700]
    bound = up_to_median({**EQUAL, "class_masses": [0.1] * 10}, R_LATENT, 0.01)
    exact = np.minimum(argmax_family_cdf(ETA, 10), 0.5)
    assert np.all(np.abs(bound.upper(ETA) - exact) < 1e-3)
    assert np.all(bound.lower(ETA) <= exact + 1e-12)
    assert np.all(bound.upper(ETA) >= exact - 1e-12)
    counted = {**EQUAL, "class_counts": counts}
    del counted["class_masses"]
    bound = up_to_median(counted, R_LATENT, 0.01)
    own = np.minimum(cones_cdf(ETA, np.array(counts) / 10_000), 0.5)
    assert np.all(bound.lower(ETA) <= own)
    assert np.all(bound.upper(ETA) >= own)
    assert (bound.upper(ETA) - bound.lower(ETA)).max() < 0.03
    assert float(bound.upper(np.array(bound.quantile(0.3)))) == pytest.approx(0.3, abs=1e-9)
    assert bound.quantile(0.6) == np.inf
    with pytest.raises(OutOfScopeError, match=r"d \+ 1"):
        up_to_median({**EQUAL, "latent_dimension": 8}, R_LATENT, 0.01)
    with pytest.raises(OutOfScopeError, match=r"may have less than 0\.167"):
        up_to_median({**counted, "class_counts": [99, 99, 0]}, R_LATENT, 0.01)
    with pytest.raises(OutOfScopeError, match=r"may have less than 0\.05 "):
        up_to_median({**counted, "class_counts": [9000, *[111] * 9]}, R_LATENT, 0.01)
    assert least_equal_masses(np.array([0.1, 0.2, 0.3]), np.array([0.9, 0.9, 0.9])).sum() == 1


def test_the_line_of_random_labels_is_the_tangent_of_the_bound() -> None:
    errors = {"errors": {"wrong": 324, "n": 360, "n_classes": 10}}
    bound = random_labels({**EQUAL, **errors}, R_LATENT, 0.01)
    small = np.array([1e-4])
    tangent = cdf_lower_bound(small, LipschitzModulus(1.0), [0.1] * 10)
    assert bound.upper(small) == pytest.approx(tangent, rel=1e-3)
    assert np.all(bound.lower(ETA) >= cdf_lower_bound(ETA, LipschitzModulus(1.0), [0.1] * 10) * 0.5)
    assert float(bound.upper(np.array(9.0))) == 0.5
    assert bound.quantile(0.25) == pytest.approx(0.25 / slope_at_zero(np.full(10, 0.1)))
    learnt = {"errors": {"wrong": 30, "n": 360, "n_classes": 10}}
    with pytest.raises(OutOfScopeError, match="by no chance"):
        random_labels({**EQUAL, **learnt}, R_LATENT, 0.01)


def test_the_best_classifier_is_held_against_half_of_the_bound(view: View) -> None:
    claim = CLAIMS["fawzi2018/bound-within-factor-two"]
    nearness = next(iter(NEARNESS))
    bound = claim.evaluate(EQUAL, nearness, 0.01)
    s = np.array([0.0, 0.5, 2.0, 7.0, np.inf])
    with np.errstate(divide="ignore"):
        eta = FACTOR / s
    expected = 1 - np.maximum(cdf_lower_bound(eta, LipschitzModulus(1.0), [0.1] * 10), 0.25)
    np.testing.assert_allclose(bound.upper(s), expected, atol=1e-12)
    at = bound.quantile(0.4)
    assert float(bound.upper(np.array(at))) == pytest.approx(0.4)
    # The cones themselves satisfy it, and a classifier four times as fragile does not.
    rng = np.random.default_rng(0)
    z = np.sort(rng.standard_normal((4000, 10)), axis=1)
    radii = (z[:, -1] - z[:, -2]) / np.sqrt(2)
    (record, *_) = view.measured("best_classifier")
    for factor, outcome in ((1.0, Outcome.HOLDS), (0.25, Outcome.VIOLATED)):
        inverse = 1 / (factor * radii)
        evidence = {str(nearness): Radii(inverse, inverse)}
        told = [r for r in view.records if not r.evidence]
        found = judge_records([*told, replace(record, evidence=evidence)], 0.05, claim.id)
        assert [v.outcome for v in found] == [outcome]


def test_the_figure_shows_every_verdict_of_a_conjecture(view: View, made: Drawing) -> None:
    verdicts = [
        v for v in view.verdicts if v.status == "conjectured" and v.outcome != Outcome.OUT_OF_SCOPE
    ]
    assert len(made.rows) == len(verdicts)
    assert made.numbers["violated"] == sum(v.outcome == Outcome.VIOLATED for v in verdicts)
    assert made.numbers["undecided"] == sum(v.outcome == Outcome.UNDECIDED for v in verdicts)
    for name in IDS:
        (own, *_) = select(made.rows, claim=name)
        assert own["architecture"]
        largest = max(abs(float(row["relative"] or 0.0)) for row in select(made.rows, claim=name))
        assert largest == pytest.approx(1.0)
    kinds = {row["architecture"] for row in made.rows}
    assert {ALL_PAIRS, SEVERAL, "linear", "mlp"} <= kinds
    assert f"ringed is violated ({made.numbers['violated']})" in made.caption
    (axes,) = made.figure.axes
    rings = [line for line in axes.get_lines() if line.get_markersize() == 6]
    shown = [row for row in made.rows if row["slack"] is not None]
    assert len(rings) == sum(row["outcome"] == Outcome.VIOLATED for row in shown)
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
    assert len(hollow) == sum(row["outcome"] == Outcome.UNDECIDED for row in shown)


def test_without_conjectures_there_is_nothing_to_draw(view: View) -> None:
    silent = view_of(record for record in view.records if not record.evidence)
    with pytest.raises(NothingToDraw, match="no conjecture"):
        slack(silent)


def test_architectures_are_named_by_what_they_are_made_of() -> None:
    assert architecture({"classifiers": []}) == SEVERAL
    family = {"name": "argmax", "label": "argmax-2", "settings": {}}
    assert architecture({"generator": {"name": "identity"}, "classifier": family}) == CLOSED_FORM
    pooled = {"name": "conv", "settings": {"pooling": "median"}}
    assert architecture({"image_classifier": pooled}) == "conv, median"
    filtered = {"name": "mlp", "settings": {"activation": "relu", "median_filter": 3}}
    assert architecture({"image_classifier": filtered}) == "mlp, median filter"
    assert architecture({"generator": {"name": "conv_vae", "settings": {}}}) == "conv vae"
