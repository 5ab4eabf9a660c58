"""Operators of a graph that are not linear, with their Lipschitz constants in l1, l2 and linf."""

from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np

from theory.lipschitz.graph.linear import LinearMap, up
from theory.lipschitz.graph.operators import Scale, Shape
from theory.relu.layer import Matrix


@dataclass(frozen=True, eq=False)
class Elementwise:
    """An activation on every entry.

    Attributes
    ----------
    least, most : float
        Ends of its slopes.
    """

    least: float
    most: float

    @property
    def is_linear(self) -> bool:
        """Whether it is linear."""
        return self.least == self.most

    def norm(self, shape: Shape, p: float) -> float:
        """Return the largest absolute slope."""
        return max(abs(self.least), abs(self.most))

    def linear_map(self, shape: Shape) -> LinearMap | None:
        """Return None, unless both ends are equal."""
        if self.least == self.most:
            return Scale(np.asarray(self.least)).linear_map(shape)
        return None


@dataclass(frozen=True, eq=False)
class Maximum:
    """The largest entry of each of several windows, which may overlap, of every channel.

    Attributes
    ----------
    windows : csr_array, shape (windows, positions)
        Not 0 where a position is in a window.
    """

    windows: Matrix

    @property
    def is_linear(self) -> bool:
        """Whether it is linear."""
        return False

    def norm(self, shape: Shape, p: float) -> float:
        """Return the most windows that share an entry (l1), its root (l2) or 1 (linf).

        Two maxima over a window differ at most by the largest difference in it, and each entry's
        difference is counted once for every window it is in.
        """
        held: Any = self.windows
        if p == inf:
            return 1.0
        shared = int(np.asarray((held != 0).sum(axis=0)).max(initial=0))
        return float(shared) if p == 1 or shared <= 1 else up(sqrt(shared))

    def linear_map(self, shape: Shape) -> LinearMap | None:
        """Return None: it is not linear."""
        return None


@dataclass(frozen=True, eq=False)
class Nonexpansive:
    """A map, not elementwise, whose Lipschitz constants are all at most 1, as sorting in groups."""

    @property
    def is_linear(self) -> bool:
        """Whether it is linear."""
        return False

    def norm(self, shape: Shape, p: float) -> float:
        """Return 1."""
        return 1.0

    def linear_map(self, shape: Shape) -> LinearMap | None:
        """Return None: it is not linear."""
        return None
