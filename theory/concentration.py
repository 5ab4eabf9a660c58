"""Concentration beyond Gauss space: spheres, cubes and products of any laws, in closed form.

An enlargement is the least measure that all points within a distance of a set of given mass can
have, or a lower bound on it; the survival is what may stay farther away. Both, and the
exponential of a log survival, have relative error below 1e-12 for masses from 1e-300 to
1 - 1e-16, angles from 1e-12 to pi and dimensions to 1e6, except that

- a surviving cap much narrower than both sides of the set has the error that a relative change of
  4e-13 of the smaller side makes on the sphere;
- on the cube with p < 2 a distance is accurate to a relative 1e-16 (5 + log(n) / p);
- in products the exponents are differences, accurate to a relative 1e-15 of their terms.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray
from theory.gaussian import half_space_offset, log_survival_at

_PI = (np.pi, 1.2246467991473532e-16)
"""pi as a float and what that float lacks. Angles are such unevaluated sums, because their
distances from 0, pi/2 and pi must all be accurate: at n = 1e6 a mass of 1e-300 is at 1.534."""
_QUARTER_TURN = (_PI[0] / 2, _PI[1] / 2)
_LEGENDRE = np.polynomial.legendre.leggauss(32)
_NODES, _WEIGHTS = (_LEGENDRE[0] + 1) ** 2 / 4, _LEGENDRE[1] * (_LEGENDRE[0] + 1) / 2
"""Legendre's, for int_0^1 f(y^2) 2y dy: where f is largest the factor 2y damps the errors of the
outermost weights (1e-14 without it, 2e-15 with it)."""
_NEGLIGIBLE_EXPONENT = 40.0
_FLOOR = 1e-290
_MAX_STEPS = 60

HammingForm = Literal["mcdiarmid", "talagrand"]


def _in_range(name: str, value: npt.ArrayLike, least: float, most: float = np.inf) -> FloatArray:
    x = np.asarray(value, dtype=np.float64)
    if not np.all((x >= least) & (x <= most)):
        raise ValueError(f"{name} must lie in [{least:.15g}, {most:.15g}], got {value!r}")
    return x


def _whole(name: str, value: npt.ArrayLike, least: int) -> FloatArray:
    x = np.asarray(value, dtype=np.float64)
    # From 2^53 on not every whole number is a float.
    if not np.all((x >= least) & (x <= 2.0**53) & (x == np.rint(x))):
        raise ValueError(f"{name} must be a whole number in [{least}, 2^53], got {value!r}")
    return x


def _log_complement(mass: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.log1p(-mass)


def _sum(
    a: FloatArray | float, b: FloatArray, rest: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    """Return a + b + rest, for a small rest, as an unevaluated sum (Knuth's exact addition)."""
    total = np.asarray(a + b)
    seen = total - a
    error = (a - (total - seen)) + (b - seen) + rest
    high = total + error
    return high, error - (high - total)


def _from(
    whole: tuple[float, float], high: FloatArray, low: FloatArray
) -> tuple[FloatArray, FloatArray]:
    return _sum(whole[0], -high, whole[1] - low)


def _length(high: FloatArray, latitude: FloatArray, m: FloatArray) -> FloatArray:
    """Return int_0^theta (sin u / sin theta)^m du for theta = high = pi/2 - latitude <= pi/2."""
    sine = np.sin(high)
    # The integrand is below exp(-40) farther down and smooth on the scale of the nodes up here.
    reach = high - np.arcsin(sine * np.exp(-_NEGLIGIBLE_EXPONENT / np.maximum(m, 1.0)))
    s = reach[..., None] * _NODES
    # sin(theta - s) / sin theta - 1, as a sum of two terms of one sign.
    drop = -2 * np.sin(s / 2) ** 2 - np.sin(s) / sine[..., None] * np.sin(latitude)[..., None]
    # A subnormal angle is too coarse for the nodes: s may round up to it.
    log_ratio = np.log1p(np.maximum(drop, -1 + 2.0**-53))
    return np.asarray(reach * (np.exp(m[..., None] * log_ratio) @ _WEIGHTS))


def _log_small_cap(
    high: FloatArray, low: FloatArray, n: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return log mass of the cap of angle high + low in (0, pi/2], and 1 / (its derivative)."""
    m, latitude = n - 2, _from(_QUARTER_TURN, high, low)[0]
    length, half = _length(high, latitude, m), _length(np.asarray(np.pi / 2), np.zeros(()), m)
    # Near pi/2 the sine rounds to 1, and m times its logarithm can still be -700.
    cosine = np.minimum(np.sin(latitude), 0.8)
    log_sine = np.where(high > 0.8, 0.5 * np.log1p(-(cosine**2)), np.log(np.sin(high)))
    return np.asarray(m * log_sine + np.log(length / (2 * half))), length


def _log_sides(high: FloatArray, low: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the logarithms of the masses of a cap and of the rest of the sphere."""
    other, other_low = _from(_PI, high, low)
    is_small = high <= other
    h, rest = np.where(is_small, high, other), np.where(is_small, low, other_low)
    # Below the floor, where lengths would underflow, a cap is a power of its angle.
    floored = np.maximum(h, _FLOOR)
    log_small, _ = _log_small_cap(floored, np.where(h > _FLOOR, rest, 0.0), n)
    with np.errstate(divide="ignore"):
        log_small = log_small + (n - 1) * np.log(np.maximum(h, 0.0) / floored)
    log_large = np.log1p(-np.exp(log_small))
    return np.where(is_small, log_small, log_large), np.where(is_small, log_large, log_small)


def _cap_of(
    mass: FloatArray, complement: FloatArray, n: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the angle of the cap of this mass as an unevaluated sum.

    By Newton's method on the logarithm of the smaller side, which is concave in log theta: from
    the first step on it comes from the left, monotonically.
    """
    small = np.minimum(mass, complement)
    some = small > 0
    p = np.where(some, small, 0.25)
    # Gaussian in the latitude where that is small, a power of the sine where the angle is.
    log_sine = -(half_space_offset(p) ** 2) / (2 * (n - 1))
    high = np.asarray(np.arctan2(np.exp(log_sine), np.sqrt(-np.expm1(2 * log_sine))))
    low = np.zeros(high.shape)
    for _ in range(_MAX_STEPS):
        log_mass, length = _log_small_cap(high, low, n)
        missing = np.log(p) - log_mass
        high, low = _sum(high, high * np.expm1(missing * length / high), low)
        # The step just made squares what was missing.
        if np.all(np.abs(missing) < 1e-8):
            break
    else:
        raise ArithmeticError(f"no cap of mass {small!r} found in dimension {n!r}")
    high, low = np.where(some, high, 0.0), np.where(some, low, 0.0)
    far, far_low = _from(_PI, high, low)
    return np.where(mass > complement, far, high), np.where(mass > complement, far_low, low)


def cap_mass(angle: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return the uniform measure of a geodesic cap of the sphere S^(n-1) in R^n.

    Parameters
    ----------
    angle : array_like
        Angular radius in radians, in [0, pi].
    n : array_like
        Dimension of the space around the sphere, a whole number, at least 2; broadcasts.

    Returns
    -------
    ndarray
        int_0^angle sin^(n-2) / int_0^pi sin^(n-2).

    Raises
    ------
    ValueError
        If an angle lies outside [0, pi] or n is not such a number.

    Examples
    --------
    >>> round(float(cap_mass(np.pi / 3, 3)), 12)
    0.25
    """
    return np.exp(log_cap_mass(angle, n))


def log_cap_mass(angle: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return log `cap_mass`, accurate where the mass underflows or is near 1.

    Examples
    --------
    >>> round(float(log_cap_mass(0.01, 1_000_000)), 6)
    -4605190.074167
    """
    theta = _in_range("angle", angle, 0.0, np.pi)
    return _log_sides(theta, np.zeros(theta.shape), _whole("n", n, 2))[0]


def cap_angle(
    mass: npt.ArrayLike, n: npt.ArrayLike, complement: npt.ArrayLike | None = None
) -> FloatArray:
    """Return the angular radius of the cap of this mass: the inverse of `cap_mass`.

    Parameters
    ----------
    mass : array_like
        Uniform measure, in [0, 1].
    n : array_like
        As for `cap_mass`.
    complement : array_like, optional
        1 - mass, where it is known more accurately than that difference (masses near 1).

    Returns
    -------
    ndarray
        Angle in [0, pi], to a relative 1e-13.

    Examples
    --------
    >>> round(float(cap_angle(0.25, 3)), 12), round(float(cap_angle(0.75, 2)) / np.pi, 12)
    (1.047197551197, 0.75)
    """
    p = _in_range("mass", mass, 0.0, 1.0)
    q = 1 - p if complement is None else _in_range("complement", complement, 0.0, 1.0)
    return _cap_of(p, q, _whole("n", n, 2))[0]


def _sphere_sides(
    mass: npt.ArrayLike, angle: npt.ArrayLike, n: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return the enlargement and log survival; a set is in its enlargement, rounding or not."""
    p, t = _in_range("mass", mass, 0.0, 1.0), _in_range("angle", angle, 0.0)
    dimension = _whole("n", n, 2)
    high, low = _cap_of(p, 1 - p, dimension)
    log_mass, log_survival = _log_sides(*_sum(high, np.minimum(t, 4.0), low), dimension)
    enlarged = np.where(p > 0, np.maximum(np.exp(log_mass), p), 0.0)
    return enlarged, np.where(p > 0, np.minimum(log_survival, _log_complement(p)), 0.0)


def sphere_enlargement(mass: npt.ArrayLike, angle: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return the least measure of the points of a sphere within an angle of a set of this mass.

    Parameters
    ----------
    mass : array_like
        Uniform measure of the set, in [0, 1].
    angle : array_like
        Geodesic distance in radians, at least 0 (+inf allowed).
    n : array_like
        Dimension of the space around the sphere S^(n-1), a whole number, at least 2.

    Returns
    -------
    ndarray
        Measure of the enlarged cap, which attains it; 0 at mass 0 and 1 at mass 1.

    Raises
    ------
    ValueError
        If a mass lies outside [0, 1], an angle is negative or NaN, or n is not such a number.

    References
    ----------
    Levy, Problemes concrets d'analyse fonctionnelle (1951); Schmidt, Math. Nachr. 1 (1948).

    Examples
    --------
    >>> round(float(sphere_enlargement(0.5, 0.1, 784)), 12)
    0.99744215763
    """
    return _sphere_sides(mass, angle, n)[0]


def sphere_log_survival(mass: npt.ArrayLike, angle: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Return log(1 - `sphere_enlargement`), also where that underflows; -inf where it is 0.

    Examples
    --------
    >>> round(float(sphere_log_survival(0.5, 1.0, 784)), 9)
    -486.114271247
    """
    return _sphere_sides(mass, angle, n)[1]


def sphere_enlargement_angle(
    probability: npt.ArrayLike, mass: npt.ArrayLike, n: npt.ArrayLike
) -> FloatArray:
    """Return the least angle at which `sphere_enlargement` reaches a probability.

    It is 0 where mass >= probability, else inf at mass 0; rounding it moves the enlargement by a
    relative 1e-12 at most.

    Examples
    --------
    >>> round(float(sphere_enlargement_angle(0.75, 0.25, 2)), 12)
    1.570796326795
    """
    goal, p = _in_range("probability", probability, 0.0, 1.0), _in_range("mass", mass, 0.0, 1.0)
    dimension = _whole("n", n, 2)
    high, low = _cap_of(p, 1 - p, dimension)
    goal_high, goal_low = _cap_of(goal, 1 - goal, dimension)
    angle = np.where(p > 0, (goal_high - high) + (goal_low - low), np.inf)
    return np.where(goal > p, np.maximum(angle, 0.0), 0.0)


def _cube_scale(n: npt.ArrayLike, p: npt.ArrayLike) -> FloatArray:
    """Return the distance in Gauss space that an l_p distance of 1 in the cube is worth."""
    dimension, order = _whole("n", n, 1), np.asarray(p, dtype=np.float64)
    if not np.all(order > 0):
        raise ValueError(f"p must lie in (0, inf], got {p!r}")
    with np.errstate(over="ignore"):
        return np.asarray(np.sqrt(2 * np.pi) * dimension ** (0.5 - 1 / np.minimum(order, 2.0)))


def _cube_shift(distance: npt.ArrayLike, n: npt.ArrayLike, p: npt.ArrayLike) -> FloatArray:
    d, scale = _in_range("distance", distance, 0.0), _cube_scale(n, p)
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(d), np.inf, d * scale)


def cube_enlargement(
    mass: npt.ArrayLike, distance: npt.ArrayLike, n: npt.ArrayLike, p: npt.ArrayLike = 2.0
) -> FloatArray:
    """Return a lower bound on the volume within an l_p distance of a set in [0, 1]^n.

    Phi, coordinate by coordinate, carries N(0, I_n) to the uniform law and divides l_2 distances
    by sqrt(2 pi) at least; l_p is at most l_2 for p >= 2, at most n^(1/p - 1/2) l_2 for p < 2.

    Parameters
    ----------
    mass : array_like
        Volume of the set, in [0, 1].
    distance : array_like
        l_p distance in the cube, at least 0 (+inf allowed).
    n : array_like
        Dimension, a whole number, at least 1.
    p : array_like
        Order of the norm (quasi-norm below 1), in (0, inf].

    Returns
    -------
    ndarray
        Phi(Phi^-1(mass) + sqrt(2 pi) n^(1/2 - 1/min(p, 2)) distance); 0 at mass 0, 1 at mass 1.

    Raises
    ------
    ValueError
        If a mass lies outside [0, 1], a distance is negative, p not positive, or n not such a
        number.

    References
    ----------
    Ledoux, The Concentration of Measure Phenomenon (2001), section 2.1; Shafahi et al., ICLR 2019.

    Examples
    --------
    >>> round(float(cube_enlargement(0.5, 1.0, 784)), 12)
    0.993905558908
    """
    shift, end = _cube_shift(distance, n, p), -half_space_offset(mass)
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(end), 0.0, np.maximum(special.ndtr(end + shift), mass))


def cube_log_survival(
    mass: npt.ArrayLike, distance: npt.ArrayLike, n: npt.ArrayLike, p: npt.ArrayLike = 2.0
) -> FloatArray:
    """Return log(1 - `cube_enlargement`), also where that underflows; -inf where it is 0.

    Examples
    --------
    >>> round(float(cube_log_survival(0.5, 10.0, 784, np.inf)), 9)
    -318.301312784
    """
    shift, end = _cube_shift(distance, n, p), -half_space_offset(mass)
    return np.minimum(log_survival_at(end, shift), _log_complement(np.asarray(mass)))


def cube_enlargement_distance(
    probability: npt.ArrayLike, mass: npt.ArrayLike, n: npt.ArrayLike, p: npt.ArrayLike = 2.0
) -> FloatArray:
    """Return the least l_p distance at which `cube_enlargement` reaches a probability.

    It is 0 where mass >= probability, else inf at mass 0 and at probability 1.

    Examples
    --------
    >>> round(float(cube_enlargement_distance(0.99, 0.01, 784, 1.0)), 12)
    51.972397449105
    """
    goal, volume = (
        _in_range("probability", probability, 0.0, 1.0),
        _in_range("mass", mass, 0.0, 1.0),
    )
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        distance = (half_space_offset(volume) - half_space_offset(goal)) / _cube_scale(n, p)
    return np.where(goal > volume, distance, 0.0)


def hamming_enlargement(
    mass: npt.ArrayLike, k: npt.ArrayLike, n: npt.ArrayLike, form: HammingForm = "mcdiarmid"
) -> FloatArray:
    """Return a lower bound on the measure of the points k coordinates or fewer from a set.

    Parameters
    ----------
    mass : array_like
        Measure of the set under a law with n independent coordinates, in [0, 1].
    k : array_like
        Coordinates that may change, a whole number, at least 0.
    n : array_like
        Coordinates in all, a whole number, at least 1.
    form : {"mcdiarmid", "talagrand"}
        The tail: P(d_H >= k + 1) <= exp(-2 (k + 1 - sqrt(n log(1/mass) / 2))_+^2 / n), or
        <= exp(-(k + 1)^2 / n) / mass, which is never smaller: with L = log(1/mass) the exponents
        differ by (k + 1 - sqrt(2 n L))^2 / n.

    Returns
    -------
    ndarray
        1 minus the tail, but mass at least; 0 at mass 0, else 1 for k >= n.

    Raises
    ------
    ValueError
        If a mass lies outside [0, 1], k or n is not such a number, or no form has that name.

    References
    ----------
    McDiarmid, On the method of bounded differences (1989); Talagrand, Concentration of measure and
    isoperimetric inequalities in product spaces, Publ. IHES 81 (1995), Proposition 2.1.1.

    Examples
    --------
    >>> round(float(hamming_enlargement(0.5, 80, 784)), 12)
    0.999975534194
    """
    enlarged = -np.expm1(hamming_log_survival(mass, k, n, form))
    # A mass of 1e-300 would not come back through the survival.
    return np.maximum(enlarged, mass)


def hamming_log_survival(
    mass: npt.ArrayLike, k: npt.ArrayLike, n: npt.ArrayLike, form: HammingForm = "mcdiarmid"
) -> FloatArray:
    """Return log(1 - `hamming_enlargement`), a bound on log P(d_H > k); -inf where that is 0.

    Examples
    --------
    >>> round(float(hamming_log_survival(0.5, 400, 784)), 9)
    -377.17539276
    """
    p, count, size = _in_range("mass", mass, 0.0, 1.0), _whole("k", k, 0) + 1, _whole("n", n, 1)
    surprise = -np.log(np.where(p > 0, p, 1.0))
    if form == "mcdiarmid":
        # By the same inequality at d_H = 0, the mean of d_H is at most this root.
        log_tail = -2 * np.maximum(count - np.sqrt(size * surprise / 2), 0.0) ** 2 / size
    elif form == "talagrand":
        log_tail = surprise - count**2 / size
    else:
        raise ValueError(f'form must be "mcdiarmid" or "talagrand", got {form!r}')
    log_tail = np.where(count > size, -np.inf, np.minimum(log_tail, _log_complement(p)))
    return np.where(p > 0, log_tail, 0.0)


def hamming_enlargement_count(
    probability: npt.ArrayLike,
    mass: npt.ArrayLike,
    n: npt.ArrayLike,
    form: HammingForm = "mcdiarmid",
) -> FloatArray:
    """Return the least k at which `hamming_enlargement` reaches a probability, as a float.

    It is inf at mass 0 unless probability is 0. Compared are the log survivals: probability 1 is
    reached at k = n only, not where 1 - 1e-17 rounds to it.

    Examples
    --------
    >>> float(hamming_enlargement_count(0.99, 0.5, 784))
    58.0
    """
    goal, p = _in_range("probability", probability, 0.0, 1.0), _in_range("mass", mass, 0.0, 1.0)
    needed, high = _log_complement(goal), _whole("n", n, 1)
    low = np.zeros(())
    for _ in range(int(np.log2(high.max(initial=1.0))) + 2):
        k = np.floor((low + high) / 2)
        enough = hamming_log_survival(p, k, n, form) <= needed
        low, high = np.where(enough, low, k + 1), np.where(enough, k, high)
    return np.where(p > 0, high, np.where(goal > 0, np.inf, 0.0))
