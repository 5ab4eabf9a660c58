"""Numbers that papers print, as they print them; our own never stand here."""

import tomllib
from importlib import resources
from typing import Any

from theory.errors import InputError, nearest


def printed(name: str) -> dict[str, Any]:
    """Return what a paper prints: its title, the table, and the digits as text.

    Parameters
    ----------
    name : str
        The stem of a file of this package, "madry2018".

    Returns
    -------
    dict
        The file's tables and keys.

    Raises
    ------
    InputError
        If there is no such file; names the nearest.

    Examples
    --------
    >>> printed("madry2018")["table"]
    '1'
    """
    folder = resources.files("figures.printed")
    known = {
        entry.name.removesuffix(".toml"): entry
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    if name not in known:
        raise InputError(f"no printed numbers '{name}'; {nearest(name, known)}")
    return tomllib.loads(known[name].read_text(encoding="utf-8"))
