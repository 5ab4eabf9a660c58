"""The plane through three images: regions where a network is affine, labels and their boundary."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch

from empirics.record import Record
from figures import style
from figures.hamming import data_and_label, main_of
from figures.mosaic import mosaic
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from theory.arrays import FloatArray

_PANELS = 2
_TINTS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999",
    "#7F5AA8", "#8C6D46",
)  # fmt: skip
"""Okabe and Ito's colours, and two more: a class has its own wherever it is."""
_LIGHT = 0.38
_VECTORS = 3000
"""More polygons than that are drawn as pixels: a file of many megabytes shows nothing more."""


@figure("planar_slice", title="A plane through three images", needs=("planar_slice",))
def planar_slice(view: View) -> Drawing:
    """A panel a network: the main one, and the one with the most regions among the others."""
    known = [record for record in view.measured("planar_slice") if len(record.arrays["labels"])]
    if not known:
        raise NothingToDraw("no plane with a region")
    chosen = _chosen(known)
    drawn = style.new_figure(style.COLUMN if len(chosen) == 1 else style.TEXT, 3.0)
    panels = drawn.subplots(1, len(chosen), squeeze=False)[0]
    rows: list[Row] = []
    numbers: dict[str, Value] = {"planes": len(chosen)}
    labels: set[int] = set()
    for record, axes in zip(chosen, panels, strict=True):
        data, label = data_and_label(record)
        axes.set_title(f"{label}: {record.facts['n_activation_regions']:,} regions")
        _draw_plane(axes, record)
        rows += _rows(record)
        labels |= set(record.arrays["labels"].tolist())
        numbers |= {f"{data}.{label}.{key}": value for key, value in _counts(record).items()}
    numbers |= {f"main.{key}": value for key, value in _counts(chosen[0]).items()}
    numbers["main.network"] = data_and_label(chosen[0])[1]
    numbers["regions_min"] = min(int(r.facts["n_activation_regions"]) for r in chosen)
    numbers["regions_max"] = max(int(r.facts["n_activation_regions"]) for r in chosen)
    handles: list[Any] = [
        Patch(fc=_tint(label), lw=0, label=f"{label}") for label in sorted(labels)
    ]
    drawn.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), title="label",
        title_fontsize=7.5, handlelength=1.0, columnspacing=1.1, handletextpad=0.4,
    )  # fmt: skip
    return Drawing(drawn, rows, numbers, _caption(chosen))


def _chosen(known: list[Record]) -> list[Record]:
    main = main_of(known)
    data = data_and_label(main)[0]
    others = [r for r in known if r is not main and data_and_label(r)[0] == data]
    others.sort(key=lambda record: -int(record.facts["n_activation_regions"]))
    # The same images are in both where the preset chose them alike; the deeper one has more parts.
    return [main, *others][:_PANELS]


def _tint(label: int) -> tuple[float, ...]:
    color = np.array(to_rgb(_TINTS[label % len(_TINTS)]))
    return tuple(float(c) for c in 1 - _LIGHT * (1 - color))


def _polygons(record: Record) -> list[FloatArray]:
    vertices, starts = record.arrays["vertices"], record.arrays["starts"]
    return [vertices[a:b] for a, b in pairwise(starts.tolist())]


def _draw_plane(axes: Axes, record: Record) -> None:
    arrays = record.arrays
    polygons = _polygons(record)
    cells = PolyCollection(
        polygons,
        facecolors=[_tint(int(label)) for label in arrays["labels"]],
        edgecolors="#00000066",
        linewidths=0.25,
    )
    cells.set_rasterized(len(polygons) > _VECTORS)
    axes.add_collection(cells)
    axes.add_collection(LineCollection(list(arrays["boundary"]), colors=style.INK, linewidths=1.2))
    corners = arrays["corners"]
    axes.plot(*np.vstack([corners, corners[:1]]).T, color=style.INK, lw=0.6, ls=(0, (2, 2)))
    axes.plot(*corners.T, ls="none", marker="o", ms=3, color=style.INK, zorder=6)
    low_x, high_x, low_y, high_y = (float(end) for end in arrays["extent"])
    axes.set(xlim=(low_x, high_x), ylim=(low_y, high_y), aspect="equal", xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(True)
    _insets(axes, record)


def _insets(axes: Axes, record: Record) -> None:
    """Put each image beside its corner, away from the middle, and within the frame."""
    corners, images = record.arrays["corners"], record.arrays["images"]
    middle = corners.mean(axis=0)
    names = record.facts.get("image_labels", [""] * len(corners))
    for corner, image, name in zip(corners, images, names, strict=True):
        away = corner - middle
        shift = 21 * away / max(float(np.linalg.norm(away)), 1e-12)
        picture = OffsetImage(mosaic([image[None]]), zoom=24 / image.shape[-1], resample=False)
        picture.image.set_interpolation("nearest")
        box = AnnotationBbox(
            picture, tuple(corner), tuple(shift), boxcoords="offset points", pad=0.1,
            bboxprops={"lw": 0.6}, zorder=7,
        )  # fmt: skip
        # It belongs to the frame: the layout need not make room for it.
        box.set_in_layout(False)
        axes.add_artist(box)
        axes.annotate(
            f"{name}", corner, shift + np.array([-10.5, 4.0]), textcoords="offset points",
            fontsize=6.5, color="white", zorder=8, annotation_clip=False,
        )  # fmt: skip


def _area(polygon: FloatArray) -> float:
    x, y = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _rows(record: Record) -> list[Row]:
    data, label = data_and_label(record)
    head: dict[str, Value] = {"data": data, "network": label}
    both = zip(_polygons(record), record.arrays["labels"].tolist(), strict=True)
    return [
        {**head, "polygon": i, "label": of, "corners": len(polygon), "area": _area(polygon)}
        for i, (polygon, of) in enumerate(both)
    ]


def _counts(record: Record) -> dict[str, Value]:
    areas = np.array([_area(polygon) for polygon in _polygons(record)])
    low_x, high_x, low_y, high_y = (float(end) for end in record.arrays["extent"])
    whole = (high_x - low_x) * (high_y - low_y)
    return {
        "regions": int(record.facts["n_activation_regions"]),
        "polygons": len(areas),
        "labels": len(set(record.arrays["labels"].tolist())),
        "boundary_segments": len(record.arrays["boundary"]),
        "median_area_percent": 100 * float(np.median(areas)) / whole,
        "largest_area_percent": 100 * float(areas.max()) / whole,
    }


def _caption(chosen: list[Record]) -> str:
    counts = "; ".join(
        f"{data_and_label(r)[1]}: {int(r.facts['n_activation_regions'])}" for r in chosen
    )
    return (
        "The plane through three images (dots), and all regions of it in which the network is"
        " affine (thin lines), coloured by label; the thick line is the decision boundary, the"
        f" dashed one the triangle of the images. Numbers of regions in the window: {counts}."
    )
