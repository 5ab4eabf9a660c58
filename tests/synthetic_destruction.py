"""Records of destruction rates that nothing was attacked for: ranks drawn at random."""

from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import PROVENANCE

METHODS = {"fast": 0.2, "basic": 0.4, "least-likely": 0.6}
"""Parts that come back under the middle transformation."""
TRANSFORMATIONS = {
    ("brightness", 0.1): ("brightness", 0.2),
    ("gaussian_blur", 1.0): ("Gaussian blur", 1.0),
    ("jpeg", 25.0): ("JPEG", 1.1),
    ("print_photo", 1.0): ("simulated photo", 1.3),
}
"""Words, and a factor of these parts."""
EPS = (0.1, 0.2)
TOPS = (1, 3)
N = 400


def destruction_record(
    label: str, rng: np.random.Generator, data: str = "mnist", n: int = N
) -> Record:
    """Return a record whose parts are ordered as the paper's, with counts taken from its ranks."""
    attacks = [(method, eps) for method in METHODS for eps in EPS]
    clean = np.where(rng.random(n) < 0.95, 0, 4).astype(np.int16)
    sure = rng.uniform(0.5, 1, n).astype(np.float32)
    adversarial = np.where(rng.random((len(attacks), n)) < 0.1, 0, rng.integers(1, 6, n))
    confidence = rng.uniform(0.6, 1, (len(attacks), n)).astype(np.float32)
    moved = np.where(rng.random((len(TRANSFORMATIONS), n)) < 0.9, 0, 3).astype(np.int16)
    restored = np.empty((len(attacks), len(TRANSFORMATIONS), n), dtype=np.int16)
    for a, (method, eps) in enumerate(attacks):
        for t, (_, factor) in enumerate(TRANSFORMATIONS.values()):
            back = rng.random(n) < METHODS[method] * factor * (1.2 - eps)
            restored[a, t] = np.where(back, 0, adversarial[a])
    facts: dict[str, Any] = {
        "n": n,
        "n_classes": 10,
        "tops": list(TOPS),
        "confidence": 0.8,
        "attacks": [{"method": m, "eps": e, "steps": 1 if m == "fast" else 9} for m, e in attacks],
        "transformations": [
            {"name": name, "words": words, "parameter": "a strength", "strength": strength}
            for (name, strength), (words, _) in TRANSFORMATIONS.items()
        ],
        "clean_right": [int((clean < k).sum()) for k in TOPS],
        "transformed_right": [[int((rank < k).sum()) for k in TOPS] for rank in moved],
    }
    for case in ("average", "prefiltered"):
        masks = []
        for a in range(len(attacks)):
            sure_both = (clean == 0) & (sure >= 0.8) & (confidence[a] >= 0.8)
            kept = sure_both if case == "prefiltered" else np.ones(n, dtype=bool)
            masks.append([kept & (clean < k) & (adversarial[a] >= k) for k in TOPS])
        facts[case] = {
            "trials": [[int(mask.sum()) for mask in pair] for pair in masks],
            "destroyed": [
                [
                    [int((mask & (rank < k)).sum()) for mask, k in zip(pair, TOPS, strict=True)]
                    for rank in restored[a]
                ]
                for a, pair in enumerate(masks)
            ],
        }
    arrays: dict[str, Any] = {
        "clean.rank": clean,
        "clean.confidence": sure,
        "transformed.rank": moved,
        "adversarial.rank": adversarial.astype(np.int16),
        "adversarial.confidence": confidence,
        "restored.rank": restored,
    }
    part = {"label": label, "name": "mlp", "settings": {}}
    subject = {"data": {"name": data}, "image_classifier": part}
    asked = Request("measure", "destruction", {}, subject, 0)
    return Record(asked, facts={"destruction": facts}, arrays=arrays, provenance=PROVENANCE)


def destruction_records(seed: int = 0) -> list[Record]:
    """Return two networks."""
    rng = np.random.default_rng(seed)
    return [destruction_record("mlp-64", rng), destruction_record("conv", rng)]
