"""Sub-commands: falsify, replay."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from theory.claim import CLAIMS, Claim, Status
from theory.command import EXIT_FINE, EXIT_VIOLATED, Command, log
from theory.errors import InputError

if TYPE_CHECKING:
    from theory.falsify.counterexample import Counterexample
    from theory.falsify.search import Tally


def _configure_falsify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "claim", nargs="?", help="id of a claim; not needed if --claims names a file of one"
    )
    parser.add_argument("--claims", type=Path, metavar="FILE.py", help="a file of claims of yours")
    parser.add_argument("--seed", type=int, default=0, help="of the search")
    parser.add_argument(
        "--effort", choices=("quick", "standard", "thorough"), default="standard",
        help="structures and weights that are tried",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("build/witnesses"),
        help="folder of the witness, and of what was tried: a search that was stopped goes on",
    )  # fmt: skip


def _falsify(arguments: argparse.Namespace) -> int:
    # Solvers and symbolic arithmetic are imported where they are used alone.
    from theory.falsify.laboratory import trials
    from theory.falsify.search import EFFORTS, Search
    from theory.falsify.witness import witness_name, write_witness

    claim = _chosen(arguments.claim, arguments.claims)
    if arguments.seed < 0:
        raise InputError(f"--seed must be at least 0, got {arguments.seed}")
    path: Path = arguments.out / witness_name(claim.id)
    searches = []
    for number, trial in enumerate(trials(claim)):
        journal = path.with_suffix(f".{arguments.effort}.{arguments.seed}.{number}.jsonl")
        search = Search(
            trial,
            arguments.seed,
            EFFORTS[arguments.effort],
            journal,
            _bar(f"{trial.name} in {trial.laboratory.name}"),
            lambda example: write_witness(path, example, arguments.seed, arguments.effort),
        )
        searches.append(search)
        example = search.run()
        if example is not None:
            write_witness(path, example, arguments.seed, arguments.effort)
            sys.stdout.write(f"{claim.id}: VIOLATED: {_said(example)}\n")
            sys.stdout.write(f"by {example.specimen.words}\nwitness {path}\n")
            return _code(claim)
    tallies = [search.tally for search in searches]
    tightest = min(tallies, key=lambda tally: tally.least)
    if tightest.least == float("inf"):
        why = tightest.reason or "no structure makes one"
        raise InputError(f"{claim.id} cannot be falsified here: no specimen is in scope: {why}")
    tried = sum(tally.structures for tally in tallies)
    evaluations = sum(tally.evaluations for tally in tallies)
    sys.stdout.write(
        f"{claim.id}: no counterexample in {tried} structures and {evaluations} evaluations; least"
        f" slack {tightest.least:.3g} of the larger side, by {tightest.tightest}\n"
    )
    return EXIT_FINE


def _chosen(name: str | None, file: Path | None) -> Claim:
    if file is None:
        if name is None:
            raise InputError("name a claim, or a file of one after --claims")
        return CLAIMS[name]
    from theory.claim_files import load_claims

    own = load_claims(file)
    if name is None:
        if len(own) > 1:
            raise InputError(f"{file} has several claims: name one of {', '.join(own)}")
        return CLAIMS[own[0]]
    return CLAIMS[name]


def _code(claim: Claim) -> int:
    if claim.status is Status.PROVED:
        log(f"{claim.id} is a theorem: a bug, here or in its encoding")
        return EXIT_VIOLATED
    return EXIT_FINE


def _said(example: "Counterexample") -> str:
    """Return the two values and what is claimed of them."""
    found, quantities = example.verified, example.trial.quantities
    if len(quantities) == 2:
        return f"{quantities[0]} is {found}, which is {quantities[1]}"
    what = str(quantities[0])
    kind = {"law": f"P({what} <= eta)", "mean": f"E {what}"}
    return f"{kind.get(str(example.trial.claim.kind), what)} is {found}"


def _bar(name: str) -> "Callable[[Tally], None]":
    from tqdm import tqdm

    # On a terminal alone: elsewhere it would fill a log with bars.
    bar = tqdm(desc=name, unit=" structures", disable=None, leave=False)

    def moved(tally: "Tally") -> None:
        bar.set_postfix_str(f"least slack {tally.least:.3g}", refresh=False)
        bar.update()

    return moved


def _configure_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("witness", type=Path, help="a file that `advbounds falsify` wrote")
    parser.add_argument(
        "--claims", type=Path, metavar="FILE.py", help="the file of its claim, if it is yours"
    )


def _replay(arguments: argparse.Namespace) -> int:
    from theory.claim_files import load_claims
    from theory.falsify.witness import replay

    if arguments.claims is not None:
        load_claims(arguments.claims)
    seen = replay(arguments.witness)
    for note in seen.notes:
        log(note)
    example = seen.example
    claim = example.trial.claim
    sys.stdout.write(f"{claim.id}: VIOLATED: {_said(example)}\nby {seen.words}\n")
    for quantity, provider in zip(example.trial.quantities, example.trial.providers, strict=True):
        sys.stdout.write(f"{quantity}: {provider.methods[0]}; {provider.methods[1]}\n")
    return _code(claim)


COMMANDS = (
    Command(
        "falsify",
        "search a counterexample to a claim, and store it as a witness",
        "advbounds falsify --claims my_claim.py --effort quick",
        _configure_falsify,
        _falsify,
    ),
    Command(
        "replay",
        "compute a witness again, and say whether it violates its claim",
        "advbounds replay build/witnesses/mine.few-regions.json",
        _configure_replay,
        _replay,
    ),
)
