"""Certified distances: linear models, brute force over cells, samples, methods, hostile inputs."""

from typing import get_args

import numpy as np
import pytest

from tests.relu_nets import random_network
from theory.distance.certificates.batch import Method
from theory.distance.certificates.sets import Sets
from theory.distance.certified import MarginCertifier, certified, certified_many
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

NORMS = (1, 2, np.inf)
METHODS: tuple[Method, ...] = get_args(Method)
DUAL = {1: np.inf, 2: 2, np.inf: 1}


def linear_network(n: int, k: int, rng: np.random.Generator) -> ReluNetwork:
    return ReluNetwork([(rng.normal(size=(k, n)), rng.normal(size=k))])


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize(("n", "k"), [(1, 2), (2, 3), (50, 10)])
def test_equal_to_the_distance_of_linear_models(n: int, k: int, p: float) -> None:
    rng = np.random.default_rng([n, k])
    network = linear_network(n, k, rng)
    points = rng.normal(size=(6, n))
    labels = network(points).argmax(axis=1)
    layer = network.layers[0]
    weight, scores = np.asarray(layer.weight), network(points)
    rows = np.arange(6)
    norms = np.linalg.norm(weight[labels][:, None] - weight[None], DUAL[p], axis=2)
    norms[rows, labels] = 1.0
    ratio = (scores[rows, labels][:, None] - scores) / norms
    ratio[rows, labels] = np.inf
    exact = ratio.min(axis=1)
    methods: tuple[Method, ...] = ("product", "local", "interval", "linear", "best")
    for method in (*methods, "semidefinite") if p == 2 else methods:
        found = certified_many(network, points, p=p, method=method)
        tolerance = 1e-4 if method == "semidefinite" else 1e-9
        np.testing.assert_allclose(found, exact, rtol=tolerance, err_msg=method)
        assert np.all(found <= exact * (1 + 1e-12)), method


@pytest.mark.parametrize("p", [2, np.inf])
def test_linear_models_in_a_box(p: float) -> None:
    network = ReluNetwork([([[3.0, 1.0], [0.0, 0.0]], [0.0, 0.0])])
    # The first coordinate can fall by 0.1 only: the second has to do the rest.
    x = np.array([0.1, 0.5])
    box = ([0.0, -5.0], [1.0, 5.0])
    exact = np.hypot(0.1, 0.5) if p == 2 else 0.5
    found = certified(network, x, p=p, box=box, method="linear")
    assert exact * (1 - 2e-3) < found <= exact
    assert certified(network, x, p=p, method="best") == pytest.approx(
        0.8 / (np.sqrt(10) if p == 2 else 4), rel=1e-9
    )
    assert certified(network, x, p=p, box=(0, 1), method="linear") > 0.5 * exact
    assert certified(network, x, p=p, box=([0.05, 0.1], [1, 1]), method="linear") == np.inf


@pytest.mark.parametrize("p", [2, np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_batched_as_single(method: Method, p: float) -> None:
    rng = np.random.default_rng(1)
    network = random_network((3, 6, 5, 3), rng)
    points = rng.normal(size=(3, 3))
    found = certified_many(network, points, p=p, method=method)
    single = [certified(network, x, p=p, method=method) for x in points]
    np.testing.assert_allclose(found, single, rtol=2e-3)
    assert certified_many(network, points[:0], p=p, method=method).shape == (0,)


@pytest.mark.parametrize("method", METHODS)
def test_scaling_of_outputs_and_inputs(method: Method) -> None:
    rng = np.random.default_rng(2)
    network = random_network((3, 6, 3), rng)
    first, last = network.layers
    louder = ReluNetwork([first, Layer(4 * np.asarray(last.weight), 4 * last.bias, last.slope)])
    wider = ReluNetwork([Layer(np.asarray(first.weight) / 2, first.bias, first.slope), last])
    x = rng.normal(size=3)
    found = certified(network, x, p=2, method=method)
    assert certified(louder, x, p=2, method=method) == pytest.approx(found, rel=3e-3)
    assert certified(wider, 2 * x, p=2, method=method) == pytest.approx(2 * found, rel=3e-3)


def test_labels_that_are_wrong_or_tied_have_no_radius() -> None:
    network = ReluNetwork([(np.eye(3), np.zeros(3))])
    points = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    for method in METHODS:
        assert certified_many(network, points, p=2, method=method)[1] == 0
        assert certified_many(network, points, p=2, method=method, labels=[1, 1]).tolist() == [0, 0]


def test_a_class_that_is_never_reached_is_at_infinity() -> None:
    network = ReluNetwork([([[1.0, 1.0], [1.0, 1.0]], [2.0, 0.0])])
    for method in METHODS:
        assert certified(network, [0.0, 0.0], p=2, method=method) == np.inf


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("boxed", [False, True])
def test_least_values_on_sets(boxed: bool, p: float) -> None:
    rng = np.random.default_rng(7)
    box = (np.full(4, -0.3), np.full(4, 0.8)) if boxed else None
    center = rng.uniform(-0.3, 0.8, (2, 4))
    sets = Sets(center, np.array([0.2, 0.7]), p, box)
    rows = rng.normal(size=(2, 5, 4))
    steps = rng.standard_normal((20_000, 4))
    steps /= np.linalg.norm(steps, p, axis=1, keepdims=True)
    lower, lowest = sets.least(rows), sets.lowest(rows)
    for b in range(2):
        inside = center[b] + sets.radius[b] * steps * rng.uniform(size=(len(steps), 1)) ** 0.1
        if box is not None:
            inside = inside[np.all((inside >= box[0]) & (inside <= box[1]), axis=1)]
        assert np.all(rows[b] @ inside.T >= lower[b][:, None])
        if p != 1 or not boxed:
            reached = np.einsum("kn,kn->k", rows[b], lowest[b])
            np.testing.assert_allclose(reached, lower[b], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 3}, "p must be 1, 2 or inf"),
        ({"method": "magic"}, "method must be one of product, semidefinite"),
        ({"points": [0.0, 0.0]}, r"points have the shape \(B, 2\)"),
        ({"points": [[np.nan, 0.0]]}, "points must be finite"),
        ({"labels": [3]}, "labels must be from 0 to 2"),
        ({"labels": [0.5]}, "labels must be 1 whole numbers"),
        ({"labels": [0, 1]}, "labels must be 1 whole numbers"),
        ({"box": (1.0, 2.0)}, r"points\[0, 0\] = 0.0 is outside the box \[1.0, 2.0\]"),
        ({"box": (1.0, -1.0)}, "the box is empty"),
        ({"box": 3}, r"a box is a pair \(low, high\)"),
        ({"deployment": "float16"}, "deployment must be one of exact, float64, float32"),
        ({"network": "net"}, "a network is a ReluNetwork or a FeedForward, got str"),
        ({"network": ReluNetwork([([[1.0, 1.0]], [0.0])])}, "2 outputs or more"),
    ],
)
def test_bad_input_is_one_clear_error(change: dict[str, object], message: str) -> None:
    network = ReluNetwork([(np.ones((3, 2)), np.arange(3.0))])
    given: dict[str, object] = {"network": network, "points": [[0.0, 0.0]], "p": 2} | change
    with pytest.raises(ValueError, match=message):
        certified_many(given.pop("network"), given.pop("points"), **given)  # type: ignore[arg-type]


def test_bad_settings() -> None:
    network = linear_network(2, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="x must be one point"):
        certified(network, [[0.0, 0.0]], p=2)
    with pytest.raises(ValueError, match="steps must be a whole number"):
        MarginCertifier(network, steps=-1)
    with pytest.raises(ValueError, match="tolerance must be between 0 and 1"):
        MarginCertifier(network, tolerance=0.0)
