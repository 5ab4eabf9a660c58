"""Minimal-norm l2 attacks side by side: strength and time, as ratios in one run.

The model is a small convolutional net trained on the embedded digits; the points are its test
images. The plain version bisects on the radius of PGD; Foolbox's DDN joins where it is installed
(`pip install advbounds[bench]`). Times are CPU seconds of the process, the least of three runs;
medians count failures as infinite.
"""

import importlib.util
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from empirics.attacks.ddn import ddn
from empirics.attacks.minimal import minimal
from empirics.attacks.pgd import pgd
from empirics.attacks.registry import flat_norm
from empirics.classifiers.conv import SmallConvolutional
from empirics.data import load
from empirics.plugins import Context
from empirics.seeds import torch_stream
from empirics.train import fit_classifier, initialise
from theory.table import text_table

SEED = 0


def trained() -> tuple[nn.Sequential, torch.Tensor]:
    """Return the trained net and its correctly classified test images."""
    data = load("digits")
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    settings = SmallConvolutional(steps=800)
    model = settings.build(data.image_shape, data.n_classes)
    initialise(model, torch_stream(SEED, "weights"))

    def batches(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=stream)
        return images[chosen], labels[chosen]

    fit_classifier(model, batches, settings, Context(torch.device("cpu"), SEED, "training"))
    test, truth = torch.from_numpy(data.test_images), torch.from_numpy(data.test_labels)
    return model, test[model(test).argmax(dim=1) == truth]


def pgd_bisection(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int = 40, halvings: int = 10
) -> torch.Tensor:
    """Return the nearest points that PGD finds when its radius is bisected for each point."""
    low, high = torch.zeros(len(x)), torch.full((len(x),), float(x[0].numel()) ** 0.5)
    best = x.clone()
    for _ in range(halvings):
        middle = (low + high) / 2
        found = pgd(model, x, y, radius=middle, steps=steps)
        fooled = model(found).argmax(dim=1) != y
        best[fooled] = found[fooled]
        high = torch.where(fooled, middle, high)
        low = torch.where(fooled, low, middle)
    return best


def ours(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the points of the search that measures r_unc."""
    return minimal(model, x, y, stream=torch_stream(SEED, "starts"))[0]


def foolbox_ddn(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the points of Foolbox's DDN, 100 steps, without a box."""
    import foolbox

    wrapped = foolbox.PyTorchModel(model.eval(), bounds=(-100, 100), device="cpu")
    _, points, _ = foolbox.attacks.DDNAttack(steps=100)(wrapped, x, y, epsilons=None)
    return points


def measured(
    attack: Callable[..., torch.Tensor], model: nn.Sequential, x: torch.Tensor, y: torch.Tensor
) -> tuple[float, float, float, float]:
    """Return CPU seconds, success rate, median and mean distance."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        points = attack(model, x, y)
        seconds.append(time.process_time() - start)
    fooled = model(points).argmax(dim=1) != y
    distance = torch.where(fooled, flat_norm(points - x), torch.inf)
    return (
        min(seconds),
        fooled.double().mean().item(),
        distance.median().item(),
        distance[fooled].mean().item(),
    )


def main() -> None:
    """Print the table; the last two columns are ratios to the plain version."""
    torch.set_num_threads(1)
    model, x = trained()
    y = model(x).argmax(dim=1)
    attacks: dict[str, Callable[..., torch.Tensor]] = {
        "PGD 40 with bisection (plain)": pgd_bisection,
        "this package: DDN 100": lambda m, p, q: ddn(m, p, q, steps=100),
        "this package: measures r_unc": ours,
    }
    if importlib.util.find_spec("foolbox"):
        attacks["Foolbox: DDN 100"] = foolbox_ddn
    else:
        sys.stderr.write("foolbox is not installed: its row is left out\n")
    results = {name: measured(attack, model, x, y) for name, attack in attacks.items()}
    plain = next(iter(results.values()))
    rows = [
        [
            name,
            f"{seconds:.2f}",
            f"{success:.3f}",
            f"{median:.5f}",
            f"{mean:.5f}",
            f"{seconds / plain[0]:.2f}",
            f"{median / plain[2]:.4f}",
        ]
        for name, (seconds, success, median, mean) in results.items()
    ]
    header = [
        "attack",
        "CPU s",
        "success",
        "median r_unc",
        "mean",
        "time / plain",
        "median / plain",
    ]
    sys.stdout.write(f"{len(x)} test images, conv net on digits, l2, no box, one thread\n")
    text_table(header, rows)


if __name__ == "__main__":
    main()
