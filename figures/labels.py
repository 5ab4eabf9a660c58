"""Names beside markers, each at the first place where it hides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from theory.arrays import FloatArray

_REACHES = (4, 9, 15, 22, 30, 40, 52)
_SIDES = ((1, 0), (0.7, 0.7), (0.7, -0.7), (0, 1), (0, -1), (-0.7, 0.7), (-0.7, -0.7), (-1, 0))
_SHIFTS = [(reach * dx, reach * dy) for reach in _REACHES for dx, dy in _SIDES]
"""Where a name may stand from its marker, in points, the nearest places first."""
_MARKER, _LINE = 3.0, 0.8
"""Half of the size of a marker and of the width of a line, in points."""
_LEADER = 8.0
"""Names that are farther from their marker than so many points get a line to it."""


@dataclass(frozen=True)
class Name:
    """A name, and the place in data coordinates of the marker that it belongs to."""

    text: str
    at: tuple[float, float]
    color: str


def put_names(
    drawn: Figure, axes: Axes, names: Sequence[Name], lines: Sequence[tuple[float, float]] = ()
) -> None:
    """Write names beside their markers, in the layout that the figure has now.

    Parameters
    ----------
    drawn : Figure
        Its layout must not change later.
    axes : Axes
    names : sequence of Name
    lines : sequence of tuple of float
        Corners in data coordinates of a line of horizontal and vertical pieces, not to be hidden.
    """
    scale = drawn.dpi / 72
    to_pixels = axes.transData.transform
    taken = [_around(to_pixels(name.at), to_pixels(name.at), _MARKER * scale) for name in names]
    corners = [to_pixels(corner) for corner in lines]
    taken += [_around(a, b, _LINE * scale) for a, b in pairwise(corners)]
    room = axes.get_window_extent()
    for name in sorted(names, key=lambda each: (-each.at[0], each.text)):
        x, y = to_pixels(name.at)
        text = axes.annotate(
            name.text,
            name.at,
            (0, 0),
            textcoords="offset points",
            fontsize=6,
            color=name.color,
            va="center",
            annotation_clip=False,
        )
        size = text.get_window_extent()
        places = [_place(x, y, dx * scale, dy * scale, size) for dx, dy in _SHIFTS]
        hidden = [
            sum(_common(box, other) for other in taken)
            + 2 * (size.width * size.height - _common(box, room))
            for box in places
        ]
        # The nearest of the places that hide least, but for rounding.
        box = places[int(np.argmax(np.array(hidden) <= min(hidden) + 1e-6))]
        middle = (box.y0 + box.y1) / 2
        text.xyann = ((box.x0 - x) / scale, (middle - y) / scale)
        taken.append(box)
        end = min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1)
        if np.hypot(end[0] - x, end[1] - y) > _LEADER * scale:
            ends = axes.transData.inverted().transform([(x, y), end])
            axes.plot(*ends.T, color=name.color, lw=0.35, zorder=2)


def _around(a: FloatArray, b: FloatArray, margin: float) -> Bbox:
    return Bbox.from_extents(
        min(a[0], b[0]) - margin,
        min(a[1], b[1]) - margin,
        max(a[0], b[0]) + margin,
        max(a[1], b[1]) + margin,
    )


def _place(x: float, y: float, dx: float, dy: float, size: Bbox) -> Bbox:
    """Return the box of a text beside a point: right of it, left of it, or centred."""
    left = x + dx - (size.width if dx < 0 else 0 if dx > 0 else size.width / 2)
    return Bbox.from_bounds(left, y + dy - size.height / 2, size.width, size.height)


def _common(box: Bbox, other: Bbox) -> float:
    width = min(box.x1, other.x1) - max(box.x0, other.x0)
    height = min(box.y1, other.y1) - max(box.y0, other.y0)
    return float(max(width, 0.0) * max(height, 0.0))
