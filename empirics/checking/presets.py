"""What is trained and measured of one model, as a preset in memory."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from empirics.checking.efforts import Effort
from empirics.checking.needs import Needs
from empirics.config import Part, Preset
from empirics.plan import plan
from empirics.plugins import CLASSIFIERS, GENERATORS
from empirics.settings import read_settings
from empirics.store import Store, write_safely
from theory.registry import Registry

NAME = "check"
"""What the records of a check are filed under, in its own folder."""


def _part(table: Mapping[str, Any], registry: Registry[Any], where: str) -> Part:
    rest = dict(table)
    name = rest.pop("name")
    label = rest.pop("label", name)
    return Part(name, label, read_settings(registry[name], rest, f"{where}: {name}"))


def training_preset(model: Part, data: str, seed: int) -> Preset:
    """Return the preset that does nothing but train a model on the images of a data set."""
    return Preset(
        name=NAME,
        description=f"{model.label} on {data}",
        data=data,
        seed=seed,
        companions=(),
        chapters=(),
        teacher=None,
        generators=(),
        classifiers=(),
        image_classifiers=(model,),
        families=(),
        measures={},
    )


def checking_preset(
    model: Part, weights: Path, data: str, seed: int, needs: Needs, effort: Effort
) -> Preset:
    """Return the preset of all that claims need to know of a model.

    Parameters
    ----------
    model : Part
        As a classifier of the data set's own images; it may be trained on them.
    weights : Path
        Its weights: on generated images it is used as it is.
    data : str
    seed : int
    needs : Needs
    effort : Effort
    """
    preset = replace(training_preset(model, data, seed), measures=needs.measures)
    if not needs.with_generator:
        return preset
    where = f"effort {effort.name}"
    return replace(
        preset,
        teacher=_part(effort.teacher_of(data), CLASSIFIERS, where),
        generators=tuple(_part(t, GENERATORS, where) for t in effort.generators_of(data)),
        classifiers=(replace(model, weights=weights),),
    )


def adopt(preset: Preset, earlier: Path, folder: Path) -> int:
    """Take over what an earlier folder holds of a preset's records and weights.

    Equal requests have equal results, wherever they were carried out.

    Returns
    -------
    int
        How many records were taken.
    """
    source, target = Store(earlier), Store(folder)
    if earlier.resolve() == folder.resolve():
        return 0
    taken = 0
    for cell in plan(preset):
        request = cell.request
        record = None if target.get(request.id) else source.get(request.id)
        weights = source.checkpoint(request)
        if record is None or (request.action == "train" and not weights.is_file()):
            continue
        if request.action == "train":
            write_safely(target.checkpoint(request), weights.read_bytes())
        target.put(record)
        taken += 1
    return taken
