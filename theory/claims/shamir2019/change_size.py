"""How far the coordinates move: the norm of the least change, under Gaussian rows."""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrangement.broadcast import broadcast_count
from theory.arrays import FloatArray
from theory.claim import (
    Bound,
    Facts,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Relation,
    theorem,
)
from theory.claims.shamir2019.setting import (
    CHANGE_NORM,
    LINEAR,
    ROWS,
    known,
    known_rows,
    require_row_law,
)
from theory.latent import checked_distance, checked_probability
from theory.parameter import Integers, Parameter, Reals

COORDINATES = Parameter("k", "k", "number of coordinates that change", Integers(1, 200), 10)
RADIUS = Parameter("radius", r"\eta", "multiple of the norm of the move", Reals(), 1.0)


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
    changed, rows = broadcast_count(int, k=(k, 1)), broadcast_count(int, m=(m, 1))
    if np.any(changed < rows):
        raise OutOfScopeError(f"fewer coordinates than rows: k = {k!r} is below m = {m!r}")
    with np.errstate(divide="ignore", over="ignore"):
        inverse = 1.0 / eta
        half, x = np.broadcast_arrays(0.5 * (changed - rows + 1), 0.5 * inverse * inverse)
    return half, x


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
    ref=LINEAR,
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
    require_row_law(facts, ("gaussian",))
    k = known(facts, "n_changed", "the number of coordinates that change")
    m = known_rows(facts)
    if k < m:
        raise OutOfScopeError(f"fewer coordinates than rows: k = {k!r} is below m = {m!r}")
    return CHANGE.law(k=k, m=m)
