"""Speed of the bounds, as ratios against the special functions that they cannot do without.

Theorem 1 at a million distances, against bare calls of `scipy.special.log_ndtr`, one a distance and
class; the argmax law and the exact spherical cap against adaptive quadrature; and the time that
`import theory` takes beside a bare `import scipy.special`. Each time is the least of five.
"""

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import integrate, special

from theory.claims.fawzi2018 import (
    cdf_lower_bound,
    log_survival_upper_bound,
    quantile_upper_bound,
)
from theory.concentration import cap_mass
from theory.gaussian import argmax_family_cdf, half_space_offset
from theory.modulus import LipschitzModulus
from theory.table import text_table

OMEGA = LipschitzModulus(1.0)


def least(run: Callable[[], object], times: int = 5) -> float:
    """Return the least CPU time of several runs, in seconds."""
    seen = []
    for _ in range(times):
        start = time.process_time()
        run()
        seen.append(time.process_time() - start)
    return min(seen)


def bare(eta: np.ndarray, masses: np.ndarray) -> None:
    """Call log_ndtr once for each distance and class."""
    for offset in half_space_offset(masses):
        special.log_ndtr(-(offset + eta))


def adaptive_argmax(t: np.ndarray, k: int) -> list[float]:
    """Return the law of the argmax family by adaptive quadrature, a distance at a time."""

    def kept(x: float, shift: float) -> float:
        return float(np.exp(-0.5 * x * x + (k - 1) * special.log_ndtr(x - shift)))

    scale = k / np.sqrt(2 * np.pi)
    return [
        1 - scale * integrate.quad(kept, -28, 28 + 2 * s, args=(s * np.sqrt(2),), limit=400)[0]
        for s in t
    ]


def adaptive_cap(angles: np.ndarray, n: int) -> list[float]:
    """Return cap masses by adaptive quadrature, an angle at a time."""

    def density(u: float) -> float:
        return float(np.sin(u) ** (n - 2))

    whole = 2 * integrate.quad(density, 0, np.pi / 2, epsabs=0)[0]
    return [integrate.quad(density, 0, angle, epsabs=0, limit=400)[0] / whole for angle in angles]


def imported(module: str) -> float:
    """Return the least wall time of importing a module in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
        for _ in range(5)
    ]
    return min(runs)


def main() -> None:
    rng = np.random.default_rng(0)
    eta, equal = rng.uniform(0, 5, 10**6), np.full(10, 0.1)
    unequal = rng.dirichlet(np.ones(10))
    t, angles = np.linspace(1e-3, 3, 200), np.linspace(1.0, 2.0, 200)
    plain = least(lambda: bare(eta, equal))
    rows = []
    for name, run, base in (
        ("cdf_lower_bound, 10 equal classes", lambda: cdf_lower_bound(eta, OMEGA, equal), plain),
        ("cdf_lower_bound, 10 classes", lambda: cdf_lower_bound(eta, OMEGA, unequal), plain),
        (
            "log_survival_upper_bound, 10 classes",
            lambda: log_survival_upper_bound(eta, OMEGA, unequal),
            plain,
        ),
        (
            "100 quantiles, 10 classes",
            lambda: quantile_upper_bound(np.linspace(0.01, 0.99, 100), OMEGA, unequal),
            plain,
        ),
        (
            "argmax_family_cdf, 200 distances",
            lambda: argmax_family_cdf(t, 10),
            least(lambda: adaptive_argmax(t, 10), 1),
        ),
        (
            "cap_mass, 200 angles, n = 784",
            lambda: cap_mass(angles, 784),
            least(lambda: adaptive_cap(angles, 784), 1),
        ),
    ):
        own = least(run)
        rows.append([name, f"{own:.4f}", f"{base:.4f}", f"{own / base:.3f}"])
    own, base = imported("theory"), imported("scipy.special")
    rows.append(["import theory (wall)", f"{own:.4f}", f"{base:.4f}", f"{own / base:.3f}"])
    text_table(["what", "seconds", "plain", "ratio"], rows)


if __name__ == "__main__":
    main()
