"""Formulas against theorems: a claim is false where a theorem says the opposite of one quantity.

"At most f" and "at least g" of one quantity, with f < g at some parameters, cannot both be true of
a subject that has them. A specimen is a choice of the parameters; the theorem's side is verified
with its symbolic form, in forty digits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.arrays import FloatArray
from theory.claim import CLAIMS, Bound, Claim, Facts, Kind, Quantity, Status
from theory.evidence import Interval
from theory.falsify.drawing import whole
from theory.falsify.laboratory import Laboratory, Provider, Trial
from theory.parameter import Integers, Parameter, Reals

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

_MOST = 12
"""How far above their least value whole numbers are drawn."""
_SCALAR = (Kind.SCALAR, Kind.COMBINATORIAL)


@dataclass(frozen=True)
class Place:
    """The whole numbers among the parameters.

    Attributes
    ----------
    names : tuple of str
    values : tuple of int
    reals : tuple of str
        The other parameters, which are weights.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    reals: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Chosen:
    """A specimen: values of all parameters."""

    structure: Place
    weights: FloatArray

    @property
    def facts(self) -> Facts:
        """The parameters by name."""
        place = self.structure
        whole_ones = dict(zip(place.names, place.values, strict=True))
        return whole_ones | dict(zip(place.reals, self.weights.tolist(), strict=True))

    @property
    def words(self) -> str:
        """The parameters."""
        return ", ".join(f"{name} = {value}" for name, value in self.facts.items())


def formula_trials(claim: Claim) -> Iterator[Trial]:
    """Yield a trial for each theorem that says the opposite of a quantity of this claim."""
    bound = claim.bound
    if claim.kind not in _SCALAR or bound is None or not _drawn(bound.parameters):
        return
    own = {parameter.name for parameter in bound.parameters}
    evaluated = replace(claim, evaluate=lambda facts, quantity: bound.value(**facts))
    for theorem in CLAIMS.values():
        if theorem.status is not Status.PROVED or theorem.kind not in _SCALAR:
            continue
        if theorem.bound is None or theorem.relation is claim.relation:
            continue
        if not own >= {parameter.name for parameter in theorem.bound.parameters}:
            continue
        for quantity in claim.quantities:
            if quantity in theorem.quantities:
                laboratory = _laboratory(theorem, bound)
                yield Trial(evaluated, (quantity,), laboratory, (_provider(theorem, quantity),))


def _drawn(parameters: tuple[Parameter, ...]) -> bool:
    return all(isinstance(parameter.domain, Integers | Reals) for parameter in parameters)


def _provider(theorem: Claim, quantity: Quantity) -> Provider:
    def found(specimen: Chosen, quantity: Quantity) -> Interval:
        bound = _bound(theorem)
        value = float(bound.value(**_given(theorem, specimen)))
        return _side(theorem, value, float(bound.error(value)))

    def verified(specimen: Chosen, quantity: Quantity) -> Interval:
        # Computer algebra takes longer to import than the search takes.
        from theory.proof import PROOFS

        if theorem.id not in PROOFS:
            return found(specimen, quantity)
        value = float(PROOFS[theorem.id]().form.exact(_given(theorem, specimen)))
        return _side(theorem, value, abs(value) * 2.0**-52)

    methods = (f"{theorem.id}, its formula", f"{theorem.id}, its symbolic form in forty digits")
    known = (quantity.norm,)
    name = f"against {theorem.id}"
    return Provider(
        quantity.symbol, name, known.__contains__, frozenset(), found, verified, methods
    )


def _bound(theorem: Claim) -> Bound:
    assert theorem.bound is not None
    return theorem.bound


def _given(theorem: Claim, specimen: Chosen) -> dict[str, Any]:
    """Return the parameters that the theorem takes."""
    facts = specimen.facts
    return {each.name: facts[each.name] for each in _bound(theorem).parameters}


def _side(theorem: Claim, value: float, error: float) -> Interval:
    if str(theorem.relation) == ">=":
        return Interval.at_least(value - error)
    return Interval(-np.inf, value + error)


def _laboratory(theorem: Claim, bound: Bound) -> Laboratory:
    counted = [each for each in bound.parameters if isinstance(each.domain, Integers)]
    reals = [each for each in bound.parameters if isinstance(each.domain, Reals)]
    names, real_names = tuple(p.name for p in counted), tuple(p.name for p in reals)
    least = [p.domain.low for p in counted if isinstance(p.domain, Integers)]

    def structures(needs: frozenset[str]) -> "SearchStrategy[Place]":
        from hypothesis import strategies as st

        @st.composite
        def drawn(draw: "DrawFn") -> Place:
            return Place(names, tuple(whole(draw, low, low + _MOST) for low in least), real_names)

        return drawn()

    def specimen(place: Place, weights: FloatArray) -> Chosen:
        if weights.shape != (len(place.reals),):
            raise ValueError(f"{len(place.reals)} weights are needed, got {weights.shape}")
        for parameter, weight in zip(reals, weights.tolist(), strict=True):
            domain = parameter.domain
            assert isinstance(domain, Reals)
            inside = domain.low <= weight <= domain.high
            if not inside or weight in (domain.low, domain.high):
                raise ValueError(f"{parameter.name} must lie in {domain.words}, got {weight}")
        return Chosen(place, weights)

    def smaller(place: Place) -> Iterator[Place]:
        for i, (value, low) in enumerate(zip(place.values, least, strict=True)):
            if value > low:
                values = (*place.values[:i], value - 1, *place.values[i + 1 :])
                yield replace(place, values=values)

    def read(given: Mapping[str, Any]) -> Place:
        place = Place(tuple(given["names"]), tuple(given["values"]), tuple(given["reals"]))
        fits = (place.names, place.reals) == (names, real_names) and len(place.values) == len(names)
        if not fits or any(
            isinstance(value, bool) or not isinstance(value, int) or value < low
            for value, low in zip(place.values, least, strict=True)
        ):
            raise ValueError(f"no place has {given}")
        return place

    return Laboratory(
        f"against {theorem.id}",
        structures,
        lambda place: len(place.reals),
        specimen,
        smaller,
        read,
    )
