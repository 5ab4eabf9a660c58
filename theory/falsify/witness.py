"""Witnesses: one JSON file a counterexample, from which all of it is computed again.

    format                  "advbounds witness 1"
    claim                   id, status, kind, first line; of a user's file its name, SHA-256, text
    quantities              one, or the two sides of a pointwise claim
    laboratory, structure   the family and the whole numbers of the specimen; `words` says it
    weights                 fractions, each a double: "3/8"
    found, verified         both sides by the method of the search and by the second one: ends as
                            hexadecimal floats, the relation, the scale, of a law the distance
    methods                 what the two methods are
    seed, effort            of the search
    sha256                  of all the rest, as JSON with sorted keys

Nothing in it is ever executed: a claim that is not installed comes from the file that the user
names. A witness replays if all numbers come out again, on another machine to nine digits, and both
methods still say that the claim is violated.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from theory.claim import CLAIMS, Claim, OutOfScopeError, Relation, Status
from theory.claim_files import claim_file
from theory.errors import InputError
from theory.evidence import Interval
from theory.falsify.counterexample import Counterexample
from theory.falsify.laboratory import LABORATORIES, Trial, trials
from theory.falsify.sides import Sides, sides

FORMAT = "advbounds witness 1"
_KEYS = {
    "format", "claim", "quantities", "laboratory", "structure", "weights", "words", "found",
    "verified", "methods", "seed", "effort", "sha256",
}  # fmt: skip
_OFF = 1e-9
"""Part of the scale by which values computed elsewhere may differ from those of the file."""


def witness_name(claim: str) -> str:
    """Return the file name of a claim's witness.

    Examples
    --------
    >>> witness_name("mine/few-regions")
    'mine.few-regions.json'
    """
    return claim.replace("/", ".") + ".json"


def write_witness(path: Path, example: Counterexample, seed: int, effort: str) -> None:
    """Write a counterexample to a file, whole or not at all."""
    content = witness(example, seed, effort)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


def witness(example: Counterexample, seed: int, effort: str) -> dict[str, Any]:
    """Return the JSON form of a counterexample."""
    claim, specimen = example.trial.claim, example.specimen
    source = claim_file(claim.id)
    file = None
    if source is not None:
        file = {"name": source.path.name, "sha256": source.sha256, "text": source.text}
    content: dict[str, Any] = {
        "format": FORMAT,
        "claim": {
            "id": claim.id,
            "status": str(claim.status),
            "kind": str(claim.kind),
            "says": claim.summary,
            "file": file,
        },
        "quantities": [str(quantity) for quantity in example.trial.quantities],
        "laboratory": example.trial.laboratory.name,
        "structure": asdict(specimen.structure),
        "weights": [str(Fraction(weight)) for weight in specimen.weights.tolist()],
        "words": specimen.words,
        "found": _sides(example.found),
        "verified": _sides(example.verified),
        "methods": [list(provider.methods) for provider in example.trial.providers],
        "seed": seed,
        "effort": effort,
    }
    return content | {"sha256": _checksum(content)}


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sides(each: Sides) -> dict[str, Any]:
    return {
        "left": [each.left.lower.hex(), each.left.upper.hex()],
        "relation": str(each.relation),
        "right": [each.right.lower.hex(), each.right.upper.hex()],
        "scale": each.scale.hex(),
        "at": None if each.at is None else each.at.hex(),
    }


@dataclass(frozen=True)
class Replay:
    """A witness computed again.

    Attributes
    ----------
    example : Counterexample
    words : str
        The structure.
    notes : tuple of str
        What differs from when it was written, and does not matter to the numbers.
    """

    example: Counterexample
    words: str
    notes: tuple[str, ...]

    @property
    def theorem(self) -> bool:
        """Whether what is violated is a theorem: then something here is wrong."""
        return self.example.trial.claim.status is Status.PROVED


def replay(path: Path) -> Replay:
    """Compute a witness again, by both methods.

    Raises
    ------
    InputError
        If the file is none, was changed, is of a claim that is not known, or its numbers do not
        come out again.
    """
    content = _read(path)
    claim = _claim(path, content["claim"])
    trial = _trial(path, claim, content)
    try:
        structure = trial.laboratory.read(content["structure"])
        weights = np.array([float(Fraction(each)) for each in content["weights"]], dtype=float)
        specimen = trial.laboratory.specimen(structure, weights)
        stored = [_read_sides(content[name]) for name in ("found", "verified")]
        again = [
            sides(trial, specimen, verified=i == 1, at=each.at) for i, each in enumerate(stored)
        ]
    except OutOfScopeError as reason:
        raise InputError(f"{path}: {claim.id} does not speak of it any more: {reason}") from reason
    except (ValueError, TypeError, KeyError, ZeroDivisionError, AttributeError) as error:
        raise InputError(f"{path}: bad witness: {error}") from error
    for old, new in zip(stored, again, strict=True):
        if not (_agree(old.left, new.left, new.scale) and _agree(old.right, new.right, new.scale)):
            raise InputError(f"{path}: does not replay: it says {old}, and here it is {new}")
        if not new.violated:
            raise InputError(f"{path}: does not replay: {new} holds")
    notes = []
    source, given = claim_file(claim.id), content["claim"]["file"]
    if given is not None and (source is None or source.sha256 != given["sha256"]):
        notes.append(f"{given['name']} is not the file that the witness was found with")
    found, verified = again
    return Replay(Counterexample(trial, specimen, found, verified), specimen.words, tuple(notes))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: no witness: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: no witness: its format is not '{FORMAT}'")
    missing = sorted(_KEYS - set(content)) or sorted(set(content) - _KEYS)
    if missing:
        raise InputError(f"{path}: bad witness: '{missing[0]}' is missing or does not belong there")
    checksum = content["sha256"]
    if _checksum({key: value for key, value in content.items() if key != "sha256"}) != checksum:
        raise InputError(f"{path}: the witness was changed: its SHA-256 is not the one it names")
    return content


def _claim(path: Path, given: Any) -> Claim:  # noqa: ANN401
    try:
        name, file = given["id"], given["file"]
    except (TypeError, KeyError) as error:
        raise InputError(f"{path}: bad witness: it names no claim") from error
    if name not in CLAIMS and file is not None:
        raise InputError(f"{path}: '{name}' is a claim of {file['name']}: name it after --claims")
    return CLAIMS[name]


def _trial(path: Path, claim: Claim, content: dict[str, Any]) -> Trial:
    for trial in trials(claim):
        names = [str(quantity) for quantity in trial.quantities]
        if names == content["quantities"] and trial.laboratory.name == content["laboratory"]:
            return trial
    known = ", ".join(LABORATORIES)
    raise InputError(
        f"{path}: {claim.id} is not tried on {content['quantities']} in the laboratory"
        f" '{content['laboratory']}'; laboratories: {known}"
    )


def _read_sides(given: dict[str, Any]) -> Sides:
    at = given["at"]
    return Sides(
        Interval(*(float.fromhex(end) for end in given["left"])),
        Interval(*(float.fromhex(end) for end in given["right"])),
        Relation(given["relation"]),
        float.fromhex(given["scale"]),
        None if at is None else float.fromhex(at),
    )


def _agree(one: Interval, two: Interval, scale: float) -> bool:
    off = _OFF * scale
    if math.isinf(max(one.upper, two.upper)) and one.upper != two.upper:
        return False
    return one.lower <= two.upper + off and two.lower <= one.upper + off
