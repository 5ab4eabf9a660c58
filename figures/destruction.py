"""Destruction rates of adversarial images as figures see them, and comparisons of them in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from empirics.record import Record
from figures.hamming import Rate, data_and_label
from figures.registry import Value
from theory.statistics import holm

CASES = ("average", "prefiltered")
LEVEL = 0.05
"""Each family of comparisons errs with at most this probability (Holm)."""
TONES = ("brightness", "contrast")
LOSSY = ("gaussian_blur", "gaussian_noise", "jpeg")
METHODS = ("fast", "basic", "least-likely")

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Network:
    """One classifier and its counts; attacks and transformations go by their places."""

    record: Record

    @property
    def name(self) -> str:
        """Its label and data set."""
        data, label = data_and_label(self.record)
        return f"{label} ({data})"

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the measure says."""
        facts: Mapping[str, Any] = self.record.facts["destruction"]
        return facts

    @property
    def attacks(self) -> list[tuple[str, float]]:
        """Method and budget of each attack."""
        return [(str(a["method"]), float(a["eps"])) for a in self.facts["attacks"]]

    @property
    def transformations(self) -> list[tuple[str, float]]:
        """Name and strength of each transformation."""
        return [(str(t["name"]), float(t["strength"])) for t in self.facts["transformations"]]

    @property
    def tops(self) -> list[int]:
        """How many first labels count as right."""
        return [int(k) for k in self.facts["tops"]]

    def words(self, change: int) -> str:
        """What a transformation is called, with its strength."""
        told = self.facts["transformations"][change]
        return f"{told['words']} {told['strength']:g}"

    def rate(self, attack: int, change: int, top: int = 0, case: str = "average") -> Rate | None:
        """Return the destroyed of the images that were fooled, or None if none was."""
        counts = self.facts[case]
        trials = int(counts["trials"][attack][top])
        return Rate(int(counts["destroyed"][attack][change][top]), trials) if trials else None

    def fooled(self, attack: int) -> Mask:
        """Return which images are right at first and not after an attack."""
        arrays = self.record.arrays
        k = self.tops[0]
        return np.asarray((arrays["clean.rank"] < k) & (arrays["adversarial.rank"][attack] >= k))

    def restored(self, attack: int, change: int) -> Mask:
        """Return which images are right after an attack and a transformation."""
        return np.asarray(self.record.arrays["restored.rank"][attack, change] < self.tops[0])


@dataclass(frozen=True)
class Comparison:
    """Images that one of two cells destroys and the other does not, of those fooled in both."""

    fewer: int
    more: int

    @property
    def p_value(self) -> float:
        """Exact two-sided p-value of equal rates (McNemar's test)."""
        changed = self.fewer + self.more
        return float(stats.binomtest(self.more, changed).pvalue) if changed else 1.0


@dataclass(frozen=True)
class Tally:
    """How comparisons of one family came out: as the paper says, the other way round, open."""

    confirmed: int
    reversed: int
    open: int

    @classmethod
    def of(cls, found: Sequence[Comparison]) -> Tally:
        """Judge a family together; `more` is what the paper says."""
        if not found:
            return cls(0, 0, 0)
        sure = holm([c.p_value for c in found]) <= LEVEL
        with_paper = sum(bool(s) and c.more > c.fewer for s, c in zip(sure, found, strict=True))
        against = sum(bool(s) and c.more < c.fewer for s, c in zip(sure, found, strict=True))
        return cls(with_paper, against, len(found) - with_paper - against)

    def numbers(self, name: str) -> dict[str, Value]:
        """Return the counts by key."""
        ends = {"confirmed": self.confirmed, "reversed": self.reversed, "open": self.open}
        total = self.confirmed + self.reversed + self.open
        return {f"{name}.{key}": value for key, value in {"all": total, **ends}.items()}


def compared(network: Network, less: tuple[int, int], more: tuple[int, int]) -> Comparison:
    """Compare two cells, (attack, transformation) each, on the images fooled in both."""
    both = network.fooled(less[0]) & network.fooled(more[0])
    first, second = network.restored(*less) & both, network.restored(*more) & both
    return Comparison(int((first & ~second).sum()), int((second & ~first).sum()))


def by_method(networks: Iterable[Network], less: str, more: str) -> list[Comparison]:
    """Compare two methods at each budget, under each transformation."""
    found = []
    for network in networks:
        places = {attack: i for i, attack in enumerate(network.attacks)}
        for method, eps in network.attacks:
            if method == less and (more, eps) in places:
                a, b = places[less, eps], places[more, eps]
                changes = range(len(network.transformations))
                found += [compared(network, (a, t), (b, t)) for t in changes]
    return found


def by_transformation(networks: Iterable[Network]) -> list[Comparison]:
    """Compare each change of tone with each blur, noise and coding, for each attack."""
    found = []
    for network in networks:
        names = [name for name, _ in network.transformations]
        mild = [i for i, name in enumerate(names) if name in TONES]
        strong = [i for i, name in enumerate(names) if name in LOSSY]
        for attack, a, b in product(range(len(network.attacks)), mild, strong):
            found.append(compared(network, (attack, a), (attack, b)))
    return found


def by_budget(networks: Iterable[Network]) -> list[Comparison]:
    """Compare each budget with the next smaller one of its method."""
    found = []
    for network in networks:
        changes = range(len(network.transformations))
        for method in METHODS:
            budgets = sorted((e, i) for i, (m, e) in enumerate(network.attacks) if m == method)
            for (_, small), (_, large) in pairwise(budgets):
                found += [compared(network, (large, t), (small, t)) for t in changes]
    return found


def by_top(networks: Iterable[Network]) -> Tally:
    """Count where the limits of the first and the last top are apart, without any pairing."""
    confirmed = against = total = 0
    for network in networks:
        last = len(network.tops) - 1
        cells = product(range(len(network.attacks)), range(len(network.transformations)))
        for attack, change in cells:
            one, more = network.rate(attack, change), network.rate(attack, change, last)
            if last and one is not None and more is not None:
                total += 1
                confirmed += more.limits[0] > one.limits[1]
                against += more.limits[1] < one.limits[0]
    return Tally(confirmed, against, total - confirmed - against)
