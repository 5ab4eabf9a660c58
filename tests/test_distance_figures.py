"""Figures of distances of images: robust accuracy, and perturbations of several classifiers."""

import numpy as np
import pytest

from figures import style
from figures.plates.joint import joint
from figures.plates.robust_accuracy import robust_accuracy
from figures.registry import Drawing
from figures.view import NothingToDraw, View
from tests.synthetic_distances import distance_records, image_radii_record, joint_record


@pytest.fixture(scope="module")
def view() -> View:
    return View("default", "measured here", distance_records(), 0.05)


@pytest.fixture(scope="module")
def accuracy(view: View) -> Drawing:
    with style.applied():
        return robust_accuracy(view)


def test_every_image_is_a_row_with_both_ends(accuracy: Drawing) -> None:
    record = image_radii_record("lenet")
    rows = [r for r in accuracy.rows if (r["network"], r["norm"]) == ("lenet", "l2")]
    found = np.array([[row["certified"], row["attacked"]] for row in rows])
    np.testing.assert_array_equal(found[:, 0], record.evidence["distance[l2]"].lower)
    np.testing.assert_array_equal(found[:, 1], record.evidence["distance[l2]"].upper)


def test_the_curves_are_the_shares_beyond_a_radius(accuracy: Drawing) -> None:
    panels = {axes.get_title(loc="left"): axes for axes in reversed(accuracy.figure.axes)}
    assert set(panels) == {f"{d}, ${n}$" for d in ("mnist", "digits") for n in NORMS}
    lines = panels[f"mnist, ${NORMS[0]}$"].lines
    assert len(lines) == 4
    record = image_radii_record("lenet")
    for line, side in zip(lines[:2], ("upper", "lower"), strict=True):
        ends = getattr(record.evidence["distance[l2]"], side)
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        for radius in np.linspace(0.01, x[-1] * 0.99, 23):
            shown = y[np.searchsorted(x, radius, side="right") - 1]
            assert shown == pytest.approx((ends > radius).sum() / record.facts["n_drawn"])


NORMS = (r"\ell_2", r"\ell_\infty")


def test_numbers_of_robust_accuracy(accuracy: Drawing) -> None:
    record = image_radii_record("mlp-16", "digits", n=25)
    radii = record.evidence["distance[linf]"]
    assert accuracy.numbers["networks"] == 3
    assert float(str(accuracy.numbers["digits.mlp-16.linf.median"])) == pytest.approx(
        np.median(radii.upper), rel=1e-2
    )
    ratio = np.median(radii.lower / radii.upper)
    shown = float(str(accuracy.numbers["digits.mlp-16.linf.certified_over_attacked"]))
    assert shown == pytest.approx(ratio, rel=0.05)


def test_a_line_a_set_from_the_smallest_on(view: View) -> None:
    with style.applied():
        drawing = joint(view)
    record = joint_record()
    left = drawing.figure.axes[0]
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names[-1] == "all"
    assert names[:3] == ["conv", "lenet-robust", "lenet"]
    rows = [row for row in drawing.rows if row["norm"] == "l2"]
    assert [row["size"] for row in rows] == [1, 1, 1, 2, 2, 2, 3]
    assert rows[-1]["median"] == pytest.approx(np.median(record.arrays["l2.upper"][0]))
    assert rows[-1]["certified_median"] == pytest.approx(np.median(record.arrays["l2.lower"][0]))
    assert drawing.numbers["sets"] == 7
    assert float(str(drawing.numbers["l2.ratio.median"])) >= 1


def test_without_records_there_is_nothing_to_draw() -> None:
    empty = View("default", "measured here", [], 0.05)
    for plate in (robust_accuracy, joint):
        with pytest.raises(NothingToDraw):
            plate(empty)
