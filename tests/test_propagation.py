"""Ends over balls and boxes, and Jacobians on them: samples, exact rationals, brute force."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from tests.relu_nets import digits_network, random_network
from theory.arrays import FloatArray
from theory.lipschitz.activations import Activation, Identity, LeakyReLU, Sigmoid, activation
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.lipschitz.propagation import batched_ends, box_ends, output_ends, preactivation_ends
from theory.lipschitz.propagation import ends as propagation
from theory.lipschitz.propagation.backward import Relaxed, relaxed_lower
from theory.lipschitz.propagation.forms import (
    AffineForm,
    Ends,
    InputSet,
    interval_ends,
    output_range,
)
from theory.lipschitz.propagation.jacobian import interval_jacobian, jacobian_norm_upper, slope_ends
from theory.lipschitz.semidefinite.problem import SlopeEnds
from theory.norms import operator_norm
from theory.relu import ReluNetwork, interval_bounds

NORMS = (1, 2, np.inf)
NAMES = ("relu", "leaky relu", "absolute", "sigmoid", "tanh", "elu", "gelu", "silu", "hardswish")


def mixed_network(
    rng: np.random.Generator, *sizes: int, names: tuple[str, ...] = NAMES, is_sparse: bool = False
) -> FeedForward:
    """Return a random network whose stages have activations of these names."""
    stages = []
    for n, m in itertools.pairwise(sizes):
        weight: Any = rng.normal(size=(m, n)) * 1.5 / np.sqrt(n)
        if is_sparse:
            weight = sparse.csr_array(weight * (rng.random((m, n)) < 0.4))
        stages.append(Stage(weight, rng.normal(size=m) / 2, activation(str(rng.choice(names)))))
    return FeedForward(tuple(stages))


def states(net: FeedForward, points: FloatArray) -> list[FloatArray]:
    """Return the pre-activations of each stage, and the outputs."""
    found, state = [], points
    for stage in net.stages:
        found.append(stage.affine(state))
        state = stage.activation(found[-1])
    return [*found, state]


def ball_points(
    rng: np.random.Generator, center: FloatArray, radius: float, p: float, count: int
) -> FloatArray:
    """Return points of a ball, many of them extreme ones."""
    n = len(center)
    steps = rng.normal(size=(count, n))
    some = rng.random((count, n)) < 0.5
    corners = np.sign(steps) if p == np.inf else np.eye(n)[rng.integers(n, size=count)]
    if p == 1:
        corners = corners * np.sign(steps)
    steps = np.where(rng.random((count, 1)) < 0.3, steps * some, steps)
    steps = np.where(rng.random((count, 1)) < 0.5, corners if p != 2 else steps, steps)
    size = np.linalg.norm(steps, p, axis=1, keepdims=True)
    share = np.where(rng.random((count, 1)) < 0.7, 1.0, rng.random((count, 1)))
    return center + radius * share * steps / np.where(size > 0, size, 1.0)


def inside(values: FloatArray, ends: Ends) -> None:
    slack = 1e-12 * max(1.0, float(np.abs(values).max()))
    assert np.all(values >= ends.lower - slack)
    assert np.all(values <= ends.upper + slack)


def plain_intervals(net: FeedForward, center: FloatArray, radius: float) -> list[Ends]:
    """Return the ends that intervals alone give on the box around the ball."""
    state = Ends((center - radius)[:, None], (center + radius)[:, None])
    found = []
    for stage in net.stages:
        ends = interval_ends(stage, state)
        found.append(Ends(ends.lower[:, 0], ends.upper[:, 0]))
        state = output_range(stage.activation, ends)
    return found


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("seed", range(12))
def test_no_point_of_a_ball_leaves_the_ends(seed: int, p: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 9, size=int(rng.integers(2, 6)))
    net = mixed_network(rng, *map(int, sizes), is_sparse=seed % 3 == 0)
    center, radius = rng.normal(size=net.n_inputs), float(10 ** rng.uniform(-3, 0.7))
    values = states(net, ball_points(rng, center, radius, p, 1500))
    plain = plain_intervals(net, center, radius)
    for backward in (False, True):
        found = preactivation_ends(net, center, radius, p, backward=backward)
        assert len(found) == len(net.stages)
        for at, ends in zip(values, [*found, output_ends(net, found)], strict=True):
            inside(at, ends)
        for ends, wide in zip(found, plain, strict=True):
            slack = 1e-9 * (1 + wide.size)
            assert np.all(ends.lower >= wide.lower - slack)
            assert np.all(ends.upper <= wide.upper + slack)


@pytest.mark.parametrize("seed", range(6))
def test_no_point_of_a_box_leaves_the_ends(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    net = mixed_network(rng, 5, 8, 7, 3)
    low = rng.normal(size=5)
    high = low + rng.exponential(size=5) * (rng.random(5) < 0.8)  # some are fixed
    found = box_ends(net, low, high)
    points = low + rng.random((2000, 5)).round(int(rng.integers(0, 2))) * (high - low)
    for values, ends in zip(states(net, points)[:-1], found, strict=True):
        inside(values, ends)


def test_a_box_is_a_ball_of_the_largest_norm() -> None:
    rng = np.random.default_rng(1)
    net, center = mixed_network(rng, 4, 9, 6, 2), rng.normal(size=4)
    ball = preactivation_ends(net, center, 0.3, np.inf)
    for one, other in zip(ball, box_ends(net, center - 0.3, center + 0.3), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("p", NORMS)
def test_the_first_stage_is_attained(p: float) -> None:
    rng = np.random.default_rng(2)
    net, center = random_network((6, 10, 3), rng), rng.normal(size=6)
    weight, bias = np.asarray(net.layers[0].weight), net.layers[0].bias
    dual = {1: np.inf, 2: 2, np.inf: 1}[p]
    reach = 0.7 * np.linalg.norm(weight, dual, axis=1)
    lower, upper = preactivation_ends(net, center, 0.7, p)[0]
    np.testing.assert_allclose(lower, weight @ center + bias - reach, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(upper, weight @ center + bias + reach, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("p", NORMS)
def test_affine_networks_are_solved(p: float) -> None:
    """Forms and lines both lose nothing, where intervals lose much."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=size) for size in ((7, 4), (7, 7), (3, 7))]
    net = FeedForward.of_weights(weights, Identity())
    product = weights[2] @ weights[1] @ weights[0]
    reach = np.linalg.norm(product, {1: np.inf, 2: 2, np.inf: 1}[p], axis=1)
    center = rng.normal(size=4)
    for backward in (False, True):
        lower, upper = preactivation_ends(net, center, 1.0, p, backward=backward)[-1]
        np.testing.assert_allclose(lower, product @ center - reach, rtol=1e-11)
        np.testing.assert_allclose(upper, product @ center + reach, rtol=1e-11)


def rational(values: FloatArray) -> list[Fraction]:
    return [Fraction(float(each)) for each in values]


def rational_states(net: ReluNetwork, point: list[Fraction]) -> list[list[Fraction]]:
    """Return the pre-activations in exact arithmetic."""
    found, state = [], point
    for layer in net.layers:
        rows = np.asarray(layer.weight)
        values = [
            sum((w * x for w, x in zip(rational(row), state, strict=True)), Fraction(float(shift)))
            for row, shift in zip(rows, layer.bias, strict=True)
        ]
        found.append(values)
        slopes = rational(layer.slope)
        state = [z if z > 0 else s * z for z, s in zip(values, slopes, strict=True)]
    return found


@pytest.mark.parametrize("seed", range(8))
def test_rounding_is_in_the_ends(seed: int) -> None:
    """At radius 0, and at the corners where an affine network attains its ends."""
    rng = np.random.default_rng(seed)
    net = random_network((5, 30, 30, 4), rng)
    center = rng.normal(size=5) * 10.0 ** rng.integers(-3, 4)
    exact = rational_states(net, rational(center))
    for backward in (False, True):
        found = preactivation_ends(net, center, 0.0, 2, backward=backward)
        for values, ends in zip(exact, found, strict=True):
            assert all(low <= z for low, z in zip(rational(ends.lower), values, strict=True))
            assert all(high >= z for high, z in zip(rational(ends.upper), values, strict=True))
            assert np.all(ends.upper - ends.lower <= 1e-9 * (1 + np.abs(center).max()))
    affine = FeedForward.of_weights([np.asarray(each.weight) for each in net.layers], Identity())
    product = np.linalg.multi_dot([np.asarray(each.weight) for each in reversed(net.layers)])
    radius = 0.375
    straight = ReluNetwork(
        [
            type(layer)(layer.weight, np.zeros_like(layer.bias), np.ones_like(layer.bias))
            for layer in net.layers
        ]
    )
    for p, backward in itertools.product((1, np.inf), (False, True)):
        ends = preactivation_ends(affine, center, radius, p, backward=backward)[-1]
        for row in range(4):
            sign = np.sign(product[row])
            if p == 1:
                sign = sign * (np.arange(5) == np.abs(product[row]).argmax())
            for side in (-1, 1):
                corner = [
                    Fraction(float(c)) + side * Fraction(radius) * int(s)
                    for c, s in zip(center, sign, strict=True)
                ]
                value = rational_states(straight, corner)[-1][row]
                assert Fraction(float(ends.lower[row])) <= value <= Fraction(float(ends.upper[row]))


def dot(row: FloatArray, values: list[Fraction]) -> Fraction:
    return sum((w * x for w, x in zip(rational(row), values, strict=True)), Fraction(0))


def test_one_step_of_a_form_holds_its_rounding() -> None:
    """Alone, as the errors of the steps before hide it in a network."""
    rng = np.random.default_rng(15)
    n, m = 300, 200
    inputs = InputSet(rng.normal(size=(1, 1)), np.zeros((1, 1)), 2)
    stage = Stage(rng.normal(size=(m, n)), rng.normal(size=m), Identity())
    state = rng.normal(size=(n, 1)) * 10.0 ** rng.integers(-5, 6, (n, 1))
    form = AffineForm(rng.normal(size=(n, 1, 1)), state, np.zeros((n, 1)))
    lower, upper = form.mapped(stage, inputs).ends(inputs)
    exact = [
        dot(row, rational(state[:, 0])) + Fraction(float(shift))
        for row, shift in zip(np.asarray(stage.weight), stage.bias, strict=True)
    ]
    assert all(low <= z for low, z in zip(rational(lower[:, 0]), exact, strict=True))
    assert all(high >= z for high, z in zip(rational(upper[:, 0]), exact, strict=True))
    # Only just: without what is added for rounding, some would be outside.
    middle = form.mapped(stage, inputs).middle[:, 0]
    assert any(Fraction(float(a)) != z for a, z in zip(middle, exact, strict=True))


def test_lines_taken_back_hold_their_rounding() -> None:
    """Rows that cancel: what is left of them is all rounding."""
    rng = np.random.default_rng(16)
    center = np.array([0.75])
    inputs = InputSet(center[:, None], np.full((1, 1), 0.5), np.inf)
    first = Stage(rng.normal(size=(200, 1)), np.zeros(200), Identity())
    weight = np.asarray(first.weight)[:, 0]
    rows = rng.normal(size=(60, 200))
    rows -= np.outer(rows @ weight, weight) / (weight @ weight)
    ends = Ends(np.minimum(weight * 0.25, weight * 1.25), np.maximum(weight * 0.25, weight * 1.25))
    below = [Relaxed.of(first, ends, np.array([1.25]), None)]
    lower = relaxed_lower(rows, np.zeros(60), below, inputs)
    for row, end in zip(rows, lower, strict=True):
        slope = dot(row, rational(weight))
        true = min(slope * Fraction(1, 4), slope * Fraction(5, 4))
        assert Fraction(float(end)) <= true <= Fraction(float(end)) + Fraction(1, 10**10)


def test_ends_are_points_at_radius_zero() -> None:
    rng = np.random.default_rng(4)
    for seed in range(5):
        net = mixed_network(np.random.default_rng(seed), 6, 20, 20, 5)
        center = rng.normal(size=6)
        for values, ends in zip(
            states(net, center)[:-1], preactivation_ends(net, center, 0.0, 2), strict=True
        ):
            np.testing.assert_allclose(ends.lower, values, atol=1e-11)
            np.testing.assert_allclose(ends.upper, values, atol=1e-11)


def test_each_way_is_better_than_the_last() -> None:
    rng = np.random.default_rng(5)
    widths = []
    for _ in range(8):
        net = mixed_network(rng, 8, 30, 30, 30, 10, names=("relu", "tanh", "silu"))
        center = rng.normal(size=8)
        ways = (
            plain_intervals(net, center, 0.2),
            preactivation_ends(net, center, 0.2, 2, backward=False),
            preactivation_ends(net, center, 0.2, 2),
        )
        widths.append([float((each[-1].upper - each[-1].lower).mean()) for each in ways])
    plain, forward, backward = np.mean(widths, axis=0)
    assert forward < 0.3 * plain
    assert backward < 0.95 * forward


def test_no_wider_than_another_relaxation() -> None:
    """That of `interval_bounds` is the backward one alone, written for ReLU on boxes.

    With more stages tighter ends may choose worse lines, so that only the mean is better.
    """
    rng = np.random.default_rng(6)
    for sizes in ((6, 12, 4), (6, 12, 12, 12, 4)):
        ratios = []
        for _ in range(10):
            net = random_network(sizes, rng)
            low = rng.normal(size=6)
            high = low + rng.exponential(size=6)
            other = interval_bounds(net, low, high).outputs
            lower, upper = box_ends(net, low, high)[-1]
            ratios.append((upper - lower) / (other.upper - other.lower))
        assert np.mean(ratios) <= 1
        assert len(sizes) > 3 or np.max(ratios) <= 1 + 1e-9


@pytest.mark.parametrize("p", NORMS)
def test_sparse_weights_are_dense_ones(p: float) -> None:
    rng = np.random.default_rng(7)
    net = mixed_network(rng, 6, 40, 30, 8, is_sparse=True)
    full = FeedForward(
        tuple(Stage(each.weight.toarray(), each.bias, each.activation) for each in net.stages)
    )
    centers = rng.normal(size=(9, 6))
    for one, other in zip(
        preactivation_ends(net, centers[0], 0.3, p),
        preactivation_ends(full, centers[0], 0.3, p),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)
    for one, other in zip(
        batched_ends(net, centers, 0.3, p), batched_ends(full, centers, 0.3, p), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)
    slopes = slope_ends(net, preactivation_ends(net, centers[0], 0.3, p))
    np.testing.assert_allclose(
        interval_jacobian(net, slopes), interval_jacobian(full, slopes), rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize("p", NORMS)
def test_a_batch_is_its_balls(p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    net = mixed_network(rng, 5, 20, 15, 6)
    centers, radii = rng.normal(size=(17, 5)), rng.exponential(size=17)
    whole = batched_ends(net, centers, radii, p)
    monkeypatch.setattr(propagation, "_CHUNK", 400)  # four balls a chunk
    for found in (whole, batched_ends(net, centers, radii, p)):
        for i in range(17):
            single = preactivation_ends(net, centers[i], radii[i], p, backward=False)
            for one, other in zip(single, found, strict=True):
                assert other.lower.shape == (17, one.lower.size)
                np.testing.assert_allclose(one.lower, other.lower[i], rtol=1e-10, atol=1e-10)
                np.testing.assert_allclose(one.upper, other.upper[i], rtol=1e-10, atol=1e-10)
    none = batched_ends(net, np.zeros((0, 5)), 0.1, p)
    assert [each.lower.shape for each in none] == [(0, 20), (0, 15), (0, 6)]


def test_known_ends_are_kept() -> None:
    rng = np.random.default_rng(9)
    net, center = mixed_network(rng, 5, 20, 20, 3, names=("relu",)), rng.normal(size=5)
    outer = preactivation_ends(net, center, 1.0, 2)
    # Half of the ball's box, in its ball: neither alone is as good as both.
    low, high = center - 1, center + 1
    high[0] = center[0]
    alone, both = box_ends(net, low, high), box_ends(net, low, high, known=outer)
    better = 0
    for given, one, kept in zip(outer, alone, both, strict=True):
        slack = 1e-12
        assert np.all(kept.lower >= np.maximum(given.lower, one.lower) - slack)
        assert np.all(kept.upper <= np.minimum(given.upper, one.upper) + slack)
        better += int(np.any(kept.upper < one.upper) and np.any(kept.upper < given.upper))
    assert better
    points = ball_points(rng, center, 1.0, 2, 4000)
    points = points[points[:, 0] <= center[0]]
    for values, ends in zip(states(net, points)[:-1], both, strict=True):
        inside(values, ends)


def test_a_trained_network_has_few_uncertain_units_near_a_point() -> None:
    net, images, _ = digits_network()
    counts = []
    for radius in (1e-3, 0.1, 1.0):
        lower, upper = preactivation_ends(net, images[0], radius, 2)[0]
        counts.append(int(((lower < 0) & (upper > 0)).sum()))
    assert counts[0] < counts[1] < counts[2]


def jacobians(net: FeedForward, points: FloatArray) -> FloatArray:
    """Return Jacobians by products of weights and derivatives, from differences in the stages."""
    found = []
    for point in points:
        state, matrix = point, np.eye(net.n_inputs)
        for stage in net.stages:
            z = stage.affine(state)
            step = 1e-6
            slope = (stage.activation(z + step) - stage.activation(z - step)) / (2 * step)
            matrix = slope[:, None] * np.asarray(stage.weight @ matrix)
            state = stage.activation(z)
        found.append(matrix)
    return np.array(found)


@pytest.mark.parametrize("seed", range(10))
def test_jacobians_are_in_the_interval_jacobian(seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    sizes = (int(rng.integers(2, 9)), 9, 8, int(rng.integers(2, 9)))
    net = mixed_network(rng, *sizes, is_sparse=seed % 2 == 0)
    center, radius = rng.normal(size=sizes[0]), float(10 ** rng.uniform(-2, 0.3))
    ends = preactivation_ends(net, center, radius + 1e-5, 2)  # what the differences step over
    lower, upper = interval_jacobian(net, slope_ends(net, ends))
    points = ball_points(rng, center, radius, 2, 300)
    found = jacobians(net, points)
    slack = 1e-7 * (1 + np.abs(found).max())
    assert np.all(found >= lower - slack)
    assert np.all(found <= upper + slack)
    # Secants between points of the ball, in several norms.
    images = net(points)
    for p, q in ((1, 1), (2, 2), (np.inf, np.inf), (1, 2), (2, np.inf)):
        bound = jacobian_norm_upper(net, ends, p, q)
        moved = np.linalg.norm(np.diff(points, axis=0), p, axis=1)
        change = np.linalg.norm(np.diff(images, axis=0), q, axis=1)
        assert np.all(change <= bound * moved * (1 + 1e-9) + 1e-12)
        if p == q:
            assert bound == jacobian_norm_upper(net, ends, p)


@pytest.mark.parametrize("transposed", [False, True])
def test_one_hidden_layer_is_exact(transposed: bool) -> None:
    """Each entry's ends are attained by some slopes: all vertices are tried."""
    rng = np.random.default_rng(10)
    n, m, k = (4, 6, 3) if transposed else (3, 6, 4)
    first, last = rng.normal(size=(m, n)), rng.normal(size=(k, m))
    net = FeedForward.of_weights([first, last])
    least = rng.uniform(-1, 0.5, m)
    most = least + rng.exponential(size=m)
    head = SlopeEnds(rng.uniform(-0.5, 0.2, k), rng.uniform(0.3, 1, k))
    lower, upper = interval_jacobian(net, [SlopeEnds(least, most), head])
    choices = np.array(list(itertools.product((0, 1), repeat=m)))
    inner = (last * np.where(choices, most, least)[:, None, :]) @ first
    ends = [end[None, :, None] * inner for end in head]
    np.testing.assert_allclose(lower, np.minimum(*ends).min(axis=0), rtol=1e-12)
    np.testing.assert_allclose(upper, np.maximum(*ends).max(axis=0), rtol=1e-12)


@pytest.mark.parametrize("p", NORMS)
def test_with_no_uncertain_unit_the_norm_is_that_of_the_affine_piece(p: float) -> None:
    rng = np.random.default_rng(11)
    for _ in range(5):
        net = random_network((6, 20, 20, 4), rng)
        center = rng.normal(size=6)
        ends = preactivation_ends(net, center, 1e-9, p)
        exact = net.affine(center).weight
        lower, upper = interval_jacobian(net, slope_ends(net, ends))
        np.testing.assert_allclose(lower, exact, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(upper, exact, rtol=1e-10, atol=1e-11)
        bound = jacobian_norm_upper(net, ends, p)
        norm = operator_norm(exact, p, p)
        assert norm.lower * (1 - 1e-12) <= bound <= norm.upper * (1 + 1e-9)


def test_the_split_in_centre_and_radius_is_used() -> None:
    """Where few units are uncertain, signs of a centre matter: absolute values lose them."""
    rng = np.random.default_rng(12)
    net = random_network((30, 40, 30), rng)
    ends = preactivation_ends(net, rng.normal(size=30), 0.02, 2)
    lower, upper = interval_jacobian(net, slope_ends(net, ends))
    absolute = operator_norm(np.maximum(np.abs(lower), np.abs(upper)), 2, 2).lower
    assert jacobian_norm_upper(net, ends, 2) < 0.7 * absolute


def test_a_dead_network_has_slope_zero() -> None:
    net = ReluNetwork([(np.ones((3, 2)), -5 * np.ones(3)), (np.ones((2, 3)), np.zeros(2))])
    assert jacobian_norm_upper(net, preactivation_ends(net, [0.0, 0.0], 1.0, 2), 2) < 1e-200


def test_a_head_scales_the_jacobian() -> None:
    rng = np.random.default_rng(13)
    weights = [rng.normal(size=(8, 3)), rng.normal(size=(5, 8))]
    stages: list[Activation] = [LeakyReLU(np.zeros(())), Sigmoid()]
    net = FeedForward(
        tuple(Stage(w, np.zeros(len(w)), act) for w, act in zip(weights, stages, strict=True))
    )
    plain = FeedForward.of_weights(weights)
    ends = preactivation_ends(net, rng.normal(size=3), 1.0, 2)
    assert jacobian_norm_upper(net, ends, 2) <= 0.25 * jacobian_norm_upper(plain, ends, 2) * (
        1 + 1e-9
    )


def test_spreads_are_dual_norms_of_any_size() -> None:
    rng = np.random.default_rng(14)
    for scale in (1e-300, 1e-160, 1.0, 1e140):
        rows = rng.normal(size=(4, 5, 1)) * scale
        for p, dual in ((1, np.inf), (2, 2), (np.inf, 1)):
            spread = InputSet(np.zeros((5, 1)), np.ones((5, 1)), p).spread(rows)[:, 0]
            exact = np.linalg.norm(rows[:, :, 0] / scale, dual, axis=1) * scale
            assert np.all(spread >= exact * (1 - 1e-15))


@pytest.mark.parametrize(
    ("center", "radius", "p", "message"),
    [
        ([0.0], 1.0, 2, r"a center has the shape \(2,\), got \(1,\)"),
        ([[0.0, 0.0]], 1.0, 2, r"a center has the shape \(2,\), got \(1, 2\)"),
        ([0.0, np.nan], 1.0, 2, "a center must be finite"),
        ([0.0, 0.0], -1.0, 2, "a radius must be finite and at least 0, got -1.0"),
        ([0.0, 0.0], np.inf, 2, "a radius must be finite and at least 0, got inf"),
        ([0.0, 0.0], np.nan, 2, "a radius must be finite and at least 0, got nan"),
        ([0.0, 0.0], 1.0, 3, "p must be 1, 2 or inf, got 3"),
    ],
)
def test_bad_balls(center: list[float], radius: float, p: float, message: str) -> None:
    net = random_network((2, 3, 1), np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        preactivation_ends(net, center, radius, p)


def test_bad_input() -> None:
    net = random_network((2, 3, 1), np.random.default_rng(0))
    with pytest.raises(ValueError, match="low must be finite, a number or 2 of them"):
        box_ends(net, [0.0, 0.0, 0.0], 1.0)
    with pytest.raises(ValueError, match=r"the box is empty: low\[1\] = 2.0 > high\[1\] = 1.0"):
        box_ends(net, [0.0, 2.0], 1.0)
    with pytest.raises(ValueError, match=r"a center has the shape \(B, 2\), got \(2,\)"):
        batched_ends(net, [0.0, 0.0], 1.0)
    with pytest.raises(ValueError, match="a radius must be finite"):
        batched_ends(net, [[0.0, 0.0]], [1.0, 1.0])
    ends = preactivation_ends(net, [0.0, 0.0], 1.0)
    with pytest.raises(ValueError, match=r"known ends must have the shapes \[\(3,\), \(1,\)\]"):
        preactivation_ends(net, [0.0, 0.0], 1.0, known=ends[:1])
    with pytest.raises(ValueError, match="2 stages need as many ends, got 1"):
        slope_ends(net, ends[:1])
    with pytest.raises(ValueError, match="2 stages need as many ends, got 1"):
        output_ends(net, ends[:1])
    with pytest.raises(ValueError, match=r"the ends of stage 1 must have the shape \(..., 1\)"):
        slope_ends(net, [ends[0], ends[0]])
    with pytest.raises(ValueError, match="slope ends must have the shapes"):
        interval_jacobian(net, slope_ends(net, ends)[:1])
    huge = ReluNetwork([(np.full((2, 2), 1e200), np.zeros(2)), (np.full((1, 2), 1e200), [0.0])])
    with pytest.raises(ValueError, match="values of stage 1 leave the range"):
        preactivation_ends(huge, [1.0, 1.0], 1.0, np.inf)
    with pytest.raises(ValueError, match="Jacobian leaves the range"):
        interval_jacobian(huge, [SlopeEnds(np.ones(2), np.ones(2)), SlopeEnds(*np.ones((2, 1)))])
