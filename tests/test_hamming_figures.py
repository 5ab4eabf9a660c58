"""Figures and tables of changed pixels: what they show, counted again from the records."""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from empirics.record import Record
from figures import style
from figures.hamming import Network, main_of, middle, names_of, within
from figures.numbers import printed
from figures.plates.arrangement import END, NORMALS, OFFSETS, START, cell_polygon
from figures.plates.changed_pixels import DECREASED, INCREASED, coloured
from figures.plates.output_path import folds
from figures.registry import FIGURES, Table
from figures.save import save
from figures.view import NothingToDraw
from tests.drawn_hamming import Made, drawn_from, ends_of, limits, select
from tests.synthetic_hamming import (
    K,
    Net,
    hamming_record,
    hamming_records,
    small_hamming_records,
)
from theory.wording import plain

NAMES = (
    "arrangement", "planar_slice", "output_path", "changed_pixels", "reach", "exact_changes",
    "hamming", "depth",
)  # fmt: skip
MEASURED = NAMES[1:]
SECTION = Path(__file__).parent.parent / "paper" / "sections" / "hamming.tex"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return hamming_records(seed=2)


@pytest.fixture(scope="module")
def made(records: list[Record]) -> dict[str, Made]:
    return {name: drawn_from(name, records) for name in NAMES}


@pytest.fixture(scope="module")
def made_small() -> dict[str, Made]:
    small = small_hamming_records(seed=3)
    names = [name for name in NAMES if name != "depth"]
    return {name: drawn_from(name, small) for name in names}


# Drawn from the theory


def test_cells_of_the_lines_by_sampling(made: dict[str, Made]) -> None:
    rng = np.random.default_rng(5)
    normals, offsets = np.array(NORMALS), np.array(OFFSETS)
    points = rng.uniform(-40, 40, (30_000, 2)) * rng.choice([0.07, 1.0], (30_000, 1))
    cells = {tuple(row) for row in np.unique(np.sign(points @ normals.T - offsets), axis=0)}
    numbers = made["arrangement"].numbers
    assert len(cells) == numbers["regions"] == numbers["reached_by_two"] == 11
    line = np.column_stack([np.linspace(-50, 50, 20_001), np.full(20_001, START[1])])
    reached = {tuple(row) for row in np.unique(np.sign(line @ normals.T - offsets), axis=0)}
    # A step may hit a line itself.
    assert len({cell for cell in reached if 0 not in cell}) == numbers["reached_by_one"] == 5
    start, end = (tuple(np.sign(normals @ at - offsets).astype(int)) for at in (START, END))
    assert end in cells
    assert end not in reached
    assert numbers["crossed"] == sum(a != b for a, b in zip(start, end, strict=True))
    inside = {
        tuple(int(sign > 0) for sign in signs): np.abs(cell_polygon(signs)).max() for signs in cells
    }
    # Without its bounded cells nothing would be cut off by the window.
    assert sum(size < 2.59 for size in inside.values()) == numbers["bounded_regions"]


def test_polygons_of_the_cells_fill_the_window(made: dict[str, Made]) -> None:
    names = [str(row["cell"]) for row in made["arrangement"].rows]
    signs = [tuple(1 if s == "+" else -1 for s in name) for name in names]
    polygons = [cell_polygon(each) for each in signs]
    assert sum(map(area, polygons)) == pytest.approx(4 * 3.0 * 2.6)
    for each, polygon in zip(signs, polygons, strict=True):
        middle_point = polygon.mean(axis=0)
        assert (np.array(each) * (np.array(NORMALS) @ middle_point - OFFSETS) > 0).all()


def test_numbers_of_the_linear_theorems(made: dict[str, Made]) -> None:
    numbers = made["arrangement"].numbers
    for k in range(1, 10):
        assert numbers[f"law.{k}"] == pytest.approx(stats.binom.cdf(k, 9, 0.5))
    assert numbers["good_single"] == pytest.approx(784 * 10 / 2**9)
    for extra in (0, 1, 2):
        median = 1 / math.sqrt(stats.chi2.median(extra + 1))
        assert numbers[f"median_change_{extra}"] == pytest.approx(median)


def area(polygon: np.ndarray[Any, Any]) -> float:
    corners = [*polygon.tolist(), polygon[0].tolist()]
    pairs = pairwise(corners)
    return 0.5 * abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in pairs))


# Success


def test_reach_counts_pairs(made: dict[str, Made], records: list[Record]) -> None:
    rows = made["reach"].rows
    for box, space in (("[0, 1]", "0..1"), ("[-1, 2]", "-1..2"), ("[-50, 51]", "-50..51")):
        found = list(ends_of(records, "mlp-64", space, "upper").values())
        drawn = select(rows, panel="a", box=box)
        assert [row["k"] for row in drawn] == list(range(len(drawn)))
        for row in drawn:
            count = sum(changes <= float(row["k"] or 0) for changes in found)
            assert (row["count"], row["pairs"]) == (count, len(found))
            low, high = limits(count, len(found))
            assert row["low"] == pytest.approx(low, abs=1e-9)
            assert row["high"] == pytest.approx(high, abs=1e-9)
    for label in ("mlp-4x64", "median-filter"):
        (row,) = [r for r in rows if f"{label} " in str(r["series"]) and r["k"] == K + 1]
        found = list(ends_of(records, label, "0..1", "upper").values())
        assert row["share"] == pytest.approx(sum(changes <= K + 1 for changes in found) / 216)


def test_reach_shows_what_is_possible_where_it_is_proved(records: list[Record]) -> None:
    solved = [r for r in records if r.request.subject["image_classifier"]["label"] == "mlp-16"]
    drawn = drawn_from("reach", solved)
    certified = list(ends_of(solved, "mlp-16", "0..1", "lower").values())
    for row in select(drawn.rows, box="[0, 1]"):
        possible = sum(lower <= float(row["k"] or 0) for lower in certified) / len(certified)
        assert row["possible"] == pytest.approx(possible)
        assert float(row["share"] or 0) <= possible + 1e-12


def test_random_pixels_and_their_law(made: dict[str, Made], records: list[Record]) -> None:
    record = main_of([r for r in records if r.request.plugin == "random_pixels"])
    rows = select(made["reach"].rows, panel="b")
    for o, box in enumerate(("[-1, 2]", "[-5, 6]", "[-50, 51]")):
        for c, k in enumerate(record.arrays["climb.counts"]):
            firsts = record.arrays["climb.tries"][o, c].tolist()
            for draws in (1, 3):
                (row,) = select(rows, series=f"random, {draws} draws", box=box, k=int(k))
                hits = sum(first in range(1, draws + 1) for first in firsts)
                assert row["count"] == hits
    law = [float(row["share"]) for row in select(rows, series="law")]
    # Ten classes: with no change one label in ten is the point's own, and is not asked for.
    assert law[:4] == pytest.approx([0, 0.303, 0.648, 0.873], abs=1e-3)
    assert law[K - 1 :] == pytest.approx([1.0] * len(law[K - 1 :]))
    first = record.arrays["climb.tries"][2]
    words = str(made["reach"].numbers["random_words"])
    assert f"{100 * np.mean(first[0] == 1):.1f}" in words
    assert "in [-50, 51] one draw of 3, 5, 7, 9, 11 and 15 random pixels" in words


# Exact minima


def test_exact_changes_count_what_is_solved(made: dict[str, Made], records: list[Record]) -> None:
    numbers, rows = made["exact_changes"].numbers, made["exact_changes"].rows
    total = []
    for label, data in (("mlp-16", "mnist"), ("mlp", "digits")):
        lowers = ends_of(records, label, "0..1", "lower")
        uppers = ends_of(records, label, "0..1", "upper")
        pairs = [(lowers[p], uppers[p]) for p in uppers]
        total += pairs
        stem = f"{data}.{label}"
        assert numbers[f"{stem}.solved"] == sum(a == b for a, b in pairs)
        assert numbers[f"{stem}.largest_gap"] == max(b - a for a, b in pairs if math.isfinite(b))
        drawn = select(rows, network=label, data=data)
        assert sum(int(row["pairs"] or 0) for row in drawn) == len(pairs)
        for row in drawn:
            pair = (float(row["certified"] or 0), float(row["changes"] or 0))
            assert row["pairs"] == pairs.count(pair)
    gaps = [b - a for a, b in total if math.isfinite(b)]
    assert numbers["all.mean_gap"] == pytest.approx(sum(gaps) / len(gaps))
    assert numbers["all.pairs"] == len(total)
    known = []
    for label in ("mlp-16", "mlp"):
        lowers, uppers, searched = (
            ends_of(records, label, "0..1", end) for end in ("lower", "upper", "searched")
        )
        known += [searched[p] - uppers[p] for p in uppers if lowers[p] == uppers[p]]
    assert numbers["search.mean_excess"] == pytest.approx(np.mean(known))
    assert numbers["search.least_percent"] == pytest.approx(100 * np.mean(np.equal(known, 0)))


def test_a_proof_of_failure_alone_is_drawn() -> None:
    record = hamming_record(Net("mlp-64", 1e9, solved=True), np.random.default_rng(0))
    drawn = drawn_from("exact_changes", [record])
    assert drawn.numbers["all.solved"] == 0
    assert drawn.numbers["all.not_found"] == 216
    assert {row["changes"] for row in drawn.rows} == {"inf"}


# Pictures


def test_changed_pixels_are_coloured(made: dict[str, Made], records: list[Record]) -> None:
    record = next(
        r
        for r in records
        if r.request.plugin == "hamming"
        and r.request.subject["image_classifier"]["label"] == "mlp-64"
    )
    image = record.arrays["image"][0]
    for target in range(K):
        point = record.arrays["hamming in 0..1.points"][0, target]
        picture = coloured(image, point)
        grey = picture[0] == picture[1]
        upper = record.arrays["hamming in 0..1.upper"][0, target]
        assert (~grey).sum() == np.nan_to_num(upper)
        for colour, sign in ((DECREASED, -1), (INCREASED, 1)):
            red = int(colour[1:3], 16) / 255
            moved = np.sign(point[0] - image[0]) == sign
            assert (picture[0][moved] == red).all()
    rows = made["changed_pixels"].rows
    assert made["changed_pixels"].numbers["targets"] == len(rows) == 27
    assert {row["network"] for row in rows} == {"mlp-16", "mlp-64"}
    for row in rows:
        box = str(row["box"])[1:-1].replace(", ", "..")
        at = (int(row["image"] or 0), int(row["target"] or 0))
        assert row["changes"] == ends_of(records, str(row["network"]), box, "upper")[at]


def test_lines_show_one_image_where_they_can(made: dict[str, Made]) -> None:
    assert len({row["image"] for row in made["changed_pixels"].rows}) == 1


def test_the_plane_is_filled(made: dict[str, Made], records: list[Record]) -> None:
    drawn = made["planar_slice"]
    for label in ("mlp-64", "mlp-64-32"):
        rows = select(drawn.rows, network=label)
        assert sum(float(row["area"] or 0) for row in rows) == pytest.approx(2.2**2)
        record = next(
            r
            for r in records
            if r.request.plugin == "planar_slice"
            and r.request.subject["image_classifier"]["label"] == label
        )
        assert drawn.numbers[f"mnist.{label}.polygons"] == len(rows)
        assert drawn.numbers[f"mnist.{label}.regions"] == record.facts["n_activation_regions"]
        assert [row["label"] for row in rows] == record.arrays["labels"].tolist()


def test_folds_are_where_the_path_turns(made: dict[str, Made], records: list[Record]) -> None:
    record = main_of([r for r in records if r.request.plugin == "random_pixels"])
    progress = record.arrays["walk.progress"]
    by_hand = [
        i
        for i in range(1, len(progress) - 1)
        if (progress[i] - progress[i - 1]) * (progress[i + 1] - progress[i]) < 0
    ]
    assert folds(progress).tolist() == by_hand
    rows, numbers = made["output_path"].rows, made["output_path"].numbers
    assert [row["step"] for row in rows if row["kind"] == "fold"] == by_hand
    assert numbers["folds"] == record.facts["walk"]["folds"] == 4
    assert numbers["crossings"] == len(progress) - 2
    change = record.arrays["walk.change"]
    steps = [math.dist(a, b) for a, b in pairwise(change)]
    assert rows[-1]["length"] == pytest.approx(math.fsum(steps))
    assert numbers["least_lead"] == record.arrays["walk.leads"][-1].min()


# Words, files, and what is not there


@pytest.mark.parametrize("name", NAMES)
def test_captions_and_numbers_can_be_printed(made: dict[str, Made], name: str) -> None:
    drawn = made[name]
    assert drawn.caption.count("$") % 2 == 0
    assert "nan" not in drawn.caption
    assert not set("\\$") & set(plain(drawn.caption))
    for key, value in drawn.numbers.items():
        assert not set("{}#%") & set(key)
        assert "nan" not in printed(value)
    if isinstance(drawn, Table):
        for section in drawn.sections:
            assert all(len(cells) == len(section.columns) for cells in section.body)
            assert all(cell.strip() for cells in section.body for cell in cells)


@pytest.mark.parametrize("name", ["arrangement", "planar_slice", "reach", "hamming"])
def test_same_records_same_bytes(made: dict[str, Made], name: str, tmp_path: Path) -> None:
    plate, contents = FIGURES[name], []
    for i, drawn in enumerate((made[name], drawn_from(name, hamming_records(seed=2)))):
        with style.applied():
            save(plate, drawn, tmp_path / f"{i}", {"preset": "p"}, ["id"])
        contents.append({path.name: path.read_bytes() for path in (tmp_path / f"{i}").iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {f"{name}{suffix}" for suffix in plate.suffixes}


def test_every_number_of_the_section_is_drawn(
    made: dict[str, Made], made_small: dict[str, Made]
) -> None:
    keys = set(re.findall(r"\\val\{([^}]*)\}", SECTION.read_text()))
    assert {key.partition(".")[0] for key in keys} == set(NAMES)
    for drawn in (made, made_small):
        known = {f"{name}.{key}" for name, each in drawn.items() for key in each.numbers}
        asked = {key for key in keys if key.partition(".")[0] in drawn}
        assert asked <= known


def test_the_section_asks_for_measured_numbers_only_where_they_are() -> None:
    """Everything measured stands inside a \\withfigure or \\withtable of its own plate."""
    text = SECTION.read_text()
    for match in re.finditer(r"\\(?:val|input|includegraphics|autoref)\b[^{]*\{([^}]*)\}", text):
        target = re.sub(r"^(?:fig|tab):|\\figures/|\.(?:pdf|tex)$", "", match[1]).partition(".")[0]
        if target in MEASURED:
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


def test_without_records_there_is_nothing_to_draw() -> None:
    for name in MEASURED:
        with pytest.raises(NothingToDraw):
            drawn_from(name, [])


def one_box(images: int, scale: float = 6.0) -> list[Record]:
    net = Net("mlp", scale, "digits", overshoots=(0.0,), linear=False)
    return [hamming_record(net, np.random.default_rng(1), images)]


@pytest.mark.parametrize("few", [lambda: one_box(1), lambda: one_box(2, 1e9)])
def test_one_network_one_box_few_images(few: Callable[[], list[Record]]) -> None:
    records = few()
    n = sum(r.evidence["r_targeted[hamming in 0..1]"].n for r in records)  # type: ignore[union-attr]
    for name in ("changed_pixels", "reach", "hamming"):
        drawn = drawn_from(name, records)
        assert drawn.rows
        assert drawn.caption.count("$") % 2 == 0
    numbers = drawn_from("hamming", records).numbers
    assert numbers["narrow.pairs"] == numbers["wide.pairs"] == n
    assert numbers["ray_networks"] == 0
    assert printed(numbers["ray_percent"]) == "--"
    with pytest.raises(NothingToDraw, match="proved"):
        drawn_from("exact_changes", records)
    with pytest.raises(NothingToDraw, match="baseline"):
        drawn_from("depth", records)


def test_targets_that_were_not_found_are_infinite() -> None:
    drawn = drawn_from("hamming", one_box(2, 1e9))
    assert drawn.numbers["narrow.median"] == math.inf
    assert printed("inf") in drawn.sections[0].body[0]  # type: ignore[union-attr]
    assert {row["changes"] for row in drawn_from("changed_pixels", one_box(2, 1e9)).rows} == {"inf"}


def test_main_network_is_that_of_mnist(records: list[Record]) -> None:
    measured = [r for r in records if r.request.plugin == "hamming"]
    assert main_of(measured) is measured[2]
    assert main_of(measured[:2]) is measured[1]
    assert main_of(measured[:1]) is measured[0]
    networks = [Network(record) for record in measured[:2]]
    assert set(names_of(networks).values()) == {"mlp (digits)", "mlp-16 (mnist)"}
    assert names_of(networks[:1]) == {networks[0]: "mlp"}


def test_rates_and_medians() -> None:
    rng = np.random.default_rng(11)
    for _ in range(50):
        ends = np.append(rng.integers(1, 30, rng.integers(1, 40)).astype(float), np.inf)
        k = int(rng.integers(0, 30))
        rate = within(ends, k)
        assert rate.count == sum(end <= k for end in ends.tolist())
        assert rate.limits == pytest.approx(limits(rate.count, ends.size), abs=1e-9)
        assert rate.limits[0] <= rate.share <= rate.limits[1]
        # The least value that half of all do not exceed.
        median = min(end for end in ends if 2 * np.sum(ends <= end) >= ends.size)
        assert middle(ends) == median
