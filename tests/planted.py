"""Claims and records for tests of judging: registered for one test, and of known truth."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from empirics.record import Evidence, Record, Request
from theory.arrays import FloatArray
from theory.claim import (
    CLAIMS,
    Claim,
    Facts,
    Kind,
    LawBound,
    Quantity,
    Ref,
    Relation,
    Status,
)
from theory.evidence import Radii
from theory.latent import R_LATENT

HALF_SPACE = {"latent_law": "gaussian", "class_masses": [0.5, 0.5], "n_classes": 2}
"""What is known of a half-space through the origin, whose radius is |z_1|: Theorem 1 is exact."""


def plant(
    kind: Kind,
    relation: Relation,
    evaluate: Callable[..., Any],
    quantity: str,
    status: Status = Status.CONJECTURED,
    statistic: str = "quartile",
) -> Claim:
    """Register a claim "planted/..."; the test takes it out by the fixture `shelf`."""
    claim = Claim(
        f"planted/{kind}-{len(CLAIMS)}",
        kind,
        tuple(Quantity.parse(part) for part in quantity.split(" <= ")),
        relation,
        status,
        Ref("planted", "a test", "nowhere"),
        "For $x$",
        (),
        evaluate,
        statistic=statistic,
    )
    CLAIMS.register(claim.id, claim)
    return claim


def half_space_law(times: float = 1.0) -> Callable[..., LawBound]:
    """Return a law claim P(r <= eta) >= P(times |z_1| <= eta): true, and exact, for times >= 1."""

    def law(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
        """Too many points are that near."""

        def cdf(eta: FloatArray) -> FloatArray:
            return np.asarray(special.erf(eta / times / np.sqrt(2)))

        return LawBound(
            cdf, cdf, lambda q: float(times * np.sqrt(2) * special.erfinv(q)) if q < 1 else np.inf
        )

    return law


def record(
    evidence: Mapping[str, Evidence],
    facts: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    n: int = 0,
    effort: str = "",
    **parts: Any,  # noqa: ANN401
) -> Record:
    """Return a record of a made-up measure; parts are those of its subject, by role."""
    subject = {
        role: {"name": value, "label": value, "settings": {}} if isinstance(value, str) else value
        for role, value in parts.items()
    } or {"classifier": {"name": "half", "label": "half", "settings": {}}}
    settings: dict[str, Any] = {"n": n} | ({"effort": effort} if effort else {})
    return Record(Request("measure", "made", settings, subject, seed), evidence, facts or {})


def half_space_radii(n: int, seed: int, longer: float = 1.0) -> Radii:
    """Return n exact radii of the half-space, or those of one that is so much further away."""
    exact = longer * np.abs(np.random.default_rng(seed).normal(size=n))
    return Radii(exact, exact)


LATENT = str(R_LATENT)
