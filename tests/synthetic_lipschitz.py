"""Records of Lipschitz constants that no network was trained for: shaped like real ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import PROVENANCE
from theory.evidence import Interval
from theory.gaussian import expected_norm

ORDER = ("semidefinite", "stagewise", "split", "cut points", "balanced", "product")
"""The methods as the synthetic constants are ordered, the least first."""
NORM = "l2->l2"


@dataclass(frozen=True)
class Net:
    """One network: which methods it lacks, which certificates fail, whether it is timed."""

    label: str
    data: str = "mnist"
    hidden: tuple[int, ...] = (16,)
    generator: bool = False
    exact: bool = False
    timed: bool = True
    lacks: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> Request:
        settings = {"hidden": list(self.hidden), "steps": 6000, **self.settings}
        part = {"label": self.label, "name": "mlp", "settings": settings}
        role = "generator" if self.generator else "image_classifier"
        subject = {"data": {"name": self.data}, role: part}
        measure = "modulus" if self.generator else "lipschitz"
        return Request("measure", measure, {}, subject, 0)


def mlp(depth: int, width: int, **given: Any) -> Net:  # noqa: ANN401
    return Net(f"mlp-{depth}x{width}", hidden=(width,) * depth, **given)


NETS = (
    Net("mlp-16", "digits", exact=True, timed=False),
    *(mlp(d, w) for w in (16, 64) for d in (1, 2, 4, 8)),
    *(mlp(d, 256) for d in (1, 2, 4)),
    mlp(8, 256, lacks=("split",), fails=("stagewise",)),
    Net("mnist-vae", hidden=(256, 256), generator=True),
    Net("digits-vae", "digits", hidden=(32,), generator=True, timed=False),
)
PRODUCT_ALONE = Net("graph", lacks=(*ORDER[:-1], "free pattern", "sampled"))


def lipschitz_record(net: Net, rng: np.random.Generator) -> Record:
    """Return a record whose constants are in the order of `ORDER`, above a random lower end."""
    lower = float(rng.uniform(1, 50))
    factors = np.cumprod(1 + rng.exponential(0.1 * len(net.hidden), len(ORDER) + 1))
    free, uppers = lower * float(factors[0]), lower * factors[1:]
    if net.exact:
        free = lower
    constants: list[dict[str, Any]] = []

    def add(method: str, low: float | None, high: float | None) -> None:
        if method not in net.lacks:
            certified = method in ("semidefinite", "stagewise")
            verified = method not in net.fails if certified else None
            seconds = round(float(rng.exponential(0.5)), 4) if net.timed else None
            ends = {"lower": low, "upper": high, "verified": verified, "seconds": seconds}
            constants.append({"method": method, **ends})

    add("sampled", lower, None)
    if net.exact:
        add("exact", lower, lower * (1 + 1e-9))
    for method, upper in zip(ORDER, uppers.tolist(), strict=True):
        add(method, None, upper)
    add("free pattern", free, None)
    known = {line["method"]: line for line in constants}
    facts: dict[str, Any] = {f"constants[{NORM}]": constants}
    evidence: dict[str, Any] = {f"lipschitz[{NORM}]": Interval(0.0, np.inf)}
    if "sampled" in known:
        evidence = {
            f"lipschitz[{NORM}]": Interval(lower, known.get("exact", {"upper": np.inf})["upper"])
        }
        facts |= {f"sampled_constant[{NORM}]": lower}
    if "semidefinite" in known:
        m = len(net.hidden) + 1
        best, product = (float(known[name]["upper"]) for name in ("semidefinite", "product"))
        facts[f"layer_norms[{NORM}]"] = [product ** (1 / m) * (1 + 1e-14)] * m
        facts |= {"n_hidden_layers": m - 1, "n_outputs": 10}
        facts[f"semidefinite_bound[{NORM}]"] = {"value": best, "lower": best * (1 - 1e-7)}
        facts[f"cut_point_bound[{NORM}]"] = known["cut points"]["upper"]
        evidence[f"semidefinite[{NORM}]"] = Interval(best * (1 - 1e-7), best)
        evidence[f"free_pattern[{NORM}]"] = Interval(free, best)
    if net.generator:
        seen = {"distances": [0.5, 6.0], "values": [0.4 * lower, 3 * lower]}
        moduli = [
            {"kind": "lipschitz", "constant": float(uppers[0]), "certified": True},
            {"kind": "sampled", **seen, "certified": False},
        ]
        facts |= {"moduli[l2->l2]": moduli, "latent_law": "gaussian", "latent_dimension": 8}
        facts |= {"expected_latent_norm": expected_norm(8), "expected_image_norm": 3.5}
        facts["image_shape"] = [1, 8, 8]
    return Record(net.asked, facts=facts, evidence=evidence, provenance=PROVENANCE)


def affine_record() -> Record:
    """Return the record of a generator whose constant is the norm of one matrix."""
    net = Net("affine", "digits", hidden=(), generator=True, timed=False)
    ends = {"verified": None, "seconds": None}
    constants = [
        {"method": "product", "lower": None, "upper": 2.0, **ends},
        {"method": "sampled", "lower": 2.0, "upper": None, **ends},
    ]
    facts: dict[str, Any] = {f"constants[{NORM}]": constants, f"layer_norms[{NORM}]": [2.0]}
    facts |= {"moduli[l2->l2]": [], "latent_law": "gaussian", "latent_dimension": 8}
    seen = {f"lipschitz[{NORM}]": Interval(2.0, 2.0)}
    return Record(net.asked, facts=facts, evidence=seen, provenance=PROVENANCE)


def lipschitz_records(seed: int = 0) -> list[Record]:
    """Return twelve networks of four depths and three widths, a small one, and two decoders."""
    rng = np.random.default_rng(seed)
    return [lipschitz_record(net, rng) for net in NETS]
