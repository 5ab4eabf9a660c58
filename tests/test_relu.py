"""Networks as arrays, and crossings along segments: samples, exact rational arithmetic."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from theory.relu import (
    Crossings,
    Layer,
    ReluNetwork,
    interval_bounds,
)

SLOPES = (0.0, 0.0, 0.0, 1.0, 0.25, -0.5, 2.0)


def random_network(rng: np.random.Generator, *widths: int) -> ReluNetwork:
    """Units of all kinds, the last layer's too."""
    return ReluNetwork(
        [
            Layer(rng.normal(size=(m, n)), rng.normal(size=m), rng.choice(SLOPES, m))
            for n, m in itertools.pairwise(widths)
        ]
    )


def widths(rng: np.random.Generator) -> list[int]:
    return [int(width) for width in rng.integers(1, 7, size=int(rng.integers(2, 5)))]


def fractions(array: Any) -> Any:  # noqa: ANN401
    return np.vectorize(Fraction, otypes=[object])(np.asarray(array))


@pytest.mark.parametrize("seed", range(5))
def test_pieces_agree_with_the_network_around_a_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(rng, 5, 7, 6, 3)
    x = rng.normal(size=5)
    pattern, piece = net.pattern(x), net.piece(net.pattern(x))
    near = x + 1e-9 * rng.normal(size=(20, 5))
    assert np.all(net.pattern(near) == pattern)
    np.testing.assert_allclose(piece.outputs(near), net(near), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(piece.units(near), net.preactivations(near), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(net.affine(x).weight, piece.outputs.weight)
    # Another coordinate's change is not seen by a restriction; its own are.
    some, change = [3, 0], rng.normal(size=2)
    moved = x.copy()
    moved[some] += change
    np.testing.assert_allclose(net.restricted(x, some)(change), net(moved), rtol=1e-12)
    far = 1e9 * rng.normal(size=5)
    np.testing.assert_allclose(net(far), net.without_biases()(far), rtol=1e-6)


def test_sparse_layers_are_the_dense_ones() -> None:
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(6, 5)) * (rng.random((6, 5)) < 0.4), rng.normal(size=(2, 6))]
    pairs = [(weight, rng.normal(size=len(weight))) for weight in weights]
    full = ReluNetwork(pairs)
    thin = ReluNetwork(
        [
            Layer(sparse.csr_array(weight), bias, layer.slope)
            for (weight, bias), layer in zip(pairs, full.layers, strict=True)
        ]
    )
    x, y = rng.normal(size=(2, 5))
    assert np.array_equal(thin.piece(thin.pattern(x)).outputs.weight, full.affine(x).weight)
    found, expected = thin.crossings(x, y), full.crossings(x, y)
    np.testing.assert_allclose(found.times, expected.times, rtol=1e-12)
    assert np.array_equal(found.patterns, expected.patterns)
    np.testing.assert_allclose(
        interval_bounds(thin, -1, 1).outputs, interval_bounds(full, -1, 1).outputs, rtol=1e-12
    )


def exact_walk(net: ReluNetwork, x: Any, y: Any) -> tuple[list[Any], list[Any], list[Any]]:  # noqa: ANN401
    """Return breakpoints, patterns and derivatives, one piece after another, in fractions."""
    layers = [(fractions(each.weight), fractions(each.bias), each) for each in net.layers]
    start, direction = fractions(x), fractions(y) - fractions(x)
    t, breakpoints, patterns, slopes = Fraction(0), [Fraction(0)], [], []
    while True:
        value, rate = start + t * direction, direction
        phases: list[bool] = []
        following = Fraction(1)
        for weight, bias, layer in layers:
            value, rate = weight @ value + bias, weight @ rate
            for j, slope in enumerate(layer.slope):
                positive = bool(value[j] > 0 or (value[j] == 0 and rate[j] > 0))
                if slope != 1:
                    phases.append(positive)
                    if value[j] * rate[j] < 0:
                        following = min(following, t - value[j] / rate[j])
                if not positive:
                    value[j], rate[j] = Fraction(slope) * value[j], Fraction(slope) * rate[j]
        if not patterns or phases != patterns[-1]:
            breakpoints[len(patterns) :] = [t]
            patterns.append(phases)
            slopes.append(rate.tolist())
        if following == 1:
            return [*breakpoints, Fraction(1)], patterns, slopes
        t = following


def agrees(found: Crossings, net: ReluNetwork, x: Any, y: Any) -> None:  # noqa: ANN401
    breakpoints, patterns, slopes = exact_walk(net, x, y)
    assert found.patterns.tolist() == patterns
    np.testing.assert_allclose(found.breakpoints, np.array(breakpoints, dtype=float), atol=1e-12)
    np.testing.assert_allclose(found.slopes, np.array(slopes, dtype=float), atol=1e-9)
    assert found.n_pieces == len(patterns)
    assert found.n_linear_pieces == 1 + sum(a != b for a, b in itertools.pairwise(slopes))
    expected = [
        (float(t), unit)
        for t, before, after in zip(breakpoints[1:-1], patterns, patterns[1:], strict=False)
        for unit in range(net.n_units)
        if before[unit] != after[unit]
    ]
    assert found.units.tolist() == [unit for _, unit in expected]
    np.testing.assert_allclose(found.times, [time for time, _ in expected], atol=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_crossings_are_those_of_exact_arithmetic(seed: int) -> None:
    """Small whole weights: units are 0 at ends, at breakpoints, on pieces; many cross together."""
    rng = np.random.default_rng(seed)
    shape = widths(rng)
    spread = int(rng.integers(1, 4))
    net = ReluNetwork(
        [
            Layer(
                rng.integers(-spread, spread + 1, size=(m, n)),
                rng.integers(-1, 2, size=m),
                rng.choice(SLOPES, m),
            )
            for n, m in itertools.pairwise(shape)
        ]
    )
    for x, y in (rng.integers(-3, 4, size=(2, shape[0])), rng.normal(size=(2, shape[0]))):
        agrees(net.crossings(x, y), net, x, y)


def test_many_units_cross_at_one_time() -> None:
    multiples = [[1.0], [3.0], [-7.0], [0.1]]
    net = ReluNetwork([(multiples, [-0.3, -0.9, 2.1, -0.03]), (np.ones((1, 4)), [0.0])])
    found = net.crossings([0.0], [1.0])
    assert found.units.tolist() == [0, 1, 2, 3]
    assert found.n_pieces == 2
    assert np.ptp(found.times) == 0


def test_rounding_makes_no_crossings() -> None:
    """A unit that is 0 all the way, as the difference of two whose values are rounded."""
    first, second = ([[1.0] * 5, [3.0] * 5], [0.0, 0.0]), ([[3.0, -1.0]], [0.0])
    net = ReluNetwork([first, second, ([[1.0]], [0.0])])
    for x, y in np.random.default_rng(0).random((200, 2, 5)):
        found = net.crossings(x, y)
        assert found.patterns.tolist() == [[True, True, False]]


@pytest.mark.parametrize("shape", [(3, 40, 5), (8, 20, 20, 20, 4), (2, 10, 10, 10, 10, 10, 1)])
def test_dense_samples_lie_in_the_pieces(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    for _ in range(5):
        net = random_network(rng, *shape)
        x, y = 3 * rng.normal(size=(2, shape[0]))
        found = net.crossings(x, y)
        assert np.array_equal(net.pattern(found.points(found.middles)), found.patterns)
        t = np.sort(rng.random(2000))
        piece = np.searchsorted(found.breakpoints, t) - 1
        clear = np.abs(t[:, None] - found.breakpoints).min(axis=1) > 1e-9
        assert np.array_equal(net.pattern(found.points(t))[clear], found.patterns[piece][clear])
        at = net(found.points())
        steps = np.diff(found.breakpoints)[:, None]
        np.testing.assert_allclose(
            np.diff(at, axis=0), found.slopes * steps, atol=1e-9 * np.abs(at).max()
        )


def test_the_tent_map_doubles_with_each_layer() -> None:
    for depth in range(1, 11):
        tent = [([[2.0], [4.0]], [0.0, -2.0])]
        tent += [([[2.0, -2.0], [4.0, -4.0]], [0.0, -2.0])] * (depth - 1)
        net = ReluNetwork([([[2.0], [4.0]], [0.0, -2.0]), *tent[1:], ([[1.0, -1.0]], [0.0])])
        found = net.crossings([0.0], [1.0])
        assert found.n_pieces == found.n_linear_pieces == 2**depth
        assert found.breakpoints.tolist() == (np.arange(2**depth + 1) / 2**depth).tolist()
        assert np.array_equal(np.abs(found.slopes), np.full((2**depth, 1), 2.0**depth))


def test_a_unit_that_no_output_sees_makes_no_linear_piece() -> None:
    net = ReluNetwork([([[1.0], [1.0]], [-0.25, -0.5]), ([[0.0, 1.0]], [0.0])])
    found = net.crossings([0.0], [1.0])
    assert (found.n_pieces, found.n_linear_pieces) == (3, 2)
    assert found.joined.tolist() == [True, False]
    still = net.crossings([0.5], [0.5])
    assert (still.n_pieces, still.times.tolist()) == (1, [])


def test_points_that_make_no_sense() -> None:
    net = ReluNetwork([(np.eye(2), np.zeros(2)), (np.ones((1, 2)), [0.0])])
    with pytest.raises(ValueError, match="2 coordinates"):
        net.crossings([0, 0, 0], [1, 1, 1])
    with pytest.raises(ValueError, match="finite"):
        net.crossings([0, 0], [np.nan, 1])
