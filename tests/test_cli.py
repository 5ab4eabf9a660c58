"""The command: what it prints, where, and how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from theory.claim import CLAIMS
from theory.claims.fawzi2018 import (
    cdf_lower_bound,
    log_survival_upper_bound,
    quantile_upper_bound,
)
from theory.command import main
from theory.modulus import LipschitzModulus

SUBCOMMANDS = (
    *("list", "bound", "prove", "falsify", "replay"),
    *("run", "check", "freeze", "draw", "report", "data"),
)


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
    given = ["eta=0,0.7,inf", "class_masses=0.5,0.3,0.2", "modulus=2.5"]
    assert main(["bound", "fawzi2018/thm1", *given]) == 0
    captured = capsys.readouterr()
    rows = [line.split("\t") for line in captured.out.splitlines()[1:]]
    etas, omega, masses = [0, 0.7, float("inf")], LipschitzModulus(2.5), [0.5, 0.3, 0.2]
    expected = cdf_lower_bound(etas, omega, masses)
    assert [float(row[1]) for row in rows] == expected.tolist()
    logs = log_survival_upper_bound(etas, omega, masses)
    assert [float(row[3]) for row in rows] == logs.tolist()
    assert captured.err == ""


def test_bound_says_what_it_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bound", "fawzi2018/thm1", "class_masses=4", "eta=1"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("modulus = LipschitzModulus(constant=1.0")
    row = captured.out.splitlines()[1].split("\t")
    assert float(row[1]) == float(cdf_lower_bound(1.0, LipschitzModulus(1.0), [0.25] * 4))


def test_bound_inverts_a_law(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["probability=0.25,0.5", "class_masses=10", "modulus=2"]
    assert main(["bound", "fawzi2018/thm1", *given]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "probability\teta <="
    expected = quantile_upper_bound([0.25, 0.5], LipschitzModulus(2.0), [0.1] * 10)
    assert [float(line.split("\t")[1]) for line in lines[1:]] == expected.tolist()


@pytest.mark.parametrize("name", [n for n, claim in CLAIMS.items() if claim.bound is not None])
def test_every_formula_is_evaluated_at_its_standard_point(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bound", name]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert len(head.split("\t")) == len(row.split("\t")) >= 3
    bound = CLAIMS[name].bound
    assert bound is not None
    assert float(row.split("\t")[1]) == float(bound.value(**bound.standard()))


BAD = [
    (["falsify", "fawzi2018/thm3"], "no exact law of r_joint[l2] is known"),
    (["falsify"], "name a claim, or a file of one after --claims"),
    (["replay", "nothing.json"], "nothing.json: No such file"),
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
    (["bound", "fawzi2018/thm", "eta=1"], "did you mean 'fawzi2018/thm"),
    (["bound", "fawzi2018/thm1", "class_masses=0.5,0.6"], "must sum to 1"),
    (["bound", "fawzi2018/thm1", "class_masses=-0.5,1.5"], "must lie in [0, 1]"),
    (["bound", "fawzi2018/thm1", "class_masses=0"], "must sum to 1"),
    (["bound", "fawzi2018/thm1", "eta=-1"], "at least 0"),
    (["bound", "fawzi2018/thm1", "eta=nan"], "at least 0"),
    (["bound", "fawzi2018/thm1", "eta=one"], "eta: expected a number, got 'one'"),
    (["bound", "fawzi2018/thm1", "etta=1"], "no parameter 'etta': did you mean 'eta'?"),
    (["bound", "fawzi2018/thm1", "eta"], "expected name=value, got 'eta'"),
    (["bound", "fawzi2018/thm1", "eta=1", "probability=0.5"], "either probability or eta"),
    (["bound", "fawzi2018/thm1", "probability=2"], "probability must lie in [0, 1]"),
    (["bound", "fawzi2018/thm1", "modulus=-2"], "must be finite and >= 0"),
    (["bound", "fawzi2018/thm1-equiprobable", "n_classes=4"], "at least 5 classes, got 4"),
    (["bound", "fawzi2018/unconstrained-below-in-distribution"], "is no formula"),
    (["prove", "fawzi2018/thm9"], "did you mean 'fawzi2018/thm"),
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
    assert main(["check", preset, "--build", build, "--test", "grid"]) == 0
    by_grid = json.loads((tiny_preset.parent / "build" / "verdicts.json").read_text())
    # 60 points: the grid is declared, and reaches other distances than the band does.
    laws = [v for v in by_grid if v["alpha"] and v["outcome"] != "OUT OF SCOPE"]
    assert {v["outcome"] for v in laws} <= {"HOLDS", "UNDECIDED"}
    assert [v["reason"] for v in by_grid] != [v["reason"] for v in verdicts]


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "import sys; from theory.command import main; sys.exit(main(['list']))"
    line = f'"{sys.executable}" -c "{code}" | true'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
