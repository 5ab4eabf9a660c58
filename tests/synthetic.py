"""Records of a preset that nothing was trained for: shaped like real ones, drawn at random."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from empirics.record import Record, Request
from empirics.store import Store
from figures.draw import draw
from theory.evidence import Interval, Radii
from theory.gaussian import expected_norm

DATA = {"name": "digits", "variant": "random"}
PROVENANCE = {"device": "cpu", "torch": "0", "numpy": "0", "python": "3", "threads": 1}
N, DIMENSION = 400, 8
CLASSIFIERS = ("linear", "mlp")
CHAPTER = "paper-mnist-small"


def request(measure: str, generator: str, classifier: str | None = None) -> Request:
    subject: dict[str, Any] = {"generator": {"label": generator, "name": generator, "settings": {}}}
    if generator != "identity":
        subject["data"] = DATA
    if classifier:
        subject["classifier"] = {"label": classifier, "name": classifier, "settings": {}}
    return Request("measure", measure, {}, subject, 0)


def _record(asked: Request, facts: Mapping[str, Any], **parts: Any) -> Record:  # noqa: ANN401
    return Record(asked, facts=dict(facts), provenance=PROVENANCE, **parts)


def _generator(label: str, rng: np.random.Generator) -> Iterator[Record]:
    constant = 1.0 if label == "identity" else 4.0
    facts = {
        "latent_law": "gaussian",
        "latent_dimension": DIMENSION,
        "image_shape": [1, 8, 8],
        "expected_latent_norm": expected_norm(DIMENSION),
        "expected_image_norm": expected_norm(DIMENSION) if label == "identity" else 3.5,
        "layer_norms[l2->l2]": [constant],
        "moduli[l2->l2]": [
            {"kind": "lipschitz", "constant": constant, "certified": True},
            {"kind": "sampled", "distances": [0.5, 6.0], "values": [0.8, 8.0], "certified": False},
        ],
    }
    if label != "identity":
        facts["constants[l2->l2]"] = [
            {"method": method, "lower": None, "upper": upper, "verified": proof, "seconds": None}
            for method, upper, proof in (
                ("product", constant, None),
                ("semidefinite", 0.95 * constant, True),
            )
        ]
    seen = {"lipschitz[l2->l2]": Interval(0.9 * constant, constant)}
    yield _record(request("modulus", label), facts, evidence=seen)
    if label == "identity":
        return
    quartiles = {"q25": 1.0, "q50": 1.2, "q75": 1.4}
    facts = {"n_samples": 20, "reconstruction_rmse": 0.1, "mean_image_rmse": 0.3}
    facts |= {"nearest_train_distance": quartiles, "test_nearest_train_distance": quartiles}
    names = ("samples", "nearest", "test_images", "reconstructions")
    arrays = {name: rng.random((6, 1, 8, 8), dtype=np.float32) for name in names}
    yield _record(request("samples", label), facts, arrays=arrays)


def _radii(upper: np.ndarray[Any, Any], certified: float) -> Radii:
    return Radii(certified * upper, upper)


def _pair(generator: str, classifier: str, rng: np.random.Generator) -> Iterator[Record]:
    errors = {"error_generated": 0.031, "n_generated": 1000, "error_real": 0.072}
    yield _record(request("accuracy", generator, classifier), errors)
    masses = rng.multinomial(5000, rng.dirichlet(np.full(10, 30.0))).tolist()
    facts = {"n_classes": 10, "class_counts": masses}
    yield _record(request("class_masses", generator, classifier), facts)
    latent = rng.exponential(0.25, N)
    share = 1.0 if classifier == "linear" else 0.0
    within, free = latent * rng.uniform(0.7, 1.0, N), latent * rng.uniform(0.3, 0.6, N)
    evidence = {
        "r_latent[l2]": _radii(latent, share * 0.9),
        "r_in[l2]": _radii(within, share * 0.8),
        "r_unc[l2]": _radii(free, share),
    }
    kinds = ("original", "in_distribution", "unconstrained")
    arrays: dict[str, Any] = {
        f"examples.{kind}": rng.random((3, 1, 8, 8), dtype=np.float32) for kind in kinds
    }
    arrays["examples.labels"] = rng.integers(0, 10, (3, 3))
    arrays["examples.distance_in"], arrays["examples.distance_unc"] = within[:3], free[:3]
    asked = request("radii", generator, classifier)
    yield _record(asked, {"n": N}, evidence=evidence, arrays=arrays)


def _family(classifier: str, rng: np.random.Generator) -> Iterator[Record]:
    k = 2 if classifier == "half_space" else 5
    z = rng.standard_normal((N, DIMENSION))
    top = np.sort(z[:, :k], axis=1)
    exact = np.abs(z[:, 0]) if k == 2 else (top[:, -1] - top[:, -2]) / np.sqrt(2)
    law = {"exact_law": {"family": classifier, "n_classes": k}}
    facts = {"n_classes": k, "class_masses": [1 / k] * k, **law}
    yield _record(request("class_masses", "identity", classifier), facts)
    evidence = {f"{name}[l2]": _radii(exact, 1.0) for name in ("r_latent", "r_in", "r_unc")}
    yield _record(request("radii", "identity", classifier), {"n": N}, evidence=evidence)


def synthetic_records(seed: int = 0, families: bool = True) -> list[Record]:
    """Return two generators with two classifiers each and two closed-form families."""
    rng = np.random.default_rng(seed)
    found: list[Record] = []
    for generator in ("ppca", "vae"):
        found += _generator(generator, rng)
        for classifier in CLASSIFIERS:
            found += _pair(generator, classifier, rng)
    if families:
        found += _generator("identity", rng)
        for classifier in ("half_space", "argmax"):
            found += _family(classifier, rng)
    return found


def all_records() -> list[Record]:
    """Return `synthetic_records` and those of every other room."""
    from tests.synthetic_certificates import certificates_records
    from tests.synthetic_class_errors import class_errors_records
    from tests.synthetic_conjectures import conjecture_records
    from tests.synthetic_data_radii import data_radii_records
    from tests.synthetic_destruction import destruction_records
    from tests.synthetic_distances import distance_records
    from tests.synthetic_hamming import hamming_records
    from tests.synthetic_hardness import hardness_records
    from tests.synthetic_joint_radii import joint_radii_records
    from tests.synthetic_lipschitz import lipschitz_records
    from tests.synthetic_projected import projected_records
    from tests.synthetic_strength import gallery_record, strength_record
    from tests.synthetic_training import training_records
    from tests.synthetic_transfer import transfer_record
    from tests.synthetic_under_attack import under_attack_records

    return [
        *synthetic_records(),
        *hamming_records(),
        *lipschitz_records(),
        *under_attack_records(),
        *destruction_records(),
        *hardness_records(),
        *certificates_records(),
        *distance_records(),
        transfer_record(),
        *training_records(),
        strength_record(),
        gallery_record(),
        *projected_records(),
        *joint_radii_records(),
        *data_radii_records(),
        *class_errors_records(),
        *conjecture_records(),
    ]


def chapter_records() -> list[Record]:
    """Return the records of a small preset whose figures stand beside those of another."""
    from tests.synthetic_training import training_records

    rng = np.random.default_rng(1)
    pairs = [record for name in CLASSIFIERS for record in _pair("ppca", name, rng)]
    return [*_generator("ppca", rng), *pairs, *training_records()]


def write_run(
    records: list[Record],
    build: Path,
    preset: str = "default",
    chapters: Mapping[str, list[Record]] | None = None,
) -> Path:
    """Put records where `advbounds run` would, and return the build folder."""
    store = Store(build)
    for name, own in {**(chapters or {}), preset: records}.items():
        for record in own:
            store.put(record)
        named = tuple(chapters or ()) if name == preset else ()
        store.put_plan(name, [record.request for record in own], None, chapters=named)
    return build


def drawn_once(factory: pytest.TempPathFactory) -> Path:
    """Return a build folder with everything drawn, the same one throughout a session."""
    build = factory.getbasetemp() / "synthetic"
    if not build.exists():
        chapters = {CHAPTER: chapter_records()}
        assert draw("default", write_run(all_records(), build, chapters=chapters))
    return build
