"""Cross-correlations as linear maps on inputs of a given size."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse

from theory.arrays import FloatArray
from theory.lipschitz.convolution.geometry import Pair, Positions, taps
from theory.norms import power_above

Csr = sparse.csr_array[np.float64, tuple[int, int]]


class Axis(NamedTuple):
    """The geometry of a correlation along one axis: positions, kernel entries and their steps."""

    side: int
    outputs: int
    kernel: int
    stride: int
    padding: Pair
    dilation: int
    mode: str

    def taps(self) -> Positions:
        """Return the position under each kernel entry at each output, shape (kernel, outputs)."""
        return taps(
            self.side,
            self.outputs,
            self.kernel,
            self.stride,
            self.padding[0],
            self.dilation,
            self.mode,
        )

    def overlaps(self) -> bool:
        """Whether two entries of the kernel can fall on one position at one output."""
        at = np.sort(self.taps(), axis=0)
        return bool(np.any((at[1:] == at[:-1]) & (at[1:] >= 0)))


@dataclass(frozen=True, eq=False)
class Correlation:
    """y[o, t] = sum over c and e of K[o, c, e] x[c, taps[e, t]], group by group.

    Attributes
    ----------
    weight : ndarray, shape (groups, m, n, *kernel)
        m outputs and n inputs in each group.
    axes : tuple of Axis
    """

    weight: FloatArray
    axes: tuple[Axis, ...]

    @property
    def groups(self) -> int:
        """The number of groups."""
        return int(self.weight.shape[0])

    @property
    def spatial(self) -> tuple[int, ...]:
        """Positions of the input along each axis."""
        return tuple(axis.side for axis in self.axes)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Positions of the output along each axis."""
        return tuple(axis.outputs for axis in self.axes)

    @cached_property
    def axis_taps(self) -> tuple[Positions, ...]:
        """Position under each kernel entry at each output, for each axis."""
        return tuple(axis.taps() for axis in self.axes)

    @cached_property
    def taps(self) -> Positions:
        """Flat position under each kernel entry at each output, -1 for zeros, shape (K, T)."""
        flat = np.zeros((1, 1), dtype=np.intp)
        for axis, at in zip(self.axes, self.axis_taps, strict=True):
            grid = flat[:, None, :, None] * axis.side + at[None, :, None, :]
            missing = (flat[:, None, :, None] < 0) | (at[None, :, None, :] < 0)
            flat = np.where(missing, -1, grid).reshape(len(flat) * len(at), -1)
        return flat

    @property
    def overlaps(self) -> bool:
        """Whether two entries of the kernel can fall on one position at one output."""
        return any(axis.overlaps() for axis in self.axes)

    def scaled(self) -> "tuple[Correlation, float]":
        """Return the map over a power of two, with entries in [-1, 1], and that power.

        Kernel entries that never fall on the input are set to 0 first.

        Raises
        ------
        ValueError
            If the largest entry is near the ends of the number range.
        """
        weight = self.weight.copy()
        for i, at in enumerate(self.axis_taps):
            unread = np.flatnonzero(~(at >= 0).any(axis=1))
            weight[(slice(None),) * (3 + i) + (unread,)] = 0.0
        power = power_above(weight)
        return Correlation(weight / power, self.axes), power

    def group(self, index: int) -> "Correlation":
        """Return one group alone."""
        return Correlation(self.weight[index : index + 1], self.axes)

    def matrix(self) -> Csr:
        """Return the matrix from flattened (channels, *spatial) to flattened outputs."""
        g, m, n = self.weight.shape[:3]
        values = self.weight.reshape(g, m, n, -1)
        entry, to = np.nonzero(self.taps >= 0)
        source, positions = self.taps[entry, to], math.prod(self.spatial)
        group, out, into = np.ogrid[:g, :m, :n]
        rows = (group * m + out)[..., None] * self.taps.shape[1] + to
        columns = (group * n + into)[..., None] * positions + source
        data = values[..., entry]
        rows, columns = np.broadcast_to(rows, data.shape), np.broadcast_to(columns, data.shape)
        shape = (g * m * self.taps.shape[1], g * n * positions)
        entries = (data.ravel(), (rows.ravel(), columns.ravel()))
        return sparse.csr_array(entries, shape=shape)
