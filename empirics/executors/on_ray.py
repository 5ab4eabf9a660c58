"""Cells on a Ray cluster: trainings before what needs them, a GPU or a core each.

The nodes need this package and the data set, and share no disk: weights travel through Ray's object
store, and the process that started the run writes every file. Nothing here is imported, and Ray is
not needed, unless a run asks for it.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from empirics.config import Part, Preset
from empirics.devices import prepare
from empirics.plan import Cell, plan
from empirics.record import Record, Request
from empirics.run import Done, attempt
from empirics.store import Store, write_safely
from empirics.workshop import Workshop
from theory.errors import InputError

_RETRIES = 5
"""How often a cell is carried out again after its process or its node died."""


@dataclass(frozen=True)
class Job:
    """What every cell of a run has in common.

    Attributes
    ----------
    preset : Preset
    device : str
        "cpu" or "cuda".
    given : mapping from Path to bytes
        Weights that the preset names.
    """

    preset: Preset
    device: str
    given: Mapping[Path, bytes]


@dataclass(frozen=True)
class Answer:
    """What a node sends back: as `empirics.run.Done`, and the weights of a training."""

    record: Record | None
    weights: bytes = b""
    seconds: float = 0.0
    reason: str = ""


class _NodeStore(Store):
    """A folder for one cell; states of trainings in progress stay on the node, for a retry."""

    def snapshot(self, request: Request) -> Path:
        folder = Path(tempfile.gettempdir()) / f"advbounds-{os.getuid()}"
        return folder / f"{request.id}.training"


def carry_out(job: Job, cell_id: str, needed: Sequence[str], weights: Sequence[Any]) -> Answer:
    """Carry out one cell on a node.

    Parameters
    ----------
    job : Job
    cell_id : str
    needed : sequence of str
        Ids of the trainings that the cell starts from.
    weights : sequence of ObjectRef
        Their weights, bytes.
    """
    import ray

    device = torch.device(job.device)
    prepare(device)
    with tempfile.TemporaryDirectory(prefix="advbounds-") as folder:
        store = _NodeStore(Path(folder))
        preset = _with_weights(job, store.root)
        cells = {cell.request.id: cell for cell in plan(preset)}
        if not {cell_id, *needed} <= cells.keys():
            node = os.uname().nodename
            return Answer(None, reason=f"{node} has another data set or another advbounds")
        for name, content in zip(needed, ray.get(list(weights)), strict=True):
            write_safely(store.checkpoint(cells[name].request), content)
        cell = cells[cell_id]
        done = attempt(Workshop(preset, store, device), cell)
        trained = done.record is not None and cell.measure is None
        content = store.checkpoint(cell.request).read_bytes() if trained else b""
        return Answer(done.record, content, done.seconds, done.reason)


def _with_weights(job: Job, folder: Path) -> Preset:
    """Return the preset with the weights that it names in files of this node."""
    preset, places = job.preset, dict[Path, Path]()
    for i, (path, content) in enumerate(job.given.items()):
        places[path] = folder / "given" / f"{i}.safetensors"
        write_safely(places[path], content)

    def here(part: Part) -> Part:
        return replace(part, weights=places[part.weights]) if part.weights else part

    return replace(
        preset,
        teacher=here(preset.teacher) if preset.teacher else None,
        generators=tuple(map(here, preset.generators)),
        classifiers=tuple(map(here, preset.classifiers)),
        image_classifiers=tuple(map(here, preset.image_classifiers)),
    )


def _given(preset: Preset) -> dict[Path, bytes]:
    parts = [*preset.generators, *preset.classifiers, *preset.image_classifiers]
    parts += [preset.teacher] if preset.teacher else []
    paths = [part.weights for part in parts if part.weights]
    return {path: path.read_bytes() for path in paths}


@dataclass(frozen=True)
class OnRay:
    """Carries out the cells of a preset on a Ray cluster.

    A process or a node that dies in the middle of a cell loses nothing else, and the cell is
    carried out again; a training whose weights were removed from the build folder is repeated where
    a cell needs them.

    Attributes
    ----------
    address : str or None
        Of the cluster; None for the one of this machine, which is started where there is none.
    device : str
        "cpu", "cuda", or "auto": cuda where the cluster has GPUs.
    share : float
        Part of a GPU that a cell takes, at most 1.
    """

    address: str | None = None
    device: str = "auto"
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise InputError(f"a Ray cluster has auto, cpu and cuda, not '{self.device}'")
        if not 0 < self.share <= 1:
            raise InputError(f"the share of a GPU must lie in (0, 1], got {self.share}")

    def __call__(self, workshop: Workshop, cells: Sequence[Cell]) -> Iterator[Done]:
        """Yield what became of each cell, as they end.

        Raises
        ------
        InputError
            If Ray is not installed, no cluster answers, or it has no GPU and is asked for one.
        """
        if not cells:
            return
        try:
            import ray
        except ImportError as error:
            hint = "`python -m pip install 'advbounds[ray]'`"
            raise InputError(f"Ray is not installed: {hint}") from error
        joined = ray.is_initialized()
        if not joined:
            try:
                ray.init(address=self.address, log_to_driver=False)
            except (ConnectionError, ValueError) as error:
                raise InputError(f"no Ray cluster at '{self.address}': {error}") from error
        try:
            yield from _Driver(ray, workshop, self).run(cells)
        finally:
            if not joined:
                ray.shutdown()


class _Driver:
    """Hands out cells whose trainings are there, and keeps the weights that come back."""

    def __init__(self, ray: Any, workshop: Workshop, settings: OnRay) -> None:  # noqa: ANN401
        has = ray.cluster_resources().get("GPU", 0) > 0
        if settings.device == "cuda" and not has:
            raise InputError("device 'cuda' is not available: no node of the cluster has a GPU")
        self.ray, self.workshop = ray, workshop
        self.device = "cuda" if has and settings.device != "cpu" else "cpu"
        gpus = settings.share if self.device == "cuda" else 0
        self.remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_RETRIES)(carry_out)
        self.job = ray.put(Job(workshop.preset, self.device, _given(workshop.preset)))
        self.weights: dict[str, Any] = {}

    def run(self, cells: Sequence[Cell]) -> Iterator[Done]:
        """Yield what became of each of these cells."""
        waiting, needs = self._with_lost_trainings(cells)
        asked = {cell.request.id for cell in cells}
        running: dict[Any, Cell] = {}
        failed: set[str] = set()
        while waiting or running:
            busy = {cell.request.id for cell in running.values()}
            # In the order of the plan: what rests on a failure fails in one pass.
            for name, cell in list(waiting.items()):
                broken = next((each for each in needs[name] if each.id in failed), None)
                if broken is not None:
                    failed.add(name)
                    if name in asked:
                        yield Done(cell, None, self.device, reason=f"{broken.title} failed")
                elif any(each.id in waiting or each.id in busy for each in needs[name]):
                    continue
                else:
                    refs = [self._weights_of(each) for each in needs[name]]
                    ids = [each.id for each in needs[name]]
                    running[self.remote.remote(self.job, name, ids, refs)] = cell
                del waiting[name]
                busy.add(name)
            if running:
                ended = self.ray.wait(list(running))[0][0]
                cell, answer = running.pop(ended), self._answer(ended)
                if answer.record is None:
                    failed.add(cell.request.id)
                elif cell.measure is None:
                    write_safely(self.workshop.store.checkpoint(cell.request), answer.weights)
                if cell.request.id in asked:
                    yield Done(cell, answer.record, self.device, answer.seconds, answer.reason)

    def _with_lost_trainings(
        self, cells: Sequence[Cell]
    ) -> tuple[dict[str, Cell], dict[str, list[Request]]]:
        """Return the cells and the trainings without weights that they need, and all needs."""
        every = {cell.request.id: cell for cell in plan(self.workshop.preset)}
        needs: dict[str, list[Request]] = {}
        left = [cell.request.id for cell in cells]
        while left:
            name = left.pop()
            if name not in needs:
                needs[name] = self.workshop.needs(every[name])
                store = self.workshop.store
                left += [each.id for each in needs[name] if not store.checkpoint(each).exists()]
        return {name: cell for name, cell in every.items() if name in needs}, needs

    def _weights_of(self, training: Request) -> Any:  # noqa: ANN401
        """Return a reference to weights in the object store."""
        if training.id not in self.weights:
            content = self.workshop.store.checkpoint(training).read_bytes()
            self.weights[training.id] = self.ray.put(content)
        return self.weights[training.id]

    def _answer(self, ended: Any) -> Answer:  # noqa: ANN401
        errors = self.ray.exceptions
        try:
            answer: Answer = self.ray.get(ended)
        except errors.RayTaskError:
            # An error of the program, as it would stop a run in one process.
            raise
        except errors.RayError as error:
            return Answer(None, reason=f"its process or node died too often: {error}")
        return answer
