"""Moduli from paths of balls: closed forms, sampled pairs, and the laws of a modulus."""

import dataclasses
from math import inf

import numpy as np
import pytest

from tests.relu_nets import random_network
from theory.arrays import FloatArray
from theory.lipschitz.activations import Sigmoid
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.local import (
    certified_expansion,
    expansion_table,
    local_bound,
    modulus_on_ball,
    path_expansion,
)
from theory.relu.network import ReluNetwork

NORMS = (1, 2, inf)
LATE = ReluNetwork([([[1.0]], [-1.0]), ([[3.0]], [0.0])])  # z -> 3 max(z - 1, 0)


def generator(rng: np.random.Generator) -> FeedForward:
    """Return a decoder with a sigmoid at its end."""
    stages = FeedForward.of(random_network((3, 12, 14, 9), rng)).stages
    return FeedForward((*stages[:-1], dataclasses.replace(stages[-1], activation=Sigmoid())))


def steps_within(radius: float, p: float, n: int, rng: np.random.Generator) -> FloatArray:
    steps = rng.standard_normal((n, 3))
    steps /= np.linalg.norm(steps, p, axis=1, keepdims=True)
    return radius * (1 - 1e-12) * rng.uniform(size=(n, 1)) ** 0.2 * steps


@pytest.mark.parametrize("n_balls", [1, 4, 30])
def test_expansion_of_a_late_hinge(n_balls: int) -> None:
    for radius in (0.3, 0.999):
        assert certified_expansion(LATE, [0.0], radius, n_balls=n_balls) < 1e-100
    true, whole = 3 * (2.5 - 1), 3 * 2.5
    found = certified_expansion(LATE, [0.0], 2.5, n_balls=n_balls)
    assert true <= found <= whole * (1 + 1e-9)
    # Only the ball that first has the hinge in it counts with less than all of its length.
    reached = [2.5 * 0.75**k for k in range(n_balls) if 2.5 * 0.75**k > 1]
    inner = 0.75 * min(reached) if len(reached) < n_balls else 0.0
    assert found == pytest.approx(3 * (2.5 - inner), rel=1e-9)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("seed", range(2))
def test_expansions_are_not_below_what_is_seen(seed: int, p: float) -> None:
    rng = np.random.default_rng([seed, 1])
    for network in (generator(rng), FeedForward.of(random_network((3, 10, 10, 4), rng))):
        center = rng.standard_normal(3)
        for radius in (0.05, 0.4, 1.5):
            moved = network(center + steps_within(radius, p, 500, rng)) - network(center)
            seen = np.linalg.norm(moved, p, axis=1).max()
            found = certified_expansion(network, center, radius, p, n_balls=4)
            constant = local_bound(network, center, radius, p, tolerance=1e-3).value
            assert seen * (1 - 1e-12) <= found <= constant * radius * (1 + 2e-3)
    assert certified_expansion(network, center, 0.0, p) == 0


@pytest.mark.parametrize("p", NORMS)
def test_table(p: float) -> None:
    rng = np.random.default_rng(2)
    network, centers = generator(rng), rng.standard_normal((6, 3))
    radii = np.array([0.02, 0.1, 0.15, 0.7, 2.0])
    found = expansion_table(network, centers, radii, p)
    assert found.shape == (6, 5)
    assert np.all(np.diff(found, axis=1) > 0)
    for row, center in zip(found, centers, strict=True):
        for value, radius in zip(row, radii, strict=True):
            moved = network(center + steps_within(radius, p, 200, rng)) - network(center)
            assert value >= np.linalg.norm(moved, p, axis=1).max() * (1 - 1e-12)
            by = local_bound(network, center, radius, p, method="center_radius").value
            assert value <= by * radius * 1.05
    # An expansion does not depend on which other points are asked for.
    assert expansion_table(network, centers[3:4], radii, p) == pytest.approx(found[3:4], rel=1e-9)


def test_budget_tightens_the_table() -> None:
    rng = np.random.default_rng(3)
    network, centers = generator(rng), rng.standard_normal((3, 3))
    radii = [0.1, 0.5, 1.0]
    tables = [expansion_table(network, centers, radii, budget=n) for n in (0, 5, 10**6)]
    assert np.all(tables[1] <= tables[0] * (1 + 1e-12))
    assert np.all(tables[2] <= tables[1] * (1 + 1e-12))
    assert tables[2].sum() < 0.9 * tables[0].sum()
    for row, center in zip(tables[2], centers, strict=True):
        for value, radius in zip(row, radii, strict=True):
            moved = network(center + steps_within(radius, 2, 300, rng)) - network(center)
            assert value >= np.linalg.norm(moved, axis=1).max() * (1 - 1e-12)
    few = expansion_table(network, centers, radii, budget=10**6, max_units=0)
    assert np.array_equal(few, tables[0])


@pytest.mark.parametrize("p", NORMS)
def test_paths(p: float) -> None:
    rng = np.random.default_rng(4)
    network = generator(rng)
    for x, y in rng.standard_normal((3, 2, 3)):
        seen = np.linalg.norm(network(x) - network(y), p)
        found = [path_expansion(network, x, y, p, n_balls=n) for n in (1, 4, 32)]
        assert seen * (1 - 1e-12) <= min(found)
        assert found[2] < found[0]
        length = np.linalg.norm(x - y, p)
        one = local_bound(network, (x + y) / 2, length / 2 * (1 + 1e-9), p, tolerance=1e-3).value
        assert found[0] == pytest.approx(one * length, rel=5e-3)
    assert path_expansion(network, x, x, p) == 0
    # In one region of a piecewise-linear network a path is exact.
    line = ReluNetwork([([[2.0, 1.0]], [50.0]), ([[1.0]], [0.0])])
    assert path_expansion(line, [1, 1], [3, 2], inf) == pytest.approx(3 * 2, rel=1e-9)


@pytest.mark.parametrize("p", NORMS)
def test_modulus(p: float) -> None:
    rng = np.random.default_rng(5)
    network, center, radius = generator(rng), rng.standard_normal(3), 0.8
    distances = np.array([0.0, 1e-3, 0.05, 0.4, 1.0, 1.6, 9.0])
    found = modulus_on_ball(network, center, radius, distances, p, n_balls=5)
    constant = local_bound(network, center, radius, p, tolerance=1e-3).value
    assert found[0] == 0
    assert np.all(np.diff(found) >= 0)
    assert found[-1] == pytest.approx(found[-2], rel=1e-9)
    assert np.all(found <= constant * distances * (1 + 2e-3))
    x, y = (center + steps_within(radius, p, 4000, rng) for _ in range(2))
    near = x + (y - x) * rng.uniform(size=(4000, 1)) ** 2
    gaps = np.linalg.norm(near - x, p, axis=1)
    rises = np.linalg.norm(network(near) - network(x), p, axis=1)
    for distance, value in zip(distances[1:], found[1:], strict=True):
        assert value >= rises[gaps <= distance].max(initial=0.0) * (1 - 1e-12)
    if p == 2:  # long segments cross the middle, where the constants are smaller
        assert found[5] < 0.999 * constant * distances[5]
        single = modulus_on_ball(network, center, radius, 0.4, p)
        assert single == pytest.approx(modulus_on_ball(network, center, radius, [0.4], p)[0])


BAD_RADII = [[], [[0.1]], [0.2, 0.1], [0.1, 0.1], [0.0, 1.0], [-1.0], [float("nan")], [1.0, inf]]


@pytest.mark.parametrize("radii", BAD_RADII)
def test_bad_radii(radii: list[float]) -> None:
    with pytest.raises(ValueError, match="radii must be"):
        expansion_table(LATE, [[0.0]], radii)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="budget must be"):
        expansion_table(LATE, [[0.0]], [1.0], budget=-1)
    with pytest.raises(ValueError, match=r"shape \(n, 1\), got \(1,\)"):
        expansion_table(LATE, [0.0], [1.0])
    with pytest.raises(ValueError, match="n_balls must be a whole number"):
        certified_expansion(LATE, [0.0], 1.0, n_balls=0)
    with pytest.raises(ValueError, match="radius must be finite"):
        certified_expansion(LATE, [0.0], -1.0)
    with pytest.raises(ValueError, match="p must be 1, 2 or inf"):
        path_expansion(LATE, [0.0], [1.0], 3)
    with pytest.raises(ValueError, match=r"shape \(1,\), got \(2,\)"):
        path_expansion(LATE, [0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="distances must be at least 0"):
        modulus_on_ball(LATE, [0.0], 1.0, [-0.5])
    with pytest.raises(ValueError, match="distances must be at least 0"):
        modulus_on_ball(LATE, [0.0], 1.0, float("nan"))
