"""The committed records are those of today's preset, are judged alike, and are small."""

from importlib import resources

import pytest

from empirics.check import judge_records
from empirics.config import load_preset
from empirics.plan import plan
from empirics.store import read_frozen
from theory.evidence import Radii

FROZEN = sorted(
    item.name.removesuffix(".jsonl")
    for item in (resources.files("empirics") / "frozen").iterdir()
    if item.name.endswith(".jsonl")
)


def test_the_main_job_and_its_companions_are_frozen() -> None:
    assert {"default", *load_preset("default").companions} <= set(FROZEN)


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_records_are_those_of_the_preset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records = read_frozen(name)
    assert records is not None
    # A request names the variant of its data set, which need not be here for its id.
    variants = {d["name"]: d["variant"] for r in records if (d := r.request.subject.get("data"))}
    monkeypatch.setattr("empirics.plan.locate", variants.__getitem__)
    wanted = [c.request.id for c in plan(load_preset(name)) if c.request.action == "measure"]
    assert [record.id for record in records] == wanted


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_records_are_small_and_whole(name: str) -> None:
    path = resources.files("empirics") / "frozen" / f"{name}.jsonl"
    assert len(path.read_bytes()) < 3 * 2**19
    for record in read_frozen(name) or []:
        for seen in record.evidence.values():
            if isinstance(seen, Radii) and record.request.plugin == "radii":
                assert seen.n >= 1000


def test_no_theorem_is_violated_by_the_main_job() -> None:
    records = read_frozen("default") or []
    outcomes = {(v.status, v.outcome) for v in judge_records(records, 0.05)}
    assert ("proved", "VIOLATED") not in outcomes
    assert ("proved", "HOLDS") in outcomes
