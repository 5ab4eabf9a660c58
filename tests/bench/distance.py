"""Exact distances to another label, against a mixed-integer programme on the same points.

Networks of two hidden layers, trained on the digits of scikit-learn; pixels from 0 to 1. CPU
seconds of one thread. The programme, which is for linf, knows the distance from the start and
bounds its units by it; "solved" means with equal ends.
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
    options = parser.parse_args()
    data = load("digits")
    images = data.train_images.reshape(len(data.train_images), -1).astype(np.float64)
    tests = data.test_images.reshape(len(data.test_images), -1).astype(np.float64)
    table = []
    for widths in ((20, 20), (50, 50)):
        model = MLPClassifier(widths, max_iter=2000, random_state=0).fit(images, data.train_labels)
        weights = zip(model.coefs_, model.intercepts_, strict=True)
        network = ReluNetwork([(w.T, b) for w, b in weights])
        right = np.flatnonzero(network.label(tests) == data.test_labels)[: options.points]
        for p in (2.0, np.inf):
            seconds: list[float] = []
            others: list[float] = []
            nodes, solved, agreed = [], 0, 0
            for x in tests[right]:
                start = time.process_time()
                found = exact(network, x, p=p, box=(0, 1), time_limit=options.limit)
                seconds.append(time.process_time() - start)
                nodes.append(found.n_nodes)
                solved += found.proved
                if options.programme and np.isinf(p):
                    start = time.process_time()
                    problem = DistanceProblem.of(network, x, p, (0, 1))
                    other = mixed_integer(problem, found.upper * 1.001, options.limit)
                    others.append(time.process_time() - start)
                    agreed += other.solved
                    assert not other.solved or abs(other.upper - found.upper) < 1e-5
            name = "-".join(map(str, widths))
            rows = [("here", seconds, solved, f"{np.median(nodes):.0f}")]
            if others:
                rows.append(("programme", others, agreed, ""))
            for method, times, closed, middle in rows:
                numbers = (np.median(times), np.quantile(times, 0.95), max(times))
                counts = f"{closed} of {len(times)}"
                cells = [name, str(p), method, counts, middle, *(f"{s:.3f}" for s in numbers)]
                table.append(cells)
    columns = ["widths", "p", "method", "solved", "nodes", "median", "95 %", "most"]
    text_table(columns, table)


if __name__ == "__main__":
    main()
