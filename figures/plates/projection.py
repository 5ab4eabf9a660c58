"""Theorem 2: a classifier that projects on the generator's range first, against half of r_in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from empirics.record import Record
from figures import style
from figures.curves import draw_law, law_on
from figures.law_panels import JUDGED, count_outcomes, dress, law_grid, outcome_words
from figures.measured import ORIGIN, by_generator, count_words, measured_on
from figures.moduli import label_decades
from figures.projected import PROJECTED, WITHIN, Projected, numbers_of, point_rows
from figures.registry import Drawing, Value, figure
from figures.view import NothingToDraw, Pair, View
from figures.wording import escape, number, symbol
from theory.claims.fawzi2018.projection import projected_unconstrained_lower_bound
from theory.verdict import Outcome

_CLAIM = "fawzi2018/thm2-slack"
_PAIR = f"{WITHIN} <= {PROJECTED}"
_ACROSS, _LINES = 3, 6
"""Classifiers in one line of panels, and lines up to which a figure fits a page."""
_SPREAD = 6.0
"""The axis is logarithmic when the laws of one panel lie so many times apart."""
_NEARER = 1 - 1e-6
"""A point counts as nearer only by more than what the two searches differ by anyway."""
_BELOW = 0.5 * _NEARER
_IN: dict[str, Any] = {"lw": 0.8, "ls": (0, (5, 1.2, 1.2, 1.2))}
_HALF: dict[str, Any] = {"lw": 0.9, "ls": (0, (1, 1.2))}


@figure(
    "projection",
    title="A classifier that projects on the generator's range first",
    needs=("projected",),
    also=(*JUDGED, *ORIGIN),
)
def projection(view: View) -> Drawing:
    """A line a generator and few classifiers: laws of the radii, and point by point over r_in."""
    records = view.measured("projected")
    if not records:
        raise NothingToDraw("no radii of a projected classifier")
    blocks = _blocks(records, _ACROSS)
    if len(blocks) > _LINES:
        blocks = _blocks(records, len(records))
    known = style.looks(cell.pair.classifier for _, cells in blocks for cell in cells)
    drawn = style.new_figure(style.TEXT, 0.95 + 1.55 * len(blocks))
    panels = drawn.subplots(len(blocks), 2, squeeze=False)
    for (name, cells), (left, right) in zip(blocks, panels, strict=True):
        _draw_laws(left, view, cells, known)
        _draw_points(right, cells, known)
        counts = count_outcomes(view.verdict(_CLAIM, cell.pair, _PAIR) for cell in cells)
        left.set_ylabel(f"{name}\n" + r"$\Pr(r \leq \eta)$", linespacing=1.4)
        right.set_title(outcome_words(counts) or "no verdict")
    panels[-1, 0].set_xlabel(r"$\eta$, image $\ell_2$ distance")
    panels[-1, 1].set_xlabel(f"${symbol(WITHIN)}$ (attacked), image $\\ell_2$ distance")
    every = [cell for _, cells in blocks for cell in cells]
    entries = _legend(known, every)
    drawn.legend(handles=entries, loc="outside lower center", ncols=4, columnspacing=1.4)
    rows = [row for cell in every for row in point_rows(cell)]
    numbers = _numbers(view, every)
    return Drawing(drawn, rows, numbers, _caption(view, every, numbers))


def _blocks(records: Sequence[Record], across: int) -> list[tuple[str, list[Projected]]]:
    """Return the classifiers of each generator, so many in one line."""
    return [
        (name, [_cell(name, record) for record in some[start : start + across]])
        for name, some in by_generator(records).items()
        for start in range(0, len(some), across)
    ]


def _cell(generator: str, record: Record) -> Projected:
    classifier = str(record.request.subject["classifier"]["label"])
    return Projected(Pair(generator, classifier, record, record.facts))


def _draw_laws(
    axes: Axes, view: View, cells: Sequence[Projected], known: dict[str, style.Look]
) -> None:
    grid, log = law_grid([cell.within for cell in cells], [])
    middles = [np.median(x) for cell in cells if (x := cell.within.upper[cell.found]).size]
    if middles and max(middles) > _SPREAD * min(middles):
        # Halves of the most fragile points must still be seen.
        grid, log = np.geomspace(min(middles) / 10, grid[-1], grid.size), True
    for cell in cells:
        look = known[cell.pair.classifier]
        draw_law(axes, grid, cell.projected, view.band(cell.projected.n), look)
        for factor, stroke in ((1.0, _IN), (0.5, _HALF)):
            law = law_on(grid, factor * cell.within.upper)
            axes.step(grid, law, where="post", color=look.color, **stroke)
    dress(axes, grid, log)


def _draw_points(axes: Axes, cells: Sequence[Projected], known: dict[str, style.Look]) -> None:
    sizes = np.concatenate([cell.within.upper[cell.found] for cell in cells])
    if not sizes.size:
        axes.text(0.5, 0.5, "no other label was found", ha="center", transform=axes.transAxes)
        axes.set(xticks=[], ylim=(0, 1.08))
        return
    span = float(sizes.min()) / 1.15, float(sizes.max()) * 1.15
    for cell in cells:
        look, x = known[cell.pair.classifier], cell.within.upper[cell.found]
        proved, seen = cell.ratios(cell.projected.upper), cell.ratios(cell.seen)
        certified = cell.ratios(cell.projected.lower)
        nearer = seen < proved * _NEARER
        mark: dict[str, Any] = {"color": look.color, "ls": "none", "marker": look.marker}
        axes.vlines(x[nearer], seen[nearer], proved[nearer], color=look.color, lw=0.4, alpha=0.6)
        axes.plot(x[nearer], seen[nearer], **mark, ms=2.4, mfc="white", mew=0.6, zorder=4)
        axes.plot(x, proved, **mark, ms=2.4, mew=0, zorder=5)
        sure = certified > 0
        dashed: dict[str, Any] = {
            "color": look.color,
            "lw": 0.5,
            "ls": (0, (2.2, 1.2)),
            "alpha": 0.7,
        }
        axes.vlines(x[sure], certified[sure], proved[sure], **dashed)
        halves = cell.ratios(cell.within.lower) / 2
        axes.plot(x[halves > 0], halves[halves > 0], color=look.color, marker="_", ms=3, ls="none")
    at = np.geomspace(*span, 121)
    for slack in dict.fromkeys(cell.slack for cell in cells):
        stroke = style.SAMPLED if slack is None else style.BOUND
        line = projected_unconstrained_lower_bound(at, slack or 0.0) / at
        axes.plot(at, line, **stroke, zorder=6)
    axes.set(xscale="log", xlim=span, ylim=(0, 1.08))
    label_decades(axes.xaxis, *span)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    axes.set_ylabel(f"${symbol(PROJECTED)}/{symbol(WITHIN)}$")


def _legend(known: dict[str, style.Look], cells: Sequence[Projected]) -> list[Any]:
    """Return an entry for each stroke that is there."""
    slacks = {cell.slack is not None for cell in cells}
    grey = style.QUIET
    point: dict[str, Any] = {"color": grey, "marker": "o", "ls": "none", "ms": 3}
    within, projected = symbol(WITHIN), symbol(PROJECTED)
    entries = [
        *style.legend_entries(known),
        Line2D([], [], color=grey, lw=1.0, label=f"law of ${projected}$, attacked"),
        Line2D([], [], color=grey, **_IN, label=f"law of ${within}$, attacked"),
        Line2D([], [], color=grey, **_HALF, label=f"law of ${within}/2$, attacked"),
        Line2D([], [], **point, mew=0, label="label certain"),
        Line2D([], [], **point, mfc="white", mew=0.6, label="descents alone"),
    ]
    if any(cell.projected.lower.any() for cell in cells):
        entries.append(Line2D([], [], color=grey, **style.CERTIFIED_END, label="certified"))
    if any(cell.within.lower[cell.found].any() for cell in cells):
        dash = Line2D([], [], color=grey, marker="_", ms=4, ls="none")
        dash.set_label(f"half of certified ${within}$")
        entries.append(dash)
    if True in slacks:
        entries.append(Line2D([], [], **style.BOUND, label="Theorem 2"))
    if False in slacks:
        entries.append(Line2D([], [], **style.SAMPLED, label="½, no gap proved"))
    return entries


def _numbers(view: View, cells: Sequence[Projected]) -> dict[str, Value]:
    numbers: dict[str, Value] = {"pairs": len(cells), "n": max(cell.within.n for cell in cells)}
    for cell in cells:
        own = numbers_of(cell)
        numbers |= {f"{cell.pair.generator}.{cell.pair.classifier}.{k}": v for k, v in own.items()}
    counts = count_outcomes(view.verdict(_CLAIM, cell.pair, _PAIR) for cell in cells)
    for outcome in Outcome:
        numbers[outcome.replace(" ", "_").lower()] = counts.get(outcome, 0)
    some = [cell for cell in cells if cell.found.any()]
    if some:
        numbers["all.proved_over_r_in_least"] = min(
            float(cell.ratios(cell.projected.upper).min()) for cell in some
        )
        numbers["all.seen_over_r_in_least"] = min(
            float(cell.ratios(cell.seen).min()) for cell in some
        )
    for key in ("nearer_seen", "nearer_proved", "below_half_seen", "not_found"):
        numbers[f"all.{key}"] = sum(int(cell.facts[key]) for cell in cells)
    numbers["all.points"] = sum(cell.within.n for cell in cells)
    numbers["all.below_half_attacked"] = sum(
        int((cell.ratios(cell.seen) < _BELOW).sum()) for cell in cells
    )
    return numbers


def _caption(view: View, cells: Sequence[Projected], numbers: dict[str, Value]) -> str:
    within, projected = symbol(WITHIN), symbol(PROJECTED)
    points = count_words(cell.within.n for cell in cells)
    words = [
        "Theorem 2: the classifier that first projects on the range of the generator has"
        f" ${projected} \\ge {within}/2$ at every generated image; {points} points a classifier."
        f" Left: laws of ${projected}$ with their bands, of ${within}$ and of ${within}/2$, each by"
        " its attacked distances (where two coincide one is seen); dashed, of what is certified of"
        f" ${projected}$, which is nothing where the generator is not affine: half of the certified"
        f" ${within}$ is the claim and not evidence for it. Right, point by point over the attacked"
        f" ${within}$: filled, the nearest point whose label is certain wherever its true"
        " projection is; hollow, the nearest whose projection, as the descents found it, has"
        " another label, which proves nothing; dashes, half of what is certified of"
        f" ${within}$, below which no filled mark may lie. Outcomes are those of Theorem 2 with the"
        " proved gap of the projection."
    ]
    slacks = {cell.slack for cell in cells}
    if slacks == {0.0}:
        words.append("No gap: every upper end is one of the true projection.")
    elif None in slacks:
        words.append("Dotted line: no gap of the projection is proved, and the theorem is silent.")
    affine = dict.fromkeys(c.pair.generator for c in cells if c.facts["affine"])
    if affine:
        words.append(
            f"{escape(', '.join(affine))}: affine, the projection has a closed form and"
            f" ${projected} = {within}$."
        )
    words.append(
        f"Of {number(int(numbers['all.points'] or 0))} points, the descents alone went below half"
        f" of the attacked ${within}$ at {numbers['all.below_half_attacked']}, and below half of"
        " what is certified, which only a projection short of the nearest point can do, at"
        f" {numbers['all.below_half_seen']}; no other label was found within the range at"
        f" {numbers['all.not_found']}."
    )
    return " ".join([*words, measured_on(view, [cell.pair.record for cell in cells])])
