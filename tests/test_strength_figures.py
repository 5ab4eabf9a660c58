"""The figures of attacks: what they show, counted again from the records."""

import numpy as np
import pytest
from matplotlib.text import Annotation

from figures import style
from figures.plates.strength import _attacks, front
from figures.registry import FIGURES, Drawing
from figures.view import NothingToDraw
from tests.drawn_hamming import drawn_from, select, view_of
from tests.synthetic_strength import ATTACKS, SHOWN, N, gallery_record, strength_record


@pytest.fixture(scope="module")
def made() -> Drawing:
    drawn = drawn_from("strength", [strength_record()])
    assert isinstance(drawn, Drawing)
    return drawn


def test_medians_by_brute_force(made: Drawing) -> None:
    record = strength_record()
    for norm, attacks in ATTACKS.items():
        radii = record.arrays[f"{norm}.radii"]
        best = np.sort(radii.min(axis=0))[(N - 1) // 2]
        for own, (line, library, seconds, *_) in zip(radii, attacks, strict=True):
            (row,) = select(made.rows, norm=norm, attack=line)
            assert row["library"] == (library or "this package")
            assert row["cpu_ms"] == pytest.approx(1000 * seconds / N)
            assert row["found"] == int(np.isfinite(own).sum())
            median = np.sort(own)[(N - 1) // 2]
            assert float(row["median"] or 0) == pytest.approx(median)
            assert float(row["excess_percent"] or 0) == pytest.approx(100 * (median / best - 1))
    assert len(made.rows) == sum(map(len, ATTACKS.values()))


def test_ours_are_compared_with_the_fastest_and_the_closest_peer(made: Drawing) -> None:
    numbers = made.numbers
    assert numbers["l2.own.name"] == "minimal thorough"
    assert numbers["l2.fastest_peer.name"] == "DDN 100 (adv-lib)"
    assert numbers["l2.within_fastest.name"] == "ALMA 100"
    assert numbers["l2.peers"] == 4
    assert float(numbers["l2.gain_over_fastest"] or 0) > 1
    assert (numbers["absent"], numbers["failed"]) == (1, 1)


def test_the_front_is_not_dominated() -> None:
    attacks = _attacks(strength_record(), "l2")
    kept = front(attacks)
    for each in attacks:
        beaten = any(
            o.milliseconds <= each.milliseconds and o.median <= each.median and o is not each
            for o in attacks
        )
        assert (each in kept) == (not beaten and bool(np.isfinite(each.median)))


def test_names_hide_nothing(made: Drawing) -> None:
    for axes in made.figure.axes:
        names = [text for text in axes.texts if isinstance(text, Annotation)]
        boxes = [text.get_window_extent() for text in names]
        for i, box in enumerate(boxes):
            assert box.x0 >= 0
            assert box.x1 <= made.figure.bbox.x1
            assert not any(box.overlaps(other) for other in boxes[:i])
    count = sum(len(axes.texts) for axes in made.figure.axes)
    assert count == sum(map(len, ATTACKS.values()))


def test_peers_are_hollow(made: Drawing) -> None:
    for axes, attacks in zip(made.figure.axes, ATTACKS.values(), strict=True):
        markers = [line for line in axes.lines if line.get_marker() not in ("None", "")]
        hollow = [line for line in markers if line.get_markerfacecolor() == "white"]
        assert len(markers) == len(attacks)
        assert len(hollow) == sum(library is not None for _, library, *_ in attacks)


def test_the_network_with_the_most_attacks_is_drawn() -> None:
    records = [strength_record(1, "small", lacks="foolbox"), strength_record(2, "large")]
    drawn = drawn_from("strength", records)
    assert drawn.numbers["network"] == "large"
    assert {row["network"] for row in drawn.rows} == {"small", "large"}


def test_nothing_to_draw() -> None:
    for name in ("strength", "attacks"):
        with style.applied(), pytest.raises(NothingToDraw):
            FIGURES[name].draw(view_of([]))


def test_gallery_shows_every_attack_and_its_failures() -> None:
    record = gallery_record()
    drawn = drawn_from("attacks", [record])
    assert isinstance(drawn, Drawing)
    assert len(drawn.rows) == 4 * len(SHOWN)
    assert drawn.numbers["failures"] == 1
    (failed,) = select(drawn.rows, found="no")
    assert (failed["attack"], failed["image"], failed["l2"]) == ("one_pixel", 1, None)
    words = [text.get_text() for axes in drawn.figure.axes for text in axes.texts]
    assert words.count("failed") == 1
    assert f"1: {record.arrays['l0'][2, 0]:.0f}" in words
    pictures = sum(len(axes.images) for axes in drawn.figure.axes)
    assert pictures == 4 * (len(SHOWN) + 1)
    assert drawn.numbers["budget_linf"] == 0.2
