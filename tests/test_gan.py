"""Generators trained against a discriminator."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import empirics.gan
from empirics.data import load
from empirics.feed_forward import feed_forward
from empirics.gan import AdversarialGenerator, deconvolution, discriminator, normal_weights
from empirics.generators.dcgan import DCGAN
from empirics.generators.sngan import SpectralGAN
from empirics.generators.wgan_gp import WassersteinGAN, gradient_penalty
from empirics.plugins import GENERATORS, Context, Outcome
from empirics.snapshot import Snapshot
from empirics.train import TrainingError
from theory.errors import InputError

CPU = torch.device("cpu")
KINDS = (DCGAN, WassersteinGAN, SpectralGAN)


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fitted(
    plugin: AdversarialGenerator, snapshot: Path | None = None
) -> tuple[nn.Sequential, Outcome]:
    data = load("digits")
    module = plugin.build(data.image_shape)
    outcome = plugin.fit(module, data, Context(CPU, 4, "test", (), snapshot))
    return module.eval(), outcome


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 12, 20)])
@pytest.mark.parametrize("kind", ["batch", "spectral", "none"])
def test_networks_fit_images_of_every_size(shape: tuple[int, ...], kind: str) -> None:
    images = deconvolution(5, 3, shape)(torch.randn(4, 5))
    assert images.shape == (4, *shape)
    assert images.min() > 0
    assert images.max() < 1
    critic = discriminator(3, shape, kind)
    assert critic(images).shape == (4,)
    normalised = any(isinstance(layer, nn.BatchNorm2d) for layer in critic)
    assert normalised == (kind == "batch" and min(shape[1:]) > 8)


@pytest.mark.parametrize("shape", [(7,), (1, 5, 5), (1, 4, 4)])
def test_what_cannot_be_halved_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"images|halved"):
        DCGAN().build(shape)


def test_the_first_weights_are_those_of_the_paper() -> None:
    module = deconvolution(50, 16, (1, 28, 28))
    normal_weights(module, stream(0))
    for layer in module:
        if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.02)


def test_the_gradient_penalty_of_a_linear_critic() -> None:
    weight = torch.randn(6, generator=stream(1))
    images = torch.rand(2, 9, 1, 2, 3, generator=stream(2))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(6, 1, bias=False), nn.Flatten(0))
    (own,) = critic.parameters()
    with torch.no_grad():
        own.copy_(weight[None])
    found = gradient_penalty(critic, images[0], images[1], stream(3))
    assert found.item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-5)
    (gradient,) = torch.autograd.grad(found, own)
    expected = 2 * (weight.norm() - 1) * weight / weight.norm()
    torch.testing.assert_close(gradient[0], expected)


def test_the_penalty_looks_between_the_images() -> None:
    seen: list[torch.Tensor] = []

    class Watched(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.detach())
            return x.flatten(1).square().sum(dim=1)

    real, fake = torch.zeros(40, 1, 2, 2), torch.ones(40, 1, 2, 2)
    gradient_penalty(Watched(), real, fake, stream(0))
    (points,) = seen
    assert (points.flatten(1).std(dim=1) < 1e-6).all()
    assert len(set(points.flatten(1)[:, 0].tolist())) == 40


@pytest.mark.parametrize("kind", KINDS)
def test_samples_come_nearer_to_the_data(kind: type[AdversarialGenerator]) -> None:
    data = load("digits")
    settings: dict[str, Any] = {"latent_dimension": 8, "channels": 8, "batch": 32, "average": 0.9}
    steps, rate = (120, 3e-3) if kind is WassersteinGAN else (150, 1e-3)
    plugin = kind(steps=steps, learning_rate=rate, critic_steps=1, **settings)
    module, outcome = fitted(plugin)
    untrained = deconvolution(8, 8, data.image_shape)
    normal_weights(untrained, stream(0))
    z = torch.randn(300, 8, generator=stream(1))

    def gap(net: nn.Module) -> float:
        with torch.no_grad():
            images = net.eval()(z).flatten(1).numpy()
        real = data.train_images.reshape(len(data.train_images), -1)
        spread = np.abs(images.std(axis=0) - real.std(axis=0)).mean()
        return float(np.abs(images.mean(axis=0) - real.mean(axis=0)).mean() + spread)

    assert gap(module) < 0.6 * gap(untrained)
    assert outcome.arrays["grids"].shape == (6, 8, 1, 8, 8)
    assert list(outcome.arrays["grid_steps"])[-1] == steps
    fixed = torch.randn(8, 8, generator=Context(CPU, 4, "test").stream("shown"))
    with torch.no_grad():
        exact = 255 * module(fixed).numpy()
    assert outcome.arrays["grids"].dtype == np.uint8
    assert np.abs(outcome.arrays["grids"][-1] - exact).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_the_trained_map_is_traced(kind: type[AdversarialGenerator]) -> None:
    module, _ = fitted(kind(latent_dimension=3, channels=2, steps=2, batch=4))
    network = feed_forward(module, (3,))
    z = torch.randn(5, 3, generator=stream(5))
    with torch.no_grad():
        expected = module(z).flatten(1).double().numpy()
    np.testing.assert_allclose(network(z.double().numpy()), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_goes_on_to_the_same_weights(
    kind: type[AdversarialGenerator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = kind(latent_dimension=3, channels=2, steps=7, batch=4, critic_steps=2)
    whole, outcome = fitted(plugin)
    keep = Snapshot.keep

    def always(path: Path | None, **given: object) -> Snapshot:
        return Snapshot(path, every=0.0, **given)  # type: ignore[arg-type]

    def stop(self: Snapshot, step: int) -> None:
        keep(self, step)
        if step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(empirics.gan, "Snapshot", always)
    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "keep", stop)
        with pytest.raises(KeyboardInterrupt):
            fitted(plugin, tmp_path / "state")
    module, resumed = fitted(plugin, tmp_path / "state")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, module.state_dict()[name]), name
    for name, array in outcome.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[name], array)


def test_the_global_random_state_is_not_touched() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    plugin = SpectralGAN(latent_dimension=3, channels=2, steps=2, batch=4)
    with torch.random.fork_rng():
        module = plugin.build((1, 8, 8))
    plugin.fit(module, load("digits"), Context(CPU, 4, "test"))
    assert torch.equal(torch.get_rng_state(), before)


def test_losses_that_are_not_finite_fail_by_name() -> None:
    with pytest.raises(TrainingError, match=r"at step \d+ of 40"):
        fitted(WassersteinGAN(latent_dimension=3, channels=2, steps=40, learning_rate=1e30))


def test_they_are_registered() -> None:
    assert {"dcgan", "wgan_gp", "sngan"} <= set(GENERATORS)
