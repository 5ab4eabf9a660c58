"""The normalised bound against the latent dimension, with what was measured."""

import numpy as np

from figures import style
from figures.law_panels import JUDGED
from figures.markers import Percentile, draw_percentiles, legend_below, new_panels
from figures.measured import ORIGIN, measured_on
from figures.plates.classes import LATENT
from figures.registry import Drawing, Row, Value, figure
from figures.view import QUARTILE, NothingToDraw, Pair, View
from theory.claims.fawzi2018 import equiprobable_quantile_upper_bound
from theory.gaussian import expected_norm

_QUANTITY = "r_latent[l2]"
_TICKS = (1, 10, 100, 1000)
_ENDS = ("lower", "seen", "upper", "own_bound")
_DASHES = ("-", (0, (4, 1.5)), (0, (5, 1.2, 1.2, 1.2)), (0, (1, 1.3)))


def _measurable(pair: Pair) -> bool:
    known = "latent_dimension" in pair.facts and pair.scale(_QUANTITY)
    return _QUANTITY in pair.quantities and bool(known)


@figure(
    "dimension",
    title="The normalised bound against the latent dimension",
    needs=("radii", "class_masses", "modulus"),
    also=(*JUDGED, *ORIGIN),
)
def dimension(view: View) -> Drawing:
    """25th percentile of r_latent / E||z||: the bound falls as one over the root of d."""
    pairs = [pair for pair in view.all_pairs if _measurable(pair)]
    if not pairs:
        raise NothingToDraw("no latent radii with a known latent dimension")
    drawn, axes, beside = new_panels()
    dimensions = np.unique(np.round(np.geomspace(1, 1000, 90))).astype(int)
    norms = np.array([expected_norm(int(d)) for d in dimensions])
    rows: list[Row] = []
    counts = sorted({pair.n_classes for pair in pairs} | {2, 10})
    for i, k in enumerate(counts):
        curve = equiprobable_quantile_upper_bound(QUARTILE, LATENT, k) / norms
        dash = _DASHES[i % len(_DASHES)]
        axes.plot(dimensions, curve, color=style.INK, lw=1.1, ls=dash, label=f"bound, $K = {k}$")
        rows += [
            {"series": f"bound, K = {k}", "x": int(d), "upper": float(v)}
            for d, v in zip(dimensions, curve, strict=True)
        ]
    shown = [
        Percentile(int(pair.facts["latent_dimension"]), pair, pair.scale(_QUANTITY) or 1.0)
        for pair in pairs
    ]
    axes.set_xscale("log")
    axes.set_yscale("log")
    beside.set_yscale("log")
    measured = draw_percentiles(axes, beside, view, shown, _QUANTITY)
    rows += measured
    drawn_at = [float(row[key] or 0) for row in measured for key in _ENDS if row.get(key)]
    if drawn_at:
        beside.set_ylim(min(drawn_at) / 1.6, max(drawn_at) * 1.3)
    axes.set_xlim(1, 1000)
    axes.set_xticks(_TICKS, [str(tick) for tick in _TICKS])
    axes.set_xlabel("$d$, latent dimension")
    axes.set_ylabel("25th percentile of\n" + r"$r_{\mathrm{latent}}\,/\,\mathbf{E}\,\Vert z\Vert$")
    legend_below(axes, shown)
    numbers: dict[str, Value] = {
        f"bound_{k}_at_{d}": float(
            equiprobable_quantile_upper_bound(QUARTILE, LATENT, k) / expected_norm(d)
        )
        for k in counts
        for d in sorted({100, *(point.x for point in shown)})
    }
    origin = measured_on(view, [pair.record for pair in pairs])
    return Drawing(drawn, rows, numbers, f"{_CAPTION} {origin}")


_CAPTION = (
    r"Left: upper bound on the 25th percentile of $r_{\mathrm{latent}} / \mathbf{E}\Vert z\Vert$"
    " for $K$ classes of equal mass (lines) against the latent dimension, and the measured values"
    " (markers, hollow where nothing is certified). Right: these values one by one, the classifiers"
    " of one generator together: marker, the distances that the attack found; solid bar, up to"
    " their upper 95% confidence limit; dashed bar, down to what is certified (hollow marker: to"
    " the edge, as nothing is); black dash, the bound for the classifier's own class masses."
    " The latent bound itself does not depend on the dimension; the typical length of a latent"
    " vector grows as its root."
)
