"""A digit, and the same digit changed into every other one: the changed pixels in colour."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from figures import style
from figures.hamming import Box, Network, main_network, names_of, networks
from figures.mosaic import Images, mosaic, show
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View

DECREASED, INCREASED = "#D55E00", "#009E73"
_LINES = 3
_RGB = {
    name: np.array([int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    for name in (DECREASED, INCREASED)
}


def coloured(image: Images, point: Images) -> Images:
    """Return an image in colours, its changed pixels red where they fell and green where they rose.

    Parameters
    ----------
    image, point : ndarray, shape (C, H, W)
        Before and after; C is 1 or 3.

    Returns
    -------
    ndarray, shape (3, H, W)

    Examples
    --------
    >>> before = np.array([[[0.0, 0.5]]])
    >>> coloured(before, np.array([[[0.0, 0.9]]]))[:, 0, 0].tolist()
    [0.0, 0.0, 0.0]
    """
    shown = np.broadcast_to(np.clip(image, 0, 1), (3, *image.shape[1:])).astype(np.float64)
    change = (np.asarray(point, dtype=np.float64) - image).sum(axis=0)
    for name, there in ((DECREASED, change < 0), (INCREASED, change > 0)):
        shown[:, there] = _RGB[name][:, None]
    return shown


@figure("changed_pixels", title="A digit turned into every other", needs=("hamming",))
def changed_pixels(view: View) -> Drawing:
    """A line a network and box: the digit, then what it becomes for each target."""
    lines = _lines([network for network in networks(view) if _is_shown(network)])
    known = names_of(network for network, _ in lines)
    n_classes = max(network.n_classes for network, _ in lines)
    drawn = style.new_figure(style.TEXT, 0.45 + 0.76 * len(lines))
    grid = drawn.subplots(len(lines), 1, squeeze=False)[:, 0]
    rows: list[Row] = []
    chosen = _images([network for network, _ in lines])
    for (network, box), axes in zip(lines, grid, strict=True):
        title = f"{known[network]}, box {box.math}"
        axes.set_title(title, fontsize=7.5, loc="left", pad=2)
        rows += _draw_line(axes, network, box, n_classes, chosen[network])
    handles = [
        Line2D([], [], color=color, marker="s", ls="none", ms=5, label=words)
        for color, words in ((DECREASED, "made darker"), (INCREASED, "made brighter"))
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=2, handletextpad=0.2)
    engine = drawn.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(h_pad=0.015, hspace=0.0, w_pad=0.01)
    numbers: dict[str, Value] = {"lines": len(lines), "targets": len(rows)}
    numbers["found"] = sum(row["changes"] != "inf" for row in rows)
    numbers["proved"] = sum(row["changes"] == row["certified"] for row in rows)
    numbers["network"], numbers["data"] = lines[0][0].label, lines[0][0].data
    return Drawing(drawn, rows, numbers, _CAPTION)


def _is_shown(network: Network) -> bool:
    arrays = network.record.arrays
    return len(arrays.get("image", ())) > 0 and any(
        f"{box.space}.points" in arrays for box in network.boxes
    )


def _lines(shown: list[Network]) -> list[tuple[Network, Box]]:
    """Return the network that is solved best and the main one in the narrowest box, then wider.

    All are of the main one's data.
    """
    if not shown:
        raise NothingToDraw("no changed images")
    main = main_network(shown)
    others = [n for n in shown if n.data == main.data and n is not main]
    solved = [n for n in others if n.pairs(n.boxes[0]).lower.max() > 1][:1]
    wider = [(main, box) for box in main.boxes[1:]]
    rest = [(n, n.boxes[0]) for n in others if n not in solved]
    lines = [*((n, n.boxes[0]) for n in [*solved, main]), *wider[:1], *rest, *wider[1:]]
    here = [(n, box) for n, box in lines if f"{box.space}.points" in n.record.arrays]
    return here[:_LINES]


def _images(shown: list[Network]) -> dict[Network, int]:
    """Return the place of the image that each network shows: the same one if they have one."""
    kept = {n: n.record.arrays["index"][: len(n.record.arrays["image"])].tolist() for n in shown}
    common = set.intersection(*map(set, kept.values()))
    return {n: index.index(min(common)) if common else 0 for n, index in kept.items()}


def _draw_line(axes: Axes, network: Network, box: Box, n_classes: int, i: int) -> list[Row]:
    arrays: dict[str, Any] = dict(network.record.arrays)
    image, label = arrays["image"][i], int(arrays["label"][i])
    points = arrays[f"{box.space}.points"][i]
    lower, upper = (ends[i] for ends in network.ends(box))
    targets = [t for t in range(network.n_classes) if t != label]
    pictures = [coloured(image, image), *(coloured(image, points[t]) for t in targets)]
    blank = [np.ones_like(pictures[0])] * (n_classes - len(pictures))
    height, width = image.shape[-2:]
    gap = max(1, width // 14)
    show(axes, mosaic([np.stack([*pictures, *blank])], gap))
    words: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 6.5}
    rows: list[Row] = []
    for j, target in enumerate([label, *targets]):
        middle = j * (width + gap) + width / 2 - 0.5
        text = f"{label}" if j == 0 else rf"$\to$ {target}: {_ends(lower[target], upper[target])}"
        axes.text(middle, height + 0.02 * height, text, **words)
        if j:
            head: dict[str, Value] = {"network": network.label, "data": network.data}
            head |= {"box": box.name, "image": int(arrays["index"][i]), "label": label}
            ends = {"certified": _csv(lower[target]), "changes": _csv(upper[target])}
            rows.append({**head, "target": target, **ends})
    return rows


def _ends(lower: float, upper: float) -> str:
    """Return the changes found, and what is certified, if that is more than one pixel."""
    if not np.isfinite(upper):
        return rf"none, $\geq${lower:.0f}" if lower > 1 else "none"
    if lower >= upper:
        return rf"$=${upper:.0f}"
    return f"{upper:.0f}" + (rf", $\geq${lower:.0f}" if lower > 1 else "")


def _csv(value: float) -> Value:
    return int(value) if np.isfinite(value) else "inf"


_CAPTION = (
    "An image, and for each other label the image with the fewest changed pixels that were found to"
    " give it that label; pixels that fell are red, those that rose green, whatever the size of the"
    " change. Below each: the label and the number of changes, with $=$ where it is proved to be"
    " the least, and with what is certified ($\\geq$) where that is more than one."
)
