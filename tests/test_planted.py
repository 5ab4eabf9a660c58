"""A false theorem, a wrong certificate and a weak attack are each caught by the judging."""

import hashlib
import io
import json
from typing import Any

import numpy as np
import pytest

from empirics.judge import judge_records, theorem_violated
from empirics.record import Record
from empirics.verdicts import Verdict
from tests.planted import HALF_SPACE, LATENT, half_space_law, half_space_radii, plant, record
from theory.claim import CLAIMS, Kind, Relation, Status
from theory.evidence import Interval, Radii

AT_MOST, AT_LEAST = Relation.AT_MOST, Relation.AT_LEAST
PROVED, CONJECTURED = Status.PROVED, Status.CONJECTURED
TIGHT = "fawzi2018/thm1"


@pytest.fixture(autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test plants is gone after it."""
    assert TIGHT in CLAIMS
    monkeypatch.setattr(CLAIMS, "_items", dict(CLAIMS._items))


def only(records: list[Record], claim: str, quantity: str = "") -> Verdict:
    (verdict,) = (
        v for v in judge_records(records, 0.05, claim) if not quantity or v.quantity == quantity
    )
    return verdict


def number(value: float) -> Any:  # noqa: ANN401
    def bound(facts: object, quantity: object) -> float:
        """A number."""
        return value

    return bound


EXACT = half_space_radii(2000, 1)
FALSE: dict[str, tuple[Kind, Relation, Any, str, dict[str, Any]]] = {
    # The law of |z_1| / 2, the mean 0.5 < E|z_1| = 0.798, numbers beyond the evidence.
    "law": (Kind.LAW, AT_LEAST, half_space_law(0.5), LATENT, {LATENT: EXACT}),
    "mean": (
        Kind.MEAN,
        AT_MOST,
        lambda facts, quantity, alpha: Interval(0.5, 0.5),
        LATENT,
        {LATENT: EXACT},
    ),
    "scalar": (Kind.SCALAR, AT_MOST, number(2.0), "size", {"size": Interval(2.1, 3.0)}),
    "whole": (Kind.COMBINATORIAL, AT_LEAST, number(11), "count", {"count": Interval(9, 10)}),
    "pointwise": (
        Kind.POINTWISE,
        AT_MOST,
        lambda facts: None,
        "one <= two",
        {"one": Radii(np.array([1.0, 3.0]), np.full(2, 4.0)), "two": Radii(np.ones(2), np.ones(2))},
    ),
}


@pytest.mark.parametrize("status", [PROVED, CONJECTURED])
@pytest.mark.parametrize("name", FALSE)
def test_a_false_theorem_is_a_bug_and_a_false_conjecture_a_result(
    name: str, status: Status
) -> None:
    kind, relation, evaluate, quantity, evidence = FALSE[name]
    claim = plant(kind, relation, evaluate, quantity, status)
    verdicts = judge_records([record(evidence, HALF_SPACE)], 0.05, claim.id)
    assert [v.outcome for v in verdicts] == ["VIOLATED"]
    assert verdicts[0].to_decide == ""
    assert theorem_violated(verdicts) is (status is PROVED)


@pytest.mark.parametrize("status", [PROVED, CONJECTURED])
def test_a_false_comparison_is_caught(status: Status) -> None:
    claim = plant(Kind.COMPARISON, AT_LEAST, lambda one, two, quantity: None, LATENT, status)
    pair = [
        record({LATENT: half_space_radii(400, 1)}, classifier="near"),
        record({LATENT: half_space_radii(400, 2, 2.0)}, classifier="far"),
    ]
    verdicts = judge_records(pair, 0.05, claim.id)
    found = {v.subject: v.outcome for v in verdicts if "all" not in v.subject}
    assert found == {"near vs far": "VIOLATED", "far vs near": "HOLDS"}
    assert theorem_violated(verdicts) is (status is PROVED)


def test_the_planted_are_gone_where_nothing_was_planted() -> None:
    assert not [name for name in CLAIMS if name.startswith("planted")]


def test_true_theorems_stand_beside_them() -> None:
    verdict = only([record({LATENT: EXACT}, HALF_SPACE)], TIGHT)
    assert verdict.outcome == "UNDECIDED"
    assert "no number of them decides on a law that meets the bound" in verdict.to_decide


def test_an_interval_that_ends_before_it_begins_is_no_evidence() -> None:
    with pytest.raises(ValueError, match=r"1 radii are not intervals; point 1 has lower .*3\.0"):
        Radii(np.array([0.0, 3.0]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="needs lower <= upper"):
        Interval(1.0, 0.5)
    # Nor is it read from a file whose sums agree.
    data, packed = record({LATENT: half_space_radii(3, 0)}).to_parts()
    with np.load(io.BytesIO(packed)) as stored:
        arrays = dict(stored)
    arrays[f"{LATENT}.lower"] = arrays[f"{LATENT}.upper"] + 1
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    changed = buffer.getvalue()
    digest = hashlib.sha256(changed).hexdigest()
    read = json.loads(json.dumps(data)) | {"arrays_sha256": digest}
    with pytest.raises(ValueError, match="3 radii are not intervals"):
        Record.from_parts(read, changed)


@pytest.mark.parametrize("wrong", [1, 50])
def test_a_certificate_beyond_another_quantitys_attack_violates_the_order(wrong: int) -> None:
    claim = "fawzi2018/unconstrained-below-in-distribution"
    found = np.linspace(1.0, 2.0, 50)
    certified = np.where(np.arange(50) < wrong, found + 0.5, 0.9 * found)
    sound = {"r_unc[l2]": Radii(0.9 * found, found), "r_in[l2]": Radii(found, found)}
    planted = sound | {"r_unc[l2]": Radii(certified, found + 1.0)}
    assert only([record(sound)], claim).outcome == "HOLDS"
    verdicts = judge_records([record(planted)], 0.05, claim)
    assert [v.outcome for v in verdicts] == ["VIOLATED"]
    assert f"at {wrong} of 50 points" in verdicts[0].reason
    assert theorem_violated(verdicts)


def test_a_certificate_beyond_the_true_distance_violates_the_tight_law() -> None:
    too_long = EXACT.lower * np.where(np.arange(2000) % 5 < 3, 1.5, 1.0)
    verdicts = judge_records([record({LATENT: Radii(too_long, too_long)}, HALF_SPACE)], 0.05, TIGHT)
    assert [v.outcome for v in verdicts] == ["VIOLATED"]
    assert "certificates for" in verdicts[0].reason
    assert theorem_violated(verdicts)


WEAK = Radii(np.zeros(2000), np.where(np.arange(2000) % 2 == 0, 50 * EXACT.upper, np.inf))


@pytest.mark.parametrize(
    ("kind", "relation", "evaluate", "quantity", "evidence"),
    [
        (Kind.LAW, AT_LEAST, half_space_law(), LATENT, {LATENT: WEAK}),
        (*FALSE["mean"][:4], {LATENT: WEAK}),
        (Kind.SCALAR, AT_MOST, number(2.0), "size", {"size": Interval(0.0, 1e6)}),
        (Kind.SCALAR, AT_LEAST, number(2.0), "size", {"size": Interval(0.0, 1e6)}),
        (Kind.COMBINATORIAL, AT_MOST, number(2), "count", {"count": Interval(0, 784)}),
        (Kind.COMBINATORIAL, AT_LEAST, number(2), "count", {"count": Interval(1, np.inf)}),
        (Kind.POINTWISE, AT_MOST, lambda facts: None, "a <= b", {"a": WEAK, "b": EXACT}),
        (Kind.POINTWISE, AT_MOST, lambda facts: None, "a <= b", {"a": EXACT, "b": WEAK}),
    ],
)
def test_a_weak_attack_decides_nothing(
    kind: Kind,
    relation: Relation,
    evaluate: Any,  # noqa: ANN401
    quantity: str,
    evidence: dict[str, Any],
) -> None:
    claim = plant(kind, relation, evaluate, quantity, PROVED)
    verdicts = judge_records([record(evidence, HALF_SPACE)], 0.05, claim.id)
    assert [v.outcome for v in verdicts] == ["UNDECIDED"]
    assert verdicts[0].to_decide
    assert not theorem_violated(verdicts)


def test_a_weak_attack_on_one_side_decides_no_comparison_but_of_what_was_found() -> None:
    said: Any = lambda one, two, quantity: None  # noqa: E731
    true = plant(Kind.COMPARISON, AT_LEAST, said, LATENT, PROVED)
    found = plant(Kind.COMPARISON, AT_LEAST, said, f"found_{LATENT}")
    attacked = Radii(0 * EXACT.upper, EXACT.upper)
    pair = [record({LATENT: WEAK}, classifier="a"), record({LATENT: attacked}, classifier="b")]
    assert {v.outcome for v in judge_records(pair, 0.05, true.id)} == {"UNDECIDED"}
    outcomes = {v.subject: v.outcome for v in judge_records(pair, 0.05, found.id)}
    assert outcomes["a vs b"] == "HOLDS"
    assert outcomes["b vs a"] == "VIOLATED"
