"""Branch and bound, mixed-integer programmes and free patterns against all patterns, and laws."""

import itertools
from fractions import Fraction
from math import inf

import numpy as np
import pytest

from tests.relu_nets import leaky_network, random_network
from theory.arrays import FloatArray
from theory.lipschitz.exact import exact_constant
from theory.lipschitz.exact.constant import norm_at
from theory.lipschitz.exact.rational import ExactForms, no_interior
from theory.lipschitz.exact.slopes import SlopeNorms, spectral_upper
from theory.lipschitz.free_pattern import free_pattern_maximum
from theory.lipschitz.pattern_jacobian import operator_norm_upper
from theory.lipschitz.sampled import sampled_constant
from theory.relu import Layer, ReluNetwork

NORMS = (1, 2, inf)


def he_network(widths: tuple[int, ...], seed: int) -> ReluNetwork:
    rng = np.random.default_rng([seed, *widths])
    sizes = itertools.pairwise(widths)
    return ReluNetwork(
        [(rng.normal(size=(m, n)) * np.sqrt(2 / n), 0.3 * rng.normal(size=m)) for n, m in sizes]
    )


def weights_of(network: ReluNetwork) -> list[FloatArray]:
    return [np.asarray(layer.weight) for layer in network.layers]


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("widths", [(3, 6, 6, 2), (2, 8, 7, 1), (6, 5, 4, 3)])
def test_branching_is_enumeration(widths: tuple[int, ...], p: float) -> None:
    network = he_network(widths, 0)
    for box in ((-1.0, 1.0), None):
        found = exact_constant(network, p, box=box)
        expected = exact_constant(network, p, box=box, method="enumeration")
        assert found.closed
        assert found.lower == pytest.approx(expected.upper, rel=1e-9)
        assert found.upper >= expected.lower
        at_witness = np.linalg.norm(network.affine(found.witness).weight, p)
        assert at_witness == pytest.approx(found.lower, rel=1e-9)
        if box is not None:
            assert np.all(np.abs(found.witness) <= 1)


@pytest.mark.parametrize("p", [1, inf])
def test_programmes_agree(p: float) -> None:
    leaky = leaky_network(3, 3, np.random.default_rng(4))
    for network in (he_network((3, 6, 5, 2), 1), leaky):
        for box in ((-1.0, 1.0), (0.2, 0.6)):
            found = exact_constant(network, p, box=box, method="milp")
            expected = exact_constant(network, p, box=box)
            assert expected.closed
            assert found.lower == pytest.approx(expected.lower, rel=1e-8)
            assert expected.lower <= found.upper <= expected.upper * (1 + 1e-4)
            assert np.all((found.witness >= box[0]) & (found.witness <= box[1]))


@pytest.mark.parametrize("seed", range(2))
def test_leaky_units_of_all_slopes(seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    slopes = np.array([-0.5, 0.1, 0.5, 1.0, 2.0])
    network = ReluNetwork(
        [
            Layer(rng.normal(size=(5, 2)), rng.normal(size=5), slopes),
            Layer(rng.normal(size=(5, 5)), rng.normal(size=5), rng.permutation(slopes)),
            # Outputs with two phases count too.
            Layer(rng.normal(size=(2, 5)), rng.normal(size=2), np.array([0.3, 1.0])),
        ]
    )
    for p in NORMS:
        for box in (None, (0, inf)):
            found = exact_constant(network, p, box=box)
            expected = exact_constant(network, p, box=box, method="enumeration")
            assert found.closed
            assert found.lower == pytest.approx(expected.lower, rel=1e-9)
        if p != 2:
            programme = exact_constant(network, p, box=(-1, 1), method="milp")
            inside = exact_constant(network, p, box=(-1, 1))
            assert programme.lower == pytest.approx(inside.lower, rel=1e-8)
            assert programme.upper == pytest.approx(inside.upper, rel=1e-4)


def test_regions_without_interior_do_not_count() -> None:
    # The outputs are x and 4 x. Were the pattern counted in which x and -x are both positive,
    # which only 0 is near, the slopes would be 2 and 8.
    network = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, -1.0], [4.0, -4.0]], [0.0, 0.0])])
    for box in ((-1, 1), None):
        found = exact_constant(network, 1, box=box)
        assert found.lower <= 5 <= found.upper <= 5 * (1 + 1e-9)
    # Lines through one point: twelve of the 2^6 patterns have an interior, in the whole plane.
    angles = np.arange(6) * np.pi / 6
    lines = np.column_stack([np.cos(angles), np.sin(angles)])
    fan = ReluNetwork([(lines, np.zeros(6)), (np.eye(6)[:3] - np.eye(6)[3:], np.zeros(3))])
    for p in NORMS:
        found = exact_constant(fan, p)
        assert found.closed
        expected = exact_constant(fan, p, method="enumeration")
        assert found.upper == pytest.approx(expected.upper, rel=1e-9)


def test_a_thin_region_counts() -> None:
    # 1e10 (relu(x) - relu(x - 1e-11)): steep in a region too thin for the enumeration's balls.
    steep = ReluNetwork([([[1.0], [1.0]], [0.0, -1e-11]), ([[1e10, -1e10]], [0.0])])
    found = exact_constant(steep, box=(-1, 1))
    assert found.upper >= 1e10
    assert exact_constant(steep, box=(-1, 1), method="enumeration").upper < 1


def test_intervals_are_nested_in_time() -> None:
    network = he_network((4, 16, 16, 3), 0)
    found = [
        exact_constant(network, p=1, box=(-1, 1), time_limit=limit) for limit in (1e-3, 0.5, 1.5)
    ]
    for first, second in itertools.pairwise(found):
        assert first.lower <= second.lower <= second.upper <= first.upper
    assert found[0].n_nodes < found[-1].n_nodes
    assert found[-1].upper < found[0].upper


@pytest.mark.parametrize("seed", range(2))
def test_chain_of_bounds(seed: int) -> None:
    rng = np.random.default_rng([9, seed])
    network = he_network((3, 6, 5, 2), seed)
    weights = weights_of(network)
    for p in NORMS:
        sampled = sampled_constant(network, rng.uniform(-1, 1, (2, 3)), p, box=(-1, 1))
        inside, everywhere = (exact_constant(network, p, box=box) for box in ((-1, 1), None))
        free = free_pattern_maximum(weights, p)
        product = np.prod([operator_norm_upper(w, np.zeros_like(w), p) for w in weights])
        assert 0 < sampled.value <= inside.upper
        assert inside.lower <= everywhere.upper
        assert everywhere.lower <= free.upper <= product * (1 + 1e-9)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("widths", [(3, 5, 4, 2), (2, 9, 1), (3, 3, 3, 3, 2)])
def test_free_patterns(widths: tuple[int, ...], p: float) -> None:
    rng = np.random.default_rng([5, *widths])
    weights = [rng.normal(size=(m, n)) for n, m in itertools.pairwise(widths)]
    expected = 0.0
    for phases in itertools.product((0.0, 1.0), repeat=sum(widths[1:-1])):
        state, first = weights[0], 0
        for weight in weights[1:]:
            last = first + len(state)
            state = weight @ (np.array(phases[first:last])[:, None] * state)
            first = last
        expected = max(expected, float(np.linalg.norm(state, p)))
    found = free_pattern_maximum(weights, p)
    assert found.lower <= expected * (1 + 1e-12)
    assert expected <= found.upper * (1 + 1e-12)
    assert found.upper - found.lower <= 1e-9 * expected
    alone = free_pattern_maximum(weights, p, max_nodes=0)
    assert 0.8 * expected <= alone.lower <= expected * (1 + 1e-12) <= alone.upper
    assert free_pattern_maximum(weights, p, max_nodes=0, upper=expected).upper <= expected
    scaled = free_pattern_maximum([3 * weights[0], *weights[1:]], p)
    assert scaled.lower == pytest.approx(3 * expected, rel=1e-9)


def test_free_pattern_refusals() -> None:
    with pytest.raises(ValueError, match="layer 1 takes 3 values"):
        free_pattern_maximum([np.ones((2, 2)), np.ones((1, 3))])
    with pytest.raises(ValueError, match=r"weights\[0\]"):
        free_pattern_maximum([np.ones(2)])
    with pytest.raises(ValueError, match="not finite"):
        free_pattern_maximum([np.array([[np.nan]])])
    with pytest.raises(ValueError, match="starts"):
        free_pattern_maximum([np.ones((1, 1))], starts=0)
    with pytest.raises(ValueError, match="upper"):
        free_pattern_maximum([np.ones((1, 1))], upper=-1)


def test_slope_boxes_hold_all_their_jacobians() -> None:
    rng = np.random.default_rng(6)
    network = random_network((3, 5, 4, 2), rng)
    least = rng.uniform(-0.5, 0.5, size=(8, 9))
    most = least + rng.uniform(0, 1, size=(8, 9)) * (rng.uniform(size=(8, 9)) < 0.5)
    first, second, last = weights_of(network)
    for p in NORMS:
        norms = SlopeNorms(network, p)
        upper, rough = norms.upper(least, most), norms.rough(least, most)
        assert np.all(upper <= rough * (1 + 1e-9))
        share = rng.integers(2, size=(200, *least.shape))
        for slopes in least + share * (most - least):
            for k, each in enumerate(slopes):
                matrix = last @ (each[5:, None] * second) @ (each[:5, None] * first)
                assert np.linalg.norm(matrix, p) <= upper[k] * (1 + 1e-13)
        one = norms.upper(least, least)
        for k, each in enumerate(least):
            matrix = last @ (each[5:, None] * second) @ (each[:5, None] * first)
            assert one[k] == pytest.approx(np.linalg.norm(matrix, p), rel=1e-9)


def test_spectral_norms_of_many_matrices() -> None:
    rng = np.random.default_rng(8)
    matrices = rng.normal(size=(20, 3, 7)) * 10.0 ** rng.integers(-9, 9, size=(20, 1, 1))
    matrices[3] = 0.0
    matrices[4] = np.outer(rng.normal(size=3), rng.normal(size=7))
    for each in (matrices, matrices.transpose(0, 2, 1)):
        exact = np.linalg.norm(each, 2, axis=(1, 2))
        found = spectral_upper(each)
        assert np.all(found >= exact * (1 - 1e-14))
        assert np.all(found <= exact * (1 + 1e-9))


def test_exact_forms_are_the_affine_pieces() -> None:
    rng = np.random.default_rng(2)
    network = leaky_network(3, 3, rng)
    forms = ExactForms(network)
    phases = rng.random(network.n_units) < 0.5
    units = np.column_stack(network.piece(phases).units)
    first = 0
    for i, layer in enumerate(network.layers[:-1]):
        rows = forms.layer(i, phases)
        ratios = [[Fraction(int(each), int(row[0])) for each in row] for row in rows]
        floats = units[first : first + len(layer.hinges)]
        assert np.allclose(np.array(ratios, float), floats / floats[:, :1], rtol=1e-10)
        assert np.all(np.sign(rows[:, 0].astype(float)) == np.sign(floats[:, 0]))
        first += len(layer.hinges)


def test_proofs_of_empty_interiors() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        n = int(rng.integers(1, 5))
        rows = rng.integers(-9, 10, size=(n, n + 1)).astype(object)
        parts = rng.integers(1, 5, size=n)
        if abs(np.linalg.det(rows[:, :n].astype(float))) < 0.5:
            continue
        for shift, expected in ((0, True), (1, True), (-1, False)):
            # Less a combination of the others: they are never all positive together.
            last = -(parts @ rows)
            last[-1] -= shift
            assert no_interior([*rows.tolist(), last.tolist()]) is expected


def test_a_point_on_a_boundary_proves_nothing() -> None:
    network = he_network((3, 6, 5, 2), 0)
    rng = np.random.default_rng(1)
    x = rng.normal(size=3)
    norm = norm_at(network, x, 2)
    assert norm == pytest.approx(np.linalg.norm(network.affine(x).weight, 2), rel=1e-10)
    piece = network.piece(network.pattern(x))
    weight, shift = piece.units.weight[2], piece.units.bias[2]
    on = x - (weight @ x + shift) / (weight @ weight) * weight
    assert norm_at(network, on, 2) is None


def test_a_wide_network_is_sampled() -> None:
    network = he_network((100, 60, 60, 10), 0)
    rng = np.random.default_rng(0)
    start = rng.uniform(size=(1, 100))
    here = np.linalg.norm(network.affine(start[0]).weight, 2)
    found = sampled_constant(network, start, steps=20, box=(0, 1))
    assert found.value > 1.05 * here
    ratio = np.linalg.norm(network(found.x) - network(found.y)) / np.linalg.norm(found.x - found.y)
    assert ratio * (1 - 1e-6) <= found.value <= ratio
