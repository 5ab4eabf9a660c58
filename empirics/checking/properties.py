"""What a VNN-LIB file asserts of a model: decided, with its record and its witness."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from empirics.checking.efforts import EFFORTS, Effort
from empirics.checking.presets import NAME
from empirics.checking.subject import Subject
from empirics.classifiers.given import Given
from empirics.config import Part
from empirics.given.onnx_modules import OnnxModel, onnx_model
from empirics.given.property_check import checked_property
from empirics.given.vnnlib import read_property
from empirics.record import Record
from empirics.store import Store, write_safely
from theory.command import log
from theory.errors import InputError

WITNESS = "property.txt"
"""The answer to a property in the form of VNN-COMP, with the counterexample if there is one."""


@dataclass(frozen=True, eq=False)
class Done:
    """A model after all that was measured of it.

    Attributes
    ----------
    module : nn.Module
        With its weights, in eval mode.
    shape : tuple of int
        Of one input.
    subject : mapping
        Its identity in records, by role.
    about : dict
        What a report says of it.
    failed : tuple of str
    """

    module: nn.Module
    shape: tuple[int, ...]
    subject: Mapping[str, Any]
    about: dict[str, Any] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


def records_of(folder: Path) -> list[Record]:
    """Return the records of the check in a folder, in their order."""
    store = Store(folder)
    found = [store.get(request_id) for request_id in store.plan(NAME) or ()]
    return [record for record in found if record is not None]


def as_asserted(subject: Subject, notes: Sequence[str]) -> OnnxModel | None:
    """Return an ONNX model as its file has it: a property speaks of its own outputs.

    Raises
    ------
    InputError
        If a model of another kind was brought from probabilities to logits.
    """
    if _is_onnx(subject):
        return onnx_model(Path(str(subject.model)))
    if any("probabilities" in note for note in notes):
        raise InputError(
            "a property speaks of the outputs of a model, which gives probabilities here and is"
            " measured by its logits: give its logits"
        )
    return None


def _is_onnx(subject: Subject) -> bool:
    named = subject.model
    return isinstance(named, str) and named.removesuffix(".gz").endswith(".onnx")


def alone(subject: Subject, asserted: Path, folder: Path) -> Done:
    """Read an ONNX model, which says itself what it takes."""
    if not _is_onnx(subject):
        raise InputError("only an ONNX file says itself what it takes: name a data set")
    path = Path(str(subject.model))
    found = onnx_model(path)
    read_property(asserted, math.prod(found.input_shape), found.n_outputs)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    part = Part("given", subject.label, Given(model=subject.title, sha256=digest))
    Store(folder).put_plan(NAME, [], None)
    about = {"sha256": digest, "form": "onnx"}
    return Done(found.module, found.input_shape, {"classifier": part.identity()}, about)


def decided(
    done: Done, path: Path, effort: Effort, device: torch.device, seed: int, folder: Path
) -> str:
    """Decide a property, keep its record and its witness, and return the id of its claim."""
    known = effort.name if effort.name in EFFORTS else EFFORTS[0]
    found = checked_property(
        done.module.to(device),
        path,
        input_shape=done.shape,
        subject=done.subject,
        effort=known,
        device=device,
        seed=seed,
    )
    for line in found.decision.lines():
        log(line)
    store = Store(folder)
    store.put(found.record)
    own = [record.request for record in records_of(folder)]
    store.put_plan(NAME, [*own, found.record.request], None)
    write_safely(folder / WITNESS, found.witness_text.encode())
    return found.claim.id
