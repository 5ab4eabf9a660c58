"""Plans that send weight along conflicts, covers that meet them, and what each of them proves."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from theory.adversarial_transport.conflict_graph import BoolArray
from theory.arrays import FloatArray
from theory.evidence import Interval

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """A plan of conflicts, which bounds the least loss below, and a cover, which bounds it above.

    Attributes
    ----------
    lower, upper : float
        Ends of the least loss; they differ where rounding leaves a distance on neither side of
        twice the budget, and by the rounding of a linear programme.
    pairs : ndarray, shape (M, 2)
        Indices into the first and the second class: pairs that surely conflict.
    flow : ndarray, shape (M,)
        Weight that the plan sends along each pair.
    cover_first, cover_second : ndarray of int
        Points that may be given up: every conflict, even a possible one, has one of them.
    """

    lower: float
    upper: float
    pairs: IntArray
    flow: FloatArray
    cover_first: IntArray
    cover_second: IntArray

    @property
    def interval(self) -> Interval:
        """The interval that holds the least loss."""
        return Interval(self.lower, self.upper)

    @property
    def gap(self) -> float:
        """What is not known of the least loss."""
        return self.upper - self.lower


def largest_matching(graph: sparse.csr_array) -> tuple[IntArray, IntArray, IntArray]:
    """Return a largest matching of a bipartite graph, and a cover of its size, which proves that.

    Parameters
    ----------
    graph : csr_array, shape (n, m)
        Its entries are the edges.

    Returns
    -------
    pairs : ndarray of int, shape (M, 2)
    cover_first, cover_second : ndarray of int
        Rows and columns, M together, that hold every edge (Koenig).

    Raises
    ------
    ArithmeticError
        If the matching is none, or the cover misses an edge or is larger: the solver failed.

    Examples
    --------
    >>> graph = sparse.csr_array([[1, 1], [1, 0], [1, 0]])
    >>> pairs, rows, columns = largest_matching(graph)
    >>> len(pairs), rows.tolist(), columns.tolist()
    (2, [0], [0])
    """
    partner = sparse.csgraph.maximum_bipartite_matching(graph, perm_type="column")
    matched = np.flatnonzero(partner >= 0)
    pairs = np.stack([matched, partner[matched]], axis=1).astype(np.int64)
    back = np.full(graph.shape[1], -1, dtype=np.int64)
    back[pairs[:, 1]] = pairs[:, 0]
    # What alternating paths reach from the rows without a partner.
    seen_rows, seen_columns = partner < 0, np.zeros(graph.shape[1], dtype=np.bool_)
    frontier = np.flatnonzero(seen_rows)
    while frontier.size:
        reached = np.zeros_like(seen_columns)
        for row in frontier:
            reached[graph.indices[graph.indptr[row] : graph.indptr[row + 1]]] = True
        new = reached & ~seen_columns
        seen_columns |= new
        following = back[new]
        # A column without a partner would end a path that makes the matching larger.
        frontier = following[following >= 0]
        seen_rows[frontier] = True
    require_matching(graph, pairs)
    require_cover(graph, ~seen_rows, seen_columns)
    cover = np.flatnonzero(~seen_rows), np.flatnonzero(seen_columns)
    if cover[0].size + cover[1].size != len(pairs):
        raise ArithmeticError(f"no cover has the {len(pairs)} points of the matching")
    return pairs, *cover


def require_matching(graph: sparse.csr_array, pairs: IntArray) -> None:
    """Raise ArithmeticError unless the pairs are edges and no row or column is used twice."""
    for side in pairs.T:
        if np.unique(side).size != side.size:
            raise ArithmeticError("the matching uses a point twice")
    for row, column in pairs:
        if column not in graph.indices[graph.indptr[row] : graph.indptr[row + 1]]:
            raise ArithmeticError(f"the pair {row}, {column} of the matching is no conflict")


def require_cover(graph: sparse.csr_array, rows: BoolArray, columns: BoolArray) -> None:
    """Raise ArithmeticError unless every edge has a marked row or column."""
    bare = np.repeat(~rows, np.diff(graph.indptr))
    if np.any(bare & ~columns[graph.indices]):
        raise ArithmeticError("a conflict has no point in the cover")


def propose(
    graph: sparse.csr_array, row_weights: FloatArray, column_weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a flow along each edge and a dual variable of each row, as a solver finds them.

    The linear programme is: send as much as possible along the edges, from no row and to no column
    more than its weight. Nothing is proved of what it returns; see `feasible_flow` and `cover`.

    Parameters
    ----------
    graph : csr_array, shape (n, m)
        Its E entries are the edges; time and memory grow faster than E.
    row_weights, column_weights : ndarray, shapes (n,) and (m,)
        At least 0.

    Raises
    ------
    ArithmeticError
        If the solver reports that it did not solve.
    """
    n, m = graph.shape
    weights = np.concatenate([row_weights, column_weights])
    scale = float(weights.max(initial=0.0))
    if not graph.nnz or scale == 0:
        return np.zeros(graph.nnz), np.zeros(n)
    rows = np.repeat(np.arange(n), np.diff(graph.indptr))
    ends = np.concatenate([rows, n + graph.indices]), np.tile(np.arange(graph.nnz), 2)
    incidence: Any = sparse.csr_array((np.ones(2 * graph.nnz), ends), shape=(n + m, graph.nnz))
    # Scaled, as the solver's tolerances are absolute.
    found: Any = optimize.linprog(
        -np.ones(graph.nnz), A_ub=incidence, b_ub=weights / scale, method="highs"
    )
    if not found.success:
        raise ArithmeticError(f"the linear programme was not solved: {found.message}")
    return found.x * scale, -found.ineqlin.marginals[:n]


def feasible_flow(
    graph: sparse.csr_array,
    row_weights: FloatArray,
    column_weights: FloatArray,
    proposed: FloatArray,
) -> tuple[IntArray, list[Fraction]]:
    """Return the edges of a flow, and what it sends, cut to what the points have.

    In rational arithmetic each flow is cut to what its row and its column have left, the largest
    first: no point sends or gets more than its weight, whatever was proposed.

    Parameters
    ----------
    graph, row_weights, column_weights
        As in `propose`.
    proposed : ndarray, shape (E,)
        A flow along each edge.

    Returns
    -------
    pairs : ndarray of int, shape (M, 2)
    flow : list of M Fraction
        All positive.

    Examples
    --------
    >>> graph = sparse.csr_array([[1, 1]])
    >>> pairs, flow = feasible_flow(graph, np.ones(1), np.ones(2), np.array([0.75, 0.5]))
    >>> pairs.tolist(), [str(sent) for sent in flow]
    ([[0, 0], [0, 1]], ['3/4', '1/4'])
    """
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    left = [[Fraction(float(w)) for w in side] for side in (row_weights, column_weights)]
    pairs, flow = [], []
    used = np.flatnonzero(proposed > 0)
    for edge in used[np.argsort(-proposed[used], kind="stable")]:
        i, j = int(rows[edge]), int(graph.indices[edge])
        sent = min(Fraction(float(proposed[edge])), left[0][i], left[1][j])
        if sent > 0:
            left[0][i] -= sent
            left[1][j] -= sent
            pairs.append((i, j))
            flow.append(sent)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), flow


def lightest_cover(
    graph: sparse.csr_array,
    row_weights: FloatArray,
    column_weights: FloatArray,
    dual: FloatArray,
) -> tuple[IntArray, IntArray, Fraction]:
    """Return rows and columns that hold every edge, and their weight in rational arithmetic.

    Rows are taken by a threshold on their dual variables; the columns are what the edges of the
    other rows need. The result is a cover whatever the dual variables are.

    Parameters
    ----------
    graph, row_weights, column_weights
        As in `propose`.
    dual : ndarray, shape (n,)
        A dual variable of each row; at a vertex of the dual polytope all are 0 or 1.

    Examples
    --------
    >>> graph, dual = sparse.csr_array([[1, 1], [1, 0]]), np.array([1.0, 0.0])
    >>> weights = np.array([0.25, 0.5]), np.array([0.125, 1.0])
    >>> rows, columns, weight = lightest_cover(graph, *weights, dual)
    >>> rows.tolist(), columns.tolist(), str(weight)
    ([0], [0], '3/8')
    """
    best: tuple[Fraction, BoolArray, BoolArray] | None = None
    for threshold in np.unique(np.append(np.round(dual, 6), 2.0)):
        taken = np.round(dual, 6) >= threshold
        needed = np.zeros(graph.shape[1], dtype=np.bool_)
        needed[graph.indices[np.repeat(~taken, np.diff(graph.indptr))]] = True
        weight = _exact_sum(row_weights[taken]) + _exact_sum(column_weights[needed])
        if best is None or weight < best[0]:
            best = weight, taken, needed
    assert best is not None
    weight, taken, needed = best
    require_cover(graph, taken, needed)
    return np.flatnonzero(taken), np.flatnonzero(needed), weight


def _exact_sum(weights: FloatArray) -> Fraction:
    return sum((Fraction(float(w)) for w in weights), start=Fraction(0))


def float_below(value: Fraction) -> float:
    """Return a float that is at most a rational number, and near it."""
    near = float(value)
    return near if Fraction(near) <= value else float(np.nextafter(near, -np.inf))


def float_above(value: Fraction) -> float:
    """Return a float that is at least a rational number, and near it."""
    return -float_below(-value)
