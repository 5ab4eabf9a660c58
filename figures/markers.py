"""Measured percentiles: at their place beside a curve, and one by one with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from figures import style
from figures.registry import Row, Value
from figures.view import CERTIFIED, QUARTILE, Pair, View, quantile_limits, seen_quantile

OWN_BOUND: dict[str, Any] = {
    "color": style.INK,
    "marker": "_",
    "ms": 6,
    "mew": 1.2,
    "ls": "none",
}
_HEIGHT, _SHARES, _COLUMNS = 2.9, (1.25, 1), 4
_GAP = 1.3
"""Between the generators, in steps from one classifier to the next."""


@dataclass(frozen=True)
class Percentile:
    """Where a pair's percentile belongs along a curve, and the unit that it is divided by."""

    x: int
    pair: Pair
    unit: float = 1.0


def new_panels() -> tuple[Figure, Axes, Axes]:
    """Return a figure with a panel for curves and one for what was measured."""
    drawn = style.new_figure(style.TEXT, _HEIGHT)
    curves, measured = drawn.subplots(1, 2, width_ratios=_SHARES)
    return drawn, curves, measured


def draw_percentiles(
    curves: Axes, measured: Axes, view: View, shown: Sequence[Percentile], quantity: str
) -> list[Row]:
    """Draw the 25th percentile of one radius of many pairs, and return what was drawn.

    Parameters
    ----------
    curves : Axes
        Gets a marker a pair at its x, where those of one x hide one another.
    measured : Axes
        Gets a column a pair: its marker, its interval and its own bound; the generators apart.
    view : View
    shown : sequence of Percentile
        The pairs of one generator next to one another.
    quantity : str
    """
    known = style.pair_looks((p.pair.name, p.pair.generator, p.pair.classifier) for p in shown)
    rows: list[Row] = []
    columns: dict[str, list[float]] = {}
    place = 0.0
    for point in shown:
        pair, radii = point.pair, point.pair.radii(quantity)
        low, high = (end / point.unit for end in quantile_limits(radii))
        if not np.isfinite(high):
            continue
        label = _column(pair)
        if columns:
            place += 1 if label in columns else 1 + _GAP
        columns.setdefault(label, []).append(place)
        look, seen = known[pair.name], seen_quantile(radii) / point.unit
        curves.plot(point.x, seen, **style.marker_style(look, hollow=low <= 0), ms=3, zorder=6)
        style.draw_interval(measured, (place, seen), (low, high), look, vertical=True)
        row: dict[str, Value] = {"series": pair.name, "x": point.x, "lower": low, "seen": seen}
        row |= {"upper": high, "n": radii.n}
        bound = view.bound(CERTIFIED, pair, quantity)
        if bound is not None:
            row["own_bound"] = own = bound.quantile(QUARTILE) / point.unit
            measured.plot(place, own, **OWN_BOUND, zorder=5)
        rows.append(row)
    ticks = [float(np.mean(places)) for places in columns.values()]
    measured.set_xticks(ticks, list(columns), rotation=35, ha="right", rotation_mode="anchor")
    measured.tick_params(axis="x", length=0)
    measured.set_xlim(-1, place + 1)
    return rows


def _column(pair: Pair) -> str:
    """Return what stands below a pair: its generator, or the name of a closed-form family."""
    return pair.name if "exact_law" in pair.facts else pair.generator


def legend_below(curves: Axes, shown: Sequence[Percentile]) -> None:
    """Put a legend below both panels: the lines, then the colour of each trained classifier."""
    looks = style.looks(point.pair.classifier for point in shown)
    trained = {p.pair.classifier for p in shown if "exact_law" not in p.pair.facts}
    lines = [line for line in curves.get_lines() if not str(line.get_label()).startswith("_")]
    handles: list[Any] = [*lines, Line2D([], [], **OWN_BOUND, label="bound at own class masses")]
    colours = [
        Patch(color=look.color, lw=0, label=name) for name, look in looks.items() if name in trained
    ]
    # Legends are filled column by column: colours begin one of their own.
    rows = math.ceil((len(handles) + len(colours)) / _COLUMNS)
    handles += [Line2D([], [], ls="none", label=" ")] * (-len(handles) % rows)
    handles += colours
    figure = curves.get_figure(root=True)
    assert figure is not None
    figure.legend(handles=handles, loc="outside lower center", ncols=_COLUMNS, columnspacing=1.4)
