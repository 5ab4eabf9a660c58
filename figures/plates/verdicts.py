"""Every verdict, and the count of outcomes by claim and quantity."""

from collections import Counter

from empirics.check import Verdict
from figures.registry import Row, Section, Table, Value, table
from figures.view import NothingToDraw, View
from figures.wording import escape, symbol
from theory.claim import CLAIMS
from theory.verdict import Outcome

_SHARED = ("modulus", "class_masses")


def _quantities(text: str) -> str:
    r"""Return the symbols of one quantity or of two sides.

    Examples
    --------
    >>> _quantities("r_unc[l2] <= r_in[l2]")
    '$r_{\\mathrm{unc}} \\le r_{\\mathrm{in}}$'
    """
    return "$" + r" \le ".join(symbol(side) for side in text.split(" <= ")) + "$"


def _key(outcome: str) -> str:
    return outcome.replace(" ", "_").lower()


def _judged(view: View) -> list[Verdict]:
    if not view.verdicts:
        raise NothingToDraw("no claim speaks of any record")
    return view.verdicts


@table("verdicts", title="Every verdict", needs=("radii",), also=_SHARED)
def verdicts(view: View) -> Table:
    """One line a claim, subject and quantity."""
    judged = _judged(view)
    body = [
        [
            escape(v.claim),
            escape(v.subject),
            _quantities(v.quantity),
            escape(v.outcome),
            escape(v.reason),
        ]
        for v in judged
    ]
    rows: list[Row] = [
        {**{k: x for k, x in v.to_dict().items() if k != "records"}, "records": " ".join(v.records)}
        for v in judged
    ]
    section = Section("", ["claim", "subject", "quantity", "outcome", "reason"], body)
    caption = "Each claim on each subject that its hypotheses and the evidence fit."
    return Table(
        [section], rows, {"count": len(judged)}, caption, r"lllp{0.12\linewidth}p{0.3\linewidth}"
    )


@table("outcomes", title="Verdicts", needs=("radii",), also=_SHARED)
def outcomes(view: View) -> Table:
    """One line a claim and quantity, with the number of each outcome."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for verdict in _judged(view):
        line = counts.setdefault((verdict.claim, verdict.quantity), Counter())
        line[verdict.outcome] += 1
    body, rows = [], []
    numbers: dict[str, Value] = {}
    rigorous: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for (claim, quantity), line in counts.items():
        status = str(CLAIMS[claim].status)
        found = [line[outcome] for outcome in Outcome]
        body.append([escape(claim), status, _quantities(quantity), *map(str, found)])
        rows.append(
            {"claim": claim, "status": status, "quantity": quantity}
            | {_key(outcome): line[outcome] for outcome in Outcome}
        )
        numbers |= {f"{claim}.{quantity}.{_key(o)}": line[o] for o in Outcome}
        (rigorous if status == "proved" else others).update(line)
    for name, total in (("proved", rigorous), ("conjectured", others)):
        numbers |= {f"{name}.{_key(o)}": total[o] for o in Outcome}
        numbers[f"{name}.total"] = total.total()
    numbers |= {"laws": view.n_laws, "level": view.level}
    columns = ["claim", "status", "quantity", *(str(outcome).lower() for outcome in Outcome)]
    return Table([Section("", columns, body)], rows, numbers, _CAPTION, "lllcccc")


_CAPTION = (
    "Number of generator-classifier pairs on which each claim holds, is violated, is not decided"
    " by the evidence, or does not apply. A violated proved claim would be a bug; a violated"
    " conjectured one is a finding."
)
