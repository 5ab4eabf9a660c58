"""From modules to feed-forward networks with smooth activations: they compute the same."""

import numpy as np
import pytest
import torch
from torch import nn

from empirics.classifiers.mlp import MultiLayerPerceptron
from empirics.feed_forward import feed_forward
from empirics.seeds import torch_stream
from empirics.trace import relu_network
from empirics.train import initialise
from theory.errors import InputError
from theory.lipschitz.activations import ELU, GELU, Sigmoid, Softplus, Tanh
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.product import product_bound

SMOOTH = (
    *(nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Softplus(3.0), nn.ELU(), nn.ELU(0.4), nn.SELU()),
    *(nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(), nn.Softsign()),
    nn.LogSigmoid(),
)


class Skip(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.inner(x)) + x


MODULES: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
    **{
        f"{type(each).__name__} {i}": (
            nn.Sequential(nn.Linear(5, 7), each, nn.Linear(7, 6), each, nn.Linear(6, 2)),
            (5,),
            3,
        )
        for i, each in enumerate(SMOOTH)
    },
    "nested": (
        nn.Sequential(
            nn.Sequential(nn.Linear(4, 6), nn.Sequential(nn.Tanh())),
            nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 5), nn.Linear(5, 3)),
            nn.Sigmoid(),
        ),
        (4,),
        3,
    ),
    "mixed": (
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.BatchNorm2d(3),
            nn.SiLU(),
            nn.MaxPool2d(2),
            Skip(nn.Conv2d(3, 3, 1)),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.GELU(),
            nn.Linear(3, 2),
        ),
        (1, 4, 4),
        6,
    ),
    "decoder": (
        nn.Sequential(
            *(nn.Linear(3, 8), nn.Softplus(), nn.Unflatten(1, (2, 2, 2)), nn.ReLU()),
            *(nn.ConvTranspose2d(2, 1, 4, 2, 1), nn.Sigmoid()),
        ),
        (3,),
        3,
    ),
    "activations alone": (nn.Sequential(nn.Tanh(), nn.Sigmoid()), (3,), 2),
    "one activation": (nn.ELU(), (2, 3), 1),
    "piecewise linear": (nn.Sequential(nn.Linear(3, 4), nn.Hardtanh(), nn.Linear(4, 2)), (3,), 2),
    "nothing": (nn.Sequential(), (3,), 1),
}


@pytest.mark.parametrize("name", MODULES)
def test_the_network_computes_the_module(name: str) -> None:
    module, shape, stages = MODULES[name]
    initialise(module, torch_stream(0, name))
    network = feed_forward(module.eval(), shape)
    assert len(network.stages) == stages
    twin = module.double()
    for scale in (0.2, 2.0, 9.0):
        x = scale * torch.randn(7, *shape, generator=torch_stream(1, name), dtype=torch.float64)
        with torch.no_grad():
            expected = twin(x).reshape(7, -1).numpy()
        found = network(x.flatten(1).numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_activations_are_those_of_the_module() -> None:
    module = nn.Sequential(
        *(nn.Linear(2, 2), nn.ELU(0.7), nn.Linear(2, 2), nn.Softplus(4.0), nn.GELU("tanh")),
        *(nn.ReLU(), nn.Tanh(), nn.Sigmoid()),
    )
    found = [stage.activation for stage in feed_forward(module, (2,)).stages]
    assert found[:2] == [ELU(0.7), Softplus(4.0)]
    assert found[2] == GELU(True)
    assert found[3].name == "relu"
    assert isinstance(found[4], Tanh)
    assert isinstance(found[5], Sigmoid)


def test_a_piecewise_linear_module_is_its_trace() -> None:
    module = MultiLayerPerceptron(6).build((1, 3, 3), 4)
    initialise(module, torch_stream(0, "trace"))
    found, traced = feed_forward(module, (1, 3, 3)), FeedForward.of(relu_network(module, (1, 3, 3)))
    x = np.random.default_rng(0).standard_normal((5, 9))
    np.testing.assert_array_equal(found(x), traced(x))


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_bounds_know_the_slopes(p: float) -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.Sigmoid(), nn.Linear(6, 3)).double()
    first, last = (module[i].weight.detach().numpy() for i in (0, 2))
    expected = float(np.linalg.norm(first, p) * np.linalg.norm(last, p)) / 4
    bound = product_bound(feed_forward(module, (4,)), p)
    assert expected <= bound * (1 + 1e-14) <= expected * (1 + 1e-8)


class Moody(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) if x.shape[0] > 1 else x


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.Softmax(1)), (3,), "Softmax"),
        (nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.LayerNorm(3)), (3,), "LayerNorm"),
        (nn.Sequential(nn.Tanh(), nn.Dropout()).train(), (3,), "random"),
        (nn.Sequential(nn.Linear(4, 3), nn.Tanh()), (3,), "cannot be traced|shapes"),
        (nn.Sequential(nn.CELU(0.5)), (3,), "CELU"),
        (nn.Sequential(nn.ELU(-1.0)), (3,), "without slope bounds"),
        (nn.Sequential(Moody(), nn.Tanh()), (3,), "Moody|differs"),
    ],
)
def test_what_cannot_be_written_is_named(
    module: nn.Module, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        feed_forward(module, shape)
