"""The table of accuracy under attack: counted again, and the printed numbers where they belong."""

import dataclasses
import re
from pathlib import Path

import pytest

from empirics.record import Record
from figures.printed import printed
from figures.registry import FIGURES, Row, Table
from figures.save import save
from figures.view import NothingToDraw
from tests.drawn_hamming import drawn_from, limits, select
from tests.synthetic_under_attack import part, under_attack_record, under_attack_records
from theory.errors import InputError
from theory.wording import plain

PAPER = printed("madry2018")


def made(*records: Record) -> Table:
    table = drawn_from("under_attack", records or under_attack_records())
    assert isinstance(table, Table)
    return table


def one(table: Table, **given: object) -> Row:
    (row,) = select(table.rows, **given)
    return row


# Printed numbers


def test_printed_numbers_are_those_of_the_paper() -> None:
    assert (PAPER["arxiv"], PAPER["table"], PAPER["data"]) == ("1706.06083", "1", "mnist")
    rows = PAPER["row"]
    assert len(rows) == 17
    assert all(re.fullmatch(r"\d\d\.\d", row["accuracy"]) for row in rows)
    white = {(r["attack"], r.get("steps"), r.get("restarts")): r["accuracy"] for r in rows[:9]}
    assert white["natural", None, None] == "98.8"
    assert white["pgd", 40, 1] == "93.2"
    assert white["pgd", 100, 20] == "89.3"
    # More of the same attack leaves no more accuracy, and others' gradients leave more.
    numbers = [float(white["pgd", *run]) for run in ((40, 1), (100, 1), (40, 20), (100, 20))]
    assert numbers == sorted(numbers, reverse=True)
    assert min(float(r["accuracy"]) for r in rows[9:]) > max(numbers)
    assert {r["source"] for r in rows} == {"", "A", "A'", "B"}


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'madry2018'"):
        printed("madry2017")


def test_every_printed_number_stands_beside_its_row_once() -> None:
    table = made(under_attack_record())
    beside = [
        (r["attack"], r["letter"], r["printed"]) for r in table.rows if r["printed"] is not None
    ]
    asked = [(r["attack"], r["source"], r["accuracy"]) for r in PAPER["row"]]
    assert sorted(beside, key=str) == sorted(asked, key=str)
    # In the paper's order, too.
    assert beside == asked
    assert one(table, attack="pgd", steps=100, restarts=1)["printed"] == "91.8"
    assert one(table, attack="cw+", letter="B")["printed"] == "95.7"
    for attack in ("apgd-ce", "apgd-dlr", "hop_skip_jump", "worst", "certified"):
        assert one(table, attack=attack)["printed"] is None


@pytest.mark.parametrize(
    "other", [{"data": "digits"}, {"radius": 0.1}, {"step": 0.02}, {"confidence": 10.0}]
)
def test_nothing_is_printed_beside_other_attacks(other: dict[str, float]) -> None:
    table = made(under_attack_record(**other))  # type: ignore[arg-type]
    assert all(row["printed"] is None for row in table.rows)
    assert "Nothing is printed for other data than MNIST" in table.caption
    assert table.numbers["compared"] == 0
    assert "gap_min" not in table.numbers


def test_other_runs_have_no_printed_number() -> None:
    record = under_attack_record()
    rows = [dict(row) for row in record.facts["rows"]]
    for row in rows:
        if row["attack"] == "pgd" and row["restarts"] == 20:
            row["restarts"] = 10
    facts = {**record.facts, "rows": rows}
    table = made(dataclasses.replace(record, facts=facts))
    assert one(table, attack="pgd", letter="A", steps=100, restarts=10)["printed"] is None
    assert table.numbers["compared"] == 17 - 3


def test_letters() -> None:
    letters = {row["source"]: row["letter"] for row in made(under_attack_record()).rows}
    assert letters == {
        "": "",
        "robust": "A",
        "copy": "A'",
        "other": "B",
        "plain": "",
        "copy-2": "",
    }
    wider = (part("robust"), part("wide", channels=[32, 64], steps=10), part("long", steps=9000))
    table = made(under_attack_record(classifiers=wider))
    assert one(table, attack="cw", source="wide")["letter"] == "B"
    assert one(table, attack="cw", source="long")["letter"] == ""


# Our numbers


def test_counts_and_limits_by_brute_force() -> None:
    record = under_attack_record(seed=3)
    table = made(record)
    lines = {
        (r["attack"], r["source"], r["steps"], r["restarts"]): i
        for i, r in enumerate(record.facts["rows"])
    }
    assert len(table.rows) == len(lines) + 1
    for row in table.rows:
        if row["attack"] == "certified":
            n, right = 1000, int(record.arrays["certified"].sum())
        else:
            i = lines[row["attack"], row["source"], row["steps"], row["restarts"]]
            n = 20 if row["attack"] == "hop_skip_jump" else 1000
            right = int((~record.arrays["wrong"][i][:n]).sum())
        assert (row["n"], row["right"]) == (n, right)
        assert row["accuracy"] == pytest.approx(100 * right / n)
        ends = [100 * end for end in limits(right, n)]
        assert [row["lower"], row["upper"]] == pytest.approx(ends)
    worst = one(table, attack="worst")["accuracy"]
    assert isinstance(worst, float)
    others = select(table.rows, n=1000)
    assert all(float(r["accuracy"] or 0) >= worst for r in others if r["attack"] != "certified")


def test_cells_round_outward_and_follow_the_rows() -> None:
    table = made(under_attack_record())
    (section,) = table.sections
    assert section.title == ""
    assert section.columns[3:5] == ("source", "printed")
    for cells, row in zip(section.body, table.rows, strict=True):
        assert len(cells) == len(section.columns)
        low, high = re.findall(r"[\d.]+", cells[6])
        assert float(low) <= float(row["lower"] or 0) + 1e-9
        assert float(high) >= float(row["upper"] or 0) - 1e-9
        assert float(high) - float(low) <= float(row["upper"] or 0) - float(row["lower"] or 0) + 0.2
    assert section.body[0][:6] == ["natural", "--", "--", "--", "98.8", section.body[0][5]]
    assert section.body[11][0] == "HopSkipJump, 20 images"
    assert section.body[2][:5] == ["PGD", "40", "1", "robust (A)", "93.2"]
    assert plain(section.body[12][3]) == "copy (A')"
    assert [cells[0] for cells in section.body[-2:]] == ["worst of all rows", "certified"]


def test_numbers_of_the_network_that_can_be_compared() -> None:
    table = made()
    numbers = table.numbers
    assert (numbers["target"], numbers["data"], numbers["n"]) == ("robust", "mnist", 1000)
    for key, given in (
        ("A.pgd_100x20", {"attack": "pgd", "letter": "A", "steps": 100, "restarts": 20}),
        ("A_copy.cw_plus", {"attack": "cw+", "letter": "A'"}),
        ("B.fgsm", {"attack": "fgsm", "letter": "B"}),
        ("natural", {"attack": "natural"}),
    ):
        row = one(table, **{"data": "mnist", **given})
        assert numbers[key] == round(float(row["accuracy"] or 0), 1)
        assert numbers[f"{key}_printed"] == float(row["printed"] or 0)
    shown = [r for r in table.rows if r["printed"] is not None]
    assert numbers["compared"] == len(shown) == 17
    inside = [
        float(r["lower"] or 0) <= float(r["printed"] or 0) <= float(r["upper"] or 0) for r in shown
    ]
    assert numbers["printed_inside"] == sum(inside)
    gaps = [float(r["accuracy"] or 0) - float(r["printed"] or 0) for r in shown]
    assert numbers["gap_min"] == round(min(gaps), 1)
    assert numbers["gap_max"] == round(max(gaps), 1)
    facts = under_attack_record().facts["robust_accuracy[linf]"]
    assert numbers["robust_lower"] == round(100 * facts["lower"], 1)
    assert numbers["robust_upper"] == round(100 * facts["upper"], 1)


def test_caption_says_what_was_trained_and_attacked() -> None:
    caption = plain(made().caption)
    for words in (
        "robust (lenet, channels 16 and 32, hidden 128)",
        "trained for 6,000 steps of 100 images on PGD examples of 10 steps within 0.3 in linf",
        "1,000 test images of mnist within 0.3 in steps of 0.01, on cpu",
        "200 test images of digits within 0.1",
        "10,000 images",
        "A certificate (interval) was sought for 50 of them; no other counts.",
    ):
        assert words in caption, words
    record = under_attack_record()
    facts = {**record.facts, "not_certified_because": "a part 'sin' is not known"}
    caption = plain(made(dataclasses.replace(record, facts=facts)).caption)
    assert "No certificate: a part 'sin' is not known." in caption


def test_nothing_to_draw() -> None:
    with pytest.raises(NothingToDraw):
        drawn_from("under_attack", [])


def test_files(tmp_path: Path) -> None:
    save(FIGURES["under_attack"], made(), tmp_path, {"preset": "default"}, ["id"])
    text = (tmp_path / "under_attack.tex").read_text()
    assert text.count(r"\begin{tabular}") == 2
    assert r"\textbf{robust, mnist}" in text
    assert text.index("robust, mnist") < text.index("small, digits")
    assert (tmp_path / "under_attack.csv").read_text().count("\n") == 1 + len(made().rows)
