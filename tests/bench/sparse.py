"""Sparse attacks side by side: strength and time, as ratios in one run.

The models are small convolutional nets trained on MNIST (l0 attacks and saliency maps) and CIFAR-10
(one pixel), or on the embedded digits where these are not found. The plain versions go image by
image, look at all pairs of features, and evaluate candidates one by one; torchattacks and adv-lib
join where they are installed. Times are CPU seconds of the process on one thread; medians count
failures as infinite.
"""

import importlib.util
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from empirics.attacks.cw_l0 import cw_l0
from empirics.attacks.few_pixels import few_pixels
from empirics.attacks.greedy_l0 import greedy_l0
from empirics.attacks.jsma import jsma
from empirics.attacks.one_pixel import one_pixel
from empirics.attacks.sigma_zero import sigma_zero
from empirics.attacks.strongest import minimal
from empirics.classifiers.conv import SmallConvolutional
from empirics.data import load
from empirics.plugins import Context
from empirics.seeds import torch_stream
from empirics.train import fit_classifier, initialise
from theory.errors import InputError
from theory.table import text_table

SEED = 0
BOX = (0.0, 1.0)
IMAGES = 32
PEERS = ("torchattacks", "adv_lib")
EVOLUTION = {"population": 100, "iterations": 10}
Attack = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
Case = tuple[str, nn.Sequential, torch.Tensor, torch.Tensor]


def trained(name: str, steps: int) -> Case:
    """Return the data set, the trained net, and its first correctly classified test images."""
    try:
        data = load(name)
    except InputError as error:
        sys.stderr.write(f"{error}\nthe embedded digits are used instead\n")
        data = load("digits")
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    settings = SmallConvolutional(steps=steps, pooling="max")
    model = settings.build(data.image_shape, data.n_classes)
    initialise(model, torch_stream(SEED, "weights"))

    def batches(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=stream)
        return images[chosen], labels[chosen]

    fit_classifier(model, batches, settings, Context(torch.device("cpu"), SEED, "training"))
    test, truth = torch.from_numpy(data.test_images[:500]), torch.from_numpy(data.test_labels[:500])
    right = model(test).argmax(dim=1) == truth
    return data.name, model, test[right][:IMAGES], truth[right][:IMAGES]


def plain_greedy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return points grown image by image, the steepest feature first, to an end of the box."""
    found = x.clone()
    for i in range(len(x)):
        point, fixed = x[i : i + 1].clone(), torch.zeros(x[i].numel(), dtype=torch.bool)
        while model(point).argmax() == y[i] and not fixed.all():
            point.requires_grad_(True)
            logits = model(point)[0]
            rival = logits.index_fill(0, y[i], -torch.inf).max()
            (gradient,) = torch.autograd.grad(rival - logits[y[i]], point)
            point = point.detach()
            gain = torch.where(gradient > 0, gradient * (1 - point), -gradient * point).flatten()
            best = int(gain.masked_fill(fixed, -1.0).argmax())
            fixed[best] = True
            point.view(-1)[best] = float(gradient.flatten()[best] > 0)
        found[i] = point[0]
    return found


def plain_jsma(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the saliency attack's points towards the next label, one image and class at a time."""
    found = x.clone()
    for i in range(len(x)):
        target, point, d = int(following(y)[i]), x[i : i + 1].clone(), x[i].numel()
        for _ in range(int(0.145 * d / 2)):
            point = point.detach().requires_grad_(True)
            logits = model(point)[0]
            if logits.argmax() == target:
                break
            jacobian = torch.stack(
                [torch.autograd.grad(z, point, retain_graph=True)[0].flatten() for z in logits]
            )
            alpha, beta = jacobian[target], jacobian.sum(dim=0) - jacobian[target]
            free = point.detach().flatten() < 0.99
            alphas, betas = alpha[:, None] + alpha, beta[:, None] + beta
            fits = (alphas > 0) & (betas < 0) & free & free[:, None]
            scores = torch.where(fits, -alphas * betas, 0.0).fill_diagonal_(0.0)
            if scores.max() == 0:
                break
            point = point.detach().clone()
            point.view(-1)[list(divmod(int(scores.argmax()), d))] = 1.0
        if model(point).argmax() == target:
            found[i] = point.detach()[0]
    return found


def plain_one_pixel(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the points of an evolution that calls the model for one candidate at a time."""

    def one_by_one(candidates: torch.Tensor) -> torch.Tensor:
        return torch.cat([model(candidate[None]) for candidate in candidates])

    return one_pixel(one_by_one, x, y, **EVOLUTION)


def following(y: torch.Tensor) -> torch.Tensor:
    """Return the next label of ten: the target of the saliency attacks."""
    return (y + 1) % 10


def torchattacks_jsma(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the points of torchattacks' saliency attack, x where it missed its target."""
    import torchattacks

    points = torchattacks.JSMA(model, theta=1.0, gamma=0.145)(x.clone(), y)
    hit = model(points).argmax(dim=1) == following(y)
    return torch.where(hit.reshape(-1, *[1] * (x.ndim - 1)), points, x)


def torchattacks_one_pixel(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the points of torchattacks' one-pixel attack, at the same population."""
    import torchattacks

    size, steps = EVOLUTION["population"], EVOLUTION["iterations"]
    return torchattacks.OnePixel(model, pixels=1, steps=steps, popsize=size)(x, y)


def adv_lib_l0(name: str) -> Attack:
    """Return one of adv-lib's attacks on few features, as it comes."""

    def attack(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        import adv_lib.attacks

        return getattr(adv_lib.attacks, name)(model, x, y, targeted=False)

    return attack


def fewest(budget: str) -> Attack:
    """Return the strongest search for the fewest features, with a budget."""

    def attack(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return minimal(model, x, y, p=0, budget=budget, box=BOX)[0]

    return attack


L0: dict[str, Attack] = {
    "plain greedy, image by image": plain_greedy,
    "this package: greedy_l0, growth": lambda m, x, y: greedy_l0(m, x, y, box=BOX, patience=0),
    "this package: greedy_l0": lambda m, x, y: greedy_l0(m, x, y, box=BOX),
    "this package: sigma_zero, 1000 steps": lambda m, x, y: sigma_zero(m, x, y, box=BOX),
    "this package: minimal, quick": fewest("quick"),
    "this package: minimal, standard": fewest("standard"),
    "this package: minimal, thorough": fewest("thorough"),
    "adv_lib: sigma_zero": adv_lib_l0("sigma_zero"),
    "adv_lib: vfga": adv_lib_l0("vfga"),
    "this package: cw_l0, 60 steps": lambda m, x, y: cw_l0(
        m, x, y, box=BOX, steps=60, step_size=0.1, factor=10.0, last_weight=1e3
    ),
}
SALIENCY: dict[str, Attack] = {
    "plain saliency, image by image": plain_jsma,
    "torchattacks: JSMA": torchattacks_jsma,
    "this package: jsma": lambda m, x, y: jsma(m, x, y, box=BOX, targets=following(y)),
    "this package: jsma, all labels": lambda m, x, y: jsma(m, x, y, box=BOX),
}
PIXELS: dict[str, Attack] = {
    "plain one pixel, one by one": plain_one_pixel,
    "torchattacks: one pixel": torchattacks_one_pixel,
    "this package: one_pixel": lambda m, x, y: one_pixel(m, x, y, **EVOLUTION),
    "this package: one_pixel, local": lambda m, x, y: one_pixel(m, x, y, local=True, **EVOLUTION),
    "this package: few_pixels, eager": lambda m, x, y: few_pixels(m, x, y, eager=True, **EVOLUTION),
}


def compare(title: str, attacks: dict[str, Attack], case: Case, steps: str = "") -> None:
    """Print one table; the last two columns are ratios to the plain version in the first row."""
    name, model, x, y = case
    rows, plain = [], (0.0, 0.0)
    for attack, function in attacks.items():
        library = attack.partition(":")[0]
        if library in PEERS and not importlib.util.find_spec(library):
            sys.stderr.write(f"{library} is not installed: '{attack}' is left out\n")
            continue
        start = time.process_time()
        points = function(model, x, y)
        seconds = time.process_time() - start
        fooled = model(points).argmax(dim=1) != y
        count = (points != x).flatten(1).sum(dim=1).double()
        count = torch.where(fooled, count, torch.inf)
        median, mean = count.median().item(), count[fooled].mean().item()
        plain = plain if rows else (seconds, mean)
        rows.append(
            [
                attack,
                f"{seconds:.2f}",
                f"{fooled.double().mean():.3f}",
                f"{median:.0f}",
                f"{mean:.2f}",
                f"{seconds / plain[0]:.3f}",
                f"{mean / plain[1]:.3f}",
            ]
        )
    header = ["attack", "CPU s", "success", "median l0", "mean l0", "time / plain", "mean / plain"]
    sys.stdout.write(f"\n{title}: {len(x)} test images of {name}{steps}\n")
    text_table(header, rows)


def main() -> None:
    """Print the three tables."""
    torch.set_num_threads(1)
    grey = trained("mnist", 1500)
    compare("fewest features", L0, grey)
    compare("saliency maps", SALIENCY, grey)
    budget = f", {EVOLUTION['population']} x {EVOLUTION['iterations']}"
    compare("one pixel", PIXELS, trained("cifar10", 1500), budget)


if __name__ == "__main__":
    main()
