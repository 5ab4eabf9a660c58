"""What trainings leave behind, drawn: losses and samples; records without it draw all else."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from empirics.cli import COMMANDS
from empirics.record import Record
from empirics.store import Store, read_frozen
from figures.draw import draw
from figures.plates.generators import generators
from figures.plates.training import training
from figures.registry import FIGURES
from figures.save import save
from figures.view import NothingToDraw, View
from tests.synthetic import synthetic_records, write_run
from tests.synthetic_training import POINTS, STEPS, training_records
from theory.wording import plain


def view(records: list[Record]) -> View:
    return View("p", "measured here", records, 0.05)


def test_losses_are_those_of_the_records_at_their_steps() -> None:
    records = training_records()
    made = training(view(records))
    curves = {(r["generator"], r["role"], r["label"]) for r in made.rows}
    assert len(curves) == 1 + 2 + 2 * 2 + 2
    (record,) = (
        r
        for r in view(records).trained("generator")
        if r.request.subject["generator"]["label"] == "dcgan"
    )
    for role, key in (("generator", "loss"), ("discriminator", "loss_discriminator")):
        rows = [r for r in made.rows if r["role"] == role and r["generator"] == "dcgan"]
        assert [r["loss"] for r in rows] == [float(x) for x in record.arrays[key]]
        # 1,500 steps in 100 stretches of 15: the first has its middle at step 8.
        assert (rows[0]["step"], rows[-1]["step"]) == (8.0, STEPS - 7.0)
        assert len(rows) == POINTS
    assert made.numbers["dcgan.final_loss"] == record.facts["final_loss"]
    assert "vae-conv.vgg.final_loss" in made.numbers
    assert "vae-conv.final_loss_discriminator" not in made.numbers


def test_every_curve_is_drawn_once() -> None:
    drawn = training(view(training_records())).figure
    above, below = drawn.axes[:2], drawn.axes[2:]
    assert [axes.get_title() for axes in above] == ["dcgan", "vae-conv"]
    assert [len(axes.lines) for axes in above] == [2, 1]
    # Two classifiers and their teacher.
    assert [len(axes.lines) for axes in below] == [3, 3]
    (legend,) = drawn.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["lenet", "vgg", "teacher, real images", "generator", "discriminator"]


def test_samples_are_shown_by_step() -> None:
    records = training_records()
    made = generators(view(records))
    first, second = made.rows
    assert (first["generator"], first["shown_at"]) == ("dcgan", "250 750 1500")
    assert (second["generator"], second["shown_at"]) == ("vae-conv", "")
    assert made.numbers["dcgan.frechet_generated"] == 31.4
    assert made.numbers["dcgan.classes_missing"] == 1
    picture = np.asarray(made.figure.axes[0].images[0].get_array())
    (record,) = (r for r in records if "grids" in r.arrays)
    last = np.moveaxis(record.arrays["grids"][-1, 0], 0, -1) / 255
    np.testing.assert_allclose(picture[18:26, :8], last)
    titles = [axes.get_title(loc="left") for axes in made.figure.axes]
    assert titles[0].startswith("dcgan\nFr")
    assert "31 (real 2.5), diversity 0.91, 1 class missing" in titles[0]
    assert titles[1] == "vae-conv"


def test_captions_name_data_and_device() -> None:
    for plate in (training, generators):
        caption = plain(plate(view(training_records())).caption)
        assert "Data: cifar10" in caption
        assert caption.endswith("trained on cpu.")
    assert "cifar10 (subset), 4,000 training images" in plain(
        generators(view(training_records())).caption
    )


def test_one_label_on_two_data_sets_is_told_apart() -> None:
    records = [*training_records("cifar10"), *training_records("svhn", side=6)]
    assert {str(r["generator"]) for r in generators(view(records)).rows} == {
        f"{label}, {data}" for label in ("dcgan", "vae-conv") for data in ("cifar10", "svhn")
    }
    made = training(view(records))
    assert {"dcgan, cifar10", "dcgan, svhn"} <= {str(r["generator"]) for r in made.rows}


def test_nothing_to_draw() -> None:
    records = [r for r in training_records() if r.request.plugin == "generator"]
    bare = [Record(r.request, facts=r.facts, provenance=r.provenance) for r in records]
    for plate in (training, generators):
        with pytest.raises(NothingToDraw):
            plate(view(bare))


@pytest.mark.parametrize("name", ["training", "generators"])
def test_files(name: str, tmp_path: Path) -> None:
    made = {"training": training, "generators": generators}[name](view(training_records()))
    save(FIGURES[name], made, tmp_path, {"preset": "p"}, ["id"])
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".pdf", ".csv", ".json"}


def test_records_without_trainings_draw_all_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(synthetic_records(), tmp_path)
    assert draw("default", tmp_path, "training")
    assert "figure 'training' is not drawn: no records of generator" in capsys.readouterr().err
    assert draw("default", tmp_path, "robustness")
    assert (tmp_path / "figures" / "robustness.tex").is_file()


def test_trainings_are_frozen_with_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("empirics.store.frozen_path", lambda name: tmp_path / f"{name}.jsonl.xz")
    monkeypatch.setattr("empirics.times._packaged", lambda: tmp_path)
    build = tmp_path / "build"
    write_run(training_records(), build, "small")
    (command,) = (c for c in COMMANDS if c.name == "freeze")
    parser = argparse.ArgumentParser()
    command.configure(parser)
    assert command.run(parser.parse_args(["small", "--build", str(build)])) == 0
    frozen = read_frozen("small")
    assert frozen is not None
    assert [record.id for record in frozen] == Store(build).plan("small")
    again = view(frozen)
    assert len(again.trained("generator")) == 2
    assert again.trained("generator")[0].arrays["grids"].dtype == np.uint8
    assert generators(again).numbers == generators(view(training_records())).numbers
