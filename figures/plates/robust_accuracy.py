"""Robust accuracy against the size of the perturbation: certified below, attacked above."""

from dataclasses import dataclass

import numpy as np
from matplotlib.lines import Line2D

from empirics.record import Record
from figures import style
from figures.hamming import data_and_label
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import NORMS, escape, number
from theory.arrays import FloatArray
from theory.evidence import Radii

_EUCLIDEAN = r"\ell_2"
_DENSE = ("linear", "mlp")
_UNITS = "the range of a pixel"
_DRAWN = 0.98
"""Each axis of distances ends where so many of those that were found lie."""


@dataclass(frozen=True)
class _Curve:
    """The distances of one network in one norm."""

    data: str
    label: str
    norm: str
    kind: str
    radii: Radii
    n_drawn: int

    @classmethod
    def of(cls, record: Record, norm: str) -> "_Curve":
        radii = record.evidence[f"distance[{norm}]"]
        assert isinstance(radii, Radii)
        name = str(record.request.subject["image_classifier"]["name"])
        kind = "fully connected" if name in _DENSE else "convolutional"
        return cls(*data_and_label(record), norm, kind, radii, int(record.facts["n_drawn"]))

    def share(self, ends: FloatArray, radius: float) -> float:
        """Return the share of all images drawn whose end is beyond a radius."""
        return float((ends > radius).sum() / self.n_drawn)

    def steps(self, ends: FloatArray, most: float) -> tuple[FloatArray, FloatArray]:
        """Return the corners of the falling share, from 0 to `most`."""
        at = np.sort(ends[np.isfinite(ends) & (ends > 0)])
        above = (len(ends) - (ends <= 0).sum() - np.arange(len(at) + 1)) / self.n_drawn
        return np.append(np.append(0.0, at), most), np.append(above, above[-1])

    @property
    def rows(self) -> list[Row]:
        """The distances themselves, an image a line."""
        head = {"data": self.data, "network": self.label, "norm": self.norm}
        return [
            {**head, "certified": float(low), "attacked": float(high), "drawn": self.n_drawn}
            for low, high in zip(self.radii.lower, self.radii.upper, strict=True)
        ]


@figure(
    "robust_accuracy",
    title="Robust accuracy, certified and attacked",
    needs=("image_radii",),
)
def robust_accuracy(view: View) -> Drawing:
    """A panel a data set and norm: solid what the attack leaves, dashed what is certified."""
    curves = [
        _Curve.of(record, norm)
        for record in view.measured("image_radii")
        for norm in ("l2", "linf")
        if f"distance[{norm}]" in record.evidence
    ]
    if not curves:
        raise NothingToDraw("no distances of real images")
    groups = list(dict.fromkeys((curve.data, curve.kind) for curve in curves))
    norms = list(dict.fromkeys(curve.norm for curve in curves))
    drawn = style.new_figure(style.TEXT, 0.2 + 1.7 * len(groups))
    panels = drawn.subplots(len(groups), len(norms), squeeze=False, sharey=True)
    for line, group in zip(panels, groups, strict=True):
        members = [curve for curve in curves if (curve.data, curve.kind) == group]
        looks = style.looks(curve.label for curve in members)
        for axes, norm in zip(line, norms, strict=True):
            shown = [curve for curve in members if curve.norm == norm]
            found = np.concatenate([c.radii.upper for c in shown] or [np.ones(1)])
            most = float(np.quantile(found[np.isfinite(found)], _DRAWN))
            for curve in shown:
                color = looks[curve.label].color
                axes.step(*curve.steps(curve.radii.upper, most), where="post", color=color, lw=1.1)
                axes.step(
                    *curve.steps(curve.radii.lower, most),
                    where="post",
                    color=color,
                    **style.CERTIFIED_END,
                )
            axes.set(xlim=(0, most), ylim=(0, 1))
            axes.set_title(f"{escape(group[0])}, ${NORMS.get(norm, _EUCLIDEAN)}$", loc="left")
            axes.set_xlabel(f"radius, in units of {_UNITS}")
        handles = [Line2D([], [], color=look.color, label=name) for name, look in looks.items()]
        line[0].set_ylabel("robust accuracy")
        line[-1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return Drawing(
        drawn, [row for curve in curves for row in curve.rows], _numbers(curves), _caption(curves)
    )


def _numbers(curves: list[_Curve]) -> dict[str, Value]:
    numbers: dict[str, Value] = {"networks": len({(c.data, c.label) for c in curves})}
    ratios = []
    for curve in curves:
        key = f"{curve.data}.{curve.label}.{curve.norm}"
        median = float(np.median(curve.radii.upper))
        ratio = float(np.median(curve.radii.lower / curve.radii.upper))
        ratios.append(ratio)
        numbers |= {
            f"{key}.n": curve.radii.n,
            f"{key}.median": number(median) if np.isfinite(median) else "none",
            f"{key}.certified_over_attacked": number(ratio, 2),
            f"{key}.exact": int(np.sum(curve.radii.upper <= curve.radii.lower * (1 + 1e-3))),
        }
    numbers |= {"ratio.least": number(min(ratios), 2), "ratio.most": number(max(ratios), 2)}
    return numbers


def _caption(curves: list[_Curve]) -> str:
    sizes = sorted({curve.radii.n for curve in curves})
    n = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return (
        "Share of the test images whose label no change of at most this size, within the range of"
        " pixels, alters: at most the solid line, which is what the attack left, and at least the"
        f" dashed one, which is certified. The first {n} correctly classified images of each"
        " network; those that are misclassified before count as not robust."
    )
