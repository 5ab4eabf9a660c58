"""Shamir, Safran, Ronen and Dunkelman, adversarial examples of small Hamming distance (2019).

The linear case: hyperplanes a_i . x = b_i, i <= m, divide R^n into cells, and a point is moved to a
cell by changing few coordinates. The statements are in a form of their own, so that no theorem
numbers are cited. All of them let the coordinates take any real value: none holds in a box.
"""

import math
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrangement.broadcast import whole_number
from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.latent import checked_distance, checked_probability
from theory.parameter import Integers, Parameter, Reals

KEY, SOURCE = "shamir2019", "Shamir et al., arXiv 1901.10861, 2019"
CELL_DISTANCE = Quantity("cell_distance", "hamming")
"""Least number of coordinates to change for a given cell, over all points and cells the largest."""
LABEL_DISTANCE = Quantity("label_distance", "hamming")
"""Least number of coordinates to change for a given label, over points and labels the largest."""
REACH_PROBABILITY = Quantity("reach_probability")
"""Probability that some change of k fixed coordinates reaches a fixed cell."""
CHANGE_NORM = Quantity("change_norm", "l2")
"""Norm of the least change that moves A x by v, as a multiple of the norm of v."""
_REF = Ref(KEY, SOURCE, "the linear case")
_DIGITS = 128
ROWS = Parameter("m", "m", "number of hyperplanes", Integers(1, 200), 9)
CLASSES = Parameter("n_classes", "K", "number of classes", Integers(2, 1000), 10)
CHANGED = Parameter("k", "k", "number of coordinates that may change", Integers(0, 200), 3)
COORDINATES = Parameter("k", "k", "number of coordinates that change", Integers(1, 200), 10)
RADIUS = Parameter("radius", r"\eta", "multiple of the norm of the move", Reals(), 1.0)


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
    return _whole("m", m, 1).astype(np.float64)


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
    return _whole("n_classes", n_classes, 2).astype(np.float64) - 1.0


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
    return _each(_reach, k=(k, 0), m=(m, 1))


def reach_log_probability(k: npt.ArrayLike, m: npt.ArrayLike) -> FloatArray:
    """Return the logarithm of `reach_probability`, of full accuracy where that underflows or is 1.

    Examples
    --------
    >>> round(float(reach_log_probability(0, 10_000)), 6)
    -6931.471806
    """
    return _each(_log_reach, k=(k, 0), m=(m, 1))


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
    return _each(_good_sets, k=(k, 0), m=(m, 1), n=(n, 1))


def log_expected_good_sets(k: npt.ArrayLike, m: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return the logarithm of `expected_good_sets`, -inf where there are no k coordinates.

    Examples
    --------
    >>> round(float(log_expected_good_sets(5000, 9, 10_000)), 6)
    6926.640819
    """
    return _each(_log_good_sets, k=(k, 0), m=(m, 1), n=(n, 1))


def change_norm_cdf(radius: npt.ArrayLike, k: npt.ArrayLike, m: npt.ArrayLike) -> FloatArray:
    """Return P(||delta|| <= radius ||v||) for the least delta in R^k with A delta = v.

    Parameters
    ----------
    radius : array_like
        At least 0, +inf allowed.
    k, m : array_like of int
        Shape of the m x k matrix A of independent N(0, 1) entries, 1 <= m <= k; v is fixed.

    Returns
    -------
    ndarray
        P(chi2 >= 1 / radius^2) with k - m + 1 degrees of freedom.

    Raises
    ------
    ValueError
        If a radius is negative or NaN, or a number not whole or below 1.
    OutOfScopeError
        If k < m: A does not reach all v.

    Examples
    --------
    >>> change_norm_cdf(1.0, [9, 10, 20], 9).round(6).tolist()
    [0.317311, 0.606531, 0.999986]
    """
    return np.asarray(special.gammaincc(*_chi_square(radius, k, m)))


def change_norm_log_survival(
    radius: npt.ArrayLike, k: npt.ArrayLike, m: npt.ArrayLike
) -> FloatArray:
    """Return log P(||delta|| > radius ||v||); parameters and errors as for `change_norm_cdf`.

    Examples
    --------
    >>> round(float(change_norm_log_survival(1e40, 18, 9)), 6)
    -929.287265
    """
    half, x = _chi_square(radius, k, m)
    below, above = special.gammainc(half, x), special.gammaincc(half, x)
    # Below 1e-200 the lower tail is x^a e^-x M(1, a + 1, x) / Gamma(a + 1), with M near 1.
    small = np.minimum(x, half)
    with np.errstate(divide="ignore"):
        series = np.log(special.hyp1f1(1.0, half + 1, small))
        log_x = -math.log(2) - 2 * np.log(checked_distance("radius", radius))
        tail = half * log_x - small - special.gammaln(half + 1) + series
        log = np.where(below < 0.5, np.log(below), np.log1p(-above))
    return np.asarray(np.where(below < 1e-200, tail, log))


def change_norm_quantile(
    probability: npt.ArrayLike, k: npt.ArrayLike, m: npt.ArrayLike
) -> FloatArray:
    """Return the inverse of `change_norm_cdf`: 0 at probability 0, +inf at 1.

    Examples
    --------
    >>> change_norm_quantile(0.5, [9, 10], 9).round(4).tolist()
    [1.4826, 0.8493]
    """
    q = checked_probability("probability", probability)
    half, _ = _chi_square(np.ones_like(q), k, m)
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / np.sqrt(2.0 * special.gammainccinv(half, q)))


def _chi_square(
    radius: npt.ArrayLike, k: npt.ArrayLike, m: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return half the degrees of freedom and half the limit, 1 / (2 radius^2)."""
    eta = checked_distance("radius", radius)
    changed, rows = _whole("k", k, 1), _whole("m", m, 1)
    if np.any(changed < rows):
        raise OutOfScopeError(f"fewer coordinates than rows: k = {k!r} is below m = {m!r}")
    with np.errstate(divide="ignore", over="ignore"):
        inverse = 1.0 / eta
        half, x = np.broadcast_arrays(0.5 * (changed - rows + 1), 0.5 * inverse * inverse)
    return half, x


def _whole(name: str, value: npt.ArrayLike, least: int) -> npt.NDArray[np.int64]:
    given: npt.NDArray[Any] = np.asarray(value)
    entries: list[Any] = given.ravel().tolist()
    return np.array([whole_number(name, each, least) for each in entries], dtype=np.int64).reshape(
        given.shape
    )


def _each(function: object, **given: tuple[npt.ArrayLike, int]) -> FloatArray:
    """Return a function of whole numbers at each entry of their broadcast."""
    assert callable(function)
    whole = [_whole(name, value, least) for name, (value, least) in given.items()]
    arrays = np.broadcast_arrays(*whole)
    found = np.empty(arrays[0].shape)
    for index in np.ndindex(found.shape):
        found[index] = function(*(int(array[index]) for array in arrays))
    return found


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


def _known(facts: Facts, name: str, what: str, least: int = 1) -> int:
    return whole_number(name, required(facts, name, what), least)


def _known_rows(facts: Facts) -> int:
    return _known(facts, "n_hyperplanes", "the number of hyperplanes")


def _require_law(facts: Facts, allowed: tuple[str, ...]) -> None:
    law = required(facts, "row_law", "the law of the random rows")
    if law not in allowed:
        raise OutOfScopeError(f"the law of the rows is {law}, not {' or '.join(allowed)}")


@theorem(
    "shamir2019/any-cell",
    kind=Kind.SCALAR,
    quantities=(CELL_DISTANCE,),
    relation=Relation.AT_MOST,
    ref=_REF,
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
    m, rank = _known_rows(facts), _known(facts, "normal_rank", "the rank of the normals")
    if rank < m:
        raise OutOfScopeError(f"the normals have rank {rank} < {m}: no minor is other than zero")
    return float(m)


@theorem(
    "shamir2019/any-label",
    kind=Kind.SCALAR,
    quantities=(LABEL_DISTANCE,),
    relation=Relation.AT_MOST,
    ref=_REF,
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
    k = _known(facts, "n_classes", "the number of classes", 2)
    rank = _known(facts, "difference_rank", "the rank of the differences of the weights", 0)
    if rank < k - 1:
        raise OutOfScopeError(f"the differences of the weights have rank {rank} < {k - 1}")
    return float(k - 1)


@theorem(
    "shamir2019/k-coordinates",
    kind=Kind.SCALAR,
    quantities=(REACH_PROBABILITY,),
    relation=Relation.AT_LEAST,
    ref=_REF,
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
    _require_law(facts, ("gaussian", "sign-symmetric"))
    k = _known(facts, "n_changed", "the number of coordinates that may change", 0)
    return _reach(k, _known_rows(facts)) * (1 - ROUNDING)


CHANGE = Bound(
    (RADIUS, COORDINATES, ROWS),
    change_norm_cdf,
    change_norm_log_survival,
    change_norm_quantile,
)


@theorem(
    "shamir2019/change-size",
    kind=Kind.LAW,
    quantities=(CHANGE_NORM,),
    relation=Relation.AT_LEAST,
    ref=_REF,
    setting=(
        r"Let $A \in \mathbb{R}^{m \times k}$ have independent $\mathcal{N}(0, 1)$ entries, fix"
        r" $v$ other than 0, and let $r = \|\delta\| / \|v\|$ for the shortest $\delta$ with"
        r" $A \delta = v$"
    ),
    hypotheses=(r"$m \le k$",),
    bound=CHANGE,
)
def change_size(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The size of the least change that moves all rows as asked: an equality.

    Of infinite mean for k = m, of infinite variance for k = m + 1, and never bounded.

    Hypotheses: the rows are known to be Gaussian, and the move independent of them; at least as
    many coordinates as rows.
    """
    _require_law(facts, ("gaussian",))
    k = _known(facts, "n_changed", "the number of coordinates that change")
    m = _known_rows(facts)
    if k < m:
        raise OutOfScopeError(f"fewer coordinates than rows: k = {k!r} is below m = {m!r}")
    return CHANGE.law(k=k, m=m)
