"""Exact finite-sample statistics: nothing here is asymptotic."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.claim import FloatArray

Side = Literal["lower", "upper", "two-sided"]


def _checked_level(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, got {alpha}")
    return float(alpha)


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
        If trials < 1, a count lies outside 0..trials, or alpha outside (0, 1).

    References
    ----------
    Clopper and Pearson, Biometrika 26 (1934).

    Examples
    --------
    >>> lower, upper = clopper_pearson(30, 1000, 0.05, "upper")
    >>> float(lower), round(float(upper), 9)
    (0.0, 0.040472237)
    """
    _checked_level(alpha)
    k = np.asarray(successes, dtype=np.float64)
    if trials < 1:
        raise ValueError(f"trials must be at least 1, got {trials}")
    if not np.all((k >= 0) & (k <= trials) & (k == np.floor(k))):
        raise ValueError(f"successes must be whole numbers in 0..{trials}, got {successes!r}")
    if side not in ("lower", "upper", "two-sided"):
        raise ValueError(f"side must be 'lower', 'upper' or 'two-sided', got {side!r}")
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
    _checked_level(alpha)
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if sides not in (1, 2):
        raise ValueError(f"sides must be 1 or 2, got {sides}")
    if sides == 1 and alpha > 0.5:
        raise ValueError(f"the one-sided constant needs alpha <= 1/2, got {alpha}")
    return float(np.sqrt(np.log(sides / alpha) / (2 * n)))


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

    Examples
    --------
    >>> lower, upper = class_mass_box([90, 10], 0.05)
    >>> bool(np.all(lower < [0.9, 0.1]) and np.all(upper > [0.9, 0.1]))
    True
    """
    k = np.asarray(counts)
    if k.ndim != 1 or not k.size:
        raise ValueError(f"counts must be a list of one count a class, got {counts!r}")
    return clopper_pearson(k, int(k.sum()), alpha / k.size)


def most_equal_masses(lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return the masses in a box that sum to 1 and are as equal as the box allows.

    It minimises every symmetric convex sum over {sum p = 1, lower <= p <= upper}: the minimiser
    clips one common level to the box.

    Parameters
    ----------
    lower, upper : ndarray, shape (K,)
        With sum(lower) <= 1 <= sum(upper).

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

    Examples
    --------
    >>> quantile_interval(1000, 0.25, 0.05)
    (223, 278)
    """
    _checked_level(alpha)
    if n < 1 or not 0 < q < 1:
        raise ValueError(f"need n >= 1 and 0 < q < 1, got n={n}, q={q}")
    # r_(j) > quantile iff fewer than j points lie at or below it; r_(k) < it iff k or more do.
    ranks = np.arange(n + 1)
    fewer = special.bdtr(ranks, n, q)  # P(at most `rank` points lie below)
    j = int(np.searchsorted(fewer, alpha / 2, side="right"))
    more = special.bdtrc(ranks, n, q)  # P(more than `rank` points lie below)
    k = int(np.argmax(more <= alpha / 2)) + 1
    return j, k
