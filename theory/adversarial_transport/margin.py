"""How far two Gaussian classes stay apart under attack, with a proof of both ends.

Classes N(mu, Sigma) and N(-mu, Sigma), of equal weight, are moved towards each other by at most a
budget. The margin min_v ||mu - v||_{Sigma^-1} over ||v|| <= budget is what is left of half their
distance; no classifier has an adversarial loss below Phibar(margin), and a linear one has that.
"""

import math
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.norms import accumulated_error, least_singular_value_lower

BallNorm = Literal["l2", "linf"]

_TOLERANCE = 1e-6
"""Ends of a margin that are farther apart, relative to 1 + margin, mean that the solver failed."""


def gaussian_margin(
    mean: npt.ArrayLike,
    sigma_or_covariance: npt.ArrayLike,
    budget: float,
    norm: BallNorm = "l2",
) -> Interval:
    """Return ends of the least ||mean - v||_{Sigma^-1} over all v with ||v|| <= budget.

    Parameters
    ----------
    mean : array_like, shape (d,)
        Half the difference of the two class means.
    sigma_or_covariance : array_like
        A standard deviation, which stands for sigma^2 I, or a covariance of shape (d, d).
    budget : float
        At least 0, in the unit of the norm.
    norm : {"l2", "linf"}
        That in which the budget is measured.

    Returns
    -------
    Interval
        For a standard deviation both ends are the closed form, (||mean||_2 - budget)_+ / sigma or
        ||(|mean| - budget)_+||_2 / sigma, right to a relative 1e-15. For a covariance the upper end
        is shown by a feasible v and the lower one by a linear classifier, rounding included.

    Raises
    ------
    ValueError
        If an argument is not finite or outside its range, or the covariance is not symmetric and
        positive definite.
    ArithmeticError
        If the two ends are not near each other: the covariance is too ill conditioned.

    References
    ----------
    Bhagoji, Cullina and Mittal, Lower bounds on adversarial robustness from optimal transport,
    NeurIPS 2019, the theorem on Gaussian data.

    Examples
    --------
    >>> gaussian_margin([3.0, 4.0], 2.0, 1.0)
    Interval(lower=2.0, upper=2.0)
    >>> found = gaussian_margin([3.0, 4.0], [[2.0, 1.0], [1.0, 2.0]], 1.0, "linf")
    >>> round(found.lower, 12), found.upper - found.lower < 1e-12
    (2.160246899469, True)
    """
    mu = np.asarray(mean, dtype=np.float64)
    scale = np.asarray(sigma_or_covariance, dtype=np.float64)
    if mu.ndim != 1 or not mu.size or not np.all(np.isfinite(mu)):
        raise ValueError(f"mean must be a vector of finite numbers, got {mean!r}")
    if not 0 <= budget < np.inf:
        raise ValueError(f"budget must be a finite number, at least 0, got {budget!r}")
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm must be 'l2' or 'linf', got {norm!r}")
    if scale.ndim == 0:
        if not 0 < scale < np.inf:
            raise ValueError(f"sigma must be positive and finite, got {sigma_or_covariance!r}")
        margin = _kept(mu, float(budget), norm) / float(scale)
        return Interval(margin, margin)
    if scale.shape != (mu.size, mu.size):
        raise ValueError(
            f"a covariance must have shape ({mu.size}, {mu.size}), got shape {scale.shape}"
        )
    _require_covariance(scale)
    kept = _kept(mu, float(budget), norm)
    if kept == 0:
        return Interval(0.0, 0.0)
    moved = _nearest(mu, scale, float(budget), norm, kept)
    upper = _length_above(mu - moved, scale)
    # For the nearest point v of an l2 ball Sigma^-1 (mu - v) is a multiple of v.
    along = norm == "l2" and budget > 0
    normal = moved if along else np.asarray(linalg.solve(scale, mu - moved, assume_a="pos"))
    lower = _linear_margin(normal, mu, scale, float(budget), norm)
    if not lower <= upper or upper - lower > _TOLERANCE * (1 + upper):
        raise ArithmeticError(f"the margin is only known to lie in [{lower}, {upper}]")
    return Interval(lower, upper)


def _kept(mu: FloatArray, budget: float, norm: BallNorm) -> float:
    """Return the Euclidean distance from mu to the ball, without cancellation."""
    if norm == "linf":
        return math.hypot(*np.maximum(np.abs(mu) - budget, 0.0))
    length = math.hypot(*mu)
    if not 0.5 * budget <= length <= 2.0 * budget:
        return max(length - budget, 0.0)
    # The length is rounded, and its difference from the budget may be small: squares are exact.
    squares = sum((Fraction(float(x)) ** 2 for x in mu), start=Fraction(0))
    excess = squares - Fraction(budget) ** 2
    return float(excess / Fraction(length + budget)) if excess > 0 else 0.0


def _require_covariance(covariance: FloatArray) -> None:
    if not np.all(np.isfinite(covariance)) or np.any(covariance != covariance.T):
        raise ValueError("the covariance must be finite and symmetric")
    try:
        linalg.cholesky(covariance)
    except linalg.LinAlgError:
        raise ValueError("the covariance must be positive definite") from None


def _nearest(
    mu: FloatArray, covariance: FloatArray, budget: float, norm: BallNorm, kept: float
) -> FloatArray:
    """Return a point of the ball near the minimiser; that it lies in the ball is certain."""
    if budget == 0:
        return np.zeros_like(mu)
    if norm == "linf":
        root = linalg.cholesky(covariance, lower=True)
        whitened = linalg.solve_triangular(root, np.eye(mu.size), lower=True)
        found = optimize.lsq_linear(whitened, whitened @ mu, (-budget, budget), method="bvls")
        # A coordinate that rounding left just inside is at its end.
        ended = np.abs(found.x) >= budget * (1 - 1e-12)
        return np.where(ended, np.copysign(budget, found.x), found.x)
    # (I + l Sigma) v = mu for the multiplier l at which v has the norm of the budget.
    variances, axes = linalg.eigh(covariance)
    along = axes.T @ mu

    def excess(log_multiplier: float) -> float:
        return math.log(math.hypot(*(along / (1 + np.exp(log_multiplier) * variances))) / budget)

    moved = mu
    if kept > 1e-12 * budget:
        # The norm lies between those for the least and for the largest variance in place of all.
        full = math.log(kept / budget)
        ends = full - math.log(variances[-1]) - 1, full - math.log(variances[0]) + 1
        multiplier = math.exp(optimize.brentq(excess, *ends, xtol=1e-15, rtol=1e-15))
        moved = axes @ (along / (1 + multiplier * variances))
    return np.asarray(moved * (budget / math.hypot(*moved) * (1 - 4e-16)))


def _linear_margin(
    normal: FloatArray, mu: FloatArray, covariance: FloatArray, budget: float, norm: BallNorm
) -> float:
    """Return a lower bound on (w.mu - max_{||v|| <= budget} w.v) / sqrt(w.Sigma.w), for w = normal.

    Each v has ||mu - v||_{Sigma^-1} at least w.(mu - v) / sqrt(w.Sigma.w), so every w is a proof.
    """
    sizes = np.abs(normal)
    error = accumulated_error(2 * mu.size + 4)
    dual = math.hypot(*normal) if norm == "l2" else float(sizes.sum())
    lost = budget * dual
    kept = float(normal @ mu) - lost - error * (float(sizes @ np.abs(mu)) + lost)
    spread = float(normal @ covariance @ normal) + error * float(sizes @ np.abs(covariance) @ sizes)
    return max(kept, 0.0) / math.sqrt(spread) * (1 - 1e-15)


def _length_above(apart: FloatArray, covariance: FloatArray) -> float:
    """Return an upper bound on ||apart||_{Sigma^-1}.

    With x near Sigma^-1 y and r = y - Sigma x, its square is 2 x.y - x.Sigma.x + r.Sigma^-1.r.
    """
    x = np.asarray(linalg.solve(covariance, apart, assume_a="pos"))
    error = accumulated_error(2 * apart.size + 4)
    sizes = np.abs(covariance) @ np.abs(x)
    residual = np.abs(apart - covariance @ x) + error * (sizes + np.abs(apart))
    least = least_singular_value_lower(covariance)
    if least == 0:
        raise ArithmeticError("the covariance is too ill conditioned for a proof")
    square = 2 * float(x @ apart) - float(x @ covariance @ x)
    square += error * (2 * float(np.abs(x) @ np.abs(apart)) + float(np.abs(x) @ sizes))
    square += float(residual @ residual) * (1 + error) / least
    return math.sqrt(max(square, 0.0)) * (1 + 1e-15)
