"""Checking one model: what is measured for which claims, and what is known again."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import empirics
from empirics.checking.check import Checked, Settings, checked
from empirics.checking.digest import module_digest
from empirics.checking.efforts import EFFORTS, Effort, effort_of
from empirics.checking.needs import needs_of, provided
from empirics.checking.presets import NAME, checking_preset
from empirics.checking.properties import records_of
from empirics.checking.subject import Subject
from empirics.classifiers.given import Given
from empirics.config import Part
from empirics.data import DATASETS
from empirics.plugins import MEASURES, describe
from empirics.store import Store
from theory.errors import InputError
from theory.verdict import Outcome

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, {width}), nn.ReLU())
        self.head = nn.Linear({width}, 10)

    def forward(self, images):
        return self.head(self.body(images))
"""
TINY = Effort(
    "tiny",
    measures={
        "accuracy": {"n": 100},
        "class_masses": {"n": 4000},
        "modulus": {
            **{"structured_units": 0, "first_order_units": 0, "splits": 0, "starts": 1, "steps": 1},
            **{"n": 4, "norm_samples": 50, "distances": [1.0]},
        },
        "radii": {"n": 40, "restarts": 1, "steps": 4, "polish_steps": 2, "relaxed": 0, "shown": 2},
    },
    training={"steps": 60},
    teacher={"other": {"name": "linear", "steps": 20}},
    generators={"other": [{"name": "ppca", "latent_dimension": 4}]},
    left_out=("expansions",),
)
"""The least work that still goes through every step."""


def written(folder: Path, width: int = 8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(NET.format(width=width))
    return folder / "net.py"


def settings(out: Path, claims: str = "fawzi2018/thm1", **others: object) -> Settings:
    own = {"effort": TINY, "device": "cpu", "build": out.parent / "none", "out": out}
    return Settings(claims=claims, **{**own, **others})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    folder = tmp_path_factory.mktemp("check")
    subject = Subject(f"{written(folder / 'code')}:Net", data="digits")
    return checked(subject, settings(folder / "out"))


def test_a_named_model_is_trained_measured_and_judged(done: Checked) -> None:
    assert {v.claim for v in done.verdicts} == {"fawzi2018/thm1"}
    assert {v.quantity for v in done.verdicts} == {"r_latent[l2]", "r_in[l2]", "r_unc[l2]"}
    assert {v.subject for v in done.verdicts} == {"ppca · Net"}
    assert not {v.outcome for v in done.verdicts} & {Outcome.VIOLATED, Outcome.OUT_OF_SCOPE}
    assert done.failed == ()
    about = json.loads((done.folder / "check.json").read_text())
    assert about["trained_here"]
    assert about["training_steps"] == 60
    assert about["left_out"] == {"expansions": "it is left out at effort 'tiny'"}
    kept = json.loads((done.folder / "verdicts.json").read_text())
    assert [v["outcome"] for v in kept] == [v.outcome for v in done.verdicts]
    looks = json.loads((done.folder / "looks.json").read_text())
    assert {len(cell["looks"]) for cell in looks["cells"]} == {1}


def test_its_facts_are_found_and_its_weights_serve_in_both_roles(done: Checked) -> None:
    records = {record.request.title: record for record in records_of(done.folder)}
    (examined,) = (record for title, record in records.items() if title.startswith("examined"))
    assert examined.facts["piecewise_linear"] is True
    assert examined.facts["relu_units"] == 8
    assert any("accuracy" in line for line in examined.facts["examination"])
    training = records["train image_classifier · Net"].request
    radii = records["radii · ppca · Net"].request
    weights = radii.subject["classifier"]["weights_sha256"]
    own = Store(done.folder).checkpoint(training).read_bytes()
    assert hashlib.sha256(own).hexdigest() == weights


def test_a_check_that_was_stopped_goes_on_to_the_same_verdicts(
    done: Checked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # From another folder: a model is known by its digest, not by where it lies.
    code = written(tmp_path / "elsewhere")
    shutil.copytree(done.folder, tmp_path / "out")
    removed = next(r for r in records_of(done.folder) if r.request.plugin == "class_masses")
    for suffix in (".json", ".npz"):
        (tmp_path / "out" / "records" / f"{removed.id}{suffix}").unlink()
    again = checked(Subject(f"{code}:Net", data="digits"), settings(tmp_path / "out"))
    assert "1 cells done" in capsys.readouterr().err
    assert again.verdicts == done.verdicts
    for name in (f"records/{removed.id}.json", "verdicts.json", "looks.json"):
        assert (again.folder / name).read_bytes() == (done.folder / name).read_bytes(), name


def test_earlier_trainings_serve_again_and_other_code_is_another_model(
    done: Checked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = Subject(f"{written(tmp_path / 'code', width=6)}:Net", data="digits")
    own = settings(tmp_path / "out", build=done.folder)
    other = checked(subject, own)
    # The teacher, the generator and its modulus; nothing that the model has a part in.
    assert f"3 of them in {done.folder}" in capsys.readouterr().err
    before = {r.id for r in records_of(done.folder) if "Net" in r.request.title}
    assert not before & {r.id for r in records_of(other.folder)}


def test_a_module_with_weights_is_taken_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(dim=1))
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    few = replace(TINY, measures={"lipschitz": {"splits": 0, "steps": 4}}, left_out=("modulus",))
    own = settings(tmp_path / "out", "szegedy2014/*", effort=few)
    found = checked(Subject(module, data="digits", name="plain"), own)
    assert [v.subject for v in found.verdicts] == ["plain"]
    assert not found.about["trained_here"]
    assert found.about["generators"] == []
    assert "softmax" in " ".join(found.about["notes"])
    assert all(torch.equal(state[name], tensor) for name, tensor in module.state_dict().items())
    assert all(r.request.action == "measure" for r in records_of(found.folder))
    # How it would be trained is no part of what it is: efforts look at one subject.
    longer = checked(
        Subject(module, data="digits", name="plain"),
        replace(own, effort=replace(few, training={"steps": 9})),
    )
    assert [r.id for r in records_of(longer.folder)] == [r.id for r in records_of(found.folder)]


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = images.flatten(1)
        logits: torch.Tensor = self.layer(seen + torch.randn_like(seen))
        return logits


def test_of_a_randomised_model_nothing_is_claimed(tmp_path: Path) -> None:
    found = checked(Subject(Noisy(), data="digits"), settings(tmp_path / "out"))
    assert len(found.verdicts) == 0
    assert "randomised" in " ".join(found.failed)
    assert [r.request.plugin for r in records_of(found.folder)] == ["examined"]
    assert records_of(found.folder)[0].facts["deterministic"] is False


def test_a_failed_measure_does_not_stop_the_others(
    done: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise InputError("no light in here")

    monkeypatch.setattr(MEASURES["class_masses"], "measure", fails)
    subject = Subject(f"{written(tmp_path / 'code')}:Net", data="digits")
    shutil.copytree(done.folder, tmp_path / "out")
    for path in (tmp_path / "out" / "records").iterdir():
        if '"class_masses"' in path.read_text(errors="ignore"):
            path.unlink()
    found = checked(subject, settings(tmp_path / "out"))
    assert found.failed == ("class_masses · ppca · Net",)
    assert {v.outcome for v in found.verdicts} == {Outcome.OUT_OF_SCOPE}


@pytest.mark.parametrize("name", EFFORTS)
def test_every_effort_can_be_read_for_every_data_set(name: str) -> None:
    effort = effort_of(name)
    needs = needs_of("*", effort, units=10)
    assert set(effort.measures) <= set(needs.measures)
    assert not set(effort.left_out) & set(needs.measures)
    assert set(effort.left_out) <= set(MEASURES)
    model = Part("given", "net", Given(model="net", sha256="0" * 64))
    for data in DATASETS:
        preset = checking_preset(model, Path(), data, 0, needs, effort)
        assert preset.name == NAME
        assert preset.generators


def test_measures_follow_from_the_claims() -> None:
    effort = effort_of("standard")
    of_thm2 = needs_of("fawzi2018/thm2", effort, units=10).measures
    assert "projected" in of_thm2
    assert "hamming" not in of_thm2
    of_pixels = needs_of("shamir2019/eleven-pixels", effort, units=10)
    assert set(of_pixels.measures) == {"examined", "hamming"}
    assert not of_pixels.with_generator
    apart = needs_of("fawzi2018/thm3", effort, units=10)
    assert apart.left_out["joint_radii"] == "it compares several classifiers"
    assert needs_of("zaslavsky1975/regions", effort, units=10).unmeasured
    curved = needs_of("*", effort, units="Tanh is curved")
    assert "Tanh is curved" in curved.left_out["planar_slice"]
    with pytest.raises(InputError, match="no claim matches 'nobody/\\*'"):
        needs_of("nobody/*", effort, units=10)


def test_what_a_measure_serves_is_what_it_sees_and_no_part_of_its_identity(done: Checked) -> None:
    for record in records_of(done.folder):
        if record.evidence:
            assert set(record.evidence) <= set(provided(MEASURES[record.request.plugin]))
    for measure in MEASURES.values():
        assert "provides" not in describe(measure())


def test_a_module_is_known_by_weights_and_code() -> None:
    class Scaled(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor
            self.layer = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scaled: torch.Tensor = self.layer(x * self.factor)
            return scaled

    one, other = Scaled(1.0), Scaled(2.0)
    other.load_state_dict(one.state_dict())
    assert module_digest(one, trained=False) == module_digest(one.eval(), trained=False)
    assert module_digest(one, trained=False) != module_digest(other, trained=False)
    assert module_digest(Scaled(1.0), trained=True) == module_digest(one, trained=True)


def test_the_public_names_of_the_package() -> None:
    assert empirics.Subject is Subject
    with pytest.raises(InputError, match="alpha must lie"):
        empirics.check(Subject(nn.Flatten()), alpha=0.7)
    with pytest.raises(AttributeError, match="nothing"):
        empirics.nothing  # noqa: B018
    with pytest.raises(InputError, match="did you mean 'quick'"):
        empirics.check(Subject(nn.Flatten()), effort="quik")
    with pytest.raises(InputError, match="a module has its own weights"):
        empirics.check(Subject(nn.Flatten(), weights="w.safetensors"))
    with pytest.raises(InputError, match="was not read here"):
        Given(model="net", sha256="f" * 64).build((1,), 2)
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        Given(model="net", sha256="f")
