"""Records of trainings that nothing was trained for, and of pairs whose like is in print."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import DIMENSION, PROVENANCE
from theory.evidence import Radii
from theory.gaussian import expected_norm
from theory.modulus import LipschitzModulus, SampledModulus

N = 300
POINTS, STEPS = 100, 1500
TEACHER = {"label": "lenet", "name": "lenet", "settings": {"steps": 400}}
NETWORKS = (
    ("lenet", "lenet", {}),
    ("vgg", "vgg", {"depth": 16, "width": 8}),
    ("wrn", "wide_resnet", {"depth": 10, "widening": 1, "adversarial_radius": 0.0}),
    ("wrn-wider", "wide_resnet", {"depth": 16, "widening": 2, "adversarial_radius": 0.0}),
    ("wrn-adv", "wide_resnet", {"depth": 10, "widening": 1, "adversarial_radius": 0.5}),
)


def data(name: str) -> dict[str, Any]:
    return {"name": name, "variant": "subset"}


def part(label: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": label, "name": name, "settings": {**settings, "steps": STEPS, "revision": 1}}


def _trained(role: str, subject: Mapping[str, Any], arrays: Mapping[str, Any]) -> Record:
    facts = {"final_loss": float(arrays["loss"][-1]), "n_train": 4000}
    if "loss_discriminator" in arrays:
        facts["final_loss_discriminator"] = float(arrays["loss_discriminator"][-1])
    return Record(
        Request("train", role, {}, subject, 0), facts=facts, arrays=arrays, provenance=PROVENANCE
    )


def _falling(rng: np.random.Generator, end: float) -> np.ndarray[Any, Any]:
    course = end + 2 * np.exp(-np.linspace(0, 5, POINTS)) + 0.05 * rng.random(POINTS)
    return course.astype(np.float32)


def training_records(name: str = "cifar10", side: int = 8, seed: int = 0) -> list[Record]:
    """Return the trainings of a teacher, two generators, and two classifiers on each.

    One generator was trained against a discriminator and kept samples on the way; the other has
    samples of the end alone. The quality of the first was measured.
    """
    rng = np.random.default_rng(seed)
    own = data(name)
    found = [_trained("teacher", {"data": own, "teacher": TEACHER}, {"loss": _falling(rng, 0.2)})]
    for label, kind in (("dcgan", "dcgan"), ("vae-conv", "conv_vae")):
        generator = part(label, kind, {"latent_dimension": DIMENSION})
        subject = {"data": own, "generator": generator}
        arrays: dict[str, Any] = {"loss": _falling(rng, 0.7)}
        if kind == "dcgan":
            arrays["loss_discriminator"] = _falling(rng, 1.2)
            arrays["grids"] = rng.integers(0, 256, (6, 8, 3, side, side), dtype=np.uint8)
            arrays["grid_steps"] = np.linspace(0, STEPS, 7).astype(np.int64)[1:]
        found.append(_trained("generator", subject, arrays))
        for name_of, kind_of, settings in NETWORKS[:2]:
            classifier = part(name_of, kind_of, settings)
            subject_of = {**subject, "teacher": TEACHER, "classifier": classifier}
            found.append(_trained("classifier", subject_of, {"loss": _falling(rng, 0.1)}))
        if kind == "dcgan":
            facts = {"quality": {**QUALITY}}
            asked = Request("measure", "quality", {}, {**subject, "teacher": TEACHER}, 0)
            found.append(Record(asked, facts=facts, provenance=PROVENANCE))
        else:
            images = {"samples": rng.random((10, 3, side, side), dtype=np.float32)}
            asked = Request("measure", "samples", {}, subject, 0)
            found.append(Record(asked, facts={}, arrays=images, provenance=PROVENANCE))
    return found


QUALITY = {
    "n": 1000,
    "frechet_generated": 31.4,
    "frechet_train": 2.5,
    "classes_generated": {"counts": [1000, 0], "missing": [1]},
    "diversity": 0.91,
}


def paper_records(name: str = "cifar10", seed: int = 0) -> list[Record]:
    """Return a generator with five classifiers, of kinds whose numbers are in print."""
    rng = np.random.default_rng(seed)
    generator = part("dcgan", "dcgan", {"latent_dimension": DIMENSION})
    alone = {"data": data(name), "generator": generator}
    moduli = [LipschitzModulus(40.0), SampledModulus((0.1, 6.0), (0.5, 20.0))]
    facts: dict[str, Any] = {
        "latent_law": "gaussian",
        "latent_dimension": DIMENSION,
        "image_shape": [3, 8, 8],
        "expected_latent_norm": expected_norm(DIMENSION),
        "expected_image_norm": 9.0,
        "moduli[l2->l2]": [modulus.to_dict() for modulus in moduli],
    }
    asked = Request("measure", "modulus", {}, alone, 0)
    found = [Record(asked, facts=facts, provenance=PROVENANCE)]
    for label, kind, settings in NETWORKS:
        found += _pair({**alone, "classifier": part(label, kind, settings)}, rng)
    return found


def _pair(subject: Mapping[str, Any], rng: np.random.Generator) -> Iterator[Record]:
    def record(measure: str, facts: Mapping[str, Any], **parts: Any) -> Record:  # noqa: ANN401
        asked = Request("measure", measure, {}, subject, 0)
        return Record(asked, facts=facts, provenance=PROVENANCE, **parts)

    yield record("accuracy", {"error_generated": 0.02, "error_real": 0.31})
    yield record("class_masses", {"n_classes": 10, "class_counts": [500] * 10})
    latent = rng.exponential(0.2, N)
    ends = {"r_latent[l2]": latent, "r_in[l2]": 0.8 * latent, "r_unc[l2]": 0.3 * latent}
    evidence = {quantity: Radii(0.1 * seen, seen) for quantity, seen in ends.items()}
    yield record("radii", {"n": N}, evidence=evidence)
