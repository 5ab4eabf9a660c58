"""Theorem 2 as it is drawn: both radii of every point, and what proves nothing set apart."""

import dataclasses

import numpy as np
import pytest

from empirics.record import Record
from figures import style
from figures.registry import Drawing
from figures.view import NothingToDraw
from tests.drawn_hamming import drawn_from, select
from tests.synthetic_projected import POINTS, projected_record, projected_records
from theory.evidence import Radii
from theory.wording import plain

WITHIN, PROJECTED = "r_in[l2]", "r_unc_projected[l2]"


def drawn(records: list[Record]) -> Drawing:
    made = drawn_from("projection", records)
    assert isinstance(made, Drawing)
    return made


@pytest.fixture(scope="module")
def made() -> Drawing:
    return drawn(projected_records())


def test_every_point_is_a_row_with_all_ends(made: Drawing) -> None:
    assert len(made.rows) == 4 * POINTS
    for record in projected_records():
        generator, classifier = (
            record.request.subject[role]["label"] for role in ("generator", "classifier")
        )
        rows = select(made.rows, generator=generator, classifier=classifier)
        for name, quantity in (("r_in", WITHIN), ("r_unc_projected", PROJECTED)):
            for end in ("lower", "upper"):
                values = [row[f"{name}_{end}"] for row in rows]
                np.testing.assert_array_equal(values, getattr(record.evidence[quantity], end))
        np.testing.assert_array_equal([r["seen"] for r in rows], record.arrays["projected.seen"])
        halves = np.array([r["bound_certified"] for r in rows], dtype=float)
        np.testing.assert_allclose(halves, record.evidence[WITHIN].lower / 2)


def test_points_are_drawn_over_the_attacked_radius(made: Drawing) -> None:
    record = projected_record("vae", "mlp", lost=2)
    right = made.figure.axes[3]
    within, upper = (np.asarray(record.evidence[q].upper)[2:] for q in (WITHIN, PROJECTED))
    seen = record.arrays["projected.seen"][2:]
    drawn_at = [
        (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in right.lines
    ]
    nearer = seen < upper
    for x, y in ((within, upper / within), (within[nearer], (seen / within)[nearer])):
        assert any(len(a) == len(x) and np.allclose((a, b), (x, y)) for a, b in drawn_at)
    # Half is drawn once, whatever the number of classifiers.
    halves = [y for x, y in drawn_at if len(y) > POINTS and (y == 0.5).all()]
    assert len(halves) == 1


def test_the_affine_generator_holds_and_the_others_are_open(made: Drawing) -> None:
    assert (made.numbers["holds"], made.numbers["undecided"]) == (2, 2)
    assert made.numbers["violated"] == made.numbers["out_of_scope"] == 0
    titles = [axes.get_title() for axes in made.figure.axes]
    assert titles == ["", "2 HOLDS", "", "2 UNDECIDED"]
    assert made.numbers["ppca.mlp.affine"] == "yes"
    assert made.numbers["ppca.mlp.proved_over_r_in.least"] == 1
    caption = plain(made.caption)
    assert "ppca: affine" in caption
    below = made.numbers["all.below_half_attacked"]
    assert f"half of the attacked r<sub>in</sub> at {below}, and below" in caption
    assert "can do, at 2; no other label" in caption
    assert "within the range at 4." in caption
    assert "Data: digits (random). Measured on cpu." in caption


def test_numbers_are_counted_again(made: Drawing) -> None:
    record = projected_record("vae", "linear", lost=2)
    within = np.asarray(record.evidence[WITHIN].upper)[2:]
    for key, upper in (
        ("proved", np.asarray(record.evidence[PROJECTED].upper)[2:]),
        ("seen", record.arrays["projected.seen"][2:]),
    ):
        ratios = upper / within
        assert made.numbers[f"vae.linear.{key}_over_r_in.least"] == pytest.approx(ratios.min())
        assert made.numbers[f"vae.linear.{key}_over_r_in.q50"] == pytest.approx(np.median(ratios))
    assert made.numbers["vae.linear.not_found"] == 2
    assert made.numbers["all.seen_over_r_in_least"] == pytest.approx(0.15)
    assert made.numbers["all.points"] == 4 * POINTS


def test_a_gap_lowers_the_bound_and_no_gap_silences_it() -> None:
    made = drawn([projected_record("vae", "mlp", slack=0.05)])
    radius = np.array([row["r_in_lower"] for row in made.rows], dtype=float)
    bound = np.array([row["bound_certified"] for row in made.rows], dtype=float)
    np.testing.assert_allclose(bound, np.maximum(radius - 0.05, 0) / 2)
    assert made.numbers["vae.mlp.slack"] == 0.05
    silent = drawn([projected_record("vae", "mlp", slack=None)])
    assert silent.numbers["out_of_scope"] == 1
    assert "vae.mlp.slack" not in silent.numbers
    assert "the theorem is silent" in silent.caption


def test_a_violation_is_seen_in_the_outcome() -> None:
    record = projected_record("vae", "mlp")
    within, projected = (record.evidence[q] for q in (WITHIN, PROJECTED))
    upper = np.asarray(projected.upper).copy()
    upper[3] = 0.3 * np.asarray(within.lower)[3]
    evidence = {**record.evidence, PROJECTED: Radii(np.asarray(projected.lower), upper)}
    made = drawn([dataclasses.replace(record, evidence=evidence)])
    assert made.numbers["violated"] == 1
    assert made.figure.axes[1].get_title() == "1 VIOLATED"


def test_many_classifiers_stay_on_one_page() -> None:
    names = [f"f{i}" for i in range(5)]
    few = [projected_record("vae", name, n=9, seed=i) for i, name in enumerate(names)]
    assert len(drawn(few).figure.axes) == 2 * 2
    others = ("dcgan", "ppca", "sngan")
    many = few + [projected_record(g, name, n=9) for g in others for name in names]
    assert len(drawn(many).figure.axes) == 2 * 4


def test_nothing_within_the_range() -> None:
    made = drawn([projected_record("vae", "mlp", n=5, lost=5, affine=True)])
    assert made.numbers["vae.mlp.not_found"] == 5
    assert "all.proved_over_r_in_least" not in made.numbers
    with style.applied():
        made.figure.draw_without_rendering()


def test_nothing_to_draw() -> None:
    with pytest.raises(NothingToDraw, match="no radii of a projected classifier"):
        drawn([])
