"""The radii of projected classifiers, and what the descents found, as records hold them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from figures.registry import Row, Value
from figures.view import Pair
from theory.arrays import FloatArray
from theory.claims.fawzi2018.projection import projected_unconstrained_lower_bound
from theory.evidence import Radii

WITHIN, PROJECTED = "r_in[l2]", "r_unc_projected[l2]"
_SHARES = {"q25": 0.25, "q50": 0.5, "q75": 0.75}


@dataclass(frozen=True)
class Projected:
    """Both radii of one classifier at the same points, and what the descents found there."""

    pair: Pair

    @property
    def facts(self) -> dict[str, Any]:
        """What the descents found, in numbers."""
        found: dict[str, Any] = self.pair.record.facts["projected"]
        return found

    @property
    def slack(self) -> float | None:
        """Gap of the projection, if one is proved."""
        value = self.pair.record.facts.get("projection_slack")
        return None if value is None else float(value)

    @property
    def within(self) -> Radii:
        """Distances to another label within the range."""
        return self.pair.radii(WITHIN)

    @property
    def projected(self) -> Radii:
        """Distances to another label of the projected classifier, anywhere."""
        return self.pair.radii(PROJECTED)

    @cached_property
    def seen(self) -> FloatArray:
        """Distances that the descents alone give: they prove nothing."""
        return np.asarray(self.pair.record.arrays["projected.seen"], dtype=np.float64)

    @cached_property
    def found(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Where another label was found within the range: all ratios are relative to it."""
        return np.isfinite(self.within.upper) & (self.within.upper > 0)

    def ratios(self, distances: FloatArray) -> FloatArray:
        """Return distances over the attacked r_in, at the points where there is one."""
        found: FloatArray = distances[self.found] / self.within.upper[self.found]
        return found


def point_rows(cell: Projected) -> list[Row]:
    """Return a row a point, with both ends of both radii."""
    within, projected = cell.within, cell.projected
    bound = projected_unconstrained_lower_bound(within.lower, cell.slack or 0.0)
    return [
        {
            "generator": cell.pair.generator,
            "classifier": cell.pair.classifier,
            "point": i,
            "r_in_lower": float(within.lower[i]),
            "r_in_upper": float(within.upper[i]),
            "r_unc_projected_lower": float(projected.lower[i]),
            "r_unc_projected_upper": float(projected.upper[i]),
            "seen": float(cell.seen[i]),
            "bound_certified": float(bound[i]),
            "slack": cell.slack,
        }
        for i in range(within.n)
    ]


def numbers_of(cell: Projected) -> dict[str, Value]:
    """Return the numbers of one classifier."""
    facts = cell.facts
    found: dict[str, Value] = {
        "n": int(facts["n"]),
        "not_found": int(facts["not_found"]),
        "affine": "yes" if facts["affine"] else "no",
        **{key: int(facts[key]) for key in ("nearer_seen", "nearer_proved", "below_half_seen")},
    }
    if cell.slack is not None:
        found["slack"] = cell.slack
    if facts["hull_dimension"] is not None:
        found["hull_dimension"] = int(facts["hull_dimension"])
    if cell.found.any():
        for name, distances in (("proved", cell.projected.upper), ("seen", cell.seen)):
            ratios = cell.ratios(distances)
            found[f"{name}_over_r_in.least"] = float(ratios.min())
            for key, share in _SHARES.items():
                found[f"{name}_over_r_in.{key}"] = float(np.quantile(ratios, share))
    for key in ("gap", "cold_distance"):
        if facts[key] is not None:
            found[f"{key}.q50"] = float(facts[key]["q50"])
    return found
