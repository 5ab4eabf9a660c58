"""Claims on single records: each claim on each record whose evidence it speaks of."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, TypeVar

import numpy as np

from empirics.facts import subject_label
from empirics.record import Evidence, Record, canonical_json
from theory.claim import Claim, Facts, Kind, LawBound, OutOfScopeError, Quantity, Status
from theory.evidence import Interval, Radii
from theory.verdict import (
    Judgement,
    Outcome,
    declared_grid,
    declared_range,
    judge_combinatorial,
    judge_law,
    judge_mean,
    judge_pointwise,
    judge_scalar,
)

FACT_SHARE = 0.1
"""The part of each law's alpha that pays for its estimated class masses."""
MEAN_CAP = 4.0
"""Radii beyond this many times the bound on their mean count as that much: it needs a limit."""
LawTest = Literal["uniform", "grid"]
Family = Literal["", "samples", "pairs", "all pairs"]
"""Cells among which alpha is shared: laws and means, pairs of samples, or all pairs of a claim."""
Judge = Callable[[float], Judgement]


@dataclass(frozen=True)
class Item:
    """One claim on the evidence of one record, of two, or of all pairs.

    Attributes
    ----------
    claim : Claim
    quantity, subject : str
        As a verdict shows them.
    key : str
        Names the subject, whatever was measured of it.
    records : tuple of Record
        Those that hold the evidence.
    drawn : tuple of str
        What else of the evidence was drawn at random: counts among the facts, the kind of test.
    n : int or None
    family : str
        "" where nothing is random.
    prepare : callable
        Level of the first step of Holm's procedure to a judge, which takes the level of each step:
        what is declared before the evidence is seen is declared at the former.
    outside : Judgement or None
        Why the claim does not speak of this subject.
    """

    claim: Claim
    quantity: str
    subject: str
    key: str
    records: tuple[Record, ...]
    drawn: tuple[str, ...]
    n: int | None
    family: Family
    prepare: Callable[[float], Judge]
    outside: Judgement | None = None

    @property
    def effort(self) -> str:
        """The effort of the measurements, "" where they have none or differ in it."""
        efforts = {str(record.request.settings.get("effort", "")) for record in self.records}
        return efforts.pop() if len(efforts) == 1 else ""

    @property
    def seed(self) -> int | None:
        """The seed of the measurements, None where they differ in it."""
        seeds = {record.request.seed for record in self.records}
        return seeds.pop() if len(seeds) == 1 else None


def subject_key(subject: Mapping[str, Any]) -> str:
    """Return a name that two subjects share if, and only if, their parts are equal."""
    digest = sha256(canonical_json(subject).encode()).hexdigest()
    return f"{subject_label(subject)} {digest[:16]}".lstrip()


T = TypeVar("T")


def in_scope(claim: Claim, call: Callable[[], T]) -> T | Judgement:
    """Return what a claim's formula gives, or why it does not speak of a subject.

    A formula of a conjecture may be anyone's: one that raises an error speaks of nothing. That of a
    theorem is part of its proof, and its errors are raised.
    """
    try:
        return call()
    except OutOfScopeError as reason:
        return Judgement(Outcome.OUT_OF_SCOPE, str(reason))
    except Exception as error:
        if claim.status is Status.PROVED:
            raise
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        return Judgement(Outcome.OUT_OF_SCOPE, f"its formula raised {said}")


def law_bound(claim: Claim, facts: Facts, quantity: Quantity, level: float) -> LawBound:
    """Return a law claim's bound where its estimated facts hold with probability 1 - level/10.

    Raises
    ------
    OutOfScopeError
        If a hypothesis fails or a fact is not known.
    """
    bound: LawBound = claim.evaluate(facts, quantity, level * FACT_SHARE)
    return bound


def items_of(
    record: Record, claim: Claim, facts: Facts, alpha: float, test: LawTest
) -> Iterator[Item]:
    """Yield a claim's items on one record, one a quantity that the record has evidence of.

    Parameters
    ----------
    record : Record
    claim : Claim
        Of any kind but COMPARISON.
    facts : mapping
        All that is known of the record's subject.
    alpha : float
        Level of the table, at which a claim is asked whether it speaks of the subject.
    test : {"uniform", "grid"}
        How laws are judged.
    """
    whole = claim.kind is Kind.POINTWISE
    for quantities in [claim.quantities] if whole else [(q,) for q in claim.quantities]:
        seen = [record.evidence.get(str(quantity)) for quantity in quantities]
        fits = Interval if claim.kind in (Kind.SCALAR, Kind.COMBINATORIAL) else Radii
        if not all(isinstance(one, fits) for one in seen):
            continue
        evidence = [one for one in seen if one is not None]
        sampled = claim.kind in (Kind.LAW, Kind.MEAN)
        prepare = (
            _sampled(claim, facts, quantities[0], evidence[0], test)
            if sampled
            else _exact(claim, facts, quantities, evidence)
        )
        first = evidence[0]
        yield Item(
            claim,
            " <= ".join(str(quantity) for quantity in quantities),
            subject_label(record.request.subject),
            subject_key(record.request.subject),
            (record,),
            (*_drawn(facts), test) if sampled else (),
            first.n if isinstance(first, Radii) else None,
            "samples" if sampled else "",
            prepare,
            _outside(claim, facts, quantities[0], prepare, alpha),
        )


def _drawn(facts: Facts) -> Iterator[str]:
    """Yield the facts that were drawn at random, and would be others in another draw."""
    for name, value in sorted(facts.items()):
        if name.endswith("_counts"):
            yield f"{name} = {np.asarray(value).tolist() if not isinstance(value, dict) else value}"


def _outside(
    claim: Claim, facts: Facts, quantity: Quantity, prepare: Callable[[float], Judge], alpha: float
) -> Judgement | None:
    if claim.kind in (Kind.LAW, Kind.MEAN):
        found = in_scope(claim, lambda: claim.evaluate(facts, quantity, alpha * FACT_SHARE))
    else:
        found = in_scope(claim, lambda: prepare(alpha)(alpha))
        if isinstance(found, Judgement) and found.outcome is not Outcome.OUT_OF_SCOPE:
            return None
    return found if isinstance(found, Judgement) else None


def _exact(
    claim: Claim, facts: Facts, quantities: Sequence[Quantity], seen: Sequence[Evidence]
) -> Callable[[float], Judge]:
    def judged(_: float) -> Judgement:
        if claim.kind is Kind.POINTWISE:
            left, right = seen
            assert isinstance(left, Radii)
            assert isinstance(right, Radii)
            image = claim.evaluate(facts)
            if image is not None:
                left = Radii(image(left.lower), image(left.upper))
            return judge_pointwise(left, right)
        (number,) = seen
        assert isinstance(number, Interval)
        value = claim.evaluate(facts, quantities[0])
        judge = judge_combinatorial if claim.kind is Kind.COMBINATORIAL else judge_scalar
        return judge(number, claim.relation, value)

    return lambda _: judged


def _sampled(
    claim: Claim, facts: Facts, quantity: Quantity, radii: Evidence, test: LawTest
) -> Callable[[float], Judge]:
    assert isinstance(radii, Radii)

    def mean(level: float) -> Judgement:
        bound: Interval = claim.evaluate(facts, quantity, level * FACT_SHARE)
        if not 0 < bound.upper < float("inf"):
            why = f"the bound is {bound.upper}: it says nothing"
            return Judgement(
                Outcome.UNDECIDED, why, to_decide="a bound that is positive and finite"
            )
        cap, own = MEAN_CAP * bound.upper, level * (1 - FACT_SHARE)
        return judge_mean(radii.lower, radii.upper, bound, own, cap=cap)

    # At one level a bound is asked for again and again, and may be dear.
    bound_at = functools.cache(lambda level: law_bound(claim, facts, quantity, level))

    def declared(first: float) -> dict[str, Any]:
        bound, own = bound_at(first), first * (1 - FACT_SHARE)
        if test == "grid":
            return {"grid": declared_grid(bound, radii.n, own)}
        return {"eta_range": declared_range(bound, radii.n, own)}

    def law(first: float) -> Judge:
        where = in_scope(claim, lambda: declared(first))
        if isinstance(where, Judgement):
            return lambda _: where

        def judged(level: float) -> Judgement:
            own = level * (1 - FACT_SHARE)
            return in_scope(
                claim, lambda: judge_law(radii.lower, radii.upper, bound_at(level), own, **where)
            )

        return judged

    return (
        law
        if claim.kind is Kind.LAW
        else lambda _: lambda level: in_scope(claim, lambda: mean(level))
    )
