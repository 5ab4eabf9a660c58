"""How much of the attack's radius each certificate covers, on the images of several networks."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from empirics.record import Record
from figures import style
from figures.hamming import Rate, data_and_label
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import NORMS, escape, number
from theory.arrays import FloatArray

METHODS: Final = ("product", "interval", "semidefinite", "local", "linear", "best", "exact")
_WORDS: Final = {
    "product": "product of norms",
    "interval": "intervals",
    "semidefinite": "semidefinite",
    "local": "local Lipschitz",
    "linear": "linear relaxation",
    "best": "best of all",
    "exact": "exact search",
}
_LOOKS: Final = style.looks(METHODS[:-1])
_EXACT: Final = style.Look(style.INK, "d")
_SHOWN: Final = 3
"""Networks in the figure; the files have all."""
_EUCLIDEAN: Final = r"\ell_2"
_ROW: Final = 0.155
"""Inches a method."""
_PANEL: Final = 0.5
"""Inches that the title and the ticks of a panel take."""
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class Compared:
    """What the methods gave for the images of one network."""

    record: Record

    @cached_property
    def name(self) -> str:
        """The network and its data set."""
        data, label = data_and_label(self.record)
        return f"{label} ({data})"

    @property
    def stem(self) -> str:
        """What the keys of its numbers begin with."""
        return ".".join(data_and_label(self.record))

    @property
    def norms(self) -> list[str]:
        """In the order of the record."""
        keys = [k for k in self.record.facts if k.startswith("certificates[")]
        return [k.removeprefix("certificates[").removesuffix("]") for k in keys]

    def lines(self, norm: str, box: str | None = None) -> list[dict[str, Any]]:
        """Return the record's lines of one norm, of one box or of all."""
        lines = self.record.facts[f"certificates[{norm}]"]
        return [line for line in lines if box is None or line["box"] == box]

    def box(self, norm: str) -> str:
        """Return the box that is drawn: that of the pixels if it is there."""
        boxes = [line["box"] for line in self.lines(norm)]
        return "pixels" if "pixels" in boxes else str(boxes[0])

    def ratios(self, norm: str, box: str, method: str) -> FloatArray:
        """Return certified / attacked of the images to which an attack was found."""
        arrays = self.record.arrays
        attacked = np.asarray(arrays[f"{norm}.{box}.attacked"], dtype=np.float64)
        found = np.isfinite(attacked) & (attacked > 0)
        radii = np.asarray(arrays[f"{norm}.{box}.{method}"], dtype=np.float64)
        return np.asarray(radii[found] / attacked[found])


@figure(
    "intervals",
    title="How much of the attack's radius each certificate covers",
    needs=("certificates",),
)
def intervals(view: View) -> Drawing:
    """A row a network, a panel a norm; a strip a method."""
    known = [Compared(record) for record in view.measured("certificates")]
    shown = known[:_SHOWN]
    norms = list(dict.fromkeys(norm for each in shown for norm in each.norms))
    if not norms:
        raise NothingToDraw("no certificate of a classifier of images")
    methods = [m for m in METHODS if any(_method_of(each, m) for each in shown)]
    drawn = style.new_figure(style.TEXT, len(shown) * (_PANEL + _ROW * len(methods)) + 0.5)
    grid = drawn.subplots(len(shown), len(norms), squeeze=False, sharex=True, sharey=True)
    for each, row in zip(shown, grid, strict=True):
        for norm, axes in zip(norms, row, strict=True):
            if norm in each.norms:
                _draw(axes, each, norm, methods)
            else:
                axes.set_axis_off()
    for axes in grid[-1]:
        axes.set_xlabel("certified / attacked")
    for axes in grid.flat:
        axes.set_yticks(range(len(methods)), [_WORDS[m] for m in methods])
        axes.tick_params(axis="y", length=0)
    grid[0, 0].set_ylim(len(methods) - 0.5, -0.5)
    grid[0, 0].set_xlim(0, 1.02)
    if any(line["seconds_per_image"] is not None for each in shown for line in _drawn(each)):
        for axes in grid[0]:
            axes.annotate(
                "CPU s", (1.02, 1.0), xycoords="axes fraction", fontsize=6.5, color=style.QUIET,
                ha="left", va="bottom",
            )  # fmt: skip
    drawn.legend(handles=_entries(), loc="outside lower center", ncols=3, columnspacing=1.6)
    rows = [row for each in known for row in _rows(each)]
    return Drawing(drawn, rows, _numbers(known), _caption(shown))


def _method_of(each: Compared, method: str) -> bool:
    return any(line["method"] == method for line in _drawn(each))


def _drawn(each: Compared) -> list[dict[str, Any]]:
    """Return the lines of a record that the figure draws."""
    return [line for norm in each.norms for line in each.lines(norm, each.box(norm))]


def _draw(axes: Axes, each: Compared, norm: str, methods: list[str]) -> None:
    box = each.box(norm)
    own = {line["method"]: line for line in each.lines(norm, box)}
    axes.set_title(f"{each.name}, ${NORMS.get(norm, _EUCLIDEAN)}$", loc="left")
    for y, method in enumerate(methods):
        if y % 2 == 0:
            axes.axhspan(y - 0.5, y + 0.5, color="#f1f1f1", lw=0, zorder=-2)
        if method not in own or not own[method]["n_compared"]:
            continue
        look = _EXACT if method == "exact" else _LOOKS[method]
        ends = np.quantile(each.ratios(norm, box, method), _QUANTILES)
        axes.plot(ends[[0, 4]], [y, y], color=look.color, lw=0.9, zorder=2)
        quartiles: dict[str, Any] = {
            "color": look.color,
            "lw": 3.6,
            "alpha": 0.45,
            "solid_capstyle": "butt",
        }
        axes.plot(ends[[1, 3]], [y, y], **quartiles, zorder=3)
        axes.plot(ends[2], y, **style.marker_style(look, hollow=ends[2] <= 0), ms=3.6, zorder=4)
        seconds = own[method]["seconds_per_image"]
        if seconds is not None:
            axes.annotate(
                f"{seconds:.1g}" if seconds >= 1e-3 else "<0.001", (1.02, y),
                xycoords=("axes fraction", "data"), fontsize=6.5, color=style.QUIET, va="center",
            )  # fmt: skip
    axes.axvline(1, color=style.QUIET, lw=0.7, zorder=0)


def _entries() -> list[Line2D]:
    grey = style.QUIET
    return [
        Line2D([], [], color=grey, marker="o", ls="none", ms=3.6, label="median of the images"),
        Line2D([], [], color=grey, lw=3.6, alpha=0.45, label="middle half"),
        Line2D([], [], color=grey, lw=0.9, label="middle 90%"),
    ]


def _rows(each: Compared) -> list[Row]:
    rows: list[Row] = []
    data, label = data_and_label(each.record)
    for norm in each.norms:
        for line in each.lines(norm):
            if line["method"] == "attacked":
                continue
            ratios = each.ratios(norm, line["box"], line["method"])
            ends = np.quantile(ratios, _QUANTILES).tolist() if ratios.size else [None] * 5
            row: dict[str, Value] = {"data": data, "network": label, "norm": norm}
            row |= {"box": line["box"], "method": line["method"]}
            row |= {f"q{round(100 * q):02d}": end for q, end in zip(_QUANTILES, ends, strict=True)}
            row |= {"best": line["best"], "proved": line["proved"], "images": line["n"]}
            if line["best"] is not None:
                low, high = Rate(line["best"], line["n"]).limits
                row |= {"best_low": low, "best_high": high}
            rows.append(row | {"seconds_per_image": line["seconds_per_image"]})
    return rows


def _numbers(known: list[Compared]) -> dict[str, Value]:
    numbers: dict[str, Value] = {"networks": len(known)}
    for each in known:
        facts = each.record.facts
        numbers[f"{each.stem}.images"] = int(facts["n"])
        numbers[f"{each.stem}.units"] = int(facts["n_units"])
        for norm in each.norms:
            for line in each.lines(norm):
                stem = f"{each.stem}.{norm}.{line['box']}.{line['method']}"
                numbers[f"{stem}.seconds"] = line["seconds_per_image"]
                if line["method"] == "attacked":
                    continue
                numbers |= {f"{stem}.{key}": line[key] for key in ("q25", "median", "q75")}
                if line["best"] is not None:
                    numbers[f"{stem}.best_share"] = line["best"] / line["n"]
                if line["proved"] is not None:
                    numbers[f"{stem}.proved"] = line["proved"]
        for line in facts.get("smoothing", ()):
            stem = f"{each.stem}.smoothed.{line['sigma']:g}"
            numbers |= {f"{stem}.{key}": line[key] for key in ("median", "abstained", "samples")}
            numbers[f"{stem}.seconds"] = line["seconds"]
    return numbers


def _caption(shown: list[Compared]) -> str:
    counts = sorted({int(each.record.facts["n"]) for each in shown})
    images = number(counts[0])
    if len(counts) > 1:
        images += f" to {number(counts[-1])}"
    devices = ", ".join(dict.fromkeys(str(s.record.provenance["device"]) for s in shown))
    boxes = {each.box(norm) for each in shown for norm in each.norms}
    inside = " that keep pixels in $[0, 1]$" if boxes == {"pixels"} else ""
    drawn = [line for each in shown for line in _drawn(each)]
    words = [
        f"Certified radii over the radius of the strongest attack, of changes{inside}, on the first"
        f" {images} correctly classified test images of each network"
        f" ({', '.join(escape(each.name) for each in shown)}): the distance to another label lies"
        " between the two, so that the strip ends at 1 where it is known. Both ends hold for the"
        f" network in single precision. Device: {escape(devices)}."
    ]
    exact = [line for line in drawn if line["method"] == "exact"]
    if exact:
        proved, n = sum(line["proved"] for line in exact), sum(line["n"] for line in exact)
        words.append(
            "Exact search: its lower end, of the network in exact arithmetic;"
            f" {number(proved)} of {number(n)} searches ended with proof in their time. What it"
            " leaves below 1 there is what the attack missed."
        )
    if any(line["seconds_per_image"] is not None for line in drawn):
        words.append(
            "Right of each panel: CPU seconds an image; constants of the network count where they"
            " were first needed."
        )
    return " ".join(words)
