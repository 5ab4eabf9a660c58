"""Certificates of semidefinite bounds: what verifies is true, and what is true by a margin does."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from scipy import sparse

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite import (
    Certificate,
    SlopeProblem,
    Solution,
    certified,
    global_slopes,
    slope_problem,
)
from theory.lipschitz.semidefinite.definite import definite_beyond
from theory.lipschitz.semidefinite.interior import interior_point
from theory.lipschitz.semidefinite.oracle import cvxpy_solution
from theory.lipschitz.semidefinite.rational import semidefinite
from theory.lipschitz.semidefinite.slack import slack_errors, slack_matrix
from theory.lipschitz.semidefinite.stagewise import stagewise
from theory.relu.layer import Matrix


def he_net(seed: int, *widths: int) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((m, n)) * np.sqrt(2 / n) for n, m in pairwise(widths)]


def problem_of(weights: Sequence[Matrix], slopes: tuple[float, float] = (0.0, 1.0)) -> SlopeProblem:
    return slope_problem(weights, [global_slopes(slopes, each.shape[0]) for each in weights[:-1]])


def optimum(problem: SlopeProblem) -> Certificate:
    return certified(problem, interior_point(problem, 1e-8))


def slack_eigenvalue(problem: SlopeProblem, value: float, multipliers: FloatArray) -> float:
    """The least eigenvalue of S, written from its definition, coordinate by coordinate."""
    rows, output = problem.assembled.rows, problem.assembled.output
    n, size = problem.n_inputs, problem.n_coordinates
    slack = np.diag([value**2] * n + [0.0] * len(rows)) - output.T @ output
    for i, multiplier in enumerate(multipliers):
        unit = np.eye(size)[n + i]
        v = unit - rows[i]
        slack += multiplier * (np.outer(unit, v) + np.outer(v, unit))
    return float(np.linalg.eigvalsh(slack)[0])


def exact_slack(
    rows: Sequence[Sequence[Fraction]],
    output: Sequence[Sequence[Fraction]],
    square: float,
    multipliers: FloatArray,
    whole: bool,
) -> list[list[Fraction]]:
    """S, or its Schur complement on the units, in rational arithmetic."""
    size, m = len(output[0]), len(rows)
    n, zero, rho = size - m, Fraction(0), Fraction(square)
    slack = [[-sum((f[i] * f[j] for f in output), zero) for j in range(size)] for i in range(size)]
    for i in range(n):
        slack[i][i] += rho
    for i, row in enumerate(rows):
        scale = Fraction(float(multipliers[i]))
        slack[n + i][n + i] += 2 * scale
        for j in range(n + i):
            slack[n + i][j] -= scale * row[j]
            slack[j][n + i] -= scale * row[j]
    if whole:
        return slack
    return [
        [
            slack[i][j] - sum((slack[i][k] * slack[k][j] / rho for k in range(n)), zero)
            for j in range(n, size)
        ]
        for i in range(n, size)
    ]


def fractions(matrix: FloatArray) -> list[list[Fraction]]:
    return [[Fraction(x) for x in row] for row in matrix.tolist()]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("doubtful", [0.0, 1e-3])
def test_the_errors_of_the_matrix_hold_entry_by_entry(whole: bool, doubtful: float) -> None:
    """Where its terms cancel too: the errors are those of the terms and not of what is left."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, k = rng.integers(1, 4, size=2)
        sizes = tuple(int(each) for each in rng.integers(1, 3, size=2))
        size, m = int(n) + sum(sizes), sum(sizes)
        rows, output = rng.standard_normal((m, size)), rng.standard_normal((k, size))
        for i in range(m):
            rows[i, n + (0 if i < sizes[0] else sizes[0]) :] = 0
        if not whole:
            output[:, :n] = 0
        multipliers, square = rng.exponential(size=m) + 1, float(rng.exponential() + 0.1)
        gram, last = output.T @ output, size - 1
        # One entry cancels: that of the last unit with the first, or in T that of the first unit.
        if whole or rng.integers(2):
            beside = 0.0 if whole else multipliers[0] * rows[0, :n] @ rows[-1, :n] / square
            rows[-1, n] = -gram[last, n] / multipliers[-1] - beside
        elif 2 * multipliers[0] > gram[n, n]:
            square = multipliers[0] ** 2 * rows[0, :n] @ rows[0, :n]
            square = float(square / (2 * multipliers[0] - gram[n, n]))
        first, second = slice(int(n), int(n) + sizes[0]), slice(int(n) + sizes[0], size)
        levels = (
            {0: rows[: sizes[0], :n]},
            {0: rows[sizes[0] :, :n], 1: rows[sizes[0] :, first]},
        )
        blocks = {1: output[:, first], 2: output[:, second]}
        if whole:
            blocks[0] = output[:, :n]
        problem = SlopeProblem(int(n), sizes, levels, blocks)
        if doubtful:
            problem = replace(
                problem,
                level_errors=tuple(
                    {at: doubtful * np.abs(block) for at, block in each.items()} for each in levels
                ),
                output_errors={at: doubtful * np.abs(block) for at, block in blocks.items()},
            )
        slack = slack_matrix(problem, square, multipliers, whole=whole)
        errors = np.stack(
            [
                slack_errors(problem, square, multipliers, slack, unit, whole=whole)
                for unit in np.eye(len(slack))
            ]
        )
        # The corners of the set of problems, which one random vertex after the other stands for.
        moves = [
            [[1 + Fraction(doubtful) * int(sign) for sign in row] for row in signs]
            for signs in (rng.choice([-1, 1], rows.shape), rng.choice([-1, 1], output.shape))
        ]
        true_rows, true_output = (
            [[x * y for x, y in zip(a, b, strict=True)] for a, b in zip(part, move, strict=True)]
            for part, move in zip((fractions(rows), fractions(output)), moves, strict=True)
        )
        true = exact_slack(true_rows, true_output, square, multipliers, whole)
        for i, j in product(range(len(slack)), repeat=2):
            # The doubts that the test computed were themselves rounded.
            room = Fraction(float(errors[i, j])) * (1 + Fraction(1, 10**12))
            assert abs(Fraction(float(slack[i, j])) - true[i][j]) <= room, (i, j)


def test_definiteness_is_claimed_only_where_it_is_true() -> None:
    rng = np.random.default_rng(5)
    claimed = true = false = 0
    for _ in range(400):
        n = int(rng.integers(2, 7))
        factor = rng.standard_normal((n, n - 1))
        factor /= np.linalg.norm(factor, axis=1)[:, None]
        matrix = factor @ factor.T
        matrix[np.diag_indices(n)] += rng.choice([-1, 1]) * 10.0 ** rng.uniform(-17, -13)
        matrix = (matrix + matrix.T) / 2
        errors = rng.choice([0.0, 1.0]) * 10.0 ** rng.uniform(-17, -13, size=n)
        less = fractions(matrix)
        for i in range(n):
            less[i][i] -= Fraction(float(errors[i]))
        holds, says = semidefinite(less), definite_beyond(matrix, errors)
        assert holds or not says
        claimed, true, false = claimed + says, true + holds, false + (not holds)
    assert min(claimed, true - claimed, false) > 20


@pytest.mark.parametrize("widths", [(1, 1, 1), (3, 5, 2), (2, 6, 6, 2), (2, 3, 4, 3, 1), (7, 2)])
@pytest.mark.parametrize("slopes", [(0.0, 1.0), (-0.1, 1.1), (0.25, 0.75)])
def test_what_verifies_at_the_optimum_does_not_below_it(
    widths: tuple[int, ...], slopes: tuple[float, float]
) -> None:
    problem = problem_of(he_net(sum(widths), *widths), slopes)
    found = optimum(problem)
    assert found.verify()
    for below in (1e-7, 1e-3, 1.0):
        assert not Certificate(problem, found.value * (1 - below), found.multipliers).verify()
    assert Certificate(problem, found.value * 2, found.multipliers).verify()


def test_perturbed_multipliers_do_not_verify() -> None:
    problem = problem_of(he_net(3, 4, 8, 8, 3))
    found, rng = optimum(problem), np.random.default_rng(0)
    for size in (1e-2, 1e-1, 1.0):
        moved = found.multipliers * np.exp(size * rng.standard_normal(16))
        assert not Certificate(problem, found.value, moved).verify()
    assert not Certificate(problem, found.value, found.multipliers[::-1]).verify()


def test_a_certificate_of_another_network_does_not_verify() -> None:
    weights = he_net(4, 3, 6, 6, 2)
    found = optimum(problem_of(weights))
    for i, j, k in product(range(3), range(2), range(2)):
        other = [each.copy() for each in weights]
        other[i][j, k] += 0.5 * np.sign(other[i][j, k] or 1.0)
        problem = problem_of(other)
        verified = Certificate(problem, found.value, found.multipliers).verify()
        exact = slack_eigenvalue(problem, found.value, found.multipliers)
        assert verified == (exact > 0), (i, j, k)
    assert not Certificate(
        problem_of(he_net(5, 3, 6, 6, 2)), found.value, found.multipliers
    ).verify()


@pytest.mark.parametrize("seed", range(12))
def test_rational_and_floating_point_verification_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 6, size=rng.integers(3, 6))
    problem = problem_of(he_net(seed, *(int(each) for each in widths)))
    found = optimum(problem)
    assert found.verify(exact=True)
    edges = 0
    for change in (-1e-6, -1e-9, -1e-12, -1e-14, 0.0, 1e-14, 1e-12, 1e-9, 1e-6):
        near = Certificate(problem, found.value * (1 + change), found.multipliers)
        floating, exact = near.verify(), near.verify(exact=True)
        assert exact or not floating, "floating point must never say more than is true"
        edges += floating != exact
    assert edges <= 4
    loose = found.multipliers * (1 + 1e-9) ** 2
    assert Certificate(problem, found.value * (1 + 1e-9), loose).verify()


def test_the_largest_shift_is_seen_exactly() -> None:
    """One unit: S(rho, lambda) is 2 x 2, and its determinant is known."""
    problem = problem_of([np.array([[3.0]]), np.array([[5.0]])])
    # rho (2 lambda - 25) = 9 lambda^2 at lambda = 25: rho = 225.
    assert Certificate(problem, 15.0, np.array([25.0])).verify(exact=True)
    assert not Certificate(problem, np.nextafter(15.0, 0), np.array([25.0])).verify(exact=True)
    # A singular matrix can be decided by exact arithmetic alone.
    assert not Certificate(problem, 15.0, np.array([25.0])).verify()
    assert Certificate(problem, 15.0 * (1 + 1e-13), np.array([25.0])).verify()


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_rational_definiteness_against_constructions(n: int) -> None:
    rng = np.random.default_rng(n)
    for rank in range(n + 1):
        factor = [[Fraction(int(x), 7) for x in row] for row in rng.integers(-9, 9, (n, rank))]
        gram = [
            [sum((a * b for a, b in zip(r, s, strict=True)), Fraction(0)) for s in factor]
            for r in factor
        ]
        assert semidefinite(gram)
        x = [Fraction(int(each)) for each in rng.integers(1, 9, n)]
        # Less than the value at some x, and the matrix has a negative direction.
        form = sum((x[i] * gram[i][j] * x[j] for i in range(n) for j in range(n)), Fraction(0))
        at = rng.integers(n)
        gram[at][at] -= form / x[at] ** 2 + Fraction(1, 10**30)
        assert not semidefinite(gram)


def test_idle_units_and_inputs_are_handled_exactly() -> None:
    """A unit that reads nothing, one that nobody reads, and an input without weights."""
    first = np.array([[1.0, 0.0], [0.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    second = np.array([[1.0, 1.0, 0.0, 2.0]])
    problem = problem_of([first, second])
    # The third is not read: no multiplier. The second cannot move: none either.
    multipliers = np.array([3.0, 0.0, 0.0, 6.0])
    found = Certificate(problem, 3.0 * (1 + 1e-12), multipliers)
    assert found.verify()
    assert found.verify(exact=True)
    assert not Certificate(problem, 2.999999, multipliers).verify()
    # A unit that is read and moves needs one.
    assert not Certificate(problem, 1e9, np.array([0.0, 0.0, 0.0, 6.0])).verify()


@pytest.mark.parametrize(
    "weights",
    [
        [np.zeros((2, 3)), np.ones((2, 2))],
        [np.ones((2, 3)), np.zeros((2, 2))],
        [np.ones((2, 3)), np.zeros((4, 2)), np.ones((2, 4))],
        [np.zeros((2, 3))],
    ],
)
def test_a_constant_network_has_the_bound_zero(weights: list[FloatArray]) -> None:
    problem = problem_of(weights)
    found = Certificate(problem, 0.0, np.zeros(problem.n_units))
    assert found.verify()
    assert found.verify(exact=True)


def test_malformed_certificates_are_refused() -> None:
    problem = problem_of(he_net(0, 2, 3, 1))
    found = optimum(problem)
    for value in (np.nan, np.inf, -1.0, 0.0):
        assert not Certificate(problem, value, found.multipliers).verify()
    for bad in (np.nan, np.inf, -1e-300):
        multipliers = found.multipliers.copy()
        multipliers[1] = bad
        assert not Certificate(problem, 1e9, multipliers).verify()
        assert not Certificate(problem, 1e9, multipliers).verify(exact=True)
    with pytest.raises(ValueError, match=r"3 units .* got an array of shape \(2,\)"):
        Certificate(problem, 1.0, np.ones(2))


def test_multipliers_cannot_be_changed_behind_a_certificate() -> None:
    multipliers = np.array([25.0])
    problem = problem_of([np.array([[3.0]]), np.array([[5.0]])])
    found = Certificate(problem, 16.0, multipliers)
    multipliers[0] = 0.0
    assert found.verify()
    with pytest.raises(ValueError, match="read-only"):
        found.multipliers[0] = 0.0


def test_errors_of_the_problem_count() -> None:
    weights = he_net(7, 3, 5, 2)
    problem, rng = problem_of(weights), np.random.default_rng(0)
    room = 1e-3
    value, multipliers = optimum(problem).value * (1 + room), optimum(problem).multipliers
    multipliers = multipliers * (1 + room) ** 2
    for size in (1e-6, 1e-4, 1e-2, 1.0):
        errors = size * np.abs(weights[0]), size * np.abs(weights[1])
        doubtful = replace(problem, level_errors=({0: errors[0]},), output_errors={1: errors[1]})
        verified = Certificate(doubtful, value, multipliers).verify()
        worst = min(
            slack_eigenvalue(
                problem_of(
                    [
                        w + e * rng.choice([-1, 1], w.shape)
                        for w, e in zip(weights, errors, strict=True)
                    ]
                ),
                value,
                multipliers,
            )
            for _ in range(200)
        )
        assert not (verified and worst < 0)
        assert verified == (size <= 1e-4)
        # Either of the two kinds alone is enough to spoil it.
        if size == 1.0:
            for part in (
                replace(doubtful, level_errors=()),
                replace(doubtful, output_errors={}),
            ):
                assert not Certificate(part, value, multipliers).verify()
        with pytest.raises(ValueError, match="known up to errors"):
            Certificate(doubtful, value, multipliers).verify(exact=True)


def test_errors_of_a_missing_block_count() -> None:
    """A block that came out as zero may not be zero."""
    problem = problem_of([np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1))])
    found = optimum(problem)
    value, multipliers = found.value * 1.01, found.multipliers * 1.01**2
    assert Certificate(problem, value, multipliers).verify()
    doubtful = replace(problem, level_errors=({}, {0: np.full((1, 1), 0.5)}))
    assert not Certificate(doubtful, value, multipliers).verify()


@pytest.mark.parametrize("exponent", [-150, -60, 60, 150])
def test_units_of_measure_do_not_matter(exponent: int) -> None:
    weights = he_net(2, 3, 6, 5, 2)
    found = optimum(problem_of(weights))
    scale = 2.0**exponent
    # u_1 -> scale u_1 and the outputs -> outputs / scale, exactly.
    other = problem_of([weights[0] * scale, weights[1] / scale, weights[2] / scale])
    multipliers = found.multipliers / scale**2
    multipliers[:6] /= scale**2
    assert Certificate(other, found.value / scale, multipliers).verify()
    assert not Certificate(other, found.value / scale * (1 - 1e-7), multipliers).verify()


def test_sparse_weights_verify_as_dense_ones() -> None:
    weights = [each * (np.abs(each) > 0.5) for each in he_net(8, 4, 9, 9, 3)]
    problem = problem_of(weights)
    found = optimum(problem)
    loose = problem_of([sparse.csr_array(each) for each in weights])
    assert Certificate(loose, found.value, found.multipliers).verify()
    assert not Certificate(loose, found.value * (1 - 1e-7), found.multipliers).verify()


@pytest.mark.parametrize("depth", [2, 5, 10, 20])
def test_the_inflation_is_at_most_1e_9(depth: int) -> None:
    """On the boundary of the feasible set, where the closed form lies."""
    problem = problem_of(he_net(depth, 4, *[20] * (depth - 1), 2))
    solution = stagewise(problem)
    found = certified(problem, solution)
    assert found.verify()
    assert np.sqrt(solution.square) * (1 - 1e-12) <= found.value
    assert found.value <= np.sqrt(solution.square) * (1 + 1.01e-9)


def test_solutions_that_are_wrong_are_repaired() -> None:
    problem = problem_of(he_net(0, 2, 12, 12, 2))
    best = optimum(problem)
    rng = np.random.default_rng(1)
    for square, multipliers in (
        (best.value**2 * 0.9, best.multipliers),
        (best.value**2, best.multipliers * 0.9),
        (best.value**2, best.multipliers * (1 + 1e-6 * rng.standard_normal(24))),
        (best.value**2, np.zeros(24)),
        (best.value**2, -best.multipliers),
        (np.nan, best.multipliers),
        (best.value**2, np.full(24, np.nan)),
        (0.0, np.full(24, np.inf)),
    ):
        found = certified(problem, Solution(square, multipliers, 0.0, 1))
        assert found.verify()
        assert found.value >= best.value * (1 - 1e-7)
        assert found.value <= np.sqrt(stagewise(problem).square) * (1 + 1e-8)
    nearly = Solution(best.value**2, best.multipliers * (1 - 1e-9), 0.0, 1)
    assert certified(problem, nearly).value <= best.value * (1 + 1e-5)


def test_a_solution_that_cannot_be_verified_is_never_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Certificate, "verify", lambda self, *, exact=False: False)
    problem = problem_of(he_net(0, 2, 3, 1))
    with pytest.raises(ArithmeticError, match="could not be verified"):
        certified(problem, stagewise(problem))


def test_scs_is_never_below_the_optimum_once_repaired() -> None:
    below = 0
    for seed, tolerance in product(range(4), (1e-3, 1e-4, 1e-6)):
        problem = problem_of(he_net(seed, 2, 5, 5, 2))
        lower = interior_point(problem, 1e-8).lower
        raw = cvxpy_solution(problem, tolerance, "SCS")
        below += np.sqrt(raw.square) < lower
        found = certified(problem, raw)
        assert found.verify(exact=True)
        assert lower <= found.value <= lower * (1 + 100 * tolerance)
    assert below > 2, "raw answers of SCS lie below the optimum: else this tests nothing"


def test_a_wide_single_matrix_verifies_on_its_smaller_side() -> None:
    weight = np.random.default_rng(0).standard_normal((3, 20_000))
    problem = SlopeProblem(20_000, (), (), {0: weight})
    norm = float(np.linalg.norm(weight, 2))
    assert Certificate(problem, norm * (1 + 1e-10), np.zeros(0)).verify()
    assert not Certificate(problem, norm * (1 - 1e-7), np.zeros(0)).verify()


@pytest.mark.parametrize("seed", range(6))
def test_outputs_that_read_the_inputs(seed: int) -> None:
    """A residual network, whose inputs cannot be eliminated as easily."""
    rng = np.random.default_rng(seed)
    n, k = rng.integers(1, 4, size=2)
    a, b = rng.integers(1, 5, size=2)

    def block(m: int, width: int) -> FloatArray:
        return rng.standard_normal((m, width))

    levels = ({0: block(a, n)}, {0: block(b, n), 1: block(b, a)})
    output = {0: block(k, n), 2: block(k, b)}
    problem = SlopeProblem(int(n), (int(a), int(b)), levels, output)
    found = optimum(problem)
    largest = 0.0
    for pattern in product((0.0, 1.0), repeat=int(a + b)):
        first = np.array(pattern[:a])[:, None] * levels[0][0]
        second = np.array(pattern[a:])[:, None] * (levels[1][0] + levels[1][1] @ first)
        largest = max(largest, float(np.linalg.norm(output[0] + output[2] @ second, 2)))
    assert largest <= found.value
    assert found.verify(exact=True)
    for change in (-1e-7, -1e-10, -1e-13, -1e-15, 0.0, 1e-15, 1e-13):
        near = Certificate(problem, found.value * (1 + change), found.multipliers)
        assert near.verify(exact=True) or not near.verify()
    assert not Certificate(problem, found.value * (1 - 1e-7), found.multipliers).verify()


def test_definiteness_allows_for_the_worst_rounding() -> None:
    """Not for the usual one: |L| |L|^T has norm n / 2 here, sums have n terms."""
    n = 400
    matrix = np.full((n, n), 0.5) + np.diag(np.full(n, 0.5))
    worst = n * (n / 2) * 2.0**-53
    assert not definite_beyond(matrix, np.full(n, 0.5 - worst / 4))
    assert definite_beyond(matrix, np.full(n, (0.5 - 4 * worst) / 1.01))


def test_many_inputs_cost_little() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((4, 30_000)), rng.standard_normal((2, 4))
    problem = SlopeProblem(30_000, (4,), ({0: first},), {1: second})
    triangle = np.asarray(np.linalg.qr(first.T)[1])
    small = problem_of([triangle.T, second])
    found = optimum(small)
    loose = found.multipliers * (1 + 1e-9) ** 2
    assert Certificate(problem, found.value * (1 + 1e-9), loose).verify()
    assert not Certificate(problem, found.value * (1 - 1e-7), found.multipliers).verify()


def test_too_large_a_problem_names_the_memory() -> None:
    rows, once = np.ones((20_000, 1)), np.ones((1, 20_000))
    with pytest.raises(ValueError, match=r"20000 rows needs about 8.9 GiB"):
        Certificate(SlopeProblem(1, (20_000,), ({0: rows},), {1: once}), 1e9, once[0]).verify()
    past = SlopeProblem(20_000, (1,), ({0: once},), {0: once, 1: np.ones((1, 1))})
    with pytest.raises(ValueError, match=r"20001 rows needs about"):
        Certificate(past, 1e9, np.ones(1)).verify()
    with pytest.raises(ValueError, match="65 coordinates are too many"):
        Certificate(problem_of(he_net(0, 32, 33, 1)), 1.0, np.ones(33)).verify(exact=True)
