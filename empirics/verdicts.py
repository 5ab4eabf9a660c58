"""Verdicts: what the records say of each claim, as text, LaTeX, HTML, JSON and plain rows."""

import html
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

from theory.table import aligned
from theory.verdict import Outcome
from theory.wording import escaped

_COLUMNS = ("outcome", "claim", "subject", "quantity", "reason", "to decide")
_COLOURS = {
    Outcome.HOLDS: "#009e73",
    Outcome.VIOLATED: "#d55e00",
    Outcome.UNDECIDED: "#8a6d00",
    Outcome.OUT_OF_SCOPE: "#767676",
}
"""Colours that a colour-blind reader tells apart; the word stands beside them always."""


@dataclass(frozen=True)
class Verdict:
    """What the records say of one claim about one subject and quantity.

    Attributes
    ----------
    claim, status, quantity, subject : str
        Claim id, its status, the quantity's name, "generator · classifier"; of a comparison
        "A vs B", or "all n pairs".
    outcome : str
        HOLDS, VIOLATED, UNDECIDED or OUT OF SCOPE.
    reason : str
        One sentence.
    slack, decided : float or None
        See `theory.verdict.Judgement`.
    rigorous : bool
        Whether the claim is proved: the outcome then speaks of the evidence, not of the claim.
    alpha : float or None
        Level of the whole family of cells, spent by Holm's procedure; None where nothing is random.
    n : int or None
        Number of points; of two samples that of the smaller, of all pairs the number of pairs.
    records : tuple of str
        Ids of the records that hold the evidence.
    tolerance : float or None
        Up to which two values counted as equal, in the quantity's unit; None out of scope.
    alpha_spent : float or None
        The level at which this cell was judged; None where nothing is random.
    effort : str
        The setting of that name of the measurement, "" where it has none.
    to_decide : str
        What would decide it, one sentence; "" where it is decided.
    """

    claim: str
    status: str
    quantity: str
    subject: str
    outcome: str
    reason: str
    slack: float | None
    decided: float | None
    rigorous: bool
    alpha: float | None
    n: int | None
    records: tuple[str, ...]
    tolerance: float | None = None
    alpha_spent: float | None = None
    effort: str = ""
    to_decide: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


class Verdicts(Sequence[Verdict]):
    """Verdicts that print as a table; equal to any sequence of the same verdicts.

    Parameters
    ----------
    verdicts : iterable of Verdict

    Examples
    --------
    >>> names, numbers = ("a/b", "proved", "r_in[l2]", "vae", "HOLDS", "so"), (0.1, 1.0)
    >>> print(Verdicts([Verdict(*names, *numbers, True, None, 9, ())]))
    outcome  claim  subject  quantity  reason  to decide
    HOLDS    a/b    vae      r_in[l2]  so
    """

    def __init__(self, verdicts: Iterable[Verdict] = ()) -> None:
        self._verdicts = tuple(verdicts)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> "Verdicts": ...
    def __getitem__(self, index: int | slice) -> "Verdict | Verdicts":
        """Return one verdict, or those of a slice."""
        if isinstance(index, slice):
            return Verdicts(self._verdicts[index])
        return self._verdicts[index]

    def __len__(self) -> int:
        """Return the number of verdicts."""
        return len(self._verdicts)

    def __iter__(self) -> Iterator[Verdict]:
        """Iterate over the verdicts, ordered by claim."""
        return iter(self._verdicts)

    def __eq__(self, other: object) -> bool:
        """Whether another sequence holds the same verdicts."""
        return isinstance(other, Sequence) and self._verdicts == tuple(other)

    def __hash__(self) -> int:
        return hash(self._verdicts)

    def __repr__(self) -> str:
        return f"Verdicts({list(self._verdicts)!r})"

    def __str__(self) -> str:
        return aligned(_COLUMNS, self._cells()).removesuffix("\n")

    def _cells(self) -> list[list[str]]:
        return [
            [v.outcome, v.claim, v.subject, v.quantity, v.reason, v.to_decide]
            for v in self._verdicts
        ]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return flat dictionaries, one a verdict, as `pandas.DataFrame` takes them."""
        return [v.to_dict() | {"records": " ".join(v.records)} for v in self._verdicts]

    def to_latex(self) -> str:
        """Return a LaTeX tabular that needs no package."""
        lines = [" & ".join(map(escaped, row)) + r" \\" for row in [_COLUMNS, *self._cells()]]
        head, body = lines[0], "\n".join(lines[1:])
        columns = r"llllp{0.3\linewidth}p{0.2\linewidth}"
        return (
            f"\\begin{{tabular}}{{{columns}}}\n\\hline\n{head}\n\\hline\n{body}\n\\hline\n"
            "\\end{tabular}\n"
        )

    def _repr_html_(self) -> str:
        """Return an HTML table, as notebooks show it."""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in _COLUMNS)
        rows = []
        for verdict, cells in zip(self._verdicts, self._cells(), strict=True):
            colour = _COLOURS[Outcome(verdict.outcome)]
            first = f'<td style="color:{colour};font-weight:bold">{html.escape(cells[0])}</td>'
            rest = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells[1:])
            rows.append(f"<tr>{first}{rest}</tr>")
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def theorem_violated(verdicts: Sequence[Verdict]) -> bool:
    """Whether a proved claim is violated: a bug, never a discovery."""
    return any(v.rigorous and v.outcome == Outcome.VIOLATED for v in verdicts)


def verdicts_json(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as the text of build/verdicts.json."""
    return json.dumps([v.to_dict() for v in verdicts], indent=1, allow_nan=False) + "\n"
