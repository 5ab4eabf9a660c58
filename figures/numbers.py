r"""The numbers of the paper: every figure's .json, gathered into numbers.tex for \val{key}."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from empirics.store import write_safely
from figures.registry import FIGURES, Value
from figures.wording import escape, number
from theory.errors import InputError

_HEAD = "% Made by `advbounds draw`; do not edit. One line a number: key, then what is printed.\n"


def gather(folder: Path, preset: str, *, captions: bool = False) -> dict[str, str]:
    """Return what the figures of a preset give the paper, by key, as it is printed.

    Parameters
    ----------
    folder : Path
        build/figures.
    preset : str
        Figures of another preset are passed over.
    captions : bool
        Whether the figures' captions, written from the records, are given too: "NAME.caption".

    Raises
    ------
    InputError
        If a figure's .json is damaged.
    """
    texts: dict[str, str] = {}
    for name in FIGURES:
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        try:
            about = json.loads(path.read_bytes())
            if about["preset"] == preset:
                texts |= {key: printed(value) for key, value in about["numbers"].items()}
                if captions:
                    texts[f"{name}.caption"] = _caption(about["caption"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: damaged; delete it and draw again ({error!r})") from error
    return texts


def _caption(text: str) -> str:
    # A bare per cent sign would end the line, and with it the definition.
    return re.sub(r"(?<!\\)%", r"\\%", text)


def printed(value: Value) -> str:
    r"""Return what a number looks like in the paper.

    Examples
    --------
    >>> printed(1000), printed(0.0158374), printed("inf"), printed("50% done")
    ('1{,}000', '0.0158', '$\\infty$', '50\\% done')
    """
    if isinstance(value, str) and value not in ("inf", "-inf", "nan"):
        return escape(value)
    return "--" if value is None else number(value if isinstance(value, int) else float(value))


def write_numbers(folder: Path, preset: str, chapters: Sequence[str] = ()) -> None:
    """Write numbers.tex, if it changes.

    Parameters
    ----------
    folder : Path
        build/figures.
    preset : str
    chapters : sequence of str
        Their numbers and captions have their names and a colon in front.

    Raises
    ------
    InputError
        If a figure's .json is damaged, or the file cannot be written.
    """
    texts = gather(folder, preset)
    for chapter in chapters:
        own = gather(folder / chapter, chapter, captions=True)
        texts |= {f"{chapter}:{key}": text for key, text in own.items()}
    lines = [rf"\defval{{{key}}}{{{text}}}" + "\n" for key, text in sorted(texts.items())]
    content, path = (_HEAD + "".join(lines)).encode(), folder / "numbers.tex"
    if not path.is_file() or path.read_bytes() != content:
        write_safely(path, content)
