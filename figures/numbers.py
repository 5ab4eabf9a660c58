r"""The numbers of the paper: every figure's .json, gathered into numbers.tex for \val{key}."""

import json
from pathlib import Path

from empirics.store import write_safely
from figures.registry import FIGURES, Value
from figures.wording import escape, number
from theory.errors import InputError

_HEAD = "% Made by `advbounds draw`; do not edit. One line a number: key, then what is printed.\n"


def gather(folder: Path, preset: str) -> dict[str, Value]:
    """Return the numbers that the figures of a preset give the paper, by key.

    Parameters
    ----------
    folder : Path
        build/figures.
    preset : str
        Figures of another preset are passed over.

    Raises
    ------
    InputError
        If a figure's .json is damaged.
    """
    numbers: dict[str, Value] = {}
    for name in FIGURES:
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        try:
            about = json.loads(path.read_bytes())
            if about["preset"] == preset:
                numbers |= about["numbers"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: damaged; delete it and draw again ({error!r})") from error
    return numbers


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


def write_numbers(folder: Path, preset: str) -> None:
    """Write numbers.tex, if it changes.

    Parameters
    ----------
    folder : Path
        build/figures.
    preset : str

    Raises
    ------
    InputError
        If a figure's .json is damaged, or the file cannot be written.
    """
    lines = [
        rf"\defval{{{key}}}{{{printed(value)}}}" + "\n"
        for key, value in sorted(gather(folder, preset).items())
    ]
    content, path = (_HEAD + "".join(lines)).encode(), folder / "numbers.tex"
    if not path.is_file() or path.read_bytes() != content:
        write_safely(path, content)
