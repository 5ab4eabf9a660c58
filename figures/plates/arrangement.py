"""Lines in the plane: the cells that one changed coordinate reaches, and those that two reach."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from figures import style
from figures.registry import Drawing, Row, Value, figure
from theory.arrangement.arrangement import HyperplaneArrangement, Region, Signs
from theory.arrays import FloatArray
from theory.claims.shamir2019 import (
    change_norm_quantile,
    expected_good_sets,
    label_distance_bound,
    label_reach_probability,
    reach_probability,
)
from theory.hamming.linear import reach_cell

NORMALS = ((5, -7), (3, 5), (3, 2), (-5, 2))
OFFSETS = (2, 2, -1, -7)
START, END = (-2.3, -0.9), (0.96, 0.0)
"""The path of (b): the first coordinate changes, then the second; END is in a cell off the line."""
_WINDOW = (3.0, 2.6)
_ROWS, _CLASSES, _PIXELS = 9, 10, 784
_REACHED, _PATH = "#56B4E9", "#D55E00"
_SIGNS = {1: "+", -1: "\N{MINUS SIGN}"}


def cell_polygon(signs: Sequence[int] | Signs, window: tuple[float, float] = _WINDOW) -> FloatArray:
    """Return the corners of a cell, cut off at a window around 0.

    Parameters
    ----------
    signs : sequence of int
        The side of each line, 1 or -1.
    window : tuple of float
        Half of its width and height.

    Returns
    -------
    ndarray, shape (v, 2)

    Examples
    --------
    >>> cell_polygon((1, 1, 1, 1)).shape
    (3, 2)
    """
    w, h = window
    corners = [np.array(corner) for corner in ((-w, -h), (w, -h), (w, h), (-w, h))]
    for sign, normal, offset in zip(signs, NORMALS, OFFSETS, strict=True):
        heights = [sign * (np.dot(normal, corner) - offset) for corner in corners]
        kept = []
        for i, here in enumerate(heights):
            before, last = heights[i - 1], corners[i - 1]
            if before * here < 0:
                kept.append(last + (corners[i] - last) * before / (before - here))
            if here >= 0:
                kept.append(corners[i])
        corners = kept
    return np.array(corners)


@figure("arrangement", title="Cells reached by changing one and two coordinates", needs=None)
def arrangement() -> Drawing:
    """Left: the line of the first coordinate; right: a path along both."""
    lines = HyperplaneArrangement(NORMALS, OFFSETS)
    regions = list(lines.regions())
    one = {_key(r): _reached(r, (0,)) for r in regions}
    two = {_key(r): _reached(r, (0, 1)) for r in regions}
    drawn = style.new_figure(style.TEXT, 2.55)
    left, right = drawn.subplots(1, 2, sharex=True, sharey=True)
    for axes, found in ((left, one), (right, two)):
        _draw_cells(axes, regions, found)
    left.set_title("(a) one coordinate changes")
    right.set_title("(b) a second one changes, too")
    left.axhline(START[1], color=_PATH, lw=1.0, ls=(0, (4, 2)), zorder=4)
    turn = (END[0], START[1])
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": _PATH, "lw": 1.2, "shrinkA": 0}
    arrow |= {"shrinkB": 0, "mutation_scale": 9}
    right.annotate("", turn, START, arrowprops=arrow, zorder=6)
    right.annotate("", END, turn, arrowprops=arrow, zorder=6)
    for axes in (left, right):
        axes.plot(*START, marker="o", ms=4.5, color=_PATH, zorder=7)
        axes.annotate("$x$", START, (-2, 4), textcoords="offset points", fontsize=9, ha="right")
    left.set_ylabel("second coordinate")
    numbers = _numbers(lines, one, two)
    rows: list[Row] = [
        {
            "cell": _name(r.sign_vector),
            "by_one": one[_key(r)],
            "by_two": two[_key(r)],
            "distance": lines.distance(lines.sign_vector(START), r),
        }
        for r in regions
    ]
    return Drawing(drawn, rows, numbers, _caption(numbers))


def _key(region: Region) -> tuple[int, ...]:
    return tuple(int(sign) for sign in region.sign_vector)


def _name(signs: Any) -> str:  # noqa: ANN401
    return "".join(_SIGNS[int(sign)] for sign in signs)


def _reached(region: Region, coordinates: tuple[int, ...]) -> bool:
    w, h = _WINDOW
    box = np.array([-w, -h]), np.array([w, h])
    return reach_cell(NORMALS, OFFSETS, START, region.sign_vector, coordinates, box) is not None


def _draw_cells(axes: Axes, regions: list[Region], found: dict[tuple[int, ...], bool]) -> None:
    w, h = _WINDOW
    for region in regions:
        corners = cell_polygon(region.sign_vector)
        if found[_key(region)]:
            axes.add_patch(Polygon(corners, fc=_REACHED, alpha=0.28, lw=0))
        # The middle of a cell is where its name has most room.
        x, y = corners.mean(axis=0)
        axes.text(x, y, _name(region.sign_vector), ha="center", va="center", fontsize=6.2, zorder=8)
    ends = np.array([-2 * w, 2 * w])
    for i, ((a, b), offset) in enumerate(zip(NORMALS, OFFSETS, strict=True), 1):
        axes.plot(ends, (offset - a * ends) / b, color=style.INK, lw=0.8, zorder=3)
        # Its number where the line leaves the window, on the right or at the bottom.
        right = (offset - a * w) / b
        inside = abs(right) < h
        place = (w, right) if inside else ((offset + b * h) / a, -h)
        words: dict[str, Any] = {"fontsize": 6.5, "color": style.QUIET, "annotation_clip": False}
        words["ha"], shift = ("left", (3, -2)) if inside else ("center", (0, -8))
        axes.annotate(f"{i}", place, shift, textcoords="offset points", **words)
    axes.set(xlim=(-w, w), ylim=(-h, h), xticks=[], yticks=[], aspect="equal")
    axes.set_xlabel("first coordinate", labelpad=10)
    axes.spines[["top", "right"]].set_visible(True)


def _numbers(
    lines: HyperplaneArrangement,
    one: dict[tuple[int, ...], bool],
    two: dict[tuple[int, ...], bool],
) -> dict[str, Value]:
    numbers: dict[str, Value] = {
        "lines": lines.n_hyperplanes,
        "regions": lines.n_regions,
        "bounded_regions": lines.n_bounded_regions,
        "sign_vectors": 2**lines.n_hyperplanes,
        "reached_by_one": sum(one.values()),
        "reached_by_two": sum(two.values()),
        "crossed": lines.distance(lines.sign_vector(START), lines.sign_vector(END)),
        "classes": _CLASSES,
        "rows": int(label_distance_bound(_CLASSES)),
        "pixels": _PIXELS,
    }
    for k in range(1, _ROWS + 1):
        numbers[f"law.{k}"] = float(reach_probability(k, _ROWS))
        numbers[f"label_law.{k}"] = float(label_reach_probability(k, _CLASSES))
    numbers["good_single"] = float(expected_good_sets(1, _ROWS, _PIXELS))
    for extra in (0, 1, 2):
        median = change_norm_quantile(0.5, _ROWS + extra, _ROWS)
        numbers[f"median_change_{extra}"] = float(median)
    return numbers


def _caption(numbers: dict[str, Value]) -> str:
    return (
        f"{numbers['lines']} lines in general position: {numbers['regions']} cells,"
        f" {numbers['bounded_regions']} of them bounded, each named by its sides of lines 1 to"
        f" {numbers['lines']}. From"
        f" $x$, a change of the first coordinate alone reaches {numbers['reached_by_one']} cells"
        f" (shaded in (a)), a change of both reaches all {numbers['reached_by_two']}; the path in"
        f" (b) crosses {numbers['crossed']} lines. Of the {numbers['sign_vectors']} sign vectors"
        " the others belong to no cell of the plane: more coordinates would reach them."
    )
