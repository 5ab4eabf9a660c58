"""Climbs and exact margins against all regions, fine grids and the linear case."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize

from tests.relu_nets import Array, digits_network, random_network
from theory.hamming import reach_cell
from theory.hamming.given.climb import Climb, climb, restart_climb
from theory.hamming.given.fixed import best_margin
from theory.hamming.problem import MARGIN, LabelProblem
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork


def some_problem(
    widths: tuple[int, ...], rng: np.random.Generator, radius: float = 2.0
) -> LabelProblem:
    network = random_network(widths, rng)
    x = rng.normal(size=widths[0])
    others = np.delete(np.arange(widths[-1]), int(network.label(x)))
    return LabelProblem.of(network, x, int(rng.choice(others)), (x - radius, x + radius))


def over_all_patterns(problem: LabelProblem, chosen: list[int]) -> float:
    """Return the largest margin: a linear programme for each activation pattern."""
    network, low, high = problem.restricted(chosen)
    best, k = -math.inf, len(chosen)
    for pattern in itertools.product((False, True), repeat=network.n_units):
        piece = network.piece(pattern)
        side = np.where(pattern, 1.0, -1.0)[:, None]
        lead = np.asarray(problem.leads(piece.outputs.weight.T).T)
        left = np.vstack([-side * piece.units.weight, -lead])
        right = np.concatenate(
            [side[:, 0] * piece.units.bias, np.asarray(problem.leads(piece.outputs.bias))]
        )
        found = optimize.linprog(
            np.append(np.zeros(k), -1.0),
            A_ub=np.column_stack([left, [0.0] * len(side) + [1.0] * len(lead)]),
            b_ub=right,
            bounds=[*zip(low, high, strict=True), (None, None)],
        )
        if found.status == 0:
            best = max(best, float(found.x[-1]))
    return best


def check_way(found: Climb) -> None:
    problem, network = found.problem, found.problem.classifier
    assert isinstance(network, ReluNetwork)
    points = found.points
    assert np.all((problem.low <= points) & (points <= problem.high))
    fixed = np.delete(np.arange(len(problem.x)), list(found.coordinates))
    assert np.all(points[:, fixed] == problem.x[fixed])
    values, outputs = network.preactivations(points), network(points)
    scale = 1 + np.abs(values).max(initial=0.0) + np.abs(outputs).max()
    assert np.all(values[1:] * values[:-1] >= -1e-6 * scale**2)
    middle = network((points[1:] + points[:-1]) / 2)
    np.testing.assert_allclose(middle, (outputs[1:] + outputs[:-1]) / 2, atol=1e-5 * scale)
    assert np.all(np.diff(problem.margin(points)) >= -1e-5 * scale)
    assert found.margin == float(problem.margin(points[-1]))
    assert (found.point is not None) == (found.margin > MARGIN)
    assert found.n_programmes >= len(points) - 1


@pytest.mark.parametrize("seed", range(12))
def test_linear_case(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n, k = 4, 7, int(rng.integers(1, 6))
    normals, offsets, x = rng.normal(size=(m, n)), rng.normal(size=m), rng.normal(size=n)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets[0] = normals[0] @ x + 0.1
    # The outputs of the rivals are the rows, negated: leads are distances.
    network = ReluNetwork([(np.vstack([np.zeros(n), -normals]), np.append(0.0, offsets))])
    box, chosen = (x - 1.5, x + 1.5), rng.permutation(n)[:k].tolist()
    problem = LabelProblem.of(network, x, 0, box)
    found = climb(problem, chosen, enough=math.inf)
    cell = reach_cell(normals, offsets, x, np.ones(m), chosen, box)
    assert (found.point is None) == (cell is None)
    exact = best_margin(problem, chosen)
    assert exact.lower == pytest.approx(exact.upper, abs=1e-6)
    assert found.margin == pytest.approx(exact.lower, abs=1e-6)
    if cell is not None:
        assert found.margin == pytest.approx(cell.margin, abs=1e-6)
    check_way(found)


@pytest.mark.parametrize(("widths", "k"), [((4, 6, 3), 2), ((5, 3, 3, 3), 2), ((6, 6, 4), 3)])
def test_against_all_patterns(widths: tuple[int, ...], k: int) -> None:
    rng = np.random.default_rng(sum(widths) + k)
    agreed, possible, tops = 0, 0, 0
    for _ in range(6):
        problem = some_problem(widths, rng)
        chosen = rng.permutation(widths[0])[:k].tolist()
        largest = over_all_patterns(problem, chosen)
        exact = best_margin(problem, chosen)
        assert exact.lower == pytest.approx(largest, abs=1e-5)
        assert exact.lower <= exact.upper
        assert exact.upper == pytest.approx(largest, abs=1e-4)
        assert float(problem.margin(exact.point)) == exact.lower
        assert set(problem.changed(exact.point)) <= set(chosen)
        once = climb(problem, chosen)
        check_way(once)
        assert once.margin <= largest + 1e-6
        again = restart_climb(problem, chosen, 12, rng, math.inf)
        check_way(again)
        assert again.margin <= exact.upper + 1e-6
        tops += again.margin == pytest.approx(largest, abs=1e-5)
        possible += largest > MARGIN
        agreed += (again.point is not None) == (largest > MARGIN)
    assert possible
    assert agreed >= 5
    assert tops >= 5


def test_no_point_of_a_grid_is_better() -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        problem = some_problem((3, 12, 9, 4), rng)
        exact = best_margin(problem, [2, 0])
        side = np.linspace(-2, 2, 81)
        grid = np.repeat(problem.x[None], len(side) ** 2, axis=0)
        grid[:, [2, 0]] += np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        largest = float(problem.margin(grid).max())
        assert largest <= exact.lower + 1e-6
        assert exact.lower <= exact.upper < exact.lower + 1e-4


@pytest.mark.parametrize("slope", [-0.5, 0.2, 2.5])
def test_slopes_of_all_kinds(slope: float) -> None:
    rng = np.random.default_rng(2)
    for _ in range(3):
        layers = [
            Layer(rng.normal(size=(m, n)), rng.normal(size=m), np.r_[np.ones(m - 3), [slope] * 3])
            for n, m in ((3, 4), (4, 3))
        ]
        network = ReluNetwork([*layers, (rng.normal(size=(3, 3)), rng.normal(size=3))])
        x = rng.normal(size=3)
        problem = LabelProblem.of(network, x, int(network(x).argmin()), (x - 1, x + 1))
        exact = best_margin(problem, [0, 2])
        largest = over_all_patterns(problem, [0, 2])
        assert exact.lower == pytest.approx(largest, abs=1e-5)
        assert exact.upper == pytest.approx(largest, abs=1e-4)


def test_plateaus_are_crossed() -> None:
    # Every unit is off at x: nothing moves until a unit 3 away is reached.
    weight = np.array([[1.0, 0.5], [-1.0, 1.0]])
    network = ReluNetwork([(weight, [-3.0, -4.0]), ([[0.0, 0.0], [2.0, 1.0]], [1.0, 0.0])])
    problem = LabelProblem.of(network, [0.0, 0.0], 1, (-6, 6))
    found = climb(problem, [0, 1], enough=math.inf)
    check_way(found)
    assert found.margin == pytest.approx(best_margin(problem, [0, 1]).upper, abs=1e-6)


def test_without_ends_the_cap_ends_the_climb() -> None:
    rng = np.random.default_rng(5)
    network = ReluNetwork([(rng.normal(size=(3, 4)), rng.normal(size=3))])
    x = rng.normal(size=4)
    problem = LabelProblem.of(network, x, int(network(x).argmin()), (-np.inf, np.inf))
    lead = float(np.abs(problem.leads(network(x))).max())
    assert climb(problem, [1, 2]).margin == pytest.approx(lead, rel=1e-6)
    assert climb(problem, [1, 2], enough=math.inf, cap=7.0).margin == pytest.approx(7, rel=1e-6)


def test_all_targets_on_digits() -> None:
    network, images, labels = digits_network()
    rng, margins = np.random.default_rng(0), []
    for i, target in itertools.product(range(4), range(10)):
        if target == labels[i]:
            continue
        problem = LabelProblem.of(network, images[i], target, (-50, 51))
        found = climb(problem, rng.permutation(64)[:9].tolist())
        check_way(found)
        margins.append(found.margin)
        if found.point is not None:
            assert int(network.label(found.point)) == target
            assert len(problem.changed(found.point)) <= 9
    assert np.mean(np.array(margins) > MARGIN) >= 0.95


def test_climbs_decide_as_exact_programmes_do_on_digits() -> None:
    network, images, labels = digits_network()
    rng, decided = np.random.default_rng(1), []
    for i, target in itertools.product(range(2), range(0, 10, 3)):
        if target != labels[i]:
            problem = LabelProblem.of(network, images[i], target, (-1, 2))
            chosen = rng.permutation(64)[:8].tolist()
            exact = best_margin(problem, chosen, time_limit=60)
            found = climb(problem, chosen, enough=math.inf)
            assert found.margin <= exact.upper + 1e-6
            assert exact.lower >= found.margin
            assert exact.upper - exact.lower < 1e-4
            decided.append((found.point is not None) == (exact.lower > MARGIN))
    assert np.mean(decided) > 0.8


def test_no_time_gives_two_ends() -> None:
    problem = some_problem((10, 60, 5), np.random.default_rng(0), radius=8.0)
    exact = best_margin(problem, range(8), time_limit=0.0)
    assert exact.lower < exact.upper
    assert float(problem.margin(exact.point)) == exact.lower


def test_starts_lie_where_they_may() -> None:
    problem = some_problem((5, 8, 3), np.random.default_rng(4))
    start: Array = problem.x.copy()
    start[[1, 3]] += [0.5, -1.0]
    found = climb(problem, [3, 1], start, enough=math.inf)
    np.testing.assert_allclose(found.points[0], start)
    check_way(found)
    with pytest.raises(ValueError, match="coordinate 3, which is not given"):
        climb(problem, [1], start)
    with pytest.raises(ValueError, match="outside the box"):
        climb(problem, [1, 3], start + 5)
    with pytest.raises(ValueError, match="shape"):
        climb(problem, [1, 3], start[:2])


def test_bad_input() -> None:
    problem = some_problem((5, 8, 3), np.random.default_rng(4))
    for chosen, says in (([], "at least one"), ([1, 1], "repeat"), ([5], "out of range")):
        for method in (climb, best_margin):
            with pytest.raises(ValueError, match=says):
                method(problem, chosen)
    with pytest.raises(ValueError, match="cap"):
        climb(problem, [1], cap=0.0)
    with pytest.raises(ValueError, match="max_programmes"):
        climb(problem, [1], max_programmes=0)
    with pytest.raises(ValueError, match="draws"):
        restart_climb(problem, [1], 0, np.random.default_rng(0))
    free = LabelProblem(
        problem.classifier, problem.x, problem.target, problem.low - np.inf, problem.high
    )
    with pytest.raises(ValueError, match="finite"):
        best_margin(free, [1])
