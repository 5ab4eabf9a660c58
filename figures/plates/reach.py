"""Success against the number of changed pixels: by box, for random pixels, by depth, by kind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from empirics.record import Record
from figures import style
from figures.hamming import (
    Box,
    Network,
    Rate,
    main_network,
    networks,
    rate_row,
    same_subject,
    shape_of,
    steps,
    within,
)
from figures.random_pixels import climb_words, other_label_law, path_words
from figures.registry import Drawing, Row, Value, figure
from figures.view import View
from theory.arrays import FloatArray

_MOST = 40
"""More changes than that are not drawn."""
_DODGE = 0.13
"""Between the markers of two boxes at one number of random pixels."""
_LAW: dict[str, Any] = {"color": style.INK, "lw": 1.1, "ls": "-"}
_KINDS = ("conv-max", "residual", "sigmoid", "tanh", "median-filter", "median-pool")
_LAW_NAME = "random affine classifiers"
_WIDTHS = (64, 256, 16)
"""The width whose depths are drawn is the first of these of which there are two depths."""


@figure(
    "reach",
    title="Success against the number of changed pixels",
    needs=("hamming",),
    also=("random_pixels",),
)
def reach(view: View) -> Drawing:
    """A panel a question: boxes, random pixels, depths, kinds; those that have records."""
    known = networks(view)
    shown = main_network(known)
    random = same_subject(view, "random_pixels", shown)
    depths, kinds = _depths(known), _kinds(known)
    panels: list[tuple[str, Callable[[Axes], list[Row]]]] = [
        (f"{shown.label}, chosen pixels, by box", lambda axes: _by_box(axes, shown))
    ]
    if random is not None:
        panels.append((f"{shown.label}, random pixels", lambda axes: _random(axes, random, shown)))
    if len(depths) > 1:
        shape = shape_of(depths[0][1].label)
        assert shape is not None
        title = f"layers of {shape[1]} units, box {depths[0][1].boxes[0].math}"
        panels.append((title, lambda axes: _by_network(axes, depths)))
    if len(kinds) > 1:
        title = f"other networks, box {kinds[0][1].boxes[0].math}"
        panels.append((title, lambda axes: _by_network(axes, kinds)))
    n_rows = (len(panels) + 1) // 2
    width = style.COLUMN if len(panels) == 1 else style.TEXT
    drawn = style.new_figure(width, 2.6 * n_rows)
    grid = drawn.subplots(n_rows, min(len(panels), 2), squeeze=False, sharey=True)
    places = list(grid.ravel())
    rows: list[Row] = []
    for letter, (title, draw), axes in zip("abcd", panels, places, strict=False):
        axes.set_title(f"({letter}) {title}" if len(panels) > 1 else title)
        found = draw(axes)
        rows += [{"panel": letter, **row} for row in found]
        axes.axvline(shown.n_classes + 1, color=style.QUIET, lw=0.7, ls=(0, (1, 2)), zorder=0)
        axes.set_xlabel("$k$, changed pixels")
        axes.set_ylim(-0.02, 1.02)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("part of all targets")
    numbers = _numbers(shown, depths, kinds, rows)
    numbers |= {"random_words": climb_words(random), "path_words": path_words(random)}
    caption = _caption(shown, random is not None, len(depths) > 1, len(kinds) > 1)
    return Drawing(drawn, rows, numbers, caption)


def _depths(known: list[Network]) -> list[tuple[str, Network]]:
    by_shape = {shape: n for n in known if (shape := shape_of(n.label)) is not None}
    for width in _WIDTHS:
        found = sorted(shape for shape in by_shape if shape[1] == width)
        if len(found) > 1:
            return [(_layers(d), by_shape[d, w]) for d, w in found]
    return []


def _layers(depth: int) -> str:
    return f"{depth} hidden layer{'s' if depth > 1 else ''}"


def _kinds(known: list[Network]) -> list[tuple[str, Network]]:
    named = {network.label: network for network in known if network.label in _KINDS}
    base = [network for network in known if network.label in ("mlp-1x64", "relu")]
    found = [(label, named[label]) for label in _KINDS if label in named]
    return [*(("mlp-1x64 (ReLU)", network) for network in base[:1]), *found] if found else []


def _stairs(
    axes: Axes,
    shares: FloatArray,
    look: style.Look,
    **strokes: Any,  # noqa: ANN401
) -> None:
    axes.step(np.arange(len(shares)), shares, where="post", color=look.color, **strokes)


def _curve(
    axes: Axes, network: Network, box: Box, look: style.Look, shift: float, most: int
) -> list[Row]:
    """Draw the part of targets that were reached, and that may be; limits at K + 1."""
    pairs, k = network.pairs(box), network.n_classes + 1
    found, possible = steps(pairs.upper, most), steps(pairs.lower, most)
    _stairs(axes, found, look, lw=1.0)
    if pairs.lower.max() > 1:
        _stairs(axes, possible, look, **style.CERTIFIED_END)
    rate = within(pairs.upper, k)
    _limits(axes, k + shift, rate, look)
    head = {"series": f"{network.label} ({network.data})", "box": box.name}
    return [
        {
            **rate_row(head, int(j), within(pairs.upper, int(j))),
            "possible": float(possible[j]),
        }
        for j in range(most + 1)
    ]


def _limits(axes: Axes, at: float, rate: Rate, look: style.Look, *, hollow: bool = False) -> None:
    low, high = rate.limits
    axes.plot([at, at], [low, high], color=look.color, lw=1.0, zorder=4)
    axes.plot(at, rate.share, **style.marker_style(look, hollow=hollow), ms=3.6, zorder=5)


def _most(networks_and_boxes: list[tuple[Network, Box]]) -> int:
    ends = np.concatenate([network.pairs(box).upper for network, box in networks_and_boxes])
    seen = ends[np.isfinite(ends)]
    least = max(network.n_classes + 2 for network, _ in networks_and_boxes)
    return max(least, min(_MOST, int(seen.max(initial=0)) + 1))


def _shifts(n: int) -> list[float]:
    # Between k and k + 1 a step is at its value for k.
    return [float(s) for s in (np.arange(n) + 1) / (n + 1)]


def _by_box(axes: Axes, network: Network) -> list[Row]:
    known = style.looks(box.space for box in network.boxes)
    most = _most([(network, box) for box in network.boxes])
    rows: list[Row] = []
    for box, shift in zip(network.boxes, _shifts(len(network.boxes)), strict=True):
        rows += _curve(axes, network, box, known[box.space], shift, most)
    axes.set_xlim(0, most)
    _legend(axes, {box.math: known[box.space] for box in network.boxes})
    return rows


def _by_network(axes: Axes, named: list[tuple[str, Network]]) -> list[Row]:
    # A network of the depths is the measure of all others: black, beside their colours.
    known = style.looks(name for name, _ in named)
    if len(known) > 6:
        first, *others = known
        known = {first: style.Look(style.INK, "o")} | style.looks(others)
    most = _most([(network, network.boxes[0]) for _, network in named])
    rows: list[Row] = []
    for (name, network), shift in zip(named, _shifts(len(named)), strict=True):
        rows += _curve(axes, network, network.boxes[0], known[name], shift, most)
    axes.set_xlim(0, most)
    _legend(axes, known)
    return rows


def _random(axes: Axes, record: Record, network: Network) -> list[Row]:
    """Draw the success of the first draw and of all draws, and the law of affine classifiers."""
    arrays, rows = record.arrays, network.n_classes - 1
    counts = arrays["climb.counts"]
    boxes = [Box(float(r)) for r in arrays["climb.overshoots"]]
    known = style.looks([*(box.space for box in network.boxes), *(box.space for box in boxes)])
    most = int(max([*counts, rows + 2]))
    k = np.arange(most + 1)
    law = other_label_law(k, network.n_classes)
    axes.plot(k, law, **_LAW)
    lines: list[Row] = [
        {"series": "law", "k": int(j), "share": float(p)} for j, p in zip(k, law, strict=True)
    ]
    for i, box in enumerate(boxes):
        for draws in dict.fromkeys((1, int(record.facts["tries"]))):
            at = arrays["climb.tries"][i]
            head = {"series": f"random, {draws} draws", "box": box.name}
            shift = _DODGE * (i - len(boxes) / 2)
            lines += _draws(axes, counts, at, draws, known[box.space], head, shift)
    look = style.Look(style.QUIET, "X")
    if "path.draws" in arrays:
        path = arrays["path.draws"]
        for draws in dict.fromkeys((1, int(record.facts["draws"]))):
            head = {"series": f"path, {draws} draws", "box": "unlimited"}
            shift = _DODGE * len(boxes) / 2
            lines += _draws(axes, arrays["path.counts"], path, draws, look, head, shift)
    axes.set_xlim(0, most + 0.5)
    looks = {box.math: known[box.space] for box in boxes}
    if "path.draws" in arrays:
        looks["path, no limit"] = look
    _legend(axes, looks, *_draw_entries(record), Line2D([], [], **_LAW, label=_LAW_NAME))
    return lines


def _draws(
    axes: Axes,
    counts: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    draws: int,
    look: style.Look,
    head: Row,
    shift: float = 0.0,
) -> list[Row]:
    """Draw how many pairs succeeded within so many draws; hollow markers for a single one."""
    rates = [Rate(int(np.sum((at >= 1) & (at <= draws))), at.size) for at in first]
    line: dict[str, Any] = {"color": look.color, "lw": 0.9, "zorder": 3}
    line["ls"] = (0, (1, 1.3)) if draws == 1 else "-"
    axes.plot(counts + shift, [rate.share for rate in rates], **line)
    for k, rate in zip(counts, rates, strict=True):
        _limits(axes, float(k) + shift, rate, look, hollow=draws == 1)
    return [rate_row(head, int(k), rate) for k, rate in zip(counts, rates, strict=True)]


def _draw_entries(record: Record) -> list[Line2D]:
    grey: dict[str, Any] = {"color": style.QUIET, "marker": "o", "ms": 4, "lw": 0.9}
    entries = [Line2D([], [], **grey, mfc="white", ls=(0, (1, 1.3)), label="one draw")]
    best, path = int(record.facts["tries"]), int(record.facts["draws"])
    if max(best, path) > 1:
        words = f"best of {best}"
        if "path.draws" in record.arrays and path != best:
            words += f" (path: {path})"
        entries.append(Line2D([], [], **grey, label=words))
    return entries


def _legend(axes: Axes, known: dict[str, style.Look], *others: Line2D) -> None:
    """Put a legend below the axis label, in as many columns as the names allow."""
    handles = [*style.legend_entries(known), *others]
    longest = max(len(str(handle.get_label())) for handle in handles)
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.47, -0.22)}
    columns = 4 if longest < 14 and len(handles) <= 4 else 2
    axes.legend(
        handles=handles, ncols=columns, **place, handlelength=1.4, labelspacing=0.3,
        columnspacing=1.0, borderpad=0,
    )  # fmt: skip


def _numbers(
    shown: Network,
    depths: list[tuple[str, Network]],
    kinds: list[tuple[str, Network]],
    rows: list[Row],
) -> dict[str, Value]:
    k = shown.n_classes + 1
    numbers: dict[str, Value] = {
        "network": shown.label,
        "data": shown.data,
        "classes": shown.n_classes,
        "rows": shown.n_classes - 1,
        "k": k,
        "boxes": len(shown.boxes),
        "depths": len(depths),
        "kinds": len(kinds),
    }
    for row in rows:
        if row["k"] == k and row["series"] != "law":
            numbers[f"{row['panel']}.{row['series']}.{row.get('box')}"] = row["share"]
    return numbers


def _caption(shown: Network, random: bool, depths: bool, kinds: bool) -> str:
    words = [
        f"Part of all pairs of an image and another label for which the label was reached by"
        f" changing at most $k$ pixels, {shown.label} on {shown.data}. The dotted line is"
        f" $K + 1 = {shown.n_classes + 1}$; markers there have exact 95% limits, each by itself and"
        " as if pairs were independent, and are drawn side by side. Dashed, where some pair is"
        " known not to do with less: the part that can be reached at most."
    ]
    if random:
        words.append(
            "Random pixels: hollow markers, one draw; full ones, the best of several; the black"
            " line is the law of affine classifiers with random rows and no limit on the range."
        )
    if depths or kinds:
        words.append("By network: the same in the narrowest box.")
    return " ".join(words)
