"""The transfer matrix as it is drawn: every cell from the record, the paper's where names meet."""

import re

import numpy as np
import pytest

from figures import style
from figures.printed import printed
from figures.registry import Drawing
from figures.transfer import Matrix, measured_lines, printed_lines
from figures.view import NothingToDraw
from tests.drawn_hamming import drawn_from, limits, select
from tests.synthetic_transfer import HALVES, LABELS, PAPER, transfer_record


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
    assert "As printed: the tables of Szegedy et al. (2014)" in made.caption
    titles = [axes.get_title(loc="left") for axes in made.figure.axes]
    assert titles == ["measured here", "as printed"]
    some = select(drawn(labels=("AE400-10", "mine", "FC10(1)")).rows, source="printed")
    assert [r["percent"] for r in select(some, kind="crafted")] == [100.0, 24.8, 34.4, 100.0]
    assert not select(drawn(labels=("FC10(1)", "FC10")).rows, source="printed")


def test_printed_rows_are_whole() -> None:
    paper = printed("szegedy2014")
    measured = measured_lines(transfer_record(PAPER, noise=(0.1, 0.3, 0.5)))
    lines = printed_lines(paper, PAPER, measured)
    assert [line.title for line in lines] == [*PAPER, "noise 0.1", "noise 0.3"]
    assert all(len(line.text) == 6 for line in lines)
    assert [lines[i].text[i] for i in range(6)] == ["100"] * 6
    assert paper["columns"] == list(PAPER)
    measured = measured_lines(transfer_record(HALVES, noise=(0.06, 0.1)))
    lines = printed_lines(paper["halves"], HALVES, measured)
    magnified = [f"{label} to 0.1" for label in HALVES]
    assert [line.title for line in lines] == [*HALVES, *magnified, "noise 0.06", "noise 0.1"]
    assert [lines[i].text[i % 3] for i in range(6)] == ["100"] * 6
    assert paper["halves"]["columns"] == list(HALVES)


def test_each_record_meets_the_table_of_its_names() -> None:
    names = [Matrix.of(transfer_record(labels)).name for labels in (PAPER, HALVES, LABELS)]
    assert names == ["networks", "halves", ""]
    other = Matrix.of(transfer_record(HALVES, noise=(0.3,), magnified=(0.2,)))
    assert [line.title for line in other.paper] == list(HALVES)


def test_every_record_is_drawn() -> None:
    records = [
        transfer_record(seed=1),
        transfer_record(PAPER, magnified=(), n=50),
        transfer_record(HALVES, noise=(0.06, 0.1), seed=2, lost=3),
    ]
    made = drawn_from("transfer_matrix", records)
    assert isinstance(made, Drawing)
    titles = [axes.get_title(loc="left") for axes in made.figure.axes]
    letters = ["(a) measured here", "(b) measured here", "as printed", "(c) measured here"]
    assert titles == [*letters, "as printed"]
    for k, (record, labels) in enumerate(zip(records, (LABELS, PAPER, HALVES), strict=True), 1):
        rows = select(made.rows, matrix=k, source="measured")
        assert len(rows) == len(labels) * len(measured_lines(record))
        alone = drawn_from("transfer_matrix", [record]).numbers
        prefix = ("", "networks.", "halves.")[k - 1]
        assert all(made.numbers[prefix + key] == alone[key] for key in ("images", "n_drawn"))
        # What the paper cites by the name of its table is the same whoever comes first.
        cited = {key: value for key, value in alone.items() if prefix and key.startswith(prefix)}
        assert cited.items() <= made.numbers.items()
        assert bool(cited) == bool(prefix)
    assert made.numbers["halves.magnified.printed.others_max"] == 98
    assert made.numbers["halves.FC100-100-10'.distortion_printed"] == 0.058
    (row,) = select(
        made.rows,
        matrix=3,
        source="printed",
        kind="magnified",
        made_against="FC123-456-10",
        fooled="FC100-100-10'",
    )
    assert (row["percent"], row["to"]) == (22.0, 0.1)
    assert "(b) The first 50 test images" in made.caption
    assert "left out" in made.caption


def test_printed_cells_stand_beside_the_measured_ones() -> None:
    made = drawn(labels=("mine", *PAPER), magnified=(0.1,))
    ours, theirs = made.figure.axes
    places = [
        dict(zip((t.get_text() for t in axes.get_yticklabels()), axes.get_yticks(), strict=True))
        for axes in (ours, theirs)
    ]
    assert places[1].keys() < places[0].keys()
    assert all(places[0][title] == y for title, y in places[1].items())
    assert "mine" not in places[1]


@pytest.mark.parametrize("labels", [PAPER, HALVES])
def test_text_in_cells_is_what_was_seen_and_does_not_overlap(labels: tuple[str, ...]) -> None:
    record = transfer_record(labels)
    made = drawn_from("transfer_matrix", [record])
    assert isinstance(made, Drawing)
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
