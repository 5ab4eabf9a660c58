"""Exact and sampled Lipschitz constants: closed forms, one programme for each pattern, laws."""

import itertools
from math import inf

import numpy as np
import pytest
from scipy import sparse

from tests.relu_nets import leaky_network, random_network
from theory.arrays import FloatArray
from theory.lipschitz.exact import exact_constant
from theory.lipschitz.exact.methods import Method
from theory.lipschitz.pattern_jacobian import (
    jacobian_with_error,
    n_regions_upper,
    operator_norm_lower,
    operator_norm_upper,
)
from theory.lipschitz.product import AffineLayer, lipschitz_upper
from theory.lipschitz.sampled import sampled_constant
from theory.relu import Layer, Region, ReluNetwork, n_activation_regions
from theory.relu.region import Box

NORMS = (1, 2, inf)
METHODS: tuple[Method, ...] = ("enumeration", "branching")


def jacobians(network: ReluNetwork, box: Box | None = None) -> list[FloatArray]:
    """Return those of all 2^N patterns that a linear programme finds a ball for."""
    found = []
    for phases in itertools.product((False, True), repeat=network.n_units):
        piece = network.piece(phases)
        try:
            region = Region.of(piece, phases, box)
        except ValueError:
            continue
        if region.ball.radius > 1e-8:
            found.append(piece.outputs.weight)
    return found


def largest(matrices: list[FloatArray], p: float) -> float:
    return float(max(np.linalg.norm(matrix, p) for matrix in matrices))


def tent(depth: int) -> ReluNetwork:
    """Return the tent map of slope 2 on [0, 1], iterated."""
    inner = [([[2.0, -2.0], [4.0, -4.0]], [0.0, -2.0])] * (depth - 1)
    return ReluNetwork([([[2.0], [4.0]], [0.0, -2.0]), *inner, ([[1.0, -1.0]], [0.0])])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("widths", [(2, 5, 2), (3, 4, 3, 2), (1, 3, 2, 2, 1), (4, 5, 3)])
def test_all_patterns(widths: tuple[int, ...], seed: int) -> None:
    network = random_network(widths, np.random.default_rng([seed, *widths]))
    for box in (None, (-0.5, 1.0)):
        reachable = jacobians(network, box)
        for p in NORMS:
            expected = largest(reachable, p)
            for method in METHODS:
                found = exact_constant(network, p, box=box, method=method)
                assert found.closed
                assert found.lower <= expected * (1 + 1e-12)
                assert expected <= found.upper * (1 + 1e-12)
                assert found.upper - found.lower <= 1e-9 * expected + 1e-300
                at_witness = np.linalg.norm(network.affine(found.witness).weight, p)
                assert at_witness == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("depth", range(1, 7))
def test_iterated_tent(depth: int) -> None:
    found = exact_constant(tent(depth), box=(0, 1))
    assert found.lower <= 2**depth <= found.upper
    sampled = sampled_constant(tent(depth), [[0.3]], box=(0, 1))
    assert sampled.value == pytest.approx(2**depth, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_sum_of_absolute_values(n: int) -> None:
    rows = np.vstack([np.eye(n), -np.eye(n)])
    network = ReluNetwork([(rows, np.zeros(2 * n)), (np.ones((1, 2 * n)), [0.0])])
    for p, expected in ((1, 1.0), (2, np.sqrt(n)), (inf, float(n))):
        found = exact_constant(network, p)
        assert found.lower <= expected * (1 + 1e-15)
        assert expected * (1 - 1e-15) <= found.upper
        assert found.upper - found.lower < 1e-11 * n


@pytest.mark.parametrize("p", NORMS)
def test_a_linear_network_has_its_operator_norm(p: float) -> None:
    rng = np.random.default_rng(11)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(2, 5))
    network = ReluNetwork([Layer(a, rng.normal(size=5), np.ones(5)), Layer(b, *np.ones((2, 2)))])
    expected = np.linalg.norm(b @ a, p)
    assert exact_constant(network, p).upper == pytest.approx(expected, rel=1e-10)
    assert sampled_constant(network, [np.ones(3)], p).value == pytest.approx(expected, rel=1e-10)


def test_slopes_count_also_beyond_one_and_below_zero() -> None:
    steep = ReluNetwork([Layer([[1.0]], np.zeros(1), np.array([-3.0]))])
    assert exact_constant(steep).upper == pytest.approx(3)
    assert exact_constant(steep, box=(0, 1)).upper == pytest.approx(1)
    # A linear unit has no phases: x + relu(x).
    skip = ReluNetwork(
        [Layer([[1.0], [1.0]], np.zeros(2), np.array([0.0, 1.0])), ([[1.0, 1.0]], [0.0])]
    )
    assert skip.n_units == 1
    assert exact_constant(skip).upper == pytest.approx(2)
    assert exact_constant(skip, box=(-2, -1)).upper == pytest.approx(1)


@pytest.mark.parametrize("seed", range(2))
def test_leaky_units_and_sparse_weights(seed: int) -> None:
    network = leaky_network(3, 3, np.random.default_rng(seed))
    same = ReluNetwork(
        [Layer(sparse.csr_array(each.weight), each.bias, each.slope) for each in network.layers]
    )
    reachable = jacobians(network)
    for p in NORMS:
        expected = largest(reachable, p)
        assert exact_constant(network, p).upper == pytest.approx(expected, rel=1e-10)
        assert exact_constant(same, p).upper == pytest.approx(expected, rel=1e-10)


def test_unreachable_patterns_do_not_count() -> None:
    # relu(x) - relu(x - 1): with the second unit alone positive the slope would be -2.
    ramp = ReluNetwork([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, -2.0]], [0.0])])
    assert exact_constant(ramp).upper == pytest.approx(1)


@pytest.mark.parametrize("seed", range(1, 3))
def test_order_of_all_bounds(seed: int) -> None:
    rng = np.random.default_rng([7, seed])
    network = random_network((3, 6, 4, 2), rng)
    points = rng.normal(size=(4, 3))
    layers = [AffineLayer(np.asarray(each.weight), each.bias) for each in network.layers]
    for p in NORMS:
        exact = exact_constant(network, p)
        sampled = sampled_constant(network, points, p)
        here = max(np.linalg.norm(network.affine(x).weight, p) for x in points)
        assert here * (1 - 1e-6) <= sampled.value <= exact.upper
        assert sampled.value > 0.8 * exact.lower
        rise, run = network(sampled.x) - network(sampled.y), sampled.x - sampled.y
        ratio = np.linalg.norm(rise, p) / np.linalg.norm(run, p)
        assert ratio * (1 - 1e-6) <= sampled.value <= ratio
        if p == 2:
            assert exact.upper <= lipschitz_upper(layers)


@pytest.mark.parametrize("p", NORMS)
def test_a_box_restricts(p: float) -> None:
    rng = np.random.default_rng(5)
    network = random_network((2, 8, 4, 2), rng)
    constants = []
    for half in (0.05, 0.5, 5.0):
        inside = exact_constant(network, p, box=(-half, half))
        sampled = sampled_constant(
            network, rng.choice([-half, half], size=(3, 2)), p, box=(-half, half)
        )
        assert np.abs(inside.witness).max() <= half
        assert max(np.abs(sampled.x).max(), np.abs(sampled.y).max()) <= half
        assert 0 < sampled.value <= inside.upper
        constants.append(inside.upper)
    constants.append(exact_constant(network, p).upper)
    assert np.all(np.diff(constants) >= -1e-10)
    assert constants[0] < constants[-1] * (1 - 1e-3)


def test_ascent_climbs_above_its_starts() -> None:
    rng = np.random.default_rng(3)
    gains = []
    for _ in range(6):
        network = random_network((6, 12, 3), rng)
        start = rng.normal(size=(1, 6))
        at_start = sampled_constant(network, start, steps=0).value
        climbed = sampled_constant(network, start, steps=60).value
        assert climbed >= at_start * (1 - 1e-6)
        gains.append(climbed / at_start)
    assert np.median(gains) > 1.1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_homogeneous(scale: float) -> None:
    network = random_network((2, 5, 3), np.random.default_rng(1))
    first, last = network.layers
    scaled = ReluNetwork([first, Layer(scale * np.asarray(last.weight), last.bias, last.slope)])
    for p in NORMS:
        expected = scale * exact_constant(network, p).upper
        assert exact_constant(scaled, p).upper == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("p", NORMS)
def test_rounding_is_in_the_ends(p: float) -> None:
    # Products that cancel: in exact arithmetic, with integers, the Jacobian is known.
    rng = np.random.default_rng(9)
    for _ in range(20):
        a, b = (rng.integers(-(2**30), 2**30, size=(4, 4)) for _ in range(2))
        exact = b.astype(object) @ a.astype(object)
        network = ReluNetwork(
            [
                Layer(a.astype(float), np.zeros(4), np.ones(4)),
                Layer(b.astype(float), np.zeros(4), np.ones(4)),
            ]
        )
        jacobian, error = jacobian_with_error(network, np.zeros(0, dtype=bool))
        assert all(
            abs(int(jacobian[i, j]) - exact[i, j]) <= error[i, j] for i, j in np.ndindex(4, 4)
        )
        lower, upper = (
            norm(jacobian, error, p) for norm in (operator_norm_lower, operator_norm_upper)
        )
        assert lower <= np.linalg.norm(exact.astype(float), p) <= upper
        assert upper - lower < 1e-10 * upper


def test_number_of_regions_is_bounded() -> None:
    rng = np.random.default_rng(2)
    for widths in [(2, 5, 1), (2, 4, 4, 1), (3, 4, 3, 2)]:
        network = random_network(widths, rng)
        assert n_activation_regions(network) <= n_regions_upper(network) <= 2**network.n_units
    single = random_network((2, 5, 1), rng)
    assert n_activation_regions(single) == n_regions_upper(single) == 16


def test_refusals() -> None:
    network = random_network((2, 30, 1), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"30 units may make 466 regions.*method='branching'"):
        exact_constant(network, method="enumeration")
    assert exact_constant(network, method="enumeration", max_units=30).lower > 0
    wide = random_network((784, 2000, 1), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"2000 units .* 10\^\d+\.\d regions.*semidefinite_bound"):
        exact_constant(wide)
    small = random_network((2, 3, 1), np.random.default_rng(0))
    with pytest.raises(ValueError, match="p must be 1, 2 or inf"):
        exact_constant(small, 3)
    with pytest.raises(ValueError, match="enumeration, branching, milp"):
        exact_constant(small, method="simplex")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="p = 2"):
        exact_constant(small, 2, box=(0, 1), method="milp")
    with pytest.raises(ValueError, match="finite box"):
        exact_constant(small, 1, method="milp")
    with pytest.raises(ValueError, match="time_limit"):
        exact_constant(small, time_limit=0)
    with pytest.raises(ValueError, match="no time limit"):
        exact_constant(small, method="enumeration", time_limit=1)
    with pytest.raises(ValueError, match="no interior"):
        exact_constant(small, box=([0, 0], [1, 0]))
    with pytest.raises(ValueError, match="outside the box"):
        sampled_constant(small, [[2.0, 0.0]], box=(-1, 1))
    with pytest.raises(ValueError, match="shape"):
        sampled_constant(small, [2.0, 0.0])
    with pytest.raises(ValueError, match="steps"):
        sampled_constant(small, [[2.0, 0.0]], steps=-1)
