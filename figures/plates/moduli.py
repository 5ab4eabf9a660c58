"""The expansion of each generator by method: certified everywhere, certified locally, seen."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from figures import style
from figures.measured import ORIGIN, count_words, measured_on
from figures.moduli import (
    STROKES,
    Facts,
    certified_moduli,
    columns_of,
    expansions,
    label_decades,
    largest_rate_seen,
    sampled_modulus,
    trained_generators,
)
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import escape, number
from theory.arrays import FloatArray
from theory.modulus.expansion import ExpansionTable

_LABELS = {
    "product": "product of layer norms, certified",
    "semidefinite": "semidefinite, certified",
    "certified": "certified",
}
_SHARES = {"q50": 0.5, "q95": 0.95, "max": 1.0}
_LOCAL = STROKES["probabilistic"]
_SEEN: dict[str, Any] = {"color": style.INK, "marker": "^", "ms": 3.4, "ls": "none", "mew": 0}
_SPARE = 1.25
"""The axes go on by this factor beyond what is drawn."""


@figure(
    "moduli",
    title="How far the generators move images, by method",
    needs=("modulus",),
    also=("expansions", *ORIGIN),
)
def moduli(view: View) -> Drawing:
    """A panel a generator: expansion rates against the latent distance."""
    known = trained_generators(view)
    rows = {name: _rows(name, facts) for name, facts in known.items()}
    rows = {name: found for name, found in rows.items() if found}
    if not rows:
        raise NothingToDraw("no modulus of a trained generator")
    every = [row for found in rows.values() for row in found]
    width = columns_of(len(rows))
    height = math.ceil(len(rows) / width)
    drawn = style.new_figure(style.TEXT, 0.85 + 1.7 * height)
    panels = drawn.subplots(height, width, squeeze=False, sharex=True, sharey="row")
    span = _span(every)
    for (name, found), axes in zip(rows.items(), panels.flat, strict=False):
        _draw(axes, found, span)
        axes.set_title(name)
    lines = list(rows.values())
    for i, line in enumerate(panels):
        _scale(line, [row for found in lines[i * width : (i + 1) * width] for row in found], span)
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    _label(panels)
    drawn.legend(handles=_legend(every), loc="outside lower center", ncols=3, columnspacing=1.4)
    numbers: dict[str, Value] = {}
    for name in rows:
        numbers |= {f"{name}.{key}": value for key, value in _numbers(known[name]).items()}
    numbers |= _extremes(numbers, list(rows))
    return Drawing(drawn, every, numbers, _caption(view, numbers, list(rows)))


def _local_rates(table: ExpansionTable) -> dict[str, FloatArray]:
    """Return quantiles of the expansions over their distance, shape (radii,) each."""
    values, t = np.asarray(table.values), np.asarray(table.radii)
    # A share of all latents is the least value that so many of them do not exceed.
    ranks = {key: max(math.ceil(share * table.n - 1e-9), 1) for key, share in _SHARES.items()}
    return {key: values[:, rank - 1] / t for key, rank in ranks.items()}


def _rows(name: str, facts: Facts) -> list[Row]:
    """Return all that is drawn in one panel: a row a method and distance."""
    seen, table = sampled_modulus(facts), expansions(facts)
    distances = {*(seen.distances if seen else ()), *(table.radii if table else ())}
    rows: list[Row] = []

    def add(method: str, certified: bool, at: Sequence[float], rates: FloatArray) -> None:
        rows.extend(
            {
                "generator": name,
                "method": method,
                "certified": int(certified),
                "distance": float(t),
                "rate": float(rate),
            }
            for t, rate in zip(at, rates, strict=True)
            if np.isfinite(rate)
        )

    t = sorted(distances)
    for method, modulus in certified_moduli(facts).items():
        add(method, True, t, modulus(t) / np.array(t))
    if table is not None:
        for key, rates in _local_rates(table).items():
            add(f"local_{key}", True, table.radii, rates)
    if seen is not None:
        add("sampled", False, seen.distances, np.array(seen.values) / np.array(seen.distances))
    largest = largest_rate_seen(facts)
    if largest is not None:
        add("sampled_anywhere", False, t, np.full(len(t), largest))
    return rows


def _span(rows: list[Row]) -> tuple[float, float]:
    """Return the least and the largest distance of all panels."""
    distances = [float(row["distance"] or 0) for row in rows]
    return min(distances) / _SPARE, max(distances) * _SPARE


def _curve(rows: list[Row], method: str) -> tuple[FloatArray, FloatArray]:
    pairs = [(row["distance"], row["rate"]) for row in rows if row["method"] == method]
    found = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _draw(axes: Axes, rows: list[Row], span: tuple[float, float]) -> None:
    for method in _LABELS:
        t, rates = _curve(rows, method)
        if t.size:
            # Constants hold at every distance: their lines cross the panel.
            axes.plot(
                [span[0], *t, span[1]], [rates[0], *rates, rates[-1]], **STROKES[method], zorder=3
            )
    t, middle = _curve(rows, "local_q50")
    if t.size:
        # Where the largest is not certified it lies above the panel.
        top = dict(zip(*_curve(rows, "local_max"), strict=True))
        most = np.array([top.get(at, np.inf) for at in t])
        limit = max(float(row["rate"] or 0) for row in rows) * _SPARE
        color = _LOCAL["color"]
        axes.fill_between(t, middle, np.minimum(most, limit), color=color, alpha=0.2, lw=0)
        axes.plot(t, middle, color=color, lw=0.6, zorder=4)
        axes.plot(t, most, color=color, lw=0.6, zorder=4)
        axes.plot(*_curve(rows, "local_q95"), **_LOCAL, zorder=4)
    t, rates = _curve(rows, "sampled_anywhere")
    if t.size:
        axes.plot(span, [rates[0]] * 2, **STROKES["sampled"], zorder=5)
    axes.plot(*_curve(rows, "sampled"), **_SEEN, zorder=6)


def _scale(line: Sequence[Axes], rows: list[Row], span: tuple[float, float]) -> None:
    """Give one line of panels its scales: one extreme generator does not flatten all others."""
    rates = [rate for row in rows if (rate := float(row["rate"] or 0)) > 0] or [1.0]
    low, high = min(rates) / _SPARE, max(rates) * _SPARE
    for axes in line:
        axes.set(xscale="log", yscale="log", xlim=span, ylim=(low, high))
        label_decades(axes.xaxis, *span)
        label_decades(axes.yaxis, low, high)


def _label(panels: Any) -> None:  # noqa: ANN401
    shown = [axes for axes in panels.flat if axes.get_visible()]
    for i, axes in enumerate(shown):
        if i + panels.shape[1] >= len(shown):
            axes.set_xlabel("$t$, latent $\\ell_2$ distance")
            axes.tick_params(labelbottom=True)
    for axes in panels[:, 0]:
        axes.set_ylabel(r"$\omega(t)/t$, expansion rate")


def _legend(rows: list[Row]) -> list[Any]:
    methods = {row["method"] for row in rows}
    entries: list[Any] = [
        Line2D([], [], **STROKES[method], label=words)
        for method, words in _LABELS.items()
        if method in methods
    ]
    if "local_q50" in methods:
        color = _LOCAL["color"]
        entries.append(Line2D([], [], **_LOCAL, label="local, certified: 95% quantile"))
        entries.append(
            Patch(facecolor=color, alpha=0.3, lw=0, label="local, certified: median to largest")
        )
    if "sampled" in methods:
        entries.append(Line2D([], [], **_SEEN, label="largest seen at $t$"))
    if "sampled_anywhere" in methods:
        entries.append(Line2D([], [], **STROKES["sampled"], label="largest seen anywhere"))
    return entries


def _numbers(facts: Facts) -> dict[str, Value]:
    """Return the rates of one generator (at distance 1) and factors over the largest one seen."""
    found: dict[str, float] = {}
    for method, modulus in certified_moduli(facts).items():
        found[method] = float(modulus(1.0))
    table = expansions(facts)
    if table is not None:
        rates = _local_rates(table)
        for i, t in enumerate(table.radii):
            found |= {f"local_at_{t:g}.{key}": float(rate[i]) for key, rate in rates.items()}
    largest = largest_rate_seen(facts)
    numbers: dict[str, Value] = dict(found)
    if table is not None:
        numbers["latents"] = table.n
    if largest is not None:
        numbers["sampled"] = largest
        if largest > 0:
            factors = {key: rate / largest for key, rate in found.items() if key[-3:] != "q50"}
            numbers |= {f"{key}_over_sampled": factor for key, factor in factors.items()}
    if {"product", "semidefinite"} <= found.keys() and found["semidefinite"] > 0:
        numbers["product_over_semidefinite"] = found["product"] / found["semidefinite"]
    return numbers


def _extremes(numbers: dict[str, Value], names: list[str]) -> dict[str, Value]:
    """Return the least and the largest factor over all generators, with whose it is."""
    found: dict[str, Value] = {"generators": len(names)}
    keys = dict.fromkeys(
        key.removeprefix(f"{name}.")
        for name in names
        for key in numbers
        if key.startswith(f"{name}.") and "_over_" in key and ".max_" not in key
    )
    for key in keys:
        values = {
            name: float(value)
            for name in names
            if isinstance(value := numbers.get(f"{name}.{key}"), float)
        }
        for word, pick in (("min", min), ("max", max)):
            name = pick(values, key=values.__getitem__)
            found[f"all.{key}_{word}"] = values[name]
            found[f"all.{key}_{word}_of"] = name
    return found


def _caption(view: View, numbers: dict[str, Value], names: list[str]) -> str:
    sentences = [
        "Largest distance between the images of two latents at distance $t$, divided by $t$, for"
        " each generator; panels side by side have one scale. Lines: certified for all latents at"
        " once; a Lipschitz constant is flat."
    ]
    latents = sorted({int(n) for name in names if (n := numbers.get(f"{name}.latents"))})
    if latents:
        sentences.append(
            "Shaded: certified for the ball of radius $t$ around one latent, from the median to"
            f" the largest of {' or '.join(number(n) for n in latents)} random latents, with the"
            " 95% quantile dashed; where the balls are large it is what is certified for all"
            " latents, which limits it too."
        )
    sentences.append(
        "Triangles and dotted: the largest rate that a search for latents and directions has"
        " found at $t$ and anywhere, which no true modulus is below and which certifies nothing."
        " A local quantile may lie below it: the search looks for the worst latent. Where lines"
        " coincide, as for an affine generator, only one is seen."
    )
    factors = []
    for name in names:
        parts = [
            f"{words} {number(float(value))}"
            for key, words in (
                ("product", "product"),
                ("semidefinite", "semidefinite"),
                ("certified", "certified"),
                ("local_at_0.1.q95", "local at $t = 0.1$ (95%)"),
            )
            if isinstance(value := numbers.get(f"{name}.{key}_over_sampled"), float)
        ]
        if parts:
            factors.append(f"{escape(name)}: {', '.join(parts)}")
    if factors:
        sentences.append(f"Factors over the largest rate seen anywhere: {'; '.join(factors)}.")
    records = [r for r in view.measured("modulus") if "data" in r.request.subject]
    searched = [int(n) for r in records if (n := r.request.settings.get("n"))]
    if searched:
        sentences.append(f"Each search starts from {count_words(searched)} latents a distance.")
    return " ".join([*sentences, measured_on(view, records)])
