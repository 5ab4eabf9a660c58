"""Moduli of continuity and their generalised inverses, against brute force on random tables."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.modulus import LipschitzModulus, Modulus, SampledModulus, modulus_from_dict

STEP = 1 / 32


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Increasing distances, and small whole values: flat pieces and falls are common."""
    distances = draw(st.lists(st.integers(1, 12), min_size=1, max_size=6, unique=True))
    values = draw(st.lists(st.integers(0, 4), min_size=len(distances), max_size=len(distances)))
    return sorted(distances), values


def on_grid(distances: list[int], values: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The polygon through (0, 0) and the running maxima, by its definition, on a fine grid."""
    knots = [(0.0, 0.0)]
    for t, v in zip(distances, values, strict=True):
        knots.append((float(t), max(float(v), knots[-1][1])))
    grid, heights = [0.0], [0.0]
    for (t0, v0), (t1, v1) in itertools.pairwise(knots):
        for k in range(1, round((t1 - t0) / STEP) + 1):
            grid.append(t0 + k * STEP)
            heights.append(v0 + (v1 - v0) * k * STEP / (t1 - t0))
    return np.array(grid), np.array(heights)


@given(tables(), st.lists(st.floats(0, 6), min_size=1, max_size=8))
def test_sampled_inverse_is_the_supremum(
    table: tuple[list[int], list[int]], etas: list[float]
) -> None:
    omega = SampledModulus(*map(tuple, table))
    grid, heights = on_grid(*table)
    np.testing.assert_allclose(omega(grid), heights, atol=1e-12)
    for eta in [*etas, *heights[:: len(heights) // 4 or 1]]:
        supremum = grid[heights <= eta + 1e-12].max()
        inverse = float(omega.inverse(eta))
        assert supremum - 1e-9 <= inverse < supremum + STEP
        assert inverse <= table[0][-1]
        assert float(omega(inverse)) <= eta + 1e-12
        if inverse < table[0][-1]:
            assert float(omega(inverse + 1e-6)) > eta


@given(tables())
def test_sampled_modulus_and_inverse_never_fall(table: tuple[list[int], list[int]]) -> None:
    omega = SampledModulus(*map(tuple, table))
    at = np.linspace(0, 14, 113)
    assert np.all(np.diff(omega(at)) >= 0)
    assert np.all(np.diff(omega.inverse(at)) >= 0)
    assert float(omega(1e9)) == max(table[1])
    assert float(omega.inverse(np.inf)) == table[0][-1]


def test_flat_piece_gives_its_right_end() -> None:
    omega = SampledModulus((1.0, 2.0, 3.0, 4.0), (2.0, 5.0, 1.0, 6.0))
    assert omega.values == (2.0, 5.0, 5.0, 6.0)
    np.testing.assert_allclose(omega.inverse([2, 4.999999, 5, 5.5, 6]), [1, 2, 3, 3.5, 4], 1e-6)
    assert float(SampledModulus((1.0, 2.0), (0.0, 1.0)).inverse(0.0)) == 1.0
    assert float(SampledModulus((1.0,), (0.0,)).inverse(0.0)) == 1.0


@pytest.mark.parametrize("constant", [1e-8, 0.5, 3.0, 1e12])
def test_lipschitz_inverse(constant: float) -> None:
    omega = LipschitzModulus(constant)
    t = np.array([[0.0, 1e-200], [2.5, 1e100]])
    np.testing.assert_allclose(omega(t), constant * t, rtol=1e-15)
    np.testing.assert_allclose(omega.inverse(omega(t)), t, rtol=1e-15)
    assert float(omega(np.inf)) == float(omega.inverse(np.inf)) == np.inf


def test_constant_map() -> None:
    omega = LipschitzModulus(0.0)
    np.testing.assert_array_equal(omega([0.0, 7.0, np.inf]), 0.0)
    np.testing.assert_array_equal(omega.inverse([0.0, 7.0, np.inf]), np.inf)


@pytest.mark.parametrize(
    "omega",
    [
        LipschitzModulus(0.1 + 0.2),
        LipschitzModulus(0.0, certified=False),
        SampledModulus((0.1, 0.7), (1 / 3, 0.2)),
    ],
)
def test_json_form_comes_back_as_it_was(omega: Modulus) -> None:
    assert isinstance(omega, Modulus)
    back = modulus_from_dict(json.loads(json.dumps(omega.to_dict())))
    assert back == omega
    assert back.certified is omega.certified


def test_something_else_is_no_modulus() -> None:
    assert not isinstance(np.sqrt, Modulus)
    with pytest.raises(ValueError, match="kind must be 'lipschitz' or 'sampled', got 'hoelder'"):
        modulus_from_dict({"kind": "hoelder"})


@pytest.mark.parametrize("constant", [-1.0, np.inf, np.nan])
def test_lipschitz_constant_is_a_finite_number(constant: float) -> None:
    with pytest.raises(ValueError, match="finite and >= 0"):
        LipschitzModulus(constant)


@pytest.mark.parametrize(
    ("distances", "values", "message"),
    [
        ((), (), "two equal lists"),
        ((1.0, 2.0), (1.0,), "two equal lists"),
        ((0.0, 1.0), (1.0, 1.0), "positive and increasing"),
        ((1.0, 1.0), (1.0, 1.0), "positive and increasing"),
        ((1.0, np.inf), (1.0, 1.0), "positive and increasing"),
        ((1.0, np.nan), (1.0, 1.0), "positive and increasing"),
        ((1.0, 2.0), (1.0, np.nan), "finite and at least 0"),
        ((1.0, 2.0), (-1.0, 1.0), "finite and at least 0"),
    ],
)
def test_tables_that_are_none(
    distances: tuple[float, ...], values: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SampledModulus(distances, values)


def test_a_sample_certifies_nothing() -> None:
    with pytest.raises(ValueError, match="certifies nothing"):
        SampledModulus((1.0,), (1.0,), certified=True)


@pytest.mark.parametrize("omega", [LipschitzModulus(2.0), SampledModulus((1.0,), (1.0,))])
@pytest.mark.parametrize("value", [-1e-9, np.nan, [1.0, -1.0]])
def test_distances_below_zero_are_refused(omega: Modulus, value: float) -> None:
    with pytest.raises(ValueError, match="t must be at least 0"):
        omega(value)
    with pytest.raises(ValueError, match="eta must be at least 0"):
        omega.inverse(value)
