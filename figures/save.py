"""Four files a figure or table; the same records give the same bytes, and nothing twice."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from empirics.record import Record, canonical_json
from empirics.store import write_safely
from figures.registry import Drawing, Plate, Row, Section, Table, Value
from theory.evidence import Radii
from theory.wording import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@cache
def source_version() -> str:
    """Return a hash of the code that judges and draws, and of the library that it draws with."""
    digest = hashlib.sha256(version("matplotlib").encode())
    for package in ("figures", "theory", "empirics"):
        root = Path(str(resources.files(package)))
        for file in sorted(root.rglob("*")):
            if file.suffix in (".py", ".css", ".toml"):
                name = f"{package}/{file.relative_to(root).as_posix()}"
                digest.update(f"\0{name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def content_hash(record: Record) -> str:
    """Return a hash of all that a record holds."""
    digest = hashlib.sha256(canonical_json([record.id, record.facts, record.provenance]).encode())
    arrays: dict[str, Any] = dict(record.arrays)
    for name, seen in record.evidence.items():
        ends = (seen.lower, seen.upper)
        arrays[f"evidence {name} {isinstance(seen, Radii)}"] = np.array(ends, dtype=np.float64)
    for name, array in sorted(arrays.items()):
        digest.update(f"\0{name} {array.dtype} {array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def is_current(plate: Plate, folder: Path, digest: str) -> bool:
    """Whether the four files are there and were drawn from inputs of this digest."""
    if not all((folder / f"{plate.name}{suffix}").is_file() for suffix in plate.suffixes):
        return False
    try:
        known = json.loads((folder / f"{plate.name}.json").read_bytes()).get("digest")
    except (ValueError, AttributeError):
        return False
    return bool(known == digest)


def remove(plate: Plate, folder: Path) -> None:
    """Remove the files of a figure that today's records do not hold."""
    for suffix in plate.suffixes:
        (folder / f"{plate.name}{suffix}").unlink(missing_ok=True)


def save(
    plate: Plate, made: Drawing | Table, folder: Path, head: Mapping[str, Value], ids: Iterable[str]
) -> None:
    """Write the four files of a figure or table, the .json last.

    Parameters
    ----------
    plate : Plate
    made : Drawing or Table
    folder : Path
        build/figures.
    head : mapping
        What the .json says of its origin: preset, source, digest.
    ids : iterable of str
        The records that it was drawn from.

    Raises
    ------
    InputError
        If the disk is full or the folder cannot be written.
    """
    files: dict[str, bytes] = {}
    if isinstance(made, Drawing):
        files[".png"] = _png(made.figure)
        # Both pictures have one layout, and it is found once.
        made.figure.set_layout_engine("none")
        files[".pdf"] = _pdf(made.figure)
    else:
        files[".tex"] = _latex(made).encode()
        files[".md"] = _markdown(made).encode()
    files[".csv"] = _csv(made.rows).encode()
    about = {
        "name": plate.name,
        "kind": plate.kind,
        "title": plate.title,
        "caption": made.caption,
        **head,
        "numbers": {f"{plate.name}.{key}": _finite(v) for key, v in made.numbers.items()},
        "records": sorted(ids),
    }
    files[".json"] = (json.dumps(about, indent=1, allow_nan=False) + "\n").encode()
    for suffix, content in files.items():
        write_safely(folder / f"{plate.name}{suffix}", content)


def _finite(value: Value) -> Value:
    # JSON has no infinity; the one word that stands for it is read back by float().
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


# Figure.savefig would draw everything once more before, to find the layout; a canvas finds it while
# it draws.


def _png(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _pdf(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    buffer = io.BytesIO()
    canvas, undated = FigureCanvasPdf(figure), {"CreationDate": None, "ModDate": None}
    canvas.print_pdf(buffer, metadata=undated)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _csv(rows: Sequence[Row]) -> str:
    columns = dict.fromkeys(key for row in rows for key in row)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _latex(made: Table) -> str:
    lines = ["% Made by `advbounds draw`; do not edit."]
    for section in made.sections:
        types = made.widths or "l" + "c" * (len(section.columns) - 1)
        if section.title:
            lines.append(rf"\par\medskip\noindent\textbf{{{section.title}}}\par\smallskip")
        lines += [rf"\begin{{tabular}}{{@{{}}{types}@{{}}}}", r"\toprule"]
        lines += [" & ".join(section.columns) + r" \\", r"\midrule"]
        lines += [" & ".join(row) + r" \\" for row in section.body]
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _markdown(made: Table) -> str:
    return "\n\n".join(map(_section_markdown, made.sections)) + "\n"


def _section_markdown(section: Section) -> str:
    rows = [section.columns, ["---"] * len(section.columns), *section.body]
    lines = [f"**{plain(section.title)}**", ""] if section.title else []
    for row in rows:
        cells = (cell if cell == "---" else plain(cell).replace("|", "\\|") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
