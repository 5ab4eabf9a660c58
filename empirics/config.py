"""Presets: TOML files that name data, plug-ins and settings, and never a claim."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empirics.data import DATASETS
from empirics.plugins import CLASSIFIERS, GENERATORS, MEASURES, describe
from empirics.preset_files import preset_names, read_preset
from empirics.settings import ConfigError, read_settings
from theory.errors import InputError, nearest
from theory.registry import Registry


@dataclass(frozen=True)
class Part:
    """One generator or classifier of a preset.

    Attributes
    ----------
    name, label : str
        Plug-in, and what figures and tables call it (the plug-in's name by default).
    plugin : object
        The plug-in's settings.
    weights : Path or None
        Weights to be used instead of training.
    """

    name: str
    label: str
    plugin: Any
    weights: Path | None = None

    def identity(self) -> dict[str, Any]:
        """Return the JSON form, complete: part of a request's subject."""
        identity = {"name": self.name, "label": self.label, "settings": describe(self.plugin)}
        if self.weights is not None:
            try:
                content = self.weights.read_bytes()
            except OSError as error:
                raise InputError(
                    f"{self.weights}: weights cannot be read ({error.strerror})"
                ) from error
            identity["weights_sha256"] = hashlib.sha256(content).hexdigest()
        return identity


@dataclass(frozen=True)
class Family:
    """A closed-form family: a classifier of known law on the identity generator."""

    generator: Part
    classifier: Part


@dataclass(frozen=True)
class Preset:
    """What a run trains and measures.

    Attributes
    ----------
    name, description : str
    data : str
        Name of the data set.
    seed : int
        Root of all random streams.
    companions : tuple of str
        Presets whose records, measured here or committed, join this one's in tables and figures.
    chapters : tuple of str
        Presets whose figures and tables, drawn from their records alone, stand beside this one's.
    teacher : Part or None
        The classifier that is trained on real data and labels generated images.
    generators, classifiers : tuple of Part
        Every classifier is trained and measured on every generator.
    image_classifiers : tuple of Part
        Trained on the data set's own images, and measured on its test images.
    families : tuple of Family
    measures : mapping from str to object
        Measures by name, with their settings.
    """

    name: str
    description: str
    data: str
    seed: int
    companions: tuple[str, ...]
    chapters: tuple[str, ...]
    teacher: Part | None
    generators: tuple[Part, ...]
    classifiers: tuple[Part, ...]
    image_classifiers: tuple[Part, ...]
    families: tuple[Family, ...]
    measures: Mapping[str, Any]


@dataclass(frozen=True)
class _Head:
    """The scalar keys of a preset."""

    description: str
    data: str
    seed: int = 0
    companions: tuple[str, ...] = ()
    chapters: tuple[str, ...] = ()


_TABLES = ("teacher", "generator", "classifier", "image_classifier", "family", "measure")


def load_preset(name: str, *, data: str | None = None) -> Preset:
    """Return the preset of this name, or of this .toml file.

    Parameters
    ----------
    name : str
        A name of `preset_names()`, or a path that ends in ".toml".
    data : str, optional
        Replaces the preset's data set; the preset is then called "name-data".

    Raises
    ------
    ConfigError
        Naming the file, the key, and what would be right.
    """
    file = read_preset(name)
    name, where = file.name, file.where
    try:
        table = tomllib.loads(file.content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    preset = _parse(name, table, where, file.base)
    if data is not None:
        changed = {"data": data, "name": f"{name}-{data}", "companions": (), "chapters": ()}
        preset = Preset(**{**vars(preset), **changed})
    if preset.data not in DATASETS:
        raise ConfigError(f"{where}: unknown data set: {nearest(preset.data, DATASETS)}")
    return preset


def _parse(name: str, table: Mapping[str, Any], where: str, base: Path) -> Preset:
    head_keys = [*_Head.__dataclass_fields__, *_TABLES]
    for key in table:
        if key not in head_keys:
            raise ConfigError(f"{where}: unknown key '{key}'; {nearest(key, head_keys)}")
    scalars = {key: value for key, value in table.items() if key not in _TABLES}
    head = read_settings(_Head, scalars, where)
    for key, others in (("companions", head.companions), ("chapters", head.chapters)):
        for other in others:
            if other not in preset_names():
                known = nearest(other, preset_names())
                raise ConfigError(f"{where}: {key}: unknown preset '{other}'; {known}")

    def parts(key: str, registry: Registry[Any]) -> tuple[Part, ...]:
        tables = table.get(key, [])
        if not isinstance(tables, list):
            raise ConfigError(f"{where}: '{key}' must be a list of tables, [[{key}]]")
        found = tuple(
            _part(item, registry, f"{where}: {key} {i}", base)
            for i, item in enumerate(tables, start=1)
        )
        labels = [part.label for part in found]
        for label in labels:
            if labels.count(label) > 1:
                raise ConfigError(f"{where}: two {key}s have the label '{label}'; give one another")
        return found

    teacher = table.get("teacher")
    measures = table.get("measure", {})
    for key, value in (("teacher", teacher or {}), ("measure", measures)):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: '{key}' must be a table, [{key}]")
    preset = Preset(
        name=name,
        description=head.description,
        data=head.data,
        seed=head.seed,
        companions=head.companions,
        chapters=head.chapters,
        teacher=_part(teacher, CLASSIFIERS, f"{where}: teacher", base) if teacher else None,
        generators=parts("generator", GENERATORS),
        classifiers=parts("classifier", CLASSIFIERS),
        image_classifiers=parts("image_classifier", CLASSIFIERS),
        families=tuple(
            _family(item, f"{where}: family {i}", base)
            for i, item in enumerate(table.get("family", []), start=1)
        ),
        measures={
            key: read_settings(MEASURES[key], value, f"{where}: measure.{key}")
            for key, value in measures.items()
        },
    )
    if preset.classifiers and preset.teacher is None:
        raise ConfigError(f"{where}: classifiers need a [teacher] that labels generated images")
    if not preset.measures:
        raise ConfigError(f"{where}: nothing to measure; add a table [measure.radii]")
    return preset


def _part(table: Mapping[str, Any], registry: Registry[Any], where: str, base: Path) -> Part:
    rest = dict(table)
    name = rest.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"{where}: key 'name' is missing; known: {', '.join(registry)}")
    label, weights = rest.pop("label", name), rest.pop("weights", None)
    for key, value in (("label", label), ("weights", weights)):
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{where}: {key} must be of type str, got {value!r}")
    plugin = read_settings(registry[name], rest, where)
    return Part(name, label, plugin, None if weights is None else base / weights)


def _family(table: Mapping[str, Any], where: str, base: Path) -> Family:
    rest = dict(table)
    dimension = rest.pop("latent_dimension", None)
    if dimension is None:
        raise ConfigError(f"{where}: key 'latent_dimension' is missing")
    generator = _part({"name": "identity", "latent_dimension": dimension}, GENERATORS, where, base)
    classifier = _part(rest, CLASSIFIERS, where, base)
    if not hasattr(classifier.plugin, "class_masses"):
        raise ConfigError(f"{where}: '{classifier.name}' has no closed form; use [[classifier]]")
    return Family(generator, classifier)
