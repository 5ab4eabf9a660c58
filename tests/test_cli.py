"""The command: what it prints, where, and how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from theory.claims.fawzi2018 import cdf_lower_bound
from theory.command import main
from theory.modulus import LipschitzModulus

SUBCOMMANDS = ("list", "bound", "run", "check", "freeze", "draw", "report", "data")


def test_help_names_every_command_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for name in SUBCOMMANDS:
        assert f"advbounds {name}" in text


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_of_a_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert "example:\n  advbounds " in capsys.readouterr().out


def test_list_names_the_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "fawzi"]) == 0
    out = capsys.readouterr().out
    assert "fawzi2018/thm1 " in out
    assert "szegedy" not in out


def test_bound_prints_the_values_to_the_last_digit(capsys: pytest.CaptureFixture[str]) -> None:
    masses = ["0.5", "0.3", "0.2"]
    arguments = ["bound", "fawzi2018/thm1", "--masses", *masses, "--eta", "0", "0.7", "inf"]
    assert main([*arguments, "--lipschitz", "2.5"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
    expected = cdf_lower_bound([0, 0.7, float("inf")], LipschitzModulus(2.5), [0.5, 0.3, 0.2])
    assert [float(value) for _, value in rows] == expected.tolist()


BAD = [
    (["run", "deafult"], "unknown preset 'deafult': did you mean 'default'?"),
    (["run", "no.toml"], "no.toml: no such preset file"),
    (["run", "smoke", "--device", "tpu"], "unknown device 'tpu'"),
    (["run", "smoke", "--data", "mnits"], "unknown data set"),
    (["check", "smoke", "--build", "nowhere"], "`advbounds run smoke` makes them"),
    (["draw", "smoke", "--build", "nowhere"], "`advbounds run smoke` makes them"),
    (["report", "smoke", "--build", "nowhere"], "`advbounds run smoke` makes them"),
    (["freeze", "smoke", "--build", "nowhere"], "`advbounds run smoke` makes them"),
    (["check", "smoke", "--alpha", "2"], "--alpha must lie in (0, 0.5], got 2.0"),
    (["list", "nothing"], "no claim has 'nothing' in its id"),
    (["bound", "fawzi2018/thm", "--classes", "3", "--eta", "1"], "did you mean 'fawzi2018/thm1'?"),
    (["bound", "fawzi2018/thm1", "--masses", "0.5", "0.6", "--eta", "1"], "must sum to 1"),
    (["bound", "fawzi2018/thm1", "--masses", "-0.5", "1.5", "--eta", "1"], "must lie in [0, 1]"),
    (["bound", "fawzi2018/thm1", "--classes", "0", "--eta", "1"], "--classes must be at least 1"),
    (["bound", "fawzi2018/thm1", "--classes", "3", "--eta", "-1"], "at least 0"),
    (["bound", "fawzi2018/thm1", "--classes", "3", "--eta", "nan"], "at least 0"),
    (
        ["bound", "fawzi2018/thm1", "--classes", "3", "--eta", "1", "--lipschitz", "-2"],
        "must be finite and >= 0",
    ),
    (
        ["bound", "fawzi2018/thm1", "--classes", "3", "--eta", "1", "--quantity", "r_in[linf]"],
        "says nothing of 'r_in[linf]'",
    ),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("advbounds: error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there(
    device: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert main(["run", "smoke", "--device", device]) == 2
    assert f"device '{device}' is not available here" in capsys.readouterr().err


def test_a_full_round(tiny_preset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = str(tiny_preset.parent / "build")
    preset = str(tiny_preset)
    assert main(["run", preset, "--build", build, "--device", "cpu"]) == 0
    assert main(["check", preset, "--build", build, "--claims", "fawzi2018/*"]) == 0
    table = capsys.readouterr().out
    verdicts = json.loads((tiny_preset.parent / "build" / "verdicts.json").read_text())
    assert len(table.splitlines()) == len(verdicts) + 1
    assert {v["claim"].split("/")[0] for v in verdicts} == {"fawzi2018"}
    assert main(["check", preset, "--build", build, "--claims", "nobody/*"]) == 2


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "import sys; from theory.command import main; sys.exit(main(['list']))"
    line = f'"{sys.executable}" -c "{code}" | true'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
