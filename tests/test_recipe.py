"""Recipes of training: augmentation, averages of weights, halves of the data, TRADES."""

from typing import Any

import pytest
import torch
from torch import nn

from empirics.classifiers.mlp import MultiLayerPerceptron
from empirics.classifiers.wide_resnet import WideResNet
from empirics.data import load
from empirics.plugins import Context
from empirics.recipe import averaged, cropped, flipped
from empirics.trades import divergence, most_divergent
from empirics.train import Training, fit_classifier, initialise

CPU = torch.device("cpu")


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_crop_moves_each_image_by_its_own_offsets() -> None:
    images = torch.rand(60, 2, 6, 5, generator=stream(1))
    moved = cropped(images, 2, stream(2))
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    seen = set()
    for image, whole in zip(moved, padded, strict=True):
        fits = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if torch.equal(image, whole[:, i : i + 6, j : j + 5])
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 15


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    images = torch.rand(200, 1, 3, 4, generator=stream(3))
    found = flipped(images, stream(4))
    mirrored = (found == images.flip(-1)).flatten(1).all(dim=1)
    kept = (found == images).flatten(1).all(dim=1)
    assert (mirrored ^ kept).all()
    assert 60 < mirrored.sum() < 140


def test_the_average_of_weights_is_exponential() -> None:
    module, decay = nn.Linear(1, 1, bias=False), 0.9
    average, expected = averaged(module, decay), 0.0
    for step, value in enumerate((1.0, 4.0, -2.0)):
        with torch.no_grad():
            module.weight.fill_(value)
        average.update_parameters(module)
        expected = value if step == 0 else decay * expected + (1 - decay) * value
    (weight,) = average.module.parameters()
    assert weight.item() == pytest.approx(expected, rel=1e-6)


def test_halves_are_disjoint_and_cover_all() -> None:
    for n in (10, 11):
        rows = list(range(n))
        first, second = (rows[Training(half=half).of_half(n)] for half in ("first", "second"))
        assert first + second == rows[Training().of_half(n)] == rows
        assert abs(len(first) - len(second)) <= 1


def fitted(plugin: Training, build: Any) -> nn.Module:  # noqa: ANN401
    data = load("digits")
    context = Context(CPU, 5, "test")
    module: nn.Sequential = build(data.image_shape, data.n_classes)
    initialise(module, context.stream("weights"))
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)

    def batches(size: int, draws: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=draws)
        return plugin.augmented(images[chosen], draws), labels[chosen]

    fit_classifier(module, batches, plugin, context)
    return module


def accuracy(module: nn.Module) -> float:
    data = load("digits")
    found = module(torch.from_numpy(data.test_images)).argmax(dim=1).numpy()
    return float((found == data.test_labels).mean())


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": "sgd", "schedule": "one_cycle", "learning_rate": 0.2, "weight_decay": 5e-4},
        {"average": 0.95, "learning_rate": 1e-2},
        {"schedule": "one_cycle", "learning_rate": 1e-2},
    ],
)
def test_every_recipe_learns(settings: dict[str, Any]) -> None:
    plugin = MultiLayerPerceptron(width=32, steps=200, batch=64, **settings)
    assert accuracy(fitted(plugin, plugin.build)) > 0.88


def test_the_average_is_what_is_kept() -> None:
    settings: dict[str, Any] = {"depth": 10, "widening": 1, "steps": 12, "batch": 16}
    kept = WideResNet(average=0.999999, **settings)
    last = WideResNet(**settings)
    start = WideResNet(average=0.999999, **{**settings, "steps": 1})
    of = {name: fitted(p, p.build) for name, p in (("k", kept), ("l", last), ("s", start))}
    far = [(a - b).norm() for a, b in zip(*(of[n].parameters() for n in "ls"), strict=True)]
    near = [(a - b).norm() for a, b in zip(*(of[n].parameters() for n in "ks"), strict=True)]
    assert sum(near) < 0.01 * sum(far)
    assert not of["k"].training


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_points_of_trades_diverge_more_than_random_ones(norm: str) -> None:
    data = load("digits")
    plugin = MultiLayerPerceptron(width=24, steps=150, batch=64, learning_rate=1e-2)
    module = fitted(plugin, plugin.build)
    x = torch.from_numpy(data.test_images[:50])
    radius, size = {"l2": (0.5, 2.0), "linf": (0.1, torch.inf)}[norm]
    at = most_divergent(
        module, x, radius=radius, steps=10, norm=norm, box=(0.0, 1.0), stream=stream()
    )
    assert (at - x).flatten(1).norm(p=size, dim=1).max() <= radius * (1 + 1e-5)
    assert at.min() >= 0
    assert at.max() <= 1
    noise = torch.randn(x.shape, generator=stream(1))
    noise *= radius / noise.flatten(1).norm(p=size, dim=1)[:, None, None, None]
    clean = module(x)
    found = divergence(module, clean, at)
    assert (found > divergence(module, clean, x + noise)).all()
    expected = (clean.softmax(1) * (clean.log_softmax(1) - module(at).log_softmax(1))).sum(1)
    torch.testing.assert_close(found, expected)


def test_trades_resists_more_than_plain_training() -> None:
    base: dict[str, Any] = {"width": 32, "steps": 150, "batch": 64, "learning_rate": 1e-2}
    plain = MultiLayerPerceptron(**base)
    hard = MultiLayerPerceptron(
        **base, trades=6.0, adversarial_radius=0.1, adversarial_norm="linf", adversarial_steps=3
    )
    data = load("digits")
    x = torch.from_numpy(data.test_images)
    changes = []
    for plugin in (plain, hard):
        module = fitted(plugin, plugin.build)
        assert accuracy(module) > 0.85
        ball: dict[str, Any] = {"radius": 0.1, "steps": 10, "norm": "linf", "box": (0.0, 1.0)}
        at = most_divergent(module, x, **ball, stream=stream())
        changes.append(float((module(at).argmax(1) != module(x).argmax(1)).double().mean()))
    assert changes[1] < changes[0] / 2
