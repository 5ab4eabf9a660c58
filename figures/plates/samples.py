"""Do the generators make digits? Samples, their nearest training images, reconstructions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from empirics.record import Record
from figures import style
from figures.measured import ORIGIN, measured_on
from figures.mosaic import Images, mosaic, show
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View

_SHOWN = 12
_WIDTH, _SIDE, _HEAD = 4.45, 0.44, 0.21
"""In inches: a line of images, an image at most, what is written above a block."""
_TEST = "test_images"
_LINES = (
    ("samples", "samples"),
    ("nearest", "nearest\ntraining image"),
    (_TEST, "real test images"),
    ("reconstructions", "reconstructions"),
)

_Block = tuple[str, Mapping[str, Images]]
"""What is written above, and the images of each line."""


@figure("samples", title="Samples of the generators", needs=("samples",), also=ORIGIN)
def samples(view: View) -> Drawing:
    """The test images that all share once; a block a generator, its images in lines."""
    records = [r for r in view.measured("samples") if _lines(r)]
    if not records:
        raise NothingToDraw("no sample images")
    lines = [_lines(record) for record in records]
    shown = min(_SHOWN, *(len(images) for block in lines for images in block.values()))
    rows: list[Row] = []
    numbers: dict[str, Value] = {}
    blocks: list[_Block] = []
    test = lines[0].get(_TEST)
    if test is not None and all(np.array_equal(test, known.get(_TEST, [])) for known in lines):
        blocks.append(("", {_TEST: test}))
        lines = [{key: known[key] for key in known if key != _TEST} for known in lines]
    for record, known in zip(records, lines, strict=True):
        generator, found = record.request.subject["generator"]["label"], _numbers(record.facts)
        blocks.append((", ".join([generator, *_words(found)]), known))
        numbers |= {f"{generator}.{key}": value for key, value in found.items()}
        rows.append({"generator": generator, **found})
    for key, ending in (("reconstruction_rmse", "_max"), ("mean_image_rmse", "")):
        values = [float(row[key] or 0) for row in rows if key in row]
        numbers |= {f"all.{key}{ending}": max(values)} if values else {}
    caption = f"{_caption(rows)} {measured_on(view, records)}"
    return Drawing(_drawn(blocks, shown), rows, numbers, caption)


def _drawn(blocks: Sequence[_Block], shown: int) -> Figure:
    """Draw blocks below one another, all images of one size."""
    height, width = next(iter(blocks[0][1].values())).shape[-2:]
    inches = min(_WIDTH, _SIDE * shown)
    across = shown * (width + 1) - 1
    space = round(_HEAD * across / inches)
    pieces: list[Images] = []
    words: list[tuple[float, float, str, dict[str, Any]]] = []
    top = 0
    for head, block in blocks:
        if head or pieces:
            pieces.append(np.ones((space, across, 3)))
            top += space
        words.append((-0.5, top - 1.0, head, {"va": "bottom"}))
        for i, key in enumerate(block):
            middle = top + i * (height + 1) + (height - 1) / 2
            side = {"ha": "right", "va": "center", "fontsize": 7}
            words.append((-1.5, middle, dict(_LINES)[key], side))
        pieces.append(mosaic([images[:shown] for images in block.values()]))
        top += len(pieces[-1])
    drawn = style.new_figure(style.TEXT, 0.1 + inches * top / across)
    axes = drawn.subplots()
    show(axes, np.concatenate(pieces))
    for x, y, text, strokes in words:
        axes.text(x, y, text, **strokes)
    return drawn


def _lines(record: Record) -> dict[str, Images]:
    return {
        key: record.arrays[key]
        for key, _ in _LINES
        if key in record.arrays and np.ndim(record.arrays[key]) == 4 and len(record.arrays[key])
    }


def _numbers(facts: Mapping[str, object]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            found |= {f"{key}_{name}": float(v) for name, v in value.items()}
        elif isinstance(value, int | float):
            found[key] = value
    return found


_ERROR, _DISTANCE = "reconstruction_rmse", "nearest_train_distance_q50"
_OF_MEAN, _OF_TEST = "mean_image_rmse", f"test_{_DISTANCE}"


def _words(found: Mapping[str, Value]) -> list[str]:
    """Return what is written of a generator beside its name."""
    words = [f"reconstruction error {found[_ERROR]:.3f}"] if _ERROR in found else []
    if _DISTANCE in found:
        words.append(f"distance to training images {found[_DISTANCE]:.2f}")
    return words


def _caption(rows: Sequence[Row]) -> str:
    def compared(words: str, key: str, decimals: int) -> str:
        # One data set gives one number, however many generators.
        values = dict.fromkeys(f"{row[key]:.{decimals}f}" for row in rows if key in row)
        return f" ({words}: {', '.join(values)})" if values else ""

    sentences = [
        "Samples $g(z)$, the training image nearest to each, and the nearest images that a search"
        " of the generator's range finds for real test images."
    ]
    if any(_ERROR in row for row in rows):
        sentences.append(
            "Reconstruction error: root mean square a pixel, over test images"
            f"{compared('of the mean image', _OF_MEAN, 3)}."
        )
    if any(_DISTANCE in row for row in rows):
        sentences.append(
            "Distance to training images: median $\\ell_2$ distance of a sample to the nearest one"
            f"{compared('of a real test image', _OF_TEST, 2)}."
        )
    return " ".join(sentences)
