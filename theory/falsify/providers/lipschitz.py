"""The Lipschitz constant of a network."""

import math

from theory.claim import Quantity
from theory.evidence import Interval
from theory.falsify import rational
from theory.falsify.laboratories.networks import SmallNetwork
from theory.falsify.laboratory import PROVIDERS, Provider
from theory.lipschitz.exact import exact_constant

_NORMS = {"l1->l1": 1.0, "l2->l2": 2.0, "linf->linf": math.inf}


def _found(specimen: SmallNetwork, quantity: Quantity) -> Interval:
    found = exact_constant(specimen.network, _NORMS[quantity.norm], method="enumeration")
    return Interval(found.lower, found.upper)


def _verified(specimen: SmallNetwork, quantity: Quantity) -> Interval:
    return rational.lipschitz(specimen.network, _NORMS[quantity.norm])


PROVIDERS.register(
    "networks:lipschitz",
    Provider(
        "lipschitz",
        "networks",
        _NORMS.__contains__,
        frozenset(),
        _found,
        _verified,
        (
            "Jacobians of all regions that linear programmes find",
            "Jacobians of all regions in rational arithmetic, their norms between rational ends",
        ),
    ),
)
