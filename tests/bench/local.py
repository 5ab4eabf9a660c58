"""Local Lipschitz bounds of networks with random weights. CPU time.

A decoder of 28 x 28 images (8 latents, a linear layer, two transposed convolutions, a sigmoid) and
multilayer perceptrons: each method against the largest norm of sampled Jacobians in the ball, and
the product of the layers' norms; bounds on many balls together against one call a ball, in double
and single precision; and how far bisection closes the ends in few dimensions.
"""

import itertools
import time
from collections.abc import Callable
from typing import TypeVar, get_args

import numpy as np
from scipy import sparse

from theory.arrays import FloatArray
from theory.lipschitz.activations import LeakyReLU, Sigmoid
from theory.lipschitz.feed_forward import FeedForward, Stage
from theory.lipschitz.local import (
    bisected_bound,
    center_radius_bounds,
    certified_expansion,
    jacobian_norm_lower,
    local_bound,
)
from theory.lipschitz.local.bound import Method
from theory.lipschitz.local.reading import Precision
from theory.norms import spectral_norm_upper
from theory.relu.layer import Matrix, dense
from theory.table import text_table

Result = TypeVar("Result")
RELU, LINE = LeakyReLU(np.zeros(())), LeakyReLU(np.ones(()))


def perceptron(rng: np.random.Generator, *widths: int) -> FeedForward:
    """Return a ReLU network with He's initialisation in float32 and biases."""
    stages = []
    for n, m in itertools.pairwise(widths):
        weight = (rng.normal(size=(m, n)) * np.sqrt(2 / n)).astype(np.float32)
        stages.append(Stage(weight.astype(np.float64), 0.1 * rng.normal(size=m), RELU))
    return FeedForward((*stages[:-1], Stage(stages[-1].weight, stages[-1].bias, LINE)))


def doubling(kernel: FloatArray, side: int) -> Matrix:
    """Return the transposed convolution of stride 2, padding 1 by an (in, out, 4, 4) kernel."""
    channels, out = kernel.shape[:2]
    matrix = sparse.lil_array((out * 4 * side**2, channels * side**2))
    for c, o, y, x in np.ndindex(channels, out, side, side):
        for i, j in np.ndindex(4, 4):
            row, column = 2 * y + i - 1, 2 * x + j - 1
            if 0 <= row < 2 * side and 0 <= column < 2 * side:
                at = (o * 2 * side + row) * 2 * side + column
                matrix[at, (c * side + y) * side + x] += kernel[c, o, i, j]
    return sparse.csr_array(matrix)


def decoder(rng: np.random.Generator) -> FeedForward:
    """Return a decoder of 28 x 28 images."""
    weights = [
        rng.normal(size=(784, 8)) / 2,
        doubling(rng.normal(size=(16, 8, 4, 4)) / 8, 7),
        doubling(rng.normal(size=(8, 1, 4, 4)) / 4, 14),
    ]
    weights = [w.astype(np.float32).astype(np.float64) for w in weights]
    activations = (RELU, RELU, Sigmoid())
    return FeedForward(
        tuple(
            Stage(w, 0.3 * rng.normal(size=w.shape[0]), act)
            for w, act in zip(weights, activations, strict=True)
        )
    )


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """Return the CPU time and the result."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def sampled(net: FeedForward, center: FloatArray, radius: float, rng: np.random.Generator) -> float:
    """Return the largest norm of Jacobians at points of a ball."""
    steps = rng.normal(size=(200, len(center)))
    steps *= radius * rng.uniform(size=(200, 1)) / np.linalg.norm(steps, axis=1, keepdims=True)
    return max(jacobian_norm_lower(net, center + step) for step in steps)


def method_rows(rng: np.random.Generator) -> list[list[str]]:
    """Return a row for each network and radius."""
    rows = []
    nets = [
        ("decoder", decoder(rng), (0.01, 0.03, 0.1, 0.3)),
        ("64-100-100-10", perceptron(rng, 64, 100, 100, 10), (0.03, 0.3, 3.0)),
        ("784-256-10", perceptron(rng, 784, 256, 10), (0.1, 1.0, 10.0)),
    ]
    for name, net, radii in nets:
        head = 0.25 if name == "decoder" else 1.0
        product = head * np.prod([spectral_norm_upper(dense(each.weight)) for each in net.stages])
        center = rng.normal(size=net.n_inputs)
        for radius in radii:
            seen = sampled(net, center, radius, rng)
            row = [f"{name}, {radius:g}", f"{product / seen:.2f}"]
            methods: tuple[Method, ...] = ("interval", "center_radius", "semidefinite")
            for method in methods:
                seconds, found = timed(
                    lambda net=net, c=center, r=radius, by=method: local_bound(net, c, r, method=by)
                )
                row.append(f"{found.value / seen:.3f} in {seconds:.2f} s")
            expansion = certified_expansion(net, center, radius)
            rows.append([*row, str(found.n_uncertain), f"{expansion / radius / seen:.3f}"])
    return rows


def batch_rows(rng: np.random.Generator) -> list[list[str]]:
    """Return a row for each network, radius and precision."""
    rows = []
    nets = [
        ("decoder", decoder(rng), (0.01, 0.1), 60),
        ("2-64-64-2", perceptron(rng, 2, 64, 64, 2), (0.01, 0.1), 3000),
        ("64-100-100-10", perceptron(rng, 64, 100, 100, 10), (0.03, 0.2), 300),
    ]
    for name, net, radii, n in nets:
        centers = rng.normal(size=(n, net.n_inputs))
        for radius in radii:
            some = centers[:20]
            loop, _ = timed(
                lambda net=net, some=some, r=radius: [
                    center_radius_bounds(net, x[None], r) for x in some
                ]
            )
            values = {}
            for precision in get_args(Precision):
                seconds, values[precision] = timed(
                    lambda net=net, c=centers, r=radius, t=precision: center_radius_bounds(
                        net, c, r, precision=t
                    )
                )
                loss = float((values[precision] / values["float64"] - 1).max())
                times = [f"{1e3 * seconds / n:.3f}", f"{1e3 * loop / 20:.3f}"]
                ratio = f"{loop / 20 * n / seconds:.1f}"
                rows.append([f"{name}, {radius:g}, {precision}", f"{loss:.1e}", *times, ratio])
    return rows


def bisection_rows(rng: np.random.Generator) -> list[list[str]]:
    """Return a row for each network."""
    rows = []
    for widths, radius in (
        ((2, 20, 20, 2), 0.5),
        ((2, 64, 64, 20), 0.3),
        ((3, 30, 30, 3), 0.3),
        ((4, 40, 40, 5), 0.2),
    ):
        net, center = perceptron(rng, *widths), rng.normal(size=widths[0])
        whole = local_bound(net, center, radius).value
        seconds, found = timed(
            lambda net=net, c=center, r=radius: bisected_bound(net, c, r, tolerance=1e-3)
        )
        ends = [f"{whole / found.lower:.3f}", f"{found.upper / found.lower:.4f}"]
        name = "-".join(map(str, widths)) + f", {radius:g}"
        rows.append([name, *ends, str(found.n_pieces), f"{seconds:.2f}"])
    return rows


def main() -> None:
    """Print a table for each."""
    rng = np.random.default_rng(0)
    header = ["network, radius", "product / sampled", "interval", "centre-radius", "semidefinite"]
    text_table([*header, "uncertain", "expansion / radius"], method_rows(rng))
    header = ["network, radius, precision", "loss", "ms a ball", "alone", "ratio"]
    text_table(header, batch_rows(rng))
    header = ["network, radius", "bound / lower", "bisected / lower", "pieces", "s"]
    text_table(header, bisection_rows(rng))


if __name__ == "__main__":
    main()
