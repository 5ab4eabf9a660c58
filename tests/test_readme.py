"""The README tells the truth: its example runs, its plug-ins work, its picture is there."""

import dataclasses
import fnmatch
import inspect
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import empirics
import theory
from empirics.attacks import ATTACKS, attack
from empirics.plugins import CLASSIFIERS, classifier
from empirics.settings import setting
from empirics.trace import relu_network
from empirics.train import Training
from theory.claim import (
    CLAIMS,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    theorem,
)

ROOT = Path(theory.__file__).parents[1]
README = ROOT / "README.md"


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = snippets()[0]
    code = [line for line in example.splitlines() if line and not line.startswith(("#", "    "))]
    assert len(code) <= 12
    exec(compile(example, "README", "exec"), {})
    assert "Outcome.HOLDS" in capsys.readouterr().out


def test_the_network_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    linear = nn.Linear(28 * 28, 3)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[2, :5] = 1.0
        linear.bias.copy_(torch.tensor([3.5, 0.0, 0.0]))
    module = nn.Sequential(nn.Flatten(), linear)
    scope: dict[str, Any] = {"module": module, "x": np.zeros(28 * 28), "target": 2}
    exec(compile(snippets()[1], "README", "exec"), scope)
    assert scope["found"].upper == 4
    assert set(scope["found"].coordinates) < set(range(5))
    assert capsys.readouterr().out.startswith("(")


def test_the_lipschitz_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 5), nn.ReLU(), nn.Linear(5, 3))
    scope: dict[str, Any] = {"module": module, "x": np.zeros(28 * 28), "torch": torch}
    exec(compile(snippets()[2], "README", "exec"), scope)
    found, near = scope["bound"], scope["near"]
    assert found.lower <= found.value <= found.lower * (1 + 1e-5)
    assert near.value <= found.value * (1 + 1e-6)
    assert " True\n" in capsys.readouterr().out


def test_the_distance_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    module.requires_grad_(False)
    images = torch.rand(5, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    x = images[0].flatten().double().numpy()
    scope: dict[str, Any] = {
        **{"module": module, "images": images, "labels": module(images).argmax(dim=1)},
        **{"network": relu_network(module, (1, 3, 4)), "x": x, "np": np},
    }
    exec(compile(snippets()[3], "README", "exec"), scope)
    assert scope["found"].lower <= scope["radii"][0] * (1 + 1e-6)
    assert "True" in capsys.readouterr().out


def test_the_check_of_a_model_is_called_as_it_is_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[inspect.BoundArguments] = []
    signature = inspect.signature(empirics.check)

    def recorded(*args: Any, **kwargs: Any) -> str:  # noqa: ANN401
        asked.append(signature.bind(*args, **kwargs))
        return "verdicts"

    monkeypatch.setattr(empirics, "check", recorded, raising=False)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    exec(compile(snippets()[4], "README", "exec"), {"module": module})
    (given,) = asked
    assert given.arguments["subject"].model is module
    assert any(fnmatch.fnmatch(claim, given.arguments["claims"]) for claim in CLAIMS)


def test_the_plug_ins_register_and_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (CLAIMS, CLASSIFIERS, ATTACKS):
        len(registry)  # found before it is copied
        monkeypatch.setattr(registry, "_items", dict(registry._items))
    scope: dict[str, Any] = {
        **{"theorem": theorem, "Kind": Kind, "Quantity": Quantity, "Relation": Relation},
        **{"Ref": Ref, "LawBound": LawBound, "OutOfScopeError": OutOfScopeError},
        **{"classifier": classifier, "dataclass": dataclasses.dataclass, "Training": Training},
        **{"ClassVar": ClassVar, "setting": setting, "nn": nn, "math": math, "attack": attack},
    }
    for snippet in snippets()[5:]:
        exec(compile(snippet, "README", "exec"), scope)
    with pytest.raises(OutOfScopeError, match="class masses"):
        CLAIMS["author2027/thm1"].evaluate({}, Quantity("r_in", "l2"), 0.05)
    module = CLASSIFIERS["wide"](width=7).build((1, 4, 4), 3)
    assert module(torch.zeros(2, 1, 4, 4)).shape == (2, 3)
    assert callable(ATTACKS["mine"])


def test_the_picture_is_there_and_small() -> None:
    (picture,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README.read_text())
    assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")
    assert (ROOT / picture).stat().st_size <= 200_000


def test_every_command_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z]+)", README.read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
