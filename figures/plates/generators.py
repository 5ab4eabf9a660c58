"""What each generator makes as it is trained: the same latents at several steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from empirics.record import Record
from figures import style
from figures.mosaic import Images, mosaic, show
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import escape, number

_SHOWN, _MOMENTS = 8, 3
"""Images a line, and lines a generator at most."""
_ACROSS = 2
"""Generators side by side."""
_LINE, _HEAD = 0.27, 0.38
"""In inches: a line of images, and what is written above a block."""
_WHITE = 255


@dataclass(frozen=True, eq=False)
class _Block:
    """The images of one generator: of the steps when they were made, or of the end alone."""

    label: str
    record: Record
    images: Mapping[int | None, Images]
    quality: Mapping[str, Any]

    @property
    def steps(self) -> int | None:
        found = self.record.request.subject["generator"].get("settings", {}).get("steps")
        return None if found is None else int(found)

    def head(self) -> str:
        """Return what is written above: the label, and how near the images are to the data."""
        words = []
        seen = self.quality
        if "frechet_generated" in seen:
            words.append(f"Fr\N{LATIN SMALL LETTER E WITH ACUTE}chet {_short(seen, 'generated')}")
            words[0] += f" (real {_short(seen, 'train')})" if "frechet_train" in seen else ""
        if seen.get("diversity") is not None:
            words.append(f"diversity {seen['diversity']:.2f}")
        missing = seen.get("classes_generated", {}).get("missing", [])
        words += [f"{len(missing)} class{'es' * (len(missing) > 1)} missing"] if missing else []
        return "\n".join([self.label, ", ".join(words)] if words else [self.label])


def _short(seen: Mapping[str, Any], name: str) -> str:
    value = float(seen[f"frechet_{name}"])
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


@figure(
    "generators",
    title="Samples of the generators over their training",
    needs=("generator",),
    also=("samples", "quality"),
)
def generators(view: View) -> Drawing:
    """A block a generator: the same latents early, midway and in the end of its training."""
    blocks = _blocks(view)
    if not blocks:
        raise NothingToDraw("no image was kept of a generator's training")
    rows: list[Row] = []
    numbers: dict[str, Value] = {}
    for block in blocks:
        found: dict[str, Value] = {
            key: float(value)
            for key, value in block.quality.items()
            if isinstance(value, int | float)
        }
        missing = block.quality.get("classes_generated", {}).get("missing")
        found |= {} if missing is None else {"classes_missing": len(missing)}
        moments = " ".join(str(step) for step in block.images if step is not None)
        rows.append({"generator": block.label, "steps": block.steps, "shown_at": moments, **found})
        numbers |= {f"{block.label}.{key}": value for key, value in found.items()}
        numbers |= {} if block.steps is None else {f"{block.label}.steps": block.steps}
    return Drawing(_drawn(blocks), rows, numbers, _caption(blocks))


def _blocks(view: View) -> list[_Block]:
    found = []
    records = view.trained("generator")
    labels = [str(record.request.subject["generator"]["label"]) for record in records]
    for record, label in zip(records, labels, strict=True):
        if labels.count(label) > 1:
            label = f"{label}, {record.request.subject['data']['name']}"
        images = _images(view, record)
        seen = _of_same_generator(view, "quality", record)
        quality = {} if seen is None else seen.facts.get("quality", {})
        if images:
            found.append(_Block(label, record, images, quality))
    return found


def _of_same_generator(view: View, measure: str, record: Record) -> Record | None:
    subject = record.request.subject
    for other in view.measured(measure):
        known = other.request.subject
        if all(known.get(role) == subject[role] for role in ("generator", "data")):
            return other
    return None


def _images(view: View, record: Record) -> dict[int | None, Images]:
    """Return images by the step that they were made at; None for those of the trained network."""
    grids = record.arrays.get("grids")
    if grids is not None and len(grids):
        moments = [int(step) for step in record.arrays["grid_steps"]]
        chosen = np.unique(np.linspace(0, len(grids) - 1, _MOMENTS).round().astype(int))
        return {moments[i]: _pixels(grids[i])[:_SHOWN] for i in chosen}
    shown = _of_same_generator(view, "samples", record)
    if shown is None or "samples" not in shown.arrays:
        return {}
    return {None: _pixels(shown.arrays["samples"])[:_SHOWN]}


def _pixels(images: Images) -> Images:
    """Return pixels in [0, 1]: trainings keep bytes."""
    return images / _WHITE if images.dtype == np.uint8 else images


def _drawn(blocks: Sequence[_Block]) -> Figure:
    bands = [blocks[i : i + _ACROSS] for i in range(0, len(blocks), _ACROSS)]
    heights = [_HEAD + _LINE * max(len(block.images) for block in band) for band in bands]
    drawn = style.new_figure(style.TEXT, sum(heights))
    grid = drawn.subplots(
        len(bands), _ACROSS, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for line, band in zip(grid, bands, strict=True):
        for i, axes in enumerate(line):
            axes.set_axis_off()
            if i < len(band):
                block = band[i]
                show(axes, mosaic(list(block.images.values())))
                axes.set_anchor("NW")
                axes.set_title(block.head(), fontsize=7, loc="left", pad=3)
                side = next(iter(block.images.values())).shape[-2]
                for j, step in enumerate(block.images):
                    middle = j * (side + 1) + (side - 1) / 2
                    words = "trained" if step is None else f"{step:,}"
                    axes.text(-0.02 * 8 * side, middle, words, ha="right", va="center", fontsize=6)
    return drawn


def _caption(blocks: Sequence[_Block]) -> str:
    words = [
        "Images of the same latents over the training of each generator, by the step that they were"
        " made at (trained: fresh samples of the network as it is measured)."
    ]
    seen = [block.quality for block in blocks if block.quality]
    if seen:
        of = f" of {number(int(seen[0]['n']))} samples" if "n" in seen[0] else ""
        words.append(
            "Above: Frechet distance to the test images in the features of the teacher"
            f"{of} (in brackets: of as many training images); diversity, the mean distance of two"
            " samples relative to that of two test images; classes that hardly occur."
        )
    data = [
        (record.request.subject["data"], record.facts.get("n_train"))
        for record in (block.record for block in blocks)
    ]
    known = dict.fromkeys(
        f"{d['name']} ({d['variant']})" + ("" if n is None else f", {n:,} training images")
        for d, n in data
    )
    devices = dict.fromkeys(
        str(block.record.provenance.get("device", "one device")) for block in blocks
    )
    words.append(f"Data: {escape('; '.join(known))}; trained on {escape(', '.join(devices))}.")
    return " ".join(words)
