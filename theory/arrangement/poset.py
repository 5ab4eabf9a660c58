"""The flats of an arrangement, their Moebius function, and the polynomial and faces they give.

A flat is a non-empty intersection of hyperplanes, the whole space included; flats are ordered by
reverse inclusion, so Y >= X where Y is contained in X.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theory.arrangement.rows import Rows, eliminate, grouped

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Poset:
    """The flats, the whole space first.

    Attributes
    ----------
    members : tuple of int
        For each flat the hyperplanes that contain it, as the bits of a number.
    codimension : ndarray of int, shape (f,)
    """

    members: tuple[int, ...]
    codimension: Integers

    def moebius(self) -> Integers:
        """Return mu(X, Y) for all pairs of flats, shape (f, f); 0 unless Y >= X."""
        below = self._below()
        mu = np.eye(len(self.members), dtype=np.int64)
        for j in range(1, len(mu)):
            # Flats of one codimension are not comparable, so all that lie below j are done.
            mu[:, j] -= mu[:, np.flatnonzero(below[:, j])].sum(axis=1)
        return mu

    def moebius_from_bottom(self) -> list[int]:
        """Return mu(whole space, Y) for all flats."""
        below = self._below()
        mu = np.ones(len(below), dtype=np.int64)
        for j in range(1, len(mu)):
            mu[j] = -mu[:j][below[:j, j]].sum()
        found: list[int] = mu.tolist()
        return found

    def _below(self) -> npt.NDArray[np.bool_]:
        words = max(1, -(-max(self.members).bit_length() // 63))
        mask = (1 << 63) - 1
        bits = np.array(
            [[member >> (63 * w) & mask for w in range(words)] for member in self.members],
            dtype=np.int64,
        )
        below = np.ones((len(bits), len(bits)), dtype=np.bool_)
        for column in bits.T:
            below &= (column[:, None] & ~column[None, :]) == 0
        np.fill_diagonal(below, val=False)
        return below


def poset_of(rows: Rows) -> Poset:
    """Return the flats of hyperplanes, no two of which are equal, rank by rank."""
    level = {0: rows}
    members, codimension = [0], [0]
    depth = 0
    while level:
        depth += 1
        deeper: dict[int, Rows] = {}
        for flat, left in level.items():
            kinds = grouped(left)
            for k, first in enumerate(kinds.representatives):
                added = np.flatnonzero(kinds.group == k).tolist()
                meet = flat | sum(1 << i for i in added)
                if meet not in deeper:
                    deeper[meet] = eliminate(left, left[first])
        members += deeper
        codimension += [depth] * len(deeper)
        level = deeper
    return Poset(tuple(members), np.array(codimension))


def characteristic_coefficients(poset: Poset, n: int) -> tuple[int, ...]:
    """Return sum mu(X) t^(dim X), from the coefficient of t^n down to that of t^0."""
    coefficients = [0] * (n + 1)
    for mu, codimension in zip(poset.moebius_from_bottom(), poset.codimension, strict=True):
        coefficients[codimension] += mu
    return tuple(coefficients)


def face_counts(poset: Poset, n: int) -> tuple[int, ...]:
    """Return the numbers of faces of dimension 0 to n: regions of the restrictions to flats."""
    regions = np.abs(poset.moebius()).sum(axis=1)
    counts = [0] * (n + 1)
    for found, codimension in zip(regions.tolist(), poset.codimension, strict=True):
        counts[n - codimension] += found
    return tuple(counts)
