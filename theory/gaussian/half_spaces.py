r"""Isoperimetry in Gauss space N(0, I_d): the survival kernel, from 1e-300 to 1e+300.

The complement of a half-space of mass p lies at distance more than t from its far part with
probability G_t(p) = Phibar(isf(p) + t). By the Gaussian isoperimetric inequality (Borell 1975;
Sudakov and Tsirelson 1974) no set of mass p keeps more of itself at distance more than t from its
complement, so G_t is the kernel of every bound here.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_SERIES_UP_TO = 0.5
"""Below this t the mass of (a, a + t) is a quadrature of the density where differences cancel."""
_TAIL_FROM, _CLOSE = 4.0, 0.05
"""They cancel beyond the first offset; and where t, times an offset above 1, is this small."""
_FRACTION_FROM, _FRACTION_TERMS = 4.0, 40
"""From this a on, 1/R(a) - a is a continued fraction of this length; R is the Mills ratio."""


def checked_mass(mass: npt.ArrayLike, name: str = "mass") -> FloatArray:
    """Return masses as an array; raises ValueError if one lies outside [0, 1]."""
    p = np.asarray(mass, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"{name} must lie in [0, 1], got {mass!r}")
    return p


def checked_distance(t: npt.ArrayLike) -> FloatArray:
    """Return distances as an array; raises ValueError if one is negative or NaN."""
    s = np.asarray(t, dtype=np.float64)
    if not np.all(s >= 0):
        raise ValueError(f"t must be a distance, at least 0, got {t!r}")
    return s


def _checked_complement(mass: FloatArray, complement: npt.ArrayLike | None) -> FloatArray:
    return 1.0 - mass if complement is None else checked_mass(complement, "complement")


def checked_log_survival(probability: FloatArray, log_survival: npt.ArrayLike | None) -> FloatArray:
    """Return log(1 - probability), up to one half from the probability, which is accurate there."""
    with np.errstate(divide="ignore"):
        own = np.log1p(-probability)
    if log_survival is None:
        return own
    given = np.asarray(log_survival, dtype=np.float64)
    if not np.all(given <= 0):
        raise ValueError(f"log_survival must be at most 0, got {log_survival!r}")
    return np.where(probability <= 0.5, own, given)


def half_space_offset(mass: npt.ArrayLike, complement: npt.ArrayLike | None = None) -> FloatArray:
    """Return a = isf(mass), the signed distance from the origin of a half-space of this mass.

    Parameters
    ----------
    mass : array_like
        Gaussian mass, in [0, 1].
    complement : array_like, optional
        1 - mass, where it is known more accurately than that difference (masses near 1).

    Returns
    -------
    ndarray
        a with Phibar(a) = mass; +inf at mass 0, -inf at mass 1.

    Examples
    --------
    >>> float(half_space_offset(0.5))
    0.0
    """
    p = checked_mass(mass)
    q = _checked_complement(p, complement)
    # "+ 0.0" turns the -0.0 of a half into 0.0.
    return np.where(p <= 0.5, -special.ndtri(np.minimum(p, 0.5)), special.ndtri(q)) + 0.0


def log_survival_at(offset: FloatArray, t: FloatArray) -> FloatArray:
    """Return log Phibar(offset + t); a class of mass one keeps everything, at t = inf too."""
    with np.errstate(invalid="ignore"):
        end = np.where(np.isneginf(offset), -np.inf, offset + t)
    return special.log_ndtr(-end)


def crossing_at(offset: FloatArray, t: FloatArray) -> FloatArray:
    """Return Phi(a + t) - Phi(a), the mass moved out of a half-space, free of cancellation.

    Parameters
    ----------
    offset : ndarray
        a, any real or infinite; broadcasts with t.
    t : ndarray
        Distance, at least 0.

    Examples
    --------
    >>> float(crossing_at(np.array(0.0), np.array(1e-300))) > 0
    True
    """
    # By symmetry the difference of the two tails that are both small.
    sign = np.where(offset >= 0, -1.0, 1.0)
    reach = np.abs(offset)
    with np.errstate(invalid="ignore"):
        tails = special.ndtr(sign * (offset + t)) - special.ndtr(sign * offset)
        crossing = np.asarray(sign * tails)
        close = t * np.maximum(reach, 1.0) <= _CLOSE
        near = (t <= _SERIES_UP_TO) & ((reach > _TAIL_FROM) | close)
    crossing = np.where(np.isfinite(offset), crossing, 0.0)
    if near.any():
        a, s = np.broadcast_arrays(offset, t)
        near &= np.isfinite(a)
        x, h = a[near], s[near]
        steps = x[..., None] + h[..., None] * (0.5 * (_NODES + 1.0))
        density = np.exp(-0.5 * steps**2) @ _WEIGHTS
        crossing[near] = h * density / (2.0 * np.sqrt(2.0 * np.pi))
    return crossing


def survival_kernel(mass: npt.ArrayLike, t: npt.ArrayLike) -> FloatArray:
    """Return G_t(mass), the mass of the part of a half-space farther than t from its complement.

    Parameters
    ----------
    mass : array_like
        Gaussian mass of the half-space, in [0, 1].
    t : array_like
        Distance in latent space, at least 0 (+inf allowed); broadcasts with mass.

    Returns
    -------
    ndarray
        Phibar(isf(mass) + t); 0 at mass 0; 1 at mass 1 (there is no complement) for every t.

    Raises
    ------
    ValueError
        If a mass lies outside [0, 1] or a distance is negative or NaN.

    References
    ----------
    Borell, The Brunn-Minkowski inequality in Gauss space, Invent. Math. 30 (1975).

    Examples
    --------
    >>> float(survival_kernel(0.5, 0.0)), float(survival_kernel(1.0, 5.0))
    (0.5, 1.0)
    """
    return np.exp(log_survival_kernel(mass, t))


def log_survival_kernel(mass: npt.ArrayLike, t: npt.ArrayLike) -> FloatArray:
    """Return log G_t(mass), accurate where the kernel itself underflows.

    Parameters and errors are those of `survival_kernel`.

    Examples
    --------
    >>> round(float(log_survival_kernel(0.1, 100.0) + np.log(10)), 4)
    -5132.2107
    """
    return log_survival_at(half_space_offset(mass), checked_distance(t))


def mills_ratio(x: FloatArray) -> FloatArray:
    """Return R(x) = Phibar(x) / phi(x), for every real x.

    Examples
    --------
    >>> round(float(mills_ratio(np.array(10.0))), 12)
    0.099028596472
    """
    ratio: FloatArray = np.sqrt(np.pi / 2) * special.erfcx(x / np.sqrt(2.0))
    return ratio


def isoperimetric_profile(
    mass: npt.ArrayLike, complement: npt.ArrayLike | None = None
) -> FloatArray:
    """Return phi(Phi^{-1}(mass)), the least Gaussian boundary measure of a set of this mass.

    Parameters
    ----------
    mass : array_like
        Gaussian mass, in [0, 1].
    complement : array_like, optional
        1 - mass, where it is known more accurately than that difference (masses near 1).

    Returns
    -------
    ndarray
        Concave, symmetric about 1/2, 0 at masses 0 and 1; half-spaces attain it.

    Raises
    ------
    ValueError
        If a mass or a complement lies outside [0, 1].

    References
    ----------
    Bobkov, An isoperimetric inequality on the discrete cube, and an elementary proof of the
    isoperimetric inequality in Gauss space, Ann. Probab. 25 (1997).

    Examples
    --------
    >>> round(float(isoperimetric_profile(0.5)), 12)
    0.398942280401
    """
    p = checked_mass(mass)
    q = _checked_complement(p, complement)
    a = np.abs(half_space_offset(p, q))
    # phi(a) = tail / R(a): an error of the large a would count a times as much in phi(a).
    tail = np.where(p <= 0.5, p, q)
    return tail / np.where(tail > 0, mills_ratio(a), 1.0)


def mean_survival(mass: npt.ArrayLike, complement: npt.ArrayLike | None = None) -> FloatArray:
    """Return int_0^inf G_t(mass) dt = phi(a) - a mass, with a = isf(mass), free of cancellation.

    It is the mean distance to the complement of a half-space of this mass, points of the complement
    counting 0; summed over the classes it bounds the mean latent robustness.

    Parameters
    ----------
    mass : array_like
        Gaussian mass, in [0, 1].
    complement : array_like, optional
        1 - mass, where it is known more accurately than that difference (masses near 1).

    Returns
    -------
    ndarray
        0 at mass 0, +inf at mass 1.

    Raises
    ------
    ValueError
        If a mass or a complement lies outside [0, 1].

    References
    ----------
    Fawzi, Fawzi and Fawzi, Adversarial vulnerability for any classifier (2018), Theorem 4;
    the continued fraction of Laplace for the Mills ratio: Abramowitz and Stegun, 26.2.14.

    Examples
    --------
    >>> round(float(10 * mean_survival(0.1)), 12)
    0.47343175378
    """
    p = checked_mass(mass)
    q = _checked_complement(p, complement)
    a = half_space_offset(p, q)
    x = np.clip(a, _FRACTION_FROM, None)
    # 1/R(x) - x = 1/(x + 2/(x + 3/(x + ...))), from the end, whose tail nearly repeats itself.
    fraction = 0.5 * (x + np.sqrt(x * x + 4.0 * _FRACTION_TERMS))
    for k in range(_FRACTION_TERMS - 1, 0, -1):
        fraction = x + (k + 1) / fraction
    near = isoperimetric_profile(p, q) - np.where(np.isposinf(a), 0.0, a) * p
    return np.where(a >= _FRACTION_FROM, p / fraction, near)


def halfspace_enlargement(mass: npt.ArrayLike, t: npt.ArrayLike) -> FloatArray:
    """Return Phi(Phi^{-1}(mass) + t), the least measure of the t-enlargement of a set of this mass.

    Parameters
    ----------
    mass : array_like
        Gaussian mass of the set, in [0, 1].
    t : array_like
        Distance, at least 0 (+inf allowed); broadcasts with mass.

    Returns
    -------
    ndarray
        Half-spaces attain it; 0 at mass 0 (an empty set has no neighbours) for every t.

    Raises
    ------
    ValueError
        If a mass lies outside [0, 1] or a distance is negative or NaN.

    References
    ----------
    Borell, The Brunn-Minkowski inequality in Gauss space, Invent. Math. 30 (1975); Sudakov and
    Tsirelson, Extremal properties of half-spaces for spherically invariant measures (1974).

    Examples
    --------
    >>> round(float(halfspace_enlargement(0.01, 5.0)), 12)
    0.996248488125
    """
    return -np.expm1(halfspace_log_survival(mass, t))


def halfspace_log_survival(
    mass: npt.ArrayLike, t: npt.ArrayLike, complement: npt.ArrayLike | None = None
) -> FloatArray:
    """Return log(1 - halfspace_enlargement(mass, t)), accurate where the difference underflows.

    Parameters and errors are those of `halfspace_enlargement`; complement is 1 - mass, where it is
    known more accurately than that difference (masses near 1).

    Examples
    --------
    >>> round(float(halfspace_log_survival(0.5, 40.0)), 6)
    -804.608442
    """
    # The enlargement leaves of the complement what is farther than t from the set.
    return log_survival_at(-half_space_offset(mass, complement), checked_distance(t))


def _offset_at(log_mass: FloatArray) -> FloatArray:
    """Return a with log Phibar(a) = log_mass, one Newton step better than `ndtri_exp` (7e-13)."""
    a = -special.ndtri_exp(log_mass)
    with np.errstate(invalid="ignore"):
        step = (special.log_ndtr(-a) - log_mass) * mills_ratio(a)
    return a + np.where(np.isfinite(step), step, 0.0)


def halfspace_enlargement_distance(
    probability: npt.ArrayLike,
    mass: npt.ArrayLike,
    complement: npt.ArrayLike | None = None,
    log_survival: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return the least t with halfspace_enlargement(mass, t) >= probability.

    Parameters
    ----------
    probability : array_like
        Measure to reach, in [0, 1].
    mass : array_like
        Gaussian mass of the set, in [0, 1]; broadcasts with probability.
    complement : array_like, optional
        1 - mass, where it is known more accurately than that difference (masses near 1).
    log_survival : array_like, optional
        log(1 - probability), where it is known more accurately (probabilities near 1).

    Returns
    -------
    ndarray
        0 where the mass is enough, +inf where no distance is: from mass 0, or to probability 1.
        Accurate also where the two are neighbours and their offsets would cancel, as far as the
        arguments tell them apart: a log_survival resolves no more than its own last digit.

    Raises
    ------
    ValueError
        If a mass, complement or probability lies outside [0, 1], or a log_survival above 0.

    Examples
    --------
    >>> round(float(halfspace_enlargement_distance(0.99, 0.01)), 12)
    4.652695748082
    >>> round(float(halfspace_enlargement_distance(1.0, 0.5, log_survival=-804.608442)), 6)
    40.0
    """
    p = checked_mass(mass)
    q = _checked_complement(p, complement)
    reached = checked_mass(probability, "probability")
    logs = checked_log_survival(reached, log_survival)
    p, q, reached, logs = np.broadcast_arrays(p, q, reached, logs)
    start = -half_space_offset(p, q)
    if log_survival is None:
        survival, end = 1.0 - reached, -half_space_offset(reached)
    else:
        survival = np.exp(logs)
        end = np.where(reached <= 0.5, special.ndtri(reached), _offset_at(logs))
    # From the smaller end: of a mass above one half the survival grows, as far, to the complement.
    upper = p > 0.5
    base, offset = np.where(upper, survival, p), np.where(upper, -end, start)
    gained = np.where(upper, q, reached) - base
    with np.errstate(invalid="ignore"):
        t = np.where(gained > 0, end - start, 0.0)
    close = (gained > 0) & (t <= _SERIES_UP_TO) & (base > 0)
    b, h = offset[close], np.maximum(t[close], 0.0)
    # Newton on int_0^t exp(-b s - s^2/2) ds = gained / phi(b); the start errs by 1e-14 at most.
    target = gained[close] / base[close] * mills_ratio(np.abs(b))
    for _ in range(4):
        steps = h[:, None] * (0.5 * (_NODES + 1.0))
        seen = 0.5 * h * (np.exp(-steps * (b[:, None] + 0.5 * steps)) @ _WEIGHTS)
        h = np.maximum(h - (seen - target) * np.exp(h * (b + 0.5 * h)), 0.0)
    t[close] = h
    return t


def expected_norm(dimension: int) -> float:
    """Return E ||z||_2 for z ~ N(0, I_d): sqrt 2 Gamma((d+1)/2) / Gamma(d/2).

    Examples
    --------
    >>> round(expected_norm(100), 12)
    9.975031639551
    """
    if dimension < 1:
        raise ValueError(f"dimension must be at least 1, got {dimension}")
    x = dimension / 2
    if dimension > 300:
        # The asymptotic series of Gamma(x + 1/2) / Gamma(x); the next term is below 1e-17.
        terms = (1.0, -1 / 8, 1 / 128, 5 / 1024, -21 / 32768, -399 / 262144)
        ratio = np.sqrt(x) * sum(c / x**k for k, c in enumerate(terms))
        return float(np.sqrt(2.0) * ratio)
    # E_{d+2} = E_d (d + 1) / d, from E_1 or E_2; differences of log-gammas would lose digits.
    odd = dimension % 2
    steps = np.arange(1 if odd else 2, dimension, 2)
    first = np.sqrt(2 / np.pi) if odd else np.sqrt(np.pi / 2)
    return float(first * np.prod((steps + 1) / steps))
