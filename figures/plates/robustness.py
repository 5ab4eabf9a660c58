"""The papers' table: error rates, and the 25th percentile of each radius beside its bound."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from figures.printed import printed
from figures.registry import Row, Section, Table, Value, table
from figures.view import CERTIFIED, QUARTILE, SAMPLED, Pair, View, quantile_limits
from figures.wording import escape, interval, number, symbol

_ERRORS = (("error_generated", "error, generated"), ("error_real", "error, real"))
_BOUNDS = ((CERTIFIED, "bound"), (SAMPLED, "bound_sampled"))
_PAPER = "fawzi2018"
_COLUMNS = 4
"""Classifiers side by side; more go into blocks below one another."""
_NONE = "--"


@dataclass(frozen=True, eq=False)
class _Block:
    """The classifiers of one generator and data set, and what the paper prints of such ones."""

    view: View
    pairs: list[Pair]

    @property
    def data(self) -> str:
        return str(self.pairs[0].record.request.subject["data"]["name"])

    @property
    def generator(self) -> str:
        return self.pairs[0].generator

    @cached_property
    def paper(self) -> Mapping[str, Any] | None:
        """The paper's table on this data set."""
        tables = printed(_PAPER)["table"]
        return next((found for found in tables if found["data"] == self.data), None)

    def network(self, pair: Pair) -> Mapping[str, Any] | None:
        """Return what the paper prints of the first classifier of a kind; None for the others."""
        part = pair.record.request.subject["classifier"]
        found = None if self.paper is None else _printed_network(self.paper, part)
        if found is None or self.paper is None:
            return None
        for other in self.pairs:
            part = other.record.request.subject["classifier"]
            if _printed_network(self.paper, part) is found:
                return found if other is pair else None
        return None

    @cached_property
    def rows(self) -> list[Row]:
        """A row for each error rate and each radius of each classifier."""
        found: list[Row] = []
        for fact, _ in _ERRORS:
            for pair in self.pairs:
                value = pair.facts.get(fact)
                if value is not None:
                    found.append({**self._head(pair, fact), "value": float(value)})
        for quantity in self.quantities:
            found += [self._radius(pair, quantity) for pair in self.pairs]
        return found

    @property
    def quantities(self) -> list[str]:
        return list(dict.fromkeys(q for pair in self.pairs for q in pair.quantities))

    def _head(self, pair: Pair, row: str) -> dict[str, Value]:
        there = self.network(pair)
        return {
            "generator": pair.generator,
            "classifier": pair.classifier,
            "row": row,
            "data": self.data,
            "printed": None if there is None else there.get(row),
        }

    def _radius(self, pair: Pair, quantity: str) -> Row:
        scale = pair.scale(quantity) or float("nan")
        radii = pair.radii(quantity)
        lower, upper = (end / scale for end in quantile_limits(radii))
        row: dict[str, Value] = {
            **self._head(pair, quantity.partition("[")[0]),
            "quantity": quantity,
            "lower": lower,
            "upper": upper,
            "n": radii.n,
            "scale": scale,
        }
        for claim, key in _BOUNDS:
            bound = self.view.bound(claim, pair, quantity)
            if bound is not None:
                row[key] = bound.quantile(QUARTILE) / scale
        return row

    def sections(self) -> Iterator[Section]:
        """Yield tables of a few classifiers each: bounds first, a line a row, printed ones below.

        The bounds are the largest over all classifiers of the generator.
        """
        for start in range(0, len(self.pairs), _COLUMNS):
            names = [pair.classifier for pair in self.pairs[start : start + _COLUMNS]]
            title = f"{self.generator}, {self.data}" + (", continued" if start else "")
            columns = ["", "bound", "sampled*", *map(escape, names)]
            yield Section(escape(title), columns, list(self._lines(names)))

    def _lines(self, names: list[str]) -> Iterator[list[str]]:
        for fact, words in _ERRORS:
            cells = [_percent(self._row(name, fact)) for name in names]
            yield [words, "", "", *cells]
            yield from self._printed_line(fact, names, "")
        for quantity in self.quantities:
            row = quantity.partition("[")[0]
            unit = r"\mathbf{E}\|z\|" if row == "r_latent" else r"\mathbf{E}\|g(z)\|"
            known = [r for r in self.rows if r["row"] == row]
            ends = [
                max((float(r[key] or 0) for r in known if r.get(key) is not None), default=0.0)
                for _, key in _BOUNDS
            ]
            bounds = [f"{end:.4f}" if end else _NONE for end in ends]
            cells = [_limits(self._row(name, row)) for name in names]
            yield [f"${symbol(quantity)}/{unit}$", *bounds, *cells]
            bound = "" if self.paper is None else str(self.paper["bound"].get(row, ""))
            yield from self._printed_line(row, names, bound)

    def _printed_line(self, row: str, names: list[str], bound: str) -> Iterator[list[str]]:
        cells = [str((self._row(name, row) or {}).get("printed") or "") for name in names]
        if bound or any(cells):
            # The paper's modulus is sampled; that of the latent space is the identity.
            both = [bound, ""] if row == "r_latent" else ["", bound]
            yield ["printed", *both, *map(escape, cells)]

    def _row(self, classifier: str, row: str) -> Row | None:
        wanted = (classifier, row)
        return next((r for r in self.rows if (r["classifier"], r["row"]) == wanted), None)


def _printed_network(paper: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    settings = {"name": part.get("name"), **part.get("settings", {})}
    attacked = bool(settings.get("adversarial_radius"))
    for network in paper["network"]:
        alike = all(settings.get(key) == value for key, value in network["kind"].items())
        if alike and network["adversarial"] == attacked:
            found: Mapping[str, Any] = network
            return found
    return None


def _percent(row: Row | None) -> str:
    return _NONE if row is None else rf"{100 * float(row['value'] or 0):.1f}\%"


def _limits(row: Row | None) -> str:
    if row is None or not np.isfinite(float(row["scale"] or 0)):
        return _NONE
    return interval(float(row["lower"] or 0), float(row["upper"] or 0))


@table(
    "robustness",
    title="Error rates and the 25th percentile of robustness",
    needs=("radii", "class_masses", "modulus"),
    also=("accuracy", "generator"),
)
def robustness(view: View) -> Table:
    """A section a generator and data set, the columns of the bounds first, then a classifier each.

    References
    ----------
    Fawzi, Fawzi and Fawzi, NeurIPS 2018, section 4, both tables.
    """
    groups: dict[tuple[str, str], list[Pair]] = {}
    for label, pairs in view.by_generator().items():
        for pair in pairs:
            data = str(pair.record.request.subject["data"]["name"])
            groups.setdefault((label, data), []).append(pair)
    blocks = [_Block(view, pairs) for pairs in groups.values()]
    rows = [row for block in blocks for row in block.rows]
    # The data set is a part of the key only where one label stands for several generators.
    several = {label for label, _ in groups if sum(label == other for other, _ in groups) > 1}
    numbers: dict[str, Value] = {"quantile": QUARTILE}
    for row in rows:
        stem = f"{row['generator']}.{row['classifier']}.{row['row']}"
        stem = f"{row['data']}.{stem}" if row["generator"] in several else stem
        numbers |= {
            f"{stem}.{key}" if key != "value" else stem: row[key]
            for key in ("value", "lower", "upper", "bound", "bound_sampled", "printed")
            if row.get(key) is not None
        }
    numbers |= _summary(rows)
    sections = [section for block in blocks for section in block.sections()]
    return Table(sections, rows, numbers, _caption(blocks))


def _summary(rows: list[Row]) -> dict[str, Value]:
    """Return, over all pairs, how far the measured percentiles lie below their bounds."""
    found: dict[str, Value] = {}
    for name in dict.fromkeys(str(row["row"]) for row in rows if "quantity" in row):
        for _, key in _BOUNDS:
            factors = [
                float(row[key] or 0) / float(row["upper"] or 0)
                for row in rows
                if row["row"] == name and row.get(key) is not None and row["upper"]
            ]
            if factors:
                found[f"all.{name}.{key}_over_upper_min"] = min(factors)
                found[f"all.{name}.{key}_over_upper_max"] = max(factors)
    for fact, _ in _ERRORS:
        values = [float(row["value"] or 0) for row in rows if row["row"] == fact]
        if values:
            found[f"all.{fact}_percent_min"] = 100 * min(values)
            found[f"all.{fact}_percent_max"] = 100 * max(values)
    return found


def _caption(blocks: list[_Block]) -> str:
    words = [_CAPTION, *dict.fromkeys(_about(block) for block in blocks)]
    compared = {
        f"{there['name']} beside {pair.classifier}{_shape(pair)}": None
        for block in blocks
        for pair in block.pairs
        if (there := block.network(pair)) is not None
    }
    if any(block.paper is not None for block in blocks):
        paper = printed(_PAPER)["paper"]
        words.append(
            f"Printed: {paper}, of its own generators and trained networks; its error rates stand"
            " below ours on real images, its bounds on images below ours of the sampled modulus."
        )
    if compared:
        words.append(f"Networks of one kind: {escape('; '.join(compared))}.")
    return " ".join(words)


def _about(block: _Block) -> str:
    """Return what was measured on a data set, on how many points and where."""
    records = [pair.record for pair in block.pairs]
    subject = records[0].request.subject
    words = [f"{block.data} ({subject['data']['variant']})"]
    trained = [
        record.facts["n_train"]
        for record in block.view.trained("generator")
        if record.request.subject.get("data") == subject["data"] and "n_train" in record.facts
    ]
    words += [f"{number(trained[0])} training images"] if trained else []
    counts = {radii.n for pair in block.pairs for radii in map(pair.radii, pair.quantities)}
    words.append(f"radii of {' to '.join(number(n) for n in _ends(counts))} fresh points a pair")
    devices = dict.fromkeys(str(r.provenance.get("device", "one device")) for r in records)
    return f"{escape(words[0])}: {', '.join(words[1:])}, on {escape(' and '.join(devices))}."


def _ends(counts: set[int]) -> list[int]:
    return [min(counts)] if len(counts) == 1 else [min(counts), max(counts)]


_SIZES = ("depth", "width", "widening", "channels", "hidden", "steps")


def _shape(pair: Pair) -> str:
    settings = pair.record.request.subject["classifier"].get("settings", {})
    known = [
        f"{key} {'-'.join(map(str, value)) if isinstance(value, list) else value}"
        for key in _SIZES
        if (value := settings.get(key)) is not None
    ]
    return f" ({', '.join(known)})" if known else ""


_CAPTION = (
    "Error rates of each classifier on generated images (labelled by the teacher) and on the real"
    " test set; 25th percentile of the three radii (latent, in distribution, unconstrained) in"
    " units of the typical length of a latent vector or an image. Each entry is an interval that"
    " holds the percentile with 95% confidence: its lower end comes from certificates, its upper"
    " end from verified adversarial points. The bounds are upper bounds on the same percentile,"
    " each the largest over the classifiers (their class masses differ); *the sampled modulus"
    " underestimates the true one, so this column is not rigorous."
)
