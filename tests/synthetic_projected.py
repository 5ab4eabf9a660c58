"""Records of projected classifiers that nothing was searched for: shaped like real ones."""

from typing import Any

import numpy as np

from empirics.record import Record
from tests.synthetic import CLASSIFIERS, PROVENANCE, request
from theory.evidence import Radii

POINTS = 40


def _quartiles(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float] | None:
    if not values.size:
        return None
    found = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return dict(zip(("q25", "q50", "q75"), found, strict=True))


def projected_record(
    generator: str,
    classifier: str,
    *,
    affine: bool = False,
    slack: float | None = 0.0,
    n: int = POINTS,
    lost: int = 0,
    scale: float = 0.3,
    seed: int = 0,
) -> Record:
    """Return both radii of n points; within the range no other label was found at `lost` of them.

    Elsewhere a third of the points has a nearer one that is certain, and all have one that the
    descents saw, the first of them below half of the certified r_in.
    """
    rng = np.random.default_rng([seed, len(generator), len(classifier)])
    within = rng.exponential(scale, n) + 1e-3
    within[:lost] = np.inf
    certified = np.where(np.isfinite(within), (0.9 if affine else 0.4) * within, 0.05)
    nearer = rng.random(n) < 1 / 3
    proved = np.where(nearer & (not affine), within * rng.uniform(0.7, 1.0, n), within)
    seen = within * (1.0 if affine else rng.uniform(0.6, 1.0, n))
    if not affine:
        seen[lost] = 0.15 * within[lost]
    seen = np.minimum(seen, proved)
    finite = np.isfinite(within)
    gap, cold = rng.exponential(0.01, n), rng.exponential(0.1, n)
    facts: dict[str, Any] = {
        "projected": {
            "n": n,
            "affine": affine,
            "hull_dimension": 8 if affine else None,
            "not_found": lost,
            "nearer_seen": int((seen < within).sum()),
            "nearer_proved": int((proved < within).sum()),
            "below_half_seen": int((seen < certified / 2).sum()),
            "seen_over_r_in": _quartiles(seen[finite] / within[finite]),
            "gap": _quartiles(gap),
            "cold_distance": _quartiles(cold),
        }
    }
    if slack is not None:
        facts["projection_slack"] = slack
    evidence = {
        "r_in[l2]": Radii(certified, within),
        "r_unc_projected[l2]": Radii(certified if affine else 0 * certified, proved),
    }
    arrays = {"projected.seen": seen, "projected.gap": gap, "projected.cold": cold}
    return Record(request("projected", generator, classifier), evidence, facts, arrays, PROVENANCE)


def projected_records() -> list[Record]:
    """Return an affine generator and another one with two classifiers each."""
    return [
        projected_record(generator, classifier, affine=generator == "ppca", lost=lost)
        for generator, lost in (("ppca", 0), ("vae", 2))
        for classifier in CLASSIFIERS
    ]
