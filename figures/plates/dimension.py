"""The normalised bound against the latent dimension, with what was measured."""

import numpy as np

from figures import style
from figures.markers import draw_percentiles, legend_below, look_of
from figures.plates.classes import LATENT
from figures.registry import Drawing, Row, Value, figure
from figures.view import QUARTILE, NothingToDraw, Pair, View
from theory.claims.fawzi2018 import equiprobable_quantile_upper_bound
from theory.gaussian import expected_norm

_QUANTITY = "r_latent[l2]"
_TICKS = (1, 2, 5, 10, 20, 50, 100, 1000)
_DASHES = ("-", (0, (4, 1.5)), (0, (5, 1.2, 1.2, 1.2)), (0, (1, 1.3)))


def _measurable(pair: Pair) -> bool:
    known = "latent_dimension" in pair.facts and pair.scale(_QUANTITY)
    return _QUANTITY in pair.quantities and bool(known)


@figure(
    "dimension",
    title="The normalised bound against the latent dimension",
    needs=("radii", "class_masses", "modulus"),
)
def dimension(view: View) -> Drawing:
    """25th percentile of r_latent / E||z||: the bound falls as one over the root of d."""
    pairs = [pair for pair in view.all_pairs if _measurable(pair)]
    if not pairs:
        raise NothingToDraw("no latent radii with a known latent dimension")
    known = look_of(pairs)
    drawn = style.new_figure(style.TEXT, 2.75)
    axes = drawn.subplots()
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
    groups: dict[int, list[tuple[Pair, float]]] = {}
    for pair in pairs:
        d = int(pair.facts["latent_dimension"])
        groups.setdefault(d, []).append((pair, pair.scale(_QUANTITY) or 1.0))
    axes.set_xscale("log")
    axes.set_yscale("log")
    measured = draw_percentiles(axes, view, groups, _QUANTITY, known, 0.09)
    rows += measured
    shown = [float(row["seen"] or 0) for row in measured]
    shown += [float(row["lower"] or 0) for row in measured if row["lower"]]
    uppers = [float(row["upper"] or 0) for row in measured]
    axes.set_ylim(min([*shown, 0.005]) / 1.6, max([0.5, *uppers]) * 1.3)
    axes.set_xlim(1, 1000)
    axes.set_xticks(_TICKS, [str(tick) for tick in _TICKS])
    axes.xaxis.minorticks_off()
    axes.set_xlabel("$d$, latent dimension")
    axes.set_ylabel(r"25th percentile of $r_{\mathrm{latent}}\,/\,\mathbf{E}\,\Vert z\Vert$")
    legend_below(axes, known, 4)
    numbers: dict[str, Value] = {
        f"bound_{k}_at_{d}": float(
            equiprobable_quantile_upper_bound(QUARTILE, LATENT, k) / expected_norm(d)
        )
        for k in counts
        for d in sorted({100, *groups})
    }
    return Drawing(drawn, rows, numbers, _CAPTION)


_CAPTION = (
    r"Upper bound on the 25th percentile of $r_{\mathrm{latent}} / \mathbf{E}\Vert z\Vert$ for $K$"
    " classes of equal mass (lines) against the latent dimension, and the measured values: marker,"
    " the distances that the attack found; solid bar, up to their upper 95% confidence limit;"
    " dashed bar, down to what is certified (hollow marker: nothing is, and the bar runs to the"
    " edge). Markers of one dimension are drawn side by side, each with a black dash at the bound"
    " for the classifier's own class masses. The latent bound itself does not"
    " depend on the dimension; the typical length of a latent vector grows as its root."
)
