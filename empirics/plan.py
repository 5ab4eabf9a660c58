"""From a preset to the requests it stands for; nothing is loaded or trained here."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from empirics.config import Part, Preset
from empirics.data import locate
from empirics.plugins import MeasurePlugin, describe
from empirics.record import Request

_TRAINED_WITH = {
    "teacher": ("teacher",),
    "generator": ("generator",),
    "classifier": ("teacher", "generator", "classifier"),
    "image_classifier": ("image_classifier",),
}
"""The parts that decide the weights of each role."""
_GROUPS = ("classifiers", "classifier_pair", "image_classifiers")
"""Roles of several classifiers at once."""


@dataclass(frozen=True)
class Cell:
    """One request, with the parts of the preset that its subject was made from.

    Attributes
    ----------
    request : Request
    parts : mapping from str to Part
        By role.
    group : tuple of Part
        The classifiers of a measure that speaks of several.
    measure : MeasurePlugin or None
        None for a training.
    """

    request: Request
    parts: Mapping[str, Part] = field(repr=False)
    measure: MeasurePlugin | None = None
    group: tuple[Part, ...] = ()

    @property
    def member_role(self) -> str:
        """The role of each classifier of the group."""
        return "classifier" if "generator" in self.parts else "image_classifier"


def _subject(preset: Preset, parts: Mapping[str, Part], on_data: bool) -> dict[str, Any]:
    data = {"data": {"name": preset.data, "variant": locate(preset.data)}} if on_data else {}
    return {**data, **{role: part.identity() for role, part in parts.items()}}


def training_request(preset: Preset, role: str, parts: Mapping[str, Part]) -> Request:
    """Return the request that trains one part: its id names the checkpoint."""
    needed = {name: parts[name] for name in _TRAINED_WITH[role]}
    return Request("train", role, {}, _subject(preset, needed, True), preset.seed)


def _trainings(preset: Preset, role: str, parts: Mapping[str, Part]) -> list[Cell]:
    if parts[role].weights is not None:
        return []
    return [Cell(training_request(preset, role, parts), parts)]


def _measurements(preset: Preset, parts: Mapping[str, Part], on_data: bool) -> list[Cell]:
    cells = []
    for name, plugin in preset.measures.items():
        spoken_of = set(plugin.roles) & {"generator", "classifier", "image_classifier", *_GROUPS}
        if spoken_of != parts.keys() - {"teacher"} or (plugin.needs_data and not on_data):
            continue
        wanted = {role: part for role, part in parts.items() if role in plugin.roles}
        subject = _subject(preset, wanted, on_data)
        request = Request("measure", name, describe(plugin), subject, preset.seed)
        cells.append(Cell(request, wanted, plugin))
    return cells


def _of_groups(
    preset: Preset, parts: Mapping[str, Part], classifiers: tuple[Part, ...]
) -> list[Cell]:
    """Return the cells of the measures that speak of several classifiers at once."""
    cells = []
    generated = "generator" in parts
    for name, plugin in preset.measures.items():
        groups: list[tuple[Part, ...]] = []
        if ("classifiers" if generated else "image_classifiers") in plugin.roles:
            groups = [classifiers] if classifiers else []
        elif generated and "classifier_pair" in plugin.roles:
            groups = list(itertools.combinations(classifiers, 2))
        wanted = {role: part for role, part in parts.items() if role in plugin.roles}
        key = "classifiers" if generated else "image_classifiers"
        for group in groups:
            members = {key: [part.identity() for part in group]}
            subject = {**_subject(preset, wanted, on_data=True), **members}
            request = Request("measure", name, describe(plugin), subject, preset.seed)
            cells.append(Cell(request, {**parts}, plugin, group))
    return cells


def plan(preset: Preset) -> list[Cell]:
    """Return the cells of a preset, each after those it depends on, none twice.

    Raises
    ------
    InputError
        If the data set is not found.
    """
    cells: list[Cell] = []
    labeller = {} if preset.teacher is None else {"teacher": preset.teacher}
    if labeller:
        cells += _trainings(preset, "teacher", labeller)
    for generator in preset.generators:
        alone = {"generator": generator}
        cells += _trainings(preset, "generator", alone)
        cells += _measurements(preset, {**labeller, **alone}, on_data=True)
        for classifier in preset.classifiers:
            parts = {**labeller, **alone, "classifier": classifier}
            cells += _trainings(preset, "classifier", parts)
            cells += _measurements(preset, parts, on_data=True)
        cells += _of_groups(preset, {**labeller, **alone}, preset.classifiers)
    for classifier in preset.image_classifiers:
        parts = {"image_classifier": classifier}
        cells += _trainings(preset, "image_classifier", parts)
        cells += _measurements(preset, parts, on_data=True)
    cells += _of_groups(preset, {}, preset.image_classifiers)
    for family in preset.families:
        alone = {"generator": family.generator}
        cells += _measurements(preset, alone, on_data=False)
        pair = {**alone, "classifier": family.classifier}
        cells += _measurements(preset, pair, on_data=False)
    return list({cell.request.id: cell for cell in cells}.values())
