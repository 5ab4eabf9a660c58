"""Training on adversarial examples: what each norm buys, and how the radius grows."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import empirics.train
from empirics.attacks.pgd import pgd
from empirics.classifiers.mlp import MultiLayerPerceptron
from empirics.data import load
from empirics.plugins import Context
from empirics.train import fit_classifier, initialise

CONTEXT = Context(torch.device("cpu"), 3, "test")


def trained(**settings: Any) -> nn.Module:  # noqa: ANN401
    data = load("digits")
    plugin = MultiLayerPerceptron(width=48, batch=64, learning_rate=5e-3, **settings)
    module = plugin.build(data.image_shape, data.n_classes)
    initialise(module, CONTEXT.stream("weights"))
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)

    def batches(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=stream)
        return images[chosen], labels[chosen]

    fit_classifier(module, batches, plugin, CONTEXT)
    return module


def left(module: nn.Module, norm: str, radius: float) -> float:
    """Return the share of test images still classified rightly under attack."""
    data = load("digits")
    x, y = torch.from_numpy(data.test_images), torch.from_numpy(data.test_labels)
    at = pgd(module, x, y, radius=radius, norm=norm, box=(0.0, 1.0), restarts=1)
    return float((module(at).argmax(dim=1) == y).double().mean())


def test_training_on_linf_examples_resists_them() -> None:
    plain = trained(steps=250)
    hard = trained(
        steps=250, adversarial_radius=0.15, adversarial_norm="linf", adversarial_ramp=0.5
    )
    assert left(hard, "linf", 0.15) > left(plain, "linf", 0.15) + 0.2


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_radius_grows_over_the_ramp_and_pixels_keep_their_range(
    norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def watched(model: nn.Module, x: torch.Tensor, y: torch.Tensor, **given: Any) -> torch.Tensor:  # noqa: ANN401
        found = pgd(model, x, y, **given)
        seen.append(given["radius"])
        size = {"l2": 2.0, "linf": np.inf}[norm]
        change = (found - x).flatten(1).norm(p=size, dim=1)
        assert change.max() <= given["radius"] * (1 + 1e-5)
        assert change.max() > 0.5 * given["radius"]
        if norm == "linf":
            assert found.min() >= 0
            assert found.max() <= 1
        return found

    monkeypatch.setattr(empirics.train, "pgd", watched)
    trained(steps=8, adversarial_radius=0.2, adversarial_norm=norm, adversarial_ramp=0.5)
    np.testing.assert_allclose(seen, [0.05, 0.1, 0.15, 0.2, 0.2, 0.2, 0.2, 0.2])
