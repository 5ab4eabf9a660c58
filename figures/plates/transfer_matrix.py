"""How often points made against one classifier fool another: measured, and as printed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from empirics.record import Record
from figures import style
from figures.printed import printed
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import escape, number
from theory.statistics import clopper_pearson

_ALPHA = 0.05
_PAPER = "szegedy2014"
_MAP = LinearSegmentedColormap.from_list("fooled", ["#ffffff", "#56B4E9", "#0072B2", "#003a5c"])
_DARK = 45.0
"""Percent above which the digits in a cell are white."""
_CELL, _MARGIN = 0.235, 1.0
_ATTACKS = {"lbfgs": "box-constrained L-BFGS", "ddn": "DDN", "deepfool": "DeepFool"}


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


def printed_lines(labels: Sequence[str], deviations: Sequence[float]) -> list[Line]:
    """Return the paper's rows for the classifiers that have its names, in their order."""
    paper = printed(_PAPER)
    columns = list(paper["columns"])
    chosen = [columns.index(label) for label in labels]
    by_name = {row["crafted_on"]: row for row in paper["row"] if "crafted_on" in row}
    by_noise = {row["noise"]: row for row in paper["row"] if "noise" in row}
    rows: list[tuple[str, str, float | None, dict[str, Any]]] = [
        ("crafted", label, None, by_name[label]) for label in labels
    ]
    rows += [("noise", f"{d:g}", d, by_noise[d]) for d in deviations if d in by_noise]
    lines = []
    for kind, name, to, row in rows:
        text = tuple(row["fooled"][k] for k in chosen)
        percent = tuple(map(float, text))
        lines.append(Line(kind, name, to, percent, text, row["distortion"]))
    return lines


@figure(
    "transfer_matrix",
    title="Points made against one classifier, judged by others",
    needs=("transfer_matrix",),
)
def transfer_matrix(view: View) -> Drawing:
    """A panel of what was measured, and the paper's beside or below it where its names are met."""
    records = view.measured("transfer_matrix")
    if not records:
        raise NothingToDraw("no transfer matrix")
    record = records[0]
    labels = list(record.facts["classifiers"])
    lines = measured_lines(record)
    named = [label for label in labels if label in printed(_PAPER)["columns"]]
    paper: list[Line] = []
    if len(named) > 1:
        paper = printed_lines(named, [s["deviation"] for s in record.facts["noise"]])
    panels = [(labels, lines, "measured here")]
    if paper:
        panels.append((named, paper, "Szegedy et al. (2014), as printed"))
    heights = [len(rows) + 0.5 * _gaps(rows) for _, rows, _ in panels]
    drawn = style.new_figure(style.TEXT, _CELL * sum(heights) + _MARGIN * len(panels))
    grid = drawn.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axes, (columns, rows, title) in zip(grid[:, 0], panels, strict=True):
        _draw(axes, columns, rows)
        if paper:
            axes.set_title(title, loc="left", pad=4)
    rows_out = [row for line in lines for row in _rows(line, labels, "measured")]
    rows_out += [row for line in paper for row in _rows(line, named, "printed")]
    numbers = _numbers(record, lines, labels)
    return Drawing(drawn, rows_out, numbers, _caption(record, numbers, bool(paper)))


def _gaps(lines: Sequence[Line]) -> int:
    return sum(a.kind != b.kind for a, b in itertools.pairwise(lines))


def _draw(axes: Axes, columns: Sequence[str], lines: Sequence[Line]) -> None:
    """Draw cells with their percentages, the distortions behind them."""
    m, y, places = len(columns), 0.0, []
    for before, line in zip([None, *lines], lines, strict=False):
        y += 0.5 if before is not None and before.kind != line.kind else 0.0
        places.append(y + 0.5)
        for k, (percent, text) in enumerate(zip(line.percent, line.text, strict=True)):
            shown = 0.0 if np.isnan(percent) else percent
            axes.fill(
                [k, k + 1, k + 1, k], [y, y, y + 1, y + 1], fc=_MAP(shown / 100), ec="white", lw=0.8
            )
            ink = "white" if shown > _DARK else style.INK
            own = line.kind in ("crafted", "magnified") and line.name == columns[k]
            axes.text(
                k + 0.5,
                y + 0.53,
                text,
                ha="center",
                va="center",
                color=ink,
                fontsize=7,
                fontweight="bold" if own else "normal",
            )
        axes.text(m + 0.55, y + 0.53, line.distortion, ha="center", va="center", fontsize=7)
        y += 1
    axes.set(xlim=(0, m + 1.1), ylim=(y, 0))
    axes.set_yticks(places, [_plain(line.title) for line in lines])
    axes.set_xticks([*np.arange(m) + 0.5, m + 0.55], [*map(_plain, columns), "distortion"])
    turn = 25 if max(map(len, columns)) * m > 55 else 0
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, bottom=False)
    if turn:
        for label in axes.get_xticklabels():
            label.set(rotation=turn, ha="left", rotation_mode="anchor")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_ylabel("made against")


def _plain(text: str) -> str:
    return text.replace("$", r"\$")


def _rows(line: Line, columns: Sequence[str], source: str) -> list[Row]:
    rows: list[Row] = []
    for k, label in enumerate(columns):
        row: dict[str, Value] = {"source": source, "kind": line.kind, "made_against": line.name}
        row |= {"to": line.to, "fooled": label, "percent": _finite(line.percent[k])}
        row |= {"distortion": float(line.distortion) if line.distortion else None}
        if line.n:
            low, high = clopper_pearson(line.counts[k], line.n, _ALPHA)
            row |= {"count": line.counts[k], "n": line.n}
            row |= {"lower": 100 * float(low), "upper": 100 * float(high)}
        rows.append(row)
    return rows


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value


def _numbers(record: Record, lines: Sequence[Line], labels: Sequence[str]) -> dict[str, Value]:
    facts, settings = record.facts, record.request.settings
    attack = str(settings.get("by", ""))
    numbers: dict[str, Value] = {
        "images": facts["n"],
        "n_drawn": facts["n_drawn"],
        "classifiers": len(labels),
        "attack_words": _ATTACKS.get(attack, attack),
        "data": str(record.request.subject["data"]["name"]),
    }
    for kind in ("crafted", "magnified"):
        others = [
            share
            for line in lines
            for label, share in zip(labels, line.percent, strict=True)
            if line.kind == kind and label != line.name and not np.isnan(share)
        ]
        if others:
            numbers |= {
                f"{kind}.others_min": min(others),
                f"{kind}.others_median": float(np.median(others)),
                f"{kind}.others_max": max(others),
            }
    for line in lines:
        shares = [share for share in line.percent if not np.isnan(share)]
        if line.kind == "noise":
            numbers[f"noise.{line.name}_max"] = max(shares)
        elif line.kind == "crafted" and line.distortion:
            numbers[f"{line.name}.distortion"] = float(line.distortion)
    sizes = [float(line.distortion) for line in lines if line.kind == "crafted" and line.distortion]
    if sizes:
        numbers |= {"distortion_min": min(sizes), "distortion_max": max(sizes)}
    return numbers


def _caption(record: Record, numbers: Mapping[str, Value], paper: bool) -> str:
    facts, device = record.facts, record.provenance.get("device", "cpu")
    towards = record.request.settings.get("towards", "any")
    aim = "any other label" if towards == "any" else "a random other label"
    words = [
        "Percent of images that each classifier (columns) misclassifies when they were changed"
        f" against another one (rows), by {numbers['attack_words']} towards {aim} within [0, 1]:"
        f" the first {facts['n']} test images of {escape(str(numbers['data']))} that all"
        f" {len(facts['classifiers'])} classify correctly, as stored in single precision; {device}."
        " Distortion: mean of $\\sqrt{\\frac{1}{d}\\sum_i (x'_i - x_i)^2}$."
    ]
    if facts["magnified"]:
        words.append(
            "Rows with `to': the same directions magnified to that distortion and clipped, so that"
            " it comes out smaller."
        )
    if facts["noise"]:
        words.append("Noise: Gaussian, of that standard deviation, clipped.")
    if any(seen["n"] < facts["n"] for seen in facts["crafted_on"]):
        words.append("Images for which the attack found no point are left out of its rows.")
    worst = _widest(facts["n"])
    words.append(
        f"95\\% limits of a cell (Clopper and Pearson) are at most {worst:.1f} points away."
    )
    if paper:
        words.append("Below: the paper's table for networks of the same names, trained by others.")
    return " ".join(words)


def _widest(n: int) -> float:
    """Return the largest distance of a limit from the share that was seen, in percent."""
    counts = np.arange(n + 1)
    low, high = clopper_pearson(counts, n, _ALPHA)
    return float(100 * max((counts / n - low).max(), (high - counts / n).max()))
