"""The error that a user is shown: one line that says what, where, and what would be right."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input or usage; the command prints its message as one line and exits with 2."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the part of an error message that names the nearest known word, or all of them.

    Parameters
    ----------
    word : str
        What the user wrote.
    known : iterable of str
        The words that would have been right.

    Examples
    --------
    >>> nearest("deafult", ["default", "smoke"])
    "did you mean 'default'?"
    >>> nearest("xyz", ["default", "smoke"])
    'known: default, smoke'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}"
