"""Lipschitz constants as figures see them: networks, methods with their ends, ratios, axes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import cached_property
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from empirics.record import Record, canonical_json
from figures import style
from figures.hamming import shape_of
from figures.registry import Value
from figures.view import NothingToDraw, View
from theory.evidence import Interval

UPPER_METHODS = ("product", "balanced", "cut points", "split", "stagewise", "semidefinite")
"""Methods that give upper ends, as a rule the loosest first."""
LOOKS = style.looks(("semidefinite", "product", "split", "cut points", "balanced", "stagewise"))
FREE: dict[str, Any] = {"color": style.INK, **style.CERTIFIED_END}
EXACT: dict[str, Any] = {"color": style.INK, "marker": "d", "ls": "none"}
_RING: dict[str, Any] = {"marker": "o", "mfc": "none", "mec": style.RING, "mew": 1.1, "ls": "none"}
_CONSTANTS, _SEMIDEFINITE = "constants[l2->l2]", "semidefinite_bound[l2->l2]"
_TICKS = (
    (1.1, (1, 1.02, 1.04, 1.06, 1.08, 1.1)),
    (1.6, (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)),
    (3, (1, 1.2, 1.5, 2, 2.5, 3)),
    (12, (1, 1.5, 2, 3, 5, 7, 10)),
    (150, (1, 2, 5, 10, 20, 50, 100)),
    (5e3, (1, 3, 10, 30, 100, 300, 1000, 3000)),
)


@dataclass(frozen=True)
class Constant:
    """What one method gave for one network; None for an end that it does not give."""

    method: str
    lower: float | None
    upper: float | None
    verified: bool | None
    seconds: float | None


@dataclass(frozen=True)
class Family:
    """What networks have in common that differ in depth alone."""

    data: str
    width: int
    training: str


@dataclass(frozen=True, eq=False)
class Network:
    """One classifier of images, or one generator, whose Lipschitz constant was bounded."""

    record: Record

    @property
    def data(self) -> str:
        """The name of its data set; empty if it has none."""
        return str(self.record.request.subject.get("data", {}).get("name", ""))

    @property
    def _part(self) -> dict[str, Any]:
        subject = self.record.request.subject
        return dict(subject.get("image_classifier") or subject["generator"])

    @property
    def is_generator(self) -> bool:
        """Whether it maps latents to images."""
        return "image_classifier" not in self.record.request.subject

    @property
    def label(self) -> str:
        """Its label in the preset."""
        return str(self._part["label"])

    @cached_property
    def constants(self) -> dict[str, Constant]:
        """What each method gave, by its name."""
        found = {}
        for line in self.record.facts.get(_CONSTANTS, ()):
            lower, upper = (_finite(line[end]) for end in ("lower", "upper"))
            found[line["method"]] = Constant(
                line["method"], lower, upper, line["verified"], line["seconds"]
            )
        return found

    @property
    def is_affine(self) -> bool:
        """Whether its constant is the norm of one matrix, and no method is needed."""
        return len(self.record.facts.get("layer_norms[l2->l2]", ())) == 1

    @property
    def lower(self) -> float:
        """The largest lower end of the true constant that is known; 0 if there is none."""
        seen = self.record.evidence.get("lipschitz[l2->l2]")
        known = [c.lower for c in map(self.constants.get, ("sampled", "exact")) if c is not None]
        ends = [end for end in known if end is not None]
        return max([0.0, *ends, *([float(seen.lower)] if isinstance(seen, Interval) else [])])

    @property
    def exact(self) -> float | None:
        """The upper end of the exact constant, or None if it was not sought."""
        return self.upper("exact")

    def upper(self, method: str) -> float | None:
        """Return the upper end that a method gave."""
        found = self.constants.get(method)
        return None if found is None else found.upper

    @property
    def free_pattern(self) -> float | None:
        """A lower end of the largest norm over free patterns of slopes."""
        found = self.constants.get("free pattern")
        return None if found is None else found.lower

    @property
    def semidefinite_lower(self) -> float | None:
        """A lower end of the least semidefinite bound."""
        found = self.record.facts.get(_SEMIDEFINITE, {}).get("lower")
        return None if found is None or found <= 0 else _finite(found)

    def ratio(self, value: float | None) -> float | None:
        """Return how many times the known lower end of the true constant a value is."""
        return None if value is None or self.lower <= 0 else value / self.lower

    def upper_ratio(self, method: str) -> float | None:
        """Return the upper end of a method over the known lower end of the true constant."""
        return self.ratio(self.upper(method))

    @property
    def has_ratios(self) -> bool:
        """Whether there is an upper end to compare with a lower one."""
        return any(self.upper_ratio(method) is not None for method in UPPER_METHODS)

    @property
    def shape(self) -> tuple[int, int] | None:
        """Number and width of its hidden layers, if all have one width."""
        hidden = self._part.get("settings", {}).get("hidden")
        if self.is_generator or not hidden:
            return None if self.is_generator else shape_of(self.label)
        return (len(hidden), int(hidden[0])) if len(set(hidden)) == 1 else None

    @property
    def family(self) -> Family | None:
        """All but its depth that tells it from other classifiers; None if it has no one width."""
        if self.shape is None:
            return None
        settings = {k: v for k, v in self._part.get("settings", {}).items() if k != "hidden"}
        training = canonical_json([self._part.get("name"), settings]) if settings else ""
        return Family(self.data, self.shape[1], training)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def networks(view: View) -> list[Network]:
    """Return the networks whose constants were bounded by any method: classifiers first.

    Affine maps are left out. Networks of one data set stand together.

    Raises
    ------
    NothingToDraw
        If there are none.
    """
    records = [record for name in ("lipschitz", "modulus") for record in view.measured(name)]
    found = [network for network in map(Network, records) if network.constants]
    found = [network for network in found if not network.is_affine]
    if not found:
        raise NothingToDraw("no Lipschitz constant of a network with hidden units")
    order = list(dict.fromkeys(network.data for network in found))
    return sorted(found, key=lambda network: order.index(network.data))


def compared(view: View) -> list[Network]:
    """Return those of `networks` with an upper and a lower end.

    Raises
    ------
    NothingToDraw
        If there are none.
    """
    found = [network for network in networks(view) if network.has_ratios]
    if not found:
        raise NothingToDraw("no network with both an upper and a lower end of its constant")
    return found


def extremes(values: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Return the least and the largest of the values that are there.

    Examples
    --------
    >>> extremes([2.0, None, 3.0]), extremes([None])
    ((2.0, 3.0), (None, None))
    """
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (None, None)


def slug(method: str) -> str:
    """Return a method's name as part of a key.

    Examples
    --------
    >>> slug("cut points")
    'cut_points'
    """
    return method.replace(" ", "_")


def rounded(value: float, *, up: bool, digits: int = 4) -> str:
    r"""Return a positive number with so many significant digits, never rounded to the other side.

    Examples
    --------
    >>> rounded(1.0, up=True), rounded(40.24169, up=True), rounded(40.24169, up=False)
    ('1.000', '40.25', '40.24')
    >>> rounded(99999.1, up=True), rounded(123456.7, up=False), rounded(0.00012345, up=True)
    ('$1 \\times 10^{5}$', '$1.234 \\times 10^{5}$', '$1.235 \\times 10^{-4}$')
    """
    way = ROUND_CEILING if up else ROUND_FLOOR
    short = Context(prec=digits, rounding=way).create_decimal(Decimal(value))
    if not value or -3 <= short.adjusted() < 5:
        unit = Decimal((0, (1,), min(short.adjusted() - digits + 1, 0)))
        return f"{short.quantize(unit):f}"
    mantissa = short.scaleb(-short.adjusted()).normalize()
    return rf"${mantissa:f} \times 10^{{{short.adjusted()}}}$"


def between(values: Iterable[float | None]) -> str:
    """Return the range of positive values in words, its ends rounded outward.

    Examples
    --------
    >>> between([1.00004, None, 2.9561]), between([3.0]), between([])
    ('1.000 to 2.957', '3.000', 'nothing')
    """
    low, high = extremes(values)
    if low is None or high is None:
        return "nothing"
    ends = rounded(low, up=False), rounded(high, up=True)
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def ends_of(key: str, ratios: Sequence[float | None]) -> dict[str, Value]:
    """Return the numbers of the paper that tell the range of some ratios."""
    low, high = extremes(ratios)
    return {f"{key}_min": low, f"{key}_max": high, f"{key}_words": between(ratios)}


def ratio_axis(axis: Axis, most: float) -> None:
    """Put ticks on a logarithmic axis of ratios from 1 to `most`."""
    for end, ticks in _TICKS:
        if most <= end:
            axis.set_major_locator(FixedLocator(ticks))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
            return


def draw_upper(
    axes: Axes, at: tuple[float, float], network: Network, method: str, size: float = 3.4
) -> None:
    """Draw a marker: full for a verified certificate, hollow without one, ringed if it fails."""
    verified = network.constants[method].verified
    strokes = style.marker_style(LOOKS[method], hollow=verified is not True)
    axes.plot(*at, **strokes, ms=size, zorder=5)
    if verified is False:
        axes.plot(*at, **_RING, ms=size + 5, zorder=6)


def entries(shown: Sequence[Network], line: str = "none") -> list[Line2D]:
    """Return the legend of what `draw_upper` and the strokes above show, the loosest first."""
    kept = [constant for network in shown for constant in network.constants.values()]
    methods = {constant.method for constant in kept}
    handles = style.legend_entries({m: LOOKS[m] for m in UPPER_METHODS if m in methods}, line)
    verified = {constant.method for constant in kept if constant.verified}
    for handle in handles:
        if handle.get_label() not in verified:
            handle.set_markerfacecolor("white")
            handle.set_markeredgewidth(0.9)
    if any(network.free_pattern for network in shown):
        handles.append(Line2D([], [], **FREE, label="free patterns, at least"))
    if any(network.exact for network in shown):
        handles.append(Line2D([], [], **EXACT, ms=4, label="exact"))
    if any(constant.verified is False for constant in kept):
        handles.append(Line2D([], [], **_RING, ms=8, label="not verified"))
    return handles
