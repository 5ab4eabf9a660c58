"""Carries out the cells of a preset that have no record yet."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from empirics.config import Preset
from empirics.devices import prepare
from empirics.plan import Cell, plan
from empirics.progress import progress
from empirics.record import Record
from empirics.store import StorageError, Store
from empirics.times import note
from empirics.train import TrainingError
from empirics.workshop import Workshop
from theory.command import log
from theory.errors import InputError


@dataclass(frozen=True)
class Done:
    """What became of a cell.

    Attributes
    ----------
    cell : Cell
    record : Record or None
        None if it could not be measured.
    device : str
        "cpu", "cuda" or "mps".
    seconds : float
        Wall-clock time.
    reason : str
        Why there is no record.
    """

    cell: Cell
    record: Record | None
    device: str
    seconds: float = 0.0
    reason: str = ""


Executor = Callable[[Workshop, Sequence[Cell]], Iterator[Done]]
"""Carries out cells, in the order of a plan, and tells what became of each; it keeps the weights in
the workshop's store before it hands on the record of a training."""


def attempt(workshop: Workshop, cell: Cell) -> Done:
    """Carry out a cell; one that fails says why, a disk that is full stops everything."""
    begun = time.monotonic()
    record, reason = None, ""
    try:
        record = workshop.carry_out(cell)
    except StorageError:
        raise
    except (InputError, TrainingError, ArithmeticError, ValueError, RuntimeError) as error:
        reason = str(error)
    return Done(cell, record, workshop.device.type, time.monotonic() - begun, reason)


def one_process(workshop: Workshop, cells: Sequence[Cell]) -> Iterator[Done]:
    """Carry out cells one after the other, in this process."""
    for cell in cells:
        yield attempt(workshop, cell)


@dataclass(frozen=True)
class Summary:
    """How a run went.

    Attributes
    ----------
    measured, reused : int
        Cells carried out, and cells whose record was there.
    failed : tuple of str
        Titles of the cells that could not be measured.
    """

    measured: int
    reused: int
    failed: tuple[str, ...]


def run(
    preset: Preset,
    root: Path,
    device: torch.device,
    inputs: str | None = None,
    executor: Executor = one_process,
) -> Summary:
    """Measure every cell of a preset that has no record under `root` yet.

    A cell that fails is named and does not stop the others; what was measured before a kill is
    kept, and the next run goes on from there.

    Parameters
    ----------
    preset : Preset
    root : Path
        The build folder.
    device : torch.device
        Of this process.
    inputs : str, optional
        Fingerprint of the preset, kept with its plan; see `empirics.preset_files`.
    executor : callable
        Who carries out the cells.

    Raises
    ------
    InputError
        If the data are not found, or the records cannot be written.
    """
    prepare(device)
    store = Store(root)
    cells = plan(preset)
    workshop = Workshop(preset, store, device)
    workshop.check_weights()
    requests = [cell.request for cell in cells]
    store.put_plan(preset.name, requests, inputs, preset.companions, preset.chapters)
    todo = [cell for cell in cells if store.get(cell.request.id) is None]
    failed = []
    for done in progress(executor(workshop, todo), "all cells", len(todo)):
        request = done.cell.request
        if done.record is None:
            log(f"{request.title}: not measured: {done.reason}")
            failed.append(request.title)
        else:
            store.put(done.record)
            note(root, request, done.device, done.seconds)
    return Summary(len(todo) - len(failed), len(cells) - len(todo), tuple(failed))
