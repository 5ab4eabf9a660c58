"""Least changes with proof, against a mixed-integer programme: a binary a coordinate and a unit.

Networks of one hidden layer, trained on the digits of scikit-learn; the programme has the same
bounds of the units and the same cut-off. Wall-clock seconds; "solved" means with equal ends.
"""

import time
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse
from sklearn.neural_network import MLPClassifier

from empirics.data import load
from theory.hamming.chosen.search import search
from theory.hamming.exact.least import least_changes
from theory.hamming.problem import MARGIN, LabelProblem
from theory.relu.bounds import hamming_ball_bounds
from theory.relu.network import ReluNetwork
from theory.table import text_table

LIMIT = 30.0


class Programme(NamedTuple):
    """What the programme says of fewer than the known number of changes."""

    solved: bool
    least: float


def mixed_integer(problem: LabelProblem, network: ReluNetwork, k: int) -> Programme:
    """Minimise the changes by columns (change, binary) a coordinate and (value, binary) a unit."""
    first, last = network.layers
    low, high = problem.low - problem.x, problem.high - problem.x
    n = len(low)
    ends = hamming_ball_bounds(network, problem.x, problem.low, problem.high, k).layers[0]
    on = np.flatnonzero(ends.lower >= 0)
    opened = np.flatnonzero((ends.lower < 0) & (ends.upper > 0))
    lower, upper, m = ends.lower[opened], ends.upper[opened], len(opened)
    weight, values = np.asarray(first.weight), first.affine(problem.x)
    leads = problem.leads(np.asarray(last.weight).T).T
    eye, unit = sparse.eye_array(n), sparse.eye_array(m)
    rows = weight[opened]
    blocks = [
        ([eye, -sparse.diags_array(high), None, None], -np.inf, np.zeros(n)),
        ([-eye, sparse.diags_array(low), None, None], -np.inf, np.zeros(n)),
        ([rows, None, -unit, None], -np.inf, -values[opened]),
        ([-rows, None, unit, sparse.diags_array(-lower)], -np.inf, values[opened] - lower),
        ([None, None, unit, -sparse.diags_array(upper)], -np.inf, np.zeros(m)),
        (
            [-leads[:, on] @ weight[on], None, -leads[:, opened], None],
            -np.inf,
            leads[:, on] @ values[on] + problem.leads(last.bias) - MARGIN,
        ),
        ([None, np.ones((1, n)), None, None], -np.inf, np.array([k])),
    ]
    widths = (n, n, m, m)
    constraints = [
        optimize.LinearConstraint(
            sparse.hstack(
                [
                    sparse.csr_array((len(most), width) if each is None else each)
                    for each, width in zip(parts, widths, strict=True)
                ]
            ),
            least,
            most,
        )
        for parts, least, most in blocks
    ]
    found = optimize.milp(
        np.repeat([0.0, 1.0, 0.0, 0.0], widths),
        constraints=constraints,
        integrality=np.repeat([0, 1, 0, 1], widths),
        bounds=optimize.Bounds(
            np.concatenate([low, np.zeros(n + 2 * m)]),
            np.concatenate([high, np.ones(n), upper, np.ones(m)]),
        ),
        options={"mip_rel_gap": 0.0, "time_limit": LIMIT},
    )
    return Programme(found.status in (0, 2), k + 1 if found.status == 2 else float(found.fun or 0))


def main() -> None:
    """Print the table."""
    data = load("digits")
    images = data.train_images.reshape(len(data.train_images), -1).astype(np.float64)
    tests = data.test_images.reshape(len(data.test_images), -1).astype(np.float64)
    table = []
    for width in (16, 32, 64):
        model = MLPClassifier([width], max_iter=2000, random_state=0).fit(images, data.train_labels)
        weights = zip(model.coefs_, model.intercepts_, strict=True)
        network = ReluNetwork([(w.T, b) for w, b in weights])
        seconds: dict[str, list[float]] = {"here": [], "programme": []}
        solved = {"here": 0, "programme": 0}
        for x, label in zip(tests[:4], network.label(tests[:4]), strict=True):
            for target in np.delete(np.arange(10), label)[::2]:
                problem = LabelProblem.of(network, x, int(target), (0, 1))
                known = search(problem, len(x))
                if known is None or len(problem.changed(known)) < 2:
                    continue
                start = time.perf_counter()
                here = least_changes(problem, known=known, time_limit=LIMIT)
                seconds["here"].append(time.perf_counter() - start)
                start = time.perf_counter()
                other = mixed_integer(problem, network, len(problem.changed(known)) - 1)
                seconds["programme"].append(time.perf_counter() - start)
                solved["here"] += here.proved
                solved["programme"] += other.solved
                assert not (here.proved and other.solved) or here.lower == round(other.least)
        for name, each in seconds.items():
            numbers = (np.median(each), np.quantile(each, 0.9), max(each))
            counts = f"{solved[name]} of {len(each)}"
            table.append([str(width), name, counts, *(f"{x:.3f}" for x in numbers)])
    text_table(["width", "method", "solved", "median", "90 %", "most"], table)


if __name__ == "__main__":
    main()
