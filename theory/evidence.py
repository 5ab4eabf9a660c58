"""What was seen: one-sided evidence is a type, and confidence is spent elsewhere.

An attack knows [0, d], a certificate knows [r, inf), an exact solver [d - e, d + e].
"""

from dataclasses import dataclass, field

import numpy as np

from theory.arrays import FloatArray


@dataclass(frozen=True)
class Interval:
    """An interval that holds the true value of one number; an end that is not known is infinite.

    Raises
    ------
    ValueError
        If lower > upper or an end is NaN.

    Examples
    --------
    >>> Interval.at_least(2.0).upper, Interval.exact(1.0, 0.5).lower
    (inf, 0.5)
    """

    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not self.lower <= self.upper:
            raise ValueError(f"interval needs lower <= upper, got [{self.lower}, {self.upper}]")

    @classmethod
    def at_least(cls, value: float) -> "Interval":
        """Return what a witness shows of a supremum, or a certificate of a radius."""
        return cls(value, np.inf)

    @classmethod
    def exact(cls, value: float, error: float) -> "Interval":
        """Return [value - error, value + error]."""
        return cls(value - error, value + error)


@dataclass(frozen=True)
class Radii:
    """Robustness radii of n independent points, each in its own interval.

    Attributes
    ----------
    lower : ndarray, shape (n,)
        Certified lower ends (0 where nothing is certified), in the unit of the radius's norm.
    upper : ndarray, shape (n,)
        Distances of verified adversarial points; +inf where none was found.

    Raises
    ------
    ValueError
        If shapes differ, n = 0, an entry is NaN or negative, or a lower end exceeds its upper end:
        then a certificate or an adversarial point is wrong.
    """

    lower: FloatArray = field(repr=False)
    upper: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        if self.lower.shape != self.upper.shape or self.lower.ndim != 1 or not self.lower.size:
            raise ValueError(
                f"radii need two equal, non-empty lists, got shapes {self.lower.shape} and"
                f" {self.upper.shape}"
            )
        wrong = ~((self.lower >= 0) & (self.lower <= self.upper))
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"{int(wrong.sum())} radii are not intervals; point {i} has"
                f" lower {self.lower[i]!r} and upper {self.upper[i]!r}"
            )

    @property
    def n(self) -> int:
        """Number of points."""
        return int(self.lower.size)
