"""From modules to affine layers: the traced layers compute what the module computes."""

import numpy as np
import pytest
import torch
from torch import nn

from empirics.seeds import torch_stream
from empirics.trace import affine_layers
from empirics.train import initialise
from theory.errors import InputError
from theory.lipschitz.product import AffineLayer


def evaluate(layers: tuple[AffineLayer, ...], x: np.ndarray) -> np.ndarray:
    for i, layer in enumerate(layers):
        x = (np.maximum(x, 0) if i else x) @ layer.weight.T + layer.bias
    return x


NETWORKS = {
    "perceptron": (nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4)), (6,), 2),
    "merged": (
        nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)),
        (6,),
        2,
    ),
    "reshapes": (
        nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)), nn.Flatten(), nn.Linear(12, 2)),
        (4,),
        1,
    ),
    "convolutions": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=1, padding=1),
            nn.ReLU(),
            nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=2, groups=2, dilation=2), nn.ReLU()),
            nn.Flatten(),
            nn.Linear(96, 5),
        ),
        (2, 7, 7),
        3,
    ),
    "no bias": (nn.Sequential(nn.Conv2d(1, 2, 2, bias=False), nn.Flatten()), (1, 3, 4), 1),
    "identity": (nn.Sequential(nn.Identity()), (5,), 1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_traced_layers_compute_the_module(name: str) -> None:
    module, shape, count = NETWORKS[name]
    initialise(module, torch_stream(0, name))
    module = module.double()
    layers = affine_layers(module, shape)
    assert len(layers) == count
    x = torch.randn(20, *shape, generator=torch_stream(1, name), dtype=torch.float64)
    with torch.no_grad():
        expected = module(x).flatten(1).numpy()
    np.testing.assert_allclose(evaluate(layers, x.flatten(1).numpy()), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 2)), "Sigmoid"),
        (nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), "ReLU"),
        (nn.Sequential(nn.Linear(3, 2), nn.ReLU()), "ReLU"),
        (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), "BatchNorm1d"),
    ],
)
def test_an_operator_that_cannot_be_traced_is_named(module: nn.Sequential, named: str) -> None:
    with pytest.raises(InputError, match=named):
        affine_layers(module.eval(), (3,))
