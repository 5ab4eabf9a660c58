"""The command `advbounds check --model`: its report, its exit codes, its refusals."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from empirics.checking import check
from empirics.checking.efforts import Effort
from figures import check_report
from figures.check_report import check_markdown
from theory.claim import CLAIMS
from theory.command import main

NET = """
from torch import nn


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 10))


def broken():
    return nn.Linear(64, nobody)
"""
FEW = Effort(
    "few",
    measures={"lipschitz": {"splits": 0, "starts": 1, "steps": 4}},
    training={"steps": 40},
    teacher={},
    generators={},
    left_out=("modulus",),
)
CLAIM = '''
from theory.claim import Kind, Quantity, Ref, Relation, {status}


@{status}(
    "mine/{name}",
    kind=Kind.SCALAR,
    quantities=(Quantity("lipschitz", "l2->l2"),),
    relation=Relation.{relation},
    ref=Ref("mine", "Mine", "planted"),
    setting="Let $L$ be the Lipschitz constant of $f$",
)
def {name}(facts, quantity):
    """The Lipschitz constant of every network is below what was seen of this one."""
    return {value}
'''


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every effort be the least one that goes through every step."""
    monkeypatch.setattr(check, "effort_of", lambda _: FEW)


@pytest.fixture
def model(tmp_path: Path) -> list[str]:
    """The arguments that name a model with weights."""
    (tmp_path / "net.py").write_text(NET)
    torch.manual_seed(1)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 10))
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    named, weights = f"{tmp_path}/net.py:net", str(tmp_path / "w.safetensors")
    return ["check", "--model", named, "--weights", weights, "--data", "digits"]


def planted(folder: Path, status: str, relation: str, value: float) -> list[str]:
    name = f"{status}_{relation}".lower()
    path = folder / f"{name}.py"
    path.write_text(CLAIM.format(status=status, name=name, relation=relation, value=value))
    return ["--claims", str(path)]


@pytest.mark.usefixtures("few")
def test_it_writes_verdicts_report_figures_and_records(
    model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [*model, "--device", "cpu", "--out", str(out), "--claims", "szegedy2014/*"]
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0].split()[:2] == ["outcome", "claim"]
    assert "szegedy2014/product-of-norms" in told.out
    assert f"net, {out}: 1 UNDECIDED" in told.err
    report = (out / "report.md").read_text()
    assert report.startswith("# net on digits")
    assert "trained here" not in report
    assert "piecewise linear: yes" in report
    assert "this is no better than chance" in report
    assert "## The claims in full" in report
    page = (out / "report.html").read_text()
    assert '<td class="undecided">UNDECIDED</td>' in page
    assert "data:image/png;base64" in page
    assert (out / "figures" / "constants.pdf").is_file()
    for name in ("verdicts.json", "looks.json", "check.json", "records"):
        assert (out / name).exists(), name


@pytest.fixture
def not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figure: another test does."""
    monkeypatch.setattr(check_report, "draw_all", lambda *_: None)


@pytest.mark.usefixtures("few", "not_drawn")
def test_a_false_theorem_is_an_error_and_a_false_conjecture_a_finding(
    model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*model, "--device", "cpu", "--out", str(tmp_path / "out")]
    try:
        assert main([*arguments, *planted(tmp_path, "conjecture", "AT_MOST", 1e-6)]) == 0
        assert "VIOLATED" in capsys.readouterr().out
        assert main([*arguments, *planted(tmp_path, "theorem", "AT_MOST", 1e-6)]) == 1
        assert "VIOLATED" in capsys.readouterr().out
    finally:
        for name in [name for name in CLAIMS if name.startswith("mine/")]:
            CLAIMS._items.pop(name)


@pytest.mark.usefixtures("not_drawn")
def test_what_could_not_be_measured_is_told(
    model: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    effort = replace(FEW, measures={"image_radii": {"images": 1}, **FEW.measures})
    monkeypatch.setattr(check, "effort_of", lambda _: effort)

    def fails(*_: object) -> None:
        raise ValueError("no light in here")

    monkeypatch.setattr("empirics.measures.lipschitz.lipschitz_constants", fails)
    out = tmp_path / "out"
    arguments = [*model, "--device", "cpu", "--out", str(out), "--claims", "szegedy2014/*"]
    assert main(arguments) == 3
    assert "lipschitz · net: not measured: no light in here" in capsys.readouterr().err
    assert "**Could not be measured:** lipschitz · net." in (out / "report.md").read_text()


BAD = [
    (["--data", "digits", "--effort", "quik"], "did you mean 'quick'?"),
    (["--data", "digts"], "did you mean 'digits'?"),
    (["--data", "digits", "--claims", "nobody/*"], "no claim matches 'nobody/*'"),
    (["--data", "digits", "--alpha", "2"], "--alpha must lie in (0, 0.5], got 2.0"),
    (["--data", "digits", "--device", "abacus"], "unknown device 'abacus'"),
    (["--data", "digits", "--weights", "nowhere.safetensors"], "nowhere.safetensors"),
    (["--data", "digits", "--property", "nowhere.vnnlib"], "nowhere.vnnlib"),
    ([], "--model needs --data NAME"),
    (["--property", "p.vnnlib"], "only an ONNX file says itself what it takes"),
    (["smoke", "--data", "digits"], "either --model or a preset, not both: 'smoke'"),
]


@pytest.mark.parametrize(("extra", "said"), BAD)
def test_bad_input_is_one_line_before_any_work(
    extra: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(NET)
    out = tmp_path / "out"
    assert main(["check", "--model", f"{tmp_path}/net.py:net", "--out", str(out), *extra]) == 2
    told = capsys.readouterr()
    (line,) = [line for line in told.err.splitlines() if line]
    assert line.startswith("advbounds: error: ")
    assert said in line
    assert told.out == ""
    assert not out.exists()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("net.py:broken", "name 'nobody' is not defined"),
        ("net.py:nett", "did you mean 'net'?"),
        ("nowhere.py:net", "nowhere.py"),
    ],
)
def test_a_model_that_cannot_be_read_is_one_line(
    named: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(NET)
    assert main(["check", "--model", f"{tmp_path}/{named}", "--data", "digits"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_options_of_a_model_are_refused_for_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "smoke", "--effort", "quick", "--seed", "1"]) == 2
    assert "--effort, --seed: only with --model" in capsys.readouterr().err


def test_a_report_with_no_verdict_says_so() -> None:
    about = {
        **{"label": "net", "model": "net.onnx", "form": "onnx", "data": "", "effort": "quick"},
        **{"seed": 0, "device": "cpu", "alpha": 0.05, "failed": []},
    }
    text = check_markdown([], [], about)
    assert "No claim that was asked for speaks of what was measured." in text


def onnx_file(path: Path) -> None:
    """Write the network x -> (x_0 - x_1, 0) of two inputs."""
    onnx: Any = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(np.array([[1, 0], [-1, 0]], dtype=np.float32), "w")
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 2])
        for name in ("x", "y")
    ]
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "graph", values[:1], values[1:], [weights])
    opsets = [onnx.helper.make_opsetid("", 13)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())


def asserted(low: float, high: float) -> str:
    """Return that x_0 - x_1 > 0 for x_0 in [low, high] and x_1 in [0, 1]."""
    names = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1"))
    ends = [("X_0", low, high), ("X_1", 0.0, 1.0)]
    box = "".join(f"(assert (>= {x} {a}))\n(assert (<= {x} {b}))\n" for x, a, b in ends)
    return f"{names}{box}(assert (<= Y_0 Y_1))\n"


@pytest.mark.usefixtures("not_drawn")
def test_a_property_of_a_program_is_decided_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CLAIMS, "_items", dict(CLAIMS))
    onnx_file(tmp_path / "net.onnx")
    out = tmp_path / "out"
    for name, low, high in (("safe", 2.0, 3.0), ("unsafe", 0.5, 3.0)):
        (tmp_path / f"{name}.vnnlib").write_text(asserted(low, high))
        arguments = ["check", "--model", str(tmp_path / "net.onnx"), "--effort", "quick"]
        arguments += ["--property", str(tmp_path / f"{name}.vnnlib"), "--out", str(out)]
        assert main(arguments) == 0
        (line,) = capsys.readouterr().out.splitlines()[1:]
        assert line.split()[:2] == [
            {"safe": "HOLDS", "unsafe": "VIOLATED"}[name],
            f"property/{name}",
        ]
        answer = (out / "property.txt").read_text()
        assert answer.startswith({"safe": "unsat", "unsafe": "sat"}[name])
        assert "## Properties" in (out / "report.md").read_text()
