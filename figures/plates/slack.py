"""How far the evidence lies inside each conjecture, by architecture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from empirics.judge import Verdict
from figures import style
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from theory.claim import CLAIMS, Kind, Status
from theory.verdict import Outcome

_ROW, _REST = 0.27, 1.15
"""Height of a conjecture and of all else, in inches."""
_SPREAD = 0.32
"""Half of the part of a row that its markers fill."""
_COLUMNS = 4
_RING: dict[str, Any] = {"marker": "o", "ms": 6, "mfc": "none", "mec": style.RING, "mew": 0.8}
_PURE = ("ratio", "relative", "share")
"""Parts of the names of quantities without a unit, whatever their norm."""
ALL_PAIRS, SEVERAL, CLOSED_FORM = "all pairs together", "several classifiers", "closed form"
_FAMILIES = ("half_space", "argmax")


@dataclass(frozen=True)
class Mark:
    """One verdict as the figure shows it."""

    verdict: Verdict
    architecture: str


def architecture(subject: Mapping[str, Any]) -> str:
    """Return what kind of classifier a subject has, or of generator where it has none.

    Examples
    --------
    >>> architecture({"classifier": {"name": "mlp", "settings": {"activation": "tanh"}}})
    'mlp, tanh'
    """
    if "classifiers" in subject or "image_classifiers" in subject:
        return SEVERAL
    for role in ("classifier", "image_classifier", "generator"):
        part = subject.get(role)
        if part is None:
            continue
        name, settings = str(part.get("name", part.get("label"))), part.get("settings", {})
        if name in _FAMILIES:
            return CLOSED_FORM
        other = [settings.get(key) for key in ("activation", "pooling")]
        words = [str(word) for word in other if word not in (None, "relu", "stride")]
        words += ["median filter"] * bool(settings.get("median_filter"))
        return ", ".join([name.replace("_", " "), *words])
    return "no network"


def _marks(view: View) -> list[Mark]:
    subjects = {record.id: record.request.subject for record in view.records}
    return [
        Mark(verdict, _architecture(verdict, subjects))
        for verdict in view.verdicts
        if verdict.status == Status.CONJECTURED and verdict.outcome != Outcome.OUT_OF_SCOPE
    ]


def _architecture(verdict: Verdict, subjects: Mapping[str, Mapping[str, Any]]) -> str:
    if CLAIMS[verdict.claim].kind is Kind.COMPARISON and verdict.subject.startswith("all "):
        return ALL_PAIRS
    return architecture(subjects[verdict.records[0]])


@figure("slack", title="Slack by conjecture and architecture", needs=())
def slack(view: View) -> Drawing:
    """A row a conjecture; its worst place is right of the line where the evidence confirms it."""
    marks = _marks(view)
    seen = [mark for mark in marks if mark.verdict.slack is not None]
    if not seen:
        raise NothingToDraw("no conjecture speaks of any record")
    claims = list(dict.fromkeys(mark.verdict.claim for mark in seen))
    scales = {
        claim: _scale([mark for mark in seen if mark.verdict.claim == claim]) for claim in claims
    }
    looks = _looks(sorted({mark.architecture for mark in seen}, key=_legend_order))
    drawn = style.new_figure(style.TEXT, _REST + _ROW * len(claims))
    axes = drawn.subplots()
    places = {name: _SPREAD * p for name, p in zip(looks, _spread(len(looks)), strict=True)}
    rows: list[Row] = []
    for y, claim in enumerate(claims):
        axes.axhline(y + 0.5, color=style.QUIET, lw=0.3)
        for mark in (each for each in seen if each.verdict.claim == claim):
            x = float(mark.verdict.slack or 0.0) / scales[claim]
            _draw(axes, (x, y + places[mark.architecture]), mark, looks[mark.architecture])
    for mark in marks:
        rows.append(_row(mark, scales))
    _finish(axes, claims, scales)
    handles = [*style.legend_entries(looks, line="none"), *_outcomes()]
    drawn.legend(
        handles=handles, loc="outside lower center", ncols=_COLUMNS, fontsize=6.5, columnspacing=1.2
    )
    numbers = _numbers(marks)
    return Drawing(drawn, rows, numbers, _caption(numbers))


def _looks(names: Sequence[str]) -> dict[str, style.Look]:
    """Return a look for each name: not in the colour of the rings, and of a shape to be hollow."""
    pool = style.looks(map(str, range(3 * len(names) + 6))).values()
    free = [look for look in pool if look.color != style.RING and look.marker not in "PX"]
    own = {ALL_PAIRS: style.Look(style.INK, "o")}
    return {name: own.get(name, look) for name, look in zip(names, free, strict=False)}


def _legend_order(name: str) -> tuple[bool, str]:
    return name in (ALL_PAIRS, SEVERAL, CLOSED_FORM), name


def _spread(n: int) -> Sequence[float]:
    return [float(each) for each in np.linspace(-1, 1, n)] if n > 1 else [0.0]


def _scale(marks: Sequence[Mark]) -> float:
    """Return the largest slack of either sign, 1 where all are 0."""
    return max(abs(mark.verdict.slack or 0.0) for mark in marks) or 1.0


def _draw(axes: Axes, at: tuple[float, float], mark: Mark, look: style.Look) -> None:
    outcome = mark.verdict.outcome
    strokes = style.marker_style(look, hollow=outcome == Outcome.UNDECIDED)
    axes.plot(*at, **{**strokes, "markeredgewidth": 0.7}, ms=3, zorder=5, clip_on=False)
    if outcome == Outcome.VIOLATED:
        axes.plot(*at, **_RING, zorder=6, clip_on=False)


def _unit(claim: str) -> str:
    kind, quantity = CLAIMS[claim].kind, CLAIMS[claim].quantities[0]
    if kind is Kind.LAW:
        return "probability"
    if quantity.norm.startswith("hamming"):
        return "pixels"
    if not any(word in quantity.symbol for word in _PURE):
        return {"l2": r"$\ell_2$", "linf": r"$\ell_\infty$"}.get(quantity.norm, "")
    return ""


def _finish(axes: Axes, claims: Sequence[str], scales: Mapping[str, float]) -> None:
    axes.axvline(0, **style.BOUND)
    axes.set(xlim=(-1.06, 1.06), ylim=(len(claims) - 0.5, -0.5))
    axes.set_yticks(range(len(claims)), [claim.replace("/", ": ", 1) for claim in claims])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    axes.set_xlabel("slack at the worst place, as a part of the largest of its row (at the right)")
    for y, claim in enumerate(claims):
        text = f"{scales[claim]:.2g} {_unit(claim)}".strip()
        axes.annotate(
            text, (1.0, y), (4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=6.5,
        )  # fmt: skip


def _outcomes() -> list[Line2D]:
    """Return what filled, hollow and ringed markers mean."""
    style_of: dict[str, Any] = {"color": style.QUIET, "marker": "o", "ls": "none", "ms": 4}
    return [
        Line2D([], [], **style_of, label="holds"),
        Line2D([], [], **{**style_of, "mfc": "white"}, label="undecided"),
        Line2D([], [], **{**style_of, **_RING}, label="violated"),
    ]


def _row(mark: Mark, scales: Mapping[str, float]) -> Row:
    verdict = mark.verdict
    value = verdict.slack
    row: dict[str, Value] = {"claim": verdict.claim, "quantity": verdict.quantity}
    row |= {"subject": verdict.subject, "architecture": mark.architecture}
    row |= {"outcome": verdict.outcome, "slack": value, "decided": verdict.decided}
    row["relative"] = None if value is None else value / scales[verdict.claim]
    return {**row, "n": verdict.n, "reason": verdict.reason}


def _numbers(marks: Sequence[Mark]) -> dict[str, Value]:
    numbers: dict[str, Value] = {}
    outcomes = {
        "holds": Outcome.HOLDS,
        "violated": Outcome.VIOLATED,
        "undecided": Outcome.UNDECIDED,
    }
    total = Counter(mark.verdict.outcome for mark in marks)
    numbers |= {name: total[outcome] for name, outcome in outcomes.items()}
    by_claim: dict[str, Counter[str]] = {}
    for mark in marks:
        by_claim.setdefault(mark.verdict.claim, Counter())[mark.verdict.outcome] += 1
    for claim, counts in by_claim.items():
        numbers |= {f"{claim}.{name}": counts[outcome] for name, outcome in outcomes.items()}
    numbers["conjectures"] = len(by_claim)
    numbers["conjectures_violated"] = sum(
        counts[Outcome.VIOLATED] > 0 for counts in by_claim.values()
    )
    numbers["not_shown"] = sum(mark.verdict.slack is None for mark in marks)
    return numbers


def _caption(numbers: Mapping[str, Value]) -> str:
    hidden = int(numbers["not_shown"] or 0)
    left_out = f" Not shown are {hidden} verdicts whose slack is not finite." if hidden else ""
    return (
        f"Slack of {numbers['conjectures']} conjectures: how far the evidence lies inside the claim"
        " at its worst place, confidence included, negative where that is not shown; for laws in"
        " probability, else in the unit of the quantity. Each row has its own scale, its largest"
        " slack of either sign, which stands at the right. A marker is one verdict: colour and"
        " shape name the architecture; hollow is undecided"
        f" ({numbers['undecided']}), ringed is violated"
        f" ({numbers['violated']}), filled holds ({numbers['holds']}). Comparisons of two models"
        " appear by the first of them, and once for all their pairs together." + left_out
    )
