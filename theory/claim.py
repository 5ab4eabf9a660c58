"""A claim: data plus one pure function. Theorems and conjectures register themselves here."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.registry import Registry

FloatArray = npt.NDArray[np.float64]
Facts = Mapping[str, Any]
"""What is known of a subject, by name: "latent_law", "class_counts", "moduli[l2->l2]", ..."""


class Status(StrEnum):
    """What is known of a claim; violated, a theorem is a bug and a conjecture a result."""

    PROVED = "proved"
    CONJECTURED = "conjectured"
    REFUTED = "refuted"


class Relation(StrEnum):
    """How the measured quantity relates to the bound."""

    AT_LEAST = ">="
    AT_MOST = "<="


class Kind(StrEnum):
    """What a claim speaks of."""

    LAW = "law"
    POINTWISE = "pointwise"
    SCALAR = "scalar"


@dataclass(frozen=True)
class Quantity:
    """A measurable quantity; it carries its norm or space in its name.

    Attributes
    ----------
    symbol : str
        "r_latent", "r_in", "r_unc", "lipschitz", ...
    norm : str
        "l2", "linf", "l2->l2", or "" where none applies.

    Examples
    --------
    >>> str(Quantity("r_in", "l2")), Quantity.parse("lipschitz[l2->l2]").norm
    ('r_in[l2]', 'l2->l2')
    """

    symbol: str
    norm: str = ""

    def __str__(self) -> str:
        return f"{self.symbol}[{self.norm}]" if self.norm else self.symbol

    @classmethod
    def parse(cls, text: str) -> "Quantity":
        """Return the quantity of this name, the inverse of `str`."""
        symbol, _, rest = text.partition("[")
        return cls(symbol, rest.removesuffix("]"))


@dataclass(frozen=True)
class Ref:
    """Where a statement is printed: BibTeX key, the source in words, theorem or equation."""

    key: str
    source: str
    locator: str

    def __str__(self) -> str:
        return f"{self.source}, {self.locator}"


class OutOfScopeError(Exception):
    """A hypothesis of a claim does not hold, or a fact it needs is not known; says which."""


@dataclass(frozen=True)
class LawBound:
    """A lower bound on a distribution function, with its own confidence band.

    Attributes
    ----------
    lower, upper : callable
        eta of shape (n,), in the unit of the radius, to lower and upper ends of the bound B(eta),
        shape (n,), both non-decreasing and continuous. They differ where facts were estimated.
    quantile : callable
        Probability q to the smallest eta with upper(eta) >= q.
    """

    lower: Callable[[FloatArray], FloatArray]
    upper: Callable[[FloatArray], FloatArray]
    quantile: Callable[[float], float]


@dataclass(frozen=True)
class Claim:
    """A statement about one or two quantities, and the pure function that evaluates its bound.

    Attributes
    ----------
    id : str
        "author2018/name".
    kind : Kind
        LAW: P(r <= eta) >= B(eta) for all eta; POINTWISE: first quantity <= second, point by
        point; SCALAR: quantity `relation` value.
    quantities : tuple of Quantity
        LAW and SCALAR: any of these, each judged by itself; POINTWISE: the two sides in order.
    relation : Relation
        The direction of the inequality, measured side first.
    status : Status
        PROVED, CONJECTURED or REFUTED.
    ref : Ref
        Source.
    statement : str
        The statement in LaTeX, hypotheses included.
    evaluate : callable
        LAW: (facts, quantity, alpha) -> LawBound that is valid with probability 1 - alpha;
        SCALAR: (facts, quantity) -> float; POINTWISE: (facts) -> None, checks hypotheses only.
        Raises OutOfScopeError naming the hypothesis that does not hold.
    """

    id: str
    kind: Kind
    quantities: tuple[Quantity, ...]
    relation: Relation
    status: Status
    ref: Ref
    statement: str
    evaluate: Callable[..., Any]

    @property
    def summary(self) -> str:
        """The first line of the docstring of the claim's function."""
        return (self.evaluate.__doc__ or "").strip().partition("\n")[0]


CLAIMS: Registry[Claim] = Registry(
    "claim", ("theory.claims", "theory.conjectures"), "advbounds.claims"
)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _register(
    status: Status,
    id: str,
    *,
    kind: Kind,
    quantities: tuple[Quantity, ...],
    relation: Relation,
    ref: Ref,
    statement: str,
) -> Decorator:
    """Return a decorator that registers a function as a claim; the fields are those of `Claim`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        claim = Claim(id, kind, quantities, relation, status, ref, statement, function)
        CLAIMS.register(id, claim)
        return function

    return decorate


theorem = functools.partial(_register, Status.PROVED)
theorem.__doc__ = "Register a function as a proved claim; the fields are those of `Claim`."
conjecture = functools.partial(_register, Status.CONJECTURED)
conjecture.__doc__ = "Register a function as a claim not proved; the fields are those of `Claim`."
