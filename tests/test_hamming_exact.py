"""Least changes with proof: all supports and all patterns, linear cells, and laws of the proof."""

import itertools
import math
import time

import numpy as np
import pytest
from scipy import optimize

from theory.arrays import FloatArray
from theory.hamming import minimal_changes
from theory.hamming.exact.branching import BallSearch
from theory.hamming.exact.envelope import Majorants, central_majorants, envelope_majorants
from theory.hamming.exact.least import LeastChanges, least_changes
from theory.hamming.exact.relaxation import BallRelaxation
from theory.hamming.problem import MARGIN, LabelProblem
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

CLEAR = 1e-7
"""Margins nearer than this to the one asked for are left out of comparisons of two solvers."""


def network(
    widths: list[int],
    rng: np.random.Generator,
    slopes: tuple[float, ...] = (0.0,),
    scale: float = 1,
) -> ReluNetwork:
    """Random layers whose units have the given slopes by turns; the last is linear."""
    layers = []
    for i, (n, m) in enumerate(itertools.pairwise(widths)):
        slope = np.resize(slopes, m) if i < len(widths) - 2 else np.ones(m)
        layers.append(Layer(scale * rng.normal(size=(m, n)), rng.normal(size=m), slope))
    return ReluNetwork(layers)


def largest_margin(problem: LabelProblem, support: tuple[int, ...]) -> float:
    """The largest lead over a support: a linear programme for each activation pattern."""
    at = list(support)
    cut, low, high = problem.restricted(at)
    best = -math.inf
    for bits in itertools.product([False, True], repeat=cut.n_units):
        piece = cut.piece(bits)
        side = np.where(bits, -1.0, 1.0)
        rows = problem.leads(np.eye(cut.n_outputs)).T
        table = np.hstack([-rows @ piece.outputs.weight, np.ones((len(rows), 1))])
        phases = np.hstack([side[:, None] * piece.units.weight, np.zeros((len(side), 1))])
        found = optimize.linprog(
            np.append(np.zeros(len(at)), -1.0),
            A_ub=np.vstack([table, phases]),
            b_ub=np.concatenate([rows @ piece.outputs.bias, -side * piece.units.bias]),
            bounds=[*zip(low, high, strict=True), (None, None)],
        )
        best = max(best, -float(found.fun)) if found.status == 0 else best
    return best


def by_force(problem: LabelProblem) -> tuple[float, bool]:
    """The least size of a support on which the target leads, and whether that is beyond doubt."""
    n = len(problem.x)
    most = largest_margin(problem, tuple(range(n)))
    if most < MARGIN:
        return math.inf, most < MARGIN - CLEAR
    clear = True
    for k in range(1, n + 1):
        for support in itertools.combinations(range(n), k):
            margin = largest_margin(problem, support)
            clear &= abs(margin - MARGIN) > CLEAR
            if margin >= MARGIN:
                return k, clear
    raise AssertionError("the full support was enough")


def check(problem: LabelProblem, found: LeastChanges, margin: float = MARGIN) -> None:
    """What holds of every answer."""
    assert found.lower >= 1
    if found.point is None:
        assert found.upper == math.inf
        return
    assert found.lower <= found.upper == len(problem.changed(found.point))
    assert np.all((problem.low <= found.point) & (found.point <= problem.high))
    assert problem.margin(found.point) >= margin


def rival(net: ReluNetwork, x: FloatArray, rng: np.random.Generator) -> int:
    return int(rng.choice(np.delete(np.arange(net.n_outputs), int(net.label(x)))))


@pytest.mark.parametrize(
    ("widths", "slopes"),
    [
        ([6, 4, 3], (0.0,)),
        ([5, 3, 2, 3], (0.0,)),
        ([5, 4, 3], (0.1, 0.0, 1.0)),
        ([5, 3, 2, 2], (1.0, -0.5, 0.3)),
        ([4, 3, 3], (2.0, 0.0)),
    ],
)
def test_all_supports_and_patterns(widths: list[int], slopes: tuple[float, ...]) -> None:
    rng = np.random.default_rng(sum(widths))
    seen = set()
    for case in range(4):
        net = network(widths, rng, slopes)
        # In a corner of the box, inside, and with coordinates that cannot move.
        x = rng.choice([0.0, 1.0], widths[0]) if case % 2 else rng.uniform(size=widths[0])
        low, high = np.zeros(len(x)), np.ones(len(x))
        if case % 3 == 0:
            low[0] = high[0] = x[0]
        problem = LabelProblem.of(net, x, rival(net, x, rng), (low, high))
        least, clear = by_force(problem)
        found = least_changes(problem)
        check(problem, found)
        seen.add(least)
        if clear:
            assert found.upper == least
            assert found.lower == min(least, len(x) + 1)
    assert len(seen) > 1


def test_linear_classifiers() -> None:
    rng = np.random.default_rng(1)
    sizes = set()
    for _ in range(8):
        weight, bias = rng.normal(size=(4, 20)), rng.normal(size=4)
        net, x = ReluNetwork([(weight, bias)]), rng.uniform(-1, 1, 20)
        problem = LabelProblem.of(net, x, rival(net, x, rng), (-1, 1))
        normals = problem.leads(weight.T).T
        expected = minimal_changes(normals, -problem.leads(bias), x, np.ones(3), (-1, 1))
        found = least_changes(problem)
        check(problem, found)
        if expected is None:
            assert found.upper == math.inf
        else:
            assert expected.lower == expected.upper == found.upper == found.lower
            sizes.add(expected.upper)
    assert len(sizes) > 1


def hidden(seed: int, n: int = 40, units: int = 12, classes: int = 5) -> LabelProblem:
    """A problem of several changes: each coordinate can do little."""
    rng = np.random.default_rng(seed)
    net = network([n, units, classes], rng, scale=0.3)
    x = rng.choice([0.0, 1.0], n, p=[0.7, 0.3])
    seen = np.bincount(net.label(rng.uniform(size=(500, n))), minlength=classes)
    seen[int(net.label(x))] = 0
    return LabelProblem.of(net, x, int(seen.argmax()), (0, 1))


def test_known_points_and_few_changes() -> None:
    """Whatever is known, and whatever is asked, the answers agree."""
    sizes = []
    for seed in range(6):
        problem = hidden(seed)
        found = least_changes(problem)
        check(problem, found)
        assert found.point is not None
        assert found.lower == found.upper
        least = found.lower
        sizes.append(least)
        again = least_changes(problem, known=found.point)
        assert (again.lower, again.upper) == (least, least)
        # A known point with more changes than needed.
        worse = found.point.copy()
        unchanged = np.flatnonzero(worse == problem.x)
        for j in unchanged:
            trial = worse.copy()
            trial[j] = 1 - problem.x[j]
            worse = trial if problem.margin(trial) >= MARGIN else worse
        more = least_changes(problem, known=worse)
        check(problem, more)
        assert (more.lower, more.upper) == (least, least)
        for k in range(1, least):
            short = least_changes(problem, known=worse, max_changes=k)
            assert short.lower == k + 1
            assert short.upper == len(problem.changed(worse))
        enough = least_changes(problem, max_changes=least)
        assert (enough.lower, enough.upper) == (enough.lower, least)
    assert max(sizes) > 3


def test_an_unreachable_label() -> None:
    net = ReluNetwork([([[1.0, 1.0], [0.0, 0.0]], [0.0, 3.0])])
    found = least_changes(LabelProblem.of(net, [0, 0], 0, (0, 1)))
    assert (found.lower, found.upper, found.point) == (3, math.inf, None)
    fixed = LabelProblem.of(net, [0.5, 0.5], 0, ([0.5, 0.5], [0.5, 0.5]))
    assert least_changes(fixed).lower == 3


def test_time_limits_leave_an_interval() -> None:
    problem = hidden(7, n=120, units=60, classes=10)
    start = time.monotonic()
    short = least_changes(problem, time_limit=0.0)
    assert time.monotonic() - start < 5
    check(problem, short)
    known = np.where(problem.x > 0.5, 0.0, 1.0)
    climbing = least_changes(hidden(2), time_limit=0.0)
    full = least_changes(hidden(2))
    assert climbing.lower <= full.lower == full.upper <= climbing.upper
    if problem.margin(known) >= MARGIN:
        assert least_changes(problem, known=known, time_limit=0.0).upper <= 120


@pytest.mark.parametrize("power", [-12, -6, 6, 12])
def test_scales_do_not_change_the_count(power: int) -> None:
    """Units rescaled by powers of two compute the same numbers, but look different to a solver."""
    for seed in range(3):
        problem = hidden(20 + seed, n=25, units=8)
        net = problem.classifier
        assert isinstance(net, ReluNetwork)
        first, last = net.layers
        factor = np.ldexp(1.0, np.resize([power, -power, 0], len(first.bias)))
        weight = np.asarray(first.weight) * factor[:, None]
        scaled = ReluNetwork(
            [
                Layer(weight, first.bias * factor, first.slope),
                Layer(np.asarray(last.weight) / factor, last.bias, last.slope),
            ]
        )
        other = LabelProblem(scaled, problem.x, problem.target, problem.low, problem.high)
        assert least_changes(other).lower == least_changes(problem).lower


def test_a_margin_that_one_change_just_misses() -> None:
    """Where the solver's tolerances would say yes, the count says no."""
    for missing in (1e-8, 1e-10, 1e-12):
        net = ReluNetwork([([[1.0, 1.0], [0.0, 0.0]], [0.0, 1.0 - missing])])
        problem = LabelProblem.of(net, [0, 0], 0, (0, 1))
        # One coordinate gives the lead `missing`.
        just = least_changes(problem, margin=missing * 0.5)
        assert just.lower == 1
        check(problem, least_changes(problem, margin=missing * 1.001), missing * 1.001)
    far = ReluNetwork([([[1.0, 1.0], [0.0, 0.0]], [0.0, 1.0 - MARGIN + 1e-9])])
    found = least_changes(LabelProblem.of(far, [0, 0], 0, (0, 1)))
    assert (found.lower, found.upper) == (2, 2)


def test_relaxations_hold_at_all_sparse_points() -> None:
    """Neither rows nor cuts lose a point: its columns satisfy them, and its count is not below."""
    rng = np.random.default_rng(4)
    for trial in range(10):
        slopes = (0.0, 0.2) if trial % 2 else (0.0,)
        net = network([8, 5, 4, 3], rng, slopes)
        x = rng.choice([0.0, 0.3, 1.0], 8)
        problem = LabelProblem.of(net, x, rival(net, x, rng), (0, 1))
        k = int(rng.integers(1, 5))
        relaxation = BallRelaxation(problem, k, np.ones(8, dtype=bool), MARGIN)
        relaxation.start_cuts()
        marks = np.zeros(len(relaxation.rows.coordinates), np.int8)
        phases = np.zeros(relaxation.n_units, np.int8)
        for _ in range(4):
            solved = relaxation.solve(marks, phases, relaxation.node_ends(marks))
            if not solved.moves.size:
                break
            relaxation.add_cuts(solved)
        for _ in range(200):
            point = x.copy()
            at = rng.permutation(8)[:k]
            point[at] = rng.choice([0.0, 1.0, rng.uniform()], k)
            if problem.margin(point) >= MARGIN:
                assert solved.bound <= len(problem.changed(point))


def test_envelopes() -> None:
    """Above the unit at all sparse corners, and equal to the optimum of the disjunction."""
    rng = np.random.default_rng(5)
    for trial in range(40):
        n, k = 7, int(rng.integers(1, 5))
        w, c = rng.normal(size=(2, n)), rng.normal(size=2)
        p = rng.random(n) * (rng.random(n) < 0.7) * (trial > 3)
        p *= min(1.0, k * rng.random() ** 0.3 / max(p.sum(), 1e-9))
        corners = np.array(
            [corner for corner in itertools.product([0.0, 1.0], repeat=n) if sum(corner) <= k]
        )
        values = np.maximum(0.0, corners @ w.T + c)
        envelope, central = envelope_majorants(w, c, p, k), central_majorants(w, c, k)
        for above in (envelope, central):
            assert np.all(at(above, corners) >= values)
        np.testing.assert_allclose(at(central, np.zeros(n)), np.maximum(c, 0), atol=1e-12)
        # The envelope is the largest mean over mixtures of corners.
        for i in range(2):
            mixture = optimize.linprog(
                -values[:, i],
                A_eq=np.vstack([corners.T, np.ones(len(corners))]),
                b_eq=np.append(p, 1.0),
            )
            assert at(envelope, p)[i] == pytest.approx(-mixture.fun, abs=1e-8)


def at(majorants: Majorants, points: FloatArray) -> FloatArray:
    return points @ majorants.weights.T + majorants.shifts


def test_bad_input() -> None:
    net = ReluNetwork([([[1.0, 1.0], [0.0, 0.0]], [0.0, 1.5])])
    problem = LabelProblem.of(net, [0, 0], 0, (0, 1))
    for wrong, message in (
        ({"known": np.zeros(3)}, "shape"),
        ({"known": np.full(2, 2.0)}, "outside"),
        ({"known": np.zeros(2)}, "does not lead"),
        ({"margin": 0.0}, "margin"),
        ({"max_changes": 0}, "max_changes"),
        ({"time_limit": -1.0}, "time_limit"),
    ):
        with pytest.raises(ValueError, match=message):
            least_changes(problem, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="finite"):
        least_changes(LabelProblem.of(net, [0, 0], 0, (0, np.inf)))


def test_a_search_that_stops_early_claims_nothing() -> None:
    problem = hidden(2)
    least = least_changes(problem).lower
    for k in range(1, least + 2):
        answer = BallSearch(problem, k, MARGIN, -math.inf).run()
        assert answer.lower <= min(least, k + 1)
        assert not (answer.proved and k >= least)
