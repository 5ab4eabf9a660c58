"""Figures and tables: four files, the same bytes, drawn once, and numbers that are the records'."""

import argparse
import csv
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from empirics.record import Record
from figures.cli import COMMANDS
from figures.draw import draw
from figures.plates.adversarial import extremes
from figures.registry import FIGURES
from figures.save import content_hash
from figures.view import Pair, View, quantile_limits, seen_quantile
from figures.wording import escape, interval, number
from tests.synthetic import (
    CHAPTER,
    N,
    all_records,
    chapter_records,
    drawn_once,
    synthetic_records,
    write_run,
)
from theory.errors import InputError
from theory.evidence import Radii
from theory.outcome import Outcome
from theory.wording import plain

# All that look at the same drawings run in one process, which draws them once.
pytestmark = pytest.mark.xdist_group("drawn")

QUANTITIES = ("r_latent[l2]", "r_in[l2]", "r_unc[l2]")


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return all_records()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_once(tmp_path_factory)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def read_csv(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "figures" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def radii_of(records: list[Record], generator: str, classifier: str, quantity: str) -> Radii:
    (found,) = (
        record.evidence[quantity]
        for record in records
        if record.request.plugin == "radii"
        and record.request.subject["generator"]["label"] == generator
        and record.request.subject["classifier"]["label"] == classifier
    )
    assert isinstance(found, Radii)
    return found


# Files


def test_every_plate_is_four_files(drawn: Path) -> None:
    there = {path.name for path in (drawn / "figures").iterdir()}
    expected = {f"{plate.name}{suffix}" for plate in FIGURES.values() for suffix in plate.suffixes}
    assert there == expected | {"numbers.tex", CHAPTER}
    own = {path.name for path in (drawn / "figures" / CHAPTER).iterdir()}
    assert own < expected
    assert {"laws.pdf", "robustness.tex", "generators.json"} <= own
    assert {"laws", "families", "classes", "dimension", "samples", "adversarial"} <= set(FIGURES)
    assert {"forms", "scaling", "transfer", "spaces"} <= set(FIGURES)
    assert {"robustness", "verdicts", "claims"} <= set(FIGURES)


def test_same_records_same_bytes_in_another_process(drawn: Path, tmp_path: Path) -> None:
    write_run(all_records(), tmp_path, chapters={CHAPTER: chapter_records()})
    code = "import sys, pathlib; from figures.draw import draw; draw('default', pathlib.Path('.'))"
    # Another hash seed and another user's matplotlib settings must not matter.
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nfigure.facecolor: red\n")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": path}
    environment.pop("DISPLAY", None)
    environment["MATPLOTLIBRC"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert digests(tmp_path / "figures") == digests(drawn / "figures")


def test_files_carry_no_date(drawn: Path) -> None:
    for path in (drawn / "figures").glob("*.pdf"):
        assert b"Date" not in path.read_bytes()


# Drawn once


def test_unchanged_records_are_not_drawn_again(
    drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (drawn / "figures").iterdir()}
    assert draw("default", drawn)
    assert {path: path.stat().st_mtime_ns for path in (drawn / "figures").iterdir()} == before
    assert capsys.readouterr().err == ""


def test_a_changed_record_or_a_lost_file_is_drawn_again(
    records: list[Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(records, tmp_path)
    draw("default", tmp_path, "samples")
    sample = next(r for r in records if r.request.plugin == "samples")
    arrays = {**sample.arrays, "samples": 1 - sample.arrays["samples"]}
    before = digests(tmp_path / "figures")
    changed = [dataclasses.replace(r, arrays=arrays) if r is sample else r for r in records]
    write_run(changed, tmp_path)
    capsys.readouterr()
    draw("default", tmp_path, "samples")
    assert "samples{.pdf,.png,.csv,.json}" in capsys.readouterr().err
    after = digests(tmp_path / "figures")
    assert before["samples.png"] != after["samples.png"]
    (tmp_path / "figures" / "samples.csv").unlink()
    draw("default", tmp_path, "samples")
    assert digests(tmp_path / "figures") == after


def test_other_measures_do_not_change_a_figure(records: list[Record], tmp_path: Path) -> None:
    write_run(records, tmp_path)
    draw("default", tmp_path, "samples")
    known = digests(tmp_path / "figures")
    accuracy = next(r for r in records if r.request.plugin == "accuracy")
    other = dataclasses.replace(accuracy, facts={**accuracy.facts, "error_real": 0.5})
    write_run([other if r is accuracy else r for r in records], tmp_path)
    draw("default", tmp_path, "samples")
    assert digests(tmp_path / "figures") == known


def test_content_hash_sees_facts_arrays_and_evidence(records: list[Record]) -> None:
    record = next(r for r in records if r.request.plugin == "radii")
    seen = dict(record.evidence)
    seen["r_in[l2]"] = seen["r_unc[l2]"]
    variants = [
        record,
        dataclasses.replace(record, facts={**record.facts, "n": 1}),
        dataclasses.replace(record, arrays={}),
        dataclasses.replace(record, evidence=seen),
    ]
    assert len({content_hash(variant) for variant in variants}) == len(variants)


# Numbers


def test_table_holds_the_percentiles_of_the_records(drawn: Path, records: list[Record]) -> None:
    table = {
        (row["generator"], row["classifier"], row["row"]): row
        for row in read_csv(drawn, "robustness")
    }
    masses = stats.binom(N, 0.25)
    # By brute force: the highest rank with too few points below it, and the lowest with enough.
    j = max(k for k in range(N + 1) if masses.cdf(k - 1) <= 0.025)
    k = min(k for k in range(1, N + 1) if masses.sf(k - 1) <= 0.025)
    for generator in ("ppca", "vae"):
        for classifier in ("linear", "mlp"):
            for quantity in QUANTITIES:
                radii = radii_of(records, generator, classifier, quantity)
                row = table[generator, classifier, quantity.partition("[")[0]]
                scale = float(row["scale"])
                # Stored in single precision, rounded outward.
                tolerance = {"rel": 1e-6, "abs": 1e-12}
                low, high = sorted(radii.lower)[j - 1], sorted(radii.upper)[k - 1]
                assert float(row["lower"]) * scale == pytest.approx(low, **tolerance)
                assert float(row["upper"]) * scale == pytest.approx(high, **tolerance)
                assert float(row["lower"]) <= low / scale
                assert float(row["upper"]) >= high / scale - 1e-12
    assert float(table["vae", "mlp", "error_real"]["value"]) == 0.072


def test_laws_are_the_empirical_laws(drawn: Path, records: list[Record]) -> None:
    radii = radii_of(records, "vae", "linear", "r_in[l2]")
    rows = [
        row
        for row in read_csv(drawn, "laws")
        if (row["generator"], row["classifier"], row["quantity"]) == ("vae", "linear", "r_in[l2]")
    ]
    for row in rows[::20]:
        eta = float(row["eta"])
        for column, ends in (
            ("law_of_upper_ends", radii.upper),
            ("law_of_lower_ends", radii.lower),
        ):
            assert float(row[column]) == pytest.approx(np.mean(ends <= eta), abs=1.5 / N)
        assert float(row["bound_lower"]) <= float(row["bound_upper"])
        assert float(row["bound_upper"]) <= float(row["bound_sampled_not_rigorous_upper"])


def test_exact_laws_are_met_within_the_band(drawn: Path) -> None:
    rows = read_csv(drawn, "families")
    assert {row["family"] for row in rows} == {"half_space", "argmax"}
    for row in rows:
        below, above = float(row["band_below"]), float(row["band_above"])
        assert below <= float(row["exact"]) <= above
        assert float(row["bound"]) <= float(row["exact"]) + 1e-9


def test_two_classifiers_of_a_generator_are_shown_by_their_percentiles(
    records: list[Record],
) -> None:
    rng = np.random.default_rng()
    (pair, *_) = View("default", "measured here", records, 0.05).pairs
    pairs, quartiles = [], {}
    for generator, count in (("one", 1), ("many", 5), ("two", 2)):
        for i, factor in enumerate(rng.permutation(count) + 1.0):
            radii = Radii(np.zeros(N), factor * rng.uniform(0.9, 1.0, N))
            evidence = {**pair.record.evidence, "r_unc[l2]": radii}
            record = dataclasses.replace(pair.record, evidence=evidence)
            pairs.append(Pair(generator, f"{generator} {i}", record, pair.facts))
            quartiles[f"{generator} {i}"] = np.quantile(radii.upper, 0.25)
    shown = [p.classifier for p in extremes(pairs)]
    many = {name: value for name, value in quartiles.items() if "many" in name}
    assert shown[:3] == ["one 0", min(many, key=many.__getitem__), max(many, key=many.__getitem__)]
    assert sorted(shown[3:]) == ["two 0", "two 1"]
    assert quartiles[shown[3]] < quartiles[shown[4]]


def test_markers_stand_at_their_own_number_of_classes(records: list[Record]) -> None:
    view = View("default", "measured here", records, 0.05)
    figure = FIGURES["classes"].draw(view).figure
    curves, measured = figure.axes
    single = [line for line in curves.get_lines() if len(line.get_xdata()) == 1]
    at = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in single]
    expected = [
        (pair.n_classes, seen_quantile(pair.radii("r_latent[l2]"))) for pair in view.all_pairs
    ]
    assert at == expected
    names = [label.get_text() for label in measured.get_xticklabels()]
    assert names == ["ppca", "vae", "half space", "argmax"]
    # A column a pair, its generator's name below the middle of its columns.
    places = sorted({float(line.get_xdata()[0]) for line in measured.get_lines()})
    assert len(places) == len(expected) == 6
    middles = [np.mean(places[:2]), np.mean(places[2:4]), *places[4:]]
    assert measured.get_xticks() == pytest.approx(middles)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [label for label in labels if label in ("linear", "mlp", "half_space", "argmax")] == [
        "linear",
        "mlp",
    ]


@pytest.mark.parametrize("shared", [True, False])
def test_test_images_that_all_share_are_shown_once(records: list[Record], shared: bool) -> None:
    of_digits = [r for r in records if r.request.subject.get("data", {}).get("name") == "digits"]
    found = [record for record in of_digits if record.request.plugin == "samples"]
    test = found[0].arrays["test_images"]
    if shared:
        found = [dataclasses.replace(r, arrays={**r.arrays, "test_images": test}) for r in found]
    made = FIGURES["samples"].draw(View("default", "measured here", found, 0.05))
    (axes,) = made.figure.axes
    words = [text.get_text() for text in axes.texts]
    assert words.count("real test images") == (1 if shared else len(found))
    assert words.count("reconstructions") == len(found) == 2
    # Each image in its place: the first test image is drawn above or beside its words.
    (picture,) = (image.get_array() for image in axes.images)
    top = round(next(t.get_position()[1] for t in axes.texts if "test" in t.get_text()) - 3.5)
    assert np.asarray(picture)[top : top + 8, :8, 0] == pytest.approx(test[0, 0])
    assert "vae, reconstruction error 0.100, distance to training images 1.20" in words
    assert made.caption.count("0.300") == made.caption.count("1.20") == 1


def test_laws_say_each_thing_once(records: list[Record]) -> None:
    figure = FIGURES["laws"].draw(View("default", "measured here", records, 0.05)).figure
    panels = np.array(figure.axes).reshape(2, 3)
    assert [axes.get_xlabel() for axes in panels[0]] == [""] * 3
    assert all("distance" in axes.get_xlabel() for axes in panels[1])
    assert [axes.get_ylabel().split("\n")[0] for axes in panels[:, 0]] == ["ppca", "vae"]
    assert not any("\n" in axes.get_title() for axes in panels.flat)


def test_quantile_limits_of_too_few_points_are_open() -> None:
    assert quantile_limits(Radii(np.full(1, 0.5), np.ones(1))) == (0.0, np.inf)


def test_every_number_is_in_numbers_tex(drawn: Path) -> None:
    text = (drawn / "figures" / "numbers.tex").read_text()
    for path in (drawn / "figures").glob("*.json"):
        about = json.loads(path.read_text())
        assert bool(about["records"]) is not FIGURES[about["name"]].from_theory
        for key in about["numbers"]:
            assert key.startswith(about["name"] + ".")
            assert rf"\defval{{{key}}}" in text
    assert r"\defval{run.points_a_pair}{400}" in text
    assert r"\defval{run.records}{measured here}" in text


# What is not there


def test_no_records_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="advbounds run nothing"):
        draw("nothing", tmp_path)


def test_a_missing_record_leaves_its_figure_out_and_draws_the_others(
    records: list[Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(records, tmp_path)
    draw("default", tmp_path, "samples")
    for record in records:
        if record.request.plugin == "samples":
            (tmp_path / "records" / f"{record.id}.json").unlink()
    for name in ("samples", "outcomes"):
        assert not draw("default", tmp_path, name)
    errors = capsys.readouterr().err
    assert "figure 'samples' is not drawn: no records of samples; `advbounds run def" in errors
    assert "outcomes{" in errors
    assert {p.name for p in (tmp_path / "figures").glob("samples.*")} == set()
    assert (tmp_path / "figures" / "outcomes.csv").is_file()


def test_a_preset_without_families_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(synthetic_records(families=False), tmp_path, "small")
    assert draw("small", tmp_path, "families")
    assert "the preset has none" in capsys.readouterr().err
    assert draw("small", tmp_path, "robustness")


def test_unknown_figure_names_the_nearest(drawn: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'laws'"):
        draw("default", drawn, "lwas")


@pytest.mark.parametrize("alpha", ["0", "0.7", "-1"])
def test_alpha_out_of_range(drawn: Path, alpha: str) -> None:
    (command,) = (c for c in COMMANDS if c.name == "draw")
    parser = argparse.ArgumentParser()
    command.configure(parser)
    arguments = parser.parse_args(["--build", str(drawn), "--alpha", alpha])
    with pytest.raises(InputError, match="--alpha"):
        command.run(arguments)


# Verdicts and words


def test_a_violated_law_is_ringed_and_counted(records: list[Record], tmp_path: Path) -> None:
    far = np.full(N, 50.0)
    broken = [
        dataclasses.replace(r, evidence={**r.evidence, "r_in[l2]": Radii(far, far)})
        if r.request.plugin == "radii" and r.request.subject["generator"]["label"] == "ppca"
        else r
        for r in records
    ]
    write_run(broken, tmp_path)
    draw("default", tmp_path, "outcomes")
    draw("default", tmp_path, "laws")
    numbers = json.loads((tmp_path / "figures" / "laws.json").read_text())["numbers"]
    assert numbers["laws.ppca.r_in[l2].violated"] == 2
    (row,) = (
        row
        for row in read_csv(tmp_path, "outcomes")
        if (row["claim"], row["quantity"]) == ("fawzi2018/thm1", "r_in[l2]")
    )
    assert row["violated"] == "2"


def test_claims_that_apply_nowhere_are_left_out_and_counted(
    drawn: Path, records: list[Record]
) -> None:
    verdicts = View("default", "measured here", records, 0.05).verdicts
    applied = {(v.claim, v.quantity) for v in verdicts if v.outcome != Outcome.OUT_OF_SCOPE}
    rows = read_csv(drawn, "outcomes")
    assert {(row["claim"], row["quantity"]) for row in rows} == applied
    about = json.loads((drawn / "figures" / "outcomes.json").read_text())
    absent = {v.claim for v in verdicts} - {claim for claim, _ in applied}
    assert len(absent) == about["numbers"]["outcomes.claims_out_of_scope"] > 0
    assert f"Not shown are {len(absent)} claims" in about["caption"]
    total = sum(int(about["numbers"][f"outcomes.{s}.total"]) for s in ("proved", "conjectured"))
    assert total == len(verdicts)
    lines = (drawn / "figures" / "outcomes.md").read_text().splitlines()[2:]
    shown = [line for line in lines if line.startswith("| fawzi2018/thm1 |")]
    counts = {
        tuple(row[outcome] for outcome in ("holds", "violated", "undecided", "out_of_scope"))
        for row in rows
        if row["claim"] == "fawzi2018/thm1"
    }
    # Quantities with the same counts share a line.
    assert len(shown) == len(counts) < 3


def test_bands_are_shared_by_the_laws_that_are_judged(records: list[Record]) -> None:
    view = View("default", "measured here", records, 0.05)
    # A verdict with a level is one on a law or a mean.
    laws = [v for v in view.verdicts if v.rigorous and v.alpha and v.outcome != "OUT OF SCOPE"]
    assert view.n_laws == len(laws) >= 18
    assert view.band(N) == pytest.approx(np.sqrt(np.log(len(laws) / (0.05 * 0.9)) / (2 * N)))


def test_words() -> None:
    assert plain(r"$\hat\omega \le \omega$") == "ω̂ ≤ ω"
    assert plain(r"$\lVert W_k \rVert_2$") == "‖W<sub>k</sub>‖<sub>2</sub>"
    assert escape("a_b & 3%") == r"a\_b \& 3\%"
    assert plain(r"$4 \pi \log{\left(K \right)}$") == "4 π log(K)"
    assert plain(r"$\sqrt{\pi} \eta, \sqrt n$") == "√π η, √n"
    assert plain(r"$\int_0^\pi \sin\theta\, d\theta$") == "∫<sub>0</sub><sup>π</sup> sin θ dθ"
    assert plain(r"a/\allowbreak{}b, \{c\}") == "a/b, {c}"
    assert number(0.0) == "0"
    assert number(1e-12) == "$10^{-12}$"
    assert number(123456.0) == r"$1.23 \times 10^{5}$"
    assert interval(0.12341, 0.12341) == "[0.1234, 0.1235]"
    assert interval(0.25, 0.25) == "[0.2500, 0.2500]"
