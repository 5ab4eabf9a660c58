"""The law of every radius against its bound, with simultaneous confidence bands."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from figures import style
from figures.curves import draw_law
from figures.law_panels import JUDGED, count_outcomes, dress, law_grid, outcome_words, tag_bound
from figures.measured import ORIGIN, measured_on
from figures.registry import Drawing, Row, Value, figure
from figures.view import CERTIFIED, QUARTILE, SAMPLED, Pair, View, quantile_limits, seen_quantile
from figures.wording import symbol
from theory.arrays import FloatArray
from theory.verdict import Outcome

SPACE = {True: "latent $\\ell_2$ distance", False: "image $\\ell_2$ distance"}


def _grid(view: View, pairs: Sequence[Pair], quantity: str) -> tuple[FloatArray, bool]:
    bounds = [
        bound
        for pair in pairs
        for claim in (CERTIFIED, SAMPLED)
        if (bound := view.bound(claim, pair, quantity)) is not None
    ]
    return law_grid([pair.radii(quantity) for pair in pairs], bounds)


def _bounds_differ(view: View, pairs: Sequence[Pair], quantity: str, grid: FloatArray) -> bool:
    """Whether the classifiers' bounds are told apart by the eye: their class masses differ."""
    bounds = [view.bound(CERTIFIED, pair, quantity) for pair in pairs]
    curves = np.array([bound.upper(grid) for bound in bounds if bound is not None])
    return bool(curves.size and np.ptp(curves, axis=0).max() > 0.03)


def _draw_pair(
    axes: Axes,
    view: View,
    pair: Pair,
    quantity: str,
    grid: FloatArray,
    look: style.Look,
    tagged: bool,
) -> list[Row]:
    radii = pair.radii(quantity)
    columns = draw_law(axes, grid, radii, view.band(radii.n), look)
    for claim, name, strokes in (
        (CERTIFIED, "bound", style.BOUND),
        (SAMPLED, "bound_sampled_not_rigorous", style.SAMPLED),
    ):
        bound = view.bound(claim, pair, quantity)
        if bound is not None:
            columns[f"{name}_lower"], columns[f"{name}_upper"] = (
                bound.lower(grid),
                bound.upper(grid),
            )
            axes.plot(grid, columns[f"{name}_upper"], **strokes, zorder=5)
            if tagged:
                tag_bound(axes, grid, columns[f"{name}_upper"], look)
    limits, at = quantile_limits(radii), (seen_quantile(radii), QUARTILE)
    verdict = view.verdict(CERTIFIED, pair, quantity)
    violated = verdict is not None and verdict.outcome == Outcome.VIOLATED
    if np.isfinite(limits[1]):
        style.draw_interval(axes, at, limits, look, violated=violated)
    head: dict[str, Any] = {
        "generator": pair.generator,
        "classifier": pair.classifier,
        "quantity": quantity,
    }
    return [
        {**head, "eta": float(eta), **{name: float(c[i]) for name, c in columns.items()}}
        for i, eta in enumerate(grid)
    ]


def outcomes(view: View, claim: str, pairs: Sequence[Pair], quantity: str) -> Counter[str]:
    """Count the outcomes of one claim on one radius of these pairs."""
    return count_outcomes(view.verdict(claim, pair, quantity) for pair in pairs)


@figure(
    "laws",
    title="The law of each radius against its bound",
    needs=("radii", "class_masses", "modulus"),
    also=(*JUDGED, *ORIGIN),
)
def laws(view: View) -> Drawing:
    """Small multiples: a row a generator, a column a radius, a curve a classifier."""
    groups = view.by_generator()
    quantities = list(dict.fromkeys(q for pair in view.pairs for q in pair.quantities))
    known = style.looks(pair.classifier for pair in view.pairs)
    height = 0.95 + 1.3 * len(groups)
    drawn = style.new_figure(style.TEXT, height)
    panels = drawn.subplots(len(groups), len(quantities), squeeze=False, sharey=True)
    rows: list[Row] = []
    numbers: dict[str, Value] = {"n": max(p.radii(q).n for p in view.pairs for q in p.quantities)}
    for (generator, pairs), line in zip(groups.items(), panels, strict=True):
        for quantity, axes in zip(quantities, line, strict=True):
            shown = [pair for pair in pairs if quantity in pair.quantities]
            grid, log = _grid(view, shown, quantity)
            tagged = _bounds_differ(view, shown, quantity, grid)
            for pair in shown:
                look = known[pair.classifier]
                rows += _draw_pair(axes, view, pair, quantity, grid, look, tagged)
            counts = outcomes(view, CERTIFIED, shown, quantity)
            for outcome in Outcome:
                key = f"{generator}.{quantity}.{outcome.replace(' ', '_').lower()}"
                numbers[key] = counts.get(outcome, 0)
            dress(axes, grid, log)
            axes.set_title(f"${symbol(quantity)}$: {outcome_words(counts) or 'no bound'}")
        line[0].set_ylabel(f"{generator}\n" + r"$\Pr(r \leq \eta)$", linespacing=1.4)
    for quantity, axes in zip(quantities, panels[-1], strict=True):
        axes.set_xlabel(f"$\\eta$, {SPACE[quantity.startswith('r_latent')]}")
    columns = 4 if len(known) > 2 else 3
    legend = _legend(known)
    drawn.legend(handles=legend, loc="outside lower center", ncols=columns, columnspacing=1.4)
    numbers |= {"level": view.level, "laws": view.n_laws, "band": view.band(int(numbers["n"] or 1))}
    return Drawing(drawn, rows, numbers, _caption(view, numbers))


def _legend(known: dict[str, style.Look]) -> list[Any]:
    grey = style.QUIET
    return [
        *style.legend_entries(known),
        Line2D([], [], **style.BOUND, label="bound, certified modulus"),
        Line2D([], [], **style.SAMPLED, label="bound, sampled modulus (not rigorous)"),
        Line2D([], [], color=grey, **style.CERTIFIED_END, label="law of certified ends"),
        Patch(color=grey, alpha=0.25, lw=0, label="confidence band"),
    ]


def _caption(view: View, numbers: dict[str, Value]) -> str:
    return (
        f"The empirical law of each radius ({numbers['n']} points a curve) against the lower bound"
        " of Theorem 1 on it. Solid step: law of the distances at which an attack changed the"
        " label, so the true law is at least as high. Dashed: law of the certified distances, so"
        " the true law is at most as high; where there is no certificate it is 1 everywhere and"
        " not drawn. The bands below and above them hold for all"
        f" {view.n_laws} laws at once with probability {1 - view.alpha:g}. The marker is the 25th"
        " percentile with its confidence interval, hollow where its lower end is 0. Where the"
        " bounds of the classifiers differ visibly, because their class masses do, each carries its"
        " classifier's mark; where the two kinds of bound coincide only one is seen. Above each"
        " panel: outcomes with the certified modulus; HOLDS is a law that lies above the bound with"
        " its whole band from where the bound is four bands high to where two are left above it."
        " The bound from the sampled modulus is not rigorous."
        f" {measured_on(view, [pair.record for pair in view.pairs])}"
    )
