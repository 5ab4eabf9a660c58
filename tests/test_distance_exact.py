"""Exact distances to another label: against closed forms, enumeration and a programme."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from empirics.data import load
from theory.arrays import FloatArray
from theory.distance import Distance, DistanceProblem, certified, exact
from theory.distance.oracles import enumerated, mixed_integer
from theory.distance.reach import HalfSpace, Reach, half_space_distance
from theory.distance.relaxation import Multipliers, Relaxation
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


@pytest.fixture(scope="module")
def digits() -> tuple[ReluNetwork, FloatArray]:
    data = load("digits")
    images = data.train_images.reshape(len(data.train_images), -1).astype(np.float64)
    model = MLPClassifier((16, 16), tol=9.0, n_iter_no_change=30, random_state=0)
    model.fit(images, data.train_labels)
    weights = zip(model.coefs_, model.intercepts_, strict=True)
    points = data.test_images.reshape(len(data.test_images), -1).astype(np.float64)
    return ReluNetwork([(w.T, b) for w, b in weights]), points


def check_point(network: ReluNetwork, x: FloatArray, found: Distance, p: float) -> None:
    """The point has another label, and is as far from x as the upper end says."""
    assert found.point is not None
    assert network.label(found.point) != network.label(x)
    change = [Fraction(a) - Fraction(b) for a, b in zip(found.point, x, strict=True)]
    upper = Fraction(found.upper)
    if math.isinf(p):
        assert max(abs(each) for each in change) <= upper
    else:
        assert sum(each * each for each in change) <= upper * upper


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("box", [None, (-1.0, 1.0)])
@pytest.mark.parametrize(
    ("widths", "slopes"),
    [
        ((2, 5, 3), (0.0,)),
        ((2, 4, 4, 2), (0.0,)),
        ((3, 4, 3, 3), (0.0, 1.0)),
        ((2, 4, 3, 3), (0.1,)),
        ((2, 4, 3, 3), (0.0, 0.3, 1.0, 1.7, -1.0)),
    ],
)
def test_agrees_with_enumeration(
    widths: tuple[int, ...],
    slopes: tuple[float, ...],
    box: tuple[float, float] | None,
    p: float,
) -> None:
    for seed in range(2):
        network = random_network(seed, widths, slopes)
        x = np.random.default_rng(seed + 100).uniform(-1, 1, size=widths[0])
        found = exact(network, x, p=p, box=box)
        least = enumerated(DistanceProblem.of(network, x, p, box))
        if math.isinf(least):
            assert found.point is None
            assert found.lower >= 1e6
            assert found.proved == (box is not None)
            continue
        assert found.proved
        assert found.lower == pytest.approx(least, rel=1e-7, abs=1e-7)
        assert found.upper == pytest.approx(least, rel=1e-7, abs=1e-7)
        check_point(network, x, found, p)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_mixed_integer_programme(seed: int) -> None:
    network = random_network(seed, (3, 7, 6, 3), (0.0, 0.2))
    x = np.random.default_rng(seed).uniform(-1, 1, size=3)
    found = exact(network, x, p=np.inf, box=(-2, 2))
    problem = DistanceProblem.of(network, x, np.inf, (-2, 2))
    other = mixed_integer(problem, min(found.upper * 2, 4.0))
    assert found.proved
    # The solver's own tolerance is 1e-6, times the size of its large constants.
    assert found.upper == pytest.approx(other.upper, abs=2e-6)


def test_programme_is_for_linf() -> None:
    problem = DistanceProblem.of(random_network(0, (2, 3, 2), (0.0,)), [0, 0], 2)
    with pytest.raises(ValueError, match="p = inf"):
        mixed_integer(problem, 1.0)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("n", [1, 3, 40])
def test_linear_closed_form(n: int, p: float) -> None:
    rng = np.random.default_rng(n)
    weight, bias = rng.normal(size=(4, n)), rng.normal(size=4)
    x = rng.normal(size=n)
    network = ReluNetwork([(weight, bias)])
    label = int(network.label(x))
    dual = 2 if p == 2 else 1
    margins = [
        ((weight[label] - weight[t]) @ x + bias[label] - bias[t])
        / np.linalg.norm(weight[label] - weight[t], ord=dual)
        for t in range(4)
        if t != label
    ]
    found = exact(network, x, p=p)
    assert found.proved
    assert found.lower <= min(margins) * (1 + 1e-14)
    assert found.upper >= min(margins) * (1 - 1e-14)
    assert found.upper == pytest.approx(min(margins), rel=1e-9)
    check_point(network, x, found, p)
    others = [t for t in range(4) if t != label]
    for target, margin in zip(others, margins, strict=True):
        aimed = exact(network, x, p=p, targets=[target])
        assert aimed.upper == pytest.approx(margin, rel=1e-9)


def test_box_counts() -> None:
    # The nearest point of the plane x + y = 4 is (2, 2); in the box only (1, 3) will do.
    network = ReluNetwork([([[0.0, 0.0], [1.0, 1.0]], [4.0, 0.0])])
    found = exact(network, [0.0, 0.0], p=2, box=(0, [1.0, 5.0]))
    assert found.proved
    assert found.lower == pytest.approx(math.sqrt(10), rel=1e-8)
    found = exact(network, [0.0, 0.0], p=np.inf, box=(0, [1.0, 5.0]))
    assert found.upper == pytest.approx(3.0, rel=1e-8)
    for p in NORMS:
        none = exact(network, [0.0, 0.0], p=p, box=(0, 1.5))
        assert none.lower == none.upper == math.inf
        assert none.proved
        assert none.point is None


@pytest.mark.parametrize("p", NORMS)
def test_lower_end_is_below_a_rational_distance(p: float) -> None:
    # |d|_2 = 1 / sqrt(3) and |d|_inf = 1/3 are no doubles.
    network = ReluNetwork([([[0.0] * 3, [1.0, 1.0, 1.0]], [1.0, 0.0])])
    found = exact(network, np.zeros(3), p=p)
    square = Fraction(1, 3) if p == 2 else Fraction(1, 9)
    assert Fraction(found.lower) ** 2 <= square <= Fraction(found.upper) ** 2
    assert found.upper - found.lower <= 1e-8


def test_one_class() -> None:
    single = ReluNetwork([([[1.0, 2.0]], [0.0])])
    constant = ReluNetwork([([[1.0, 2.0]], [0.0]), ([[1.0], [1.0]], [1.0, 0.0])])
    for network in (single, constant):
        found = exact(network, [0.0, 0.0], p=2)
        assert (found.lower, found.upper, found.proved) == (math.inf, math.inf, True)
    # Without such a reason a lower end is as far as the search went, and nothing is proved.
    sink = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0])])
    found = exact(sink, [0.0], p=2)
    assert found.lower >= 1e6
    assert found.upper == math.inf
    assert not found.proved


def test_misclassified_and_tied_points_have_distance_0() -> None:
    network = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0])])
    for x, label in ((1.0, 1), (0.0, 0), (0.0, 1)):
        found = exact(network, [x], p=2, label=label)
        assert (found.lower, found.upper, found.proved) == (0.0, 0.0, True)
        assert found.point is not None
        assert found.point.tolist() == [x]
    assert exact(network, [1.0], p=2, label=0).lower == pytest.approx(1.0)


def test_boundaries() -> None:
    # The other output is |z - 2|, the label's is 1: from 2.25 the boundary at 3 is 0.75 away.
    bend = ([[1.0], [-1.0]], [-2.0, 2.0])
    network = ReluNetwork([bend, ([[1.0, 1.0], [0.0, 0.0]], [0.0, 1.0])])
    found = exact(network, [2.25], p=2)
    assert found.lower <= 0.75 <= found.upper
    assert found.proved
    # Here it is 1 - |z - 2|, which is no larger than 1 anywhere, and as large in one point.
    touching = ReluNetwork([bend, ([[-1.0, -1.0], [0.0, 0.0]], [1.0, 1.0])])
    found = exact(touching, [2.25], p=2, box=(0, 4))
    assert found.lower <= 0.25 <= found.upper
    assert found.lower == pytest.approx(0.25)


@pytest.mark.parametrize("p", NORMS)
def test_digits(digits: tuple[ReluNetwork, FloatArray], p: float) -> None:
    network, points = digits
    rng = np.random.default_rng(0)
    for x in points[:3]:
        found = exact(network, x, p=p, box=(0, 1))
        assert found.proved
        check_point(network, x, found, p)
        assert certified(network, x, p=p, box=(0, 1)) <= found.upper
        assert found.point is not None
        assert np.all((found.point >= 0) & (found.point <= 1))
        # Sampled points of another label are not nearer: around x, and around the nearest one.
        for center, size in ((x, found.upper), (found.point, 0.1 * found.upper)):
            near = np.clip(center + size * rng.normal(size=(2000, 64)) / 8, 0, 1)
            other = near[network.label(near) != network.label(x)]
            lengths = np.linalg.norm(other - x, ord=p, axis=1)
            assert np.all(lengths >= found.lower)


@pytest.mark.parametrize("p", NORMS)
def test_ends_are_nested_in_time(
    digits: tuple[ReluNetwork, FloatArray], p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, points = digits
    clock = iter(range(10**9))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    previous: Distance | None = None
    for limit in (0, 2, 5, 10, None):
        clock = iter(range(10**9))
        found = exact(network, points[3], p=p, box=(0, 1), time_limit=limit)
        assert found.lower <= found.upper
        if previous is not None:
            assert previous.lower <= found.lower
            assert found.upper <= previous.upper
            assert previous.lower <= found.upper
        previous = found
    assert previous is not None
    assert previous.proved


@pytest.mark.parametrize("p", NORMS)
def test_nodes_are_limited_and_ends_repeatable(
    digits: tuple[ReluNetwork, FloatArray], p: float
) -> None:
    network, points = digits
    truth = exact(network, points[3], p=p, box=(0, 1))
    assert truth.proved
    for limit in (0, 1, 12, 40):
        found, again = (
            exact(network, points[3], p=p, box=(0, 1), node_limit=limit) for _ in range(2)
        )
        assert found.n_nodes <= limit
        assert (found.lower, found.upper) == (again.lower, again.upper)
        assert found.point is not None
        assert again.point is not None
        assert np.array_equal(found.point, again.point)
        assert found.lower <= truth.upper
        assert truth.lower <= found.upper < math.inf


@pytest.mark.parametrize("p", NORMS)
def test_time_is_looked_at_within_a_node(p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each look at the clock is a second: few follow the one that says that time is over.
    rng = np.random.default_rng(0)
    network = random_network(0, (200, 60, 60, 4), (0.0,))
    x = rng.uniform(0, 1, size=200)
    looks = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(looks)))
    for limit in (0, 3, 10, 30):
        looks = itertools.count()
        found = exact(network, x, p=p, box=(0, 1), time_limit=limit)
        assert 0 <= found.lower <= found.upper
        assert found.n_nodes < limit + 4
        assert next(looks) <= limit + 20


def test_start_is_used() -> None:
    network = random_network(3, (3, 8, 8, 3), (0.0,))
    x = np.zeros(3)
    found = exact(network, x, p=2)
    again = exact(network, x, p=2, start=found.point, time_limit=0)
    assert again.upper <= found.upper
    far = exact(network, x, p=2, start=x)
    assert far.upper == pytest.approx(found.upper, rel=1e-7)


@pytest.mark.parametrize("p", NORMS)
def test_reach_is_below_all_its_points(p: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        n = 4
        low, high = -rng.random(n) * (rng.random(n) < 0.7), rng.random(n)
        half = HalfSpace(rng.normal(size=n), 0.3)
        rows = rng.normal(size=(6, n))
        reach = Reach.of(p, low, high, 0.8, half)
        least = reach.lower(rows)
        points = rng.uniform(low, high, size=(20000, n))
        inside = points @ half.normal + half.shift <= 0
        inside &= np.linalg.norm(points, ord=p, axis=1) <= 0.8
        distance = half_space_distance(p, low, high, half)
        beyond = points[points @ half.normal + half.shift <= 0]
        assert np.all(np.linalg.norm(beyond, ord=p, axis=1) >= distance)
        if inside.any():
            values = (points[inside] @ rows.T).min(axis=0)
            assert np.all(least <= values)
        # Never worse than the box, and better than the ball alone on some.
        assert np.all(least >= np.minimum(rows * reach.low, rows * reach.high).sum(axis=1) - 1e-9)


@pytest.mark.parametrize("p", NORMS)
def test_half_spaces_hold_whatever_the_multipliers(p: float) -> None:
    rng = np.random.default_rng(2)
    for seed in range(5):
        network = random_network(seed, (3, 6, 5, 3), (0.0, 0.2, 1.0, 1.4, -1.0))
        x = rng.uniform(-1, 1, size=3)
        problem = DistanceProblem.of(network, x, p)
        relaxation = Relaxation(problem, 1.0)
        units = relaxation.start()
        opened = [np.flatnonzero(u.opened(s)) for s, u in zip(problem.stages, units, strict=True)]
        if opened[0].size:
            units = relaxation.branched(units, (0, int(opened[0][0])), 1)
        multipliers = [Multipliers(*rng.random((2, len(s.bias)))) for s in problem.stages]
        changes = rng.uniform(-1, 1, size=(5000, 3))
        changes = changes[np.linalg.norm(changes, ord=p, axis=1) <= 1]
        state, inside = x + changes, np.ones(len(changes), dtype=bool)
        for layer, each in zip(network.layers, units, strict=True):
            values = layer.affine(state)
            inside &= np.all((each.split == 0) | (values * each.split >= 0), axis=1)
            state = layer.activate(values)
        for target in problem.targets:
            half = relaxation.half_space(units, target, 1.0, multipliers)
            lead = state[:, target] - state[:, problem.label]
            # The half-space's function is below how far the target is behind.
            assert np.all((changes @ half.normal + half.shift <= -lead + 1e-12)[inside])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": [0.0, 0.0, 0.0]}, "2 coordinates"),
        ({"x": [[0.0, 0.0]]}, "one point"),
        ({"x": [0.0, math.nan]}, "finite"),
        ({"box": (1, 2)}, "outside the box"),
        ({"box": (2, 1)}, "box is empty"),
        ({"box": (0, [1.0, 1.0, 1.0])}, "end of the box"),
        ({"p": 1}, "p must be 2 or inf"),
        ({"p": "2"}, "p must be 2 or inf"),
        ({"label": 3}, "from 0 to 2"),
        ({"label": -1}, "from 0 to 2"),
        ({"targets": [7]}, "from 0 to 2"),
        ({"targets": []}, "not be empty"),
        ({"label": 1, "targets": [1]}, "differ from the label"),
        ({"time_limit": -1.0}, "time_limit"),
        ({"time_limit": math.nan}, "time_limit"),
        ({"node_limit": -1}, "node_limit"),
        ({"node_limit": 0.5}, "node_limit"),
        ({"start": [1.0]}, "2 coordinates"),
        ({"network": 3}, "ReluNetwork"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    given: dict[str, object] = {
        "network": random_network(0, (2, 3, 3), (0.0,)),
        "x": [0.0, 0.0],
        "p": 2,
        **arguments,
    }
    with pytest.raises(ValueError, match=message):
        exact(given.pop("network"), given.pop("x"), **given)  # type: ignore[arg-type]
