"""The constraint matrices of a scaled problem, which all have rank two.

A_i = e_i v_i^T + v_i e_i^T with v_i = e_i - g_i, and E the projection to the inputs. With V = [v_i]
all that an interior-point method needs of them are products with V, and those cost only as much as
the blocks of g that there are.
"""

import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.scaling import ScaledProblem


class Operators:
    """Products with the constraint matrices of one problem.

    Parameters
    ----------
    problem : ScaledProblem
        With n inputs, m units and N coordinates.
    """

    def __init__(self, problem: ScaledProblem) -> None:
        self.n = problem.n_inputs
        self.m = len(problem.rows)
        self._blocks = [
            (
                slice(level.first, level.last),
                slice(level.low, self.n + level.first),
                np.ascontiguousarray(
                    problem.rows[level.first : level.last, level.low : self.n + level.first]
                ),
            )
            for level in problem.levels
        ]
        self._gram = problem.output.T @ problem.output
        self._units = np.arange(self.m)

    def transposed(self, matrix: FloatArray) -> FloatArray:
        """Return V^T A, shape (m, columns)."""
        found = matrix[self.n :].copy()
        for units, columns, block in self._blocks:
            found[units] -= block @ matrix[columns]
        return found

    def slack(self, point: FloatArray) -> FloatArray:
        """Return S(rho, lambda) for point = (rho, lambda), shape (N, N)."""
        return self.combination(point) - self._gram

    def residual(self, dual: FloatArray) -> FloatArray:
        """Return how far X is from tr(E X) = 1 and tr(A_i X) = 0."""
        found = self.traces(dual, self.transposed(dual))
        found[0] -= 1.0
        return found

    def combination(self, point: FloatArray) -> FloatArray:
        """Return rho E + sum_i lambda_i A_i for point = (rho, lambda), shape (N, N)."""
        n, size = self.n, self.n + self.m
        rho, multipliers = point[0], point[1:]
        found = np.zeros((size, size))
        for units, columns, block in self._blocks:
            part = -multipliers[units, None] * block
            here = slice(n + units.start, n + units.stop)
            found[here, columns] = part
            found[columns, here] = part.T
        found.flat[:: size + 1] = np.concatenate([np.full(n, rho), 2 * multipliers])
        return found

    def combination_times(
        self, point: FloatArray, matrix: FloatArray, seen: FloatArray
    ) -> FloatArray:
        """Return (rho E + sum_i lambda_i A_i) A for V^T A = seen."""
        n = self.n
        multipliers = point[1:, None]
        found = np.empty_like(matrix)
        np.multiply(point[0], matrix[:n], out=found[:n])
        np.multiply(multipliers, seen, out=found[n:])
        scaled = multipliers * matrix[n:]
        found[n:] += scaled
        for units, columns, block in self._blocks:
            found[columns] -= block.T @ scaled[units]
        return found

    def traces(self, matrix: FloatArray, seen: FloatArray) -> FloatArray:
        """Return (tr(E A), tr(A_1 A), ..., tr(A_m A)) for a symmetric A with V^T A = seen."""
        n = self.n
        return np.concatenate([[np.trace(matrix[:n, :n])], 2 * seen[self._units, n + self._units]])

    def product_traces(self, z: FloatArray, z_seen: FloatArray, right: FloatArray) -> FloatArray:
        """Return the traces, as above, of the symmetric part of Z B, for V^T Z = z_seen."""
        n = self.n
        turned = np.ascontiguousarray(right.T)
        units = np.einsum("ij,ij->i", turned[n:], z_seen)
        units += np.einsum("ij,ij->i", self.transposed(turned), z[n:])
        return np.concatenate([[np.vdot(turned[:n], z[:n])], units])

    def schur(
        self, x: FloatArray, x_seen: FloatArray, z: FloatArray, z_seen: FloatArray
    ) -> FloatArray:
        """Return tr(A_i X A_j Z) for all pairs of E, A_1, ..., A_m, for symmetric X and Z.

        Parameters
        ----------
        x, z : ndarray, shape (N, N)
        x_seen, z_seen : ndarray, shape (m, N)
            V^T X and V^T Z.
        """
        n, m = self.n, self.m
        found = np.empty((m + 1, m + 1))
        inner = found[1:, 1:]
        np.multiply(x_seen[:, n:], z_seen[:, n:].T, out=inner)
        inner += inner.T.copy()
        inner += self._sandwich(x_seen) * z[n:, n:]
        inner += self._sandwich(z_seen) * x[n:, n:]
        found[0, 0] = np.vdot(x[:n, :n], z[:n, :n])
        border = np.einsum("ij,ij->i", z_seen[:, :n], x[n:, :n])
        border += np.einsum("ij,ij->i", x_seen[:, :n], z[n:, :n])
        found[0, 1:] = found[1:, 0] = border
        return found

    def _sandwich(self, seen: FloatArray) -> FloatArray:
        """Return V^T A V for V^T A = seen."""
        return self.transposed(np.ascontiguousarray(seen.T))
