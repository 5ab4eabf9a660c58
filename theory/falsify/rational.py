"""Piecewise-linear networks in rational arithmetic: every region, its Jacobian, its distances.

A weight in double precision is a rational number: nothing here is rounded but the ends that come
back, which are rounded outward. It is for few inputs and units: what a search found with faster
methods is looked at again by one that shares no code with them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from theory.arrays import FloatArray
from theory.evidence import Interval
from theory.falsify.elimination import (
    Row,
    integer_row,
    interior_point,
    least_square,
    least_value,
)
from theory.relu.layer import dense
from theory.relu.network import ReluNetwork

Form = list[Fraction]
"""An affine function of the inputs: a coefficient each, and the constant last."""


@dataclass(frozen=True)
class ExactRegion:
    """An activation region that has an interior.

    Attributes
    ----------
    pattern : tuple of bool
    rows : tuple of Row
        It is where all row[:-1] @ x + row[-1] >= 0.
    outputs : tuple of Form
    """

    pattern: tuple[bool, ...]
    rows: tuple[Row, ...]
    outputs: tuple[Form, ...]


def exact_regions(network: ReluNetwork, box: Sequence[Row] = ()) -> Iterator[ExactRegion]:
    """Yield all activation regions with an interior, where all rows of the box are above 0.

    Parameters
    ----------
    network : ReluNetwork
        Of at most about three inputs and ten units.
    box : sequence of rows

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> sorted(region.pattern for region in exact_regions(absolute))
    [(False, True), (True, False)]
    """
    n = network.n_inputs
    start = interior_point(box, n)
    if start is None:
        return
    state = [[Fraction(int(i == j)) for j in range(n + 1)] for i in range(n)]
    yield from _regions(network, 0, 0, (), tuple(box), start, state, [])


def _regions(
    network: ReluNetwork,
    index: int,
    unit: int,
    phases: tuple[bool, ...],
    rows: tuple[Row, ...],
    point: list[Fraction],
    state: list[Form],
    after: list[Form],
) -> Iterator[ExactRegion]:
    """Go on at one unit of one layer: `state` is its inputs, `after` its outputs so far."""
    layer = network.layers[index]
    weight = dense(layer.weight)
    for i in range(unit, len(layer.bias)):
        form = combined(weight[i], float(layer.bias[i]), state)
        slope = Fraction(float(layer.slope[i]))
        if slope == 1:
            after = [*after, form]
            continue
        row = integer_row(form)
        here = _at(form, point)
        if not any(row[:-1]):
            sides = [(row[-1] > 0, rows, point)]
        else:
            sides = []
            for on in (True, False):
                more = (*rows, row if on else tuple(-entry for entry in row))
                inside = here > 0 if on else here < 0
                other = point if inside else interior_point(more, network.n_inputs)
                if other is not None:
                    sides.append((on, more, other))
        for on, more, other in sides:
            out = form if on else [slope * entry for entry in form]
            yield from _regions(
                network, index, i + 1, (*phases, on), more, other, state, [*after, out]
            )
        return
    if index + 1 < len(network.layers):
        yield from _regions(network, index + 1, 0, phases, rows, point, after, [])
    else:
        yield ExactRegion(phases, rows, tuple(after))


def combined(weights: FloatArray, bias: float, state: list[Form]) -> Form:
    """Return weights @ state + bias, of affine functions or of constants."""
    total = [Fraction(0)] * len(state[0])
    total[-1] = Fraction(bias)
    for weight, form in zip(weights.tolist(), state, strict=True):
        if weight:
            factor = Fraction(weight)
            total = [t + factor * entry for t, entry in zip(total, form, strict=True)]
    return total


def _at(form: Form, point: list[Fraction]) -> Fraction:
    return sum((a * x for a, x in zip(form, point, strict=False)), form[-1])


def count_regions(network: ReluNetwork) -> int:
    """Return the number of activation regions that have an interior.

    Examples
    --------
    >>> lines = ReluNetwork([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
    >>> count_regions(lines)
    7
    """
    return sum(1 for _ in exact_regions(network))


def lipschitz(network: ReluNetwork, p: float) -> Interval:
    """Return ends of the Lipschitz constant l_p -> l_p, for p in {1, 2, inf}.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> lipschitz(absolute, math.inf)
    Interval(lower=1.0, upper=1.0)
    """
    ends = [_norm([form[:-1] for form in region.outputs], p) for region in exact_regions(network)]
    return Interval(max(end.lower for end in ends), max(end.upper for end in ends))


def _norm(matrix: list[Form], p: float) -> Interval:
    columns = [list(column) for column in zip(*matrix, strict=True)]
    if p != 2:
        lines = columns if p == 1 else matrix
        return enclosed(max(sum((abs(entry) for entry in line), Fraction(0)) for line in lines))
    floats = np.array([[float(entry) for entry in line] for line in matrix])
    _, sizes, right = np.linalg.svd(floats)
    v = [Fraction(float(entry)) for entry in right[0]]
    image = [_at([*line, Fraction(0)], v) for line in matrix]
    square = sum((e * e for e in image), Fraction(0)) / sum((e * e for e in v), Fraction(0))
    if not any(any(line) for line in matrix):
        return Interval(0.0, 0.0)
    upper = float(sizes[0])
    for grows in (1e-15, 1e-14, 1e-13, 1e-12, 1e-10, 1e-8):
        upper = float(sizes[0]) * (1 + grows)
        gram = [[_dot(one, two) for two in columns] for one in columns]
        if _definite(
            [
                [Fraction(upper) ** 2 * (i == j) - gram[i][j] for j in range(len(gram))]
                for i in range(len(gram))
            ]
        ):
            return Interval(root(square).lower, upper)
    return Interval(root(square).lower, math.inf)


def _dot(one: Form, two: Form) -> Fraction:
    return sum((a * b for a, b in zip(one, two, strict=True)), Fraction(0))


def _definite(matrix: list[Form]) -> bool:
    """Whether a symmetric matrix is positive definite, by its pivots."""
    left = [list(row) for row in matrix]
    for k, pivot in enumerate(left):
        if pivot[k] <= 0:
            return False
        for i in range(k + 1, len(left)):
            factor = left[i][k] / pivot[k]
            left[i] = [a - factor * b for a, b in zip(left[i], pivot, strict=True)]
    return True


def enclosed(value: Fraction) -> Interval:
    """Return the doubles around a rational number, equal where it is one.

    Examples
    --------
    >>> enclosed(Fraction(3, 4))
    Interval(lower=0.75, upper=0.75)
    """
    near = float(value)
    low = near if Fraction(near) <= value else math.nextafter(near, -math.inf)
    high = near if Fraction(near) >= value else math.nextafter(near, math.inf)
    return Interval(low, high)


def root(square: Fraction) -> Interval:
    """Return doubles around the square root of a rational number, at least 0.

    Examples
    --------
    >>> root(Fraction(9, 4))
    Interval(lower=1.5, upper=1.5)
    """
    low = high = math.sqrt(float(square))
    while Fraction(low) ** 2 > square:
        low = math.nextafter(low, 0.0)
    while Fraction(high) ** 2 < square:
        high = math.nextafter(high, math.inf)
    return Interval(low, high)


def distance(network: ReluNetwork, p: float) -> Interval:
    """Return ends of the l_p distance from the origin to another label, for p in {2, inf}.

    Infinite where no point has another label. Where outputs tie at the origin it is 0.

    Examples
    --------
    >>> ramp = ReluNetwork([([[1.0]], [-1.0]), ([[1.0], [0.0]], [0.0, 2.0])])
    >>> distance(ramp, 2)
    Interval(lower=3.0, upper=3.0)
    """
    n = network.n_inputs
    label = int(network.label(np.zeros(n)))
    found: list[Fraction] = []
    for region in exact_regions(network):
        for target, form in enumerate(region.outputs):
            if target == label:
                continue
            lead = [a - b for a, b in zip(form, region.outputs[label], strict=True)]
            if not any(lead[:-1]) and lead[-1] < 0:
                continue
            rows = [*region.rows, integer_row(lead)]
            least = least_square(rows, n) if p == 2 else _least_maximum(rows, n)
            if least is not None:
                found.append(least)
    if not found:
        return Interval(math.inf, math.inf)
    return root(min(found)) if p == 2 else enclosed(min(found))


def _least_maximum(rows: Sequence[Row], n: int) -> Fraction | None:
    """Return the least max |x_j| on a polyhedron, by elimination of all variables but itself."""
    wider: list[Row] = [(0, *row) for row in rows]
    for j in range(n):
        for sign in (1, -1):
            wider.append((1, *(sign * int(i == j) for i in range(n)), 0))
    return least_value(wider, n + 1)
