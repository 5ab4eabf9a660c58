"""Operator norms of convolutions between certified ends."""

import math
from typing import Final, Literal

import numpy as np

from theory.evidence import Interval
from theory.lipschitz.convolution.convolution import Convolution
from theory.lipschitz.convolution.correlation import Correlation
from theory.lipschitz.convolution.factorised import (
    PositionMajor,
    band,
    cheaper_side,
    factorised_upper,
    leading_vector,
    ordered,
)
from theory.lipschitz.convolution.geometry import window_outputs
from theory.lipschitz.convolution.line_norms import absolute_norm_upper, largest_line
from theory.lipschitz.convolution.torus import is_torus, torus_upper
from theory.norms import accumulated_error, operator_norm

Method = Literal["auto", "dense", "torus", "gram"]

SMALL_SIDE: Final = 2000
"""Up to this side of the Gram matrix the norm is found to nine digits, whatever the budget."""
BUDGET: Final = 2e10
"""Operations; some seconds on one core."""
GRAM_ITERATIONS: Final = 10
_MEMORY: Final = 2**31
_SHARP: Final = 1e-7
_ROUGH: Final = 1e-3
_PRODUCTS: Final = 100
"""About how many products with the map its leading vector takes."""


def convolution_norm(
    layer: Convolution,
    input_shape: tuple[int, ...],
    p: float,
    q: float,
    *,
    method: Method = "auto",
    budget: float = BUDGET,
) -> Interval:
    """Enclose the norm p -> q of a convolution on inputs of shape (n, *spatial).

    Parameters
    ----------
    layer : Convolution
    input_shape : tuple of int
    p, q : float
        In [1, inf].
    method, budget
        As for `theory.lipschitz.layers.layer_norm`.
    """
    if layer.transposed:
        # ||A^T||_{p -> q} = ||A||_{q* -> p*}
        p, q = _dual(q), _dual(p)
    given, power = layer.on(input_shape).scaled()
    if not given.weight.any():
        return Interval(0.0, 0.0)
    if p == q == 2:
        found = spectral_interval(given, method, budget)
    elif given.overlaps or (p != 1 and q != np.inf):
        found = operator_norm(given.matrix(), p, q)
        if given.overlaps:
            # Entries of the matrix are sums of entries of the kernel.
            found = _widened(found, accumulated_error(len(given.taps)) * _mixed(given, p, q))
    elif p == 1:
        found = largest_line(given, "columns", q)
    else:
        found = largest_line(given, "rows", _dual(p))
    if layer.rounding:
        absolute = absolute_norm_upper(given) if p == q == 2 else _mixed(given, p, q)
        found = _widened(found, layer.rounding * (1 + 2 * layer.rounding) * absolute)
    return Interval(found.lower * power, found.upper * power)


def spectral_interval(given: Correlation, method: Method, budget: float) -> Interval:
    """Enclose the spectral norm, the largest over the groups.

    Parameters
    ----------
    given : Correlation
        With entries in [-1, 1], as `scaled` gives them.
    method, budget
        As for `theory.lipschitz.layers.layer_norm`.

    Raises
    ------
    ValueError
        If the method is not known, or "dense" and the band takes more than 2 GiB.
    """
    if method not in ("auto", "dense", "torus", "gram"):
        raise ValueError(f"the method must be auto, dense, torus or gram, got {method!r}")
    factorise = _factorises(given, method, budget)
    if given.groups == 1 and factorise:
        return _factorised(given)
    iterations = GRAM_ITERATIONS if method == "gram" else None
    if given.groups == 1:
        lower = _lower(given, budget)
        return Interval(lower, torus_upper(given, lower, budget=budget, iterations=iterations))
    parts = [given.group(i) for i in range(given.groups)]
    share = budget / given.groups
    uppers = [torus_upper(part, budget=share, iterations=iterations) for part in parts]
    # The groups are independent: the norm is that of one, and most are below it already.
    order = sorted(range(len(parts)), key=lambda i: -uppers[i])
    lower = upper = 0.0
    for rank, i in enumerate(order):
        if uppers[i] <= lower:
            break
        if factorise:
            found = _factorised(parts[i])
            lower, upper = max(lower, found.lower), max(upper, min(found.upper, uppers[i]))
        else:
            upper = max(upper, uppers[i])
            # A few groups are enough for a lower end that an upper end will not meet anyway.
            if rank < 4:
                lower = max(lower, _lower(parts[i], share))
    return Interval(lower, upper)


def _factorises(given: Correlation, method: Method, budget: float) -> bool:
    """Whether to prove the norm by a factorisation, whose band has to fit in memory."""
    if method in ("torus", "gram"):
        return False
    side, cost = cheaper_side(given)
    n, width = band(ordered(given, side), side)
    memory = 16.0 * n * (width + 1)
    if method == "dense":
        if memory > _MEMORY:
            raise ValueError(
                f"a factorisation of side {n} and half width {width} takes"
                f" {memory / 2**30:.1f} GiB: use method 'torus'"
            )
        return True
    if is_torus(given):
        return False
    rows = given.weight.shape[1] * math.prod(given.outputs)
    columns = given.weight.shape[2] * math.prod(given.spatial)
    return min(rows, columns) <= SMALL_SIDE or (cost <= budget and memory <= _MEMORY)


def _factorised(given: Correlation) -> Interval:
    """Enclose the norm of one group to about nine digits."""
    side, _ = cheaper_side(given)
    mapped = PositionMajor(ordered(given, side))
    lower = mapped.lower(leading_vector(mapped, _SHARP))
    return Interval(lower, factorised_upper(given, side, lower))


def _lower(given: Correlation, budget: float) -> float:
    """Return a lower end of the norm of one group."""
    operations = 4.0 * given.weight[0].size * math.prod(given.outputs)
    if operations * _PRODUCTS > budget:
        given = cropped(given, (budget / (operations * _PRODUCTS)) ** (1 / len(given.axes)))
    mapped = PositionMajor(given)
    # An upper end that is exact deserves a lower end that is.
    return mapped.lower(leading_vector(mapped, _SHARP if is_torus(given) else _ROUGH))


def cropped(given: Correlation, share: float) -> Correlation:
    """Return the map on a part of the input, of a smaller norm: its matrix is a block of the whole.

    Only where the padding is with zeros, which is what the rest of the input is there.
    """
    axes = []
    for axis in given.axes:
        least = axis.dilation * (axis.kernel - 1) + 1
        side = max(int(axis.side * share), least)
        if axis.mode == "zeros" and side < axis.side:
            fit = window_outputs(side, axis.kernel, axis.stride, axis.padding, axis.dilation)
            axis = axis._replace(side=side, outputs=min(fit, axis.outputs))
        axes.append(axis)
    return Correlation(given.weight, tuple(axes))


def _dual(p: float) -> float:
    """Return p* with 1/p + 1/p* = 1."""
    if p == 1:
        return np.inf
    return 1.0 if p == np.inf else p / (p - 1)


def _mixed(given: Correlation, p: float, q: float) -> float:
    """Return an upper end of the norm of the map with the absolute values of the kernel.

    The largest dual norm of a row, or the largest norm of a column, times the equivalence of norms
    over all of them; only ever multiplied by a rounding error.
    """
    rows = math.prod(given.outputs) * given.groups * given.weight.shape[1]
    columns = math.prod(given.spatial) * given.groups * given.weight.shape[2]
    by_rows = largest_line(given, "rows", 1.0).upper * rows ** (1 / q)
    by_columns = largest_line(given, "columns", 1.0).upper * columns ** (1 - 1 / p)
    return float(min(by_rows, by_columns)) * 1.001


def _widened(found: Interval, error: float) -> Interval:
    unit = accumulated_error(2)
    return Interval(
        max((found.lower - error) * (1 - unit), 0.0), (found.upper + error) * (1 + unit)
    )
