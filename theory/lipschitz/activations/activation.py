"""Activations with proved ends of their slopes, and proved lines around them, over any interval."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.activations.curve import ROUNDING, Lines, checked_ends
from theory.lipschitz.activations.curved import (
    ELU,
    GELU,
    SELU,
    Arctan,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LogSigmoid,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)

_TINY: Final = float(np.finfo(np.float64).tiny)


class Activation(Protocol):
    """An elementwise function with bounded slopes."""

    @property
    def name(self) -> str:
        """Its name in words."""
        ...

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        ...

    def slopes(self, lower: npt.ArrayLike, upper: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return ends of (f(a) - f(b)) / (a - b) over all a, b in [lower, upper], shape (..., m).

        The ends hold in spite of rounding; -inf and inf give the global slopes.
        """
        ...

    def lines(self, lower: npt.ArrayLike, upper: npt.ArrayLike) -> Lines:
        """Return lines below and above the function on [lower, upper], shapes (..., m).

        As real functions with these coefficients they hold in spite of rounding.
        """
        ...

    def remainders(
        self, slope: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Return ends of f(z) - slope z over z in [lower, upper], of slope 0 those of f."""
        ...


@dataclass(frozen=True, eq=False)
class LeakyReLU:
    """z -> z where z > 0, slope z elsewhere: 0 is ReLU, 1 the identity; unit by unit.

    Attributes
    ----------
    slope : ndarray, shape () or (m,)
    """

    slope: FloatArray

    @property
    def name(self) -> str:
        """Its name in words."""
        return "relu" if not np.any(self.slope) else "leaky relu"

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.where(z > 0, z, self.slope * z)

    def slopes(self, lower: npt.ArrayLike, upper: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return ends of the slopes of all secants within [lower, upper]."""
        low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
        least, most = np.minimum(self.slope, 1.0), np.maximum(self.slope, 1.0)
        below, above = high <= 0, low >= 0
        # With low >= 0 only slopes 1 are met, with high <= 0 only the other.
        at_least = np.where(above, 1.0, np.where(below, self.slope, least))
        at_most = np.where(above, 1.0, np.where(below, self.slope, most))
        return at_least, at_most

    def lines(self, lower: npt.ArrayLike, upper: npt.ArrayLike) -> Lines:
        """Return lines below and above the function on [lower, upper], finite.

        A chord on one side; on the other the piece that leaves less area.
        """
        low, high = checked_ends(lower, upper, finite=True)
        least, most = self.slopes(low, high)
        width = np.where(low < high, high - low, 1.0)
        chord = np.clip((self(high) - self(low)) / width, least, most)
        tangent = np.where(high > -low, 1.0, self.slope)
        convex, fixed = self.slope <= 1, least == most
        a = np.where(fixed, least, np.where(convex, tangent, chord))
        b = np.where(fixed, least, np.where(convex, chord, tangent))
        under = np.where(fixed | convex, 0.0, self.remainders(a, low, high)[0])
        over = np.where(convex & ~fixed, self.remainders(b, low, high)[1], 0.0)
        return Lines(a, under, b, over)

    def remainders(
        self, slope: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Return ends of f(z) - slope z over z in [lower, upper], finite.

        They are attained at the ends of the interval and at 0.
        """
        low, high = checked_ends(lower, upper, finite=True)
        a = np.asarray(slope, dtype=np.float64)
        ends = [self(z) - a * z for z in (low, high)]
        # Two products and a difference, one rounding each; none where a product is 0 or z itself.
        unrounded = (a == 0) & ((self.slope == 0) | (self.slope == 1))
        size = (np.abs(a) + np.maximum(np.abs(self.slope), 1.0)) * np.maximum(-low, high)
        error = np.where(unrounded, 0.0, ROUNDING * np.abs(size) + _TINY)
        least, most = np.minimum(*ends) - error, np.maximum(*ends) + error
        kinked = (low <= 0) & (high >= 0)
        return (
            np.where(kinked, np.minimum(least, 0.0), least),
            np.where(kinked, np.maximum(most, 0.0), most),
        )


@dataclass(frozen=True, eq=False)
class Identity(LeakyReLU):
    """z -> z."""

    slope: FloatArray = field(default_factory=lambda: np.ones(()), init=False)

    @property
    def name(self) -> str:
        """Its name in words."""
        return "identity"


@dataclass(frozen=True, eq=False)
class Absolute(LeakyReLU):
    """z -> |z|."""

    slope: FloatArray = field(default_factory=lambda: -np.ones(()), init=False)

    @property
    def name(self) -> str:
        """Its name in words."""
        return "absolute"


def _relu() -> LeakyReLU:
    return LeakyReLU(np.zeros(()))


def _leaky_relu(slope: npt.ArrayLike = 0.01) -> LeakyReLU:
    given = np.asarray(slope, dtype=np.float64)
    if given.ndim > 1 or not np.all(np.isfinite(given)):
        raise ValueError(f"leaky relu needs one finite slope, or one a unit, got {slope!r}")
    return LeakyReLU(given)


ACTIVATIONS: Final[Mapping[str, Callable[..., Activation]]] = MappingProxyType(
    {
        "identity": Identity,
        "relu": _relu,
        "leaky relu": _leaky_relu,
        "absolute": Absolute,
        "sigmoid": Sigmoid,
        "tanh": Tanh,
        "softsign": Softsign,
        "arctan": Arctan,
        "softplus": Softplus,
        "log sigmoid": LogSigmoid,
        "elu": ELU,
        "selu": SELU,
        "gelu": GELU,
        "silu": SiLU,
        "hardtanh": Hardtanh,
        "relu6": ReLU6,
        "hardsigmoid": Hardsigmoid,
        "hardswish": Hardswish,
    }
)
"""What makes each activation with slope bounds, by its name in words."""


def activation(name: str, **settings: object) -> Activation:
    """Return an activation by its name; case, blanks, hyphens and underscores do not matter.

    Parameters
    ----------
    name : str
        One of `ACTIVATIONS`.
    **settings
        `slope` of leaky relu, `beta` of softplus, `alpha` and `scale` of elu, `approximate` of
        gelu, `min` and `max` of hardtanh.

    Raises
    ------
    ValueError
        If no slope bounds are known for it, or it has no such setting.

    Examples
    --------
    >>> [end.tolist() for end in activation("ReLU").slopes([-1.0, 0.0], [1.0, 2.0])]
    [[0.0, 1.0], [1.0, 1.0]]
    >>> activation("Softplus", beta=2.0).slopes(-np.inf, np.inf)[1].item()
    1.0
    """
    plain = _plain(name)
    for known, make in ACTIVATIONS.items():
        if _plain(known) == plain:
            takes = list(inspect.signature(make).parameters)
            unknown = [each for each in settings if each not in takes]
            if unknown:
                has = ", ".join(takes) or "none"
                raise ValueError(f"{known} has no setting {unknown[0]!r}; it has: {has}")
            return make(**settings)
    raise ValueError(f"no slope bounds are known for {name!r}; known: {', '.join(ACTIVATIONS)}")


def _plain(name: str) -> str:
    return "".join(each for each in name.lower() if each not in " -_")
