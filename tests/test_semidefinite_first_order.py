"""The solver of the semidefinite bound for large networks, against the others and closed forms."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite import bound_of
from theory.lipschitz.semidefinite.first_order import first_order
from theory.lipschitz.semidefinite.interior import interior_point
from theory.lipschitz.semidefinite.oracle import cvxpy_solution
from theory.lipschitz.semidefinite.problem import SlopeProblem, global_slopes, slope_problem
from theory.lipschitz.semidefinite.stagewise import stagewise
from theory.relu.layer import Matrix


def he_weights(*sizes: int, seed: int = 0) -> list[FloatArray]:
    """Gaussian weights of variance 2 / fan-in, drawn layer by layer."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((b, a)) * np.sqrt(2 / a) for a, b in pairwise(sizes)]


def plain(weights: Sequence[Matrix], slopes: tuple[float, float] = (0.0, 1.0)) -> SlopeProblem:
    return slope_problem(
        weights, [global_slopes(slopes, weight.shape[0]) for weight in weights[:-1]]
    )


def skipping(seed: int) -> SlopeProblem:
    """Three levels that all read the inputs and each other, as does the output."""
    rng = np.random.default_rng(seed)
    sizes = (3, 6, 4, 5)
    levels = [{j: rng.standard_normal((sizes[i], sizes[j])) for j in range(i)} for i in range(1, 4)]
    output = {j: rng.standard_normal((2, sizes[j])) for j in range(4)}
    return SlopeProblem(sizes[0], sizes[1:], tuple(levels), output)


PROBLEMS = {
    "one level": plain(he_weights(7, 12, 3)),
    "many inputs": plain(he_weights(60, 9, 8, 3, seed=1)),
    "many outputs": plain(he_weights(3, 9, 30, seed=2)),
    "deep": plain(he_weights(4, *[9] * 7, 2, seed=3)),
    "leaky": plain(he_weights(5, 8, 7, 2, seed=4), (0.1, 1.0)),
    "beyond 1": plain(he_weights(5, 8, 7, 2, seed=5), (-0.13, 1.13)),
    "skips": skipping(6),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_both_ends_are_at_the_optimum(name: str) -> None:
    problem = PROBLEMS[name]
    exact = interior_point(problem, 1e-8)
    found = first_order(problem, 1e-4)
    value = found.square**0.5
    assert value >= exact.lower * (1 - 1e-9)
    assert value <= exact.square**0.5 * (1 + 1e-4)
    assert value * (1 - 1e-4) <= found.lower <= exact.square**0.5 * (1 + 1e-9)
    bound = bound_of(problem, solver="first_order", tolerance=1e-4)
    assert bound.verify()
    assert value <= bound.value <= value * (1 + 1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_a_general_solver(seed: int) -> None:
    problem = plain(he_weights(4, 8, 6, 3, seed=seed))
    exact = cvxpy_solution(problem, 1e-7).square ** 0.5
    found = first_order(problem)
    assert exact * (1 - 1e-6) <= found.square**0.5 <= exact * (1 + 1e-3)
    assert exact * (1 - 1e-3) * (1 - 1e-6) <= found.lower <= exact * (1 + 1e-6)


def test_sparse_and_dense_blocks_are_the_same_problem() -> None:
    rng = np.random.default_rng(0)
    weights = [
        weight * (rng.random(weight.shape) < 0.3) for weight in he_weights(12, 30, 20, 5, seed=8)
    ]
    both = [plain(weights), plain([sparse.csr_array(weight) for weight in weights])]
    one, other = (first_order(problem, 1e-4) for problem in both)
    assert one.square == other.square
    np.testing.assert_array_equal(one.multipliers, other.multipliers)
    assert other.lower == pytest.approx(one.lower, rel=1e-12)


def test_more_evaluations_give_no_worse_bound() -> None:
    problem = plain(he_weights(20, 25, 25, 25, 4, seed=9))
    optimum = interior_point(problem).lower
    found = [first_order(problem, 1e-4, budget) for budget in (1, 2, 4, 6, 8, 10, 14, 18, 60)]
    squares = [each.square for each in found]
    assert all(later <= before for before, later in pairwise(squares))
    assert squares[0] <= stagewise(problem).square * (1 + 1e-9)
    assert squares[4] < 0.9 * squares[0]
    assert all(0 < each.lower <= optimum * (1 + 1e-5) for each in found)
    assert all(each.square**0.5 >= optimum * (1 - 1e-9) for each in found)
    assert [each.iterations for each in found[:4]] == [1, 2, 4, 6]
    assert found[-1].lower >= found[-1].square ** 0.5 * (1 - 1e-4)


def test_the_bound_scales_with_each_weight() -> None:
    weights = he_weights(5, 9, 7, 3, seed=10)
    value = first_order(plain(weights), 1e-5).square
    for i, factor in enumerate((1e-6, 1e5, 1e7)):
        scaled = [factor * each if i == j else each for j, each in enumerate(weights)]
        assert first_order(plain(scaled), 1e-5).square == pytest.approx(value * factor**2, rel=4e-5)


def test_units_that_differ_by_orders_of_magnitude() -> None:
    # |x| from each pair of units, with gains c / c in either order.
    gains = np.logspace(-6, 6, 5)
    first = np.concatenate([gains, -gains])[:, None]
    second = np.concatenate([1 / gains, 1 / gains])[None]
    found = first_order(plain([first, second]), 1e-6)
    assert found.square**0.5 == pytest.approx(5.0, rel=2e-6)
    assert found.lower == pytest.approx(5.0, rel=2e-6)


def test_one_unit() -> None:
    found = first_order(plain([np.array([[3.0, 4.0]]), np.array([[2.0], [0.0]])]), 1e-6)
    assert found.square**0.5 == pytest.approx(10.0, rel=1e-6)
    assert 10.0 * (1 - 1e-6) <= found.lower <= 10.0


def test_no_units_is_the_spectral_norm() -> None:
    rng = np.random.default_rng(11)
    matrix = rng.standard_normal((4, 6))
    problem = SlopeProblem(6, (), (), {0: matrix})
    norm = float(np.linalg.norm(matrix, 2))
    found = first_order(problem)
    assert found.square**0.5 == pytest.approx(norm, rel=1e-9)
    assert norm * (1 - 1e-9) <= found.lower <= norm * (1 + 1e-12)
    assert bound_of(problem, solver="first_order").verify()


def test_a_constant_network_has_the_bound_0() -> None:
    for weights in ([np.zeros((3, 2)), np.ones((1, 3))], [np.ones((3, 2)), np.zeros((1, 3))]):
        problem = plain(weights)
        found = first_order(problem)
        assert (found.square, found.lower) == (0.0, 0.0)
        assert bound_of(problem, solver="first_order").verify()


def test_dead_units_change_nothing() -> None:
    w1, w2, w3 = he_weights(6, 8, 7, 3, seed=12)
    lively = first_order(plain([w1, w2, w3]), 1e-5)
    dead_1 = np.vstack([w1, np.zeros((1, 6))])  # never moves, is read
    unread = np.hstack([w2, np.ones((7, 1))])
    wider = np.vstack([unread, np.ones((1, 9))])  # moves, is not read
    last = np.hstack([w3, np.zeros((3, 1))])
    problem = plain([dead_1, wider, last])
    found = first_order(problem, 1e-5)
    assert found.square == pytest.approx(lively.square, rel=2e-5)
    assert found.multipliers.shape == (17,)
    assert bound_of(problem, solver="first_order", tolerance=1e-5).verify()


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -1e-3, np.nan])
def test_a_tolerance_out_of_range_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance must be between 0 and 1"):
        first_order(PROBLEMS["one level"], tolerance)


def test_no_evaluations_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 evaluation"):
        first_order(PROBLEMS["one level"], 1e-3, 0)
