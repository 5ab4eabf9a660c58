"""The report on one model from outside: what is known of it, what holds, what was not measured."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from empirics.record import Record
from empirics.store import write_safely
from empirics.verdicts import Verdict, Verdicts
from figures.draw import draw_all
from figures.registry import FIGURES, Plate
from figures.report import report_html
from figures.save import remove
from figures.view import View
from theory.claim import CLAIMS
from theory.proof import statement
from theory.verdict import Outcome
from theory.wording import plain

_TOLD_HERE = ("outcomes", "verdicts")
"""Tables of verdicts, which this report has in its own order."""
_FIRST = ("robustness", "laws", "hamming", "adversarial", "samples")
_LAST = ("run",)
_ORDER = (Outcome.VIOLATED, Outcome.UNDECIDED, Outcome.HOLDS)
_READING = f"""Every measured radius is an interval, from what is certified to what an attack found,
and every law carries its confidence band. **{Outcome.HOLDS}**: the evidence shows the statement.
**{Outcome.VIOLATED}**: it refutes it; of a proved claim that is a bug in this software, of a
conjecture a finding. **{Outcome.UNDECIDED}**: it is too wide to tell, and what would decide is
said. Probabilities of error are shared over all cells of the table, and over repeated looks
at the same claim (looks.json)."""


def write_check_report(
    name: str, folder: Path, records: Sequence[Record], verdicts: Verdicts, about: Mapping[str, Any]
) -> list[Path]:
    """Draw what the records of a check show, and write report.md and report.html beside them.

    Parameters
    ----------
    name : str
        What the records are filed under.
    folder : Path
        Of the check.
    records : sequence of Record
    verdicts : Verdicts
        As judged, and as the figures show them.
    about : mapping
        What was asked and left out: the content of check.json.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If the disk is full or the folder cannot be written.
    """
    view = View(name, "measured here", records, about["alpha"])
    view.verdicts = list(verdicts)
    plates = _ordered()
    for plate in plates:
        # What another look drew would pass for a figure of this one.
        remove(plate, folder / "figures")
    draw_all(view, plates, folder / "figures", None)
    text = check_markdown(records, verdicts, about, _blocks(plates, folder / "figures"))
    files = {"report.md": text, "report.html": report_html(text, folder)}
    for file, content in files.items():
        write_safely(folder / file, content.encode())
    return [folder / file for file in files]


def _ordered() -> list[Plate]:
    """Return the plates that are drawn from records, in the order of the report."""
    drawn = [n for n, plate in FIGURES.items() if not plate.from_theory and n not in _TOLD_HERE]
    middle = [name for name in drawn if name not in _FIRST + _LAST]
    return [FIGURES[name] for name in (*_FIRST, *middle, *_LAST) if name in drawn]


def _blocks(plates: Iterable[Plate], folder: Path) -> list[str]:
    blocks = []
    for plate in plates:
        path = folder / f"{plate.name}.json"
        if not path.is_file():
            continue
        caption = plain(json.loads(path.read_bytes())["caption"])
        if plate.kind == "table":
            table = (folder / f"{plate.name}.md").read_text().strip()
            blocks += [f"## {plate.title}", caption, table]
        else:
            picture = f"![{plate.title}]({folder.name}/{plate.name}.png)"
            blocks += [f"## {plate.title}", picture, caption]
    return blocks


def check_markdown(
    records: Sequence[Record],
    verdicts: Sequence[Verdict],
    about: Mapping[str, Any],
    drawn: Sequence[str] = (),
) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    records : sequence of Record
    verdicts : sequence of Verdict
    about : mapping
        See `write_check_report`.
    drawn : sequence of str
        Blocks of the figures.
    """
    on = f" on {about['data']}" if about["data"] else ""
    blocks = [f"# {about['label']}{on}: bounds against measured robustness"]
    blocks += _summary(verdicts, about)
    for record in records:
        if record.request.plugin == "examined":
            blocks += ["## What kind of network it is", _list(record.facts["examination"])]
    blocks += _verdicts(verdicts)
    blocks += _properties(records)
    blocks += drawn
    blocks += _outside(verdicts)
    blocks += _not_measured(about)
    blocks += _claims(verdicts)
    return "\n\n".join(blocks) + "\n"


def _summary(verdicts: Sequence[Verdict], about: Mapping[str, Any]) -> list[str]:
    digest = about.get("sha256", "")[:12]
    lines = [f"Model: `{about['model']}` ({about['form']}), digest `{digest}`."]
    if about.get("trained_here"):
        lines.append(
            f"**It came without weights and was trained here**, in {about['training_steps']:,}"
            f" steps on the training images of {about['data']}: what follows speaks of these"
            " weights, and another training gives others."
        )
    generators = about.get("generators") or ()
    images = f" Generators of images: {', '.join(generators)}." if generators else ""
    lines.append(
        f"Effort: {about['effort']}; seed {about['seed']}; device {about['device']}; level"
        f" {about['alpha']:g} for each family of random cells.{images}"
    )
    for rigorous, words in ((True, "Proved claims"), (False, "Conjectures")):
        counts = Counter(v.outcome for v in verdicts if v.rigorous is rigorous)
        told = [f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]]
        if told:
            lines.append(f"**{words}:** {', '.join(told)}.")
    failed = about["failed"]
    if failed:
        lines.append(f"**Could not be measured:** {'; '.join(failed)}.")
    return lines


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_safe(line)}" for line in lines)


def _safe(text: str) -> str:
    """Return text that Markdown leaves as it is, in a table too."""
    return re.sub(r"<(?=[\w/!?])", "&lt;", re.sub(r"([\\`*|])", r"\\\1", text))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of text; a line break in a cell stays one."""
    cells = [[_safe(cell).replace("\n", "<br>") for cell in row] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    inside = [v for v in verdicts if v.outcome != Outcome.OUT_OF_SCOPE]
    if not inside:
        return ["## Verdicts", "No claim that was asked for speaks of what was measured."]
    inside.sort(key=lambda v: (_ORDER.index(Outcome(v.outcome)), v.claim))
    rows = [
        [v.outcome, f"{v.claim}\n{v.status}", f"{v.subject}\n{v.quantity}", _because(v)]
        for v in inside
    ]
    columns = ["outcome", "claim", "of", "because"]
    return ["## Verdicts", " ".join(_READING.split()), _table(columns, rows)]


def _because(verdict: Verdict) -> str:
    """Return why, with what it was judged, and what would decide."""
    how = _how(verdict)
    told = f"{verdict.reason} ({how})" if how else verdict.reason
    return f"{told}\nTo decide: {verdict.to_decide}" if verdict.to_decide else told


def _how(verdict: Verdict) -> str:
    """Return with how many points, at which level and to which tolerance something was judged."""
    told = [] if verdict.n is None else [f"n = {verdict.n:,}"]
    told += [] if verdict.alpha_spent is None else [f"level {verdict.alpha_spent:.2g}"]
    told += [f"tolerance {verdict.tolerance:.2g}"] if verdict.tolerance else []
    return ", ".join(told)


def _properties(records: Sequence[Record]) -> list[str]:
    """Return what was asserted of the model, and how it was decided."""
    rows = [
        [name.removeprefix("property[").removesuffix("]"), fact["outcome"], fact["says"], because]
        for record in records
        if record.request.plugin == "property"
        for name, fact in record.facts.items()
        if name.startswith("property[")
        for because in [f"{fact['reason']} ({fact['method']})"]
    ]
    if not rows:
        return []
    told = "The counterexample, if there is one, is in property.txt, in the form of VNN-COMP."
    return ["## Properties", _table(["property", "outcome", "says", "because"], rows), told]


def _outside(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the claims that do not apply, those of one reason together."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for v in verdicts:
        if v.outcome == Outcome.OUT_OF_SCOPE:
            own = reasons.setdefault((v.claim, v.reason), [])
            own += [] if v.quantity in own else [v.quantity]
    if not reasons:
        return []
    rows = [[claim, ", ".join(own), reason] for (claim, reason), own in sorted(reasons.items())]
    return ["## Claims that do not apply", _table(["claim", "quantities", "because"], rows)]


def _not_measured(about: Mapping[str, Any]) -> list[str]:
    left_out, unmeasured = about.get("left_out", {}), about.get("unmeasured", ())
    lines = []
    if left_out:
        lines.append(_list(f"{name}: {reason}" for name, reason in left_out.items()))
    if unmeasured:
        lines.append(
            f"{len(unmeasured)} claims speak of quantities that no measure takes of one network"
            f" (counts of regions, laws on other spaces, ...): {_safe(', '.join(unmeasured))}."
        )
    return ["## What was not measured", *lines] if lines else []


def _claims(verdicts: Sequence[Verdict]) -> list[str]:
    inside = dict.fromkeys(v.claim for v in verdicts if v.outcome != Outcome.OUT_OF_SCOPE)
    blocks = ["## The claims in full"] if inside else []
    for name in sorted(inside):
        claim = CLAIMS[name]
        blocks.append(f"**{claim.id}** ({claim.status}; {plain(str(claim.ref))})")
        blocks += [f"> {plain(statement(claim))}", claim.summary]
    return blocks
