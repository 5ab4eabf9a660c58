"""Every verdict, and the count of outcomes by claim and quantity."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from empirics.judge import Verdict
from figures.law_panels import JUDGED
from figures.registry import Row, Section, Table, Value, table
from figures.view import NothingToDraw, View
from figures.wording import WORDS, escape, symbol
from theory.claim import CLAIMS, Status
from theory.verdict import Outcome

_SHARED = (*JUDGED, "hamming")


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


def _judged(view: View) -> Sequence[Verdict]:
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
    """One line a claim, its quantities with equal counts together; none where nothing applies."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for verdict in _judged(view):
        line = counts.setdefault((verdict.claim, verdict.quantity), Counter())
        line[verdict.outcome] += 1
    shown = {key: line for key, line in counts.items() if set(line) != {Outcome.OUT_OF_SCOPE}}
    lines: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    rows: list[Row] = []
    for (claim, quantity), line in shown.items():
        found = tuple(line[outcome] for outcome in Outcome)
        lines.setdefault((claim, found), []).append(quantity)
        rows.append(
            {"claim": claim, "status": str(CLAIMS[claim].status), "quantity": quantity}
            | {_key(outcome): line[outcome] for outcome in Outcome}
        )
    body = [
        [escape(claim), str(CLAIMS[claim].status), ", ".join(map(_quantities, quantities))]
        + [str(count) for count in found]
        for (claim, found), quantities in lines.items()
    ]
    numbers = _totals(counts, {claim for claim, _ in shown})
    numbers |= {"laws": view.n_laws, "level": view.level}
    columns = ["claim", "status", "quantity", *(str(outcome).lower() for outcome in Outcome)]
    widths = r"ll>{\raggedright\arraybackslash}p{0.9in}cccc"
    return Table([Section("", columns, body)], rows, numbers, _caption(numbers, shown), widths)


def _totals(
    counts: Mapping[tuple[str, str], Counter[str]], claims: Collection[str]
) -> dict[str, Value]:
    """Return the counts of all lines, shown or not; `claims` are those that are shown."""
    numbers: dict[str, Value] = {}
    totals: dict[str, Counter[str]] = {"proved": Counter(), "conjectured": Counter()}
    for (claim, quantity), line in counts.items():
        numbers |= {f"{claim}.{quantity}.{_key(o)}": line[o] for o in Outcome}
        totals["proved" if CLAIMS[claim].status is Status.PROVED else "conjectured"].update(line)
    for name, total in totals.items():
        numbers |= {f"{name}.{_key(o)}": total[o] for o in Outcome}
        numbers[f"{name}.total"] = total.total()
    numbers["claims"] = len(claims)
    numbers["claims_out_of_scope"] = len({claim for claim, _ in counts} - set(claims))
    numbers["claims_without_evidence"] = len(CLAIMS) - len({claim for claim, _ in counts})
    return numbers


def _caption(numbers: Mapping[str, Value], shown: Iterable[tuple[str, str]]) -> str:
    names = dict.fromkeys(
        side.partition("[")[0] for _, quantity in shown for side in quantity.split(" <= ")
    )
    meanings = "; ".join(f"${symbol(name)}$, {WORDS[name]}" for name in names if name in WORDS)
    return (
        "Number of subjects (pairs of a generator and a classifier, generators, or classifiers of"
        " images) on which each claim holds, is violated, is not decided by the evidence, or does"
        f" not apply; of a line with several quantities, for each of them; of a"
        f" comparison, pairs of subjects, and all pairs together. Quantities: {meanings}."
        " A violated proved claim would be a bug; a violated conjectured one is a finding. Not"
        f" shown are {numbers['claims_out_of_scope']} claims that apply to no subject here, and"
        f" {numbers['claims_without_evidence']} that are refuted or speak of what was not measured."
    )
