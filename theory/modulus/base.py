"""What every modulus of continuity offers, and the checks and products they share."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray

_SMALLEST = float(np.nextafter(0.0, 1.0))


@runtime_checkable
class Modulus(Protocol):
    """A non-decreasing function omega with ||g(z) - g(z')|| <= omega(||z - z'||_2).

    `certified` says whether that inequality is proved for the generator at hand; a modulus that
    was sampled is a lower estimate of the true one, and a bound that uses it claims too much.
    omega(0) > 0 is allowed: data in several pieces have no smaller modulus.
    """

    @property
    def certified(self) -> bool:
        """Whether omega is proved to be a modulus."""
        ...

    @property
    def concave(self) -> bool:
        """Whether omega is known to be concave on [0, inf), as Jensen's inequality needs."""
        ...

    def __call__(self, t: npt.ArrayLike) -> FloatArray:
        """Return omega(t), in the unit of the image, for latent distances t >= 0."""
        ...

    def inverse(self, eta: npt.ArrayLike) -> FloatArray:
        """Return sup{t >= 0: omega(t) <= eta}; NaN-free, -inf where no such t exists."""
        ...

    def concave_majorant(self) -> "Modulus":
        """Return a concave modulus that is nowhere below omega: omega itself where concave."""
        ...

    def scaled(self, factor: float) -> "Modulus":
        """Return factor * omega, the modulus of factor * g, for a finite factor >= 0."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, the inverse of `modulus_from_dict`."""
        ...


def checked_distances(name: str, values: npt.ArrayLike) -> FloatArray:
    """Return the values as an array of distances in [0, inf].

    Raises
    ------
    ValueError
        If one is negative or NaN.

    Examples
    --------
    >>> checked_distances("t", [0, float("inf")])
    array([ 0., inf])
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.all(array >= 0):
        raise ValueError(f"{name} must be at least 0, got {values!r}")
    return array


def checked_constant(name: str, value: float) -> float:
    """Return the value, a finite number >= 0.

    Raises
    ------
    ValueError
        If it is negative, infinite or NaN.

    Examples
    --------
    >>> checked_constant("factor", 2.0)
    2.0
    """
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be finite and >= 0, got {value}")
    return value


def product(factor: float, values: npt.ArrayLike) -> FloatArray:
    """Return factor * values, where positive numbers never give 0.

    A slope that underflowed to 0 would certify a constant map; the smallest number above does not.

    Parameters
    ----------
    factor : float
        At least 0.
    values : array_like
        At least 0; like `factor`, finite.

    Returns
    -------
    ndarray
        The products; +inf where they overflow.

    Examples
    --------
    >>> float(product(2.0, 3.0)), float(product(1e-200, 1e-200)) > 0
    (6.0, True)
    """
    v = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        exact = factor * v
    return np.where((factor > 0) & (v > 0), np.maximum(exact, _SMALLEST), exact)
