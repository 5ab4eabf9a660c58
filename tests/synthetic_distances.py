"""Records of distances of images to another label that no network was attacked for."""

from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import PROVENANCE
from theory.evidence import Radii

NAMES = ("lenet", "lenet-robust", "conv")


def _part(label: str) -> dict[str, Any]:
    return {"label": label, "name": label.split("-")[0], "settings": {}}


def _ends(rng: np.random.Generator, scale: float, n: int) -> Radii:
    upper = rng.gamma(4.0, scale / 4, n)
    return Radii(upper * rng.uniform(0.2, 1.0, n) * (rng.random(n) > 0.1), upper)


def image_radii_record(label: str, data: str = "mnist", n: int = 60, seed: int = 0) -> Record:
    """Return distances of n images, one of which no attack moved."""
    rng = np.random.default_rng([seed, len(label)])
    subject = {"data": {"name": data}, "image_classifier": _part(label)}
    evidence = {}
    for norm, scale in (("l2", 1.5), ("linf", 0.12)):
        radii = _ends(rng, scale, n)
        upper = np.array(radii.upper)
        upper[0] = np.inf
        evidence[f"distance[{norm}]"] = Radii(radii.lower, upper)
    asked = Request("measure", "image_radii", {}, subject, seed)
    return Record(asked, facts={"n": n, "n_drawn": n + 3}, evidence=evidence, provenance=PROVENANCE)


def joint_record(n: int = 30, seed: int = 0) -> Record:
    """Return the joint distances of three classifiers, of each two, and of each alone."""
    rng = np.random.default_rng(seed)
    members = np.array(
        [[1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=bool
    )
    arrays: dict[str, Any] = {"members": members}
    for norm, scale in (("l2", 1.5), ("linf", 0.12)):
        alone = [_ends(rng, scale, n) for _ in NAMES]
        lower = [np.max([alone[i].lower for i in np.flatnonzero(row)], axis=0) for row in members]
        upper = [
            np.max([alone[i].upper for i in np.flatnonzero(row)], axis=0) * 1.2 ** (row.sum() - 1)
            for row in members
        ]
        arrays |= {f"{norm}.lower": np.stack(lower), f"{norm}.upper": np.stack(upper)}
    subject = {"data": {"name": "mnist"}, "image_classifiers": [_part(name) for name in NAMES]}
    asked = Request("measure", "joint_image_radii", {}, subject, seed)
    facts = {"n": n, "classifiers": list(NAMES)}
    return Record(asked, facts=facts, arrays=arrays, provenance=PROVENANCE)


def distance_records() -> list[Record]:
    """Return three networks of two data sets, and a joint record."""
    return [
        image_radii_record("lenet"),
        image_radii_record("lenet-robust"),
        image_radii_record("mlp-16", "digits", n=25),
        joint_record(),
    ]
