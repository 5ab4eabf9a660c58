"""The entry point: what all methods return, levels, margins, and input that makes no sense."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from tests.relu_nets import Array, digits_network, random_network
from theory.hamming import targeted
from theory.hamming.given.fixed import best_margin
from theory.hamming.labels import Method, Targeted
from theory.hamming.limits import Box
from theory.hamming.problem import MARGIN, LabelProblem
from theory.hamming.rounding import rounded
from theory.relu.network import ReluNetwork

FREE = (-np.inf, np.inf)


def check(found: Targeted, network: ReluNetwork, x: Array, target: int, most: int) -> None:
    np.testing.assert_array_equal(found.path[0], x)
    outputs = network(found.path[-1])
    assert found.margin == pytest.approx(outputs[target] - np.delete(outputs, target).max())
    if found.point is None:
        assert found.upper == math.inf
        assert found.coordinates == ()
    else:
        np.testing.assert_array_equal(found.path[-1], found.point)
        assert int(network.label(found.point)) == target
        assert found.margin > MARGIN
        assert found.coordinates == tuple(np.flatnonzero(found.point != x).tolist())
        assert found.upper == len(found.coordinates) <= most
        assert 1 <= found.lower <= found.upper


@pytest.mark.parametrize("levels", [None, 16])
@pytest.mark.parametrize(
    ("method", "most", "box"),
    [("path", 20, FREE), ("climb", 9, (-50, 51)), ("search", 30, (0, 1)), ("search", 6, (-2, 3))],
)
def test_all_targets_on_digits(method: Method, most: int, box: Box, levels: int | None) -> None:
    network, images, labels = digits_network()
    stream, reached = np.random.default_rng(0), []
    for i, target in itertools.product(range(2), range(10)):
        if target == labels[i]:
            continue
        given: dict[str, Any] = {} if method == "search" else {"stream": stream, "draws": 3}
        found = targeted(
            network,
            images[i],
            target,
            box=box,
            max_changes=most,
            method=method,
            levels=levels,
            **given,
        )
        check(found, network, images[i], target, most)
        assert np.all((np.asarray(box[0]) <= found.path) & (found.path <= box[1]))
        if found.point is not None and levels is not None:
            values = found.point[list(found.coordinates)] * levels
            np.testing.assert_allclose(values, np.rint(values), atol=1e-9)
        reached.append(found.point is not None)
    assert np.mean(reached) > 0.9


@pytest.mark.parametrize("method", ["path", "climb"])
def test_given_coordinates_and_a_pool(method: Method) -> None:
    network, images, labels = digits_network()
    target = int(labels[0] + 1) % 10
    stream = np.random.default_rng(1)
    given: dict[str, Any] = {"box": (-60, 60), "method": method, "draws": 4, "stream": stream}
    chosen = list(range(16, 40))
    found = targeted(network, images[0], target, coordinates=chosen, **given)
    assert found.point is not None
    assert set(found.coordinates) <= set(chosen)
    check(found, network, images[0], target, len(chosen))
    pool = list(range(8, 48))
    found = targeted(network, images[0], target, max_changes=12, pool=pool, **given)
    assert found.point is not None
    assert set(found.coordinates) <= set(pool)
    check(found, network, images[0], target, 12)


@pytest.mark.parametrize("method", ["path", "climb", "search"])
def test_a_larger_margin_is_kept(method: Method) -> None:
    network, images, labels = digits_network()
    x, target = images[2], int(labels[2] + 3) % 10
    given: dict[str, Any] = {"box": (-9, 9), "max_changes": 20, "method": method}
    if method != "search":
        given |= {"stream": np.random.default_rng(2), "draws": 5}
    found = targeted(network, x, target, margin=1.5, **given)
    assert found.point is not None
    assert found.margin > 1.5
    check(found, network, x, target, 20)


def test_exact_is_the_best_over_all_sets_of_coordinates() -> None:
    rng, seen = np.random.default_rng(3), set()
    for _ in range(12):
        network = random_network((5, 6, 3), rng)
        x = rng.uniform(-1, 1, 5)
        target = int(network(x).argmin())
        problem = LabelProblem.of(network, x, target, (-1, 1))
        least = next(
            (
                k
                for k in range(1, 6)
                for chosen in itertools.combinations(range(5), k)
                if best_margin(problem, chosen).lower > 1e-5
            ),
            math.inf,
        )
        found = targeted(network, x, target, box=(-1, 1), max_changes=5, method="exact")
        assert found.upper == least
        assert found.lower == min(least, 6)
        if found.point is not None:
            check(found, network, x, target, 5)
        seen.add(least)
    assert len(seen) > 1


def test_rounding_tries_more_than_the_nearest() -> None:
    rng, repaired = np.random.default_rng(4), 0
    for _ in range(40):
        network = random_network((4, 8, 3), rng)
        x = np.rint(rng.uniform(0, 1, 4) * 4) / 4
        problem = LabelProblem.of(network, x, int(network(x).argmin()), (0, 1))
        steps = np.array(list(itertools.product(range(5), repeat=4))) / 4
        exists = bool(np.any(problem.margin(steps) > MARGIN))
        best = best_margin(problem, range(4))
        way = problem.x + np.linspace(0, 1, 200)[:, None] * (best.point - problem.x)
        good = np.flatnonzero(problem.margin(way) > MARGIN)
        if not len(good):
            continue
        # The first point with the label is just beyond the boundary: levels may be before it.
        point = way[good[0]]
        nearest = np.where(point == x, x, np.rint(point * 4) / 4)
        lost = not float(problem.margin(nearest)) > MARGIN
        found = rounded(problem, point, 4, MARGIN)
        if found is not None:
            assert exists
            assert float(problem.margin(found)) > MARGIN
            assert np.all(np.isin(found, [0, 0.25, 0.5, 0.75, 1]))
            assert np.all((found == x) | (point != x))
            repaired += lost
        else:
            assert lost
    assert repaired > 3


def test_no_level_in_the_box_is_no_point() -> None:
    network = ReluNetwork([([[0.0], [4.0]], [0.0, -1.0])])
    given: dict[str, Any] = {"coordinates": [0], "method": "climb"}
    assert targeted(network, [0.2], 1, box=(0.1, 0.3), **given).point is not None
    none = targeted(network, [0.2], 1, box=(0.1, 0.3), levels=2, **given)
    assert none.point is None
    assert none.lower == 1
    assert none.margin > MARGIN


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"target": 0}, "is the label of x"),
        ({"target": 3}, "target must be a class"),
        ({"box": (0.4, 1)}, "outside the box"),
        ({"max_changes": 0}, "max_changes must be 1 to 4"),
        ({"max_changes": 5}, "max_changes must be 1 to 4"),
        ({"max_changes": None}, "give max_changes"),
        ({"method": "jump"}, "method must be one of"),
        ({"margin": 0.0}, "margin must be at least"),
        ({"margin": math.nan}, "margin must be at least"),
        ({"levels": 0}, "levels must be at least 1"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"coordinates": [1, 2]}, "chooses the coordinates"),
        ({"pool": [1, 2]}, "chooses the coordinates"),
        ({"method": "climb"}, "a stream is needed"),
        ({"method": "climb", "coordinates": [1], "draws": 2}, "a stream is needed"),
        ({"method": "climb", "coordinates": [1, 1]}, "must not repeat"),
        ({"method": "climb", "coordinates": [4]}, "out of range"),
        ({"method": "climb", "coordinates": []}, "give 1 to 2 coordinates"),
        ({"method": "climb", "coordinates": [0, 1, 2]}, "give 1 to 2 coordinates"),
        ({"method": "path", "coordinates": [1]}, "needs as many coordinates"),
        ({"method": "path", "pool": [1], "stream": np.random.default_rng(0)}, "k must be 1 to 1"),
    ],
)
def test_bad_input(given: dict[str, Any], says: str) -> None:
    network = ReluNetwork([(np.eye(3, 4), [1.0, 0.0, 0.0])])
    asked: dict[str, Any] = {"target": 1, "box": (0, 1), "max_changes": 2} | given
    target = asked.pop("target")
    with pytest.raises(ValueError, match=says):
        targeted(network, [0.2] * 4, target, **asked)
