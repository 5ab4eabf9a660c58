"""Errors on generated images of known class, and how near all others are to one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from empirics.record import Record
from figures.law_panels import JUDGED, count_outcomes
from figures.measured import ORIGIN, by_generator, count_words, measured_on
from figures.registry import Row, Section, Table, Value, table
from figures.view import QUANTILE_ALPHA, NothingToDraw, Pair, View, quantile_limits
from figures.wording import escape, interval, number, symbol
from theory.evidence import Radii
from theory.statistics import clopper_pearson
from theory.verdict import Outcome

_DISTANCE = "error_distance[l2]"
_CLASS_WISE, _AVERAGE = "zhang2020/class-wise", "zhang2020/average-risk"
_MEDIAN = 0.5
_NONE = "--"


@dataclass(frozen=True)
class _Errors:
    """The errors of one classifier, by class, and the distances to them."""

    view: View
    pair: Pair

    @property
    def radii(self) -> Radii:
        return self.pair.radii(_DISTANCE)

    @property
    def counts(self) -> tuple[int, int]:
        """Errors, of how many images."""
        seen = self.pair.record.facts["error_counts"]
        return int(seen["wrong"]), int(seen["n"])

    @property
    def worst(self) -> tuple[int, float]:
        """The class with the largest share of errors, and that share."""
        seen = self.pair.record.facts["class_error_counts"]
        shares = np.asarray(seen["wrong"]) / np.asarray(seen["n"])
        return int(shares.argmax()), float(shares.max())

    def bound(self, claim: str) -> float | None:
        """Return a claim's upper bound on the median distance."""
        law = self.view.bound(claim, self.pair, _DISTANCE)
        return None if law is None else float(law.quantile(_MEDIAN))

    def row(self) -> Row:
        wrong, n = self.counts
        low, high = clopper_pearson(wrong, n, QUANTILE_ALPHA)
        near, far = quantile_limits(self.radii, _MEDIAN)
        worst, share = self.worst
        verdict = self.view.verdict(_CLASS_WISE, self.pair, _DISTANCE)
        return {
            "generator": self.pair.generator,
            "classifier": self.pair.classifier,
            "n": self.radii.n,
            "counted": n,
            "error": wrong / n,
            "error_lower": float(low),
            "error_upper": float(high),
            "worst_class": worst,
            "worst_error": share,
            "median_lower": near,
            "median_upper": far,
            "bound_class_wise": self.bound(_CLASS_WISE),
            "bound_average": self.bound(_AVERAGE),
            "outcome": None if verdict is None else str(verdict.outcome),
        }


@table(
    "class_errors",
    title="Errors on generated images of known class",
    needs=("class_errors",),
    also=(*JUDGED, *ORIGIN),
)
def class_errors(view: View) -> Table:
    """A section a conditional generator, a line a classifier."""
    records = [r for r in view.measured("class_errors") if _DISTANCE in r.evidence]
    if not records:
        raise NothingToDraw("no errors of a generator with classes of its own")
    groups = {
        name: [_errors(view, name, record) for record in some]
        for name, some in by_generator(records).items()
    }
    every = [errors for some in groups.values() for errors in some]
    rows = [errors.row() for errors in every]
    columns = [
        "",
        r"errors, \%",
        r"worst class, \%",
        f"median of ${symbol(_DISTANCE)}$",
        "bound, class-wise",
        "bound, average",
        "outcome",
    ]
    sections = [
        Section(escape(name), columns, [_cells(errors.row()) for errors in some])
        for name, some in groups.items()
    ]
    return Table(sections, rows, _numbers(view, every, rows), _caption(view, every))


def _errors(view: View, generator: str, record: Record) -> _Errors:
    label = str(record.request.subject["classifier"]["label"])
    return _Errors(view, Pair(generator, label, record, view.facts(record)))


def _cells(row: Row) -> list[str]:
    low, high = (100 * float(row[key] or 0) for key in ("error_lower", "error_upper"))
    bounds = [row["bound_class_wise"], row["bound_average"]]
    return [
        escape(str(row["classifier"])),
        interval(low, high, 2),
        f"{100 * float(row['worst_error'] or 0):.2f} (class {row['worst_class']})",
        interval(float(row["median_lower"] or 0), float(row["median_upper"] or 0), 3),
        *(_NONE if bound is None else number(float(bound)) for bound in bounds),
        escape(str(row["outcome"] or _NONE)),
    ]


def _numbers(view: View, every: Sequence[_Errors], rows: Sequence[Row]) -> dict[str, Value]:
    numbers: dict[str, Value] = {"pairs": len(rows), "n": max(e.radii.n for e in every)}
    for row in rows:
        stem = f"{row['generator']}.{row['classifier']}"
        numbers |= {
            f"{stem}.{key}": value
            for key, value in row.items()
            if key not in ("generator", "classifier") and value is not None
        }
    counts = count_outcomes(view.verdict(_CLASS_WISE, e.pair, _DISTANCE) for e in every)
    for outcome in Outcome:
        numbers[outcome.replace(" ", "_").lower()] = counts.get(outcome, 0)
    return numbers


def _caption(view: View, every: Sequence[_Errors]) -> str:
    level = f"{100 * (1 - QUANTILE_ALPHA):g}\\%"
    words = (
        "Errors of classifiers on images of generators that are told the class: the share of"
        f" {count_words(e.counts[1] for e in every)} images that are called something else, with"
        f" {level} limits; the class with the largest share; the median distance"
        f" ${symbol(_DISTANCE)}$ of an image to a point that is not called what the image shows, 0"
        f" at errors, on {count_words(e.radii.n for e in every)} other images: its lower limit"
        " comes from certificates and its upper one from verified adversarial points. Bounds: upper"
        " bounds on the same median from the errors of every class, and from their mean"
        " (Zhang et al., AISTATS 2020). The outcome is that of the class-wise bound on the whole"
        " law."
    )
    return f"{words} {measured_on(view, [e.pair.record for e in every])}"
