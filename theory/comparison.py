"""Comparing two subjects: in what their parts differ, and claims that ask for one difference."""

from collections.abc import Mapping
from typing import Any

from theory.claim import Facts, OutOfScopeError

PARTS = ("data", "teacher", "generator", "classifier", "image_classifier")
"""The parts of a subject whose identities a comparison sees among the facts."""
_NAMELESS = frozenset({"label", "revision"})
"""What a part is called, and the version of its code: no property of what it does."""


def differences(first: Facts, second: Facts) -> dict[str, tuple[Any, Any]]:
    """Return in what two subjects differ: dotted names with the value of each side.

    Parameters
    ----------
    first, second : mapping
        Facts, with the parts of each subject among them: {"name", "label", "settings"}. Labels do
        not count. A setting that one side does not state, being at its default, is None there;
        between plug-ins of different names only settings that both state are compared.

    Returns
    -------
    dict
        Such as {"image_classifier.settings.activation": ("sigmoid", "relu")}.

    Examples
    --------
    >>> mlp = {"name": "mlp", "label": "a", "settings": {"hidden": [16], "steps": 100}}
    >>> deep = {"name": "mlp", "label": "b", "settings": {"hidden": [16, 16], "steps": 100}}
    >>> differences({"image_classifier": mlp}, {"image_classifier": deep})
    {'image_classifier.settings.hidden': ([16], [16, 16])}
    """
    found: dict[str, tuple[Any, Any]] = {}
    for part in PARTS:
        one, two = first.get(part), second.get(part)
        if one != two and not (isinstance(one, Mapping) and isinstance(two, Mapping)):
            found[part] = (one, two)
        elif isinstance(one, Mapping) and isinstance(two, Mapping):
            found |= _part_differences(part, one, two)
    return found


def _part_differences(
    part: str, one: Mapping[str, Any], two: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    alike = one.get("name") == two.get("name")
    for name in sorted((one.keys() | two.keys()) - _NAMELESS - {"settings"}):
        if one.get(name) != two.get(name):
            found[f"{part}.{name}"] = (one.get(name), two.get(name))
    mine, other = one.get("settings", {}), two.get("settings", {})
    stated = mine.keys() | other.keys() if alike else mine.keys() & other.keys()
    for name in sorted(stated - _NAMELESS):
        if mine.get(name) != other.get(name):
            found[f"{part}.settings.{name}"] = (mine.get(name), other.get(name))
    return found


def only_difference(first: Facts, second: Facts, *names: str) -> tuple[Any, Any]:
    """Return the two values of the one thing in which two subjects differ.

    Parameters
    ----------
    first, second : mapping
        Facts with the parts of each subject.
    names : str
        Dotted names, as `differences` gives them, of which one is to differ and nothing else.

    Raises
    ------
    OutOfScopeError
        If the two do not differ, or not in this alone; says in what they do.

    Examples
    --------
    >>> wide, narrow = ({"generator": {"settings": {"latent_dimension": d}}} for d in (20, 10))
    >>> only_difference(wide, narrow, "generator.settings.latent_dimension")
    (20, 10)
    """
    found = differences(first, second)
    if len(found) == 1 and (name := next(iter(found))) in names:
        return found[name]
    said = ", ".join(found) or "nothing"
    raise OutOfScopeError(f"the two differ in {said}, and not in {' or '.join(names)} alone")
