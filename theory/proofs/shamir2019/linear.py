"""Cells by few coordinates: a minor to invert, coins for signs, and a distance to a subspace."""

from fractions import Fraction
from itertools import product
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from theory.arrangement import generic
from theory.proof import Proof, is_zero, proof, sampled, symbolic, tends_to
from theory.proofs.zaslavsky1975 import ChooseSum, pascal, recursion, region_sum
from theory.symbolic import Form, K, eta

m = sp.Symbol("m", integer=True, positive=True)
k = sp.Symbol("k", integer=True, nonnegative=True)
freedom = sp.Symbol("d", integer=True, positive=True)
limit = sp.Symbol("x", positive=True)


class ChiSquareTail(sp.Function):  # type: ignore[misc]
    """P(chi2 >= 1 / eta^2) with so many degrees of freedom."""

    nargs = 2
    is_real = True

    @staticmethod
    def _imp_(degrees: Any, radius: Any) -> mp.mpf:  # noqa: ANN401
        x = 1 / (2 * radius**2) if radius else mp.inf
        return mp.gammainc(degrees / 2, x, regularized=True)

    def _eval_rewrite_as_exp(self, degrees: Any, radius: Any, **_: Any) -> Any:  # noqa: ANN401
        return tail(degrees).subs(limit, 1 / radius**2)

    def _latex(self, printer: Any, exp: Any = None) -> str:  # noqa: ANN401
        degrees, radius = (printer._print(argument) for argument in self.args)
        text = rf"\Pr\left(\chi^2_{{{degrees}}} \ge {radius}^{{-2}}\right)"
        return text if exp is None else f"{text}^{{{exp}}}"


class ChiSquareBelow(ChiSquareTail):
    """P(chi2 < 1 / eta^2) with so many degrees of freedom."""

    @staticmethod
    def _imp_(degrees: Any, radius: Any) -> mp.mpf:  # noqa: ANN401
        x = 1 / (2 * radius**2) if radius else mp.inf
        return mp.gammainc(degrees / 2, 0, x, regularized=True)


def tail(degrees: Any) -> Any:  # noqa: ANN401
    """Return P(chi2 >= x)."""
    half = sp.sympify(degrees) / 2
    return sp.uppergamma(half, limit / 2) / sp.gamma(half)


def _minor_solves() -> bool:
    """Whether A (x + delta) - b = v for the delta of a minor, at general entries."""
    a = sp.Matrix(2, 3, sp.symbols("a:6"))
    b, v, x = (sp.Matrix(sp.symbols(f"{name}:{n}")) for name, n in (("b", 2), ("v", 2), ("x", 3)))
    for chosen in ([0, 1], [0, 2], [1, 2]):
        change = a[:, chosen].inv() * (v - (a * x - b))
        moved = x.copy()
        for place, value in zip(chosen, change, strict=True):
            moved[place] += value
        if (a * moved - b - v).applyfunc(sp.simplify) != sp.zeros(2, 1):
            return False
    return True


def _dependent_rows() -> bool:
    """Whether rows a and -a leave out the cell on the positive side of both."""
    one, other = sp.Matrix([[1, 2]]), sp.Matrix([[-1, -2]])
    return bool(one + other == sp.zeros(1, 2) and sp.Matrix.vstack(one, other).rank() == 1)


@proof("shamir2019/any-cell")
def any_cell() -> Proof:
    """A minor that is not zero is inverted."""
    return Proof(
        Form(left="h", right=m, symbols={"m": m}),
        (
            symbolic(
                r"with $S$ the columns of a minor that is not zero, $\delta_S = A_S^{-1} (v - (A x"
                r" - b))$ moves $A x - b$ to any $v \in \mathbb{R}^m$, and so to any signs",
                _minor_solves,
            ),
            symbolic(
                r"without independent rows there are cells that nothing reaches: those of $(a, 0)$"
                r" and $(-a, 0)$ are never both positive",
                _dependent_rows,
            ),
        ),
    )


@proof("shamir2019/any-label")
def any_label() -> Proof:
    """A label is a cell of one hyperplane less than there are classes."""
    weights = sp.Matrix(3, 2, sp.symbols("w:6"))
    one = sp.Matrix([weights[i, :] - weights[0, :] for i in (1, 2)])
    other = sp.Matrix([weights[2, :] - weights[i, :] for i in (0, 1)])
    return Proof(
        Form(left="h", right=K - 1, symbols={"n_classes": K}),
        (
            symbolic(
                r"$f(x) = t$ where $(w_t - w_j) \cdot x + c_t - c_j > 0$ for all other $j$: a cell"
                r" of $K - 1$ hyperplanes, whose minors are those of $w_i - w_1$ up to the sign",
                lambda: sp.expand(one.det() ** 2 - other.det() ** 2) == 0,
            ),
            symbolic(
                r"$\delta_S = A_S^{-1} (v - (A x - b))$ moves their values to any $v > 0$",
                _minor_solves,
            ),
        ),
    )


def _flips(rows: int, dimension: int) -> bool:
    """Whether, of all changes of signs of rows, as many as regions bring a region to a cell."""
    a = generic(rows, dimension, np.random.default_rng(rows))
    seen = {tuple(int(s) for s in region.sign_vector) for region in a.regions()}
    # The row i with its sign changed has the signs of its regions changed there.
    brought = sum((*flip,) in seen for flip in product((-1, 1), repeat=rows))
    chance = Fraction(brought, 2**rows)
    return chance == Fraction(region_sum(rows, dimension), 2**rows)


@proof("shamir2019/k-coordinates")
def k_coordinates() -> Proof:
    """All signs are equally likely, and the flat meets a known number of cells."""
    return Proof(
        Form(left="p", right=ChooseSum(m, k) / 2**m, symbols={"k": k, "m": m}),
        (
            sampled(
                r"the points that differ from $x$ in $k$ coordinates are a flat, which generic"
                r" hyperplanes divide into $\sum_{i \le k} \binom{m}{i}$ cells, for $k \le m$; of"
                r" the $2^m$ changes of signs of rows, as many bring a cell to the signs that are"
                r" asked for",
                lambda: all(_flips(a, b) for a, b in ((3, 1), (5, 2), (6, 3), (7, 2), (3, 3))),
            ),
            symbolic(
                r"all $2^m$ changes of signs are equally likely: $p = 2^{-m} \sum_{i \le k}"
                r" \binom{m}{i}$, the probability that $m$ coins show at most $k$ heads, as the"
                r" sums follow Pascal's rule",
                pascal,
                lambda: recursion(region_sum, region_sum),
            ),
            symbolic(
                r"for $k = m$ it is 1: any cell; for $k = 0$ it is $2^{-m}$: the cell of $x$; for"
                r" $m = 2 k + 1$ it is one half",
                lambda: all(region_sum(a, a) == 2**a for a in range(1, 14)),
                lambda: all(region_sum(a, 0) == 1 for a in range(1, 14)),
                lambda: all(2 * region_sum(2 * b + 1, b) == 2 ** (2 * b + 1) for b in range(14)),
            ),
        ),
    )


def _shortest() -> bool:
    """Whether e1' (A A')^-1 e1 is one over the squared distance of row 1 to row 2."""
    a = sp.Matrix(2, 3, sp.symbols("a:6", real=True))
    one, two = a[0, :], a[1, :]
    distance = one.dot(one) - one.dot(two) ** 2 / two.dot(two)
    shortest = a.T * (a * a.T).inv() * sp.Matrix([1, 0])
    return is_zero(shortest.dot(shortest) * distance - 1)


def _density(degrees: int) -> bool:
    """Whether the tail falls at the rate of the density of the chi-square law."""
    half = sp.Rational(degrees, 2)
    density = limit ** (half - 1) * sp.exp(-limit / 2) / (2**half * sp.gamma(half))
    return is_zero(sp.diff(tail(degrees), limit) + density)


@proof("shamir2019/change-size")
def change_size() -> Proof:
    """The squared distance of a Gaussian row to the span of the others is chi-square."""
    return Proof(
        Form(
            left=r"\Pr(r \le \eta)",
            right=ChiSquareTail(k - m + 1, eta),
            survival=ChiSquareBelow(k - m + 1, eta),
            symbols={"radius": eta, "k": k, "m": m},
        ),
        (
            symbolic(
                r"the shortest solution is $A^T (A A^T)^{-1} v$; a rotation of $\mathbb{R}^m$"
                r" leaves the law of $A$ and takes $v$ to $\|v\| e_1$, so that $r^{-2} = 1 / ((A"
                r" A^T)^{-1})_{11}$, the squared distance of the first row to the span of the"
                r" other $m - 1$",
                _shortest,
            ),
            symbolic(
                r"these are independent of it, and leave $k - m + 1$ dimensions beside their span:"
                r" $r^{-2}$ is the sum of the squares of so many $\mathcal{N}(0, 1)$ variables,"
                r" with the density $-\frac{d}{dx} \Pr(\chi^2_d \ge x)$",
                *(lambda d=d: _density(d) for d in range(1, 7)),
            ),
            symbolic(
                r"it rises from 0 to 1; $e^{-1 / (2 \eta^2)}$ for $k = m + 1$, and that of $1 / |N"
                r"(0, 1)|$ for $k = m$",
                lambda: is_zero(tail(2) - sp.exp(-limit / 2)),
                lambda: is_zero(sp.expand_func(tail(1)) - sp.erfc(sp.sqrt(limit / 2))),
                lambda: tends_to(sp.exp(-1 / (2 * eta**2)), eta, 0, 0),
                lambda: tends_to(sp.exp(-1 / (2 * eta**2)), eta, sp.oo, 1),
            ),
            symbolic(
                r"$\mathbb{E}\, r^2 = 1 / (k - m - 1)$ for $k > m + 1$, as $\mathbb{E}\, 1 /"
                r" \chi^2_d = 1 / (d - 2)$",
                *(
                    lambda d=d: is_zero(
                        sp.integrate(
                            limit ** (sp.Rational(d, 2) - 2)
                            * sp.exp(-limit / 2)
                            / (2 ** sp.Rational(d, 2) * sp.gamma(sp.Rational(d, 2))),
                            (limit, 0, sp.oo),
                        )
                        - sp.Rational(1, d - 2)
                    )
                    for d in (3, 4, 5, 6)
                ),
            ),
        ),
    )
