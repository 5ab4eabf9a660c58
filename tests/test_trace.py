"""From modules to arrays: what is traced computes what the module computes."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from empirics.operators.matrices import by_basis, convolution
from empirics.seeds import torch_stream
from empirics.trace import affine_layers, relu_network, traced_layers
from empirics.train import initialise
from theory.errors import InputError
from theory.lipschitz.product import AffineLayer
from theory.relu import ReluNetwork


def evaluate(layers: tuple[AffineLayer, ...], x: np.ndarray) -> np.ndarray:
    for i, layer in enumerate(layers):
        x = (np.maximum(x, 0) if i else x) @ layer.weight.T + layer.bias
    return x


AFFINE = {
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
    "transposed convolutions": (
        nn.Sequential(
            nn.Linear(5, 24),
            nn.Unflatten(1, (6, 2, 2)),
            nn.ReLU(),
            nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1, groups=2),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 1, 3, stride=2, output_padding=1, dilation=2, bias=False),
        ),
        (5,),
        3,
    ),
    "last axis": (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (5, 4), 2),
    "no bias": (nn.Sequential(nn.Conv2d(1, 2, 2, bias=False), nn.Flatten()), (1, 3, 4), 1),
    "identity": (nn.Sequential(nn.Identity()), (5,), 1),
}


@pytest.mark.parametrize("name", AFFINE)
def test_traced_layers_compute_the_module(name: str) -> None:
    module, shape, count = AFFINE[name]
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
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")), "circular"),
    ],
)
def test_an_operator_that_cannot_be_traced_is_named(module: nn.Sequential, named: str) -> None:
    shape = (1, 4, 4) if isinstance(module[0], nn.Conv2d) else (3,)
    with pytest.raises(InputError, match=named):
        affine_layers(module.eval(), shape)
    assert traced_layers(module.eval(), shape) == ()


def drawn(module: nn.Module, name: str) -> nn.Module:
    """Return the module in eval mode with every parameter and statistic random, in double."""
    stream = torch_stream(0, name)
    module = module.double().eval()
    for each in (*module.parameters(), *module.buffers()):
        if each.dtype == torch.float64:
            with torch.no_grad():
                each.copy_(torch.randn(each.shape, generator=stream, dtype=torch.float64))
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_var is not None:
            part.running_var.abs_().add_(0.1)
    return module


def agrees(module: nn.Module, shape: tuple[int, ...], name: str) -> ReluNetwork:
    """Check values and Jacobians at fresh random points, and return the network."""
    network = relu_network(drawn(module, name), shape)
    for scale in (0.3, 1.0, 5.0):
        x = scale * torch.randn(4, *shape, generator=torch_stream(1, name), dtype=torch.float64)
        with torch.no_grad():
            expected = module(x).reshape(4, -1).numpy()
        flat = x.flatten(1).numpy()
        size = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(network(flat), expected, atol=1e-10 * size)
        jacobian = torch.autograd.functional.jacobian(module, x[:1]).reshape(-1, flat.shape[1])
        found = network.affine(flat[0])
        size = max(1.0, float(jacobian.abs().max()))
        np.testing.assert_allclose(found.weight, jacobian.numpy(), atol=1e-10 * size)
        np.testing.assert_allclose(found(flat[0]), expected[0], atol=1e-9 * size * 10 * scale)
    return network


def random_convolution(trial: int) -> tuple[nn.Module, tuple[int, ...]]:
    draw = np.random.default_rng(trial)
    d, groups = int(draw.integers(1, 4)), int(draw.integers(1, 4))
    transposed = bool(draw.integers(2))
    kernel, stride = (tuple(int(v) for v in draw.integers(1, 4, d)) for _ in range(2))
    dilation = tuple(int(v) for v in draw.integers(1, 3, d))
    padding = tuple(int(draw.integers(0, k + 1)) for k in kernel)
    side = tuple(int(v) for v in draw.integers(5, 8 if d < 3 else 6, d))
    n_in, n_out = (groups * int(draw.integers(1, 3)) for _ in range(2))
    common: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    common |= {"padding": padding, "bias": bool(draw.integers(2))}
    if transposed:
        kinds: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
        limit = [max(a, b) for a, b in zip(stride, dilation, strict=True)]
        common["output_padding"] = tuple(int(draw.integers(0, v)) for v in limit)
    else:
        kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        mode = ("zeros", "reflect", "replicate", "circular")[draw.integers(4)]
        common["padding_mode"] = mode
        if draw.integers(4) == 0:
            common |= {"padding": "same", "stride": 1}
            kernel = tuple(2 * (k // 2) + 1 for k in kernel)  # torch warns of even ones
    return nn.Sequential(kinds[d - 1](n_in, n_out, kernel, **common), nn.ReLU()), (n_in, *side)


@pytest.mark.parametrize("trial", range(40))
def test_convolutions_of_every_kind(trial: int) -> None:
    module, shape = random_convolution(trial)
    agrees(module, shape, f"convolution {trial}")


def random_pooling(trial: int) -> tuple[nn.Module, tuple[int, ...]]:
    draw = np.random.default_rng(trial)
    d = int(draw.integers(1, 4))
    kernel, stride = (tuple(int(v) for v in draw.integers(1, 4, d)) for _ in range(2))
    padding = tuple(int(draw.integers(0, k // 2 + 1)) for k in kernel)
    side = tuple(int(v) for v in draw.integers(5, 8 if d < 3 else 6, d))
    name = ("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool")[draw.integers(4)]
    more: dict[str, Any] = {}
    if not name.startswith("Adaptive"):
        more = {"stride": stride, "padding": padding, "ceil_mode": bool(draw.integers(2))}
    if name == "MaxPool":
        more["dilation"] = tuple(int(v) for v in draw.integers(1, 3, d))
    if name == "AvgPool":
        more["count_include_pad"] = bool(draw.integers(2))
        if d == 1:  # takes no tuples
            more |= {"stride": stride[0], "padding": padding[0]}
            return nn.AvgPool1d(kernel[0], **more), (2, *side)
    size: Any = kernel[0] if d == 1 else kernel
    return getattr(nn, f"{name}{d}d")(size, **more), (2, *side)


@pytest.mark.parametrize("trial", range(40))
def test_pooling_of_every_kind(trial: int) -> None:
    module, shape = random_pooling(trial)
    agrees(nn.Sequential(module), shape, f"pooling {trial}")


class Written(nn.Module):
    """A module whose forward pass is a function."""

    def __init__(self, forward: Callable[..., Any], **parts: Any) -> None:  # noqa: ANN401
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.apply_to = forward

    def forward(self, x: torch.Tensor) -> Any:  # noqa: ANN401
        return self.apply_to(self, x)


ACTIVATIONS = [
    *(nn.ReLU(), nn.ReLU(inplace=True), nn.LeakyReLU(0.2), nn.PReLU(), nn.PReLU(3)),
    *(nn.Hardtanh(), nn.Hardtanh(-0.3, 1.7), nn.ReLU6(), nn.Identity(), nn.Dropout(0.4)),
    *(nn.BatchNorm1d(3), nn.BatchNorm1d(3, affine=False), nn.Dropout1d(0.2), nn.Flatten()),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations_and_normalisations(activation: nn.Module) -> None:
    module = nn.Sequential(nn.Conv1d(2, 3, 3), activation, nn.Flatten(), nn.Linear(12, 4))
    agrees(module, (2, 6), str(activation))


def concatenated(m: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    for layer in m.layers:
        x = torch.cat([x, F.relu(layer(x))], dim=1)
    return x


def shortcut_with_zeros(m: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    return torch.relu(m.conv(x)) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 2))


def both_in_place(m: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    y = m.lin(x)
    y.relu_()
    return y - m.lin(y)


FORMS: dict[str, tuple[Callable[..., Any], dict[str, Any], tuple[int, ...]]] = {
    "relu": (lambda m, x: F.relu(m.lin(x)) - torch.relu(x) + x.relu(), {}, (5,)),
    "in place": (both_in_place, {}, (5,)),
    "leaky": (lambda m, x: F.leaky_relu(m.lin(x), 0.3) + F.leaky_relu(x), {}, (5,)),
    "slopes": (lambda m, x: F.prelu(x, m.lin.bias) + x.abs() - torch.abs(m.lin(x)), {}, (5,)),
    "hard": (lambda m, x: F.hardtanh(x) * 2 + F.relu6(m.lin(x)), {}, (5,)),
    "clamp": (
        lambda m, x: x.clamp(min=0.1) - torch.clamp(x, -1, 0.5) / 3 + m.lin(x).clamp(max=0.2),
        {},
        (5,),
    ),
    "sums": (
        lambda m, x: torch.add(x, m.lin(x).relu(), alpha=2) - sum([x, 1 - x, -x]) + 3,
        {},
        (5,),
    ),
    "differences": (
        lambda m, x: torch.sub(1.5, x.relu(), alpha=0.5).neg() / 4 * x.size(1),
        {},
        (5,),
    ),
    "sides": (lambda m, x: torch.rsub(x, 2).add(m.lin(x)).mul(0.5).sub(x).div(3), {}, (5,)),
    "extrema": (lambda m, x: torch.maximum(x, m.lin(x)) - torch.minimum(x, m.lin.bias), {}, (5,)),
    "products": (
        lambda m, x: (x @ m.lin.weight).relu() + torch.matmul(x, m.lin.weight.T),
        {},
        (5,),
    ),
    "linear": (lambda m, x: F.linear(x, m.lin.weight, m.lin.bias).relu(), {}, (3, 5)),
    "constants": (lambda m, x: x * m.lin.bias + torch.ones(5) - m.lin.weight[0], {}, (3, 5)),
    "broadcast": (lambda m, x: x.relu() + x[:, :1] - m.lin.bias[:3, None, None], {}, (3, 1, 4)),
    "slices": (lambda m, x: x[:, 1:, ::2].relu() - x[:, :-1, [0, 0, 4]], {}, (3, 5)),
    "halves": (
        lambda m, x: x.chunk(2, dim=1)[0].relu() - torch.split(x, 2, 1)[1].neg(),
        {},
        (4, 3),
    ),
    "reshape": (
        lambda m, x: m.lin(x.view(-1, 5, 5).transpose(1, 2).reshape(-1, 5)).view(x.shape[0], -1),
        {},
        (25,),
    ),
    "axes": (
        lambda m, x: x.permute(0, 2, 1).relu().unsqueeze(2).squeeze(2).unflatten(1, (1, 5)),
        {},
        (3, 5),
    ),
    "padded": (
        lambda m, x: F.pad(x, (1, 2), value=0.7).relu() + F.pad(x, (2, 1), mode="replicate"),
        {},
        (3, 5),
    ),
    "means": (
        lambda m, x: x.relu().mean((2, 3)) + x.mean(dim=(-2, -1)) + x.flatten(2).sum(-1),
        {},
        (3, 4, 5),
    ),
    "pools": (
        lambda m, x: (
            F.max_pool2d(x, 2, stride=1, padding=1)[:, :, 1:, 1:]
            - F.avg_pool2d(x, 3, 1, 1)
            + F.adaptive_avg_pool2d(x, 1)
            - F.adaptive_max_pool2d(x, (1, 4))
        ),
        {},
        (2, 4, 4),
    ),
    "convolutions": (
        lambda m, x: (
            F.conv2d(x, m.conv.weight, None, padding=1).relu()
            + F.conv_transpose2d(x, m.conv.weight.transpose(0, 1), m.conv.bias, padding=1)
        ),
        {"conv": nn.Conv2d(2, 4, 3)},
        (2, 5, 6),
    ),
    "normalised": (
        lambda m, x: F.batch_norm(x.relu(), m.mean, m.mean**2, m.lin.bias, eps=1.0),
        {"mean": torch.ones(5)},
        (5, 2),
    ),
    "enlarged": (
        lambda m, x: F.pixel_shuffle(F.interpolate(x.relu(), scale_factor=2, mode="bilinear"), 2),
        {},
        (4, 2, 3),
    ),
    "residual": (
        lambda m, x: torch.relu(m.two(F.relu(m.conv(x))) + x),
        {"conv": nn.Conv2d(2, 3, 3, padding=1), "two": nn.Conv2d(3, 2, 3, padding=1)},
        (2, 4, 5),
    ),
    "dense": (
        concatenated,
        {"layers": nn.ModuleList([nn.Linear(4, 3), nn.Linear(7, 2), nn.Linear(9, 2)])},
        (4,),
    ),
    "shortcut": (shortcut_with_zeros, {"conv": nn.Conv2d(1, 3, 3, 2, 1)}, (1, 6, 6)),
    # The 2 numbers that are kept cost less than the 9 inputs they are made of.
    "few kept": (
        lambda m, x: m.b(x) + m.b(m.a(x).relu()),
        {"a": nn.Linear(9, 9), "b": nn.Linear(9, 2)},
        (9,),
    ),
    "one input for two": (lambda m, x: torch.stack([x, x.relu(), m.lin(x).relu()], 1), {}, (5,)),
    "nothing but a sum": (lambda m, x: x + 1, {}, (5,)),
}


@pytest.mark.parametrize("name", FORMS)
def test_functions_and_methods(name: str) -> None:
    forward, parts, shape = FORMS[name]
    agrees(Written(forward, **{"lin": nn.Linear(5, 5), **parts}), shape, name)


def test_units_are_those_of_the_module() -> None:
    hidden = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Sequential(nn.Linear(9, 7), nn.ReLU()))
    network = agrees(nn.Sequential(hidden, nn.Linear(7, 4)), (6,), "nested")
    assert [len(layer.hinges) for layer in network.layers] == [9, 7, 0]
    assert [layer.weight.shape for layer in network.layers] == [(9, 6), (7, 9), (4, 7)]
    x = torch.randn(30, 6, generator=torch_stream(2, "nested"), dtype=torch.float64)
    with torch.no_grad():
        first = hidden[0](x)
        second = hidden[2][0](hidden[1](first))
    expected = torch.cat([first, second], 1).numpy() > 0
    np.testing.assert_array_equal(network.pattern(x.numpy()), expected)


def test_a_skip_connection_adds_linear_units_only() -> None:
    forward, parts, shape = FORMS["residual"]
    network = agrees(Written(forward, **parts), shape, "residual units")
    assert [len(layer.hinges) for layer in network.layers] == [60, 40, 0]
    assert network.layers[0].weight.shape == (60 + 40, 40)
    network = agrees(Written(FORMS["few kept"][0], **FORMS["few kept"][1]), (9,), "few")
    assert [layer.weight.shape for layer in network.layers] == [(9 + 2, 9), (2, 11)]


@pytest.mark.parametrize("k", range(1, 8))
def test_a_maximum_is_a_tournament(k: int) -> None:
    """Of k numbers: k - 1 ReLUs in ceil(log2 k) rounds."""
    network = agrees(nn.MaxPool1d(k), (1, k), f"maximum {k}")
    assert network.n_units == k - 1 if k > 1 else not network.n_units
    assert len(network.layers) == math.ceil(math.log2(k)) + 1


def test_a_sparse_matrix_where_it_is_sparse() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(784, 9)
    )
    first, last = agrees(module, (1, 14, 14), "sparse").layers
    assert not isinstance(first.weight, np.ndarray)
    assert isinstance(last.weight, np.ndarray)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_matrix_of_a_convolution_is_what_it_makes_of_the_basis(groups: int) -> None:
    weight = torch.randn(4, 4 // groups, 3, 2, generator=torch_stream(groups), dtype=torch.float64)
    matrix, shape = convolution(weight, (1, 4, 9, 8), 2, 1, 1, groups)
    expected, after = by_basis(lambda x: F.conv2d(x, weight, None, 2, 1, 1, groups), (1, 4, 9, 8))
    assert shape == after
    assert abs(matrix - expected).max() == 0


SMOOTH: list[tuple[nn.Module, str]] = [
    (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Sigmoid()), r"'3' \(Sigmoid\)"),
    (nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh())), r"layer '1.0' \(Tanh\)"),
    *((nn.Sequential(kind), type(kind).__name__) for kind in (nn.GELU(), nn.Softmax(1), nn.ELU())),
    (nn.Sequential(nn.LayerNorm(4)), r"'0' \(LayerNorm\)"),
    (Written(lambda m, x: x * x), "product of two activations"),
    (Written(lambda m, x: x @ x.T), "product of two|not known|cannot be traced"),
    (Written(lambda m, x: 1 / x), r"'div|'truediv' in the module \(Written\) .*divides"),
    (Written(lambda m, x: x.exp()), "'exp' in the module"),
    (Written(lambda m, x: torch.median(x, 1)[0]), "'median' in the module"),
    (nn.Sequential(Written(lambda m, x: x.sort()[0])), r"'sort' in layer '0' \(Written\)"),
    (nn.Sequential(nn.Identity(), Written(lambda m, x: x if x.sum() > 0 else -x)), "layer '1'"),
    (nn.Sequential(nn.Unflatten(1, (1, 4)), nn.MaxPool1d(2, return_indices=True)), "indices"),
    (Written(lambda m, x: (x, x)), "one tensor"),
    (Written(lambda m, x: torch.ones(3)), "depends on its input"),
    (Written(lambda m, x: x - x.mean(0)), "differs|mixes"),
    (Written(lambda m, x: x.relu().flatten()), "batch"),
    (nn.Sequential(nn.Identity(), nn.Linear(5, 2)), r"layer '1' \(Linear\) cannot be traced"),
    (nn.Sequential(nn.Conv2d(1, 1, 3)), r"layer '0' \(Conv2d\) cannot be traced"),
]


@pytest.mark.parametrize(("module", "said"), SMOOTH, ids=[said for _, said in SMOOTH])
def test_what_is_not_piecewise_linear_is_named(module: nn.Module, said: str) -> None:
    with pytest.raises(InputError, match=said):
        relu_network(module.eval(), (4,))


@pytest.mark.parametrize(
    "module",
    [nn.BatchNorm1d(4), nn.Dropout(0.5), nn.BatchNorm1d(4, track_running_stats=False)],
    ids=str,
)
def test_a_module_in_training_mode_is_refused(module: nn.Module) -> None:
    with pytest.raises(InputError, match=rf"layer '1' \({type(module).__name__}\).*eval"):
        relu_network(nn.Sequential(nn.Linear(4, 4), module).train(), (4,))


def test_a_module_of_torch_alone() -> None:
    assert agrees(nn.BatchNorm1d(3), (3,), "alone").n_units == 0
    assert agrees(nn.PReLU(3), (3,), "alone").n_units == 3


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    relu_network(module, (3,))
    assert module.training
    assert all(p.dtype == torch.float32 and p.requires_grad for p in module.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
