"""Local Lipschitz bounds: all regions of small networks, secants, limits, laws, hostile margins."""

import dataclasses
from fractions import Fraction
from itertools import pairwise
from math import inf
from typing import get_args

import numpy as np
import pytest
from scipy import sparse

from tests.relu_nets import leaky_network, random_network
from theory.arrays import FloatArray
from theory.lipschitz.activations.curved import Sigmoid, Tanh
from theory.lipschitz.exact import exact_constant
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.lipschitz.local import (
    bisected_bound,
    bisected_box_bound,
    box_bound,
    center_radius_bounds,
    jacobian_norm_lower,
    local_bound,
    region_constant,
)
from theory.lipschitz.local.bound import Method
from theory.lipschitz.local.center_radius import jacobian_norms
from theory.lipschitz.local.patterns import pattern_norm_upper
from theory.lipschitz.local.reading import Precision
from theory.lipschitz.local.spectral_batch import spectral_norms_upper
from theory.lipschitz.product import AffineLayer, lipschitz_upper
from theory.lipschitz.semidefinite.bound import semidefinite_bound
from theory.lipschitz.semidefinite.problem import SlopeEnds, SlopeProblem
from theory.relu.network import ReluNetwork

NORMS = (1, 2, inf)
PLAIN: tuple[Method, ...] = ("interval", "center_radius", "patterns")
NETWORKS = [(2, 6, 2), (3, 4, 4, 2), (1, 3, 2, 3, 1), (2, 5, 5, 4)]


def methods(p: float) -> tuple[Method, ...]:
    return (*PLAIN, "semidefinite", "best") if p == 2 else (*PLAIN, "best")


def curved_network(widths: tuple[int, ...], rng: np.random.Generator) -> FeedForward:
    """Return a network with tanh between its layers and a sigmoid at its end."""
    plain = FeedForward.of(random_network(widths, rng)).stages
    inner = [dataclasses.replace(each, activation=Tanh()) for each in plain[:-1]]
    return FeedForward((*inner, dataclasses.replace(plain[-1], activation=Sigmoid())))


def drawn_in_ball(
    center: FloatArray, radius: float, p: float, n: int, rng: np.random.Generator
) -> FloatArray:
    steps = rng.standard_normal((n, len(center)))
    steps /= np.linalg.norm(steps, p, axis=1, keepdims=True)
    return center + radius * (1 - 1e-12) * rng.uniform(size=(n, 1)) ** 0.3 * steps


def steepest_secant(network: FeedForward, points: FloatArray, p: float) -> float:
    values, order = network(points), np.arange(len(points))
    best = 0.0
    for shift in (1, 7, 31):
        other = np.roll(order, shift)
        rise = np.linalg.norm(values - values[other], p, axis=1)
        run = np.linalg.norm(points - points[other], p, axis=1)
        best = max(best, float((rise / run).max()))
    return best


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("widths", NETWORKS)
def test_not_below_any_region_of_a_box(widths: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng([seed, *widths])
    network = random_network(widths, rng)
    center, radius = rng.standard_normal(widths[0]), float(rng.uniform(0.05, 0.8))
    box = (center - radius, center + radius)
    for p in NORMS:
        true = exact_constant(network, p, box=box)
        found = {by: box_bound(network, *box, p, method=by).value for by in methods(p)}
        assert min(found.values()) >= true.lower * (1 - 1e-12)
        # No bound that knows the slopes' ends alone is below the largest over all patterns.
        for value in found.values():
            assert value >= found["patterns"] * (1 - 1e-9) - 1e-100
        assert found["best"] == pytest.approx(min(found.values()), rel=1e-9)
        if p == inf:
            ball = local_bound(network, center, radius, p).value
            assert ball >= true.lower * (1 - 1e-12)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("seed", range(2))
def test_not_below_sampled_jacobians_and_secants(seed: int, p: float) -> None:
    rng = np.random.default_rng([seed, 5])
    relu, leaky = random_network((3, 5, 5, 3), rng), leaky_network(3, 3, rng)
    for network in (relu, leaky, curved_network((3, 4, 4, 2), rng)):
        made = FeedForward.of(network)
        center, radius = rng.standard_normal(3), float(rng.uniform(0.05, 1.0))
        points = drawn_in_ball(center, radius, p, 200, rng)
        steep = steepest_secant(made, points, p)
        if isinstance(network, ReluNetwork):
            norms = [np.linalg.norm(network.affine(x).weight, p) for x in points[:50]]
        else:
            norms = [jacobian_norm_lower(network, x, p) for x in points[:50]]
        for by in methods(p):
            found = local_bound(network, center, radius, p, method=by)
            assert found.value >= max(steep, *norms) * (1 - 1e-9)
            assert found.verify()


@pytest.mark.parametrize("p", NORMS)
def test_tends_to_the_norm_of_the_jacobian(p: float) -> None:
    rng = np.random.default_rng(8)
    for network in (random_network((4, 30, 30, 6), rng), curved_network((4, 9, 9, 6), rng)):
        center = rng.standard_normal(4)
        least = jacobian_norm_lower(network, center, p)
        for by in ("interval", "center_radius", "semidefinite", "best"):
            if by == "semidefinite" and p != 2:
                continue
            values = [
                local_bound(network, center, r, p, method=by, tolerance=1e-7).value
                for r in (0, 1e-8)
            ]
            assert least * (1 - 1e-9) <= min(values)
            assert max(values) <= least * (1 + 1e-5)
        # The gap closes with the radius, not only at its end.
        gaps = [local_bound(network, center, r, p).value / least - 1 for r in (0.01, 0.001)]
        assert gaps[1] < 0.3 * gaps[0] + 1e-9


def test_between_the_region_and_the_global_bound() -> None:
    rng = np.random.default_rng(3)
    network = random_network((5, 20, 15, 4), rng)
    weights = [layer.weight for layer in network.layers]
    everywhere = semidefinite_bound(weights, tolerance=1e-8)
    center = rng.standard_normal(5)
    radii = (0.03, 0.3, 1.0, 3.0)
    found = [local_bound(network, center, r, method="semidefinite", tolerance=1e-8) for r in radii]
    assert [each.n_uncertain for each in found] == sorted(each.n_uncertain for each in found)
    assert all(a.value <= b.value * (1 + 1e-6) for a, b in pairwise(found))
    assert found[0].value < 0.7 * everywhere.value
    huge = local_bound(network, center, 1e6, method="semidefinite", tolerance=1e-8)
    assert huge.n_uncertain == 35
    assert huge.value == pytest.approx(everywhere.value, rel=1e-6)
    product = lipschitz_upper([AffineLayer(layer.weight, layer.bias) for layer in network.layers])
    assert local_bound(network, center, 1e6, method="center_radius").value <= product * (1 + 1e-9)


def test_size_does_not_depend_on_the_width() -> None:
    rng = np.random.default_rng(4)
    narrow = random_network((3, 10, 4), rng)
    first, last = narrow.layers
    # Units that are on and off on the whole ball.
    fixed = rng.standard_normal((300, 3)), rng.choice([-50.0, 50.0], 300)
    wide = ReluNetwork(
        [
            (np.vstack([first.weight, fixed[0]]), np.concatenate([first.bias, fixed[1]])),
            (np.hstack([last.weight, rng.standard_normal((4, 300)) / 20]), last.bias),
        ]
    )
    found = [local_bound(each, np.zeros(3), 1.0, method="semidefinite") for each in (narrow, wide)]
    assert found[0].n_uncertain == found[1].n_uncertain
    certificates = [each.certificate for each in found]
    sizes = [each.problem.n_coordinates for each in certificates if each is not None]
    assert sizes == [3 + found[0].n_uncertain] * 2


@pytest.mark.parametrize("method", ["region", "interval", "center_radius", "patterns"])
def test_a_value_that_is_too_small_is_not_verified(method: Method) -> None:
    network = random_network((3, 9, 2), np.random.default_rng(1))
    found = local_bound(network, [0.3, -0.2, 0.1], 1e-4, method=method)
    assert found.verify()
    assert not dataclasses.replace(found, value=found.value * (1 - 1e-9)).verify()


def test_certificate_belongs_to_its_ball() -> None:
    network = random_network((3, 12, 12, 2), np.random.default_rng(2))
    near, far = (
        local_bound(network, [0.3, -0.2, 0.1], r, method="semidefinite", tolerance=1e-7)
        for r in (0.2, 2.0)
    )
    assert near.verify()
    assert far.verify()
    assert near.certificate is not None
    assert not dataclasses.replace(near, value=near.value * (1 - 1e-5)).verify()
    assert not dataclasses.replace(far, value=near.value, certificate=near.certificate).verify()


@pytest.mark.parametrize("p", NORMS)
def test_margins_of_a_rounding_error(p: float) -> None:
    """A unit whose largest value on the ball is within some ulps of 0, either side of it."""
    rng = np.random.default_rng(11)
    reached = 0
    for _ in range(50):
        n = int(rng.integers(1, 6))
        weight, center = rng.standard_normal((1, n)), rng.standard_normal(n)
        radius = float(rng.uniform(0.01, 2))
        if p == 2:  # a Pythagorean row, so that the largest value is rational
            n, weight, center = 2, np.array([[3.0, 4.0]]), center[:1].repeat(2)
        reach = {1: abs(weight).max(), 2: 5.0, inf: abs(weight).sum()}[p]
        bias = -float(weight[0] @ center + radius * reach)
        bias += int(rng.integers(-3, 4)) * np.spacing(abs(bias))
        rows = [Fraction(w) for w in weight[0]]
        dual = {1: max(map(abs, rows)), 2: Fraction(5), inf: sum(map(abs, rows))}[p]
        most = sum(w * Fraction(c) for w, c in zip(rows, center, strict=True)) + Fraction(bias)
        most += Fraction(radius) * dual
        if most <= 0:
            continue
        reached += 1
        network = ReluNetwork([(weight, [bias]), ([[1.0]], [0.0])])
        for by in methods(p):
            assert local_bound(network, center, radius, p, method=by).value > 0.1 * reach
        assert center_radius_bounds(network, [center], radius, p)[0] > 0.1 * reach
    assert reached > 5


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("seed", range(6))
def test_center_radius_against_drawn_slopes(seed: int, p: float) -> None:
    rng = np.random.default_rng([seed, 7])
    depth, n = int(rng.integers(1, 4)), 5
    sizes = rng.integers(1, 6, size=depth + 1)
    weights = [
        rng.standard_normal((sizes[i + 1], sizes[i])).astype(np.float32).astype(np.float64)
        for i in range(depth)
    ]
    network = FeedForward.of_weights(weights)
    slopes = []
    for size in sizes[1:]:
        least = rng.uniform(-1, 1, (n, size))
        free = rng.uniform(size=(n, size)) < 0.5
        slopes.append(SlopeEnds(least, least + np.where(free, rng.uniform(size=(n, size)), 0)))
    largest = np.zeros(n)
    for k in range(60):
        for i in range(n):
            jacobian = np.eye(sizes[0])
            for weight, (least, most) in zip(weights, slopes, strict=True):
                share = rng.integers(0, 2, len(weight)) if k % 2 else rng.uniform(size=len(weight))
                slope = least[i] + (most[i] - least[i]) * share
                jacobian = slope[:, None] * (weight @ jacobian)
            largest[i] = max(largest[i], np.linalg.norm(jacobian, p))
    found = jacobian_norms(network, slopes, p)
    assert np.all(largest <= found * (1 + 1e-12))
    assert jacobian_norms(network, slopes, p, memory=1.0) == pytest.approx(found, rel=1e-9)
    single = jacobian_norms(network, slopes, p, precision="float32")
    assert np.all(largest <= single * (1 + 1e-12))
    assert single == pytest.approx(found, rel=1e-3, abs=1e-4)
    # Slopes that are numbers leave one matrix.
    fixed = [SlopeEnds(least, least) for least, _ in slopes]
    for i in range(n):
        jacobian = np.eye(sizes[0])
        for weight, (least, _) in zip(weights, fixed, strict=True):
            jacobian = least[i][:, None] * (weight @ jacobian)
        exact = np.linalg.norm(jacobian, p)
        assert jacobian_norms(network, fixed, p)[i] == pytest.approx(exact, rel=1e-9, abs=1e-12)
        low = jacobian_norms(network, fixed, p, precision="float32")[i]
        assert exact * (1 - 1e-12) <= low <= exact * (1 + 1e-3) + 1e-4


@pytest.mark.parametrize("p", [1, inf])
@pytest.mark.parametrize("method", ["center_radius", "patterns", "region", "interval"])
def test_rounding_is_in_the_bounds(method: Method, p: float) -> None:
    """Against the norm of the Jacobian in rational arithmetic."""
    rng = np.random.default_rng(15)
    for _ in range(15):
        widths = tuple(int(k) for k in rng.integers(2, 6, size=4))
        network = random_network(widths, rng)
        x = rng.standard_normal(widths[0])
        exact = np.array(
            [[Fraction(int(i == j)) for j in range(widths[0])] for i in range(widths[0])]
        )
        pattern, first = network.pattern(x), 0
        for layer in network.layers:
            exact = np.array([[Fraction(w) for w in row] for row in layer.weight]) @ exact
            on = np.ones(len(exact), dtype=bool)
            on[layer.hinges] = pattern[first : first + len(layer.hinges)]
            first += len(layer.hinges)
            exact = exact * np.where(on, Fraction(1), Fraction(0))[:, None]
        norm = abs(exact).sum(axis=0 if p == 1 else 1).max()
        found = local_bound(network, x, 1e-12, p, method=method).value
        assert Fraction(found) >= norm
        assert found <= norm * (1 + 1e-9) + 1e-100


def ones(*shape: int) -> SlopeEnds:
    return SlopeEnds(np.ones(shape), np.ones(shape))


@pytest.mark.parametrize("p", NORMS)
def test_lost_small_terms(p: float) -> None:
    """In single precision 1 + t + t + ... is 1, term by term."""
    n, t = 1000, 2.0**-25
    row = sparse.csr_array(np.array([[1.0] + [t] * n]))
    line = FeedForward.of_weights([[[1.0]]]).stages[0].activation
    first = Stage(np.ones((n + 1, 1)), np.zeros(n + 1), line)
    network = FeedForward((first, Stage(row, np.zeros(1), line)))
    found = jacobian_norms(network, [ones(1, n + 1), ones(1, 1)], p, precision="float32")[0]
    assert 1 + n * t <= found <= 1.1


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("precision", get_args(Precision))
def test_last_slopes_are_multiplied_with_care(precision: Precision, p: float) -> None:
    rng = np.random.default_rng(16)
    for _ in range(30):
        a, scale = (float(np.float32(each)) for each in rng.uniform(0.5, 1, 2))
        if precision == "float64":
            a, scale = a + rng.uniform() * 2**-30, scale + rng.uniform() * 2**-30
        network = FeedForward.of_weights([[[a]]])
        last = SlopeEnds(np.full((1, 1), scale), np.full((1, 1), scale))
        found = jacobian_norms(network, [last], p, precision=precision)[0]
        assert Fraction(found) >= Fraction(a) * Fraction(scale)


def test_patterns_of_a_chain_that_rounds_down() -> None:
    rng, state, factors = np.random.default_rng(17), 1.0, []
    exact = Fraction(1)
    for _ in range(12):
        # Of some factors the one whose product loses most.
        tried = rng.uniform(1, 2, 50)
        lost = [Fraction(state) * Fraction(a) - Fraction(state * a) for a in tried]
        factors.append(tried[int(np.argmax([float(each / Fraction(state)) for each in lost]))])
        exact, state = exact * Fraction(factors[-1]), state * factors[-1]
    levels = tuple({i: np.array([[a]])} for i, a in enumerate(factors))
    problem = SlopeProblem(1, (1,) * 12, levels, {12: np.ones((1, 1))})
    for p in NORMS:
        found = pattern_norm_upper(problem, p)
        assert exact <= Fraction(found)
        assert found <= exact * (1 + 1e-9)


def test_lower_end_of_what_cancels() -> None:
    rng = np.random.default_rng(18)
    for _ in range(40):
        first, last = rng.standard_normal((5, 1)), rng.standard_normal((1, 5))
        last[0, 4] = -float(last[0, :4] @ first[:4, 0]) / first[4, 0]
        network = ReluNetwork([(first, np.full(5, 50.0)), (last, [0.0])])
        terms = zip(last[0], first[:, 0], strict=True)
        exact = abs(sum(Fraction(a) * Fraction(b) for a, b in terms))
        for p in NORMS:
            assert Fraction(jacobian_norm_lower(network, [0.0], p)) <= exact


@pytest.mark.parametrize("p", NORMS)
def test_batches_and_sparse_weights(p: float) -> None:
    rng = np.random.default_rng(6)
    widths = (4, 12, 20, 9)
    layers = random_network(widths, rng).layers
    masks = [rng.uniform(size=layer.weight.shape) < 0.4 for layer in layers]
    dense = ReluNetwork([(a.weight * mask, a.bias) for a, mask in zip(layers, masks, strict=True)])
    stages = [
        Stage(sparse.csr_array(each.weight), each.bias, each.activation)
        for each in FeedForward.of(dense).stages
    ]
    centers = rng.standard_normal((23, 4))
    radii = rng.uniform(0, 0.5, 23)
    together = center_radius_bounds(dense, centers, radii, p)
    alone = [center_radius_bounds(dense, [x], r, p)[0] for x, r in zip(centers, radii, strict=True)]
    assert together == pytest.approx(alone, rel=1e-9)
    assert center_radius_bounds(
        FeedForward(tuple(stages)), centers, radii, p, memory=1e5
    ) == pytest.approx(alone, rel=1e-9)
    for x, r, value in zip(centers, radii, together, strict=True):
        points = drawn_in_ball(x, r, p, 30, rng)
        steep = max(np.linalg.norm(dense.affine(each).weight, p) for each in points)
        assert value >= steep * (1 - 1e-12)
    assert center_radius_bounds(dense, np.zeros((0, 4)), 1.0, p).shape == (0,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spectral_norms_of_stacks(dtype: type) -> None:
    rng = np.random.default_rng(0)
    unit = float(np.finfo(dtype).eps)
    for a, b in [(1, 1), (7, 3), (3, 7), (40, 25)]:
        stack = (rng.standard_normal((9, a, b)) * 10.0 ** rng.uniform(-9, 9, (9, 1, 1))).astype(
            dtype
        )
        stack[3] = 0
        stack[4] = stack[4, :, :1]  # rank one
        true = np.linalg.norm(stack.astype(np.float64), 2, axis=(1, 2))
        found = spectral_norms_upper(stack)
        assert np.all(found >= true * (1 - 1e-14))
        assert np.all(found <= true * (1 + 200 * (a + b) * unit + 1e-9))
    # Diagonal matrices have a norm that is known exactly.
    diagonal = rng.uniform(0.5, 1, (50, 6)).astype(dtype)
    stack = diagonal[:, :, None] * np.eye(6, dtype=dtype)
    assert np.all(spectral_norms_upper(stack) >= diagonal.max(axis=1))
    assert spectral_norms_upper(np.full((1, 2, 2), np.nan, dtype=dtype)) == [inf]


@pytest.mark.parametrize("p", NORMS)
def test_region_constant(p: float) -> None:
    rng = np.random.default_rng(9)
    network = random_network((3, 8, 8, 4), rng)
    for x in rng.standard_normal((20, 3)):
        found = region_constant(network, x, p)
        assert found.lower <= np.linalg.norm(network.affine(x).weight, p) * (1 + 1e-12)
        assert found.upper >= np.linalg.norm(network.affine(x).weight, p) * (1 - 1e-12)
        assert found.upper - found.lower <= 1e-9 * found.upper
        assert region_constant(FeedForward.of(network), x, p) == found
        least = jacobian_norm_lower(network, x, p)
        assert least == pytest.approx(found.upper, rel=1e-9)
        assert local_bound(network, x, 0, p, method="region").value >= found.lower
    with pytest.raises(ValueError, match="radius 0"):
        region_constant(curved_network((2, 3, 1), rng), [0, 0])


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("seed", range(2))
def test_bisection_meets_the_exact_constant(seed: int, p: float) -> None:
    rng = np.random.default_rng([seed, 13])
    network = random_network((2, 5, 4, 3), rng)
    center = rng.standard_normal(2)
    true = exact_constant(network, p, box=(center - 0.7, center + 0.7))
    found = bisected_box_bound(network, center - 0.7, center + 0.7, p)
    assert found.lower <= true.upper
    assert found.upper >= true.lower
    assert found.upper <= 1.01 * found.lower
    ball = bisected_bound(network, center, 0.7, p)
    steep = [
        np.linalg.norm(network.affine(x).weight, p) for x in drawn_in_ball(center, 0.7, p, 500, rng)
    ]
    assert max(steep) * (1 - 1e-9) <= ball.upper <= found.upper * 1.02
    assert ball.lower <= found.upper
    assert np.linalg.norm(ball.witness - center, p) < 0.7
    assert np.linalg.norm(network.affine(ball.witness).weight, p) >= ball.lower * (1 - 1e-12)


def test_bisection_shrinks() -> None:
    rng = np.random.default_rng(5)
    for network in (random_network((3, 9, 9, 3), rng), curved_network((2, 4, 2), rng)):
        center = rng.standard_normal(3)[: network.n_inputs]
        whole = local_bound(network, center, 0.5).value
        found = [
            bisected_bound(network, center, 0.5, max_pieces=n, tolerance=1e-3) for n in (1, 6, 25)
        ]
        assert found[0].upper <= whole * (1 + 1e-9) + 1e-9
        widths = [each.upper - each.lower for each in found]
        assert widths[0] >= widths[1] >= widths[2]
        assert widths[2] < 0.95 * widths[0] or widths[0] <= 2e-3 * found[0].upper


BAD = [
    ({"radius": -1.0}, "radius must be finite and at least 0"),
    ({"radius": float("nan")}, "radius must be finite and at least 0"),
    ({"radius": inf}, "radius must be finite and at least 0"),
    ({"center": [0.0]}, r"shape \(2,\), got \(1,\)"),
    ({"center": [[0.0, 0.0]]}, r"shape \(2,\), got \(1, 2\)"),
    ({"center": [0.0, float("nan")]}, "center must be finite"),
    ({"p": 3}, "p must be 1, 2 or inf"),
    ({"p": 1, "method": "semidefinite"}, "use 'center_radius'"),
    ({"method": "guess"}, "method must be one of"),
    ({"method": "region"}, "uncertain, method 'region' needs"),
    ({"tolerance": 0.0}, "tolerance must be"),
    ({"method": "semidefinite", "max_units": 10}, "GiB.*'center_radius'"),
    ({"method": "patterns"}, "too many to try all.*'center_radius'"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input(change: dict[str, object], message: str) -> None:
    network = random_network((2, 20, 20, 2), np.random.default_rng(0))
    given: dict[str, object] = {"center": [0.1, 0.2], "radius": 5.0, "p": 2, **change}
    with pytest.raises(ValueError, match=message):
        local_bound(network, **given)  # type: ignore[arg-type]


def test_bad_input_of_boxes_and_batches() -> None:
    network = random_network((2, 4, 2), np.random.default_rng(0))
    with pytest.raises(ValueError, match="box is empty"):
        box_bound(network, [0, 1], [1, 0])
    with pytest.raises(ValueError, match="low must be finite"):
        box_bound(network, [0, 1, 2], 5)
    with pytest.raises(ValueError, match="no interior: both ends of coordinate 1"):
        bisected_box_bound(network, [0, 1], [1, 1])
    with pytest.raises(ValueError, match="radius 0 has no interior"):
        bisected_bound(network, [0, 1], 0)
    with pytest.raises(ValueError, match="max_pieces"):
        bisected_bound(network, [0, 1], 1, max_pieces=0)
    with pytest.raises(ValueError, match="radius must be a number or 3 of them"):
        center_radius_bounds(network, np.zeros((3, 2)), [1.0, 2.0])
    with pytest.raises(ValueError, match="radius must be a number or 3 of them"):
        center_radius_bounds(network, np.zeros((3, 2)), -1.0)
    with pytest.raises(ValueError, match=r"shape \(n, 2\), got \(3,\)"):
        center_radius_bounds(network, np.zeros(3), 1.0)
    with pytest.raises(ValueError, match="float32 numbers"):
        center_radius_bounds(network, np.zeros((3, 2)), 1.0, precision="float32")
