"""The table of changed pixels: success, proofs of failure and medians by network and box."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from figures.hamming import (
    Box,
    Network,
    Rate,
    main_network,
    middle,
    names_of,
    networks,
    percent,
    rate_row,
    whole,
    within,
)
from figures.registry import Row, Section, Table, Value, table
from figures.view import View
from figures.wording import escape, number
from theory.arrays import FloatArray


@dataclass(frozen=True)
class Line:
    """One network in one box, at K - 1, K and K + 1 changes.

    Attributes
    ----------
    network : Network
    box : Box
    rates : tuple of Rate
        Pairs whose target was reached with at most so many changes.
    refuted : int
        Pairs that are proved to need more than K + 1.
    missed : int
        Pairs that were not reached with K + 1, without such a proof.
    median : float
        Of the changes found.
    certified : float
        The largest number that is proved to be needed by a pair.
    """

    network: Network
    box: Box
    rates: tuple[Rate, Rate, Rate]
    refuted: int
    missed: int
    median: float
    certified: float

    @classmethod
    def of(cls, network: Network, box: Box) -> "Line":
        """Count the pairs of one network and box."""
        pairs, k = network.pairs(box), network.n_classes
        rates = within(pairs.upper, k - 1), within(pairs.upper, k), within(pairs.upper, k + 1)
        refuted = int(np.sum(pairs.lower > k + 1))
        missed = pairs.n - rates[2].count - refuted
        ends = middle(pairs.upper), float(pairs.lower.max())
        return cls(network, box, rates, refuted, missed, *ends)

    def cells(self, name: str) -> list[str]:
        """Return the line of the table."""
        shares = [percent(rate.share) for rate in self.rates]
        low, high = (percent(end) for end in self.rates[2].limits)
        return [
            escape(name),
            self.box.math,
            number(self.rates[2].trials),
            *shares[:2],
            f"{shares[2]} [{low}, {high}]",
            number(self.missed),
            number(self.refuted),
            whole(self.median),
            whole(self.certified) if self.certified > 1 else "--",
        ]


@table("hamming", title="Changed pixels by network and range", needs=("hamming",))
def hamming(view: View) -> Table:
    """A section a data set, a line a network and box; then the unlimited range."""
    known = networks(view)
    lines = [Line.of(network, box) for network in known for box in network.boxes]
    rows = [row for line in lines for row in _rows(line)]
    main = main_network(known)
    # Networks that are compared in pairs have a table of their own.
    listed = [n for n in known if not n.is_of_depth_study] or known
    names = names_of(listed)
    k = main.n_classes
    by_data: dict[str, list[list[str]]] = {}
    for line in lines:
        if line.network in names:
            by_data.setdefault(line.network.data, []).append(line.cells(line.network.label))
    heads = [f"$\\leq {j}$" for j in (k - 1, k, k + 1)]
    columns = ["network", "pixels in", "pairs", *heads[:2], f"{heads[2]} [95\\%]", "not found"]
    columns += ["refuted", "median", "certified"]
    sections = [Section(escape(data), columns, body) for data, body in by_data.items()]
    rays = {network: found for network in known if (found := _rays(network)) is not None}
    rows += [_ray_row(network, found) for network, found in rays.items()]
    shown = {network: found for network, found in rays.items() if network in names}
    if shown:
        sections.append(_unlimited(shown, names))
    numbers = _numbers(lines, main) | _ray_numbers(rays) | {"listed": len(listed)}
    return Table(sections, rows, numbers, _caption(k))


def _rows(line: Line) -> list[Row]:
    head = {"network": line.network.label, "data": line.network.data, "box": line.box.name}
    k = line.network.n_classes
    rates = [rate_row(head, j, rate) for j, rate in zip((k - 1, k, k + 1), line.rates, strict=True)]
    ends: Row = {"missed": line.missed, "refuted": line.refuted, "median": _csv(line.median)}
    rates[-1] |= {**ends, "certified": line.certified}
    return [*rates]


def _csv(value: float) -> Value:
    return value if np.isfinite(value) else "inf"


def _rays(network: Network) -> FloatArray | None:
    """Return the sizes of the changes of one pixel that reach the targets; +inf where none does."""
    sizes = network.record.arrays.get("unlimited.change")
    if sizes is None:
        return None
    _, upper = network.ends(network.boxes[0])
    found = np.asarray(sizes, dtype=np.float64)[~np.isnan(upper)]
    return np.where(np.isnan(found), np.inf, found)


def _ray_row(network: Network, sizes: FloatArray) -> Row:
    reached = sizes[np.isfinite(sizes)]
    row: dict[str, Value] = {"network": network.label, "data": network.data, "box": "unlimited"}
    row |= {"k": 1, "count": reached.size, "pairs": sizes.size, "share": reached.size / sizes.size}
    row["classes"] = network.record.facts.get("recession_classes")
    if reached.size:
        row |= {"median_change": middle(reached), "largest_change": float(reached.max())}
    return row


def _unlimited(rays: Mapping[Network, FloatArray], names: Mapping[Network, str]) -> Section:
    columns = ["network", "classes with a ray", "pairs", "one pixel (\\%)", "median change"]
    body = []
    for network, sizes in rays.items():
        row = _ray_row(network, sizes)
        classes = row["classes"]
        ends = [row.get("median_change"), row.get("largest_change")]
        body.append(
            [
                escape(names[network]),
                "--" if classes is None else f"{classes} of {network.n_classes}",
                number(sizes.size),
                percent(float(row["share"] or 0)),
                *("--" if end is None else number(float(end), 3) for end in ends),
            ]
        )
    return Section("No limit on the range", [*columns, "largest change"], body)


def _numbers(lines: list[Line], main: Network) -> dict[str, Value]:
    numbers: dict[str, Value] = {"network": main.label, "data": main.data}
    k = main.n_classes
    numbers |= {"classes": k, "fewer": k - 1, "more": k + 1, "networks": len(_networks(lines))}
    numbers["images"] = len(main.record.arrays["index"])
    for line in lines:
        stem = f"{line.network.data}.{line.network.label}.{line.box.space.rpartition(' ')[2]}"
        shown = {key: v for key, v in _line_numbers(line).items() if "_" not in key}
        numbers |= {f"{stem}.{key}": value for key, value in shown.items()}
        numbers[f"{stem}.percent"] = 100 * line.rates[2].share
    own = [line for line in lines if line.network is main]
    for name, line in (("narrow", own[0]), ("wide", own[-1])):
        low, high = line.box.ends
        numbers |= {f"{name}.low": int(low) if low == int(low) else low}
        numbers |= {f"{name}.high": int(high) if high == int(high) else high}
        numbers |= {f"{name}.{key}": value for key, value in _line_numbers(line).items()}
    gains = [100 * (line.rates[2].share - line.rates[1].share) for line in lines]
    numbers |= {
        "lines": len(lines),
        "gain_min": min(gains),
        "gain_max": max(gains),
        "all_reached": sum(line.rates[2].count == line.rates[2].trials for line in lines),
        "all_with_fewer": sum(line.rates[1].count == line.rates[1].trials for line in lines),
        "lines_refuted": sum(line.refuted > 0 for line in lines),
        "refuted": sum(line.refuted for line in lines),
        "step_words": _step_words(lines),
    }
    narrow = [line for line in lines if line.box == own[0].box]
    narrow = [line for line in narrow if line.network.piecewise_linear] or narrow
    numbers["narrow_success_min"] = min(100 * line.rates[2].share for line in narrow)
    numbers["narrow_success_max"] = max(100 * line.rates[2].share for line in narrow)
    errors = [float(n.record.facts["test_error"]) for n in _networks(lines)]
    numbers |= {"error_percent_min": 100 * min(errors), "error_percent_max": 100 * max(errors)}
    return numbers


def _networks(lines: list[Line]) -> list[Network]:
    return list(dict.fromkeys(line.network for line in lines))


def _line_numbers(line: Line) -> dict[str, Value]:
    found: dict[str, Value] = {"pairs": line.rates[2].trials}
    for name, rate in zip(("fewer", "same", "more"), line.rates, strict=True):
        found |= {f"{name}_percent": 100 * rate.share}
        found |= {f"{name}_low": 100 * rate.limits[0], f"{name}_high": 100 * rate.limits[1]}
    found |= {"missed": line.missed, "refuted": line.refuted}
    return found | {"median": line.median, "certified": line.certified}


def _step_words(lines: list[Line]) -> str:
    """Say where K + 1 changes suffice for all pairs of which K do not suffice for all."""
    there = [
        line for line in lines if line.rates[2].count == line.rates[2].trials > line.rates[1].count
    ]
    if not there:
        return "for no network in any box"
    names = names_of(_networks(lines))
    shown = [f"for {names[line.network]} in {line.box.name}" for line in there[:3]]
    rest = len(there) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _ray_numbers(rays: Mapping[Network, FloatArray]) -> dict[str, Value]:
    numbers: dict[str, Value] = {"ray_networks": len(rays)}
    complete = [n for n in rays if n.record.facts.get("recession_classes") == n.n_classes]
    numbers["ray_complete"] = len(complete)
    every = np.concatenate([*rays.values(), np.zeros(0)])
    reached = every[np.isfinite(every)]
    numbers |= {"ray_pairs": every.size, "ray_reached": reached.size}
    numbers["ray_percent"] = 100 * reached.size / every.size if every.size else None
    numbers["ray_median_change"] = middle(reached) if reached.size else None
    numbers["ray_largest_change"] = float(reached.max()) if reached.size else None
    for network, sizes in rays.items():
        stem = f"{network.data}.{network.label}.unlimited"
        row = _ray_row(network, sizes)
        keys = ("classes", "share", "median_change", "largest_change")
        numbers |= {f"{stem}.{key}": row[key] for key in keys if row.get(key) is not None}
    return numbers


def _caption(k: int) -> str:
    return (
        "Targeted changes of test images that are classified correctly: the percentage of all pairs"
        f" of an image and another label that was reached with at most {k - 1}, {k} and"
        f" {k + 1} changed pixels ($K = {k}$), the last with exact 95% limits, as if pairs were"
        " independent. A pair is refuted where it is proved that $K + 1$ pixels do not suffice,"
        " and not found where that is open. Median: of the changes found; certified: the largest"
        " number that a pair is proved to need. Without a limit on the range, one pixel follows a"
        " ray: classes that some single pixel leads to from every image, pairs that were reached"
        " so, and the sizes of the changes, in units of the range from black to white."
    )
