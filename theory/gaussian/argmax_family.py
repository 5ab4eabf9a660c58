r"""The exact law of the argmax family, to full relative accuracy for every distance.

f(z) = argmax_i z_i on K coordinates of z ~ N(0, I_d), d >= K, has K classes of equal mass: the
simplex cones, the best partition known. Its latent robustness is r = (z_(1) - z_(2)) / sqrt 2,
whatever d is, so every bound on robustness can be laid against an exact law.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray
from theory.gaussian.half_spaces import (
    checked_distance,
    checked_log_survival,
    checked_mass,
    mills_ratio,
)

_LINE = np.arange(-12.0, 45.0, 0.25)
"""Nodes of the trapezoidal rule on the line, in widths of the peak; see `_log_integral`."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


def _checked_classes(n_classes: int) -> int:
    if not isinstance(n_classes, int | np.integer) or n_classes < 2:
        raise ValueError(f"n_classes must be an integer, at least 2, got {n_classes!r}")
    return int(n_classes)


def _peak(shift: FloatArray, precision: float, power: float) -> tuple[FloatArray, FloatArray]:
    """Return the mode of exp(-precision (y + shift)^2 / 2) Phi(y)^power and its width there."""
    # Left of the mode, as phi/Phi(y) > -y; from there Newton climbs: the derivative is convex.
    y = -shift * precision / (precision + power)
    width = np.ones_like(y)
    for _ in range(100):
        hazard = 1.0 / mills_ratio(-y)
        # The slope of the hazard; far left it is 1 and its second factor cancels.
        bend = np.where(y < -1e4, 1.0, hazard * (y + hazard))
        width = 1.0 / np.sqrt(precision + power * bend)
        step = (power * hazard - precision * (y + shift)) * width**2
        y = y + step
        if np.all(np.abs(step) <= 1e-3 * width):
            break
    return y, width


def _log_integral(
    shift: FloatArray, precision: float, power: float
) -> tuple[FloatArray, FloatArray]:
    """Return log int exp(-precision (y + shift)^2 / 2) Phi(y)^power dy, and the mean of y + shift.

    The trapezoidal rule on the line: the integrand is entire and log-concave, so the error falls
    exponentially with the step in widths of the peak. Its shapes lie between a normal density and
    a Gumbel density, the worst: at a step of 1/4 the rule errs by 2e-16 of its integral, and its
    right tail, the longest, ends at exp(-45).
    """
    mode, width = _peak(shift, precision, power)
    y = mode[..., None] + width[..., None] * _LINE
    x = y + shift[..., None]
    with np.errstate(over="ignore", invalid="ignore"):
        logs = -(0.5 * precision * x) * x + power * special.log_ndtr(y)
        largest = logs.max(axis=-1)
        weights = np.exp(logs - largest[..., None])
    total = weights.sum(axis=-1)
    log_integral = largest + np.log(total * width * (_LINE[1] - _LINE[0]))
    return np.where(np.isneginf(largest), -np.inf, log_integral), (weights * x).sum(-1) / total


def _argmax_density(t: FloatArray, n_classes: int) -> FloatArray:
    """Return the density of r = (z_(1) - z_(2)) / sqrt 2, not for t so large that it underflows.

    It is K (K-1) sqrt 2 int phi(x) phi(x - c) Phi(x - c)^(K-2) dx, c = t sqrt 2, and the product of
    the two densities is exp(-(x - c/2)^2 - t^2/2) / (2 pi).
    """
    pairs: float = n_classes * (n_classes - 1.0) / (np.sqrt(2.0) * np.pi)
    log_integral, _ = _log_integral(t / np.sqrt(2.0), 2.0, n_classes - 2.0)
    return pairs * np.exp(log_integral - 0.5 * t * t)


def _argmax_law_block(t: FloatArray, n_classes: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return P(r <= t), log P(r > t) and minus its derivative, for a vector t."""
    # Beyond 1e160 the logarithm overflows; no infinity may meet another.
    shift = np.minimum(t, 1e160) * np.sqrt(2.0)
    log_integral, mean = _log_integral(shift, 1.0, n_classes - 1.0)
    log_survival = np.minimum(np.log(n_classes / np.sqrt(2 * np.pi)) + log_integral, 0.0)
    cdf = -np.expm1(log_survival)
    # Up to 0.2 / slope, 1 - survival would cancel: the density, of one sign, is integrated.
    near = t <= 0.1 / np.sqrt(np.log(n_classes))
    steps = t[near, None] * (0.5 * (_NODES + 1.0))
    cdf[near] = t[near] * (_argmax_density(steps, n_classes) @ (0.5 * _WEIGHTS))
    log_survival[near] = np.log1p(-cdf[near])
    return cdf, log_survival, np.sqrt(2.0) * mean


def _argmax_law(t: npt.ArrayLike, n_classes: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return P(r <= t), log P(r > t) and minus its derivative, in blocks that bound the memory."""
    k, s = _checked_classes(n_classes), checked_distance(t)
    law = np.empty((3, s.size))
    for block in np.array_split(np.arange(s.size), s.size // 1024 + 1):
        law[:, block] = _argmax_law_block(s.ravel()[block], k)
    cdf, log_survival, decay = law.reshape(3, *s.shape)
    return cdf, log_survival, decay


def argmax_family_cdf(t: npt.ArrayLike, n_classes: int) -> FloatArray:
    """Return P(r <= t) for f(z) = argmax_i z_i on K >= 2 coordinates: r = (z_(1) - z_(2)) / sqrt 2.

    Parameters
    ----------
    t : array_like
        Distance, at least 0 (+inf allowed).
    n_classes : int
        K, at least 2; any latent dimension d >= K gives the same law.

    Returns
    -------
    ndarray
        1 - K int phi(x) Phi(x - t sqrt 2)^(K-1) dx, to a relative 1e-12 for every t.

    Raises
    ------
    ValueError
        If a distance is negative or NaN, or n_classes not an integer, at least 2.

    References
    ----------
    The simplex cones that Milman and Neeman (Ann. Math. 195, 2022) prove optimal as t -> 0.

    Examples
    --------
    >>> round(float(argmax_family_cdf(0.5, 10)), 12)
    0.715344252495
    """
    return _argmax_law(t, n_classes)[0]


def argmax_family_log_survival(t: npt.ArrayLike, n_classes: int) -> FloatArray:
    """Return log P(r > t) of the law of `argmax_family_cdf`, also where P(r > t) underflows.

    Parameters and errors are those of `argmax_family_cdf`.

    Examples
    --------
    >>> round(float(argmax_family_log_survival(100.0, 10)), 6)
    -9030.983878
    """
    return _argmax_law(t, n_classes)[1]


def argmax_family_quantile(
    probability: npt.ArrayLike, n_classes: int, log_survival: npt.ArrayLike | None = None
) -> FloatArray:
    """Return the t with argmax_family_cdf(t, n_classes) = probability.

    Parameters
    ----------
    probability : array_like
        In [0, 1].
    n_classes : int
        K, at least 2.
    log_survival : array_like, optional
        log(1 - probability), where it is known more accurately (probabilities near 1).

    Returns
    -------
    ndarray
        0 at probability 0, +inf at probability 1.

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1], a log_survival above 0, or n_classes below 2.

    Examples
    --------
    >>> round(float(argmax_family_quantile(0.25, 10)), 12)
    0.127281835889
    """
    k = _checked_classes(n_classes)
    p = checked_mass(probability, "probability")
    lost = -checked_log_survival(p, log_survival)
    t = np.where(np.isposinf(lost), np.inf, 0.0)
    inside = np.isfinite(lost)
    goal = lost[inside]
    # -log P(r > t) is convex (Prekopa), at least slope t, and at least that of one half-space for
    # each class, (1 - 1/K) t^2 - log(K/2): Newton falls to the root from the lesser of these.
    tangent = goal / multi_bubble_slope(k)
    x = np.minimum(tangent, np.sqrt(goal + np.log(k / 2)) / np.sqrt(1.0 - 1.0 / k))
    for _ in range(60):
        _, log_kept, decay = _argmax_law(x, k)
        step = (log_kept + goal) / decay
        x = np.maximum(x + step, 0.0)
        if np.all(np.abs(step) <= 1e-9 * x):
            break  # convergence is quadratic
    t[inside] = x
    return t


def argmax_family_mean(n_classes: int) -> float:
    """Return E r = (E z_(1) - E z_(2)) / sqrt 2, as K / sqrt 2 int Phi^(K-1) Phibar: no difference.

    n_classes and its errors are those of `argmax_family_cdf`.

    Examples
    --------
    >>> round(argmax_family_mean(10), 12)
    0.379996133934
    """
    k = _checked_classes(n_classes)
    mode, width = _peak(np.zeros(()), 1.0, k - 1.0)
    y = mode + width * _LINE
    logs = np.log(k / np.sqrt(2.0)) + (k - 1.0) * special.log_ndtr(y) + special.log_ndtr(-y)
    return float(np.exp(logs).sum() * width * (_LINE[1] - _LINE[0]))


def multi_bubble_slope(n_classes: int) -> float:
    """Return K (K-1) sqrt 2 int phi^2 Phi^(K-2), the limit of P(r <= t) / t as t -> 0.

    For every partition of R^d, d >= K-1, into K classes of equal mass, the lower limit of
    P(r <= t) / t as t -> 0 is at least this: the simplex cones have the least total boundary. The
    statement is infinitesimal; it says nothing of any t > 0 and must not be extrapolated to one.

    Parameters
    ----------
    n_classes : int
        K, at least 2.

    Returns
    -------
    float
        sqrt 2 times the mean of the largest of K normals.

    Raises
    ------
    ValueError
        If n_classes is not an integer, at least 2.

    References
    ----------
    Milman and Neeman, The Gaussian double-bubble and multi-bubble conjectures, Ann. Math. 195
    (2022).

    Examples
    --------
    >>> round(multi_bubble_slope(3), 12), round(multi_bubble_slope(10), 12)
    (1.196826841204, 2.176124981086)
    """
    return float(_argmax_density(np.zeros(()), _checked_classes(n_classes)))
