"""Dry runs: the cells of a preset, and what they may take."""

import re
from pathlib import Path

import pytest
import torch

from empirics import times
from empirics.config import load_preset
from empirics.plan import plan
from empirics.record import Request
from empirics.run import run
from empirics.times import Estimates, note
from theory.command import main


def asked(measure: str, n: int = 1) -> Request:
    return Request("measure", measure, {"n": n}, {}, 0)


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "packaged"
    monkeypatch.setattr(times, "_packaged", lambda: folder)
    return folder


def test_the_same_request_comes_before_like_ones(tmp_path: Path, packaged: Path) -> None:
    del packaged
    for n, seconds in ((1, 5.0), (2, 9.0), (1, 6.0)):
        note(tmp_path, asked("radii", n), "cpu", seconds)
    note(tmp_path, asked("radii", 3), "cuda", 0.5)
    known = Estimates.of(tmp_path, "cpu")
    assert known.seconds(asked("radii", 1)) == (6.0, "same")
    assert known.seconds(asked("radii", 7)) == (6.0, "like")
    assert known.seconds(asked("accuracy")) is None
    assert Estimates.of(tmp_path, "cuda").seconds(asked("radii", 1)) == (0.5, "like")


def test_frozen_times_serve_where_nothing_was_run(tmp_path: Path, packaged: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    note(here, asked("radii"), "cpu", 4.0)
    note(here, asked("modulus"), "cpu", 7.0)
    times.freeze(here, [asked("radii")])
    first = (packaged / "times.jsonl").read_bytes()
    times.freeze(here, [asked("radii")])
    assert (packaged / "times.jsonl").read_bytes() == first
    assert Estimates.of(there, "cpu").seconds(asked("radii")) == (4.0, "same")
    assert Estimates.of(there, "cpu").seconds(asked("modulus")) is None
    note(here, asked("radii"), "cpu", 3.0)
    assert Estimates.of(here, "cpu").seconds(asked("radii")) == (3.0, "same")


def test_a_line_cut_short_is_left_out(tmp_path: Path, packaged: Path) -> None:
    del packaged
    note(tmp_path, asked("radii"), "cpu", 4.0)
    with (tmp_path / "times.jsonl").open("a") as file:
        file.write('{"id": "ab')
    assert Estimates.of(tmp_path, "cpu").seconds(asked("radii")) == (4.0, "same")


def test_a_dry_run_lists_what_a_run_would_do_and_does_nothing(
    tiny_preset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], packaged: Path
) -> None:
    del packaged
    build = tmp_path / "build"
    command = ["run", str(tiny_preset), "--build", str(build), "--device", "cpu", "--dry-run"]
    cells = plan(load_preset(str(tiny_preset)))

    def listed() -> tuple[list[str], str]:
        assert main(command) == 0
        seen = capsys.readouterr()
        return seen.out.splitlines()[1:], seen.err

    lines, total = listed()
    assert len(lines) == len(cells)
    assert all(line.startswith("missing") for line in lines)
    assert f"{len(cells)} of {len(cells)} cells to do on cpu" in total
    assert not build.exists()

    text = tiny_preset.read_text()
    tiny_preset.write_text(re.sub(r"(?s)\[\[family.*", "[measure.accuracy]\nn = 200\n", text))
    part = load_preset(str(tiny_preset))
    run(part, build, torch.device("cpu"))
    tiny_preset.write_text(text)
    lines, total = listed()
    done = {cell.request.id for cell in plan(part)}
    assert [line.startswith("there") for line in lines] == [c.request.id in done for c in cells]
    assert any(re.match(r"missing +\? +unknown +radii", line) for line in lines)
    assert "of unknown length" in total
