"""Sub-commands of the theory layer: list, bound."""

import argparse
import sys

import numpy as np

from theory.claim import CLAIMS, Kind, OutOfScopeError, Quantity
from theory.command import EXIT_FINE, Command
from theory.errors import InputError
from theory.modulus import LipschitzModulus
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
    parser.add_argument("claim", help="id of a law claim, such as fawzi2018/thm1")
    parser.add_argument("--eta", type=float, nargs="+", required=True, help="distances")
    masses = parser.add_mutually_exclusive_group(required=True)
    masses.add_argument("--masses", type=float, nargs="+", help="class masses, summing to 1")
    masses.add_argument("--classes", type=int, help="this many classes of equal mass")
    parser.add_argument(
        "--lipschitz", type=float, default=1.0, help="constant of the generator (default 1)"
    )
    parser.add_argument("--quantity", default="r_in[l2]", help="default: r_in[l2]")


def _bound(arguments: argparse.Namespace) -> int:
    claim = CLAIMS[arguments.claim]
    if claim.kind is not Kind.LAW:
        raise InputError(f"'{claim.id}' is no law; laws: {', '.join(_laws())}")
    if arguments.classes is not None and arguments.classes < 1:
        raise InputError(f"--classes must be at least 1, got {arguments.classes}")
    k = arguments.classes
    masses = np.full(k, 1 / k) if k is not None else np.asarray(arguments.masses)
    quantity = Quantity.parse(arguments.quantity)
    if quantity not in claim.quantities:
        raise InputError(
            f"'{claim.id}' says nothing of '{quantity}';"
            f" it speaks of {', '.join(map(str, claim.quantities))}"
        )
    eta = np.asarray(arguments.eta)
    try:
        modulus = LipschitzModulus(arguments.lipschitz)
        facts = {
            "latent_law": "gaussian",
            "class_masses": masses,
            f"moduli[l2->{quantity.norm}]": [modulus],
        }
        values = claim.evaluate(facts, quantity, 0.05).upper(eta)
    except (ValueError, OutOfScopeError) as error:
        raise InputError(str(error)) from error
    sys.stdout.write("eta\tP(r <= eta) >=\n")
    for distance, value in zip(eta, values, strict=True):
        sys.stdout.write(f"{distance:.17g}\t{value:.17g}\n")
    return EXIT_FINE


def _laws() -> list[str]:
    return [name for name, claim in CLAIMS.items() if claim.kind is Kind.LAW]


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
        "evaluate the bound of a law claim",
        "advbounds bound fawzi2018/thm1 --classes 10 --eta 0.5 1",
        _configure_bound,
        _bound,
    ),
)
