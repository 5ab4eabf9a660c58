"""Records of the hardness of pairs of classes, without a network: shaped like real ones."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from empirics.measures.hardness import Hardness, matrices
from empirics.plugins import describe
from empirics.record import Record, Request
from tests.synthetic import PROVENANCE
from theory.arrays import FloatArray
from theory.claims.shamir2019 import hamming_in
from theory.evidence import Radii

K, IMAGES = 10, 10


@dataclass(frozen=True)
class Attacked:
    """One network: how many pixels a pair needs, the classes it never gets right or reaches."""

    label: str
    data: str = "mnist"
    side: int = 28
    scale: float = 30.0
    increase: bool = True
    without_images: tuple[int, ...] = ()
    never: tuple[tuple[int, int], ...] = ()

    @property
    def asked(self) -> Request:
        part = {"label": self.label, "name": self.label, "settings": {}}
        subject = {"data": {"name": self.data}, "image_classifier": part}
        return Request(
            "measure", "hardness", describe(Hardness(increase=self.increase)), subject, 0
        )


NETS = (
    Attacked("lenet", never=((1, 0),)),
    Attacked("mlp-64", scale=18.0),
    Attacked("mlp", "digits", 8, 4.0, without_images=(4,)),
)


def hardness_record(net: Attacked, rng: np.random.Generator) -> Record:
    """Return a record whose hard pairs have large adversarial distances, but for noise."""
    labels = np.repeat([c for c in range(K) if c not in net.without_images], IMAGES)
    n, d = len(labels), net.side**2
    ease = rng.uniform(0.4, 1.8, (K, K))
    changes = 2 * np.ceil(ease[labels] * net.scale * rng.lognormal(0, 0.4, (n, K)) / 2)
    changes[changes > 2 * int(d * 0.383 / 2)] = np.inf
    for source, target in net.never:
        changes[labels == source, target] = np.inf
    distance = np.clip(0.6 + 0.2 * ease[labels] + rng.normal(0, 0.03, (n, K)), 0, 1)
    for values in (changes, distance):
        values[np.arange(n), labels] = np.nan
    pairs: FloatArray = np.clip(distance + rng.normal(-0.05, 0.05, (n, K)), 0, 1)
    facts, arrays = matrices(Hardness(increase=net.increase), changes, (distance, pairs), labels, d)
    facts |= {"test_error": 0.02}
    arrays |= {"index": np.arange(n), "label": labels}
    upper = changes[~np.isnan(changes)]
    seen: dict[str, Any] = {f"r_targeted[{hamming_in(0, 1)}]": Radii(np.ones_like(upper), upper)}
    return Record(net.asked, facts=facts, arrays=arrays, evidence=seen, provenance=PROVENANCE)


def hardness_records(seed: int = 0) -> list[Record]:
    """Return two networks on MNIST, and one on the digits that knows no image of a class."""
    rng = np.random.default_rng(seed)
    return [hardness_record(net, rng) for net in NETS]


def decreasing(net: Attacked) -> Attacked:
    """Return the same network under the attack that darkens pixels."""
    return replace(net, increase=False)
