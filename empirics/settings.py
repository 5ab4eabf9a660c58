"""Settings of plug-ins: frozen dataclasses whose fields carry their allowed range.

`read_settings` is the one place where a TOML table meets a dataclass.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from theory.errors import InputError, nearest

S = TypeVar("S")


class ConfigError(InputError):
    """A preset that cannot be used; the message names the file, the key and what would be right."""


def setting(
    default: Any,  # noqa: ANN401
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    later: bool = False,
) -> Any:  # noqa: ANN401
    """Return a dataclass field with a default and an allowed range.

    One that was added later enters the identity of a request only where it is not at its default:
    what was measured before it existed keeps its name.
    """
    limits = {"at_least": at_least, "above": above, "at_most": at_most, "later": later or None}
    metadata = {name: limit for name, limit in limits.items() if limit is not None}
    return dataclasses.field(default=default, metadata=metadata)


def identity(settings: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the settings that name a request, as JSON values."""
    named: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if "later" in field.metadata and value == field.default:
            continue
        named[field.name] = list(value) if isinstance(value, tuple) else value
    return named


def _type_name(kind: Any) -> str:  # noqa: ANN401
    return getattr(kind, "__name__", str(kind))


def _coerce(value: Any, kind: Any, where: str) -> Any:  # noqa: ANN401
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return _coerce(value, kind, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, got {value!r}")
        return tuple(_coerce(v, arguments[0], f"{where}[{i}]") for i, v in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ConfigError(f"{where} must be of type {_type_name(kind)}, got {value!r}")
    return value


def _check_range(value: Any, limits: Mapping[str, float], where: str) -> None:  # noqa: ANN401
    for item in value if isinstance(value, tuple) else (value,):
        if item is None:
            continue
        if "at_least" in limits and not item >= limits["at_least"]:
            raise ConfigError(f"{where} must be at least {limits['at_least']}, got {item}")
        if "above" in limits and not item > limits["above"]:
            raise ConfigError(f"{where} must be above {limits['above']}, got {item}")
        if "at_most" in limits and not item <= limits["at_most"]:
            raise ConfigError(f"{where} must be at most {limits['at_most']}, got {item}")


def read_settings(cls: type[S], table: Mapping[str, Any], where: str) -> S:
    """Return an instance of a settings dataclass from a table of a preset.

    Parameters
    ----------
    cls : type
        A frozen dataclass.
    table : mapping
        Keys and values as TOML gave them.
    where : str
        File and table, for messages.

    Raises
    ------
    ConfigError
        On an unknown key (names the nearest known one), a wrong type, a value out of range, or a
        key that is missing.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Size:
    ...     n: int = setting(10, at_least=1)
    >>> read_settings(Size, {"n": 3}, "here")
    Size(n=3)
    """
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    kinds = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise ConfigError(f"{where}: unknown key '{key}'; {nearest(key, fields)}")
        place = f"{where}: {key}"
        values[key] = _coerce(value, kinds[key], place)
        _check_range(values[key], fields[key].metadata, place)
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING
        if required and field.default_factory is dataclasses.MISSING and name not in values:
            raise ConfigError(f"{where}: key '{name}' is missing")
    return cls(**values)
