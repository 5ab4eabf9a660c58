"""Closed-form families: measured law, exact law, bound, and how far they are from one another."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from figures import style
from figures.curves import draw_law, law_on
from figures.registry import Drawing, Row, Value, figure
from figures.view import CERTIFIED, NothingToDraw, Pair, View
from theory.arrays import FloatArray
from theory.claims.fawzi2018 import cdf_lower_bound
from theory.gaussian import argmax_family_cdf
from theory.modulus import LipschitzModulus

_POINTS = 161
_QUANTITY = "r_latent[l2]"


def exact_law(pair: Pair, eta: FloatArray) -> FloatArray:
    """Return P(r <= eta) of a closed-form family.

    Raises
    ------
    NothingToDraw
        If no law of this family is known here.
    """
    family = pair.facts["exact_law"]["family"]
    if family == "half_space":
        # Two half-spaces attain the bound: the law of the distance to a hyperplane.
        return cdf_lower_bound(eta, LipschitzModulus(1.0), pair.facts["class_masses"])
    if family == "argmax":
        return argmax_family_cdf(eta, pair.n_classes)
    raise NothingToDraw(f"the exact law of the family '{family}' is not known")


@figure(
    "families", title="Closed-form families", needs=("radii", "class_masses"), also=("modulus",)
)
def families(view: View) -> Drawing:
    """A column a family: the laws above, their differences from the exact law below."""
    pairs = [pair for pair in view.families if _QUANTITY in pair.quantities]
    if not pairs:
        raise NothingToDraw("no radii of a closed-form family")
    known = style.looks(pair.classifier for pair in pairs)
    drawn = style.new_figure(min(style.TEXT, 0.6 + 2.45 * len(pairs)), 3.4)
    panels = drawn.subplots(
        2, len(pairs), squeeze=False, sharex="col", sharey="row", height_ratios=(1.9, 1)
    )
    rows: list[Row] = []
    numbers: dict[str, Value] = {}
    for pair, (top, bottom) in zip(pairs, panels.T, strict=True):
        found, largest = _draw_family(view, pair, top, bottom, known[pair.classifier])
        rows += found
        numbers[f"{pair.classifier}.n"] = pair.radii(_QUANTITY).n
        numbers[f"{pair.classifier}.classes"] = pair.n_classes
        numbers[f"{pair.classifier}.largest_difference"] = largest
        numbers[f"{pair.classifier}.band"] = view.band(pair.radii(_QUANTITY).n)
        verdict = view.verdict(CERTIFIED, pair, _QUANTITY)
        outcome = verdict.outcome if verdict else "no verdict"
        numbers[f"{pair.classifier}.outcome"] = outcome
        top.set_title(f"{pair.name}, $K = {pair.n_classes}$: {outcome}")
        bottom.set_xlabel("$\\eta$, latent $\\ell_2$ distance")
    for key in ("largest_difference", "band"):
        numbers[f"all.{key}"] = max(float(numbers[f"{p.classifier}.{key}"] or 0) for p in pairs)
    panels[0, 0].set_ylabel(r"$\Pr(r_{\mathrm{latent}} \leq \eta)$")
    panels[1, 0].set_ylabel("difference\nfrom exact")
    drawn.align_ylabels(panels[:, 0])
    grey: dict[str, Any] = {"color": style.QUIET}
    handles = [
        Line2D([], [], **grey, lw=1, label="law found by the attack"),
        Line2D([], [], **grey, **style.CERTIFIED_END, label="law of certified ends"),
        Line2D([], [], **grey, lw=2.4, alpha=0.35, label="exact law"),
        Line2D([], [], **style.BOUND, label="bound of Theorem 1"),
        Patch(**grey, alpha=0.25, lw=0, label="confidence band"),
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=3)
    return Drawing(drawn, rows, numbers, _caption(numbers, pairs))


def _draw_family(
    view: View, pair: Pair, top: Axes, bottom: Axes, look: style.Look
) -> tuple[list[Row], float]:
    radii = pair.radii(_QUANTITY)
    stop = float(np.quantile(radii.upper[np.isfinite(radii.upper)], 0.995))
    grid = np.linspace(0.0, stop, _POINTS)
    exact = exact_law(pair, grid)
    found = view.bound(CERTIFIED, pair, _QUANTITY)
    bound = found.upper(grid) if found else np.full_like(grid, np.nan)
    band = view.band(radii.n)
    exactly: dict[str, Any] = {"color": style.QUIET, "lw": 2.6, "alpha": 0.35}
    for axes, base in ((top, np.zeros_like(grid)), (bottom, exact)):
        axes.plot(grid, exact - base, **exactly)
        curves = draw_law(axes, grid, radii, band, look, base)
        axes.plot(grid, bound - base, **style.BOUND)
    top.set_ylim(0, 1.02)
    top.set_xlim(0, stop)
    # At points of the sample, where the largest difference is attained, not at those of the grid.
    points = np.sort(radii.upper[np.isfinite(radii.upper)])
    points = points[:: max(1, points.size // 400)]
    difference = float(np.abs(law_on(points, radii.upper) - exact_law(pair, points)).max())
    head: dict[str, Any] = {"family": pair.classifier, "classes": pair.n_classes}
    columns = {**curves, "exact": exact, "bound": bound}
    rows: list[Row] = [
        {**head, "eta": float(eta), **{name: float(c[i]) for name, c in columns.items()}}
        for i, eta in enumerate(grid)
    ]
    return rows, difference


def _caption(numbers: dict[str, Value], pairs: list[Pair]) -> str:
    differences = "; ".join(
        f"{pair.name}: {numbers[f'{pair.classifier}.largest_difference']:.3f}" for pair in pairs
    )
    return (
        "Classifiers of latent space whose law of robustness is known exactly. Above: the law"
        " of the distances found and of those certified, with the bands outside them, the exact"
        " law and the bound; below: the same minus the exact law. A half-space"
        " attains the bound, so no sample can lie above it by more than its band and UNDECIDED is"
        " the right outcome; more than two classes never attain it. Largest difference between"
        f" the law found by the attack and the exact one: {differences}."
    )
