"""The command `advbounds check`: claims meet the records of a preset, or a model from outside."""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from empirics.cli import record_name
from empirics.judge import Verdicts, judge_records, theorem_violated, verdicts_json
from empirics.store import preset_records, write_safely
from theory.claim_files import claims_option
from theory.command import EXIT_FINE, EXIT_UNMEASURED, EXIT_VIOLATED, Command, log
from theory.errors import InputError

_OF_A_MODEL = ("weights", "effort", "property", "seed", "device", "out")
"""Options that a preset has no use for."""


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", nargs="?", help="preset name or .toml file: judge its records")
    parser.add_argument(
        "--model",
        metavar="SPEC",
        help="a model to be measured and judged: FILE.py:NAME, package.module:NAME, timm:NAME,"
        " FILE.pt2 or FILE.onnx; a Python file is executed because you name it",
    )
    parser.add_argument("--weights", type=Path, help="its weights: .safetensors, or .pt of tensors")
    parser.add_argument(
        "--data", help="the data set it classifies; of a preset, another than its own"
    )
    parser.add_argument("--effort", help="quick, standard (default) or thorough")
    parser.add_argument("--claims", default="*", help="shell pattern of claim ids, or FILE.py")
    parser.add_argument("--property", type=Path, help="a VNN-LIB file: decide what it asserts")
    parser.add_argument("--seed", type=int, help="root of all random streams (default 0)")
    parser.add_argument("--device", help="auto (default), cpu, cuda or mps")
    parser.add_argument(
        "--out", type=Path, help="folder of report, records and verdicts (default BUILD/checks/...)"
    )
    parser.add_argument(
        "--build",
        type=Path,
        default=Path("build"),
        help="folder of a preset's records; of a model, of earlier trainings that serve again",
    )
    parser.add_argument("--alpha", type=float, default=0.05, help="level of the whole table")
    parser.add_argument(
        "--test",
        choices=("uniform", "grid"),
        default="uniform",
        help="laws are judged by one band (default), or by exact limits on a frozen grid, which see"
        " the tails",
    )


def _run(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.alpha <= 0.5:
        raise InputError(f"--alpha must lie in (0, 0.5], got {arguments.alpha}")
    if arguments.model is not None:
        return _check_model(arguments)
    given = [f"--{name}" for name in _OF_A_MODEL if getattr(arguments, name) is not None]
    if given:
        raise InputError(f"{', '.join(given)}: only with --model")
    arguments.preset = arguments.preset or "default"
    return _check_preset(arguments)


def _check_preset(arguments: argparse.Namespace) -> int:
    name, pattern = record_name(arguments), claims_option(arguments.claims)
    records, source = preset_records(name, arguments.build)
    verdicts = judge_records(records, arguments.alpha, pattern, arguments.test)
    if not verdicts:
        raise InputError(f"no claim matches '{pattern}'; `advbounds list` names them")
    write_safely(arguments.build / "verdicts.json", verdicts_json(verdicts).encode())
    _tell(verdicts)
    _count(verdicts, f"{name} ({source})")
    return EXIT_VIOLATED if theorem_violated(verdicts) else EXIT_FINE


def _check_model(arguments: argparse.Namespace) -> int:
    if arguments.preset is not None:
        raise InputError(f"either --model or a preset, not both: '{arguments.preset}'")
    if arguments.data is None and arguments.property is None:
        raise InputError("--model needs --data NAME: the data set that it classifies")
    # Idle threads that spin for long make a run many times slower when others use the cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Torch takes seconds to import, and judging the records of a preset does not need it.
    from empirics.checking.check import Settings, checked
    from empirics.checking.presets import NAME
    from empirics.checking.properties import records_of
    from empirics.checking.subject import Subject
    from figures.check_report import write_check_report

    subject = Subject(arguments.model, arguments.data or "", arguments.weights)
    done = checked(
        subject,
        Settings(
            claims=arguments.claims,
            effort=arguments.effort or "standard",
            seed=arguments.seed or 0,
            device=arguments.device or "auto",
            build=arguments.build,
            out=arguments.out,
            alpha=arguments.alpha,
            property=arguments.property,
            test=arguments.test,
        ),
    )
    # Before anything is drawn: what was found is told whatever becomes of a figure.
    _tell(done.verdicts)
    records = records_of(done.folder)
    for path in write_check_report(NAME, done.folder, records, done.verdicts, done.about):
        log(str(path))
    _count(done.verdicts, f"{subject.label}, {done.folder}")
    if theorem_violated(done.verdicts):
        return EXIT_VIOLATED
    return EXIT_UNMEASURED if done.failed else EXIT_FINE


def _tell(verdicts: Verdicts) -> None:
    """Write a line a verdict to stdout."""
    sys.stdout.write(f"{verdicts}\n")
    sys.stdout.flush()


def _count(verdicts: Verdicts, what: str) -> None:
    """Write to the log how many verdicts there are of each outcome."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    log(f"{what}: " + (", ".join(f"{n} {o}" for o, n in counts.items()) or "no verdict"))


COMMAND = Command(
    "check",
    "judge every claim on the records of a preset, or on a model",
    "advbounds check --model net.py:Net --data digits",
    _configure,
    _run,
)
