"""The forms of Theorem 1 for equal classes, against a law that is known exactly."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from figures import style
from figures.registry import Drawing, Row, Value, figure
from figures.wording import number
from theory.arrays import FloatArray
from theory.claims.fawzi2018 import (
    balanced_log_survival_upper_bound,
    equiprobable_log_survival_upper_bound,
    equiprobable_quantile_upper_bound,
)
from theory.claims.fawzi2018.corollaries import PRINTED_FROM
from theory.gaussian import argmax_family_log_survival, argmax_family_quantile
from theory.modulus import LipschitzModulus

PRINTED: dict[str, Any] = {"lw": 1.0, "ls": (0, (5, 1.2, 1.2, 1.2))}
"""A form with the constants that were printed; the best ones are solid."""
EXACT: dict[str, Any] = {"lw": 2.6, "alpha": 0.35, "solid_capstyle": "butt"}
GAP = "#E69F00"
BALANCED = "#0072B2"
LATENT = LipschitzModulus(1.0)

_CLASSES = (2, 5, 10, 100)
_NEAR = np.linspace(0.0, 3.0, 241)
_FAR = np.linspace(0.0, 8.0, 161)
_FLOOR = 1e-15
_TAIL = 1e-12
_STROKES: dict[str, tuple[str, dict[str, Any]]] = {
    "exact": ("exact law", {"color": style.QUIET, **EXACT}),
    "balanced_printed": ("(4), balanced, as printed", {"color": BALANCED, **PRINTED}),
    "balanced_sharp": ("(4), balanced, best constant", {"color": BALANCED, "lw": 1.1}),
    "equal_printed": ("(5), equal, as printed", {"color": style.INK, **PRINTED}),
    "equal_sharp": ("(3), general, for equal masses", style.BOUND),
}


def log_survivals(t: FloatArray, n_classes: int) -> dict[str, FloatArray]:
    """Return log P(r > t) and the logarithms of its upper bounds, for K classes of equal mass.

    Parameters
    ----------
    t : ndarray
        Latent distances.
    n_classes : int
        K; the printed form for equal classes is there from 5 on.

    Returns
    -------
    dict of str to ndarray
        In the order in which they are drawn; NaN where a printed form says nothing.

    Examples
    --------
    >>> sorted(log_survivals(np.array([1.0]), 2))
    ['balanced_printed', 'balanced_sharp', 'equal_sharp', 'exact']
    """
    found = {
        # Two coordinates: two half-spaces, whose law is the bound.
        "exact": argmax_family_log_survival(t, n_classes),
        "balanced_printed": balanced_log_survival_upper_bound(t, LATENT, form="printed"),
        "balanced_sharp": balanced_log_survival_upper_bound(t, LATENT),
    }
    if n_classes >= PRINTED_FROM:
        found["equal_printed"] = equiprobable_log_survival_upper_bound(
            t, LATENT, n_classes, form="printed"
        )
    found["equal_sharp"] = equiprobable_log_survival_upper_bound(t, LATENT, n_classes)
    for name in found.keys() & {"balanced_printed", "equal_printed"}:
        found[name] = np.where(found[name] < 0, found[name], np.nan)
    return found


@figure("forms", title="The forms of Theorem 1, and how sharp they are", needs=None)
def forms() -> Drawing:
    """A column a number of classes: distribution functions above, survival below."""
    drawn = style.new_figure(style.TEXT, 3.9)
    panels = drawn.subplots(2, len(_CLASSES), sharex="row", sharey="row")
    rows: list[Row] = []
    numbers: dict[str, float] = {"tail": _TAIL, "printed_from": PRINTED_FROM}
    for k, (top, bottom) in zip(_CLASSES, panels.T, strict=True):
        near, far = log_survivals(_NEAR, k), log_survivals(_FAR, k)
        laws = {name: -np.expm1(curve) for name, curve in near.items()}
        _draw(top, _NEAR, laws)
        survivals = {name: np.exp(curve) for name, curve in far.items()}
        _draw(bottom, _FAR, survivals)
        top.set_title(f"$K = {k}$")
        rows += _rows(k, "law", _NEAR, laws) + _rows(k, "survival", _FAR, survivals)
        numbers |= _numbers(k, laws)
    top, bottom = panels[:, 0]
    top.set(ylim=(0, 1.02), xlim=(0, _NEAR[-1]), xticks=[0, 1, 2, 3])
    top.set_ylabel(r"$\Pr(r_{\mathrm{latent}} \leq \eta)$")
    bottom.set(ylim=(_FLOOR, 2), yscale="log", xlim=(0, _FAR[-1]), xticks=[0, 2, 4, 6, 8])
    bottom.set_yticks([10.0**-e for e in (0, 5, 10, 15)])
    bottom.set_ylabel(r"$\Pr(r_{\mathrm{latent}} > \eta)$")
    drawn.align_ylabels(panels[:, 0])
    for axes in panels[1]:
        axes.set_xlabel("$\\eta$, latent $\\ell_2$ distance")
    handles: list[Line2D | Patch] = [
        Line2D([], [], **strokes, label=words) for words, strokes in reversed(_STROKES.values())
    ]
    handles.append(Patch(color=GAP, alpha=0.3, lw=0, label="gap of (3) to the exact law"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=2, columnspacing=1.5)
    return Drawing(drawn, rows, numbers, _caption(numbers))


def _draw(axes: Axes, at: FloatArray, curves: Mapping[str, FloatArray]) -> None:
    axes.fill_between(at, curves["equal_sharp"], curves["exact"], color=GAP, alpha=0.3, lw=0)
    for name, curve in curves.items():
        axes.plot(at, curve, **_STROKES[name][1])


def _rows(k: int, panel: str, at: FloatArray, curves: Mapping[str, FloatArray]) -> list[Row]:
    head: dict[str, Value] = {"classes": k, "panel": panel}
    return [
        {
            **head,
            "eta": float(eta),
            **{name: float(curve[i]) for name, curve in curves.items() if np.isfinite(curve[i])},
        }
        for i, eta in enumerate(at)
    ]


def _numbers(k: int, laws: Mapping[str, FloatArray]) -> dict[str, float]:
    gap = laws["exact"] - laws["equal_sharp"]
    lost = laws["equal_sharp"] - laws["balanced_sharp"]
    found = {
        f"{k}.gap": float(np.abs(gap).max()),
        f"{k}.gap_at": float(_NEAR[np.abs(gap).argmax()]),
        f"{k}.lost_by_balance": float(lost.max()),
        f"{k}.tail_bound": float(equiprobable_quantile_upper_bound(1 - _TAIL, LATENT, k)),
        f"{k}.tail_exact": float(argmax_family_quantile(1.0, k, np.log(_TAIL))),
    }
    if "equal_printed" in laws:
        printed = laws["equal_printed"]
        found[f"{k}.lost_by_print"] = float((laws["equal_sharp"] - np.nan_to_num(printed)).max())
        found[f"{k}.print_from"] = float(_NEAR[np.isfinite(printed)][0])
    return found


def _caption(numbers: Mapping[str, float]) -> str:
    gaps = ", ".join(f"{number(numbers[f'{k}.gap'], 2)} ($K = {k}$)" for k in _CLASSES[1:])
    return (
        "Theorem 1 for $K$ classes of equal mass, in latent space: the forms (3), (4) and (5) of"
        " the paper as printed and with the best constants, against the exact law of one"
        " classifier, the largest of $K$ coordinates (two half-spaces for $K = 2$). Above: lower"
        " bounds on the distribution function, each from where it says anything; below:"
        " upper bounds on its complement. For $K = 2$ the general form is the exact law (and the"
        " balanced form the general one); the largest gap between the two is otherwise"
        f" {gaps}. The printed form (5) is defined from $K = {PRINTED_FROM}$ on."
    )
