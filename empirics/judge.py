"""Claims meet records: every claim whose quantity and facts fit is judged, and none is named."""

import fnmatch
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from empirics.facts import facts_about, subject_label
from empirics.record import Record
from theory.arrays import FloatArray
from theory.claim import CLAIMS, Claim, Facts, Kind, LawBound, OutOfScopeError, Quantity, Status
from theory.evidence import Interval, Radii
from theory.verdict import (
    Judgement,
    Outcome,
    declared_grid,
    declared_range,
    judge_law,
    judge_mean,
    judge_pointwise,
    judge_scalar,
    judge_together,
)

FACT_SHARE = 0.1
"""The part of each law's alpha that pays for its estimated class masses."""
MEAN_CAP = 4.0
"""Radii beyond this many times the bound on their mean count as that much: it needs a limit."""
LawTest = Literal["uniform", "grid"]
STOCHASTIC = (Kind.LAW, Kind.MEAN)
"""Claims judged on a sample, among which alpha is shared."""


@dataclass(frozen=True)
class Verdict:
    """What the records say of one claim about one subject and quantity.

    Attributes
    ----------
    claim, status, quantity, subject : str
        Claim id, its status, the quantity's name, "generator · classifier".
    outcome : str
        HOLDS, VIOLATED, UNDECIDED or OUT OF SCOPE.
    reason : str
        One sentence.
    slack, decided : float or None
        See `theory.verdict.Judgement`.
    rigorous : bool
        Whether the claim is proved: the outcome then speaks of the evidence, not of the claim.
    alpha : float or None
        Level of the whole table of laws, spent by Holm's procedure; None where nothing is random.
    n : int or None
        Number of points.
    records : tuple of str
        Ids of the records that hold the evidence.
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

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class _Cell:
    """One claim on the evidence of one record."""

    claim: Claim
    record: Record
    quantities: tuple[Quantity, ...]
    facts: Facts

    @property
    def seen(self) -> list[Any]:
        return [self.record.evidence[str(quantity)] for quantity in self.quantities]


def law_bound(claim: Claim, facts: Facts, quantity: Quantity, level: float) -> LawBound:
    """Return a law claim's bound where its estimated facts hold with probability 1 - level/10.

    Raises
    ------
    OutOfScopeError
        If a hypothesis fails or a fact is not known.
    """
    bound: LawBound = claim.evaluate(facts, quantity, level * FACT_SHARE)
    return bound


@dataclass(frozen=True)
class _Declared:
    """A cell with what was declared before its radii were seen: where the law is tested."""

    cell: _Cell
    eta_range: tuple[float, float] | None = None
    grid: FloatArray | None = None


def _declare(cell: _Cell, level: float, test: LawTest) -> _Declared:
    if cell.claim.kind is Kind.MEAN:
        return _Declared(cell)
    bound = law_bound(cell.claim, cell.facts, cell.quantities[0], level)
    n, own = cell.seen[0].n, level * (1 - FACT_SHARE)
    if test == "grid":
        return _Declared(cell, grid=declared_grid(bound, n, own))
    return _Declared(cell, eta_range=declared_range(bound, n, own))


def _judge_sampled(declared: _Declared, level: float) -> Judgement:
    cell = declared.cell
    radii: Radii = cell.seen[0]
    if cell.claim.kind is Kind.MEAN:
        mean: Interval = cell.claim.evaluate(cell.facts, cell.quantities[0], level * FACT_SHARE)
        if not 0 < mean.upper < float("inf"):
            return Judgement(Outcome.UNDECIDED, f"the bound is {mean.upper}: it says nothing")
        cap = MEAN_CAP * mean.upper
        return judge_mean(radii.lower, radii.upper, mean, level * (1 - FACT_SHARE), cap=cap)
    bound = law_bound(cell.claim, cell.facts, cell.quantities[0], level)
    where: dict[str, Any] = {"eta_range": declared.eta_range, "grid": declared.grid}
    return judge_law(radii.lower, radii.upper, bound, level * (1 - FACT_SHARE), **where)


def _judge_exactly(cell: _Cell) -> Judgement:
    if cell.claim.kind is Kind.POINTWISE:
        image = cell.claim.evaluate(cell.facts)
        left, right = cell.seen
        if image is not None:
            left = Radii(image(left.lower), image(left.upper))
        return judge_pointwise(left, right)
    value: float = cell.claim.evaluate(cell.facts, cell.quantities[0])
    return judge_scalar(cell.seen[0], cell.claim.relation, value)


def _out_of_scope(cell: _Cell, alpha: float) -> Judgement | None:
    try:
        if cell.claim.kind in STOCHASTIC:
            cell.claim.evaluate(cell.facts, cell.quantities[0], alpha * FACT_SHARE)
        else:
            _judge_exactly(cell)
    except OutOfScopeError as reason:
        return Judgement(Outcome.OUT_OF_SCOPE, str(reason))
    return None


def _cells(records: Sequence[Record], pattern: str) -> list[_Cell]:
    evidence_type = {kind: Interval if kind is Kind.SCALAR else Radii for kind in Kind}
    cells = []
    for record in records:
        if not record.evidence:
            continue
        facts = facts_about(record.request.subject, records)
        for claim in CLAIMS.values():
            if claim.status is Status.REFUTED or not fnmatch.fnmatch(claim.id, pattern):
                continue
            pairs = (
                [claim.quantities]
                if claim.kind is Kind.POINTWISE
                else [(quantity,) for quantity in claim.quantities]
            )
            cells += [
                _Cell(claim, record, quantities, facts)
                for quantities in pairs
                if all(
                    isinstance(record.evidence.get(str(quantity)), evidence_type[claim.kind])
                    for quantity in quantities
                )
            ]
    return cells


def judge_records(
    records: Sequence[Record], alpha: float, pattern: str = "*", test: LawTest = "uniform"
) -> list[Verdict]:
    """Judge every claim on every record whose evidence it speaks of.

    Parameters
    ----------
    records : sequence of Record
        All records of a preset: their facts are shared.
    alpha : float
        Level of the table, in (0, 1/2]: Holm's procedure over the laws and means of each status.
    pattern : str
        Shell pattern of claim ids.
    test : {"uniform", "grid"}
        How laws are judged, declared before the radii are seen: by a band of one width, better in
        the middle, or by exact limits on a frozen grid, better in the tails.

    Returns
    -------
    list of Verdict
        Ordered by claim and record.
    """
    cells = _cells(records, pattern)
    judged: dict[int, Judgement] = {}
    for i, cell in enumerate(cells):
        outside = _out_of_scope(cell, alpha)
        if outside is not None:
            judged[i] = outside
        elif cell.claim.kind not in STOCHASTIC:
            judged[i] = _judge_exactly(cell)
    for status in Status:
        laws = [i for i, c in enumerate(cells) if i not in judged and c.claim.status is status]
        declared = [_declare(cells[i], alpha / len(laws), test) for i in laws]
        together = judge_together(declared, _judge_sampled, alpha)
        judged |= dict(zip(laws, together, strict=True))
    order = sorted(range(len(cells)), key=lambda i: cells[i].claim.id)
    return [_verdict(cells[i], judged[i], alpha) for i in order]


def _verdict(cell: _Cell, judgement: Judgement, alpha: float) -> Verdict:
    seen = cell.seen[0]
    finite = judgement.outcome is not Outcome.OUT_OF_SCOPE
    return Verdict(
        claim=cell.claim.id,
        status=str(cell.claim.status),
        quantity=" <= ".join(str(quantity) for quantity in cell.quantities),
        subject=subject_label(cell.record.request.subject),
        outcome=str(judgement.outcome),
        reason=judgement.reason,
        slack=judgement.slack if finite and abs(judgement.slack) < float("inf") else None,
        decided=judgement.decided if finite else None,
        rigorous=cell.claim.status is Status.PROVED,
        alpha=alpha if cell.claim.kind in STOCHASTIC else None,
        n=seen.n if isinstance(seen, Radii) else None,
        records=(cell.record.id,),
    )


def theorem_violated(verdicts: Sequence[Verdict]) -> bool:
    """Whether a proved claim is violated: a bug, never a discovery."""
    return any(v.rigorous and v.outcome == Outcome.VIOLATED for v in verdicts)


def verdicts_json(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as the text of build/verdicts.json."""
    return json.dumps([v.to_dict() for v in verdicts], indent=1, allow_nan=False) + "\n"
