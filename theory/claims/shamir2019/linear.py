"""Hyperplanes: as many coordinates as rows reach any cell, and fewer some, by chance.

Hyperplanes a_i . x = b_i, i <= m, divide R^n into cells, and a point is moved to a cell by changing
few coordinates, which may take any real value: none of this holds in a box.
"""

import math
from math import comb

import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count
from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    OutOfScopeError,
    Quantity,
    Relation,
    theorem,
)
from theory.claims.shamir2019.setting import (
    CELL_DISTANCE,
    CHANGED,
    CLASSES,
    LABEL_DISTANCE,
    LINEAR,
    REACH_PROBABILITY,
    ROWS,
    known,
    known_classes,
    known_rows,
    require_row_law,
)

_DIGITS = 128


def cell_distance_bound(m: npt.ArrayLike) -> FloatArray:
    """Return m, the number of coordinates that suffice for any cell of m hyperplanes.

    Parameters
    ----------
    m : array_like of int
        Number of hyperplanes, of independent normals; at least 1.

    Raises
    ------
    ValueError
        If a number is not whole or below 1.

    Examples
    --------
    >>> float(cell_distance_bound(9))
    9.0
    """
    return broadcast_count(int, m=(m, 1))


def label_distance_bound(n_classes: npt.ArrayLike) -> FloatArray:
    """Return K - 1, the number of coordinates that suffice for any label of an affine classifier.

    Parameters
    ----------
    n_classes : array_like of int
        K, at least 2.

    Raises
    ------
    ValueError
        If a number is not whole or below 2.

    Examples
    --------
    >>> float(label_distance_bound(10))
    9.0
    """
    return broadcast_count(lambda n_classes: n_classes - 1, n_classes=(n_classes, 2))


def reach_probability(k: npt.ArrayLike, m: npt.ArrayLike) -> FloatArray:
    """Return P(Bin(m, 1/2) <= k): k fixed coordinates reach a fixed cell of m random hyperplanes.

    Parameters
    ----------
    k : array_like of int
        Coordinates that may change, at least 0.
    m : array_like of int
        Hyperplanes, at least 1; the law of the rows (a_i, b_i) does not change if one of them
        changes its sign, and they are generic with probability 1.

    Returns
    -------
    ndarray
        From whole numbers, so that only the last digits are rounded; 1 for k >= m.

    Raises
    ------
    ValueError
        If an argument is no whole number of its range.

    Examples
    --------
    >>> reach_probability([0, 3, 4, 9], 9).round(4).tolist()
    [0.002, 0.2539, 0.5, 1.0]
    """
    return broadcast_count(_reach, k=(k, 0), m=(m, 1))


def reach_log_probability(k: npt.ArrayLike, m: npt.ArrayLike) -> FloatArray:
    """Return the logarithm of `reach_probability`, of full accuracy where that underflows or is 1.

    Examples
    --------
    >>> round(float(reach_log_probability(0, 10_000)), 6)
    -6931.471806
    """
    return broadcast_count(_log_reach, k=(k, 0), m=(m, 1))


def expected_good_sets(k: npt.ArrayLike, m: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return C(n, k) P(Bin(m, 1/2) <= k), the mean number of k-sets that reach a fixed cell.

    Parameters
    ----------
    k, m : array_like of int
        As in `reach_probability`.
    n : array_like of int
        Number of all coordinates, at least 1.

    Returns
    -------
    ndarray
        +inf above all floats.

    Examples
    --------
    >>> expected_good_sets([1, 2], [9, 10], 784).tolist()
    [15.3125, 16785.5625]
    """
    return broadcast_count(_good_sets, k=(k, 0), m=(m, 1), n=(n, 1))


def log_expected_good_sets(k: npt.ArrayLike, m: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return the logarithm of `expected_good_sets`, -inf where there are no k coordinates.

    Examples
    --------
    >>> round(float(log_expected_good_sets(5000, 9, 10_000)), 6)
    6926.640819
    """
    return broadcast_count(_log_good_sets, k=(k, 0), m=(m, 1), n=(n, 1))


def _scaled(count: int) -> tuple[float, int]:
    """Return a positive whole number as f 2^e with f in [1/2, 1)."""
    shift = max(count.bit_length() - 64, 0)
    fraction, exponent = math.frexp(float(count >> shift))
    return fraction, exponent + shift


def _lower_tail(k: int, m: int) -> tuple[float, int]:
    """Return P(Bin(m, 1/2) <= k) as f 2^e, for 0 <= k < m / 2."""
    # C(m, i) from i = k down: their ratios to C(m, k), in units of 2^-128, fall faster and faster.
    term = total = 1 << _DIGITS
    for i in range(k, 0, -1):
        term = term * i // (m - i + 1)
        if not term:
            break
        total += term
    fraction, exponent = _scaled(comb(m, k) * total)
    return fraction, exponent - _DIGITS - m


def _reach(k: int, m: int) -> float:
    if 2 * k < m:
        return math.ldexp(*_lower_tail(k, m))
    return 1.0 if k >= m else 1.0 - _reach(m - k - 1, m)


def _log_reach(k: int, m: int) -> float:
    if 2 * k < m:
        fraction, exponent = _lower_tail(k, m)
        return math.log(fraction) + exponent * math.log(2)
    return 0.0 if k >= m else math.log1p(-_reach(m - k - 1, m))


def _good_sets(k: int, m: int, n: int) -> float:
    if k > n:
        return 0.0
    sets, sets_exponent = _scaled(comb(n, k))
    part, exponent = _lower_tail(k, m) if 2 * k < m else (_reach(k, m), 0)
    try:
        return math.ldexp(sets * part, sets_exponent + exponent)
    except OverflowError:
        return math.inf


def _log_good_sets(k: int, m: int, n: int) -> float:
    if k > n:
        return -math.inf
    fraction, exponent = _scaled(comb(n, k))
    return math.log(fraction) + exponent * math.log(2) + _log_reach(k, m)


@theorem(
    "shamir2019/any-cell",
    kind=Kind.SCALAR,
    quantities=(CELL_DISTANCE,),
    relation=Relation.AT_MOST,
    ref=LINEAR,
    setting=(
        r"Let $A \in \mathbb{R}^{m \times n}$, $b \in \mathbb{R}^m$, and let $h$ be the least"
        r" number such that from each $x$ each sign vector of $A x - b$ without zeros is reached by"
        r" changing at most $h$ coordinates"
    ),
    hypotheses=(r"some $m \times m$ minor of $A$ is not zero",),
    bound=Bound((ROWS,), cell_distance_bound),
)
def any_cell(facts: Facts, quantity: Quantity) -> float:
    """As many coordinates as hyperplanes suffice to move from any point to any cell.

    Those of any minor that is not zero, whatever the point and the cell.

    Hypotheses: the normals are known to be linearly independent, and the coordinates may take any
    real value.
    """
    m, rank = known_rows(facts), known(facts, "normal_rank", "the rank of the normals")
    if rank < m:
        raise OutOfScopeError(f"the normals have rank {rank} < {m}: no minor is other than zero")
    return float(m)


@theorem(
    "shamir2019/any-label",
    kind=Kind.SCALAR,
    quantities=(LABEL_DISTANCE,),
    relation=Relation.AT_MOST,
    ref=LINEAR,
    setting=(
        r"Let $f(x) = \arg\max_i (w_i \cdot x + c_i)$ with $K$ classes, and let $h$ be the least"
        r" number such that from each $x$ each label is reached by changing at most $h$ coordinates"
    ),
    hypotheses=(r"the differences $w_i - w_1$ have rank $K - 1$",),
    bound=Bound((CLASSES,), label_distance_bound),
)
def any_label(facts: Facts, quantity: Quantity) -> float:
    """One coordinate less than there are classes suffices to move from any point to any label.

    The label t is the cell in which K - 1 differences of outputs are positive.

    Hypotheses: an affine classifier whose weights are known to be affinely independent, and the
    coordinates may take any real value.
    """
    k = known_classes(facts)
    rank = known(facts, "difference_rank", "the rank of the differences of the weights", 0)
    if rank < k - 1:
        raise OutOfScopeError(f"the differences of the weights have rank {rank} < {k - 1}")
    return float(k - 1)


@theorem(
    "shamir2019/k-coordinates",
    kind=Kind.SCALAR,
    quantities=(REACH_PROBABILITY,),
    relation=Relation.AT_LEAST,
    ref=LINEAR,
    setting=(
        r"Let the rows $(a_i, b_i)$, $i \le m$, of a random arrangement have a joint law that no"
        r" change of the sign of one of them alters, fix $x$, $k$ coordinates and a sign vector,"
        r" and let $p$ be the probability that some change of these coordinates reaches its cell"
    ),
    hypotheses=(
        r"with probability 1 the hyperplanes meet the flat of the points that differ from $x$ in"
        r" these coordinates in general position",
    ),
    bound=Bound((CHANGED, ROWS), reach_probability),
)
def k_coordinates(facts: Facts, quantity: Quantity) -> float:
    """A few fixed coordinates reach a fixed cell as often as coins show few heads: an equality.

    An average over the starting cell: one that differs in many signs is reached less often.

    Hypotheses: the law of the rows is known to be symmetric in sign, row by row, and generic; the
    coordinates may take any real value.
    """
    require_row_law(facts, ("gaussian", "sign-symmetric"))
    k = known(facts, "n_changed", "the number of coordinates that may change", 0)
    return _reach(k, known_rows(facts)) * (1 - ROUNDING)
