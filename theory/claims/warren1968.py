"""Warren, Lower bounds for approximation by nonlinear manifolds (1968): sign patterns."""

import math

import numpy as np
import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count, whole_number
from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.parameter import Integers, Parameter

KEY, SOURCE = "warren1968", "Warren, Trans. AMS 133, 1968"
N_SIGN_PATTERNS = Quantity("n_sign_patterns")
SIGN_RANK = Quantity("max_sign_rank")
"""The largest sign rank of an N x N matrix of signs: the least rank of a matrix with its signs."""
_POLYNOMIALS = Parameter("m", "M", "number of polynomials", Integers(1, 300), 20)
_DEGREE = Parameter("degree", "D", "largest degree", Integers(1, 12), 2)
_VARIABLES = Parameter("n", "n", "number of variables", Integers(1, 40), 3)
SIZE = Parameter("size", "N", "rows and columns of the sign matrix", Integers(1, 3000), 100)


def max_sign_patterns(m: npt.ArrayLike, degree: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return an upper bound on the number of sign patterns of polynomials, where none is zero.

    Parameters
    ----------
    m : array_like of int
        Number of polynomials, at least n.
    degree : array_like of int
        Upper end of their degrees, at least 1.
    n : array_like of int
        Number of real variables, at least 1.

    Returns
    -------
    ndarray
        (4 e degree m / n)^n; +inf above all floats.

    Raises
    ------
    OutOfScopeError
        If there are fewer polynomials than variables.
    ValueError
        If an argument is no whole number of at least 1.

    References
    ----------
    Theorem 3.

    Examples
    --------
    >>> float(max_sign_patterns(5, 1, 1)) >= 6
    True
    """
    whole = [
        broadcast_count(int, **{name: (value, 1)})
        for name, value in (("m", m), ("degree", degree), ("n", n))
    ]
    count, power, variables = whole
    if np.any(count < variables):
        raise OutOfScopeError(f"{n!r} variables need as many polynomials, not {m!r}")
    with np.errstate(over="ignore"):
        return np.asarray((4 * math.e * power * count / variables) ** variables)


def sign_rank_lower_bound(size: npt.ArrayLike) -> FloatArray:
    """Return a rank that some sign matrix of this size needs.

    Parameters
    ----------
    size : array_like of int
        N, rows and columns, at least 1.

    Returns
    -------
    ndarray
        The least whole number r with 2 r N log2(4 e N / r) >= N^2, about 0.0684 N.

    Raises
    ------
    ValueError
        If a size is no whole number of at least 1.

    Examples
    --------
    >>> sign_rank_lower_bound([1, 10, 100, 1000])
    array([ 1.,  1.,  7., 69.])
    """
    return broadcast_count(_least_rank, size=(size, 1))


def _least_rank(size: int) -> int:
    # The left side grows with the rank up to 4 N, and is enough at N / 2.
    low, high = 0, (size + 1) // 2
    while high - low > 1:
        middle = (low + high) // 2
        enough = 2 * middle * math.log2(4 * math.e * size / middle) >= size
        low, high = (low, middle) if enough else (middle, high)
    return high


@theorem(
    "warren1968/sign-patterns",
    kind=Kind.SCALAR,
    quantities=(N_SIGN_PATTERNS,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem 3"),
    setting=(
        r"Let $s$ be the number of sign vectors without 0 that $M$ real polynomials of"
        r" degree at most $D$ in $n \le M$ variables take"
    ),
    bound=Bound((_POLYNOMIALS, _DEGREE, _VARIABLES), max_sign_patterns),
)
def sign_patterns(facts: Facts, quantity: Quantity) -> float:
    """Polynomials of low degree in few variables have few sign patterns.

    For affine functions the regions of hyperplanes are fewer, by a factor of about 4^n.

    Hypotheses: the number of polynomials is known and at least that of the variables, and so is
    their degree.
    """
    names = {"n_polynomials": "the number of polynomials", "degree": "the degree"}
    names["n_variables"] = "the number of variables"
    known = [whole_number(name, required(facts, name, what), 1) for name, what in names.items()]
    return float(max_sign_patterns(*known)) * (1 + ROUNDING)


@theorem(
    "warren1968/sign-rank",
    kind=Kind.SCALAR,
    quantities=(SIGN_RANK,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 3, applied to products of matrices"),
    setting=(
        r"Let $R$ be the largest sign rank of an $N \times N$ matrix of signs, the least rank of"
        r" a real matrix with these signs"
    ),
    bound=Bound((SIZE,), sign_rank_lower_bound),
)
def sign_rank(facts: Facts, quantity: Quantity) -> float:
    """Some sign matrix has a sign rank that grows in proportion to its size.

    Matrices of rank r are products, N^2 polynomials of degree 2 in 2 r N variables, which have
    fewer sign patterns than there are sign matrices. Random matrices need about N / 2.

    Hypotheses: the size of the matrices is known.
    """
    size = required(facts, "matrix_size", "the size of the matrices")
    return float(_least_rank(whole_number("matrix_size", size, 1)))
