"""What all records together know of a subject."""

from collections.abc import Iterable, Mapping
from typing import Any

from empirics.record import Record, part_labels
from theory.errors import InputError
from theory.modulus import modulus_from_dict


def speaks_of(record: Record, subject: Mapping[str, Any]) -> bool:
    """Whether every part of the record's subject is a part of this subject.

    Examples
    --------
    >>> from empirics.record import Request
    >>> r = Record(Request("measure", "modulus", {}, {"generator": {"label": "vae"}}, 0))
    >>> speaks_of(r, {"generator": {"label": "vae"}, "classifier": {"label": "mlp"}})
    True
    """
    return all(subject.get(role) == part for role, part in record.request.subject.items())


_OF_THE_MEASUREMENT = frozenset({"n", "n_drawn", "not_found", "failed"})
"""What a record says of itself and not of its subject: how much was looked at, and what failed."""


def facts_about(subject: Mapping[str, Any], records: Iterable[Record]) -> dict[str, Any]:
    """Return the union of the facts of all records that speak of a subject.

    Those that two measurements of one subject may differ in, as how many points were looked at, are
    left out. Moduli come as `theory.modulus` objects, all else as it is stored.

    Raises
    ------
    InputError
        If two records state different values of one fact.
    """
    facts: dict[str, Any] = {}
    source: dict[str, str] = {}
    for record in records:
        if record.request.action != "measure" or not speaks_of(record, subject):
            continue
        for name, value in record.facts.items():
            if name in _OF_THE_MEASUREMENT:
                continue
            if name in facts and facts[name] != value:
                raise InputError(
                    f"records {source[name][:12]} and {record.id[:12]} disagree on '{name}'"
                )
            facts[name], source[name] = value, record.id
    return {
        name: [modulus_from_dict(item) for item in value] if name.startswith("moduli") else value
        for name, value in facts.items()
    }


def subject_label(subject: Mapping[str, Any]) -> str:
    """Return "generator · classifier", with the parts that the subject has."""
    return " · ".join(part_labels(subject))
