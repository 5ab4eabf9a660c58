"""The heat maps of hardness: what they show, counted again from the records."""

import itertools
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from empirics.record import Record
from figures.printed import printed
from figures.registry import Drawing
from figures.view import NothingToDraw
from tests.drawn_hamming import drawn_from, limits, select
from tests.synthetic_hardness import (
    IMAGES,
    NETS,
    Attacked,
    K,
    decreasing,
    hardness_record,
    hardness_records,
)

COLUMNS = ("success", "distortion", "hardness", "distance")


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return hardness_records(seed=int(np.random.default_rng().integers(10**6)))


@pytest.fixture(scope="module")
def made(records: list[Record]) -> Drawing:
    drawn = drawn_from("hardness", records)
    assert isinstance(drawn, Drawing)
    return drawn


def one(net: Attacked, seed: int = 0) -> list[Record]:
    return [hardness_record(net, np.random.default_rng(seed))]


def test_every_pair_of_every_network_has_a_row(made: Drawing, records: list[Record]) -> None:
    assert len(made.rows) == 3 * K * (K - 1)
    for net, record in zip(NETS, records, strict=True):
        d = net.side**2
        changes, labels = record.arrays["changes"], record.arrays["label"]
        for source, target in itertools.permutations(range(K), 2):
            (row,) = select(
                made.rows, network=net.label, data=net.data, source=source, target=target
            )
            counts = changes[labels == source, target]
            assert row["images"] == len(counts) == (0 if source in net.without_images else IMAGES)
            within = counts[counts <= 2 * math.floor(d * 0.145 / 2)]
            share = None if not len(counts) else len(within) / len(counts)
            assert row["success"] == (None if share is None else pytest.approx(share))
            mean = pytest.approx(within.mean() / d) if len(within) else None
            assert row["distortion"] == mean
            for name in ("hardness", "hardness_all", "distance", "distance_pairs"):
                value = record.arrays[name][source, target]
                assert row[name] == (None if np.isnan(value) else value)


def test_numbers_by_brute_force(made: Drawing, records: list[Record]) -> None:
    numbers = made.numbers
    assert numbers["networks"] == 3
    for net, record in zip(NETS, records, strict=True):
        stem, d = f"{net.data}.{net.label}", net.side**2
        changes = record.arrays["changes"]
        counts = changes[~np.isnan(changes)]
        allowed = 2 * math.floor(d * 0.145 / 2)
        within = counts[counts <= allowed]
        assert numbers[f"{stem}.pairs"] == len(counts)
        assert numbers[f"{stem}.reached"] == len(within)
        ends = [numbers[f"{stem}.success_{end}"] for end in ("low", "high")]
        assert ends == pytest.approx([100 * e for e in limits(len(within), len(counts))])
        reached = 100 * within.mean() / d
        assert numbers[f"{stem}.distortion_reached"] == pytest.approx(reached)
        every = 100 * np.minimum(counts, allowed).mean() / d
        assert numbers[f"{stem}.distortion_all"] == pytest.approx(every)
        hard, far = record.arrays["hardness"], record.arrays["distance"]
        there = np.isfinite(hard) & np.isfinite(far)
        true = stats.spearmanr(hard[there], far[there]).statistic
        assert numbers[f"{stem}.spearman.hardness.distance"] == pytest.approx(true)
        assert numbers[f"{stem}.spearman.hardness.distance.pairs"] == there.sum()
        assert f"{true:.2f} over {there.sum()} pairs of classes for {net.label}" in made.caption
        source, target = (int(str(numbers[f"{stem}.hardest.{e}"])) for e in ("source", "target"))
        assert hard[source, target] == np.nanmax(hard)
        assert numbers[f"{stem}.never"] == len(net.never)
    first = {k: v for k, v in numbers.items() if k.startswith("mnist.lenet.")}
    assert len(first) > 15
    for key, value in first.items():
        assert numbers[key.removeprefix("mnist.lenet.")] == value


def test_maps_are_of_the_matrices(made: Drawing, records: list[Record]) -> None:
    panels = made.figure.axes[: 4 * len(records)]
    for i, record in enumerate(records):
        for j, name in enumerate(COLUMNS):
            (image,) = panels[4 * i + j].images
            kept: Any = image.get_array()
            shown = np.asarray(kept.filled(np.nan), dtype=np.float64)
            scale = 1 if name == "distance" else 100
            np.testing.assert_allclose(shown, scale * record.arrays[name])
            # One scale of colours for all networks, which leaves nothing out.
            assert image.get_clim() == panels[j].images[0].get_clim()
            low, high = image.get_clim()
            assert low <= np.nanmin(shown) <= np.nanmax(shown) <= high
    labels = [axes.get_xlabel() for axes in made.figure.axes[4 * len(records) :]]
    assert [label.split(" ")[0] for label in labels] == [
        "success",
        "distortion",
        "hardness",
        "adversarial",
    ]


def test_pairs_that_were_never_reached_are_crossed(made: Drawing) -> None:
    crossed = [
        [np.asarray(line.get_xydata()).tolist() for line in axes.lines]
        for axes in made.figure.axes[:4]
    ]
    assert crossed == [[[]], [[[0.0, 1.0]]], [[[0.0, 1.0]]], [[]]]


def test_printed_numbers_stand_beside_those_of_mnist_alone(made: Drawing) -> None:
    headings = [made.figure.axes[4 * i].texts[0].get_text() for i in range(3)]
    for heading, net in zip(headings, NETS, strict=True):
        assert heading.startswith(f"{net.label} ({net.data}): ")
        assert ("printed, LeNet: 97.05%, 4.03%" in heading) == (net.data == "mnist")
    row = printed("papernot2016")["row"][-1]
    for key, value in row.items():
        assert made.numbers[f"printed.{key}"] == value
    assert "97.05\\% reached" in made.caption
    # Every percent sign of the text is escaped, or LaTeX would leave out the rest of the line.
    assert not re.search(r"(?<!\\)%", made.caption)
    assert str(IMAGES) in made.caption
    assert "Device: cpu." in made.caption


def test_the_decreasing_form_has_a_name_of_its_own() -> None:
    both = one(NETS[1]) + one(decreasing(NETS[1]), seed=1)
    drawn = drawn_from("hardness", both)
    assert {row["network"] for row in drawn.rows} == {"mlp-64", "mlp-64-decreasing"}
    keys = [f"mnist.{label}.distortion_reached" for label in ("mlp-64", "mlp-64-decreasing")]
    assert drawn.numbers[keys[0]] != drawn.numbers[keys[1]]
    assert isinstance(drawn, Drawing)
    # The paper's numbers are of the increasing form.
    headings = [drawn.figure.axes[4 * i].texts[0].get_text() for i in range(2)]
    assert ["printed" in heading for heading in headings] == [True, False]


def test_more_than_three_networks_are_in_the_files_alone() -> None:
    known = hardness_records() + one(Attacked("other"))
    drawn = drawn_from("hardness", known)
    assert isinstance(drawn, Drawing)
    assert sum(len(axes.images) for axes in drawn.figure.axes[:-4]) == 3 * 4
    assert sum(len(axes.texts) for axes in drawn.figure.axes) == 3
    assert drawn.numbers["networks"] == 4
    assert "mnist.other.success" in drawn.numbers


def test_a_network_that_nothing_turns() -> None:
    never = tuple(itertools.permutations(range(K), 2))
    drawn = drawn_from("hardness", one(replace(NETS[0], never=never)))
    assert drawn.numbers["success"] == 0
    assert drawn.numbers["distortion_reached"] is None
    assert drawn.numbers["spearman.hardness.distance"] is None
    assert drawn.numbers["never"] == K * (K - 1)
    assert "Rank correlation" not in drawn.caption
    assert isinstance(drawn, Drawing)
    drawn.figure.canvas.draw()


def test_without_records_there_is_nothing_to_draw() -> None:
    with pytest.raises(NothingToDraw, match="no hardness"):
        drawn_from("hardness", [])
