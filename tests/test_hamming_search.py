"""Few changed coordinates: against all supports, the exact linear optimum, and plain greed."""

import itertools

import numpy as np
import pytest

from theory.arrays import FloatArray
from theory.hamming.chosen.moves import FirstLayerMoves, Moves, TangentMoves, moves_of, no_changes
from theory.hamming.chosen.search import search, search_untargeted
from theory.hamming.chosen.swaps import Swaps
from theory.hamming.linear import minimal_changes
from theory.hamming.problem import MARGIN, LabelProblem
from theory.relu.layer import AffineMap, Layer
from theory.relu.network import ReluNetwork


def network(sizes: tuple[int, ...], rng: np.random.Generator) -> ReluNetwork:
    return ReluNetwork(
        [(rng.normal(size=(m, n)), 0.5 * rng.normal(size=m)) for n, m in itertools.pairwise(sizes)]
    )


class Smooth:
    """A tanh network with one hidden layer."""

    def __init__(self, rng: np.random.Generator, n: int, width: int, classes: int) -> None:
        self.first = AffineMap(rng.normal(size=(width, n)), rng.normal(size=width))
        self.last = AffineMap(rng.normal(size=(classes, width)), rng.normal(size=classes))
        self.n_inputs, self.n_outputs = n, classes

    def __call__(self, x: object) -> FloatArray:
        return self.last(np.tanh(self.first(np.asarray(x))))

    def affine(self, x: object) -> AffineMap:
        hidden = np.tanh(self.first(np.asarray(x)))
        weight = self.last.weight @ ((1 - hidden**2)[:, None] * self.first.weight)
        return AffineMap(weight, self(x) - weight @ np.asarray(x))


def problems(
    rng: np.random.Generator, sizes: tuple[int, ...], levels: int, smooth: bool = False
) -> list[LabelProblem]:
    """Return all targets from one point whose coordinates are levels of [0, 1]."""
    classifier = Smooth(rng, *sizes) if smooth else network(sizes, rng)
    x = rng.integers(0, levels + 1, sizes[0]) / levels
    label = int(classifier(x).argmax())
    return [
        LabelProblem.of(classifier, x, target, (0, 1))
        for target in range(sizes[-1])
        if target != label
    ]


def least_changes(problem: LabelProblem, levels: int, most: int) -> int | None:
    """Return the least number of changes, by all supports and all values."""
    grid = np.arange(levels + 1) / levels
    for k in range(1, most + 1):
        values = np.array(list(itertools.product(grid, repeat=k)))
        for support in itertools.combinations(range(len(problem.x)), k):
            points = np.tile(problem.x, (len(values), 1))
            points[:, support] = values
            if np.any(problem.margin(points) > MARGIN):
                return k
    return None


def checked(problem: LabelProblem, found: FloatArray, most: int, levels: int | None = None) -> int:
    """Return the number of changes of a result that is what it has to be."""
    assert float(problem.margin(found)) > MARGIN
    assert int(problem.classifier(found).argmax()) == problem.target
    assert np.all((problem.low <= found) & (found <= problem.high))
    changed = problem.changed(found)
    assert 0 < len(changed) <= most
    if levels is not None:
        taken = found[list(changed)]
        np.testing.assert_array_equal(taken, np.round(taken * levels) / levels)
    return len(changed)


@pytest.mark.parametrize(
    ("sizes", "smooth"), [((8, 6, 4), False), ((8, 12, 3), False), ((8, 6, 4), True)]
)
def test_against_all_supports(sizes: tuple[int, ...], smooth: bool) -> None:
    rng, levels = np.random.default_rng(sum(sizes) + smooth), 4
    gaps: dict[int, list[int]] = {0: [], 1: [], 2: []}
    while len(gaps[0]) < 16:
        for problem in problems(rng, sizes, levels, smooth):
            least = least_changes(problem, levels, 3)
            for effort, seen in gaps.items() if least is not None else ():
                found = search(problem, 3, levels=levels, effort=effort)
                seen.append(9 if found is None else checked(problem, found, 3, levels) - least)
                assert seen[-1] >= 0
    optimal = {effort: np.mean(np.array(seen) == 0) for effort, seen in gaps.items()}
    assert optimal[0] >= 0.7
    assert optimal[1] >= 0.85
    assert optimal[2] >= 0.95


def test_against_two_hidden_layers_and_leaks() -> None:
    rng, levels, gaps = np.random.default_rng(3), 3, []
    while len(gaps) < 12:
        layers = list(network((7, 6, 6, 3), rng).layers)
        layers[0] = Layer(layers[0].weight, layers[0].bias, np.full(6, 0.2))
        classifier, x = ReluNetwork(layers), rng.integers(0, levels + 1, 7) / levels
        target = int(classifier(x).argmin())
        problem = LabelProblem.of(classifier, x, target, (0, 1))
        least = least_changes(problem, levels, 3)
        if least is not None:
            found = search(problem, 3, levels=levels)
            gaps.append(9 if found is None else checked(problem, found, 3, levels) - least)
    assert min(gaps) >= 0
    assert np.mean(np.array(gaps) == 0) >= 0.8


def test_against_the_exact_linear_optimum() -> None:
    rng, gaps = np.random.default_rng(5), []
    for _ in range(12):
        weight, bias, x = rng.normal(size=(4, 25)), rng.normal(size=4), rng.uniform(size=25)
        linear = ReluNetwork([(weight, bias)])
        target = int(linear(x).argmin())
        rivals = [j for j in range(4) if j != target]
        exact = minimal_changes(
            weight[target] - weight[rivals], bias[rivals] - bias[target], x, np.ones(3), (0, 1)
        )
        found = search(LabelProblem.of(linear, x, target, (0, 1)), 25)
        assert exact is not None
        assert found is not None
        assert exact.lower == exact.upper
        gaps.append(int(np.sum(found != x)) - exact.upper)
    assert min(gaps) >= 0
    assert np.mean(np.array(gaps) == 0) >= 0.9


def test_two_classes_of_a_linear_classifier_are_solved() -> None:
    # The largest contributions first are optimal.
    rng = np.random.default_rng(6)
    for effort in (0, 1, 2):
        w, x = rng.normal(size=40), rng.uniform(size=40)
        offset = float(np.sort(np.where(w > 0, w * (1 - x), -w * x))[-7:].sum()) - 1e-3
        linear = ReluNetwork([(np.stack([0 * w, w]), [0.0, -offset - float(w @ x)])])
        found = search(LabelProblem.of(linear, x, 1, (0, 1)), 40, effort=effort)
        assert found is not None
        assert int(np.sum(found != x)) == 7


def test_values_inside_the_box() -> None:
    # A tent: only the middle of the box has the label, at neither end.
    tent = ReluNetwork(
        [([[1, 0], [1, 0], [0, 1]], [0, -0.4, 0]), ([[1, -2.5, 0], [0, 0, 0]], [-0.3, 0])]
    )
    problem = LabelProblem.of(tent, [0.0, 0.0], 0, (0, 1))
    for effort in (1, 2):
        found = search(problem, 1, effort=effort)
        assert found is not None
        assert problem.changed(found) == (0,)
        assert 0.3 < found[0] < 0.5
        on_levels = search(problem, 1, levels=5, effort=effort)
        assert on_levels is not None
        assert on_levels.tolist() == [0.4, 0.0]


def test_levels_that_do_not_meet_the_box() -> None:
    linear = ReluNetwork([([[0.0, 0.0], [1.0, 1.0]], [0.0, -0.33])])
    problem = LabelProblem.of(linear, [0.05, 0.05], 1, (0.04, [0.36, 0.09]))
    free, thirds = search(problem, 2), search(problem, 2, levels=3)
    assert free is not None
    assert free.tolist() == [0.36, 0.05]
    assert thirds is not None
    assert thirds.tolist() == [1 / 3, 0.05]
    # Of the fifths only 0.2 is in the box, and the second coordinate can take none.
    assert search(problem, 2, levels=5) is None


def test_none_where_there_is_nothing() -> None:
    rng = np.random.default_rng(8)
    for problem in problems(rng, (6, 5, 3), 4):
        stuck = LabelProblem.of(
            problem.classifier, problem.x, problem.target, (problem.x, problem.x)
        )
        for effort in (0, 1, 2):
            assert search(stuck, 6, effort=effort) is None
    net = network((6, 5, 3), rng)
    assert search_untargeted(net, np.zeros(6), (0, 0), 6) is None
    constant = ReluNetwork([(np.zeros((2, 3)), [1.0, 0.0])])
    assert search_untargeted(constant, np.zeros(3), (-1, 1), 3) is None
    assert search(LabelProblem.of(constant, np.zeros(3), 1, (-np.inf, np.inf)), 3) is None


def test_infinite_boxes() -> None:
    rng = np.random.default_rng(9)
    for _ in range(5):
        linear = ReluNetwork([(rng.normal(size=(4, 30)), rng.normal(size=4))])
        x = rng.normal(size=30)
        target = int(linear(x).argmin())
        problem = LabelProblem.of(linear, x, target, (-np.inf, np.inf))
        # One coordinate suffices where the target's weight is the largest or the smallest.
        weight = np.asarray(linear.layers[0].weight)
        extreme = (weight.argmax(axis=0) == target) | (weight.argmin(axis=0) == target)
        found = search(problem, 30)
        assert np.any(extreme)
        assert found is not None
        assert checked(problem, found, 1) == 1


@pytest.mark.parametrize("effort", [0, 1, 2])
def test_most_changes(effort: int) -> None:
    rng = np.random.default_rng(11)
    for problem in problems(rng, (30, 12, 4), 5):
        found = search(problem, 30, effort=effort)
        if found is None:
            continue
        count = checked(problem, found, 30)
        for most in range(max(1, count - 1), count + 2):
            again = search(problem, most, effort=effort)
            if again is not None:
                checked(problem, again, most)
        same = search(problem, 30, effort=effort)
        assert same is not None
        np.testing.assert_array_equal(same, found)


def test_more_effort_needs_fewer_changes() -> None:
    rng, counts = np.random.default_rng(12), []
    for _ in range(2):
        for problem in problems(rng, (50, 16, 5), 8):
            swaps = Swaps(
                moves_of(problem.classifier, problem.x, (problem.low, problem.high), None),
                problem.target,
                softness=0.1,
                shortlist=8,
                patience=5,
            )
            greedy = swaps.grown(no_changes(), 60)
            found = [search(problem, 60, effort=effort) for effort in (0, 1, 2)]
            if greedy.success:
                assert all(point is not None for point in found)
                counts.append(
                    [len(greedy.changes.values)]
                    + [checked(problem, p, 60) for p in found if p is not None]
                )
    means = np.mean(counts, axis=0)
    assert len(counts) >= 5
    assert means[0] > means[1] >= means[2] >= means[3]


def test_untargeted_is_the_best_target() -> None:
    rng = np.random.default_rng(13)
    for _ in range(6):
        smooth = bool(rng.integers(2))
        each = problems(rng, (20, 10, 4), 5, smooth)
        found = [search(problem, 20) for problem in each]
        counts = [np.sum(p != each[0].x) for p in found if p is not None]
        point = search_untargeted(each[0].classifier, each[0].x, (0, 1), 20)
        if counts:
            assert point is not None
            outputs = np.sort(each[0].classifier(point))
            assert outputs[-1] - outputs[-2] > MARGIN
            assert int(each[0].classifier(point).argmax()) in [p.target for p in each]
            assert np.sum(point != each[0].x) <= min(counts) + 1
    assert counts


def test_scans_are_what_the_network_says() -> None:
    rng = np.random.default_rng(14)
    net, x = network((7, 9, 6, 4), rng), rng.uniform(size=7)
    box = np.full(7, -1.0), np.array([2.0] * 6 + [np.inf])
    exact: Moves = FirstLayerMoves(net, x, box, None, 1)
    tangent: Moves = TangentMoves(net, x, box, None, 1)
    points = np.tile(x, (len(exact.values), 1))
    points[np.arange(len(points)), exact.coordinates] = exact.values
    np.testing.assert_allclose(exact.outlook(exact.base), net(points), atol=1e-9, rtol=1e-9)
    slopes = net.affine(x)
    np.testing.assert_allclose(tangent.outlook(x), slopes(points), atol=1e-9, rtol=1e-9)
    assert set(exact.coordinates) == set(range(7))
    assert np.all((points >= box[0]) & (points <= box[1]))


def test_a_wide_network_is_searched_to_first_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(15)
    counts = []
    for problem in problems(rng, (40, 15, 5), 8):
        exact = search(problem, 40)
        with monkeypatch.context() as patch:
            patch.setattr("theory.hamming.chosen.moves._LARGEST_SCAN", 0)
            first_order = search(problem, 40)
        if exact is not None:
            assert first_order is not None
            counts.append(checked(problem, first_order, 40) - checked(problem, exact, 40))
    assert counts
    assert max(np.abs(counts)) <= 1


def test_bad_input() -> None:
    (problem, *_) = problems(np.random.default_rng(16), (5, 4, 3), 4)
    for arguments, message in (
        ({"max_changes": 0}, "max_changes must be at least 1"),
        ({"max_changes": 2, "levels": 0}, "levels must be at least 1"),
        ({"max_changes": 2, "effort": 3}, "effort must be 0 to 2"),
    ):
        with pytest.raises(ValueError, match=message):
            search(problem, **arguments)
    with pytest.raises(ValueError, match="x must be finite"):
        search_untargeted(problem.classifier, np.zeros(4), (0, 1), 2)
    with pytest.raises(ValueError, match="outside the box"):
        search_untargeted(problem.classifier, np.full(5, 2.0), (0, 1), 2)
