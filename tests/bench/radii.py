"""Images a second of the measured radii, in batches of 1,000, beside one bare run of DDN.

Untrained networks of the sizes of the main job, on latents of dimension 16 and images of 8 x 8: how
long a search takes hardly depends on the weights. "searched" is all that the measure does to find
one radius: DeepFool, runs of DDN, and their projection along the boundary in double precision;
"all three" is the measure itself, verification and certificates included.
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
from torch import nn

from empirics.adversary.batch import Model
from empirics.attacks.candidates import minimal_candidates
from empirics.attacks.ddn import ddn
from empirics.devices import resolve_device
from empirics.measures.radii import Radii2
from empirics.plugins import CLASSIFIERS, GENERATORS, Context, Subject
from empirics.train import initialise
from theory.table import text_table

N, DIMENSION, SHAPE = 1000, 16, (1, 8, 8)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    device = resolve_device(parser.parse_args().device)
    g = GENERATORS["conv_vae"](latent_dimension=DIMENSION).build(SHAPE)
    f = CLASSIFIERS["conv"](channels=(8, 16)).build(SHAPE, 10)
    for i, module in enumerate((g, f)):
        initialise(module, torch.Generator().manual_seed(i))
        module.to(device).eval().requires_grad_(False)
    z = torch.randn(N, DIMENSION, generator=torch.Generator().manual_seed(2)).to(device)
    with torch.no_grad():
        x = g(z)
        label = f(x).argmax(dim=1)
    g64, f64 = (_double(module) for module in (g, f))
    rows = [
        _row("r_unc", f, f64, x, label),
        _row("r_latent", nn.Sequential(g, f), nn.Sequential(g64, f64), z, label),
    ]
    subject = Subject(None, g, DIMENSION, SHAPE, teacher=f, classifier=f, n_classes=10)
    measure, context = Radii2(n=N, batch=N, relaxed=0), Context(device, 0, "radii")
    whole = _rate(lambda: measure.measure(subject, context), device)
    rows.append(["all three", "measured", f"{whole:,.0f}", "", ""])
    text_table(["radius", "", "images/s", "one DDN, images/s", "times DDN"], rows)


def _row(
    name: str, model: nn.Module, exact: nn.Module, start: torch.Tensor, label: torch.Tensor
) -> list[str]:
    """Return how many images a second the search and a bare DDN do."""
    flat, shape = start.flatten(1), start.shape[1:]

    def of_flat(module: nn.Module) -> Model:
        return lambda points: module(points.reshape(len(points), *shape))

    def search() -> object:
        stream = torch.Generator().manual_seed(3)
        return minimal_candidates(of_flat(model), of_flat(exact), flat, label, stream=stream)

    searched = _rate(search, start.device)
    bare = _rate(lambda: ddn(of_flat(model), flat, label, steps=40), start.device)
    return [name, "searched", f"{searched:,.0f}", f"{bare:,.0f}", f"{bare / searched:.0f}"]


def _double(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).double()


def _rate(run: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return N / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
