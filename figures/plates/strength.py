"""How close attacks come against the time they take, those of other libraries beside ours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from empirics.record import Record
from figures import style
from figures.labels import Name, put_names
from figures.registry import Drawing, Row, Value, figure
from figures.view import NothingToDraw, View
from figures.wording import NORMS, escape
from theory.arrays import FloatArray
from theory.statistics import clopper_pearson

_PANELS = ("l2", "linf", "l1", "l0")
_OWN = "this package"
_LIBRARIES = {
    _OWN: "#0072B2",
    "foolbox": "#D55E00",
    "torchattacks": "#009E73",
    "advlib": "#CC79A7",
    "cleverhans": "#E69F00",
    "art": "#56B4E9",
}
_MARKERS = dict(zip(_LIBRARIES, ("o", "s", "^", "D", "v", "P"), strict=True))
_NAMES = {
    "alma": "ALMA", "apgd": "APGD", "bim": "BIM", "cw": "C&W", "cw_l0": "C&W", "cw_l2": "C&W",
    "cw_linf": "C&W", "ddn": "DDN", "deepfool": "DeepFool", "ead": "EAD", "fab": "FAB",
    "fgsm": "FGSM", "fmn": "FMN", "greedy_l0": "greedy", "jsma": "JSMA", "lbfgs": "L-BFGS",
    "hop_skip_jump": "HopSkipJump", "brendel_bethge": "Brendel-Bethge", "pgd": "PGD",
    "pixle": "Pixle", "sigma_zero": "sigma-zero", "sparsefool": "SparseFool", "vfga": "VFGA",
    "superdeepfool": "SuperDeepFool",
}  # fmt: skip
_COUNTS = ("steps", "num_steps", "iterations", "max_iterations")
_TICKS = (0, 1, 3, 10, 30, 100, 300, 1000)
_EUCLIDEAN = r"\ell_2"
_LINEAR = 1.0
"""Percent up to which the axis of the excess is linear."""


@dataclass(frozen=True)
class Attack:
    """One attack in one norm: its time and its distances, and the best known ones."""

    line: dict[str, Any]
    radii: FloatArray
    best: FloatArray

    @property
    def library(self) -> str:
        """The library that it is of."""
        return str(self.line["library"] or _OWN)

    @property
    def label(self) -> str:
        """What stands beside its marker: its name, and its steps or effort."""
        settings = self.line["settings"]
        name = str(self.line["name"]).removeprefix(f"{self.library}-")
        counts = [str(settings[key]) for key in _COUNTS if key in settings]
        counts += [str(settings["budget"])] if "budget" in settings else []
        return " ".join([_NAMES.get(name, name.replace("_", " ")), *counts[:1]])

    @property
    def milliseconds(self) -> float:
        """CPU time an image."""
        return max(1e3 * float(self.line["cpu_seconds"]) / len(self.radii), 1e-3)

    @property
    def median(self) -> float:
        """Of all images; infinite where less than half were found."""
        return float(np.sort(self.radii)[(len(self.radii) - 1) // 2])

    @property
    def excess(self) -> float:
        """By how much the median is above the best known one, in percent."""
        return 100 * (self.median / float(np.sort(self.best)[(len(self.best) - 1) // 2]) - 1)


def _attacks(record: Record, norm: str) -> list[Attack]:
    lines = record.facts["instruments"].get(norm, [])
    if not lines:
        return []
    radii = np.asarray(record.arrays[f"{norm}.radii"], dtype=np.float64)
    best = radii.min(axis=0)
    # Without a distance for half of the images there is no median to compare with.
    if not np.isfinite(np.sort(best)[(len(best) - 1) // 2]) or not best.any():
        return []
    return [Attack(line, own, best) for line, own in zip(lines, radii, strict=True)]


def front(attacks: list[Attack]) -> list[Attack]:
    """Return the attacks than which none is both faster and closer, the fastest first."""
    kept: list[Attack] = []
    for each in sorted(attacks, key=lambda a: (a.milliseconds, a.median)):
        if np.isfinite(each.median) and (not kept or each.median < kept[-1].median):
            kept.append(each)
    return kept


@figure("strength", title="Strength of attacks against time", needs=("strength",))
def strength(view: View) -> Drawing:
    """A panel a norm, a marker an attack; the network with the most attacks."""
    found: list[tuple[Record, dict[str, list[Attack]]]] = []
    for record in view.measured("strength"):
        panels = {norm: attacks for norm in _PANELS if (attacks := _attacks(record, norm))}
        if panels:
            found.append((record, panels))
    if not found:
        raise NothingToDraw("no attack that was timed")
    record, panels = max(found, key=lambda each: sum(map(len, each[1].values())))
    drawn = style.new_figure(style.TEXT, 0.4 + 1.9 * len(panels))
    grid = drawn.subplots(len(panels), 1, squeeze=False)[:, 0]
    for (norm, attacks), axes in zip(panels.items(), grid, strict=True):
        _draw(axes, norm, attacks)
    grid[-1].set_xlabel("CPU time an image (ms)")
    seen = dict.fromkeys(a.library for attacks in panels.values() for a in attacks)
    drawn.legend(
        handles=[_entry(name) for name in _LIBRARIES if name in seen],
        loc="outside lower center",
        ncols=6,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    # Labels are placed in the final layout: it is found once and kept.
    drawn.draw_without_rendering()
    drawn.set_layout_engine("none")
    for axes, attacks in zip(grid, panels.values(), strict=True):
        names = [Name(a.label, _place(a, attacks), _LIBRARIES[a.library]) for a in attacks]
        put_names(drawn, axes, names, _steps(attacks))
    rows = [
        row for each, known in found for norm, attacks in known.items()
        for row in _rows(each, norm, attacks)
    ]  # fmt: skip
    numbers = _numbers(record, panels)
    return Drawing(drawn, rows, numbers, _caption(numbers))


def _top(attacks: list[Attack]) -> float:
    """Return where attacks without a median stand."""
    return 3 * max([10.0, *(a.excess for a in attacks if np.isfinite(a.excess))])


def _place(each: Attack, attacks: list[Attack]) -> tuple[float, float]:
    return each.milliseconds, each.excess if np.isfinite(each.excess) else _top(attacks)


def _draw(axes: Axes, norm: str, attacks: list[Attack]) -> None:
    top = _top(attacks)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=_LINEAR, linscale=0.6)
    axes.plot(*zip(*_steps(attacks), strict=True), color=style.QUIET, lw=0.8, zorder=1)
    for each in attacks:
        hollow = each.library != _OWN
        look = style.Look(_LIBRARIES[each.library], _MARKERS[each.library])
        axes.plot(*_place(each, attacks), **style.marker_style(look, hollow=hollow), zorder=4)
    ticks = [t for t in _TICKS if t < top]
    failed = any(not np.isfinite(each.median) for each in attacks)
    axes.yaxis.set_major_locator(FixedLocator([*ticks, *([top] if failed else [])]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticklabels([f"{t}%" for t in ticks] + (["none"] if failed else []))
    axes.set_ylim(-0.35, 1.8 * top)
    times = [each.milliseconds for each in attacks]
    axes.set_xlim(min(times) / 1.6, max(times) * 5)
    axes.set_ylabel("median above best")
    axes.set_title(f"${NORMS.get(norm, _EUCLIDEAN)}$", loc="left")


def _entry(name: str) -> Line2D:
    look = style.Look(_LIBRARIES[name], _MARKERS[name])
    hollow = name != _OWN
    return Line2D([], [], **style.marker_style(look, hollow=hollow), ms=4, label=_shown(name))


def _shown(library: str) -> str:
    return {"advlib": "adv-lib", "art": "ART"}.get(library, library)


def _steps(attacks: list[Attack]) -> list[tuple[float, float]]:
    """Return the corners of the line along the front, each level up to the next attack's time."""
    kept = [_place(each, attacks) for each in front(attacks)]
    corners = kept[:1]
    for place in kept[1:]:
        corners += [(place[0], corners[-1][1]), place]
    return corners


def _network(record: Record) -> tuple[str, str]:
    subject = record.request.subject
    return str(subject["image_classifier"]["label"]), str(subject.get("data", {}).get("name", ""))


def _rows(record: Record, norm: str, attacks: list[Attack]) -> list[Row]:
    label, data = _network(record)
    on_front = {id(each) for each in front(attacks)}
    rows: list[Row] = []
    for each in attacks:
        n, found = len(each.radii), np.isfinite(each.radii)
        low, high = clopper_pearson(int(found.sum()), n, 0.05)
        row: dict[str, Value] = {"network": label, "data": data, "norm": norm}
        row |= {"library": each.library, "attack": each.line["line"], "n": n}
        row |= {"cpu_ms": each.milliseconds, "wall_ms": 1e3 * each.line["wall_seconds"] / n}
        row |= {"forward": each.line["forward"] / n, "backward": each.line["backward"] / n}
        row |= {"found": int(found.sum()), "found_low": float(low), "found_high": float(high)}
        row |= {"median": _csv(each.median), "excess_percent": _csv(each.excess)}
        row["mean_of_found"] = float(each.radii[found].mean()) if found.any() else None
        both = found & (each.best > 0)
        ratio = each.radii[both] / each.best[both]
        row["mean_ratio_of_found"] = float(ratio.mean()) if both.any() else None
        rows.append({**row, "front": "yes" if id(each) in on_front else "no"})
    return rows


def _csv(value: float) -> Value:
    return value if np.isfinite(value) else "inf"


def _numbers(record: Record, panels: dict[str, list[Attack]]) -> dict[str, Value]:
    label, data = _network(record)
    numbers: dict[str, Value] = {"network": label, "data": data, "n": int(record.facts["n"])}
    numbers |= {"device": str(record.provenance.get("device", "")), "norms": len(panels)}
    numbers |= {"absent": len(record.facts["absent"]), "failed": len(record.facts["failed"])}
    numbers["threads"] = record.provenance.get("threads")
    for norm, attacks in panels.items():
        own = [a for a in attacks if a.library == _OWN]
        peers = [a for a in attacks if a.library != _OWN and np.isfinite(a.median)]
        kept = front(attacks)
        numbers |= {f"{norm}.attacks": len(attacks), f"{norm}.peers": len(attacks) - len(own)}
        numbers[f"{norm}.best_known"] = float(np.sort(attacks[0].best)[(len(own[0].best) - 1) // 2]
                                              ) if own else None  # fmt: skip
        numbers |= {f"{norm}.front": len(kept)}
        numbers[f"{norm}.front_peers"] = sum(a.library != _OWN for a in kept)
        if not own:
            continue
        best = min(own, key=lambda a: (a.median, a.milliseconds))
        numbers |= _about(f"{norm}.own", best)
        if not peers:
            continue
        fastest = min(peers, key=lambda a: a.milliseconds)
        closest = min(peers, key=lambda a: (a.median, a.milliseconds))
        numbers |= _about(f"{norm}.fastest_peer", fastest) | _about(f"{norm}.best_peer", closest)
        numbers[f"{norm}.gain_over_fastest"] = fastest.median / best.median
        numbers[f"{norm}.gain_over_best"] = closest.median / best.median
        for name, peer in (("fastest", fastest), ("best", closest)):
            in_time = [a for a in own if a.milliseconds <= 1.1 * peer.milliseconds]
            if in_time:
                within = min(in_time, key=lambda a: (a.median, a.milliseconds))
                numbers |= _about(f"{norm}.within_{name}", within)
    return numbers


def _about(stem: str, each: Attack) -> dict[str, Value]:
    of = "" if each.library == _OWN else f" ({_shown(each.library)})"
    return {
        f"{stem}.name": each.label + of,
        f"{stem}.ms": each.milliseconds,
        f"{stem}.median": each.median,
        f"{stem}.excess_percent": each.excess,
    }


def _caption(numbers: dict[str, Value]) -> str:
    return (
        f"Attacks on {numbers['n']} test images of {numbers['data']} that the network"
        f" {numbers['network']} classifies correctly ({escape(str(numbers['device']))},"
        " each attack alone, CPU time): by how much the median distance exceeds that of the nearest"
        " points which any attack found, linear up to 1% and logarithmic above. All points are"
        " judged by the network itself after they were cut to $[0, 1]$ and rounded to single"
        " precision; ``none'': less than half of the images were changed. Full: this package;"
        " hollow: other libraries. The line joins the attacks than which none is both faster and"
        " closer."
    )
