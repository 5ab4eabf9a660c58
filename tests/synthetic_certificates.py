"""Records of certificates that no network was attacked for: shaped like real ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from empirics.measures.certificates import Certificates, summary
from empirics.plugins import describe
from empirics.record import Record, Request
from tests.synthetic import PROVENANCE
from theory.evidence import Radii

COVERED: Mapping[str, float] = {
    "product": 0.25,
    "semidefinite": 0.7,
    "local": 0.6,
    "interval": 0.1,
    "linear": 0.8,
}
"""About how much of the attack's radius each method certifies."""
BOXES = ("pixels", "none")


@dataclass(frozen=True)
class Certified:
    """One network: which methods it lacks, how many images it has, whether it is timed."""

    label: str
    data: str = "digits"
    images: int = 40
    norms: tuple[str, ...] = ("l2", "linf")
    boxes: tuple[str, ...] = BOXES
    lacks: tuple[str, ...] = ()
    not_found: int = 0
    timed: bool = True
    scale: Mapping[str, float] = field(default_factory=lambda: {"l2": 1.5, "linf": 0.2})

    @property
    def asked(self) -> Request:
        part = {"label": self.label, "name": "mlp", "settings": {}}
        subject = {"data": {"name": self.data}, "image_classifier": part}
        settings = Certificates(images=self.images, norms=self.norms, boxes=self.boxes)
        return Request("measure", "certificates", describe(settings), subject, 0)


NETS = (
    Certified("mlp-16"),
    Certified("mlp-100", "mnist", lacks=("exact",), not_found=2),
    Certified("conv", "mnist", lacks=("exact", "semidefinite"), timed=False),
)


def certificates_record(net: Certified, rng: np.random.Generator) -> Record:
    """Return a record in which the best is the largest, and the exact distance is above all."""
    n = net.images
    facts: dict[str, Any] = {"n": n, "test_error": 0.02, "n_units": 16}
    arrays: dict[str, Any] = {"index": np.arange(n), "label": rng.integers(0, 10, n)}
    evidence: dict[str, Any] = {}
    for norm in net.norms:
        facts[f"certificates[{norm}]"] = []
        for box in net.boxes:
            attacked = net.scale[norm] * rng.lognormal(0, 0.3, n)
            true = attacked * rng.choice([1.0, 0.97], n)
            radii: dict[str, Any] = {"attacked": attacked.copy()}
            for method, share in COVERED.items():
                if method not in net.lacks:
                    radii[method] = true * np.clip(share * rng.lognormal(0, 0.2, n), 0, 1)
            radii["best"] = np.max([v for k, v in radii.items() if k != "attacked"], axis=0)
            if "exact" not in net.lacks:
                proved = rng.random(n) < 0.8
                radii["exact"] = np.where(proved, true, np.maximum(0.95 * true, radii["best"]))
                radii |= {"exact.upper": true, "exact.proved": proved}
            radii["attacked"][: net.not_found] = np.inf
            named = [name for name in radii if not name.startswith("exact.")]
            took = {m: float(rng.exponential(3.0)) if net.timed else None for m in named}
            facts[f"certificates[{norm}]"] += [{"box": box, **x} for x in summary(radii, took)]
            arrays |= {f"{norm}.{box}.{name}": values for name, values in radii.items()}
            if box == "pixels":
                evidence[f"distance[{norm}]"] = Radii(radii["best"], radii["attacked"])
    seconds = 12.0 if net.timed else None
    smoothed = {"sigma": 0.25, "samples": 1000, "alpha": 0.001, "abstained": 1, "other_label": 0}
    facts["smoothing"] = [{**smoothed, "q25": 0.2, "median": 0.4, "q75": 0.5, "seconds": seconds}]
    return Record(net.asked, facts=facts, evidence=evidence, arrays=arrays, provenance=PROVENANCE)


def certificates_records(seed: int = 0) -> list[Record]:
    """Return three networks of two data sets; one searched exactly, one without times."""
    rng = np.random.default_rng(seed)
    return [certificates_record(net, rng) for net in NETS]
