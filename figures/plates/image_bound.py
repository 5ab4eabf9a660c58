"""How far each modulus of a generator moves the bound of Theorem 1 in image space."""

import dataclasses
import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from empirics.judge import FACT_SHARE
from figures import style
from figures.curves import draw_law
from figures.law_panels import JUDGED
from figures.measured import ORIGIN, measured_on
from figures.moduli import (
    CERTIFIED_WORDS,
    STROKES,
    certified_moduli,
    columns_of,
    expansions,
    label_decades,
)
from figures.registry import Drawing, Row, Value, figure
from figures.view import (
    CERTIFIED,
    QUARTILE,
    SAMPLED,
    NothingToDraw,
    Pair,
    View,
    quantile_limits,
    seen_quantile,
)
from figures.wording import escape, number
from theory.arrays import FloatArray
from theory.claim import LawBound
from theory.latent import least_distance

QUANTITY = "r_in[l2]"
PROBABILISTIC = "fawzi2018/thm1-probabilistic-modulus"
_WORDS = {
    **CERTIFIED_WORDS,
    "probabilistic": "local, for most latents",
    "sampled": "sampled, not rigorous",
}
_SHORT = {
    name: words.partition(",")[0].removesuffix(" of layer norms") for name, words in _WORDS.items()
}
_MEASURED = style.Look("#D55E00", "o")
_POINTS = 241


def bounds_by_modulus(view: View, pair: Pair) -> dict[str, LawBound]:
    """Return the bounds on the law of r_in from each modulus of the generator, as claims judge it.

    The claims themselves are evaluated, each with facts that hold one modulus alone, at the level
    of one law of the whole table.
    """
    found: dict[str, LawBound | None] = {}
    for method, modulus in certified_moduli(pair.facts).items():
        facts = {**pair.facts, "moduli[l2->l2]": [modulus]}
        found[method] = view.bound(CERTIFIED, dataclasses.replace(pair, facts=facts), QUANTITY)
    found["probabilistic"] = view.bound(PROBABILISTIC, pair, QUANTITY)
    found["sampled"] = view.bound(SAMPLED, pair, QUANTITY)
    return {name: bound for name, bound in found.items() if bound is not None}


def lower_quantile(bound: LawBound, q: float) -> float:
    """Return the least distance at which the lower end of a bound reaches q; +inf if none does."""
    return least_distance(lambda eta: float(bound.lower(np.array([eta]))[0]), q)


@figure(
    "image_bound",
    title="The bound in image space by the modulus that it is made from",
    needs=("radii", "class_masses", "modulus"),
    also=(*JUDGED, *ORIGIN),
)
def image_bound(view: View) -> Drawing:
    """A panel a generator: the measured law of r_in beside the bounds of each modulus."""
    numbers: dict[str, Value] = {}
    shown: dict[str, tuple[Pair, dict[str, LawBound]]] = {}
    for generator, pairs in view.by_generator().items():
        known = {p.classifier: (p, bounds_by_modulus(view, p)) for p in pairs if _has_radius(p)}
        known = {name: found for name, found in known.items() if found[1]}
        for classifier, (pair, bounds) in known.items():
            stem = f"{generator}.{classifier}"
            numbers |= {f"{stem}.{k}": v for k, v in _numbers(pair, bounds).items()}
        if known:
            shown[generator] = max(known.values(), key=lambda found: _finite_quantile(found[0]))
    if not shown:
        raise NothingToDraw("no in-distribution radii with a bound")
    for generator, (pair, _) in shown.items():
        stem = f"{generator}.{pair.classifier}"
        for key in [key for key in numbers if key.startswith(f"{stem}.")]:
            numbers[f"{generator}.shown{key.removeprefix(stem)}"] = numbers[key]
        numbers[f"{generator}.classifier"] = pair.classifier
    numbers |= _extremes(numbers, list(shown))
    numbers |= {"miss_probability": view.level * FACT_SHARE, "laws": view.n_laws}
    width = columns_of(len(shown))
    height = math.ceil(len(shown) / width)
    drawn = style.new_figure(style.TEXT, 1.0 + 1.7 * height)
    panels = drawn.subplots(height, width, squeeze=False, sharey=True)
    rows: list[Row] = []
    for (generator, (pair, bounds)), axes in zip(shown.items(), panels.flat, strict=False):
        rows += _draw(axes, view, pair, bounds)
        axes.set_title(f"{generator}, {pair.classifier}")
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel(r"$\Pr(r_{\mathrm{in}} \leq \eta)$")
    methods = {name for _, bounds in shown.values() for name in bounds}
    drawn.legend(handles=_legend(methods), loc="outside lower center", ncols=3, columnspacing=1.4)
    origin = measured_on(view, [pair.record for pair, _ in shown.values()])
    return Drawing(drawn, rows, numbers, f"{_caption(view, numbers, shown)} {origin}")


def _has_radius(pair: Pair) -> bool:
    return QUANTITY in pair.quantities


def _finite_quantile(pair: Pair) -> float:
    """Return the measured percentile, -1 where the attack did not find it."""
    found = seen_quantile(pair.radii(QUANTITY))
    return found if np.isfinite(found) else -1.0


def _numbers(pair: Pair, bounds: dict[str, LawBound]) -> dict[str, Value]:
    """Return the 25th percentiles of one pair, measured and bounded, and their ratios."""
    radii = pair.radii(QUANTITY)
    measured, limits = seen_quantile(radii), quantile_limits(radii)
    numbers: dict[str, Value] = {
        "n": radii.n,
        "measured": measured,
        "measured_lower": limits[0],
        "measured_upper": limits[1],
    }
    table = expansions(pair.facts)
    if table is not None:
        numbers["latents"] = table.n
    quantiles = {name: lower_quantile(bound, QUARTILE) for name, bound in bounds.items()}
    for name, quantile in quantiles.items():
        numbers[name] = quantile
        if not 0 < quantile < np.inf:
            continue
        if 0 < measured < np.inf:
            numbers[f"{name}_over_measured"] = quantile / measured
        if name != "product" and np.isfinite(product := quantiles.get("product", np.inf)):
            numbers[f"product_over_{name}"] = product / quantile
    return numbers


def _extremes(numbers: dict[str, Value], generators: list[str]) -> dict[str, Value]:
    """Return the least and the largest ratio over the panels, with whose it is."""
    found: dict[str, Value] = {"generators": len(generators)}
    names = [f"{method}_over_measured" for method in _WORDS]
    for key in (*names, *(f"product_over_{method}" for method in _WORDS)):
        values = {
            generator: value
            for generator in generators
            if isinstance(value := numbers.get(f"{generator}.shown.{key}"), float)
        }
        for word, pick in (("min", min), ("max", max)):
            if values:
                generator = pick(values, key=values.__getitem__)
                found[f"all.{key}_{word}"] = values[generator]
                found[f"all.{key}_{word}_of"] = generator
    return found


def _grid(pair: Pair, bounds: dict[str, LawBound]) -> FloatArray:
    """Return distances from where the first curve leaves 0 to where the certified ones end."""
    uppers = pair.radii(QUANTITY).upper
    uppers = uppers[np.isfinite(uppers) & (uppers > 0)]
    low = [lower_quantile(bound, 0.02) for bound in bounds.values()]
    high = [lower_quantile(bound, 0.9) for bound in bounds.values()]
    if uppers.size:
        low.append(float(np.quantile(uppers, 0.02)))
        high.append(float(np.quantile(uppers, 0.98)))
    starts = [at for at in low if 0 < at < np.inf] or [0.1]
    ends = [at for at in high if 0 < at < np.inf] or [10 * max(starts)]
    return np.geomspace(min(starts), max(max(ends), 2 * min(starts)), _POINTS)


def _draw(axes: Axes, view: View, pair: Pair, bounds: dict[str, LawBound]) -> list[Row]:
    grid, radii = _grid(pair, bounds), pair.radii(QUANTITY)
    axes.axhline(QUARTILE, color=style.QUIET, lw=0.5, zorder=1)
    columns = draw_law(axes, grid, radii, view.band(radii.n), _MEASURED)
    for name, bound in bounds.items():
        columns[f"bound_{name}"] = curve = bound.lower(grid)
        axes.plot(grid, curve, **STROKES[name], zorder=5)
    limits = quantile_limits(radii)
    if np.isfinite(limits[1]):
        at = (seen_quantile(radii), QUARTILE)
        # A certified end of 0 is off a logarithmic axis: the dashed bar runs to its edge.
        style.draw_interval(axes, at, (limits[0] or float(grid[0]), limits[1]), _MEASURED)
        if not limits[0]:
            axes.plot(*at, **style.marker_style(_MEASURED, hollow=True), zorder=6)
    axes.set(xscale="log", xlim=(grid[0], grid[-1]), ylim=(0, 1.02))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    label_decades(axes.xaxis, float(grid[0]), float(grid[-1]))
    axes.set_xlabel("$\\eta$, image $\\ell_2$ distance")
    head: dict[str, Value] = {"generator": pair.generator, "classifier": pair.classifier}
    return [
        {**head, "eta": float(eta), **{name: float(c[i]) for name, c in columns.items()}}
        for i, eta in enumerate(grid)
    ]


def _legend(methods: set[str]) -> list[Any]:
    entries: list[Any] = [
        Line2D([], [], **STROKES[name], label=f"bound: {words}")
        for name, words in _WORDS.items()
        if name in methods
    ]
    color = _MEASURED.color
    certified = Line2D([], [], color=color, **style.CERTIFIED_END, label="law of certified ends")
    return [
        *entries,
        Line2D([], [], color=color, lw=1.0, label="law found by the attack"),
        certified,
        Patch(color=color, alpha=0.25, lw=0, label="confidence band"),
    ]


def _caption(
    view: View, numbers: dict[str, Value], shown: dict[str, tuple[Pair, dict[str, LawBound]]]
) -> str:
    points = sorted({pair.radii(QUANTITY).n for pair, _ in shown.values()})
    latents = sorted(
        {int(n) for generator in shown if (n := numbers.get(f"{generator}.shown.latents"))}
    )
    sentences = [
        "Lower bounds of Theorem 1 on the law of the in-distribution radius, from each modulus of"
        " the generator, beside the measured law. Solid step: law of the distances at which an"
        f" attack changed the label ({' or '.join(number(n) for n in points)} points), so the true"
        " law is at least as high. Dashed step, where there are certificates: law of the"
        " certified distances, so the true law is at most as high. Each panel shows the"
        " classifier with the largest measured 25th percentile, to which a bound on robustness"
        " comes closest. Counted class masses enter at their worst within limits that hold"
        f" together with all bands with probability {1 - view.alpha:g}."
    ]
    if latents:
        sentences.append(
            "Local: the modulus is replaced by limits, within that probability, on the share of"
            " latents around which a ball is moved by at most $\\eta$, from certified expansions"
            f" at {' or '.join(number(n) for n in latents)} random latents; the share that they"
            " leave open is lost, so that this bound stays below 1."
        )
    sentences.append(
        "Dotted: from the largest expansions seen, which certify nothing; flat beyond the largest"
        " distance at which any was looked for. Where bounds coincide, as for an affine"
        " generator, only one is seen."
    )
    factors = []
    for generator in shown:
        parts = [
            f"{words} {number(value)}"
            for name, words in _SHORT.items()
            if isinstance(value := numbers.get(f"{generator}.shown.{name}_over_measured"), float)
        ]
        if parts:
            factors.append(f"{escape(generator)}: {', '.join(parts)}")
    if factors:
        sentences.append(
            "25th percentile by the bound over the measured one (marker with its 95% interval,"
            f" hollow where its lower end is 0): {'; '.join(factors)}."
        )
    return " ".join(sentences)
