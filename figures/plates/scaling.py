"""How the bound on the 25th percentile scales with dimension and classes, and how sharp it is."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from figures import style
from figures.plates.forms import EXACT, LATENT, PRINTED
from figures.registry import Drawing, Row, figure
from figures.view import QUARTILE
from figures.wording import number
from theory.arrays import FloatArray
from theory.claims.fawzi2018 import equiprobable_quantile_upper_bound
from theory.claims.fawzi2018.corollaries import PRINTED_FROM, Form
from theory.gaussian import argmax_family_quantile, expected_norm

CITED: dict[str, Any] = {"classes": 10, "dimension": 100, "printed": "16e-3"}
"""The latent bound in the first table of Fawzi et al. (2018), section 4, as it is printed."""

_COLOURS = {2: "#0072B2", 10: style.INK, 100: "#009E73"}
"""Black is the number of classes of the paper's data."""
_DIMENSIONS = np.unique(np.round(np.geomspace(10, 1e5, 121))).astype(int)
_COUNTS = np.unique(np.round(np.append(np.geomspace(2, 1e6, 121), [10, 100]))).astype(int)
_STROKES: dict[str, dict[str, Any]] = {"exact": EXACT, "printed": PRINTED, "bound": {"lw": 1.1}}
_CITATION: dict[str, Any] = {
    "color": "#D55E00",
    "marker": "D",
    "ms": 4,
    "ls": "none",
    "zorder": 6,
}


def quartile_bound(n_classes: FloatArray, form: Form = "sharp") -> FloatArray:
    """Return the bound on the 25th percentile of r_latent, in latent units.

    Parameters
    ----------
    n_classes : ndarray
        K, classes of equal mass.
    form : {"sharp", "printed"}

    Returns
    -------
    ndarray
        NaN where the printed form is not defined.

    Examples
    --------
    >>> quartile_bound(np.array([2, 10]), "printed").round(6).tolist()
    [nan, 0.392072]
    """
    k = np.asarray(n_classes)
    # Below its first number of classes the printed form is evaluated there, and not shown.
    said = np.maximum(k, PRINTED_FROM) if form == "printed" else k
    bound = equiprobable_quantile_upper_bound(QUARTILE, LATENT, said, form=form)
    return np.where(said == k, bound, np.nan)


@figure("scaling", title="The bound against dimension and number of classes", needs=None)
def scaling() -> Drawing:
    """Normalised against d and against K; below the latter, how far it is from an exact law."""
    drawn = style.new_figure(style.TEXT, 3.6)
    left, upper, lower = drawn.subplot_mosaic("dk;dr", height_ratios=(1.35, 1)).values()
    rows = _against_dimension(left)
    found, numbers = _against_classes(upper, lower)
    rows += found
    handles = [
        Line2D([], [], color=style.INK, lw=1.1, label="bound (3), best form"),
        Line2D([], [], color=style.INK, **PRINTED, label="form (5), as printed"),
        Line2D([], [], color=style.INK, **EXACT, label="exact: largest of $K$ coordinates"),
        Line2D([], [], **_CITATION, label="printed value"),
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=4, columnspacing=1.2)
    return Drawing(drawn, rows, numbers, _caption(numbers))


def _row(panel: str, series: str, k: int, d: int | None, value: float) -> Row:
    return {"panel": panel, "series": series, "classes": k, "dimension": d, "value": float(value)}


def _cite(axes: Axes, panel: str, at: int) -> Row:
    value = float(CITED["printed"])
    axes.plot(at, value, **_CITATION)
    return _row(panel, "cited", CITED["classes"], CITED["dimension"], value)


def _against_dimension(axes: Axes) -> list[Row]:
    rows: list[Row] = []
    norms = np.array([expected_norm(int(d)) for d in _DIMENSIONS])
    for k, colour in _COLOURS.items():
        curves = {
            # The family takes K coordinates.
            "exact": np.where(k <= _DIMENSIONS, argmax_family_quantile(QUARTILE, k), np.nan),
            "printed": np.full(norms.shape, quartile_bound(np.array(k), "printed")),
            "bound": np.full(norms.shape, quartile_bound(np.array(k))),
        }
        for name, curve in curves.items():
            axes.plot(_DIMENSIONS, curve / norms, color=colour, **_STROKES[name])
            rows += [
                _row("dimension", name, k, int(d), value)
                for d, value in zip(_DIMENSIONS, curve / norms, strict=True)
                if np.isfinite(value)
            ]
    rows.append(_cite(axes, "dimension", CITED["dimension"]))
    axes.set(xscale="log", yscale="log", xlim=(10, 1e5), ylim=(2e-4, None))
    axes.set_xlabel("$d$, latent dimension")
    axes.set_ylabel(r"25th percentile of $r_{\mathrm{latent}}\,/\,\mathbf{E}\,\Vert z\Vert$")
    ends = [Line2D([], [], color=c, lw=1.1, label=f"$K = {k}$") for k, c in _COLOURS.items()]
    axes.legend(handles=ends, loc="lower left", handlelength=1.2)
    return rows


def _against_classes(upper: Axes, lower: Axes) -> tuple[list[Row], dict[str, float]]:
    d = CITED["dimension"]
    norm = expected_norm(d)
    bound, printed = quartile_bound(_COUNTS), quartile_bound(_COUNTS, "printed")
    exact = np.array([float(argmax_family_quantile(QUARTILE, int(k))) for k in _COUNTS])
    # In d dimensions there is room for d coordinates; the quotients do not depend on d.
    here = np.where(d >= _COUNTS, exact, np.nan)
    rows: list[Row] = []
    for axes, panel, curves in (
        (upper, "classes", {"exact": here, "printed": printed, "bound": bound}),
        (lower, "quotient", {"printed": printed / exact, "bound": bound / exact}),
    ):
        unit = norm if panel == "classes" else 1.0
        for name, curve in curves.items():
            axes.plot(_COUNTS, curve / unit, color=style.INK, **_STROKES[name])
            rows += [
                _row(panel, name, int(k), d if panel == "classes" else None, value)
                for k, value in zip(_COUNTS, curve / unit, strict=True)
                if np.isfinite(value)
            ]
        axes.set(xscale="log", xlim=(2, 1e6))
    lower.axhline(1, color=style.INK, **EXACT)
    upper.set(yscale="log", ylim=(4e-3, 0.1))
    upper.set_ylabel(f"the same, $d = {d}$")
    upper.tick_params(labelbottom=False)
    lower.set(ylim=(0.8, 4))
    lower.set_ylabel("divided by exact")
    lower.set_xlabel("$K$, number of classes of equal mass")
    rows.append(_cite(upper, "classes", CITED["classes"]))
    return rows, _numbers(norm)


def _numbers(norm: float) -> dict[str, float]:
    k = CITED["classes"]
    numbers: dict[str, float] = {
        "cited": float(CITED["printed"]),
        "bound": float(quartile_bound(np.array(k))) / norm,
        "printed": float(quartile_bound(np.array(k), "printed")) / norm,
        "exact": float(argmax_family_quantile(QUARTILE, k)) / norm,
        "printed_from": PRINTED_FROM,
    }
    for n in (2, k, 100, int(_COUNTS[-1])):
        exact = float(argmax_family_quantile(QUARTILE, n))
        numbers[f"{n}.over_exact"] = float(quartile_bound(np.array(n))) / exact
        if n >= PRINTED_FROM:
            numbers[f"{n}.printed_over_exact"] = (
                float(quartile_bound(np.array(n), "printed")) / exact
            )
    return numbers


def _caption(numbers: dict[str, float]) -> str:
    k, d = CITED["classes"], CITED["dimension"]
    return (
        "Upper bound on the 25th percentile of $r_{\\mathrm{latent}} / \\mathbf{E}\\Vert z\\Vert$"
        " for $K$ classes of equal mass, from the general form (3) and from the printed form (5),"
        f" and its exact value for the largest of $K$ coordinates (drawn where $d \\ge K$)."
        f" Left: against the latent dimension. Right: against the number of classes, for"
        f" $d = {d}$, and below it both bounds divided by the exact value, which does not depend"
        f" on $d$. The marker is the value printed in the paper for $K = {k}$ and $d = {d}$,"
        f" {CITED['printed']}; computed, it is"
        f" {number(numbers['bound'], 4)}, and {number(numbers['printed'], 3)} by the"
        " printed form."
    )
