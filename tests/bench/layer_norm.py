"""Norms of convolutions against a dense SVD and torch's power iterations, in one run. CPU time.

The SVD is numpy's, of the matrix. Power iteration is 100 steps with torch's convolution and its
transpose; torch's own spectral normalisation takes the norm of the kernel as a matrix, which is
neither an upper nor a lower end of that of the convolution. Ratios are to the certified value.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from theory.lipschitz.layers import Convolution, layer_norm, matrix
from theory.table import text_table

Result = TypeVar("Result")
KERNELS = [
    (16, 3, 3, 1, 1, 16),
    (16, 16, 3, 1, 1, 8),
    (32, 16, 4, 2, 1, 14),
    (64, 32, 4, 2, 1, 7),
    (64, 32, 4, 2, 1, 8),
    (32, 1, 4, 2, 1, 28),
    (32, 16, 3, 2, 1, 16),
    (32, 16, 5, 2, 2, 16),
]
TOO_LARGE_FOR_SVD = [(16, 16, 3, 1, 1, 32), (64, 64, 3, 1, 1, 32), (64, 3, 7, 2, 3, 224)]


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """Return the CPU time of a run, and the result."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def power_iteration(weight: torch.Tensor, side: int, stride: int, padding: int) -> float:
    """Return ||A x|| after 100 steps from a random image."""
    x = torch.randn(1, weight.shape[1], side, side, dtype=torch.float64)
    shape, value = x.shape, 0.0
    for _ in range(100):
        x = x / x.norm()
        y = nn.functional.conv2d(x, weight, None, stride, padding)
        value = float(y.norm())
        x = nn.grad.conv2d_input(shape, weight, y, stride, padding)
    return value


def kernel_norm(weight: torch.Tensor, stride: int, padding: int) -> float:
    """Return what spectral normalisation in torch divides by."""
    m, n, k, _ = weight.shape
    layer = nn.Conv2d(n, m, k, stride, padding, bias=False, dtype=torch.float64)
    layer.weight.data = weight.clone()
    nn.utils.parametrizations.spectral_norm(layer, n_power_iterations=100)
    return float((weight / layer.weight.detach()).flatten()[0])


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    rows = []
    for m, n, k, stride, padding, side in KERNELS + TOO_LARGE_FOR_SVD:
        kernel = rng.normal(size=(m, n, k, k))
        layer, shape = Convolution(kernel, stride, padding), (n, side, side)
        weight = torch.from_numpy(kernel)
        seconds, norm = timed(lambda a=layer, b=shape: layer_norm(a, b))  # type: ignore[misc]
        torus_seconds, torus = timed(
            lambda a=layer, b=shape: layer_norm(a, b, method="torus")  # type: ignore[misc]
        )
        power_seconds, power = timed(
            lambda w=weight, g=(side, stride, padding): power_iteration(w, *g)  # type: ignore[misc]
        )
        svd = svd_gap = "-"
        if (m, n, k, stride, padding, side) in KERNELS:
            dense = matrix(layer, shape).toarray()
            svd_seconds, value = timed(
                lambda d=dense: np.linalg.svd(d, compute_uv=False)[0]  # type: ignore[misc]
            )
            svd, svd_gap = f"{svd_seconds / seconds:.1f}", f"{value / norm.lower - 1:.0e}"
        rows.append(
            [
                f"{m},{n},{k},{stride},{padding} {side}",
                f"{seconds:.3f}",
                f"{norm.upper / norm.lower - 1:.0e}",
                svd,
                svd_gap,
                f"{torus_seconds / seconds:.2f}",
                f"{torus.upper / norm.lower:.4f}",
                f"{power_seconds / seconds:.1f}",
                f"{power / norm.lower:.5f}",
                f"{kernel_norm(weight, stride, padding) / norm.lower:.3f}",
            ]
        )
    header = ["kernel side", "CPU s", "width", "SVD time", "SVD-1", "torus time", "torus"]
    text_table([*header, "power time", "power", "kernel"], rows)


if __name__ == "__main__":
    main()
