"""All regions of small networks: closed forms, other algorithms, one programme for each pattern."""

import itertools

import numpy as np
import pytest

from tests import relu_nets
from theory.arrangement import HyperplaneArrangement, braid
from theory.arrangement.counting import binomial_sum
from theory.claims.montufar2014 import linear_regions_lower_bound
from theory.claims.serra2018 import linear_regions_upper_bound
from theory.relu import (
    Layer,
    Region,
    ReluNetwork,
    activation_regions,
    n_activation_regions,
    slice_regions,
)


def random_network(rng: np.random.Generator, *widths: int, slope: float = 0.0) -> ReluNetwork:
    layers = [
        Layer(rng.normal(size=(m, n)), rng.normal(size=m), np.full(m, slope))
        for n, m in itertools.pairwise(widths[:-1])
    ]
    shape = widths[-1], widths[-2]
    return ReluNetwork(
        [*layers, Layer(rng.normal(size=shape), rng.normal(size=shape[0]), np.ones(shape[0]))]
    )


@pytest.mark.parametrize(("n", "units"), [(1, 7), (2, 10), (3, 8), (4, 6), (3, 3)])
def test_one_layer_is_an_arrangement(n: int, units: int) -> None:
    rng = np.random.default_rng(units)
    net = random_network(rng, n, units, 3)
    regions = list(activation_regions(net))
    assert len(regions) == binomial_sum(units, n)
    for pattern, point in regions:
        assert np.array_equal(net.pattern(point), pattern)
    layer = net.layers[0]
    arrangement = HyperplaneArrangement(layer.weight, -layer.bias)
    expected = {tuple(each.sign_vector > 0) for each in arrangement.regions()}
    assert {tuple(pattern) for pattern, _ in regions} == expected


def test_degenerate_layer() -> None:
    """Hyperplanes that meet in one point and a line: 4! regions."""
    normals = np.asarray(braid(4).normals, dtype=float)
    net = ReluNetwork([(normals, np.zeros(len(normals))), (np.ones((1, 6)), [0.0])])
    assert n_activation_regions(net) == n_activation_regions(net, (-1, 1)) == 24
    doubled = np.vstack([normals, -normals, 2 * normals])
    net = ReluNetwork([(doubled, np.zeros(18)), (np.ones((1, 18)), [0.0])])
    assert n_activation_regions(net) == 24


@pytest.mark.parametrize("seed", range(4))
def test_all_patterns_one_by_one(seed: int) -> None:
    """Every pattern's region has an interior, or not: one programme for each of 2^N."""
    rng = np.random.default_rng(seed)
    widths = [(2, 4, 4, 3), (3, 3, 2, 2, 3), (2, 2, 3, 3, 3), (2, 3, 4, 3)][seed]
    net = random_network(rng, *widths, slope=0.3 * (seed > 1))
    expected = set()
    for phases in itertools.product((False, True), repeat=net.n_units):
        try:
            region = Region.of(net.piece(phases), phases, (-4, 4))
        except ValueError:
            continue
        if region.ball.radius > 1e-8:
            expected.add(phases)
    found = [tuple(pattern.tolist()) for pattern, _ in activation_regions(net, (-4, 4))]
    assert len(set(found)) == len(found)
    assert set(found) == expected
    assert len(found) <= linear_regions_upper_bound(widths[0], widths[1:-1])


def test_enumeration_agrees_with_slices_and_samples() -> None:
    rng = np.random.default_rng(9)
    for widths in ((2, 10, 10, 3), (2, 6, 6, 6, 3)):
        net = random_network(rng, *widths)
        box = np.array([-2.0, -1.0]), np.array([1.0, 3.0])
        regions = list(activation_regions(net, box))
        sliced = slice_regions(net, [0, 0], [1, 0], [0, 1], (-2.0, 1.0, -1.0, 3.0))
        found = {pattern.tobytes() for pattern, _ in regions}
        assert found == {pattern.tobytes() for pattern in sliced.patterns}
        points = rng.uniform(*box, size=(20_000, 2))
        assert {pattern.tobytes() for pattern in net.pattern(points)} <= found


def folding(inputs: int, folds: int, depth: int, last: Layer) -> ReluNetwork:
    """Return layers that fold the unit cube onto itself, and a last one that sees the cube."""
    # Of each coordinate t: w t, and max(0, 2 (w t - j)) for j = 1..w - 1, with alternating signs.
    weight = np.kron(np.eye(inputs), np.array([[1.0], *[[2.0]] * (folds - 1)]) * folds)
    bias = np.tile([0.0, *(-2.0 * j for j in range(1, folds))], inputs)
    signs = np.kron(np.eye(inputs), [[(-1.0) ** j for j in range(folds)]])
    layers = [(weight, bias)] + [(weight @ signs, bias)] * (depth - 1)
    return ReluNetwork(
        [*layers, (last.weight @ signs, last.bias), (np.ones((1, len(last.bias))), [0.0])]
    )


@pytest.mark.parametrize(
    ("inputs", "folds", "depth", "width"), [(1, 3, 2, 3), (1, 2, 4, 2), (2, 2, 1, 4), (2, 2, 2, 3)]
)
def test_folding_network_reaches_its_count(inputs: int, folds: int, depth: int, width: int) -> None:
    rng = np.random.default_rng(inputs)
    while True:
        # Hyperplanes that meet inside the unit cube.
        normals = rng.normal(size=(width, inputs))
        bias = -normals @ np.full(inputs, 0.5) - 0.05 * rng.normal(size=width)
        last = Layer(normals, bias, np.zeros(width))
        one = ReluNetwork([(normals, bias), (np.ones((1, width)), [0.0])])
        if n_activation_regions(one, (0.01, 0.99)) == binomial_sum(width, inputs):
            break
    net = folding(inputs, folds, depth, last)
    widths = [inputs * folds] * depth + [width]
    least_count = linear_regions_lower_bound(inputs, widths)
    assert n_activation_regions(net, (0, 1)) == least_count
    assert least_count <= n_activation_regions(net) <= linear_regions_upper_bound(inputs, widths)


def test_the_tent_map_has_two_to_the_depth_pieces() -> None:
    for depth in (1, 2, 7):
        tent = ([[2.0, -2.0], [4.0, -4.0]], [0.0, -2.0])
        net = ReluNetwork(
            [([[2.0], [4.0]], [0.0, -2.0]), *[tent] * (depth - 1), ([[1.0, -1.0]], [0.0])]
        )
        assert n_activation_regions(net, (0, 1)) == 2**depth


def test_enumeration_is_lazy_and_its_box_is_checked() -> None:
    net = random_network(np.random.default_rng(0), 10, 30, 30, 3)
    first = list(itertools.islice(activation_regions(net), 20))
    assert len({pattern.tobytes() for pattern, _ in first}) == 20
    for pattern, point in first:
        assert np.array_equal(net.pattern(point), pattern)
    with pytest.raises(ValueError, match="empty"):
        n_activation_regions(net, (1, 0))
    with pytest.raises(ValueError, match="must be a number"):
        n_activation_regions(net, ([0, 0], 1))
    assert n_activation_regions(net, (1, 1)) == 0


@pytest.mark.parametrize("seed", range(6))
def test_programmes_from_a_kept_basis_all_end(seed: int) -> None:
    # In some of these the solver gets nowhere from the basis of the programme before.
    net = relu_nets.random_network((3, 7, 6, 2), np.random.default_rng([7, seed]))
    regions = list(activation_regions(net))
    patterns = {tuple(pattern.tolist()) for pattern, _ in regions}
    assert len(patterns) == len(regions) <= linear_regions_upper_bound(3, (7, 6))
    points = 20 * np.random.default_rng(seed).normal(size=(4000, 3))
    assert {tuple(row) for row in net.pattern(points).tolist()} <= patterns
