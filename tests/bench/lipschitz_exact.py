"""Exact Lipschitz constants: branch and bound against enumeration and programmes, in one run.

Random networks with He's initialisation in the box [-1, 1]^n. CPU seconds; "nodes" are the regions
of the enumeration, and the nodes of the other two.
"""

import itertools
import time
from math import inf

import numpy as np

from theory.lipschitz.exact import LipschitzConstant, exact_constant
from theory.lipschitz.exact.methods import Method
from theory.relu.network import ReluNetwork
from theory.table import text_table

LIMIT = 10.0


def he_network(widths: tuple[int, ...], seed: int) -> ReluNetwork:
    """Return a network with weights of variance 2 / n and small biases."""
    rng = np.random.default_rng([seed, *widths])
    return ReluNetwork(
        [
            (rng.normal(size=(m, n)) * np.sqrt(2 / n), 0.3 * rng.normal(size=m))
            for n, m in itertools.pairwise(widths)
        ]
    )


def timed(network: ReluNetwork, p: float, method: Method) -> tuple[LipschitzConstant, float]:
    """Return what a method finds, and its CPU seconds."""
    start = time.process_time()
    limit = None if method == "enumeration" else LIMIT
    most = network.n_units
    found = exact_constant(network, p, box=(-1, 1), method=method, max_units=most, time_limit=limit)
    return found, time.process_time() - start


def main() -> None:
    """Print a table of all methods."""
    rows = []
    for widths in [(3, 7, 7, 2), (2, 16, 16, 2), (4, 10, 10, 3)]:
        network = he_network(widths, 0)
        for p in (1, 2, inf):
            branching, seconds = timed(network, p, "branching")
            regions, enumeration = timed(network, p, "enumeration")
            if not branching.lower <= regions.upper * (1 + 1e-9):
                raise ArithmeticError(f"the methods disagree on {widths}, p = {p}")
            row = [
                "-".join(map(str, widths)),
                f"{p:g}",
                f"[{branching.lower:.6f}, {branching.upper:.6f}]",
                str(branching.n_nodes),
                f"{seconds:.2f}",
                str(regions.n_nodes),
                f"{enumeration:.2f}",
                f"{enumeration / seconds:.2f}",
            ]
            if p == 2:
                row += ["", ""]
            else:
                programme, milp = timed(network, p, "milp")
                row += [f"{milp:.2f}", f"{programme.upper / branching.lower:.6f}"]
            rows.append(row)
    header = ["network", "p", "constant", "nodes", "s", "regions", "s", "ratio", "MILP s", "upper"]
    text_table(header, rows)


if __name__ == "__main__":
    main()
