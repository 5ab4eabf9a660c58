"""Witnesses and journals: they replay and go on to the last bit, and refuse what was changed."""

import argparse
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.falsehoods import PLANTED, TINY, loaded, searched
from theory import claim_files
from theory.claim import CLAIMS
from theory.command import EXIT_FINE, EXIT_VIOLATED
from theory.errors import InputError
from theory.falsify.cli import COMMANDS
from theory.falsify.search import EFFORTS, Effort
from theory.falsify.witness import _checksum, replay, witness


@pytest.fixture(scope="module", autouse=True)
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of false claims, loaded."""
    with loaded(tmp_path_factory.mktemp("claims")) as path:
        yield path


@pytest.fixture(scope="module")
def below() -> Any:  # noqa: ANN401
    example, _ = searched("planted/below")
    assert example is not None
    return example


def run(name: str, *given: str) -> int:
    """Run a sub-command as the installed command does."""
    (command,) = [each for each in COMMANDS if each.name == name]
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.run(parser.parse_args(given))


def stored(folder: Path, example: Any, **changes: Any) -> Path:  # noqa: ANN401
    content = witness(example, 0, "quick") | changes
    path = folder / "witness.json"
    path.write_text(json.dumps(content))
    return path


def checksum(content: dict[str, Any]) -> dict[str, Any]:

    rest = {key: value for key, value in content.items() if key != "sha256"}
    return rest | {"sha256": _checksum(rest)}


def test_a_witness_replays_to_the_last_bit(below: Any, tmp_path: Path) -> None:  # noqa: ANN401
    again = replay(stored(tmp_path, below)).example
    assert again.specimen.weights.tolist() == below.specimen.weights.tolist()
    assert again.found == below.found
    assert again.verified == below.verified
    assert witness(again, 0, "quick") == witness(below, 0, "quick")


def test_tampered_witnesses_are_refused(below: Any, tmp_path: Path) -> None:  # noqa: ANN401
    good = witness(below, 0, "quick")
    weights = [str(Fraction(each) + (i == 2)) for i, each in enumerate(good["weights"])]
    for changes, says in (
        ({"weights": weights}, "the witness was changed"),
        (checksum(good | {"weights": weights}), "does not replay"),
        (checksum(good | {"weights": good["weights"][1:]}), "bad witness: 7 weights are needed"),
        (checksum(good | {"weights": ["one"] * 7}), "bad witness"),
        (checksum(good | {"structure": {}}), "bad witness: an architecture has the fields"),
        (checksum(good | {"found": {}}), "bad witness"),
        (checksum(good | {"laboratory": "kitchen"}), "is not tried on"),
        (checksum(good | {"claim": {"id": "planted/gone", "file": None}}), "unknown claim"),
        (checksum(good | {"claim": 3}), "it names no claim"),
        ({"format": "something else"}, "its format is not"),
        ({"more": 1}, "'more' is missing or does not belong there"),
    ):
        with pytest.raises(InputError, match=says):
            replay(stored(tmp_path, below, **changes))
    (tmp_path / "text").write_text("no JSON")
    with pytest.raises(InputError, match="no witness"):
        replay(tmp_path / "text")
    with pytest.raises(InputError, match="No such file"):
        replay(tmp_path / "nothing")


def test_the_file_of_a_claim_is_asked_for(
    planted: Path,
    below: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    path = stored(tmp_path, below)
    monkeypatch.setattr(
        CLAIMS, "_items", {k: v for k, v in CLAIMS._items.items() if not k.startswith("planted")}
    )
    monkeypatch.setattr(claim_files, "_LOADED", {})
    with pytest.raises(InputError, match=r"a claim of planted\.py: name it after --claims"):
        run("replay", str(path))
    other = tmp_path / "planted.py"
    other.write_text(PLANTED + "\n# changed\n")
    assert run("replay", str(path), "--claims", str(other)) == EXIT_FINE


def test_a_killed_search_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    first, tally = searched("planted/below", journal=whole)
    lines = whole.read_text().splitlines(keepends=True)
    assert len(lines) > 2
    cut.write_text("".join(lines[:2]) + lines[2][: len(lines[2]) // 2])
    tried: list[int] = []
    again, later = searched(
        "planted/below", journal=cut, progress=lambda tally: tried.append(tally.structures)
    )
    assert again is not None
    assert again.specimen.weights.tolist() == first.specimen.weights.tolist()
    assert whole.read_bytes() == cut.read_bytes()
    assert later == tally
    # The first structure was read, not searched again.
    assert len(tried) == len(lines) - 2


def test_a_journal_of_another_claim_is_begun_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    searched("planted/below", journal=journal)
    whole = journal.read_text()
    head, _, rest = whole.partition("\n")
    changed = head.replace(f'"source": "{json.loads(head)["source"]}"', '"source": "another"')
    journal.write_text(changed + "\n" + rest.replace("null", "[]"))
    searched("planted/below", journal=journal)
    assert journal.read_text() == whole


def test_each_find_is_kept_before_it_is_shrunk() -> None:
    kept: list[Any] = []
    example, _ = searched("planted/below", found=kept.append)
    assert kept
    assert all(each.verified.violated for each in kept)
    assert len(example.specimen.weights) <= min(len(each.specimen.weights) for each in kept)


def test_the_commands(
    planted: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(EFFORTS, "quick", TINY)
    out = ["--effort", "quick", "--out", str(tmp_path)]
    assert run("falsify", "planted/theorem", "--claims", str(planted), *out) == EXIT_VIOLATED
    captured = capsys.readouterr()
    path = tmp_path / "planted.theorem.json"
    assert captured.out.startswith("planted/theorem: VIOLATED: r_in[l2] is ")
    assert f"witness {path}" in captured.out
    assert "planted/theorem is a theorem: a bug" in captured.err
    assert run("replay", str(path)) == EXIT_VIOLATED
    assert capsys.readouterr().out.splitlines()[0] == captured.out.splitlines()[0]
    assert run("falsify", "milman2022/isoperimetric-slope", *out) == EXIT_FINE
    assert "no counterexample in " in capsys.readouterr().out
    monkeypatch.setitem(EFFORTS, "quick", Effort(1, 1, 1))
    with pytest.raises(InputError, match="no specimen is in scope: its formula returns NaN"):
        run("falsify", "planted/nan", *out)
    with pytest.raises(InputError, match="has several claims: name one of planted/below, "):
        run("falsify", "--claims", str(planted))
    with pytest.raises(InputError, match="name a claim, or a file"):
        run("falsify")
    with pytest.raises(InputError, match="--seed must be at least 0"):
        run("falsify", "planted/below", "--seed", "-1")
