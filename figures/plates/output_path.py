"""One path of a piecewise-linear network: its leads along the way, and the pixels that change."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from empirics.record import Record
from figures import style
from figures.hamming import data_and_label, main_of
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from theory.arrays import FloatArray

_START, _END, _FOLD = "#0072B2", "#009E73", "#D55E00"
_CROWD = 80
_WALK = ("walk.leads", "walk.progress", "walk.change")


@figure("output_path", title="A path to another label", needs=("random_pixels",))
def output_path(view: View) -> Drawing:
    """Left: the leads of the target along the path; right: pixels against the parameter."""
    known = [r for r in view.measured("random_pixels") if all(name in r.arrays for name in _WALK)]
    known = [record for record in known if len(record.arrays["walk.progress"]) > 1]
    if not known:
        raise NothingToDraw("no path of a network was recorded")
    record = main_of(known)
    walk = record.facts["walk"]
    leads, progress, change = (np.asarray(record.arrays[name], np.float64) for name in _WALK)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(change, axis=0), axis=1))])
    turns = folds(progress)
    drawn = style.new_figure(style.TEXT, 2.55)
    left, right = drawn.subplots(1, 2)
    left.axhline(0, color=style.INK, lw=0.7)
    left.plot(length, leads, color=style.QUIET, lw=0.7)
    left.plot(length, leads.min(axis=1), color=style.INK, lw=1.4)
    _marks(left, length, leads.min(axis=1), turns)
    target = walk["target"]
    left.set_xlabel(r"length of the path, $\ell_2$ in pixel values")
    left.set_ylabel(rf"leads $F_{{{target}}} - F_j$")
    left.set_title(f"(a) outputs: from {walk['label']} to {target}")
    for i in range(change.shape[1]):
        right.plot(progress, change[:, i], color=style.QUIET, lw=0.7)
    largest = int(np.abs(change[-1]).argmax())
    right.plot(progress, change[:, largest], color=style.INK, lw=1.4)
    _marks(right, progress, change[:, largest], turns)
    right.set_xlabel(r"$\lambda$, progress to the outputs aimed at")
    right.set_ylabel("change of pixel value")
    right.set_title(f"(b) the {change.shape[1]} pixels")
    drawn.legend(handles=_entries(bool(turns.size)), loc="outside lower center", ncols=5)
    rows = _rows(leads, progress, change, length, turns)
    data, label = data_and_label(record)
    numbers: dict[str, Value] = {"network": label, "data": data, **_counts(record, length)}
    return Drawing(drawn, rows, numbers, _caption(numbers))


def folds(progress: FloatArray) -> npt.NDArray[np.intp]:
    """Return the places at which a path turns back or forth.

    Examples
    --------
    >>> folds(np.array([0.0, 0.4, 0.3, 0.1, 0.5])).tolist()
    [1, 3]
    """
    signs = np.sign(np.diff(progress))
    return np.flatnonzero(signs[1:] * signs[:-1] < 0) + 1


def _marks(axes: Axes, x: FloatArray, y: FloatArray, turns: npt.NDArray[np.intp]) -> None:
    size = 4 if len(x) < _CROWD else 2.5
    axes.plot(x[1:-1], y[1:-1], ls="none", marker="|", ms=size, color=style.INK, mew=0.7, zorder=4)
    axes.plot(x[turns], y[turns], ls="none", marker="D", ms=4, mfc="white", mec=_FOLD, zorder=5)
    axes.plot(x[0], y[0], marker="o", ms=5, color=_START, zorder=6)
    axes.plot(x[-1], y[-1], marker="s", ms=5, color=_END, zorder=6)


def _entries(folded: bool) -> list[Line2D]:
    none: dict[str, Any] = {"ls": "none"}
    entries = [
        Line2D([], [], **none, marker="o", ms=5, color=_START, label="start"),
        Line2D([], [], **none, marker="|", ms=5, color=style.INK, label="crossing"),
        Line2D([], [], **none, marker="D", ms=4, mfc="white", mec=_FOLD, label="fold"),
        Line2D([], [], **none, marker="s", ms=5, color=_END, label="end"),
        Line2D([], [], color=style.INK, lw=1.4, label="least lead; largest change"),
    ]
    return entries if folded else [e for e in entries if e.get_label() != "fold"]


def _rows(
    leads: FloatArray,
    progress: FloatArray,
    change: FloatArray,
    length: FloatArray,
    turns: npt.NDArray[np.intp],
) -> list[Row]:
    kinds = np.full(len(progress), "crossing", dtype=object)
    kinds[turns], kinds[0], kinds[-1] = "fold", "start", "end"
    rows: list[Row] = []
    for i, kind in enumerate(kinds):
        row: dict[str, Value] = {"step": i, "kind": str(kind), "progress": float(progress[i])}
        row["length"] = float(length[i])
        row |= {f"lead_{j}": float(lead) for j, lead in enumerate(leads[i])}
        row |= {f"change_{j}": float(value) for j, value in enumerate(change[i])}
        rows.append(row)
    return rows


def _counts(record: Record, length: FloatArray) -> dict[str, Value]:
    walk = record.facts["walk"]
    leads, progress, change = (np.asarray(record.arrays[name], np.float64) for name in _WALK)
    return {
        "label": int(walk["label"]),
        "target": int(walk["target"]),
        "pixels": change.shape[1],
        "crossings": len(progress) - 2,
        "folds": len(folds(progress)),
        "length": float(length[-1]),
        "largest_change": float(np.abs(change[-1]).max()),
        "largest_on_the_way": float(np.abs(change).max()),
        "least_lead": float(leads[-1].min()),
        "progress": float(progress[-1]),
        "status": str(walk["status"]),
    }


def _caption(numbers: dict[str, Value]) -> str:
    return (
        f"A path of {numbers['network']} ({numbers['data']}): {numbers['pixels']} pixels change so"
        f" that the outputs go straight from those of a {numbers['label']} towards those of a"
        f" {numbers['target']}. (a) The leads of the target over all other classes: it has won"
        " where the least is above 0. (b) The changes of the pixels against the parameter"
        " $\\lambda$ of the segment; at a fold the path goes on backwards."
        f" {numbers['crossings']} activation boundaries, {numbers['folds']} folds; the largest"
        f" change at the end is {numbers['largest_change']:.3g}."
    )
