"""The semidefinite bound: against brute force, known values, a second formulation, and laws."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import cvxpy
import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite import (
    Certificate,
    SlopeProblem,
    Solution,
    bound,
    bound_of,
    certified,
    global_slopes,
    oracle,
    semidefinite_bound,
    slope_problem,
)
from theory.lipschitz.semidefinite.oracle import cvxpy_solution
from theory.lipschitz.semidefinite.rational import semidefinite

SLOPES = [(0.0, 1.0), (-0.1, 1.1), (0.3, 1.0), (0.0, 0.25), (-1.0, 0.5)]


def he_net(seed: int, *widths: int) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((m, n)) * np.sqrt(2 / n) for n, m in pairwise(widths)]


def jacobian_norms(weights: Sequence[FloatArray], patterns: npt.ArrayLike) -> Iterator[float]:
    """Norms of W_L D ... D W_1 for slopes of all units, one row each."""
    for row in np.asarray(patterns, dtype=np.float64):
        jacobian, first = weights[0], 0
        for weight in weights[1:]:
            last = first + len(jacobian)
            jacobian = weight @ (row[first:last, None] * jacobian)
            first = last
        yield float(np.linalg.norm(jacobian, 2))


@pytest.mark.parametrize("solver", ["structured", "cvxpy", "stagewise"])
@pytest.mark.parametrize("slopes", SLOPES)
def test_no_choice_of_slopes_exceeds_the_value(solver: str, slopes: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    for seed, widths in enumerate([(1, 4, 1), (3, 8, 2), (2, 5, 4, 3), (4, 3, 3, 3, 1)]):
        weights = he_net(seed, *widths)
        found = semidefinite_bound(weights, slopes=slopes, solver=solver)
        m = sum(widths[1:-1])
        ends = max(jacobian_norms(weights, list(product(slopes, repeat=m))))
        inside = max(jacobian_norms(weights, rng.uniform(*slopes, size=(200, m))))
        assert max(ends, inside) <= found.value
        assert found.verify()


@pytest.mark.parametrize(
    ("widths", "value"),
    [
        ((2, 50, 50, 2), 9.8281264),
        ((64, 100, 100, 10), 6.2052547),
        ((784, 64, 64, 10), 4.6369785),
        ((784, 100, 10), 2.7042475),
    ],
)
def test_values_that_another_solver_found(widths: tuple[int, ...], value: float) -> None:
    found = semidefinite_bound(he_net(0, *widths))
    assert value * (1 - 2e-8) <= found.value <= value * (1 + 1e-6)
    assert found.value * (1 - 2e-6) <= found.lower <= found.value
    assert found.verify()
    below = Certificate(found.certificate.problem, found.lower * (1 - 1e-7), found.multipliers)
    assert not below.verify()


@pytest.mark.parametrize("slopes", SLOPES)
@pytest.mark.parametrize("widths", [(3, 6, 2), (2, 5, 7, 3), (12, 4, 5, 6, 1)])
def test_the_structured_solver_agrees_with_the_plain_formulation(
    widths: tuple[int, ...], slopes: tuple[float, float]
) -> None:
    weights = he_net(sum(widths), *widths)
    structured = semidefinite_bound(weights, slopes=slopes)
    plain = semidefinite_bound(weights, slopes=slopes, solver="cvxpy")
    assert structured.value == pytest.approx(plain.value, rel=1e-5)
    for one, other in ((structured, plain), (plain, structured)):
        assert one.lower <= other.value
    assert structured.value <= semidefinite_bound(weights, slopes=slopes, solver="stagewise").value


@pytest.mark.parametrize("solver", ["SDPA", "CVXOPT", "CLARABEL", "SCS"])
def test_general_solvers_agree_once_certified(solver: str) -> None:
    weights = he_net(1, 3, 6, 5, 2)
    problem = slope_problem(weights, [global_slopes((0.0, 1.0), m) for m in (6, 5)])
    best = bound_of(problem, tolerance=1e-8)
    raw = cvxpy_solution(problem, 1e-7, solver)
    found = certified(problem, raw)
    assert best.lower <= found.value <= best.value * (1 + 1e-5)
    assert best.value * (1 - 1e-5) <= raw.lower <= best.value


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6, 1e-8])
def test_the_tolerance_is_kept(tolerance: float) -> None:
    weights = he_net(5, 4, 20, 20, 20, 3)
    found = semidefinite_bound(weights, tolerance=tolerance)
    best = semidefinite_bound(weights, tolerance=1e-8)
    assert best.lower <= found.value <= best.value * (1 + tolerance)
    assert found.lower <= best.value


def test_the_bound_lies_between_the_slopes_and_the_product() -> None:
    for seed in range(5):
        weights = he_net(seed, 5, 9, 9, 9, 4)
        found = semidefinite_bound(weights)
        norms = [float(np.linalg.norm(weight, 2)) for weight in weights]
        assert found.value <= semidefinite_bound(weights, solver="stagewise").value
        assert found.value <= np.prod(norms)
        patterns = np.random.default_rng(seed).integers(0, 2, (100, 27))
        assert max(jacobian_norms(weights, patterns)) <= found.value


def test_one_unit_a_layer_is_exact() -> None:
    weights = [np.array([[3.0, 4.0]]), np.array([[-2.0]]), np.array([[1.0], [2.0]])]
    assert semidefinite_bound(weights).value == pytest.approx(10 * np.sqrt(5), rel=1e-6)
    halves = semidefinite_bound(weights, slopes=(-0.5, 0.25)).value
    # The larger absolute value of a slope, once a layer.
    assert halves == pytest.approx(10 * np.sqrt(5) / 4, rel=1e-6)


def test_orthogonal_and_linear_networks() -> None:
    rng = np.random.default_rng(0)
    rotations = [np.linalg.qr(rng.standard_normal((5, 5)))[0] for _ in range(4)]
    assert semidefinite_bound(rotations).value == pytest.approx(1.0, rel=1e-6)
    weights = he_net(1, 4, 6, 3)
    linear = semidefinite_bound(weights, slopes=(0.5, 0.5))
    norm = float(np.linalg.norm(weights[1] @ weights[0], 2)) / 2
    assert norm <= linear.value <= norm * (1 + 1e-9)
    assert linear.lower <= norm * (1 + 1e-12)


@pytest.mark.parametrize("solver", ["structured", "cvxpy", "stagewise"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (20, 4), (2, 3000)])
def test_a_single_layer_has_its_spectral_norm(shape: tuple[int, int], solver: str) -> None:
    weight = np.random.default_rng(0).standard_normal(shape)
    found = semidefinite_bound([weight], solver=solver)
    norm = float(np.linalg.norm(weight, 2))
    assert norm * (1 - 1e-15) <= found.value <= norm * (1 + (1e-6 if solver == "cvxpy" else 1e-9))
    assert found.multipliers.shape == (0,)
    assert found.verify()


def test_laws() -> None:
    rng = np.random.default_rng(3)
    weights = he_net(3, 4, 7, 6, 3)
    value = semidefinite_bound(weights).value
    scaled = [2.5 * weights[0], weights[1], -0.5 * weights[2]]
    assert semidefinite_bound(scaled).value == pytest.approx(1.25 * value, rel=3e-6)
    order = rng.permutation(7)
    shuffled = [weights[0][order], weights[1][:, order], weights[2]]
    assert semidefinite_bound(shuffled).value == pytest.approx(value, rel=3e-6)
    left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (3, 4))
    turned = [weights[0] @ right, weights[1], left @ weights[2]]
    assert semidefinite_bound(turned).value == pytest.approx(value, rel=3e-6)
    # A larger range of slopes holds fewer inequalities; half the range is half a layer.
    assert semidefinite_bound(weights, slopes=(-0.2, 1.0)).value >= value
    assert semidefinite_bound(weights, slopes=(0.0, 0.5)).value == pytest.approx(
        value / 4, rel=3e-6
    )


def test_units_without_a_part_change_nothing() -> None:
    weights = he_net(2, 3, 5, 4, 2)
    value = semidefinite_bound(weights).value
    first = np.vstack([weights[0], np.zeros((1, 3)), np.ones((1, 3))])
    second = np.hstack([weights[1], np.ones((4, 1)), np.zeros((4, 1))])
    for solver in ("structured", "cvxpy"):
        found = semidefinite_bound([first, second, weights[2]], solver=solver)
        assert found.value == pytest.approx(value, rel=1e-5)
        assert found.verify(exact=True)


@pytest.mark.parametrize("solver", ["structured", "cvxpy", "stagewise"])
def test_constant_networks_have_the_bound_zero(solver: str) -> None:
    for weights in (
        [np.zeros((2, 3)), np.ones((2, 2))],
        [np.ones((2, 3)), np.zeros((2, 2))],
        [np.ones((2, 3)), np.zeros((4, 2)), np.ones((2, 4))],
        [np.zeros((2, 2))],
    ):
        found = semidefinite_bound(weights, solver=solver)
        assert (found.value, found.lower, found.verify()) == (0.0, 0.0, True)


@pytest.mark.parametrize("solver", ["structured", "stagewise"])
def test_what_cancels_is_bounded_by_its_rounding(solver: str) -> None:
    """1.1 - 1.1 is 0, but products of weights that were rounded might not cancel exactly."""
    one, two = global_slopes((1.0, 1.0), 2), global_slopes((0.0, 1.0), 1)
    twice, difference = np.array([[1.1], [1.1]]), np.array([[1.0, -1.0]])
    for weights, slopes in (
        ([twice, difference], [one]),
        ([twice, difference, np.ones((1, 1))], [one, two]),
    ):
        found = bound_of(slope_problem(weights, slopes), solver=solver)
        assert 0 < found.value < 1e-14
        assert found.verify()


def test_weights_of_other_types() -> None:
    weights = [np.round(8 * each) / 8 for each in he_net(4, 3, 5, 2)]
    value = semidefinite_bound(weights).value
    cases: list[Any] = [
        [each.tolist() for each in weights],
        [each.astype(np.float32) for each in weights],
        [sparse.csr_array(each) for each in weights],
        [sparse.coo_matrix(each) for each in weights],
        tuple(np.asfortranarray(each) for each in weights),
    ]
    for same in cases:
        assert semidefinite_bound(same).value == pytest.approx(value, rel=1e-9)


def test_very_large_and_small_weights() -> None:
    weights = he_net(6, 3, 6, 6, 2)
    value = semidefinite_bound(weights).value
    moved = [1e-90 * weights[0], 1e80 * weights[1], 1e-50 * weights[2]]
    found = semidefinite_bound(moved)
    assert found.value == pytest.approx(1e-60 * value, rel=1e-5)
    assert found.verify()


def test_what_a_solver_says_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = he_net(0, 3, 6, 6, 2)
    honest = semidefinite_bound(weights)

    def lying(problem: SlopeProblem, tolerance: float) -> Solution:
        return Solution(honest.value**2 / 2, np.full(problem.n_units, 1e-3), np.inf, 7)

    monkeypatch.setattr(bound, "interior_point", lying)
    found = semidefinite_bound(weights)
    assert found.value >= honest.lower
    assert found.verify()
    assert found.lower == 0.0


# The variant with coupled neurons.


def test_multipliers_for_pairs_of_units_would_not_bound() -> None:
    """f(x) = relu(x) - relu(x - 1) has the constant 1, and pairs would prove any rho > 0.

    With T = diag(lambda) + z (e_1 - e_2)(e_1 - e_2)^T in place of the diagonal, the matrix on
    (x, u_1, u_2) is rho x^2 - 2 x lambda (u_1 + u_2) + 2 u T u - (u_1 - u_2)^2 for equal lambda:
    z leaves no trace beside x, as both units read the same, and z = 1/2 cancels the output.
    """
    zero, half = Fraction(0), Fraction(1, 2)

    def coupled(rho: Fraction, each: Fraction, z: Fraction) -> list[list[Fraction]]:
        own, pair = 2 * each + 2 * z - 1, 1 - 2 * z
        return [[rho, -each, -each], [-each, own, pair], [-each, pair, own]]

    for rho in (Fraction(1, 100), Fraction(1, 10_000), Fraction(1, 10**30)):
        assert semidefinite(coupled(rho, rho, half))
        assert not semidefinite(coupled(rho, rho, zero))
    # The diagonal ones prove 1 and no less, which the slopes (1, 0) attain.
    one = Fraction(1)
    assert semidefinite(coupled(one, one, zero))
    for each in (Fraction(k, 16) for k in range(64)):
        assert not semidefinite(coupled(one - Fraction(1, 10**9), each, zero))
    weights = [np.array([[1.0], [1.0]]), np.array([[1.0, -1.0]])]
    assert max(jacobian_norms(weights, list(product((0, 1), repeat=2)))) == 1.0
    found = semidefinite_bound(weights)
    assert 1.0 <= found.value <= 1.0 + 1e-6
    assert Certificate(found.certificate.problem, 1.0, np.ones(2)).verify(exact=True)


# Bad input.

GOOD = he_net(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "at least one weight"),
        ([GOOD[0], GOOD[0]], r"weights\[1\] of shape \(3, 2\) takes 2 .* weights\[0\] .* gives 3"),
        ([GOOD[0], np.array([[np.nan, 0, 0]])], r"weights\[1\] has an entry that is not finite"),
        ([GOOD[0] * np.inf, GOOD[1]], r"weights\[0\] has an entry that is not finite"),
        ([GOOD[0][0]], r"weights\[0\] must have the shape \(out, in\), got \(2,\)"),
        (GOOD[0], r"weights\[0\] must have the shape"),
        ([np.zeros((0, 3))], r"weights\[0\] must have the shape \(out, in\), got \(0, 3\)"),
        ([GOOD[0] + 1j], r"weights\[0\] must be real"),
        ([[["a", "b"]]], r"weights\[0\] is not a matrix of numbers"),
        ([[[1.0, 2.0], [3.0]]], r"weights\[0\] is not a matrix of numbers"),
        ([1e100 * GOOD[0], 1e100 * GOOD[1]], r"from weights\[0\] on .* rescale"),
    ],
)
def test_weights_that_are_no_network(weights: Any, message: str) -> None:  # noqa: ANN401
    for solver in ("structured", "cvxpy"):
        with pytest.raises(ValueError, match=message):
            semidefinite_bound(weights, solver=solver)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slopes": (1.0, 0.0)}, "least <= largest"),
        ({"slopes": (0.0, np.inf)}, "finite"),
        ({"slopes": (np.nan, 1.0)}, "finite"),
        ({"slopes": (1.0,)}, "two numbers"),
        ({"slopes": 1.0}, "two numbers"),
        ({"solver": "structred"}, "did you mean 'structured'"),
        ({"solver": "scs"}, "unknown solver 'scs'"),
        ({"tolerance": 0.0}, r"tolerance must be in \(0, 0.1\], got 0.0"),
        ({"tolerance": 0.2}, "tolerance must be in"),
        ({"tolerance": np.nan}, "tolerance must be in"),
        ({"tolerance": -1e-6}, "tolerance must be in"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        semidefinite_bound(GOOD, **options)


@pytest.mark.parametrize(
    ("widths", "solver", "message"),
    [
        ((10, 6_000, 10), "structured", r"needs about .* GiB .* use solver='first_order'"),
        ((10, 5_000, 10), "cvxpy", r"needs about .* GiB .* use solver='first_order'"),
        ((10, 30_000, 10), "structured", r"needs about .* GiB .* product"),
        ((10, 30_000, 10), "first_order", r"needs about .* GiB .* product"),
        ((10, 30_000, 10), "stagewise", r"needs about .* GiB .* product"),
    ],
)
def test_a_network_too_large_names_the_memory_and_another_method(
    widths: tuple[int, ...], solver: str, message: str
) -> None:
    weights = [np.ones((m, n)) for n, m in pairwise(widths)]
    with pytest.raises(ValueError, match=message):
        semidefinite_bound(weights, solver=solver)


def test_a_solver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = slope_problem(GOOD, [global_slopes((0.0, 1.0), 3)])
    monkeypatch.setattr(cvxpy, "installed_solvers", lambda: ["HIGHS", "SCS"])
    with pytest.raises(ValueError, match=r"SDPA is not installed: pip install advbounds\[oracle\]"):
        cvxpy_solution(problem, solver="SDPA")
    with pytest.raises(ValueError, match="unknown solver 'SDPB': did you mean 'SDPA'"):
        cvxpy_solution(problem, solver="SDPB")
    assert semidefinite_bound(GOOD, solver="cvxpy").verify()
    monkeypatch.setattr(cvxpy, "installed_solvers", lambda: ["HIGHS"])
    with pytest.raises(ValueError, match=r"pip install advbounds\[oracle\]"):
        semidefinite_bound(GOOD, solver="cvxpy")


def test_a_problem_that_is_not_solved_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(oracle._STEPS, "SCS", {"max_iters": 1})
    problem = slope_problem(he_net(0, 2, 9, 9, 1), [global_slopes((0.0, 1.0), 9)] * 2)
    outcome = None
    try:
        outcome = certified(problem, cvxpy_solution(problem, 1e-9, "SCS"))
    except RuntimeError as error:
        assert "SCS gave up with status" in str(error)  # noqa: PT017 - either is right
    assert outcome is None or outcome.verify()
    monkeypatch.setattr(cvxpy.Problem, "status", property(lambda self: "infeasible"))
    with pytest.raises(RuntimeError, match="SDPA gave up with status infeasible"):
        semidefinite_bound(GOOD, solver="cvxpy")

    def failing(self: cvxpy.Problem, **options: object) -> float:
        raise cvxpy.SolverError("no memory")

    monkeypatch.setattr(cvxpy.Problem, "solve", failing)
    with pytest.raises(RuntimeError, match="SDPA gave up with status no memory"):
        semidefinite_bound(GOOD, solver="cvxpy")
