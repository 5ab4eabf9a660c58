"""Theorem 3: the law of the perturbation that fools two classifiers at once, against its bound."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from empirics.record import Record
from figures import style
from figures.curves import draw_law
from figures.law_panels import JUDGED, count_outcomes, dress, law_grid, outcome_words, tag_bound
from figures.measured import ORIGIN, by_generator, count_words, measured_on
from figures.moduli import sampled_modulus
from figures.plates.forms import PRINTED
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, Pair, View, quantile_limits, seen_quantile
from figures.wording import number, symbol
from theory.claim import LawBound
from theory.claims.fawzi2018.transfer import transfer_lower_bound, transfer_quantile_upper_bound
from theory.evidence import Radii
from theory.statistics import clopper_pearson
from theory.verdict import Outcome

_JOINT = "r_joint[l2]"
_SHARP, _PRINTED = "fawzi2018/thm3-sharp", "fawzi2018/thm3"
_LEVEL = 0.05
"""The limits on each disagreement, by themselves, miss it with at most this probability."""
_FEW = 6
"""Pairs of classifiers that colours can tell apart."""
_LINE = 0.17
"""Height of a pair's line in the right panel, in inches."""


@dataclass(frozen=True)
class _Joint:
    """The joint radius of two classifiers on one generator, and how often they disagree."""

    pair: Pair

    @property
    def radii(self) -> Radii:
        return self.pair.radii(_JOINT)

    @property
    def counts(self) -> tuple[int, int]:
        """Images that the two call differently, of how many."""
        seen = self.pair.record.facts["disagreement_counts"]
        return int(seen["different"]), int(seen["n"])

    @property
    def disagreement(self) -> float:
        return self.counts[0] / self.counts[1]

    @property
    def limits(self) -> tuple[float, float]:
        low, high = clopper_pearson(*self.counts, _LEVEL)
        return float(low), float(high)

    @cached_property
    def sampled(self) -> LawBound | None:
        """The sharp bound at the sampled modulus and the counted shares: not rigorous."""
        modulus = sampled_modulus(self.pair.facts)
        if modulus is None:
            return None
        counts = np.asarray(self.pair.record.facts["class_counts"], dtype=np.float64)
        given = modulus, counts / counts.sum(), self.disagreement
        value = lambda eta: transfer_lower_bound(eta, *given)  # noqa: E731
        return LawBound(value, value, lambda q: float(transfer_quantile_upper_bound(q, *given)))

    def alone(self) -> float | None:
        """Return the median of r_joint over the larger of the two classifiers' own r_in."""
        own = np.asarray(self.pair.record.arrays["r_in.upper"], dtype=np.float64).max(axis=0)
        found = np.isfinite(own) & np.isfinite(self.radii.upper) & (own > 0)
        return float(np.median(self.radii.upper[found] / own[found])) if found.any() else None


@figure(
    "joint_bound",
    title="One perturbation for two classifiers, against Theorem 3",
    needs=("joint_radii", "modulus"),
    also=(*JUDGED, *ORIGIN),
)
def joint_bound(view: View) -> Drawing:
    """A line a generator: the laws of all pairs with their bounds, and their disagreements."""
    records = view.measured("joint_radii")
    if not records:
        raise NothingToDraw("no joint radii of two classifiers of a generator")
    groups = {
        name: [_joint(view, name, record) for record in some]
        for name, some in by_generator(records).items()
    }
    names = dict.fromkeys(joint.pair.classifier for some in groups.values() for joint in some)
    known = style.looks(names)
    if len(known) > _FEW:
        known = dict.fromkeys(known, style.Look("#0072B2", "o"))
    heights = [max(1.5, 0.45 + _LINE * len(some)) for some in groups.values()]
    drawn = style.new_figure(style.TEXT, 0.95 + sum(heights))
    panels = drawn.subplots(
        len(groups), 2, squeeze=False, height_ratios=heights, width_ratios=(1.5, 1)
    )
    rows: list[Row] = []
    for (name, some), (left, right) in zip(groups.items(), panels, strict=True):
        rows += _draw_laws(left, view, some, known)
        counts = count_outcomes(view.verdict(_SHARP, joint.pair, _JOINT) for joint in some)
        left.set_title(outcome_words(counts) or "no bound")
        left.set_ylabel(f"{name}\n" + rf"$\Pr({symbol(_JOINT)} \leq \eta)$", linespacing=1.4)
        _draw_disagreements(right, some, known)
    most = max(joint.limits[1] for some in groups.values() for joint in some)
    for axes in panels[:, 1]:
        axes.set_xlim(0, 105 * most)
    panels[-1, 0].set_xlabel(r"$\eta$, image $\ell_2$ distance")
    panels[-1, 1].set_xlabel(r"$\delta$, disagreement, %")
    drawn.legend(handles=_legend(rows), loc="outside lower center", ncols=3, columnspacing=1.4)
    every = [joint for some in groups.values() for joint in some]
    numbers = _numbers(view, every)
    return Drawing(drawn, rows, numbers, _caption(view, every))


def _joint(view: View, generator: str, record: Record) -> _Joint:
    labels = [str(part["label"]) for part in record.request.subject["classifiers"]]
    return _Joint(Pair(generator, " + ".join(labels), record, view.facts(record)))


def _bounds(view: View, joint: _Joint) -> dict[str, LawBound]:
    """Return the bounds on one law that are known, those with a certified modulus first."""
    found = {
        "bound": view.bound(_SHARP, joint.pair, _JOINT),
        "bound_as_printed": view.bound(_PRINTED, joint.pair, _JOINT),
        "bound_sampled_not_rigorous": joint.sampled,
    }
    return {name: bound for name, bound in found.items() if bound is not None}


_STROKES: dict[str, dict[str, Any]] = {
    "bound": style.BOUND,
    "bound_as_printed": {"color": style.INK, **PRINTED},
    "bound_sampled_not_rigorous": style.SAMPLED,
}
_WORDS = {
    "bound": "Theorem 3, certified modulus",
    "bound_as_printed": "the same, as printed",
    "bound_sampled_not_rigorous": "sampled modulus (not rigorous)",
}


def _draw_laws(
    axes: Axes, view: View, some: Sequence[_Joint], known: dict[str, style.Look]
) -> list[Row]:
    bounds = [_bounds(view, joint) for joint in some]
    every = [bound for each in bounds for bound in each.values()]
    # No bound passes the probability that the two agree.
    reach = 0.95 * (1 - max(joint.limits[1] for joint in some))
    grid, log = law_grid([j.radii for j in some], every, reach=reach, middle=reach / 2)
    rows: list[Row] = []
    for joint, own in zip(some, bounds, strict=True):
        look = known[joint.pair.classifier]
        columns = draw_law(axes, grid, joint.radii, view.band(joint.radii.n), look)
        for name, bound in own.items():
            columns |= {f"{name}_lower": bound.lower(grid), f"{name}_upper": bound.upper(grid)}
            curve = columns[f"{name}_upper"]
            if not curve.any():
                continue
            axes.plot(grid, curve, **_STROKES[name], zorder=5)
            if name == "bound" and len(some) <= _FEW:
                tag_bound(axes, grid, curve, look, curve[-1] / 2)
        head: dict[str, Any] = {
            "generator": joint.pair.generator,
            "classifiers": joint.pair.classifier,
        }
        rows += [
            {**head, "eta": float(eta), **{name: float(c[i]) for name, c in columns.items()}}
            for i, eta in enumerate(grid)
        ]
    dress(axes, grid, log)
    return rows


def _draw_disagreements(axes: Axes, some: Sequence[_Joint], known: dict[str, style.Look]) -> None:
    for y, joint in enumerate(some):
        look = known[joint.pair.classifier]
        low, high = (100 * end for end in joint.limits)
        axes.plot([low, high], [y, y], color=look.color, lw=1.0, solid_capstyle="butt")
        axes.plot([low, high], [y, y], color=look.color, marker="|", ms=5, ls="none")
        mark = style.marker_style(look)
        axes.plot(100 * joint.disagreement, y, **mark, ms=3.6, clip_on=False, zorder=4)
    axes.set_yticks(range(len(some)), [joint.pair.classifier for joint in some])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(some) - 0.4, -0.6)


def _legend(rows: Sequence[Row]) -> list[Any]:
    """Return an entry for each stroke that is there."""
    curves = {key for row in rows for key, value in row.items() if value and "bound" in key}
    grey = style.QUIET
    entries: list[Any] = [
        Line2D([], [], **_STROKES[name], label=words)
        for name, words in _WORDS.items()
        if f"{name}_upper" in curves
    ]
    entries.append(Line2D([], [], color=grey, lw=1.0, label="law of what was found"))
    if any(row["law_of_lower_ends"] != 1 for row in rows):
        certified = Line2D([], [], color=grey, **style.CERTIFIED_END)
        certified.set_label("law of certified ends")
        entries.append(certified)
    return [*entries, Patch(color=grey, alpha=0.25, lw=0, label="confidence band")]


def _of(view: View, joint: _Joint) -> dict[str, Value]:
    """Return the numbers of one pair."""
    radii, (low, high) = joint.radii, joint.limits
    found: dict[str, Value] = {
        "n": radii.n,
        "not_found": int(np.isinf(radii.upper).sum()),
        "disagreement_percent": 100 * joint.disagreement,
        "disagreement_percent_lower": 100 * low,
        "disagreement_percent_upper": 100 * high,
        "labelled": joint.counts[1],
        "median": seen_quantile(radii, 0.5),
    }
    found["median_lower"], found["median_upper"] = quantile_limits(radii, 0.5)
    for name, bound in _bounds(view, joint).items():
        found[f"{name}_median"] = bound.quantile(0.5)
    over = joint.alone()
    if over is not None:
        found["over_larger_alone"] = over
    return found


def _numbers(view: View, every: Sequence[_Joint]) -> dict[str, Value]:
    numbers: dict[str, Value] = {"pairs": len(every), "n": max(j.radii.n for j in every)}
    known = [_of(view, joint) for joint in every]
    for joint, own in zip(every, known, strict=True):
        stem = f"{joint.pair.generator}.{joint.pair.classifier}"
        numbers |= {f"{stem}.{key}": value for key, value in own.items()}
    counts = count_outcomes(view.verdict(_SHARP, joint.pair, _JOINT) for joint in every)
    for outcome in Outcome:
        numbers[outcome.replace(" ", "_").lower()] = counts.get(outcome, 0)
    for key in ("disagreement_percent", "over_larger_alone", "median", "bound_median"):
        values = [float(own[key] or 0) for own in known if own.get(key) is not None]
        if values:
            numbers |= {f"all.{key}_min": min(values), f"all.{key}_max": max(values)}
    factors = [
        float(own["bound_median"] or 0) / float(own["median_upper"] or 0)
        for own in known
        if own.get("bound_median") is not None and own["median_upper"]
    ]
    factors = [factor for factor in factors if np.isfinite(factor)]
    if factors:
        numbers |= {"all.bound_over_median_min": min(factors)}
        numbers |= {"all.bound_over_median_max": max(factors)}
    return numbers


def _caption(view: View, every: Sequence[_Joint]) -> str:
    joint, band = symbol(_JOINT), number(max(view.band(j.radii.n) for j in every))
    lost = sum(int(np.isinf(j.radii.upper).sum()) for j in every)
    words = [
        f"Left: law of ${joint}$, the least norm of one perturbation within the range of the"
        " generator that changes the labels of both classifiers, for every pair"
        f" ({count_words(j.radii.n for j in every)} points each), against the lower bound of"
        " Theorem 3 on it. Solid step: law of what the joint attack found, so the true law is at"
        " least as high; dashed, where it is drawn: law of the certified ends, so the true law is"
        f" at most as high; bands of half-width up to {band} hold for all {view.n_laws} laws at"
        f" once with probability {1 - view.alpha:g}. A bound stays below $1 - \\delta$. The sharp"
        " form is judged; the printed one is drawn where its hypothesis $p_i + \\delta \\le 1/2$"
        " holds; that from the sampled modulus uses the counted shares as they are and is not"
        " rigorous: where it passes a law, that modulus is too small or the attack too weak."
        " Right: how often the two labels differ, on"
        f" {count_words(j.counts[1] for j in every)} further images, with limits that hold with"
        f" {100 * (1 - _LEVEL):g}\\% each; the mark of a pair is that of its bound."
    ]
    if lost:
        words.append(f"At {number(lost)} points no such perturbation was found.")
    if len({j.pair.classifier for j in every}) > _FEW:
        words[0] = words[0].replace("; the mark of a pair is that of its bound.", ".")
    return " ".join([*words, measured_on(view, [j.pair.record for j in every])])
