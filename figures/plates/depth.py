"""Networks compared with their baselines on the same images and targets."""

import numpy as np

from empirics.record import Record
from figures.hamming import (
    Box,
    Network,
    data_and_label,
    networks,
    percent,
    shape_of,
)
from figures.paired import OPEN, Comparison, Group, verdict
from figures.registry import Row, Section, Table, Value, table
from figures.view import NothingToDraw, View
from figures.wording import escape, number
from theory.statistics import holm

_BOXES = (Box(0.0), Box(1.0))
_RELU = ("relu", "mlp-1x64")
_ARCHITECTURES = ("conv-max", "residual")
_ESCAPES = ("sigmoid", "tanh", "median-filter", "median-pool")
_VERDICTS = (("harder", "harder"), ("easier", "easier"), ("open", OPEN))
_GROUPS: tuple[Group, ...] = ("depth", "architecture", "escape", "one pixel")


@table(
    "depth",
    title="Depth, architecture and escapes, in pairs",
    needs=("hamming",),
    also=("one_pixel",),
)
def depth(view: View) -> Table:
    """A section a box, a line a network; the attack by one pixel last."""
    known = networks(view)
    found = [*_by_changes(known), *_by_one_pixel(view.measured("one_pixel"))]
    if not found:
        raise NothingToDraw("no network and baseline with images in common")
    by_images, by_pairs = (
        [float(p) for p in holm([getattr(c, name) for c in found])]
        for name in ("p_images", "p_pairs")
    )
    rows = [_row(c, p, q, view.alpha) for c, p, q in zip(found, by_images, by_pairs, strict=True)]
    several = len({c.data for c in found}) > 1
    bodies: dict[str, list[list[str]]] = {}
    for c, row in zip(found, rows, strict=True):
        bodies.setdefault(_section(c), []).append(_cells(c, row, several))
    columns = [
        "network",
        "baseline",
        "pairs",
        "baseline (\\%)",
        "network (\\%)",
        "only b.",
        "only n.",
    ]
    columns += ["$p$, pairs", "$p$, images", "verdict"]
    sections = [Section(title, columns, body) for title, body in bodies.items()]
    k = max(network.n_classes for network in known) + 1
    return Table(sections, rows, _numbers(rows, view.alpha, k), _caption(k, view.alpha))


def _section(comparison: Comparison) -> str:
    head = "One pixel, by differential evolution" if comparison.group == "one pixel" else "Pixels"
    return f"{head} in {comparison.box.math}"


def _by_changes(known: list[Network]) -> list[Comparison]:
    """Compare each network with its baseline in each box, at K + 1 changes."""
    by_name = {(network.data, network.label): network for network in known}
    found = []
    for box in _BOXES:
        for network in known:
            group, names = _baselines(network.label)
            bases = [by_name[network.data, n] for n in names if (network.data, n) in by_name]
            if not bases or any(box not in n.boxes for n in (network, bases[0])):
                continue
            k = network.n_classes + 1
            one, other = (
                {pair: changes <= k for pair, changes in n.by_pair(box).items()}
                for n in (network, bases[0])
            )
            if one.keys() & other.keys():
                labels = network.label, bases[0].label, network.data
                found.append(Comparison.of(labels, group, box, one, other))
    return found


def _baselines(label: str) -> tuple[Group, tuple[str, ...]]:
    shape = shape_of(label)
    if shape is not None:
        return "depth", (f"mlp-1x{shape[1]}",) if shape[0] > 1 else ()
    if label in _ARCHITECTURES:
        return "architecture", _RELU
    return "escape", _RELU if label in _ESCAPES else ()


def _by_one_pixel(records: list[Record]) -> list[Comparison]:
    """Compare one-pixel attacks on other structures with those on the baseline, by image."""
    by_name = {data_and_label(record): record for record in records}
    found = []
    for box in _BOXES:
        for (data, label), record in by_name.items():
            bases = [by_name[data, name] for name in _RELU if (data, name) in by_name]
            if not bases or shape_of(label) is not None:
                continue
            one, other = _changed(record, box), _changed(bases[0], box)
            if one.keys() & other.keys():
                labels = label, data_and_label(bases[0])[1], data
                found.append(Comparison.of(labels, "one pixel", box, one, other))
    return found


def _changed(record: Record, box: Box) -> dict[tuple[int, int], bool]:
    changed = record.arrays.get(f"{box.space}.changed", np.zeros(0, dtype=bool))
    index = record.arrays["index"][: len(changed)]
    return {(int(i), 0): bool(c) for i, c in zip(index, changed, strict=True)}


def _row(comparison: Comparison, p: float, p_pairs: float, alpha: float) -> Row:
    c = comparison
    return {
        "network": c.network,
        "baseline": c.baseline,
        "data": c.data,
        "group": c.group,
        "box": c.box.name,
        "pairs": c.pairs,
        "baseline_share": c.successes[0] / c.pairs,
        "network_share": c.successes[1] / c.pairs,
        "only_baseline": c.only[0],
        "only_network": c.only[1],
        "images": c.n_images,
        "images_baseline": c.images[0],
        "images_network": c.images[1],
        "p_pairs": c.p_pairs,
        "p_images": c.p_images,
        "p_pairs_adjusted": p_pairs,
        "p_adjusted": p,
        "verdict": verdict(c.images, p, alpha),
        "verdict_pairs": verdict(c.only, p_pairs, alpha),
    }


def _cells(comparison: Comparison, row: Row, several: bool) -> list[str]:
    c = comparison
    name = f"{c.network} ({c.data})" if several else c.network
    return [
        escape(name),
        escape(c.baseline),
        number(c.pairs),
        *(percent(count / c.pairs) for count in c.successes),
        *(number(count) for count in c.only),
        *(number(float(row[key] or 0), 2) for key in ("p_pairs_adjusted", "p_adjusted")),
        _short(row),
    ]


def _short(row: Row) -> str:
    """Return the verdict of the images, or in parentheses what pairs alone would say."""
    if row["verdict"] != OPEN:
        return str(row["verdict"])
    return "open" if row["verdict_pairs"] == OPEN else f"({row['verdict_pairs']})"


def _numbers(rows: list[Row], alpha: float, k: int) -> dict[str, Value]:
    # The least that a sign test can give, times what Holm's first step asks for.
    targeted = [row for row in rows if row["group"] != "one pixel"] or rows
    most = max(int(row["images"] or 0) for row in targeted)
    numbers: dict[str, Value] = {"k": k, "level_percent": 100 * alpha}
    numbers |= {"images": most, "least_p": min(1.0, len(rows) * 2.0 ** (1 - most))}
    groups: list[tuple[str, list[Row]]] = [("all", rows)]
    groups += [
        (group.replace(" ", "_"), [row for row in rows if row["group"] == group])
        for group in _GROUPS
    ]
    for name, members in groups:
        numbers[f"{name}.comparisons"] = len(members)
        for key, words in _VERDICTS:
            for unit in ("", "_pairs"):
                count = sum(row[f"verdict{unit}"] == words for row in members)
                numbers[f"{name}.{key}{unit}"] = count
        differences = [_difference(row) for row in members]
        numbers[f"{name}.least"] = min(differences) if differences else None
        numbers[f"{name}.largest"] = max(differences) if differences else None
        numbers[f"{name}.words"] = _words(members)
    for row in rows:
        stem = f"{row['data']}.{row['network']}.{row['group']}.{row['box']}"
        for key in ("baseline_share", "network_share", "p_adjusted", "verdict"):
            numbers[f"{stem}.{key}"] = row[key]
    return numbers


def _difference(row: Row) -> float:
    """Return by how many percentage points the network is above its baseline."""
    return 100 * (float(row["network_share"] or 0) - float(row["baseline_share"] or 0))


def _words(rows: list[Row]) -> str:
    """Return each comparison in the narrowest box in a few words, or that there is none."""
    if not rows:
        return "none was measured"
    rows = [row for row in rows if row["box"] == rows[0]["box"]]
    shown = [
        f"{row['network']} {percent(float(row['network_share'] or 0))}% against"
        f" {percent(float(row['baseline_share'] or 0))}% ({row['verdict']})"
        for row in rows
    ]
    return f"in {rows[0]['box']} {', '.join(shown)}"


def _caption(k: int, alpha: float) -> str:
    return (
        "Networks against their baselines on the same test images and targets: the percentage of"
        f" pairs that was reached with at most {k} changed pixels, the pairs that only the"
        " baseline and only the network has reached, and the verdict: labels of the network are"
        " harder or easier to reach than those of the baseline, or no difference is shown"
        " (open). $p$: exact sign tests, two-sided and adjusted by Holm's procedure over the"
        " whole table; with pairs as the units (McNemar), which treats the targets of one image"
        " as independent, and with images, which does not. The verdict is by the images, at a"
        f" level of {100 * alpha:g}%; in parentheses where pairs alone would give it. Networks"
        " that are not piecewise linear are searched through their tangents."
    )
