"""The losses of generators, and of the classifiers of their images, over their training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from empirics.record import Record
from figures import style
from figures.moduli import label_decades
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import escape, number

_ACROSS = 4
"""Generators side by side."""
_HEIGHT, _LEGEND = 1.35, 0.22
"""In inches: a line of panels, a line of the legend."""
_LOSSES = {"loss": "generator", "loss_discriminator": "discriminator"}
_STROKES: dict[str, dict[str, Any]] = {
    "generator": {"color": style.INK, "lw": 1.0},
    "discriminator": {"color": "#D55E00", "lw": 1.0, "ls": (0, (4, 1.4))},
}
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.4)), (0, (1.2, 1.2)))
"""Of the classifiers; the next one where the colours begin again."""
_TEACHER: dict[str, Any] = {"color": style.QUIET, "lw": 0.9, "ls": (0, (1, 1.3))}
Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Column:
    """A generator's training, and those of the classifiers of its images."""

    title: str
    generator: Record
    classifiers: Sequence[Record]
    teacher: Record | None


@figure(
    "training",
    title="Losses over the training",
    needs=("generator",),
    also=("teacher", "classifier"),
)
def training(view: View) -> Drawing:
    """A column a generator: its own losses, and below those of the classifiers of its images."""
    columns = _columns(view)
    if not columns:
        raise NothingToDraw("no loss was kept of a training")
    rows: list[Row] = []
    numbers: dict[str, Value] = {}
    for column in columns:
        teacher = [] if column.teacher is None else [column.teacher]
        for record in (column.generator, *column.classifiers, *teacher):
            rows += _rows(column.title, record)
            role = record.request.plugin
            stem = {"generator": "", "teacher": "teacher."}.get(role, f"{_label(record)}.")
            numbers |= {
                f"{column.title}.{stem}{key}": float(value)
                for key, value in record.facts.items()
                if key.startswith("final_loss")
            }
    return Drawing(_drawn(columns), rows, numbers, _caption(columns))


def _label(record: Record) -> str:
    return str(record.request.subject[record.request.plugin]["label"])


def _columns(view: View) -> list[_Column]:
    """Return the generators whose losses, or those of their classifiers, were kept."""
    found = []
    records = view.trained("generator")
    labels = [_label(record) for record in records]
    for record, label in zip(records, labels, strict=True):
        subject = record.request.subject
        own = [
            other
            for other in view.trained("classifier")
            if other.request.subject["generator"] == subject["generator"]
            and other.request.subject["data"] == subject["data"]
            and "loss" in other.arrays
        ]
        # The labels came from the teacher that the classifiers name.
        teachers = [
            other
            for other in view.trained("teacher")
            if "loss" in other.arrays
            and any(other.request.subject["teacher"] == c.request.subject["teacher"] for c in own)
            and other.request.subject["data"] == subject["data"]
        ]
        title = label if labels.count(label) == 1 else f"{label}, {subject['data']['name']}"
        if "loss" in record.arrays or own:
            found.append(_Column(title, record, own, teachers[0] if teachers else None))
    return found


def _steps(record: Record, points: int) -> Curve:
    """Return the middles of the stretches whose mean losses are kept, in steps."""
    part = record.request.subject[record.request.plugin]
    steps = int(part.get("settings", {}).get("steps", points))
    ends = np.cumsum([0, *map(len, np.array_split(np.empty(steps), points))])
    middles: Curve = (ends[:-1] + 1 + ends[1:]) / 2
    return middles


def _rows(column: str, record: Record) -> list[Row]:
    role = record.request.plugin
    rows: list[Row] = []
    for key, name in _LOSSES.items():
        losses = record.arrays.get(key, np.empty(0))
        for step, loss in zip(_steps(record, max(len(losses), 1)), losses, strict=False):
            rows.append(
                {
                    "generator": column,
                    "role": name if role == "generator" else role,
                    "label": _label(record),
                    "step": float(step),
                    "loss": float(loss),
                }
            )
    return rows


def _drawn(columns: Sequence[_Column]) -> Figure:
    bands = [columns[i : i + _ACROSS] for i in range(0, len(columns), _ACROSS)]
    lines: list[tuple[Sequence[_Column], bool]] = []
    for band in bands:
        lines += [(band, True)] if any("loss" in c.generator.arrays for c in band) else []
        lines += [(band, False)] if any(c.classifiers for c in band) else []
    names = [_label(record) for column in columns for record in column.classifiers]
    strokes = _strokes(names)
    known = {**strokes}
    if any(column.teacher is not None for column in columns):
        known |= {"teacher, real images": _TEACHER}
    if any("loss_discriminator" in column.generator.arrays for column in columns):
        known |= _STROKES
    entries = [Line2D([], [], label=name, **stroke) for name, stroke in known.items()]
    across = min(_ACROSS, len(columns))
    below = -(-len(entries) // _ACROSS) * _LEGEND
    height = _HEIGHT * len(lines) + below
    drawn = style.new_figure(style.TEXT, height)
    grid = drawn.subplots(len(lines), across, squeeze=False)
    for panels, (band, of_generators) in zip(grid, lines, strict=True):
        for i, axes in enumerate(panels):
            column = band[i] if i < len(band) else None
            if column is None or not _panel(axes, column, strokes, of_generators):
                axes.set_axis_off()
                continue
            headed = of_generators or "loss" not in column.generator.arrays
            axes.set_title(column.title if headed else "")
            axes.set_xlabel("step")
            axes.xaxis.set_major_locator(MaxNLocator(3))
            if i == 0:
                axes.set_ylabel("loss" if of_generators else "classifiers' loss")
    if entries:
        drawn.legend(handles=entries, loc="outside lower center", ncols=_ACROSS)
    return drawn


def _strokes(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    looks = style.looks(names)
    colours = list(dict.fromkeys(look.color for look in looks.values()))
    return {
        name: {"color": look.color, "lw": 0.9, "ls": _DASHES[i // len(colours) % len(_DASHES)]}
        for i, (name, look) in enumerate(looks.items())
    }


def _panel(
    axes: Axes, column: _Column, strokes: dict[str, dict[str, Any]], of_generators: bool
) -> bool:
    """Draw one panel, and return whether there was anything to draw."""
    if of_generators:
        known = {name: column.generator.arrays.get(key) for key, name in _LOSSES.items()}
        for name, losses in known.items():
            if losses is not None:
                steps = _steps(column.generator, len(losses))
                axes.plot(steps, losses, **_STROKES[name])
        axes.margins(x=0.02, y=0.12)
        return known["generator"] is not None
    if column.classifiers and column.teacher is not None:
        losses = column.teacher.arrays["loss"]
        axes.plot(_steps(column.teacher, len(losses)), losses, **_TEACHER)
    for record in column.classifiers:
        losses = record.arrays["loss"]
        axes.plot(_steps(record, len(losses)), losses, **strokes[_label(record)])
    axes.set_yscale("log")
    label_decades(axes.yaxis, *axes.get_ylim())
    axes.margins(x=0.02)
    return bool(column.classifiers)


def _caption(columns: Sequence[_Column]) -> str:
    words = [
        "Mean losses of stretches of the training. Above: of each generator and, where it has one,"
        " of its discriminator, each on the scale of its own objective."
    ]
    if any(column.classifiers for column in columns):
        words.append(
            "Below: cross entropy of the classifiers of each generator's images, on adversarial"
            " examples or with the divergence of TRADES where they are trained so."
        )
    trained = [
        f"{escape(column.title)} for {number(int(steps))} steps"
        for column in columns
        if (steps := column.generator.request.subject["generator"].get("settings", {}).get("steps"))
    ]
    if trained:
        words.append(f"Generators are trained: {'; '.join(trained)}.")
    records = [column.generator for column in columns]
    data = dict.fromkeys(str(record.request.subject["data"]["name"]) for record in records)
    devices = dict.fromkeys(str(r.provenance.get("device", "one device")) for r in records)
    words.append(f"Data: {escape(', '.join(data))}; trained on {escape(', '.join(devices))}.")
    return " ".join(words)
