"""What captions say of where numbers come from: data, size of the training set, device, preset."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from empirics.preset_files import preset_names, read_preset
from empirics.record import Record
from figures.view import View
from figures.wording import escape, number

ORIGIN = ("generator", "image_classifier")
"""Roles whose trainings see the data and say how many images that are."""
_SMALL = "-small"
_NAMING = ("name", "label")


def measured_on(view: View, records: Sequence[Record]) -> str:
    """Return the sentences of a caption on the origin of what was measured, as LaTeX text.

    Data and variant, the size of the training set where a training has stated it, whether the
    generators are those of a small twin of a preset, and the devices.

    Parameters
    ----------
    view : View
        Holds the trainings too.
    records : sequence of Record
        The measurements that are shown.
    """
    names: dict[str, None] = {}
    for record in records:
        data = record.request.subject.get("data")
        if data is not None:
            names[_data_words(view, data)] = None
    sentences = [f"Data: {'; '.join(names)}."] if names else []
    twins = dict.fromkeys(twin for r in records if (twin := small_twin(r.request.subject)))
    if twins:
        whole = " and ".join(escape(twin.removesuffix(_SMALL)) for twin in twins)
        sentences.append(f"Networks are those of the small twin of {whole}.")
    devices = dict.fromkeys(str(r.provenance.get("device", "one device")) for r in records)
    if devices:
        sentences.append(f"Measured on {escape(' and '.join(devices))}.")
    return " ".join(sentences)


def _data_words(view: View, data: Mapping[str, Any]) -> str:
    name = str(data["name"])
    words = escape(f"{name} ({data['variant']})" if "variant" in data else name)
    sizes = sorted({int(n) for n in _training_sizes(view, data)})
    if not sizes:
        return words
    return f"{words}, {' to '.join(number(n) for n in _ends(sizes))} training images"


def _training_sizes(view: View, data: Mapping[str, Any]) -> Iterable[int]:
    for role in ORIGIN:
        for record in view.trained(role):
            if record.request.subject.get("data") == data and "n_train" in record.facts:
                yield record.facts["n_train"]


def count_words(counts: Iterable[int]) -> str:
    """Return how many, as LaTeX text: one number, or the least to the most.

    Examples
    --------
    >>> count_words([1000, 200, 1000]), count_words([5, 5])
    ('200 to 1{,}000', '5')
    """
    return " to ".join(number(n) for n in _ends(sorted(set(counts))))


def _ends(values: Sequence[int]) -> list[int]:
    return [values[0]] if len(values) == 1 else [values[0], values[-1]]


def small_twin(subject: Mapping[str, Any]) -> str | None:
    """Return the packaged preset, a small twin of another, whose generator this is; None if none.

    Examples
    --------
    >>> small_twin({"data": {"name": "mnist"}, "generator": {"name": "ppca", "settings": {}}})
    """
    generator, data = subject.get("generator"), subject.get("data")
    if generator is None or data is None:
        return None
    for name, table in _small_presets():
        if table.get("data") == data["name"] and any(
            _is_entry(entry, generator) for entry in table.get("generator", ())
        ):
            return name
    return None


def _is_entry(entry: Mapping[str, Any], generator: Mapping[str, Any]) -> bool:
    """Whether a part of a preset's file has the names and settings of a record's generator."""
    if entry["name"] != generator["name"]:
        return False
    if entry.get("label", entry["name"]) != generator.get("label", generator["name"]):
        return False
    settings = generator.get("settings", {})
    return all(settings.get(key) == value for key, value in entry.items() if key not in _NAMING)


@cache
def _small_presets() -> tuple[tuple[str, dict[str, Any]], ...]:
    known = set(preset_names())
    return tuple(
        (name, tomllib.loads(read_preset(name).content.decode()))
        for name in sorted(known)
        if name.endswith(_SMALL) and name.removesuffix(_SMALL) in known
    )


def generator_names(records: Iterable[Record]) -> dict[str, str]:
    """Return by record id what the generator is called: its label, with its data if need be.

    Two data sets of a preset and its companions may have generators of one label.
    """
    known = [
        (
            record.id,
            str(subject["generator"]["label"]),
            str(subject.get("data", {}).get("name", "")),
        )
        for record in records
        for subject in (record.request.subject,)
    ]
    pairs = {(label, data) for _, label, data in known}
    several = {label for label, _ in pairs if sum(label == other for other, _ in pairs) > 1}
    return {i: f"{label}, {data}" if label in several else label for i, label, data in known}


def by_generator(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return the records of each generator, by the names of `generator_names`."""
    shown = list(records)
    names = generator_names(shown)
    groups: dict[str, list[Record]] = {}
    for record in shown:
        groups.setdefault(names[record.id], []).append(record)
    return groups
