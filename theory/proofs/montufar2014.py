"""Folding: a layer maps many cells onto one, and what follows is repeated in each."""

from fractions import Fraction

import mpmath as mp
import sympy as sp

from theory.proof import Proof, is_zero, proof, sampled, symbolic
from theory.proofs.serra2018 import by_definition, depth, inputs, width
from theory.proofs.zaslavsky1975 import ChooseSum, region_sum
from theory.symbolic import Form

q = sp.Symbol("q", integer=True, positive=True)


def fold(x: Fraction, pieces: int) -> Fraction:
    """Return a sum of rectified units that maps each [i, i + 1] / pieces onto [0, 1]."""
    slopes = [pieces] + [2 * pieces * (-1) ** i for i in range(1, pieces)]
    return sum(
        (s * max(x - Fraction(i, pieces), Fraction(0)) for i, s in enumerate(slopes)),
        Fraction(0),
    )


def _folds(pieces: int) -> bool:
    """Whether all cells are mapped onto the unit interval, up and down by turns."""
    ends = [fold(Fraction(i, pieces), pieces) for i in range(pieces + 1)]
    middles = [fold(Fraction(2 * i + 1, 2 * pieces), pieces) for i in range(pieces)]
    return ends == [Fraction(i % 2) for i in range(pieces + 1)] and set(middles) == {Fraction(1, 2)}


@proof("montufar2014/max-linear-regions")
def max_linear_regions() -> Proof:
    """By construction."""
    right = q ** (inputs * (depth - 1)) * ChooseSum(width, inputs)
    return Proof(
        Form(
            left="R",
            right=right,
            symbols={"n_inputs": inputs, "width": width, "depth": depth},
            derived={q: lambda values: mp.floor(values["width"] / values["n_inputs"])},
        ),
        (
            sampled(
                r"$q$ units of one input, with kinks at $0, 1/q, \ldots, (q - 1)/q$ and slopes $q,"
                r" -2 q, 2 q, \ldots$, map each of $q$ intervals onto $[0, 1]$, up and down by"
                r" turns; $n_0$ such groups, one an input, map $q^{n_0}$ cubes onto one",
                lambda: all(_folds(pieces) for pieces in range(1, 12)),
            ),
            symbolic(
                r"the next layer takes these sums as its inputs, which costs no unit: $L - 1$"
                r" layers map $q^{n_0 (L - 1)}$ cubes onto one; the last layer divides that cube"
                r" into as many regions as $w$ hyperplanes in general position have, and so each of"
                r" the cubes",
                lambda: is_zero(
                    q**inputs * q ** (inputs * (depth - 1)) / q ** (inputs * depth) - 1
                ),
                lambda: is_zero(right.subs(depth, 1) - ChooseSum(width, inputs)),
            ),
            sampled(
                r"the bound is below the upper one of Serra et al., and equal to it for one layer",
                lambda: all(
                    (b // a) ** (a * (c - 1)) * region_sum(b, a) <= by_definition(a, [b] * c)
                    for a in (1, 2, 3)
                    for b in range(a, 8)
                    for c in (1, 2, 3)
                ),
                lambda: all(region_sum(b, 2) == by_definition(2, [b]) for b in range(2, 9)),
            ),
        ),
    )
