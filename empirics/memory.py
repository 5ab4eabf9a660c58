"""What a cell does where the memory of the device runs out: the same with half the batch."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch

from empirics.processes import processes
from theory.command import log

R = TypeVar("R")


def within_memory(
    plugin: Any,  # noqa: ANN401
    attempt: Callable[[Any], R],
    title: str,
) -> tuple[R, dict[str, int]]:
    """Return what an attempt brings, and what a record must say of its batches.

    Where the device's memory runs out, the attempt is made again with half the plug-in's setting
    `batch`, as often as needed. The request keeps its name: who reads the record sees the batch
    that was used. Processes that train one network together do not halve: one of them alone would
    leave the others waiting.

    Parameters
    ----------
    plugin : object
        Settings of a measure, a generator or a classifier.
    attempt : callable
        From such settings to a result; begins anew each time.
    title : str
        Of the cell, for the message.

    Returns
    -------
    result : object
    facts : dict
        "batch_halved_to", if it was.

    Raises
    ------
    torch.OutOfMemoryError
        If there is no such setting, or its smallest value is still too large.
    """
    asked = plugin
    while True:
        try:
            result = attempt(plugin)
            break
        except torch.OutOfMemoryError:
            smaller = _halved(plugin)
            if smaller is None or processes().count > 1:
                raise
        # Out here nothing refers to the failed attempt any more: its memory can be given back.
        log(f"{title}: out of memory with batches of {plugin.batch}; again with {smaller.batch}")
        plugin = smaller
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return result, {} if plugin is asked else {"batch_halved_to": plugin.batch}


def _halved(plugin: Any) -> Any:  # noqa: ANN401
    """Return the settings with half the batch, or None if there is no such thing."""
    limits = [field.metadata for field in fields(plugin) if field.name == "batch"]
    if not limits or plugin.batch // 2 < limits[0].get("at_least", 1):
        return None
    return replace(plugin, batch=plugin.batch // 2)
