"""Crossings, slices, enumeration and bounds against plain versions of the same run. CPU time.

Crossings: bisection between 1001 samples of the segment, all brackets at once. Slices: the
patterns of a grid, which misses what is between its points. Enumeration: a linear programme for
each pattern of all units; it is run on fewer units, and milliseconds a region are compared. Bounds:
intervals without the linear relaxation, and the part of their width that it leaves.
"""

import itertools
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from theory.arrays import FloatArray
from theory.relu import (
    Region,
    ReluNetwork,
    activation_regions,
    hamming_ball_bounds,
    plane_through,
    slice_regions,
)
from theory.table import text_table

Result = TypeVar("Result")


def network(rng: np.random.Generator, *widths: int) -> ReluNetwork:
    """Return a network with He's initialisation and biases."""
    return ReluNetwork(
        [
            (rng.normal(size=(m, n)) * np.sqrt(2 / n), 0.1 * rng.normal(size=m))
            for n, m in itertools.pairwise(widths)
        ]
    )


def timed(run: Callable[[], Result], repeats: int = 1) -> tuple[float, Result]:
    """Return the CPU time of one of several runs, and the result."""
    start = time.process_time()
    for _ in range(repeats):
        found = run()
    return (time.process_time() - start) / repeats, found


def bisected(net: ReluNetwork, x: FloatArray, y: FloatArray, samples: int = 1001) -> FloatArray:
    """Return where patterns change, by samples and then bisection of each change of a unit."""
    t = np.linspace(0.0, 1.0, samples)
    signs = net.pattern(x + t[:, None] * (y - x))
    at, unit = np.nonzero(signs[:-1] != signs[1:])
    low, high, before = t[at], t[at + 1], signs[at, unit]
    for _ in range(40):
        middle = (low + high) / 2
        now = net.pattern(x + middle[:, None] * (y - x))[np.arange(len(unit)), unit]
        low, high = np.where(now == before, middle, low), np.where(now == before, high, middle)
    return np.sort((low + high) / 2)


def crossing_rows(rng: np.random.Generator) -> list[list[str]]:
    """Return a row for each architecture."""
    rows = []
    for widths in ((784, 64, 10), (784, 256, 10), (784, 64, 32, 10), (784, *[100] * 6, 10)):
        net, (x, y) = network(rng, *widths), rng.random((2, 784))
        seconds, found = timed(lambda net=net, x=x, y=y: net.crossings(x, y), 20)
        plain, times = timed(lambda net=net, x=x, y=y: bisected(net, x, y))
        name = "-".join(map(str, widths))
        share = f"{len(times) / max(len(found.times), 1):.3f}"
        rows.append([name, str(len(found.times)), share, *ratio(seconds, plain)])
    return rows


def slice_rows(rng: np.random.Generator) -> list[list[str]]:
    """Return a row for each architecture."""
    rows = []
    for widths in ((784, 64, 10), (784, 128, 10), (784, 64, 32, 10)):
        net = network(rng, *widths)
        plane = plane_through(*rng.random((3, 784)))
        side = np.linspace(-20.0, 20.0, 300)
        seconds, found = timed(
            lambda net=net, p=plane: slice_regions(net, p.origin, p.u, p.v, (-20, 20, -20, 20)), 3
        )
        grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        points = found.points(grid)
        base, seen = timed(lambda net=net, points=points: n_patterns(net, points))
        name = "-".join(map(str, widths))
        share = f"{seen / found.n_regions:.3f}"
        rows.append([name, str(found.n_regions), share, *ratio(seconds, base)])
    return rows


def n_patterns(net: ReluNetwork, points: FloatArray) -> int:
    """Return the number of patterns at points."""
    return len(np.unique(np.packbits(net.pattern(points), axis=1), axis=0))


def enumeration_rows(rng: np.random.Generator) -> list[list[str]]:
    """Return a row for each architecture."""
    rows = []
    for widths, few in (((2, 10, 10, 2), (2, 5, 5, 2)), ((3, 10, 6, 2), (3, 5, 4, 2))):
        net, small = network(rng, *widths), network(rng, *few)
        seconds, found = timed(lambda net=net: sum(1 for _ in activation_regions(net, (-3, 3))))
        base, known = timed(lambda net=small: one_by_one(net))
        assert known == sum(1 for _ in activation_regions(small, (-3, 3)))
        name = "-".join(map(str, widths))
        rows.append([name, str(found), "1.000", *ratio(seconds / found, base / known)])
    return rows


def one_by_one(net: ReluNetwork) -> int:
    """Return the number of patterns whose regions have an interior."""
    count = 0
    for phases in itertools.product((False, True), repeat=net.n_units):
        try:
            count += Region.of(net.piece(phases), phases, (-3, 3)).ball.radius > 1e-8
        except ValueError:
            continue
    return count


def bound_rows(rng: np.random.Generator) -> list[list[str]]:
    """Return a row for each architecture and number of coordinates."""
    rows = []
    for widths, k in itertools.product([(784, 256, 10), (784, 64, 32, 10)], (3, 11, 784)):
        net, x = network(rng, *widths), rng.random(784)
        seconds, tight = timed(lambda net=net, x=x, k=k: hamming_ball_bounds(net, x, 0, 1, k), 5)
        plain, loose = timed(
            lambda net=net, x=x, k=k: hamming_ball_bounds(net, x, 0, 1, k, relaxed=False), 5
        )
        parts = np.ptp(tight.outputs, axis=0) / np.ptp(loose.outputs, axis=0)
        name = "-".join(map(str, widths)) + f", k = {k}"
        rows.append(
            [name, str(len(tight.undecided)), f"{parts.mean():.3f}", *ratio(seconds, plain)]
        )
    return rows


def ratio(seconds: float, plain: float) -> list[str]:
    """Return milliseconds and how many times the plain version's they are fewer."""
    return [f"{1e3 * seconds:.2f}", f"{1e3 * plain:.2f}", f"{plain / seconds:.1f}"]


def main() -> None:
    """Print a table for each."""
    rng = np.random.default_rng(0)
    last = ["ms", "plain ms", "ratio"]
    text_table(["segment", "crossings", "seen by plain", *last], crossing_rows(rng))
    text_table(["slice", "regions", "seen by plain", *last], slice_rows(rng))
    text_table(["box [-3, 3]^n", "regions", "seen by plain", *last], enumeration_rows(rng))
    text_table(["Hamming ball", "undecided units", "width left", *last], bound_rows(rng))


if __name__ == "__main__":
    main()
