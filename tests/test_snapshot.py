"""A killed training goes on to the same weights; one that fails keeps its last good state."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import empirics.train
from empirics.data import load
from empirics.generators.lipschitz_vae import LipschitzVAE
from empirics.plugins import Context
from empirics.snapshot import Snapshot
from empirics.train import TrainingError, initialise, optimise

CPU = torch.device("cpu")
STEPS = 12


class Killed(Exception):
    """Stands for a signal."""


@pytest.fixture(autouse=True)
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(path: Path | None, **given: object) -> Snapshot:
        return Snapshot(path, every=0.0, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(empirics.train, "Snapshot", always)


def train(
    path: Path | None, *, killed_at: int | None = None, broken_at: int | None = None
) -> tuple[np.ndarray, Mapping[str, torch.Tensor], list[int]]:
    """Fit a small network with batch normalisation; return losses, weights, steps taken."""
    context = Context(CPU, 7, "test", (), path)
    module = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))
    initialise(module, context.stream("weights"))
    draws, taken = context.stream("batches"), []

    def loss_of_step(step: int) -> torch.Tensor:
        x = torch.randn(16, 3, generator=draws)
        if step == killed_at:
            raise Killed
        taken.append(step)
        loss: torch.Tensor = (module(x) - x.sum(dim=1, keepdim=True)).square().mean()
        return loss * torch.nan if step == broken_at else loss

    losses = optimise({"m": module}, loss_of_step, STEPS, 0.05, context, {"batches": draws})
    return losses, module.state_dict(), taken


@pytest.mark.parametrize("killed_at", [1, 5, STEPS - 1])
def test_a_killed_training_goes_on_to_the_same_weights(killed_at: int, tmp_path: Path) -> None:
    losses, weights, _ = train(None)
    path = tmp_path / "state"
    with pytest.raises(Killed):
        train(path, killed_at=killed_at)
    resumed, found, taken = train(path)
    assert taken == list(range(killed_at, STEPS))
    np.testing.assert_array_equal(resumed, losses)
    for name, weight in weights.items():
        assert torch.equal(found[name], weight), name


def test_a_loss_that_is_not_finite_fails_alike_after_a_stop(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(TrainingError, match=f"nan at step 4 of {STEPS}"):
        train(path, broken_at=4)
    with pytest.raises(TrainingError, match="nan at step 4"):
        train(path, broken_at=4)
    losses, weights, taken = train(path)
    assert taken == list(range(4, STEPS))
    np.testing.assert_array_equal(losses, train(None)[0])
    assert all(torch.equal(weights[name], w) for name, w in train(None)[1].items())


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_what_is_no_state_of_this_training_is_named_and_left(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state"
    with pytest.raises(Killed):
        train(path, killed_at=6)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        other = nn.Linear(2, 2)
        snapshot = Snapshot(path, modules={"m": other}, optimisers={}, streams={}, notes={})
        snapshot.write(3)
    losses, _, taken = train(path)
    assert taken == list(range(STEPS))
    np.testing.assert_array_equal(losses, train(None)[0])
    assert "starts again" in capsys.readouterr().err


def test_a_penalised_decoder_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, plugin = load("digits"), LipschitzVAE(latent_dimension=3, hidden=(8,), steps=7)

    def fit(path: Path | None) -> tuple[np.ndarray, nn.Sequential]:
        context = Context(CPU, 1, "test", (), path)
        module = plugin.build(data.image_shape)
        initialise(module, context.stream("weights"))
        return np.asarray(plugin.fit(module, data, context).arrays["loss"]), module

    losses, whole = fit(None)
    path, keep = tmp_path / "state", Snapshot.keep

    def stop(self: Snapshot, step: int) -> None:
        keep(self, step)
        if step == 3:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "keep", stop)
        with pytest.raises(Killed):
            fit(path)
    resumed, module = fit(path)
    np.testing.assert_array_equal(resumed, losses)
    for weight, other in zip(whole.parameters(), module.parameters(), strict=True):
        assert torch.equal(weight, other)
