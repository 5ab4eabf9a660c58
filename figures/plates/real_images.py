"""Theorem 4: the mean robustness of real images against the bound, and how far the data are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from empirics.judge import FACT_SHARE, MEAN_CAP
from empirics.record import Record
from figures import style
from figures.data_distance import (
    data_distance_legend,
    data_distance_words,
    data_distances,
    draw_data_distances,
    scale_distances,
)
from figures.law_panels import JUDGED, count_outcomes
from figures.measured import ORIGIN, by_generator, count_words, measured_on
from figures.moduli import sampled_modulus
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, Pair, View
from figures.wording import number, symbol
from theory.claim import CLAIMS, OutOfScopeError, Quantity
from theory.claims.fawzi2018.approximate import approximate_generator_mean_bound
from theory.evidence import Interval, Radii
from theory.statistics import empirical_bernstein
from theory.verdict import Outcome

_DATA = "r_unc_data[l2]"
_CLAIM = "fawzi2018/thm4"
_LINE, _GAP = 0.17, 0.9
"""Height of a line in inches; room between two generators, in lines."""
_CLAIMED: dict[str, Any] = {"color": style.INK, "marker": "|", "ms": 8, "mew": 1.6, "ls": "none"}
_ESTIMATED: dict[str, Any] = {
    "color": style.INK,
    "marker": "D",
    "ms": 3.2,
    "mfc": "white",
    "mew": 0.8,
    "ls": "none",
}
_CERTIFIED: dict[str, Any] = {"marker": 9, "ms": 3.6, "mew": 0, "ls": "none"}


@dataclass(frozen=True)
class _Real:
    """The distances of real images for one classifier, and the bound on their mean."""

    view: View
    pair: Pair

    @property
    def radii(self) -> Radii:
        return self.pair.radii(_DATA)

    @cached_property
    def bound(self) -> Interval | None:
        """Theorem 4's bound with the proved Wasserstein distance, or None if it is silent."""
        level = self.view.level * FACT_SHARE
        try:
            found: Interval = CLAIMS[_CLAIM].evaluate(self.pair.facts, Quantity.parse(_DATA), level)
        except OutOfScopeError:
            return None
        return found if np.isfinite(found.upper) else None

    @cached_property
    def estimate(self) -> float | None:
        """The bound at sampled modulus, counted shares and distance less baselines."""
        modulus, seen = sampled_modulus(self.pair.facts), self.pair.facts.get("wasserstein")
        if modulus is None or seen is None or "class_counts" not in self.pair.facts:
            return None
        counts = np.asarray(self.pair.facts["class_counts"], dtype=np.float64)
        distance = max(float(seen["less_baselines"]), 0.0)
        try:
            value = approximate_generator_mean_bound(
                modulus.concave_majorant(), counts / counts.sum(), distance
            )
        except OutOfScopeError:
            return None
        return float(value) if np.isfinite(value) else None

    @cached_property
    def means(self) -> tuple[float, float]:
        """Mean of the certified and of the attacked ends; +inf where no attack succeeded."""
        return float(self.radii.lower.mean()), float(self.radii.upper.mean())

    @cached_property
    def limits(self) -> tuple[float, float] | None:
        """Limits on the mean of the capped radius as the verdict uses them; None with no bound."""
        if self.bound is None:
            return None
        cap, level = MEAN_CAP * self.bound.upper, self.view.level * (1 - FACT_SHARE)
        low, _ = empirical_bernstein(np.minimum(self.radii.lower, cap), level, cap, "lower")
        _, high = empirical_bernstein(np.minimum(self.radii.upper, cap), level, cap, "upper")
        return low, high


@figure(
    "real_images",
    title="The mean robustness of real images, against Theorem 4",
    needs=("data_radii",),
    also=(*JUDGED, *ORIGIN),
)
def real_images(view: View) -> Drawing:
    """Left a line a classifier, by generator; right the distances of generated from real images."""
    records = view.measured("data_radii")
    if not records:
        raise NothingToDraw("no distances of real images")
    groups = {
        name: [_real(view, name, record) for record in some]
        for name, some in by_generator(records).items()
    }
    known = style.looks(real.pair.classifier for some in groups.values() for real in some)
    places, heads = _places(groups)
    lines = max(max(places.values()) + 1, 5.0)
    drawn = style.new_figure(style.TEXT, 0.95 + _LINE * lines)
    left, right = drawn.subplots(1, 2, width_ratios=(1.25, 1))
    for some in groups.values():
        for real in some:
            _draw_line(left, real, places[real.pair.record.id], known[real.pair.classifier])
    names = {real.pair.record.id: real.pair.classifier for s in groups.values() for real in s}
    left.set_yticks(list(places.values()), [names[i] for i in places])
    left.tick_params(axis="y", length=0)
    left.set_ylim(lines - 0.4, -0.9)
    scale_distances(left, f"$\\mathbf{{E}}\\,{symbol(_DATA)}$, $\\ell_2$ distance")
    for name, y in heads.items():
        left.annotate(
            name, (0, y), xycoords=("axes fraction", "data"), xytext=(-3, 0),
            textcoords="offset points", ha="right", va="center", style="italic", fontsize=7,
        )  # fmt: skip
    draw_data_distances(right, {name: some[0].pair.facts for name, some in groups.items()})
    drawn.legend(handles=_legend(), loc="outside lower center", ncols=4, columnspacing=1.2)
    every = [real for some in groups.values() for real in some]
    rows = [_row(real) for real in every] + _distance_rows(groups)
    return Drawing(drawn, rows, _numbers(every, groups), _caption(view, every))


def _real(view: View, generator: str, record: Record) -> _Real:
    label = str(record.request.subject["classifier"]["label"])
    return _Real(view, Pair(generator, label, record, view.facts(record)))


def _places(groups: Mapping[str, Sequence[_Real]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return heights of the lines by record, and of the headings by generator."""
    places: dict[str, float] = {}
    heads: dict[str, float] = {}
    y = -1.0
    for name, some in groups.items():
        heads[name] = y = y + _GAP if places else 0.0
        for real in some:
            y += 1.0
            places[real.pair.record.id] = y
        y += 0.3
    return places, heads


def _draw_line(axes: Axes, real: _Real, y: float, look: style.Look) -> None:
    certified, seen = real.means
    low, high = real.limits or real.means
    verdict = real.view.verdict(_CLAIM, real.pair, _DATA)
    violated = verdict is not None and verdict.outcome == Outcome.VIOLATED
    if np.isfinite(seen) and np.isfinite(high):
        style.draw_interval(axes, (seen, y), (low, high), look, violated=violated)
    if certified > 0:
        axes.plot(certified, y, color=look.color, **_CERTIFIED, zorder=4)
    if real.bound is not None:
        axes.plot(real.bound.upper, y, **_CLAIMED, zorder=5)
    if real.estimate is not None:
        axes.plot(real.estimate, y, **_ESTIMATED, zorder=5)


def _legend() -> list[Any]:
    grey = style.QUIET
    return [
        Line2D([], [], color=grey, marker="o", ms=4, label="mean, attacked"),
        Line2D([], [], color=grey, **_CERTIFIED, label="mean, certified"),
        Line2D([], [], **_CLAIMED, label="Theorem 4"),
        Line2D([], [], **_ESTIMATED, label="estimated, not rigorous"),
        *data_distance_legend(),
    ]


def _row(real: _Real) -> Row:
    low, high = real.limits or (None, None)
    certified, attacked = real.means
    facts = real.pair.record.facts["data_radii"]
    return {
        "generator": real.pair.generator,
        "classifier": real.pair.classifier,
        "n": real.radii.n,
        "certified_mean": certified,
        "attacked_mean": attacked,
        "lower_limit": low,
        "upper_limit": high,
        "bound": None if real.bound is None else real.bound.upper,
        "bound_estimated_not_rigorous": real.estimate,
        "not_found": int(facts["not_found"]),
        "test_error": float(facts["test_error"]),
    }


def _distance_rows(groups: Mapping[str, Sequence[_Real]]) -> list[Row]:
    return [
        {"generator": name, "distance": key, "value": value}
        for name, some in groups.items()
        for key, value in data_distances(some[0].pair.facts).items()
    ]


def _numbers(every: Sequence[_Real], groups: Mapping[str, Sequence[_Real]]) -> dict[str, Value]:
    numbers: dict[str, Value] = {"pairs": len(every), "n": max(real.radii.n for real in every)}
    for real in every:
        stem = f"{real.pair.generator}.{real.pair.classifier}"
        row = _row(real)
        numbers |= {
            f"{stem}.{key}": value
            for key, value in row.items()
            if key not in ("generator", "classifier") and value is not None
        }
    for name, some in groups.items():
        numbers |= {
            f"{name}.wasserstein.{k}": v for k, v in data_distances(some[0].pair.facts).items()
        }
    factors = [
        real.bound.upper / real.means[1]
        for real in every
        if real.bound is not None and 0 < real.means[1] < np.inf
    ]
    if factors:
        numbers |= {
            "all.bound_over_mean_min": min(factors),
            "all.bound_over_mean_max": max(factors),
        }
    verdicts = (real.view.verdict(_CLAIM, real.pair, _DATA) for real in every)
    counts = count_outcomes(verdicts)
    for outcome in Outcome:
        numbers[outcome.replace(" ", "_").lower()] = counts.get(outcome, 0)
    return numbers


def _caption(view: View, every: Sequence[_Real]) -> str:
    radius = symbol(_DATA)
    lost = sum(int(real.pair.record.facts["data_radii"]["not_found"]) for real in every)
    silent = sum(real.bound is None for real in every)
    words = [
        f"Left: mean distance ${radius}$ to another label of"
        f" {count_words(real.radii.n for real in every)} real test images, for classifiers of"
        " generated ones; every image counts, whatever its true label. Marker: mean of what the"
        " attack found. Bars: limits on the mean of the radius, capped at"
        f" {MEAN_CAP:g} times the bound, from the attacked ends (solid) and from the certified ones"
        f" (dashed; hollow where none is left), for all {view.n_laws} laws and means at once with"
        f" probability {1 - view.alpha:g}. Black: the bound of Theorem 4, $\\omega$ of the mean of"
        " half-spaces plus an upper limit on $W_1$. Diamond: the same with the sampled modulus, the"
        " counted shares and the distance less baselines, which is not rigorous. Right: what was"
        " measured of $W_1$."
    ]
    firsts = {real.pair.generator: real.pair.facts for real in every}
    words += [known] if (known := data_distance_words(firsts)) else []
    if silent:
        words.append(
            f"Without a finite bound, and so without a cap: {silent} of {len(every)}, where the bar"
            " goes from the mean of the certified ends to that of the attacked ones."
        )
    if lost:
        words.append(f"No other label was found for {number(lost)} images, which count as the cap.")
    return " ".join([*words, measured_on(view, [real.pair.record for real in every])])
