"""Plug-ins of one package and one entry-point group, found on the first look-up."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from theory.errors import InputError, nearest

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A read-only mapping from name to plug-in; modules register themselves when imported.

    The first look-up imports every module of `packages` and every entry point of `group` (of any
    installed distribution), whose decorators then call `register`. There is no list to edit.

    Parameters
    ----------
    kind : str
        What one item is called in error messages ("attack", "claim").
    packages : tuple of str
        Packages whose modules hold the plug-ins, one a file.
    group : str
        Entry-point group through which other distributions add theirs.
    """

    def __init__(self, kind: str, packages: tuple[str, ...], group: str) -> None:
        self.kind = kind
        self.packages = packages
        self.group = group
        self._items: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str, item: T) -> None:
        """Add an item; called by the decorators at import.

        Raises
        ------
        InputError
            If another item already has this name.
        """
        if name in self._items:
            raise InputError(f"two plug-ins register the {self.kind} '{name}'")
        self._items[name] = item

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        try:
            for package in self.packages:
                module = importlib.import_module(package)
                for info in pkgutil.iter_modules(module.__path__, package + "."):
                    importlib.import_module(info.name)
            for point in entry_points(group=self.group):
                point.load()
        except BaseException:
            self._loaded = False  # a plug-in that fails does so at every look-up, never silently
            raise

    def __getitem__(self, name: str) -> T:
        """Return the plug-in of this name; an unknown one raises InputError naming the nearest."""
        self._load()
        if name not in self._items:
            raise InputError(f"unknown {self.kind} '{name}': {nearest(name, self._items)}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        """Whether a plug-in of this name is registered."""
        self._load()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in alphabetical order."""
        self._load()
        return iter(sorted(self._items))

    def __len__(self) -> int:
        """Return the number of plug-ins."""
        self._load()
        return len(self._items)
