"""Traversal of activation regions: against closed forms, enumeration and branch and bound."""

import itertools
import math

import numpy as np
import pytest

from theory.distance import DistanceProblem, exact
from theory.distance.oracles import enumerated, mixed_integer
from theory.distance.traversal import traversed
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

NORMS = (2.0, np.inf)


def random_network(seed: int, widths: tuple[int, ...], slopes: tuple[float, ...]) -> ReluNetwork:
    rng = np.random.default_rng(seed)
    layers = []
    for i, (n, m) in enumerate(itertools.pairwise(widths)):
        slope = rng.choice(slopes, size=m) if i < len(widths) - 2 else np.ones(m)
        weight = 1.5 * rng.normal(size=(m, n)) / np.sqrt(n)
        layers.append(Layer(weight, 0.5 * rng.normal(size=m), slope))
    return ReluNetwork(layers)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("box", [None, (-1.0, 1.0)])
@pytest.mark.parametrize(
    ("widths", "slopes"),
    [
        ((1, 6, 3), (0.0,)),
        ((2, 4, 4, 3), (0.0,)),
        ((3, 4, 3, 3), (0.0, 1.0)),
        ((2, 4, 3, 2), (0.1, 1.6, -0.7)),
    ],
)
def test_all_ways_agree(
    widths: tuple[int, ...],
    slopes: tuple[float, ...],
    box: tuple[float, float] | None,
    p: float,
) -> None:
    for seed in range(2):
        network = random_network(seed, widths, slopes)
        x = np.random.default_rng(seed + 50).uniform(-1, 1, size=widths[0])
        problem = DistanceProblem.of(network, x, p, box)
        least = enumerated(problem)
        found = traversed(problem)
        assert found.lower == found.upper
        if math.isinf(least):
            assert math.isinf(found.upper)
            continue
        searched = exact(network, x, p=p, box=box)
        assert found.upper == pytest.approx(least, rel=1e-6, abs=1e-7)
        assert found.upper == pytest.approx(searched.upper, rel=1e-6, abs=1e-7)
        if math.isinf(p):
            other = mixed_integer(problem, 2 * searched.upper)
            assert found.upper == pytest.approx(other.upper, abs=2e-6)


@pytest.mark.parametrize("p", NORMS)
def test_one_target(p: float) -> None:
    network = random_network(4, (2, 6, 6, 4), (0.0,))
    x = np.array([0.1, -0.2])
    label = int(network.label(x))
    each = [
        traversed(DistanceProblem.of(network, x, p, targets=[t])).upper
        for t in range(4)
        if t != label
    ]
    assert min(each) == pytest.approx(traversed(DistanceProblem.of(network, x, p)).upper, rel=1e-9)
    assert len({round(distance, 6) for distance in each}) > 1


def test_regions_are_entered_in_the_order_of_their_distances() -> None:
    # Regions [k, k + 1] of a line; the output 2 z - 9 leads beyond 4.5, in the fifth region.
    hinges = np.arange(1.0, 8.0)
    weight = np.vstack([np.zeros(8), np.append(np.zeros(7), 2.0)])
    first = Layer(np.ones((8, 1)), np.append(-hinges, 0.0), np.append(np.zeros(7), 1.0))
    network = ReluNetwork([first, Layer(weight, np.array([0.0, -9.0]), np.ones(2))])
    problem = DistanceProblem.of(network, [0.5], 2)
    found = traversed(problem)
    assert found.upper == pytest.approx(4.0)
    # Those to the left of x have no end, and those beyond 4.5 are never needed.
    assert found.n_regions == 5
    some = traversed(problem, max_regions=2)
    assert some.lower == pytest.approx(1.5)
    assert some.upper == math.inf
    assert some.n_regions == 2


def test_points_of_another_label_are_at_distance_0() -> None:
    network = ReluNetwork([(np.eye(2), np.zeros(2))])
    problem = DistanceProblem.of(network, [0.0, 1.0], 2, label=0)
    assert traversed(problem) == (0.0, 0.0, 0)
