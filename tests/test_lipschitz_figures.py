"""Figures and tables of Lipschitz constants: what they show, counted again from the records."""

import dataclasses
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from empirics.record import Record
from figures import style
from figures.lipschitz import Network, between, extremes, networks, rounded
from figures.numbers import printed
from figures.registry import FIGURES, Drawing, Table
from figures.save import save
from figures.view import NothingToDraw
from tests.drawn_hamming import Made, drawn_from, select, view_of
from tests.synthetic_lipschitz import (
    NETS,
    ORDER,
    PRODUCT_ALONE,
    Net,
    affine_record,
    lipschitz_record,
    lipschitz_records,
    mlp,
)
from theory.wording import plain

NAMES = ("constants", "tightness", "lipschitz")
SECTION = Path(__file__).parent.parent / "paper" / "sections" / "lipschitz.tex"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return lipschitz_records(seed=int(np.random.default_rng().integers(10**6)))


@pytest.fixture(scope="module")
def made(records: list[Record]) -> dict[str, Made]:
    return {name: drawn_from(name, records) for name in NAMES}


def one(net: Net, seed: int = 0) -> list[Record]:
    return [lipschitz_record(net, np.random.default_rng(seed))]


def label(record: Record) -> str:
    subject = record.request.subject
    return str((subject.get("image_classifier") or subject["generator"])["label"])


def known(record: Record) -> dict[str, dict[str, Any]]:
    return {line["method"]: line for line in record.facts["constants[l2->l2]"]}


def lower_of(record: Record) -> float:
    return float(known(record)["sampled"]["lower"])


def uppers(records: list[Record], method: str) -> list[float]:
    """Return the ratios of a method over all networks that have it."""
    return [known(r)[method]["upper"] / lower_of(r) for r in records if method in known(r)]


# Ratios


def test_every_method_of_every_network_is_drawn(
    made: dict[str, Made], records: list[Record]
) -> None:
    rows = made["constants"].rows
    for record in records:
        shown = {str(row["method"]): row for row in select(rows, network=label(record))}
        upper = {m: line for m, line in known(record).items() if line["upper"] is not None}
        assert shown.keys() == upper.keys() | {"free pattern", "lower"}
        for method, line in upper.items():
            assert shown[method]["ratio"] == pytest.approx(line["upper"] / lower_of(record))
            assert shown[method]["seconds"] == line["seconds"]
            words = {True: "yes", False: "no", None: None}[line["verified"]]
            assert shown[method]["verified"] == words
        free = known(record)["free pattern"]["lower"] / lower_of(record)
        assert shown["free pattern"]["ratio"] == pytest.approx(free)
        assert free <= float(shown["semidefinite"]["ratio"] or 0) * (1 + 1e-9)


def test_numbers_of_constants_by_brute_force(made: dict[str, Made], records: list[Record]) -> None:
    numbers = made["constants"].numbers
    assert numbers["networks"] == len(NETS)
    assert numbers["generators"] == sum(net.generator for net in NETS)
    assert numbers["classifiers"] == len(NETS) - numbers["generators"]
    assert numbers["certificates"] == 2 * len(NETS)
    assert numbers["verified"] == 2 * len(NETS) - sum(len(net.fails) for net in NETS)
    assert numbers["exact"] == 1
    decoders = [r for r in records if r.request.plugin == "modulus"]
    for group, of in (("all", records), ("generator", decoders)):
        for method in ORDER:
            ratios, stem = uppers(of, method), f"{group}.{method.replace(' ', '_')}"
            assert numbers[f"{stem}_min"] == pytest.approx(min(ratios))
            assert numbers[f"{stem}_max"] == pytest.approx(max(ratios))
    gains = [known(r)["product"]["upper"] / known(r)["semidefinite"]["upper"] for r in records]
    assert numbers["all.gain_max"] == pytest.approx(max(gains))
    relaxed = [
        known(r)["semidefinite"]["upper"] / known(r)["free pattern"]["lower"] for r in records
    ]
    assert numbers["all.relaxation_min"] == pytest.approx(min(relaxed))
    assert numbers["all.relaxation_max"] == pytest.approx(max(relaxed))
    assert numbers["all.duality_gap_max"] == pytest.approx(1e-7, rel=1e-5)
    timed = [known(r)["semidefinite"]["seconds"] for r in records]
    seconds = [max(s, 1e-4) for s in timed if s is not None]
    ends = f"{min(seconds):.2g} to {max(seconds):.2g}"
    assert f"the semidefinite bound took {ends}" in str(numbers["seconds_words"])


def test_exact_constant_in_words() -> None:
    records = one(Net("tiny", exact=True))
    line = known(records[0])
    line["semidefinite"]["upper"] = line["exact"]["upper"] * (1 + 3.1e-5)
    words = str(drawn_from("constants", records).numbers["exact_words"])
    assert "tiny" in words
    # In percent, and rounded up.
    assert "0.0031%" in words or "0.0032%" in words
    words = str(drawn_from("constants", one(mlp(2, 16))).numbers["exact_words"])
    assert "no network" in words


def test_times_are_drawn_where_there_are_any(records: list[Record]) -> None:
    untimed = [r for r in records if known(r)["product"]["seconds"] is None]
    for given, panels in ((records, 3), (untimed, 2)):
        drawn = drawn_from("constants", given)
        assert isinstance(drawn, Drawing)
        assert len(drawn.figure.axes) == panels
        assert ("CPU seconds" in drawn.caption) == (panels == 3)
    numbers = drawn_from("constants", untimed).numbers
    assert numbers["seconds_words"] == "no times were kept"


def test_a_certificate_that_fails_is_ringed(made: dict[str, Made]) -> None:
    rings: dict[bool, int] = {}
    for fails in ((), ("semidefinite",)):
        drawn = drawn_from("constants", one(mlp(2, 16, fails=fails, timed=False)))
        assert isinstance(drawn, Drawing)
        lines = drawn.figure.axes[0].lines
        rings[bool(fails)] = sum(
            line.get_markeredgecolor() == style.RING and line.get_marker() == "o" for line in lines
        )
        assert ("not verified" in legend(drawn)) == bool(fails)
    assert rings == {False: 0, True: 1}


def legend(drawn: Drawing) -> list[str]:
    kept = [*drawn.figure.legends, *(axes.get_legend() for axes in drawn.figure.axes)]
    return [text.get_text() for each in kept if each is not None for text in each.get_texts()]


def test_full_markers_are_verified_ones() -> None:
    drawn = drawn_from("constants", one(mlp(2, 16, timed=False)))
    assert isinstance(drawn, Drawing)
    markers = [line for line in drawn.figure.axes[0].lines if line.get_marker() != "None"]
    full = [line for line in markers if line.get_markerfacecolor() != "white"]
    assert len(markers) == len(ORDER)
    assert len(full) == 2


# Depth


def test_tightness_by_brute_force(made: dict[str, Made], records: list[Record]) -> None:
    drawn = made["tightness"]
    assert isinstance(drawn, Drawing)
    by_label = {label(r): r for r in records}
    assert {row["network"] for row in drawn.rows} == {
        f"mlp-{d}x{w}" for d in (1, 2, 4, 8) for w in (16, 64, 256)
    }
    for row in drawn.rows:
        record = by_label[str(row["network"])]
        assert row["network"] == f"mlp-{row['hidden_layers']}x{row['width']}"
        line = known(record)[str(row["method"])]
        value = line["lower"] if row["method"] == "free pattern" else line["upper"]
        assert row["ratio"] == pytest.approx(value / lower_of(record))
    assert len(drawn.rows) == 12 * 7 - 1
    numbers = drawn.numbers
    assert (numbers["widths"], numbers["networks"]) == (3, 12)
    for name, depth in (("shallow", 1), ("deep", 8)):
        assert numbers[f"{name}.layers"] == depth
        there = [by_label[f"mlp-{depth}x{w}"] for w in (16, 64, 256)]
        for method in ORDER:
            stem = f"{name}.{method.replace(' ', '_')}"
            assert numbers[f"{stem}_min"] == pytest.approx(min(uppers(there, method)))
            assert numbers[f"{stem}_max"] == pytest.approx(max(uppers(there, method)))
    titles = [axes.get_title() for axes in drawn.figure.axes]
    assert titles == ["width 16", "width 64", "width 256"]


def test_depths_are_compared_where_all_else_is_the_same() -> None:
    rng = np.random.default_rng(3)
    other = mlp(2, 16, settings={"steps": 10})
    uneven = Net("mlp-64-32", hidden=(64, 32))
    alike = [lipschitz_record(net, rng) for net in (mlp(1, 16), mlp(4, 16), other, uneven)]
    rows = drawn_from("tightness", alike).rows
    assert {row["network"] for row in rows} == {"mlp-1x16", "mlp-4x16"}
    with pytest.raises(NothingToDraw, match="several depths"):
        drawn_from("tightness", [alike[0], *alike[2:]])


def test_shape_from_the_label_without_settings() -> None:
    (record,) = one(mlp(4, 64))
    subject = dict(record.request.subject)
    subject["image_classifier"] = {"label": "mlp-4x64", "name": "mlp"}
    bare = dataclasses.replace(record.request, subject=subject)
    assert Network(dataclasses.replace(record, request=bare)).shape == (4, 64)


# Table


def test_table_rounds_outward(made: dict[str, Made], records: list[Record]) -> None:
    table = made["lipschitz"]
    assert isinstance(table, Table)
    cells = {row[0]: row for section in table.sections[:-1] for row in section.body}
    columns = table.sections[0].columns
    assert cells.keys() == {label(r) for r in records}
    for record in records:
        line = known(record)
        found = dict(zip(columns, cells[label(record)], strict=True))
        for method in ORDER[1:]:
            if method not in line:
                assert found[method] == "--"
                continue
            upper = line[method]["upper"]
            assert upper <= float(found[method]) <= upper * (1 + 1.1e-3)
        lower = float(re.findall(r"[\d.]+", found["$L$"])[0])
        assert lower_of(record) * (1 - 1.1e-3) <= lower <= lower_of(record)
        low, high = (float(x) for x in re.findall(r"[\d.]+", found[columns[3]]))
        assert low <= line["semidefinite"]["upper"] * (1 - 1e-7) < line["semidefinite"]["upper"]
        assert line["semidefinite"]["upper"] <= high
        assert found["verified"] == ("1 of 2" if label(record) == "mlp-8x256" else "2 of 2")
    assert cells["mlp-16"][1].startswith("[")
    assert [section.title for section in table.sections] == ["digits", "mnist", "CPU seconds"]
    assert len(table.sections[-1].body) == sum(net.timed for net in NETS)
    assert len(table.rows) == sum(len(known(r)) for r in records)


def test_rounding_never_crosses_a_value() -> None:
    rng = np.random.default_rng()
    values = [*(10 ** rng.uniform(-2.9, 4.9, 300)), 1.0, 9.9999, 99990.0, 0.001]
    for value in map(float, values):
        up, down = Decimal(rounded(value, up=True)), Decimal(rounded(value, up=False))
        assert down <= Decimal(value) <= up
        assert float(up - down) <= 1.001e-3 * value
        digits = rounded(value, up=True).replace(".", "").lstrip("0")
        assert len(digits) >= 4
    assert rounded(0.0, up=False) == "0.000"


def test_untimed_networks_have_no_table_of_times() -> None:
    table = drawn_from("lipschitz", one(mlp(1, 16, timed=False)))
    assert isinstance(table, Table)
    assert [section.title for section in table.sections] == [""]


# What is missing


def test_affine_maps_and_networks_without_a_lower_end(records: list[Record]) -> None:
    bare = lipschitz_record(PRODUCT_ALONE, np.random.default_rng(1))
    shown = networks(view_of([*records, affine_record(), bare]))
    assert [network.label for network in shown].count("affine") == 0
    table = drawn_from("lipschitz", [bare])
    assert isinstance(table, Table)
    ((name, *cells),) = table.sections[0].body
    assert name == "graph"
    assert cells[:3] == ["--"] * 3
    assert cells[-1] == "--"
    assert cells[-2] != "--"
    with pytest.raises(NothingToDraw, match="upper and a lower"):
        drawn_from("constants", [bare])
    for name in NAMES:
        with pytest.raises(NothingToDraw, match="hidden units"):
            drawn_from(name, [affine_record()])
        with pytest.raises(NothingToDraw):
            drawn_from(name, [])


def test_infinite_ends_are_not_there() -> None:
    records = one(mlp(2, 16))
    known(records[0])["product"]["upper"] = math.inf
    rows = drawn_from("constants", records).rows
    assert "product" not in {row["method"] for row in rows}


def test_ranges_in_words_hold_all_values() -> None:
    rng = np.random.default_rng()
    for _ in range(100):
        values = (1 + rng.exponential(2.0, 3)).tolist()
        low, high = (float(end) for end in between(values).split(" to "))
        assert min(values) * (1 - 1.1e-3) <= low <= min(values)
        assert max(values) <= high <= max(values) * (1 + 1.1e-3)


def test_extremes() -> None:
    assert extremes(iter([3.0, None, 1.0])) == (1.0, 3.0)
    assert extremes([]) == (None, None)


# Files and paper


@pytest.mark.parametrize("name", NAMES)
def test_captions_and_numbers_can_be_printed(made: dict[str, Made], name: str) -> None:
    drawn = made[name]
    assert drawn.caption.count("$") % 2 == 0
    assert not set("\\$") & set(plain(drawn.caption))
    for key, value in drawn.numbers.items():
        assert not set("{}#%") & set(key)
        assert "nan" not in printed(value)
    if isinstance(drawn, Table):
        for section in drawn.sections:
            assert all(len(cells) == len(section.columns) for cells in section.body)
            assert all(cell.strip() for cells in section.body for cell in cells)


@pytest.mark.parametrize("name", NAMES)
def test_same_records_same_bytes(name: str, tmp_path: Path) -> None:
    plate, contents = FIGURES[name], []
    for i in range(2):
        drawn = drawn_from(name, lipschitz_records(seed=2)[:5])
        with style.applied():
            save(plate, drawn, tmp_path / f"{i}", {"preset": "p"}, ["id"])
        contents.append({path.name: path.read_bytes() for path in (tmp_path / f"{i}").iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {f"{name}{suffix}" for suffix in plate.suffixes}


def test_every_number_of_the_section_is_drawn(made: dict[str, Made]) -> None:
    small = {name: drawn_from(name, one(Net("mlp-12", "digits"))) for name in NAMES[::2]}
    keys = set(re.findall(r"\\val\{([^}]*)\}", SECTION.read_text()))
    assert set(NAMES) <= {key.partition(".")[0] for key in keys}
    for drawn in (made, small):
        names = {f"{name}.{key}" for name, each in drawn.items() for key in each.numbers}
        assert {key for key in keys if key.partition(".")[0] in drawn} <= names


def test_the_section_asks_for_numbers_only_where_they_are() -> None:
    text = SECTION.read_text()
    for match in re.finditer(r"\\(?:val|input|includegraphics|autoref)\b[^{]*\{([^}]*)\}", text):
        target = re.sub(r"^(?:fig|tab):|\\figures/|\.(?:pdf|tex)$", "", match[1]).partition(".")[0]
        if target in FIGURES:
            assert target in open_groups(text[: match.start()]), match[0]


def open_groups(text: str) -> list[str]:
    """Return the plates in whose \\withfigure or \\withtable the text ends."""
    found = []
    for match in re.finditer(r"\\with(?:figure|table)\{(\w+)\}\{", text):
        depth = 1
        for character in text[match.end() :]:
            depth += {"{": 1, "}": -1}.get(character, 0)
            if not depth:
                break
        if depth:
            found.append(match[1])
    return found
