"""Distances of one point to another label: in images, in the generator's range, in latents."""

import math

import numpy as np

from theory.claim import Quantity
from theory.distance.oracles import enumerated
from theory.distance.problem import DistanceProblem
from theory.evidence import Interval
from theory.falsify import rational
from theory.falsify.laboratories.networks import CLASSES, GENERATOR, SmallNetwork
from theory.falsify.laboratory import PROVIDERS, Provider
from theory.relu.network import ReluNetwork

_NORMS = {"l2": 2.0, "linf": math.inf}
_ACCURACY = 1e-5
"""Error that the solver's nearest points may have, of the radius or of 1 if that is more."""


def subject(specimen: SmallNetwork, symbol: str) -> ReluNetwork:
    """Return the network whose distance at the origin a radius is.

    r_unc is that of the classifier, r_latent that of the classifier after the generator. r_in is
    that of the classifier on the subspace that the generator reaches: distances there are those of
    images.
    """
    if symbol == "r_unc":
        return specimen.network
    scales = specimen.scales
    return specimen.behind(scales if symbol == "r_latent" else np.ones(len(scales)))


def _found(specimen: SmallNetwork, quantity: Quantity) -> Interval:
    network = subject(specimen, quantity.symbol)
    origin = np.zeros(network.n_inputs)
    value = enumerated(DistanceProblem.of(network, origin, _NORMS[quantity.norm]))
    error = _ACCURACY * max(1.0, _finite(value))
    return Interval(max(0.0, value - error), value + error)


def _verified(specimen: SmallNetwork, quantity: Quantity) -> Interval:
    found = rational.distance(subject(specimen, quantity.symbol), _NORMS[quantity.norm])
    _finite(found.upper)
    return found


def _finite(radius: float) -> float:
    """Return a radius; a point that no change gives another label is no specimen."""
    if math.isinf(radius):
        raise ValueError("no point has another label")
    return radius


for _symbol, _needs, _norms in (
    ("r_unc", {CLASSES}, ("l2", "linf")),
    ("r_in", {CLASSES, GENERATOR}, ("l2", "linf")),
    ("r_latent", {CLASSES, GENERATOR}, ("l2",)),
):
    PROVIDERS.register(
        f"networks:{_symbol}",
        Provider(
            _symbol,
            "networks",
            _norms.__contains__,
            frozenset(_needs),
            _found,
            _verified,
            (
                "nearest points of all regions by quadratic programmes",
                "nearest points of all regions in rational arithmetic",
            ),
        ),
    )
