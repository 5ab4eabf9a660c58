"""Measured percentiles as markers with their intervals, side by side where they would overlap."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

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


def draw_percentiles(
    axes: Axes,
    view: View,
    groups: Mapping[int, Sequence[tuple[Pair, float]]],
    quantity: str,
    known: Mapping[str, style.Look],
    step: float,
) -> list[Row]:
    """Draw the 25th percentile of one radius of many pairs, and return what was drawn.

    Parameters
    ----------
    axes : Axes
        With a logarithmic x axis.
    view : View
    groups : mapping from int to sequence of (Pair, float)
        The pairs at each x, and the unit that each percentile is divided by.
    quantity : str
    known : mapping
        The look of each pair's name.
    step : float
        Shift between neighbours, in natural logarithms.
    """
    rows: list[Row] = []
    for x, members in groups.items():
        shifts = (np.arange(len(members)) - (len(members) - 1) / 2) * step
        for (pair, unit), shift in zip(members, shifts, strict=True):
            radii = pair.radii(quantity)
            low, high = (end / unit for end in quantile_limits(radii))
            if not np.isfinite(high):
                continue
            seen = seen_quantile(radii) / unit
            at = (x * float(np.exp(shift)), seen)
            style.draw_interval(axes, at, (low, high), known[pair.name], vertical=True)
            row: dict[str, Value] = {"series": pair.name, "x": x, "lower": low, "seen": seen}
            row |= {"upper": high, "n": radii.n}
            bound = view.bound(CERTIFIED, pair, quantity)
            if bound is not None:
                row["own_bound"] = own = bound.quantile(QUARTILE) / unit
                axes.plot(at[0], own, **OWN_BOUND, zorder=5)
            rows.append(row)
    return rows


def look_of(pairs: Sequence[Pair]) -> dict[str, style.Look]:
    """Return the look of each pair's name: a colour a classifier, a marker a generator."""
    return style.pair_looks((pair.name, pair.generator, pair.classifier) for pair in pairs)


def legend_below(axes: Axes, known: dict[str, style.Look], ncols: int) -> None:
    """Put a legend below the axes: its lines first, then the measured markers."""
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    own = Line2D([], [], **OWN_BOUND, label="bound at own class masses")
    entries, lines = style.legend_entries(known, "none"), [*lines, own]
    # Lines fill the first column, markers the others: legends are filled column by column.
    rows = max(len(lines), math.ceil(len(entries) / (ncols - 1)))
    blank = Line2D([], [], ls="none", label=" ")
    handles = [*lines, *[blank] * (rows - len(lines)), *entries]
    handles += [blank] * (rows * ncols - len(handles))
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, columnspacing=1.2)
