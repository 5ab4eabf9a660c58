"""Records of real images' distances and of generators' distances from them, all made up."""

from typing import Any

import numpy as np

from empirics.record import Record
from tests.synthetic import CLASSIFIERS, PROVENANCE, request
from theory.evidence import Radii

POINTS = 120


def data_radii_record(
    generator: str,
    classifier: str,
    *,
    n: int = POINTS,
    lost: int = 0,
    certified: float = 0.5,
    scale: float = 0.4,
    seed: int = 0,
) -> Record:
    """Return distances of n images, of which no attack moved `lost`."""
    rng = np.random.default_rng([seed, len(generator), len(classifier)])
    upper = rng.gamma(3.0, scale / 3, n) + 1e-3
    lower = certified * upper
    upper[:lost] = np.inf
    facts = {
        "data_radii": {
            "n": n,
            "n_test": 360,
            "test_error": 0.12,
            "traced": certified > 0,
            "not_found": lost,
        }
    }
    arrays = {"index": np.arange(n), "label": rng.integers(0, 10, n)}
    evidence = {"r_unc_data[l2]": Radii(lower, upper)}
    asked = request("data_radii", generator, classifier)
    return Record(asked, evidence, facts, arrays, PROVENANCE)


def wasserstein_record(generator: str, distance: float = 2.0, limit: bool = True) -> Record:
    """Return what was measured of a generator's distance from the data."""
    seen: dict[str, Any] = {
        "n": 300,
        "batches": 2,
        "of_samples": [distance, 1.01 * distance],
        "of_samples_mean": 1.005 * distance,
        "real_and_real": 1.4,
        "generated_and_generated": 0.9,
        "less_baselines": 1.005 * distance - 1.15,
        "sliced_mean": 0.1,
        "sliced_max": 0.5,
        "diameter": 8.0,
        "generated_bounded": limit,
        "lipschitz": None,
        "variance_proxy": 0.05 if limit else None,
        "level": 1e-3,
    }
    facts = {"wasserstein": seen, **({"wasserstein_1": distance + 0.9} if limit else {})}
    return Record(request("wasserstein", generator), facts=facts, provenance=PROVENANCE)


def data_radii_records() -> list[Record]:
    """Return two generators, each at a distance from the data, with two classifiers each."""
    found = []
    for generator, distance in (("ppca", 2.0), ("vae", 2.6)):
        found.append(wasserstein_record(generator, distance))
        for classifier in CLASSIFIERS:
            share = 0.6 if classifier == "linear" else 0.0
            found.append(data_radii_record(generator, classifier, certified=share))
    return found
