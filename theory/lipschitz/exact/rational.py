"""Exact affine forms of units, and exact proofs that half-spaces have no common interior.

Floating point cannot tell a cell without an interior from a thin one: here it is not asked.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.relu.layer import BoolArray, dense
from theory.relu.network import ReluNetwork

Exact = npt.NDArray[Any]
"""Arrays of Python integers."""

_KEPT = 4096


class ExactForms:
    """Pre-activations as affine functions of the input, up to a positive factor, in integers.

    Parameters
    ----------
    network : ReluNetwork

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.5], [-1.0]], [0.0, 0.25]), ([[1.0, 1.0]], [0.0])])
    >>> ExactForms(absolute).layer(0, np.zeros(2, dtype=bool)).tolist()
    [[6, 0], [-4, 1]]
    """

    def __init__(self, network: ReluNetwork) -> None:
        self._network = network
        self._layers: dict[int, tuple[Exact, int, Exact, int]] = {}
        self._known: dict[tuple[int, bytes], tuple[Exact, int]] = {}

    def layer(self, index: int, phases: BoolArray) -> Exact:
        """Return the units with two phases of a layer, shape (units, n_inputs + 1).

        Parameters
        ----------
        index : int
        phases : ndarray of bool, shape (n_units,)
            Those of the layers before are used.
        """
        hinges = self._network.layers[index].hinges
        return np.asarray(self._values(index, phases)[0][hinges])

    def _values(self, index: int, phases: BoolArray) -> tuple[Exact, int]:
        """Return all pre-activations of a layer times 2^e, and e."""
        n_before = sum(len(layer.hinges) for layer in self._network.layers[:index])
        key = index, phases[:n_before].tobytes()
        found = self._known.get(key)
        if found is not None:
            return found
        affine, power, _, _ = self._integers(index)
        if index:
            state, scale = self._values(index - 1, phases)
            _, _, slopes, slope_power = self._integers(index - 1)
            before = self._network.layers[index - 1].hinges
            factor = slopes.copy()
            on = phases[n_before - len(before) : n_before]
            factor[before[on]] = 1 << slope_power
            state, scale = factor[:, None] * state, scale + slope_power
        else:
            n = self._network.n_inputs
            state, scale = _integers(np.eye(n, n + 1), 0), 0
        values = affine[:, :-1] @ state
        values[:, -1] += affine[:, -1] * (1 << scale)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[key] = values, scale + power
        return self._known[key]

    def _integers(self, index: int) -> tuple[Exact, int, Exact, int]:
        if index not in self._layers:
            layer = self._network.layers[index]
            affine = np.hstack([dense(layer.weight), layer.bias[:, None]])
            powers = _power(affine), _power(layer.slope)
            self._layers[index] = (
                _integers(affine, powers[0]),
                powers[0],
                _integers(layer.slope, powers[1]),
                powers[1],
            )
        return self._layers[index]


def _power(values: npt.NDArray[np.float64]) -> int:
    """Return the least e >= 0 for which all values are multiples of 2^-e."""
    return max(float(each).as_integer_ratio()[1].bit_length() - 1 for each in values.flat)


def _integers(values: npt.NDArray[np.float64], power: int) -> Exact:
    found = np.empty(values.shape, dtype=object)
    for at, value in np.ndenumerate(values):
        over, under = float(value).as_integer_ratio()
        found[at] = over * ((1 << power) // under)
    return found


def no_interior(rows: Sequence[Sequence[int | Fraction]]) -> bool:
    """Return whether the rows prove that no point has all row @ (x, 1) > 0.

    A proof is a nonnegative combination without x and with a constant that is not positive, if
    it is the only combination without x up to a factor: what a basis of a linear programme leaves.

    Parameters
    ----------
    rows : sequence of sequences of int or Fraction, each of length n + 1

    References
    ----------
    Farkas' lemma: Schrijver, Theory of Linear and Integer Programming (1986), section 7.8.

    Examples
    --------
    >>> no_interior([[1, 0], [-1, 0]]), no_interior([[1, 0], [-1, 1]])
    (True, False)
    """
    k = len(rows)
    if not k:
        return False
    # Columns are rows; elimination keeps the equations sum of multiplier * row = 0 in x.
    equations = [[Fraction(row[j]) for row in rows] for j in range(len(rows[0]) - 1)]
    pivots: list[int] = []
    for column in range(k):
        at = len(pivots)
        best = next((i for i in range(at, len(equations)) if equations[i][column]), None)
        if best is None:
            continue
        equations[at], equations[best] = equations[best], equations[at]
        pivot = equations[at]
        scaled = [each / pivot[column] for each in pivot]
        equations[at] = scaled
        for i, equation in enumerate(equations):
            if i != at and equation[column]:
                factor = equation[column]
                equations[i] = [a - factor * b for a, b in zip(equation, scaled, strict=True)]
        pivots.append(column)
    free = [column for column in range(k) if column not in pivots]
    if len(free) != 1:
        return False
    multipliers = [Fraction(0)] * k
    multipliers[free[0]] = Fraction(1)
    for equation, column in zip(equations, pivots, strict=False):
        multipliers[column] = -equation[free[0]]
    if min(multipliers) < 0:
        return False
    return sum(m * Fraction(row[-1]) for m, row in zip(multipliers, rows, strict=True)) <= 0
