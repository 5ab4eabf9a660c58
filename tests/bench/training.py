"""Training steps of every classifier beside a hand-written minimal loop of the same network.

Both see the same real images, batches of 128, on the device that is there. Rounds of both take
turns, and the ratio is the median over rounds. On a GPU both run in bfloat16 and the part of the
card's peak is told where --peak gives it, in TFLOP/s: floating-point operations are counted by
torch.utils.flop_counter over one forward and backward pass.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from empirics.data import load
from empirics.devices import resolve_device
from empirics.plugins import CLASSIFIERS, Context
from empirics.train import Training, fit_classifier, initialise
from theory.table import text_table

BATCH, ROUNDS, SECONDS = 128, 7, 0.4
SMALL_IMAGES = {"mlp": {"hidden": (256, 256)}, "conv": {}, "lenet": {}}
COLOUR_IMAGES = {
    "vgg": {},
    "resnet": {"depth": 18},
    "wide_resnet": {"depth": 16, "widening": 4},
}
NARROW = {
    "vgg": {"width": 8},
    "resnet": {"depth": 18, "width": 8},
    "wide_resnet": {"depth": 10, "widening": 1},
}
"""What the large networks are cut down to where there is no GPU."""


def minimal(module: nn.Module, images: torch.Tensor, labels: torch.Tensor, steps: int) -> None:
    """Train by the loop that everyone writes."""
    on_gpu = images.device.type == "cuda"
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3)
    module.train()
    for _ in range(steps):
        chosen = torch.randint(len(images), (BATCH,), device=images.device)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=on_gpu):
            loss = nn.functional.cross_entropy(module(images[chosen]), labels[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()


def ours(
    module: nn.Sequential, images: torch.Tensor, labels: torch.Tensor, settings: Training
) -> None:
    """Train by the library, batches, schedule and watch on the loss included."""

    def draw(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=stream).to(images.device)
        return settings.augmented(images[chosen], stream), labels[chosen]

    fit_classifier(module, draw, settings, Context(images.device, 0, ""))


def seconds(run: Callable[[], None], device: torch.device) -> float:
    """Return the wall time of a run, the device's own work included."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def flops(module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Return the floating-point operations of one training step."""
    with FlopCounterMode(display=False) as counter:
        nn.functional.cross_entropy(module(images[:BATCH]), labels[:BATCH]).backward()
    return int(counter.get_total_flops())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data", default="digits", help="data set for the small networks")
    parser.add_argument("--colour", default="cifar10", help="data set for the large ones")
    parser.add_argument("--peak", type=float, help="bfloat16 peak of the card, TFLOP/s")
    given = parser.parse_args()
    device = resolve_device(given.device)
    on_gpu = device.type == "cuda"
    rows = []
    for name, data in ((given.data, SMALL_IMAGES), (given.colour, COLOUR_IMAGES)):
        found = load(name)
        images = torch.from_numpy(found.train_images[:4096]).to(device)
        labels = torch.from_numpy(found.train_labels[:4096]).to(device)
        for classifier, shape in data.items():
            chosen = shape if on_gpu else NARROW.get(classifier, shape)
            rows.append(_row(classifier, chosen, images, labels, found.n_classes, given.peak))
    text_table(
        ["network", "data shape", "images/s", "minimal loop", "ratio", "part of bf16 peak"], rows
    )


def _row(
    name: str,
    shape: dict[str, object],
    images: torch.Tensor,
    labels: torch.Tensor,
    n_classes: int,
    peak: float | None,
) -> list[str]:
    device = images.device
    precision = "bfloat16" if device.type == "cuda" else "float32"

    def settings(steps: int) -> Training:
        plugin: Training = CLASSIFIERS[name](  # type: ignore[assignment]
            **shape, steps=steps, batch=BATCH, precision=precision
        )
        return plugin

    module = settings(1).build(tuple(images.shape[1:]), n_classes).to(device)  # type: ignore[attr-defined]
    initialise(module, torch.Generator().manual_seed(0))
    twin = copy.deepcopy(module)
    if device.type == "cuda":
        twin.to(memory_format=torch.channels_last)
    ours(module, images, labels, settings(3))
    minimal(twin, images, labels, 3)
    one = seconds(lambda: minimal(twin, images, labels, 3), device) / 3
    steps = max(5, round(SECONDS / one))
    pairs = []
    for _ in range(ROUNDS):
        module.requires_grad_(True).train()
        a = seconds(lambda: ours(module, images, labels, settings(steps)), device)
        b = seconds(lambda: minimal(twin, images, labels, steps), device)
        pairs.append((a, b))
    rate = steps * BATCH / statistics.median(a for a, _ in pairs)
    plain = steps * BATCH / statistics.median(b for _, b in pairs)
    ratio = statistics.median(b / a for a, b in pairs)
    part = "--"
    if peak is not None:
        module.requires_grad_(True)
        part = f"{flops(module, images, labels) * rate / BATCH / (peak * 1e12):.1%}"
    return [
        name,
        "x".join(map(str, images.shape[1:])),
        f"{rate:,.0f}",
        f"{plain:,.0f}",
        f"{ratio:.2f}",
        part,
    ]


if __name__ == "__main__":
    main()
