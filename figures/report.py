"""The report: build/report.md, and a self-contained build/report.html."""

import base64
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import markdown

from empirics.store import Store, write_safely
from figures.registry import FIGURES, Plate
from theory.claim import CLAIMS
from theory.pages import believed_because
from theory.proof import statement
from theory.verdict import Outcome
from theory.wording import plain

_READING = f"""How to read a verdict. Every measured radius is an interval, from what is certified
to what an attack found, and every law carries its confidence band.

- **{Outcome.HOLDS}**: the evidence shows the inequality on the whole declared range.
- **{Outcome.VIOLATED}**: the evidence refutes it. For a proved claim that is a bug in this
  software; for a conjectured one it is a finding.
- **{Outcome.UNDECIDED}**: the intervals or the bands are too wide to tell. It is not a failure:
  where a bound is attained exactly, no finite sample can show more.
- **{Outcome.OUT_OF_SCOPE}**: a hypothesis does not hold here, or a fact that it needs is not known.
"""
_FIRST = (
    "outcomes",
    "robustness",
    "laws",
    "projection",
    "joint_bound",
    "real_images",
    "class_errors",
    "adversarial",
    "samples",
    "generators",
    "training",
    "classes",
    "dimension",
    "slack",
)
_CHANGES = (
    "hamming",
    "reach",
    "changed_pixels",
    "exact_changes",
    "depth",
    "planar_slice",
    "output_path",
)
_CONSTANTS = ("constants", "tightness", "lipschitz", "moduli", "image_bound")
_ATTACKS = (
    "strength",
    "attacks",
    "under_attack",
    "robust_accuracy",
    "intervals",
    "transfer_matrix",
    "joint",
    "hardness",
    "destruction",
)
_THEORY = ("forms", "scaling", "transfer", "spaces", "arrangement", "claims")
_LAST = ("run", "verdicts")


def _ordered() -> list[Plate]:
    rest = _ATTACKS + _CHANGES + _CONSTANTS + _THEORY + _LAST
    others = [name for name in FIGURES if name not in _FIRST + rest]
    order = (*_FIRST, *others, *rest)
    return [FIGURES[name] for name in order if name in FIGURES]


def _about(plate: Plate, folder: Path, preset: str) -> dict[str, Any] | None:
    path = folder / f"{plate.name}.json"
    about: dict[str, Any] | None = json.loads(path.read_bytes()) if path.is_file() else None
    return about if about and about["preset"] == preset else None


def _summary(known: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    run = known.get("run", {}).get("numbers", {})
    if run:
        lines.append(
            f"Data: {run.get('run.data', 'none')} {run.get('run.variant', '')}. Records:"
            f" {run['run.records']}, on {run.get('run.device', 'an unknown device')}, torch"
            f" {run.get('run.torch', 'unknown')}. {run.get('run.pairs', 0)} pairs of generator and"
            f" classifier and {run.get('run.families', 0)} closed-form families,"
            f" {run.get('run.points_a_pair', 0)} points each; level {run['run.level']:g} for all"
            " laws of one status together."
        )
    found = known.get("outcomes", {}).get("numbers", {})
    for status, words in (("proved", "Proved claims"), ("conjectured", "Not rigorous")):
        if found.get(f"outcomes.{status}.total"):
            lines.append(f"**{words}:** {', '.join(_counts(found, status))}.")
    return lines


def _counts(found: dict[str, Any], status: str) -> list[str]:
    keys = {o: f"outcomes.{status}.{o.replace(' ', '_').lower()}" for o in Outcome}
    return [f"{found[key]} {outcome}" for outcome, key in keys.items() if found[key]]


def _block(plate: Plate, about: dict[str, Any], folder: Path, where: str) -> list[str]:
    """Return a figure or table; `where` is the folder as the report's links name it."""
    caption = plain(about["caption"])
    if plate.kind == "table":
        text = (folder / f"{plate.name}.md").read_text()
        return [f"## {plate.title}", caption, text.strip()]
    return [f"## {plate.title}", f"![{plate.title}]({where}/{plate.name}.png)", caption]


def _claims() -> list[str]:
    lines = ["## The claims in full"]
    for claim in CLAIMS.values():
        lines.append(f"**{claim.id}** ({claim.status}; {plain(str(claim.ref))})")
        lines.append(f"> {plain(statement(claim))}")
        lines.append(claim.summary)
        why = believed_because(claim)
        if why:
            lines.append(f"*Believed because:* {plain(why)}")
    return lines


def _drawn(preset: str, folder: Path) -> dict[str, tuple[Plate, dict[str, Any]]]:
    """Return what a folder has of a preset, in the order of the report."""
    return {
        plate.name: (plate, about)
        for plate in _ordered()
        if (about := _about(plate, folder, preset)) is not None
    }


def report_markdown(preset: str, folder: Path, chapters: Sequence[str] = ()) -> str:
    """Return the report on a preset, from the files that were drawn.

    Parameters
    ----------
    preset : str
    folder : Path
        build/figures.
    chapters : sequence of str
        Presets whose figures are in folders of their names in there.
    """
    known = _drawn(preset, folder)
    blocks = [f"# Robustness bounds against measured robustness: preset {preset}"]
    blocks += _summary({name: about for name, (_, about) in known.items()})
    for name, (plate, about) in known.items():
        if name == "run":
            blocks += _claims()
        blocks += _block(plate, about, folder, folder.name)
        if name == "outcomes":
            blocks.append(_READING.strip())
    absent = [plate.name for plate in _ordered() if plate.name not in known]
    if absent:
        blocks.append(f"Not drawn, for want of records: {', '.join(absent)}.")
    for chapter in chapters:
        own = _drawn(chapter, folder / chapter)
        if own:
            blocks.append(f"# Preset {chapter}")
            blocks += _summary({name: about for name, (_, about) in own.items()})
        for plate, about in own.values():
            blocks += _block(plate, about, folder / chapter, f"{folder.name}/{chapter}")
    return "\n\n".join(blocks) + "\n"


def report_html(text: str, root: Path) -> str:
    """Return the report as one HTML page with its pictures inside.

    Parameters
    ----------
    text : str
        The Markdown report.
    root : Path
        The folder that its links start from.
    """

    def inline(match: re.Match[str]) -> str:
        picture = base64.b64encode((root / html.unescape(match[1])).read_bytes()).decode()
        return f'src="data:image/png;base64,{picture}"'

    body = markdown.markdown(text, extensions=["tables"], output_format="html")
    body = re.sub(r'src="([^"]*)"', inline, body)
    body = body.replace("<table>", '<div class="wide"><table>')
    body = body.replace("</table>", "</table></div>")
    for outcome in Outcome:
        kind = outcome.replace(" ", "-").lower()
        body = body.replace(f"<td>{outcome}</td>", f'<td class="{kind}">{outcome}</td>')
    css = (resources.files("figures") / "report.css").read_text()
    title = html.escape(text.partition("\n")[0].removeprefix("# "))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{css}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def write_report(preset: str, build: Path) -> list[Path]:
    """Write report.md and report.html, and return their paths.

    Parameters
    ----------
    preset : str
    build : Path
        Holds figures/, as `figures.draw.draw` left it.

    Raises
    ------
    InputError
        If the disk is full or the folder cannot be written.
    """
    text = report_markdown(preset, build / "figures", Store(build).chapters(preset))
    files = {"report.md": text, "report.html": report_html(text, build)}
    for name, content in files.items():
        write_safely(build / name, content.encode())
    return [build / name for name in files]
