"""The auto-encoder's code: learnt without labels, sparse, kept; a killed training goes on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import empirics.train
from empirics.classifiers.autoencoder import AutoEncoder
from empirics.classifiers.mlp import MultiLayerPerceptron
from empirics.data import load
from empirics.measures.accuracy import predict
from empirics.plugins import Context
from empirics.snapshot import Snapshot
from empirics.train import Training, fit_classifier, initialise
from theory.errors import InputError

DATA = load("digits")
CPU = torch.device("cpu")
SMALL = AutoEncoder(width=24, steps=40, code_steps=60, batch=64)


class Killed(Exception):
    """Stands for a signal."""


def fit(
    plugin: Training,
    path: Path | None = None,
    *,
    labels: np.ndarray | None = None,
    killed_at: int | None = None,
) -> nn.Sequential:
    """Train on digits; the process is killed when this many batches were drawn."""
    context = Context(CPU, 3, "test", ("test",), path)
    module: nn.Sequential = plugin.build(DATA.image_shape, 10)  # type: ignore[attr-defined]
    initialise(module, context.stream("initial weights"))
    images = torch.from_numpy(DATA.train_images)
    said = torch.from_numpy(DATA.train_labels if labels is None else labels)
    drawn = 0

    def batches(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal drawn
        if drawn == killed_at:
            raise Killed
        drawn += 1
        chosen = torch.randint(len(images), (size,), generator=stream)
        return images[chosen], said[chosen]

    fit_classifier(module, batches, plugin, context)
    return module


def weights(module: nn.Module) -> Mapping[str, torch.Tensor]:
    return module.state_dict()


def test_the_code_needs_no_labels_and_is_kept() -> None:
    module = fit(SMALL)
    wrong = fit(SMALL, labels=(DATA.train_labels * 0).astype(np.int64))
    more = fit(replace(SMALL, steps=80))
    other = fit(replace(SMALL, code_steps=90))
    first, last = "1.weight", "3.weight"
    assert torch.equal(weights(module)[first], weights(wrong)[first])
    assert torch.equal(weights(module)[first], weights(more)[first])
    assert not torch.equal(weights(module)[last], weights(more)[last])
    assert not torch.equal(weights(module)[first], weights(other)[first])
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_code_is_sparse_and_useful() -> None:
    settings = AutoEncoder(
        width=60,
        steps=400,
        learning_rate=5e-2,
        code_steps=600,
        code_learning_rate=1e-2,
        code_decay=1e-5,
        sparsity=0.3,
    )
    sparse = fit(settings)
    dense = fit(replace(settings, sparsity=0.0))
    images = torch.from_numpy(DATA.test_images)
    activity = [float(module[:3](images).mean()) for module in (sparse, dense)]
    assert activity[0] < 0.1 < 0.3 < activity[1]
    assert (predict(sparse, images).numpy() != DATA.test_labels).mean() < 0.12


@pytest.mark.parametrize("killed_at", [35, 60, 99])
def test_a_killed_training_goes_on_to_the_same_weights(
    killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always(path: Path | None, **given: object) -> Snapshot:
        return Snapshot(path, every=0.0, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(empirics.train, "Snapshot", always)
    whole = weights(fit(SMALL))
    path = tmp_path / "state.training"
    with pytest.raises(Killed):
        fit(SMALL, path, killed_at=killed_at)
    left = 100 - killed_at
    with pytest.raises(Killed):
        fit(SMALL, path, killed_at=left - 1)
    resumed = weights(fit(SMALL, path))
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())
    # Only the training's own state is left, which whoever asked for it removes.
    assert [file.name for file in tmp_path.iterdir()] == ["state.training"]


def test_what_prepares_nothing_draws_nothing() -> None:
    plain = MultiLayerPerceptron(width=12, steps=30, batch=32)
    context = Context(CPU, 3, "test", ("test",))
    module = plain.build(DATA.image_shape, 10)
    initialise(module, context.stream("initial weights"))
    draws, images = context.stream("batches"), torch.from_numpy(DATA.train_images)
    optimiser = torch.optim.Adam(module.parameters(), lr=plain.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plain.steps)
    for _ in range(plain.steps):
        chosen = torch.randint(len(images), (32,), generator=draws)
        labels = torch.from_numpy(DATA.train_labels)[chosen]
        loss = nn.functional.cross_entropy(module(images[chosen]), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    found = weights(fit(plain))
    assert all(torch.equal(found[name], weight) for name, weight in weights(module).items())


def test_bad_settings_are_named() -> None:
    with pytest.raises(InputError, match="the code is kept as it was learnt"):
        AutoEncoder(adversarial_radius=0.1)
