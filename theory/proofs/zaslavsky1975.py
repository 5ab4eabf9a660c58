"""Counting regions: a new hyperplane cuts as many as it is cut into, and Pascal's rule."""

from collections.abc import Callable
from math import comb
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from theory.arrangement import HyperplaneArrangement, boolean, braid, generic, parallel, shi
from theory.proof import Proof, Step, is_zero, proof, sampled, symbolic
from theory.symbolic import Form

m = sp.Symbol("m", integer=True, positive=True)
n = sp.Symbol("n", integer=True, positive=True)
index = sp.Symbol("i", integer=True, nonnegative=True)


class Choose(sp.Function):  # type: ignore[misc]
    """The binomial coefficient, 0 above its upper argument."""

    nargs = 2
    is_integer = True

    @staticmethod
    def _imp_(upper: Any, lower: Any) -> mp.mpf:  # noqa: ANN401
        return mp.mpf(comb(int(upper), int(lower)) if upper >= 0 else int(lower == 0))

    def _latex(self, printer: Any, exp: Any = None) -> str:  # noqa: ANN401
        upper, lower = (printer._print(argument) for argument in self.args)
        text = rf"\binom{{{upper}}}{{{lower}}}"
        return text if exp is None else f"{text}^{{{exp}}}"


class ChooseSum(sp.Function):  # type: ignore[misc]
    """The sum of C(upper, i) for i from 0 to last."""

    nargs = 2
    is_integer = True

    @staticmethod
    def _imp_(upper: Any, last: Any) -> mp.mpf:  # noqa: ANN401
        # By ratios of neighbours, in whole numbers.
        term, total = 1, 1
        for i in range(int(last)):
            term = term * (int(upper) - i) // (i + 1)
            total += term
        return mp.mpf(total)

    def _latex(self, printer: Any, exp: Any = None) -> str:  # noqa: ANN401
        upper, last = (printer._print(argument) for argument in self.args)
        text = rf"\sum_{{i=0}}^{{{last}}} \binom{{{upper}}}{{i}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def pascal() -> bool:
    """Whether C(m, i) = C(m - 1, i) + C(m - 1, i - 1), for i >= 1."""
    i = sp.Symbol("i", integer=True, positive=True)
    below = sp.binomial(m - 1, i) + sp.binomial(m - 1, i - 1)
    return is_zero(sp.combsimp(below / sp.binomial(m, i)) - 1)


def recursion(count: Callable[[int, int], int], table: Callable[[int, int], int]) -> bool:
    """Whether a count is that of the recursion c(m, n) = c(m - 1, n) + c(m - 1, n - 1)."""
    return all(
        count(a, b) == table(a - 1, b) + table(a - 1, b - 1)
        for a in range(2, 14)
        for b in range(2, 14)
    )


def region_sum(a: int, b: int) -> int:
    """Return the number of regions in general position from its definition."""
    return sum(comb(a, i) for i in range(b + 1))


def examples() -> list[HyperplaneArrangement]:
    """Return arrangements in general position, with parallels, and with common points."""
    rng = np.random.default_rng(1)
    return [generic(6, 3, rng), generic(7, 2, rng), boolean(4), braid(4), parallel(4, 2), shi(3)]


def _cut(arrangement: HyperplaneArrangement) -> bool:
    last = arrangement.n_hyperplanes - 1
    without, on = arrangement.deletion(last), arrangement.restriction(last)
    return (
        arrangement.n_regions
        == len(list(arrangement.regions()))
        == without.n_regions + on.n_regions
        and arrangement.n_bounded_regions <= without.n_bounded_regions + on.n_bounded_regions
    )


def deletion_restriction() -> Step:
    """Return the step that a hyperplane adds as many regions as it is divided into."""
    return sampled(
        r"a hyperplane $H$ that is added cuts the regions that it meets, and each into two: as many"
        r" regions are new as the others divide $H$ into; a cut region adds a bounded one only"
        r" where its part on $H$ is bounded. Counted on arrangements in general position or not",
        lambda: all(_cut(arrangement) for arrangement in examples()),
    )


@proof("zaslavsky1975/regions")
def regions() -> Proof:
    """By induction on the number of hyperplanes."""
    return Proof(
        Form(left="r", right=ChooseSum(m, n), symbols={"m": m, "n": n}),
        (
            deletion_restriction(),
            symbolic(
                r"the others meet $H$ in at most $m - 1$ hyperplanes of it, so $r(m, n) \le"
                r" r(m - 1, n) + r(m - 1, n - 1)$, and the sums are equal to that: by"
                r" $\binom{m}{i} ="
                r" \binom{m - 1}{i} + \binom{m - 1}{i - 1}$, term by term",
                pascal,
                lambda: recursion(region_sum, region_sum),
            ),
            symbolic(
                r"one hyperplane has $2 = \binom{1}{0} + \binom{1}{1}$ regions, and $m$ points"
                r" divide a line"
                r" into $m + 1$ parts",
                lambda: all(region_sum(1, b) == 2 for b in range(1, 14)),
                lambda: is_zero(sp.binomial(m, 0) + sp.binomial(m, 1) - (m + 1)),
            ),
            symbolic(
                r"equality: in general position the others meet $H$ in $m - 1$ different"
                r" hyperplanes, again in general position; if two of them meet $H$ in one flat, or"
                r" one of them does not meet it, there are fewer, as the sum grows with $m$ for"
                r" $n \ge 1$",
                pascal,
                lambda: all(
                    region_sum(a + 1, b) - region_sum(a, b) == region_sum(a, b - 1) > 0
                    for a in range(14)
                    for b in range(1, 14)
                ),
            ),
            sampled(
                r"as many regions were counted, one by one, in general position, and fewer in"
                r" arrangements that are not",
                lambda: all(
                    (len(list(a.regions())) == region_sum(a.n_hyperplanes, a.dimension))
                    is a.is_simple
                    for a in examples()
                ),
            ),
            symbolic(
                r"for $m \le n$ the sum is $2^m$: all sign vectors",
                lambda: all(region_sum(a, b) == 2**a for b in range(14) for a in range(b + 1)),
                lambda: is_zero(sp.summation(sp.binomial(m, index), (index, 0, m)) - 2**m),
            ),
        ),
    )


@proof("zaslavsky1975/bounded-regions")
def bounded_regions() -> Proof:
    """By the same induction."""
    return Proof(
        Form(left="b", right=Choose(m - 1, n), symbols={"m": m, "n": n}),
        (
            deletion_restriction(),
            symbolic(
                r"so $b(m, n) \le b(m - 1, n) + b(m - 1, n - 1)$, which is Pascal's rule for"
                r" $\binom{m - 1}{n}$; and $m$ points bound $m - 1$ intervals of a line, a single"
                r" hyperplane none of $\mathbb{R}^n$",
                pascal,
                lambda: recursion(lambda a, b: comb(a - 1, b), lambda a, b: comb(a - 1, b)),
                lambda: is_zero(sp.binomial(m - 1, 1) - (m - 1)),
                lambda: all(comb(0, b) == 0 for b in range(1, 14)),
            ),
            symbolic(
                r"regions that are not bounded are those of the arrangement at infinity, $m$"
                r" hyperplanes through the origin: $\sum_{i=0}^{n} \binom{m}{i} - \binom{m - 1}{n}"
                r" ="
                r" 2 \sum_{i=0}^{n-1} \binom{m - 1}{i}$, by Pascal's rule in each term",
                pascal,
                lambda: all(
                    region_sum(a, b) - comb(a - 1, b) == 2 * region_sum(a - 1, b - 1)
                    for a in range(1, 14)
                    for b in range(1, 14)
                ),
            ),
            sampled(
                r"in general position the inequality is an equality: counted from the"
                r" characteristic polynomial at 1",
                lambda: all(
                    a.n_bounded_regions == comb(a.n_hyperplanes - 1, a.dimension)
                    for a in examples()
                    if a.is_simple
                ),
            ),
        ),
    )


def _orthants(arrangement: HyperplaneArrangement) -> bool:
    # The points y = A x - b for x in R^n, an affine subspace of R^m.
    normals = np.asarray(arrangement.normals, dtype=np.float64)
    offsets = np.asarray(arrangement.offsets, dtype=np.float64)
    points = 3 * np.random.default_rng(2).normal(size=(20_000, arrangement.dimension))
    met = {tuple(row) for row in np.sign(points @ normals.T - offsets).tolist()}
    regions = {tuple(region.sign_vector.tolist()) for region in arrangement.regions()}
    return met <= regions


@proof("zaslavsky1975/affine-orthants")
def affine_orthants() -> Proof:
    """The coordinate hyperplanes cut the subspace."""
    return Proof(
        Form(left="o", right=ChooseSum(m, n), symbols={"m": m, "n": n}),
        (
            sampled(
                r"with the subspace written as the points $A x - b$, the orthants that it meets are"
                r" the sign vectors of the regions of $m$ hyperplanes of $\mathbb{R}^n$: random"
                r" points are in no others",
                lambda: _orthants(generic(6, 3, np.random.default_rng(3))),
                lambda: _orthants(generic(9, 2, np.random.default_rng(4))),
            ),
            *regions().steps,
        ),
    )
