"""Every attack on the same images: an attack a line, an image a column."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from figures import style
from figures.mosaic import mosaic
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import NORMS

_NAMES = {
    "alma": "ALMA", "apgd": "APGD", "apgd_targeted": "APGD-T", "bim": "BIM", "cw_l0": "C&W",
    "cw_l2": "C&W", "cw_linf": "C&W", "ddn": "DDN", "deepfool": "DeepFool", "fgsm": "FGSM",
    "few_pixels": "five pixels", "fmn": "FMN", "greedy_l0": "greedy",
    "hop_skip_jump": "HopSkipJump", "jsma": "JSMA",
    "lbfgs": "L-BFGS", "least_likely": "least likely", "one_pixel": "one pixel",
    "pgd": "PGD", "sigma_zero": "sigma-zero", "synthesis": "from noise", "minimal": "strongest",
}  # fmt: skip
_BLOCKS = 2
_EUCLIDEAN = r"\ell_2"
_CELL, _GAP, _TEXT = 0.40, 0.03, 0.125
"""Inches: an image at most, the space between two, and the line below one."""
_NAME = 0.76
"""Inches for the names."""
_FEW = 6
"""Up to so many attacks there is one block."""


@figure("attacks", title="Attacks on the same images", needs=("gallery",))
def attacks(view: View) -> Drawing:
    """The attacks of one network in two blocks, the images themselves above each."""
    records = [r for r in view.measured("gallery") if r.facts["attacks"]]
    if not records:
        raise NothingToDraw("no images of attacks")
    record = max(records, key=lambda r: len(r.facts["attacks"]))
    arrays: dict[str, Any] = dict(record.arrays)
    lines = list(record.facts["attacks"])
    n_blocks = _BLOCKS if len(lines) > _FEW else 1
    per_block = -(-len(lines) // n_blocks)
    width = style.TEXT if n_blocks > 1 else style.COLUMN
    cell = min(_CELL, (width / n_blocks - _NAME) / len(arrays["label"]) - _GAP)
    drawn = style.new_figure(width, 0.16 + (per_block + 1) * (cell + _TEXT))
    drawn.set_layout_engine("none")
    rows: list[Row] = []
    for block in range(n_blocks):
        chosen = list(range(len(lines)))[block * per_block : (block + 1) * per_block]
        axes = drawn.add_axes((block / n_blocks, 0.0, 1 / n_blocks, 1.0))
        _draw(axes, arrays, lines, chosen, cell)
        rows += [row for i in chosen for row in _rows(arrays, lines[i], i)]
    subject = record.request.subject
    failures = sum(row["found"] == "no" for row in rows)
    numbers: dict[str, Value] = {"attacks": len(lines), "images": len(arrays["label"])}
    numbers |= {"network": str(subject["image_classifier"]["label"]), "failures": failures}
    numbers |= {"data": str(subject["data"]["name"]), "stopped": len(record.facts["failed"])}
    budgets = {a["norm"]: a["budget"] for a in lines if a["budget"] is not None}
    numbers |= {f"budget_{norm}": value for norm, value in budgets.items()}
    return Drawing(drawn, rows, numbers, _caption(numbers, budgets))


def _draw(
    axes: Axes, arrays: dict[str, Any], lines: list[Any], chosen: list[int], cell: float
) -> None:
    """Draw one block in inches: names to the left, images of a line with their words below."""
    box = axes.get_position()
    whole = axes.get_figure(root=True)
    assert whole is not None
    width, height = box.width * whole.get_figwidth(), box.height * whole.get_figheight()
    m = len(arrays["label"])
    left = width - m * (cell + _GAP) - 0.02
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    small: dict[str, Any] = {"fontsize": 6, "ha": "center", "va": "top"}
    for line in range(-1, len(chosen)):
        top = 0.04 + (line + 1) * (cell + _TEXT)
        i = chosen[line] if line >= 0 else None
        name = "image" if i is None else _named(lines[i])
        axes.text(left - 0.06, top + cell / 2, name, fontsize=6.5, ha="right", va="center")
        for j in range(m):
            start = left + j * (cell + _GAP)
            found = i is None or bool(arrays["found"][i, j])
            picture = arrays["image"][j] if i is None else arrays["points"][i, j]
            shown = mosaic([np.asarray(picture)[None]])
            if not found:
                shown = 0.75 + 0.25 * shown
            axes.imshow(
                shown, extent=(start, start + cell, top + cell, top), aspect="auto",
                interpolation="nearest", zorder=1,
            )  # fmt: skip
            if not found:
                ends = [start, start + cell], [top, top + cell]
                axes.plot(*ends, color=style.RING, lw=0.9, zorder=2)
                axes.plot(ends[0], ends[1][::-1], color=style.RING, lw=0.9, zorder=2)
            words = f"{arrays['label'][j]}"
            if i is not None:
                size = float(arrays[lines[i]["norm"]][i, j])
                words = f"{arrays['labels'][i, j]}: {_short(size, lines[i]['norm'])}"
            middle = start + cell / 2
            axes.text(middle, top + cell + 0.015, words if found else "failed", **small)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _named(line: Any) -> str:  # noqa: ANN401
    name = _NAMES.get(line["name"], str(line["name"]).replace("_", " "))
    return f"{name}\n${NORMS.get(line['norm'], _EUCLIDEAN)}$"


def _short(size: float, norm: str) -> str:
    return f"{size:.0f}" if norm == "l0" else f"{size:.3f}" if size < 0.1 else f"{size:.2f}"


def _rows(arrays: dict[str, Any], line: Any, i: int) -> list[Row]:  # noqa: ANN401
    rows: list[Row] = []
    for j, label in enumerate(arrays["label"]):
        found = bool(arrays["found"][i, j])
        row: dict[str, Value] = {"attack": line["name"], "kind": line["kind"]}
        row |= {"norm": line["norm"], "budget": line["budget"]}
        row |= {"image": int(arrays["index"][j]), "label": int(label)}
        row |= {"found": "yes" if found else "no", "found_label": int(arrays["labels"][i, j])}
        sizes = {
            norm: float(arrays[norm][i, j]) if found else None for norm in ("l0", "l2", "linf")
        }
        rows.append({**row, **sizes})
    return rows


def _caption(numbers: dict[str, Value], budgets: dict[str, float]) -> str:
    given = " and ".join(f"{v:g} in ${NORMS.get(n, _EUCLIDEAN)}$" for n, v in budgets.items())
    return (
        f"{numbers['attacks']} attacks on the same {numbers['images']} test images of"
        f" {numbers['data']}, against the network {numbers['network']}: below each image the label"
        " that the network gives it, and the size of the change in the norm that stands beside the"
        " attack's name (for $\\ell_0$, changed values). Crossed out: the label did not change."
        + (f" Attacks with a budget were given {given}." if given else "")
    )
