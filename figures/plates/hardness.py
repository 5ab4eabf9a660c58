"""How hard each class is to turn into each other: heat maps of source against target."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from scipy import stats

from empirics.record import Record
from figures import style
from figures.hamming import Rate, data_and_label, percent
from figures.printed import printed
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import escape, number
from theory.arrays import FloatArray

_SHOWN = 3
"""Networks in the figure; the files have all."""
_COLOURS, _NO_VALUE = "cividis_r", "#e4e4e4"
_CROSS: dict[str, Any] = {"color": style.INK, "marker": "x", "ms": 2.5, "mew": 0.6, "ls": "none"}
_LEAST_PAIRS = 3
"""Pairs that a rank correlation needs to say anything."""
_LABELS = 12
"""Up to as many classes, every one has a tick."""


@dataclass(frozen=True)
class Matrix:
    """A heat map: the array of the record, the factor to its unit, and what the axis says."""

    array: str
    scale: float
    words: str


MATRICES = (
    Matrix("success", 100, r"success $\tau$, % of images"),
    Matrix("distortion", 100, r"distortion $\varepsilon$, % of pixels"),
    Matrix("hardness", 100, r"hardness $H$, % of pixels"),
    Matrix("distance", 1, r"adversarial distance $A$"),
)
_PRINTED_SET = "test"


@dataclass(frozen=True, eq=False)
class Network:
    """One network under one form of the attack."""

    record: Record

    @cached_property
    def data(self) -> str:
        """The name of its data set."""
        return data_and_label(self.record)[0]

    @cached_property
    def label(self) -> str:
        """Its label in the preset, and how the attack differs from the paper's if it does."""
        facts = self.record.facts
        parts = [data_and_label(self.record)[1]]
        parts += [] if facts["increase"] else ["decreasing"]
        return "-".join(parts + (["softmax"] if facts["softmax"] else []))

    @property
    def rate(self) -> Rate:
        """How many images and targets were reached, of all."""
        return Rate(int(self.record.facts["reached"]), int(self.record.facts["pairs"]))

    @property
    def classes(self) -> int:
        """K."""
        return int(self.record.facts["n_classes"])

    def matrix(self, array: str) -> FloatArray:
        """Return values by source and target, shape (K, K): NaN where there is none."""
        return np.asarray(self.record.arrays[array], dtype=np.float64)

    def correlation(self, one: str, other: str) -> tuple[float | None, int]:
        """Return Spearman's rank correlation of two matrices and the number of pairs of classes."""
        a, b = self.matrix(one), self.matrix(other)
        there = np.isfinite(a) & np.isfinite(b)
        a, b, n = a[there], b[there], int(there.sum())
        if n < _LEAST_PAIRS or np.ptp(a) == 0 or np.ptp(b) == 0:
            return None, n
        return float(stats.spearmanr(a, b).statistic), n


@figure("hardness", title="How hard each class is to turn into each other", needs=("hardness",))
def hardness(view: View) -> Drawing:
    """A row a network, a heat map a quantity; one scale of colours a column."""
    known = [Network(record) for record in view.measured("hardness")]
    if not known:
        raise NothingToDraw("no hardness of any network")
    shown = known[:_SHOWN]
    drawn = style.new_figure(style.TEXT, 0.7 + 1.55 * len(shown))
    grid = drawn.subplots(len(shown), len(MATRICES), squeeze=False)
    for j, matrix in enumerate(MATRICES):
        values = [matrix.scale * network.matrix(matrix.array) for network in shown]
        norm = Normalize(*_ends(values))
        for axes, network, value in zip(grid[:, j], shown, values, strict=True):
            _draw(axes, network, value, norm)
        grid[-1, j].set_xlabel("target")
        bar = drawn.colorbar(
            ScalarMappable(norm, _COLOURS), ax=list(grid[:, j]), location="bottom", aspect=14
        )
        bar.set_label(matrix.words, fontsize=7)
        bar.ax.tick_params(labelsize=6.5)
        bar.locator = MaxNLocator(4)
        bar.update_ticks()
    for network, axes in zip(shown, grid[:, 0], strict=True):
        # As wide as the row, the heading would widen its panel; an empty title keeps its place.
        axes.set_title(" ", fontsize=7.5)
        place: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 7.5, "va": "bottom"}
        axes.text(0, 1.04, _heading(network), **place).set_in_layout(False)
        axes.set_ylabel("source")
    rows = [row for network in known for row in _rows(network)]
    return Drawing(drawn, rows, _numbers(known), _caption(shown))


def _ends(values: Sequence[FloatArray]) -> tuple[float, float]:
    """Return the least and the largest value, apart from one another."""
    finite = np.concatenate([value[np.isfinite(value)] for value in values])
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (min(low, 0.0), max(high, 1.0))


def _draw(axes: Axes, network: Network, value: FloatArray, norm: Normalize) -> None:
    axes.set_facecolor(_NO_VALUE)
    axes.imshow(np.ma.masked_invalid(value), cmap=_COLOURS, norm=norm)
    never = np.isnan(value) & (network.matrix("success") == 0)
    sources, targets = np.nonzero(never)
    axes.plot(targets, sources, **_CROSS)
    step = 1 if network.classes <= _LABELS else -(-network.classes // _LABELS)
    ticks = range(0, network.classes, step)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelsize=5.5, length=0, pad=1.5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _heading(network: Network) -> str:
    facts, rate = network.record.facts, network.rate
    low, high = (percent(end) for end in rate.limits)
    words = f"{network.label} ({network.data}): {percent(rate.share)}% [{low}, {high}]"
    words += f" of {rate.trials:,} reached"
    if facts["distortion_reached"] is not None:
        words += f", {100 * facts['distortion_reached']:.2f}% of pixels changed"
    paper = printed("papernot2016")
    if network.data == paper["data"] and facts["increase"] and not facts["softmax"]:
        row = _printed_row(paper)
        words += f"; printed, {paper['network']}: {row['success']}%, {row['distortion_reached']}%"
    return words


def _printed_row(paper: dict[str, Any]) -> dict[str, str]:
    return next(row for row in paper["row"] if row["set"] == _PRINTED_SET)


def _rows(network: Network) -> list[Row]:
    head: dict[str, Value] = {"network": network.label, "data": network.data}
    arrays = (*(m.array for m in MATRICES), "hardness_all", "distance_pairs")
    matrices = {name: network.matrix(name) for name in arrays}
    images = network.record.facts["images_by_class"]
    rows: list[Row] = []
    for source, target in zip(*np.nonzero(~np.eye(network.classes, dtype=bool)), strict=True):
        place: dict[str, Value] = {"source": int(source), "target": int(target)}
        values = {name: _cell(matrix[source, target]) for name, matrix in matrices.items()}
        rows.append({**head, **place, "images": images[source], **values})
    return rows


def _cell(value: float) -> Value:
    return float(value) if np.isfinite(value) else None


def _numbers(known: list[Network]) -> dict[str, Value]:
    """Return the numbers of every network, and those of the first one without its name."""
    paper = printed("papernot2016")
    numbers: dict[str, Value] = {"networks": len(known)}
    numbers |= {f"printed.{key}": value for key, value in _printed_row(paper).items()}
    numbers |= {f"printed.{key}": paper[key] for key in ("network", "upsilon", "test_accuracy")}
    numbers |= {"network": known[0].label, "data": known[0].data, **_of(known[0])}
    for network in known:
        stem = f"{network.data}.{network.label}"
        numbers |= {f"{stem}.{key}": value for key, value in _of(network).items()}
    return numbers


def _of(network: Network) -> dict[str, Value]:
    facts, rate = network.record.facts, network.rate
    found: dict[str, Value] = {
        "images": facts["n"],
        "pairs": rate.trials,
        "reached": rate.count,
        "success": 100 * rate.share,
        "success_low": 100 * rate.limits[0],
        "success_high": 100 * rate.limits[1],
        "distortion_reached": _percent_of(facts["distortion_reached"]),
        "distortion_all": _percent_of(facts["distortion_all"]),
        "upsilon": round(100 * facts["upsilon"], 9),
        "test_error": 100 * facts["test_error"],
        "robustness": facts["robustness"],
        "robustness_pairs": facts["robustness_pairs"],
        "never": int(np.sum(network.matrix("success_by_distortion")[-1] == 0)),
    }
    for hard in ("hardness", "hardness_all"):
        for distance in ("distance", "distance_pairs"):
            stem = f"spearman.{hard}.{distance}"
            found[stem], found[f"{stem}.pairs"] = network.correlation(hard, distance)
    found |= _extremes("hardest", "easiest", network.matrix("hardness"))
    return found


def _percent_of(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _extremes(most: str, least: str, values: FloatArray) -> dict[str, Value]:
    """Return source, target and value of the largest and the smallest entry."""
    if not np.isfinite(values).any():
        return {}
    found: dict[str, Value] = {}
    for name, flat in ((most, np.nanargmax(values)), (least, np.nanargmin(values))):
        source, target = np.unravel_index(int(flat), values.shape)
        found |= {f"{name}.source": int(source), f"{name}.target": int(target)}
        found[f"{name}.hardness"] = 100 * float(values[source, target])
    return found


def _caption(shown: list[Network]) -> str:
    facts = shown[0].record.facts
    device = shown[0].record.provenance.get("device", "unknown device")
    ends = sorted({max(network.record.facts["images_by_class"]) for network in shown})
    counts = " or ".join(number(n) for n in ends)
    paper = printed("papernot2016")
    row = _printed_row(paper)
    levels = ", ".join(f"{100 * level:g}" for level in facts["distortions"])
    correlated = [
        f"{value:.2f} over {n} pairs of classes for {escape(f'{network.label} on {network.data}')}"
        for network in shown
        for value, n in [network.correlation("hardness", "distance")]
        if value is not None
    ]
    spearman = f" Rank correlation of $H$ and $A$: {'; '.join(correlated)}." if correlated else ""
    limits = " Limits are 95\\%, as if all pairs of an image and a target were independent."
    return (
        "The saliency map attack by class of the image (source) and label to be reached (target),"
        f" on up to {counts} correctly classified test images a class: the part that reached the"
        f" target with at most {100 * facts['upsilon']:g}\\% of the pixels, the mean part of the"
        " pixels changed by those that did, the hardness $H = \\int \\varepsilon\\, d\\tau$ by the"
        f" trapezoid rule over largest distortions of {levels}\\%, and the adversarial distance,"
        " one less the part of positive entries in the saliency map of the unchanged image. Grey:"
        f" no such pair; a cross: never reached.{limits}{spearman}"
        f" {paper['network']} on MNIST as printed: {row['success']}\\% reached,"
        f" {row['distortion_reached']}\\% of pixels changed. Device: {escape(str(device))}."
    )
