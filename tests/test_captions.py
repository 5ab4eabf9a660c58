"""Origins in captions, from records alone; and the table of errors on images of known class."""

import dataclasses
from typing import Any

import pytest

from empirics.config import load_preset
from empirics.record import Record, Request
from figures.measured import generator_names, measured_on, small_twin
from figures.registry import Table
from figures.view import NothingToDraw, View
from tests.drawn_hamming import drawn_from, limits, select
from tests.synthetic import PROVENANCE, request
from tests.synthetic_class_errors import CLASSES, COUNTED, class_errors_record, class_errors_records
from tests.synthetic_training import training_records
from theory.wording import plain


def view_of(records: list[Record]) -> View:
    return View("p", "measured here", records, 0.05)


def of_generator(part: dict[str, Any], data: str, device: str = "cpu") -> Record:
    subject = {"data": {"name": data, "variant": "idx"}, "generator": part}
    asked = Request("measure", "radii", {}, subject, 0)
    return Record(asked, provenance={**PROVENANCE, "device": device})


def test_data_size_and_device_are_those_of_the_records() -> None:
    trained = training_records()
    (quality,) = (r for r in trained if r.request.plugin == "quality")
    words = plain(measured_on(view_of(trained), [quality]))
    assert words == "Data: cifar10 (subset), 4,000 training images. Measured on cpu."
    moved = dataclasses.replace(quality, provenance={**PROVENANCE, "device": "cuda (H200)"})
    words = plain(measured_on(view_of([]), [quality, moved]))
    assert words == "Data: cifar10 (subset). Measured on cpu and cuda (H200)."


def test_small_twins_are_known_by_their_generators() -> None:
    name = "paper-mnist"
    small, whole = load_preset(f"{name}-small"), load_preset(name)
    data = small.data
    for part in small.generators:
        record = of_generator(part.identity(), data)
        assert small_twin(record.request.subject) == f"{name}-small"
        assert f"small twin of {name}." in measured_on(view_of([]), [record])
        other = of_generator({**part.identity(), "label": "mine"}, data)
        assert small_twin(other.request.subject) is None
        assert small_twin(of_generator(part.identity(), "digits").request.subject) is None
    for part in whole.generators:
        assert small_twin(of_generator(part.identity(), data).request.subject) is None


def test_generators_of_one_label_are_told_apart() -> None:
    parts = [{"label": "dcgan", "name": "dcgan"}, {"label": "vae", "name": "vae"}]
    records = [of_generator(parts[0], "mnist"), of_generator(parts[0], "svhn")]
    records.append(of_generator(parts[1], "mnist"))
    assert list(generator_names(records).values()) == ["dcgan, mnist", "dcgan, svhn", "vae"]


@pytest.fixture(scope="module")
def errors() -> Table:
    made = drawn_from("class_errors", class_errors_records())
    assert isinstance(made, Table)
    return made


def test_errors_have_their_limits(errors: Table) -> None:
    record = class_errors_record("mlp")
    (row,) = select(errors.rows, classifier="mlp")
    wrong = record.facts["class_error_counts"]["wrong"]
    low, high = limits(sum(wrong), CLASSES * COUNTED)
    assert row["error"] == pytest.approx(sum(wrong) / (CLASSES * COUNTED))
    assert (row["error_lower"], row["error_upper"]) == pytest.approx((low, high))
    assert (row["worst_class"], row["worst_error"]) == (wrong.index(max(wrong)), max(wrong) / 500)
    assert float(str(row["median_lower"])) < float(str(row["median_upper"]))
    assert float(str(row["bound_class_wise"])) > 0
    assert row["outcome"] in ("HOLDS", "UNDECIDED")


def test_generators_without_classes_are_left_out(errors: Table) -> None:
    assert [section.title for section in errors.sections] == [r"conditional\_vae"]
    assert errors.numbers["pairs"] == 2
    assert plain(errors.caption).endswith("Data: digits (random). Measured on cpu.")
    bare = [r for r in class_errors_records() if not r.evidence]
    assert bare[0].request.subject == request("class_errors", "vae", "mlp").subject
    with pytest.raises(NothingToDraw, match="no errors"):
        drawn_from("class_errors", bare)
