"""Records of joint radii on generated images that nothing was attacked for."""

from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import CLASSIFIERS, PROVENANCE, request
from theory.evidence import Radii

POINTS, LABELLED = 200, 4000


def _part(label: str) -> dict[str, Any]:
    return {"label": label, "name": label, "settings": {}}


def joint_radii_record(
    generator: str,
    labels: tuple[str, str],
    *,
    n: int = POINTS,
    different: int = 300,
    lost: int = 0,
    scale: float = 0.3,
    seed: int = 0,
) -> Record:
    """Return the joint radius of n points, and `different` of 4,000 labels that differ."""
    rng = np.random.default_rng([seed, *(len(label) for label in labels)])
    alone = rng.exponential(scale, (2, n)) + 1e-3
    joint = alone.max(axis=0) * rng.uniform(1.0, 1.3, n)
    joint[:lost] = np.inf
    lower = 0.1 * alone
    facts = {
        "n": n,
        "not_found": lost,
        "n_classes": 10,
        "class_counts": rng.multinomial(LABELLED, rng.dirichlet(np.full(10, 60.0))).tolist(),
        "disagreement_counts": {"different": different, "n": LABELLED},
    }
    subject = {
        **request("joint_radii", generator).subject,
        "teacher": _part("lenet"),
        "classifiers": [_part(label) for label in labels],
    }
    arrays = {
        "labels": rng.integers(0, 10, (2, n)),
        "r_in.lower": lower,
        "r_in.upper": alone,
    }
    asked = Request("measure", "joint_radii", {}, subject, seed)
    evidence = {"r_joint[l2]": Radii(lower.max(axis=0), joint)}
    return Record(asked, evidence, facts, arrays, PROVENANCE)


def joint_radii_records() -> list[Record]:
    """Return one pair of classifiers on each of two generators."""
    return [
        joint_radii_record(generator, CLASSIFIERS, different=different, lost=lost)
        for generator, different, lost in (("ppca", 300, 0), ("vae", 900, 3))
    ]
