"""The command `advbounds`: it finds the sub-commands that the layers register, and knows none."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points, version

from theory.errors import InputError

GROUP = "advbounds.commands"
EXIT_FINE, EXIT_VIOLATED, EXIT_INPUT, EXIT_UNMEASURED = 0, 1, 2, 3


@dataclass(frozen=True)
class Command:
    """One sub-command.

    Attributes
    ----------
    name, help : str
        Its name and one line on what it does.
    example : str
        A command line that works, shown by `--help`.
    configure : callable
        Adds the arguments to the sub-command's parser.
    run : callable
        Does the work and returns the exit code: 0 fine, 1 a theorem violated, 2 usage or input,
        3 some cells could not be measured.
    """

    name: str
    help: str
    example: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def log(line: str) -> None:
    """Write one line of progress to stderr; stdout is for data alone."""
    sys.stderr.write(line + "\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with the sub-commands of every installed layer and distribution."""
    commands: list[Command] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        commands.extend(point.load())
    examples = "\n".join(f"  {c.example:<58} {c.help}" for c in commands)
    parser = argparse.ArgumentParser(
        prog="advbounds",
        description="Robustness bounds against what networks really do.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("advbounds"))
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for command in commands:
        sub = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help,
            epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.configure(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit code."""
    try:
        arguments = build_parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except InputError as error:
        log(f"advbounds: error: {error}")
        return EXIT_INPUT
    except BrokenPipeError:
        # The reader (a pager, `head`) went away: nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FINE
    except KeyboardInterrupt:
        log(
            "advbounds: stopped; what was measured is kept, and the same command goes on from there"
        )
        return 130
    return code
