"""A property of a VNN-LIB file as a claim, and what was seen of it as a record."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from empirics.devices import provenance
from empirics.given.property_decide import Decision, decide, witness_text
from empirics.given.vnnlib import Property, read_property
from empirics.record import Record, Request
from theory.claim import CLAIMS, Claim, Facts, Kind, Quantity, Ref, Relation, Status

LEAST: Final = float(np.nextafter(0.0, 1.0))
"""The margin is at least this where it is above 0: equality is a counterexample."""


@dataclass(frozen=True, eq=False)
class CheckedProperty:
    """One property of one network, decided.

    Attributes
    ----------
    claim : Claim
        "property/STEM", a scalar one, conjectured as it is the user's own; it is registered, so
        that the judge of records finds it.
    record : Record
        Of a measurement "property", with evidence {"property_margin[STEM]": Interval}, facts
        {"property[STEM]": {...}}, and the arrays "witness" and "witness_outputs" where there is a
        counterexample.
    decision : Decision
    witness_text : str
        The result in the format of VNN-COMP.
    """

    claim: Claim
    record: Record
    decision: Decision
    witness_text: str


def property_quantity(prop: Property) -> Quantity:
    """Return the least margin over the inputs of a property, by its name."""
    return Quantity("property_margin", _stem(prop))


def property_claim(prop: Property) -> Claim:
    """Return the claim that a network has a property, registered once.

    Parameters
    ----------
    prop : Property
        Another one of the same name gets a part of its digest behind it.
    """
    claim_id = f"property/{_stem(prop)}"
    if claim_id in CLAIMS and CLAIMS[claim_id].ref.key == prop.sha256:
        return CLAIMS[claim_id]

    def evaluate(facts: Facts, quantity: Quantity) -> float:
        return LEAST

    evaluate.__doc__ = f"{prop.in_words()[:1].upper()}{prop.in_words()[1:]}."
    claim = Claim(
        id=claim_id,
        kind=Kind.SCALAR,
        quantities=(property_quantity(prop),),
        relation=Relation.AT_LEAST,
        status=Status.CONJECTURED,
        ref=Ref(prop.sha256, f"{prop.name}.vnnlib", "all assertions"),
        setting=(
            r"Let $m(x)$ be the least, over the unsafe sets of a box that holds $x$, of the largest"
            r" left-hand side of its inequalities $a \cdot f(x) + c \leq 0$"
        ),
        hypotheses=(),
        evaluate=evaluate,
    )
    CLAIMS.register(claim_id, claim)
    return claim


def _stem(prop: Property) -> str:
    """Return a name for ids and quantities: the file's, with a part of its digest if it is taken.

    Two files of one name may be checked by one process.
    """
    plain = re.sub(r"[^A-Za-z0-9_.+-]", "-", prop.name)
    taken = f"property/{plain}"
    if taken in CLAIMS and CLAIMS[taken].ref.key != prop.sha256:
        return f"{plain}-{prop.sha256[:8]}"
    return plain


def checked_property(
    module: nn.Module,
    path: Path,
    *,
    input_shape: tuple[int, ...],
    subject: Mapping[str, Any],
    effort: str = "standard",
    time_limit: float | None = None,
    device: torch.device | None = None,
    seed: int = 0,
) -> CheckedProperty:
    """Read a property, decide it, and return it as a claim with its evidence.

    Parameters
    ----------
    module : nn.Module
        In eval mode, inputs (n, *input_shape) to outputs (n, K).
    path : Path
        FILE.vnnlib or FILE.vnnlib.gz; X_i are the entries of an input in row-major order.
    input_shape : tuple of int
        Without the batch axis.
    subject : mapping
        What the record is about, by role: {"classifier": {"label": "net", ...}}.
    effort : {"quick", "standard", "thorough"}
    time_limit : float, optional
        Seconds; by default 10, 60 or 600.
    device : torch.device, optional
        Of the attacks and the deployed network, by default the CPU.
    seed : int

    Raises
    ------
    InputError
        If the property cannot be read or is not one of this network, naming file and line; or an
        argument is not as above.
    """
    where = torch.device("cpu") if device is None else device
    with torch.no_grad():
        weights = next(module.parameters(), torch.zeros(()))
        probe = torch.zeros(1, *input_shape, dtype=torch.float32, device=weights.device)
        n_outputs = int(module(probe).numel())
    prop = read_property(path, int(np.prod(input_shape)), n_outputs)
    decision = decide(
        module,
        prop,
        input_shape=input_shape,
        effort=effort,
        time_limit=time_limit,
        device=where,
        seed=seed,
    )
    claim = property_claim(prop)
    settings = {"name": prop.name, "sha256": prop.sha256, "effort": effort}
    if time_limit is not None:
        settings["time_limit"] = str(time_limit)
    arrays: dict[str, Any] = {}
    if decision.witness is not None:
        arrays = {
            "witness": decision.witness.point,
            "witness_outputs": decision.witness.outputs,
        }
    record = Record(
        Request("measure", "property", settings, subject, seed),
        {str(property_quantity(prop)): decision.margin},
        {f"property[{_stem(prop)}]": {"says": prop.in_words(), **decision.facts()}},
        arrays,
        provenance(where),
    )
    return CheckedProperty(claim, record, decision, witness_text(decision))
