r"""Certificates of semidefinite bounds, checked in floating point by a Cholesky factorisation.

A certificate is a value L and multipliers lambda with S(L^2, lambda) >= 0 (the notation of
`problem`). The check forms S from the problem's own matrices, and shares nothing with the solver
that proposed the multipliers. S (its Schur complement on the units, where that is simple) is scaled
to a diagonal near 1 by powers of two, which is exact, and shown to be definite beyond the rounding
of forming it and the problem's own entrywise errors.

References
----------
Fazlyab et al., Efficient and Accurate Estimation of Lipschitz Constants for Deep Neural Networks
(NeurIPS 2019), theorem 2.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import linalg

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.definite import definite_beyond
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.lipschitz.semidefinite.rational import exactly_semidefinite
from theory.lipschitz.semidefinite.slack import (
    input_rows,
    live_coordinates,
    reads_inputs,
    slack_errors,
    slack_matrix,
    untouched,
)
from theory.lipschitz.semidefinite.solution import Solution
from theory.lipschitz.semidefinite.stagewise import stagewise
from theory.relu.layer import Matrix, dense

_LARGEST_SIDE: Final = 10_000
_INFLATIONS: Final = (0.0, *(10.0**k for k in range(-13, -8)))


@dataclass(frozen=True, eq=False)
class Certificate:
    """That a problem's outputs change by at most `value` times the change of its inputs, in l2.

    Attributes
    ----------
    problem : SlopeProblem
    value : float
    multipliers : ndarray, shape (n_units,)

    Raises
    ------
    ValueError
        If there is not one multiplier a unit.

    Examples
    --------
    >>> absolute = SlopeProblem(1, (2,), ({0: np.array([[1.0], [-1.0]])},), {1: np.ones((1, 2))})
    >>> Certificate(absolute, 1.0, np.ones(2)).verify(exact=True)
    True
    >>> Certificate(absolute, 0.99, np.ones(2)).verify()
    False
    """

    problem: SlopeProblem
    value: float
    multipliers: FloatArray

    def __post_init__(self) -> None:
        multipliers = np.array(self.multipliers, dtype=np.float64)
        if multipliers.shape != (self.problem.n_units,):
            raise ValueError(
                f"{self.problem.n_units} units have as many multipliers,"
                f" got an array of shape {multipliers.shape}"
            )
        multipliers.setflags(write=False)
        object.__setattr__(self, "multipliers", multipliers)

    def verify(self, *, exact: bool = False) -> bool:
        """Whether the matrix inequality is proved.

        Parameters
        ----------
        exact : bool
            In rational arithmetic, for small problems without errors: decides the inequality. In
            floating point, by default, False may also mean that it is too close to call.

        Raises
        ------
        ValueError
            If the problem is too large; or, with `exact`, if it is not known exactly.
        """
        if not (np.isfinite(self.value) and self.value >= 0):
            return False
        if not np.all(np.isfinite(self.multipliers) & (self.multipliers >= 0)):
            return False
        if exact:
            live = live_coordinates(self.problem)
            return exactly_semidefinite(self.problem, self.value, self.multipliers, live)
        check_size(self.problem)
        # The square is rounded to nearest: its predecessor is not above the true one.
        square = float(np.nextafter(self.value * self.value, 0.0))
        return _proved(self.problem, square, self.multipliers)


def certified(problem: SlopeProblem, solution: Solution) -> Certificate:
    """Return a verified certificate from what a solver returned.

    Where the solver's point does not verify within a relative 1e-9 of its value, its multipliers
    are moved towards the stagewise ones, which are well inside, as little as it takes.

    Parameters
    ----------
    problem : SlopeProblem
    solution : Solution
        Not trusted.

    Raises
    ------
    ValueError
        If the problem is too large.
    ArithmeticError
        If no point could be verified.
    """
    check_size(problem)
    multipliers = np.maximum(np.nan_to_num(solution.multipliers, posinf=0.0), 0.0)
    if np.isfinite(solution.square) and solution.square >= 0:
        found = _inflated(problem, solution.square, multipliers)
        if found is not None:
            return found
    safe = stagewise(problem)

    def blended(share: float) -> tuple[float, FloatArray]:
        blend = (1 - share) * multipliers + share * safe.multipliers
        return _least_square(problem, blend), blend

    # The least square is convex along the segment, and infinite where the units' block of S is
    # not positive definite.
    shares = [0.0, *np.logspace(-12, 0, 13)]
    squares = [blended(share)[0] for share in shares]
    best = int(np.argmin(squares))
    if 0 < best < len(shares) - 1:
        between = np.geomspace(max(shares[best - 1], 1e-13), shares[best + 1], 12)
        finer = [*between, shares[best]]
        share = finer[int(np.argmin([blended(each)[0] for each in finer]))]
    else:
        share = shares[best]
    for each in [share, *(later for later in shares if later > share)]:
        square, blend = blended(each)
        if np.isfinite(square):
            found = _inflated(problem, square, blend)
            if found is not None:
                return found
    found = _inflated(problem, safe.square, safe.multipliers) or _above_errors(problem)
    if found is None:
        raise ArithmeticError("the semidefinite bound could not be verified: too ill-conditioned")
    return found


def _above_errors(problem: SlopeProblem) -> Certificate | None:
    """Return a certificate of a problem that is constant, or has constant units, up to errors."""
    if not any(map(bool, (*problem.level_errors, problem.output_errors))):
        return None
    levels = tuple(
        {level: _filled(block, doubts.get(level)) for level, block in blocks.items()}
        for blocks, doubts in zip(
            problem.levels, problem.level_errors or ({},) * len(problem.levels), strict=True
        )
    )
    output = {
        level: _filled(block, problem.output_errors.get(level))
        for level, block in problem.output.items()
    }
    safe = stagewise(SlopeProblem(problem.n_inputs, problem.sizes, levels, output))
    for factor in 2.0 ** np.arange(1, 12):
        found = _inflated(problem, safe.square * factor, safe.multipliers * factor)
        if found is not None:
            return found
    return None


def _filled(block: Matrix, error: FloatArray | None) -> Matrix:
    """Return a block with its errors in place of its zeros."""
    return block if error is None else np.where(dense(block) == 0, error, dense(block))


def check_size(problem: SlopeProblem) -> None:
    """Raise ValueError if a certificate is too large to be checked densely."""
    side = _side(problem)
    if side > _LARGEST_SIDE:
        raise ValueError(
            f"a certificate with {side} rows needs about {24 * side**2 / 2**30:.1f} GiB,"
            f" more than {_LARGEST_SIDE} are not verified: use the product of the layers' norms"
        )


def _side(problem: SlopeProblem) -> int:
    """Return the number of rows of the matrix that is factorised."""
    if not problem.n_units:
        return min(problem.n_inputs, problem.n_outputs)
    return problem.n_coordinates if reads_inputs(problem) else problem.n_units


def _inflated(problem: SlopeProblem, square: float, multipliers: FloatArray) -> Certificate | None:
    """Return the first certificate that verifies as both are inflated by up to 1e-9."""
    for inflation in _INFLATIONS:
        value = float(np.sqrt(square)) * (1 + inflation)
        found = Certificate(problem, value, multipliers * (1 + inflation) ** 2)
        if found.verify():
            return found
    return None


def _proved(problem: SlopeProblem, square: float, multipliers: FloatArray) -> bool:
    """Whether S(square, multipliers) >= 0 is proved."""
    if not problem.n_units and problem.n_outputs < problem.n_inputs:
        # One matrix: square I - F^T F >= 0 and square I - F F^T >= 0 are the same, F nothing else.
        problem = _transposed(problem)
    blank = untouched(problem, multipliers)
    whole, n = reads_inputs(problem), problem.n_inputs
    if not whole and square == 0:
        # The inputs' block is 0, and so must be all beside it; then the units' block is left.
        if not np.all(blank[:n]):
            return False
        square = np.inf
    first = 0 if whole else n
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        slack = slack_matrix(problem, square, multipliers, whole=whole)
        diagonal = np.diag(slack)
        # A zero row and column say nothing, and the changes of idle units are 0.
        empty = blank[first:] & (diagonal >= 0)
        keep = np.flatnonzero(live_coordinates(problem)[first:] & ~empty)
        if not np.all(np.isfinite(slack)) or np.any(diagonal[keep] <= 0):
            return False
        scale = np.zeros(len(slack))
        scale[keep] = 2.0 ** -np.round(np.log2(diagonal[keep]) / 2)
        errors = slack_errors(problem, square, multipliers, slack, scale, whole=whole)
        errors = (scale * errors)[keep]
        if len(keep) < len(scale):
            slack = np.asfortranarray(slack[np.ix_(keep, keep)])
        slack *= scale[keep, None]
        slack *= scale[keep]
        return definite_beyond(slack, errors)


def _transposed(problem: SlopeProblem) -> SlopeProblem:
    errors = {level: block.T for level, block in problem.output_errors.items()}
    turned = {level: np.asarray(dense(block).T) for level, block in problem.output.items()}
    return SlopeProblem(problem.n_outputs, (), (), turned, (), errors)


def _least_square(problem: SlopeProblem, multipliers: FloatArray) -> float:
    """Return about the least rho with S(rho, multipliers) >= 0; inf where there is none."""
    n = problem.n_inputs
    keep = np.flatnonzero((live_coordinates(problem) & ~untouched(problem, multipliers))[n:])
    whole = reads_inputs(problem)
    slack = slack_matrix(problem, 0.0 if whole else np.inf, multipliers, whole=whole)
    first = len(slack) - problem.n_units
    units, beside = slack[first:, first:], slack[n:, :n]
    if not whole:
        reading, rows, _ = input_rows(problem)
        beside = np.zeros((problem.n_units, n))
        beside[reading] = multipliers[reading, None] * rows
    try:
        factor = linalg.cholesky(units[np.ix_(keep, keep)], lower=True, check_finite=False)
    except linalg.LinAlgError:
        return float(np.inf)
    cross = linalg.solve_triangular(factor, beside[keep], lower=True, check_finite=False)
    gram = cross.T @ cross if whole or len(keep) > n else cross @ cross.T
    if whole:
        gram -= slack[:n, :n]
    if not np.all(np.isfinite(gram)):
        return float(np.inf)
    last = len(gram) - 1
    if last < 0:
        return 0.0
    return max(float(linalg.eigvalsh(gram, subset_by_index=(last, last))[0]), 0.0)
