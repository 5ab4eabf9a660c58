r"""Isoperimetry in Gauss space N(0, I_d): the survival kernel, from 1e-300 to 1e+300.

The complement of a half-space of mass p lies at distance more than t from its far part with
probability G_t(p) = Phibar(isf(p) + t). By the Gaussian isoperimetric inequality (Borell 1975;
Sudakov and Tsirelson 1974) no set of mass p keeps more of itself at distance more than t from its
complement, so G_t is the kernel of every bound here.
"""

import numpy as np
import numpy.typing as npt
from scipy import integrate, special

from theory.claim import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_SERIES_UP_TO = 0.5
"""Below this t the mass of (a, a + t) is a quadrature of the density: differences would cancel."""


def _checked_mass(mass: npt.ArrayLike) -> FloatArray:
    p = np.asarray(mass, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"mass must lie in [0, 1], got {mass!r}")
    return p


def _checked_distance(t: npt.ArrayLike) -> FloatArray:
    s = np.asarray(t, dtype=np.float64)
    if not np.all(s >= 0):
        raise ValueError(f"t must be a distance, at least 0, got {t!r}")
    return s


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
    p = _checked_mass(mass)
    q = 1.0 - p if complement is None else _checked_mass(complement)
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
    a, s = np.broadcast_arrays(offset, t)
    crossing = np.zeros(a.shape)
    finite = np.isfinite(a)
    near = finite & (s <= _SERIES_UP_TO)
    x, h = a[near], s[near]
    steps = x[..., None] + h[..., None] * (0.5 * (_NODES + 1.0))
    crossing[near] = h * (np.exp(-0.5 * steps**2) @ _WEIGHTS) / (2.0 * np.sqrt(2.0 * np.pi))
    far = finite & (s > _SERIES_UP_TO)
    # By symmetry the difference of the two tails that are both small.
    x, y = a[far], a[far] + s[far]
    sign = np.where(x >= 0, -1.0, 1.0)
    crossing[far] = sign * (special.ndtr(sign * y) - special.ndtr(sign * x))
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
    return log_survival_at(half_space_offset(mass), _checked_distance(t))


def argmax_family_cdf(t: npt.ArrayLike, n_classes: int) -> FloatArray:
    """Return P(r <= t) for f(z) = argmax_i z_i on K >= 2 coordinates: r = (z_(1) - z_(2)) / sqrt 2.

    Parameters
    ----------
    t : array_like
        Distance, at least 0.
    n_classes : int
        K, at least 2; any latent dimension d >= K gives the same law.

    Returns
    -------
    ndarray
        1 - K int phi(x) Phi(x - t sqrt 2)^(K-1) dx, by adaptive quadrature to 1e-13.

    References
    ----------
    The simplex cones that Milman and Neeman (Ann. Math. 195, 2022) prove optimal as t -> 0.

    Examples
    --------
    >>> round(float(argmax_family_cdf(0.5, 10)), 12)
    0.715344252495
    """
    if n_classes < 2:
        raise ValueError(f"n_classes must be at least 2, got {n_classes}")
    s = _checked_distance(t)

    def cdf(distance: float) -> float:
        def kept(x: float) -> float:
            log_density = -0.5 * x * x - 0.5 * np.log(2 * np.pi)
            tail = special.log_ndtr(x - distance * np.sqrt(2.0))
            return float(np.exp(log_density + (n_classes - 1) * tail))

        # The integrand is below 1e-170 outside; the peak moves right with t.
        value, _ = integrate.quad(
            kept, -28.0, 28.0 + 1.5 * distance, epsabs=1e-14, epsrel=1e-13, limit=400
        )
        return min(max(1.0 - n_classes * value, 0.0), 1.0)

    return np.asarray(np.vectorize(cdf, otypes=[np.float64])(s))


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
