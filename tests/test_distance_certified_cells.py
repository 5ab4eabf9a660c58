"""Certified distances are never above one: brute force over cells, and points of a box."""

from typing import get_args

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from tests.relu_nets import random_network
from theory.arrays import FloatArray
from theory.distance.certificates.batch import Method
from theory.distance.certified import certified, certified_many
from theory.relu import activation_regions
from theory.relu.network import ReluNetwork

NORMS = (1, 2, np.inf)
METHODS: tuple[Method, ...] = get_args(Method)


def cells_distance(network: ReluNetwork, x: FloatArray, p: float) -> float:
    """Return the exact distance for two inputs: of all cells, edges of the other labels."""
    label, best = int(network(x).argmax()), np.inf
    for cell in activation_regions(network):
        piece = network.piece(cell.pattern)
        signs = np.where(cell.pattern, -1.0, 1.0)
        rows, shift = signs[:, None] * piece.units.weight, -signs * piece.units.bias
        for t in range(network.n_outputs):
            if t == label:
                continue
            a = piece.outputs.weight[label] - piece.outputs.weight[t]
            b = piece.outputs.bias[t] - piece.outputs.bias[label]
            upper, ends = np.vstack([rows, a]), np.append(shift, b)
            n = len(x)
            if p == np.inf:
                lines = np.vstack([np.eye(n), -np.eye(n)])
                size = np.hstack([lines, -np.ones((2 * n, 1))])
                cuts = np.vstack([np.hstack([upper, np.zeros((len(upper), 1))]), size])
                limits = np.concatenate([ends, x, -x])
                cost = np.append(np.zeros(n), 1.0)
                found = linprog(cost, cuts, limits, bounds=[(None, None)] * n + [(0, None)])
                if found.success:
                    best = min(best, found.fun)
                continue
            start = linprog(np.zeros(n), upper, ends, bounds=[(None, None)] * n)
            if not start.success:
                continue
            solved = minimize(
                lambda v: ((v - x) ** 2).sum(),
                start.x,
                jac=lambda v: 2 * (v - x),
                constraints={
                    "type": "ineq",
                    "fun": lambda v, u=upper, e=ends: e - u @ v,
                    "jac": lambda v, u=upper: -u,
                },
                method="SLSQP",
                options={"ftol": 1e-14},
            )
            if np.all(upper @ solved.x <= ends + 1e-9):
                best = min(best, float(np.sqrt(solved.fun)))
    return best


@pytest.mark.parametrize("p", [2, np.inf])
@pytest.mark.parametrize("seed", range(2))
def test_never_above_the_distance_over_all_cells(seed: int, p: float) -> None:
    rng = np.random.default_rng(seed)
    network = random_network((2, 4, 3, 3), rng)
    points = rng.normal(size=(3, 2))
    for x in points:
        exact = cells_distance(network, x, p)
        if not np.isfinite(exact):
            continue
        for method in METHODS:
            found = certified(network, x, p=p, method=method)
            assert found <= exact * (1 + 1e-7) + 1e-12, method
        # Far away all pairs of slopes are met, and nothing but products of norms is left.
        assert found > 0.2 * min(exact, 10.0)


@pytest.mark.parametrize("p", [2, np.inf])
def test_neighbours_in_a_box_alone_count(p: float) -> None:
    rng = np.random.default_rng(5)
    network = random_network((3, 8, 8, 3), rng)
    low, high = -0.5, 0.5
    points = rng.uniform(low, high, (4, 3))
    labels = network(points).argmax(axis=1)
    draws = rng.uniform(low, high, (40_000, 3))
    draws[rng.uniform(size=draws.shape) < 0.2] = low
    kinds = network(draws).argmax(axis=1)
    for method in METHODS:
        found = certified_many(network, points, p=p, box=(low, high), method=method)
        for x, label, radius in zip(points, labels, found, strict=True):
            distances = np.linalg.norm(draws[kinds != label] - x, p, axis=1)
            assert radius <= distances.min(initial=np.inf), method
    free = certified_many(network, points, p=p, method="linear")
    cut = certified_many(network, points, p=p, box=(low, high), method="linear")
    assert np.all(cut >= free * (1 - 2e-3))
    assert np.any(cut > free * 1.01)
