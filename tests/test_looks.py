"""Repeated looks: what each may spend, what is kept of them, and errors over many of them."""

from pathlib import Path

import numpy as np
import pytest
from scipy import special

from empirics.judge import judge_records, read_looks, write_looks
from tests.planted import HALF_SPACE, LATENT, half_space_law, half_space_radii, plant, record
from theory.claim import CLAIMS, Kind, Relation
from theory.errors import InputError
from theory.evidence import Interval, Radii
from theory.looks import Key, Ledger, Look, fingerprint, share_left, share_of_look
from theory.statistics import clopper_pearson

KEY = Key("vae · mlp 0123", "fawzi2018/thm1", "r_in[l2]")


@pytest.fixture(autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test plants is gone after it."""
    assert len(CLAIMS)
    monkeypatch.setattr(CLAIMS, "_items", dict(CLAIMS._items))


def test_looks_never_spend_more_than_there_is() -> None:
    shares = [share_of_look(k) for k in range(1, 2001)]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) < 1 < sum(shares) + 1 / 2000
    assert share_left(2000) == pytest.approx(1 - sum(shares), abs=1e-12)
    with pytest.raises(ValueError, match="number 1"):
        share_of_look(0)


@pytest.mark.parametrize("cumulative", [False, True])
def test_over_twenty_looks_a_true_claim_is_seldom_ever_violated(cumulative: bool) -> None:
    """P(r <= 1) >= 1/2, where it is 1/2: refuted where an exact upper limit is below 1/2."""
    rng, alpha, runs, looks, n = np.random.default_rng(0), 0.2, 3000, 20, 150
    counts = rng.binomial(n, 0.5, size=(runs, looks))
    sizes = np.full(looks, n)
    if cumulative:
        counts, sizes = counts.cumsum(axis=1), sizes.cumsum()

    def ever(spent: bool) -> float:
        refuted = np.zeros(runs, dtype=bool)
        for k in range(looks):
            level = alpha * (share_of_look(k + 1) if spent else 1.0)
            limits = clopper_pearson(np.arange(sizes[k] + 1), int(sizes[k]), level, "upper")[1]
            refuted |= (limits < 0.5)[counts[:, k]]
        return float(refuted.mean())

    margin = 3 * np.sqrt(alpha * (1 - alpha) / runs)
    assert 0.1 * alpha < ever(spent=True) <= alpha + margin
    assert ever(spent=False) > 2 * alpha


def test_judging_again_and_again_spends_its_level_once() -> None:
    claim = plant(Kind.LAW, Relation.AT_LEAST, half_space_law(), LATENT)
    runs, looks, alpha = 25, 20, 0.5
    violated = {True: 0, False: 0}
    for run in range(runs):
        for kept in violated:
            ledger = Ledger()
            outcomes = []
            for k in range(looks):
                seed = looks * run + k
                seen = record({LATENT: half_space_radii(40, seed)}, HALF_SPACE, seed=seed)
                (verdict,) = judge_records([seen], alpha, claim.id, looks=ledger if kept else None)
                outcomes.append(verdict.outcome)
                expected = alpha * (share_of_look(k + 1) if kept else 1.0)
                assert verdict.alpha_spent == pytest.approx(expected)
            violated[kept] += "VIOLATED" in outcomes
    assert violated[True] <= alpha * runs
    assert violated[False] > 0.9 * runs


def test_the_same_evidence_is_the_same_look(tmp_path: Path) -> None:
    claim = plant(Kind.LAW, Relation.AT_LEAST, half_space_law(), LATENT)
    first, second = (
        record({LATENT: half_space_radii(100, seed)}, HALF_SPACE, seed=seed) for seed in (0, 1)
    )
    ledger = Ledger()
    seen = [
        judge_records([each], 0.05, claim.id, looks=ledger)[0].alpha_spent
        for each in (first, second, first, second)
    ]
    assert seen[0] == seen[2] == pytest.approx(0.05 * share_of_look(1))
    assert seen[1] == seen[3] == pytest.approx(0.05 * share_of_look(2))
    # Other facts that were drawn, or another test of the same radii, are another look.
    counted = record({LATENT: half_space_radii(100, 0)}, {"class_counts": [40, 60]} | HALF_SPACE)
    judge_records([counted], 0.05, claim.id, looks=ledger)
    judge_records([first], 0.05, claim.id, "grid", looks=ledger)
    (key,) = ledger
    assert len(ledger.looks(key)) == 4
    # What is kept in a file goes on from there.
    path = tmp_path / "looks.json"
    assert list(read_looks(path)) == []
    write_looks(path, ledger)
    again = read_looks(path)
    assert again.to_json() == ledger.to_json()
    assert again.looks(key) == ledger.looks(key)
    assert again.look(key, ledger.looks(key)[1].fingerprint) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 9, "cells": []}', "\xff"])
def test_what_is_no_ledger_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "looks.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"looks\.json: "):
        read_looks(path)


def test_an_outcome_that_turns_says_what_has_changed() -> None:
    claim = plant(Kind.LAW, Relation.AT_LEAST, half_space_law(), LATENT)
    ledger = Ledger()

    def look(n: int, seed: int, longer: float) -> tuple[str, str]:
        seen = record(
            {LATENT: half_space_radii(n, seed, longer)}, HALF_SPACE, seed=seed, n=n, effort="quick"
        )
        (verdict,) = judge_records([seen], 0.05, claim.id, looks=ledger)
        assert verdict.effort == "quick"
        return verdict.outcome, verdict.reason

    assert look(1000, 0, 0.5)[0] == "HOLDS"
    outcome, reason = look(4000, 1, 1.5)
    assert outcome == "VIOLATED"
    assert (
        "look 2: n 1,000 -> 4,000, seed 0 -> 1 since look 1, which said HOLDS; alpha 0.0076 of 0.05"
        " for this look, 0.012 left for later ones; another seed trains another network"
    ) in reason
    outcome, reason = look(5000, 1, 0.5)
    assert outcome == "HOLDS"
    assert "look 3: n 4,000 -> 5,000, seed 1 -> 0" not in reason
    assert "look 3: n 4,000 -> 5,000 since look 2, which said VIOLATED" in reason
    # Undecided in between is no turn, and the last that was decided is remembered.
    assert "look" not in look(20, 2, 1.0)[1]
    assert "since look 3, which said HOLDS" in look(4000, 3, 1.5)[1]


def test_numbers_that_contradict_each_other_are_told() -> None:
    def bound(facts: object, quantity: object) -> float:
        """Two."""
        return 2.0

    claim = plant(Kind.SCALAR, Relation.AT_MOST, bound, "size")
    ledger = Ledger()
    ends = ((1.0, 1.5), (2.5, 3.0), (1.0, 1.5))
    verdicts = [
        judge_records(
            [record({"size": Interval(*own)}, n=n, effort=effort)], 0.05, claim.id, looks=ledger
        )[0]
        for own, n, effort in zip(ends, (1, 2, 3), ("quick", "thorough", "quick"), strict=True)
    ]
    assert [v.outcome for v in verdicts] == ["HOLDS", "VIOLATED", "HOLDS"]
    assert {v.alpha_spent for v in verdicts} == {None}
    assert "look" not in verdicts[0].reason
    assert (
        "look 2: effort quick -> thorough since look 1, which said HOLDS; nothing here is random:"
        " one of the two records is wrong"
    ) in verdicts[1].reason
    (key,) = ledger
    assert [look.alpha for look in ledger.looks(key)] == [0, 0, 0]


def test_a_look_keeps_the_most_that_it_spent() -> None:
    ledger = Ledger()
    assert ledger.look(KEY, "a") == 1
    ledger.settle(KEY, Look("a", 0.03, "HOLDS"))
    ledger.settle(KEY, Look("a", 0.01, "UNDECIDED"))
    assert ledger.looks(KEY) == (Look("a", 0.03, "UNDECIDED"),)
    assert ledger.turned(KEY, Look("a", 0.0, "HOLDS")) is None
    assert fingerprint(["x", "y"]) == fingerprint(["y", "x"]) != fingerprint(["x"])


def test_the_level_of_a_look_is_that_of_an_error_function() -> None:
    """The planted law is what it says: |z_1| has the distribution function erf(eta / sqrt 2)."""
    bound = half_space_law(2.0)({}, None, 0.05)
    eta = np.linspace(0, 3, 7)
    np.testing.assert_allclose(bound.lower(eta), special.erf(eta / 2 / np.sqrt(2)))
    assert float(bound.upper(np.array(bound.quantile(0.3)))) == pytest.approx(0.3)
    assert isinstance(half_space_radii(3, 0), Radii)
