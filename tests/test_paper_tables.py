"""The table in the papers' layout: printed numbers stand by networks of their kind alone."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from empirics.record import Record
from figures.plates.robustness import robustness
from figures.printed import printed
from figures.registry import FIGURES, Row, Table
from figures.save import save
from figures.view import View, quantile_limits
from tests.synthetic_training import NETWORKS, N, paper_records, training_records
from theory.evidence import Radii
from theory.wording import plain

GOLDEN = tomllib.loads((Path(__file__).parent / "golden" / "fawzi2018.toml").read_text())
ROWS = {"latent": "r_latent", "in_distribution": "r_in", "unconstrained": "r_unc"}


def made(records: list[Record] | None = None) -> Table:
    return robustness(View("p", "measured here", records or paper_records(), 0.05))


def row_of(table: Table, classifier: str, row: str) -> Row:
    (found,) = (r for r in table.rows if (r["classifier"], r["row"]) == (classifier, row))
    return found


def test_printed_numbers_are_those_of_the_golden_file() -> None:
    for there, golden in zip(printed("fawzi2018")["table"], GOLDEN["table"], strict=True):
        assert there["name"] == golden["name"]
        assert [network["name"] for network in there["network"]] == golden["classifiers"]
        for key, row in ROWS.items():
            assert there["bound"][row] == golden[key]["bound"]["printed"]
            assert [network[row] for network in there["network"]] == golden[key]["measured"]


def test_printed_numbers_stand_by_the_first_network_of_their_kind() -> None:
    table = made()
    wanted = {"vgg": "2.5e-3", "wrn": "3.0e-3", "wrn-adv": "3.6e-3"}
    for label, _, _ in NETWORKS:
        assert row_of(table, label, "r_latent")["printed"] == wanted.get(label)
    assert row_of(table, "wrn-adv", "error_real")["printed"] == "16.0%"
    assert row_of(table, "wrn-adv", "error_generated")["printed"] is None
    assert table.numbers["dcgan.wrn-adv.r_unc.printed"] == "2.0e-3"
    assert "Wide ResNet, adversarially trained beside wrn-adv (depth 10, widening 1, steps" in (
        plain(table.caption)
    )


@pytest.mark.parametrize(("name", "count"), [("mnist", 0), ("svhn", 1), ("cifar10", 3)])
def test_no_other_data_set_has_printed_numbers(name: str, count: int) -> None:
    table = made(paper_records(name))
    shown = {row["classifier"] for row in table.rows if row["printed"] is not None}
    assert len(shown) == count
    printed_lines = [line for s in table.sections for line in s.body if "printed" in line[0]]
    assert bool(printed_lines) == bool(count)
    assert ("Printed:" in table.caption) == bool(count)


def test_five_classifiers_are_two_blocks_with_one_bound() -> None:
    first, second = made().sections
    assert (first.title, second.title) == ("dcgan, cifar10", "dcgan, cifar10, continued")
    labels = [label for label, _, _ in NETWORKS]
    assert first.columns == ["", "bound", "sampled*", *labels[:4]]
    assert second.columns == ["", "bound", "sampled*", labels[4]]
    for section in (first, second):
        assert all(len(line) == len(section.columns) for line in section.body)
        heads = [plain(line[0]).strip() for line in section.body]
        assert heads[:3] == ["error, generated", "error, real", "printed"]
        assert [head == "printed" for head in heads[3:]] == [False, True] * 3
    bounds = [[line[1:3] for line in section.body] for section in (first, second)]
    assert bounds[0] == bounds[1]
    latent, within = bounds[0][4], bounds[0][6]
    assert latent == ["0.016", ""]
    assert within == ["", "0.10"]


def test_intervals_are_order_statistics_over_the_mean_norm() -> None:
    records = paper_records()
    table = made(records)
    for record in records:
        if record.request.plugin != "radii":
            continue
        label = record.request.subject["classifier"]["label"]
        for quantity, seen in record.evidence.items():
            assert isinstance(seen, Radii)
            row = row_of(table, label, quantity.partition("[")[0])
            scale = 9.0 if "latent" not in quantity else float(row["scale"] or 0)
            low, high = quantile_limits(seen)
            assert (row["lower"], row["upper"]) == pytest.approx((low / scale, high / scale))
            share = np.mean(seen.upper <= float(row["upper"] or 0) * scale)
            assert 0.25 < share < 0.35


def test_the_caption_speaks_of_what_was_measured() -> None:
    caption = plain(made([*paper_records(), *training_records()]).caption)
    assert f"cifar10 (subset): 4,000 training images, radii of {N} fresh points" in caption
    assert "a pair, on cpu." in caption
    assert "training images, radii" not in plain(made().caption)


def test_files(tmp_path: Path) -> None:
    save(FIGURES["robustness"], made(), tmp_path, {"preset": "p"}, ["id"])
    text = (tmp_path / "robustness.tex").read_text()
    assert "printed &  & 0.10" in text
    assert r"16.0\%" in text
    assert "dcgan, cifar10, continued" in text
