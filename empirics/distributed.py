"""Trains the classifiers of a preset by all processes that torchrun started; `run` does the rest.

    torchrun --nproc-per-node 4 --local-ranks-filter 0 -m empirics.distributed paper-cifar10

Only the first process reads and writes the build folder: what the others need is told to them.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import distributed

from empirics.config import Preset, load_preset
from empirics.devices import prepare, resolve_device
from empirics.plan import Cell, plan
from empirics.processes import processes
from empirics.run import Summary, attempt
from empirics.store import Store, write_safely
from empirics.train import TrainingError
from empirics.workshop import Workshop
from theory.command import EXIT_FINE, EXIT_INPUT, EXIT_UNMEASURED, log
from theory.errors import InputError

_PATIENCE = timedelta(days=7)
"""How long the others wait while the first process trains a generator."""


def train(preset: Preset, root: Path, device: torch.device, titles: str = "*") -> Summary:
    """Carry out the trainings of a preset that have no record under `root` yet.

    Classifiers are trained by all processes; a generator that one of them needs, by the first.

    Parameters
    ----------
    preset : Preset
    root : Path
        The build folder; only that of the first process is used.
    device : torch.device
        Of this process.
    titles : str
        Shell pattern of the titles of the classifiers' trainings.

    Returns
    -------
    Summary
        Of the trainings.
    """
    prepare(device)
    group = processes()
    first = group.rank == 0
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(root if first else Path(scratch))
        workshop = Workshop(preset, store, device)
        # What is wrong with one machine shows before any process waits for another.
        workshop.check_weights()
        n = len(workshop.data.train_labels)
        log(f"process {group.rank} of {group.count}: {device}, {n} training images")
        cells = {cell.request.id: cell for cell in plan(preset)}
        chosen = [cell for cell in cells.values() if _is_chosen(cell, titles)]
        wanted = _with_needs(workshop, chosen, cells)
        missing = [name for name in wanted if first and not _is_there(store, cells[name])]
        todo = json.loads(group.tell(json.dumps(missing).encode(), device))
        failed: set[str] = set()
        for name in todo:
            cell = cells[name]
            broken = [each for each in workshop.needs(cell) if each.id in failed]
            if broken:
                reason = f"{broken[0].title} failed"
            else:
                _tell_files(store, workshop, cell, device)
                # A fresh workshop: after joint training a module is not the one that was built.
                reason = _trained(Workshop(preset, store, device), cell, device)
            if reason:
                failed.add(name)
                if first:
                    log(f"{cell.request.title}: not trained: {reason}")
    titles_failed = tuple(cells[name].request.title for name in todo if name in failed)
    return Summary(len(todo) - len(failed), len(wanted) - len(todo), titles_failed)


def _is_chosen(cell: Cell, titles: str) -> bool:
    request = cell.request
    is_classifier = request.action == "train" and request.plugin != "generator"
    return is_classifier and fnmatchcase(request.title, titles)


def _with_needs(workshop: Workshop, chosen: Sequence[Cell], cells: dict[str, Cell]) -> list[str]:
    """Return the ids of these trainings and of all that they rest on, in the order of the plan."""
    found, left = set[str](), [cell.request.id for cell in chosen]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [each.id for each in workshop.needs(cells[name])]
    return [name for name in cells if name in found]


def _is_there(store: Store, cell: Cell) -> bool:
    return store.get(cell.request.id) is not None and store.checkpoint(cell.request).exists()


def _tell_files(store: Store, workshop: Workshop, cell: Cell, device: torch.device) -> None:
    """Give every process the weights that a training starts from, and what it kept if killed."""
    group = processes()
    files = [store.checkpoint(each) for each in workshop.needs(cell)]
    for path in [*files, store.snapshot(cell.request)]:
        there = group.rank == 0 and path.exists()
        content = group.tell(path.read_bytes() if there else b"", device)
        if content and group.rank:
            write_safely(path, content)


def _trained(workshop: Workshop, cell: Cell, device: torch.device) -> str:
    """Carry out a training; return why it failed, or nothing."""
    group = processes()
    record, reason = None, ""
    if cell.request.plugin == "generator":
        if group.rank == 0:
            done = attempt(workshop, cell)
            record, reason = done.record, done.reason
        reason = group.tell(reason.encode(), device).decode()
    else:
        try:
            record = workshop.carry_out(cell)
        except (InputError, TrainingError) as error:
            # These meet all processes alike; any other error ends them all.
            reason = str(error)
        if record is not None:
            origin = {**record.provenance, "processes": group.count}
            record = replace(record, provenance=origin)
    if record is not None and group.rank == 0:
        workshop.store.put(record)
    return reason


def _own_device(name: str) -> torch.device:
    device = resolve_device(name)
    if device.type == "mps":
        raise InputError("several processes train on cuda or on the CPU, not on mps")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    return device


def main(argv: Sequence[str] | None = None) -> int:
    """Train with the processes of torchrun, and return the exit code of `advbounds run`."""
    parser = argparse.ArgumentParser(
        prog="torchrun --nproc-per-node N -m empirics.distributed",
        description="Train the classifiers of a preset by several processes.",
    )
    parser.add_argument("preset", help="preset name or .toml file")
    parser.add_argument("--data", help="another data set for the preset")
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder of the records")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--only", default="*", help="shell pattern of the trainings' titles")
    arguments = parser.parse_args(argv)
    try:
        if "RANK" not in os.environ:
            raise InputError("start it by `torchrun --nproc-per-node N -m empirics.distributed`")
        device = _own_device(arguments.device)
        preset = load_preset(arguments.preset, data=arguments.data)
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)
        try:
            summary = train(preset, arguments.build, device, arguments.only)
        finally:
            distributed.destroy_process_group()
    except InputError as error:
        log(f"empirics.distributed: error: {error}")
        return EXIT_INPUT
    log(
        f"{preset.name}: {summary.measured} trainings done, {summary.reused} were there,"
        f" {len(summary.failed)} failed; `advbounds run` goes on"
    )
    return EXIT_UNMEASURED if summary.failed else EXIT_FINE


if __name__ == "__main__":
    sys.exit(main())
