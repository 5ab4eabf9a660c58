"""How much of the latent law a generator expands by at most so much, within given latent radii.

Not a modulus, which holds at all latents: the law of a local one, seen at random latents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray
from theory.statistics import checked_count, checked_level

_RANKS_PER_ROOT = 2


def limited_ranks(n: int) -> npt.NDArray[np.int64]:
    """Return the ranks, from 1 to n, at which a distribution function of n points is limited.

    They are chosen by n alone: equal steps on the scale of asin(sqrt), on which exact limits are
    equally wide, about 2 sqrt(n) of them; dense at both ends.

    Parameters
    ----------
    n : int
        At least 1.

    Examples
    --------
    >>> limited_ranks(16).tolist()
    [1, 3, 5, 8, 12, 14, 16]
    """
    steps = int(np.ceil(_RANKS_PER_ROOT * np.sqrt(checked_count(n, "n"))))
    shares = np.sin(0.5 * np.pi * np.arange(1, steps + 1) / steps) ** 2
    # A share that is a whole number of points but for rounding is that number.
    return np.unique(np.maximum(np.ceil(n * shares - 1e-9), 1).astype(np.int64))


def band_at_ranks(n: int, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Return limits on a distribution function F between the order statistics of n points.

    With probability 1 - alpha, for all `limited_ranks` j at once,

        F(x) >= lower_j for x >= x_(j),    F(x) <= upper_j for x < x_(j).

    Each is exact by itself, as F(x_(j)) is at least, and F before x_(j) at most, as large as the
    j-th of n uniform points, whose law is Beta(j, n - j + 1); all together hold by the union bound.
    Steps of F are allowed.

    Parameters
    ----------
    n : int
        Number of independent points, at least 1.
    alpha : float
        In (0, 1); half of it on each side, in equal parts on each rank.

    Returns
    -------
    lower, upper : ndarray, shape of `limited_ranks(n)`
        Increasing.

    Raises
    ------
    ValueError
        If n < 1, or alpha lies outside (0, 1).

    References
    ----------
    Clopper and Pearson, Biometrika 26 (1934); David and Nagaraja, Order Statistics (2003),
    section 2.1.

    Examples
    --------
    >>> lower, upper = band_at_ranks(300, 0.01)
    >>> round(float(lower[-1]), 3), round(float(upper[0]), 3)  # at the largest, before the least
    (0.971, 0.029)
    """
    j = limited_ranks(n)
    level = checked_level(alpha) / (2 * j.size)
    lower = special.betaincinv(j, n - j + 1, level)
    upper = special.betainccinv(j, n - j + 1, level)
    return np.asarray(lower), np.asarray(upper)


@dataclass(frozen=True)
class ExpansionTable:
    """Certified expansions of a generator at n random latents, within each of some radii.

    Attributes
    ----------
    radii : tuple of float
        Latent distances t_1 < t_2 < ..., positive.
    values : tuple of tuple of float
        For each radius the n upper ends of sup over ||r|| <= t of ||g(z + r) - g(z)||, in the unit
        of the image, sorted; +inf where nothing was certified. The n latents of one radius are
        independent draws from the latent law; different radii may share them.

    Raises
    ------
    ValueError
        If the lists are empty or of unequal lengths, the radii do not increase from above 0, or a
        value is negative or NaN.

    Examples
    --------
    >>> table = ExpansionTable((0.5, 1.0), ((0.4, 0.2), (0.9, float("inf"))))
    >>> table.values[0], table.to_dict()["values"][1]
    ((0.2, 0.4), [0.9, None])
    >>> ExpansionTable.from_dict(table.to_dict()) == table
    True
    """

    radii: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        t = np.asarray(self.radii, dtype=np.float64)
        if t.ndim != 1 or not t.size or not (t[0] > 0 and np.all(np.diff(t) > 0)):
            raise ValueError(f"radii must increase from above 0, got {self.radii}")
        if not np.isfinite(t[-1]):
            raise ValueError(f"radii must be finite, got {self.radii}")
        lengths = {len(row) for row in self.values}
        if len(self.values) != t.size or len(lengths) != 1 or lengths == {0}:
            raise ValueError(
                f"values must be one list a radius, all of one length, got {len(self.values)} lists"
                f" of lengths {sorted(lengths)} for {t.size} radii"
            )
        e = np.asarray(self.values, dtype=np.float64)
        if not np.all(e >= 0):
            raise ValueError("values must be expansions, at least 0 or infinite")
        object.__setattr__(self, "radii", tuple(t.tolist()))
        object.__setattr__(self, "values", tuple(tuple(row) for row in np.sort(e, axis=1).tolist()))

    @property
    def n(self) -> int:
        """The number of latents of each radius."""
        return len(self.values[0])

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Return the table of a JSON form, the inverse of `to_dict`."""
        rows: Sequence[Sequence[float | None]] = table["values"]
        return cls(
            tuple(table["radii"]),
            tuple(tuple(np.inf if e is None else e for e in row) for row in rows),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: None where nothing was certified."""
        return {
            "radii": list(self.radii),
            "values": [[e if np.isfinite(e) else None for e in row] for row in self.values],
        }

    def knots(self) -> FloatArray:
        """Return the finite expansions at which a limit of `shares` changes, increasing."""
        at = np.asarray(self.values)[:, limited_ranks(self.n) - 1]
        return np.unique(at[np.isfinite(at)])

    def shares(self, eta: npt.ArrayLike, alpha: float) -> tuple[FloatArray, FloatArray]:
        """Return limits on P(expansion <= eta) for all radii and all eta at once.

        Parameters
        ----------
        eta : array_like, shape (k,)
            In the unit of the image, at least 0.
        alpha : float
            Probability that a limit misses for some radius and some eta, in (0, 1): in equal parts
            on each radius.

        Returns
        -------
        lower, upper : ndarray, shape (number of radii, k)
            Limits on the share of latents whose stored value is at most eta. As stored values are
            upper ends, `lower` limits the share of the expansions themselves too: their sorted
            list lies nowhere above the stored one, whichever latents got the tighter ends. Where
            that was chosen by all latents together the stored values have no law of their own,
            and `upper` says nothing of another sample.

        Raises
        ------
        ValueError
            If alpha lies outside (0, 1).

        Examples
        --------
        >>> table = ExpansionTable((1.0,), (tuple(np.linspace(0.0, 1.0, 300)),))
        >>> lower, upper = table.shares([0.5, 1.0], 0.01)
        >>> lower.round(3).tolist(), upper.round(3).tolist()
        ([[0.376, 0.971]], [[0.624, 1.0]])
        """
        at = np.asarray(eta, dtype=np.float64)
        low, high = band_at_ranks(self.n, checked_level(alpha) / len(self.radii))
        low, high = np.concatenate([[0.0], low]), np.concatenate([high, [1.0]])
        ranks = limited_ranks(self.n) - 1
        passed = [np.searchsorted(np.asarray(row)[ranks], at, side="right") for row in self.values]
        return np.stack([low[k] for k in passed]), np.stack([high[k] for k in passed])
