"""Theorem 3 as it is drawn: laws with their bands, bounds of the claims, and disagreements."""

import dataclasses
from itertools import combinations, pairwise

import numpy as np
import pytest

from empirics.record import Record
from figures import style
from figures.plates.joint_bound import joint_bound
from figures.registry import Drawing, Row
from figures.view import NothingToDraw, View
from tests.drawn_hamming import drawn_from, limits, select
from tests.synthetic import synthetic_records
from tests.synthetic_joint_radii import (
    LABELLED,
    POINTS,
    joint_radii_record,
    joint_radii_records,
)
from theory.arrays import FloatArray
from theory.claims.fawzi2018 import transfer_lower_bound
from theory.modulus import SampledModulus
from theory.statistics import dkw_halfwidth
from theory.wording import plain

PAIR = "linear + mlp"


def with_moduli(records: list[Record]) -> list[Record]:
    moduli = [r for r in synthetic_records(families=False) if r.request.plugin == "modulus"]
    return [*moduli, *records]


def column(rows: list[Row], name: str) -> FloatArray:
    return np.array([row[name] for row in rows], dtype=np.float64)


def drawn(records: list[Record]) -> Drawing:
    made = drawn_from("joint_bound", with_moduli(records))
    assert isinstance(made, Drawing)
    return made


@pytest.fixture(scope="module")
def made() -> Drawing:
    return drawn(joint_radii_records())


def test_laws_and_bands_are_the_records(made: Drawing) -> None:
    (record,) = (
        r for r in joint_radii_records() if r.request.subject["generator"]["label"] == "vae"
    )
    rows = select(made.rows, generator="vae", classifiers=PAIR)
    eta = column(rows, "eta")
    joint = record.evidence["r_joint[l2]"]
    # Two laws of each record are judged, each with nine tenths of its share of the level.
    band = dkw_halfwidth(POINTS, 0.9 * 0.05 / 4)
    for end, name, side in (
        (joint.upper, "upper", -1),
        (joint.lower, "lower", 1),
    ):
        law = (np.asarray(end) <= eta[:, None]).mean(axis=1)
        np.testing.assert_allclose(column(rows, f"law_of_{name}_ends"), law)
        other = column(rows, "band_below" if side < 0 else "band_above")
        np.testing.assert_allclose(other, np.clip(law + side * band, 0, 1), atol=1e-12)


def test_bounds_are_those_of_the_claims(made: Drawing) -> None:
    view = View("default", "measured here", with_moduli(joint_radii_records()), 0.05)
    (verdict, *_) = [v for v in view.verdicts if v.claim == "fawzi2018/thm3-sharp"]
    assert verdict.quantity == "r_joint[l2]"
    record = joint_radii_record("ppca", ("linear", "mlp"))
    rows = select(made.rows, generator="ppca")
    eta = column(rows, "eta")
    counts = np.array(record.facts["class_counts"], dtype=float)
    sampled = SampledModulus((0.5, 6.0), (0.8, 8.0))
    expected = transfer_lower_bound(eta, sampled, counts / counts.sum(), 300 / LABELLED)
    np.testing.assert_allclose(column(rows, "bound_sampled_not_rigorous_upper"), expected)
    sharp, printed = column(rows, "bound_upper"), column(rows, "bound_as_printed_upper")
    assert (printed <= sharp + 1e-12).all()
    low, _ = limits(300, LABELLED)
    assert 0.5 < sharp.max() < 1
    assert sharp.max() < 1 - low + 0.02


def test_disagreements_have_their_limits(made: Drawing) -> None:
    for generator, different in (("ppca", 300), ("vae", 900)):
        low, high = limits(different, LABELLED)
        stem = f"{generator}.{PAIR}.disagreement_percent"
        assert made.numbers[stem] == pytest.approx(100 * different / LABELLED)
        assert made.numbers[f"{stem}_lower"] == pytest.approx(100 * low)
        assert made.numbers[f"{stem}_upper"] == pytest.approx(100 * high)
    assert made.numbers["all.disagreement_percent_max"] == pytest.approx(22.5)
    left, right, *_ = made.figure.axes
    assert [label.get_text() for label in right.get_yticklabels()] == [PAIR]
    # The bound has the mark of its pair, as its disagreement has.
    assert {line.get_marker() for line in left.lines} & {"o"}


def test_numbers_are_counted_again(made: Drawing) -> None:
    record = joint_radii_record("vae", ("linear", "mlp"), different=900, lost=3)
    joint, own = (
        np.asarray(record.evidence["r_joint[l2]"].upper),
        record.arrays["r_in.upper"].max(axis=0),
    )
    assert made.numbers[f"vae.{PAIR}.not_found"] == 3
    ratio = np.median(joint[3:] / own[3:])
    assert made.numbers[f"vae.{PAIR}.over_larger_alone"] == pytest.approx(ratio)
    assert made.numbers[f"vae.{PAIR}.median"] == sorted(joint)[POINTS // 2 - 1]
    words = ("holds", "violated", "undecided", "out_of_scope")
    assert sum(int(made.numbers[word] or 0) for word in words) == 2
    caption = plain(made.caption)
    assert "At 3 points no such perturbation was found" in caption
    assert "on 4,000 further images" in caption
    assert caption.endswith("Data: digits (random). Measured on cpu.")


def test_without_a_certified_modulus_there_is_no_bound() -> None:
    record = joint_radii_record("vae", ("linear", "mlp"))
    moduli = []
    for known in with_moduli([]):
        facts = dict(known.facts)
        facts["moduli[l2->l2]"] = []
        moduli.append(dataclasses.replace(known, facts=facts))
    made = drawn_from("joint_bound", [*moduli, record])
    assert isinstance(made, Drawing)
    assert made.numbers["out_of_scope"] == 1
    assert f"vae.{PAIR}.bound_median" not in made.numbers
    assert not [key for row in made.rows for key in row if key.startswith("bound")]


def test_many_pairs_are_legible() -> None:
    names = [f"wrn-28-10-{i}" for i in range(5)]
    records = [
        joint_radii_record("vae", pair, n=20, seed=i)
        for i, pair in enumerate(combinations(names, 2))
    ]
    made = drawn(records)
    with style.applied():
        made.figure.draw_without_rendering()
    edge = made.figure.bbox
    right = made.figure.axes[1]
    boxes = [label.get_window_extent() for label in right.get_yticklabels()]
    assert len(boxes) == 10
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    assert min(box.x0 for box in boxes) >= edge.x0
    assert "mark of" not in made.caption.partition("Right:")[2]


def test_nothing_to_draw() -> None:
    with pytest.raises(NothingToDraw, match="no joint radii"):
        joint_bound(View("default", "measured here", [], 0.05))
