"""The bound against the number of classes, with what was measured."""

import numpy as np

from figures import style
from figures.law_panels import JUDGED
from figures.markers import Percentile, draw_percentiles, legend_below, new_panels
from figures.measured import ORIGIN, measured_on
from figures.registry import Drawing, Row, Value, figure
from figures.view import QUARTILE, NothingToDraw, View
from theory.claims.fawzi2018 import equiprobable_quantile_upper_bound
from theory.gaussian import mean_survival
from theory.modulus import LipschitzModulus

_QUANTITY = "r_latent[l2]"
LATENT = LipschitzModulus(1.0)
"""Latent distances are their own: the modulus of the identity."""
_TICKS = (2, 3, 5, 10, 20, 50, 100, 1000)


@figure(
    "classes",
    title="The bound against the number of classes",
    needs=("radii", "class_masses"),
    also=(*JUDGED, *ORIGIN),
)
def classes(view: View) -> Drawing:
    """Latent distances, where the bound depends on the class masses alone."""
    pairs = [pair for pair in view.all_pairs if _QUANTITY in pair.quantities]
    if not pairs:
        raise NothingToDraw("no latent radii")
    drawn, axes, beside = new_panels()
    ks = np.unique(np.round(np.geomspace(2, 1000, 120)))
    rows: list[Row] = []
    quartiles, medians = (equiprobable_quantile_upper_bound(q, LATENT, ks) for q in (QUARTILE, 0.5))
    for name, curve, ink, dash in (
        ("25th percentile", quartiles, style.INK, "-"),
        ("median", medians, style.QUIET, (0, (4, 1.5))),
        ("mean", ks * mean_survival(1.0 / ks), style.QUIET, (0, (5, 1.2, 1.2, 1.2))),
    ):
        axes.plot(ks, curve, color=ink, lw=1.1, ls=dash, label=f"bound, {name}")
        rows += [
            {"series": f"bound, {name}", "x": int(k), "upper": float(v)}
            for k, v in zip(ks, curve, strict=True)
        ]
    axes.set_xscale("log")
    shown = [Percentile(pair.n_classes, pair) for pair in pairs]
    rows += draw_percentiles(axes, beside, view, shown, _QUANTITY)
    beside.set_ylim(0, None)
    axes.set_xlim(1.7, 1000)
    axes.set_ylim(0, None)
    axes.set_xticks(_TICKS, [str(tick) for tick in _TICKS])
    axes.minorticks_off()
    axes.set_xlabel("$K$, number of classes (lines: of equal mass)")
    axes.set_ylabel("$r_{\\mathrm{latent}}$, latent $\\ell_2$ distance")
    legend_below(axes, shown)
    numbers: dict[str, Value] = {
        f"bound_q25_{k}": float(equiprobable_quantile_upper_bound(QUARTILE, LATENT, k))
        for k in sorted({2, 10, 100, 1000, *(point.x for point in shown)})
    }
    numbers |= {"bound_mean_10": float(10 * mean_survival(0.1))}
    origin = measured_on(view, [pair.record for pair in pairs])
    return Drawing(drawn, rows, numbers, f"{_CAPTION} {origin}")


_CAPTION = (
    "Left: upper bounds on the 25th percentile, the median and the mean of the latent robustness of"
    " any classifier with $K$ classes of equal mass (lines), and the measured 25th percentile of"
    " every classifier (markers, hollow where nothing is certified). Right: these percentiles one"
    " by one, the classifiers of one generator together: marker, the distances that the attack"
    " found; solid bar, up to their upper 95% confidence limit; dashed bar, down to what is"
    " certified; black dash, the 25th percentile's bound for the classifier's own class masses."
    " More classes leave less room for robustness; classes that are not of equal mass leave more."
)
