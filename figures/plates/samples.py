"""Do the generators make digits? Samples, their nearest training images, reconstructions."""

from collections.abc import Mapping

import numpy as np

from empirics.record import Record
from figures import style
from figures.mosaic import mosaic, show
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View

_SHOWN = 12
_LINES = (
    ("samples", "samples"),
    ("nearest", "nearest\ntraining image"),
    ("test_images", "real test images"),
    ("reconstructions", "reconstructions"),
)


@figure("samples", title="Samples of the generators", needs=("samples",))
def samples(view: View) -> Drawing:
    """A block a generator, a line each of samples, neighbours, test images, reconstructions."""
    records = [r for r in view.measured("samples") if _lines(r)]
    if not records:
        raise NothingToDraw("no sample images")
    drawn = style.new_figure(style.TEXT, 0.1 + 1.9 * len(records))
    panels = drawn.subplots(len(records), 1, squeeze=False)[:, 0]
    rows: list[Row] = []
    numbers: dict[str, Value] = {}
    for record, axes in zip(records, panels, strict=True):
        lines, generator = _lines(record), record.request.subject["generator"]["label"]
        height = record.arrays["samples"].shape[-2] + 1
        shown = min(_SHOWN, *(len(record.arrays[key]) for key in lines))
        show(axes, mosaic([record.arrays[key][:shown] for key in lines]))
        for i, words in enumerate(lines.values()):
            axes.text(-1.5, (i + 0.5) * height - 1, words, ha="right", va="center", fontsize=7)
        axes.set_title(generator, loc="left")
        found = _numbers(record.facts)
        numbers |= {f"{generator}.{key}": value for key, value in found.items()}
        rows.append({"generator": generator, **found})
    for key, ending in (("reconstruction_rmse", "_max"), ("mean_image_rmse", "")):
        values = [float(row[key] or 0) for row in rows if key in row]
        numbers |= {f"all.{key}{ending}": max(values)} if values else {}
    return Drawing(drawn, rows, numbers, _caption(rows))


def _lines(record: Record) -> dict[str, str]:
    return {
        key: words
        for key, words in _LINES
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


def _caption(rows: list[Row]) -> str:
    sentences = [
        "Samples $g(z)$, the training image nearest to each, real test images, and the nearest"
        " images that a search of the generator's range finds for them."
    ]
    for row in rows:
        if "reconstruction_rmse" in row and "mean_image_rmse" in row:
            sentences.append(
                f"{row['generator']}: root-mean-square error of reconstruction"
                f" {row['reconstruction_rmse']:.3f} a pixel"
                f" (the mean image: {row['mean_image_rmse']:.3f})."
            )
        if "nearest_train_distance_q50" in row and "test_nearest_train_distance_q50" in row:
            sentences.append(
                "Median $\\ell_2$ distance of a sample to the nearest training image"
                f" {row['nearest_train_distance_q50']:.2f}, of a real test image"
                f" {row['test_nearest_train_distance_q50']:.2f}."
            )
    return " ".join(sentences)
