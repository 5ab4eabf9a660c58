"""Paths and climbs over random pixels, against plain versions in the same run.

A net is trained on the embedded digits; a pair is a correctly classified test image and another
label. The plain path expands the whole network at each step, in all pixels. The plain climb sets up
each linear programme anew with `scipy.optimize.linprog`. CPU time, the least of three runs.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize

from empirics.classifiers.mlp import MultiLayerPerceptron
from empirics.data import load
from empirics.plugins import Context
from empirics.seeds import torch_stream
from empirics.trace import relu_network
from empirics.train import fit_classifier, initialise
from theory.arrays import FloatArray
from theory.hamming import MARGIN, LabelProblem, climb, follow_path
from theory.relu.layer import AffineMap, Layer, Piece
from theory.relu.network import ReluNetwork
from theory.table import text_table

SEED, IMAGES = 0, 5


def trained(width: int) -> tuple[ReluNetwork, FloatArray]:
    """Return a trained net and correctly classified test images."""
    data = load("digits")
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    settings = MultiLayerPerceptron(width=width, steps=600)
    model = settings.build(data.image_shape, data.n_classes)
    initialise(model, torch_stream(SEED, "weights"))

    def batches(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=stream)
        return images[chosen], labels[chosen]

    fit_classifier(model, batches, settings, Context(torch.device("cpu"), SEED, "training"))
    network = relu_network(model, data.image_shape)
    test = data.test_images.reshape(len(data.test_images), -1).astype(float)
    return network, test[network.label(test) == data.test_labels]


class Expanded(ReluNetwork):
    """A restricted network whose pieces are columns of those of the whole network."""

    def __init__(self, whole: ReluNetwork, x: FloatArray, chosen: Sequence[int]) -> None:
        # With one more linear layer, no step of a path is a short cut.
        k = whole.n_outputs
        identity = Layer(np.eye(k), np.zeros(k), np.ones(k))
        super().__init__([*whole.restricted(x, chosen).layers, identity])
        self._whole, self._x, self._chosen = whole, x, list(chosen)

    def piece(self, pattern: FloatArray) -> Piece:
        """Return the affine functions of the changes, from those of all inputs."""
        maps = self._whole.piece(pattern)
        return Piece(*(AffineMap(each.weight[:, self._chosen], each(self._x)) for each in maps))


class ExpandedProblem(LabelProblem):
    """A problem that restricts pieces, not the network."""

    def restricted(self, coordinates: Sequence[int]) -> tuple[ReluNetwork, FloatArray, FloatArray]:
        """Return the network as a function of changes of a few coordinates, and their limits."""
        _, low, high = super().restricted(coordinates)
        return Expanded(self.classifier, self.x, coordinates), low, high


def plain_climb(problem: LabelProblem, chosen: Sequence[int]) -> bool:
    """Flip all units with a price after each linear programme, while the margin grows."""
    network, low, high = problem.restricted(chosen)
    pattern, best = network.pattern(np.zeros(len(chosen))), -np.inf
    while True:
        piece = network.piece(pattern)
        side = np.where(pattern, 1.0, -1.0)
        leads = problem.leads(piece.outputs.weight.T).T
        rows = np.vstack([-side[:, None] * piece.units.weight, -leads])
        found = optimize.linprog(
            np.append(np.zeros(len(chosen)), -1.0),
            A_ub=np.column_stack([rows, np.repeat([0.0, 1.0], [len(side), len(leads)])]),
            b_ub=np.append(side * piece.units.bias, problem.leads(piece.outputs.bias)) + 1e-9,
            bounds=[*zip(low, high, strict=True), (None, None)],
        )
        if found.x is None or found.x[-1] <= best + 1e-7 or found.x[-1] > MARGIN:
            return found.x is not None and bool(found.x[-1] > MARGIN)
        best = found.x[-1]
        pattern = pattern ^ (found.ineqlin.marginals[: len(side)] < -1e-9)


class Case(NamedTuple):
    """One row: what is run with its own and its plain version, on the same pairs."""

    name: str
    box: tuple[float, float]
    k: int
    own: Callable[[LabelProblem, Sequence[int]], bool]
    plain: Callable[[LabelProblem, Sequence[int]], bool]


def path(problem: LabelProblem, chosen: Sequence[int]) -> bool:
    """Return whether a path reaches the target."""
    return follow_path(problem, chosen).point is not None


def expanded_path(problem: LabelProblem, chosen: Sequence[int]) -> bool:
    """Return whether a path reaches the target, with the whole network's pieces."""
    ends = problem.low, problem.high
    return path(ExpandedProblem(problem.classifier, problem.x, problem.target, *ends), chosen)


def own_climb(problem: LabelProblem, chosen: Sequence[int]) -> bool:
    """Return whether a climb reaches the target."""
    return climb(problem, chosen).point is not None


def measured(
    run: Callable[[LabelProblem, Sequence[int]], bool],
    network: ReluNetwork,
    x: FloatArray,
    case: Case,
) -> tuple[float, float]:
    """Return CPU seconds a pair, and the share of pairs that reach their target."""
    rng, pairs = np.random.default_rng(SEED), []
    for image in x[:IMAGES]:
        for target in np.delete(np.arange(network.n_outputs), int(network.label(image))):
            problem = LabelProblem.of(network, image, int(target), case.box)
            pairs.append((problem, rng.permutation(network.n_inputs)[: case.k].tolist()))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        reached = [run(problem, chosen) for problem, chosen in pairs]
        seconds.append(time.process_time() - start)
    return min(seconds) / len(pairs), float(np.mean(reached))


def main() -> None:
    """Print the table; the last column is the plain version's time over ours."""
    torch.set_num_threads(1)
    free = (-np.inf, np.inf)
    cases = [
        Case("path", free, 9, path, expanded_path),
        Case("path", free, 15, path, expanded_path),
        Case("climb", (-50, 51), 9, own_climb, plain_climb),
        Case("climb", (-5, 6), 9, own_climb, plain_climb),
    ]
    rows = []
    for width in (64, 256):
        network, x = trained(width)
        for case in cases:
            seconds, reached = measured(case.own, network, x, case)
            base, plain = measured(case.plain, network, x, case)
            numbers = [
                f"{1e3 * seconds:.2f}",
                f"{reached:.2f}",
                f"{1e3 * base:.2f}",
                f"{plain:.2f}",
            ]
            name = f"{case.name}, k = {case.k}, {case.box}"
            rows.append([str(width), name, *numbers, f"{base / seconds:.1f}"])
    text_table(["width", "method", "ms a pair", "reached", "plain ms", "reached", "ratio"], rows)


if __name__ == "__main__":
    main()
