"""Attacks of minimal Hamming distance side by side: strength and time, as ratios in one run.

The model is a perceptron trained on the embedded digits, or on the data set that is named on the
command line; the points are its first correctly classified test images, all values in [0, 1].
Attacks of Foolbox (`pip install advbounds[bench]`) and of adv-lib join where they are installed;
they take all images at once. Times are CPU seconds an image, the least of three runs; strength is
checked in double precision, and an image that was not fooled counts all its coordinates.
"""

import functools
import importlib.util
import itertools
import sys
import time
import types
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from empirics.classifiers.mlp import MultiLayerPerceptron
from empirics.data import load
from empirics.plugins import Context
from empirics.seeds import torch_stream
from empirics.trace import relu_network
from empirics.train import fit_classifier, initialise
from theory.arrays import FloatArray
from theory.hamming.chosen.moves import moves_of, no_changes
from theory.hamming.chosen.search import search, search_untargeted
from theory.hamming.chosen.swaps import Swaps
from theory.hamming.problem import LabelProblem
from theory.relu.network import ReluNetwork
from theory.table import text_table

SEED = 0
N_IMAGES = 50
FEW = 11
Attack = Callable[[nn.Module, FloatArray], FloatArray]


def trained(name: str) -> tuple[nn.Module, ReluNetwork, FloatArray]:
    """Return a trained net, the same in double precision, and its first correct test images."""
    data = load(name)
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    settings = MultiLayerPerceptron(width=64, steps=3000)
    model = settings.build(data.image_shape, data.n_classes)
    initialise(model, torch_stream(SEED, "weights"))

    def batches(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=stream)
        return images[chosen], labels[chosen]

    fit_classifier(model, batches, settings, Context(torch.device("cpu"), SEED, "training"))
    network = relu_network(model, data.image_shape)
    points = data.test_images.reshape(len(data.test_images), -1).astype(np.float64)
    right = network.label(points) == data.test_labels
    flat = nn.Sequential(nn.Unflatten(1, data.image_shape), model).eval()
    return flat.requires_grad_(False), network, points[right][:N_IMAGES]


def ours(effort: int, network: ReluNetwork, x: FloatArray) -> FloatArray:
    """Return the points of this package's search."""
    found = [search_untargeted(network, each, (0, 1), x.shape[1], effort=effort) for each in x]
    return np.stack([a if b is None else b for a, b in zip(x, found, strict=True)])


def greedy(network: ReluNetwork, x: FloatArray) -> FloatArray:
    """Return the points of plain greed: the best single change again and again, all targets."""
    points = []
    for each in x:
        moves = moves_of(network, each, (0 * each, 0 * each + 1), None)
        targets = set(range(network.n_outputs)) - {int(network.label(each))}
        grown = [Swaps(moves, t, 0.1, 1, 1).grown(no_changes(), len(each)) for t in targets]
        led = [found.changes for found in grown if found.success]
        points.append(min(led, key=lambda changes: len(changes.values)).at(each) if led else each)
    return np.stack(points)


def adv_lib(attack: str, model: nn.Module, x: FloatArray, **settings: float) -> FloatArray:
    """Return the points of an attack of adv-lib."""
    # Loggers and image models, which no attack needs.
    if "adv_lib" not in sys.modules:
        for name in ("torchvision.models", "torchvision", "visdom"):
            if importlib.util.find_spec(name.partition(".")[0]) is None:
                sys.modules[name] = types.ModuleType(name)
    import adv_lib.attacks

    images = torch.from_numpy(x).float()
    labels = model(images).argmax(dim=1)
    found: torch.Tensor = getattr(adv_lib.attacks, attack)(model, images, labels, **settings)
    return found.double().numpy()


def foolbox_fmn(model: nn.Module, x: FloatArray) -> FloatArray:
    """Return the points of Foolbox's FMN, 1000 steps."""
    import foolbox

    images = torch.from_numpy(x).float()
    wrapped = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.L0FMNAttack(steps=1000)
    _, found, _ = attack(wrapped, images, model(images).argmax(dim=1), epsilons=None)
    return found.double().numpy()


def seconds_of(run: Callable[[], FloatArray]) -> tuple[float, FloatArray]:
    """Return the least CPU time of three runs, and the last points."""
    times = []
    for _ in range(3):
        start = time.process_time()
        points = run()
        times.append(time.process_time() - start)
    return min(times), points


def untargeted(model: nn.Module, network: ReluNetwork, x: FloatArray) -> None:
    """Print the table of attacks towards any other label."""
    attacks: dict[str, Callable[[], FloatArray]] = {
        "plain greed": functools.partial(greedy, network, x)
    }
    for effort in range(3):
        attacks[f"this package: effort {effort}"] = functools.partial(ours, effort, network, x)
    if importlib.util.find_spec("adv_lib"):
        of = functools.partial(functools.partial, adv_lib)
        attacks["adv-lib: sigma-zero 1000"] = of("sigma_zero", model, x, num_steps=1000)
        attacks["adv-lib: sigma-zero 100"] = of("sigma_zero", model, x, num_steps=100)
        attacks["adv-lib: FMN 1000"] = of("fmn", model, x, norm=0, steps=1000)
    else:
        sys.stderr.write("adv-lib is not installed: its rows are left out\n")
    if importlib.util.find_spec("foolbox"):
        attacks["Foolbox: FMN 1000"] = functools.partial(foolbox_fmn, model, x)
    else:
        sys.stderr.write("foolbox is not installed: its row is left out\n")
    results = {name: seconds_of(attack) for name, attack in attacks.items()}
    labels, rows = network.label(x), []
    reference, base = results.get("adv-lib: sigma-zero 1000", results["plain greed"]), None
    for seconds, points in (reference, *results.values()):
        # Attacks in single precision copy coordinates through it: these are no changes.
        counts = np.sum(np.abs(points - x) > 1e-6, axis=1)
        counts[network.label(points) == labels] = x.shape[1]
        if base is None:
            base = seconds, float(counts.mean())
            continue
        numbers = (counts.mean(), np.median(counts), np.mean(counts <= FEW), seconds / len(x))
        ratios = (seconds / base[0], counts.mean() / base[1])
        rows.append([f"{each:.4g}" for each in (*numbers, *ratios)])
    heads = ["untargeted", "mean", "median", f"<= {FEW}", "CPU s", "time ratio", "mean ratio"]
    text_table(heads, [[name, *row] for name, row in zip(results, rows, strict=True)])


def targeted(network: ReluNetwork, x: FloatArray) -> None:
    """Print the table of searches towards each other label."""
    rows = []
    for box, effort in itertools.product(((0.0, 1.0), (-1.0, 2.0)), range(3)):
        counts = []
        start = time.process_time()
        for each, target in itertools.product(x[:8], range(network.n_outputs)):
            if target != network.label(each):
                problem = LabelProblem.of(network, each, target, box)
                found = search(problem, x.shape[1], effort=effort)
                counts.append(x.shape[1] if found is None else len(problem.changed(found)))
        seconds = (time.process_time() - start) / len(counts)
        numbers = (np.mean(counts), np.median(counts), np.mean(np.array(counts) <= FEW), seconds)
        rows.append([f"effort {effort}, box {box}", *(f"{number:.4g}" for number in numbers)])
    text_table(["targeted", "mean", "median", f"<= {FEW}", "CPU s"], rows)


def main() -> None:
    """Print both tables; ratios are to sigma-zero with 1000 steps, or else to plain greed."""
    torch.set_num_threads(1)
    model, network, x = trained(sys.argv[1] if len(sys.argv) > 1 else "digits")
    sys.stdout.write(f"{len(x)} images of {x.shape[1]} values, 64 hidden units, one thread\n")
    untargeted(model, network, x)
    sys.stdout.write("\n")
    targeted(network, x)


if __name__ == "__main__":
    main()
