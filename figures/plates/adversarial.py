"""Original, in-distribution adversarial and unconstrained adversarial images side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine

from figures import style
from figures.measured import ORIGIN, measured_on
from figures.mosaic import mosaic, show
from figures.registry import Drawing, Row, figure
from figures.view import NothingToDraw, Pair, View, seen_quantile

_EXAMPLES = 4
_QUANTITY = "r_unc[l2]"
_KINDS = ("original", "in_distribution", "unconstrained")
_HEADS = ("original", "in-dist.", "unconstr.")


def _has_examples(pair: Pair) -> bool:
    arrays = pair.record.arrays
    named = all(f"examples.{name}" in arrays for name in (*_KINDS, "labels"))
    return named and len(arrays["examples.labels"]) > 0


def extremes(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the least and the most robust pair of each generator; a pair that is alone, once.

    By the 25th percentile of the unconstrained distances that the attack found.
    """
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.generator, []).append(pair)
    shown: list[Pair] = []
    for group in groups.values():
        ranked = sorted(group, key=lambda pair: seen_quantile(pair.radii(_QUANTITY)))
        shown += ranked if len(ranked) == 1 else [ranked[0], ranked[-1]]
    return shown


@figure("adversarial", title="Adversarial images", needs=("radii",), also=ORIGIN)
def adversarial(view: View) -> Drawing:
    """Two lines a generator, its least and its most robust classifier, a few triples each."""
    found = [pair for pair in view.all_pairs if _has_examples(pair)]
    if not found:
        raise NothingToDraw("no adversarial images")
    pairs = extremes(found)
    columns = min(_EXAMPLES, max(len(p.record.arrays["examples.labels"]) for p in pairs))
    drawn = style.new_figure(style.TEXT, 0.2 + 0.535 * len(pairs))
    panels = drawn.subplots(len(pairs), columns, squeeze=False)
    rows: list[Row] = []
    for pair, line in zip(pairs, panels, strict=True):
        side: dict[str, Any] = {
            "transform": line[0].transAxes,
            "ha": "right",
            "va": "center",
            "fontsize": 7,
        }
        line[0].text(-0.05, 0.5, f"{pair.generator}\n{pair.classifier}", **side)
        for i, axes in enumerate(line):
            if i < len(pair.record.arrays["examples.labels"]):
                rows.append(_draw_triple(axes, pair, i, heads=pair is pairs[0]))
            else:
                axes.set_axis_off()
    engine = drawn.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(h_pad=0.01, hspace=0.0, w_pad=0.04)
    caption = f"{_CAPTION} {measured_on(view, [pair.record for pair in pairs])}"
    return Drawing(drawn, rows, {"pairs": len(pairs), "of_pairs": len(found)}, caption)


def _draw_triple(axes: Axes, pair: Pair, i: int, heads: bool) -> Row:
    arrays: dict[str, Any] = dict(pair.record.arrays)
    images = np.stack([arrays[f"examples.{kind}"][i] for kind in _KINDS])
    show(axes, mosaic([images]))
    height, width = images.shape[-2:]
    labels = [int(label) for label in arrays["examples.labels"][i]]
    found = [None, *(_distance(arrays, name, i) for name in ("distance_in", "distance_unc"))]
    for j, (label, distance) in enumerate(zip(labels, found, strict=True)):
        middle = j * (width + 1) + width / 2 - 0.5
        words = f"{label}" if distance is None else f"{label},  {_short(distance)}"
        axes.text(middle, height - 0.3, words, ha="center", va="top", fontsize=6.5)
        if heads:
            axes.text(middle, -0.9, _HEADS[j], ha="center", va="bottom", fontsize=6.5)
    return {
        "generator": pair.generator,
        "classifier": pair.classifier,
        "example": i,
        "label": labels[0],
        "label_in_distribution": labels[1],
        "label_unconstrained": labels[2],
        "distance_in": found[1],
        "distance_unc": found[2],
    }


def _short(distance: float) -> str:
    return f"{distance:.2f}" if distance >= 0.005 else "<0.01"


def _distance(arrays: dict[str, Any], name: str, i: int) -> float | None:
    values = arrays.get(f"examples.{name}")
    return None if values is None else float(values[i])


_CAPTION = (
    "Triples of an image $g(z)$, the nearest image found in the range of the generator with another"
    " label, and the nearest image found anywhere with another label. Below each: the label that"
    " the classifier gives it, and its $\\ell_2$ distance from the original. The originals are the"
    " first points of each class in turn. Of each generator's classifiers two are shown: the one"
    " of the smallest 25th percentile of the unconstrained distances found, then the one of the"
    " largest."
)
