"""Every claim: what it says, where, what is known of it, and what its sharper form gains."""

from collections import Counter

from figures.registry import Row, Section, Table, Value, table
from figures.wording import escape, number
from theory.claim import CLAIMS, Claim, Kind, Status

_COLUMNS = ["claim", "statement", "source", "status", "sharper form"]
_SHARES = (0.155, 0.37, 0.175, 0.095, 0.14)
_NEAR_ONE = 0.99
_DIGITS = range(3, 7)


def compared(claim: Claim) -> tuple[float, float] | None:
    """Return a claim's bound and that of its sharper form at the standard point of the former.

    Parameters
    ----------
    claim : Claim
        What its sharper form takes beside has its own standard value.

    Returns
    -------
    tuple of float or None
        None where there is no sharper form, or one of the two is no formula.

    Examples
    --------
    >>> [round(bound, 6) for bound in compared(CLAIMS["fawzi2018/thm1-equiprobable"])]
    [0.750379, 0.887421]
    """
    if not claim.stronger or claim.bound is None:
        return None
    sharper = CLAIMS[claim.stronger].bound
    if sharper is None:
        return None
    values = claim.bound.standard()
    shared = {name: value for name, value in values.items() if name in sharper.standard()}
    ends = claim.bound.value(**values), sharper.value(**sharper.standard(**shared))
    return float(ends[0]), float(ends[1])


def improvement(claim: Claim) -> str:
    r"""Return what the sharper form of a claim gains, as LaTeX text; "--" where there is none.

    Examples
    --------
    >>> improvement(CLAIMS["fawzi2018/thm1-equiprobable"])
    '$0.750 \\to 0.887$: thm1-equiprobable-sharp'
    """
    found, name = compared(claim), _name(claim.stronger, claim.id)
    words = "" if found is None else _arrow(*found, law=claim.kind is Kind.LAW)
    if claim.status is Status.REFUTED:
        repair = f"; repaired by {name}" if name else ""
        return f"false{repair}" + (f", {words}" if words else "")
    return f"{words}: {name}" if words else name or "--"


def _name(claim: str, beside: str) -> str:
    """Return an id that may break after its slash; without its first part beside its sibling."""
    paper, _, rest = claim.partition("/")
    if not rest:
        return ""
    return (
        escape(rest)
        if beside.startswith(f"{paper}/")
        else rf"{escape(paper)}/\allowbreak{{}}{escape(rest)}"
    )


def _arrow(one: float, two: float, *, law: bool) -> str:
    """Return both numbers with as many digits as tell them apart; a law near 1 as 1 - x."""
    near = law and min(one, two) > _NEAR_ONE
    ends = (1 - one, 1 - two) if near else (one, two)
    for digits in _DIGITS:
        shown = [_figures(end, digits) for end in ends]
        if shown[0] != shown[1]:
            break
    head = "1 - " if near else ""
    return rf"${head}{shown[0]} \to {head}{shown[1]}$"


def _figures(value: float, digits: int) -> str:
    # In a comparison a last digit counts even if it is 0.
    if 1e-3 <= abs(value) < 10.0**digits:
        return f"{value:#.{digits}g}".rstrip(".")
    return number(value, digits).replace("$", "")


def _statement(claim: Claim) -> str:
    """Return the inequality, in pieces between which a line may break, and what it assumes."""
    from theory.proof import PROOFS, inequality, listed

    if claim.id not in PROOFS:
        return escape(claim.summary)
    says = ", ".join(f"${piece}$" for piece in inequality(claim)[:-1].split(r", \quad "))
    return f"{says}; if {listed(claim.hypotheses)}" if claim.hypotheses else says


@table("claims", title="The claims", needs=None)
def claims() -> Table:
    """A section a paper, a line a claim."""
    papers: dict[str, list[list[str]]] = {}
    rows: list[Row] = []
    for claim in CLAIMS.values():
        cells = [_name(claim.id, ""), _statement(claim), escape(claim.ref.locator)]
        cells += [str(claim.status), improvement(claim)]
        papers.setdefault(claim.ref.source, []).append(cells)
        found = compared(claim)
        row: dict[str, Value] = {"claim": claim.id, "statement": cells[1]}
        row |= {"reference": str(claim.ref), "key": claim.ref.key, "status": str(claim.status)}
        row |= {"stronger": claim.stronger}
        if found is not None:
            row |= {"value": found[0], "stronger_value": found[1]}
        rows.append(row)
    sections = [Section(escape(paper), _COLUMNS, body) for paper, body in papers.items()]
    widths = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{share}\linewidth}}" for share in _SHARES
    )
    return Table(sections, rows, _numbers(rows, len(papers)), _CAPTION, widths)


def _numbers(rows: list[Row], n_papers: int) -> dict[str, Value]:
    from theory.proof import PROOFS, Method

    statuses = Counter(str(row["status"]) for row in rows)
    steps = Counter(step.method for make in PROOFS.values() for step in make().steps)
    numbers: dict[str, Value] = {"count": len(rows), "papers": n_papers}
    numbers |= {str(status): statuses[str(status)] for status in Status}
    numbers |= {f"steps_{method.name.lower()}": steps[method] for method in Method}
    numbers["proofs"], numbers["steps"] = len(PROOFS), steps.total()
    numbers["sharpened"] = sum("value" in row for row in rows if row["status"] == "proved")
    for row in rows:
        for key in ("value", "stronger_value"):
            if key in row:
                numbers[f"{row['claim']}.{key}"] = row[key]
    return numbers


_CAPTION = (
    "Every claim, by paper: its inequality, its source, and whether it is proved, conjectured or"
    " refuted; where another claim says more, its value and that of the other at the standard point"
    " of the former, which `advbounds bound` prints. A law near 1 is given by what it misses."
)
