"""Records for conjectures on trends that nothing was trained for: pairs of like models."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import PROVENANCE
from theory.evidence import Radii

N, PIXELS = 200, 64
TEACHER = {"name": "conv", "label": "conv", "settings": {}}


def part(name: str, label: str, **settings: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"name": name, "label": label, "settings": {"steps": 300, **settings}}


GENERATORS = {
    label: part(name, label, **settings)
    for label, name, settings in (
        ("small", "vae", {"latent_dimension": 4}),
        ("large", "vae", {"latent_dimension": 16}),
        ("smooth", "lipschitz_vae", {"latent_dimension": 16, "constant": 1.5}),
    )
}
CLASSIFIERS = {
    label: part(name, label, adversarial_radius=0.0, **settings)
    for label, name, settings in (
        ("linear", "linear", {}),
        ("mlp", "mlp", {}),
        ("mlp-2", "mlp", {"classes": 2}),
        ("mlp-random", "mlp", {"shuffled": True}),
    )
} | {"mlp-adv": part("mlp", "mlp-adv", adversarial_radius=0.15)}


def _request(measure: str, **subject: Any) -> Request:  # noqa: ANN401
    return Request("measure", measure, {"n": N}, {"data": {"name": "digits"}, **subject}, 0)


def _factor(generator: Mapping[str, Any], classifier: Mapping[str, Any]) -> float:
    """Return how robust a pair is made: as the conjectures say."""
    settings = {**generator["settings"], **classifier["settings"]}
    return float(
        (2.0 if settings.get("classes") else 1.0)
        * (0.5 if generator["name"] == "lipschitz_vae" else 1.0)
        * (0.3 if settings.get("shuffled") else 1.0)
        * (0.5 if settings["latent_dimension"] == 16 else 1.0)
    )


def pair_records(generator: str, classifier: str, rng: np.random.Generator) -> list[Record]:
    g, f = GENERATORS[generator], CLASSIFIERS[classifier]
    subject = {"teacher": TEACHER, "generator": g, "classifier": f}
    k = f["settings"].get("classes", 10)
    found = _factor(g, f) * rng.exponential(0.25, N)
    ratio = np.full(N, 0.9 if f["settings"]["adversarial_radius"] else 0.6) * rng.uniform(
        0.98, 1.0, N
    )
    evidence = {
        "r_latent[l2]": Radii(0.5 * found, found),
        "r_in[l2]": Radii(0.5 * found, found),
        "r_unc[l2]": Radii(0.5 * ratio * found, ratio * found),
        "radius_ratio[l2]": Radii(0.5 * ratio, np.minimum(2 * ratio, 1)),
        "found_radius_ratio[l2]": Radii(ratio, ratio),
    }
    evidence |= {
        f"{name}_relative[l2]": Radii(evidence[f"{name}[l2]"].lower, evidence[f"{name}[l2]"].upper)
        for name in ("r_latent", "r_in", "r_unc")
    }
    wrong = round(360 * (1 - 1 / k)) if f["settings"].get("shuffled") else 20
    facts = {"n": N, "errors": {"wrong": wrong, "n": 360, "n_classes": k}}
    counts = {"n_classes": k, "class_counts": [1000] * k}
    share = rng.uniform(0.5, 0.9, N)
    space = {"tangent_space": {"dimension": float(g["settings"]["latent_dimension"]), "pixels": 64}}
    return [
        Record(_request("class_masses", **subject), facts=counts, provenance=PROVENANCE),
        Record(_request("compared_radii", **subject), evidence, facts, provenance=PROVENANCE),
        Record(
            _request("tangential_share", **subject),
            {"tangential_share[l2]": Radii(share, share)},
            {"n": N, **space},
            provenance=PROVENANCE,
        ),
    ]


def group_records(generator: str, rng: np.random.Generator) -> list[Record]:
    g = GENERATORS[generator]
    subject = {"teacher": TEACHER, "generator": g, "classifiers": list(CLASSIFIERS.values())}
    radii = np.abs(rng.standard_normal(N)) * 0.3
    disorder = np.clip(rng.normal(0.2, 0.02, N), 0, 1)
    law = {"latent_law": "gaussian", "latent_dimension": g["settings"]["latent_dimension"]}
    alone = _request("modulus", generator=g)
    constant = [{"kind": "lipschitz", "constant": 2.0, "certified": True}]
    return [
        Record(alone, facts={**law, "moduli[l2->l2]": constant}, provenance=PROVENANCE),
        Record(
            _request("best_classifier", **subject),
            {
                f"nearness_{name}[l2]": Radii(1 / (radii * 1.1), 1 / (radii * 0.9))
                for name in ("r_latent", "r_in")
            },
            {"n": N, "best": "mlp-adv", "n_classes": 10, "class_counts": [1000] * 10},
            provenance=PROVENANCE,
        ),
        Record(
            _request("transfer_agreement", **subject),
            {"transfer_disorder": Radii(disorder, disorder)},
            {"n": N, "compared_targets": 12},
            provenance=PROVENANCE,
        ),
    ]


def conjecture_records(seed: int = 0) -> list[Record]:
    """Return all pairs of three generators and five classifiers, and what is said of all five."""
    rng = np.random.default_rng(seed)
    found: list[Record] = []
    for generator in GENERATORS:
        found += group_records(generator, rng)
        for classifier in CLASSIFIERS:
            found += pair_records(generator, classifier, rng)
    return found
