"""Bounds on the Lipschitz constant over its known lower end, by method and network, and by time."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from figures import style
from figures.lipschitz import (
    EXACT,
    FREE,
    UPPER_METHODS,
    Network,
    compared,
    draw_upper,
    ends_of,
    entries,
    extremes,
    ratio_axis,
    slug,
)
from figures.registry import Drawing, Row, Value, figure
from figures.view import View
from figures.wording import number

_ROW, _MARGINS = 0.25, 0.55
"""Inches a network, and above and below all of them."""
_LEAST_HEIGHT = {False: 2.0, True: 3.8}
_TIMES_HEIGHT = 2.3
_PLACES = (*UPPER_METHODS, "exact")
_SPREAD = 0.76
"""The part of a network's line over which the markers of its methods are spread."""
_SHORTEST = 1e-4
"""CPU seconds are kept to so much; less is drawn there."""


@figure(
    "constants",
    title="Lipschitz constants by method and network",
    needs=("lipschitz",),
    also=("modulus",),
)
def constants(view: View) -> Drawing:
    """Left: a line a network, a marker a method; right: what it took, where times were kept."""
    shown = compared(view)
    timed = any(_seconds(n, method) is not None for n in shown for method in UPPER_METHODS)
    headed = _headed(shown)
    height = max(_LEAST_HEIGHT[timed], _MARGINS + _ROW * len(headed))
    drawn = style.new_figure(style.TEXT, height)
    above = min(_TIMES_HEIGHT / height, 0.5)
    places = drawn.subplot_mosaic(
        [["networks", "times"], ["networks", "legend"]] if timed else [["networks", "legend"]],
        width_ratios=[1.5, 1],
        height_ratios=[above, 1 - above] if timed else [1],
    )
    most = _most(shown)
    rows = _draw_networks(places["networks"], headed, most)
    if timed:
        _draw_times(places["times"], shown, most)
        places["networks"].set_title("(a)")
        places["times"].set_title("(b)")
    places["legend"].set_axis_off()
    places["legend"].legend(handles=entries(shown), loc="upper left", handlelength=1.6)
    return Drawing(drawn, rows, _numbers(shown), _caption(shown, timed))


def _seconds(network: Network, method: str) -> float | None:
    found = network.constants.get(method)
    return None if found is None else found.seconds


def _headed(shown: list[Network]) -> list[Network | str]:
    """Return the lines of the left panel: networks, below their data set if there are several."""
    several = len({network.data for network in shown}) > 1
    lines: list[Network | str] = []
    for i, network in enumerate(shown):
        if several and (not i or network.data != shown[i - 1].data):
            lines.append(network.data)
        lines.append(network)
    return lines


def _most(shown: list[Network]) -> float:
    values = [
        *(network.upper_ratio(method) for network in shown for method in UPPER_METHODS),
        *(network.ratio(network.exact) for network in shown),
    ]
    return extremes(values)[1] or 1.0


def _draw_networks(axes: Axes, headed: Sequence[Network | str], most: float) -> list[Row]:
    rows: list[Row] = []
    axes.axvline(1, color=style.QUIET, lw=0.7, zorder=0)
    shaded = 0
    for y, line in enumerate(headed):
        if isinstance(line, str):
            shaded = 0
            continue
        if shaded % 2 == 0:
            axes.axhspan(y - 0.5, y + 0.5, color="#f1f1f1", lw=0, zorder=-2)
        shaded += 1
        rows += _draw_network(axes, y, line)
    axes.set_xscale("log")
    axes.set_xlim(most**-0.03, most**1.05)
    ratio_axis(axes.xaxis, most)
    axes.set_ylim(len(headed) - 0.5, -0.5)
    names = [line if isinstance(line, str) else line.label for line in headed]
    axes.set_yticks(range(len(headed)), names)
    axes.tick_params(axis="y", length=0)
    for label, line in zip(axes.get_yticklabels(), headed, strict=True):
        label.set_fontstyle("italic" if isinstance(line, str) else "normal")
    axes.set_xlabel("bound / known lower end")
    return rows


def _draw_network(axes: Axes, y: float, network: Network) -> list[Row]:
    rows: list[Row] = []
    offsets = {method: _SPREAD * (i / (len(_PLACES) - 1) - 0.5) for i, method in enumerate(_PLACES)}
    for method in UPPER_METHODS:
        ratio = network.upper_ratio(method)
        if ratio is not None:
            draw_upper(axes, (ratio, y + offsets[method]), network, method)
            rows.append(_row(network, method, network.upper(method), ratio))
    free, exact = network.ratio(network.free_pattern), network.ratio(network.exact)
    if free is not None:
        axes.plot([free, free], [y - 0.48, y + 0.48], **FREE, zorder=2)
        rows.append(_row(network, "free pattern", network.free_pattern, free))
    if exact is not None:
        at = y + offsets["exact"]
        axes.plot([1, exact], [at, at], color=style.INK, lw=1.2, solid_capstyle="butt", zorder=3)
        axes.plot(exact, at, **EXACT, ms=3.6, zorder=4)
        rows.append(_row(network, "exact", network.exact, exact))
    rows.append(_row(network, "lower", network.lower, 1.0))
    return rows


def _row(network: Network, method: str, value: float | None, ratio: float) -> Row:
    found = network.constants.get(method)
    verified = None if found is None or found.verified is None else found.verified
    words = None if verified is None else ("yes" if verified else "no")
    head: dict[str, Value] = {"network": network.label, "data": network.data}
    head |= {"role": "generator" if network.is_generator else "classifier", "method": method}
    tail: dict[str, Value] = {"value": value, "ratio": ratio, "verified": words}
    return {**head, **tail, "seconds": _seconds(network, method)}


def _draw_times(axes: Axes, shown: list[Network], most: float) -> None:
    for method in UPPER_METHODS:
        for network in shown:
            ratio, seconds = network.upper_ratio(method), _seconds(network, method)
            if ratio is not None and seconds is not None:
                draw_upper(axes, (ratio, max(seconds, _SHORTEST)), network, method)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(most**-0.03, most**1.05)
    ratio_axis(axes.xaxis, most)
    axes.set(xlabel="bound / known lower end", ylabel="CPU seconds")


def _numbers(shown: list[Network]) -> dict[str, Value]:
    checked = [c for n in shown for c in n.constants.values() if c.verified is not None]
    exact = [network for network in shown if network.exact is not None]
    classifiers = [network for network in shown if not network.is_generator]
    numbers: dict[str, Value] = {
        "networks": len(shown),
        "classifiers": len(classifiers),
        "generators": len(shown) - len(classifiers),
        "certificates": len(checked),
        "verified": sum(c.verified is True for c in checked),
        "exact": len(exact),
    }
    for group, of in (("all", shown), ("generator", [n for n in shown if n.is_generator])):
        for method in UPPER_METHODS:
            ratios = [network.upper_ratio(method) for network in of]
            numbers |= ends_of(f"{group}.{slug(method)}", ratios)
    numbers |= {f"all.{key}": value for key, value in _gaps(shown).items()}
    numbers["exact_words"], numbers["seconds_words"] = _exact_words(exact), _seconds_words(shown)
    for network in shown:
        for method in UPPER_METHODS:
            stem = f"{network.data}.{network.label}.{slug(method)}"
            numbers[stem] = network.upper_ratio(method)
            numbers[f"{stem}.seconds"] = _seconds(network, method)
    return numbers


def _gaps(shown: list[Network]) -> dict[str, Value]:
    """Return what the semidefinite bound loses where, and what it gains on the product."""
    found: dict[str, Value] = {}
    gains, duality, relaxation, reached = [], [], [], []
    for network in shown:
        least, product = network.upper("semidefinite"), network.upper("product")
        lower, free = network.semidefinite_lower, network.free_pattern
        if least and product:
            gains.append(product / least)
        if least and lower:
            duality.append(least / lower - 1)
        if least and free:
            relaxation.append(least / free)
            reached.append(network.ratio(free))
    for key, values in (("gain", gains), ("relaxation", relaxation), ("reached", reached)):
        found |= ends_of(key, values)
    found["duality_gap_max"] = extremes(duality)[1]
    return found


def _exact_words(exact: list[Network]) -> str:
    """Return how near the semidefinite bound came where the constant is known, in words."""
    pairs = [(n.exact, n.upper("semidefinite")) for n in exact]
    excess = extremes(
        bound / known - 1 for known, bound in pairs if known and bound and bound > known
    )[1]
    if not exact:
        return "it is known exactly for no network here"
    known = ", ".join(network.label for network in exact)
    if excess is None:
        return f"it is known exactly for {known}"
    percent = 100 * math.ceil(1e6 * excess) / 1e6
    return (
        f"it is known exactly for {known}, where the semidefinite bound is at most {percent:.4f}%"
        " above it"
    )


def _seconds_words(shown: list[Network]) -> str:
    parts = []
    for method in ("semidefinite", "stagewise", "product"):
        least, most = extremes(_seconds(network, method) for network in shown)
        if least is not None and most is not None:
            named = {"stagewise": "the stagewise point"}.get(method, f"the {method} bound")
            ends = [f"{max(end, _SHORTEST):.2g}" for end in (least, most)]
            parts.append(f"{named} took {' to '.join(dict.fromkeys(ends))}")
    return ", ".join(parts) + " CPU seconds" if parts else "no times were kept"


def _caption(shown: list[Network], timed: bool) -> str:
    words = [
        "Certified upper ends of the $\\ell_2$ Lipschitz constant, each over the largest lower end"
        " that is known of the same constant, so that the true constant lies between the line at 1"
        " and every marker. Full markers: multipliers that were checked by code that shares nothing"
        " with the solver; hollow ones: products of certified norms or factors, rounded outward;"
        " ringed: multipliers that did not pass. Dashed: the largest norm over free patterns of"
        " slopes is at least that, so that no bound from slopes alone comes below."
    ]
    if any(network.exact for network in shown):
        words.append("Diamonds: the constant as found exactly.")
    if timed:
        words.append(
            "(b) CPU seconds of one run against the same ratio, a marker for each method and"
            f" network; times below {number(_SHORTEST)} are drawn there."
        )
    return " ".join(words)
