"""Moduli of continuity and their generalised inverses, against brute force on random tables."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from theory.modulus import (
    ComposedModulus,
    HoelderModulus,
    LipschitzModulus,
    Modulus,
    PiecewiseLinearModulus,
    SampledModulus,
    composition,
    modulus_from_dict,
)

STEP = 1 / 32

MODULI: list[Modulus] = [
    LipschitzModulus(0.0),
    LipschitzModulus(2.5, certified=False),
    HoelderModulus(0.0, 0.5),
    HoelderModulus(1.7, 0.3),
    PiecewiseLinearModulus((0.0,), (0.75,), 0.4),
    PiecewiseLinearModulus((0.0, 0.5, 2.0, 2.25), (0.0, 0.0, 1.0, 4.0)),
    PiecewiseLinearModulus((0.0, 1.0, 3.0), (0.5, 1.5, 1.5), 2.0, certified=False),
    PiecewiseLinearModulus.capped(3.0, 4.5),
    SampledModulus((0.7, 1.9, 4.0), (0.6, 3.0, 3.5)),
]
PAIRS = list(itertools.product(MODULI, MODULI))
ALL = [*MODULI, *(composition(*pair) for pair in PAIRS)]


def is_sampled(omega: Modulus) -> bool:
    """Whether the inverse stops at a last distance that was seen."""
    if isinstance(omega, ComposedModulus):
        return is_sampled(omega.outer) or is_sampled(omega.inner)
    return isinstance(omega, SampledModulus)


@st.composite
def polygons(draw: st.DrawFn) -> PiecewiseLinearModulus:
    """Tables of small whole numbers: flat, collinear, convex pieces and omega(0) > 0 are common."""
    distances = draw(st.lists(st.integers(1, 9), max_size=5, unique=True))
    size = len(distances) + 1
    values = draw(st.lists(st.integers(0, 6), min_size=size, max_size=size))
    slope = draw(st.sampled_from([0.0, 0.5, 1.0, 3.0]))
    return PiecewiseLinearModulus((0, *sorted(distances)), tuple(sorted(values)), slope)


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
        SampledModulus([0.1, 0.7], np.array([1 / 3, 0.2])),
        PiecewiseLinearModulus([0, 1], np.array([1 / 3, 2]), 0.1, certified=False),
        *ALL,
    ],
)
def test_json_form_comes_back_as_it_was(omega: Modulus) -> None:
    assert isinstance(omega, Modulus)
    text = json.dumps(omega.to_dict(), allow_nan=False)
    back = modulus_from_dict(json.loads(text))
    assert back == omega
    assert hash(back) == hash(omega)
    assert back.certified is omega.certified is omega.to_dict()["certified"]


def test_something_else_is_no_modulus() -> None:
    assert not isinstance(np.sqrt, Modulus)
    with pytest.raises(ValueError, match=r"kind must be one of 'lipschitz', .*, got 'convex'"):
        modulus_from_dict({"kind": "convex"})
    with pytest.raises(ValueError, match="got None"):
        modulus_from_dict({})


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "lipschitz", "constant": "2", "certified": True},
        {"kind": "lipschitz", "constant": 2.0, "certified": "false"},
        {"kind": "hoelder", "constant": 2.0, "certified": True},
        {"kind": "piecewise_linear", "distances": [0.0], "values": [1.0], "certified": True},
        {"kind": "sampled", "distances": 1.0, "values": 1.0, "certified": False},
        {"kind": "composed", "outer": {}, "certified": True},
    ],
)
def test_json_forms_that_lack_a_field(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"field of the {data['kind']} modulus is missing"):
        modulus_from_dict(data)


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


@pytest.mark.parametrize("omega", [*MODULI, ComposedModulus(MODULI[3], MODULI[4])])
@pytest.mark.parametrize("value", [-1e-9, np.nan, [1.0, -1.0]])
def test_distances_below_zero_are_refused(omega: Modulus, value: float) -> None:
    with pytest.raises(ValueError, match="t must be at least 0"):
        omega(value)
    with pytest.raises(ValueError, match="eta must be at least 0"):
        omega.inverse(value)


@given(polygons(), st.lists(st.floats(0, 8), min_size=1, max_size=6))
def test_polygon_and_its_inverse_by_definition(
    omega: PiecewiseLinearModulus, etas: list[float]
) -> None:
    last, top = omega.distances[-1], omega.values[-1]
    grid = np.arange(0, last + 20, STEP)
    heights = np.interp(grid, omega.distances, omega.values)
    heights += omega.final_slope * np.maximum(grid - last, 0)
    np.testing.assert_allclose(omega(grid), heights, rtol=1e-15)
    np.testing.assert_array_equal(omega(omega.distances), omega.values)
    for eta in [*etas, *omega.values]:
        inverse = float(omega.inverse(eta))
        below = grid[heights <= eta + 1e-12]
        if omega.final_slope == 0 and eta >= top:
            assert inverse == np.inf
        elif not below.size:
            assert inverse == -np.inf
            assert eta < omega.values[0]
        else:
            assert below.max() - 1e-9 <= inverse < below.max() + STEP


def test_ends_of_a_flat_piece_and_of_the_table() -> None:
    omega = PiecewiseLinearModulus((0.0, 1.0, 2.0, 3.0), (1.0, 2.0, 2.0, 4.0))
    eta = [0.0, np.nextafter(1.0, 0.0), 1.0, np.nextafter(2.0, 0.0), 2.0, 3.0, 4.0, np.inf]
    want = [-np.inf, -np.inf, 0.0, 1.0, 2.0, 2.5, np.inf, np.inf]
    np.testing.assert_allclose(omega.inverse(eta), want, rtol=1e-15)
    assert float(omega(np.inf)) == 4.0
    rising = PiecewiseLinearModulus((0.0, 1.0), (0.0, 2.0), 0.5)
    np.testing.assert_array_equal(rising.inverse([2.0, 3.0, np.inf]), [1.0, 3.0, np.inf])
    assert float(rising(np.inf)) == np.inf
    alone = PiecewiseLinearModulus((0.0,), (1.0,))
    np.testing.assert_array_equal(alone([0.0, 5.0, np.inf]), 1.0)
    np.testing.assert_array_equal(alone.inverse([0.5, 1.0, np.inf]), [-np.inf, np.inf, np.inf])


def test_knots_are_met_exactly_and_rounding_makes_nothing_fall() -> None:
    rng = np.random.default_rng(8)
    for _ in range(300):
        distances = np.append(0.0, np.sort(10 ** rng.uniform(-2, 1, size=8)))
        values = np.sort(10 ** rng.uniform(-2, 1, size=9))
        omega = PiecewiseLinearModulus(tuple(distances), tuple(values), 1.0)
        np.testing.assert_array_equal(omega(distances), values)
        np.testing.assert_array_equal(omega.inverse(values), distances)
        assert np.all(omega(np.nextafter(distances[1:], 0)) <= values[1:])
        assert np.all(omega.inverse(np.nextafter(values[1:], 0)) <= distances[1:])


def test_hoelder_against_many_digits() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        exponent, constant, eta = rng.uniform(0.05, 1), *10 ** rng.uniform(-8, 8, size=2)
        omega = HoelderModulus(float(constant), float(exponent))
        with mpmath.workdps(40):
            t = (mpmath.mpf(float(eta)) / omega.constant) ** (1 / mpmath.mpf(omega.exponent))
            inverse = float(omega.inverse(eta))
            assert abs(inverse / t - 1) <= 1e-15 / exponent
            exact = omega.constant * mpmath.mpf(inverse) ** mpmath.mpf(omega.exponent)
            assert abs(float(omega(inverse)) / exact - 1) <= 1e-15


def test_hoelder_ends() -> None:
    omega = HoelderModulus(2.0, 0.25)
    np.testing.assert_array_equal(omega([0.0, 1.0, 16.0, np.inf]), [0.0, 2.0, 4.0, np.inf])
    np.testing.assert_array_equal(omega.inverse([0.0, 2.0, 4.0, np.inf]), [0.0, 1.0, 16.0, np.inf])
    np.testing.assert_array_equal(omega.inverse([1e-300, 1e300]), [0.0, np.inf])
    np.testing.assert_array_equal(HoelderModulus(0.0, 0.25)([0.0, np.inf]), 0.0)
    np.testing.assert_array_equal(HoelderModulus(0.0, 0.25).inverse([0.0, np.inf]), np.inf)
    least = HoelderModulus(1.0, 5e-324)
    np.testing.assert_array_equal(least.inverse([0.0, 0.5, 1.0, 2.0]), [0.0, 0.0, 1.0, np.inf])


@pytest.mark.parametrize("omega", ALL)
def test_inverse_and_modulus_are_a_galois_connection(omega: Modulus) -> None:
    rng = np.random.default_rng(2)
    eta = np.concatenate([[0.0, 1e-9, 1e9, np.inf], rng.uniform(0, 12, 300)])
    t = omega.inverse(eta)
    assert not np.isnan(t).any()
    assert np.all((t >= 0) | np.isneginf(t))
    none = t < 0
    np.testing.assert_array_equal(none, eta < omega(0.0))
    # The last digit of t is worth more where slopes reach 144: hence 1e-13.
    assert np.all(omega(t[~none]) <= eta[~none] * (1 + 1e-14) + 1e-13)
    at = np.concatenate([[0.0, 1e-9, np.inf], rng.uniform(0, 12, 300)])
    back = omega.inverse(omega(at) * (1 + 1e-14))
    if is_sampled(omega):
        assert np.all(back >= np.minimum(at, t.max()) * (1 - 1e-9) - 1e-14)
        assert t.max() == omega.inverse(np.inf)
    else:
        assert np.all(back >= at * (1 - 1e-9) - 1e-14)
        inside = np.isfinite(t)
        assert np.all(omega(t[inside] * (1 + 1e-6) + 1e-9) > eta[inside])


@pytest.mark.parametrize("omega", ALL)
def test_no_modulus_falls(omega: Modulus) -> None:
    at = np.append(np.linspace(0, 12, 2000), np.inf)
    for values in (omega(at), omega.inverse(at)):
        assert not np.isnan(values).any()
        assert np.all(values[1:] >= values[:-1])
    assert omega(1.0).shape == omega.inverse(1.0).shape == ()
    assert omega(np.ones((2, 3))).shape == omega.inverse(np.ones((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("omega", ALL)
def test_concave_majorant_is_a_concave_modulus_above(omega: Modulus) -> None:
    majorant = omega.concave_majorant()
    assert majorant.concave
    assert majorant.certified is omega.certified
    assert (majorant is omega) is omega.concave
    assert majorant.concave_majorant() is majorant
    rng = np.random.default_rng(3)
    s, t = rng.uniform(0, 12, (2, 500)) * rng.choice([0.01, 1.0, 1e4], 500)
    assert np.all(majorant(s) >= omega(s) * (1 - 1e-14))
    middle = majorant((s + t) / 2)
    assert np.all(middle >= (majorant(s) + majorant(t)) / 2 * (1 - 1e-14))
    eta = rng.uniform(0, 12, 100)
    assert np.all(majorant.inverse(eta) <= np.maximum(omega.inverse(eta), 0) * (1 + 1e-9))


def test_which_moduli_are_concave() -> None:
    concave = [omega.concave for omega in MODULI]
    assert concave == [True, True, True, True, True, False, False, True, False]
    assert SampledModulus((1.0, 2.0, 3.0), (2.0, 3.0, 1.0)).concave
    # Decided exactly: a bend in the last digit is one.
    assert not PiecewiseLinearModulus((0.0, 1.0, 2.0), (0.0, 1.0, np.nextafter(2.0, 3))).concave
    assert PiecewiseLinearModulus((0.0, 1.0, 2.0), (0.0, 1.0, 2.0), 1.0).concave


def chords(
    t: np.ndarray, distances: tuple[float, ...], values: tuple[float, ...], slope: float
) -> np.ndarray:
    """The least concave majorant by its definition: the highest chord, or ray, above each t."""
    knots = list(zip(distances, values, strict=True))
    highest = np.full(t.shape, -np.inf)
    for x, y in knots:
        ray = np.where(t >= x, y + slope * (t - x), -np.inf)
        highest = np.maximum(highest, ray)
    for (x0, y0), (x1, y1) in itertools.combinations(knots, 2):
        chord = y0 + (y1 - y0) * (t - x0) / (x1 - x0)
        highest = np.maximum(highest, np.where((t >= x0) & (t <= x1), chord, -np.inf))
    return highest


@given(polygons())
def test_majorant_of_a_polygon_is_the_highest_chord(omega: PiecewiseLinearModulus) -> None:
    grid = np.arange(0, 12, 1 / 8)
    majorant = omega.concave_majorant()
    want = chords(grid, omega.distances, omega.values, omega.final_slope)
    np.testing.assert_allclose(majorant(grid), want, rtol=1e-14)
    assert majorant.final_slope == omega.final_slope
    # On this grid the second differences of whole tables tell concave from not, by definition.
    heights = omega(np.arange(0, 12, 1.0))
    assert omega.concave is bool(np.all(np.diff(heights, 2) <= 1e-9))


@given(tables())
def test_majorant_of_a_sample_is_the_highest_chord_so_far(
    table: tuple[list[int], list[int]],
) -> None:
    omega = SampledModulus(*map(tuple, table))
    majorant = omega.concave_majorant()
    assert isinstance(majorant, SampledModulus)
    grid = np.arange(0, 14, 1 / 8)
    want = chords(grid, (0, *omega.distances), (0, *omega.values), 0.0)
    np.testing.assert_allclose(majorant(grid), want, rtol=1e-14)
    assert float(majorant.inverse(np.inf)) == omega.distances[-1]
    assert not majorant.certified


def test_majorant_is_the_upper_hull() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        distances = np.concatenate([[0.0], np.cumsum(rng.uniform(0.1, 1, 30))])
        values = np.cumsum(rng.exponential(size=31) ** 2)
        omega = PiecewiseLinearModulus(tuple(distances), tuple(values))
        corners = [(distances[-1], -1.0), (0.0, -1.0)]
        hull = ConvexHull(np.array([*zip(distances, values, strict=True), *corners]))
        want = sorted(i for i in hull.vertices if i < 31)
        np.testing.assert_array_equal(omega.concave_majorant().distances, distances[want])


def test_a_steep_end_lifts_the_majorant_of_all_before() -> None:
    distances, values = (0.0, 1.0, 2.0, 3.0, 5.0), (0.5, 4.5, 6.5, 7.5, 7.5)
    for slope, kept in ((0.0, 5), (0.5, 4), (1.0, 4), (1.5, 3), (3.0, 2), (4.0, 2), (4.5, 1)):
        omega = PiecewiseLinearModulus(distances, values, slope)
        assert omega.concave is (slope == 0)
        majorant = omega.concave_majorant()
        assert majorant.distances == distances[:kept]
        assert majorant.values == values[:kept]
        assert float(majorant(9.0)) == values[kept - 1] + slope * (9.0 - distances[kept - 1])


def subadditive(seed: int) -> PiecewiseLinearModulus:
    """A random table made subadditive at whole numbers, and so, linear between them, at all."""
    rng = np.random.default_rng(seed)
    values = [0.0, *np.sort(rng.exponential(size=24) ** 2).tolist()]
    for n in range(2, 25):
        values[n] = min(values[n], *(values[k] + values[n - k] for k in range(1, n)))
    return PiecewiseLinearModulus(tuple(range(25)), tuple(values))


def test_majorant_of_a_subadditive_modulus_is_at_most_twice_it() -> None:
    grid = np.arange(0, 30, 1 / 4)
    ratios = []
    for seed in range(30):
        omega = subadditive(seed)
        pairs = omega(grid)[:, None] + omega(grid)
        assert np.all(omega(grid[:, None] + grid) <= pairs * (1 + 1e-14))
        ratios.append(np.max(omega.concave_majorant()(grid[1:]) / omega(grid[1:])))
    assert max(ratios) <= 2
    stairs = PiecewiseLinearModulus((0.0, 0.01, 1.0, 1.01, 2.0), (0.0, 1.0, 1.0, 2.0, 2.0))
    assert 1.98 < float(stairs.concave_majorant()(1.0)) / float(stairs(1.0)) < 2
    assert max(ratios) > 1.1


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_composition_is_one_modulus_after_the_other(outer: Modulus, inner: Modulus) -> None:
    omega = composition(outer, inner)
    t = np.concatenate([[0.0, np.inf], np.random.default_rng(5).uniform(0, 10, 300)])
    np.testing.assert_allclose(omega(t), outer(inner(t)), rtol=2e-15, atol=1e-15)
    np.testing.assert_allclose(omega(t), ComposedModulus(outer, inner)(t), rtol=2e-15, atol=1e-15)
    between = outer.inverse(t)
    want = np.where(between >= 0, inner.inverse(np.maximum(between, 0)), -np.inf)
    np.testing.assert_allclose(omega.inverse(t), want, rtol=4e-15 / 0.3**2)
    assert omega.certified is (outer.certified and inner.certified)
    assert omega.concave or not (outer.concave and inner.concave)
    if is_sampled(outer) or is_sampled(inner):
        assert not omega.certified


@pytest.mark.parametrize(
    ("outer", "inner", "want"),
    [
        (LipschitzModulus(2.0), LipschitzModulus(3.0), LipschitzModulus(6.0)),
        (LipschitzModulus(2.0), LipschitzModulus(0.0), LipschitzModulus(0.0)),
        (LipschitzModulus(2.0), HoelderModulus(3.0, 0.5), HoelderModulus(6.0, 0.5)),
        (HoelderModulus(3.0, 0.5), LipschitzModulus(4.0), HoelderModulus(6.0, 0.5)),
        (HoelderModulus(3.0, 0.5), HoelderModulus(4.0, 0.5), HoelderModulus(6.0, 0.25)),
        (
            LipschitzModulus(2.0, certified=False),
            PiecewiseLinearModulus((0, 1), (1, 3), 4.0),
            PiecewiseLinearModulus((0, 1), (2, 6), 8.0, certified=False),
        ),
        (
            PiecewiseLinearModulus((0, 1), (1, 3), 4.0),
            LipschitzModulus(2.0),
            PiecewiseLinearModulus((0, 0.5), (1, 3), 8.0),
        ),
        (
            PiecewiseLinearModulus((0, 1), (1, 3), 4.0),
            LipschitzModulus(0.0),
            PiecewiseLinearModulus((0,), (1,)),
        ),
        (LipschitzModulus(2.0), SampledModulus((1,), (3,)), SampledModulus((1,), (6,))),
        (SampledModulus((1,), (3,)), LipschitzModulus(2.0), SampledModulus((0.5,), (3,))),
        (
            SampledModulus((1,), (3,)),
            LipschitzModulus(0.0),
            LipschitzModulus(0.0, certified=False),
        ),
        (
            LipschitzModulus(2.0),
            ComposedModulus(HoelderModulus(1.0, 0.5), PiecewiseLinearModulus.capped(1, 1)),
            ComposedModulus(HoelderModulus(2.0, 0.5), PiecewiseLinearModulus.capped(1, 1)),
        ),
        (
            ComposedModulus(HoelderModulus(1.0, 0.5), PiecewiseLinearModulus.capped(1, 1)),
            LipschitzModulus(2.0),
            ComposedModulus(HoelderModulus(1.0, 0.5), PiecewiseLinearModulus.capped(2, 1)),
        ),
    ],
)
def test_compositions_in_closed_form(outer: Modulus, inner: Modulus, want: Modulus) -> None:
    assert composition(outer, inner) == want


def test_composition_is_associative() -> None:
    t = np.linspace(0, 9, 50)
    for a, b, c in itertools.product(MODULI, repeat=3):
        left, right = composition(composition(a, b), c), composition(a, composition(b, c))
        np.testing.assert_allclose(left(t), right(t), rtol=4e-15, atol=1e-14)


def test_compositions_out_of_the_range_of_doubles_stay_apart() -> None:
    twice = composition(LipschitzModulus(1e200), LipschitzModulus(1e200))
    assert isinstance(twice, ComposedModulus)
    assert float(twice.inverse(1e300)) == pytest.approx(1e-100, rel=1e-15)
    slow = composition(PiecewiseLinearModulus.capped(1.0, 1e200), LipschitzModulus(1e-200))
    assert float(slow(1e250)) == pytest.approx(1e50, rel=1e-15)
    # An underflow to 0 would make a certified constant map, with every inverse infinite.
    small = composition(LipschitzModulus(1e-200), LipschitzModulus(1e-200))
    assert float(small.inverse(0.0)) == 0.0
    assert float(HoelderModulus(1e-200, 0.5).scaled(1e-200).inverse(0.0)) == 0.0


@pytest.mark.parametrize("omega", ALL)
def test_scaling(omega: Modulus) -> None:
    t = np.concatenate([[0.0], np.random.default_rng(6).uniform(0, 10, 60)])
    for factor in (0.3, 1.0, 7.5):
        scaled = omega.scaled(factor)
        assert type(scaled) is type(omega)
        assert scaled.certified is omega.certified
        np.testing.assert_allclose(scaled(t), factor * omega(t), rtol=2e-15)
        found = scaled.inverse(factor * t)
        np.testing.assert_allclose(found, omega.inverse(t), rtol=4e-14, atol=4e-15)
    nothing = omega.scaled(0.0)
    np.testing.assert_array_equal(nothing([*t, np.inf]), 0.0)
    np.testing.assert_array_equal(nothing.inverse(t), omega.inverse(np.inf))


@pytest.mark.parametrize("factor", [-1.0, np.inf, np.nan])
@pytest.mark.parametrize("omega", [*MODULI, ComposedModulus(MODULI[3], MODULI[4])])
def test_factor_is_a_finite_number(omega: Modulus, factor: float) -> None:
    with pytest.raises(ValueError, match=f"factor must be finite and >= 0, got {factor}"):
        omega.scaled(factor)


def test_a_scale_that_overflows_is_refused() -> None:
    with pytest.raises(ValueError, match="finite and >= 0, got inf"):
        LipschitzModulus(1e200).scaled(1e200)
    with pytest.raises(ValueError, match="finite and at least 0"):
        PiecewiseLinearModulus.capped(1.0, 1e200).scaled(1e200)


@pytest.mark.parametrize(
    ("constant", "diameter"),
    [(2.0, 3.0), (0.3, 0.7), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1e-300, 1e300), (1e300, 1e-300)],
)
def test_capped_is_the_smaller_of_line_and_diameter(constant: float, diameter: float) -> None:
    omega = PiecewiseLinearModulus.capped(constant, diameter)
    t = np.concatenate([[1e-12, 1e7], np.random.default_rng(7).uniform(0, 9, 50)])
    np.testing.assert_allclose(omega(t), np.minimum(constant * t, diameter), rtol=4e-16)
    assert float(omega.inverse(diameter)) == np.inf
    assert omega.concave
    assert not PiecewiseLinearModulus.capped(1.0, 1.0, certified=False).certified


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HoelderModulus(-1.0, 0.5), "Hoelder constant must be finite and >= 0, got -1"),
        (lambda: HoelderModulus(np.nan, 0.5), "Hoelder constant must be finite and >= 0, got nan"),
        (lambda: HoelderModulus(np.inf, 0.5), "Hoelder constant must be finite and >= 0, got inf"),
        (lambda: HoelderModulus(1.0, 0.0), r"exponent must lie in \(0, 1\], got 0"),
        (lambda: HoelderModulus(1.0, 1.5), r"exponent must lie in \(0, 1\], got 1.5"),
        (lambda: HoelderModulus(1.0, np.nan), r"exponent must lie in \(0, 1\], got nan"),
        (lambda: PiecewiseLinearModulus.capped(np.inf, 1.0), "Lipschitz constant .* got inf"),
        (lambda: PiecewiseLinearModulus.capped(1.0, -2.0), "diameter must be .* got -2"),
    ],
)
def test_constants_that_are_none(make: Callable[[], Modulus], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("distances", "values", "slope", "message"),
    [
        ((), (), 0.0, "two equal lists"),
        ((0.0, 1.0), (1.0,), 0.0, "two equal lists"),
        (((0.0, 1.0),), ((0.0, 1.0),), 0.0, "two equal lists"),
        (0.0, 1.0, 0.0, "two equal lists"),
        ((1.0, 2.0), (1.0, 1.0), 0.0, r"increasing from 0, got \(1.0, 2.0\)"),
        ((0.0, 1.0, 1.0), (1.0, 1.0, 2.0), 0.0, "increasing from 0"),
        ((0.0, np.inf), (1.0, 1.0), 0.0, "increasing from 0"),
        ((0.0, np.nan), (1.0, 1.0), 0.0, "increasing from 0"),
        ((0.0, 1.0), (1.0, np.inf), 0.0, "finite and at least 0"),
        ((0.0, 1.0), (np.nan, 1.0), 0.0, "finite and at least 0"),
        ((0.0, 1.0), (-1.0, 1.0), 0.0, r"finite and at least 0, got \(-1.0, 1.0\)"),
        (
            (0.0, 1.0, 2.5, 3.0),
            (0.0, 3.0, 2.75, 1.0),
            0.0,
            r"must not decrease, got 2.75 after 3.0 at distance 2.5 \(entry 2\)",
        ),
        ((0.0, 1.0), (0.0, 1.0), -0.5, "final_slope must be finite and >= 0, got -0.5"),
        ((0.0, 1.0), (0.0, 1.0), np.inf, "final_slope must be finite and >= 0, got inf"),
        ((0.0, 1.0), (0.0, 1.0), np.nan, "final_slope must be finite and >= 0, got nan"),
    ],
)
def test_polygons_that_are_none(
    distances: tuple[float, ...], values: tuple[float, ...], slope: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PiecewiseLinearModulus(distances, values, slope)
