"""Zaslavsky, Facing up to arrangements (1975): regions and bounded regions of hyperplanes."""

from math import comb

import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count, float_above, whole_number
from theory.arrangement.counting import binomial_sum
from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, Quantity, Ref, Relation, required, theorem
from theory.parameter import Integers, Parameter

KEY, SOURCE = "zaslavsky1975", "Zaslavsky, Memoirs AMS 154, 1975"
N_REGIONS, N_BOUNDED_REGIONS = Quantity("n_regions"), Quantity("n_bounded_regions")
N_ORTHANTS = Quantity("n_orthants", "affine")
"""Sign patterns without 0 on an affine subspace."""
HYPERPLANES = Parameter("m", "m", "number of hyperplanes", Integers(1, 300), 64)
DIMENSION = Parameter("n", "n", "dimension of the space", Integers(1, 300), 11)
SETTING = (
    r"Let $r$ be the number of regions, and $b$ that of the bounded regions, into which $m$"
    r" hyperplanes divide $\mathbb{R}^n$"
)


def max_regions(m: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return the largest number of regions that m hyperplanes can have in R^n.

    Parameters
    ----------
    m, n : array_like of int
        At least 1; they broadcast.

    Returns
    -------
    ndarray
        C(m, 0) + ... + C(m, n), exact up to 2^53, then rounded; +inf above all floats.
        `theory.arrangement.counting.binomial_sum` is the exact integer.

    Raises
    ------
    ValueError
        If an argument is no whole number of at least 1.

    References
    ----------
    Theorem A and its corollary for general position; Schlaefli (1852); Buck (1943).

    Examples
    --------
    >>> max_regions([2, 4, 64], [2, 2, 11])
    array([4.00000000e+00, 1.10000000e+01, 9.27740241e+11])
    """
    return broadcast_count(binomial_sum, m=(m, 1), n=(n, 1))


def max_bounded_regions(m: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return the largest number of bounded regions that m hyperplanes can have in R^n.

    Parameters and errors are those of `max_regions`; the value is C(m - 1, n).

    Examples
    --------
    >>> max_bounded_regions([2, 3, 10], [2, 2, 4])
    array([  0.,   1., 126.])
    """
    return broadcast_count(lambda m, n: comb(m - 1, n), m=(m, 1), n=(n, 1))


def known_arrangement(facts: Facts) -> tuple[int, int]:
    """Return the numbers of hyperplanes and of dimensions; OutOfScopeError if not known."""
    m = required(facts, "n_hyperplanes", "the number of hyperplanes")
    n = required(facts, "dimension", "the dimension of the space")
    return whole_number("n_hyperplanes", m, 1), whole_number("dimension", n, 1)


@theorem(
    "zaslavsky1975/regions",
    kind=Kind.SCALAR,
    quantities=(N_REGIONS,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem A, in general position"),
    setting=SETTING,
    bound=Bound((HYPERPLANES, DIMENSION), max_regions),
)
def regions(facts: Facts, quantity: Quantity) -> float:
    """Hyperplanes divide space into no more regions than in general position.

    Attained if and only if any k <= n of the hyperplanes meet in codimension k, and no n + 1 of
    them in a point.

    Hypotheses: the numbers of hyperplanes and of dimensions are known.
    """
    return float_above(binomial_sum(*known_arrangement(facts)))


@theorem(
    "zaslavsky1975/bounded-regions",
    kind=Kind.SCALAR,
    quantities=(N_BOUNDED_REGIONS,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem C, in general position"),
    setting=SETTING,
    bound=Bound((HYPERPLANES, DIMENSION), max_bounded_regions),
)
def bounded_regions(facts: Facts, quantity: Quantity) -> float:
    """Hyperplanes have no more bounded regions than in general position.

    Attained in general position; generic hyperplanes through a point have none.

    Hypotheses: the numbers of hyperplanes and of dimensions are known.
    """
    m, n = known_arrangement(facts)
    return float_above(comb(m - 1, n))


@theorem(
    "zaslavsky1975/affine-orthants",
    kind=Kind.SCALAR,
    quantities=(N_ORTHANTS,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem A, in general position"),
    setting=(
        r"Let $o$ be the number of orthants of $\mathbb{R}^m$ that an affine subspace of dimension"
        r" $n$ meets in more than their boundary"
    ),
    bound=Bound((HYPERPLANES, DIMENSION), max_regions),
)
def affine_orthants(facts: Facts, quantity: Quantity) -> float:
    """An affine subspace meets no more orthants than hyperplanes have regions.

    The coordinate hyperplanes divide the subspace into one region for each orthant that is met. So
    a move of n coordinates reaches no more sign patterns of m affine functions. Attained by a
    generic subspace that misses the origin.

    Hypotheses: the number of coordinates and the dimension of the subspace are known.
    """
    return float_above(binomial_sum(*known_arrangement(facts)))
