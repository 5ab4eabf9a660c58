"""How bounds on the Lipschitz constant loosen with the number of hidden layers."""

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from figures import style
from figures.lipschitz import (
    EXACT,
    FREE,
    LOOKS,
    UPPER_METHODS,
    Family,
    Network,
    compared,
    draw_upper,
    ends_of,
    entries,
    ratio_axis,
    slug,
)
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View

_PANELS = 3
"""Panels in a row."""
Depths = dict[int, Network]


@figure("tightness", title="Tightness of Lipschitz bounds against depth", needs=("lipschitz",))
def tightness(view: View) -> Drawing:
    """A panel a width, a line a method."""
    families = _families([n for n in compared(view) if not n.is_generator])
    columns = min(_PANELS, len(families))
    n_rows = -(-len(families) // columns)
    width = style.COLUMN if columns == 1 else style.TEXT
    drawn = style.new_figure(width, 0.55 + 2.1 * n_rows)
    grid = drawn.subplots(n_rows, columns, squeeze=False, sharey=True)
    places = list(grid.ravel())
    several = len({family.data for family in families}) > 1
    rows: list[Row] = []
    for (family, depths), axes in zip(families.items(), places, strict=False):
        rows += _draw(axes, depths)
        words = f"width {family.width}"
        axes.set_title(f"{words}, {family.data}" if several else words)
        axes.set_xlabel("hidden layers")
    for axes in places[len(families) :]:
        axes.set_axis_off()
    most = max(float(row["ratio"] or 0) for row in rows)
    for axes in grid[:, 0]:
        axes.set_ylabel("bound / known lower end")
    places[0].set_ylim(most**-0.03, most**1.05)
    for axes in places[: len(families)]:
        ratio_axis(axes.yaxis, most)
    shown = [network for depths in families.values() for network in depths.values()]
    drawn.legend(handles=entries(shown, "-"), loc="outside lower center", ncols=4, handlelength=1.9)
    return Drawing(drawn, rows, _numbers(families), _CAPTION)


def _families(classifiers: list[Network]) -> dict[Family, Depths]:
    """Return the networks of at least two depths by what they have in common, narrowest first."""
    found: dict[Family, Depths] = {}
    for network in classifiers:
        if network.family is not None and network.shape is not None:
            found.setdefault(network.family, {}).setdefault(network.shape[0], network)
    deep = {family: depths for family, depths in found.items() if len(depths) > 1}
    if not deep:
        raise NothingToDraw("no classifiers of one width and several depths")
    order = list(dict.fromkeys(family.data for family in deep))
    ordered = sorted(deep, key=lambda family: (order.index(family.data), family.width))
    return {family: dict(sorted(deep[family].items())) for family in ordered}


def _draw(axes: Axes, depths: Depths) -> list[Row]:
    rows: list[Row] = []
    axes.axhline(1, color=style.QUIET, lw=0.7, zorder=0)
    for method in UPPER_METHODS:
        line = {d: r for d, n in depths.items() if (r := n.upper_ratio(method)) is not None}
        axes.plot(list(line), list(line.values()), color=LOOKS[method].color, lw=1.0, zorder=2)
        for depth, ratio in line.items():
            draw_upper(axes, (depth, ratio), depths[depth], method)
        rows += [_row(depths[d], method, depths[d].upper(method), r) for d, r in line.items()]
    free = {d: r for d, n in depths.items() if (r := n.ratio(n.free_pattern)) is not None}
    axes.plot(list(free), list(free.values()), **FREE, zorder=3)
    rows += [_row(depths[d], "free pattern", depths[d].free_pattern, r) for d, r in free.items()]
    exact = {d: r for d, n in depths.items() if (r := n.ratio(n.exact)) is not None}
    axes.plot(list(exact), list(exact.values()), **EXACT, ms=3.6, zorder=6)
    rows += [_row(depths[d], "exact", depths[d].exact, r) for d, r in exact.items()]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(depths)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    return rows


def _row(network: Network, method: str, value: float | None, ratio: float) -> Row:
    assert network.shape is not None
    depth, width = network.shape
    head: dict[str, Value] = {"network": network.label, "data": network.data}
    ends: dict[str, Value] = {"value": value, "lower": network.lower, "ratio": ratio}
    return {**head, "width": width, "hidden_layers": depth, "method": method, **ends}


def _numbers(families: dict[Family, Depths]) -> dict[str, Value]:
    """Return ratios at the least and the greatest number of layers, over all widths."""
    layers = [depth for depths in families.values() for depth in depths]
    numbers: dict[str, Value] = {
        "widths": len(families),
        "networks": len(layers),
        "width_min": min(family.width for family in families),
        "width_max": max(family.width for family in families),
    }
    for name, depth in (("shallow", min(layers)), ("deep", max(layers))):
        there = [depths[depth] for depths in families.values() if depth in depths]
        numbers[f"{name}.layers"] = depth
        for method in UPPER_METHODS:
            ratios = [network.upper_ratio(method) for network in there]
            numbers |= ends_of(f"{name}.{slug(method)}", ratios)
        free = [network.ratio(network.free_pattern) for network in there]
        numbers |= ends_of(f"{name}.free_pattern", free)
    for family, depths in families.items():
        for depth, network in depths.items():
            for method in UPPER_METHODS:
                key = f"{family.data}.{network.label}.{slug(method)}"
                numbers[key] = network.upper_ratio(method)
            numbers[f"{family.data}.{network.label}.layers"] = depth
    return numbers


_CAPTION = (
    "Certified upper ends of the $\\ell_2$ Lipschitz constant over the largest lower end that is"
    " known of it, against the number of hidden layers; a panel a width; markers are full where"
    " multipliers were checked. Dashed: the largest norm over free patterns of slopes is at least"
    " that, so that no bound from slopes alone comes below. Ratios are to what a search found: what"
    " it misses counts against the bounds, and for deep networks more than for shallow ones."
)
