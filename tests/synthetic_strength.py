"""Records of timed attacks and of a gallery, shaped like real ones and drawn at random."""

from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import PROVENANCE

N = 40
# Norm: (line, library, CPU seconds, factor over the best, share found).
ATTACKS: dict[str, tuple[tuple[str, str | None, float, float, float], ...]] = {
    "l2": (
        ("minimal:budget=quick", None, 4.1, 1.002, 1.0),
        ("minimal:budget=standard", None, 14.0, 1.0005, 1.0),
        ("minimal:budget=thorough", None, 50.0, 1.0, 1.0),
        ("ddn:steps=100", None, 3.4, 1.02, 1.0),
        ("alma:steps=100", None, 3.5, 1.012, 1.0),
        ("deepfool:steps=50", None, 0.9, 1.2, 1.0),
        ("cw_l2:steps=200,search_steps=5", None, 31.0, 1.03, 1.0),
        ("foolbox-ddn:steps=100", "foolbox", 4.0, 1.021, 1.0),
        ("foolbox-deepfool:steps=50", "foolbox", 6.0, 1.21, 1.0),
        ("torchattacks-cw:steps=50", "torchattacks", 3.0, 1.4, 0.1),
        ("advlib-ddn:steps=100", "advlib", 3.6, 1.0211, 1.0),
    ),
    "linf": (
        ("minimal:budget=quick", None, 4.2, 1.003, 1.0),
        ("fmn:steps=100", None, 3.5, 1.03, 1.0),
        ("fgsm", None, 0.4, 1.9, 0.9),
        ("foolbox-fmn:steps=100", "foolbox", 4.4, 1.04, 1.0),
    ),
    "l0": (
        ("greedy_l0", None, 2.0, 1.0, 1.0),
        ("sigma_zero:steps=300", None, 8.0, 1.3, 1.0),
        ("torchattacks-jsma", "torchattacks", 30.0, 6.0, 0.95),
    ),
}
SCALES = {"l2": 1.2, "linf": 0.1, "l0": 6.0}
SHOWN = {
    "fgsm": ("budget", "linf"),
    "ddn": ("minimal", "l2"),
    "greedy_l0": ("minimal", "l0"),
    "one_pixel": ("black box", "l0"),
    "universal": ("budget", "linf"),
}


def _subject(label: str) -> dict[str, Any]:
    part = {"label": label, "name": "conv", "settings": {}}
    return {"data": {"name": "mnist"}, "image_classifier": part}


def _settings(text: str) -> dict[str, Any]:
    pairs = (part.split("=") for part in text.split(",") if part)
    return {key: int(value) if value.isdigit() else value for key, value in pairs}


def strength_record(seed: int = 0, label: str = "conv", lacks: str | None = None) -> Record:
    """Return a record of all attacks but those of one library."""
    rng = np.random.default_rng(seed)
    instruments: dict[str, Any] = {}
    arrays: dict[str, Any] = {"index": np.arange(N), "label": rng.integers(0, 10, N)}
    for norm, attacks in ATTACKS.items():
        kept = [each for each in attacks if lacks is None or each[1] != lacks]
        base = SCALES[norm] * rng.uniform(0.5, 1.5, N)
        base = np.ceil(base) if norm == "l0" else base
        radii = np.empty((len(kept), N))
        lines = []
        for row, (line, library, seconds, factor, share) in zip(radii, kept, strict=True):
            row[:] = base * (1 + (factor - 1) * rng.uniform(0.5, 1.5, N))
            row[np.arange(N) >= round(share * N)] = np.inf
            name, _, settings = line.partition(":")
            about = {"line": line, "name": name, "settings": _settings(settings)}
            passes = {"forward": int(5000 * seconds), "backward": int(4000 * seconds)}
            times = {"cpu_seconds": seconds, "wall_seconds": 1.1 * seconds}
            lines.append({**about, "library": library, **times, **passes})
        instruments[norm], arrays[f"{norm}.radii"] = lines, radii
    failed = [{"norm": "l2", "line": "foolbox-cw", "error": "ValueError: no"}]
    facts = {"n": N, "test_error": 0.02, "instruments": instruments, "failed": failed}
    facts["absent"] = ["art-deepfool"]
    request = Request("measure", "strength", {}, _subject(label), 0)
    return Record(request, facts=facts, arrays=arrays, provenance=PROVENANCE)


def gallery_record(seed: int = 0, label: str = "conv") -> Record:
    """Return a record of five attacks on four images, with a failure."""
    rng = np.random.default_rng(seed)
    m = 4
    image = rng.random((m, 1, 14, 14), dtype=np.float32)
    points = np.clip(image + rng.normal(0, 0.1, (len(SHOWN), *image.shape)), 0, 1)
    found = np.ones((len(SHOWN), m), dtype=bool)
    found[3, 1] = False
    labels = np.where(found, (np.arange(m) + 1) % 10, np.arange(m))
    attacks = [
        {"name": name, "kind": kind, "norm": norm, "budget": 0.2 if kind == "budget" else None}
        for name, (kind, norm) in SHOWN.items()
    ]
    change = (points - image).reshape(len(SHOWN), m, -1)
    arrays: dict[str, Any] = {"index": np.arange(m), "label": np.arange(m), "image": image}
    arrays |= {"points": points.astype(np.float32), "labels": labels, "found": found}
    for norm, p in (("l0", 0), ("l1", 1), ("l2", 2), ("linf", np.inf)):
        size = np.linalg.norm(change, ord=p, axis=2)
        arrays[norm] = np.where(found, size, np.inf)
    failed = [{"name": "patch", "error": "InputError: no"}]
    facts = {"attacks": attacks, "failed": failed, "left_out": ["joint"], "n": m}
    request = Request("measure", "gallery", {}, _subject(label), 0)
    return Record(request, facts=facts, arrays=arrays, provenance=PROVENANCE)
