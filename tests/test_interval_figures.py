"""The figure of certified over attacked radii: what it shows, counted again from the records."""

import math

import numpy as np
import pytest
from scipy import stats

from empirics.record import Record
from figures.plates.interval_widths import METHODS
from figures.registry import Drawing
from figures.view import NothingToDraw
from tests.drawn_hamming import drawn_from, select
from tests.synthetic_certificates import (
    BOXES,
    COVERED,
    NETS,
    Certified,
    certificates_record,
    certificates_records,
)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return certificates_records(seed=int(np.random.default_rng().integers(10**6)))


@pytest.fixture(scope="module")
def made(records: list[Record]) -> Drawing:
    return drawing(records)


def drawing(records: list[Record]) -> Drawing:
    found = drawn_from("intervals", records)
    assert isinstance(found, Drawing)
    return found


def label(record: Record) -> str:
    return str(record.request.subject["image_classifier"]["label"])


def ratios(record: Record, norm: str, box: str, method: str) -> list[float]:
    """Return certified / attacked, image by image."""
    arrays = record.arrays
    pairs = zip(arrays[f"{norm}.{box}.{method}"], arrays[f"{norm}.{box}.attacked"], strict=True)
    return [float(low / high) for low, high in pairs if math.isfinite(high)]


def test_every_method_norm_and_box_is_in_the_rows(made: Drawing, records: list[Record]) -> None:
    for record, net in zip(records, NETS, strict=True):
        there = [m for m in METHODS if m not in net.lacks]
        for norm in net.norms:
            for box in BOXES:
                rows = select(made.rows, network=net.label, norm=norm, box=box)
                assert sorted(str(row["method"]) for row in rows) == sorted(there)
                for row in rows:
                    values = sorted(ratios(record, norm, box, str(row["method"])))
                    assert len(values) == net.images - net.not_found
                    assert row["q50"] == pytest.approx(np.median(values))
                    assert row["q05"] == pytest.approx(np.quantile(values, 0.05))
                    assert row["q95"] == pytest.approx(np.quantile(values, 0.95))
                    assert (row["seconds_per_image"] is None) == (not net.timed)


def test_numbers_by_brute_force(made: Drawing, records: list[Record]) -> None:
    numbers = made.numbers
    assert numbers["networks"] == len(NETS)
    for record, net in zip(records, NETS, strict=True):
        single = [m for m in COVERED if m not in net.lacks]
        assert numbers[f"{net.data}.{net.label}.images"] == net.images
        for norm in net.norms:
            stem = f"{net.data}.{net.label}.{norm}.pixels"
            for method in (*single, "best"):
                found = ratios(record, norm, "pixels", method)
                assert numbers[f"{stem}.{method}.median"] == pytest.approx(np.median(found))
                assert numbers[f"{stem}.{method}.q25"] == pytest.approx(np.quantile(found, 0.25))
            radii = {m: record.arrays[f"{norm}.pixels.{m}"] for m in single}
            shares = [float(str(numbers[f"{stem}.{m}.best_share"])) for m in single]
            wins = [max(single, key=lambda m: radii[m][i]) for i in range(net.images)]
            assert sum(shares) >= 1
            for method, share in zip(single, shares, strict=True):
                assert share >= wins.count(method) / net.images
            assert f"{stem}.best.best_share" not in numbers
            if "exact" not in net.lacks:
                proved = int(record.arrays[f"{norm}.pixels.exact.proved"].sum())
                assert numbers[f"{stem}.exact.proved"] == proved
        assert numbers[f"{net.data}.{net.label}.smoothed.0.25.median"] == 0.4


def test_shares_have_exact_limits(made: Drawing) -> None:
    row = next(r for r in made.rows if r["method"] == "linear")
    count, n = int(str(row["best"])), int(str(row["images"]))
    assert 0 < count < n
    assert row["best_low"] == pytest.approx(stats.beta.ppf(0.025, count, n - count + 1))
    assert row["best_high"] == pytest.approx(stats.beta.ppf(0.975, count + 1, n - count))


def test_panels_hold_a_strip_for_every_method(made: Drawing) -> None:
    panels = [axes for axes in made.figure.axes if axes.get_title(loc="left")]
    titles = [axes.get_title(loc="left") for axes in panels]
    assert len(panels) == 2 * len(NETS)
    for net in NETS:
        assert sum(title.startswith(f"{net.label} ({net.data})") for title in titles) == 2
    for axes, title in zip(panels, titles, strict=True):
        net = next(n for n in NETS if title.startswith(f"{n.label} ({n.data})"))
        medians = [line for line in axes.get_lines() if line.get_marker() not in ("None", "", None)]
        assert len(medians) == sum(m not in net.lacks for m in METHODS)
        assert all(0 <= float(np.ravel(line.get_xdata())[0]) <= 1 for line in medians)


def test_the_caption_says_what_was_compared(made: Drawing, records: list[Record]) -> None:
    exact = [r.arrays[f"{norm}.pixels.exact.proved"] for r in records[:1] for norm in NETS[0].norms]
    proved, n = sum(int(a.sum()) for a in exact), sum(len(a) for a in exact)
    for part in ("first 40", "mlp-16 (digits)", "conv (mnist)", f"{proved} of {n} searches", "cpu"):
        assert part in made.caption
    assert "CPU seconds" in made.caption
    untimed = drawing(records[2:])
    assert "CPU seconds" not in untimed.caption
    assert "searches" not in untimed.caption


def test_without_the_box_of_pixels_the_other_is_drawn() -> None:
    net = Certified("mlp", boxes=("none",), norms=("linf",), images=12)
    made = drawing([certificates_record(net, np.random.default_rng(0))])
    assert "[0, 1]" not in made.caption
    assert {row["box"] for row in made.rows} == {"none"}


def test_nothing_is_drawn_without_records() -> None:
    with pytest.raises(NothingToDraw, match="no certificate"):
        drawing([])
