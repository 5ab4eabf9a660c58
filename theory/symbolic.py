r"""The sympy form of a claim: its LaTeX statement, and a numeric twin at any precision.

The letters are shared by all forms. `Phi` is the standard normal distribution function, `Survival`
its complement, `Isf` the inverse of the complement; all three differentiate, and are evaluated to
as many digits as asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp
from sympy.printing.latex import LatexPrinter

from theory.claim import Relation
from theory.modulus import HoelderModulus, LipschitzModulus, Modulus

_AGREEMENT = 40
"""Digits to which two evaluations must agree; the second has twice the working precision."""
_MOST_DIGITS, _DIGITS_OF_ZERO = 6400, 700


def density(x: Any) -> Any:  # noqa: ANN401
    """Return the standard normal density of an expression."""
    return sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)


class _Named(sp.Function):  # type: ignore[misc]
    """A real function of one argument, printed by its symbol."""

    nargs = 1
    is_real = True
    symbol = ""

    def _latex(self, printer: Any, exp: Any = None) -> str:  # noqa: ANN401
        return _call(self.symbol, printer, self.args, exp)


class Density(_Named):
    """The standard normal density, as the statements print it."""

    symbol = r"\varphi"
    is_positive = True

    def _eval_rewrite_as_exp(self, x: Any, **_: Any) -> Any:  # noqa: ANN401
        return density(x)


class Phi(_Named):
    """The standard normal distribution function."""

    symbol = r"\Phi"
    is_positive = True

    @classmethod
    def eval(cls, x: Any) -> Any:  # noqa: ANN401
        """Return the values that are known exactly."""
        return {sp.S.Zero: sp.Rational(1, 2), sp.oo: sp.S.One, -sp.oo: sp.S.Zero}.get(x)

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ANN401
        """Return the density."""
        return density(self.args[0])

    def _eval_rewrite_as_erf(self, x: Any, **_: Any) -> Any:  # noqa: ANN401
        return (1 + sp.erf(x / sp.sqrt(2))) / 2


class Survival(_Named):
    """1 - Phi, the upper tail of the standard normal law."""

    symbol = r"\bar\Phi"
    is_positive = True

    @classmethod
    def eval(cls, x: Any) -> Any:  # noqa: ANN401
        """Return the values that are known exactly."""
        return {sp.S.Zero: sp.Rational(1, 2), sp.oo: sp.S.Zero, -sp.oo: sp.S.One}.get(x)

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ANN401
        """Return minus the density."""
        return -density(self.args[0])

    def _eval_rewrite_as_erf(self, x: Any, **_: Any) -> Any:  # noqa: ANN401
        return sp.erfc(x / sp.sqrt(2)) / 2


class Isf(_Named):
    """The inverse of the survival function: the offset of a half-space of this mass."""

    symbol = r"\bar\Phi^{-1}"

    @classmethod
    def eval(cls, x: Any) -> Any:  # noqa: ANN401
        """Return the values that are known exactly."""
        return {sp.Rational(1, 2): sp.S.Zero}.get(x)

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ANN401
        """Return minus one over the density at the value."""
        return -1 / density(self)


class OmegaInverse(_Named):
    """The generalised inverse of the modulus of continuity."""

    symbol = r"\omega^{-1}"
    is_nonnegative = True


class Omega(_Named):
    """The modulus of continuity."""

    symbol = r"\omega"
    is_nonnegative = True


def _call(name: str, printer: Any, arguments: Sequence[Any], exponent: Any) -> str:  # noqa: ANN401
    inner = ", ".join(printer._print(argument) for argument in arguments)
    power = "" if exponent is None else f"^{{{exponent}}}"
    tall = r"\frac" in inner or r"\sqrt" in inner
    left, right = (r"\left(", r"\right)") if tall else ("(", ")")
    return f"{name}{power}{left}{inner}{right}"


eta = sp.Symbol("eta", nonnegative=True)
t = sp.Symbol("t", nonnegative=True)
K = sp.Symbol("K", integer=True, positive=True)
i = sp.Symbol("i", integer=True, positive=True)
delta = sp.Symbol("delta", nonnegative=True)
a = sp.Symbol("a", real=True)
c = sp.Symbol("c", positive=True)
p = sp.IndexedBase("p", positive=True)
offset = sp.IndexedBase("a", real=True)


def half_normal(start: Any) -> Any:  # noqa: ANN401
    """Return phi(a) - a Phibar(a), the integral of the survival from a to infinity."""
    return density(start) - start * Survival(start)


def exact_isf(mass: mp.mpf) -> mp.mpf:
    """Return a with Phibar(a) = mass, to the working precision."""
    mass = mp.mpf(mass)
    if mass == 0 or mass == 1:
        return mp.inf if mass == 0 else -mp.inf
    if mass > 0.5:
        return -exact_isf(1 - mass)
    start = mp.sqrt(max(-2 * mp.log(mass) - mp.log(4 * mp.pi), mp.mpf(0)))
    log_mass = mp.log(mass)
    # Newton on the logarithm, which is nearly quadratic, at growing precision.
    x, digits = start, mp.mp.dps
    for step in range(200):
        tail = mp.ncdf(-x)
        change = (mp.log(tail) - log_mass) * tail / mp.npdf(x)
        x += change
        if abs(change) <= mp.mpf(10) ** (-digits + 3) * max(abs(x), mp.mpf(10) ** -digits):
            return x
        assert step < 199
    return x


def exact_inverse(modulus: Modulus) -> Callable[[Any], mp.mpf]:
    """Return the inverse of a modulus in the working precision.

    Raises
    ------
    ValueError
        If the modulus has no closed form.
    """
    if isinstance(modulus, LipschitzModulus):
        return lambda e: mp.mpf(e) / mp.mpf(modulus.constant)
    if isinstance(modulus, HoelderModulus):
        return lambda e: (mp.mpf(e) / mp.mpf(modulus.constant)) ** (1 / mp.mpf(modulus.exponent))
    raise ValueError(f"no exact inverse of {modulus!r}")


def exact_modulus(modulus: Modulus) -> Callable[[Any], mp.mpf]:
    """Return a modulus in the working precision; raises ValueError without a closed form."""
    if isinstance(modulus, LipschitzModulus):
        return lambda s: mp.mpf(modulus.constant) * s
    if isinstance(modulus, HoelderModulus):
        return lambda s: mp.mpf(modulus.constant) * mp.mpf(s) ** mp.mpf(modulus.exponent)
    raise ValueError(f"no exact value of {modulus!r}")


_NUMERIC: dict[str, Any] = {
    "Phi": mp.ncdf,
    "Survival": lambda x: mp.ncdf(-x),
    "Isf": exact_isf,
    "Density": mp.npdf,
    "Max": max,
    "Min": min,
}


@dataclass(frozen=True)
class Form:
    """A claim's inequality as sympy expressions.

    Attributes
    ----------
    left : str
        What is bounded, in LaTeX.
    right : Expr
        The bound.
    symbols : mapping
        Parameter name to the symbol that stands for it (an IndexedBase for masses, `Omega` or
        `OmegaInverse` for a modulus needs none).
    where : tuple of (symbol, Expr or str)
        Abbreviations, printed after the inequality; an Expr is substituted, in this order, and
        LaTeX text is only printed.
    survival : Expr, optional
        1 - right, written so that it does not cancel.
    derived : mapping
        Symbols that no expression gives, with functions of the exact values that do (of an
        IndexedBase: a list).
    relation : Relation, optional
        The direction in which it is printed, where that is not the claim's own: a pointwise claim
        may bound its second side.
    """

    left: str
    right: Any
    symbols: Mapping[str, Any]
    where: tuple[tuple[Any, Any], ...] = ()
    survival: Any = None
    derived: Mapping[Any, Callable[[Mapping[str, Any]], mp.mpf]] = field(default_factory=dict)
    relation: Relation | None = None

    def full(self, expression: Any) -> Any:  # noqa: ANN401
        """Return the expression with all abbreviations written out."""
        for symbol, meaning in self.where:
            if not isinstance(meaning, str):
                expression = expression.xreplace({symbol: meaning})
        return expression

    def exact(self, values: Mapping[str, Any], part: str = "right") -> mp.mpf:
        """Return the bound (or part="survival") at these values, right to 40 digits.

        Parameters
        ----------
        values : mapping
            Parameter name to value, as the claim's numeric function takes them; floats count as
            the exact numbers that they are.

        Raises
        ------
        ArithmeticError
            If two precisions do not agree.
        """
        expression = self.full(getattr(self, part))
        digits, previous = 60, None
        while digits <= _MOST_DIGITS:
            with mp.workdps(digits):
                value = self._at(expression, values)
            # A zero may be a difference that few digits do not show; with many it is one.
            if digits > _DIGITS_OF_ZERO and abs(value) < mp.mpf(10) ** (30 - digits):
                return mp.mpf(0)
            if value and previous is not None and _agree(previous, value):
                return value
            previous, digits = value, 2 * digits
        raise ArithmeticError(f"{self.left}: {_MOST_DIGITS} digits do not settle {values}")

    def _at(self, expression: Any, values: Mapping[str, Any]) -> mp.mpf:  # noqa: ANN401
        functions, known = dict(_NUMERIC), {}
        exactly = {name: _exactly(value) for name, value in values.items()}
        for name, value in exactly.items():
            if isinstance(value, Modulus):
                functions["OmegaInverse"] = exact_inverse(value)
                functions["Omega"] = exact_modulus(value)
                continue
            symbol = self.symbols[name]
            if isinstance(symbol, sp.IndexedBase):
                # Indices begin at 1.
                known[symbol] = [mp.nan, *value]
                expression = expression.xreplace({K: sp.Integer(len(value))})
            else:
                known[symbol] = value
        for symbol, function in self.derived.items():
            value = function(exactly)
            known[symbol] = [mp.nan, *value] if isinstance(value, list) else value
        function = sp.lambdify(list(known), expression, modules=[functions, "mpmath"])
        return mp.mpf(function(*known.values()))


def _exactly(value: Any) -> Any:  # noqa: ANN401
    """Return a value in the working precision; a list of masses is made to sum to 1."""
    if isinstance(value, Modulus):
        return value
    if np.ndim(value) == 0:
        return mp.mpf(value)
    masses = [mp.mpf(mass) for mass in np.asarray(value).tolist()]
    # The last digits that rounding left go to the largest.
    masses[masses.index(max(masses))] += 1 - mp.fsum(masses)
    return masses


def _agree(one: mp.mpf, two: mp.mpf) -> bool:
    if one == two:
        return True
    with mp.workdps(_AGREEMENT + 20):
        return bool(abs(one - two) <= abs(two) * mp.mpf(10) ** -_AGREEMENT)


class _Printer(LatexPrinter):  # type: ignore[misc]
    """LaTeX with the positive terms of a sum first, as one would write it."""

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:  # noqa: ANN401
        return sorted(expr.args, key=lambda term: term.could_extract_minus_sign())

    def _print_Mul(self, expr: Any) -> str:  # noqa: ANN401
        # sympy splits the root of a product and clears it from denominators; readers expect one
        # root where it stands in the papers.
        half = sp.Rational(1, 2)
        above, below = (
            [f.base for f in expr.args if f.is_Pow and f.exp == e] for e in (half, -half)
        )
        rest = [f for f in expr.args if not (f.is_Pow and abs(f.exp) == half)]
        scale = next((f for f in rest if f.is_Rational and sp.Integer(f.q) in above), None)
        if scale is not None:
            rest[rest.index(scale)] = sp.Integer(scale.p)
            above.remove(sp.Integer(scale.q))
            below.append(sp.Integer(scale.q))
        if scale is not None or len(above) + len(below) > 1:
            ratio = sp.UnevaluatedExpr(sp.Mul(*above) / sp.Mul(*below))
            root = sp.Pow(ratio, half)
            if not above:
                root = sp.Pow(sp.UnevaluatedExpr(sp.Mul(*below)), -half)
            expr = sp.Mul(*(f for f in rest if f != 1), root, evaluate=False)
        return str(super()._print_Mul(expr))


def latex(expression: Any) -> str:  # noqa: ANN401
    """Return an expression in LaTeX, as the statements print it."""
    text: str = _Printer().doprint(expression)
    return text
