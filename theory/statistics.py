"""Exact finite-sample statistics: nothing here is asymptotic."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray

Side = Literal["lower", "upper", "two-sided"]


def checked_level(alpha: float) -> float:
    """Return a level that lies in (0, 1).

    Parameters
    ----------
    alpha : float
        Allowed probability of an error.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it does not lie there.

    Examples
    --------
    >>> checked_level(0.05)
    0.05
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, got {alpha}")
    return float(alpha)


def checked_count(n: float, name: str) -> int:
    """Return a number of points that is whole and at least 1.

    Parameters
    ----------
    n : float
        The number.
    name : str
        What it is called in the error.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it is no such number.

    Examples
    --------
    >>> checked_count(np.float64(12.0), "n")
    12
    """
    if not 1 <= n < float("inf") or n != int(n):
        raise ValueError(f"{name} must be at least 1 and whole, got {n}")
    return int(n)


def _checked_side(side: str) -> None:
    if side not in ("lower", "upper", "two-sided"):
        raise ValueError(f"side must be 'lower', 'upper' or 'two-sided', got {side!r}")


def clopper_pearson(
    successes: npt.ArrayLike, trials: int, alpha: float, side: Side = "two-sided"
) -> tuple[FloatArray, FloatArray]:
    """Return exact confidence limits on a binomial proportion.

    Parameters
    ----------
    successes : array_like of int
        Number of successes, in 0..trials.
    trials : int
        Number of independent trials, at least 1.
    alpha : float
        Allowed probability that the limits miss, in (0, 1).
    side : {"lower", "upper", "two-sided"}
        A one-sided limit spends all of alpha on its side, and the other end is 0 or 1.

    Returns
    -------
    lower, upper : ndarray
        Limits in [0, 1], shaped as `successes`.

    Raises
    ------
    ValueError
        If trials < 1, a count lies outside 0..trials or there is none, or alpha outside (0, 1).

    References
    ----------
    Clopper and Pearson, Biometrika 26 (1934).

    Examples
    --------
    >>> lower, upper = clopper_pearson(30, 1000, 0.05, "upper")
    >>> float(lower), round(float(upper), 9)
    (0.0, 0.040472237)
    """
    checked_level(alpha)
    k = np.asarray(successes, dtype=np.float64)
    checked_count(trials, "trials")
    if not k.size:
        raise ValueError(f"successes must be one count or more, got {successes!r}")
    if not np.all((k >= 0) & (k <= trials) & (k == np.floor(k))):
        raise ValueError(f"successes must be whole numbers in 0..{trials}, got {successes!r}")
    _checked_side(side)
    tail = alpha / 2 if side == "two-sided" else alpha
    lower, upper = np.zeros_like(k), np.ones_like(k)
    if side != "upper":
        lower = np.where(k > 0, special.betaincinv(np.maximum(k, 1), trials - k + 1, tail), 0.0)
    if side != "lower":
        rest = np.maximum(trials - k, 1)
        upper = np.where(k < trials, special.betainccinv(k + 1, rest, tail), 1.0)
    return lower, upper


def dkw_halfwidth(n: int, alpha: float, sides: Literal[1, 2] = 1) -> float:
    """Return e with P(sup |F_n - F| > e) <= alpha (one side: of the signed difference).

    Parameters
    ----------
    n : int
        Number of independent points, at least 1.
    alpha : float
        In (0, 1); at most 1/2 for one side, where Massart's constant is proved.
    sides : {1, 2}
        One-sided or two-sided band.

    Returns
    -------
    float
        sqrt(log(sides / alpha) / (2 n)).

    Raises
    ------
    ValueError
        If n < 1, alpha is out of range, or sides is neither 1 nor 2.

    References
    ----------
    Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality, Ann. Probab. 18
    (1990).

    Examples
    --------
    >>> round(dkw_halfwidth(10_000, 0.05), 12)
    0.012238734153
    """
    checked_level(alpha)
    checked_count(n, "n")
    if sides not in (1, 2):
        raise ValueError(f"sides must be 1 or 2, got {sides}")
    if sides == 1 and alpha > 0.5:
        raise ValueError(f"the one-sided constant needs alpha <= 1/2, got {alpha}")
    return float(np.sqrt(np.log(sides / alpha) / (2 * n)))


def empirical_bernstein(
    values: npt.ArrayLike, alpha: float, upper: float, side: Side = "two-sided"
) -> tuple[float, float]:
    """Return confidence limits on the mean of independent, equally distributed, bounded values.

    They are narrow where the values vary little: to first order their distance from the sample
    mean depends on the sample variance, not on the largest value possible.

    Parameters
    ----------
    values : array_like, shape (n,)
        n >= 2 independent values in [0, upper].
    alpha : float
        Allowed probability that the limits miss the mean, in (0, 1).
    upper : float
        Largest value possible, positive and finite, known before the values are seen.
    side : {"lower", "upper", "two-sided"}
        A one-sided limit spends all of alpha on its side, and the other end is 0 or `upper`.

    Returns
    -------
    lower, upper : float
        Limits in [0, upper], in the unit of the values.

    Raises
    ------
    ValueError
        If there are fewer than 2 values, one is NaN or outside [0, upper], upper is not positive
        and finite, or alpha outside (0, 1).

    References
    ----------
    Maurer and Pontil, Empirical Bernstein bounds and sample variance penalization, COLT 2009,
    Theorem 4.

    Examples
    --------
    >>> lower, upper = empirical_bernstein(np.linspace(0.4, 0.6, 1000), 0.05, 1.0)
    >>> round(lower, 6), round(upper, 6)
    (0.484352, 0.515648)
    """
    checked_level(alpha)
    _checked_side(side)
    if not 0 < upper < np.inf:
        raise ValueError(f"upper must be positive and finite, got {upper}")
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size < 2:
        raise ValueError(f"values must be a list of 2 numbers or more, got shape {x.shape}")
    outside = ~((x >= 0) & (x <= upper))
    if outside.any():
        raise ValueError(f"values must lie in [0, {upper}], got {x[outside][0]}")
    log = np.log((4 if side == "two-sided" else 2) / alpha)
    width = np.sqrt(2 * x.var(ddof=1) * log / x.size) + 7 * upper * log / (3 * (x.size - 1))
    low = 0.0 if side == "upper" else max(x.mean() - width, 0.0)
    high = upper if side == "lower" else min(x.mean() + width, upper)
    return float(low), float(high)


def class_mass_box(counts: npt.ArrayLike, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Return limits that hold for all class masses at once, with probability 1 - alpha.

    Parameters
    ----------
    counts : array_like of int, shape (K,)
        How many of the sampled points each class got; their sum is the number of samples.
    alpha : float
        In (0, 1); spent as alpha / K on each class, two-sided (Bonferroni).

    Returns
    -------
    lower, upper : ndarray, shape (K,)

    Raises
    ------
    ValueError
        If counts is no list of whole numbers of which one is positive, or alpha outside (0, 1).

    Examples
    --------
    >>> lower, upper = class_mass_box([90, 10], 0.05)
    >>> bool(np.all(lower < [0.9, 0.1]) and np.all(upper > [0.9, 0.1]))
    True
    """
    checked_level(alpha)
    k = np.asarray(counts, dtype=np.float64)
    if k.ndim != 1 or not k.size:
        raise ValueError(f"counts must be a list of one count a class, got {counts!r}")
    return clopper_pearson(k, checked_count(k.sum(), "the sum of counts"), alpha / k.size)


def most_equal_masses(lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return the masses in a box that sum to 1 and are as equal as the box allows.

    It minimises every symmetric convex sum over {sum p = 1, lower <= p <= upper}: the minimiser
    clips one common level to the box.

    Parameters
    ----------
    lower, upper : ndarray, shape (K,)
        With sum(lower) <= 1 <= sum(upper).

    Returns
    -------
    ndarray, shape (K,)

    Raises
    ------
    ValueError
        If no masses between the limits sum to 1.

    Examples
    --------
    >>> most_equal_masses(np.array([0.6, 0.0, 0.0]), np.ones(3)).round(12).tolist()
    [0.6, 0.2, 0.2]
    """
    if not (np.all(lower <= upper) and lower.sum() <= 1 + 1e-12 and upper.sum() >= 1 - 1e-12):
        raise ValueError(f"no masses between {lower} and {upper} sum to 1")
    levels = np.unique(np.concatenate([lower, upper]))
    sums = np.array([np.clip(level, lower, upper).sum() for level in levels])
    # The sum is piecewise linear in the level, with breaks at the ends of the box.
    masses = np.clip(np.interp(1.0, sums, levels), lower, upper)
    return np.asarray(masses / masses.sum())


def quantile_interval(n: int, q: float, alpha: float) -> tuple[int, int]:
    """Return 1-based ranks (j, k) with P(r_(j) <= q-quantile <= r_(k)) >= 1 - alpha.

    Parameters
    ----------
    n : int
        Number of independent points, at least 1.
    q : float
        Probability, in (0, 1).
    alpha : float
        In (0, 1), half of it on each side.

    Returns
    -------
    j, k : int
        Rank 0 stands for -inf and rank n + 1 for +inf: n is too small for that side.

    Raises
    ------
    ValueError
        If n < 1, or q or alpha lies outside (0, 1).

    References
    ----------
    David and Nagaraja, Order Statistics (2003), section 7.1.

    Examples
    --------
    >>> quantile_interval(1000, 0.25, 0.05)
    (223, 278)
    """
    checked_level(alpha)
    checked_count(n, "n")
    if not 0 < q < 1:
        raise ValueError(f"q must lie strictly between 0 and 1, got {q}")
    # r_(j) > quantile iff fewer than j points lie at or below it; r_(k) < it iff k or more do.
    ranks = np.arange(n + 1)
    fewer = special.bdtr(ranks, n, q)  # P(at most `rank` points lie below)
    j = int(np.searchsorted(fewer, alpha / 2, side="right"))
    more = special.bdtrc(ranks, n, q)  # P(more than `rank` points lie below)
    k = int(np.argmax(more <= alpha / 2)) + 1
    return j, k


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Return Holm's adjusted p-values: reject where one is at most alpha.

    Under any dependence, the probability that a true hypothesis is rejected is at most alpha.
    `theory.verdict.judge_together` takes the same steps where a test has levels and no p-value.

    Parameters
    ----------
    p_values : array_like, shape (m,)
        One a hypothesis, in [0, 1].

    Returns
    -------
    ndarray, shape (m,)
        In the order given, in [0, 1].

    Raises
    ------
    ValueError
        If there are none, or one lies outside [0, 1].

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6 (1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(12).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not p.size or not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"p_values must be a list of numbers in [0, 1], got {p_values!r}")
    order = np.argsort(p, kind="stable")
    steps = np.arange(p.size, 0, -1) * p[order]
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
