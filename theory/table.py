"""Plain text tables."""

import sys
from collections.abc import Sequence


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Return rows in aligned columns, the last column ragged, a line each.

    Examples
    --------
    >>> aligned(["a", "b"], [["long", "x"]])
    'a     b\nlong  x\n'
    """
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)]
    text = ""
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        text += "  ".join([*cells, line[-1]]).rstrip() + "\n"
    return text


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows in aligned columns to stdout, the last column ragged."""
    sys.stdout.write(aligned(header, rows))
