"""A claim: data plus one pure function. Theorems and conjectures register themselves here."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.errors import InputError, nearest
from theory.parameter import Parameter
from theory.registry import Registry

ROUNDING = 1e-12
"""Relative error that the evaluation of a bound may have, unless it says otherwise."""
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
    MEAN = "mean"
    POINTWISE = "pointwise"
    SCALAR = "scalar"
    COMBINATORIAL = "combinatorial"
    COMPARISON = "comparison"


_ONE_WAY = {
    Kind.LAW: Relation.AT_LEAST,
    Kind.MEAN: Relation.AT_MOST,
    Kind.POINTWISE: Relation.AT_MOST,
}
"""Kinds that are judged in one direction: the other would be judged as this one, and wrongly."""
STATISTICS = {"quartile": 0.25, "median": 0.5, "mean": None}
"""What a comparison may compare of a radius: a quantile of its law, or its mean."""
FOUND = "found_"
"""Before a radius's name: what the search found, in place of the radius that it bounds."""


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


class OutOfScopeError(ValueError):
    """A hypothesis of a claim does not hold, or a fact it needs is not known; says which."""


def required(facts: Facts, name: str, what: str) -> Any:  # noqa: ANN401
    """Return a fact that a claim needs.

    Raises
    ------
    OutOfScopeError
        If it is not known; `what` is its name in words.
    """
    if name not in facts:
        raise OutOfScopeError(f"{what} is not known")
    return facts[name]


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
class Bound:
    """The numbers of a claim: its value, logarithm, inverse, and its own error.

    Attributes
    ----------
    parameters : tuple of Parameter
        What the functions below take, by keyword; of a law the first is the distance.
    value : callable
        The bound, broadcasting over array-like real parameters.
    log_survival : callable or None
        Of a law: the logarithm of the upper bound on P(r > eta), accurate where it underflows.
    inverse : callable or None
        Of a law: (probability, other parameters) to the least distance whose value reaches it.
    rounding, absolute : float
        |value - exact| <= rounding * value + absolute. The absolute part is there for bounds that
        cross zero within their domain, where no relative accuracy can be had from rounded inputs.
    """

    parameters: tuple[Parameter, ...]
    value: Callable[..., FloatArray]
    log_survival: Callable[..., FloatArray] | None = None
    inverse: Callable[..., FloatArray] | None = None
    rounding: float = ROUNDING
    absolute: float = 0.0

    def standard(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the standard value of each parameter, with those given here instead.

        Raises
        ------
        ValueError
            If a name is no parameter.
        """
        known = {parameter.name: parameter.standard for parameter in self.parameters}
        unknown = sorted(set(changes) - set(known))
        if unknown:
            raise InputError(f"no parameter '{unknown[0]}': {nearest(unknown[0], known)}")
        return known | changes

    def error(self, value: npt.ArrayLike) -> FloatArray:
        """Return the limit on the numerical error of this value."""
        return self.rounding * np.abs(np.asarray(value, dtype=np.float64)) + self.absolute

    def law(self, **others: Any) -> LawBound:  # noqa: ANN401
        """Return the bound as a function of the distance, widened by its own error."""
        distance = self.parameters[0].name
        assert self.inverse is not None

        def at(eta: FloatArray) -> FloatArray:
            return np.asarray(self.value(**{distance: eta}, **others))

        def shifted(eta: FloatArray, sign: int) -> FloatArray:
            value = at(eta)
            return np.clip(value + sign * self.error(value), 0.0, 1.0)

        inverse = self.inverse
        return LawBound(
            lower=lambda eta: shifted(eta, -1),
            upper=lambda eta: shifted(eta, +1),
            quantile=lambda q: float(inverse(q, **others)),
        )


@dataclass(frozen=True)
class Claim:
    """A statement about one or two quantities, and the pure function that evaluates its bound.

    Attributes
    ----------
    id : str
        "author2018/name".
    kind : Kind
        LAW: P(r <= eta) >= B(eta) for all eta; MEAN: E r `relation` value; POINTWISE: image of
        the first quantity <= second, point by point; SCALAR: quantity `relation` value;
        COMBINATORIAL: the same of a whole number, exactly; COMPARISON: quantity of a first subject
        `relation` quantity of a second one.
    quantities : tuple of Quantity
        POINTWISE: the two sides in order; all others: any of these, each judged by itself. In a
        COMPARISON "found_r_in[l2]" is the least distance at which the search found a change, the
        upper end of "r_in[l2]": a statement about the search, and known exactly.
    relation : Relation
        The direction of the inequality, measured side first.
    status : Status
        PROVED, CONJECTURED or REFUTED.
    ref : Ref
        Source.
    setting : str
        What is given, in LaTeX: one sentence's beginning, "For $x = g(z)$ ...".
    hypotheses : tuple of str
        What is assumed beside the setting, in LaTeX, a clause each.
    evaluate : callable
        LAW: (facts, quantity, alpha) -> LawBound that is valid with probability 1 - alpha;
        MEAN: (facts, quantity, alpha) -> Interval that holds the bound with that probability;
        SCALAR: (facts, quantity) -> float; COMBINATORIAL: (facts, quantity) -> int, or an
        infinite float; POINTWISE: (facts) -> function of the left radii, or None for the identity;
        COMPARISON: (facts of the first, facts of the second, quantity) -> None where the claim
        speaks of the pair; among the facts are the parts of each subject, "data", "generator",
        "classifier" or "image_classifier" (see `theory.comparison.differences`).
        Raises OutOfScopeError naming the hypothesis that does not hold.
    bound : Bound or None
        The formula as a function of its parameters, where it is one.
    stronger : str
        Id of the claim that says more under the same hypotheses: the sharper form of a printed
        one, the repaired form of a refuted one; "" where there is none.
    statistic : str
        COMPARISON of radii: "quartile", "median" or "mean" of each side is compared.

    Raises
    ------
    InputError
        If `statistic` is none of these, or a claim of this kind is not judged in this direction:
        a LAW says >=, a MEAN or POINTWISE claim <=.
    """

    id: str
    kind: Kind
    quantities: tuple[Quantity, ...]
    relation: Relation
    status: Status
    ref: Ref
    setting: str
    hypotheses: tuple[str, ...]
    evaluate: Callable[..., Any]
    bound: Bound | None = None
    stronger: str = ""
    statistic: str = "quartile"

    def __post_init__(self) -> None:
        if self.statistic not in STATISTICS:
            raise InputError(
                f"claim '{self.id}': unknown statistic '{self.statistic}':"
                f" {nearest(self.statistic, STATISTICS)}"
            )
        only = _ONE_WAY.get(self.kind, self.relation)
        if self.relation is not only:
            raise InputError(f"claim '{self.id}': a {self.kind} claim says {only}")

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
    setting: str,
    hypotheses: tuple[str, ...] = (),
    bound: Bound | None = None,
    stronger: str = "",
    statistic: str = "quartile",
) -> Decorator:
    """Return a decorator that registers a function as a claim; the fields are those of `Claim`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        claim = Claim(
            id,
            kind,
            quantities,
            relation,
            status,
            ref,
            setting,
            hypotheses,
            function,
            bound,
            stronger,
            statistic,
        )
        CLAIMS.register(id, claim)
        return function

    return decorate


theorem = functools.partial(_register, Status.PROVED)
theorem.__doc__ = "Register a function as a proved claim; the fields are those of `Claim`."
conjecture = functools.partial(_register, Status.CONJECTURED)
conjecture.__doc__ = "Register a function as a claim not proved; the fields are those of `Claim`."
refuted = functools.partial(_register, Status.REFUTED)
refuted.__doc__ = "Register a function as a claim known to be false; fields are those of `Claim`."
