r"""The semidefinite bound of large networks: a path-following method in the multipliers alone.

It follows the minima of rho / mu - log det S(rho, lambda) to small mu. As the constraint matrices
have rank two, the Hessian M_ij = tr(A_i Z A_j Z), Z = S^{-1}, is a few elementwise products, and an
iteration costs an inverse and some Cholesky factorisations; no dual matrix is kept. Every iterate
is a bound. With the solutions a and c of M a = e_0 and M c = (tr A_i Z)_i,

    X = mu (Z - Z A(y) Z),    y = c - a / mu,

meets the dual's equations, and is semidefinite where S - A(y) is: a lower end of the optimum.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg
from scipy.linalg import blas

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.dual import proved_lower_end
from theory.lipschitz.semidefinite.interior.operators import Operators
from theory.lipschitz.semidefinite.interior.steps import (
    clear_of_boundary,
    factored,
    inverted,
    longest_step,
)
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.lipschitz.semidefinite.restoring import restored
from theory.lipschitz.semidefinite.scaling import ScaledProblem, scaled_problem
from theory.lipschitz.semidefinite.solution import Solution
from theory.lipschitz.semidefinite.stagewise import closed_form

# The first point is so much of the closed-form point, which lies on the boundary.
_START = 1.3
# Where the Newton decrement is below 1 the full step is feasible, and so is the dual X.
_NEAR = 0.99
# Above this decrement the method only centres.
_FAR = 2.0
# How much of the way to the boundary, along the tangent of the path and in line searches: nearer to
# it in step after step, the Hessian becomes too ill-conditioned to lead away from it again.
_AHEAD, _SEARCHED = 0.75, 0.5
_LONGEST, _SHORTEST = 4.0, 1e-6
_SWEEPS = 20


class _Model(NamedTuple):
    """The barrier to second order at a point: what its Newton steps are made of.

    Attributes
    ----------
    gradient : ndarray, shape (m + 1,)
        tr(A_i Z), the negative gradient of -log det S.
    tangent : ndarray, shape (m + 1,)
        a: the path goes along -a as 1 / mu grows.
    inward : ndarray, shape (m + 1,)
        c: the Newton step away from the boundary, without the objective.
    """

    gradient: FloatArray
    tangent: FloatArray
    inward: FloatArray

    @property
    def inverse_mu(self) -> float:
        """1 / mu of the point of the path that is nearest; at most 0 far from it."""
        return float(self.inward[0] / self.tangent[0])

    def step(self, t: float) -> FloatArray:
        """Return the Newton step towards the point of the path with 1 / mu = t."""
        return self.inward - t * self.tangent

    def decrement(self, t: float) -> float:
        """Return the length of that step in the norm of the Hessian."""
        square = float(self.step(t) @ self.gradient) - t * float(self.step(t)[0])
        return float(np.sqrt(max(square, 0.0)))


class _Proposal(NamedTuple):
    """A dual matrix X: that of `model` at `point`, with 1 / mu = t, at most `further`."""

    value: float
    point: FloatArray
    model: _Model
    t: float
    further: float


def first_order(
    problem: SlopeProblem, tolerance: float = 1e-3, max_evaluations: int = 150
) -> Solution:
    """Return a feasible point near the optimum, with a proved lower end of the optimum.

    Parameters
    ----------
    problem : SlopeProblem
    tolerance : float
        Relative gap between the bound and its lower end at which to stop, in (0, 1).
    max_evaluations : int
        Evaluations of the barrier with its derivatives at most, at least 1. With fewer than it
        takes, the bound is valid and the gap wider.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If the tolerance or the number of evaluations is out of range.

    References
    ----------
    Fazlyab et al., Efficient and accurate estimation of Lipschitz constants for deep neural
    networks, NeurIPS 2019 (the bound). Benson, Ye and Zhang, Solving large-scale sparse
    semidefinite programs for combinatorial optimization, SIAM J. Optim. 10 (2000), section 2 (the
    Hessian of rank-one constraints, X). Nesterov and Nemirovskii, Interior-point polynomial
    algorithms in convex programming (1994), section 2.2 (Newton decrement).

    Examples
    --------
    >>> problem = SlopeProblem(1, (1,), ({0: np.array([[2.0]])},), {1: np.array([[3.0]])})
    >>> found = first_order(problem)
    >>> bool(found.lower <= 6.0 <= found.square**0.5 <= 6.006)
    True
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"the tolerance must be between 0 and 1, got {tolerance}")
    if max_evaluations < 1:
        raise ValueError(f"at least 1 evaluation is needed, got {max_evaluations}")
    small = scaled_problem(problem)
    if small is None:
        return restored(problem, small, 0.0, np.zeros(0))
    if not len(small.rows):
        top = np.linalg.svd(small.output)[2][:1].T
        lower = proved_lower_end(problem, small.original_vectors(top, problem))
        square = float(np.linalg.norm(small.output, 2)) ** 2
        return restored(problem, small, square * (1 + 1e-10), np.zeros(0), lower)
    small = _started(small)
    return _Path(problem, small).followed(tolerance, max_evaluations)


def _started(small: ScaledProblem) -> ScaledProblem:
    """Return the problem in units in which a closed-form point is rho = 1, lambda = 1.

    The better of two: with multipliers that are equal on each level, or where the units of each
    level are first measured such that what they read and what is read of them have equal norms.
    """
    candidates = []
    for each in (small.rescaled(1.0, _balancing(small)), small):
        square, multipliers = closed_form(each)
        candidates.append((each.original_square(square), each.rescaled(square, multipliers)))
    return min(candidates, key=lambda each: each[0])[1]


def _balancing(small: ScaledProblem) -> FloatArray:
    """Return lambda_i such that sqrt(lambda) measures balance the rows and columns of g and F.

    References
    ----------
    Osborne, On pre-conditioning of matrices, J. ACM 7 (1960), all units at once.
    """
    n = small.n_inputs
    squares = small.rows**2
    reads, inputs = squares[:, n:], squares[:, :n].sum(axis=1)
    outputs = np.einsum("ij,ij->j", small.output[:, n:], small.output[:, n:])
    multipliers = np.ones(len(squares))
    for _ in range(_SWEEPS):
        rows = inputs + reads @ (1 / multipliers)
        columns = outputs + reads.T @ multipliers
        # Half of the way in logarithms, as neighbours move at the same time.
        multipliers = np.sqrt(multipliers * np.sqrt(columns / rows))
    return multipliers


class _Path:
    """The path of one problem, and what was found along it.

    Parameters
    ----------
    problem : SlopeProblem
    small : ScaledProblem
        Its equivalent in which (rho, lambda) = (1, ..., 1) is feasible, on the boundary.
    """

    def __init__(self, problem: SlopeProblem, small: ScaledProblem) -> None:
        self._problem, self._small = problem, small
        self._operators = Operators(small)
        # The bounds so far, each better than the one before.
        self._points: list[FloatArray] = [np.full(self._operators.m + 1, 1 + 1e-10)]
        self._proposal: _Proposal | None = None

    def followed(self, tolerance: float, max_evaluations: int) -> Solution:
        """Return the solution where the path, its breakdown or `max_evaluations` ends."""
        point = np.full(self._operators.m + 1, _START)
        factor = factored(self._operators.slack(point))
        wanted, lower, evaluations = tolerance, 0.0, 0
        while factor is not None and evaluations < max_evaluations:
            model = self._model(factor)
            if model is None:
                break
            evaluations += 1
            decrement = model.decrement(model.inverse_mu) if model.inverse_mu > 0 else np.inf
            if decrement < _FAR:
                self._propose(point, model)
                if self._gap() <= wanted:
                    lower = max(lower, self._lower())
                    if lower >= (1 - tolerance) * self._value():
                        break
                    # What the repair of X took was too much: a gap that much less makes up for it.
                    wanted /= 4
            if decrement < _NEAR:
                moved = self._full(point, model)
            else:
                moved = self._centred(point, factor, model)
            if moved is not None and decrement < _FAR:
                # Less far along the path where it is less near.
                moved = self._ahead(*moved, model, _AHEAD if decrement < _NEAR else _AHEAD / 2)
            if moved is None:
                break
            point, factor = moved
            if point[0] < self._points[-1][0]:
                self._points.append(point)
        best = self._best()
        lower = max(lower, self._lower())
        square, multipliers = float(best[0]), best[1:]
        return restored(self._problem, self._small, square, multipliers, lower, evaluations)

    def _model(self, factor: FloatArray) -> _Model | None:
        """Return the model where S has this Cholesky factor, None if it is too ill-conditioned."""
        operators = self._operators
        n, m = operators.n, operators.m
        z = inverted(factor)
        seen = operators.transposed(z)
        gradient = operators.traces(z, seen)
        hessian = np.empty((m + 1, m + 1))
        inner = hessian[1:, 1:]
        np.multiply(seen[:, n:], seen[:, n:].T, out=inner)
        sandwich = operators.transposed(np.ascontiguousarray(seen.T))
        sandwich *= z[n:, n:]
        inner += sandwich
        inner *= 2
        hessian[0, 0] = np.vdot(z[:n, :n], z[:n, :n])
        border = 2 * np.einsum("ij,ij->i", seen[:, :n], z[n:, :n])
        hessian[0, 1:] = hessian[1:, 0] = border
        del z, seen, sandwich
        scale = 1 / np.sqrt(np.diag(hessian))
        hessian *= scale[:, None] * scale
        root = factored(hessian)
        if root is None:
            return None
        right = np.zeros((m + 1, 2))
        right[0, 0], right[:, 1] = scale[0], scale * gradient
        solved = scale[:, None] * linalg.cho_solve((root, True), right, check_finite=False)
        return _Model(gradient, solved[:, 0].copy(), solved[:, 1].copy())

    def _full(self, point: FloatArray, model: _Model) -> tuple[FloatArray, FloatArray] | None:
        """Return where the full centring step leads, with the factor of S."""
        centre = point + model.step(model.inverse_mu)
        factor = factored(self._operators.slack(centre))
        return None if factor is None else (centre, factor)

    def _ahead(
        self, point: FloatArray, factor: FloatArray, model: _Model, share: float
    ) -> tuple[FloatArray, FloatArray] | None:
        """Return where so much of the way to the boundary leads along the tangent of the path.

        None if rounding leaves no progress.
        """
        ahead = -model.inverse_mu * model.tangent
        length = min(share * longest_step(factor, self._operators.combination(ahead)), 0.95)
        while length > _SHORTEST:
            moved = point + length * ahead
            root = factored(self._operators.slack(moved))
            if root is not None:
                return moved, root
            length *= 0.7
        return None

    def _centred(
        self, point: FloatArray, factor: FloatArray, model: _Model
    ) -> tuple[FloatArray, FloatArray] | None:
        """Return where a line search leads for the largest det S with this rho, with its factor."""
        step = model.step(model.inverse_mu)
        step[0] = 0.0
        reach = longest_step(factor, self._operators.combination(step))
        length = min(_SEARCHED * reach, _LONGEST)
        highest, found = _log_determinant(factor), None
        while length > _SHORTEST:
            moved = point + length * step
            root = factored(self._operators.slack(moved))
            if root is not None:
                value = _log_determinant(root)
                if value > highest:
                    highest, found = value, (moved, root)
                elif found is not None:
                    break
            length *= 0.6
        return found

    def _propose(self, point: FloatArray, model: _Model) -> None:
        """Note the best dual matrix of a model near the path, if it beats those before."""
        operators = self._operators
        t = model.inverse_mu
        ahead = operators.combination(model.tangent)
        rest = operators.slack(point) - operators.combination(model.inward) + t * ahead
        factor = factored(rest)
        if factor is None:
            return
        further = t + 0.9 * min(longest_step(factor, ahead), 10 * t)
        size = operators.n + operators.m
        gap = (size - float(model.gradient @ model.inward)) / further
        value = float(point[0]) - gap - float(model.gradient @ model.tangent)
        if self._proposal is None or value > self._proposal.value:
            self._proposal = _Proposal(value, point, model, t, further)

    def _value(self) -> float:
        return float(np.sqrt(self._small.original_square(float(self._points[-1][0]))))

    def _gap(self) -> float:
        """Return the relative gap between the bound and the value of the best dual matrix."""
        if self._proposal is None:
            return np.inf
        return 1 - float(np.sqrt(max(self._proposal.value, 0.0) / self._points[-1][0]))

    def _lower(self) -> float:
        """Return what the best dual matrix proves, or else the inverse of the last S."""
        operators, proposal = self._operators, self._proposal
        point = np.full(operators.m + 1, _START) if proposal is None else proposal.point
        slack = operators.slack(point)
        factor = factored(slack)
        if factor is None:
            return 0.0
        vectors = inverted(factor)
        if proposal is not None:
            for t in (proposal.further, proposal.t):
                rest = factored(slack - operators.combination(proposal.model.step(t)))
                if rest is not None:
                    vectors = blas.dtrmm(1.0, rest, vectors, side=1, lower=1)
                    break
        return proved_lower_end(self._problem, self._small.original_vectors(vectors, self._problem))

    def _best(self) -> FloatArray:
        """Return the best point at which another computation can verify that S is definite."""
        for point in reversed(self._points[1:]):
            if clear_of_boundary(self._operators.slack(point)):
                return point
        return self._points[0]


def _log_determinant(factor: FloatArray) -> float:
    """Return the logarithm of the determinant of a triangular factor."""
    return float(np.sum(np.log(np.diag(factor))))
