"""Minimal-norm attacks side by side: strength and time, in one run.

The model is a net of two convolutions trained on MNIST (about 99% right); the points are the
first 256 test images that it gets right, within the box [0, 1]. Foolbox's attacks join where it is
installed (`pip install advbounds[bench]`). Times are CPU seconds of the process, and ratios to
DDN with 100 steps; medians count failures as infinite. An argument sets the number of images.
"""

import functools
import importlib.util
import math
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from empirics.adversary.half_space import norms
from empirics.attacks.alma import alma
from empirics.attacks.ddn import ddn
from empirics.attacks.deepfool import deepfool
from empirics.attacks.fmn import fmn
from empirics.attacks.registry import Attack
from empirics.attacks.strongest import minimal
from empirics.classifiers.conv import SmallConvolutional
from empirics.data import load
from empirics.plugins import Context
from empirics.seeds import torch_stream
from empirics.train import fit_classifier, initialise
from theory.table import text_table

SEED = 0
BOX = (0.0, 1.0)
Row = tuple[float, float, float, float]


def trained() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """Return the trained net and the test images with their labels that it gets right."""
    data = load("mnist")
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    settings = SmallConvolutional(channels=(32, 64), pooling="max", steps=1000)
    model = settings.build(data.image_shape, data.n_classes)
    initialise(model, torch_stream(SEED, "weights"))

    def batches(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=stream)
        return images[chosen], labels[chosen]

    fit_classifier(model, batches, settings, Context(torch.device("cpu"), SEED, "training"))
    model.eval().requires_grad_(False)
    test, truth = torch.from_numpy(data.test_images), torch.from_numpy(data.test_labels)
    with torch.no_grad():
        right = model(test).argmax(dim=1) == truth
    sys.stdout.write(f"test accuracy {right.double().mean().item():.4f}\n")
    return model, test[right], truth[right]


def peers() -> dict[tuple[str, float], Attack]:
    """Return Foolbox's minimal-norm attacks by name and norm."""
    if not importlib.util.find_spec("foolbox"):
        sys.stderr.write("foolbox is not installed: its rows are left out\n")
        return {}
    import foolbox

    known = {
        ("Foolbox DDN 100", 2.0): foolbox.attacks.DDNAttack(steps=100),
        ("Foolbox FMN 100", 2.0): foolbox.attacks.L2FMNAttack(steps=100),
        ("Foolbox DeepFool 50", 2.0): foolbox.attacks.L2DeepFoolAttack(steps=50),
        ("Foolbox FMN 100", math.inf): foolbox.attacks.LInfFMNAttack(steps=100),
        ("Foolbox FMN 1000", math.inf): foolbox.attacks.LInfFMNAttack(steps=1000),
        ("Foolbox FMN 100", 1.0): foolbox.attacks.L1FMNAttack(steps=100),
    }

    def wrapped(
        run: Callable[..., tuple[object, torch.Tensor, object]],
    ) -> Attack:
        def attack(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            fooled = foolbox.PyTorchModel(model, bounds=BOX, device="cpu")
            return run(fooled, x, y, epsilons=None)[1]

        return attack

    return {key: wrapped(run) for key, run in known.items()}


def ours() -> dict[tuple[str, float], Attack]:
    """Return this package's attacks by name and norm."""

    def searched(budget: str, p: float) -> Attack:
        def attack(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return minimal(model, x, y, p=p, budget=budget, box=BOX)[0]

        return attack

    single: dict[tuple[str, float], Attack] = {
        ("DDN 100", 2.0): functools.partial(ddn, box=BOX),
        ("ALMA 100", 2.0): functools.partial(alma, box=BOX),
        ("ALMA 100", 1.0): functools.partial(alma, p=1, box=BOX),
        ("DeepFool 50", 2.0): functools.partial(deepfool, steps=50, box=BOX),
    }
    for p in (2.0, math.inf, 1.0):
        single["FMN 100", p] = functools.partial(fmn, p=p, box=BOX)
        for budget in ("quick", "standard", "thorough"):
            single[f"minimal, {budget}", p] = searched(budget, p)
    return single


def measured(attack: Attack, model: nn.Module, x: torch.Tensor, y: torch.Tensor, p: float) -> Row:
    """Return CPU seconds, success rate, median and mean distance."""
    start = time.process_time()
    points = attack(model, x, y)
    seconds = time.process_time() - start
    with torch.no_grad():
        fooled = model(points).argmax(dim=1) != y
    distance = torch.where(fooled, norms(points - x, p), torch.inf)
    return (
        seconds,
        fooled.double().mean().item(),
        distance.median().item(),
        distance[fooled].mean().item(),
    )


def main() -> None:
    """Print one table a norm."""
    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    model, images, labels = trained()
    x, y = images[:count], labels[:count]
    attacks = peers() | ours()
    unit = measured(attacks["DDN 100", 2.0], model, x, y, 2.0)[0]
    for p in (2.0, math.inf, 1.0):
        rows = []
        for (name, norm), attack in attacks.items():
            if norm == p:
                seconds, success, median, mean = measured(attack, model, x, y, p)
                numbers = [f"{success:.3f}", f"{median:.5f}", f"{mean:.5f}"]
                rows.append([name, f"{seconds:.2f}", f"{seconds / unit:.2f}", *numbers])
        sys.stdout.write(f"\nl{p:g}, {len(x)} images, one thread\n")
        header = ["attack", "CPU s", "time / DDN 100", "success", "median", "mean"]
        text_table(header, rows)


if __name__ == "__main__":
    main()
