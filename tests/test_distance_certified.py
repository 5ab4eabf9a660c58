"""Certified distances: linear models, brute force over cells, samples, methods, hostile inputs."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from tests.relu_nets import digits_network, random_network
from theory.arrays import FloatArray
from theory.distance.certificates.batch import Method
from theory.distance.certificates.deployment import DeploymentError
from theory.distance.certificates.sets import Sets
from theory.distance.certified import MarginCertifier, certified, certified_many, compose
from theory.lipschitz.activations.curved import Sigmoid, Tanh
from theory.lipschitz.feed_forward import FeedForward
from theory.relu import activation_regions
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

NORMS = (1, 2, np.inf)
METHODS: tuple[Method, ...] = get_args(Method)
DUAL = {1: np.inf, 2: 2, np.inf: 1}


def linear_network(n: int, k: int, rng: np.random.Generator) -> ReluNetwork:
    return ReluNetwork([(rng.normal(size=(k, n)), rng.normal(size=k))])


def curved(network: ReluNetwork, last: bool = False) -> FeedForward:
    """Return the network with tanh between its layers, and perhaps a sigmoid at its end."""
    stages = FeedForward.of(network).stages
    inner = [dataclasses.replace(each, activation=Tanh()) for each in stages[:-1]]
    end = dataclasses.replace(stages[-1], activation=Sigmoid()) if last else stages[-1]
    return FeedForward((*inner, end))


def other_points(
    network: ReluNetwork | FeedForward,
    x: FloatArray,
    p: float,
    rng: np.random.Generator,
    n: int = 2000,
) -> float:
    """Return the distance of the nearest of many points with another label, on rays through x."""
    label = int(network(x).argmax())
    steps = rng.standard_normal((n, len(x)))
    steps[: 2 * len(x)] = np.vstack([np.eye(len(x)), -np.eye(len(x))])[:n]
    steps[n // 2 :] = np.sign(steps[n // 2 :])
    steps /= np.linalg.norm(steps, p, axis=1, keepdims=True)
    nearest = np.inf
    for t in np.geomspace(1e-3, 30, 60):
        changed = network(x + t * steps).argmax(axis=1) != label
        if not changed.any():
            continue
        low, high = np.zeros(changed.sum()), np.full(changed.sum(), t)
        for _ in range(30):
            middle = low / 2 + high / 2
            other = network(x + middle[:, None] * steps[changed]).argmax(axis=1) != label
            low, high = np.where(other, low, middle), np.where(other, middle, high)
        nearest = min(nearest, float(high.min()))
        break
    return nearest


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


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("kind", ["relu", "tanh", "sigmoid head", "leaky"])
def test_never_above_a_sampled_point(kind: str, p: float) -> None:
    rng = np.random.default_rng(3)
    plain = random_network((3, 6, 5, 3), rng)
    points = rng.normal(size=(3, 3))
    if kind == "leaky":
        slopes = (rng.uniform(-0.5, 2.0, 6), rng.uniform(0.0, 1.0, 5), np.ones(3))
        plain = ReluNetwork(
            [Layer(e.weight, e.bias, s) for e, s in zip(plain.layers, slopes, strict=True)]
        )
    # Scores that are level on the whole, so that labels change nearby.
    smooth = curved(plain) if kind in ("tanh", "sigmoid head") else plain
    last = plain.layers[-1]
    level = last.bias - smooth(rng.normal(size=(200, 3))).mean(axis=0)
    plain = ReluNetwork([*plain.layers[:-1], Layer(last.weight, level, last.slope)])
    network = curved(plain, kind != "tanh") if isinstance(smooth, FeedForward) else plain
    upper = np.array([other_points(network, x, p, rng) for x in points])
    assert np.all(np.isfinite(upper))
    certifier = MarginCertifier(network)
    for method in METHODS:
        found = certifier.radii(points, p=p, method=method)
        assert np.all(found > 0), method
        assert np.all(found <= upper), method
        if method in ("interval", "linear"):
            again = certifier.radii(points, p=p, method=method, box=(-9.0, 9.0))
            assert np.all(again <= upper), method


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


def test_best_is_the_largest_and_strong_on_trained_digits() -> None:
    network, images, labels = digits_network()
    points = images[:6]
    certifier = MarginCertifier(network)
    found = {m: certifier.radii(points, p=2, method=m, labels=labels[:6]) for m in METHODS}
    for method in METHODS:
        assert np.all(found["best"] >= found[method] * (1 - 5e-3)), method
    assert np.median(found["semidefinite"] / found["product"]) > 1.2
    assert np.all(found["linear"] > 1.5 * found["interval"])
    plain = MarginCertifier(network, steps=0).radii(points, p=2, method="linear")
    assert np.all(found["linear"] >= plain * (1 - 2e-3))


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


def test_norms_are_ordered() -> None:
    network, images, _ = digits_network()
    one, two, most = (certified_many(network, images[:4], p=p, method="linear") for p in NORMS)
    assert np.all(most <= two * 1.002)
    assert np.all(two <= one * 1.002)


def test_compositions_are_certified_as_one_network() -> None:
    rng = np.random.default_rng(4)
    first, second = random_network((2, 6, 5), rng), random_network((5, 6, 3), rng)
    whole = compose(first, second)
    assert isinstance(whole, ReluNetwork)
    points = rng.normal(size=(4, 2))
    np.testing.assert_array_equal(whole(points), second(first(points)))
    mixed = compose(curved(first), second)
    assert isinstance(mixed, FeedForward)
    np.testing.assert_array_equal(mixed(points), second(curved(first)(points)))
    for network in (whole, mixed):
        upper = np.array([other_points(network, z, 2, rng) for z in points])
        for method in METHODS:
            assert np.all(certified_many(network, points, p=2, method=method) <= upper)
    # The affine maps that meet, merged by hand: all but rounding is the same.
    meet, after = first.layers[-1], second.layers[0]
    weight = np.asarray(after.weight) @ np.asarray(meet.weight)
    bias = np.asarray(after.weight) @ meet.bias + after.bias
    merged = ReluNetwork([first.layers[0], Layer(weight, bias, after.slope), *second.layers[1:]])
    for method in ("semidefinite", "local", "linear"):
        one, two = (certified_many(n, points, p=2, method=method) for n in (whole, merged))
        np.testing.assert_allclose(one, two, rtol=5e-3, err_msg=method)
    with pytest.raises(ValueError, match=r"takes 5 values, but the first gives 3"):
        compose(second, second)


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


def test_deployment_in_floating_point() -> None:
    network, images, _ = digits_network()
    points = images[:2]
    methods: tuple[Method, ...] = ("product", "local", "linear", "best")
    for method in methods:
        found = {
            kind: MarginCertifier(network, deployment=kind).radii(points, p=2, method=method)
            for kind in ("exact", "float64", "float32")
        }
        assert np.all(found["float32"] < found["exact"]), method
        assert np.all(found["float64"] <= found["exact"]), method
        assert np.all(found["float32"] > 0.99 * found["exact"]), method
    assert certified(ReluNetwork([(np.eye(2), [9, 0])]), [0, 0], p=2, deployment="float32") > 6.3


@pytest.mark.parametrize("smooth", [False, True])
def test_rounding_of_a_forward_pass_is_bounded(smooth: bool) -> None:
    rng = np.random.default_rng(6)
    plain = random_network((20, 30, 30, 5), rng)
    network = curved(plain, last=True) if smooth else FeedForward.of(plain)
    points = rng.normal(size=(200, 20)).astype(np.float32)
    state = points
    for stage in network.stages:
        weight, bias = (np.asarray(e, dtype=np.float32) for e in (stage.weight, stage.bias))
        state = np.asarray(stage.activation(state @ weight.T + bias), dtype=np.float32)
    rounded = FeedForward(
        tuple(
            dataclasses.replace(
                each,
                weight=np.asarray(each.weight, dtype=np.float32).astype(float),
                bias=each.bias.astype(np.float32).astype(float),
            )
            for each in network.stages
        )
    )
    off = np.linalg.norm(state - rounded(points.astype(float)), axis=1)
    bound = DeploymentError(rounded, "float32")(np.linalg.norm(points.astype(float), axis=1))
    assert np.all(off <= bound)
    assert np.all(bound < 0.1)


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
