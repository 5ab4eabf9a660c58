"""Bounds on the Lipschitz constant of a graph: composition, and merging of linear maps that meet.

Composition multiplies along operators, adds over sums, and takes the l_p norm over concatenations.
Merging writes a node as an affine function of the nodes that no linear map reaches through (the
input, activations, pools; "atoms"): v = sum_a M_a a, where maps in series are multiplied out and
parallel ones added, a residual branch W_2 W_1 x + x as (W_2 W_1 + I) x. Then for any t_a > 0

    Lip(v) <= sum_a ||M_a|| Lip(a),   and in l2
    Lip(v) <= ||[M_a / t_a]_a|| (sum_a (t_a Lip(a))^2)^(1/2),

and the second, with t_a^2 = ||M_a|| / Lip(a), is at most the first. A block x + F(x) with a chain F
has 1 + (the product of F's norms) times the constant of x at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, log2, sqrt

import numpy as np
from scipy import sparse

from theory.lipschitz.graph.graph import Graph
from theory.lipschitz.graph.linear import (
    MERGED_ENTRIES,
    MERGED_SIDE,
    NO_UNDERFLOW,
    LinearMap,
    is_sparse,
    joined,
    norm_upper,
    up,
)
from theory.lipschitz.graph.operators import Concatenation, Node, Selection, Sum
from theory.norms import accumulated_error

Form = dict[int, LinearMap]
"""A node as the sum of linear maps of atoms."""


def graph_bound(graph: Graph, p: float = 2) -> float:
    """Return an upper bound on the Lipschitz constant l_p -> l_p of a graph, rounding included.

    Every node has the least of the bounds found by composition and by merging.

    Parameters
    ----------
    graph : Graph
    p : {1, 2, inf}

    References
    ----------
    Szegedy et al., Intriguing properties of neural networks (ICLR 2014), section 4.3; Gouk, Frank,
    Pfahringer and Cree, Regularisation of neural networks by enforcing Lipschitz continuity, Mach.
    Learn. 110 (2021), section 3, for residual connections.

    Examples
    --------
    >>> graph = Graph((2,))
    >>> hidden = graph.activation(graph.layer(0, [[3.0, 0.0], [0.0, 1.0]]), 0, 1)
    >>> block = graph.add([0, hidden])
    >>> round(graph_bound(graph), 8)  # x + relu(W x): 1 + 3
    4.0
    """
    return _Bounds(graph, p).constants()[graph.output]


@dataclass
class _Bounds:
    graph: Graph
    p: float
    found: list[float] = field(default_factory=list)
    forms: dict[int, Form] = field(default_factory=dict)

    def constants(self) -> list[float]:
        """Return upper bounds for all nodes up to the output."""
        nodes = self.graph.nodes[: self.graph.output + 1]
        depth, paths = _segments(nodes)
        needed = {self.graph.output}
        for i in reversed(range(len(nodes))):
            if i in needed:
                needed.update(nodes[i].sources)
        # Merged maps are of use where something is made of them.
        ends = {self.graph.output}
        for i, node in enumerate(nodes):
            if i in needed and node.operator is not None and not _is_linear(node):
                ends.update(node.sources)
        for i, node in enumerate(nodes):
            self.found.append(self._composed(node) if i in needed else inf)
            if i in ends and (depth[i] > 1 or max(paths[i].values()) > 1):
                self.found[i] = min(self.found[i], self._merged(i))
        return self.found

    def _composed(self, node: Node) -> float:
        if node.operator is None:
            return 1.0
        parts = [self.found[each] for each in node.sources]
        if isinstance(node.operator, Sum):
            total = 0.0
            for factor, part in zip(node.operator.factors, parts, strict=True):
                total = up(total + times(abs(factor), part))
            return total
        if isinstance(node.operator, Concatenation):
            return _together(parts, self.p)
        shape = self.graph.nodes[node.sources[0]].shape
        return times(node.operator.norm(shape, self.p), parts[0])

    def _merged(self, i: int) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            form = self._form(i)
        norms = {atom: norm_upper(linear, self.p) for atom, linear in form.items()}
        total = 0.0
        for atom, norm in norms.items():
            total = up(total + times(norm, self.found[atom]))
        live = [a for a, norm in norms.items() if norm and self.found[a]]
        if self.p == 1 or len(live) < 2 or total == inf:
            return total
        if any(form[a].least * self.found[a] < NO_UNDERFLOW for a in live):
            return total
        if self.p == inf:
            # At most the sum, as the largest row of a sum is.
            rows = joined([form[a].scaled(self.found[a]) for a in live])
            return min(total, norm_upper(rows, inf))
        # Powers of two: dividing by them rounds nothing.
        balance = {a: 2.0 ** round((log2(norms[a]) - log2(self.found[a])) / 2) for a in live}
        side = joined([form[a].scaled(1 / balance[a]) for a in live])
        if min(side.shape) > MERGED_SIDE:
            return total
        weighted = _together([times(balance[a], self.found[a]) for a in live], 2)
        return min(total, times(norm_upper(side, 2), weighted))

    def _form(self, i: int) -> Form:
        """Return a node by atoms; one whose matrices would be too large is an atom itself."""
        if i not in self.forms:
            node = self.graph.nodes[i]
            form = self._expanded(node) if _is_linear(node) else None
            self.forms[i] = form or {i: LinearMap.identity(node.size)}
        return self.forms[i]

    def _expanded(self, node: Node) -> Form | None:
        operator = node.operator
        sources = [self._form(each) for each in node.sources]
        if isinstance(operator, Sum):
            pairs = zip(operator.factors, sources, strict=True)
            if any(
                f and abs(f) * m.least < NO_UNDERFLOW for f, form in pairs for m in form.values()
            ):
                return None
            scaled = [
                {atom: linear.scaled(factor) for atom, linear in form.items()}
                for factor, form in zip(operator.factors, sources, strict=True)
            ]
            return _added(scaled)
        if isinstance(operator, Concatenation):
            places = _places(self.graph, node, operator.axis)
            return _added([_mapped(a, form) for a, form in zip(places, sources, strict=True)])
        assert operator is not None
        linear = operator.linear_map(self.graph.nodes[node.sources[0]].shape)
        if linear is None or any(_stays_apart(linear, each) for each in sources[0].values()):
            return None
        return _mapped(linear, sources[0])


def times(a: float, b: float) -> float:
    """Return a b rounded up, for non-negative numbers of which 0 wins over infinity."""
    if not a or not b:
        return 0.0
    if a == 1.0 or b == 1.0:
        return a * b
    return up(a * b) or float(np.nextafter(0.0, 1.0))


def _together(parts: Sequence[float], p: float) -> float:
    """Return the l_p norm of constants, rounded up."""
    if p == inf or len(parts) == 1:
        return max(parts)
    if p == 1:
        return float(np.sum(parts)) * (1 + accumulated_error(len(parts) + 2))
    largest = max(parts)
    if not largest or largest == inf:
        return largest
    squares = float(np.sum((np.asarray(parts) / largest) ** 2))
    return up(largest * sqrt(squares) * (1 + accumulated_error(len(parts) + 8)))


def _is_linear(node: Node) -> bool:
    operator = node.operator
    if operator is None or isinstance(operator, Sum | Concatenation):
        return operator is not None
    return operator.is_linear


def _segments(nodes: Sequence[Node]) -> tuple[list[int], list[Mapping[int, int]]]:
    """Return how many linear maps each node has in series, and in how many ways it reaches atoms.

    Where there is one map and one way, nothing can be merged.
    """
    depth: list[int] = []
    paths: list[Mapping[int, int]] = []
    for i, node in enumerate(nodes):
        if not _is_linear(node):
            depth.append(0)
            paths.append({i: 1})
            continue
        ways: dict[int, int] = {}
        for each in node.sources:
            for atom, count in paths[each].items():
                ways[atom] = ways.get(atom, 0) + count
        paths.append(ways)
        operator = node.operator
        idle = isinstance(operator, Sum | Concatenation) or (
            isinstance(operator, Selection) and operator.source is None
        )
        depth.append(max(depth[each] for each in node.sources) + (not idle))
    return depth, paths


def _mapped(linear: LinearMap, form: Form) -> Form:
    return {atom: linear.after(each) for atom, each in form.items()}


def _added(forms: Sequence[Form]) -> Form:
    total: Form = {}
    for form in forms:
        for atom, linear in form.items():
            total[atom] = total[atom].plus(linear) if atom in total else linear
    return total


def _places(graph: Graph, node: Node, axis: int) -> list[LinearMap]:
    """Return the maps that put the sources of a concatenation where they belong in it."""
    index, first, maps = np.arange(node.size).reshape(node.shape), 0, []
    for each in node.sources:
        shape = graph.nodes[each].shape
        held = np.take(index, np.arange(first, first + shape[axis]), axis=axis).ravel()
        first += shape[axis]
        source = np.full(node.size, -1)
        source[held] = np.arange(len(held))
        placed = Selection(source).linear_map(shape)
        assert placed is not None
        maps.append(placed)
    return maps


def _stays_apart(linear: LinearMap, first: LinearMap) -> bool:
    """Whether multiplying two maps out takes too long or too much memory, or may underflow."""
    if linear.moves or first.moves:
        return False
    if linear.least * first.least < NO_UNDERFLOW:
        return True
    if is_sparse(linear.matrix) and is_sparse(first.matrix):
        columns = np.bincount(sparse.csr_array(linear.matrix).indices, minlength=linear.shape[1])
        rows = np.diff(sparse.csr_array(first.matrix).indptr)
        return bool(columns @ rows > MERGED_ENTRIES)
    return linear.shape[0] * first.shape[1] > MERGED_ENTRIES
