"""How figures look: sizes, colours and the meaning of every stroke.

Bound = line, measured = marker or step with its interval, certified end = dashed,
vacuous = hollow, violated = ringed.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

COLUMN, TEXT = 3.25, 5.5
"""Widths in inches: one column, the whole text."""

INK, QUIET, RING = "#000000", "#6b6b6b", "#D55E00"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

BOUND: dict[str, Any] = {"color": INK, "lw": 1.1, "ls": "-"}
SAMPLED: dict[str, Any] = {"color": INK, "lw": 1.1, "ls": (0, (1, 1.3))}
CERTIFIED_END: dict[str, Any] = {"lw": 0.9, "ls": (0, (3, 1.6))}

_SETTINGS: dict[str, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlepad": 4,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.9,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "figure.dpi": 200,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "image.interpolation": "nearest",
    "path.simplify": True,
}


@contextmanager
def applied() -> Iterator[None]:
    """Draw and save within: matplotlib's own defaults and this style, whatever the user's file."""
    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in _SETTINGS.items():
            mpl.rcParams[name] = value  # type: ignore[index]
        yield


@dataclass(frozen=True)
class Look:
    """The colour and the marker of one name."""

    color: str
    marker: str


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Return a colour and a marker for each name, in order of first appearance.

    Examples
    --------
    >>> looks(["mlp", "cnn", "mlp"])["cnn"].marker
    's'
    """
    unique = dict.fromkeys(names)
    return {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(unique)
    }


def pair_looks(labels: Iterable[tuple[str, str, str]]) -> dict[str, Look]:
    """Return a look for each (name, generator, classifier): a colour a classifier, as in `looks`.

    The marker tells the generators apart.
    """
    known = list(labels)
    colours = looks(classifier for _, _, classifier in known)
    markers = looks(generator for _, generator, _ in known)
    return {name: Look(colours[c].color, markers[g].marker) for name, g, c in known}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches; no display is needed."""
    return Figure(figsize=(width, height), layout="constrained")


def marker_style(look: Look, *, hollow: bool = False) -> dict[str, Any]:
    """Return the strokes of a measured marker; hollow where its certificate is vacuous."""
    return {
        "color": look.color,
        "marker": look.marker,
        "markerfacecolor": "white" if hollow else look.color,
        "markeredgecolor": look.color,
        "markeredgewidth": 0.9,
        "ls": "none",
    }


def draw_interval(
    axes: Axes,
    at: tuple[float, float],
    ends: tuple[float, float],
    look: Look,
    *,
    vertical: bool = False,
    violated: bool = False,
) -> None:
    """Draw what was measured: a marker, a solid bar to its upper limit, a dashed one to its lower.

    Parameters
    ----------
    axes : Axes
    at : tuple of float
        x and y of the marker.
    ends : tuple of float
        Limits along x (or y if `vertical`): the lower one is certified, and vacuous where it is 0.
    look : Look
    vertical : bool
    violated : bool
        Ring the marker.
    """
    low, high = ends
    for start, stop, dash in ((at[vertical], high, "-"), (low, at[vertical], (0, (2.2, 1.2)))):
        line = ([at[0]] * 2, [start, stop]) if vertical else ([start, stop], [at[1]] * 2)
        axes.plot(*line, color=look.color, lw=1.0, ls=dash, solid_capstyle="butt", zorder=3)
    cap: dict[str, Any] = {
        "color": look.color,
        "marker": "_" if vertical else "|",
        "ms": 5,
        "ls": "none",
    }
    for end in ends:
        place = (at[0], end) if vertical else (end, at[1])
        axes.plot(*place, **cap, zorder=3)
    axes.plot(*at, **marker_style(look, hollow=low <= 0), zorder=6)
    if violated:
        axes.plot(*at, marker="o", ms=9, mfc="none", mec=RING, mew=1.3, zorder=7)


def legend_entries(known: dict[str, Look], line: str = "-") -> list[Line2D]:
    """Return a legend entry a name: its line with its marker (line "none": the marker alone)."""
    return [
        Line2D([], [], color=look.color, marker=look.marker, ls=line, lw=1.0, ms=4, label=name)
        for name, look in known.items()
    ]
