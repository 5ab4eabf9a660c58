"""The command `advbounds data`: what is there, and the download of what is not."""

import argparse
import sys
from pathlib import Path

from empirics.data.fetch import fetch
from empirics.data.source import DATASETS, ROOT_VARIABLE, data_root, locate
from theory.command import EXIT_FINE, Command, log
from theory.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions `fetch` and `list`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    fetching = actions.add_parser("fetch", help="download a data set and check it")
    fetching.add_argument("name", help="a data set; `advbounds data list` shows them")
    listing = actions.add_parser("list", help="show every data set and where it was found")
    for action in (fetching, listing):
        action.add_argument(
            "--root",
            type=Path,
            metavar="DIR",
            help=f"the folder of all data sets (default: ${ROOT_VARIABLE}, else data)",
        )


def run(arguments: argparse.Namespace) -> int:
    """Do one action."""
    if arguments.action == "fetch":
        return run_fetch(arguments.name, arguments.root)
    return run_list(arguments.root)


def run_fetch(name: str, root: Path | None) -> int:
    """Download what is missing of one data set."""
    source = DATASETS[name]
    if not source.files:
        log(f"{name}: comes with the installation, nothing to download")
    fetch(source.files, source.folder(data_root(root)))
    return EXIT_FINE


def run_list(root: Path | None) -> int:
    """Write a line for each data set: name, variant, and where it is or was looked for."""
    for name in DATASETS:
        try:
            variant, where = locate(name, root), str(DATASETS[name].folder(data_root(root)))
        except InputError as error:
            variant, where = "-", str(error)
        sys.stdout.write(f"{name:<14} {variant:<15} {where}\n")
    return EXIT_FINE


COMMANDS: tuple[Command, ...] = (
    Command(
        name="data",
        help="list the data sets, or download one and check it",
        example="advbounds data fetch mnist",
        configure=configure,
        run=run,
    ),
)
