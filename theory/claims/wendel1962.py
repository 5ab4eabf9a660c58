"""Wendel, A problem in geometric probability (1962): random points in a half-space."""

from fractions import Fraction

import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count
from theory.arrangement.counting import central_sum
from theory.arrays import FloatArray
from theory.claim import ROUNDING, Bound, Facts, Kind, Quantity, Ref, Relation, theorem
from theory.claims.cover1965 import POINTS, SPACE, known_points

KEY, SOURCE = "wendel1962", "Wendel, Math. Scand. 11, 1962"
HALF_SPACE_PROBABILITY = Quantity("half_space_probability")
"""Probability that some open half-space with the origin on its boundary holds all the points."""


def half_space_probability(n_points: npt.ArrayLike, dimension: npt.ArrayLike) -> FloatArray:
    """Return the probability that random points lie in an open half-space beside the origin.

    Parameters
    ----------
    n_points, dimension : array_like of int
        At least 1; they broadcast.

    Returns
    -------
    ndarray
        2^(1 - N) (C(N - 1, 0) + ... + C(N - 1, d - 1)), that of at most d - 1 heads in N - 1
        throws of a coin.

    Raises
    ------
    ValueError
        If an argument is no whole number of at least 1.

    Examples
    --------
    >>> half_space_probability([2, 3, 4], 2)
    array([1.  , 0.75, 0.5 ])
    """
    return broadcast_count(_probability, n_points=(n_points, 1), dimension=(dimension, 1))


def _probability(n_points: int, dimension: int) -> Fraction:
    return Fraction(central_sum(n_points, dimension), 2**n_points)


@theorem(
    "wendel1962/half-space",
    kind=Kind.SCALAR,
    quantities=(HALF_SPACE_PROBABILITY,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the theorem, in general position an equality"),
    setting=(
        r"Let $N$ random points of $\mathbb{R}^d$ have a joint law that no reflection of one of"
        r" them in the origin changes, and let $p$ be the probability that an open half-space with"
        r" the origin on its boundary holds all of them"
    ),
    bound=Bound((POINTS, SPACE), half_space_probability),
)
def half_space(facts: Facts, quantity: Quantity) -> float:
    """Symmetric random points share a half-space as often as coins show few heads.

    An equality if any d of the points are independent with probability 1. The origin is then
    outside the convex hull with this probability.

    Hypotheses: the numbers of points and of dimensions are known.
    """
    return float(_probability(*known_points(facts))) * (1 + ROUNDING)
