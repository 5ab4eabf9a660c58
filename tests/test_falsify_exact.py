"""What counterexamples rest on: elimination, rational networks, exact laws, evolution."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from tests.relu_nets import random_network
from theory.distance.exact import exact
from theory.falsify import rational
from theory.falsify.elimination import interior_point, least_square, least_value
from theory.falsify.evolution import descend
from theory.falsify.gauss import ConesLaw, LineLaw, PreciseConesLaw, PreciseLineLaw
from theory.falsify.rational_hamming import fewest_changes
from theory.hamming.exact.least import least_changes
from theory.hamming.problem import MARGIN, LabelProblem
from theory.lipschitz.exact import exact_constant
from theory.relu.enumeration import n_activation_regions
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork


@pytest.mark.parametrize("n", [1, 2, 3])
def test_elimination_against_points_and_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    empty = 0
    for _ in range(25):
        rows = rng.integers(-3, 4, size=(2 * n + 2, n + 1)).tolist()
        point = interior_point(rows, n)
        if point is None:
            empty += 1
            grid = itertools.product(np.linspace(-4, 4, 9), repeat=n)
            found = [all(np.dot(r[:-1], x) + r[-1] > 0 for r in rows) for x in grid]
            assert not any(found)
            continue
        for row in rows:
            assert sum((a * x for a, x in zip(row, point, strict=False)), Fraction(row[-1])) > 0
    assert 0 < empty < 25


def test_least_norms_of_polyhedra() -> None:
    corner = [(1, 0, -1), (0, 1, -2), (-1, -1, 9)]
    assert least_square(corner, 2) == 5
    assert least_square([*corner, (-1, 0, 0)], 2) is None
    assert least_square([(1, 0, 3)], 2) == 0
    # An optimum at a vertex: only both rows together give it.
    assert least_square([(1, 2, -5), (2, 1, -5)], 2) == Fraction(50, 9)
    assert least_value([(1, -1, 0, 0), (1, 0, -1, 0), (0, 1, 1, -4)], 3) == 2
    with pytest.raises(ValueError, match="no lower bound"):
        least_value([(-1, 0)], 1)


def dyadic(widths: tuple[int, ...], slope: float, rng: np.random.Generator) -> ReluNetwork:
    network = random_network(widths, rng)
    last = len(network.layers) - 1
    layers = []
    for i, layer in enumerate(network.layers):
        weight, bias = np.round(8 * np.asarray(layer.weight)) / 8, np.round(8 * layer.bias) / 8
        layers.append(Layer(weight, bias, np.full(len(bias), 1.0 if i == last else slope)))
    return ReluNetwork(layers)


@pytest.mark.parametrize(
    ("widths", "slope"),
    [((1, 3, 2), 0.25), ((2, 4, 2), 0.0), ((2, 2, 2, 3), 0.0), ((2, 3, 2), -1.0), ((3, 3, 2), 0.0)],
)
def test_rational_networks_against_certified_methods(widths: tuple[int, ...], slope: float) -> None:
    rng = np.random.default_rng(len(widths) * 7 + widths[0])
    network = dyadic(widths, slope, rng)
    assert rational.count_regions(network) == n_activation_regions(network)
    for p in (1, 2, math.inf):
        one, two = rational.lipschitz(network, p), exact_constant(network, p)
        assert one.lower <= two.upper
        assert two.lower <= one.upper
        assert one.upper - one.lower <= 1e-11 * one.upper
    for p in (2, math.inf):
        found = rational.distance(network, p)
        sure = exact(network, np.zeros(network.n_inputs), p=p)
        if math.isinf(found.lower):
            assert math.isinf(sure.upper)
            continue
        assert found.lower <= sure.upper
        assert sure.lower <= found.upper
        assert found.upper - found.lower <= 1e-14 * found.upper


def test_fewest_changes_against_branch_and_bound() -> None:
    seen = set()
    for seed in range(8):
        network = dyadic((3, 3, 3), 0.0, np.random.default_rng(seed))
        x = np.array([0.5, 0.25, 0.75])
        own = int(network.label(x))
        for target in {0, 1, 2} - {own}:
            lower, upper = fewest_changes(network, x, target, (0.0, 1.0), MARGIN)
            problem = LabelProblem.of(network, x, target, (0.0, 1.0))
            sure = least_changes(problem)
            assert (lower, upper) == (sure.lower, sure.upper)
            seen.add(lower)
    assert len(seen) > 1


GAPS = ((-np.inf, -0.5), (-0.5, 1.25), (1.25, np.inf))


def test_laws_of_strips_against_each_other_and_samples() -> None:
    eta = np.array([0.0, 0.1, 0.7, 0.9, 3.0, 9.0])
    law, precise = LineLaw(GAPS, 2.0), PreciseLineLaw(GAPS, 2.0)
    low, high = law.cdf(eta)
    for end in precise.cdf(eta):
        assert np.all((low <= end) & (end <= high))
    assert np.all(high - low < 1e-13)
    z = np.random.default_rng(0).standard_normal(40_000)
    radii = 2 * np.minimum(np.abs(z + 0.5), np.abs(z - 1.25))
    shares = np.array([(radii <= each).mean() for each in eta])
    np.testing.assert_allclose(shares, low, atol=0.01)
    mean, slow = law.mean(), precise.mean()
    assert slow.lower <= mean.upper
    assert mean.lower <= slow.upper
    assert mean.lower == pytest.approx(radii.mean(), abs=4 * radii.std() / 200)
    one_sided = LineLaw(((-np.inf, 1.0),))
    assert one_sided.cdf(np.array([0.5]))[0] == pytest.approx(1 - stats.norm.cdf(0.5), abs=1e-12)


def test_laws_of_cones_against_quadrature() -> None:
    eta = np.array([0.2, 1.0, 2.5])
    low, high = ConesLaw(3, 1.5).cdf(eta)
    for end in PreciseConesLaw(3, 1.5).cdf(eta):
        np.testing.assert_allclose(end, low, atol=2e-12)
    assert np.all(low <= high)
    assert ConesLaw(2).mean().lower == pytest.approx(math.sqrt(2 / math.pi), rel=1e-9)


def test_evolution_follows_a_bent_valley_and_stops() -> None:
    def valley(x: np.ndarray) -> float:
        return float((1 - x[0]) ** 2 + 20 * (x[1] - x[0] ** 2) ** 2)

    rng = np.random.default_rng(3)
    point, least = descend(valley, np.array([-1.0, 1.0]), rng, steps=1500, below=1e-10)
    assert least < 1e-10
    assert point == pytest.approx([1.0, 1.0], abs=1e-3)
    calls: list[float] = []

    def counted(x: np.ndarray) -> float:
        calls.append(float(x @ x))
        return calls[-1]

    descend(counted, np.ones(2), rng, steps=500, below=0.5)
    assert len(calls) < 60
    assert sum(each < 0.5 for each in calls) == 1
