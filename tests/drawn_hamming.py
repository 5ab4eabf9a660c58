"""Plates of changed pixels drawn from records, and the same counts taken entry by entry."""

from collections.abc import Iterable
from typing import Any

from scipy import stats

from empirics.record import Record
from figures import style
from figures.registry import FIGURES, Drawing, Row, Table
from figures.view import View
from tests.synthetic_hamming import K

Made = Drawing | Table


def view_of(records: Iterable[Record]) -> View:
    return View("default", "measured here", list(records), 0.05)


def drawn_from(name: str, records: Iterable[Record]) -> Made:
    plate = FIGURES[name]
    with style.applied():
        made: Made = plate.draw() if plate.from_theory else plate.draw(view_of(records))
    return made


def ends_of(records: list[Record], label: str, box: str, end: str) -> dict[tuple[int, int], float]:
    """Return one end by image of the test set and target, entry by entry."""
    (record,) = (
        r
        for r in records
        if r.request.plugin == "hamming" and r.request.subject["image_classifier"]["label"] == label
    )
    array, index = record.arrays[f"hamming in {box}.{end}"], record.arrays["index"]
    return {
        (int(index[i]), t): float(array[i, t])
        for i in range(len(index))
        for t in range(K)
        if t != record.arrays["label"][i]
    }


def select(rows: Iterable[Row], **given: Any) -> list[Row]:  # noqa: ANN401
    return [row for row in rows if all(row.get(key) == value for key, value in given.items())]


def limits(count: int, trials: int) -> tuple[float, float]:
    low = stats.beta.ppf(0.025, count, trials - count + 1) if count else 0.0
    high = stats.beta.ppf(0.975, count + 1, trials - count) if count < trials else 1.0
    return float(low), float(high)
