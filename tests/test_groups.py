"""Measures of several classifiers at once, and settings that were added later."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from empirics.config import Preset, load_preset
from empirics.facts import subject_label
from empirics.plan import Cell, plan
from empirics.plugins import Context, Outcome, Subject, describe
from empirics.run import Workshop
from empirics.settings import setting
from empirics.store import Store


def pictures(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Probe:
    """Notes which classifiers it is given."""

    revision: ClassVar[int] = 1
    needs_data: ClassVar[bool] = True
    roles: tuple[str, ...] = ("data", "teacher", "generator", "classifiers")

    def measure(self, subject: Subject, context: Context) -> Outcome:
        del context
        x = pictures(subject.image_shape)
        return Outcome(facts={label: f(x).tolist() for label, f in subject.classifiers.items()})


ON_IMAGES = """
[[image_classifier]]
name = "linear"
steps = 5

[[image_classifier]]
name = "mlp"
width = 4
steps = 5

[[image_classifier]]
name = "mlp"
label = "mlp-2"
width = 4
steps = 5
"""


@pytest.fixture
def preset(tiny_preset: Path) -> Preset:
    text = tiny_preset.read_text()
    tiny_preset.write_text(text.replace("[[family]]", ON_IMAGES + "[[family]]", 1))
    return load_preset(str(tiny_preset))


def probed(preset: Preset, *roles: str) -> list[Cell]:
    probe = Probe(("data", *roles))
    cells = plan(dataclasses.replace(preset, measures={"probe": probe}))
    return [cell for cell in cells if cell.request.action == "measure"]


def test_all_classifiers_of_a_generator_or_of_the_images_are_one_subject(preset: Preset) -> None:
    on_generated = probed(preset, "teacher", "generator", "classifiers")
    assert [c.request.title for c in on_generated] == [
        "probe · ppca · linear + mlp",
        "probe · vae · linear + mlp",
    ]
    (on_images,) = probed(preset, "image_classifiers")
    assert on_images.request.title == "probe · linear + mlp + mlp-2"
    assert subject_label(on_images.request.subject) == "linear + mlp + mlp-2"
    assert set(on_images.request.subject) == {"data", "image_classifiers"}


def test_every_pair_of_classifiers_is_a_subject(preset: Preset) -> None:
    third = dataclasses.replace(preset.classifiers[1], label="third")
    wider = dataclasses.replace(preset, classifiers=(*preset.classifiers, third))
    cells = probed(wider, "generator", "classifier_pair")
    assert [subject_label(c.request.subject) for c in cells] == [
        f"{g} · {pair}"
        for g in ("ppca", "vae")
        for pair in ("linear + mlp", "linear + third", "mlp + third")
    ]
    assert all("teacher" not in c.request.subject for c in cells)


def test_a_preset_without_classifiers_has_no_group(preset: Preset) -> None:
    assert not probed(dataclasses.replace(preset, image_classifiers=()), "image_classifiers")


@pytest.mark.parametrize("roles", [("image_classifiers",), ("teacher", "generator", "classifiers")])
def test_a_group_is_given_its_trained_members(
    roles: tuple[str, ...], preset: Preset, tmp_path: Path
) -> None:
    measures = {"probe": Probe(("data", *roles))}
    preset = dataclasses.replace(preset, measures=measures)
    workshop = Workshop(preset, Store(tmp_path / "build"), torch.device("cpu"))
    cell = probed(preset, *roles)[-1]
    facts = workshop.carry_out(cell).facts
    assert list(facts) == [part.label for part in cell.group]
    x = pictures((1, 8, 8))
    for part in cell.group:
        module = workshop.module(cell.member_role, {**cell.parts, cell.member_role: part})
        torch.testing.assert_close(torch.tensor(facts[part.label]), module(x))
    assert len({str(logits) for logits in facts.values()}) == len(facts)


def test_a_later_setting_names_a_request_only_where_it_is_used() -> None:
    @dataclass(frozen=True)
    class Before:
        revision: ClassVar[int] = 1
        n: int = setting(3)
        sizes: tuple[int, ...] = setting((1, 2))

    @dataclass(frozen=True)
    class After(Before):
        extra: float = setting(0.0, at_least=0, later=True)

    assert describe(Before()) == {"n": 3, "sizes": [1, 2], "revision": 1}
    assert describe(After()) == describe(Before())
    assert describe(After(extra=0.5)) == {**describe(Before()), "extra": 0.5}
