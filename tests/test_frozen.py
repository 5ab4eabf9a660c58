"""The committed records are those of today's preset, are judged alike, and are small."""

from importlib import resources
from pathlib import Path

import pytest

from empirics.config import load_preset
from empirics.judge import judge_records
from empirics.plan import plan
from empirics.store import frozen_path, read_frozen
from theory.errors import InputError
from theory.evidence import Radii

FROZEN = sorted(
    item.name.removesuffix(".jsonl.xz")
    for item in (resources.files("empirics") / "frozen").iterdir()
    if item.name.endswith(".jsonl.xz")
)


def test_the_main_job_its_companions_and_its_chapters_are_frozen() -> None:
    preset = load_preset("default")
    assert {"default", *preset.companions, *preset.chapters} <= set(FROZEN)


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_records_are_those_of_the_preset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records = read_frozen(name)
    assert records is not None
    # A request names the variant of its data set, which need not be here for its id.
    variants = {d["name"]: d["variant"] for r in records if (d := r.request.subject.get("data"))}
    monkeypatch.setattr("empirics.plan.locate", variants.__getitem__)
    asked = [cell.request for cell in plan(load_preset(name))]
    measured = [request.id for request in asked if request.action == "measure"]
    assert [r.id for r in records if r.request.action == "measure"] == measured
    # Trainings are kept with them, all or none.
    trained = [request.id for request in asked if request.action == "train"]
    assert [r.id for r in records if r.request.action == "train"] in ([], trained)


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_records_are_small_and_whole(name: str) -> None:
    assert len(frozen_path(name).read_bytes()) < 2**20
    for record in read_frozen(name) or []:
        for seen in record.evidence.values():
            if isinstance(seen, Radii) and record.request.plugin == "radii":
                assert seen.n >= 1000


def test_no_theorem_is_violated_by_the_main_job() -> None:
    records = read_frozen("default") or []
    outcomes = {(v.status, v.outcome) for v in judge_records(records, 0.05)}
    assert ("proved", "VIOLATED") not in outcomes
    assert ("proved", "HOLDS") in outcomes


def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cut.jsonl.xz"
    path.write_bytes(frozen_path("depth").read_bytes()[:-40])
    monkeypatch.setattr("empirics.store.frozen_path", lambda _: path)
    with pytest.raises(InputError, match=r"cut\.jsonl\.xz: damaged file"):
        read_frozen("cut")
