"""Spheres, cubes and products: the printed bounds, their best constants, and exact laws."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy import optimize, stats

from figures import style
from figures.plates.forms import EXACT, PRINTED
from figures.registry import Drawing, Row, figure
from figures.wording import number
from theory.arrays import FloatArray
from theory.claims.gilmer2018 import Metric, asymptotic_mean_distance, mean_cap_distance
from theory.claims.shafahi2019 import (
    cube_log_survival_upper_bound,
    cube_quantile_upper_bound,
    hamming_log_survival_upper_bound,
    hamming_quantile_upper_bound,
    sphere_log_survival_upper_bound,
    sphere_quantile_upper_bound,
)
from theory.concentration import hamming_enlargement_count, hamming_log_survival

_PIXELS, _DIMENSION = 784, 500
"""Images of 28 x 28; the sphere of the paper on adversarial spheres."""
_UNIFORM = 0.0
"""The logarithm of a uniform density."""
_FLOOR, _GOAL, _RISK = 1e-6, 0.99, 0.01
_SECOND = "#0072B2"
_STROKES: dict[str, dict[str, Any]] = {
    "exact": {"color": style.QUIET, **EXACT},
    "printed": {"color": style.INK, **PRINTED},
    "talagrand": {"color": _SECOND, "lw": 1.1},
    "sharp": {"color": style.INK, "lw": 1.1},
}
_RISKS = np.geomspace(1e-6, 0.5, 181)
_METRICS: tuple[Metric, ...] = ("geodesic", "chord")


@figure("spaces", title="Spheres, cubes and products", needs=None)
def spaces() -> Drawing:
    """Three panels of what may stay farther away, and the mean distance on a sphere."""
    drawn = style.new_figure(style.TEXT, 4.4)
    a, b, c, d, quotient = drawn.subplot_mosaic("ab;cd;ce", height_ratios=(1.8, 1, 0.65)).values()
    rows = _sphere(a) + _cube(b) + _hamming(c)
    found, numbers = _mean_distance(d, quotient)
    a.set_title(f"(a) sphere, $n = {_PIXELS}$")
    b.set_title("(b) cube, any $n$")
    c.set_title(f"(c) cube, coordinates changed, $n = {_PIXELS}$")
    d.set_title(f"(d) sphere, $n = {_DIMENSION}$")
    for axes in (a, b, c):
        axes.set(yscale="log", ylim=(_FLOOR, 1.4))
        axes.set_xlim(left=0)
        axes.legend(loc="upper right" if axes is c else "lower left", borderaxespad=0.2)
    return Drawing(drawn, rows + found, numbers | _reached(), _caption(numbers))


def _draw(
    axes: Axes,
    panel: str,
    at: FloatArray,
    curves: Mapping[str, tuple[FloatArray, str]],
) -> list[Row]:
    """Draw log survivals, one over the other, and return the rows."""
    rows: list[Row] = []
    for name, (curve, words) in curves.items():
        # A bound of 1 says nothing.
        survival = np.where(curve < 0, np.exp(curve), np.nan)
        axes.plot(at, survival, **_STROKES[name], label=words)
        rows += [
            {"panel": panel, "series": name, "x": float(x), "value": float(value)}
            for x, value in zip(at, survival, strict=True)
            if np.isfinite(value)
        ]
    return rows


def _sphere(axes: Axes) -> list[Row]:
    at = np.linspace(0.0, 0.2, 201)
    curves = {
        name: (sphere_log_survival_upper_bound(at, _UNIFORM, _PIXELS, form=name), words)
        for name, words in (
            ("exact", "exact cap"),
            ("printed", r"printed, $\sqrt{\pi/8}$"),
            ("sharp", "best constant, $1/2$"),
        )
    }
    axes.set_xlabel(r"$\epsilon$, geodesic distance, radians")
    axes.set_ylabel(r"bound on $\Pr(d > \epsilon)$")
    axes.set_xlim(right=at[-1])
    return _draw(axes, "sphere", at, curves)


def _cube(axes: Axes) -> list[Row]:
    at = np.linspace(0.0, 2.0, 201)
    curves = {
        name: (cube_log_survival_upper_bound(at, _UNIFORM, _PIXELS, form=name), words)
        for name, words in (("printed", "printed"), ("sharp", "without the tail estimate"))
    }
    axes.set_xlabel(r"$\epsilon$, $\ell_2$ distance")
    axes.set_xlim(right=at[-1])
    return _draw(axes, "cube", at, curves)


def _hamming(axes: Axes) -> list[Row]:
    at = np.arange(161.0)
    printed = hamming_log_survival_upper_bound(at, _UNIFORM, _PIXELS, form="printed")
    curves = {
        # The class is a majority of coordinates above 1/2: with k more than that, k changes leave
        # a point in it.
        "exact": (stats.binom.logsf(_PIXELS // 2 + at, _PIXELS, 0.5), "exact, a majority"),
        "printed": (printed, "printed"),
        "talagrand": (hamming_log_survival(0.5, at, _PIXELS, "talagrand"), "the same at $k + 1$"),
        "sharp": (hamming_log_survival(0.5, at, _PIXELS), "bounded differences"),
    }
    axes.set_xlabel("$k$, coordinates changed")
    axes.set_ylabel(r"bound on $\Pr(d > k)$")
    axes.set_xlim(right=at[-1])
    return _draw(axes, "hamming", at, curves)


def _mean_distance(upper: Axes, lower: Axes) -> tuple[list[Row], dict[str, float]]:
    exact: dict[str, FloatArray] = {
        metric: mean_cap_distance(_RISKS, _DIMENSION, metric) for metric in _METRICS
    }
    printed = asymptotic_mean_distance(_RISKS, _DIMENSION)
    quotients: dict[str, FloatArray] = {metric: printed / exact[metric] for metric in _METRICS}
    upper.plot(_RISKS, exact["geodesic"], **_STROKES["exact"], label="exact cap")
    upper.plot(_RISKS, printed, **_STROKES["printed"], label="printed rate")
    lower.axhline(1, **_STROKES["exact"])
    for metric, colour in zip(_METRICS, (style.INK, _SECOND), strict=True):
        lower.plot(_RISKS, quotients[metric], color=colour, lw=1.1, label=metric)
    for axes in (upper, lower):
        axes.set(xscale="log", xlim=(_RISKS[0], _RISKS[-1]))
        axes.legend(loc="lower left", handlelength=1.6, borderaxespad=0.2)
    upper.set_ylim(0, None)
    upper.tick_params(labelbottom=False)
    upper.set_ylabel(r"$\mathbf{E}\, d$, radians")
    lower.set_ylim(0.965, 1.012)
    lower.set_ylabel("rate / exact")
    lower.set_xlabel(r"$\rho$, measure of the errors")
    rows = _mean_rows("mean distance", {"exact": exact["geodesic"], "printed": printed})
    return rows + _mean_rows("quotient", quotients), _mean_numbers()


def _mean_numbers() -> dict[str, float]:
    rate, rare = (float(asymptotic_mean_distance(r, _DIMENSION)) for r in (_RISK, _RISKS[0]))
    numbers: dict[str, float] = {
        "n": _PIXELS,
        "mean_n": _DIMENSION,
        "mean.risk_percent": 100 * _RISK,
        "mean.least_risk": float(_RISKS[0]),
        "mean.printed": rate,
    }
    for metric in _METRICS:
        value, most = (float(mean_cap_distance(r, _DIMENSION, metric)) for r in (_RISK, _RISKS[0]))
        numbers[f"mean.{metric}"] = value
        numbers[f"mean.{metric}_missing_percent"] = 100 * (1 - rate / value)
        numbers[f"mean.{metric}_excess_percent"] = 100 * (rare / most - 1)
        numbers[f"mean.{metric}_crosses_at"] = _crossing(metric)
    return numbers


def _mean_rows(panel: str, curves: Mapping[str, FloatArray]) -> list[Row]:
    return [
        {"panel": panel, "series": name, "x": float(x), "value": float(value)}
        for name, curve in curves.items()
        for x, value in zip(_RISKS, curve, strict=True)
    ]


def _crossing(metric: Metric) -> float:
    """Return the risk below which the printed rate is above the exact mean distance."""

    def excess(log_risk: float) -> float:
        risk = np.exp(log_risk)
        rate = asymptotic_mean_distance(risk, _DIMENSION)
        return float(rate - mean_cap_distance(risk, _DIMENSION, metric))

    return float(np.exp(optimize.brentq(excess, np.log(_RISKS[0]), np.log(0.4))))


def _reached() -> dict[str, float]:
    """Return the distance at which each form promises an error to 99 of 100 points."""
    quantiles: dict[str, tuple[Callable[..., FloatArray], tuple[str, ...]]] = {
        "sphere": (sphere_quantile_upper_bound, ("printed", "sharp", "exact")),
        "cube": (cube_quantile_upper_bound, ("printed", "sharp")),
        "hamming": (hamming_quantile_upper_bound, ("printed", "sharp")),
    }
    found: dict[str, float] = {
        f"{space}.{form}": float(quantile(_GOAL, _UNIFORM, _PIXELS, form=form))
        for space, (quantile, forms) in quantiles.items()
        for form in forms
    }
    found["hamming.talagrand"] = float(hamming_enlargement_count(_GOAL, 0.5, _PIXELS, "talagrand"))
    found["hamming.exact"] = float(stats.binom.isf(1 - _GOAL, _PIXELS, 0.5)) - _PIXELS // 2
    found |= {key: int(value) for key, value in found.items() if key.startswith("hamming")}
    return found | {"goal_percent": 100 * _GOAL}


def _caption(numbers: Mapping[str, float]) -> str:
    geodesic, chord = (number(numbers[f"mean.{m}_crosses_at"], 2) for m in _METRICS)
    return (
        "Spaces other than Gauss's. (a) to (c): upper bounds on the probability that no error is"
        " that near to a point of a class of uniform density, if the classifier gives the class at"
        " most half of the space; as printed and improved; bounds of 1 are not drawn. (a) By the"
        " geodesic distance; exact: half of the sphere. (b) By the $\\ell_2$ distance. (c) By the"
        " number of coordinates that change; exact: the class is a majority of coordinates above"
        " $1/2$. (d) Mean distance to errors of measure $\\rho$: the exact maximum, and the printed"
        " rate with the constant 1; below, their quotient for both distances, which falls to 0 at"
        f" $1/2$. The rate is above the maximum for errors of measure below {geodesic} (chord:"
        f" {chord}), and less than it beyond."
    )
