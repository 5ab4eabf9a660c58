"""Graphs of modules and bounds on them: against Jacobians, secants, closed forms, exact norms."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.sparse.linalg import eigsh
from torch import nn

from empirics.classifiers.conv import SmallConvolutional
from empirics.classifiers.mlp import MultiLayerPerceptron
from empirics.classifiers.residual import ResidualBlock, SmallResidual
from empirics.generators.ppca import ProbabilisticPCA
from empirics.generators.vae import VariationalAutoEncoder
from empirics.lipschitz_graph import lipschitz_graph
from empirics.seeds import torch_stream
from empirics.trace import relu_network
from theory.errors import InputError
from theory.lipschitz.chains import absolute_bound, balanced_product_bound
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.graph import Graph
from theory.lipschitz.layers import Convolution, MaxPooling
from theory.lipschitz.product import AffineLayer, product_bound

NORMS = (1, 2, np.inf)


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


def slopes_met(module: nn.Module, shape: tuple[int, ...], name: str, p: float) -> float:
    """Return the largest slope met: norms of Jacobians, and secants, at random points."""
    stream = torch_stream(1, name)
    largest = 0.0
    for scale in (0.1, 1.0, 4.0):
        x = scale * torch.randn(1, *shape, generator=stream, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(module, x).reshape(-1, x.numel())
        largest = max(largest, float(np.linalg.norm(jacobian.numpy(), p)))
        step = scale * torch.randn(1, *shape, generator=stream, dtype=torch.float64)
        with torch.no_grad():
            rise = (module(x + step) - module(x)).flatten().numpy()
        run = np.linalg.norm(step.flatten().numpy(), p)
        largest = max(largest, float(np.linalg.norm(rise, p) / run))
    return largest


class Made(nn.Module):
    """A function of the input and of the modules that it is given."""

    def __init__(self, function: Callable[..., torch.Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.parts)


def group_sort(x: torch.Tensor, first: nn.Module, last: nn.Module) -> torch.Tensor:
    y = first(x)
    return last(y.view(y.shape[0], -1, 2).sort(dim=-1)[0].flatten(1))


def chunked(x: torch.Tensor, first: nn.Module) -> torch.Tensor:
    a, b = first(x).chunk(2, dim=1)
    return torch.cat([torch.relu(a) - 2 * b, a / 3, torch.maximum(a, b)], dim=1)


def in_place(x: torch.Tensor, first: nn.Module) -> torch.Tensor:
    y = first(x)
    y.mul_(-2.0)
    y += 3 * x[:, :1]
    z = y.view(-1, 3, 2).add_(1.0).flatten(1)
    return F.relu(z, inplace=True)


def aliased(x: torch.Tensor) -> torch.Tensor:
    y = 2 * x
    z = y.mul_(3.0)
    y += 60 * x  # traced as a new tensor
    return z


def aliased_by_name(x: torch.Tensor) -> torch.Tensor:
    y = 2 * x
    z = y.mul_(3.0)
    y.add_(60 * x)
    return z


def changed_under_a_view(x: torch.Tensor) -> torch.Tensor:
    y = 2 * x
    z = y[:, :2]
    y.mul_(3.0)
    return z


ACTIVATIONS = (
    *(nn.ReLU(), nn.LeakyReLU(0.2), nn.LeakyReLU(-2.0), nn.PReLU(6), nn.PReLU(), nn.Tanh()),
    *(nn.Sigmoid(), nn.Softplus(2.0), nn.ELU(1.7), nn.SELU(), nn.CELU(0.5), nn.GELU()),
    *(nn.GELU("tanh"), nn.SiLU(), nn.Hardtanh(-0.5, 2.0), nn.ReLU6(), nn.Hardswish()),
    *(nn.Hardsigmoid(), nn.Softsign(), nn.LogSigmoid(), nn.Tanhshrink(), nn.Softshrink(0.3)),
)
FUNCTIONS = (torch.abs, torch.sin, torch.cos, torch.atan, F.silu, F.softplus, torch.sigmoid)
MODULES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    **{
        f"{type(each).__name__} {i}": (nn.Sequential(nn.Linear(5, 6), each, nn.Linear(6, 3)), (5,))
        for i, each in enumerate(ACTIVATIONS)
    },
    **{
        f"{each.__name__} function": (
            Made(lambda x, a, b, each=each: b(each(a(x))), nn.Linear(5, 6), nn.Linear(6, 3)),
            (5,),
        )
        for each in FUNCTIONS
    },
    "conv1d": (nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool1d(2)), (2, 6)),
    "conv3d": (nn.Sequential(nn.Conv3d(1, 2, 2), nn.ReLU(), nn.Flatten()), (1, 3, 3, 3)),
    "batch norm": (
        nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1, groups=2), nn.BatchNorm2d(4), nn.Tanh()),
        (2, 6, 6),
    ),
    "batch norm of a transposed convolution": (
        nn.Sequential(nn.ConvTranspose2d(4, 2, 4, 2, 1), nn.BatchNorm2d(2), nn.ReLU()),
        (4, 3, 3),
    ),
    "batch norm first": (
        nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4), nn.BatchNorm1d(4)),
        (5,),
    ),
    "circular": (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")), (1, 4, 4)),
    "reflected, merged": (
        nn.Sequential(nn.Conv1d(1, 2, 3, padding=2, padding_mode="reflect"), nn.AvgPool1d(2)),
        (1, 6),
    ),
    "overlapping pools": (
        nn.Sequential(nn.Conv2d(1, 2, 2), nn.MaxPool2d(3, 1), nn.ReLU(), nn.AvgPool2d(2, 1)),
        (1, 6, 6),
    ),
    "adaptive": (
        nn.Sequential(nn.AdaptiveMaxPool2d((2, 3)), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        (2, 5, 5),
    ),
    "upsampled": (
        nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, 3), nn.Sigmoid()),
        (2, 3, 3),
    ),
    "residual block": (ResidualBlock(2, 2, 1), (2, 4, 4)),
    "residual block with a shortcut": (ResidualBlock(2, 3, 2), (2, 4, 4)),
    "linear shortcut": (
        Made(lambda x, a, b: F.gelu(a(x) + x) - b(x), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, 1, 1)),
        (2, 4, 4),
    ),
    "dense block": (
        Made(
            lambda x, a, b: torch.cat([y := torch.cat([x, torch.tanh(a(x))], 1), b(y)], 1),
            nn.Conv2d(1, 2, 3, padding=1),
            nn.Conv2d(3, 2, 1),
        ),
        (1, 4, 4),
    ),
    "constants": (
        Made(
            lambda x, a: (
                torch.rsub(a(1.5 * x - 2.0) / 3.0, 1.0) + torch.ones(4).double() * x[:, :4]
            ),
            nn.Linear(5, 4),
        ),
        (5,),
    ),
    "chunks": (Made(chunked, nn.Linear(5, 6)), (5,)),
    "in place": (Made(in_place, nn.Linear(5, 6)), (5,)),
    "group sort": (Made(group_sort, nn.Linear(5, 8), nn.Linear(8, 3)), (5,)),
    "last axis": (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (5, 4)),
    "moved": (
        Made(
            lambda x, a: a(F.pad(x, (1, 1)).permute(0, 2, 1).reshape(x.shape[0], -1)).unsqueeze(1),
            nn.Linear(18, 4),
        ),
        (3, 4),
    ),
    "copies": (
        Made(lambda x, a: a(x.repeat(1, 3)) + x[:, :1].expand(-1, 5), nn.Linear(15, 5)),
        (5,),
    ),
    "means": (
        Made(lambda x, a: a(x).mean(dim=1) @ torch.ones(3, 2).double(), nn.Linear(4, 3)),
        (5, 4),
    ),
    "order": (
        Made(lambda x, a: a(x).amax(dim=1) + x.median(dim=1)[0][:, :3], nn.Linear(4, 3)),
        (5, 4),
    ),
    "clamped": (Made(lambda x, a: a(x.clamp(min=0)).clamp(-1, 2), nn.Linear(5, 3)), (5,)),
    "dropout": (nn.Sequential(nn.Linear(5, 4), nn.Dropout(), nn.Identity(), nn.Softplus()), (5,)),
    "unused": (Made(lambda x, a, b: (b(x), a(x))[1], nn.Linear(5, 4), nn.Linear(5, 9)), (5,)),
}


@pytest.mark.parametrize("name", MODULES)
def test_no_slope_exceeds_the_bound(name: str) -> None:
    module, shape = MODULES[name]
    drawn(module, name)
    graph = lipschitz_graph(module, shape)
    with torch.no_grad():
        outputs = module(torch.zeros(1, *shape, dtype=torch.float64))
    assert graph.nodes[graph.output].size == outputs.numel()
    for p in NORMS:
        bound, met = product_bound(graph, p), slopes_met(module, shape, name, p)
        assert met <= bound * (1 + 1e-12), (p, met, bound)
        assert math.isfinite(bound)


@pytest.mark.parametrize("trial", range(12))
def test_single_layers_have_their_norms(trial: int) -> None:
    rng = np.random.default_rng(trial)
    m, n = rng.integers(1, 40, 2)
    w = rng.standard_normal((m, n)) * 10.0 ** rng.integers(-8, 9)
    kernel, side = int(rng.integers(1, 4)), int(rng.integers(4, 7))
    conv = nn.Conv2d(2, 3, kernel, stride=int(rng.integers(1, 3)), padding=1, bias=False)
    drawn(conv, f"single {trial}")
    x = torch.zeros(1, 2, side, side, dtype=torch.float64)
    dense = torch.autograd.functional.jacobian(conv, x).reshape(-1, x.numel()).numpy()
    for p in NORMS:
        for given, matrix in (([w], w), ([sparse.csr_array(w)], w), (None, dense)):
            network = lipschitz_graph(conv, (2, side, side)) if given is None else given
            norm, bound = np.linalg.norm(matrix, p), product_bound(network, p)
            assert norm * (1 - 1e-13) <= bound <= norm * (1 + 1e-8)


def test_a_wide_layer_is_exact() -> None:
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((30, 6000))
    norm = np.linalg.norm(wide, 2)
    assert norm <= product_bound([wide]) * (1 + 1e-14) <= norm * (1 + 1e-8)
    assert product_bound([np.eye(7)], 1) <= 1 + 1e-14


def test_a_large_sparse_layer_is_exact() -> None:
    rng = np.random.default_rng(1)
    tall = sparse.random_array((300_000, 60), density=0.01, rng=rng, format="csr")
    norm = math.sqrt(np.linalg.eigvalsh((tall.T @ tall).toarray())[-1])
    for each in (tall, tall.T):
        assert norm * (1 - 1e-12) <= product_bound([each]) <= norm * (1 + 1e-8)


def test_a_sparse_layer_beyond_exact_norms_has_that_of_its_absolute_values() -> None:
    rng = np.random.default_rng(3)
    square = sparse.random_array((4000, 4000), density=5e-4, rng=rng, format="csr")
    square.data[rng.random(square.nnz) < 0.5] *= -1
    norms = [math.sqrt(eigsh(a.T @ a, 1, tol=1e-12)[0][0]) for a in (square, abs(square))]
    bound = product_bound([square])
    assert norms[0] <= norms[1] * (1 - 1e-12) <= bound <= 1.02 * norms[1]
    assert bound < 0.9 * math.sqrt(product_bound([square], 1) * product_bound([square], np.inf))


@pytest.mark.parametrize("size", [1e-170, 1e-120, 1e120, 1e170])
def test_numbers_of_any_size_have_bounds(size: float) -> None:
    w = size * np.random.default_rng(2).standard_normal((4, 4))
    graph = Graph((4,))
    graph.add([graph.layer(graph.layer(0, w), w), 0])
    for p in NORMS:
        norm = float(np.linalg.norm(w / size, p)) * size
        # The square may be below or above all numbers; the identity stays.
        assert product_bound(graph, p) >= max(1.0, 1e-3 * size) - 1e-9
        assert product_bound(graph, p) <= 1 + norm * norm * (1 + 1e-8) + 1e-12


def test_nothing_underflows_to_a_bound_of_zero() -> None:
    tiny = [np.full((3, 3), 1e-200)] * 2
    graph = Graph((3,))
    graph.layer(graph.layer(0, tiny[0]), tiny[1])
    bounds = [product_bound(each, p) for each in (tiny, graph) for p in NORMS]
    bounds += [absolute_bound(tiny, 1), absolute_bound(tiny, np.inf), balanced_product_bound(tiny)]
    assert all(0 < each < 1e-300 for each in bounds)
    mixed = [np.full((3, 3), 1e-200), np.full((2, 3), 1e200)]
    for p in (1, np.inf):
        assert absolute_bound(mixed, p) == pytest.approx({1: 6.0, np.inf: 9.0}[p], rel=1e-12)
    assert balanced_product_bound(mixed) == pytest.approx(3 * math.sqrt(6), rel=1e-8)


@pytest.mark.parametrize("p", NORMS)
def test_chains_have_products_of_norms(p: float) -> None:
    rng = np.random.default_rng(5)
    weights = [rng.standard_normal(shape) for shape in ((8, 5), (7, 8), (3, 7))]
    product = math.prod(float(np.linalg.norm(each, p)) for each in weights)
    layers = tuple(AffineLayer(each, np.ones(len(each))) for each in weights)
    for network in (weights, layers, FeedForward.of_weights(weights)):
        assert product <= product_bound(network, p) * (1 + 1e-14) <= product * (1 + 1e-8)
    loose = (AffineLayer(weights[0], np.zeros(8), error=0.5),)
    assert product_bound(loose, p) >= float(np.linalg.norm(weights[0], p)) + 0.5


@pytest.mark.parametrize("p", NORMS)
def test_a_residual_block_has_one_plus_the_product(p: float) -> None:
    rng = np.random.default_rng(6)
    first, second = rng.standard_normal((7, 5)), rng.standard_normal((5, 7))
    graph = Graph((5,))
    hidden = graph.activation(graph.layer(0, first), 0, 1)
    graph.add([0, graph.layer(hidden, second)])
    expected = 1 + float(np.linalg.norm(first, p) * np.linalg.norm(second, p))
    assert expected <= product_bound(graph, p) * (1 + 1e-14)
    if p == np.inf:
        # Rows of identity and branch are added before the largest is taken.
        rows = 1 + np.abs(second).sum(axis=1) * np.linalg.norm(first, p)
        expected = float(rows.max())
    assert product_bound(graph, p) <= expected * (1 + 1e-8)


@pytest.mark.parametrize("p", NORMS)
def test_linear_maps_that_meet_are_one(p: float) -> None:
    rng = np.random.default_rng(7)
    a, b, c = rng.standard_normal((6, 5)), rng.standard_normal((5, 6)), rng.standard_normal((5, 5))
    graph = Graph((5,))
    branch = graph.layer(graph.layer(0, a), b)
    graph.add([0, branch, graph.layer(0, c), 0], [1.0, -2.0, 0.5, -1.5])
    merged = -0.5 * np.eye(5) - 2 * b @ a + 0.5 * c
    norm = float(np.linalg.norm(merged, p))
    assert norm <= product_bound(graph, p) * (1 + 1e-14) <= norm * (1 + 1e-8)


def test_branches_that_cancel_are_zero_up_to_rounding() -> None:
    w = np.random.default_rng(8).standard_normal((9, 9))
    graph = Graph((9,))
    graph.add([graph.layer(0, w), graph.layer(0, w)], [1.0, -1.0])
    assert product_bound(graph) == 0.0
    products = Graph((9,))
    twice = products.layer(products.layer(0, w), w)
    products.add([twice, products.layer(0, w @ w)], [1.0, -1.0])
    # The second factor was rounded: the true difference is not 0, and the bound knows.
    difference = np.linalg.norm(
        (w.astype(np.longdouble) @ w.astype(np.longdouble) - w @ w).astype(float), 2
    )
    assert 0 < difference <= product_bound(products) <= 1e-12


@pytest.mark.parametrize("p", NORMS)
def test_concatenations_have_their_closed_forms(p: float) -> None:
    graph = Graph((4,))
    parts = [graph.activation(0, 0.0, most) for most in (1.0, 2.0, 0.5)]
    graph.concatenate(parts)
    expected = {1: 3.5, 2: math.sqrt(1 + 4 + 0.25), np.inf: 2.0}[p]
    assert expected <= product_bound(graph, p) * (1 + 1e-15) <= expected * (1 + 1e-12)
    along = Graph((2, 3))
    bent = [along.activation(0, -1, 1), along.activation(0, -3, 1)]
    joined = along.concatenate(bent, axis=-1)
    assert along.nodes[joined].shape == (2, 6)
    expected = {1: 4.0, 2: math.sqrt(10), np.inf: 3.0}[p]
    assert product_bound(along, p) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (3, 1), (2, 3)])
def test_overlapping_pools_count_their_windows(kernel: int, stride: int, p: float) -> None:
    shared = (math.ceil(kernel / stride)) ** 2
    expected = {1: shared, 2: math.sqrt(shared), np.inf: 1.0}[p]
    graph = lipschitz_graph(nn.Sequential(nn.MaxPool2d(kernel, stride)), (2, 9, 9))
    described = Graph((2, 9, 9))
    described.layer(0, MaxPooling(kernel, stride))
    for each in (graph, described):
        assert product_bound(each, p) == pytest.approx(expected, rel=1e-12)


def test_batch_norm_is_folded_into_the_kernel() -> None:
    module = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.BatchNorm2d(5)).eval()
    drawn(module, "folded")
    x = torch.zeros(1, 2, 6, 6, dtype=torch.float64)
    matrix = torch.autograd.functional.jacobian(module, x).reshape(-1, 72).numpy()
    for p in NORMS:
        norm = np.linalg.norm(matrix, p)
        bound = product_bound(lipschitz_graph(module, (2, 6, 6)), p)
        assert norm * (1 - 1e-13) <= bound <= norm * (1 + 1e-8)
    # Not the product of the convolution's norm and the largest factor.
    assert bound < 0.95 * product_bound(lipschitz_graph(module[0], (2, 6, 6)), p) * float(
        (module[1].weight / (module[1].running_var + module[1].eps).sqrt()).detach().abs().max()
    )


@pytest.mark.parametrize("trial", range(4))
def test_skip_connections_of_traced_networks_do_not_multiply(trial: int) -> None:
    blocks = [
        Made(lambda x, f: x + f(x), nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4)))
        for _ in range(3)
    ]
    module = drawn(nn.Sequential(*blocks), f"skip {trial}")
    network, graph = relu_network(module, (4,)), lipschitz_graph(module, (4,))
    for p in NORMS:
        blind = math.prod(
            float(np.linalg.norm(each.weight, p))
            for each in network.layers  # type: ignore[arg-type]
        )
        bound = product_bound(network, p)
        assert slopes_met(module, (4,), f"skip {trial}", p) <= bound * (1 + 1e-12)
        assert bound < blind
        assert bound <= product_bound(graph, p) * (1 + 1e-6)


def random_graph(rng: np.random.Generator) -> tuple[Graph, Callable[[], np.ndarray]]:
    """Return a random graph, and what draws a Jacobian that its slopes allow."""
    n = int(rng.integers(2, 5))
    graph = Graph((n,))
    nodes = [0]
    rules: list[Callable[[list[np.ndarray]], np.ndarray]] = [lambda _: np.eye(n)]

    def size(i: int) -> int:
        return graph.nodes[nodes[i]].size

    def enter(node: int, rule: Callable[[list[np.ndarray]], np.ndarray]) -> None:
        nodes.append(node)
        rules.append(rule)

    def linear(i: int) -> None:
        w = rng.standard_normal((int(rng.integers(2, 5)), size(i)))
        w[rng.random(w.shape) < 0.3] = 0.0
        enter(graph.layer(nodes[i], w), lambda js: w @ js[i])

    def activation(i: int) -> None:
        low, high = np.sort(rng.standard_normal((2, size(i))), axis=0)
        low = np.where(rng.random(size(i)) < 0.4, high, low)  # some are linear
        enter(
            graph.activation(nodes[i], low, high),
            lambda js: np.where(rng.random(len(low)) < 0.5, low, high)[:, None] * js[i],
        )

    def total(i: int) -> None:
        same = [k for k in range(len(nodes)) if size(k) == size(i)]
        chosen = [i, *rng.choice(same, int(rng.integers(1, 4)))]
        factors = [float(each) for each in rng.standard_normal(len(chosen))]
        enter(
            graph.add([nodes[k] for k in chosen], factors),
            lambda js: sum(f * js[k] for f, k in zip(factors, chosen, strict=True)),
        )

    def joined(i: int) -> None:
        k = int(rng.integers(len(nodes)))
        both = graph.concatenate([nodes[i], nodes[k]])
        enter(both, lambda js: np.vstack([js[i], js[k]]))

    def selected(i: int) -> None:
        chosen = rng.integers(-1, size(i), 4)
        rows = np.vstack([np.eye(size(i)), np.zeros(size(i))])[chosen]
        enter(graph.select(nodes[i], chosen, (4,)), lambda js: rows @ js[i])

    def largest(i: int) -> None:
        windows = (rng.random((3, size(i))) < 0.6).astype(float)
        windows[:, 0] = 1.0
        row = graph.reshape(nodes[i], (1, size(i)))
        top = graph.reshape(graph.maximum(row, windows, (3,)), (3,))
        enter(top, lambda js: js[i][[int(rng.choice(np.flatnonzero(w))) for w in windows]])

    kinds = (linear, linear, activation, activation, total, total, joined, selected, largest)
    for _ in range(int(rng.integers(3, 12))):
        kinds[int(rng.integers(len(kinds)))](int(rng.integers(max(0, len(nodes) - 3), len(nodes))))
    graph.output = nodes[-1]

    def jacobian() -> np.ndarray:
        found: list[np.ndarray] = []
        for rule in rules:
            found.append(rule(found))
        return found[-1]

    return graph, jacobian


@pytest.mark.parametrize("trial", range(40))
def test_no_choice_of_slopes_exceeds_the_bound_of_a_random_graph(trial: int) -> None:
    graph, jacobian = random_graph(np.random.default_rng(1000 + trial))
    bounds = {p: product_bound(graph, p) for p in NORMS}
    for _ in range(16):
        drawn_jacobian = jacobian()
        for p, bound in bounds.items():
            assert np.linalg.norm(drawn_jacobian, p) <= bound * (1 + 1e-12)


def free_patterns(weights: list[np.ndarray], p: float) -> float:
    """Return the largest norm over all slopes 0 and 1."""
    best = 0.0
    for pattern in itertools.product((0.0, 1.0), repeat=sum(len(w) for w in weights[:-1])):
        product, first = weights[0], 0
        for each in weights[1:]:
            slopes = np.array(pattern[first : first + each.shape[1]])
            product, first = each @ (slopes[:, None] * product), first + each.shape[1]
        best = max(best, float(np.linalg.norm(product, p)))
    return best


@pytest.mark.parametrize("trial", range(8))
def test_scaled_bounds_lie_between_all_patterns_and_the_product(trial: int) -> None:
    rng = np.random.default_rng(100 + trial)
    widths = [int(rng.integers(2, 5)) for _ in range(4)]
    weights = [
        rng.standard_normal((m, n)) * np.exp(rng.standard_normal((m, 1)))
        for n, m in itertools.pairwise(widths)
    ]
    for p in (1, np.inf):
        bound = absolute_bound(weights, p)
        product = np.abs(weights[2]) @ np.abs(weights[1]) @ np.abs(weights[0])
        assert bound == pytest.approx(np.linalg.norm(product, p), rel=1e-12)
        assert free_patterns(weights, p) <= bound <= product_bound(weights, p) * (1 + 1e-12)
    balanced = balanced_product_bound(weights)
    assert free_patterns(weights, 2) <= balanced * (1 + 1e-12)
    assert balanced <= product_bound(weights)
    # Scaling units between layers is undone.
    scales = np.exp(2 * rng.standard_normal(widths[1]))
    scaled = [scales[:, None] * weights[0], weights[1] / scales, weights[2]]
    assert balanced_product_bound(scaled) == pytest.approx(balanced, rel=0.02)


def test_balancing_finds_what_is_known() -> None:
    assert balanced_product_bound([np.diag([1.0, 9.0]), np.diag([9.0, 1.0])]) < 9.01
    assert balanced_product_bound([np.zeros((3, 2)), np.ones((1, 3))]) == 0.0
    assert balanced_product_bound([np.eye(3)]) <= 1 + 1e-9
    # A unit that nothing reaches, and one that reaches nothing.
    dead = [np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0]]), np.array([[1.0, 2.0, 0.0]])]
    norm = float(np.linalg.norm(dead[0][0]))
    assert norm <= balanced_product_bound(dead) * (1 + 1e-12) <= norm * 1.05


@pytest.mark.parametrize("make", [MultiLayerPerceptron, SmallConvolutional, SmallResidual])
def test_classifiers_of_the_library(make: Callable[[], MultiLayerPerceptron]) -> None:
    module = drawn(make().build((1, 8, 8), 10), make.__name__)
    graph = lipschitz_graph(module, (1, 8, 8))
    for p in NORMS:
        bound = product_bound(graph, p)
        assert slopes_met(module, (1, 8, 8), make.__name__, p) <= bound * (1 + 1e-12)
        assert bound < math.inf


@pytest.mark.parametrize("pooling", ["max", "median"])
def test_pooled_classifiers_of_the_library(pooling: str) -> None:
    module = drawn(SmallConvolutional((3, 4), pooling=pooling).build((1, 8, 8), 4), pooling)
    graph = lipschitz_graph(module, (1, 8, 8))
    for p in NORMS:
        assert slopes_met(module, (1, 8, 8), pooling, p) <= product_bound(graph, p) * (1 + 1e-12)
    filtered = drawn(MultiLayerPerceptron(6, median_filter=3).build((1, 5, 5), 3), "filter")
    bound = product_bound(lipschitz_graph(filtered, (1, 5, 5)))
    assert slopes_met(filtered, (1, 5, 5), "filter", 2) <= bound


@pytest.mark.parametrize(
    "make",
    [ProbabilisticPCA(4), VariationalAutoEncoder(4, (12, 10))],
    ids=lambda m: type(m).__name__,
)
def test_generators_of_the_library(make: VariationalAutoEncoder) -> None:
    module = drawn(make.build((1, 6, 6)), "generator")
    graph = lipschitz_graph(module, (4,))
    bound = product_bound(graph)
    assert slopes_met(module, (4,), "generator", 2) <= bound * (1 + 1e-12)
    if isinstance(make, ProbabilisticPCA):
        assert bound == pytest.approx(np.linalg.norm(module[0].weight.numpy(force=True), 2))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(dim=1)), r"'1' \(Softmax\) .*without slope"),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), r"'1' \(LayerNorm\)"),
        (Made(lambda x: x * x), "product|multiplies"),
        (Made(lambda x: torch.exp(x)), "'exp' .*without slope bounds"),
        (Made(lambda x: 1 / x), "divides"),
        (Made(lambda x: x / 0.0), "divides by 0"),
        (Made(lambda x: F.celu(x, -1.0)), "without slope bounds"),
        (Made(lambda x: F.dropout(x)), "random"),
        (nn.Sequential(nn.BatchNorm1d(4)).train(), "normalises by the batch"),
        (Made(lambda x: x if x.sum() > 0 else -x), "fixed sequence"),
        (nn.Sequential(nn.Linear(5, 4)), "cannot be traced"),
        (Made(lambda x: x.shape), "one tensor"),
        (Made(aliased), "differs from the module"),
        (Made(aliased_by_name), "in place"),
        (Made(changed_under_a_view), "in place"),
        (Made(lambda x: x - x.mean(dim=0, keepdim=True)), "inputs of a batch"),
    ],
)
def test_what_has_no_slopes_is_named(module: nn.Module, words: str) -> None:
    with pytest.raises(InputError, match=words):
        lipschitz_graph(module, (4,))


def test_weights_that_are_not_finite_are_named() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        module[1].weight[0, 0] = math.nan
    with pytest.raises(InputError, match=r"'1' \(Linear\).*not finite"):
        lipschitz_graph(module, (3,))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: product_bound([np.eye(3), np.eye(4)]), r"weights\[1\] takes 4 values.*gives 3"),
        (lambda: product_bound([np.array([[np.nan]])]), r"weights\[0\].*not finite"),
        (lambda: product_bound([np.ones(3)]), r"shape \(out, in\), got \(3,\)"),
        (lambda: product_bound([["a"]]), "no array of numbers"),
        (lambda: product_bound([]), "at least one"),
        (lambda: product_bound([np.eye(2)], 3), "p must be 1, 2 or inf"),
        (lambda: product_bound(np.eye(2)), "a network is a Graph"),  # type: ignore[arg-type]
        (lambda: absolute_bound([np.eye(2)], 2), "p = 1 or inf"),
        (lambda: balanced_product_bound([np.eye(2), np.eye(3)]), "takes 3 values"),
        (lambda: Graph(()), "at least 1"),
        (lambda: Graph((3,)).layer(0, np.eye(4)), "'layer' takes 4 values"),
        (lambda: Graph((3, 4, 4)).layer(0, Convolution(np.ones((1, 2, 3, 3)))), "'layer': .*fit"),
        (lambda: Graph((3,)).layer(1, np.eye(3)), "node 1 is not one"),
        (lambda: Graph((3,)).activation(0, 0, np.inf), "without slope bounds"),
        (lambda: Graph((3,)).activation(0, [0, 1], 1), "do not fit"),
        (lambda: Graph((3,)).reshape(0, (2, 2)), "cannot make"),
        (lambda: Graph((3,)).select(0, [0, 3], (2,)), "from -1 to 2"),
        (lambda: Graph((3,)).scale(0, [1.0, 2.0]), "factors of shape"),
        (lambda: Graph((3,)).scale_channels(0, [1.0, 2.0]), "needs 3 factors"),
        (lambda: Graph((3,)).add([0, 0], [1.0]), "2 finite factors"),
        (lambda: Graph((3,)).concatenate([0, 0], 1), "axis 1"),
        (lambda: Graph((2, 4)).channelwise(0, np.eye(3), (3,)), "maps 3 positions"),
    ],
)
def test_bad_input_is_named(act: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        act()
