"""Lower ends of the semidefinite bound: vectors that meet the constraints of its dual, proved."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.problem import SlopeProblem
from theory.norms import accumulated_error
from theory.relu.layer import Matrix

_TINY = float(np.finfo(np.float64).tiny)


def proved_lower_end(problem: SlopeProblem, vectors: FloatArray) -> float:
    r"""Return a lower end of the optimum, from vectors repaired to obey all constraints.

    Give every coordinate a vector w_a, such that u_i . (z_i - u_i) >= 0 for each unit, where
    z_i = g_i W. Then tr(W^T S W) >= 0 says |F W|^2 <= rho |X|^2 for every feasible (rho, lambda),
    with X the vectors of the inputs and Frobenius norms.

    Parameters
    ----------
    problem : SlopeProblem
    vectors : ndarray, shape (N, d)
        Any proposal; a factor of the dual solution of a solver makes the bound sharp.

    Returns
    -------
    float
        0 if nothing is proved.

    Examples
    --------
    >>> problem = SlopeProblem(1, (1,), ({0: np.array([[2.0]])},), {1: np.array([[3.0]])})
    >>> 6.0 * (1 - 1e-12) <= proved_lower_end(problem, np.ones((2, 1))) <= 6.0
    True
    """
    if not np.all(np.isfinite(vectors)):
        return 0.0
    w, norms = repaired(problem, vectors)
    roundings = _roundings(problem, w)
    outputs, doubt = _product(
        problem, problem.n_outputs, problem.output, problem.output_errors, w, norms, roundings
    )
    inputs = float(_norms(norms[None, : problem.n_inputs])[0])
    known = float(_norms(outputs.reshape(1, -1))[0]) * (1 - roundings)
    known -= 2 * float(_norms(doubt[None])[0])
    if inputs == 0 or not np.isfinite(known) or known <= 0:
        return 0.0
    return known / inputs * (1 - 4 * accumulated_error(outputs.size + len(norms)))


def repaired(problem: SlopeProblem, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return vectors that obey u_i . (z_i - u_i) >= 0 for all units, exactly, near given ones.

    Unit by unit, u_i is put on the sphere with diameter z_i, where the product is 0, and then
    inwards by more than all rounding errors and errors of g_i; where these exceed the sphere,
    u_i = 0 does.

    Parameters
    ----------
    problem : SlopeProblem
    vectors : ndarray, shape (N, d)

    Returns
    -------
    vectors : ndarray, shape (N, d)
    norms : ndarray, shape (N,)
        Upper bounds on their norms.
    """
    w = np.array(vectors, dtype=np.float64)
    roundings = _roundings(problem, w)
    norms = np.zeros(len(w))
    norms[: problem.n_inputs] = _norms(w[: problem.n_inputs]) * (1 + roundings)
    missing: tuple[Mapping[int, FloatArray], ...] = ({},) * len(problem.levels)
    for at, (blocks, errors) in enumerate(
        zip(problem.levels, problem.level_errors or missing, strict=True), start=1
    ):
        here = slice(problem.starts[at], problem.starts[at + 1])
        z, doubt = _product(problem, problem.sizes[at - 1], blocks, errors, w, norms, roundings)
        center = z / 2
        away = w[here] - center
        length = _norms(away)
        # A proposal in the centre has no direction; that of z is as good as any.
        lost = length == 0
        away[lost], length[lost] = z[lost], _norms(z[lost])
        radius = _norms(center) * (1 - 8 * roundings) - doubt
        made = radius > 0
        factor = np.where(made, radius / np.where(made & (length > 0), length, 1.0), 0.0)
        inside = center + factor[:, None] * away
        inside[~made | (length == 0)] = 0.0
        w[here] = inside
        norms[here] = _norms(inside) * (1 + roundings)
    return w, norms


def _roundings(problem: SlopeProblem, w: FloatArray) -> float:
    """Return the relative error of any sum of products here, and some more operations."""
    return accumulated_error(problem.n_coordinates + len(problem.sizes) + w.shape[1] + 32)


def _product(
    problem: SlopeProblem,
    size: int,
    blocks: Mapping[int, Matrix],
    errors: Mapping[int, FloatArray],
    w: FloatArray,
    norms: FloatArray,
    roundings: float,
) -> tuple[FloatArray, FloatArray]:
    """Return blocks @ w and bounds on how far its rows may be from those of the true blocks.

    The blocks have `size` rows; `norms` are upper bounds on the norms of the rows of w.
    """
    found, doubt = np.zeros((size, w.shape[1])), np.zeros(size)
    for level, block in blocks.items():
        part: Any = block
        columns = slice(problem.starts[level], problem.starts[level + 1])
        found += part @ w[columns]
        doubt += roundings * (abs(part) @ norms[columns])
    for level, error in errors.items():
        doubt += error @ norms[problem.starts[level] : problem.starts[level + 1]]
    # The last term is far above all that underflow can take.
    return found, doubt * (1 + 2 * roundings) + _TINY


def _norms(rows: FloatArray) -> FloatArray:
    """Return the Euclidean norms of rows, of any scale."""
    scale = np.abs(rows).max(axis=1, initial=0.0)
    scale[scale == 0] = 1.0
    return np.asarray(scale * np.linalg.norm(rows / scale[:, None], axis=1))
