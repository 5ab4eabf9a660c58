"""The commands `advbounds check`, `advbounds draw` and `advbounds report`."""

import argparse
import sys
from pathlib import Path

from figures import check_command
from theory.command import EXIT_FINE, EXIT_UNMEASURED, Command
from theory.errors import InputError


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", nargs="?", default="default", help="preset name or .toml file")
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder of the records")
    parser.add_argument("--data", help="the data set that the preset was run with, if another")
    parser.add_argument("--alpha", type=float, default=0.05, help="level of the whole table")


def _configure_draw(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--only", metavar="NAME", help="draw this figure or table alone")


def _draw(arguments: argparse.Namespace, only: str | None = None) -> tuple[str, int]:
    """Draw, and return the name of the records and the exit code."""
    # What is drawn with takes a second to import, and no other command needs it.
    from empirics.cli import record_name
    from figures.draw import draw

    if not 0 < arguments.alpha <= 0.5:
        raise InputError(f"--alpha must lie in (0, 0.5], got {arguments.alpha}")
    name = record_name(arguments)
    complete = draw(name, arguments.build, only, arguments.alpha)
    return name, EXIT_FINE if complete else EXIT_UNMEASURED


def _run_draw(arguments: argparse.Namespace) -> int:
    return _draw(arguments, arguments.only)[1]


def _run_report(arguments: argparse.Namespace) -> int:
    from figures.report import write_report

    name, code = _draw(arguments)
    for path in write_report(name, arguments.build):
        sys.stdout.write(f"{path}\n")
    return code


COMMANDS = (
    check_command.COMMAND,
    Command(
        "draw",
        "draw every figure and table from records",
        "advbounds draw default --only laws",
        _configure_draw,
        _run_draw,
    ),
    Command(
        "report",
        "write report.md and a self-contained report.html",
        "advbounds report default",
        _common,
        _run_report,
    ),
)
