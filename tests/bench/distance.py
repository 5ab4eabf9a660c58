"""Exact distances to another label, against a mixed-integer programme on the same points.

Networks trained on the digits of scikit-learn, or on MNIST; pixels from 0 to 1. CPU seconds of one
thread. The programme, which is for linf, knows the distance from the start and bounds its units by
it; "solved" means with equal ends, and "ends" is the median ratio of the lower to the upper one.
"""

import argparse
import time

import numpy as np
from sklearn.neural_network import MLPClassifier

from empirics.data import load
from theory.distance import DistanceProblem, exact
from theory.distance.oracles import mixed_integer
from theory.relu.network import ReluNetwork
from theory.table import text_table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--limit", type=float, default=60.0, help="wall-clock seconds a point")
    parser.add_argument("--programme", action="store_true", help="solve the programme, too")
    parser.add_argument("--mnist", action="store_true", help="MNIST instead of the digits")
    options = parser.parse_args()
    data = load("mnist" if options.mnist else "digits")
    hidden = ((16,), (64,), (100,), (64, 32)) if options.mnist else ((20, 20), (50, 50))
    images = data.train_images.reshape(len(data.train_images), -1).astype(np.float64)
    tests = data.test_images.reshape(len(data.test_images), -1).astype(np.float64)
    table = []
    for widths in hidden:
        # So few passes are without a warning where no progress is as much as the tolerance.
        passes = {"max_iter": 15, "tol": 1.0, "n_iter_no_change": 15}
        settings = passes if options.mnist else {"max_iter": 2000}
        model = MLPClassifier(widths, random_state=0, **settings).fit(images, data.train_labels)
        weights = zip(model.coefs_, model.intercepts_, strict=True)
        network = ReluNetwork([(w.T, b) for w, b in weights])
        right = np.flatnonzero(network.label(tests) == data.test_labels)[: options.points]
        for p in (2.0, np.inf):
            seconds: list[float] = []
            others: list[float] = []
            nodes, ratios, solved, agreed = [], [], 0, 0
            for x in tests[right]:
                start = time.process_time()
                found = exact(network, x, p=p, box=(0, 1), time_limit=options.limit)
                seconds.append(time.process_time() - start)
                nodes.append(found.n_nodes)
                ratios.append(found.lower / found.upper if found.upper else 1.0)
                solved += found.proved
                if options.programme and np.isinf(p):
                    start = time.process_time()
                    problem = DistanceProblem.of(network, x, p, (0, 1))
                    other = mixed_integer(problem, found.upper * 1.001, options.limit)
                    others.append(time.process_time() - start)
                    agreed += other.solved
                    assert not other.solved or abs(other.upper - found.upper) < 1e-5
            name = "-".join(map(str, widths))
            middle = f"{np.median(nodes):.0f}", f"{np.median(ratios):.3f}"
            rows = [("here", seconds, solved, *middle)]
            if others:
                rows.append(("programme", others, agreed, "", ""))
            for method, times, closed, count, ratio in rows:
                numbers = (np.median(times), np.quantile(times, 0.95), max(times))
                counts = f"{closed} of {len(times)}"
                cells = [name, str(p), method, counts, count, ratio]
                table.append([*cells, *(f"{s:.3f}" for s in numbers)])
    columns = ["widths", "p", "method", "solved", "nodes", "ends", "median", "95 %", "most"]
    text_table(columns, table)


if __name__ == "__main__":
    main()
