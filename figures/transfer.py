"""Rows of transfer matrices: as measured, and as a paper prints them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from empirics.record import Record
from figures.printed import printed
from figures.wording import number

PAPER = "szegedy2014"
_FEWEST = 2
"""Names that must meet for the paper's table to stand beside a record."""


@dataclass(frozen=True)
class Line:
    """One row of the matrix: what the points were made of, and whom they fooled.

    Attributes
    ----------
    kind : str
        "crafted", "magnified", "noise" or "printed".
    name : str
        The classifier that they were made against, or the deviation of the noise.
    to : float or None
        Deviation of the noise, or distortion after magnification.
    percent : tuple of float
        Of the points that fooled each classifier; not a number where none counts.
    text : tuple of str
        The same, as it is written.
    distortion : str
    n : int or None
        Points that count.
    counts : tuple of int
        How many fooled each classifier; empty if printed.
    """

    kind: str
    name: str
    to: float | None
    percent: tuple[float, ...]
    text: tuple[str, ...]
    distortion: str
    n: int | None = None
    counts: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """What stands before the row."""
        if self.kind == "noise":
            return f"noise {self.name}"
        return self.name if self.kind != "magnified" else f"{self.name} to {self.to:g}"


def measured_lines(record: Record) -> list[Line]:
    """Return the rows of a record: crafted, magnified, then noise."""
    facts = record.facts
    lines = [_line("crafted", seen["label"], None, seen) for seen in facts["crafted_on"]]
    lines += [_line("magnified", s["label"], s["to"], s) for s in facts["magnified"]]
    return lines + [
        _line("noise", f"{s['deviation']:g}", s["deviation"], s) for s in facts["noise"]
    ]


def _line(kind: str, name: str, to: float | None, seen: Mapping[str, Any]) -> Line:
    n, counts = int(seen["n"]), tuple(seen["fooled"])
    shares = tuple(100 * count / n if n else float("nan") for count in counts)
    size = seen["distortion"]
    text = tuple(_percent(share) if n else "" for share in shares)
    return Line(kind, name, to, shares, text, "" if size is None else number(size), n, counts)


def _percent(value: float) -> str:
    return f"{value:.0f}" if value in (0, 100) or value >= 10 else f"{value:.1f}"


@dataclass(frozen=True)
class Matrix:
    """One record, and what the paper prints for networks of its names.

    Attributes
    ----------
    record : Record
    name : str
        Of the paper's table: "networks" or "halves"; "" where no two names meet.
    labels, lines
        Columns and rows that were measured.
    columns, paper
        Columns and rows that are printed, each with a measured one beside it.
    """

    record: Record
    name: str
    labels: list[str]
    lines: list[Line]
    columns: list[str]
    paper: list[Line]

    @classmethod
    def of(cls, record: Record) -> "Matrix":
        """Return the record beside the printed table that has most of its names."""
        whole = printed(PAPER)
        labels, lines = list(record.facts["classifiers"]), measured_lines(record)
        tables = {"networks": whole, "halves": whole["halves"]}
        met = {name: [c for c in labels if c in table["columns"]] for name, table in tables.items()}
        name = max(met, key=lambda each: len(met[each]))
        if len(met[name]) < _FEWEST:
            return cls(record, "", labels, lines, [], [])
        return cls(
            record, name, labels, lines, met[name], printed_lines(tables[name], met[name], lines)
        )


def printed_lines(
    table: Mapping[str, Any], labels: Sequence[str], lines: Sequence[Line]
) -> list[Line]:
    """Return a paper's rows that were measured too, for the classifiers that have its names."""
    columns = list(table["columns"])
    chosen = [columns.index(label) for label in labels]
    rows = {}
    for row in table["row"]:
        kind = "noise" if "noise" in row else "magnified" if "to" in row else "crafted"
        name = f"{row['noise']:g}" if kind == "noise" else row["crafted_on"]
        rows[kind, name, row.get("noise", row.get("to"))] = row
    found = []
    for line in lines:
        key = line.kind, line.name, line.to
        if key in rows:
            text = tuple(rows[key]["fooled"][k] for k in chosen)
            percent = tuple(map(float, text))
            found.append(Line(*key, percent, text, rows[key]["distortion"]))
    return found
