"""Least numbers of changes that were proved, against those that were found."""

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from figures import style
from figures.hamming import Network, middle, names_of, networks, steps
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from theory.arrays import FloatArray
from theory.evidence import Radii

_MOST_NETWORKS = 4
_AREA, _DODGE = 9.0, 0.35


@figure("exact_changes", title="Changes proved to be needed, and changes found", needs=("hamming",))
def exact_changes(view: View) -> Drawing:
    """Left: pairs by both ends; right: the laws of both, with what lies between."""
    solved = _solved(networks(view))
    if not solved:
        raise NothingToDraw("no network for which more than one change was proved to be needed")
    names = names_of(solved)
    looks = style.looks(names.values())
    drawn = style.new_figure(style.TEXT, 2.6)
    left, right = drawn.subplots(1, 2)
    rows: list[Row] = []
    numbers: dict[str, Value] = {"networks": len(solved)}
    all_ends = [network.pairs(network.boxes[0]) for network in solved]
    seen = [_finite(ends) for pairs in all_ends for ends in (pairs.lower, pairs.upper)]
    most = int(np.concatenate(seen).max()) + 1
    shifts = _DODGE * (np.arange(len(solved)) - (len(solved) - 1) / 2)
    for network, pairs, shift in zip(solved, all_ends, shifts, strict=True):
        name = names[network]
        rows += _scatter(left, network, pairs, looks[name], most, float(shift))
        _laws(right, pairs, looks[name], most)
        numbers |= {f"{network.data}.{network.label}.{k}": v for k, v in _gaps(pairs).items()}
    pooled = Radii(*(np.concatenate([getattr(p, e) for p in all_ends]) for e in ("lower", "upper")))
    numbers |= {f"all.{key}": value for key, value in _gaps(pooled).items()}
    numbers |= {f"search.{key}": value for key, value in _search(solved, pooled).items()}
    numbers["names"] = ", ".join(names.values())
    low, high = solved[0].boxes[0].ends
    numbers |= {"box_low": low, "box_high": high}
    left.plot([0, most], [0, most], color=style.QUIET, lw=0.8, zorder=0)
    left.set(xlabel="changes proved to be needed", ylabel="changes found")
    left.set(xlim=(0, most), ylim=(0, most + 0.04 * most), aspect="equal")
    right.set(xlabel="$k$, changed pixels", ylabel="part of all targets")
    right.set(xlim=(0, most), ylim=(0, 1.02))
    grey: dict[str, Any] = {"color": style.QUIET}
    handles = style.legend_entries(looks)
    handles += [
        Line2D([], [], **grey, lw=1.0, label="found"),
        Line2D([], [], **grey, **style.CERTIFIED_END, label="not proved impossible"),
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
    return Drawing(drawn, rows, numbers, _caption(numbers, len(solved)))


def _solved(known: list[Network]) -> list[Network]:
    """Return the networks with a proof that is not void, those with most proofs first."""
    parts = {
        network: float(np.mean(pairs.lower > 1))
        for network in known
        if (pairs := network.pairs(network.boxes[0])).lower.max() > 1
    }
    return sorted(parts, key=lambda network: -parts[network])[:_MOST_NETWORKS]


def _finite(ends: FloatArray) -> FloatArray:
    return ends[np.isfinite(ends)]


def _scatter(
    axes: Axes, network: Network, pairs: Radii, look: style.Look, most: int, shift: float
) -> list[Row]:
    """Draw a marker a pair of ends, its area the number of pairs; at the top what was not found."""
    counts = Counter(zip(pairs.lower.tolist(), pairs.upper.tolist(), strict=True))
    rows: list[Row] = []
    for (lower, upper), count in sorted(counts.items()):
        found = bool(np.isfinite(upper))
        axes.scatter(
            lower + shift,
            upper if found else most,
            s=_AREA * count**0.5,
            marker=look.marker if found else "^",
            facecolors=look.color if lower == upper else "none",
            edgecolors=look.color,
            linewidths=0.8,
            zorder=3,
            clip_on=False,
        )
        head: Row = {"network": network.label, "data": network.data}
        rows.append(
            {**head, "certified": int(lower), "changes": int(upper) if found else "inf"}
            | {"pairs": count}
        )
    return rows


def _laws(axes: Axes, pairs: Radii, look: style.Look, most: int) -> None:
    found, possible = steps(pairs.upper, most), steps(pairs.lower, most)
    k = np.arange(most + 1)
    axes.fill_between(k, found, possible, step="post", color=look.color, alpha=0.18, lw=0)
    axes.step(k, found, where="post", color=look.color, lw=1.0)
    axes.step(k, possible, where="post", color=look.color, **style.CERTIFIED_END)


def _gaps(pairs: Radii) -> dict[str, Value]:
    """Return how many pairs are solved, and how far the others are from it."""
    exact = pairs.lower == pairs.upper
    gap = _finite(pairs.upper - pairs.lower)
    return {
        "pairs": pairs.n,
        "solved": int(exact.sum()),
        "solved_percent": 100 * float(exact.mean()),
        "open": int((~exact).sum()),
        "not_found": int(np.isinf(pairs.upper).sum()),
        "largest_gap": int(gap.max(initial=0)),
        "mean_gap": float(gap.mean()) if gap.size else 0.0,
        "largest_exact": int(pairs.lower[exact].max(initial=0)),
        "median_lower": middle(pairs.lower),
        "median_upper": middle(pairs.upper),
    }


def _search(solved: list[Network], pooled: Radii) -> dict[str, Value]:
    """Return how near the search came to the least number by itself, where that is known."""
    searched = np.concatenate([network.searched(network.boxes[0]) for network in solved])
    exact = pooled.lower == pooled.upper
    excess = _finite(searched[exact] - pooled.upper[exact])
    return {
        "least_percent": 100 * float(np.mean(excess == 0)) if excess.size else 0.0,
        "mean_excess": float(excess.mean()) if excess.size else 0.0,
        "largest_excess": int(excess.max(initial=0)),
    }


def _caption(numbers: dict[str, Value], n_networks: int) -> str:
    return (
        "Pairs of an image and another label by the number of changes that is proved to be needed"
        " and the number that was found, pixels within"
        f" $[{numbers['box_low']:g}, {numbers['box_high']:g}]$: full markers are solved, hollow"
        " ones open, triangles at the top were not found at all; the area grows with the root of"
        " the number of pairs. Right: the part of all pairs that was reached with $k$ changes, and"
        " the part that is not proved impossible; the shaded difference is what is not known."
        f" {numbers['all.solved']} of {numbers['all.pairs']} pairs of"
        f" {n_networks} network{'s' if n_networks > 1 else ''} are solved."
    )
