"""Paths of outputs on a line: zig-zags with known ends, homeomorphisms, loops, invariants."""

import itertools

import numpy as np
import pytest

from tests.relu_nets import Array, digits_network, leaky_network, random_network
from theory.hamming.given.path import OutputPath, draw_path, follow_path
from theory.hamming.problem import MARGIN, LabelProblem
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

FREE = (-np.inf, np.inf)


def some_problem(network: ReluNetwork, rng: np.random.Generator) -> LabelProblem:
    x = rng.normal(size=network.n_inputs)
    others = np.delete(np.arange(network.n_outputs), int(network.label(x)))
    return LabelProblem.of(network, x, int(rng.choice(others)), FREE)


@pytest.mark.parametrize(("classes", "n"), [(2, 1), (3, 2), (3, 7), (6, 9)])
def test_linear_network_in_one_step(classes: int, n: int) -> None:
    rng = np.random.default_rng(n)
    network = ReluNetwork([(rng.normal(size=(classes, n)), rng.normal(size=classes))])
    problem = some_problem(network, rng)
    chosen = rng.permutation(n)[: classes - 1].tolist()
    goal = rng.uniform(1, 2, classes - 1)
    path = follow_path(problem, chosen, goal)
    assert path.status == "reached"
    assert path.point is not None
    assert path.progress.tolist() == [0.0, 1.0]
    np.testing.assert_allclose(problem.leads(network(path.point)), goal, rtol=1e-9)
    weight = network.layers[0].weight
    rows = problem.leads(np.asarray(weight).T).T[:, chosen]
    expected = np.linalg.solve(rows, goal - problem.leads(network(problem.x)))
    np.testing.assert_allclose(path.changes[-1], expected, rtol=1e-8)


def zigzag(bends: Array, slopes: Array, offset: float, pairs: bool) -> ReluNetwork:
    """Return the lead of class 1: offset at 0, with the given slopes between the bends."""
    jumps = np.diff(slopes)
    if pairs:
        # |x - b|, by two units that are 0 at the same point.
        first = np.column_stack([np.ones(2 * len(bends)), np.repeat(-bends, 2)])
        first[1::2] *= -1
        tilt, parts = (slopes[0] + slopes[-1]) / 2, np.repeat(jumps / 2, 2)
        start = offset - np.sum(jumps / 2 * np.abs(bends))
    else:
        first = np.column_stack([np.ones(len(bends)), -bends])
        tilt, parts = slopes[0], jumps
        start = offset - np.sum(jumps * np.maximum(-bends, 0))
    hidden = Layer(
        np.append(first[:, :1], [[1.0]], axis=0),
        np.append(first[:, 1], 0.0),
        np.append(np.zeros(len(first)), 1.0),
    )
    last = np.zeros((2, len(first) + 1))
    last[1] = np.append(parts, tilt)
    return ReluNetwork([hidden, (last, [0.0, start])])


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_zigzags_are_followed_through_their_folds(seed: int, pairs: bool) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 9))
    bends = np.sort(rng.uniform(-4, 4, count))
    slopes = rng.choice([-2.0, -1.0, 1.0, 2.0], count + 1) * rng.uniform(0.5, 1.5, count + 1)
    # Plateaus, where the output stands still, but not at the start.
    slopes[1:-1][rng.random(count - 1) < 0.2] = 0.0
    at_start = int(np.searchsorted(bends, 0.0))
    if slopes[at_start] == 0:
        slopes[at_start] = 1.0
    network = zigzag(bends, slopes, -2.0, pairs)
    problem = LabelProblem.of(network, [0.0], 1, FREE)
    path = follow_path(problem, [0], [1.0])
    # The line of one output is all there is: the path goes one way until the lead is positive.
    way = 1 if slopes[at_start] > 0 else -1
    ahead = bends[bends > 0] if way > 0 else bends[bends < 0][::-1]
    seen = slopes[at_start:] if way > 0 else slopes[at_start::-1]
    leads = network(np.append(ahead, ahead[-1:] + way if len(ahead) else way)[:, None])[:, 1]
    reached = bool(np.any(leads[:-1] > MARGIN)) or way * seen[-1] > 0
    assert path.status == ("reached" if reached else "ray")
    passed = len(path.changes) - 1 if reached else len(seen)
    signs = np.sign(seen[:passed])
    signs = signs[signs != 0]
    assert path.folds == np.sum(signs[1:] != signs[:-1])
    inner = path.changes[1:-1, 0] if reached else path.changes[1:, 0]
    np.testing.assert_allclose(inner, ahead[: len(inner)], atol=1e-12)
    if path.point is not None:
        assert float(problem.margin(path.point)) > MARGIN


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_homeomorphisms_are_inverted(depth: int, seed: int) -> None:
    rng = np.random.default_rng(100 * depth + seed)
    d = int(rng.integers(2, 6))
    network = leaky_network(d, depth, rng)
    x, end = rng.normal(size=(2, d)) * 3
    while network.label(x) == network.label(end):
        end = rng.normal(size=d) * 3
    target = int(network.label(end))
    problem = LabelProblem.of(network, x, target, FREE)
    path = follow_path(problem, range(d), network(end))
    assert path.status == "reached"
    # Orientation depends on the signs of the determinants of the weights, equal in all regions.
    assert path.folds == 0
    assert np.all(np.diff(path.progress) > 0)
    assert path.point is not None
    for place, point in zip(path.progress, path.points, strict=True):
        state = (1 - place) * network(x) + place * network(end)
        for layer in reversed(network.layers):
            state = np.linalg.solve(
                np.asarray(layer.weight),
                np.where(state > 0, state, state / layer.slope) - layer.bias,
            )
        np.testing.assert_allclose(point, state, atol=1e-7)


def check_invariants(path: OutputPath, goal: Array) -> None:
    problem, network = path.problem, path.problem.classifier
    assert isinstance(network, ReluNetwork)
    points, chosen = path.points, list(path.coordinates)
    fixed = np.delete(np.arange(len(problem.x)), chosen)
    assert np.array_equal(points[:, fixed], np.repeat(problem.x[None, fixed], len(points), axis=0))
    outputs = network(points)
    scale = np.abs(outputs).max() + np.abs(goal).max()
    np.testing.assert_allclose(path.outputs, outputs, atol=1e-8 * scale)
    start = problem.leads(outputs[0])
    line = start + path.progress[:, None] * (goal - start)
    np.testing.assert_allclose(problem.leads(outputs), line, atol=1e-7 * scale)
    values = network.preactivations(points)
    assert np.all(values[1:] * values[:-1] >= -1e-8 * np.abs(values).max() ** 2)
    # Signs of the ends could agree by chance: within, the network must be affine.
    for share in (0.25, 0.7) if len(points) > 1 else ():
        between = (1 - share) * points[:-1] + share * points[1:]
        expected = (1 - share) * outputs[:-1] + share * outputs[1:]
        np.testing.assert_allclose(network(between), expected, atol=1e-7 * scale)
    assert path.margin == pytest.approx(float(problem.margin(points[-1])), abs=1e-9 * scale)
    assert (path.point is not None) == (path.status == "reached")
    if path.point is not None:
        assert float(problem.margin(path.point)) > MARGIN
    if len(chosen) == len(goal):
        moves = np.sign(np.round(np.diff(path.progress), 12))
        moves = moves[moves != 0]
        # The last move of a loop is not among the points.
        missed = path.folds - np.sum(moves[1:] != moves[:-1])
        assert missed in ((0, 1) if path.status in ("loop", "ray") else (0,))


@pytest.mark.parametrize("widths", [(6, 12, 3), (9, 10, 8, 4), (7, 8, 8, 8, 3), (12, 20, 5)])
def test_invariants_along_paths(widths: tuple[int, ...]) -> None:
    rng = np.random.default_rng(sum(widths))
    ends: list[str] = []
    for extra, _ in itertools.product((0, 1, 2), range(12)):
        problem = some_problem(random_network(widths, rng), rng)
        k = widths[-1] - 1 + extra
        goal = rng.uniform(0.5, 3, widths[-1] - 1)
        path = follow_path(problem, rng.permutation(widths[0])[:k].tolist(), goal)
        check_invariants(path, goal)
        ends.append(path.status)
    assert ends.count("reached") >= 9


def test_loops_end_at_the_start() -> None:
    rng, loops = np.random.default_rng(3), 0
    for _ in range(150):
        problem = some_problem(random_network((2, 14, 3), rng), rng)
        network = problem.classifier
        path = follow_path(problem, [0, 1], max_steps=300)
        if path.status != "loop":
            continue
        loops += 1
        # It comes back to the start in the direction in which it left.
        assert path.folds >= 2
        assert path.folds % 2 == 0
        last, start = path.points[-1], problem.x
        middle = network((last + start) / 2)
        np.testing.assert_allclose(middle, (network(last) + network(start)) / 2, atol=1e-9)
        assert len(np.unique(path.points.round(9), axis=0)) == len(path.points)
    assert loops >= 3


def test_dead_regions_and_boxes_end_paths() -> None:
    dead = ReluNetwork([([[1.0], [1.0]], [-5.0, -6.0]), ([[0.0, 0.0], [1.0, 2.0]], [1.0, 0.0])])
    assert follow_path(LabelProblem.of(dead, [0.0], 1, FREE), [0]).status == "rank"
    rng = np.random.default_rng(8)
    for _ in range(10):
        network = ReluNetwork([(rng.normal(size=(3, 4)), rng.normal(size=3))])
        x = rng.normal(size=4)
        target = int(network(x).argmin())
        free = follow_path(LabelProblem.of(network, x, target, FREE), [1, 3])
        most = float(np.abs(free.changes[-1]).max())
        box = (x - most / 9, x + most / 9)
        path = follow_path(LabelProblem.of(network, x, target, box), [1, 3])
        if path.status != "reached":
            assert path.status == "box"
            assert np.abs(path.changes[-1]).max() == pytest.approx(most / 9)
            assert path.point is None
            np.testing.assert_allclose(path.changes[-1], free.changes[-1] / 9)


def test_paths_with_more_coordinates_fold_less() -> None:
    network, images, labels = digits_network()
    rng = np.random.default_rng(4)
    rates = []
    for k in (9, 20):
        found = [
            follow_path(
                LabelProblem.of(network, images[i], target, FREE), rng.permutation(64)[:k].tolist()
            ).point
            is not None
            for i in range(3)
            for target in range(10)
            if target != labels[i]
        ]
        rates.append(np.mean(found))
    assert rates[0] > 0
    assert rates[1] > max(0.8, rates[0])


def test_draws_reach_all_targets_on_digits() -> None:
    network, images, labels = digits_network()
    stream, pool = np.random.default_rng(5), list(range(8, 56))
    for target in range(10):
        if target != labels[0]:
            problem = LabelProblem.of(network, images[0], target, FREE)
            path = draw_path(problem, 11, 40, stream, pool)
            assert path.point is not None
            assert int(network.label(path.point)) == target
            assert set(path.coordinates) <= set(pool)
            assert len(problem.changed(path.point)) <= 11


def test_outputs_of_an_image_are_a_goal() -> None:
    network, images, labels = digits_network()
    rng = np.random.default_rng(6)
    other = images[np.flatnonzero(labels != labels[0])[0]]
    problem = LabelProblem.of(network, images[0], int(network.label(other)), FREE)
    reached = 0
    for _ in range(20):
        path = follow_path(problem, rng.permutation(64)[:12].tolist(), network(other))
        start = network(problem.x)
        line = start + path.progress[:, None] * (network(other) - start)
        np.testing.assert_allclose(path.outputs, line, atol=1e-7 * np.abs(line).max())
        reached += path.point is not None
    assert reached > 0


@pytest.mark.parametrize(
    ("coordinates", "goal", "says"),
    [
        ([0], None, "needs as many coordinates"),
        ([0, 1], [1.0, 2.0, 3.0], "needs as many coordinates"),
        ([0, 0], None, "must not repeat"),
        ([0, 9], None, "out of range"),
        ([0, 1], [1.0, -1.0], "must lead"),
        ([0, 1], [1.0], "goal must be"),
        ([0, 1], [1.0, np.inf], "goal must be"),
    ],
)
def test_bad_input(coordinates: list[int], goal: list[float] | None, says: str) -> None:
    rng = np.random.default_rng(7)
    network = random_network((4, 6, 3), rng)
    x = rng.normal(size=4)
    target = (int(network.label(x)) + 1) % 3
    if goal is not None and len(goal) == 3:
        goal = np.eye(3)[target].tolist()
    problem = LabelProblem.of(network, x, target, FREE)
    with pytest.raises(ValueError, match=says):
        follow_path(problem, coordinates, goal)
    with pytest.raises(ValueError, match="draws"):
        draw_path(problem, 2, 0, rng)
    with pytest.raises(ValueError, match="k must be"):
        draw_path(problem, 5, 1, rng)
