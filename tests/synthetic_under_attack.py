"""Records of accuracy under attack that nothing was attacked for: shaped like real ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import PROVENANCE

N = 1000
SETTINGS = {"radius": 0.3, "step": 0.01, "confidence": 50.0, "certify": "interval"}
ROBUST = {
    "channels": [16, 32],
    "hidden": 128,
    "steps": 6000,
    "batch": 100,
    "learning_rate": 1e-3,
    "shift": 0,
    "adversarial_radius": 0.3,
    "adversarial_steps": 10,
    "adversarial_norm": "linf",
}


def part(label: str, name: str = "lenet", **settings: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"label": label, "name": name, "settings": {**ROBUST, **settings, "revision": 1}}


# The other architecture comes before the copy, and neither is the first of its kind twice.
CLASSIFIERS = (
    part("robust"),
    part("plain", adversarial_radius=0.0),
    part("other", "conv"),
    part("copy"),
    part("copy-2"),
)


def under_attack_record(
    seed: int = 0,
    data: str = "mnist",
    target: str = "robust",
    classifiers: tuple[Mapping[str, Any], ...] = CLASSIFIERS,
    n: int = N,
    **settings: Any,  # noqa: ANN401
) -> Record:
    """Return a record with every attack on every source; wrong images grow in number."""
    rng = np.random.default_rng(seed)
    natural = rng.random(n) < 0.02
    weak = rng.random(n)
    rows: list[dict[str, Any]] = []
    wrong: list[np.ndarray[Any, np.dtype[np.bool_]]] = []

    def add(
        attack: str, source: str, share: float, run: tuple[int | None, int | None], m: int = n
    ) -> None:
        mask = natural | ((weak < share) & (np.arange(n) < m))
        line = {"attack": attack, "source": source, "steps": run[0], "restarts": run[1]}
        rows.append({**line, "n": m, "right": int((~mask[:m]).sum()), "seconds": None})
        wrong.append(mask)

    once = (40, 1)
    add("natural", "", 0.0, (None, None))
    add("fgsm", target, 0.04, (None, None))
    for share, run in ((0.07, once), (0.08, (100, 1)), (0.09, (40, 20)), (0.10, (100, 20))):
        add("pgd", target, share, run)
    add("targeted", target, 0.08, once)
    add("cw", target, 0.06, once)
    add("cw+", target, 0.06, once)
    for loss in ("ce", "dlr"):
        add(f"apgd-{loss}", target, 0.11, (100, 1))
    add("hop_skip_jump", target, 0.05, (None, None), 20)
    for other in classifiers:
        if other["label"] == target:
            continue
        add("fgsm", other["label"], 0.03, (None, None))
        add("pgd", other["label"], 0.04, once)
        add("pgd", other["label"], 0.05, (100, 20))
        add("cw", other["label"], 0.03, once)
        add("cw+", other["label"], 0.035, once)
    worst = np.any(wrong, axis=0)
    rows.append({**rows[0], "attack": "worst", "right": int((~worst).sum())})
    wrong.append(worst)
    certified = (np.arange(n) < 50) & (weak > 0.8) & ~worst
    facts = {
        "target": target,
        "n": n,
        "rows": rows,
        "n_certified": int(certified.sum()),
        "not_certified_because": None,
        "robust_accuracy[linf]": {
            "lower": float(certified.mean()),
            "upper": float(1 - worst.mean()),
        },
    }
    subject = {"data": {"name": data}, "image_classifiers": list(classifiers)}
    asked = {**SETTINGS, "certify_images": 50, **settings}
    return Record(
        Request("measure", "under_attack", asked, subject, 0),
        facts=facts,
        arrays={"wrong": np.stack(wrong), "certified": certified},
        provenance=PROVENANCE,
    )


def under_attack_records(seed: int = 0) -> list[Record]:
    """Return a network of the digits, and one that stands beside the paper's."""
    digits = (part("small", "conv", adversarial_radius=0.1), part("linear", "linear"))
    return [
        under_attack_record(seed + 1, "digits", "small", digits, 200, radius=0.1),
        under_attack_record(seed),
    ]
