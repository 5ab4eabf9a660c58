"""The records of one preset as figures see them: pairs, facts, bounds, quantiles, verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from empirics.facts import facts_about
from empirics.judge import FACT_SHARE, STOCHASTIC, Verdict, judge_records, law_bound
from empirics.record import Record
from theory.claim import CLAIMS, LawBound, OutOfScopeError, Quantity
from theory.evidence import Radii
from theory.statistics import dkw_halfwidth, quantile_interval
from theory.verdict import Outcome

CERTIFIED, SAMPLED = "fawzi2018/thm1", "fawzi2018/thm1-sampled-modulus"
QUARTILE = 0.25
"""The quantile of the papers' tables: a quarter of all points is at most this robust."""
QUANTILE_ALPHA = 0.05
"""Each confidence interval of a quantile, by itself, misses with at most this probability."""


class NothingToDraw(Exception):
    """The records hold nothing that a figure or table could show; says what is missing."""


@dataclass(frozen=True)
class Pair:
    """One classifier on one generator: its radii, and all that is known of both."""

    generator: str
    classifier: str
    record: Record
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What figures call it: both labels, or the family's alone."""
        if "exact_law" in self.facts:
            return self.classifier.replace("_", " ")
        return f"{self.generator}, {self.classifier}"

    @property
    def quantities(self) -> list[str]:
        """Names of the radii that were measured, in their order in the record's claim."""
        known = ["r_latent[l2]", "r_in[l2]", "r_unc[l2]"]
        seen = [q for q, evidence in self.record.evidence.items() if isinstance(evidence, Radii)]
        return sorted(seen, key=lambda q: (known.index(q) if q in known else len(known), q))

    def radii(self, quantity: str) -> Radii:
        """Return the intervals of one radius."""
        seen = self.record.evidence[quantity]
        assert isinstance(seen, Radii)
        return seen

    def scale(self, quantity: str) -> float | None:
        """Return E||z|| for a latent radius, E||g(z)|| for one in the image; None if unknown."""
        latent = quantity.startswith("r_latent")
        value = self.facts.get("expected_latent_norm" if latent else "expected_image_norm")
        return None if value is None else float(value)

    @property
    def n_classes(self) -> int:
        """K, the number of classes."""
        masses = self.facts.get("class_counts", self.facts.get("class_masses", ()))
        return int(self.facts.get("n_classes", len(masses)))


def order_statistic(values: np.ndarray[Any, np.dtype[np.float64]], rank: int) -> float:
    """Return the value of this 1-based rank; -inf at rank 0 and +inf beyond the last."""
    if rank < 1:
        return float("-inf")
    return float("inf") if rank > values.size else float(np.sort(values)[rank - 1])


def quantile_limits(
    radii: Radii, q: float = QUARTILE, alpha: float = QUANTILE_ALPHA
) -> tuple[float, float]:
    """Return limits on the q-quantile of a radius that was seen only in intervals.

    The lower limit is an order statistic of the certified ends, the upper one of the attack's.

    Examples
    --------
    >>> quantile_limits(Radii(np.zeros(1000), np.linspace(0.001, 1, 1000)))
    (0.0, 0.278)
    """
    j, k = quantile_interval(radii.n, q, alpha)
    lower = max(order_statistic(radii.lower, j), 0.0)
    return lower, round(order_statistic(radii.upper, k), 12)


def seen_quantile(radii: Radii, q: float = QUARTILE) -> float:
    """Return the q-quantile of the distances that the attack found: an upper estimate."""
    return order_statistic(radii.upper, max(math.ceil(q * radii.n), 1))


class View:
    """All records of one preset.

    Parameters
    ----------
    preset : str
    source : str
        "measured here" or "frozen".
    records : sequence of Record
    alpha : float
        Level of the table of laws.
    """

    def __init__(self, preset: str, source: str, records: Sequence[Record], alpha: float) -> None:
        self.preset, self.source, self.alpha = preset, source, alpha
        self.records = list(records)

    def measured(self, measure: str) -> list[Record]:
        """Return the records of one measure, in the order of the plan."""
        return [
            record
            for record in self.records
            if record.request.action == "measure" and record.request.plugin == measure
        ]

    def trained(self, role: str) -> list[Record]:
        """Return the records of the trainings of one role, in the order of the plan.

        Roles are "teacher", "generator", "classifier" and "image_classifier". Committed records may
        have none.
        """
        return [
            record
            for record in self.records
            if record.request.action == "train" and record.request.plugin == role
        ]

    def facts(self, record: Record) -> dict[str, Any]:
        """Return all that is known of the subject of a record."""
        return facts_about(record.request.subject, self.records)

    @cached_property
    def all_pairs(self) -> list[Pair]:
        """Every pair whose radii were measured."""
        pairs = []
        for record in self.measured("radii"):
            subject = record.request.subject
            labels = subject["generator"]["label"], subject["classifier"]["label"]
            pairs.append(Pair(*labels, record, self.facts(record)))
        return pairs

    @property
    def pairs(self) -> list[Pair]:
        """The pairs with a trained generator and classifier."""
        return [pair for pair in self.all_pairs if "exact_law" not in pair.facts]

    @property
    def families(self) -> list[Pair]:
        """The pairs whose law is known in closed form."""
        return [pair for pair in self.all_pairs if "exact_law" in pair.facts]

    def by_generator(self) -> dict[str, list[Pair]]:
        """Return the trained pairs of each generator; raises NothingToDraw if there are none."""
        if not self.pairs:
            raise NothingToDraw("no radii of a trained generator and classifier")
        groups: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            groups.setdefault(pair.generator, []).append(pair)
        return groups

    @cached_property
    def verdicts(self) -> Sequence[Verdict]:
        """Every claim judged on every record that it speaks of."""
        return judge_records(self.records, self.alpha)

    def verdict(self, claim: str, pair: Pair, quantity: str) -> Verdict | None:
        """Return the verdict on one radius of one pair, or None where the claim is silent."""
        for verdict in self.verdicts:
            if (verdict.claim, verdict.quantity) == (claim, quantity) and (
                pair.record.id in verdict.records
            ):
                return verdict
        return None

    @cached_property
    def n_laws(self) -> int:
        """The number of laws and means of proved claims, among which alpha is shared."""
        laws = [
            v
            for v in self.verdicts
            if v.rigorous
            and CLAIMS[v.claim].kind in STOCHASTIC
            and v.outcome != Outcome.OUT_OF_SCOPE
        ]
        return max(len(laws), 1)

    @property
    def level(self) -> float:
        """The level of one law where all bands hold together (the first step of Holm)."""
        return self.alpha / self.n_laws

    def band(self, n: int) -> float:
        """Return the half-width of a one-sided band of n points at that level."""
        return dkw_halfwidth(n, self.level * (1 - FACT_SHARE))

    def bound(self, claim: str, pair: Pair, quantity: str) -> LawBound | None:
        """Return a claim's bound on one law, or None where it is out of scope."""
        try:
            return law_bound(CLAIMS[claim], pair.facts, Quantity.parse(quantity), self.level)
        except OutOfScopeError:
            return None
