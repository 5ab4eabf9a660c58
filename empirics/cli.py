"""Sub-commands of the empirical layer: run, freeze. Torch is imported only by `run`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from empirics.preset_files import fingerprint, read_preset
from empirics.store import Store, own_records, write_frozen
from empirics.times import freeze
from theory.command import (
    EXIT_FINE,
    EXIT_UNMEASURED,
    Command,
    log,
)
from theory.errors import InputError
from theory.table import text_table

if TYPE_CHECKING:
    from empirics.config import Preset
    from empirics.run import Executor


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", nargs="?", default="default", help="preset name or .toml file")
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder of the records")
    parser.add_argument("--data", help="another data set for the preset: mnist, fashion_mnist, ...")


def record_name(arguments: argparse.Namespace) -> str:
    """Return the name under which the records of `preset` and `--data` are kept."""
    name = Path(arguments.preset).stem if arguments.preset.endswith(".toml") else arguments.preset
    return f"{name}-{arguments.data}" if arguments.data else str(name)


def _configure_run(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="this process, or a Ray cluster: a core or a GPU for each cell",
    )
    parser.add_argument("--address", help="of the Ray cluster; by default that of this machine")
    parser.add_argument(
        "--gpu-share", type=float, default=1.0, help="part of a GPU that a cell on Ray takes"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the cells, with an estimate of their time"
    )


def _run(arguments: argparse.Namespace) -> int:
    file = read_preset(arguments.preset)
    inputs = fingerprint(file, arguments.data)
    name = record_name(arguments)
    there = Store(arguments.build).complete(name, inputs)
    if not arguments.dry_run and there is not None and arguments.device in ("auto", "cpu"):
        log(f"{name}: 0 cells done, {there} were there, 0 failed")
        return EXIT_FINE
    # Idle threads that spin for long make a run many times slower when others use the cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Torch takes seconds to import: only now, and no other command of this layer needs it.
    from empirics.config import load_preset
    from empirics.devices import resolve_device
    from empirics.run import one_process, run

    on_ray = arguments.executor == "ray"
    if not on_ray and (arguments.address is not None or arguments.gpu_share != 1):
        raise InputError("--address and --gpu-share are for --executor ray")
    executor: Executor = one_process
    if on_ray:
        from empirics.executors.on_ray import OnRay

        executor = OnRay(arguments.address, arguments.device, arguments.gpu_share)
    # A cluster's devices are none of this machine's, which only writes the files.
    device = resolve_device("cpu" if on_ray else arguments.device)
    preset = load_preset(arguments.preset, data=arguments.data)
    if arguments.dry_run:
        kind = arguments.device if on_ray and arguments.device != "auto" else device.type
        _list_cells(preset, arguments.build, kind)
        return EXIT_FINE
    summary = run(preset, arguments.build, device, inputs, executor)
    log(
        f"{preset.name}: {summary.measured} cells done, {summary.reused} were there,"
        f" {len(summary.failed)} failed"
    )
    return EXIT_UNMEASURED if summary.failed else EXIT_FINE


def _list_cells(preset: Preset, build: Path, device: str) -> None:
    """Print the cells of a preset, whether their records are there, and what they may take."""
    from empirics.plan import plan
    from empirics.times import Estimates

    store, estimates = Store(build), Estimates.of(build, device)
    rows, total, unknown = [], 0.0, 0
    for cell in plan(preset):
        if store.get(cell.request.id) is not None:
            rows.append(["there", "", "", cell.request.title])
            continue
        found = estimates.seconds(cell.request)
        unknown += found is None
        total += 0.0 if found is None else found[0]
        words = ["?", "unknown"] if found is None else [f"{found[0]:.1f}", found[1]]
        rows.append(["missing", *words, cell.request.title])
    text_table(["record", "seconds", "estimated from", "cell"], rows)
    missing = sum(row[0] == "missing" for row in rows)
    log(
        f"{preset.name}: {missing} of {len(rows)} cells to do on {device}, about"
        f" {total / 60:.1f} minutes" + (f" and {unknown} of unknown length" if unknown else "")
    )


def _freeze(arguments: argparse.Namespace) -> int:
    name = record_name(arguments)
    records, source = own_records(name, arguments.build)
    if source == "frozen":
        raise InputError(f"'{name}' was not run here: `advbounds run {name}` makes its records")
    path = write_frozen(name, records)
    freeze(arguments.build, [record.request for record in records])
    log(f"{path}: {len(records)} records, {path.stat().st_size // 1024} KiB")
    return EXIT_FINE


COMMANDS = (
    Command(
        "run",
        "train and measure a preset",
        "advbounds run default",
        _configure_run,
        _run,
    ),
    Command(
        "freeze",
        "commit the records of a preset with the package",
        "advbounds freeze default",
        _common,
        _freeze,
    ),
)
