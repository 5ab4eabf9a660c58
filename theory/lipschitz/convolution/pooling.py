"""Average and max pooling: windows along each axis, and the norms that follow from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.lipschitz.convolution.geometry import per_axis, window_outputs
from theory.norms import UNIT_ROUNDOFF, accumulated_error, operator_norm

Sizes = int | Sequence[int]
_UNIT = UNIT_ROUNDOFF["float64"]


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows along one axis.

    Attributes
    ----------
    members : ndarray of 0 and 1, shape (windows, positions)
    sizes : ndarray, shape (windows,)
        What an average divides by.
    """

    members: FloatArray
    sizes: FloatArray


def _axes(name: str, sizes: Any, input_shape: Sequence[int]) -> tuple[int, ...]:  # noqa: ANN401
    """Return the sides that are spatial: as many as sizes, else all but the first."""
    count = len(sizes) if isinstance(sizes, Sequence) else len(input_shape) - 1
    if not 1 <= count <= len(input_shape) or min(input_shape) < 1:
        raise ValueError(f"{name} over {count} axes does not fit an input of shape {input_shape}")
    return tuple(int(side) for side in input_shape[len(input_shape) - count :])


def _sliding(
    side: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> npt.NDArray[np.intp]:
    """Return the positions of each window, also those in the padding, shape (windows, kernel)."""
    if 2 * padding > kernel:
        raise ValueError(f"a pool's padding must be at most half its kernel {kernel}: {padding}")
    count = window_outputs(side, kernel, stride, (padding, padding), dilation)
    if ceil_mode:
        reach = side + 2 * padding - dilation * (kernel - 1) - 1
        count = -(-reach // stride) + 1
        # The last window has to start on the input or the padding before it.
        if (count - 1) * stride >= side + padding:
            count -= 1
    if count < 1:
        raise ValueError(f"a pool with kernel {kernel} leaves no output of {side} positions")
    at = stride * np.arange(count)[:, None] + dilation * np.arange(kernel) - padding
    return np.asarray(at)


def _members(at: npt.NDArray[np.intp], side: int) -> FloatArray:
    members = np.zeros((len(at), side))
    rows, columns = np.nonzero((at >= 0) & (at < side))
    members[rows, at[rows, columns]] = 1.0
    return members


def _adaptive(side: int, outputs: int) -> FloatArray:
    """Return the windows floor(i n / m) <= s < ceil((i + 1) n / m)."""
    i, s = np.arange(outputs)[:, None], np.arange(side)
    inside = (s >= i * side // outputs) & (s < -(-(i + 1) * side // outputs))
    return np.asarray(inside, dtype=np.float64)


def _adaptive_sides(sizes: Any, sides: tuple[int, ...]) -> tuple[int, ...]:  # noqa: ANN401
    given = sizes if isinstance(sizes, Sequence) else (sizes,) * len(sides)
    kept = tuple(n if size is None else size for size, n in zip(given, sides, strict=True))
    return per_axis(kept, len(sides), "output_size", 1)


@dataclass(frozen=True)
class AveragePooling:
    """Means over sliding windows, channel by channel.

    Attributes
    ----------
    kernel_size, stride, padding : int or sequence of int
        A sequence says how many of the last axes are spatial; an int, all but the first.
        The stride is the kernel's size unless given.
    ceil_mode, count_include_pad : bool
    divisor_override : int, optional
        What to divide by instead of the size of the window.
    """

    kernel_size: Sizes
    stride: Sizes | None = None
    padding: Sizes = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def windows(self, input_shape: Sequence[int]) -> list[Windows]:
        """Return the windows along each axis."""
        sides = _axes("average pooling", self.kernel_size, input_shape)
        kernel = per_axis(self.kernel_size, len(sides), "kernel_size", 1)
        stride = per_axis(_or(self.stride, kernel), len(sides), "stride", 1)
        padding = per_axis(self.padding, len(sides), "padding", 0)
        found = []
        for n, k, s, p in zip(sides, kernel, stride, padding, strict=True):
            at = _sliding(n, k, s, p, 1, self.ceil_mode)
            members = _members(at, n)
            if self.divisor_override is not None:
                sizes = np.ones(len(at))
            elif self.count_include_pad:
                sizes = np.sum(at < n + p, axis=1, dtype=np.float64)
            else:
                sizes = members.sum(axis=1)
            found.append(Windows(members, sizes))
        if self.divisor_override is not None:
            found[0] = Windows(found[0].members, found[0].sizes * self.divisor_override)
        return found


@dataclass(frozen=True)
class AdaptiveAveragePooling:
    """Means over windows that leave outputs of a given size, channel by channel.

    Attributes
    ----------
    output_size : int, or sequence of int or None
        None keeps the size of an axis.
    """

    output_size: Any

    def windows(self, input_shape: Sequence[int]) -> list[Windows]:
        """Return the windows along each axis."""
        sides = _axes("adaptive average pooling", self.output_size, input_shape)
        found = []
        for n, m in zip(sides, _adaptive_sides(self.output_size, sides), strict=True):
            members = _adaptive(n, m)
            found.append(Windows(members, members.sum(axis=1)))
        return found


@dataclass(frozen=True)
class MaxPooling:
    """Maxima over sliding windows, channel by channel; the padding is never the largest.

    Attributes
    ----------
    kernel_size, stride, padding, dilation : int or sequence of int
        As for AveragePooling.
    ceil_mode : bool
    """

    kernel_size: Sizes
    stride: Sizes | None = None
    padding: Sizes = 0
    dilation: Sizes = 1
    ceil_mode: bool = False

    def windows(self, input_shape: Sequence[int]) -> list[Windows]:
        """Return the windows along each axis."""
        sides = _axes("max pooling", self.kernel_size, input_shape)
        kernel = per_axis(self.kernel_size, len(sides), "kernel_size", 1)
        stride = per_axis(_or(self.stride, kernel), len(sides), "stride", 1)
        padding = per_axis(self.padding, len(sides), "padding", 0)
        dilation = per_axis(self.dilation, len(sides), "dilation", 1)
        found = []
        for n, k, s, p, d in zip(sides, kernel, stride, padding, dilation, strict=True):
            members = _members(_sliding(n, k, s, p, d, self.ceil_mode), n)
            found.append(Windows(members, members.sum(axis=1)))
        return found


@dataclass(frozen=True)
class AdaptiveMaxPooling:
    """Maxima over windows that leave outputs of a given size, channel by channel.

    Attributes
    ----------
    output_size : int, or sequence of int or None
        None keeps the size of an axis.
    """

    output_size: Any

    def windows(self, input_shape: Sequence[int]) -> list[Windows]:
        """Return the windows along each axis."""
        return AdaptiveAveragePooling(self.output_size).windows(input_shape)


def _or(stride: Sizes | None, kernel: tuple[int, ...]) -> Any:  # noqa: ANN401
    # torch takes an empty stride for none.
    return kernel if stride is None or stride == () else stride


def pooled_shape(windows: list[Windows], input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the output."""
    kept = tuple(input_shape[: len(input_shape) - len(windows)])
    return (*kept, *(len(each.members) for each in windows))


def average_matrix(windows: list[Windows]) -> Any:  # noqa: ANN401
    """Return the matrix of one channel: a product of averages along the axes, rounded once."""
    members: Any = sparse.csr_array(np.ones((1, 1)))
    sizes: FloatArray = np.ones(1)
    for each in windows:
        members = sparse.csr_array(sparse.kron(members, sparse.csr_array(each.members)))
        sizes = np.asarray(np.kron(sizes, each.sizes))
    return sparse.csr_array(sparse.diags_array(1 / sizes) @ members)


def average_norm(windows: list[Windows], p: float, q: float) -> Interval:
    """Enclose the norm p -> q of the averages of one channel.

    Notes
    -----
    The matrix is a Kronecker product over the axes. For p <= q, norms of such products are products
    of norms; the rounding of its entries changes the norm of a non-negative matrix as much.

    References
    ----------
    Beckner, Inequalities in Fourier analysis, Annals of Mathematics 102 (1975), lemma 2.
    """
    if p > q:
        found = operator_norm(average_matrix(windows), p, q)
        return scaled_interval(found, 1.0, 2 * _UNIT)
    lower = upper = 1.0
    for each in windows:
        found = operator_norm(each.members / each.sizes[:, None], p, q)
        lower, upper = lower * found.lower, upper * found.upper
    return scaled_interval(Interval(lower, upper), 1.0, 4 * len(windows) * _UNIT)


def max_pooling_norm(windows: list[Windows], p: float, q: float, copies: int) -> Interval:
    """Enclose the Lipschitz constant of max pooling from p to q, over all channels.

    A difference of outputs is at most the largest of a window, so the constant is the largest norm
    of a map that selects one member of each window. For p <= q it is N^(1/q), with N the largest
    number of windows that hold one position: change that one where it is the largest. For p = inf,
    it is W^(1/q), with W the number of windows. Between, n_i windows select position i, and the
    norm is ||n||_{p / (p - q)}^(1/q) with n_i <= N and sum W; a greedy selection is a lower end.

    Parameters
    ----------
    windows : list of Windows
        Along each axis.
    p, q : float
        In [1, inf].
    copies : int
        Number of channels.
    """
    counted, most = copies, 1
    chosen: FloatArray = np.ones(1)
    for each in windows:
        members = each.members[each.members.any(axis=1)]
        counted *= len(members)
        most *= int(members.sum(axis=0).max(initial=0.0))
        chosen = np.asarray(np.kron(chosen, _greedy(members)))
    if q == np.inf:
        return Interval(min(most, 1), min(most, 1))
    if p <= q:
        return _root(most, 1 / q)
    if p == np.inf:
        return _root(counted, 1 / q)
    order = p / (p - q)
    upper = (float(most) ** (order - 1) * counted) ** (1 / (order * q))
    lower = (copies * float(np.sum(chosen**order))) ** (1 / (order * q))
    return scaled_interval(Interval(lower, max(lower, upper)), 1.0, accumulated_error(2**12))


def _greedy(members: FloatArray) -> FloatArray:
    """Return how many windows select each position, the most frequent first; their values fall."""
    left, counts = members.copy(), []
    while left.size:
        position = int(left.sum(axis=0).argmax())
        taken = left[:, position] > 0
        counts.append(float(taken.sum()))
        left = left[~taken]
    return np.array(counts)


def _root(count: int, exponent: float) -> Interval:
    if count <= 1 or exponent == 1:
        return Interval(float(count), float(count))
    value = math.sqrt(count) if exponent == 0.5 else count**exponent
    if exponent == 0.5 and math.isqrt(count) ** 2 == count:
        return Interval(value, value)
    return scaled_interval(Interval(value, value), 1.0, 64 * _UNIT)


def scaled_interval(found: Interval, factor: float, error: float) -> Interval:
    """Return an interval times a factor, widened by a relative error."""
    if factor == 1.0 and not error:
        return found
    error += 2 * _UNIT
    return Interval(found.lower * factor * (1 - error), found.upper * factor * (1 + error))
