"""One perturbation for several classifiers: the bound against how often they disagree."""

from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from figures import style
from figures.plates.forms import EXACT, LATENT, PRINTED
from figures.registry import Drawing, Row, Value, figure
from figures.wording import number
from theory.arrays import FloatArray
from theory.claim import OutOfScopeError
from theory.claims.fawzi2018 import transfer_lower_bound
from theory.claims.fawzi2018.corollaries import Form

_DISTANCES = (1, 2, 3)
_CLASSIFIERS = (2, 3, 5)
_CLASSES = 10
_DISAGREEMENTS = np.linspace(0.0, 0.5, 201)
_SHOWN = 0.05
"""The disagreement at which the numbers are given."""
_COLOURS = {2: style.INK, 3: "#0072B2", 5: "#D55E00"}
_NEVER: dict[str, Any] = {"color": style.QUIET, **EXACT}


def transfer_bound(eta: float, disagreement: float, n: int, form: Form = "sharp") -> float:
    """Return the bound on P(r_joint <= eta) for ten equal classes.

    Parameters
    ----------
    eta : float
        Latent distance.
    disagreement : float
        delta.
    n : int
        Number of classifiers.
    form : {"sharp", "printed"}

    Returns
    -------
    float
        NaN where it is 0, or a hypothesis of the printed form does not hold.

    Examples
    --------
    >>> transfer_bound(2.0, 0.45, 2, "printed")
    nan
    """
    masses = [1 / _CLASSES] * _CLASSES
    try:
        value = transfer_lower_bound(eta, LATENT, masses, disagreement, n_classifiers=n, form=form)
    except OutOfScopeError:
        return float("nan")
    return float(value) or float("nan")


@figure("transfer", title="One perturbation for several classifiers", needs=None)
def transfer() -> Drawing:
    """A panel a distance: two classifiers as printed and sharp, more of them sharp."""
    drawn = style.new_figure(style.TEXT, 2.35)
    panels = drawn.subplots(1, len(_DISTANCES), sharex=True, sharey=True)
    rows: list[Row] = []
    for eta, axes in zip(_DISTANCES, panels, strict=True):
        axes.plot(_DISAGREEMENTS, 1 - _DISAGREEMENTS, **_NEVER)
        curves: dict[tuple[str, int], FloatArray] = {
            ("sharp", n): _curve(eta, n, "sharp") for n in reversed(_CLASSIFIERS)
        }
        curves["printed", 2] = _curve(eta, 2, "printed")
        for (form, n), curve in curves.items():
            stroke = PRINTED if form == "printed" else {"lw": 1.1}
            axes.plot(_DISAGREEMENTS, curve, color=_COLOURS[n], **stroke)
            head: dict[str, Value] = {"eta": eta, "form": form, "classifiers": n}
            rows += [
                {**head, "disagreement": float(d), "value": float(value)}
                for d, value in zip(_DISAGREEMENTS, curve, strict=True)
                if np.isfinite(value)
            ]
        axes.set_title(f"$\\omega^{{-1}}(\\eta) = {eta}$")
        axes.set_xlabel("$\\delta$, disagreement")
    panels[0].set(xlim=(0, 0.5), ylim=(0, 1.02))
    panels[0].set_ylabel(r"$\Pr(r_{\mathrm{joint}} \leq \eta)$")
    handles = [
        Line2D([], [], color=_COLOURS[2], **PRINTED, label="$n = 2$, (7) as printed"),
        *(
            Line2D([], [], color=_COLOURS[n], lw=1.1, label=f"$n = {n}$, sharp")
            for n in _CLASSIFIERS
        ),
        Line2D([], [], **_NEVER, label=r"$1 - \delta$"),
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=5, columnspacing=1.2)
    numbers = _numbers()
    return Drawing(drawn, rows, numbers, _caption(numbers))


def _curve(eta: float, n: int, form: Form) -> FloatArray:
    return np.array([transfer_bound(eta, float(d), n, form) for d in _DISAGREEMENTS])


def _numbers() -> dict[str, float]:
    numbers: dict[str, float] = {"classes": _CLASSES, "disagreement_percent": 100 * _SHOWN}
    for eta in _DISTANCES:
        numbers[f"{eta}.printed"] = transfer_bound(eta, _SHOWN, 2, "printed")
        numbers |= {f"{eta}.sharp_{n}": transfer_bound(eta, _SHOWN, n) for n in _CLASSIFIERS}
        printed = _curve(eta, 2, "printed")
        numbers[f"{eta}.printed_until"] = float(_DISAGREEMENTS[np.isfinite(printed)].max())
    return numbers


def _caption(numbers: dict[str, float]) -> str:
    values = "; ".join(
        f"{number(numbers[f'{eta}.printed'])} and {number(numbers[f'{eta}.sharp_2'])}"
        f" at $\\omega^{{-1}}(\\eta) = {eta}$"
        for eta in _DISTANCES
    )
    return (
        "Lower bound on the probability that one perturbation of length at most $\\eta$ changes"
        f" the label of all $n$ classifiers, {_CLASSES} classes of equal mass, against the"
        " probability $\\delta$ that they do not all agree: Theorem 3 as printed, for two"
        " classifiers and where its hypothesis $p_i + \\delta \\le 1/2$ holds, and the sharp form"
        " for two, three and five. Each is drawn where it is positive. No bound can pass"
        f" $1 - \\delta$ in this argument. At $\\delta = {_SHOWN:g}$ the printed and the sharp"
        f" bound for two are {values}."
    )
