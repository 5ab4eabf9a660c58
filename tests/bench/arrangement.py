"""Regions a second, against an incremental enumeration that asks a linear programme a side.

The plain version keeps sign prefixes and, for each next hyperplane, asks HiGHS for both sides of
each prefix. It is run on fewer hyperplanes, and rates are compared. CPU time, the test of general
position included. "In any position" is the path that arrangements with dependences take.
"""

import functools
import sys
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy import optimize

from theory.arrangement import HyperplaneArrangement, generic
from theory.arrangement.counting import binomial_sum
from theory.arrangement.incremental import incremental_regions
from theory.table import text_table


def plain(arrangement: HyperplaneArrangement) -> Iterator[list[int]]:
    """Yield sign vectors, one hyperplane after another, by linear programmes."""
    n = arrangement.dimension
    prefixes: list[list[int]] = [[]]
    for i in range(arrangement.n_hyperplanes):
        prefixes = [
            [*prefix, side]
            for prefix in prefixes
            for side in (-1, 1)
            if _feasible(arrangement, np.array([*prefix, side]), i + 1, n)
        ]
    yield from prefixes


def _feasible(arrangement: HyperplaneArrangement, signs: np.ndarray, m: int, n: int) -> bool:
    left = np.column_stack([-signs[:, None] * arrangement.normals[:m], np.ones(m)])
    found = optimize.linprog(
        np.append(np.zeros(n), -1.0),
        A_ub=left,
        b_ub=-signs * arrangement.offsets[:m],
        bounds=[(-1e4, 1e4)] * n + [(None, 1.0)],
    )
    return found.x is not None and float(found.x[-1]) > 1e-7


def in_any_position(arrangement: HyperplaneArrangement) -> Iterable[object]:
    """Return regions as they are found without general position."""
    return zip(*incremental_regions(arrangement._rows), strict=True)


def rate(run: Callable[[], Iterable[object]], expected: int) -> tuple[float, float]:
    """Return the CPU time of an enumeration, and regions a second."""
    start = time.process_time()
    count = sum(1 for _ in run())
    seconds = time.process_time() - start
    assert count == expected
    return seconds, count / seconds


def main() -> None:
    """Print the table; with the word "large", six dimensions and 30 hyperplanes too."""
    rows = []
    sizes = [(3, 40, 9), (4, 30, 8), (5, 24, 8), (6, 20, 7)]
    sizes += [(6, 30, 7)] if "large" in sys.argv[1:] else []
    for n, m, few in sizes:
        small, own = (generic(size, n, np.random.default_rng(n)) for size in (few, m))
        _, base = rate(functools.partial(plain, small), small.n_regions)
        middle = generic(m // 2, n, np.random.default_rng(n))
        _, any_position = rate(functools.partial(in_any_position, middle), middle.n_regions)
        seconds, found = rate(own.regions, binomial_sum(m, n))
        numbers = [f"{seconds:.2f}", *(f"{x:.0f}" for x in (found, any_position, base))]
        rows.append([f"R^{n}, {m}", str(own.n_regions), *numbers, f"{found / base:.0f}"])
    heads = ["dimension, m", "regions", "seconds", "a second", "in any position", "plain", "ratio"]
    text_table(heads, rows)


if __name__ == "__main__":
    main()
