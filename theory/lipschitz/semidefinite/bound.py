"""The semidefinite bound on the Lipschitz constant of a network, with its certificate."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import ThreadpoolController

from theory.arrays import FloatArray
from theory.errors import nearest
from theory.lipschitz.semidefinite.certificate import Certificate, certified, check_size
from theory.lipschitz.semidefinite.first_order import first_order
from theory.lipschitz.semidefinite.interior import interior_point
from theory.lipschitz.semidefinite.oracle import cvxpy_solution
from theory.lipschitz.semidefinite.problem import SlopeProblem, global_slopes, slope_problem
from theory.lipschitz.semidefinite.solution import Solution
from theory.lipschitz.semidefinite.stagewise import stagewise
from theory.relu.layer import Matrix

SOLVERS: Final = ("structured", "cvxpy", "first_order", "stagewise")
_LARGEST_MEMORY: Final = 4 * 2**30
_LARGEST_TOLERANCE: Final = 0.1
# Squares of numbers within 2 to plus or minus this stay far from the ends of the number range.
_LARGEST_EXPONENT: Final = 400.0
# Threads cost small factorisations more than they bring.
_THREADED_COORDINATES: Final = 3_000


@dataclass(frozen=True, eq=False)
class SemidefiniteBound:
    """Ends of a semidefinite bound on an l2 Lipschitz constant.

    Attributes
    ----------
    value : float
        An upper end of the Lipschitz constant, verified.
    lower : float
        A proved lower end of the least value that any multipliers give, not of the constant; 0 if
        the solver has none.
    certificate : Certificate
        What proves `value`.
    solver : str
    iterations : int
    """

    value: float
    lower: float
    certificate: Certificate
    solver: str
    iterations: int

    @property
    def multipliers(self) -> FloatArray:
        """One multiplier a unit with a free slope, shape (n_units,)."""
        return self.certificate.multipliers

    def verify(self, *, exact: bool = False) -> bool:
        """Whether the certificate verifies, in rational arithmetic if `exact`."""
        return self.value >= self.certificate.value and self.certificate.verify(exact=exact)


def semidefinite_bound(
    weights: Sequence[npt.ArrayLike | Matrix],
    *,
    slopes: tuple[float, float] = (0.0, 1.0),
    solver: str = "structured",
    tolerance: float = 1e-6,
) -> SemidefiniteBound:
    """Bound the l2 Lipschitz constant of a feed-forward network by semidefinite programming.

    The bound holds for all biases and all elementwise activations between the weights whose
    secants have slopes in the given range. It uses one multiplier a unit; multipliers for pairs
    of units, as proposed with it, do not give a bound.

    Parameters
    ----------
    weights : sequence of array_like or sparse matrix, each of shape (out, in)
        W_1, ..., W_L.
    slopes : (float, float)
        Least and largest slope of the activations: (0, 1) for ReLU, sigmoid-like ones may be
        given their own range, (-0.13, 1.13) covers GELU.
    solver : {"structured", "cvxpy", "first_order", "stagewise"}
        An interior-point method for this problem; a general solver, slow, as an oracle; a
        first-order method for large networks; a closed form, quick and looser.
    tolerance : float
        Relative accuracy that the solver aims at, in (0, 0.1].

    Returns
    -------
    SemidefiniteBound

    Raises
    ------
    ValueError
        If the weights do not make a network or are out of range, an option is not one of those
        above, a solver is not installed, or the network is too large for the method.
    RuntimeError
        If the solver gave up.
    ArithmeticError
        If no result could be verified.

    References
    ----------
    Fazlyab et al., Efficient and Accurate Estimation of Lipschitz Constants for Deep Neural
    Networks (NeurIPS 2019), theorem 2, with diagonal multipliers; Pauli et al., Training robust
    neural networks using Lipschitz bounds, IEEE Control Systems Letters 6 (2022), on why they
    are diagonal.

    Examples
    --------
    >>> absolute = semidefinite_bound([[[1.0], [-1.0]], [[1.0, 1.0]]])
    >>> round(absolute.value, 5), absolute.verify()
    (1.0, True)
    """
    checked = _checked_weights(weights)
    least, most = _checked_slopes(slopes)
    ends = [global_slopes((least, most), int(weight.shape[0])) for weight in checked[:-1]]
    _check_range(checked, max(abs(least), abs(most)))
    _check_options(solver, tolerance)
    n_units = sum(int(weight.shape[0]) for weight in checked[:-1]) if least < most else 0
    _check_memory(int(checked[0].shape[1]), n_units, int(checked[-1].shape[0]), solver)
    return bound_of(slope_problem(checked, ends), solver=solver, tolerance=tolerance)


def bound_of(
    problem: SlopeProblem, *, solver: str = "structured", tolerance: float = 1e-6
) -> SemidefiniteBound:
    """Bound how much the outputs of a problem change, relative to its inputs, in l2.

    Parameters
    ----------
    problem : SlopeProblem
    solver, tolerance
        As of `semidefinite_bound`.

    Raises
    ------
    ValueError, RuntimeError, ArithmeticError
        As `semidefinite_bound`.

    Examples
    --------
    >>> twice = SlopeProblem(1, (1,), ({0: np.array([[2.0]])},), {1: np.array([[3.0]])})
    >>> bound = bound_of(twice)
    >>> bool(bound.lower <= 6.0 <= bound.value <= 6.00001)
    True
    """
    _check_options(solver, tolerance)
    _check_memory(problem.n_inputs, problem.n_units, problem.n_outputs, solver)
    check_size(problem)
    with _threads(problem):
        solution = _solved(problem, solver, tolerance)
        certificate = certified(problem, solution)
    value = certificate.value
    lower = solution.lower if np.isfinite(solution.lower) else 0.0
    return SemidefiniteBound(value, min(lower, value), certificate, solver, solution.iterations)


def _solved(problem: SlopeProblem, solver: str, tolerance: float) -> Solution:
    if solver == "stagewise":
        return stagewise(problem)
    if solver == "cvxpy":
        return cvxpy_solution(problem, tolerance)
    if solver == "first_order":
        return first_order(problem, tolerance)
    return interior_point(problem, tolerance)


def _threads(problem: SlopeProblem) -> AbstractContextManager[Any]:
    if problem.n_coordinates > _THREADED_COORDINATES:
        return nullcontext()
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _checked_weights(weights: Sequence[npt.ArrayLike | Matrix]) -> list[Matrix]:
    checked: list[Matrix] = []
    for i, given in enumerate(weights):
        weight = _matrix(given, i)
        if weight.ndim != 2 or 0 in weight.shape:
            raise ValueError(f"weights[{i}] must have the shape (out, in), got {weight.shape}")
        if checked and weight.shape[1] != checked[-1].shape[0]:
            raise ValueError(
                f"weights[{i}] of shape {weight.shape} takes {weight.shape[1]} values, but"
                f" weights[{i - 1}] of shape {checked[-1].shape} gives {checked[-1].shape[0]}"
            )
        if not np.all(np.isfinite(_entries(weight))):
            raise ValueError(f"weights[{i}] has an entry that is not finite")
        checked.append(weight)
    if not checked:
        raise ValueError("a network needs at least one weight, got none")
    return checked


def _matrix(given: npt.ArrayLike | Matrix, i: int) -> Matrix:
    matrix: Any = given
    kind = np.dtype(getattr(matrix, "dtype", None) or np.float64).kind
    if kind not in "biuf":
        raise ValueError(f"weights[{i}] must be real, got entries of type {matrix.dtype}")
    is_sparse = bool(sparse.issparse(matrix))
    if is_sparse:
        return sparse.csr_array(matrix.astype(np.float64))
    try:
        return np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"weights[{i}] is not a matrix of numbers") from error


def _entries(weight: Matrix) -> FloatArray:
    return weight if isinstance(weight, np.ndarray) else np.asarray(weight.data)


def _checked_slopes(slopes: tuple[float, float]) -> tuple[float, float]:
    try:
        least, most = (float(end) for end in slopes)
    except (TypeError, ValueError) as error:
        raise ValueError(f"slopes must be two numbers (least, largest), got {slopes!r}") from error
    if not (np.isfinite(least) and np.isfinite(most) and least <= most):
        raise ValueError(f"slopes must be finite with least <= largest, got {(least, most)}")
    return least, most


def _check_range(weights: Sequence[Matrix], slope: float) -> None:
    """Raise ValueError if products of the last few weights are near the ends of the number range.

    The multipliers of a layer are of the order of the square of all that follows.
    """
    total = 0.0
    for i in reversed(range(len(weights))):
        largest = float(np.abs(_entries(weights[i])).max(initial=0.0))
        for factor in (largest, slope if i < len(weights) - 1 else 1.0):
            total += float(np.log2(factor)) if factor else 0.0
        if abs(total) > _LARGEST_EXPONENT:
            raise ValueError(
                f"the product of the weights from weights[{i}] on is of the order of"
                f" 2^{total:.0f}, beyond 2^+-{_LARGEST_EXPONENT:.0f}: rescale them to about 1"
            )


def _check_options(solver: str, tolerance: float) -> None:
    if solver not in SOLVERS:
        raise ValueError(f"unknown solver {solver!r}: {nearest(str(solver), SOLVERS)}")
    if not 0 < tolerance <= _LARGEST_TOLERANCE:
        raise ValueError(f"tolerance must be in (0, {_LARGEST_TOLERANCE}], got {tolerance}")


def _check_memory(n: int, m: int, k: int, solver: str) -> None:
    """Raise ValueError if the method is too large for n inputs, m units and k outputs."""
    side = min(n, m + k) + m
    # The matrices of the method, all dense, and the problem itself.
    held = {
        "structured": 16 * side**2 + 4 * m**2,
        "cvxpy": 60 * side**2 + 40 * m * side,
        "first_order": 10 * side**2,
        "stagewise": 6 * side**2,
    }
    given = n**2 + 2 * (n + m) * (m + k)
    size = 8 * (held[solver] + given)
    if size > _LARGEST_MEMORY:
        instead = (
            "solver='first_order'"
            if held[solver] > held["first_order"]
            and 8 * (held["first_order"] + given) <= _LARGEST_MEMORY
            else "the product of the layers' norms, product_bound"
        )
        raise ValueError(
            f"a network with {n} inputs and {m} units needs about {size / 2**30:.1f} GiB with"
            f" solver={solver!r}, more than {_LARGEST_MEMORY / 2**30:.0f}: use {instead}"
        )
