"""How often points made against one classifier fool another: measured, and as printed."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from empirics.record import Record
from figures import style
from figures.registry import Drawing, Row, Value, figure
from figures.transfer import Line, Matrix
from figures.view import NothingToDraw, View
from figures.wording import escape
from theory.statistics import clopper_pearson

_ALPHA = 0.05
_MAP = LinearSegmentedColormap.from_list("fooled", ["#ffffff", "#56B4E9", "#0072B2", "#003a5c"])
_DARK = 45.0
"""Percent above which the digits in a cell are white."""
_CELL, _MARGIN = 0.19, 0.8
_ROOM, _TURN = 24, 30
"""Characters of all column labels together that stand upright, and how others are turned."""
_ATTACKS = {"lbfgs": "box-constrained L-BFGS", "ddn": "DDN", "deepfool": "DeepFool"}


@figure(
    "transfer_matrix",
    title="Points made against one classifier, judged by others",
    needs=("transfer_matrix",),
)
def transfer_matrix(view: View) -> Drawing:
    """A panel of each record, and the paper's rows beside it where its names are met."""
    matrices = [Matrix.of(record) for record in view.measured("transfer_matrix")]
    if not matrices:
        raise NothingToDraw("no transfer matrix")
    many = len(matrices) > 1
    heights = [len(each.lines) + 0.5 * _gaps(each.lines) for each in matrices]
    drawn = style.new_figure(style.TEXT, _CELL * sum(heights) + _MARGIN * len(matrices))
    parts = drawn.subfigures(len(matrices), 1, squeeze=False, height_ratios=_parts(heights))[:, 0]
    for k, (part, each) in enumerate(zip(parts, matrices, strict=True)):
        beside = [len(each.labels) + 1.5, len(each.columns) + 1.5] if each.paper else [1.0]
        grid = part.subplots(1, len(beside), squeeze=False, width_ratios=beside)[0]
        _draw(grid[0], each.labels, each.lines, each.lines)
        letter = f"({_letter(k)}) " if many else ""
        if each.paper or many:
            grid[0].set_title(f"{letter}measured here", loc="left", pad=4)
        if each.paper:
            _draw(grid[1], each.columns, each.paper, each.lines)
            grid[1].set_title("as printed", loc="left", pad=4)
    rows_out, numbers = [], dict[str, Value]()
    for k, each in enumerate(matrices):
        measured = [row for line in each.lines for row in _rows(line, each.labels, "measured")]
        theirs = [row for line in each.paper for row in _rows(line, each.columns, "printed")]
        rows_out += [{"matrix": k + 1, **row} for row in measured + theirs]
        own = _numbers(each)
        if not k:
            numbers |= own
        if k or each.name:
            numbers |= {f"{each.name or k + 1}.{key}": value for key, value in own.items()}
    return Drawing(drawn, rows_out, numbers, _caption(matrices))


def _letter(k: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[k]


def _parts(heights: Sequence[float]) -> list[float]:
    """Return the inches of each record's part, with the room that its labels take."""
    return [_CELL * height + _MARGIN for height in heights]


def _gaps(lines: Sequence[Line]) -> int:
    return sum(a.kind != b.kind for a, b in itertools.pairwise(lines))


def _draw(
    axes: Axes, columns: Sequence[str], lines: Sequence[Line], beside: Sequence[Line]
) -> None:
    """Draw cells with their percentages and the distortions, each row where `beside` has it."""
    m, y, places = len(columns), 0.0, dict[str, float]()
    by_title = {line.title: line for line in lines}
    for before, at in zip([None, *beside], beside, strict=False):
        y += 0.5 if before is not None and before.kind != at.kind else 0.0
        line = by_title.get(at.title)
        if line is not None:
            places[at.title] = y + 0.5
            _draw_row(axes, columns, line, y)
        y += 1
    axes.set(xlim=(0, m + 1.1), ylim=(y, 0))
    axes.set_yticks(list(places.values()), [_plain(title) for title in places])
    axes.set_xticks([*np.arange(m) + 0.5, m + 0.55], [*map(_plain, columns), "distortion"])
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, bottom=False)
    if max(map(len, columns)) * m > _ROOM:
        for label in axes.get_xticklabels():
            label.set(rotation=_TURN, ha="left", rotation_mode="anchor")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_row(axes: Axes, columns: Sequence[str], line: Line, y: float) -> None:
    for k, (percent, text) in enumerate(zip(line.percent, line.text, strict=True)):
        shown = 0.0 if np.isnan(percent) else percent
        axes.fill(
            [k, k + 1, k + 1, k], [y, y, y + 1, y + 1], fc=_MAP(shown / 100), ec="white", lw=0.8
        )
        own = line.kind in ("crafted", "magnified") and line.name == columns[k]
        axes.text(
            k + 0.5,
            y + 0.53,
            text,
            ha="center",
            va="center",
            color="white" if shown > _DARK else style.INK,
            fontsize=7,
            fontweight="bold" if own else "normal",
        )
    axes.text(len(columns) + 0.55, y + 0.53, line.distortion, ha="center", va="center", fontsize=7)


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


def _numbers(matrix: Matrix) -> dict[str, Value]:
    record, lines, labels = matrix.record, matrix.lines, matrix.labels
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
        numbers |= _others(kind, lines, labels, kind)
        numbers |= _others(kind, matrix.paper, matrix.columns, f"{kind}.printed")
    for line in lines:
        shares = [share for share in line.percent if not np.isnan(share)]
        if line.kind == "noise":
            numbers[f"noise.{line.name}_max"] = max(shares)
        elif line.kind == "crafted" and line.distortion:
            numbers[f"{line.name}.distortion"] = float(line.distortion)
    sizes = [float(line.distortion) for line in lines if line.kind == "crafted" and line.distortion]
    if sizes:
        numbers |= {"distortion_min": min(sizes), "distortion_max": max(sizes)}
    for line in matrix.paper:
        if line.kind == "crafted":
            numbers[f"{line.name}.distortion_printed"] = float(line.distortion)
    return numbers


def _others(kind: str, lines: Sequence[Line], labels: Sequence[str], key: str) -> dict[str, Value]:
    """Return the least, middle and largest share of points that fooled another classifier."""
    shares = [
        share
        for line in lines
        for label, share in zip(labels, line.percent, strict=True)
        if line.kind == kind and label != line.name and not np.isnan(share)
    ]
    if not shares:
        return {}
    return {
        f"{key}.others_min": min(shares),
        f"{key}.others_median": float(np.median(shares)),
        f"{key}.others_max": max(shares),
    }


def _caption(matrices: Sequence[Matrix]) -> str:
    every = [each.record.facts for each in matrices]
    words = [
        "Percent of images that each classifier (columns) misclassifies when they were changed"
        " against another one (rows) within [0, 1], as stored in single precision."
    ]
    for k, each in enumerate(matrices):
        letter = f"({_letter(k)}) " if len(matrices) > 1 else ""
        words.append(letter + _what(each.record))
    words.append("Distortion: mean of $\\sqrt{\\frac{1}{d}\\sum_i (x'_i - x_i)^2}$.")
    if any(facts["magnified"] for facts in every):
        words.append(
            "Rows with `to': the same directions magnified to that distortion and clipped, so that"
            " it comes out smaller."
        )
    if any(facts["noise"] for facts in every):
        words.append("Noise: Gaussian, of that standard deviation, clipped.")
    if any(seen["n"] < facts["n"] for facts in every for seen in facts["crafted_on"]):
        words.append("Images for which the attack found no point are left out of its rows.")
    worst = max(_widest(facts["n"]) for facts in every)
    words.append(
        f"95\\% limits of a cell (Clopper and Pearson) are at most {worst:.1f} points away."
    )
    if any(each.paper for each in matrices):
        words.append(
            "As printed: the tables of Szegedy et al. (2014) for networks of the same names,"
            " trained by others."
        )
    return " ".join(words)


def _what(record: Record) -> str:
    """Return which images were changed, how, and where."""
    facts, settings = record.facts, record.request.settings
    aim = "any other label" if settings.get("towards", "any") == "any" else "a random other label"
    attack, data = str(settings.get("by", "")), str(record.request.subject["data"]["name"])
    return (
        f"The first {facts['n']} test images of {escape(data)} that all"
        f" {len(facts['classifiers'])} classify correctly, by {_ATTACKS.get(attack, attack)}"
        f" towards {aim}; {escape(str(record.provenance.get('device', 'cpu')))}."
    )


def _widest(n: int) -> float:
    """Return the largest distance of a limit from the share that was seen, in percent."""
    counts = np.arange(n + 1)
    low, high = clopper_pearson(counts, n, _ALPHA)
    return float(100 * max((counts / n - low).max(), (high - counts / n).max()))
