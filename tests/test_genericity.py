"""Coordinates that lead to every cell, against all minors."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import sympy

from theory.arrangement import HyperplaneArrangement
from theory.hamming.genericity import is_coordinate_generic


def by_minors(normals: list[list[Fraction]]) -> bool:
    matrix = sympy.Matrix(
        [[sympy.Rational(v.numerator, v.denominator) for v in r] for r in normals]
    )
    sets = itertools.combinations(range(matrix.cols), matrix.rows)
    return all(matrix[:, list(chosen)].det() != 0 for chosen in sets)


@pytest.mark.parametrize("seed", range(30))
def test_all_minors_exactly_and_in_floats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 4))
    n = int(rng.integers(m, 7))
    normals = [
        [Fraction(int(v), int(w)) for v, w in zip(*rng.integers(1, 4, (2, n)), strict=True)]
        for _ in range(m)
    ]
    for i, j in rng.integers(0, [m, n], (2, 2)):
        normals[i][j] = Fraction(int(rng.integers(-3, 4)))
    expected = by_minors(normals)
    assert is_coordinate_generic(normals) is expected
    assert is_coordinate_generic([[float(v) for v in row] for row in normals]) is expected


def test_both_answers_occur() -> None:
    assert {by_minors([[Fraction(1), Fraction(v)]]) for v in (0, 1)} == {True, False}


def test_powers_of_positive_nodes_are_generic_in_both_senses() -> None:
    nodes = [1, 2, 3, 5, 7]
    powers = [[node**k for node in nodes] for k in range(3)]
    assert is_coordinate_generic(powers)
    assert is_coordinate_generic(np.array(powers, dtype=float))


def test_rows_and_columns_are_different_conditions() -> None:
    # Coordinate hyperplanes are in general position; in R^4, three of them know three coordinates.
    boolean = np.eye(3, 4, dtype=int)
    assert HyperplaneArrangement(np.eye(4, dtype=int), np.zeros(4, dtype=int)).is_simple
    assert HyperplaneArrangement(boolean, np.zeros(3, dtype=int)).is_simple
    assert not is_coordinate_generic(boolean)
    # Parallel lines are not in general position; any coordinate leads to both sides of one of them.
    assert not HyperplaneArrangement([[1, 1], [1, 1]], [0, 1]).is_simple
    assert is_coordinate_generic([[1, 1]])


def test_draws_find_what_is_frequent() -> None:
    rng = np.random.default_rng(4)
    normals = rng.normal(size=(9, 784))
    assert is_coordinate_generic(normals, draws=20, stream=rng)
    normals[:, :700] = 0
    assert not is_coordinate_generic(normals, draws=20, stream=rng)


@pytest.mark.parametrize(
    ("normals", "message"), [([1, 2], "shape"), ([[1], [2]], "m <= n"), ([["a"]], "real")]
)
def test_bad_normals_are_named(normals: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        is_coordinate_generic(normals)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stream"):
        is_coordinate_generic([[1, 2]], draws=3)
