"""Generators: training works and can be repeated, and constants stay where they should."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirics.data import Dataset, load
from empirics.generators.conv_vae import ConvolutionalVAE
from empirics.generators.lipschitz_vae import LipschitzVAE, stagewise_constant
from empirics.generators.vae import VariationalAutoEncoder
from empirics.plugins import Context, GeneratorPlugin
from empirics.train import initialise
from theory.errors import InputError
from theory.norms import spectral_norm_upper

SMALL: dict[str, Any] = {"latent_dimension": 4, "steps": 60, "batch": 64}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def trained(plugin: GeneratorPlugin, data: Dataset, seed: int = 0) -> tuple[nn.Sequential, float]:
    context = Context(torch.device("cpu"), seed, "test")
    module = plugin.build(data.image_shape)
    initialise(module, context.stream("initial weights"))
    outcome = plugin.fit(module, data, context)
    return module.eval().requires_grad_(False), outcome.facts["final_loss"]


def weights(module: nn.Sequential) -> list[torch.Tensor]:
    return [each.weight.double() for each in module if isinstance(each, nn.Linear)]


@pytest.mark.parametrize(
    "plugin",
    [
        VariationalAutoEncoder(hidden=(16,), **SMALL),
        ConvolutionalVAE(channels=(4, 4), encoder_hidden=(16,), **SMALL),
        LipschitzVAE(hidden=(16,), **SMALL),
    ],
    ids=["vae", "conv_vae", "lipschitz_vae"],
)
def test_training_lowers_the_loss_and_can_be_repeated(
    plugin: GeneratorPlugin, digits: Dataset
) -> None:
    module, loss = trained(plugin, digits)
    again, same = trained(plugin, digits)
    other, different = trained(plugin, digits, seed=1)
    assert loss == same != different
    z = torch.randn(7, 4)
    assert torch.equal(module(z), again(z))
    assert not torch.equal(module(z), other(z))
    assert module(z).shape == (7, *digits.image_shape)
    longer = type(plugin)(**{**vars(plugin), "steps": 300})
    assert trained(longer, digits)[1] < loss - 5


def test_a_penalised_decoder_stays_below_its_constant(digits: Dataset) -> None:
    settings = {**SMALL, "hidden": (16, 16), "steps": 500}
    free, _ = trained(VariationalAutoEncoder(**settings), digits)
    held, _ = trained(LipschitzVAE(constant=0.8, **settings), digits)
    assert stagewise_constant(weights(free)) > 1.5
    assert stagewise_constant(weights(held)) < 0.88


@pytest.mark.parametrize("trial", range(5))
def test_the_stagewise_constant_is_between_all_slopes_and_the_product(trial: int) -> None:
    rng = np.random.default_rng(trial)
    widths = rng.integers(1, 7, size=4)
    matrices = [rng.standard_normal((m, n)) for n, m in itertools.pairwise(widths)]
    constant = stagewise_constant([torch.from_numpy(w) for w in matrices]).item()
    assert constant <= np.prod([spectral_norm_upper(w) for w in matrices]) * (1 + 1e-9)
    for _ in range(200):
        product = matrices[0]
        for w in matrices[1:]:
            product = w @ (rng.integers(0, 2, len(product))[:, None] * product)
        assert np.linalg.norm(product, 2) <= constant * (1 + 1e-9)


def test_a_constant_of_one_layer_is_its_norm() -> None:
    weight = torch.diag(torch.tensor([3.0, -4.0], dtype=torch.float64))
    assert stagewise_constant([weight]).item() == pytest.approx(4.0)


def test_sides_that_cannot_be_doubled_are_refused() -> None:
    with pytest.raises(InputError, match="multiples of 8"):
        ConvolutionalVAE(channels=(8, 8, 8)).build((1, 28, 28))
    with pytest.raises(InputError, match="multiples of 4"):
        ConvolutionalVAE().build((16,))
