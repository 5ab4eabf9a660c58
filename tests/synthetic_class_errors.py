"""Records of errors on images of known class that no network made."""

from typing import Any

import numpy as np

from empirics.record import Record
from tests.synthetic import CLASSIFIERS, PROVENANCE, request
from theory.evidence import Radii

POINTS, CLASSES, COUNTED = 120, 10, 500


def class_errors_record(
    classifier: str, *, generator: str = "conditional_vae", error: float = 0.06, seed: int = 0
) -> Record:
    """Return distances of 120 images, some of them errors, and counted errors of ten classes."""
    rng = np.random.default_rng([seed, len(classifier)])
    wrong = rng.binomial(COUNTED, error * np.linspace(0.2, 1.8, CLASSES)).tolist()
    upper = np.where(rng.random(POINTS) < error, 0.0, rng.exponential(0.3, POINTS))
    facts: dict[str, Any] = {
        "latent_law": "gaussian",
        "class_weights": [1 / CLASSES] * CLASSES,
        "conditional_lipschitz[l2->l2]": {"constants": [0.8] * CLASSES},
        "class_error_counts": {"wrong": wrong, "n": [COUNTED] * CLASSES},
        "error_counts": {"wrong": sum(wrong), "n": COUNTED * CLASSES},
        "class_errors": {"n": POINTS, "not_found": 0},
    }
    asked = request("class_errors", generator, classifier)
    labels = {"label": rng.integers(0, CLASSES, POINTS)}
    return Record(
        asked, {"error_distance[l2]": Radii(0.5 * upper, upper)}, facts, labels, PROVENANCE
    )


def class_errors_records() -> list[Record]:
    """Return two classifiers of one conditional generator, and a generator without classes."""
    without = Record(request("class_errors", "vae", "mlp"), provenance=PROVENANCE)
    return [class_errors_record(classifier) for classifier in CLASSIFIERS] + [without]
