"""Cover, Geometrical and statistical properties of linear inequalities (1965): dichotomies."""

import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count, float_above, whole_number
from theory.arrangement.counting import central_sum
from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, Quantity, Ref, Relation, required, theorem
from theory.parameter import Integers, Parameter

KEY, SOURCE = "cover1965", "Cover, IEEE Trans. Electronic Computers 14, 1965"
N_DICHOTOMIES = Quantity("n_dichotomies", "linear")
N_DICHOTOMIES_AFFINE = Quantity("n_dichotomies", "affine")
N_ORTHANTS = Quantity("n_orthants", "linear")
_REF = Ref(KEY, SOURCE, "Theorem 1, the function-counting theorem")
POINTS = Parameter("n_points", "N", "number of points", Integers(1, 300), 20)
SPACE = Parameter("dimension", "d", "dimension of the space", Integers(1, 300), 10)
_SETTING = (
    r"Let $c$ be the number of ways in which a hyperplane through the origin, on which none of them"
    r" lies, divides $N$ points of $\mathbb{R}^d$"
)


def max_dichotomies(n_points: npt.ArrayLike, dimension: npt.ArrayLike) -> FloatArray:
    """Return the largest number of ways to separate points by hyperplanes through the origin.

    Parameters
    ----------
    n_points, dimension : array_like of int
        At least 1; they broadcast.

    Returns
    -------
    ndarray
        2 (C(N - 1, 0) + ... + C(N - 1, d - 1)), the two sides of a hyperplane told apart, rounded;
        +inf above all floats. 2^N for N <= d, and half of that for N = 2 d.

    Raises
    ------
    ValueError
        If an argument is no whole number of at least 1.

    References
    ----------
    Theorem 1; Schlaefli (1852) counted the same regions.

    Examples
    --------
    >>> max_dichotomies([3, 4, 5, 6], 3)
    array([ 8., 14., 22., 32.])
    """
    return broadcast_count(central_sum, n_points=(n_points, 1), dimension=(dimension, 1))


def max_affine_dichotomies(n_points: npt.ArrayLike, dimension: npt.ArrayLike) -> FloatArray:
    """Return the largest number of ways to separate points by any hyperplanes.

    Parameters and errors are those of `max_dichotomies`, of which it is the value in one dimension
    more.

    Examples
    --------
    >>> max_affine_dichotomies([3, 4, 5], 2)
    array([ 8., 14., 22.])
    """
    return broadcast_count(_affine, n_points=(n_points, 1), dimension=(dimension, 1))


def _affine(n_points: int, dimension: int) -> int:
    return central_sum(n_points, dimension + 1)


def known_points(facts: Facts) -> tuple[int, int]:
    """Return the numbers of points and of dimensions; OutOfScopeError if not known."""
    n_points = required(facts, "n_points", "the number of points")
    dimension = required(facts, "dimension", "the dimension of the space")
    return whole_number("n_points", n_points, 1), whole_number("dimension", dimension, 1)


@theorem(
    "cover1965/dichotomies",
    kind=Kind.SCALAR,
    quantities=(N_DICHOTOMIES,),
    relation=Relation.AT_MOST,
    ref=_REF,
    setting=_SETTING,
    bound=Bound((POINTS, SPACE), max_dichotomies),
)
def dichotomies(facts: Facts, quantity: Quantity) -> float:
    """Hyperplanes through the origin separate points in no more ways than in general position.

    Attained if and only if any d of the points are linearly independent (all of them for N <= d).

    Hypotheses: the numbers of points and of dimensions are known.
    """
    return float_above(central_sum(*known_points(facts)))


@theorem(
    "cover1965/affine-dichotomies",
    kind=Kind.SCALAR,
    quantities=(N_DICHOTOMIES_AFFINE,),
    relation=Relation.AT_MOST,
    ref=_REF,
    setting=_SETTING.replace(" through the origin,", ","),
    bound=Bound((POINTS, SPACE), max_affine_dichotomies),
)
def affine_dichotomies(facts: Facts, quantity: Quantity) -> float:
    """Hyperplanes separate points in no more ways than in general position.

    The points (x, 1) are separated by hyperplanes through the origin. Attained if and only if no
    d + 1 of the points lie on a hyperplane.

    Hypotheses: the numbers of points and of dimensions are known.
    """
    return float_above(_affine(*known_points(facts)))


@theorem(
    "cover1965/orthants",
    kind=Kind.SCALAR,
    quantities=(N_ORTHANTS,),
    relation=Relation.AT_MOST,
    ref=_REF,
    setting=(
        r"Let $o$ be the number of orthants of $\mathbb{R}^N$ that a linear subspace of dimension"
        r" $d$ meets in more than their boundary"
    ),
    bound=Bound((POINTS, SPACE), max_dichotomies),
)
def orthants(facts: Facts, quantity: Quantity) -> float:
    """A linear subspace meets no more orthants than points are separated in ways.

    The rows of a matrix whose image it is are the points. Attained by generic subspaces.

    Hypotheses: the numbers of coordinates and of dimensions of the subspace are known.
    """
    return float_above(central_sum(*known_points(facts)))
