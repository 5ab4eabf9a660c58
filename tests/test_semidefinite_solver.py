"""The structured semidefinite solver against general solvers, laws and closed forms."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.certificate import Certificate
from theory.lipschitz.semidefinite.dual import proved_lower_end, repaired
from theory.lipschitz.semidefinite.interior import interior_point
from theory.lipschitz.semidefinite.interior.steps import factored, longest_step
from theory.lipschitz.semidefinite.oracle import cvxpy_solution
from theory.lipschitz.semidefinite.problem import (
    SlopeEnds,
    SlopeProblem,
    global_slopes,
    slope_problem,
)
from theory.lipschitz.semidefinite.solution import Solution
from theory.lipschitz.semidefinite.stagewise import stagewise


def he_weights(*sizes: int, seed: int = 0) -> list[FloatArray]:
    """Gaussian weights of variance 2 / fan-in, drawn layer by layer."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((b, a)) * np.sqrt(2 / a) for a, b in pairwise(sizes)]


def deep_weights(depth: int, width: int) -> list[FloatArray]:
    """Gaussian weights scaled to norms that are uniform on [0.4, 1.8]."""
    rng = np.random.default_rng(depth)
    found = []
    for a, b in pairwise([4, *[width] * (depth - 1), 1]):
        norm, weight = rng.uniform(0.4, 1.8), rng.standard_normal((b, a))
        found.append(weight * norm / np.linalg.norm(weight, 2))
    return found


def plain(weights: list[FloatArray], slopes: tuple[float, float] = (0.0, 1.0)) -> SlopeProblem:
    return slope_problem(weights, [global_slopes(slopes, len(weight)) for weight in weights[:-1]])


def skipping(seed: int) -> SlopeProblem:
    """Three levels that all read the inputs and each other, as does the output."""
    rng = np.random.default_rng(seed)
    sizes = (3, 4, 2, 5)
    levels = [{j: rng.standard_normal((sizes[i], sizes[j])) for j in range(i)} for i in range(1, 4)]
    output = {j: rng.standard_normal((2, sizes[j])) for j in range(4)}
    return SlopeProblem(sizes[0], sizes[1:], tuple(levels), output)


def least_eigenvalue(problem: SlopeProblem, solution: Solution) -> float:
    """Of S with unit diagonal, zero rows and columns left out."""
    rows, output, _, _ = problem.assembled
    n, m = problem.n_inputs, problem.n_units
    v = np.hstack([np.zeros((m, n)), np.eye(m)]) - rows
    slack = -output.T @ output
    slack[:n, :n] += solution.square * np.eye(n)
    slack[n:] += solution.multipliers[:, None] * v
    slack[:, n:] += (solution.multipliers[:, None] * v).T
    slack = slack[np.ix_(slack.any(axis=0), slack.any(axis=0))]
    scale = np.sqrt(np.diag(slack))
    return float(np.linalg.eigvalsh(slack / np.outer(scale, scale))[0])


def check(problem: SlopeProblem, optimum: float | None = None, gap: float = 1e-6) -> float:
    """Check what a solution promises, and return its bound."""
    found = interior_point(problem)
    value = found.square**0.5
    assert found.multipliers.shape == (problem.n_units,)
    assert least_eigenvalue(problem, found) > 0
    assert (1 - gap) * value <= found.lower <= value
    assert found.square <= stagewise(problem).square * (1 + 2e-6)
    if optimum is not None:
        assert value == pytest.approx(optimum, rel=1e-6)
        assert found.lower <= optimum * (1 + 1e-7)
    return value


PARTLY_LINEAR = slope_problem(
    he_weights(3, 6, 5, 2, seed=5),
    [
        SlopeEnds(np.array([0.0, 0.2, 1.0, 0.5, 0.0, -0.1]), np.array([1.0, 1, 1, 0.5, 0, 0.9])),
        SlopeEnds(np.array([0.1, 0.0, 0.3, 1.0, 0.0]), np.array([0.9, 1.0, 0.3, 1.0, 0.7])),
    ],
)


@pytest.mark.parametrize(
    "problem",
    [
        plain(he_weights(2, 8, 8, 2)),
        plain(he_weights(9, 4, 3, 7)),
        plain(he_weights(3, 6, 5, 6, 1)),
        plain(he_weights(30, 7, 2), (0.1, 1.0)),
        plain(he_weights(4, 6, 6, 2), (-0.13, 1.13)),
        PARTLY_LINEAR,
        skipping(1),
        skipping(2),
    ],
    ids=["two", "wide", "three", "leaky", "gelu", "partly linear", "skip 1", "skip 2"],
)
def test_agrees_with_a_general_solver(problem: SlopeProblem) -> None:
    pytest.importorskip("cvxopt")
    check(problem, cvxpy_solution(problem, 1e-9, "CVXOPT").square ** 0.5)


def test_known_optima() -> None:
    # Computed with SDPA.
    assert check(plain(he_weights(2, 50, 50, 2))) == pytest.approx(9.8281264, rel=1e-7)
    assert check(plain(he_weights(784, 100, 10))) == pytest.approx(2.7042475, rel=1e-6)


@pytest.mark.parametrize("factor", [1e-7, 1e-30, 1e5])
def test_scales_with_each_layer(factor: float) -> None:
    weights = he_weights(3, 9, 7, 2, seed=3)
    expected = check(plain(weights))
    for i in range(3):
        scaled = [factor * w if i == j else w for j, w in enumerate(weights)]
        assert check(plain(scaled)) == pytest.approx(factor * expected, rel=2e-6)


def test_does_not_depend_on_the_order_of_units_or_on_rotations() -> None:
    rng = np.random.default_rng(8)
    first, second, third = he_weights(5, 8, 6, 3, seed=8)
    one, two = rng.permutation(8), rng.permutation(6)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    other = [first[one] @ turn, second[np.ix_(two, one)], third[:, two][::-1]]
    expected = check(plain([first, second, third]))
    assert check(plain(other)) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_one_hidden_layer_is_one_convex_minimum(seed: int) -> None:
    first, second = he_weights(3, 4, 1, seed=seed)
    gram = first @ first.T

    def square(logarithms: FloatArray) -> float:
        a = np.exp(logarithms)
        schur = 2 * np.diag(a) - a[:, None] * gram * a
        if np.linalg.eigvalsh(schur)[0] <= 0:
            return 1e9
        return float((second @ np.linalg.solve(schur, second.T))[0, 0])

    start = np.full(4, -np.log(np.linalg.eigvalsh(gram)[-1]))
    options = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 20000, "maxfev": 20000}
    found = optimize.minimize(square, start, method="Nelder-Mead", options=options)
    assert check(plain([first, second])) == pytest.approx(found.fun**0.5, rel=2e-6)


def test_bounds_all_slopes_and_repaired_vectors() -> None:
    rng = np.random.default_rng(4)
    weights = he_weights(3, 5, 4, 2, seed=4)
    problem = plain(weights)
    value = check(problem)
    for _ in range(200):
        one, two = rng.random(5) * 1.0, np.round(rng.random(4))
        jacobian = weights[2] * two @ (weights[1] * one) @ weights[0]
        assert np.linalg.norm(jacobian, 2) <= value
        proposal = rng.standard_normal((problem.n_coordinates, rng.integers(1, 6)))
        assert 0 <= proved_lower_end(problem, proposal) <= value


@pytest.mark.parametrize("seed", range(20))
def test_ends_are_on_their_sides_exactly(seed: int) -> None:
    # A chain of single units: the optimum is the product of its weights.
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal(rng.integers(2, 8)) * 10.0 ** rng.integers(-3, 4)
    problem = plain([np.array([[each]]) for each in weights])
    optimum = abs(np.prod([Fraction(float(each)) for each in weights]))
    found = interior_point(problem)
    assert (
        Fraction(found.lower) <= optimum < Fraction(found.square**0.5) * (1 + Fraction(1, 10**12))
    )
    assert found.square**0.5 <= float(optimum) * (1 + 1e-6)
    sharp = proved_lower_end(problem, np.cumprod([1.0, *weights[:-1]])[:, None])
    assert (1 - Fraction(1, 10**12)) * optimum < Fraction(sharp) <= optimum


@pytest.mark.parametrize("seed", range(6))
def test_repaired_vectors_obey_the_constraints_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = skipping(seed) if seed % 2 else PARTLY_LINEAR
    proposal = rng.standard_normal((problem.n_coordinates, rng.integers(1, 5)))
    proposal *= 10.0 ** rng.integers(-6, 6, size=(problem.n_coordinates, 1))
    if seed > 3:
        near = repaired(problem, proposal)[0]
        proposal = near * (1 + 1e-15 * rng.standard_normal(near.shape))
    w = [[Fraction(each) for each in row] for row in repaired(problem, proposal)[0].tolist()]
    rows, errors = problem.assembled.rows, problem.assembled.rows_error
    for i, (row, error) in enumerate(zip(rows, errors, strict=True)):
        at = problem.n_inputs + i
        u, used = w[at], np.flatnonzero(row)
        true = [Fraction(row[j]) + Fraction(error[j] * rng.uniform(-1, 1)) for j in used]
        z = [
            sum((g * w[j][k] for g, j in zip(true, used, strict=True)), Fraction(0))
            for k in range(len(u))
        ]
        assert sum(a * (b - a) for a, b in zip(u, z, strict=True)) >= 0
        assert any(u)


def test_lower_end_holds_for_all_problems_within_the_errors() -> None:
    blocks, last = ({0: np.array([[2.0]])}, {1: np.array([[5.0]])}), {2: np.array([[3.0]])}
    errors = ({0: np.array([[0.25]])}, {1: np.array([[0.5]])})
    problem = SlopeProblem(1, (1, 1), blocks, last, errors, {2: np.array([[0.125]])})
    lower = proved_lower_end(problem, np.array([[1.0], [2.0], [10.0]]))
    # Not 1.75 * 4.5 * 2.875: one vector must do for all.
    assert 0 < lower <= 1.75 * 4.5 * 2.875
    assert proved_lower_end(problem, np.array([[np.nan], [1.0], [1.0]])) == 0.0


def test_every_tolerance_gives_a_bound() -> None:
    problem = plain(he_weights(4, 12, 9, 3, seed=6))
    found = [interior_point(problem, tolerance) for tolerance in (0.5, 0.1, 1e-3, 1e-6, 1e-12)]
    for rough, fine in pairwise(found):
        assert fine.lower <= rough.square**0.5
        assert fine.iterations >= rough.iterations
    assert all(least_eigenvalue(problem, each) > 0 for each in found)
    assert found[-1].square ** 0.5 <= found[-1].lower * (1 + 1e-8)


@pytest.mark.parametrize(("depth", "width"), [(20, 20), (50, 8)])
def test_deep_networks(depth: int, width: int) -> None:
    weights = deep_weights(depth, width)
    problem = plain(weights)
    value = check(problem)
    assert value < 0.5 * stagewise(problem).square ** 0.5
    product = float(np.prod([np.linalg.norm(weight, 2) for weight in weights]))
    assert stagewise(problem).square ** 0.5 <= product


def test_no_units_leave_the_spectral_norm() -> None:
    weight = he_weights(5, 3)[0]
    assert check(plain([weight])) == pytest.approx(np.linalg.norm(weight, 2), rel=1e-9)
    both = plain([*he_weights(4, 6), he_weights(6, 3)[0]], (1.0, 1.0))
    expected = np.linalg.norm(he_weights(6, 3)[0] @ he_weights(4, 6)[0], 2)
    assert check(both) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_zero_layers(zero: int) -> None:
    weights = he_weights(3, 4, 5, 2)
    weights[zero] = np.zeros_like(weights[zero])
    for solver in (interior_point, stagewise):
        found = solver(plain(weights))
        assert found.square == 0.0
        assert found.lower == 0.0
        assert np.all(found.multipliers >= 0)


def test_dead_and_unread_units_are_as_good_as_absent() -> None:
    first, second, third = he_weights(3, 5, 6, 2, seed=9)
    expected = check(plain([first, second, third]))
    rng = np.random.default_rng(9)
    # Two dead units in each layer, read by all; an unread one in each, which reads all.
    wide = [np.zeros((8, 3)), np.zeros((9, 8)), rng.standard_normal((2, 9))]
    wide[0][:5], wide[0][7] = first, rng.standard_normal(3)
    wide[1][:6, :5], wide[1][8] = second, rng.standard_normal(8)
    wide[1][:, 5:7] = rng.standard_normal((9, 2))
    wide[2][:, :6], wide[2][:, 8] = third, 0.0
    problem = plain(wide)
    assert check(problem) == pytest.approx(expected, rel=2e-6)
    assert np.all(interior_point(problem).multipliers[[7, 16]] == 0.0)
    assert least_eigenvalue(problem, stagewise(problem)) > -1e-12


@pytest.mark.parametrize("exact", [True, False])
def test_units_that_cancel_up_to_rounding_are_held_at_0(exact: bool) -> None:
    # The first unit of the second layer reads the difference of two equal linear units: its row is
    # zero, or of the order of rounding, but not known to be zero.
    rng = np.random.default_rng(2)
    equal = np.array([1.5, -0.75]) if exact else rng.standard_normal(2)
    first = np.vstack([equal, equal, rng.standard_normal((3, 2))])
    half = 0.5 if exact else 0.3
    second = np.hstack([[[half, -half], [0.1, 0.2], [0.4, 0.0]], np.zeros((3, 3))])
    second[1:, 2:] = rng.standard_normal((2, 3))
    third = rng.standard_normal((2, 3))
    linear = SlopeEnds(np.array([1.0, 1.0, 0.0, 0.0, 0.0]), np.ones(5))
    problem = slope_problem([first, second, third], [linear, global_slopes((0, 1), 3)])
    assert problem.level_errors[1][0][0].any()
    assert np.abs(problem.assembled.rows[3]).max() <= (0.0 if exact else 1e-16)
    absent = slope_problem([first, second[1:], third[:, 1:]], [linear, global_slopes((0, 1), 2)])
    assert check(problem) == pytest.approx(check(absent), rel=2e-6)
    for solver in (interior_point, stagewise):
        found = solver(problem)
        value = found.square**0.5 * (1 + 1e-9)
        assert Certificate(problem, value, found.multipliers * (1 + 1e-9)).verify()


@pytest.mark.parametrize(
    "weights",
    [
        he_weights(1, 6, 5, 1),
        he_weights(4, 1, 1, 3),
        [np.ones((6, 4)), np.ones((5, 6)), np.ones((3, 5))],
        [np.repeat(he_weights(3, 2)[0], 3, axis=0), np.repeat(he_weights(6, 2)[0], 2, axis=0)],
        [np.diag([1.0, 1e-9, 1e-4]), he_weights(3, 3)[0], he_weights(3, 2)[0]],
    ],
    ids=["one input", "one unit", "rank one", "repeated units", "far scales"],
)
def test_degenerate_weights(weights: list[FloatArray]) -> None:
    check(plain(weights))


def test_positive_weights_add_up() -> None:
    # All units on is a pattern, and with positive weights the largest.
    weights = [np.abs(weight) for weight in he_weights(2, 6, 5, 2)]
    value = check(plain(weights))
    assert value == pytest.approx(np.linalg.norm(weights[2] @ weights[1] @ weights[0], 2), rel=2e-6)


def test_longest_steps_end_at_the_boundary() -> None:
    rng = np.random.default_rng(1)
    for size in (1, 2, 7, 40):
        half = rng.standard_normal((size, size))
        matrix = half @ half.T + np.eye(size)
        direction = rng.standard_normal((size, size))
        direction = direction + direction.T - 3 * np.eye(size)
        factor = factored(matrix)
        assert factor is not None
        length = longest_step(factor, direction, accuracy=1e-6)
        at_end = np.linalg.eigvalsh(matrix + length * direction)[0]
        assert abs(at_end) <= 1e-4 * np.linalg.norm(matrix, 2)
        assert longest_step(factor, matrix) == np.inf
    assert factored(-np.eye(3)) is None


def test_tolerances_out_of_range_are_refused() -> None:
    for tolerance in (0.0, 1.0, -1e-3, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            interior_point(plain(he_weights(2, 3, 1)), tolerance)
