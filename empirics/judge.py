"""Claims meet records: every claim whose quantity and facts fit is judged, and none is named."""

import fnmatch
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from empirics.facts import facts_about
from empirics.judging.comparisons import comparisons
from empirics.judging.items import FACT_SHARE, MEAN_CAP, Item, Judge, LawTest, items_of, law_bound
from empirics.record import Record
from empirics.store import write_safely
from empirics.verdicts import Verdict, Verdicts, theorem_violated, verdicts_json
from theory.claim import CLAIMS, Kind, Status
from theory.errors import InputError
from theory.looks import Key, Ledger, Look, fingerprint, share_left, share_of_look
from theory.verdict import Judgement, Outcome, judge_together

__all__ = [
    "FACT_SHARE",
    "MEAN_CAP",
    "STOCHASTIC",
    "LawTest",
    "Verdict",
    "Verdicts",
    "judge_records",
    "law_bound",
    "read_looks",
    "theorem_violated",
    "verdicts_json",
    "write_looks",
]

STOCHASTIC = (Kind.LAW, Kind.MEAN)
"""Claims judged on a single sample, among which alpha is shared."""


def _items(records: Sequence[Record], pattern: str, alpha: float, test: LawTest) -> Iterator[Item]:
    with_evidence = [record for record in records if record.evidence]
    facts = {record.id: facts_about(record.request.subject, records) for record in with_evidence}
    claims = [
        claim
        for claim in CLAIMS.values()
        if claim.status is not Status.REFUTED and fnmatch.fnmatch(claim.id, pattern)
    ]
    single = [claim for claim in claims if claim.kind is not Kind.COMPARISON]
    for record in with_evidence:
        for claim in single:
            yield from items_of(record, claim, facts[record.id], alpha, test)
    for claim in claims:
        if claim.kind is Kind.COMPARISON:
            yield from comparisons(with_evidence, claim, facts)


def judge_records(
    records: Sequence[Record],
    alpha: float,
    pattern: str = "*",
    test: LawTest = "uniform",
    looks: Ledger | None = None,
) -> Verdicts:
    """Judge every claim on every record, and pair of records, whose evidence it speaks of.

    Parameters
    ----------
    records : sequence of Record
        All records of a preset: their facts are shared.
    alpha : float
        In (0, 1/2], the level of each family of cells, shared by Holm's procedure: among all
        proved claims, and within each conjecture, the laws and means are one family, the pairs of
        samples another, and what is said of all pairs together a third.
    pattern : str
        Shell pattern of claim ids.
    test : {"uniform", "grid"}
        How laws are judged, declared before the radii are seen: by a band of one width, better in
        the middle, or by exact limits on a frozen grid, better in the tails.
    looks : Ledger, optional
        Earlier looks at the same claims and subjects, to which these are added: the k-th at one
        subject gets the part 6 / (pi k)^2 of its cell's level, and an outcome that is the contrary
        of an earlier one says what has changed.

    Returns
    -------
    Verdicts
        Ordered by claim and record.
    """
    items = list(_items(records, pattern, alpha, test))
    judged: dict[int, Judgement] = {
        i: item.outside for i, item in enumerate(items) if item.outside is not None
    }
    entered = {} if looks is None else _entered(looks, items, judged)
    levels: dict[int, float] = {}
    for i, item in enumerate(items):
        if i not in judged and not item.family:
            judged[i] = item.prepare(alpha)(alpha)
    families: dict[tuple[str, str, str], list[int]] = {}
    for i, item in enumerate(items):
        if i not in judged:
            families.setdefault(_family(item), []).append(i)
    for own in families.values():
        shares = {i: share_of_look(entered[i][2]) if i in entered else 1.0 for i in own}
        judges = {i: functools.cache(items[i].prepare(alpha / len(own) * shares[i])) for i in own}

        def judge(
            i: int,
            level: float,
            shares: Mapping[int, float] = shares,
            judges: Mapping[int, Judge] = judges,
        ) -> Judgement:
            levels[i] = level * shares[i]
            return judges[i](levels[i])

        judged |= dict(zip(own, judge_together(own, judge, alpha), strict=True))
    if looks is not None:
        for i, (key, seen, k) in entered.items():
            look = _look(items[i], seen, judged[i], levels.get(i, 0.0))
            looks.settle(key, look)
            judged[i] = _explained(items[i], judged[i], looks, key, look, k, alpha)
    order = sorted(range(len(items)), key=lambda i: items[i].claim.id)
    return Verdicts(_verdict(items[i], judged[i], alpha, levels.get(i)) for i in order)


def _family(item: Item) -> tuple[str, str, str]:
    """Return the cells among which alpha is shared with this one.

    All proved claims share it: one of them violated is an alarm, and is false with probability
    alpha. A conjecture is a question by itself, and its verdicts do not change where others are
    asked beside it.
    """
    alone = "" if item.claim.status is Status.PROVED else item.claim.id
    return str(item.claim.status), item.family, alone


def _entered(
    looks: Ledger, items: Sequence[Item], judged: dict[int, Judgement]
) -> dict[int, tuple[Key, str, int]]:
    """Enter each item that is in scope; return what it is, its evidence and its look's number."""
    entered = {}
    for i, item in enumerate(items):
        if i in judged:
            continue
        key = Key(item.key, item.claim.id, item.quantity)
        seen = fingerprint([*(record.id for record in item.records), *item.drawn])
        entered[i] = (key, seen, looks.look(key, seen))
    return entered


def _look(item: Item, seen: str, judgement: Judgement, level: float) -> Look:
    return Look(seen, level, str(judgement.outcome), item.n, item.effort, item.seed)


def _explained(
    item: Item, judgement: Judgement, looks: Ledger, key: Key, look: Look, k: int, alpha: float
) -> Judgement:
    """Return a judgement that says what has changed since an earlier one to the contrary."""
    turned = looks.turned(key, look)
    if turned is None:
        return judgement
    j, before = turned
    told = f"look {k}: {before.changes(look)} since look {j}, which said {before.outcome}"
    if item.family:
        own, left = alpha * share_of_look(k), alpha * share_left(k)
        told += f"; alpha {own:.2g} of {alpha:g} for this look, {left:.2g} left for later ones"
    elif before.seed == look.seed and item.claim.kind is not Kind.POINTWISE:
        told += "; nothing here is random: one of the two records is wrong"
    if before.seed != look.seed:
        told += "; another seed trains another network"
    return replace(judgement, reason=f"{judgement.reason}; {told}")


def _verdict(item: Item, judgement: Judgement, alpha: float, level: float | None) -> Verdict:
    inside = judgement.outcome is not Outcome.OUT_OF_SCOPE
    return Verdict(
        claim=item.claim.id,
        status=str(item.claim.status),
        quantity=item.quantity,
        subject=item.subject,
        outcome=str(judgement.outcome),
        reason=judgement.reason,
        slack=judgement.slack if inside and abs(judgement.slack) < float("inf") else None,
        decided=judgement.decided if inside else None,
        rigorous=item.claim.status is Status.PROVED,
        alpha=alpha if item.family or item.claim.kind in STOCHASTIC else None,
        n=item.n,
        records=tuple(record.id for record in item.records),
        tolerance=judgement.tolerance if inside else None,
        alpha_spent=level,
        effort=item.effort,
        to_decide=judgement.to_decide if inside else _into_scope(judgement.reason),
    )


def _into_scope(reason: str) -> str:
    """Return what would make a claim speak of a subject of which it does not."""
    if reason.startswith("its formula raised"):
        return "a formula that can be evaluated here"
    if reason.endswith("not known") or reason.startswith(("no certified", "no sampled")):
        return f"a measurement that states what is missing: {reason}"
    return "nothing measured here would: it speaks of other subjects"


def read_looks(path: Path) -> Ledger:
    """Return the ledger that a file holds, an empty one if there is no such file.

    Raises
    ------
    InputError
        If the file is no ledger; names it.
    """
    if not path.exists():
        return Ledger()
    try:
        return Ledger.from_json(path.read_text())
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error


def write_looks(path: Path, looks: Ledger) -> None:
    """Write a ledger; what was there before stays if it cannot be written."""
    write_safely(path, looks.to_json().encode())
