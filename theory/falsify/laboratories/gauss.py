"""Classifiers of Gaussian latents whose laws are exact: strips, and the argmax of coordinates.

The generator is z -> c z: r_in and r_unc are c times r_latent.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from theory.arrays import FloatArray
from theory.falsify.drawing import coin, whole
from theory.falsify.facts import LazyFacts
from theory.falsify.gauss import (
    ConesLaw,
    Law,
    LineLaw,
    PreciseConesLaw,
    PreciseLineLaw,
    equal_thresholds,
)
from theory.falsify.laboratory import LABORATORIES, Laboratory
from theory.modulus import LipschitzModulus

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

_MOST_CLASSES, _MOST_AGAIN, _MOST_DIMENSIONS = 10, 3, 3
ERRORS = "errors"
"""A provider's need: a set of errors, which is where the label is 1."""


@dataclass(frozen=True)
class Partition:
    """What is not a weight.

    Attributes
    ----------
    n_classes : int
    again : int
        Thresholds beyond the first K - 1: after the last class labels begin again with the first.
    equal : bool
        Whether the K - 1 thresholds are those of equal masses: then they are no weights.
    cones : bool
        Whether the classifier is the argmax of K coordinates: then there is no threshold.
    spare : int
        Dimensions beyond K - 1, or beyond K for the argmax.
    scaled : bool
        Whether the generator has a scale other than 1.
    """

    n_classes: int
    again: int = 0
    equal: bool = False
    cones: bool = False
    spare: int = 0
    scaled: bool = False

    def __post_init__(self) -> None:
        numbers = (self.n_classes - 2, self.again, self.spare)
        if any(isinstance(k, bool) or not isinstance(k, int) or k < 0 for k in numbers):
            raise ValueError(f"no partition has {self}")
        if (self.equal or self.cones) and self.again:
            raise ValueError("classes of equal mass have one interval each")

    @property
    def n_weights(self) -> int:
        """Thresholds that are free, and the scale."""
        free = 0 if self.equal or self.cones else self.n_classes - 1 + self.again
        return free + self.scaled


@dataclass(frozen=True, eq=False)
class Strips:
    """A specimen.

    Attributes
    ----------
    structure : Partition
    weights : ndarray, shape (structure.n_weights,)
        Thresholds in any order, then the scale, whose absolute value counts.
    """

    structure: Partition
    weights: FloatArray

    def __post_init__(self) -> None:
        if self.weights.shape != (self.structure.n_weights,):
            raise ValueError(
                f"{self.structure.n_weights} weights are needed, got {self.weights.shape}"
            )
        if not np.all(np.abs(self.weights) <= 30):
            raise ValueError("a threshold or a scale lies beyond 30")
        if len(set(self.thresholds)) < len(self.thresholds):
            raise ValueError("two thresholds are equal")
        if self.scale == 0:
            raise ValueError("the scale of the generator is 0")

    @property
    def scale(self) -> float:
        """c, above 0."""
        return abs(float(self.weights[-1])) if self.structure.scaled else 1.0

    @functools.cached_property
    def thresholds(self) -> tuple[float, ...]:
        """In ascending order."""
        if self.structure.equal:
            return equal_thresholds(self.structure.n_classes)
        free = self.weights[:-1] if self.structure.scaled else self.weights
        return tuple(sorted(float(each) for each in free))

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """The intervals of one label, from left to right; label i mod K."""
        ends = [-np.inf, *self.thresholds, np.inf]
        return list(pairwise(ends))

    @functools.cached_property
    def masses(self) -> list[float]:
        """Masses of the classes."""
        k = self.structure.n_classes
        if self.structure.equal or self.structure.cones:
            return [1.0 / k] * k
        masses = np.zeros(k)
        for i, (low, high) in enumerate(self.intervals):
            masses[i % k] += _mass(low, high)
        return [float(mass) for mass in masses]

    @property
    def error_mass(self) -> float:
        """The mass of the label 1."""
        return self.masses[1]

    @property
    def error_gaps(self) -> tuple[tuple[float, float], ...]:
        """The intervals off the label 1: those between two of its own."""
        k = self.structure.n_classes
        own = [ends for i, ends in enumerate(self.intervals) if i % k == 1]
        edges = [-np.inf, *(end for ends in own for end in ends), np.inf]
        pairs = list(zip(edges[::2], edges[1::2], strict=True))
        return tuple((low, high) for low, high in pairs if low < high)

    def law(self, symbol: str, *, precise: bool = False) -> Law:
        """Return the law of a distance."""
        latent = symbol.endswith("latent")
        scale = 1.0 if latent else self.scale
        if self.structure.cones:
            k = self.structure.n_classes
            return PreciseConesLaw(k, scale) if precise else ConesLaw(k, scale)
        errors = symbol.startswith("error")
        gaps = self.error_gaps if errors else tuple(self.intervals)
        return PreciseLineLaw(gaps, scale) if precise else LineLaw(gaps, scale)

    @property
    def dimension(self) -> int:
        """The latent dimension."""
        return self.structure.n_classes - 1 + self.structure.cones + self.structure.spare

    @functools.cached_property
    def facts(self) -> LazyFacts:
        """What is known of it."""
        makers: dict[str, Any] = {
            "latent_law": lambda: "gaussian",
            "latent_dimension": lambda: self.dimension,
            "dimension": lambda: self.dimension,
            "n_classes": lambda: self.structure.n_classes,
            "class_masses": lambda: self.masses,
            "error_mass": lambda: self.error_mass,
            "moduli[l2->l2]": lambda: [LipschitzModulus(self.scale)],
            "moduli[l2->linf]": lambda: [LipschitzModulus(self.scale)],
        }
        if self.structure.cones:
            k = self.structure.n_classes
            makers["exact_law"] = lambda: {"family": "argmax", "n_classes": k}
        return LazyFacts(makers)

    @property
    def words(self) -> str:
        """The structure in words."""
        shape = self.structure
        space = f"N(0, I) in dimension {self.dimension}"
        if shape.cones:
            return f"the argmax of {shape.n_classes} coordinates of {space}"
        equal = " of equal mass" if shape.equal else ""
        strips = f"{shape.n_classes + shape.again} strips, {shape.n_classes} classes{equal}"
        return f"{strips} along a coordinate of {space}"


def _mass(low: float, high: float) -> float:
    if low > 0:
        return float(special.ndtr(-low) - special.ndtr(-high))
    return float(special.ndtr(high) - special.ndtr(low))


def partitions(needs: frozenset[str]) -> "SearchStrategy[Partition]":
    """Return a strategy of partitions for what providers need."""
    from hypothesis import strategies as st

    @st.composite
    def drawn(draw: "DrawFn") -> Partition:
        n_classes = whole(draw, 2, _MOST_CLASSES)
        scaled = coin(draw) if "scale" in needs else False
        spare = whole(draw, 0, _MOST_DIMENSIONS)
        equal = coin(draw)
        if equal:
            cones = ERRORS not in needs and coin(draw)
            return Partition(n_classes, 0, not cones, cones, spare, scaled)
        return Partition(n_classes, whole(draw, 0, _MOST_AGAIN), False, False, spare, scaled)

    return drawn()


def smaller_partitions(given: Partition) -> Iterator[Partition]:
    """Yield partitions with one strip, class or dimension less."""
    if given.again:
        yield replace(given, again=given.again - 1)
    if given.n_classes > 2:
        yield replace(given, n_classes=given.n_classes - 1)
    if given.spare:
        yield replace(given, spare=given.spare - 1)
    if given.scaled:
        yield replace(given, scaled=False)


def read_partition(given: Mapping[str, Any]) -> Partition:
    """Return the partition of its JSON form, or raise ValueError."""
    names = {field.name for field in fields(Partition)}
    if set(given) != names:
        raise ValueError(f"a partition has the fields {', '.join(sorted(names))}")
    return Partition(**given)


LABORATORIES.register(
    "gauss",
    Laboratory(
        "gauss",
        partitions,
        lambda shape: int(shape.n_weights),
        Strips,
        smaller_partitions,
        read_partition,
    ),
)
