"""Alon, Frankl and Roedl, Geometrical realization of set systems (1985): sign matrices."""

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
from theory.claims.warren1968 import SIGN_RANK, SIZE
from theory.parameter import Integers, Parameter

KEY, SOURCE = "alon1985", "Alon, Frankl and Roedl, FOCS 1985"
LOG_SIGN_MATRICES = Quantity("n_sign_matrices", "log2")
"""Logarithm to base 2 of the number of sign matrices of at most this sign rank."""
_ROWS = Parameter("rows", "m", "rows of the matrices", Integers(2, 2000), 100)
_COLUMNS = Parameter("columns", "n", "columns of the matrices", Integers(2, 2000), 100)
_RANK = Parameter("rank", "r", "sign rank", Integers(1, 30), 5)


def log2_sign_matrices(
    rows: npt.ArrayLike, columns: npt.ArrayLike, rank: npt.ArrayLike
) -> FloatArray:
    """Return log2 of an upper bound on the number of sign matrices of at most this sign rank.

    Parameters
    ----------
    rows, columns, rank : array_like of int
        At least 1; they broadcast.

    Returns
    -------
    ndarray
        v log2(8 e rows columns / v), with v = (rows + columns) rank variables.

    Raises
    ------
    OutOfScopeError
        If there are more variables than entries of the matrix.
    ValueError
        If an argument is no whole number of at least 1.

    Examples
    --------
    >>> float(log2_sign_matrices(100, 100, 5)) < 100 * 100
    True
    """
    m, n, r = (
        broadcast_count(int, **{name: (value, 1)})
        for name, value in (("rows", rows), ("columns", columns), ("rank", rank))
    )
    variables = (m + n) * r
    if np.any(variables > m * n):
        raise OutOfScopeError(
            f"factors of rank {rank!r} have more entries than the {rows!r} x {columns!r} matrix"
        )
    return np.asarray(variables * np.log2(8 * math.e * m * n / variables))


def printed_sign_rank(size: npt.ArrayLike) -> FloatArray:
    """Return N / 32, a rank that some N x N sign matrix needs.

    Examples
    --------
    >>> float(printed_sign_rank(320))
    10.0
    """
    return np.asarray(broadcast_count(int, size=(size, 1)) / 32)


@theorem(
    "alon1985/sign-matrices",
    kind=Kind.SCALAR,
    quantities=(LOG_SIGN_MATRICES,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "counting by Warren's theorem"),
    setting=(
        r"Let $s$ be the number of $m \times n$ sign matrices whose signs are those of a real"
        r" matrix of rank at most $r$, where $(m + n) r \le m n$"
    ),
    bound=Bound((_ROWS, _COLUMNS, _RANK), log2_sign_matrices),
)
def sign_matrices(facts: Facts, quantity: Quantity) -> float:
    """Few sign matrices have a small sign rank.

    Hypotheses: the size of the matrices and the rank are known, and (m + n) r <= m n.
    """
    names = {"matrix_rows": "the number of rows", "matrix_columns": "the number of columns"}
    names["sign_rank"] = "the sign rank"
    known = [whole_number(name, required(facts, name, what), 1) for name, what in names.items()]
    return float(log2_sign_matrices(*known)) * (1 + ROUNDING)


@theorem(
    "alon1985/sign-rank",
    kind=Kind.SCALAR,
    quantities=(SIGN_RANK,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "lower bound on the dimension of a realisation"),
    setting=(
        r"Let $R$ be the largest sign rank of an $N \times N$ matrix of signs, the least rank of"
        r" a real matrix with these signs"
    ),
    bound=Bound((SIZE,), printed_sign_rank),
    stronger="warren1968/sign-rank",
)
def sign_rank(facts: Facts, quantity: Quantity) -> float:
    """Some sign matrix needs a rank of at least a 32nd of its size.

    Hypotheses: the size of the matrices is known.
    """
    size = required(facts, "matrix_size", "the size of the matrices")
    return whole_number("matrix_size", size, 1) / 32
