"""The number of activation regions of a network of rectified linear units."""

from collections.abc import Callable

import numpy as np

from theory.claim import Quantity
from theory.evidence import Interval
from theory.falsify import rational
from theory.falsify.laboratories.networks import HIDDEN, ONE_HIDDEN, RELU, SmallNetwork
from theory.falsify.laboratory import PROVIDERS, Provider
from theory.relu.enumeration import n_activation_regions

Count = Callable[[SmallNetwork, Quantity], Interval]
_METHODS = (
    "regions enumerated by linear programmes",
    "regions enumerated in rational arithmetic",
)


def _found(specimen: SmallNetwork, quantity: Quantity) -> Interval:
    return Interval.exact(n_activation_regions(specimen.network), 0.0)


def _verified(specimen: SmallNetwork, quantity: Quantity) -> Interval:
    return Interval.exact(rational.count_regions(specimen.network), 0.0)


def _at_least(count: Count) -> Count:
    """Return a count as a lower end: other weights may make more regions."""
    return lambda specimen, quantity: Interval.at_least(count(specimen, quantity).lower)


def _of_hyperplanes(count: Count) -> Count:
    """Return a count for specimens whose units are different hyperplanes."""

    def checked(specimen: SmallNetwork, quantity: Quantity) -> Interval:
        first = specimen.network.layers[0]
        rows = np.column_stack([np.asarray(first.weight), first.bias])
        if not np.all(np.any(rows[:, :-1] != 0, axis=1)):
            raise ValueError("a unit is constant: it is no hyperplane")
        for i, row in enumerate(rows):
            for other in rows[:i]:
                if np.array_equal(np.outer(row, other), np.outer(other, row)):
                    raise ValueError("two hyperplanes are equal")
        return count(specimen, quantity)

    return checked


for _symbol, _needs, _made in (
    ("n_linear_regions", HIDDEN, lambda count: count),
    ("max_linear_regions", HIDDEN, _at_least),
    ("n_regions", ONE_HIDDEN, _of_hyperplanes),
):
    PROVIDERS.register(
        f"networks:{_symbol}",
        Provider(
            _symbol,
            "networks",
            ("",).__contains__,
            frozenset({_needs, RELU}),
            _made(_found),
            _made(_verified),
            _METHODS,
        ),
    )
