"""A record: what was asked, what was seen, what is known of the subject, and where it came from."""

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.evidence import Interval, Radii

Evidence = Interval | Radii
Arrays = Mapping[str, npt.NDArray[Any]]
SCHEMA = 1


def canonical_json(value: Any) -> str:  # noqa: ANN401
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


_NAMING_ROLES = ("generator", "classifier", "image_classifier")
_GROUP_ROLES = ("classifiers", "image_classifiers")


def part_labels(subject: Mapping[str, Any]) -> list[str]:
    """Return what a subject is called by: the labels of its generator and of its classifiers."""
    labels = [
        part["label"] if isinstance(part, Mapping) else str(part)
        for role in _NAMING_ROLES
        if (part := subject.get(role)) is not None
    ]
    groups = [subject[role] for role in _GROUP_ROLES if role in subject]
    return labels + [" + ".join(part["label"] for part in group) for group in groups]


@dataclass(frozen=True)
class Request:
    """What is to be trained or measured, complete: equal requests have equal results.

    Attributes
    ----------
    action : str
        "train" or "measure".
    plugin : str
        Name of the measure, or of the role that is trained ("generator", "classifier", ...).
    settings : mapping
        The measure's settings, all of them, JSON values.
    subject : mapping
        What it is done to, by role: "data", "teacher", "generator", "classifier",
        "image_classifier"; or several, as lists: "classifiers", "image_classifiers".
    seed : int
        Root of the random streams.
    """

    action: str
    plugin: str
    settings: Mapping[str, Any]
    subject: Mapping[str, Any]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema": SCHEMA,
            "action": self.action,
            "plugin": self.plugin,
            "settings": self.settings,
            "subject": self.subject,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Request":
        """Return the request of this JSON form."""
        names = ("action", "plugin", "settings", "subject", "seed")
        return cls(**{name: data[name] for name in names})

    @cached_property
    def id(self) -> str:
        """SHA-256 of the canonical JSON form: the name of the record."""
        return hashlib.sha256(canonical_json(self.to_dict()).encode()).hexdigest()

    @property
    def title(self) -> str:
        """A short name for progress lines and messages: "radii · vae · mlp"."""
        head = self.plugin if self.action == "measure" else f"{self.action} {self.plugin}"
        return " · ".join([head, *part_labels(self.subject)])


@dataclass(frozen=True)
class Record:
    """The outcome of a request.

    Attributes
    ----------
    request : Request
    evidence : mapping from str to Interval or Radii
        By quantity, "r_in[l2]".
    facts : mapping
        What is now known of the subject, JSON values.
    arrays : mapping from str to ndarray
        What figures show: images, curves.
    provenance : mapping
        Versions, device and precision; nothing that changes between two runs on one machine.
    """

    request: Request
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The request's id."""
        return self.request.id

    def to_parts(self) -> tuple[dict[str, Any], bytes]:
        """Return the JSON form and the bytes of the .npz file beside it."""
        arrays = dict(self.arrays)
        evidence: dict[str, Any] = {}
        for name, seen in self.evidence.items():
            if isinstance(seen, Radii):
                arrays[f"{name}.lower"], arrays[f"{name}.upper"] = outward(seen)
                evidence[name] = {"kind": "radii", "n": seen.n}
            else:
                ends = [end if np.isfinite(end) else None for end in (seen.lower, seen.upper)]
                evidence[name] = {"kind": "interval", "lower": ends[0], "upper": ends[1]}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **dict(sorted(arrays.items())))  # type: ignore[arg-type]
        packed = buffer.getvalue()
        return {
            "id": self.id,
            "request": self.request.to_dict(),
            "evidence": evidence,
            "facts": self.facts,
            "provenance": self.provenance,
            "arrays_sha256": hashlib.sha256(packed).hexdigest(),
        }, packed

    @classmethod
    def from_parts(cls, data: Mapping[str, Any], packed: bytes) -> "Record":
        """Return the record of these parts.

        Raises
        ------
        ValueError
            If the parts are incomplete, do not belong together, or were changed.
        """
        try:
            request = Request.from_dict(data["request"])
            if request.id != data["id"]:
                raise ValueError("its request does not have its id")
            if hashlib.sha256(packed).hexdigest() != data["arrays_sha256"]:
                raise ValueError("its arrays were cut short or changed")
            with np.load(io.BytesIO(packed), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            evidence: dict[str, Evidence] = {}
            for name, seen in data["evidence"].items():
                if seen["kind"] == "radii":
                    lower, upper = arrays.pop(f"{name}.lower"), arrays.pop(f"{name}.upper")
                    evidence[name] = Radii(lower.astype(np.float64), upper.astype(np.float64))
                else:
                    ends = (seen["lower"], seen["upper"])
                    evidence[name] = Interval(
                        -np.inf if ends[0] is None else ends[0],
                        np.inf if ends[1] is None else ends[1],
                    )
            return cls(request, evidence, data["facts"], arrays, data["provenance"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"it is not a complete record ({error!r})") from error

    def to_line(self) -> str:
        """Return the record as one line of a .jsonl file, arrays included."""
        data, packed = self.to_parts()
        text = base64.b64encode(zlib.compress(packed, 9)).decode()
        return canonical_json({"record": data, "arrays": text})

    @classmethod
    def from_line(cls, line: str) -> "Record":
        """Return the record of one line of a .jsonl file; a bad one raises ValueError."""
        outer = json.loads(line)
        try:
            packed = zlib.decompress(base64.b64decode(outer["arrays"]))
            return cls.from_parts(outer["record"], packed)
        except (KeyError, TypeError, zlib.error) as error:
            raise ValueError(f"it is not a complete record ({error!r})") from error


def outward(radii: Radii) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the intervals in single precision, each end rounded away from the other."""
    lower, upper = radii.lower.astype(np.float32), radii.upper.astype(np.float32)
    down = np.nextafter(lower, np.float32(-np.inf))
    up = np.nextafter(upper, np.float32(np.inf))
    return (
        np.maximum(np.where(lower > radii.lower, down, lower), np.float32(0)),
        np.where(upper < radii.upper, up, upper),
    )
