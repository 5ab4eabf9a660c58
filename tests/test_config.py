"""Presets: what is wrong, where, and what would be right, in one line."""

from pathlib import Path

import pytest

from empirics.config import load_preset
from empirics.plan import plan
from empirics.preset_files import preset_names
from empirics.settings import ConfigError
from theory.errors import InputError


def test_every_preset_of_the_package_can_be_planned() -> None:
    assert {"default", "smoke"} <= set(preset_names())
    for name in preset_names():
        preset = load_preset(name)
        if preset.data == "digits":
            assert plan(preset)


def test_the_plan_measures_every_classifier_on_every_generator(tiny_preset: Path) -> None:
    cells = plan(load_preset(str(tiny_preset)))
    titles = [cell.request.title for cell in cells]
    for generator in ("ppca", "vae"):
        for classifier in ("linear", "mlp"):
            radii = titles.index(f"radii · {generator} · {classifier}")
            assert titles.index(f"train classifier · {generator} · {classifier}") < radii
            assert titles.index(f"train generator · {generator}") < radii
    assert "radii · identity · half_space" in titles
    assert not any(title.startswith("accuracy · identity") for title in titles)
    assert len({cell.request.id for cell in cells}) == len(cells)


def test_changing_one_setting_changes_only_what_depends_on_it(tiny_preset: Path) -> None:
    before = {c.request.id: c.request.title for c in plan(load_preset(str(tiny_preset)))}
    tiny_preset.write_text(tiny_preset.read_text().replace("width = 12", "width = 13"))
    after = {c.request.id for c in plan(load_preset(str(tiny_preset)))}
    changed = {title for id_, title in before.items() if id_ not in after}
    assert changed
    assert all(title.endswith("· mlp") for title in changed)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed = 5", "sede = 5", r"unknown key 'sede'; did you mean 'seed'\?"),
        ("seed = 5", "seed = 'x'", "seed must be of type int, got 'x'"),
        ("seed = 5", "seed = true", "seed must be of type int, got True"),
        ("width = 12", "widht = 12", r"classifier 2: unknown key 'widht'; did you mean 'width'\?"),
        ("width = 12", "width = 0", "classifier 2: width must be at least 1, got 0"),
        ("n = 60", "n = 0", "measure.radii: n must be at least 1, got 0"),
        ("hidden = [16]", "hidden = 16", "generator 2: hidden must be a list, got 16"),
        ("hidden = [16]", "hidden = [16, 0]", "hidden must be at least 1, got 0"),
        ('name = "vae"', 'name = "vea"', r"unknown generator 'vea': did you mean 'vae'\?"),
        ("[measure.radii]", "[measure.radi]", r"unknown measure 'radi': did you mean 'radii'\?"),
        ('data = "digits"', 'data = "digit"', r"unknown data set: did you mean 'digits'\?"),
        ('data = "digits"', "", "key 'data' is missing"),
        ('name = "mlp"\nwidth = 12', 'name = "linear"', "the label 'linear'; give one another"),
        ("latent_dimension = 3", "", "key 'latent_dimension' is missing"),
        ('name = "half_space"', 'name = "mlp"', "'mlp' has no closed form"),
        ('[teacher]\nname = "linear"', '[teacher]\nlabel = "x"', "teacher: key 'name' is missing"),
        ("[measure.modulus]", "[measure.modulus", "not valid TOML"),
        ("distances = [0.5, 2.0]", "distances = [0.5, -2.0]", "must be above 0, got -2.0"),
    ],
)
def test_bad_presets(old: str, new: str, says: str, tiny_preset: Path) -> None:
    text = tiny_preset.read_text()
    assert old in text
    offset = "offset = 0.5\n" if new == 'name = "mlp"' else ""
    tiny_preset.write_text(text.replace(old, new, 1).replace(offset or "\0", ""))
    with pytest.raises(InputError, match=says) as caught:
        load_preset(str(tiny_preset))
    assert "\n" not in str(caught.value)


def test_the_file_is_named(tiny_preset: Path) -> None:
    tiny_preset.write_text("wrong = 1\n" + tiny_preset.read_text())
    with pytest.raises(ConfigError, match=r"tiny\.toml: unknown key 'wrong'"):
        load_preset(str(tiny_preset))


def test_unknown_presets_and_files() -> None:
    with pytest.raises(ConfigError, match="did you mean 'default'"):
        load_preset("deafult")
    with pytest.raises(ConfigError, match="no such preset file"):
        load_preset("nowhere.toml")


def test_other_data_for_a_preset() -> None:
    preset = load_preset("smoke", data="mnist")
    assert (preset.name, preset.data) == ("smoke-mnist", "mnist")
    with pytest.raises(ConfigError, match="unknown data set"):
        load_preset("smoke", data="mnits")
