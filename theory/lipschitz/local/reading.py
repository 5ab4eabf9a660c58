"""Networks as centre-radius bounds read them: weights, centres and radii, in one precision."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.semidefinite.problem import SlopeEnds
from theory.norms import accumulated_error

Precision: TypeAlias = Literal["float64", "float32"]
Stack: TypeAlias = npt.NDArray[np.floating]
Matrix: TypeAlias = "Stack | sparse.csr_array[Any, tuple[int, int]]"
_UP = 1 + 2.0**-50


class Reading(NamedTuple):
    """A network as it is read: forward, or transposed and backward.

    Attributes
    ----------
    weights : list of matrices A_1, ..., A_L
    sizes : list of float
        Upper bounds on the norms of their absolute values.
    terms : list of int
        The most products in one entry of A_k x.
    centers, roots : lists of ndarray, shape (n, m)
        M_k and R_k^{1/2} between A_k and A_{k+1}.
    first, last : ndarray or None
        Scales of the columns of A_1 or of the rows of A_L: one of them is None.
    p : float
    """

    weights: list[Matrix]
    sizes: list[float]
    terms: list[int]
    centers: list[Stack]
    roots: list[Stack]
    first: Stack | None
    last: Stack | None
    p: float

    @classmethod
    def of(
        cls, network: FeedForward, slopes: Sequence[SlopeEnds], p: float, precision: Precision
    ) -> "Reading":
        """Return a network with slopes of shape (n, m) a stage, as it is read for p -> p."""
        dtype = np.dtype(precision)
        weights: list[Any] = [each.weight for each in network.stages]
        centers, roots = [], []
        for least, most in slopes[:-1]:
            center = ((least + most) / 2).astype(dtype)
            # Whatever the centre was rounded to, the radius reaches both ends from it.
            radius = np.maximum(most - center, center - least)
            radius = np.where(radius > 0, radius * _UP, 0.0)
            root = np.sqrt(radius).astype(dtype)
            centers.append(center)
            roots.append(np.where(radius > 0, np.nextafter(root, dtype.type(np.inf)), root))
        # |slope| <= s: the last slopes are s times a free factor in [-1, 1], which drops out.
        least, most = slopes[-1]
        scale = np.maximum(np.abs(least), np.abs(most))
        exact = scale.astype(dtype)
        head = np.where(exact < scale, np.nextafter(exact, dtype.type(np.inf)), exact)
        if network.n_outputs < network.n_inputs:
            weights = [each.T for each in reversed(weights)]
            centers, roots = centers[::-1], roots[::-1]
            ends: tuple[Stack | None, Stack | None] = (head, None)
            p = p if p == 2 else (np.inf if p == 1 else 1)
        else:
            ends = (None, head)
        made = [_cast(each, dtype) for each in weights]
        sizes = [_absolute_norm(each, p) for each in made]
        terms = [_fan_in(each) for each in made]
        return cls(made, sizes, terms, centers, roots, *ends, p)

    @property
    def n_columns(self) -> int:
        """The number of columns of A_1."""
        return int(self.weights[0].shape[1])

    def chunk(self, counts: npt.NDArray[Any], memory: float) -> int:
        """Return how many points, the first ones of these, fit into the memory."""
        widest = max(int(each.shape[0]) for each in self.weights)
        itemsize = 4 if self.weights[0].dtype == np.float32 else 8
        # The most is taken by the products of one layer, their next ones and a Gram matrix.
        columns = np.maximum.accumulate(counts.sum(axis=0)) + self.n_columns
        each = 4.0 * itemsize * widest * columns * np.arange(1, len(columns) + 1)
        return max(1, int(np.searchsorted(each, memory, side="right")))


def _cast(weight: Matrix, dtype: np.dtype[Any]) -> Matrix:
    made = sparse.csr_array(weight) if sparse.issparse(weight) else np.ascontiguousarray(weight)
    cast = made.astype(dtype)
    if dtype == np.float32 and abs(cast.astype(np.float64) - made).max() > 0:
        raise ValueError(
            "float32 bounds need weights that are float32 numbers: round the network's weights"
            " first, or use precision='float64'"
        )
    return cast


def _absolute_norm(weight: Matrix, p: float) -> float:
    """Return an upper bound on the norm of the absolute values; by Schur's test for p = 2."""
    size: Any = abs(weight.astype(np.float64))
    up = 1 + accumulated_error(sum(weight.shape) + 4)
    one, other = float(size.sum(axis=0).max()) * up, float(size.sum(axis=1).max()) * up
    return {1: one, np.inf: other}.get(p, float(np.sqrt(one) * np.sqrt(other)) * _UP)


def _fan_in(weight: Matrix) -> int:
    if sparse.issparse(weight):
        return int(np.diff(weight.indptr).max(initial=0))
    return int(weight.shape[1])


def entries(weight: Matrix) -> Stack:
    """Return a weight as an ordinary array, in its own precision."""
    return np.asarray(weight.toarray() if sparse.issparse(weight) else weight)


def uncertain(root: Stack) -> tuple[npt.NDArray[np.intp], Stack]:
    """Return indices, shape (n, u), of the entries above 0, padded, and the entries there."""
    most = int(np.count_nonzero(root, axis=1).max(initial=0))
    # Padding takes entries that are 0, whose rows and columns vanish.
    index = np.argsort(root == 0, axis=1, kind="stable")[:, :most]
    return index, np.take_along_axis(root, index, axis=1)


def columns_at(weight: Matrix, index: npt.NDArray[np.intp]) -> Stack:
    """Return the columns at an index of shape (n, u), as an array of shape (m, n, u)."""
    flat = index.ravel()
    found = weight.tocsc()[:, flat].toarray() if sparse.issparse(weight) else weight[:, flat]
    return np.asarray(found).reshape(weight.shape[0], *index.shape)
