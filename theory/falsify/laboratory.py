"""Where claims are tried: families of small subjects of which quantities are known exactly.

A laboratory makes specimens: a structure, drawn by Hypothesis, and weights, searched by
evolution. A provider says what one quantity of a specimen is, twice: fast, for the search, and by
a second method that shares no code with the first, for the verdict. A claim can be falsified here
if and only if one laboratory has providers for all that it compares.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from theory.arrays import FloatArray
from theory.claim import Claim, Facts, Kind, Quantity
from theory.errors import InputError
from theory.registry import Registry

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Structure = Any
"""What is not a weight: a frozen data class of whole numbers, booleans and names."""


class Specimen(Protocol):
    """One small subject."""

    @property
    def structure(self) -> Structure:
        """What is not a weight."""
        ...

    @property
    def weights(self) -> FloatArray:
        """All real parameters, shape (n,)."""
        ...

    @property
    def facts(self) -> Facts:
        """What a claim may ask about it, each computed when asked for."""
        ...

    @property
    def words(self) -> str:
        """The structure in words."""
        ...


@dataclass(frozen=True)
class Laboratory:
    """A family of specimens.

    Attributes
    ----------
    name : str
    structures : callable
        What the providers need to a strategy of structures, smaller ones by fewer draws.
    n_weights : callable
        The number of weights of a structure.
    specimen : callable
        (structure, weights) to the specimen. Raises ValueError if there is none.
    smaller : callable
        A structure to those that are one step smaller, the ones to be preferred first.
    read : callable
        The JSON form of a structure to the structure. Raises ValueError.
    """

    name: str
    structures: Callable[[frozenset[str]], "SearchStrategy[Structure]"]
    n_weights: Callable[[Structure], int]
    specimen: Callable[[Structure, FloatArray], Specimen]
    smaller: Callable[[Structure], Iterable[Structure]]
    read: Callable[[Mapping[str, Any]], Structure]


@dataclass(frozen=True)
class Provider:
    """One quantity of the specimens of one laboratory, exactly.

    Attributes
    ----------
    symbol : str
        That of the quantity.
    laboratory : str
    norms : callable
        Whether it knows the quantity in this norm.
    needs : frozenset of str
        What it asks of structures.
    found, verified : callable
        (specimen, quantity) to an `Interval`; for laws to a `theory.falsify.gauss.Law`.
    methods : tuple of str
        How each of the two is computed, in words.
    """

    symbol: str
    laboratory: str
    norms: Callable[[str], bool]
    needs: frozenset[str]
    found: Callable[[Any, Quantity], Any]
    verified: Callable[[Any, Quantity], Any]
    methods: tuple[str, str]


PROVIDERS: Registry[Provider] = Registry(
    "provider", ("theory.falsify.providers",), "advbounds.providers"
)
"""By "laboratory:symbol", laws as "laboratory:law of symbol"; one file a group."""
LABORATORIES: Registry[Laboratory] = Registry(
    "laboratory", ("theory.falsify.laboratories",), "advbounds.laboratories"
)


@dataclass(frozen=True)
class Trial:
    """A claim, the quantities it is tried on, and who knows them.

    Attributes
    ----------
    claim : Claim
    quantities : tuple of Quantity
        One, or the two sides of a pointwise claim.
    laboratory : Laboratory
    providers : tuple of Provider
        One a quantity.
    """

    claim: Claim
    quantities: tuple[Quantity, ...]
    laboratory: Laboratory
    providers: tuple[Provider, ...]

    @property
    def needs(self) -> frozenset[str]:
        """What the providers ask of structures."""
        return frozenset().union(*(provider.needs for provider in self.providers))

    @property
    def name(self) -> str:
        """The quantities, by name."""
        return " and ".join(str(quantity) for quantity in self.quantities)


def trials(claim: Claim) -> list[Trial]:
    """Return the ways in which a claim can be falsified here.

    Raises
    ------
    InputError
        If there is none: no exact value of a quantity is known, or the kind of the claim asks for
        more than one specimen shows.
    """
    if str(claim.kind) not in {"scalar", "combinatorial", "pointwise", "law", "mean"}:
        raise InputError(
            f"{claim.id} cannot be falsified here: it is a claim of the kind '{claim.kind}', about"
            " more than one subject"
        )
    sides = (
        [claim.quantities]
        if claim.kind is Kind.POINTWISE
        else [(quantity,) for quantity in claim.quantities]
    )
    prefix = {Kind.LAW: "law of ", Kind.MEAN: "law of "}.get(claim.kind, "")
    found = []
    for quantities in sides:
        for laboratory in LABORATORIES.values():
            providers = [_provider(laboratory.name, prefix, quantity) for quantity in quantities]
            known = tuple(provider for provider in providers if provider is not None)
            if len(known) == len(quantities):
                found.append(Trial(claim, quantities, laboratory, known))
    # Theorems are compared by what is made of the definitions here.
    from theory.falsify.formulas import formula_trials

    found += formula_trials(claim)
    if not found:
        what = "law" if prefix else "value"
        asked = " or ".join(dict.fromkeys(str(quantity) for quantity in claim.quantities))
        raise InputError(
            f"{claim.id} cannot be falsified here: no exact {what} of {asked} is known; known are"
            f" {', '.join(_known(prefix))}"
        )
    return found


def _provider(laboratory: str, prefix: str, quantity: Quantity) -> Provider | None:
    name = f"{laboratory}:{prefix}{quantity.symbol}"
    if name not in PROVIDERS or not PROVIDERS[name].norms(quantity.norm):
        return None
    return PROVIDERS[name]


def _known(prefix: str) -> list[str]:
    symbols = [name.partition(":")[2] for name in PROVIDERS]
    if prefix:
        return sorted({each.removeprefix(prefix) for each in symbols if each.startswith(prefix)})
    return sorted({each for each in symbols if not each.startswith("law of ")})
