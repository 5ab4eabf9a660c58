"""The files of presets, and a fingerprint of all that decides their records; no torch in here."""

import hashlib
import tomllib
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import entry_points, version
from pathlib import Path

from empirics.data import locate
from empirics.record import canonical_json
from empirics.settings import ConfigError
from theory.errors import InputError, nearest

_GROUPS = ("generators", "classifiers", "measures", "attacks", "transformations", "datasets")


@dataclass(frozen=True)
class PresetFile:
    """The text of a preset.

    Attributes
    ----------
    name : str
        What its records are filed under.
    where : str
        What messages call it.
    base : Path
        Folder from which the paths in it start.
    content : bytes
    """

    name: str
    where: str
    base: Path
    content: bytes


def preset_names() -> list[str]:
    """Return the names of the presets that come with the package."""
    folder = resources.files("empirics") / "presets"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir())


def read_preset(name: str) -> PresetFile:
    """Return the file of the preset of this name, or of this path that ends in ".toml".

    Raises
    ------
    ConfigError
        If there is none; the nearest name is named.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"{name}: no such preset file")
        return PresetFile(path.stem, name, path.parent, path.read_bytes())
    if name not in preset_names():
        raise ConfigError(f"unknown preset '{name}': {nearest(name, preset_names())}")
    content = (resources.files("empirics") / "presets" / f"{name}.toml").read_bytes()
    return PresetFile(name, f"preset {name}", Path(), content)


def packaged_presets(name: str, key: str) -> tuple[str, ...]:
    """Return the presets that one that comes with the package names; none of any other.

    Parameters
    ----------
    name : str
    key : {"companions", "chapters"}
    """
    if name not in preset_names():
        return ()
    named = tomllib.loads(read_preset(name).content.decode()).get(key, ())
    return tuple(str(other) for other in named)


def fingerprint(file: PresetFile, data: str | None) -> str | None:
    """Return a hash of all that decides which records a preset stands for.

    It covers the preset, the data set's variant, this package's code and its plug-ins from other
    distributions. A run whose plan bears the same one and whose records are whole has nothing to
    do. None where weights are read from other files, or something is wrong that a run will say.
    """
    if b"weights" in file.content:
        return None
    try:
        name = data or tomllib.loads(file.content.decode())["data"]
        variant = locate(name)
    except (ValueError, KeyError, TypeError, InputError):
        return None
    digest = hashlib.sha256(file.content)
    others = [
        (point.group, point.name, point.value, point.dist.version if point.dist else "")
        for group in _GROUPS
        for point in entry_points(group=f"advbounds.{group}")
    ]
    digest.update(canonical_json([name, variant, version("torch"), others]).encode())
    for package in ("theory", "empirics"):
        root = Path(str(resources.files(package)))
        for path in sorted(root.rglob("*.py")):
            digest.update(f"\0{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
