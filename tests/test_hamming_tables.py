"""Tables of changed pixels: what they say, counted again from the records."""

import dataclasses
import math
import re

import numpy as np
import pytest
from scipy import stats

from empirics.record import Record
from figures.hamming import percent
from figures.paired import OPEN, sign_test, verdict
from figures.registry import Table
from figures.view import NothingToDraw
from tests.drawn_hamming import Made, drawn_from, ends_of, select
from tests.synthetic_hamming import (
    DIGITS,
    MNIST,
    K,
    hamming_records,
    small_hamming_records,
)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return hamming_records(seed=2)


@pytest.fixture(scope="module")
def made(records: list[Record]) -> dict[str, Made]:
    return {name: drawn_from(name, records) for name in ("hamming", "depth")}


@pytest.fixture(scope="module")
def made_small() -> dict[str, Made]:
    return {"hamming": drawn_from("hamming", small_hamming_records(seed=3))}


def test_table_counts_proofs_and_failures_apart(
    made: dict[str, Made], records: list[Record]
) -> None:
    table = made["hamming"]
    for net in (DIGITS, *MNIST):
        for overshoot in net.overshoots:
            space = f"{0 - overshoot:g}..{1 + overshoot:g}"
            uppers = ends_of(records, net.label, space, "upper")
            lowers = ends_of(records, net.label, space, "lower")
            box = f"[{space.replace('..', ', ')}]"
            rows = select(table.rows, network=net.label, box=box)
            assert [row["k"] for row in rows] == [K - 1, K, K + 1]
            for row in rows:
                assert row["count"] == sum(u <= float(row["k"] or 0) for u in uppers.values())
            refuted = [pair for pair in uppers if lowers[pair] > K + 1]
            missed = [pair for pair in uppers if lowers[pair] <= K + 1 < uppers[pair]]
            assert (rows[2]["refuted"], rows[2]["missed"]) == (len(refuted), len(missed))
            assert rows[2]["certified"] == max(lowers.values())
            assert rows[2]["median"] == sorted(uppers.values())[len(uppers) // 2 - 1]
            assert table.numbers[f"{net.data}.{net.label}.{space}.refuted"] == len(refuted)
    numbers = table.numbers
    lines = {(row["network"], row["box"]) for row in table.rows if row["box"] != "unlimited"}
    assert numbers["lines"] == len(lines) == 51
    whole_at = {
        k: [row for row in table.rows if row["k"] == k and row["count"] == row["pairs"]]
        for k in (K, K + 1)
    }
    assert numbers["all_reached"] == len(whole_at[K + 1])
    assert numbers["all_with_fewer"] == len(whole_at[K])
    steps = len(whole_at[K + 1]) - len(whole_at[K])
    words = str(numbers["step_words"])
    named, more = words.count("for "), re.search(r"and (\d+) more", words)
    assert named + (int(more[1]) if more else 0) == steps or (steps == 0 and "no network" in words)


def test_networks_that_are_compared_are_left_to_their_table(made: dict[str, Made]) -> None:
    hamming, depth = made["hamming"], made["depth"]
    assert isinstance(hamming, Table)
    assert isinstance(depth, Table)
    listed = {cells[0] for section in hamming.sections[:-1] for cells in section.body}
    compared = {cells[0] for section in depth.sections for cells in section.body}
    assert listed == {net.label for net in (DIGITS, *MNIST)}
    assert not listed & compared
    assert hamming.numbers["listed"] == len(listed)
    assert hamming.numbers["networks"] == 5 + 18
    assert [section.title for section in hamming.sections[:2]] == ["digits", "mnist"]


def test_unlimited_range(made: dict[str, Made], records: list[Record]) -> None:
    rows = {
        (row["network"], row["data"]): row for row in select(made["hamming"].rows, box="unlimited")
    }
    sizes = {}
    for record in records:
        if record.request.plugin == "hamming" and "unlimited.change" in record.arrays:
            data = record.request.subject["data"]["name"]
            label = record.request.subject["image_classifier"]["label"]
            change, own = record.arrays["unlimited.change"], record.arrays["label"]
            values = [change[i, t] for i in range(len(change)) for t in range(K) if t != own[i]]
            sizes[label, data] = [value for value in values if math.isfinite(value)]
            row = rows[label, data]
            assert (row["count"], row["pairs"]) == (len(sizes[label, data]), len(values))
            assert row["largest_change"] == max(sizes[label, data])
    assert set(rows) == set(sizes)
    assert ("sigmoid", "mnist") not in rows
    largest = max(max(values) for values in sizes.values())
    assert made["hamming"].numbers["ray_largest_change"] == largest


def test_comparisons_by_brute_force(made: dict[str, Made], records: list[Record]) -> None:
    rows = made["depth"].rows
    units = [row for row in rows if row["group"] != "one pixel"]
    assert len(units) == 2 * (9 + 2 + 4)
    for row in units:
        space = {"[0, 1]": "0..1", "[-1, 2]": "-1..2"}[str(row["box"])]
        one = ends_of(records, str(row["network"]), space, "upper")
        base = ends_of(records, str(row["baseline"]), space, "upper")
        both = one.keys() & base.keys()
        assert row["pairs"] == len(both) > 100
        wins = [pair for pair in both if base[pair] > 11 >= one[pair]]
        losses = [pair for pair in both if one[pair] > 11 >= base[pair]]
        assert (row["only_network"], row["only_baseline"]) == (len(wins), len(losses))
        assert row["network_share"] == pytest.approx(sum(one[p] <= 11 for p in both) / len(both))
        images = {pair[0] for pair in both}
        leads = [
            sum((base[p] <= 11) - (one[p] <= 11) for p in both if p[0] == image) for image in images
        ]
        up, down = sum(lead > 0 for lead in leads), sum(lead < 0 for lead in leads)
        assert (row["images_baseline"], row["images_network"]) == (up, down)
        for p, (a, b) in (("p_images", (up, down)), ("p_pairs", (len(losses), len(wins)))):
            tail = stats.binom.cdf(min(a, b), a + b, 0.5)
            assert row[p] == pytest.approx(min(1.0, 2 * tail) if a != b else 1.0)
        assert row["images"] == len(images)
    for unit, p, counted, suffix in (
        ("images", "p_adjusted", "images", ""),
        ("pairs", "p_pairs_adjusted", "only", "_pairs"),
    ):
        # Holm, step by step.
        ordered = sorted(rows, key=lambda row: float(row[f"p_{unit}"] or 0))
        adjusted = 0.0
        for i, row in enumerate(ordered):
            adjusted = max(adjusted, min(1.0, (len(rows) - i) * float(row[f"p_{unit}"] or 0)))
            assert row[p] == pytest.approx(adjusted)
            harder = int(row[f"{counted}_baseline"] or 0) > int(row[f"{counted}_network"] or 0)
            words = ("harder" if harder else "easier") if adjusted <= 0.05 else OPEN
            assert row[f"verdict{suffix}"] == words
    # Pairs that are counted as independent say more: in parentheses.
    table = made["depth"]
    assert isinstance(table, Table)
    cells = [cells[-1] for section in table.sections for cells in section.body]
    by_images = [row for row in rows if row["verdict"] != OPEN]
    by_pairs = [row for row in rows if row["verdict"] == OPEN != row["verdict_pairs"]]
    assert sum(cell in ("harder", "easier") for cell in cells) == len(by_images) > 0
    assert sum(cell.startswith("(") for cell in cells) == len(by_pairs) > 0
    numbers = made["depth"].numbers
    assert numbers["all.comparisons"] == len(rows) == 32
    for key, words in (("harder", "harder"), ("easier", "easier"), ("open", OPEN)):
        assert numbers[f"all.{key}"] == sum(row["verdict"] == words for row in rows)
    most = max(int(row["images"] or 0) for row in units)
    assert numbers["least_p"] == pytest.approx(min(1, 32 * stats.binom.pmf(0, most, 0.5) * 2))


def test_depth_needs_images_in_common(records: list[Record]) -> None:
    pair = [
        r
        for r in records
        if r.request.subject["image_classifier"]["label"] in ("mlp-1x16", "mlp-2x16")
    ]
    far = dataclasses.replace(pair[1], arrays={**pair[1].arrays})
    far.arrays["index"] = far.arrays["index"] + 1000  # type: ignore[index]
    with pytest.raises(NothingToDraw, match="images in common"):
        drawn_from("depth", [pair[0], far])
    assert len(drawn_from("depth", pair).rows) == 2


def test_one_pixel_is_compared_image_by_image(made: dict[str, Made], records: list[Record]) -> None:
    one, base = (
        next(
            r
            for r in records
            if r.request.plugin == "one_pixel"
            and r.request.subject["image_classifier"]["label"] == label
        )
        for label in ("sigmoid", "mlp-1x64")
    )
    (row,) = select(made["depth"].rows, group="one pixel", box="[0, 1]")
    changed, before = (r.arrays["hamming in 0..1.changed"].tolist() for r in (one, base))
    assert row["only_baseline"] == sum(b and not c for b, c in zip(before, changed, strict=True))
    assert row["network_share"] == pytest.approx(np.mean(changed))
    assert row["p_images"] == row["p_pairs"]
    assert f"{percent(float(np.mean(changed)))}% against" in str(
        made["depth"].numbers["one_pixel.words"]
    )


def test_sign_test() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 3) == 1.0
    assert sign_test(0, 6) == sign_test(6, 0) == 2 / 2**6
    assert sign_test(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)


def test_verdicts_name_the_side() -> None:
    assert verdict((9, 1), 0.02, 0.05) == "harder"
    assert verdict((1, 9), 0.05, 0.05) == "easier"
    assert verdict((1, 9), 0.06, 0.05) == OPEN
