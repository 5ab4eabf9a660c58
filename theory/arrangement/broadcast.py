"""Exact counts as floats: broadcast over arrays, and rounded to a side that keeps a bound true."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray

_LARGEST = 10**6


def nearest_float(count: float | Fraction) -> float:
    """Return the float nearest to a whole or rational number, +inf above all floats."""
    try:
        return float(count)
    except OverflowError:
        return float("inf")


def float_above(count: int) -> float:
    """Return the least float that is not below a whole number.

    Examples
    --------
    >>> float_above(2**53 + 1) - 2.0**53
    2.0
    """
    near = nearest_float(count)
    return near if near >= count else float(np.nextafter(near, np.inf))


def float_below(count: int) -> float:
    """Return the largest finite float that is not above a whole number.

    Examples
    --------
    >>> float_below(2**53 + 3) - 2.0**53
    2.0
    """
    near = min(nearest_float(count), float(np.finfo(np.float64).max))
    return near if near <= count else float(np.nextafter(near, 0.0))


def whole_number(name: str, value: object, least: int) -> int:
    """Return a whole number as an integer.

    Raises
    ------
    ValueError
        If it is not whole, below `least`, or above a million.
    """
    number = float(value)  # type: ignore[arg-type]
    if not (least <= number <= _LARGEST and number == int(number)):
        raise ValueError(
            f"{name} must be a whole number of at least {least} and at most {_LARGEST}, got {value}"
        )
    return int(number)


def broadcast_count(
    function: Callable[..., float | Fraction], **given: tuple[npt.ArrayLike, int]
) -> FloatArray:
    """Return a function of whole numbers at each entry, rounded to the nearest float.

    Parameters
    ----------
    function : callable
        Takes integers by position, and returns a rational number, or a float.
    **given : (array_like, int)
        Arguments in order, each with the least value that is allowed.

    Raises
    ------
    ValueError
        If an argument is not a whole number of its range.
    """
    arrays = np.broadcast_arrays(*(np.asarray(value) for value, _ in given.values()))
    found = np.empty(arrays[0].shape)
    for index in np.ndindex(found.shape):
        whole = [
            whole_number(name, array[index], least)
            for (name, (_, least)), array in zip(given.items(), arrays, strict=True)
        ]
        found[index] = nearest_float(function(*whole))
    return found
