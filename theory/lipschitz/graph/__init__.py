"""Networks as graphs of operators, and the bounds that norms along them give."""

from theory.lipschitz.graph.bounds import graph_bound
from theory.lipschitz.graph.graph import Graph

__all__ = ["Graph", "graph_bound"]
