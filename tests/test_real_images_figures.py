"""Theorem 4 as it is drawn: means with their limits, bounds of the claim, distances to the data."""

import dataclasses

import numpy as np
import pytest
from matplotlib.text import Annotation

from empirics.judge import MEAN_CAP
from empirics.record import Record
from figures.registry import Drawing
from figures.view import NothingToDraw, View
from tests.drawn_hamming import drawn_from, select
from tests.synthetic import CLASSIFIERS, synthetic_records
from tests.synthetic_data_radii import (
    data_radii_record,
    data_radii_records,
    wasserstein_record,
)
from theory.claim import CLAIMS, Quantity
from theory.statistics import empirical_bernstein
from theory.wording import plain

MEASURED = ("modulus", "class_masses")


def known_facts() -> list[Record]:
    return [r for r in synthetic_records(families=False) if r.request.plugin in MEASURED]


def drawn(records: list[Record]) -> Drawing:
    made = drawn_from("real_images", [*known_facts(), *records])
    assert isinstance(made, Drawing)
    return made


@pytest.fixture(scope="module")
def made() -> Drawing:
    return drawn(data_radii_records())


def test_means_and_limits_are_the_records(made: Drawing) -> None:
    record = data_radii_record("vae", "linear", certified=0.6)
    (row,) = select(made.rows, generator="vae", classifier="linear")
    seen = record.evidence["r_unc_data[l2]"]
    assert row["certified_mean"] == pytest.approx(np.mean(seen.lower))
    assert row["attacked_mean"] == pytest.approx(np.mean(seen.upper))
    view = View("p", "measured here", [*known_facts(), *data_radii_records()], 0.05)
    records = {r.id: r for r in view.records}
    facts = view.facts(records[record.id])
    bound = CLAIMS["fawzi2018/thm4"].evaluate(
        facts, Quantity.parse("r_unc_data[l2]"), 0.1 * view.level
    )
    assert row["bound"] == bound.upper
    # Twice as far from the data: the bound is farther by as much.
    (nearer,) = select(made.rows, generator="ppca", classifier="linear")
    assert float(str(row["bound"])) - float(str(nearer["bound"])) == pytest.approx(0.6, abs=0.1)
    cap, level = MEAN_CAP * bound.upper, 0.9 * view.level
    low, _ = empirical_bernstein(np.asarray(seen.lower), level, cap, "lower")
    _, high = empirical_bernstein(np.asarray(seen.upper), level, cap, "upper")
    assert (row["lower_limit"], row["upper_limit"]) == pytest.approx((low, high))
    (verdict,) = (
        v for v in view.verdicts if v.claim == "fawzi2018/thm4" and v.records == (record.id,)
    )
    assert f"{high:.4g}" in verdict.reason


def test_every_distance_to_the_data_is_there(made: Drawing) -> None:
    seen = wasserstein_record("vae", 2.6).facts
    rows = {r["distance"]: r["value"] for r in made.rows if r["generator"] == "vae" if "value" in r}
    assert rows.pop("limit") == seen["wasserstein_1"]
    assert rows == {key: seen["wasserstein"][key] for key in rows}
    assert {"of_samples_mean", "less_baselines", "sliced_max", "sliced_mean"} <= rows.keys()
    right = made.figure.axes[1]
    assert [label.get_text() for label in right.get_yticklabels()] == ["ppca", "vae"]
    values = {float(np.asarray(line.get_xdata())[0]) for line in right.lines}
    assert {seen["wasserstein_1"], *rows.values()} <= values


def test_lines_stand_below_their_generator(made: Drawing) -> None:
    left = made.figure.axes[0]
    places = left.get_yticks()
    assert [label.get_text() for label in left.get_yticklabels()] == [*CLASSIFIERS, *CLASSIFIERS]
    heads = {t.get_text(): t.xy[1] for t in left.texts if isinstance(t, Annotation)}
    assert list(heads) == ["ppca", "vae"]
    assert heads["ppca"] < places[0] < places[1] < heads["vae"] < places[2]


def test_the_caption_states_the_bias(made: Drawing) -> None:
    caption = plain(made.caption)
    assert "120 real test images" in caption
    assert "samples of 300 images is biased upwards" in caption
    assert "Without a finite bound" not in caption
    assert caption.endswith("Data: digits (random). Measured on cpu.")
    words = ("holds", "violated", "undecided", "out_of_scope")
    assert sum(int(made.numbers[word] or 0) for word in words) == made.numbers["pairs"] == 4


def test_without_a_limit_on_the_distance_there_is_no_bound() -> None:
    records = [wasserstein_record("vae", limit=False), data_radii_record("vae", "mlp")]
    made = drawn(records)
    (row, *_) = made.rows
    assert (row["bound"], row["lower_limit"]) == (None, None)
    assert row["bound_estimated_not_rigorous"] is not None
    assert "Without a finite bound, and so without a cap: 1 of 1" in plain(made.caption)
    assert not select(made.rows, distance="limit")


def test_images_that_no_attack_moved() -> None:
    records = [wasserstein_record("vae"), data_radii_record("vae", "mlp", lost=4)]
    made = drawn(records)
    (row, *_) = made.rows
    assert row["attacked_mean"] == np.inf
    assert row["not_found"] == 4
    assert np.isfinite(float(str(row["upper_limit"])))
    assert "No other label was found for 4 images" in plain(made.caption)


def test_without_a_distance_to_the_data() -> None:
    made = drawn([data_radii_record("vae", "mlp")])
    assert made.numbers["out_of_scope"] == 1
    assert "biased" not in made.caption


def test_a_violation_is_ringed() -> None:
    record = data_radii_record("vae", "mlp", n=2000, scale=40.0, certified=0.9)
    made = drawn([wasserstein_record("vae"), record])
    assert made.numbers["violated"] == 1
    other = dataclasses.replace(record, evidence={"r_unc_data[l2]": data_radii_record(
        "vae", "mlp", n=2000, certified=0.9
    ).evidence["r_unc_data[l2]"]})  # fmt: skip
    assert drawn([wasserstein_record("vae"), other]).numbers["violated"] == 0
    marks = [line for line in made.figure.axes[0].lines if line.get_markersize() == 9]
    assert marks


def test_nothing_to_draw() -> None:
    with pytest.raises(NothingToDraw, match="no distances of real images"):
        drawn([])
