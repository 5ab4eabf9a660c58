"""Activations: slopes and lines against 50-digit values of independent formulas."""

import itertools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from theory.arrays import FloatArray
from theory.lipschitz.activations import ACTIVATIONS, Activation, LeakyReLU, activation

Scalar = Callable[[mp.mpf], mp.mpf]


def clipped(z: mp.mpf, low: float, high: float) -> mp.mpf:
    return min(max(z, mp.mpf(low)), mp.mpf(high))


def logistic(z: mp.mpf) -> mp.mpf:
    return 1 / (1 + mp.exp(-z))


def exponential_unit(alpha: float, scale: float) -> Scalar:
    return lambda z: mp.mpf(scale) * (z if z > 0 else mp.mpf(alpha) * mp.expm1(z))


def tanh_gelu(z: mp.mpf) -> mp.mpf:
    inner = mp.sqrt(2 / mp.pi) * (z + mp.mpf("0.044715") * z**3)
    return z / 2 * (1 + mp.tanh(inner))


CASES: list[tuple[str, dict[str, Any], Scalar]] = [
    ("identity", {}, lambda z: z),
    ("relu", {}, lambda z: max(z, mp.mpf(0))),
    ("leaky relu", {"slope": 0.3}, lambda z: max(z, mp.mpf(0.3) * z)),
    ("leaky relu", {"slope": 1.7}, lambda z: z if z > 0 else mp.mpf(1.7) * z),
    ("leaky relu", {"slope": -0.4}, lambda z: z if z > 0 else mp.mpf(-0.4) * z),
    ("absolute", {}, abs),
    ("sigmoid", {}, logistic),
    ("tanh", {}, mp.tanh),
    ("softsign", {}, lambda z: z / (1 + abs(z))),
    ("arctan", {}, mp.atan),
    ("softplus", {}, lambda z: mp.log1p(mp.exp(z))),
    ("softplus", {"beta": 7.3}, lambda z: mp.log1p(mp.exp(mp.mpf(7.3) * z)) / mp.mpf(7.3)),
    ("log sigmoid", {}, lambda z: -mp.log1p(mp.exp(-z))),
    ("elu", {}, exponential_unit(1.0, 1.0)),
    ("elu", {"alpha": 2.6}, exponential_unit(2.6, 1.0)),
    ("elu", {"alpha": 0.3}, exponential_unit(0.3, 1.0)),
    ("selu", {}, exponential_unit(1.6732632423543772, 1.0507009873554805)),
    ("gelu", {}, lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2),
    ("gelu", {"approximate": True}, tanh_gelu),
    ("silu", {}, lambda z: z * logistic(z)),
    ("hardtanh", {}, lambda z: clipped(z, -1, 1)),
    ("hardtanh", {"min": 0.25, "max": 3.0}, lambda z: clipped(z, 0.25, 3)),
    ("relu6", {}, lambda z: clipped(z, 0, 6)),
    ("hardsigmoid", {}, lambda z: clipped(z / 6 + mp.mpf(1) / 2, 0, 1)),
    ("hardswish", {}, lambda z: z * clipped(z + 3, 0, 6) / 6),
]
every = pytest.mark.parametrize(
    ("name", "settings", "true"), CASES, ids=[f"{name}{list(s.values())}" for name, s, _ in CASES]
)


def intervals(seed: int, count: int) -> tuple[FloatArray, FloatArray]:
    """Return intervals of many widths, near 0 and far from it, some with an end at a kink."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=count) * rng.choice([0.1, 1.5, 6.0], count)
    width = 10 ** rng.uniform(-9, 1.3, count)
    low, high = middle - width * rng.random(count), middle + width * rng.random(count)
    kinks = rng.choice([-3.0, -1.0, 0.0, 1.0, 3.0, 6.0], count)
    low = np.where((rng.random(count) < 0.2) & (kinks < high), kinks, low)
    high = np.where((rng.random(count) < 0.2) & (kinks > low), kinks, high)
    return low, high


def within(low: float, high: float, count: int) -> FloatArray:
    """Return points of an interval, its ends and turns of the functions among them."""
    turns = np.array([-3, -np.sqrt(2), -1, 0, 0.25, 1, np.sqrt(2), 2.4, 3, 6])
    turns = turns[(turns > low) & (turns < high)]
    return np.sort(np.concatenate([np.clip(np.linspace(low, high, count), low, high), turns]))


@every
def test_no_secant_is_outside_the_slopes(name: str, settings: dict[str, Any], true: Scalar) -> None:
    found = activation(name, **settings)
    rng = np.random.default_rng(len(name))
    low, high = intervals(1, 20)
    least, most = found.slopes(low, high)
    whole = found.slopes(-np.inf, np.inf)
    one_sided = found.slopes(-np.inf, high)[1], found.slopes(low, np.inf)[0]
    with mp.workdps(50):
        for i in range(len(low)):
            points = rng.permutation(within(low[i], high[i], 12))
            images = [true(mp.mpf(float(z))) for z in points]
            for j in range(1, len(points)):
                if points[j] == points[j - 1]:
                    continue
                gap = mp.mpf(float(points[j])) - mp.mpf(float(points[j - 1]))
                secant = (images[j] - images[j - 1]) / gap
                assert mp.mpf(float(least[i])) <= secant <= mp.mpf(float(most[i]))
    assert np.all(whole[0] <= np.minimum(least, one_sided[1]))
    assert np.all(one_sided[1] <= least)
    assert np.all(whole[1] >= one_sided[0])
    assert np.all(one_sided[0] >= most)


@every
def test_slopes_are_attained(name: str, settings: dict[str, Any], true: Scalar) -> None:
    found = activation(name, **settings)
    low, high = intervals(2, 10)
    low = np.append(low, -60.0)
    high = np.append(high, 60.0)
    least, most = found.slopes(low, high)
    with mp.workdps(50):
        for i in range(len(low)):
            points = within(low[i], high[i], 60)
            points = points[np.append(True, np.diff(points) > 0)]
            images = [true(mp.mpf(float(z))) for z in points]
            # Steep places may be short: tiny secants inside the interval, at every point.
            slopes = []
            for z, image in zip(points, images, strict=True):
                for step in (mp.mpf(10) ** -20, -(mp.mpf(10) ** -20)):
                    if low[i] <= mp.mpf(float(z)) + step <= high[i]:
                        slopes.append((true(mp.mpf(float(z)) + step) - image) / step)
            spread = float(max(slopes) - min(slopes))
            assert float(min(slopes)) - least[i] <= 0.03 * spread + 2e-14
            assert most[i] - float(max(slopes)) <= 0.03 * spread + 2e-14


@every
def test_lines_and_remainders_hold(name: str, settings: dict[str, Any], true: Scalar) -> None:
    found = activation(name, **settings)
    low, high = intervals(3, 20)
    lines = found.lines(low, high)
    slope = np.random.default_rng(3).normal(size=len(low))
    ends = found.remainders(slope, low, high)
    exact = np.vectorize(lambda value: mp.mpf(float(value)), otypes=[object])
    for i in range(len(low)):
        points = within(low[i], high[i], 400)
        values = found(points)
        a, b, c, d = (float(end[i]) for end in lines)
        gaps = {
            "below": values - a * points - b,
            "above": c * points + d - values,
            "least": values - slope[i] * points - ends[0][i],
            "most": ends[1][i] - (values - slope[i] * points),
        }
        with mp.workdps(50):
            for side, gap in gaps.items():
                at = np.argsort(gap)[:3]
                # Closer to the worst place than the grid is.
                near = np.linspace(points[max(at[0] - 1, 0)], points[min(at[0] + 1, len(gap) - 1)])
                for z in exact(np.append(points[at], np.clip(near[::3], low[i], high[i]))):
                    value = true(z)
                    held = {
                        "below": value - mp.mpf(a) * z - mp.mpf(b),
                        "above": mp.mpf(c) * z + mp.mpf(d) - value,
                        "least": value - mp.mpf(slope[i]) * z - mp.mpf(float(ends[0][i])),
                        "most": mp.mpf(float(ends[1][i])) - value + mp.mpf(slope[i]) * z,
                    }[side]
                    assert held >= 0, (side, low[i], high[i])
        # They are as near as they can be: a grid meets them up to its own coarseness.
        size = 1e-13 * (1 + np.abs(values).max() + np.abs(points).max())
        spread = (1 + abs(slope[i])) * np.diff(points).max()
        for gap in gaps.values():
            assert gap.min() <= 0.05 * spread + size


@every
def test_lines_leave_little_area(name: str, settings: dict[str, Any], true: Scalar) -> None:
    """Against the envelopes of a dense grid, whose support lines at the midpoint are best."""
    found = activation(name, **settings)
    low, high = intervals(4, 60)
    wide = high - low > 1e-3
    low, high = low[wide], high[wide]
    lines = found.lines(low, high)
    share = np.linspace(0, 1, 401)
    for i in range(len(low)):
        points = low[i] + share * (high[i] - low[i])
        values = found(points)
        middle = (low[i] + high[i]) / 2
        left, right = points[:200, None], points[201:]
        secants = (values[201:] - values[:200, None]) / (right - left)
        heights = values[:200, None] + secants * (middle - left)
        scale = (values.max() - values.min()) + (high[i] - low[i])
        below = lines.lower_slope[i] * middle + lines.lower_shift[i]
        above = lines.upper_slope[i] * middle + lines.upper_shift[i]
        assert below >= min(heights.min(), values[200]) - 0.01 * scale
        assert above <= max(heights.max(), values[200]) + 0.01 * scale


@every
def test_values_are_as_near_as_is_claimed(
    name: str, settings: dict[str, Any], true: Scalar
) -> None:
    found = activation(name, **settings)
    rng = np.random.default_rng(5)
    points = rng.normal(size=60) * 10 ** rng.uniform(-8, 3, 60)
    unit = float(getattr(found, "unit", 0.0))
    size = max(abs(float(end)) for end in found.slopes(-np.inf, np.inf))
    with mp.workdps(400):  # 1 + exp(-800) must not be 1
        for z, value in zip(points, found(points), strict=True):
            exact = true(mp.mpf(float(z)))
            claimed = 2.0**-49 * (unit + abs(value) + size * abs(z)) + 1e-300
            assert abs(mp.mpf(float(value)) - exact) <= claimed


@pytest.mark.parametrize("make", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
def test_shapes_and_points(make: Callable[..., Activation]) -> None:
    found = make()
    rng = np.random.default_rng(6)
    low = rng.normal(size=(3, 5))
    high = low + rng.exponential(size=(3, 5))
    least, most = found.slopes(low, high)
    lines, ends = found.lines(low, high), found.remainders(0.5, low, high)
    for rows in range(3):
        at = low[rows], high[rows]
        np.testing.assert_allclose(found.slopes(*at)[0], least[rows], atol=1e-14)
        np.testing.assert_allclose(found.lines(*at)[3], lines[3][rows], atol=1e-11)
        np.testing.assert_allclose(found.remainders(0.5, *at)[1], ends[1][rows], atol=1e-14)
    assert least.shape == most.shape == lines[1].shape == (3, 5)
    # A point has one slope, and the function's value.
    least, most = found.slopes(low, low)
    np.testing.assert_allclose(least, most, atol=1e-13)
    below, above = found.remainders(0.0, low, low)
    np.testing.assert_allclose(below, found(low), atol=1e-13)
    np.testing.assert_allclose(above, found(low), atol=1e-13)
    for bad in (found.lines, lambda low, high: found.remainders(0.0, low, high)):
        with pytest.raises(ValueError, match=r"an interval is empty: \[1.0, 0.5\]"):
            bad(np.array([0.0, 1.0]), np.array([1.0, 0.5]))
        with pytest.raises(ValueError, match="finite ends"):
            bad(0.0, np.inf)


def test_linear_pieces_have_one_exact_slope() -> None:
    for name, low, high, slope in (
        ("relu", 0.0, 2.0, 1.0),
        ("relu", -2.0, 0.0, 0.0),
        ("relu6", 0.0, 6.0, 1.0),
        ("relu6", 6.0, np.inf, 0.0),
        ("hardtanh", -1.0, 1.0, 1.0),
        ("elu", 0.0, np.inf, 1.0),
        ("selu", 0.0, 1.0, 1.0507009873554805),
        ("hardswish", -np.inf, -3.0, 0.0),
        ("hardswish", 3.0, 9.0, 1.0),
        ("absolute", -1.0, 0.0, -1.0),
        ("identity", -np.inf, np.inf, 1.0),
    ):
        least, most = activation(name).slopes(low, high)
        assert least == most == slope, name


def test_a_kink_alone_has_the_slopes_of_both_sides() -> None:
    assert [float(end) for end in activation("hardtanh").slopes(1.0, 1.0)] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("name", "settings", "true"), [case for case in CASES if case[0] in ("gelu", "silu")]
)
def test_turns_are_inflections_and_the_span_is_met(
    name: str, settings: dict[str, Any], true: Scalar
) -> None:
    found: Any = activation(name, **settings)
    with mp.workdps(40):
        second = [mp.sign(mp.diff(true, mp.mpf(i) / 10, 2)) for i in range(-90, 91)]
        assert sum(a != b for a, b in itertools.pairwise(second)) == len(found.turns)
        for turn, end in zip(found.turns, found.span, strict=True):
            root = mp.findroot(lambda z: mp.diff(true, z, 2), turn)
            assert abs(root - turn) < 1e-15
            extreme = mp.diff(true, root)
            assert abs(extreme - mp.mpf(end)) < 5e-16
            assert found.span[0] < extreme < found.span[1]


def test_each_unit_has_its_own_slope() -> None:
    slope = np.array([0.0, 0.5, 1.0, 2.0, -1.0])
    found = LeakyReLU(slope)
    lines = found.lines(-np.ones(5), 2 * np.ones(5))
    z = np.linspace(-1, 2, 301)[:, None]
    assert np.all(lines.lower_slope * z + lines.lower_shift <= found(z) + 1e-12)
    assert np.all(lines.upper_slope * z + lines.upper_shift >= found(z) - 1e-12)
    np.testing.assert_allclose(lines.lower_slope[[0, 1, 2, 4]], 1.0)  # more of it is above 0
    np.testing.assert_allclose(lines.upper_slope[[0, 4]], [2 / 3, 1 / 3])


def test_an_activation_is_found_by_its_name() -> None:
    for name in ACTIVATIONS:
        # As classes are called, too.
        assert activation(name.title().replace(" ", "")).name == activation(name).name
    assert activation("Leaky_ReLU", slope=0.2).name == "leaky relu"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mish", {}, "no slope bounds are known for 'mish'; known: identity, relu, "),
        ("softplus", {"alpha": 1.0}, "softplus has no setting 'alpha'; it has: beta"),
        ("tanh", {"beta": 1.0}, "tanh has no setting 'beta'; it has: none"),
        ("softplus", {"beta": 0.0}, "softplus needs a finite beta > 0, got 0.0"),
        ("elu", {"alpha": -1.0}, "elu needs a finite alpha > 0, got -1.0"),
        ("elu", {"alpha": np.nan}, "elu needs a finite alpha > 0, got nan"),
        ("hardtanh", {"min": 2.0}, "hardtanh needs finite min < max, got 2.0 and 1.0"),
        ("leaky relu", {"slope": np.inf}, "leaky relu needs one finite slope"),
    ],
)
def test_bad_input(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        activation(name, **settings)
