"""Records of transfer matrices that no network was trained for: shaped like real ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import PROVENANCE

PAPER = ("FC10(1e-4)", "FC10(1e-2)", "FC10(1)", "FC100-100-10", "FC200-200-10", "AE400-10")
HALVES = ("FC100-100-10", "FC123-456-10", "FC100-100-10'")
LABELS = ("linear", "mlp-100-100", "conv", "lenet")


def transfer_record(
    labels: Sequence[str] = LABELS,
    *,
    n: int = 100,
    lost: int = 0,
    noise: Sequence[float] = (0.1, 0.3),
    magnified: Sequence[float] = (0.1,),
    seed: int = 0,
) -> Record:
    """Return a record; against the last classifier no point was found for `lost` images."""
    rng = np.random.default_rng(seed)
    m = len(labels)

    def line(own: int | None, mean: float, distortion: float) -> dict[str, Any]:
        count = n - lost if own == m - 1 else n
        fooled = rng.binomial(count, np.clip(rng.exponential(mean, m), 0, 1)).tolist()
        if own is not None:
            fooled[own] = count
        return {"n": count, "distortion": distortion if count else None, "fooled": fooled}

    facts: dict[str, Any] = {
        "n": n,
        "n_drawn": n + 7,
        "classifiers": list(labels),
        "test_errors": {label: float(rng.uniform(0.005, 0.08)) for label in labels},
        "crafted_on": [
            {"label": label, **line(i, 0.2, float(rng.uniform(0.04, 0.14)))}
            for i, label in enumerate(labels)
        ],
        "noise": [{"deviation": d, **line(None, 0.05, 0.8 * d)} for d in noise],
        "magnified": [
            {"label": label, "to": size, **line(i, 0.6, 0.9 * size)}
            for size in magnified
            for i, label in enumerate(labels)
        ],
    }
    settings = {"images": n, "by": "lbfgs", "towards": "any"}
    parts = [{"label": label, "name": "mlp", "settings": {}} for label in labels]
    subject = {"data": {"name": "mnist"}, "image_classifiers": parts}
    asked = Request("measure", "transfer_matrix", settings, subject, seed)
    return Record(asked, facts=facts, provenance=PROVENANCE)
