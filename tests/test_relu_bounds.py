"""Bounds over boxes and Hamming balls: samples, brute force, exact rational arithmetic."""

import itertools

import numpy as np
import pytest

from tests.test_relu import fractions, random_network, widths
from theory.arrays import FloatArray
from theory.relu import NetworkBounds, ReluNetwork, hamming_ball_bounds, interval_bounds


def inside(bounds: NetworkBounds, net: ReluNetwork, points: FloatArray) -> None:
    state = points
    for layer, (lower, upper) in zip(net.layers, bounds.layers, strict=True):
        values = layer.affine(state)
        slack = 1e-12 * np.abs(values).max(initial=1.0)
        assert np.all((values >= lower - slack) & (values <= upper + slack))
        state = layer.activate(values)
    lower, upper = bounds.outputs
    slack = 1e-12 * np.abs(state).max(initial=1.0)
    assert np.all((state >= lower - slack) & (state <= upper + slack))


@pytest.mark.parametrize("seed", range(30))
def test_no_sampled_point_leaves_the_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(rng, *widths(rng))
    n = net.n_inputs
    x = rng.normal(size=n)
    low, high = x - rng.exponential(size=n), x + rng.exponential(size=n)
    k = int(rng.integers(0, n + 1))
    points = np.tile(x, (1000, 1))
    for point in points:
        some = rng.choice(n, k, replace=False)
        share = rng.random(k)
        # Ends of the box, where extremes are, as often as its inside.
        share = np.where(rng.random(k) < 0.5, share.round(), share)
        point[some] = (1 - share) * low[some] + share * high[some]
    for relaxed in (False, True):
        inside(hamming_ball_bounds(net, x, low, high, k, relaxed), net, points)
        inside(interval_bounds(net, low, high, relaxed), net, points)


def test_first_layer_is_attained_on_hamming_balls() -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 6)), rng.normal(size=4)
    net = ReluNetwork([(weight, bias), (rng.normal(size=(2, 4)), rng.normal(size=2))])
    x, low, high = rng.random(6), np.zeros(6), np.ones(6)
    for k in range(7):
        found = hamming_ball_bounds(net, x, low, high, k).layers[0]
        corners = []
        for some in itertools.combinations(range(6), k):
            for ends in itertools.product((0.0, 1.0, None), repeat=k):
                point = x.copy()
                for j, end in zip(some, ends, strict=True):
                    point[j] = x[j] if end is None else end
                corners.append(weight @ point + bias)
        np.testing.assert_allclose(found.lower, np.min(corners, axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.upper, np.max(corners, axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_bounds_are_nested(seed: int) -> None:
    """More points, wider ends; the relaxation never loses; a ball of all coordinates is a box."""
    rng = np.random.default_rng(seed)
    net = random_network(rng, 6, 8, 8, 3)
    x = rng.random(6)
    wider = None
    for k in range(6, -1, -1):
        plain, tight = (hamming_ball_bounds(net, x, 0, 1, k, way).outputs for way in (False, True))
        assert np.all(tight.lower >= plain.lower)
        assert np.all(tight.upper <= plain.upper)
        if wider is not None:
            assert np.all(plain.lower >= wider.lower - 1e-12)
            assert np.all(plain.upper <= wider.upper + 1e-12)
        wider = plain
    box = interval_bounds(net, 0, 1)
    everything = hamming_ball_bounds(net, x, 0, 1, 6)
    np.testing.assert_allclose(box.outputs, everything.outputs, rtol=1e-9)
    decided = np.setdiff1d(np.arange(net.n_units), box.undecided)
    points = rng.random((500, 6))
    assert np.all(np.ptp(net.pattern(points)[:, decided].astype(int), axis=0) == 0)


@pytest.mark.parametrize("seed", range(10))
def test_bounds_hold_in_exact_arithmetic(seed: int) -> None:
    """Of a single point, whose values cancel: rounded ends would miss the exact value."""
    rng = np.random.default_rng(seed)
    net = random_network(rng, 4, 5, 5, 3)
    x = rng.normal(size=4) * 10.0 ** rng.integers(-8, 8, size=4)
    for bounds in (interval_bounds(net, x, x), hamming_ball_bounds(net, x, x, x + 1, 0)):
        state = fractions(x)
        for layer, (lower, upper) in zip(net.layers, bounds.layers, strict=True):
            values = fractions(layer.weight) @ state + fractions(layer.bias)
            assert np.all(fractions(lower) <= values)
            assert np.all(values <= fractions(upper))
            state = np.where(values > 0, values, fractions(layer.slope) * values)
        assert np.all(fractions(bounds.outputs.lower) <= state)
        assert np.all(state <= fractions(bounds.outputs.upper))


@pytest.mark.parametrize("seed", range(10))
def test_relaxation_holds_where_weights_cancel(seed: int) -> None:
    """Rows that are 0 but for the rounding of large products: their error is all there is."""
    rng = np.random.default_rng(seed)
    first = rng.random((5, 2))
    second = 1e8 * np.linalg.svd(first.T)[2][2:]
    net = ReluNetwork([(first, np.ones(5)), (second, -second @ np.ones(5))])
    found = interval_bounds(net, 0, 1).outputs
    assert np.all(np.ptp(found, axis=0) < 1e-4)
    for corner in itertools.product((0, 1), repeat=2):
        hidden = fractions(first) @ fractions(corner) + 1
        exact = fractions(second) @ hidden + fractions(net.layers[1].bias)
        assert np.all(fractions(found.lower) <= exact)
        assert np.all(exact <= fractions(found.upper))


def test_boxes_that_make_no_sense() -> None:
    net = ReluNetwork([(np.eye(2), np.zeros(2)), (np.ones((1, 2)), [0.0])])
    for low, high, words in [(0, np.inf, "high"), ([0, 0, 0], 1, "low"), ([0, 2], 1, "empty")]:
        with pytest.raises(ValueError, match=words):
            interval_bounds(net, low, high)
    with pytest.raises(ValueError, match=r"x\[1\] = 2"):
        hamming_ball_bounds(net, [0, 2], 0, 1, 1)
    for k in (-1, 3, 1.5, True):
        with pytest.raises(ValueError, match="k must be"):
            hamming_ball_bounds(net, [0, 1], 0, 1, k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave the range"):
        interval_bounds(ReluNetwork([([[1e300]], [0.0])]), -1e300, 1e300)
