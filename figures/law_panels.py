"""Panels of laws against bounds: the grid of distances, its axes, and the count of outcomes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from empirics.judge import Verdict
from figures import style
from figures.moduli import label_decades
from theory.arrays import FloatArray
from theory.claim import LawBound
from theory.evidence import Radii

JUDGED = (
    *("radii", "projected", "joint_radii", "data_radii", "class_errors"),
    *("modulus", "class_masses", "expansions", "wasserstein"),
)
"""Measures whose laws share one level, and those that their bounds are made of."""
_POINTS = 241
_LOG_FROM = 6.0
"""The axis is logarithmic when a bound lies this many times to the right of the measured law."""


def law_grid(
    radii: Sequence[Radii],
    bounds: Sequence[LawBound],
    *,
    reach: float = 0.95,
    middle: float = 0.5,
) -> tuple[FloatArray, bool]:
    """Return the distances that laws are drawn at, and whether their axis is logarithmic.

    Parameters
    ----------
    radii : sequence of Radii
        Of one panel.
    bounds : sequence of LawBound
        On any of them.
    reach, middle : float
        Probabilities that the axis goes to, and that a bound lies at: a bound that stays below
        1 needs lower ones.

    Examples
    --------
    >>> grid, log = law_grid([Radii(np.zeros(100), np.linspace(0.1, 2, 100))], [])
    >>> len(grid), float(grid[0]), log
    (241, 0.0, False)
    """
    uppers = np.concatenate([each.upper for each in radii])
    uppers = uppers[np.isfinite(uppers)]
    low, high = (
        np.quantile(uppers, [0.02, 0.99]) if uppers.size else np.array([0.1, 1.0])
    ).tolist()
    ends = [end for bound in bounds if np.isfinite(end := bound.quantile(reach))]
    places = [place for bound in bounds if np.isfinite(place := bound.quantile(middle))]
    log = bool(uppers.size and places and max(places) > _LOG_FROM * np.median(uppers))
    high = max([high, *ends])
    if log:
        start = min([max(low, high * 1e-5), *(bound.quantile(0.02) for bound in bounds)]) / 1.5
        return np.geomspace(max(start, high * 1e-5), high, _POINTS), True
    return np.linspace(0.0, high, _POINTS), False


def dress(axes: Axes, grid: FloatArray, log: bool) -> None:
    """Give a panel of laws its scales and ticks."""
    low, high = float(grid[0]), float(grid[-1])
    if log:
        axes.set_xscale("log")
        label_decades(axes.xaxis, low, high)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])


def tag_bound(
    axes: Axes, grid: FloatArray, curve: FloatArray, look: style.Look, level: float = 0.5
) -> None:
    """Mark whose bound a line is, where it passes a level."""
    i = int(np.clip(np.searchsorted(curve, level), 0, grid.size - 1))
    strokes: dict[str, Any] = {
        "color": look.color,
        "marker": look.marker,
        "ms": 3.2,
        "mec": style.INK,
        "mew": 0.5,
    }
    axes.plot(grid[i], curve[i], **strokes, zorder=6)


def count_outcomes(verdicts: Iterable[Verdict | None]) -> Counter[str]:
    """Count outcomes; None is where a claim is silent."""
    return Counter(v.outcome for v in verdicts if v is not None)


def outcome_words(counts: Counter[str]) -> str:
    """Return outcomes with their numbers, in the order of their words.

    Examples
    --------
    >>> outcome_words(Counter(["HOLDS", "UNDECIDED", "HOLDS"]))
    '2 HOLDS, 1 UNDECIDED'
    """
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
