"""Perturbations that several classifiers get wrong at once, beside those of each alone."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from empirics.record import Record
from figures import style
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import NORMS, escape, number
from theory.arrays import FloatArray

_EUCLIDEAN = r"\ell_2"
_QUANTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class _Sets:
    """The sets of classifiers of one record, in one norm, the smallest first."""

    record: Record
    norm: str

    @property
    def members(self) -> np.ndarray:
        """Which classifiers each set has, shape (sets, classifiers)."""
        return np.asarray(self.record.arrays["members"], dtype=bool)[::-1]

    def ends(self, side: str) -> FloatArray:
        """Return the lower or upper ends, shape (sets, n)."""
        return np.asarray(self.record.arrays[f"{self.norm}.{side}"], dtype=np.float64)[::-1]

    def names(self) -> list[str]:
        """Return what each set is called."""
        labels = list(self.record.facts["classifiers"])
        return [
            "all" if row.all() and len(labels) > 2 else " + ".join(np.array(labels)[row])
            for row in self.members
        ]


@figure(
    "joint",
    title="One perturbation for several classifiers",
    needs=("joint_image_radii",),
)
def joint(view: View) -> Drawing:
    """A panel a norm: the quartiles of the least joint perturbation, a line a set."""
    records = view.measured("joint_image_radii")
    if not records:
        raise NothingToDraw("no joint radii of real images")
    record = records[0]
    norms = [norm for norm in ("l2", "linf") if f"{norm}.upper" in record.arrays]
    parts = [_Sets(record, norm) for norm in norms]
    count = len(parts[0].members)
    drawn = style.new_figure(style.TEXT, 0.75 + 0.17 * count)
    panels = drawn.subplots(1, len(parts), squeeze=False, sharey=True)[0]
    for axes, part in zip(panels, parts, strict=True):
        _draw(axes, part)
    panels[0].set_yticks(range(count), [escape(name) for name in parts[0].names()])
    panels[0].invert_yaxis()
    drawn.legend(handles=_legend(), loc="outside lower center", ncols=3)
    rows = [row for part in parts for row in _rows(part)]
    return Drawing(drawn, rows, _numbers(parts), _caption(record))


def _draw(axes: Axes, part: _Sets) -> None:
    looks = style.looks(["alone", "several", "all"])
    sizes = part.members.sum(axis=1)
    for y, (size, lower, upper) in enumerate(
        zip(sizes, part.ends("lower"), part.ends("upper"), strict=True)
    ):
        kind = "alone" if size == 1 else "all" if size == part.members.shape[1] else "several"
        look = looks[kind]
        low, middle, high = np.quantile(upper, _QUANTILES)
        certified = float(np.median(lower))
        axes.plot([certified, middle], [y, y], color=look.color, **style.CERTIFIED_END)
        axes.plot([low, high], [y, y], color=look.color, lw=3.4, alpha=0.35)
        axes.plot(middle, y, **style.marker_style(look, hollow=certified <= 0), ms=3.8)
    axes.set_xlim(left=0)
    axes.set_title(f"${NORMS.get(part.norm, _EUCLIDEAN)}$", loc="left")
    axes.set_xlabel("least perturbation")


def _legend() -> list[Line2D]:
    looks = style.looks(["alone", "several", "all"])
    words = {"alone": "one classifier", "several": "every one of several", "all": "every one"}
    return [Line2D([], [], **style.marker_style(looks[k]), ms=3.8, label=words[k]) for k in words]


def _rows(part: _Sets) -> list[Row]:
    rows: list[Row] = []
    for name, size, lower, upper in zip(
        part.names(),
        part.members.sum(axis=1),
        part.ends("lower"),
        part.ends("upper"),
        strict=True,
    ):
        low, middle, high = np.quantile(upper, _QUANTILES).tolist()
        certified = float(np.median(lower))
        ends: dict[str, Value] = {"certified_median": certified, "q25": low, "median": middle}
        about: dict[str, Value] = {"set": name, "size": int(size), "norm": part.norm}
        rows.append({**about, **ends, "q75": high})
    return rows


def _numbers(parts: list[_Sets]) -> dict[str, Value]:
    numbers: dict[str, Value] = {
        "classifiers": parts[0].members.shape[1],
        "sets": len(parts[0].members),
        "n": parts[0].ends("upper").shape[1],
    }
    for part in parts:
        upper, sizes = part.ends("upper"), part.members.sum(axis=1)
        hardest = upper[sizes == 1].max(axis=0)
        found = np.isfinite(upper[-1]) & np.isfinite(hardest)
        ratio = upper[-1][found] / hardest[found]
        numbers |= {
            f"{part.norm}.all.median": number(float(np.median(upper[-1]))),
            f"{part.norm}.hardest.median": number(float(np.median(hardest))),
            f"{part.norm}.ratio.median": number(float(np.median(ratio))),
            f"{part.norm}.ratio.largest": number(float(ratio.max())),
            f"{part.norm}.not_found": int(np.isinf(upper[-1]).sum()),
        }
    return numbers


def _caption(record: Record) -> str:
    data = escape(str(record.request.subject["data"]["name"]))
    return (
        f"Least perturbations, within the range of pixels, of {record.facts['n']} images of {data}"
        " that every classifier of a set gets wrong: median (marker), quartiles (bar) of what the"
        " attack found; dashed, from the median of what is certified. Hollow: nothing is certified"
        " for half of the images."
    )
