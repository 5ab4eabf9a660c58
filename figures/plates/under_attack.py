"""Accuracy under each attack, with the numbers of Madry et al. beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from empirics.record import Record
from figures.hamming import Rate
from figures.printed import printed
from figures.registry import Row, Section, Table, Value, table
from figures.view import QUANTILE_ALPHA, NothingToDraw, View
from figures.wording import escape, interval, number

_NONE = "--"
_COLUMNS = ("attack", "steps", "restarts", "source", "printed", "here", "limits")
_WORDS = {
    "natural": "natural",
    "fgsm": "FGSM",
    "pgd": "PGD",
    "targeted": "targeted PGD",
    "cw": "CW",
    "cw+": "CW+",
    "apgd-ce": "APGD, cross entropy",
    "apgd-dlr": "APGD, logit ratio",
    "hop_skip_jump": "HopSkipJump",
    "worst": "worst of all rows",
    "certified": "certified",
}
_LETTERS = {"A": "A", "A'": "A$'$", "B": "B", "": ""}
_TRAINING = ("steps", "batch", "learning_rate", "shift")


@dataclass(frozen=True, eq=False)
class _Network:
    """A network under attack, and what the paper prints of such a one."""

    record: Record
    paper: Mapping[str, Any]

    @cached_property
    def parts(self) -> dict[str, Mapping[str, Any]]:
        """The classifiers of the preset, by label."""
        return {part["label"]: part for part in self.record.request.subject["image_classifiers"]}

    @property
    def label(self) -> str:
        return str(self.record.facts["target"])

    @property
    def data(self) -> str:
        return str(self.record.request.subject["data"]["name"])

    @property
    def fits(self) -> bool:
        """Whether the attacks are those of the paper, on its data."""
        settings = self.record.request.settings
        same = all(settings[key] == self.paper[key] for key in ("radius", "step", "confidence"))
        return same and self.data == self.paper["data"]

    @cached_property
    def letters(self) -> dict[str, str]:
        """What the paper calls networks that stand to the target like these, by label.

        A' has the architecture and training of A, and other random numbers; B is of another
        architecture. The first of each kind has the letter.
        """
        found = {"": "", self.label: "A"}
        target = self.parts[self.label]
        for label, part in self.parts.items():
            letter = ""
            if part["name"] == target["name"] and part["settings"] == target["settings"]:
                letter = "A'"
            elif (part["name"], _shape(part)) != (target["name"], _shape(target)):
                letter = "B"
            found.setdefault(label, "" if letter in found.values() else letter)
        return found

    @cached_property
    def rows(self) -> list[Row]:
        """A row for each attack: those made on A first, the copy next, the worst case last."""
        order = ["A", "A'", "B"]

        def rank(line: Mapping[str, Any]) -> int:
            if line["attack"] in ("natural", "worst"):
                return -1 if line["attack"] == "natural" else len(order) + 1
            letter = self.letters[line["source"]]
            return order.index(letter) if letter else len(order)

        n, right = self.record.facts["n"], self.record.facts["n_certified"]
        run = {"source": "", "steps": None, "restarts": None, "seconds": None}
        certified = {"attack": "certified", **run, "n": n, "right": right}
        return [self._row(line) for line in [*sorted(self._lines, key=rank), certified]]

    @property
    def _lines(self) -> list[Mapping[str, Any]]:
        return list(self.record.facts["rows"])

    def _row(self, line: Mapping[str, Any]) -> Row:
        seen = Rate(line["right"], line["n"])
        lower, upper = seen.limits
        letter = self.letters[line["source"]]
        return {
            "network": self.label,
            "data": self.data,
            "attack": line["attack"],
            "steps": line["steps"],
            "restarts": line["restarts"],
            "source": line["source"],
            "letter": letter,
            "printed": self._printed(line, letter),
            "accuracy": 100 * seen.share,
            "lower": 100 * lower,
            "upper": 100 * upper,
            "right": line["right"],
            "n": line["n"],
            "seconds": line["seconds"],
        }

    def _printed(self, line: Mapping[str, Any], letter: str) -> str | None:
        """Return the digits of the same attack in the paper; a run that it does not name fits."""
        if not self.fits or (line["source"] and not letter):
            return None
        for row in self.paper["row"]:
            run = all(row.get(key, line[key]) == line[key] for key in ("steps", "restarts"))
            if run and (row["attack"], row["source"]) == (line["attack"], letter):
                return str(row["accuracy"])
        return None


def _shape(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a classifier that are not of its training."""
    return {
        key: value
        for key, value in part["settings"].items()
        if key not in (*_TRAINING, "revision") and not key.startswith("adversarial_")
    }


@table(
    "under_attack", title="Accuracy under each attack, printed and here", needs=("under_attack",)
)
def under_attack(view: View) -> Table:
    """A section a network, a line an attack; the worst case and the certified share last."""
    paper = printed("madry2018")
    shown = [_Network(record, paper) for record in view.measured("under_attack")]
    if not shown:
        raise NothingToDraw("no accuracy under attack")
    # The network that can be compared is the one that the text speaks of.
    shown.sort(key=lambda network: not network.fits)
    several = len(shown) > 1
    sections = [
        Section(
            escape(f"{network.label}, {network.data}") if several else "",
            _COLUMNS,
            [_cells(row, network.record.facts["n"]) for row in network.rows],
        )
        for network in shown
    ]
    rows = [row for network in shown for row in network.rows]
    return Table(sections, rows, dict(_numbers(shown[0])), _caption(shown))


def _cells(row: Row, n: int) -> list[str]:
    """Return the cells of a row; one of fewer than all n images says so."""
    attack = _WORDS[str(row["attack"])]
    if row["n"] != n:
        attack += f", {row['n']} images"
    source = escape(str(row["source"])) or _NONE
    if row["letter"]:
        source += f" ({_LETTERS[str(row['letter'])]})"
    accuracy, lower, upper = (float(row[key] or 0) for key in ("accuracy", "lower", "upper"))
    return [
        attack,
        *(_NONE if row[key] is None else str(row[key]) for key in ("steps", "restarts")),
        source,
        _NONE if row["printed"] is None else str(row["printed"]),
        f"{accuracy:.1f}",
        interval(lower, upper, 1),
    ]


def _key(row: Row) -> str:
    """Return what the paper's text calls a row: "A.pgd_100x20", "B.cw_plus", "worst"."""
    attack = str(row["attack"]).replace("+", "_plus").replace("-", "_")
    run = f"_{row['steps']}x{row['restarts']}" if attack == "pgd" else ""
    return f"{row['letter'] or row['source']}.{attack}{run}".lstrip(".").replace("'", "_copy")


def _numbers(network: _Network) -> Iterator[tuple[str, Value]]:
    """Yield percentages by row, and how many printed ones lie within our limits."""
    facts, settings = network.record.facts, network.record.request.settings
    yield from (("target", network.label), ("data", network.data), ("n", facts["n"]))
    yield from (("radius", settings["radius"]), ("step", settings["step"]))
    inside, gaps = 0, []
    for row in network.rows:
        key, accuracy = _key(row), float(row["accuracy"] or 0)
        yield key, round(accuracy, 1)
        yield f"{key}_limits", interval(float(row["lower"] or 0), float(row["upper"] or 0), 1)
        if row["printed"] is not None:
            there = float(row["printed"])
            yield f"{key}_printed", there
            inside += float(row["lower"] or 0) <= there <= float(row["upper"] or 0)
            gaps.append(accuracy - there)
    yield from (("compared", len(gaps)), ("printed_inside", inside))
    if gaps:
        yield "gap_min", round(min(gaps), 1)
        yield "gap_max", round(max(gaps), 1)
    by = {str(row["attack"]): row for row in network.rows}
    yield "robust_lower", round(float(by["certified"]["accuracy"] or 0), 1)
    yield "robust_upper", round(float(by["worst"]["accuracy"] or 0), 1)
    yield "confidence_percent", 100 * (1 - QUANTILE_ALPHA)


def _caption(shown: list[_Network]) -> str:
    paper = shown[0].paper
    words = [
        r"Accuracy in percent under each attack within an $\ell_\infty$ ball and $[0, 1]$, as"
        f" printed by Madry et al. (table {paper['table']}: {number(paper['images'])} images;"
        f" {paper['network']}; {paper['training']}) and here, with limits that are exact at"
        rf" {number(100 * (1 - QUANTILE_ALPHA))}\% each. Misclassified images count as wrong"
        " throughout. Source: the network whose gradients are used; A judges all points."
        " Runs with fewer steps or restarts are parts of those with more; the targeted row tries"
        " every other class."
    ]
    words += [_about(network) for network in shown]
    if not all(network.fits for network in shown):
        words.append(
            f"Nothing is printed for other data than {paper['data'].upper()} or other budgets than"
            f" {paper['radius']} in steps of {paper['step']}."
        )
    return " ".join(words)


def _about(network: _Network) -> str:
    """Return what a network is, what it was trained and attacked on, and where."""
    record, part = network.record, network.parts[network.label]
    settings, facts = record.request.settings, record.facts
    trained = part["settings"]
    shape = ", ".join(
        f"{key} {' and '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in _shape(part).items()
    )
    words = f"{network.label} ({part['name']}{', ' if shape else ''}{shape})"
    if "steps" in trained and "batch" in trained:
        words += f" was trained for {trained['steps']:,} steps of {trained['batch']} images"
        if trained.get("adversarial_radius"):
            words += (
                f" on PGD examples of {trained['adversarial_steps']} steps within"
                f" {trained['adversarial_radius']:g} in {trained.get('adversarial_norm', 'l2')},"
            )
        words += " and"
    words += (
        f" attacked on {facts['n']:,} test images of {network.data} within {settings['radius']:g}"
        f" in steps of {settings['step']:g},"
        f" on {escape(str(record.provenance.get('device', 'one device')))}."
    )
    reason = facts["not_certified_because"]
    if reason is None:
        most = min(settings["certify_images"], facts["n"])
        words += (
            f" A certificate ({settings['certify']}) was sought for {most} of them; no other"
            " counts."
        )
    else:
        words += f" No certificate: {reason}."
    return escape(words)
