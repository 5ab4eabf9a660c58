"""Sub-commands of the theory layer: list, bound, prove."""

import argparse
import fnmatch
import sys
from typing import Any

import numpy as np

from theory.claim import CLAIMS, Claim, Kind
from theory.command import EXIT_FINE, EXIT_VIOLATED, Command
from theory.errors import InputError, nearest
from theory.parameter import Parameter
from theory.table import text_table


def _configure_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", default="", help="part of a claim id")


def _list(arguments: argparse.Namespace) -> int:
    found = [claim for name, claim in CLAIMS.items() if arguments.pattern in name]
    if not found:
        raise InputError(
            f"no claim has '{arguments.pattern}' in its id; known: {', '.join(CLAIMS)}"
        )
    rows = [
        [c.id, str(c.status), ", ".join(map(str, c.quantities)), str(c.ref), c.summary]
        for c in found
    ]
    text_table(["claim", "status", "quantities", "reference", "says"], rows)
    return EXIT_FINE


def _configure_bound(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("claim", help="id of a claim, such as fawzi2018/thm1")
    parser.add_argument(
        "given",
        nargs="*",
        metavar="name=value",
        help="eta=0.5,1 class_masses=0.7,0.2,0.1 (class_masses=10: ten equal ones) modulus=2"
        " (a Lipschitz constant); probability=0.25 in place of the distance inverts a law;"
        " what is not given has the standard value, which is printed",
    )


def _bound(arguments: argparse.Namespace) -> int:
    claim = CLAIMS[arguments.claim]
    if claim.bound is None:
        raise InputError(f"'{claim.id}' is no formula; formulas: {', '.join(_formulas())}")
    first = claim.bound.parameters[0]
    given = _parsed(claim, arguments.given)
    probability = given.pop("probability", None)
    values = claim.bound.standard(**given)
    try:
        if probability is not None:
            assert claim.bound.inverse is not None
            del values[first.name]
            inverted = claim.bound.inverse(np.asarray(probability), **values)
            _print_assumed(claim, values, given)
            sys.stdout.write(f"probability\t{first.name} <=\n")
            for q, distance in zip(probability, inverted, strict=True):
                sys.stdout.write(f"{q:.17g}\t{distance:.17g}\n")
            return EXIT_FINE
        results = np.atleast_1d(claim.bound.value(**values))
        logs = (
            np.atleast_1d(claim.bound.log_survival(**values)) if claim.bound.log_survival else None
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    _print_assumed(claim, values, given)
    relation = str(claim.relation)
    law = claim.kind is Kind.LAW
    heads = [
        first.name,
        f"P(r <= {first.name}) {relation}" if law else f"bound {relation}",
        "error",
    ]
    sys.stdout.write("\t".join([*heads, *(["log P(r > eta) <="] if logs is not None else [])]))
    places = np.broadcast_to(_shown(values[first.name]), results.shape)
    for j, (place, value) in enumerate(zip(places, results, strict=True)):
        row = [str(place), f"{value:.17g}", f"{float(claim.bound.error(value)):.1e}"]
        row += [] if logs is None else [f"{logs[j]:.17g}"]
        sys.stdout.write("\n" + "\t".join(row))
    sys.stdout.write("\n")
    return EXIT_FINE


def _shown(value: Any) -> Any:  # noqa: ANN401
    """Return what stands for a value in the first column: itself if real, its words otherwise."""
    try:
        return [f"{x:.17g}" for x in np.atleast_1d(np.asarray(value, dtype=np.float64))]
    except (TypeError, ValueError):
        return [str(value)]


def _print_assumed(claim: Claim, values: dict[str, Any], given: dict[str, Any]) -> None:
    assert claim.bound is not None
    rest = [p for p in claim.bound.parameters if p.name in values and p.name not in given]
    for parameter in rest:
        sys.stderr.write(f"{parameter.name} = {values[parameter.name]} ({parameter.what})\n")


def _parsed(claim: Claim, words: list[str]) -> dict[str, Any]:
    assert claim.bound is not None
    known: dict[str, Parameter | None] = {p.name: p for p in claim.bound.parameters}
    if claim.bound.inverse is not None:
        known["probability"] = None
    given: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"expected name=value, got '{word}'")
        if name not in known:
            raise InputError(f"'{claim.id}' has no parameter '{name}': {nearest(name, known)}")
        parameter = known[name]
        try:
            given[name] = (
                parameter.domain.parse(text)
                if parameter is not None
                else [float(part) for part in text.split(",")]
            )
        except ValueError as error:
            raise InputError(f"{name}: {error}") from error
    if "probability" in given and claim.bound.parameters[0].name in given:
        raise InputError(f"give either probability or {claim.bound.parameters[0].name}, not both")
    return given


def _formulas() -> list[str]:
    return [name for name, claim in CLAIMS.items() if claim.bound is not None]


def _configure_prove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("claim", help="id of a claim, or a shell pattern such as 'fawzi2018/*'")
    parser.add_argument("--latex", action="store_true", help="LaTeX in place of plain text")


def _prove(arguments: argparse.Namespace) -> int:
    # Computer algebra is imported where it is used alone: it takes longer than all else together.
    from theory.proof import PROOFS, prove, statement
    from theory.wording import plain_text

    names = [name for name in CLAIMS if fnmatch.fnmatch(name, arguments.claim)]
    if not names:
        names = [CLAIMS[arguments.claim].id]
    shown = str if arguments.latex else plain_text
    failed = 0
    for name in names:
        claim = CLAIMS[name]
        sys.stdout.write(f"{name} ({claim.status}; {claim.ref})\n{shown(statement(claim))}\n")
        if name not in PROOFS:
            sys.stdout.write("  no proof is registered\n")
            continue
        for step, holds in prove(name):
            failed += not holds
            mark = step.method if holds else f"FAILS, {step.method}"
            sys.stdout.write(f"  [{mark}] {shown(step.says)}\n")
        sys.stdout.write("\n")
    return EXIT_VIOLATED if failed else EXIT_FINE


COMMANDS = (
    Command(
        "list",
        "the claims: theorems and conjectures",
        "advbounds list fawzi",
        _configure_list,
        _list,
    ),
    Command(
        "bound",
        "evaluate the bound of a claim, or invert it",
        "advbounds bound fawzi2018/thm1 eta=0.5,1 class_masses=10",
        _configure_bound,
        _bound,
    ),
    Command(
        "prove",
        "state a claim and run its proof's machine-checked steps",
        "advbounds prove fawzi2018/thm1-balanced",
        _configure_prove,
        _prove,
    ),
)
