"""The transfer matrix as it is drawn: every cell from the record, the paper's where names meet."""

import re

import numpy as np
import pytest

from figures import style
from figures.plates.transfer_matrix import measured_lines, printed_lines
from figures.printed import printed
from figures.registry import Drawing
from figures.view import NothingToDraw
from tests.drawn_hamming import drawn_from, limits, select
from tests.synthetic_transfer import LABELS, PAPER, transfer_record


def drawn(**given: object) -> Drawing:
    made = drawn_from("transfer_matrix", [transfer_record(**given)])  # type: ignore[arg-type]
    assert isinstance(made, Drawing)
    return made


def test_every_cell_is_the_records() -> None:
    record = transfer_record(lost=4)
    made = drawn_from("transfer_matrix", [record])
    assert {row["source"] for row in made.rows} == {"measured"}
    assert len(made.rows) == len(LABELS) * (2 * len(LABELS) + 2)
    for kind, part in (("crafted", "crafted_on"), ("magnified", "magnified")):
        for seen in record.facts[part]:
            for label, count in zip(LABELS, seen["fooled"], strict=True):
                (row,) = select(made.rows, kind=kind, made_against=seen["label"], fooled=label)
                assert (row["count"], row["n"]) == (count, seen["n"])
                assert row["percent"] == pytest.approx(100 * count / seen["n"])
                low, high = limits(count, seen["n"])
                assert row["lower"] == pytest.approx(100 * low)
                assert row["upper"] == pytest.approx(100 * high)
    assert record.facts["crafted_on"][-1]["n"] == 96
    assert "left out" in made.caption
    assert "left out" not in drawn().caption


def test_numbers_are_counted_again() -> None:
    record = transfer_record(seed=3)
    numbers = drawn_from("transfer_matrix", [record]).numbers
    shares = [
        100 * count / seen["n"]
        for seen in record.facts["crafted_on"]
        for label, count in zip(LABELS, seen["fooled"], strict=True)
        if label != seen["label"]
    ]
    assert numbers["crafted.others_min"] == pytest.approx(min(shares))
    assert numbers["crafted.others_max"] == pytest.approx(max(shares))
    assert numbers["crafted.others_median"] == pytest.approx(np.median(shares))
    assert numbers["noise.0.3_max"] == max(record.facts["noise"][1]["fooled"])
    assert (numbers["images"], numbers["classifiers"]) == (100, 4)


def test_the_papers_table_stands_beside_networks_of_its_names() -> None:
    made = drawn(labels=PAPER)
    theirs = select(made.rows, source="printed")
    assert len(theirs) == 8 * 6
    (row,) = select(theirs, made_against="FC10(1)", fooled="FC100-100-10")
    assert (row["percent"], row["distortion"]) == (48.1, 0.14)
    assert "count" not in row
    assert "the paper's table" in made.caption
    titles = [axes.get_title(loc="left") for axes in made.figure.axes]
    assert titles == ["measured here", "Szegedy et al. (2014), as printed"]
    some = select(drawn(labels=("AE400-10", "mine", "FC10(1)")).rows, source="printed")
    assert [r["percent"] for r in select(some, kind="crafted")] == [100.0, 24.8, 34.4, 100.0]
    assert not select(drawn(labels=("FC10(1)", "FC10")).rows, source="printed")


def test_printed_rows_are_whole() -> None:
    lines = printed_lines(PAPER, (0.1, 0.3, 0.5))
    assert [line.title for line in lines] == [*PAPER, "noise 0.1", "noise 0.3"]
    assert all(len(line.text) == 6 for line in lines)
    assert [lines[i].text[i] for i in range(6)] == ["100"] * 6
    assert printed("szegedy2014")["columns"] == list(PAPER)


def test_text_in_cells_is_what_was_seen_and_does_not_overlap() -> None:
    record = transfer_record(PAPER)
    made = drawn_from("transfer_matrix", [record])
    axes = made.figure.axes[0]
    written = [t.get_text() for t in axes.texts]
    lines = measured_lines(record)
    expected = [cell for line in lines for cell in (*line.text, line.distortion)]
    assert written == expected
    assert all(re.fullmatch(r"\d{1,3}(\.\d+)?", cell) for cell in written)
    with style.applied():
        made.figure.draw_without_rendering()
    for axes in made.figure.axes:
        boxes = [t.get_window_extent() for t in (*axes.get_yticklabels(), *axes.texts)]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    edge = made.figure.bbox
    for axes in made.figure.axes:
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            box = label.get_window_extent()
            assert edge.x0 <= box.x0
            assert box.x1 <= edge.x1
            assert box.y1 <= edge.y1


def test_a_row_without_points_is_empty() -> None:
    made = drawn(n=10, lost=10, noise=(), magnified=())
    rows = select(made.rows, made_against=LABELS[-1])
    assert [row["percent"] for row in rows] == [None] * 4
    assert "Noise" not in made.caption


def test_nothing_to_draw() -> None:
    with pytest.raises(NothingToDraw, match="no transfer matrix"):
        drawn_from("transfer_matrix", [])
