"""Counting dichotomies: one point more, and one dimension less."""

from math import comb

import numpy as np
import sympy as sp

from theory.arrangement import HyperplaneArrangement, central_generic
from theory.proof import Proof, Step, is_zero, proof, sampled, symbolic
from theory.proofs.zaslavsky1975 import ChooseSum, pascal, recursion, region_sum
from theory.symbolic import Form

N = sp.Symbol("N", integer=True, positive=True)
d = sp.Symbol("d", integer=True, positive=True)
index = sp.Symbol("i", integer=True, nonnegative=True)


def ways(points: int, dimension: int) -> int:
    """Return the number of dichotomies in general position from its definition."""
    return 2 * sum(comb(points - 1, i) for i in range(dimension))


def counting_theorem() -> tuple[Step, ...]:
    """Return the steps of the function-counting theorem."""
    return (
        symbolic(
            r"a point more: the dichotomies of $N - 1$ points that a hyperplane through the new one"
            r" makes too are those of their projections along it, in dimension $d - 1$, and each of"
            r" these becomes two: $c(N, d) \le c(N - 1, d) + c(N - 1, d - 1)$, which the sums"
            r" satisfy with equality by Pascal's rule",
            pascal,
            lambda: recursion(ways, ways),
        ),
        symbolic(
            r"one point is on one side or the other, and points of a line are divided in two ways",
            lambda: all(ways(1, b) == 2 for b in range(1, 14)),
            lambda: all(ways(a, 1) == 2 for a in range(1, 14)),
        ),
        symbolic(
            r"all $2^N$ dichotomies are there for $N \le d$, and half of them for $N = 2 d$, where"
            r" $\binom{2 d - 1}{i} = \binom{2 d - 1}{2 d - 1 - i}$",
            lambda: is_zero(2 * sp.summation(sp.binomial(N - 1, index), (index, 0, N - 1)) - 2**N),
            lambda: is_zero(
                sp.combsimp(
                    sp.binomial(2 * d - 1, index) / sp.binomial(2 * d - 1, 2 * d - 1 - index)
                )
                - 1
            ),
            lambda: all(2 * ways(2 * b, b) == 2 ** (2 * b) for b in range(1, 14)),
        ),
        sampled(
            r"dichotomies are regions of the hyperplanes $x_i \cdot w = 0$ of the directions $w$:"
            r" as many were counted, one by one, and fewer where $d$ points are dependent",
            lambda: all(
                len(list(central_generic(a, b).regions())) == ways(a, b)
                for a, b in ((3, 2), (5, 3), (6, 3), (6, 4), (3, 4))
            ),
            lambda: (
                len(list(HyperplaneArrangement(np.array(_DEPENDENT), np.zeros(4, int)).regions()))
                < ways(4, 3)
            ),
        ),
    )


_DEPENDENT = [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]]


@proof("cover1965/dichotomies")
def dichotomies() -> Proof:
    """By induction on the number of points."""
    return Proof(
        Form(left="c", right=2 * ChooseSum(N - 1, d - 1), symbols={"n_points": N, "dimension": d}),
        counting_theorem(),
    )


@proof("cover1965/affine-dichotomies")
def affine_dichotomies() -> Proof:
    """One dimension more."""
    return Proof(
        Form(left="c", right=2 * ChooseSum(N - 1, d), symbols={"n_points": N, "dimension": d}),
        (
            symbolic(
                r"$a \cdot x > b$ says that $(x, 1)$ is on the positive side of the hyperplane"
                r" through the origin with the normal $(a, -b)$; on a line, $N$ points are divided"
                r" in $2 N$ ways",
                lambda: is_zero(2 * (sp.binomial(N - 1, 0) + sp.binomial(N - 1, 1)) - 2 * N),
            ),
            *counting_theorem(),
        ),
    )


@proof("cover1965/orthants")
def orthants() -> Proof:
    """The rows of a matrix are points."""
    return Proof(
        Form(left="o", right=2 * ChooseSum(N - 1, d - 1), symbols={"n_points": N, "dimension": d}),
        (
            symbolic(
                r"with the subspace written as the points $A w$, the orthants that it meets are the"
                r" dichotomies that the directions $w$ make of the rows of $A$; they come in"
                r" opposite pairs, and are fewer than those of an affine subspace by the bounded"
                r" regions: $\sum_{i=0}^{d} \binom{N}{i} - \binom{N - 1}{d}$",
                pascal,
                lambda: all(
                    ways(a, b) == region_sum(a, b) - comb(a - 1, b)
                    for a in range(1, 14)
                    for b in range(1, 14)
                ),
            ),
            *counting_theorem(),
        ),
    )
