"""Norms of the rows and columns of a convolution, without its matrix."""

from typing import Literal

import numpy as np

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.lipschitz.convolution.correlation import Correlation
from theory.lipschitz.convolution.geometry import Positions
from theory.norms import accumulated_error


def _counts(at: Positions, side: int, of: Literal["columns", "rows"]) -> FloatArray:
    """Return how often a kernel entry falls on a position, or at an output on the input.

    Distinct columns only, shape (kernel, kinds): away from the boundary all positions are alike.
    """
    if of == "rows":
        found = (at >= 0).astype(np.float64)
    else:
        found = np.zeros((len(at), side + 1))
        np.add.at(found, (np.arange(len(at))[:, None], at), 1.0)
        found = found[:, :side]
    return np.asarray(np.unique(found, axis=1))


def largest_line(given: Correlation, of: Literal["columns", "rows"], r: float) -> Interval:
    """Enclose the largest r-norm of a column, or of a row.

    Where kernel entries overlap, it is that of their absolute values, an upper end only.

    Parameters
    ----------
    given : Correlation
        With entries in [-1, 1], as `scaled` gives them.
    of : {"columns", "rows"}
    r : float
        In [1, inf].

    Notes
    -----
    At a position, the r-th power is the sum over kernel entries of the number of times that each
    falls there, a product over axes, times the sum of |K|^r over the channels.
    """
    size = np.abs(given.weight)
    if r == np.inf:
        largest = float(size.max(initial=0.0))
        return Interval(largest, largest)
    # One axis is left for each channel of the lines, then one for each spatial axis.
    sums = np.sum(size**r, axis=1 if of == "columns" else 2).reshape(-1, *size.shape[3:])
    for axis, at in zip(given.axes, given.axis_taps, strict=True):
        sums = np.tensordot(sums, _counts(at, axis.side, of), axes=(1, 0))
    terms = size.size + 256
    value, error = float(sums.max()) ** (1 / r), accumulated_error(terms)
    return Interval(value * (1 - error), value * (1 + error))


def absolute_norm_upper(given: Correlation) -> float:
    """Return an upper end of the spectral norm of the map with the absolute values of the kernel.

    References
    ----------
    Schur's test: || |A| ||_2^2 <= ||A||_1 ||A||_inf.
    """
    columns = largest_line(given, "columns", 1.0).upper
    rows = largest_line(given, "rows", 1.0).upper
    return float(np.sqrt(columns * rows)) * (1 + accumulated_error(4))
