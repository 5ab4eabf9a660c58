"""The least number of coordinates to change for the farthest label, within a box."""

import re

import numpy as np

from theory.claim import Quantity
from theory.evidence import Interval
from theory.falsify.laboratories.networks import CLASSES, POINT, SmallNetwork
from theory.falsify.laboratory import PROVIDERS, Provider
from theory.falsify.rational_hamming import fewest_changes
from theory.hamming.exact.least import least_changes
from theory.hamming.problem import MARGIN, LabelProblem

_BOX = re.compile(r"hamming in (-?[\d.]+)\.\.(-?[\d.]+)")


def box(norm: str) -> tuple[float, float]:
    """Return the ends of the coordinates that a quantity's name tells.

    Raises
    ------
    ValueError
        If it tells none.

    Examples
    --------
    >>> box("hamming in -0.5..1.5")
    (-0.5, 1.5)
    """
    match = _BOX.fullmatch(norm)
    if match is None:
        raise ValueError(f"'{norm}' names no finite box")
    return float(match[1]), float(match[2])


def _inside(specimen: SmallNetwork, low: float, high: float) -> tuple[np.ndarray, list[int]]:
    """Return the specimen's point, moved into the box, and the labels other than its own."""
    x = np.clip(specimen.point, low, high)
    own = int(specimen.network.label(x))
    return x, [label for label in range(specimen.structure.n_outputs) if label != own]


def _ends(lower: float, upper: float, n: int) -> tuple[float, float]:
    """Return ends of the number of changes: infinite where no change of all coordinates does."""
    return (np.inf, np.inf) if lower > n else (lower, upper)


def _found(specimen: SmallNetwork, quantity: Quantity) -> Interval:
    low, high = box(quantity.norm)
    x, labels = _inside(specimen, low, high)
    ends = []
    for label in labels:
        problem = LabelProblem.of(specimen.network, x, label, (low, high))
        answer = least_changes(problem)
        ends.append(_ends(answer.lower, answer.upper, len(x)))
    return Interval(max(end[0] for end in ends), max(end[1] for end in ends))


def _verified(specimen: SmallNetwork, quantity: Quantity) -> Interval:
    low, high = box(quantity.norm)
    x, labels = _inside(specimen, low, high)
    ends = []
    for label in labels:
        lower, upper = fewest_changes(specimen.network, x, label, (low, high), MARGIN)
        ends.append(_ends(lower, upper, len(x)))
    return Interval(max(end[0] for end in ends), max(end[1] for end in ends))


PROVIDERS.register(
    "networks:label_distance",
    Provider(
        "label_distance",
        "networks",
        lambda norm: _BOX.fullmatch(norm) is not None,
        frozenset({CLASSES, POINT}),
        _found,
        _verified,
        (
            "branch and bound over coordinates and phases",
            "all sets of coordinates and all regions in rational arithmetic",
        ),
    ),
)
