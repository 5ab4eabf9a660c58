"""The structured semidefinite solver against general ones, as ratios in one run.

Networks have Gaussian weights of variance 2 / fan-in, or, where deep, layers of norms uniform on
[0.4, 1.8]. General solvers get the problem in cvxpy, compressed and in units in which its unknowns
are about 1; "raw" is with all inputs. Times are CPU seconds of the process, of general solvers
without the time that cvxpy takes to build the problem, and with at most `--cap` of them; each run
is its own process with one thread. "off" is how far the value is from the proved lower end of
ours: a negative one is no bound.
"""

import argparse
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.semidefinite.interior import interior_point
from theory.lipschitz.semidefinite.problem import SlopeProblem, global_slopes, slope_problem
from theory.lipschitz.semidefinite.scaling import scaled_problem
from theory.lipschitz.semidefinite.stagewise import closed_form, stagewise
from theory.table import text_table

TOLERANCES = {"SCS": {"eps_abs": 1e-4, "eps_rel": 1e-4}, "SDPA": {}, "CVXOPT": {}}
MODULES = {"SCS": "scs", "SDPA": "sdpap", "CVXOPT": "cvxopt"}
# The general solvers take minutes to hours on the others.
SMALL = ("2-50-50-2", "64-100-100-10", "784-100-10", "784-64-64-10")
NETWORKS = (*SMALL, "784-256-256-10", "5x60", "10x40", "20x40", "10x100")
REPEATS = 3


def weights_of(name: str) -> list[FloatArray]:
    """Return the weights of widths "a-b-c", or of a depth and a width "lxw"."""
    rng = np.random.default_rng(0)
    if "-" in name:
        sizes = [int(size) for size in name.split("-")]
        return [rng.standard_normal((b, a)) * np.sqrt(2 / a) for a, b in pairwise(sizes)]
    depth, width = (int(each) for each in name.split("x"))
    found = []
    for a, b in pairwise([4, *[width] * (depth - 1), 1]):
        norm, weight = rng.uniform(0.4, 1.8), rng.standard_normal((b, a))
        found.append(weight * norm / np.linalg.norm(weight, 2))
    return found


def problem_of(name: str) -> SlopeProblem:
    weights = weights_of(name)
    return slope_problem(weights, [global_slopes((0, 1), len(each)) for each in weights[:-1]])


def general(name: str, solver: str, raw: bool, cap: int) -> dict[str, float]:
    """Return value and CPU seconds of a general solver; the process ends at the cap."""
    import cvxpy

    small = scaled_problem(problem_of(name))
    assert small is not None
    # In these units the closed form is rho = 1 and lambda = 1, and an absolute tolerance is fair.
    small = small.rescaled(*closed_form(small))
    rows, output, unit, n = small.rows, small.output, small.output_unit, small.n_inputs
    if raw:
        # As many inputs as there were, the changes of the further ones idle.
        extra = int(name.split("-")[0]) - n
        turn = np.linalg.qr(np.random.default_rng(1).standard_normal((n + extra, n)))[0]
        rows = np.hstack([rows[:, :n] @ turn.T, rows[:, n:]])
        output = np.hstack([output[:, :n] @ turn.T, output[:, n:]])
        n += extra
    m, size = rows.shape
    square, multipliers = cvxpy.Variable(nonneg=True), cvxpy.Variable(m, nonneg=True)
    select = np.eye(size)[n:]
    half = select.T @ cvxpy.diag(multipliers) @ (select - rows)
    slack = square * np.diag(np.arange(size) < n).astype(float) + half + half.T
    problem = cvxpy.Problem(cvxpy.Minimize(square), [slack - output.T @ output >> 0])
    data = problem.get_problem_data(solver, solver_opts=TOLERANCES[solver])
    start = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(start) + cap, int(start) + cap + 1))
    found = data[1].solve_via_data(problem, data[0], True, False, dict(TOLERANCES[solver]))
    seconds = time.process_time() - start
    problem.unpack_results(found, data[1], data[2])
    return {"value": float(np.sqrt(max(float(square.value), 0.0))) * unit, "seconds": seconds}


def own(name: str) -> dict[str, float]:
    """Return what our solver and the closed form find, and the least CPU seconds of some runs."""
    problem, times, quick = problem_of(name), [], []
    for _ in range(REPEATS):
        start = time.process_time()
        found = interior_point(problem)
        middle = time.process_time()
        closed = stagewise(problem)
        times.append(middle - start)
        quick.append(time.process_time() - middle)
    return {
        "value": found.square**0.5,
        "lower": found.lower,
        "iterations": found.iterations,
        "seconds": min(times),
        "stagewise": closed.square**0.5,
        "stagewise seconds": min(quick),
    }


def in_a_process(arguments: list[str], cap: int) -> dict[str, float] | str:
    """Return what a run of this file with the arguments prints, or why there is nothing."""
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    run = subprocess.run(
        [sys.executable, __file__, "--cap", str(cap), "--run", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **one},
        check=False,
    )
    if run.returncode == -signal.SIGXCPU:
        return f"> {cap}"
    if run.returncode:
        return "failed"
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cap", type=int, default=120, help="CPU seconds a run")
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        name, solver, *raw = given.run
        found = own(name) if solver == "own" else general(name, solver, bool(raw), given.cap)
        print(json.dumps(found))  # noqa: T201
        return
    rows = []
    for name in given.networks:
        ours = in_a_process([name, "own"], given.cap)
        if isinstance(ours, str):
            raise RuntimeError(f"the structured solver {ours} on {name}")
        value, lower, seconds = ours["value"], ours["lower"], ours["seconds"]
        rows.append([name, "structured", f"{value:.8g}", f"{value / lower - 1:.1e}"])
        rows[-1] += [f"{seconds:.3f}", "1", f"{ours['iterations']:.0f}"]
        closed, quick = ours["stagewise"], ours["stagewise seconds"]
        rows.append([name, "stagewise", f"{closed:.8g}", f"{closed / lower - 1:.1e}"])
        rows[-1] += [f"{quick:.3f}", f"{quick / seconds:.3f}", "-"]
        runs = [[solver] for solver in MODULES] if name in SMALL else []
        if name in SMALL and name.startswith("784"):
            runs.append(["SCS", "raw"])
        for run in runs:
            if importlib.util.find_spec(MODULES[run[0]]) is None:
                continue
            other = in_a_process([name, *run], given.cap)
            if isinstance(other, str):
                rows.append([name, " ".join(run), "-", "-", other, "-", "-"])
                if other.startswith(">"):
                    rows[-1][5] = f"> {given.cap / seconds:.0f}"
                continue
            off = other["value"] / lower - 1
            rows.append([name, " ".join(run), f"{other['value']:.8g}", f"{off:.1e}"])
            rows[-1] += [f"{other['seconds']:.2f}", f"{other['seconds'] / seconds:.0f}", "-"]
    text_table(["network", "solver", "value", "off", "CPU s", "ratio", "iterations"], rows)


if __name__ == "__main__":
    main()
