"""Comparisons: the pairs of a table that a claim speaks of, each by itself and all together."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from empirics.facts import subject_label
from empirics.judging.items import Item, in_scope, subject_key
from empirics.record import Evidence, Record, canonical_json
from theory.claim import FOUND, Claim, Facts, Quantity, Relation, required
from theory.evidence import Interval, Radii
from theory.verdict import (
    Judgement,
    Outcome,
    compared_ends,
    gap_between,
    judge_comparison,
    judge_pairs,
)

LEAST_FOUND = 100
"""Of so many points at least does a comparison of what a search found speak."""


@dataclass(frozen=True)
class _Side:
    """One record of a table, with what a claim compares of it."""

    record: Record
    facts: Facts
    seen: Evidence


@dataclass(frozen=True)
class _Pair:
    """Two subjects that a claim speaks of."""

    first: _Side
    second: _Side
    cap: float

    @property
    def keys(self) -> tuple[str, str]:
        """What the two subjects are, seeds included: pairs that share one are not independent."""
        first, second = (
            f"{subject_key(side.record.request.subject)} {side.record.request.seed}"
            for side in (self.first, self.second)
        )
        return first, second


def evidence_of(record: Record, quantity: Quantity) -> Evidence | None:
    """Return what a record says of a quantity, or of what its search found; None if nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from empirics.record import Request
    >>> seen = {"r_in[l2]": Radii(np.zeros(100), np.ones(100))}
    >>> record = Record(Request("measure", "radii", {}, {}, 0), seen)
    >>> evidence_of(record, Quantity("found_r_in", "l2")).lower[0]
    np.float64(1.0)
    """
    if str(quantity) in record.evidence:
        return record.evidence[str(quantity)]
    if not quantity.symbol.startswith(FOUND):
        return None
    radii = record.evidence.get(str(Quantity(quantity.symbol.removeprefix(FOUND), quantity.norm)))
    if not isinstance(radii, Radii) or radii.n < LEAST_FOUND:
        return None
    return Radii(radii.upper, radii.upper)


def comparisons(
    records: Sequence[Record], claim: Claim, facts: Mapping[str, Facts]
) -> Iterator[Item]:
    """Yield a comparison's items: each pair, and for two pairs or more all of them together.

    Pairs are made of records of one measure with equal settings. Where several records have the
    evidence and no two are a pair, one item says why.

    Parameters
    ----------
    records : sequence of Record
    claim : Claim
        Of kind COMPARISON.
    facts : mapping from str to mapping
        All that is known of the subject of each record, by the record's id.
    """
    for quantity in claim.quantities:
        tables: dict[str, list[_Side]] = {}
        for record in records:
            seen = evidence_of(record, quantity)
            if seen is not None:
                known = {**facts[record.id], **record.request.subject}
                table = f"{record.request.plugin} {canonical_json(record.request.settings)}"
                tables.setdefault(table, []).append(_Side(record, known, seen))
        reasons: Counter[str] = Counter()
        pairs = [
            pair for sides in tables.values() for pair in _pairs(sides, claim, quantity, reasons)
        ]
        yield from (_item_of_pair(claim, quantity, pair) for pair in pairs)
        if len(pairs) > 1:
            yield _item_of_all(claim, quantity, pairs)
        elif not pairs and reasons:
            every = [side.record for sides in tables.values() for side in sides]
            yield _item_of_none(claim, quantity, every, reasons)


def _pairs(
    sides: Sequence[_Side], claim: Claim, quantity: Quantity, reasons: Counter[str]
) -> Iterator[_Pair]:
    for first in sides:
        for second in sides:
            if first is second or isinstance(first.seen, Radii) is not isinstance(
                second.seen, Radii
            ):
                continue

            def cap(one: _Side = first, two: _Side = second) -> float:
                claim.evaluate(one.facts, two.facts, quantity)
                return _cap(claim, quantity, one, two)

            found = in_scope(claim, cap)
            if isinstance(found, Judgement):
                reasons[found.reason] += 1
            else:
                yield _Pair(first, second, found)


def _cap(claim: Claim, quantity: Quantity, first: _Side, second: _Side) -> float:
    """Return where radii are capped for a comparison of means: at the mean norm of what is moved.

    It is known before the radii are seen, and the same for both sides.
    """
    if claim.statistic != "mean" or isinstance(first.seen, Interval):
        return float("inf")
    latent = quantity.symbol.removeprefix(FOUND).startswith("r_latent")
    fact = "expected_latent_norm" if latent else "expected_image_norm"
    what = f"the mean norm of {'latents' if latent else 'images'}, at which radii are capped,"
    return max(float(required(side.facts, fact, what)) for side in (first, second))


def _item_of_pair(claim: Claim, quantity: Quantity, pair: _Pair) -> Item:
    one, two = pair.first, pair.second

    def judged(level: float) -> Judgement:
        return judge_comparison(
            one.seen, two.seen, claim.relation, level, statistic=claim.statistic, cap=pair.cap
        )

    sampled = isinstance(one.seen, Radii)
    subjects = [side.record.request.subject for side in (one, two)]
    ns = [side.seen.n for side in (one, two) if isinstance(side.seen, Radii)]
    return Item(
        claim,
        str(quantity),
        " vs ".join(map(subject_label, subjects)),
        " vs ".join(map(subject_key, subjects)),
        (one.record, two.record),
        (),
        min(ns) if ns else None,
        "pairs" if sampled else "",
        lambda _: judged,
    )


def _item_of_all(claim: Claim, quantity: Quantity, pairs: Sequence[_Pair]) -> Item:
    gaps = []
    for pair in pairs:
        one, two = (
            compared_ends(side.seen, claim.statistic, cap=pair.cap)
            for side in (pair.first, pair.second)
        )
        small, large = (one, two) if claim.relation is Relation.AT_MOST else (two, one)
        gaps.append(gap_between(small, large))
    groups = _groups(pairs)
    records = {side.record.id: side.record for pair in pairs for side in (pair.first, pair.second)}
    return Item(
        claim,
        str(quantity),
        f"all {len(pairs)} pairs",
        "all pairs",
        tuple(records.values()),
        (),
        len(pairs),
        "all pairs",
        lambda _: lambda level: judge_pairs(gaps, groups, level),
    )


def _groups(pairs: Sequence[_Pair]) -> list[int]:
    """Return the group of each pair: pairs that share a subject are in one, and so are theirs."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        leader.setdefault(key, key)
        while leader[key] != key:
            key = leader[key]
        return key

    for pair in pairs:
        one, two = pair.keys
        leader[find(one)] = find(two)
    places: dict[str, int] = {}
    return [places.setdefault(find(pair.keys[0]), len(places)) for pair in pairs]


def _item_of_none(
    claim: Claim, quantity: Quantity, records: Sequence[Record], reasons: Counter[str]
) -> Item:
    (reason, _), *_ = reasons.most_common(1)
    why = f"no two of {len(records)} subjects are a pair that it speaks of: {reason}"
    outside = Judgement(Outcome.OUT_OF_SCOPE, why)
    return Item(
        claim,
        str(quantity),
        "no pair",
        "all pairs",
        tuple(records),
        (),
        0,
        "",
        lambda _: lambda _level: outside,
        outside,
    )
