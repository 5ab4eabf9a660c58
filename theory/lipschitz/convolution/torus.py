"""Convolutions on a torus: upper ends of the spectral norm from one small matrix a frequency.

A convolution with zero padding is a compression of the periodic one on any torus that is so large
that no padding falls on the input from the other end, also if the input comes back round the torus
multiplied by a phase. Of several tori and the phases 1 and -1, the least norm is taken.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from theory.lipschitz.convolution.correlation import Axis, Correlation
from theory.lipschitz.convolution.gram import gram_iteration_upper
from theory.norms import UNIT_ROUNDOFF, accumulated_error

ComplexArray = npt.NDArray[np.complex128]

_CHUNK: Final = 2**21
"""Complex entries of blocks at a time."""
_TINY: Final = 1e-280
_TORI: Final = 16
_PATIENCE: Final = 5
"""How far one torus may be beyond the budget before the symbol is sampled, which is coarse."""
_PHASE_ERROR: Final = 32
"""Units of error of a rounded root of unity: of its angle (20), of sine and cosine (8)."""


class Period(NamedTuple):
    """A torus along one axis: its size, a multiple of the stride, and half turns when gone round.

    `exact` where the convolution itself is the periodic one; its norm is at most `factor` times
    that on the torus.
    """

    size: int
    half_turns: int
    exact: bool
    factor: float


def periods(axis: Axis) -> list[Period]:
    """Return the tori of which the convolution is a compression, along one axis."""
    s, side = axis.stride, axis.side
    if axis.mode == "circular" and side % s == 0 and axis.outputs * s == side:
        return [Period(side, 0, True, 1.0)]
    last = s * (axis.outputs - 1) + axis.dilation * (axis.kernel - 1) - axis.padding[0]
    if axis.mode == "zeros":
        least, copies = side + max(axis.padding[0], last - side + 1, 0), 1
    else:
        # The valid convolution of the padded input, whose norm is at most sqrt(copies).
        read = axis._replace(kernel=last + 1 + axis.padding[0], outputs=1, dilation=1).taps()
        copies = int(np.bincount(read.ravel(), minlength=side).max())
        least = last + 1 + axis.padding[0]
    first = -(-max(least, s * axis.outputs) // s) * s
    factor = math.sqrt(copies) * (1 + accumulated_error(2))
    return [Period(size, turns, False, factor) for size in (first, first + s) for turns in (1, 0)]


def sampled(axis: Axis, share: float) -> Period:
    """Return a coarser torus: samples of the symbol, of which norms on all tori are values.

    A real trigonometric polynomial of degree D / 2 that is 1 at its maximum is at least
    cos(D w / 2) at a distance w, and a sample is as near as half the step.

    Parameters
    ----------
    axis : Axis
    share : float
        Frequencies wanted, over those of the least torus.

    References
    ----------
    Ehlich and Zeller, Schwankung von Polynomen zwischen Gitterpunkten, Math. Z. 86 (1964); Pfister
    and Bresler, Bounding multivariate trigonometric polynomials, IEEE Trans. Signal Process. 67
    (2019), for several variables.
    """
    given = periods(axis)[0]
    degree = axis.dilation * (axis.kernel - 1) // axis.stride
    count = max(int(given.size // axis.stride * share), 4 * degree, 1)
    if count >= given.size // axis.stride:
        return given
    factor = given.factor / math.cos(math.pi * degree / (2 * count)) * (1 + accumulated_error(8))
    return Period(count * axis.stride, given.half_turns, False, factor)


def is_torus(given: Correlation) -> bool:
    """Whether the convolution is the periodic one along all axes."""
    return all(periods(axis)[0].exact for axis in given.axes)


def torus_cost(given: Correlation) -> float:
    """Return about how many operations one torus takes, all groups."""
    _, m, n = given.weight.shape[:3]
    n *= math.prod(axis.stride for axis in given.axes)
    frequencies = math.prod(periods(axis)[0].size // axis.stride for axis in given.axes) / 2
    return float(given.groups * frequencies * 8.0 * min(m, n) ** 2 * (m + n))


def torus_upper(
    given: Correlation,
    floor: float = 0.0,
    *,
    budget: float = 2e10,
    iterations: int | None = None,
) -> float:
    """Return an upper end of the spectral norm, the least over several tori.

    Parameters
    ----------
    given : Correlation
        With entries in [-1, 1], as `scaled` gives them.
    floor : float
        A value that the norm is known to reach, which saves work.
    budget : float
        Operations. It decides how many tori are tried, up to 16; where one takes five times as
        much, the symbol is sampled more coarsely.
    iterations : int, optional
        Bound each block by so many Gram iterations, rather than by a Cholesky factorisation.

    References
    ----------
    Sedghi, Gupta and Long, The singular values of convolutional layers (ICLR 2019), theorem 6, for
    the blocks; Araujo, Negrevergne, Chevaleyre and Atif, On Lipschitz regularization of
    convolutional layers using Toeplitz matrix theory (AAAI 2021), for the symbol.

    Examples
    --------
    >>> from theory.lipschitz.convolution import Convolution
    >>> laplacian = Convolution(np.array([[[-0.5, 1.0, -0.5]]]), padding=1).on((1, 9))
    >>> bound, exact = torus_upper(laplacian), 1 + np.cos(np.pi / 10)
    >>> bool(exact <= bound <= exact * (1 + 1e-9))
    True
    """
    affordable = budget / torus_cost(given)
    if affordable * _PATIENCE < 1:
        share = (affordable * _PATIENCE) ** (1 / len(given.axes))
        choices = [tuple(sampled(axis, share) for axis in given.axes)]
    else:
        choices = list(itertools.product(*(periods(axis) for axis in given.axes)))
        # Both phases of the least torus first.
        choices.sort(key=lambda choice: sum(period.size for period in choice))
        choices = choices[: max(1, min(_TORI, int(affordable)))]
    best = np.inf
    for choice in choices:
        factor = math.prod(period.factor for period in choice) * (1 + accumulated_error(4))
        found = _largest(given, choice, floor / factor, best / factor, iterations)
        best = min(best, found * factor * (1 + accumulated_error(2)))
        if best <= floor * (1 + 1e-9):
            break
    return best


def _waves(axis: Axis, period: Period) -> ComplexArray:
    """Return what each kernel entry is at each phase of the stride and frequency.

    Shape (kernel, stride, frequencies).
    """
    count = period.size // axis.stride
    shift = axis.dilation * np.arange(axis.kernel)
    # Angles as integer multiples of half the step, so that they are exact up to the last rounding.
    multiple = (2 * np.arange(count) + period.half_turns) * (shift // axis.stride)[:, None]
    angle = np.pi * ((multiple % (2 * count)) / count)
    at = (shift % axis.stride)[:, None] == np.arange(axis.stride)
    return np.asarray(at[:, :, None] * np.exp(1j * angle)[:, None, :])


def _blocks(given: Correlation, choice: tuple[Period, ...]) -> Iterator[ComplexArray]:
    """Yield the blocks of one group at some frequencies, shape (frequencies, m, n strides)."""
    waves = [_waves(axis, period) for axis, period in zip(given.axes, choice, strict=True)]
    # The kernel is real: opposite frequencies have the same norm.
    waves[-1] = waves[-1][:, :, : waves[-1].shape[2] // 2 + 1]
    d, (m, n) = len(waves), given.weight.shape[1:3]
    rest = math.prod(w.shape[1] for w in waves) * math.prod(w.shape[2] for w in waves[1:])
    step = max(1, _CHUNK // (m * n * rest))
    for weight in given.weight:
        for start in range(0, waves[0].shape[2], step):
            block = weight.astype(np.complex128)
            for wave in (waves[0][:, :, start : start + step], *waves[1:]):
                block = np.tensordot(block, wave, axes=(2, 0))
            # (m, n, stride, frequency, stride, frequency, ...)
            frequencies = [3 + 2 * i for i in range(d)]
            block = block.transpose(*frequencies, 0, 1, *(2 + 2 * i for i in range(d)))
            yield block.reshape(-1, m, n * math.prod(w.shape[1] for w in waves))


def _largest(
    given: Correlation,
    choice: tuple[Period, ...],
    floor: float,
    ceiling: float,
    iterations: int | None,
) -> float:
    """Return an upper end of the norm over all frequencies and groups; inf if beyond ceiling."""
    size = np.abs(given.weight)
    reach = tuple(range(3, size.ndim))
    sums = size.sum(axis=reach)
    spread = float(np.sqrt(sums.sum(axis=1).max() * sums.sum(axis=2).max()))
    spread *= 1 + accumulated_error(size.size + 4)
    terms = 4 * math.prod(size.shape[3:]) + 2 * (_PHASE_ERROR + 8) * len(reach)
    block_error = accumulated_error(terms) * spread
    if iterations is not None:
        found = 0.0
        for blocks in _blocks(given, choice):
            found = max(found, float(gram_iteration_upper(blocks, iterations).max()))
        return (found + block_error) * (1 + accumulated_error(2))
    square, excess = floor**2, 0.0
    for blocks in _blocks(given, choice):
        m, n = blocks.shape[1:]
        adjoint = np.conj(np.swapaxes(blocks, 1, 2))
        gram = blocks @ adjoint if m <= n else adjoint @ blocks
        square, more = _dominated(gram, square)
        excess = max(excess, more + accumulated_error(4 * max(m, n) + 8) * (2 * spread) ** 2)
        if square > ceiling**2:
            return np.inf
    return (float(np.sqrt(square + excess)) + block_error) * (1 + accumulated_error(4))


def _dominated(gram: ComplexArray, square: float) -> tuple[float, float]:
    """Return s >= square and e such that s + e is proved to be above the norm of each matrix."""
    r = gram.shape[1]
    if r == 1:
        return max(square, float(gram.real.max())), 0.0
    top = 0.0
    for inflation in (0.0, 1e-12, 1e-10, 1e-8):
        if inflation == 1e-12:
            top = float(np.linalg.eigvalsh(gram)[:, -1].max())
        # Never 0, so that a block of zeros, or of what underflows, is dominated.
        square = max(square, top * (1 + inflation + accumulated_error(8 * r)), _TINY)
        shifted = -gram
        diagonal = np.arange(r)
        shifted[:, diagonal, diagonal] += square
        try:
            np.linalg.cholesky(shifted)
        except np.linalg.LinAlgError:
            continue
        # A factorisation in complex arithmetic; the trace of each is below r times the square.
        gamma = accumulated_error(4 * (r + 2))
        error = gamma / (1 - gamma) * r * square
        return square, (error + 4 * UNIT_ROUNDOFF["float64"] * square) * 2
    raise ArithmeticError("no upper end of the spectral norm on the torus could be proved")
