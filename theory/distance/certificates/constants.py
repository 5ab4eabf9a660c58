"""Lipschitz constants of the difference of two outputs, for each pair of classes."""

from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.activations import Identity
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.lipschitz.product import product_bound
from theory.lipschitz.semidefinite import SlopeEnds, bound_of, slope_problem
from theory.norms import UNIT_ROUNDOFF, accumulated_error
from theory.relu.layer import dense

_UNIT: Final = UNIT_ROUNDOFF["float64"]


class PairConstants:
    """Upper ends of the Lipschitz constants of output[s] - output[t], l_p -> |.|.

    Each is found when it is asked for first, and kept.

    Parameters
    ----------
    network : FeedForward
        With an affine last stage.
    tolerance : float
        Relative, of the semidefinite bounds' optima.
    """

    def __init__(self, network: FeedForward, *, tolerance: float = 1e-4) -> None:
        self.network = network
        self.tolerance = tolerance
        self._products: dict[float, FloatArray] = {}
        self._semidefinite = np.full((network.n_outputs,) * 2, np.nan)
        np.fill_diagonal(self._semidefinite, 0.0)

    @property
    def n_units(self) -> int:
        """The number of units before the last stage."""
        return sum(len(stage.bias) for stage in self.network.stages[:-1])

    def pair(self, s: int, t: int) -> FeedForward:
        """Return output[s] - output[t], but for its constant; its row is rounded."""
        last = dense(self.network.stages[-1].weight)
        row = Stage((last[s] - last[t])[None], np.zeros(1), Identity())
        return FeedForward((*self.network.stages[:-1], row))

    def rounding(self, p: float) -> FloatArray:
        """Return what the roundings of the rows may add to constants, shape (K, K)."""
        # A unit of rounding of each entry at most.
        return np.asarray(2 * _UNIT * self.product(p))

    def product(self, p: float) -> FloatArray:
        """Return the products of norms, the last one of the difference of two rows, shape (K, K).

        Parameters
        ----------
        p : {1, 2, inf}

        References
        ----------
        Tsuzuku, Sato and Sugiyama, Lipschitz-Margin Training (NeurIPS 2018), proposition 1.
        """
        if p not in self._products:
            weight = dense(self.network.stages[-1].weight)
            differences = weight[:, None, :] - weight
            # Scaled by the largest entry of each row, so that no square underflows.
            largest = np.abs(differences).max(axis=2)
            scaled = np.abs(differences) / np.where(largest > 0, largest, 1.0)[:, :, None]
            if p == 2:
                norms = np.sqrt((scaled**2).sum(axis=2))
            else:
                norms = scaled.sum(axis=2) if p == np.inf else scaled.max(axis=2)
            inner = FeedForward(self.network.stages[:-1]) if self.network.stages[1:] else None
            rate = product_bound(inner, p) if inner is not None else 1.0
            norms = norms * largest * rate * (1 + accumulated_error(weight.shape[1] + 8))
            self._products[p] = norms
        return self._products[p]

    def semidefinite(self, s: int, t: int) -> float:
        """Return the semidefinite bound of a pair, for p = 2.

        Raises
        ------
        ValueError, ArithmeticError, RuntimeError
            If the network is too large for it, or no result could be verified.

        References
        ----------
        Fazlyab et al., Efficient and Accurate Estimation of Lipschitz Constants for Deep Neural
        Networks (NeurIPS 2019), theorem 2, with diagonal multipliers.
        """
        if np.isnan(self._semidefinite[s, t]):
            slopes = []
            for stage in self.network.stages[:-1]:
                m = len(stage.bias)
                ends = stage.activation.slopes(np.full(m, -np.inf), np.full(m, np.inf))
                slopes.append(SlopeEnds(*(np.broadcast_to(end, m) for end in ends)))
            weights = [stage.weight for stage in self.pair(s, t).stages]
            problem = slope_problem(weights, slopes)
            found = bound_of(problem, tolerance=self.tolerance).value
            found += float(self.rounding(2)[s, t])
            self._semidefinite[s, t] = self._semidefinite[t, s] = found * (1 + 4 * _UNIT)
        return float(self._semidefinite[s, t])

    def semidefinite_rows(self, labels: npt.NDArray[np.intp]) -> FloatArray:
        """Return the semidefinite bounds of all pairs with these labels, shape (B, K)."""
        for label in np.unique(labels):
            for t in range(self.network.n_outputs):
                self.semidefinite(int(label), t)
        return self._semidefinite[labels]
