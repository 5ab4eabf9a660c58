"""How much work a check is: settings of trainings and measures, by name, as TOML gives them."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from theory.errors import InputError, nearest

EFFORTS = ("quick", "standard", "thorough")
_OTHER = "other"
_LIKE = {"fashion_mnist": "mnist"}
"""Data sets whose images are like those of another."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Effort:
    """What a check trains and measures; tables as in a preset.

    Attributes
    ----------
    name : str
    measures : mapping from str to mapping
        Settings by measure. What claims need and is not named here is measured with its defaults.
    training : mapping
        Settings of a `Training`, for a model that came without weights.
    teacher : mapping from str to mapping
        By data set, "other" for those that are not named: the classifier that labels generated
        images.
    generators : mapping from str to sequence of mapping
        By data set, likewise.
    left_out : tuple of str
        Measures that would take too long.
    most_units : mapping from str to int
        By measure that needs a piecewise-linear network: how many units it may have.
    """

    name: str
    measures: Mapping[str, Settings]
    training: Settings
    teacher: Mapping[str, Settings]
    generators: Mapping[str, Sequence[Settings]]
    left_out: tuple[str, ...] = ()
    most_units: Mapping[str, int] = field(default_factory=dict)

    def teacher_of(self, data: str) -> Settings:
        """Return the table of the classifier that labels generated images."""
        return self.teacher[_key(self.teacher, data)]

    def generators_of(self, data: str) -> Sequence[Settings]:
        """Return the tables of the generators of a data set."""
        return self.generators[_key(self.generators, data)]


def _key(by_data: Mapping[str, object], data: str) -> str:
    like = _LIKE.get(data, data)
    return next(name for name in (data, like, _OTHER) if name in by_data)


def effort_of(name: str) -> Effort:
    """Return the effort of this name.

    Raises
    ------
    InputError
        If there is none; the nearest name is named.

    Examples
    --------
    >>> effort_of("quick").generators_of("fashion_mnist")[0]["name"]
    'ppca'
    """
    if name not in EFFORTS:
        raise InputError(f"unknown effort '{name}': {nearest(name, EFFORTS)}")
    text = (resources.files("empirics") / "checking" / "efforts.toml").read_text()
    tables = tomllib.loads(text)
    own = tables[name]
    return Effort(
        name,
        own["measure"],
        own["training"],
        tables["teacher"],
        own["generators"],
        tuple(own["left_out"]),
        own["most_units"],
    )
